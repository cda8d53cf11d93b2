"""How many frames a second the engine makes on a GPU: mixed, painted, dithered, 4:2:0 on the host.

StyleGAN2 of configuration F with random weights. Run ``.venv/bin/python benchmarks/engine.py`` on a
machine with CUDA; it prints a table and writes benchmarks/results/engine-cuda.json.
"""

from __future__ import annotations

import argparse
import gc
import json
import statistics
import tempfile
import time
from dataclasses import replace
from pathlib import Path

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


def relative_error(film: Film, index: int) -> float:
    """‖fast − plain‖ / ‖plain‖ of a frame's canvas."""
    assert isinstance(film.engine, FastEngine)
    plain = replace(film, engine=PlainEngine(film.engine.home, film.engine.shelf, {}))
    found, expected = film.canvas(index).double(), plain.canvas(index).double()
    return float((found - expected).norm() / expected.norm())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=960)
    parser.add_argument("--repeat", type=int, default=5, help="the median counts")
    parser.add_argument("--sizes", type=int, nargs="+", default=[256, 512, 1024])
    parser.add_argument("--results", type=Path, default=Path(__file__).parent / "results")
    arguments = parser.parse_args()
    device = choose_device("cuda")

    results: dict[str, dict[str, object]] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for size in arguments.sizes:
            for k in range(5):
                random_network(
                    folder / f"n{k}-{size}.safetensors",
                    img_resolution=size,
                    channel_base=32768,
                    channel_max=512,
                    w_dim=512,
                    seed=k,
                )
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
                    "relative_error": float(f"{relative_error(film, arguments.frames // 4):.2g}"),
                }
                print(f"{size} px, {case}: {results[f'{size} px, {case}']}", flush=True)
                del film
    report = {
        "device": torch.cuda.get_device_name(device),
        "torch": torch.__version__,
        "animix": animix.__version__,
        "frames": arguments.frames,
        "results": results,
    }
    arguments.results.mkdir(parents=True, exist_ok=True)
    path = arguments.results / "engine-cuda.json"
    path.write_text(json.dumps(report, indent=2) + "\n")
    print(path)


if __name__ == "__main__":
    main()
