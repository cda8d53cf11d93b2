"""How many frames a second the engine makes on a GPU: mixed, painted, dithered, 4:2:0 on the host.

StyleGAN2 of configuration F with random weights. ``.venv/bin/python benchmarks/engine.py``, on a
machine with CUDA, prints a table and writes benchmarks/results/engine-cuda.json. With ``--nvlabs``
(a checkout of NVlabs/stylegan3) and ``--rosinality`` (of rosinality/stylegan2-pytorch) the scripts
that users have run too, on the same networks: speeds are told as multiples of theirs.
"""

from __future__ import annotations

import argparse
import gc
import json
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import peers
import torch
from render import random_network

import animix
from animix.engine.device import choose_device
from animix.engine.fast import FastEngine
from animix.engine.plain import PlainEngine
from animix.film import Film, open_film
from animix.timeline.reader import load_timeline

TIMELINE = """
networks: {{{networks}}}
duration: {frames}f
latents: [1, 2, 3]
blend: [n0{overlays}]
"""

SWEEP = "{swap: {0%: none, 50%: all, 100%: none}}"

CASES = {
    "2 networks, a mix for every frame": (2, SWEEP),
    "2 networks, one mix": (2, "{swap: 64}"),
    "3 networks, a mix for every frame": (3, SWEEP),
    "5 networks, a mix for every frame": (5, SWEEP),
}


def write_timeline(folder: Path, size: int, num_networks: int, overlay: str, frames: int) -> Path:
    """Write a timeline with one network over the other."""
    path = folder / "reel.yaml"
    names = [f"n{k}: n{k}-{size}.safetensors" for k in range(num_networks)]
    overlays = "".join(f", n{k}: {overlay}" for k in range(1, num_networks))
    text = TIMELINE.format(networks=", ".join(names), frames=frames, overlays=overlays)
    path.write_text(text)
    return path


def frames_per_second(film: Film, repeats: int) -> list[float]:
    """Frames a second of whole films, sorted; the first is not counted."""
    found = []
    num_frames = film.schedule.num_frames
    for _ in range(repeats + 1):
        started = time.perf_counter()
        for _ in film.frames(range(num_frames)):
            pass
        found.append(num_frames / (time.perf_counter() - started))
    return sorted(found[1:])


def relative_error(film: Film, frames: Sequence[int]) -> float:
    """‖fast − plain‖ / ‖plain‖ of canvases, on average."""
    assert isinstance(film.engine, FastEngine)
    plain = replace(film, engine=PlainEngine(film.engine.home, film.engine.shelf, {}))
    errors = []
    for index in frames:
        found, expected = film.canvas(index).double(), plain.canvas(index).double()
        errors.append(float((found - expected).norm() / expected.norm()))
    return statistics.mean(errors)


FLOOR_SECONDS = {256: 150e-6, 512: 223e-6, 1024: 337e-6}
"""Arithmetic, then activations read and written once, on an H100: docs/performance.md."""

PEER_SECONDS = 2.5
"""How long each of the others' scripts is measured."""


def write_networks(folder: Path, size: int, nvlabs: Path | None) -> None:
    """Write five networks; NVlabs' own where its code is at hand, so that both run the same."""
    for k in range(5):
        path = folder / f"n{k}-{size}.safetensors"
        if nvlabs is None:
            random_network(
                path, img_resolution=size, channel_base=32768, channel_max=512, w_dim=512, seed=k
            )
        else:
            peers.save_for_animix(peers.nvlabs_generator(nvlabs, img_resolution=size, seed=k), path)


