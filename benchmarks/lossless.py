"""What it costs to keep a film's frames without loss and to encode it from them.

The demo's frames are kept as chunks are, and by other lossless codecs, and read again. Then films
of several formats are encoded, in turns, in one piece from memory, and by way of chunks.
``.venv/bin/python benchmarks/lossless.py``, on a machine that has nothing else to do, prints tables
and writes benchmarks/results/lossless.json.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from render import processor

from animix import demo
from animix.delivery import settings_of
from animix.ffmpeg.program import ffmpeg_version, find_ffmpeg
from animix.film import open_film
from animix.timeline.reader import load_timeline
from animix.video.encoder import Encoder
from animix.video.segments import Segment, make_encoder, segment_frames, segments_of
from animix.video.settings import (
    LOG,
    LOSSLESS,
    LOSSLESS_FORMATS,
    EncoderSettings,
    num_cores,
    raw_input,
)

FORMATS = {
    "H.265": "{codec: h265}",
    "AV1": "{codec: av1}",
    "VP9": "webm",
    "ProRes": "prores",
}
KEPT = {
    "as chunks are": LOSSLESS,
    "FFV1": ("-c:v", "ffv1", "-level", "3", "-slices", "4", "-g", "1"),
    "x264": ("-c:v", "libx264", "-qp", "0", "-preset", "ultrafast"),
}


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--frames", type=int, default=128)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--results", type=Path, default=Path(__file__).parent / "results")
    options = parser.parse_args()

    kept, films = [], []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for title, output in FORMATS.items():
            film = open_film(load_timeline(demo.TIMELINE, {"output": output}))
            settings = settings_of(film)
            painted = np.concatenate(list(film.cells(range(options.frames))))
            if title in ("H.265", "ProRes"):  # 8 bits and 10
                kept += [
                    {
                        "pixel_format": settings.pixel_format,
                        "codec": codec,
                        **of_codec(folder, painted, settings, words, options.runs),
                    }
                    for codec, words in KEPT.items()
                ]
                print(*kept[-len(KEPT) :], sep="\n", flush=True)
            films.append({"format": title, **of_film(folder, painted, settings, options.runs)})
            print(films[-1], flush=True)
    facts = {
        "processor": processor(),
        "cores": num_cores(),
        "ffmpeg": ffmpeg_version(find_ffmpeg()).partition("\n")[0],
        "size": [settings.width, settings.height],
        "frames": options.frames,
    }
    text = json.dumps({**facts, "kept": kept, "films": films}, indent=2) + "\n"
    (options.results / "lossless.json").write_text(text, encoding="utf-8")


def of_codec(
    folder: Path,
    painted: NDArray[np.uint8],
    settings: EncoderSettings,
    words: tuple[str, ...],
    num_runs: int,
) -> dict[str, float]:
    """Frames a second, written and read, and the share of the bytes that is left."""
    kept = folder / "kept.mov"
    pixels = ("-pix_fmt", LOSSLESS_FORMATS[settings.pixel_format])
    write = [find_ffmpeg(), *LOG, *raw_input(settings), *words, *pixels, str(kept)]
    read = [find_ffmpeg(), *LOG, "-i", str(kept), "-f", "rawvideo", "pipe:1"]
    data = painted.tobytes()
    written = seconds(lambda: subprocess.run(write, input=data, check=True), num_runs)
    read_back = seconds(
        lambda: subprocess.run(read, check=True, stdout=subprocess.DEVNULL), num_runs
    )
    return {
        "written_per_second": round(len(painted) / written),
        "read_per_second": round(len(painted) / read_back),
        "share_of_bytes": round(kept.stat().st_size / painted.nbytes, 3),
    }


def of_film(
    folder: Path, painted: NDArray[np.uint8], settings: EncoderSettings, num_runs: int
) -> dict[str, float]:
    """Seconds in one piece and by way of chunks, medians of runs in turns."""

    def whole() -> None:
        with Encoder(folder / "whole", settings) as film:
            film.write(painted)

    def chunked() -> None:
        parts = segments_of(range(len(painted)), segment_frames(settings))
        segments = [Segment(part, lambda part: folder / f"{part.start}.mp4") for part in parts]
        with make_encoder(folder / "chunked", settings, segments) as film:
            film.write(painted)

    runs = [(seconds(whole, 1), seconds(chunked, 1)) for _ in range(num_runs)]
    in_one_piece, by_chunks = (statistics.median(each) for each in zip(*runs, strict=True))
    return {"seconds": round(in_one_piece, 2), "by_chunks_seconds": round(by_chunks, 2)}


def seconds(work: Callable[[], object], num_runs: int) -> float:
    """The median of some runs."""
    found = []
    for _ in range(num_runs):
        started = time.perf_counter()
        work()
        found.append(time.perf_counter() - started)
    return statistics.median(found)


if __name__ == "__main__":
    main()
