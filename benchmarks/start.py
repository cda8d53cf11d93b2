"""How long a GPU's first frame takes, with nothing compiled yet and with everything at hand.

StyleGAN2 of configuration F with random weights, two networks, a mix for every frame. Each start
is a process of its own; a cold one has an empty kernel cache. ``.venv/bin/python
benchmarks/start.py``, on a machine with CUDA, prints a table and writes
benchmarks/results/start-cuda.json.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
from engine import write_networks

import animix
from animix.film import open_film
from animix.timeline.reader import load_timeline

TIMELINE = """
networks: {{n0: n0-{size}.safetensors, n1: n1-{size}.safetensors}}
duration: 960f
latents: [1, 2, 3]
blend: [n0, n1: {{swap: {{0%: none linear, 100%: all}}}}]
"""


def measure(folder: Path, size: int) -> dict[str, object]:
    """Seconds until the networks are open, and from there until a frame is on the host."""
    (folder / "reel.yaml").write_text(TIMELINE.format(size=size))
    started = time.perf_counter()
    film = open_film(load_timeline(folder / "reel.yaml"), device="cuda")
    opened = time.perf_counter()
    film.yuv420(0)
    first = time.perf_counter()
    film.yuv420(480)
    return {
        "device": torch.cuda.get_device_name(),
        "open_seconds": round(opened - started, 2),
        "first_frame_seconds": round(first - opened, 2),
        "another_frame_seconds": round(time.perf_counter() - first, 3),
    }


def measured_apart(folder: Path, size: int, cache: Path) -> dict[str, object]:
    """The same in a process of its own, with compiled kernels in ``cache``."""
    command = [sys.executable, __file__, "--one", str(folder), str(size)]
    environment = os.environ | {"TRITON_CACHE_DIR": str(cache)}
    told = subprocess.run(command, capture_output=True, text=True, env=environment)
    lines = (told.stdout if told.returncode == 0 else told.stderr).strip().splitlines()
    return dict(json.loads(lines[-1])) if told.returncode == 0 else {"error": lines[-1]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[256, 1024])
    parser.add_argument("--results", type=Path, default=Path(__file__).parent / "results")
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        folder, size = arguments.one
        print(json.dumps(measure(Path(folder), int(size))))
        return
    results: dict[str, dict[str, object]] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for size in arguments.sizes:
            write_networks(folder, size, None)
            cache = folder / f"kernels-{size}"
            for case in ("cold", "warm"):
                results[f"{size} px, {case}"] = measured_apart(folder, size, cache)
                print(f"{size} px, {case}: {results[f'{size} px, {case}']}", flush=True)
    report = {"torch": torch.__version__, "animix": animix.__version__, "results": results}
    arguments.results.mkdir(parents=True, exist_ok=True)
    path = arguments.results / "start-cuda.json"
    path.write_text(json.dumps(report, indent=2) + "\n")
    print(path)


if __name__ == "__main__":
    main()
