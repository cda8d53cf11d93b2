"""How many frames a second StyleGAN3 makes on a GPU, fast and plain, and where the time goes.

Random networks with the published channel counts of StyleGAN3-T and -R, two for every frame. Run
``.venv/bin/python benchmarks/stylegan3.py`` on a machine with CUDA; it prints what it finds and
writes benchmarks/results/stylegan3-cuda.json.
"""

from __future__ import annotations

import argparse
import gc
import json
import statistics
import tempfile
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import torch
from engine import SWEEP, frames_per_second, relative_error, write_timeline
from safetensors.torch import save_file

import animix
from animix.engine.device import choose_device
from animix.engine.plain import PlainEngine
from animix.film import Film, open_film
from animix.networks.stylegan3_plan import Specification, make_plan
from animix.timeline.reader import load_timeline

KINDS = {
    "T": (32768, 512, {}),
    "R": (65536, 1024, {"conv_kernel": 1, "use_radial_filters": True}),
}
"""Channel base, most channels, and what the synthesis network is constructed with."""

CASES = {"a mix for every frame": SWEEP, "one mix": "{swap: 64}"}


def random_network(path: Path, kind: str, img_resolution: int, seed: int) -> None:
    """Write a random StyleGAN3 generator with the published tensor names."""
    base, most, settings = KINDS[kind]
    plan = make_plan(Specification(img_resolution, **settings))
    generator = torch.Generator().manual_seed(seed)
    w_dim = 512

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=generator)

    def width(cutoff: float) -> int:
        return round(min(base / 2 / cutoff, most))

    tensors = {"mapping.w_avg": torch.zeros(w_dim)}
    for depth in range(2):
        tensors[f"mapping.fc{depth}.weight"] = 100 * normal(w_dim, w_dim)
        tensors[f"mapping.fc{depth}.bias"] = torch.zeros(w_dim)
    inputs = width(plan.input.cutoff)
    directions = torch.nn.functional.normalize(normal(inputs, 2))
    tensors["synthesis.input.freqs"] = (
        directions * plan.input.cutoff * torch.rand(inputs, 1, generator=generator)
    )
    tensors["synthesis.input.phases"] = torch.rand(inputs, generator=generator) - 0.5
    tensors["synthesis.input.transform"] = torch.eye(3)
    tensors["synthesis.input.weight"] = normal(inputs, inputs)
    tensors["synthesis.input.affine.weight"] = 0.1 * normal(4, w_dim)
    tensors["synthesis.input.affine.bias"] = torch.tensor([1.0, 0, 0, 0])
    for index, layer in enumerate(plan.layers):
        last = index == len(plan.layers) - 1
        outputs = 3 if last else width(layer.output.cutoff)
        name = f"synthesis.L{index}_{layer.output.size}_{outputs}"
        tensors[f"{name}.weight"] = normal(outputs, inputs, layer.kernel, layer.kernel)
        tensors[f"{name}.bias"] = 0.1 * normal(outputs)
        tensors[f"{name}.affine.weight"] = 0.3 * normal(inputs, w_dim)
        tensors[f"{name}.affine.bias"] = torch.ones(inputs)
        tensors[f"{name}.magnitude_ema"] = torch.ones(())
        inputs = outputs
    metadata = {name: str(value).lower() for name, value in settings.items()}
    save_file(tensors, path, {"img_resolution": str(img_resolution), **metadata})


def plain_milliseconds(film: Film, frames: int = 5) -> float:
    """Milliseconds of a frame by the plain engine, the median."""
    plain = replace(film, engine=PlainEngine(film.engine.home, film.engine.shelf, {}))
    found = []
    for index in range(frames + 1):
        torch.cuda.synchronize()
        started = time.perf_counter()
        plain.canvas(index)
        torch.cuda.synchronize()
        found.append(1000 * (time.perf_counter() - started))
    return statistics.median(found[1:])


def busiest_kernels(film: Film, folder: Path, count: int) -> dict[str, float]:
    """Kernels by name and grid, and how many µs of a frame each takes, of one cell."""
    cell = range(film.engine.batch_size)
    list(film.frames(cell))
    torch.cuda.synchronize()
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA]) as profile:
        list(film.frames(cell))
        torch.cuda.synchronize()
    trace = folder / "trace.json"
    profile.export_chrome_trace(str(trace))
    total: Counter[str] = Counter()
    launches: Counter[str] = Counter()
    for event in json.loads(trace.read_text())["traceEvents"]:
        if event.get("cat") in ("kernel", "gpu_memcpy", "gpu_memset"):
            grid = "×".join(map(str, event.get("args", {}).get("grid", [])))
            name = f"{event['name'][:70]} [{grid}]"
            total[name] += event["dur"]
            launches[name] += 1
    frames = len(cell)
    found = {"all": round(sum(total.values()) / frames, 1)}
    for name, microseconds in total.most_common(count):
        found[f"{name} {launches[name] / frames:.3g} a frame"] = round(microseconds / frames, 1)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=128)
    parser.add_argument("--repeat", type=int, default=3, help="the median counts")
    parser.add_argument("--sizes", type=int, nargs="+", default=[256, 512, 1024])
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--kernels", type=int, default=12, help="the busiest ones are listed")
    parser.add_argument("--results", type=Path, default=Path(__file__).parent / "results")
    arguments = parser.parse_args()
    device = choose_device("cuda")

    results: dict[str, dict[str, object]] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for kind in arguments.kinds:
            for size in arguments.sizes:
                for k in range(2):
                    random_network(folder / f"n{k}-{size}.safetensors", kind, size, seed=k)
                for case, overlay in CASES.items():
                    path = write_timeline(folder, size, 2, overlay, arguments.frames)
                    gc.collect()
                    torch.cuda.empty_cache()
                    torch.cuda.reset_peak_memory_stats(device)
                    film = open_film(load_timeline(path), device="cuda")
                    started = time.perf_counter()
                    film.yuv420(0)
                    first = time.perf_counter() - started
                    fps = frames_per_second(film, arguments.repeat)
                    memory = torch.cuda.max_memory_reserved(device) / 2**30
                    found: dict[str, object] = {
                        "fps": round(statistics.median(fps)),
                        "slowest": round(fps[0]),
                        "fastest": round(fps[-1]),
                        "plain_fps": round(1000 / plain_milliseconds(film), 1),
                        "first_frame_seconds": round(first, 2),
                        "memory_gib": round(memory, 2),
                        "relative_error": float(
                            f"{relative_error(film, [arguments.frames // 4]):.2g}"
                        ),
                    }
                    print(f"{kind}, {size} px, {case}: {found}", flush=True)
                    kernels = busiest_kernels(film, folder, arguments.kernels)
                    for kernel, microseconds in kernels.items():
                        print(f"    {microseconds:8.1f} µs  {kernel}", flush=True)
                    results[f"{kind}, {size} px, {case}"] = found
                    del film
    report = {
        "device": torch.cuda.get_device_name(device),
        "torch": torch.__version__,
        "animix": animix.__version__,
        "frames": arguments.frames,
        "results": results,
    }
    arguments.results.mkdir(parents=True, exist_ok=True)
    path = arguments.results / "stylegan3-cuda.json"
    path.write_text(json.dumps(report, indent=2, ensure_ascii=False) + "\n")
    print(path)


if __name__ == "__main__":
    main()
