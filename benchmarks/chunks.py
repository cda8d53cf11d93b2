"""What chunks cost: how much larger a film is than from one piece, by the frames of a chunk.

``.venv/bin/python benchmarks/chunks.py`` paints the demo, encodes it whole and in pieces, prints a
table and writes benchmarks/results/chunks.json.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import get_args

import numpy as np

from animix import demo
from animix.film import open_film
from animix.timeline.reader import load_timeline
from animix.video.encoder import Encoder
from animix.video.segments import segments_of
from animix.video.settings import EncoderSettings, Preset

LENGTHS = (256, 192, 128, 96, 64, 32)


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--presets", nargs="+", choices=get_args(Preset))
    parser.set_defaults(presets=["ultrafast", "medium"])
    parser.add_argument("--results", type=Path, default=Path(__file__).parent / "results")
    options = parser.parse_args()

    film = open_film(load_timeline(demo.TIMELINE))
    width, height = film.canvas_size
    painted = np.concatenate(list(film.cells(range(film.schedule.num_frames))))
    rows = []
    for preset in options.presets:
        settings = EncoderSettings(width, height, film.schedule.fps, preset=preset)
        whole = encoded_bytes(painted, settings, len(painted))
        for length in LENGTHS:
            larger = encoded_bytes(painted, settings, length) / whole - 1
            rows.append({"preset": preset, "frames_of_a_chunk": length, "larger": larger})
            print(f"{preset:10} {length:4} frames  {larger:+.2%}", flush=True)
    facts = {"size": [width, height], "num_frames": len(painted), "crf": settings.crf}
    text = json.dumps({**facts, "rows": rows}, indent=2) + "\n"
    (options.results / "chunks.json").write_text(text, encoding="utf-8")


def encoded_bytes(painted: np.ndarray, settings: EncoderSettings, length: int) -> int:
    """The bytes of all pieces of a length."""
    with tempfile.TemporaryDirectory() as folder:
        piece = Path(folder) / "piece.mp4"
        total = 0
        for part in segments_of(range(len(painted)), length):
            with Encoder(piece, settings) as encoder:
                encoder.write(painted[part.start : part.stop])
            total += piece.stat().st_size
        return total


if __name__ == "__main__":
    main()