def measure_peers(size: int, nvlabs: Path | None, rosinality: Path | None) -> dict[str, float]:
    """Frames a second of the others' scripts."""
    rates: dict[str, float] = {}
    z = torch.from_numpy(np.random.RandomState(1).randn(8, 512)).float().cuda()
    if nvlabs is not None:
        one, other, target = (
            peers.nvlabs_generator(nvlabs, img_resolution=size, seed=seed).cuda()
            for seed in range(3)
        )
        with torch.inference_mode():
            ws = list(one.mapping(z, None).split(1))
        generators, paint = [one, other, target], peers.paint_nvlabs
        cases = {
            "NVlabs, state dicts mixed and loaded": (peers.lerp_and_load, ws),
            "NVlabs, mixed in place": (peers.lerp_in_place, ws),
            "NVlabs, no mixing": (peers.as_it_is, ws),
            "NVlabs, no mixing, batches of 8": (peers.as_it_is, [torch.cat(ws)]),
        }
        for case, (script, inputs) in cases.items():
            frame = script(generators, paint, inputs)
            rates[case] = peers.pictures_per_second(frame, PEER_SECONDS)
    if rosinality is not None:
        generators = [
            peers.rosinality_generator(rosinality, img_resolution=size, seed=seed).cuda()
            for seed in range(3)
        ]
        with torch.inference_mode():
            w = generators[0].style(z)
        ws = list(w[:, None].repeat(1, generators[0].n_latent, 1).split(1))
        # As its users have it: TF32 and cuDNN's search for the quickest kernel.
        torch.backends.cudnn.benchmark = torch.backends.cudnn.allow_tf32 = True
        for case, script in {
            "rosinality, state dicts mixed and loaded": peers.lerp_and_load,
            "rosinality, mixed in place": peers.lerp_in_place,
        }.items():
            frame = script(generators, peers.paint_rosinality, ws)
            rates[case] = peers.pictures_per_second(frame, PEER_SECONDS)
        torch.backends.cudnn.benchmark = False
    gc.collect()
    torch.cuda.empty_cache()
    return {case: round(rate, 1) for case, rate in rates.items()}


def compared(
    size: int, results: dict[str, dict[str, float]], rates: dict[str, float]
) -> dict[str, float]:
    """What a size's figures are as multiples of others."""
    ours = results[f"{size} px, 2 networks, a mix for every frame"]
    found = {"time over that of one mix": results[f"{size} px, 2 networks, one mix"]["fps"]}
    found = {name: fps / ours["fps"] for name, fps in found.items()}
    for number in (3, 5):
        more = results[f"{size} px, {number} networks, a mix for every frame"]
        found[f"speed of {number} networks over that of 2"] = more["fps"] / ours["fps"]
    if size in FLOOR_SECONDS:
        found["time over an H100's floor"] = 1 / ours["fps"] / FLOOR_SECONDS[size]
    for case, rate in rates.items():
        found[f"speed over {case}"] = ours["fps"] / rate
    return {name: float(f"{value:.3g}") for name, value in found.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=960)
    parser.add_argument("--repeat", type=int, default=5, help="the median counts")
    parser.add_argument("--sizes", type=int, nargs="+", default=[256, 512, 1024])
    parser.add_argument("--nvlabs", type=Path, help="a checkout of NVlabs/stylegan3")
    parser.add_argument("--rosinality", type=Path, help="one of rosinality/stylegan2-pytorch")
    parser.add_argument("--results", type=Path, default=Path(__file__).parent / "results")
    arguments = parser.parse_args()
    device = choose_device("cuda")
    probes = range(0, arguments.frames, arguments.frames // 8)

    results: dict[str, dict[str, float]] = {}
    peer_rates: dict[str, dict[str, float]] = {}
    comparisons: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for size in arguments.sizes:
            write_networks(folder, size, arguments.nvlabs)
            for case, (num_networks, overlay) in CASES.items():
                path = write_timeline(folder, size, num_networks, overlay, arguments.frames)
                gc.collect()
                torch.cuda.empty_cache()
                torch.cuda.reset_peak_memory_stats(device)
                film = open_film(load_timeline(path), device="cuda")
                started = time.perf_counter()
                film.yuv420(0)
                first = time.perf_counter() - started
                fps = frames_per_second(film, arguments.repeat)
                results[f"{size} px, {case}"] = {
                    "fps": round(statistics.median(fps)),
                    "slowest": round(fps[0]),
                    "fastest": round(fps[-1]),
                    "first_frame_seconds": round(first, 2),
                    "memory_gib": round(torch.cuda.max_memory_reserved(device) / 2**30, 2),
                    "relative_error": float(f"{relative_error(film, probes):.3g}"),
                }
                print(f"{size} px, {case}: {results[f'{size} px, {case}']}", flush=True)
                del film
            rates = measure_peers(size, arguments.nvlabs, arguments.rosinality)
            peer_rates[f"{size} px"] = rates
            comparisons[f"{size} px"] = compared(size, results, rates)
            for told in (peer_rates, comparisons):
                print(f"{size} px: {told[f'{size} px']}", flush=True)
    report = {
        "device": torch.cuda.get_device_name(device),
        "torch": torch.__version__,
        "animix": animix.__version__,
        "frames": arguments.frames,
        "results": results,
        "peers": peer_rates,
        "comparisons": comparisons,
    }
    arguments.results.mkdir(parents=True, exist_ok=True)
    path = arguments.results / "engine-cuda.json"
    path.write_text(json.dumps(report, indent=2) + "\n")
    print(path)


if __name__ == "__main__":
    main()
