"""Draws timelines/pulse.wav: a bar at 120 beats a minute, two seconds that loop, from numpy alone.

A kick on each beat, a closed hat between them, and a chord that swells through the bar. Every sound
runs over the bar's end into its start, so the seam can't be heard. It is CC0.
"""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

TARGET = Path(__file__).parent.parent / "timelines" / "pulse.wav"

RATE = 24_000
BEAT = RATE // 2
BAR = 4 * BEAT
CHORD_HERTZ = (110, 165, 220, 277.5)  # whole turns in two seconds: the chord closes by itself


def kick() -> NDArray[np.float64]:
    """A sine that falls from 160 to 45 Hz and dies away."""
    times = np.arange(BEAT) / RATE
    hertz = 45 + 115 * np.exp(-times * 28)
    return np.sin(2 * np.pi * np.cumsum(hertz) / RATE) * np.exp(-times * 9)


def hat() -> NDArray[np.float64]:
    """High noise that dies away at once."""
    times = np.arange(BEAT // 2) / RATE
    noise = np.random.default_rng(1).standard_normal(len(times) + 1)
    return np.diff(noise) * np.exp(-times * 60)


def bar() -> NDArray[np.float64]:
    """One bar in -1..1: [BAR]."""
    times = np.arange(BAR) / RATE
    swell = 0.6 - 0.4 * np.cos(np.pi * times)
    sound = sum(0.09 * swell * np.sin(2 * np.pi * hertz * times) for hertz in CHORD_HERTZ)
    for beat in range(4):
        for place, part, level in ((0, kick(), 0.55), (BEAT // 2, hat(), 0.06)):
            at = (beat * BEAT + place + np.arange(len(part))) % BAR
            sound[at] += level * part
    return sound / np.abs(sound).max() * 0.8


def main() -> None:
    with wave.open(str(TARGET), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(np.round(bar() * 32767).astype("<i2").tobytes())
    print(TARGET)


if __name__ == "__main__":
    main()
