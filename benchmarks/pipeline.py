"""How near a whole render comes to the slower of its two halves, painting and encoding.

StyleGAN2 of configuration F with random weights, two networks, a mix for every frame. In turns the
renderer paints alone, the encoder encodes alone what was painted before, and both render a film.
``.venv/bin/python benchmarks/pipeline.py``, on a machine with CUDA, prints a table and writes
benchmarks/results/pipeline-cuda.json. ``--device cpu --sizes 64 --channel-base 2048`` tries it
without. With ``--nvlabs`` (a checkout of NVlabs/stylegan3) networks are those of its code, and its
gen_video.py, which does not mix anything, makes an mp4 of each size too; animix then renders with
the same preset and bitrate as well.
"""

from __future__ import annotations

import argparse
import gc
import json
import statistics
import tempfile
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import peers
import torch
from numpy.typing import NDArray
from render import processor, random_network

import animix
from animix.delivery import settings_of
from animix.film import Film, open_film
from animix.rendering import encode
from animix.timeline.reader import load_timeline
from animix.video.segments import Segment, make_encoder, segment_frames, segments_of
from animix.video.settings import Preset, num_cores

TIMELINE = """
networks: {{one: one-{size}.safetensors, other: other-{size}.safetensors}}
duration: {frames}f
fps: 60
latents: {{seeds: [1, 2, 3, 4, 5], every: 2s}}
loop: false
blend: {{swap: {{0s..end every 10s: none -> all linear}}}}
"""

MOST_FRAMES = 30_000
KEPT_BYTES = 1 << 30
"""Painted frames that the encoder is given over and over when it is alone."""
PROBED_FRAMES = 96
GEN_VIDEO: tuple[Preset, int] = "medium", 12_000_000
"""What gen_video.py encodes with, at 60 frames a second."""


@dataclass(frozen=True)
class Pipeline:
    """A film, and some of its frames painted."""

    film: Film
    cells: list[NDArray[np.uint8]]
    folder: Path

    def paint(self, num_frames: int) -> float:
        """Frames a second of the renderer alone."""
        return rate(num_frames, lambda: deque(self.film.cells(range(num_frames)), maxlen=0))

    def at(self, bitrate: int | None) -> Pipeline:
        """The same with as many bits a second as there shall be; None: with constant quality."""
        if bitrate is None:
            return self
        output = replace(self.film.output, crf=None, bitrate=bitrate)
        return replace(self, film=replace(self.film, outputs=(output,)))

    def encode(self, num_frames: int, preset: Preset) -> float:
        """Frames a second of the encoder alone."""
        settings = replace(settings_of(self.film), preset=preset)

        def work() -> None:
            parts = segments_of(range(num_frames), segment_frames(settings))
            segments = [Segment(part, lambda part: self.folder / f"{part}.mp4") for part in parts]
            with make_encoder(self.folder / "film.mp4", settings, segments) as encoder:
                while encoder.num_frames < num_frames:
                    for cell in self.cells:
                        encoder.write(cell[: num_frames - encoder.num_frames])
                        if encoder.num_frames == num_frames:
                            break

        return rate(num_frames, work)

    def render(self, num_frames: int, preset: Preset) -> tuple[float, str]:
        """Frames a second of both, and which of them was waited for."""
        last = []

        def work() -> None:
            steps = encode(
                self.film, self.folder / "film.mp4", frames=range(num_frames), preset=preset
            )
            last.extend(deque(steps, maxlen=1))

        return rate(num_frames, work), last[0].slowest_stage


def rate(num_frames: int, work: Callable[[], object]) -> float:
    """Frames a second of some work."""
    started = time.perf_counter()
    work()
    return num_frames / (time.perf_counter() - started)


