"""The tempo of a sound: which of the periods that its onsets come back after is that of beats."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from animix.sound.onsets import ONSET_RATE, Onsets
from animix.sound.spectrum import Floats

SLOWEST_BPM, FASTEST_BPM = 40.0, 230.0
USUAL_BPM = 120.0
USUAL_OCTAVES = 0.6
"""How far tempos are from the usual one: a log-normal prior, after Ellis, Beat Tracking by Dynamic
Programming, 2007, whose width is 0.9 and leaves more to it."""
CLEARLY = 4.0
"""How much more a period counts that onsets come back after, than one that is usual."""

_MULTIPLES = 8
_HARMONICS = (1, 2, 3, 4)
_TRIED = 10


class Tempo(NamedTuple):
    """A period of onsets that may be that of beats."""

    beats_per_second: float
    clarity: float
    """How much onsets are like those so many beats later, on average: 1 is the same."""
    score: float


def tempos(onsets: Onsets) -> list[Tempo]:
    """The tempos that a sound may have, the likeliest first; empty where nothing comes back.

    A period counts by how much onsets come back after it and its multiples, by how usual the tempo
    is, and by whether all its beats are strong alike: at twice the tempo each second one is weak.
    """
    strengths = onsets.low + onsets.mid + 0.7 * onsets.high
    if not strengths.any():
        return []
    bpms = np.geomspace(SLOWEST_BPM, FASTEST_BPM, 600)
    clarities = _clarities(strengths, 60 * ONSET_RATE / bpms)
    usual = -0.5 * (np.log2(bpms / USUAL_BPM) / USUAL_OCTAVES) ** 2
    inner = clarities[1:-1]
    peaks = 1 + np.flatnonzero((inner > clarities[:-2]) & (inner > clarities[2:]) & (inner > 0))
    scores = np.log(np.maximum(clarities, 1e-3)) + usual / CLEARLY
    best = sorted(peaks.tolist(), key=lambda peak: -scores[peak])[:_TRIED]
    found = []
    for peak in best:
        exact = refined(strengths, bpms[peak] / 60)
        clarity = float(clarities[peak])
        score = CLEARLY * float(np.log(clarity)) + float(usual[peak])
        found.append(Tempo(exact, clarity, score + float(np.log(_alike(onsets, exact)))))
    return sorted(found, key=lambda tempo: -tempo.score)


def refined(strengths: Floats, beats_per_second: float, within: float = 0.03) -> float:
    """The rate near another at which a beat and its parts together are strongest in a spectrum."""
    size = 1 << (8 * len(strengths)).bit_length()
    spectrum = np.abs(np.fft.rfft(strengths, size)) ** 2
    step = ONSET_RATE / size
    rates = np.arange(beats_per_second * (1 - within), beats_per_second * (1 + within), step / 4)
    hertz = np.arange(len(spectrum)) * step
    power = sum(np.interp(rates * harmonic, hertz, spectrum) for harmonic in _HARMONICS)
    return float(rates[int(np.argmax(power))])


def on_beats(strengths: Floats, period: float, first: float, beats: int) -> Floats:
    """How strong each of so many beats in turn is, on average; ``period`` and ``first`` in moments.

    A beat is as strong as what is strongest within 10 ms of it.
    """
    near = np.pad(strengths, 2)
    near = np.max([near[shift : shift + len(strengths)] for shift in range(5)], axis=0)
    places = np.rint(np.arange(first, len(strengths) - 1, period)).astype(np.int64)
    values = near[places]
    found: Floats = np.array([values[turn::beats].mean() for turn in range(beats)])
    return found


def strongest(strengths: Floats, period: float) -> float:
    """Where in a period most begins, in moments."""
    steps = max(8, round(period))
    places = np.floor(np.arange(len(strengths)) / period * steps + 0.5).astype(np.int64) % steps
    counts = np.maximum(1, np.bincount(places, minlength=steps))
    profile = np.bincount(places, strengths, steps) / counts
    profile = profile + np.roll(profile, 1) + np.roll(profile, -1)
    return float(np.argmax(profile)) / steps * period


def _alike(onsets: Onsets, beats_per_second: float) -> float:
    """How much odd and even beats are alike in strength, 0.2 to 1."""
    period = ONSET_RATE / beats_per_second
    if len(onsets.low) < 4 * period + 2:
        return 0.2
    each = on_beats(onsets.drums, period, strongest(onsets.all, period), 4)
    even, odd = float(each[::2].mean()), float(each[1::2].mean())
    return 0.2 + 0.8 * min(even, odd) / max(even, odd, 1e-9)


def _clarities(strengths: Floats, periods: Floats) -> Floats:
    """The autocorrelation of onsets after each period and its multiples, on average."""
    count = len(strengths)
    size = 1 << (2 * count).bit_length()
    spectrum = np.abs(np.fft.rfft(strengths, size)) ** 2
    alike = np.fft.irfft(spectrum)[:count] / (count - np.arange(count))
    alike /= alike[0]
    # Of what is nearly as late as the sound is long there are only a few.
    last = max(1, count - 2 * ONSET_RATE)
    found = np.zeros(len(periods))
    num_found = np.zeros(len(periods))
    for multiple in range(1, _MULTIPLES + 1):
        lags = periods * multiple
        found += np.where(lags < last, np.interp(lags, np.arange(count), alike), 0.0)
        num_found += lags < last
    return found / np.maximum(num_found, 1)


def told_apart(tempos: Sequence[Tempo]) -> float:
    """By how much the first tempo scores over those that are no half, double or third of it."""
    first = tempos[0]
    for other in tempos[1:]:
        ratio = other.beats_per_second / first.beats_per_second
        if min(abs(ratio / known - 1) for known in (0.25, 1 / 3, 0.5, 2.0, 3.0, 4.0)) > 0.02:
            return first.score - other.score
    return float("inf")
