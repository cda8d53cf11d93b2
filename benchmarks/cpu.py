"""How many re-blended frames a second a processor paints, beside the naive script on NVlabs' code.

The naive script mixes two state dicts for each frame, loads the result and synthesizes a batch of
one, in float32. Run ``.venv/bin/python benchmarks/cpu.py --nvlabs DIR`` with a checkout of
github.com/NVlabs/stylegan3 on a machine that does nothing else; it prints a table and writes
benchmarks/results/cpu.json. Every network is random; all take turns, and the best run counts.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import peers
import torch
from render import processor
from torch import nn

import animix
from animix.engine.device import painting
from animix.engine.framewise import FramewiseEngine
from animix.engine.plain import PlainEngine
from animix.engine.precision import SPEED_UP_BFLOAT16, choose_precision, processor_flags
from animix.film import Film, open_film
from animix.timeline.reader import load_timeline

W_DIM = 512

TIMELINE = """
networks: {{{networks}}}
duration: {frames}f
latents: [1, 2, 3]
blend: [n0{overlays}]
"""

EVERY_LAYER = "{alpha: {0%: 0.1, 50%: 0.9, 100%: 0.1}}"


@dataclass(frozen=True)
class Case:
    """Networks of a size, and how they are mixed."""

    name: str
    img_resolution: int
    channel_base: int
    channel_max: int
    num_networks: int = 2
    overlay: str = EVERY_LAYER
    frames: int = 96


CASES = (
    Case("64 px, channel base 4096", 64, 4096, 128),
    Case("128 px, channel base 4096", 128, 4096, 128),
    Case("256 px, channel base 8192", 256, 8192, 256, frames=48),
    Case("256 px, configuration F", 256, 32768, 512, frames=6),
    Case("128 px, channel base 4096, one mix", 128, 4096, 128, overlay="{swap: 16}"),
    Case("128 px, channel base 4096, five networks", 128, 4096, 128, num_networks=5),
)


def make_generators(case: Case, directory: Path) -> list[nn.Module]:
    """NVlabs' generators of a case; they have their noise images in common, as relatives have."""
    generators = [
        peers.nvlabs_generator(
            directory,
            img_resolution=case.img_resolution,
            channel_base=case.channel_base,
            channel_max=case.channel_max,
            w_dim=W_DIM,
            seed=seed,
        )
        for seed in range(case.num_networks)
    ]
    noise = {
        name: tensor
        for name, tensor in generators[0].state_dict().items()
        if name.endswith("noise_const")
    }
    for generator in generators[1:]:
        generator.load_state_dict(noise, strict=False)
    return generators


def write_timeline(case: Case, paths: list[Path], folder: Path) -> Path:
    """Write the timeline of a case."""
    timeline = folder / "reel.yaml"
    text = TIMELINE.format(
        networks=", ".join(f"n{k}: {path.name}" for k, path in enumerate(paths)),
        frames=case.frames,
        overlays="".join(f", n{k}: {case.overlay}" for k in range(1, len(paths))),
    )
    timeline.write_text(text)
    return timeline


class Naive:
    """The naive script: the mix of each frame is loaded into NVlabs' generator."""

    def __init__(self, case: Case, generators: list[nn.Module]) -> None:
        self.case, self.generators = case, generators
        self.states = [
            {name: tensor.clone() for name, tensor in generator.synthesis.state_dict().items()}
            for generator in self.generators
        ]

    @torch.no_grad()
    def picture(self, shares: list[float], ws: torch.Tensor) -> torch.Tensor:
        """A frame [1, 3, H, W] of ws [1, num_ws, w_dim]; the networks' shares are the same in all
        layers."""
        first, other, *_ = self.states
        if len(shares) == 2:
            mixed = {name: torch.lerp(first[name], other[name], shares[1]) for name in first}
        else:
            pairs = list(zip(shares, self.states, strict=True))
            mixed = {name: sum(share * state[name] for share, state in pairs) for name in first}
        synthesis = self.generators[0].synthesis
        synthesis.load_state_dict(mixed)
        return synthesis(ws, noise_mode="const")

    def frames_per_second(self) -> float:
        """Its pace, with ws at hand."""
        count = min(self.case.frames, 24)
        rest = len(self.states) - 1
        ws = torch.randn(1, self.generators[0].num_ws, W_DIM)
        started = time.perf_counter()
        for n in range(count):
            share = (n + 1) / (count + 1) / rest
            self.picture([1 - rest * share, *[share] * rest], ws)
        return count / (time.perf_counter() - started)


