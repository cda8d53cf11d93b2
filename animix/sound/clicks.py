"""Clicks: a sound with a click on each of its beats, to check them by ear."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np

from animix.sound.beats import BEATS_A_BAR, Beats
from animix.sound.decoding import LONGEST_SECONDS, run_samples
from animix.sound.spectrum import Floats
from animix.whole_file import whole_file

RATE = 48_000
BEAT_HERTZ, BAR_HERTZ = 1000, 1500
"""Of a click; where bars are told apart their first beats are higher and louder."""

_SECONDS = 0.03


def write_clicks(sound: Path, beats: Beats, target: Path) -> None:
    """Write a sound, half as loud, with a click on each beat: a WAV, stereo at 48 kHz.

    OptionError where it can't be written.
    """
    samples = run_samples(sound, ["-ac", "2", "-t", str(LONGEST_SECONDS)], 2, RATE)
    mixed = 0.5 * samples + clicks(beats, len(samples))[:, None]
    with whole_file(target) as part, wave.open(str(part), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(np.round(np.clip(mixed, -1, 1) * 32767).astype("<i2").tobytes())


def clicks(beats: Beats, count: int) -> Floats:
    """The clicks alone, in so many samples: [count]."""
    times = np.arange(round(_SECONDS * RATE)) / RATE
    shape = np.exp(-times * 150)
    low, high = (
        level * shape * np.sin(2 * np.pi * hertz * times)
        for level, hertz in ((0.35, BEAT_HERTZ), (0.5, BAR_HERTZ))
    )
    found = np.zeros(count + len(times))
    for beat in range(beats.num_beats):
        place = round(float(beats.seconds_of(beat)) * RATE)
        if 0 <= place < count:
            accented = beats.has_bars and beat % BEATS_A_BAR == 0
            found[place : place + len(times)] += high if accented else low
    return found[:count]
