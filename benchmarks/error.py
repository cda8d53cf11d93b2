"""How far the fast path's 16 bits err, beside NVlabs' own on the same frames of the same blends.

StyleGAN2 of configuration F with random weights of NVlabs' code, two networks in a sweep. Run
``.venv/bin/python benchmarks/error.py --nvlabs DIR`` (a checkout of NVlabs/stylegan3) on a machine
with CUDA; it prints a table and writes benchmarks/results/error-cuda.json.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
from pathlib import Path

import peers
import torch
from engine import SWEEP, relative_error, write_timeline

import animix
from animix.checkpoints.load import load_network
from animix.film import Film, open_film
from animix.timeline.reader import load_timeline


def nvlabs_error(film: Film, frames: range, generator: torch.nn.Module) -> float:
    """‖16-bit − float32‖ / ‖float32‖ of NVlabs' pictures of the same w and blends, on average."""
    networks = [load_network(file).to(film.engine.device) for file in film.engine.shelf.files]
    errors = []
    for index in frames:
        row = film.schedule.row(index)
        mixed = animix.blend(networks, row.mix)
        generator.load_state_dict(dict(mixed.tensors), strict=False)
        errors.append(peers.nvlabs_fp16_error(generator, film.engine.ws(row)[None]))
    return statistics.mean(errors)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nvlabs", type=Path, required=True, help="of NVlabs/stylegan3")
    parser.add_argument("--frames", type=int, default=960, help="every 60th is compared")
    parser.add_argument("--sizes", type=int, nargs="+", default=[256, 512, 1024])
    parser.add_argument("--results", type=Path, default=Path(__file__).parent / "results")
    arguments = parser.parse_args()
    results: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as name:
        for size in arguments.sizes:
            generators = [
                peers.nvlabs_generator(arguments.nvlabs, img_resolution=size, seed=seed)
                for seed in range(2)
            ]
            for number, generator in enumerate(generators):
                path = Path(name) / f"n{number}-{size}.safetensors"
                peers.save_for_animix(generator, path)
            path = write_timeline(Path(name), size, 2, SWEEP, arguments.frames)
            film = open_film(load_timeline(path), device="cuda")
            frames = range(0, arguments.frames, 60)
            ours = relative_error(film, frames)
            theirs = nvlabs_error(film, frames, generators[0].cuda())
            results[f"{size} px"] = {
                "animix": float(f"{ours:.3g}"),
                "nvlabs": float(f"{theirs:.3g}"),
                "ratio": float(f"{ours / theirs:.3g}"),
            }
            print(f"{size} px: {results[f'{size} px']}", flush=True)
    report = {
        "device": torch.cuda.get_device_name(),
        "torch": torch.__version__,
        "animix": animix.__version__,
        "results": results,
    }
    arguments.results.mkdir(parents=True, exist_ok=True)
    path = arguments.results / "error-cuda.json"
    path.write_text(json.dumps(report, indent=2) + "\n")
    print(path)


if __name__ == "__main__":
    main()