def pictures_per_second(film: Film) -> float:
    """The engine's pace over the whole film, from the schedule to pictures."""
    size, num_frames = film.engine.batch_size, film.schedule.num_frames
    started = time.perf_counter()
    with painting(film.engine.device):
        for start in range(0, num_frames, size):
            cell = range(start, min(start + size, num_frames))
            film.engine.pictures([film.schedule.row(index) for index in cell])
    return num_frames / (time.perf_counter() - started)


def frames_per_second(film: Film) -> float:
    """The film's pace: pictures, and 4:2:0 made of them."""
    started = time.perf_counter()
    for _ in film.frames(range(film.schedule.num_frames)):
        pass
    return film.schedule.num_frames / (time.perf_counter() - started)


def plainly(film: Film) -> Film:
    """The same film with the plain engine."""
    assert isinstance(film.engine, FramewiseEngine)
    return replace(film, engine=PlainEngine(film.engine.home, film.engine.shelf, {}))


def relative_error(film: Film, naive: Naive, index: int) -> float:
    """‖found − NVlabs‖ / ‖NVlabs‖ of a frame whose layers are all mixed alike."""
    row = film.schedule.row(index)
    expected = naive.picture(row.mix[0].tolist(), film.engine.ws(row)[None].clone())[0].double()
    return float((film.canvas(index).double() - expected).norm() / expected.norm())


def measure(case: Case, directory: Path, folder: Path, repeat: int) -> dict[str, Any]:
    """The paces of everybody in a case, in frames a second."""
    generators = make_generators(case, directory)
    paths = [folder / f"n{k}.safetensors" for k in range(case.num_networks)]
    for path, generator in zip(paths, generators, strict=True):
        peers.save_for_animix(generator, path)
    timeline = load_timeline(write_timeline(case, paths, folder))
    film = open_film(timeline, device="cpu")
    float32 = open_film(timeline, device="cpu", precision="float32")
    plain, naive = plainly(float32), Naive(case, generators)
    runs: dict[str, Callable[[], float]] = {
        "naive": naive.frames_per_second,
        "pictures": lambda: pictures_per_second(film),
        "frames": lambda: frames_per_second(film),
        "float32": lambda: pictures_per_second(float32),
        "plain": lambda: pictures_per_second(plain),
    }
    found: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(repeat):
        for name, run in runs.items():
            found[name].append(run())
    best = {name: round(max(paces), 1 if max(paces) >= 10 else 2) for name, paces in found.items()}
    result: dict[str, Any] = {
        **best,
        "slowest": {name: round(min(paces), 2) for name, paces in found.items()},
        "times_naive": round(max(found["pictures"]) / max(found["naive"]), 1),
    }
    if case.overlay == EVERY_LAYER:
        result["relative_error"] = float(f"{relative_error(film, naive, 1):.2g}")
        result["relative_error_float32"] = float(f"{relative_error(float32, naive, 1):.2g}")
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nvlabs", type=Path, required=True, help="a checkout of stylegan3")
    parser.add_argument("--repeat", type=int, default=5, help="the best counts")
    parser.add_argument("--cases", nargs="+", help="parts of their names")
    parser.add_argument("--results", type=Path, default=Path(__file__).parent / "results")
    arguments = parser.parse_args()

    results: dict[str, dict[str, Any]] = {}
    columns = ("naive", "plain", "float32", "pictures", "frames", "times_naive")
    print(f"{'':44}{''.join(f'{column:>12}' for column in columns)}")
    for case in CASES:
        if arguments.cases and not any(part in case.name for part in arguments.cases):
            continue
        with tempfile.TemporaryDirectory() as name:
            result = measure(case, arguments.nvlabs, Path(name), arguments.repeat)
        results[case.name] = result
        print(f"{case.name:44}{''.join(f'{result[column]:12}' for column in columns)}", flush=True)
    report = {
        "processor": processor(),
        "threads": torch.get_num_threads(),
        "flags": sorted(SPEED_UP_BFLOAT16 & processor_flags()),
        "precision": str(choose_precision(torch.device("cpu"))).removeprefix("torch."),
        "torch": torch.__version__,
        "animix": animix.__version__,
        "results": results,
    }
    arguments.results.mkdir(parents=True, exist_ok=True)
    path = arguments.results / "cpu.json"
    path.write_text(json.dumps(report, indent=2) + "\n")
    print(path)


if __name__ == "__main__":
    main()
