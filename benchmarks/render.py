"""How long whole renders take: the demo, and 300 frames of two networks re-blended for every frame.

Run it as ``.venv/bin/python benchmarks/render.py``; it prints a table and writes the figures to
benchmarks/results/render-DEVICE.json, from which the README's come.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
from safetensors.torch import save_file

import animix
from animix import demo

TIMELINE = """
networks: {{one: one.safetensors, other: other.safetensors}}
duration: {frames}f
latents: [1, 2, 3]
blend: {{swap: {{0%: none, 50%: all, 100%: none}}}}
"""


def random_network(
    path: Path,
    *,
    img_resolution: int = 256,
    channel_base: int = 8192,
    channel_max: int = 256,
    w_dim: int = 256,
    seed: int,
) -> None:
    """Write a random StyleGAN2 skip generator with the published tensor names."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=generator)

    tensors = {"mapping.w_avg": torch.zeros(w_dim)}
    for depth in range(4):
        tensors[f"mapping.fc{depth}.weight"] = 100 * normal(w_dim, w_dim)
        tensors[f"mapping.fc{depth}.bias"] = torch.zeros(w_dim)

    def channels(resolution: int) -> int:
        return min(channel_base // resolution, channel_max)

    def layer(name: str, size_in: int, size_out: int, kernel: int) -> None:
        tensors[f"{name}.weight"] = normal(size_out, size_in, kernel, kernel)
        tensors[f"{name}.bias"] = torch.zeros(size_out)
        tensors[f"{name}.affine.weight"] = normal(size_in, w_dim)
        tensors[f"{name}.affine.bias"] = torch.ones(size_in)

    tensors["synthesis.b4.const"] = normal(channels(4), 4, 4)
    resolution = 4
    while resolution <= img_resolution:
        block = f"synthesis.b{resolution}"
        for conv in ("conv0", "conv1") if resolution > 4 else ("conv1",):
            size_in = channels(resolution // 2) if conv == "conv0" else channels(resolution)
            layer(f"{block}.{conv}", size_in, channels(resolution), 3)
            tensors[f"{block}.{conv}.noise_const"] = normal(resolution, resolution)
            tensors[f"{block}.{conv}.noise_strength"] = torch.tensor(0.1)
        layer(f"{block}.torgb", channels(resolution), 3, 1)
        resolution *= 2
    save_file(tensors, path)


def measure(timeline: Path, device: str | None, folder: Path) -> dict[str, object]:
    """Render a timeline with the command, as a user does, and tell how long it took."""
    command = [sys.executable, "-m", "animix", "render", str(timeline), "--json"]
    command += ["--output", str(folder / "film.mp4")]
    command += ["--device", device] if device else []
    started = time.perf_counter()
    told = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    seconds = time.perf_counter() - started
    result = json.loads(told.splitlines()[-1])
    return {
        "frames": result["frames"],
        "size": f"{result['width']}x{result['height']}",
        "device": result["device"],
        "command_seconds": round(seconds, 2),
        "render_seconds": round(result["elapsed_seconds"], 2),
        "fps": round(result["frames"] / result["elapsed_seconds"], 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device")
    parser.add_argument("--frames", type=int, default=300)
    parser.add_argument("--repeat", type=int, default=3, help="the median counts")
    parser.add_argument("--results", type=Path, default=Path(__file__).parent / "results")
    arguments = parser.parse_args()

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for seed, stem in enumerate(("one", "other")):
            random_network(folder / f"{stem}.safetensors", seed=seed)
        mix = folder / "mix.yaml"
        mix.write_text(TIMELINE.format(frames=arguments.frames))
        cases = {"two networks, 256 px": mix, "the demo": demo.TIMELINE}
        results = {}
        for case, timeline in cases.items():
            runs = [measure(timeline, arguments.device, folder) for _ in range(arguments.repeat)]
            runs.sort(key=lambda run: run["command_seconds"])
            results[case] = {
                **runs[len(runs) // 2],
                "fastest_seconds": runs[0]["command_seconds"],
                "slowest_seconds": runs[-1]["command_seconds"],
            }
            print(f"{case}: {results[case]}", flush=True)

    cuda = torch.cuda.is_available() and arguments.device != "cpu"
    device = torch.cuda.get_device_name() if cuda else f"CPU, {os.cpu_count()} cores"
    report = {
        "device": device,
        "processor": processor(),
        "torch": torch.__version__,
        "animix": animix.__version__,
        "results": results,
    }
    arguments.results.mkdir(parents=True, exist_ok=True)
    path = arguments.results / f"render-{'cuda' if cuda else 'cpu'}.json"
    path.write_text(json.dumps(report, indent=2) + "\n")
    print(path)


def processor() -> str:
    """The processor's name where the system tells it."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


if __name__ == "__main__":
    main()
