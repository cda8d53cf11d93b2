"""How long a large timeline takes to become a value for every frame.

2,000 keys in four tracks, every fourth an expression of its own, for 10,000 frames, without torch.
``.venv/bin/python benchmarks/language.py`` prints the fastest of several runs and writes
benchmarks/results/language.json.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

from animix.timeline.arrays import Floats
from animix.timeline.curves import resolve
from animix.timeline.reader import read_timeline
from animix.timeline.seams import open_seams, tracks
from animix.timeline.timeline import Timeline

FRAMES, KEYS, RUNS = 10_000, 2_000, 5
HEAD = f"networks: {{faces: a.pkl, anime: b.pkl}}\nduration: {FRAMES}f\nloop: true\n"


def timeline_text() -> str:
    """The timeline; each track has its share of the keys, on frames and between them."""
    each = KEYS // 4
    steps = [f"{number * FRAMES / each:g}f" for number in range(each)]

    def keys(base: float, unit: float) -> str:
        values = (
            f"={base:g} + {unit * (1 + number / each):g}*sine({FRAMES // 100}f)"
            if number % 4 == 2
            else f"{base + unit * (number % 5):g}"
            for number in range(each)
        )
        pairs = zip(steps, values, strict=True)
        return "{" + ", ".join(f"{step}: {value}" for step, value in pairs) + "}"

    lines = [
        f"blend: {{alpha: {keys(0.5, 0.02)}, swap: {keys(32, 1)}}}",
        f"truncation: {keys(0.7, 0.01)}",
        f"frame: {{zoom: {keys(1.2, 0.01)}}}",
    ]
    return HEAD + "\n".join(lines) + "\n"


def read(text: str) -> Timeline:
    """The timeline, with every mistake looked for."""
    return read_timeline(text, "reel.yaml")


def resolved(timeline: Timeline) -> list[Floats]:
    """Each track's value at each frame; words such as last stand for a number."""
    clip = timeline.clip(True)
    assert not open_seams(timeline, clip)
    numbered = [
        track.with_values(lambda value: 4.0 if isinstance(value, str) else value)
        for track in tracks(timeline)
    ]
    frames = range(clip.num_frames)
    return [resolve(track, clip).sample(frames, clip.fps) for track in numbered]


def main() -> None:
    """Measure reading and resolving, and write the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    default = Path(__file__).parent / "results" / "language.json"
    parser.add_argument("--out", type=Path, default=default)
    out = parser.parse_args().out
    text = timeline_text()
    read_seconds, resolve_seconds = [], []
    for _ in range(RUNS):
        started = time.perf_counter()
        timeline = read(text)
        was_read = time.perf_counter()
        resolved(timeline)
        resolve_seconds.append(time.perf_counter() - was_read)
        read_seconds.append(was_read - started)
    report = {
        "keys": sum(len(track.keys) for track in tracks(timeline) if len(track.keys) > 1),
        "expressions": sum(1 for track in tracks(timeline) for _ in track.expressions()),
        "frames": timeline.num_frames,
        "read_seconds": round(min(read_seconds), 3),
        "resolve_seconds": round(min(resolve_seconds), 3),
        "torch_imported": "torch" in sys.modules,
    }
    print(json.dumps(report, indent=2))
    out.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
