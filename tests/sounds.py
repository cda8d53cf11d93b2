"""Sounds for the tests, as WAV files, and what is heard in a film."""

from __future__ import annotations

import subprocess
import wave
from pathlib import Path

import numpy as np

from animix.ffmpeg.program import find_ffmpeg


def write_wav(path: Path, samples: np.ndarray, rate: int = 48_000) -> Path:
    """Samples [N] or [N, channels] in -1..1 as 16 bit."""
    samples = np.atleast_2d(samples.T).T
    with wave.open(str(path), "wb") as file:
        file.setnchannels(samples.shape[1])
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(np.round(samples * 32767).astype("<i2").tobytes())
    return path


def noise(seconds: float, rate: int = 48_000, channels: int = 2, seed: int = 0) -> np.ndarray:
    """White noise at half of full scale."""
    return np.random.default_rng(seed).uniform(-0.5, 0.5, (round(seconds * rate), channels))


def decoded(*arguments: str | Path) -> np.ndarray:
    """What ffmpeg plays of an input with options, [N, 2] at 48 kHz."""
    done = subprocess.run(
        [find_ffmpeg(), "-v", "error", *map(str, arguments), "-f", "f32le", "-ac", "2", "-"],
        capture_output=True,
        check=True,
    )
    return np.frombuffer(done.stdout, "<f4").reshape(-1, 2)