def prepared(
    folder: Path, size: int, device: str | None, channel_base: int, nvlabs: Path | None
) -> Pipeline:
    """A film of a size whose kernels are compiled and whose graphs are captured."""
    for seed, name in enumerate(("one", "other")):
        target = folder / f"{name}-{size}.safetensors"
        if nvlabs is not None:
            peers.save_for_animix(
                peers.nvlabs_generator(nvlabs, img_resolution=size, seed=seed), target
            )
            continue
        random_network(
            target,
            img_resolution=size,
            channel_base=channel_base,
            channel_max=min(512, channel_base // 16),
            w_dim=512,
            seed=seed,
        )
    path = folder / "reel.yaml"
    path.write_text(TIMELINE.format(size=size, frames=MOST_FRAMES))
    film = open_film(load_timeline(path), device=device)
    film.yuv420(0)
    kept, num_bytes = [], 0
    for cell in film.cells(range(MOST_FRAMES)):
        kept.append(cell)
        num_bytes += cell.nbytes
        if num_bytes >= (KEPT_BYTES if film.engine.device.type == "cuda" else KEPT_BYTES >> 8):
            break
    return Pipeline(film, kept, folder)


def measured(
    pipeline: Pipeline, preset: Preset, seconds: float, repeats: int
) -> dict[str, float | str]:
    """The speeds of the halves and of the whole; medians of runs that take turns."""
    num_frames = PROBED_FRAMES
    for wanted_seconds in (1, seconds):  # the speed of few frames is mostly that of a beginning
        slower = min(pipeline.paint(num_frames), pipeline.encode(num_frames, preset))
        num_frames = min(max(int(wanted_seconds * slower), PROBED_FRAMES), MOST_FRAMES)
    painting, encoding, both = [], [], []
    for _ in range(repeats):
        painting.append(pipeline.paint(num_frames))
        encoding.append(pipeline.encode(num_frames, preset))
        fps, slowest_stage = pipeline.render(num_frames, preset)
        both.append(fps)
    halves = statistics.median(painting), statistics.median(encoding)
    return {
        "frames": num_frames,
        "painting_fps": round(halves[0], 1),
        "encoding_fps": round(halves[1], 1),
        "both_fps": round(statistics.median(both), 1),
        "both_slowest_fps": round(min(both), 1),
        "both_fastest_fps": round(max(both), 1),
        "share": round(statistics.median(both) / min(halves), 3),
        "slowest_stage": slowest_stage,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device")
    parser.add_argument("--sizes", type=int, nargs="+", default=[256, 512, 1024])
    parser.add_argument("--presets", nargs="+", default=["ultrafast", "veryfast", "medium"])
    parser.add_argument("--seconds", type=float, default=8, help="of the slower half, about")
    parser.add_argument("--repeat", type=int, default=1)
    parser.add_argument("--channel-base", type=int, default=32768)
    parser.add_argument("--nvlabs", type=Path, help="a checkout of NVlabs/stylegan3")
    parser.add_argument("--results", type=Path, default=Path(__file__).parent / "results")
    arguments = parser.parse_args()

    results: dict[str, dict[str, float | str]] = {}
    with tempfile.TemporaryDirectory() as name:
        for size in arguments.sizes:
            pipeline = prepared(
                Path(name), size, arguments.device, arguments.channel_base, arguments.nvlabs
            )
            kind = pipeline.film.engine.device.type
            codings: list[tuple[Preset, int | None]] = [(each, None) for each in arguments.presets]
            if arguments.nvlabs:
                codings.append(GEN_VIDEO)
            for preset, bitrate in codings:
                case = f"{size} px, {preset}" + (f", {bitrate // 10**6} Mbit/s" if bitrate else "")
                results[case] = measured(
                    pipeline.at(bitrate), preset, arguments.seconds, arguments.repeat
                )
                print(f"{case}: {results[case]}", flush=True)
            if arguments.nvlabs:
                generator = peers.nvlabs_generator(arguments.nvlabs, img_resolution=size, seed=0)
                target = Path(name) / "theirs.mp4"
                fps = peers.gen_video_rate(arguments.nvlabs, generator.to(kind), target)
                results[f"{size} px, gen_video.py"] = {"both_fps": round(fps, 1)}
                print(f"{size} px, gen_video.py: {fps:.1f} fps", flush=True)
            del pipeline
            gc.collect()
    report = {
        "device": torch.cuda.get_device_name() if kind == "cuda" else kind,
        "processor": processor(),
        "cores": num_cores(),
        "torch": torch.__version__,
        "animix": animix.__version__,
        "results": results,
    }
    arguments.results.mkdir(parents=True, exist_ok=True)
    path = arguments.results / f"pipeline-{kind}.json"
    path.write_text(json.dumps(report, indent=2) + "\n")
    print(path)


if __name__ == "__main__":
    main()
