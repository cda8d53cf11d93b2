"""How much faster all GPUs of a machine paint than one, and whether they paint the same frames.

StyleGAN2 of configuration F with random weights, two networks, a mix for every frame; frames end on
the host and are thrown away. ``.venv/bin/python benchmarks/gpus.py``, on a machine with several
GPUs, prints a table and writes benchmarks/results/gpus-cuda.json.
"""

from __future__ import annotations

import argparse
import gc
import json
import statistics
import tempfile
import zlib
from pathlib import Path

import torch
from pipeline import TIMELINE, rate
from render import processor, random_network

import animix
from animix.film import Film, open_film
from animix.timeline.reader import load_timeline
from animix.video.settings import num_cores


def checksum(film: Film, frames: range) -> int:
    """A checksum of the bytes of frames, in order."""
    found = 0
    for cell in film.cells(frames):
        found = zlib.crc32(cell, found)
    return found


def paint(film: Film, num_frames: int, repeats: int) -> list[float]:
    """Frames a second of the renderer alone, sorted."""

    def work() -> None:
        for _ in film.cells(range(num_frames)):
            pass

    return sorted(rate(num_frames, work) for _ in range(repeats))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[256, 512, 1024])
    parser.add_argument("--seconds", type=float, default=3, help="of one GPU's work")
    parser.add_argument("--repeat", type=int, default=3, help="the median counts")
    parser.add_argument("--results", type=Path, default=Path(__file__).parent / "results")
    arguments = parser.parse_args()

    results: dict[str, dict[str, float | bool]] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for size in arguments.sizes:
            for seed, stem in enumerate(("one", "other")):
                random_network(
                    folder / f"{stem}-{size}.safetensors",
                    img_resolution=size,
                    channel_base=32768,
                    channel_max=512,
                    w_dim=512,
                    seed=seed,
                )
            path = folder / "reel.yaml"
            path.write_text(TIMELINE.format(size=size, frames=30_000))
            films = {gpus: open_film(load_timeline(path), gpus=gpus) for gpus in ("0", "all")}
            # By now kernels are compiled and graphs captured, on every GPU.
            sums = {gpus: checksum(film, range(1280)) for gpus, film in films.items()}
            (probed,) = paint(films["0"], 640, 1)
            num_frames = min(int(arguments.seconds * probed), 30_000)
            fps = {gpus: paint(film, num_frames, arguments.repeat) for gpus, film in films.items()}
            one, every = (statistics.median(fps[gpus]) for gpus in ("0", "all"))
            results[f"{size} px"] = {
                "frames": num_frames,
                "one_fps": round(one),
                "all_fps": round(every),
                "slowest_all_fps": round(fps["all"][0]),
                "fastest_all_fps": round(fps["all"][-1]),
                "times": round(every / one, 2),
                "same_frames": sums["0"] == sums["all"],
            }
            print(f"{size} px: {results[f'{size} px']}", flush=True)
            del films
            gc.collect()
            torch.cuda.empty_cache()
    report = {
        "devices": [torch.cuda.get_device_name(n) for n in range(torch.cuda.device_count())],
        "processor": processor(),
        "cores": num_cores(),
        "torch": torch.__version__,
        "animix": animix.__version__,
        "results": results,
    }
    arguments.results.mkdir(parents=True, exist_ok=True)
    path = arguments.results / "gpus-cuda.json"
    path.write_text(json.dumps(report, indent=2) + "\n")
    print(path)


if __name__ == "__main__":
    main()
