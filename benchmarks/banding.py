"""Whether a slow dark gradient bands: how far what is decoded lies from it, and what that costs.

``.venv/bin/python benchmarks/banding.py`` encodes a gradient and the demo with each format's
defaults, and with the encoder's own spread of bits, prints a table and writes
benchmarks/results/banding.json. Errors are of means over 8×8 pixels, in 8-bit levels of luma: where
the dither is kept they are near 0, where it is smoothed away up to 0.5, 0.25 on average.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from animix import demo
from animix.engine.pixels import to_bytes
from animix.ffmpeg.program import find_ffmpeg
from animix.film import open_film
from animix.timeline.formats import PixelFormat
from animix.timeline.reader import load_timeline
from animix.video.settings import EncoderSettings, encoding, raw_input

WIDTH, HEIGHT, NUM_FRAMES = 640, 360, 48
DEMO_FRAMES = 60
BLOCK = 8

H264 = EncoderSettings(WIDTH, HEIGHT, Fraction(30))
H265 = replace(H264, codec="h265", crf=18)
TEN_BIT: PixelFormat = "yuv422p10"

FORMATS: dict[str, tuple[EncoderSettings, tuple[str, ...]]] = {
    "h264": (H264, ()),
    "h264, x264's own spread": (H264, ("-aq-mode", "1", "-aq-strength", "1")),
    "h265": (H265, ()),
    "h265, x265's own spread": (H265, ("-x265-params", "log-level=error")),
    "h265, 10 bit": (replace(H265, pixel_format=TEN_BIT), ()),
    "av1": (replace(H264, codec="av1", crf=22), ()),
    "vp9": (replace(H264, codec="vp9", crf=22), ()),
    "prores": (replace(H264, codec="prores", pixel_format=TEN_BIT), ()),
}
"""Settings, and ffmpeg's arguments that come after theirs."""


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--results", type=Path, default=Path(__file__).parent / "results")
    options = parser.parse_args()

    film = open_film(load_timeline(demo.TIMELINE, {"size": "512x512"}))
    pictures = [film.canvas(index).cpu() for index in range(DEMO_FRAMES)]
    gradients = [gradient(index) for index in range(NUM_FRAMES)]
    rows = []
    for name, (settings, more) in FORMATS.items():
        encoded = encode(gradients, settings, more)
        error = errors(encoded, gradients, settings.pixel_format)
        large = replace(settings, width=512, height=512)
        rows.append(
            {
                "format": name,
                "crf": settings.crf,
                "mean_error": round(float(error.mean()), 3),
                "p99_error": round(float(np.percentile(error, 99)), 3),
                "gradient_kbps": kbps(encoded, NUM_FRAMES),
                "demo_kbps": kbps(encode(pictures, large, more), DEMO_FRAMES),
            }
        )
        told = "  ".join(f"{key} {value}" for key, value in rows[-1].items())
        print(told, flush=True)
    text = json.dumps({"size": [WIDTH, HEIGHT], "rows": rows}, indent=2) + "\n"
    (options.results / "banding.json").write_text(text, encoding="utf-8")


def gradient(index: int) -> torch.Tensor:
    """A frame of a slow dark gradient: [3, H, W] in [-1, 1]."""
    across = torch.linspace(0, 1, WIDTH)[None]
    down = torch.linspace(0, 1, HEIGHT)[:, None]
    base = -0.75 + 0.12 * across + 0.05 * down + 0.0005 * index
    return torch.stack([base, 0.9 * base - 0.05, 0.8 * base + 0.02])


def encode(
    canvases: list[torch.Tensor], settings: EncoderSettings, more: tuple[str, ...] = ()
) -> bytes:
    """The film of canvases."""
    pixels = to_bytes(torch.stack(canvases), range(len(canvases)), settings.pixel_format)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"film.{settings.container}"
        command = [find_ffmpeg(), "-nostdin", "-v", "error", *raw_input(settings)]
        command += [*encoding(settings), *more, str(path)]
        subprocess.run(command, input=pixels.numpy().tobytes(), check=True, capture_output=True)
        return path.read_bytes()


def errors(
    encoded: bytes, canvases: list[torch.Tensor], pixel_format: PixelFormat
) -> NDArray[np.float64]:
    """How far the mean of each block lies from the gradient's: [N, rows, columns], in levels."""
    deep = pixel_format == "yuv422p10"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "film"
        path.write_bytes(encoded)
        command = [find_ffmpeg(), "-nostdin", "-v", "error", "-i", str(path), "-f", "rawvideo"]
        command += ["-vf", "extractplanes=y", "-pix_fmt", "gray10le" if deep else "gray", "-"]
        found = subprocess.run(command, check=True, capture_output=True).stdout
    height, width = canvases[0].shape[1:]
    levels = np.frombuffer(found, "<u2" if deep else "u1").reshape(-1, height, width)
    rgb = (torch.stack(canvases).double().numpy() + 1) / 2
    meant = 16 + 219 * np.tensordot((0.2126, 0.7152, 0.0722), rgb, axes=(0, 1))
    off = levels / (4 if deep else 1) - meant
    blocks = off.reshape(len(off), height // BLOCK, BLOCK, width // BLOCK, BLOCK)
    found_errors: NDArray[np.float64] = np.abs(blocks.mean(axis=(2, 4)))
    return found_errors


def kbps(encoded: bytes, num_frames: int) -> int:
    """Thousands of bits a second, at 30 frames a second."""
    return round(len(encoded) * 8 * 30 / num_frames / 1000)


if __name__ == "__main__":
    main()
