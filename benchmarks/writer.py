"""What the writer costs: frames through a pipe beside a file, and what comes after the last chunk.

In turns frames of the demo at 1080x1920 are encoded by ffmpeg alone, from a file, and by the
writer that renders use, from memory, with the same arguments. Then chunks of a minute are joined,
and sound is put to them. ``.venv/bin/python benchmarks/writer.py``, on a machine that has nothing
else to do, prints the figures and writes benchmarks/results/writer.json with the time of each run.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import tempfile
import time
import wave
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from render import processor

import animix
from animix import demo
from animix.ffmpeg.program import ffmpeg_version, find_ffmpeg
from animix.film import open_film
from animix.timeline.reader import load_timeline
from animix.video.muxing import add_sound
from animix.video.segments import Segment, SegmentEncoder, make_encoder, threads_of_each
from animix.video.settings import EncoderSettings, Preset, arguments, num_cores

SIZE = (1080, 1920)
SECONDS = 60
NUM_FRAMES: dict[Preset, int] = {"medium": 96, "ultrafast": 160}
"""By preset: what renders use, and what drafts do, where the writer is most of it."""


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--results", type=Path, default=Path(__file__).parent / "results")
    options = parser.parse_args()

    width, height = SIZE
    film = open_film(load_timeline(demo.TIMELINE, {"size": f"{width}x{height}"}))
    painted = np.concatenate(list(film.cells(range(max(NUM_FRAMES.values())))))
    results: dict[str, dict[str, object]] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for preset, num_frames in NUM_FRAMES.items():
            settings = EncoderSettings(width, height, film.schedule.fps, preset=preset)
            results[preset] = beside_a_file(folder, painted[:num_frames], settings, options.runs)
        joining = [seconds_of_joining(folder, settings, num_frames) for _ in range(options.runs)]
    results["joining and sound"] = {"seconds": round(statistics.median(joining), 2)}
    facts = {
        "processor": processor(),
        "cores": num_cores(),
        "ffmpeg": ffmpeg_version(find_ffmpeg()).partition("\n")[0],
        "animix": animix.__version__,
    }
    text = json.dumps({**facts, "results": results}, indent=2) + "\n"
    (options.results / "writer.json").write_text(text, encoding="utf-8")
    print(text)


def beside_a_file(
    folder: Path, painted: NDArray[np.uint8], settings: EncoderSettings, num_runs: int
) -> dict[str, object]:
    """Both, in turns. All is one chunk: each has one ffmpeg at a time, whatever the machine."""
    (folder / "raw.yuv").write_bytes(painted)
    runs = [
        (seconds_from_file(folder, settings), seconds_of_writer(folder, painted, settings))
        for _ in range(num_runs)
    ]
    from_file, by_writer = (statistics.median(each) for each in zip(*runs, strict=True))
    found = {
        "frames": len(painted),
        "file_seconds": round(from_file, 2),
        "writer_seconds": round(by_writer, 2),
        "more": round(by_writer / from_file - 1, 3),
    }
    print(f"{settings.preset}: {found}", flush=True)
    return {**found, "runs": [[round(seconds, 2) for seconds in run] for run in runs]}


def seconds_from_file(folder: Path, settings: EncoderSettings) -> float:
    """Of ffmpeg with the writer's arguments, which reads the frames by itself."""
    told = arguments(settings, threads_of_each(settings), is_segment=True)
    raw = [str(folder / "raw.yuv") if argument == "pipe:0" else argument for argument in told]
    started = time.perf_counter()
    subprocess.run([find_ffmpeg(), *raw, str(folder / "file.mp4")], check=True)
    return time.perf_counter() - started


def seconds_of_writer(folder: Path, painted: NDArray[np.uint8], settings: EncoderSettings) -> float:
    """Of the writer from the first frame, in cells of 8, to the film at its place."""
    segment = Segment(range(len(painted)), lambda _: folder / "chunk.mp4")
    started = time.perf_counter()
    with make_encoder(folder / "film.mp4", settings, [segment]) as encoder:
        for first in range(0, len(painted), 8):
            encoder.write(painted[first : first + 8])
    return time.perf_counter() - started


def seconds_of_joining(folder: Path, settings: EncoderSettings, length: int) -> float:
    """From the last chunk of at least a minute to the film with its sound, encoded by then."""
    num_chunks = -(-int(SECONDS * settings.fps) // length)
    segments = [
        Segment(range(first, first + length), lambda _: folder / "chunk.mp4", is_whole=True)
        for first in range(0, num_chunks * length, length)
    ]
    sound = folder / "sound.m4a"
    encode_sound(folder, sound, num_chunks * length / settings.fps)
    silent = folder / "silent.mp4"
    started = time.perf_counter()
    with SegmentEncoder(silent, settings, segments, num_encoders=1):
        pass
    add_sound(silent, sound, folder / "whole.mp4", settings)
    return time.perf_counter() - started


def encode_sound(folder: Path, sound: Path, seconds: float) -> None:
    """Noise in stereo as AAC."""
    samples = np.random.RandomState(0).randint(-9000, 9000, (int(seconds * 48_000), 2))
    with wave.open(str(folder / "sound.wav"), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(48_000)
        file.writeframes(samples.astype("<i2").tobytes())
    told = ["-loglevel", "error", "-y", "-i", str(folder / "sound.wav"), "-c:a", "aac"]
    subprocess.run([find_ffmpeg(), *told, "-b:a", "192k", str(sound)], check=True)


if __name__ == "__main__":
    main()
