"""How long a training snapshot of full size takes to load, and how much memory, on the CPU.

Run it as ``.venv/bin/python benchmarks/load.py``; it writes a snapshot of StyleGAN2 config-f at
1024 px with random weights (G, D and G_ema in NVIDIA's layout, about 370 MB) to a temporary folder,
prints the figures and writes them to benchmarks/results/load-cpu.json. Loading is compared with
reading all bytes of the file, in the page cache, once from beginning to end: into new memory, as
``file.read()`` does, and into one buffer of 1 MiB again and again.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))  # for the tests' writer of NVIDIA's layout

import animix  # noqa: E402 (needs the path)
from animix.checkpoints.load import load_network  # noqa: E402 (the same)
from benchmarks.render import processor  # noqa: E402 (the same)
from tests.nvidia_files import write_nvidia_pickle  # noqa: E402 (the same)

CHANNEL_BASE, CHANNEL_MAX, W_DIM, MAPPING_LAYERS = 32768, 512, 512, 8
"""Config-f of Karras et al. 2020."""

BUFFER = 1 << 20

MEASURE = """
import sys
from animix.checkpoints.load import load_network

def peak():
    lines = open("/proc/self/status").read().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) << 10

before = peak()
network = load_network(sys.argv[1])
print(peak() - before)
"""


def channels(resolution: int) -> int:
    return min(CHANNEL_BASE // resolution, CHANNEL_MAX)


def generator(seed: int, img_resolution: int) -> dict[str, Tensor]:
    """Random tensors of a skip generator with its buffers."""
    random = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(shape, generator=random)

    blur = torch.tensor([1.0, 3, 3, 1])
    blur = torch.outer(blur, blur) / 64
    tensors = {"mapping.w_avg": normal(W_DIM)}
    for depth in range(MAPPING_LAYERS):
        tensors[f"mapping.fc{depth}.weight"] = normal(W_DIM, W_DIM)
        tensors[f"mapping.fc{depth}.bias"] = normal(W_DIM)
    tensors["synthesis.b4.const"] = normal(channels(4), 4, 4)

    def layer(name: str, size_in: int, size_out: int, kernel: int) -> None:
        tensors[f"{name}.weight"] = normal(size_out, size_in, kernel, kernel)
        tensors[f"{name}.bias"] = normal(size_out)
        tensors[f"{name}.affine.weight"] = normal(size_in, W_DIM)
        tensors[f"{name}.affine.bias"] = normal(size_in)

    resolution = 4
    while resolution <= img_resolution:
        block = f"synthesis.b{resolution}"
        tensors[f"{block}.resample_filter"] = blur.clone()
        for name in ("conv0", "conv1") if resolution > 4 else ("conv1",):
            size_in = channels(resolution // 2 if name == "conv0" else resolution)
            layer(f"{block}.{name}", size_in, channels(resolution), 3)
            tensors[f"{block}.{name}.noise_const"] = normal(resolution, resolution)
            tensors[f"{block}.{name}.noise_strength"] = normal()
            tensors[f"{block}.{name}.resample_filter"] = blur.clone()
        layer(f"{block}.torgb", channels(resolution), 3, 1)
        resolution *= 2
    return tensors


def discriminator(seed: int, img_resolution: int) -> dict[str, Tensor]:
    """Random tensors as large as a residual discriminator's."""
    random = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(shape, generator=random)

    tensors, resolution = {}, img_resolution
    while resolution > 4:
        size, next_size = channels(resolution), channels(resolution // 2)
        tensors[f"b{resolution}.conv0.weight"] = normal(size, size, 3, 3)
        tensors[f"b{resolution}.conv1.weight"] = normal(next_size, size, 3, 3)
        tensors[f"b{resolution}.skip.weight"] = normal(next_size, size, 1, 1)
        resolution //= 2
    tensors["b4.conv.weight"] = normal(channels(4), channels(4) + 1, 3, 3)
    tensors["b4.fc.weight"] = normal(channels(4), channels(4) * 16)
    return tensors


def write_snapshot(path: Path, img_resolution: int) -> int:
    """Write a snapshot; the bytes of its G_ema's tensors."""
    tensors = generator(0, img_resolution)
    others = {"G": generator(1, img_resolution), "D": discriminator(2, img_resolution)}
    write_nvidia_pickle(path, tensors, others=others)
    return sum(tensor.nbytes for tensor in tensors.values())


def read_into_new_memory(path: Path) -> None:
    with path.open("rb", buffering=0) as file:
        file.read()


def read_into_one_buffer(path: Path) -> None:
    buffer = bytearray(BUFFER)
    with path.open("rb", buffering=0) as file:
        while file.readinto(buffer):
            pass


def seconds(call: Callable[[Path], object], path: Path, repeat: int) -> dict[str, float]:
    """How long a call takes, after one that does not count."""
    call(path)
    times = []
    for _ in range(repeat):
        start = time.perf_counter()
        call(path)
        times.append(time.perf_counter() - start)
    return {"median": round(statistics.median(times), 4), "fastest": round(min(times), 4)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--img-resolution", type=int, default=1024)
    parser.add_argument("--repeat", type=int, default=5, help="the median counts")
    parser.add_argument("--results", type=Path, default=Path(__file__).parent / "results")
    arguments = parser.parse_args()

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "network-snapshot.pkl"
        network_bytes = write_snapshot(path, arguments.img_resolution)
        calls = {
            "load": load_network,
            "read_into_new_memory": read_into_new_memory,
            "read_into_one_buffer": read_into_one_buffer,
        }
        times = {name: seconds(call, path, arguments.repeat) for name, call in calls.items()}
        measured = subprocess.run(
            [sys.executable, "-c", f"import torch\n{MEASURE}", path],
            check=True, capture_output=True, text=True, cwd=ROOT,
        )  # fmt: skip
        peak = int(measured.stdout)
        file_bytes = path.stat().st_size

    median = {name: found["median"] for name, found in times.items()}
    report = {
        "device": f"CPU, {os.cpu_count()} cores",
        "processor": processor(),
        "torch": torch.__version__,
        "animix": animix.__version__,
        "img_resolution": arguments.img_resolution,
        "file_bytes": file_bytes,
        "network_bytes": network_bytes,
        "seconds": times,
        "load_per_read_into_new_memory": round(median["load"] / median["read_into_new_memory"], 2),
        "load_per_read_into_one_buffer": round(median["load"] / median["read_into_one_buffer"], 2),
        "peak_memory_bytes": peak,
        "peak_memory_per_network": round(peak / network_bytes, 3),
    }
    print(json.dumps(report, indent=2))
    arguments.results.mkdir(parents=True, exist_ok=True)
    result = arguments.results / "load-cpu.json"
    result.write_text(json.dumps(report, indent=2) + "\n")
    print(result)


if __name__ == "__main__":
    main()
