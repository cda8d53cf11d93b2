"""What the fast path takes of a GPU's memory, beside what it planned for.

StyleGAN2 of configuration F with random weights, a sweep and a mix that stands still, in cells of
several sizes; then a slide through forty snapshots, and one of forty in use; then a clip of 10
frames and one of 10,000. ``.venv/bin/python benchmarks/memory.py``, on a machine with
CUDA, prints a table and writes benchmarks/results/memory-cuda.json.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
from engine import write_networks

import animix
from animix.engine.device import memory_of
from animix.engine.fast import FastEngine
from animix.engine.memory import CONTEXT_BYTES, bytes_needed
from animix.film import open_film
from animix.timeline.reader import load_timeline

TIMELINE = """
networks: {{n0: n0-{size}.safetensors, run: "run-*.safetensors"}}
duration: {frames}f
latents: [1, 2, 3]
noise: {noise}
blend: [n0, run: {overlay}]
"""

SWEEP = "swap: {0%: none linear, 80%: all hold, 81%: 64 hold}"

OVERLAYS = {
    "2 networks": f"{{{SWEEP}, snapshot: 1}}",
    "one of 40 snapshots": f"{{{SWEEP}, snapshot: 20}}",
    "a slide through 40": "{snapshot: {0%: 1 linear, 50%: 40 linear, 100%: 1 linear}}",
}


CASES = (
    ("2 networks", None, "fixed", 960),
    ("2 networks", 6, "fixed", 960),
    ("a slide through 40", 8, "fixed", 960),
    ("one of 40 snapshots", None, "fixed", 960),
    ("2 networks", None, "fixed", 10),
    ("2 networks", None, "fixed", 10_000),
    ("2 networks", 3, "fixed", 960),
    ("2 networks", None, "random", 960),
    ("a slide through 40", None, "fixed", 960),
)
"""Overlay, gigabytes allowed, noise and frames."""


def measure(folder: Path, size: int, number: int) -> dict[str, object]:
    """What a film takes at its worst moment, and what was planned."""
    case, gigabytes, noise, frames = CASES[number]
    memory = None if gigabytes is None else gigabytes * 10**9
    text = TIMELINE.format(size=size, frames=frames, overlay=OVERLAYS[case], noise=noise)
    (folder / "reel.yaml").write_text(text)
    film = open_film(load_timeline(folder / "reel.yaml"), device="cuda", memory_bytes=memory)
    engine = film.engine
    assert isinstance(engine, FastEngine)
    film.yuv420(0)  # what is captured once is not counted
    film.yuv420(film.schedule.num_frames - 1)
    started = time.perf_counter()
    num_frames = sum(1 for _ in film.frames(range(film.schedule.num_frames)))
    seconds = time.perf_counter() - started
    free, total = torch.cuda.mem_get_info()
    planned = bytes_needed(
        engine.home, engine.plan.num_slots, engine.batch_size, torch.float16, film.canvas_size
    )
    return {
        "device": torch.cuda.get_device_name(),
        "allowed_gb": round((memory or memory_of(engine.device)) / 1e9, 2),
        "frames_of_a_cell": engine.batch_size,
        "slots": engine.plan.num_slots,
        "planned_gb": round(planned / 1e9, 2),
        "tensors_gb": round(torch.cuda.max_memory_reserved() / 1e9, 2),
        "device_gb": round((total - free) / 1e9, 2),
        "frames_per_second": round(num_frames / seconds, 1),
    }


def measured_apart(folder: Path, size: int, number: int) -> dict[str, object]:
    """The same in a process of its own: libraries keep what they took for other films."""
    command = [sys.executable, __file__, "--one", str(folder), str(size), str(number)]
    told = subprocess.run(command, capture_output=True, text=True)
    lines = (told.stdout if told.returncode == 0 else told.stderr).strip().splitlines()
    return dict(json.loads(lines[-1])) if told.returncode == 0 else {"error": lines[-1]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[256, 512, 1024])
    parser.add_argument("--cases", type=int, default=len(CASES), help="how many, from the first")
    parser.add_argument("--results", type=Path, default=Path(__file__).parent / "results")
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        folder, size, number = arguments.one
        print(json.dumps(measure(Path(folder), int(size), int(number))))
        return
    results: dict[str, dict[str, object]] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for size in arguments.sizes:
            write_networks(folder, size, None)
            for number in range(40):
                link = folder / f"run-{number:02}.safetensors"
                link.unlink(missing_ok=True)
                link.symlink_to(f"n{1 + number % 4}-{size}.safetensors")
            for number, (case, gigabytes, noise, frames) in enumerate(CASES[: arguments.cases]):
                limit = f"{gigabytes} GB" if gigabytes else "no limit"
                key = f"{size} px, {case}, {frames} frames, noise {noise}, {limit}"
                results[key] = measured_apart(folder, size, number)
                print(f"{key}: {results[key]}", flush=True)
    report = {
        "torch": torch.__version__,
        "animix": animix.__version__,
        "beside_tensors_gb": CONTEXT_BYTES / 1e9,
        "results": results,
    }
    arguments.results.mkdir(parents=True, exist_ok=True)
    path = arguments.results / "memory-cuda.json"
    path.write_text(json.dumps(report, indent=2) + "\n")
    print(path)


if __name__ == "__main__":
    main()
