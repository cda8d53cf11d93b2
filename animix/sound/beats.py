"""Beats: the tempo of a sound of constant tempo, and where its first beat is."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple

import numpy as np

from animix.errors import OptionError
from animix.sound.decoding import LONGEST_SECONDS
from animix.sound.onsets import EARLY, ONSET_RATE, Onsets, onsets, seconds_of
from animix.sound.spectrum import RATE, Floats, powers
from animix.sound.tempo import (
    FASTEST_BPM,
    SLOWEST_BPM,
    on_beats,
    refined,
    strongest,
    tempos,
    told_apart,
)

SHORTEST_SECONDS = 4.0
"""Of a sound whose beats are looked for."""
LOW_CONFIDENCE = 0.5
"""Below it what was found is a guess."""
BEATS_A_BAR = 4
STEADY = 0.004
"""By how much of itself a tempo may differ between parts of a sound to be a constant one."""

_WINDOWS_SECONDS = (0.06, 0.04, 0.025)
_PART_SECONDS = 10.0
_SAME_SECONDS = 0.005
_SAME_BEAT_SECONDS = 0.02
_SILENT = 0.01
_BEGINS = 1.25
_IN_THREE = 0.025
_CHROMA_EDGES = tuple(np.geomspace(80, 1200, 32).tolist())


@dataclass(frozen=True)
class Beats:
    """The beats of a sound: one every ``60 / bpm`` seconds, from the first one on.

    >>> beats = Beats(Fraction(128), Fraction(1, 4), 64, confidence=0.9, has_bars=True)
    >>> beats.half_bpm, beats.double_bpm, float(beats.seconds_of(4))
    (Fraction(64, 1), Fraction(256, 1), 2.125)
    """

    bpm: Fraction
    first_beat_seconds: Fraction
    """Of the sound; where bars are told apart the first beat of one."""
    num_beats: int
    """From the first one to the end."""
    confidence: float
    """0 to 1; below a half it is a guess."""
    has_bars: bool
    """Whether bars, of four beats, could be told apart."""
    is_steady: bool = True
    """Whether the tempo is the same all along."""

    def __post_init__(self) -> None:
        whole = -1 <= self.first_beat_seconds <= LONGEST_SECONDS and self.num_beats >= 0
        if not (whole and 0 < self.bpm <= 1000 and 0 <= self.confidence <= 1):
            raise OptionError(f"these are no beats: {self}")

    @property
    def half_bpm(self) -> Fraction:
        """What it may be taken for."""
        return self.bpm / 2

    @property
    def double_bpm(self) -> Fraction:
        """What it may be taken for, too."""
        return self.bpm * 2

    @property
    def doubt(self) -> str:
        """Why it may be wrong, in words; empty where there is no doubt."""
        if not self.is_steady:
            return "the tempo drifts, and beats are taken to be evenly spaced"
        if self.confidence < LOW_CONFIDENCE:
            return "there is no clear beat"
        return ""

    def seconds_of(self, beat: int) -> Fraction:
        """When a beat sounds, counted from 0."""
        return self.first_beat_seconds + beat * 60 / self.bpm


class _Grid(NamedTuple):
    """Beats by a straight line: the first one's seconds and those between two."""

    first: float
    period: float
    error: float
    """Seconds by which onsets miss it, on average."""


def find_beats(samples: Floats) -> Beats | None:
    """The beats of a sound, [N] in mono at 24 kHz; None where it has none or is shorter than 4 s.

    Which of a tempo, its half and its double is felt as the beat is for people to say: this is what
    most would, of music in four. Times are told to a tenth of a millisecond, tempos to a thousandth
    of a beat, and a whole number of beats a minute is taken where it fits all along as well.
    """
    seconds = len(samples) / RATE
    if seconds < SHORTEST_SECONDS:
        return None
    heard = onsets(samples)
    likely = tempos(heard)
    if not likely:
        return None
    first_sound = _first_sound(samples)
    grid = _on_a_line(heard, likely[0].beats_per_second, first_sound)
    grid = _whole(grid, seconds)
    turn, has_bars = _bars(samples, heard, grid, first_sound)
    every = BEATS_A_BAR if has_bars else 1
    # The first one that is heard; a beat may be struck a little before its time.
    number = int(np.ceil((first_sound - 0.25 * grid.period - grid.first) / grid.period))
    number += (turn - number) % every if has_bars else 0
    while grid.first + number * grid.period < -_SAME_BEAT_SECONDS:
        number += every
    first = grid.first + number * grid.period
    steadiness, is_steady = _steadiness(heard, 1 / grid.period)
    clarity = min(1.0, max(0.0, (likely[0].clarity - 0.15) / 0.4))
    exactness = min(1.0, max(0.0, 1.6 - grid.error / 0.015))
    margin = min(1.0, 0.5 + told_apart(likely))
    confidence = round(clarity * exactness * steadiness * margin, 2)
    bpm = min(max(60 / grid.period, SLOWEST_BPM / 2), FASTEST_BPM * 2)
    return Beats(
        bpm=Fraction(f"{bpm:.3f}"),
        first_beat_seconds=Fraction(f"{first:.4f}"),
        num_beats=max(0, int((seconds - first - _SAME_BEAT_SECONDS) / grid.period) + 1),
        confidence=confidence,
        has_bars=has_bars,
        is_steady=is_steady,
    )


def _on_a_line(heard: Onsets, beats_per_second: float, first_sound: float) -> _Grid:
    """The straight line through the onsets that are nearest to beats, by least squares."""
    strengths = heard.all
    period = ONSET_RATE / beats_per_second
    first = _on_or_off(heard, period, first_sound)
    error = 1.0
    for window in _WINDOWS_SECONDS:
        reach = max(2, round(min(window, period / ONSET_RATE / 6) * ONSET_RATE))
        numbers, places, weights = _nearest(strengths, first, period, reach)
        if len(numbers) < 4 or weights.sum() == 0:
            break
        period, first = np.polyfit(numbers, places, 1, w=np.sqrt(weights)).tolist()
        missed = np.abs(places - first - period * numbers)
        error = float(np.average(missed, weights=weights)) / ONSET_RATE
    return _Grid(float(seconds_of(np.float64(first))), period / ONSET_RATE, error)


def _on_or_off(heard: Onsets, period: float, first_sound: float) -> float:
    """Where in a period beats are, in moments: where most begins, or half a beat from there.

    A bass between kicks is as strong as they are; but music mostly begins on a beat.
    """
    places = [strongest(heard.all, period)]
    places.append((places[0] + period / 2) % period)
    begun = first_sound * ONSET_RATE
    strengths = []
    for place in places:
        off = abs((begun - place + period / 2) % period - period / 2)
        strong = float(on_beats(heard.drums, period, place, 1)[0])
        strengths.append(strong * (_BEGINS if off < period / 8 else 1.0))
    return places[int(np.argmax(strengths))]


def _nearest(
    strengths: Floats, first: float, period: float, reach: int
) -> tuple[Floats, Floats, Floats]:
    """For each beat the strongest moment near it: numbers, places, weights."""
    count = len(strengths)
    lowest = int(np.ceil((reach + 1 - first) / period))
    highest = int(np.floor((count - reach - 2 - first) / period))
    numbers = np.arange(lowest, highest + 1)
    middles = np.rint(first + numbers * period).astype(np.int64)
    around = strengths[middles[:, None] + np.arange(-reach, reach + 1)]
    best = np.argmax(around, axis=1)
    places = middles - reach + best
    before, at, after = (strengths[places + shift] for shift in (-1, 0, 1))
    bend = before - 2 * at + after
    between = np.divide(before - after, 2 * bend, out=np.zeros_like(bend), where=bend < 0)
    return numbers.astype(np.float64), places + np.clip(between, -0.5, 0.5), at


def _whole(grid: _Grid, seconds: float) -> _Grid:
    """The grid with a whole number of beats a minute, where that moves none of them noticeably."""
    bpm = 60 / grid.period
    whole = max(1, round(bpm))
    if abs(60 / whole - grid.period) * seconds / grid.period / 2 > _SAME_SECONDS:
        return grid
    middle = grid.first + round(seconds / 2 / grid.period) * grid.period
    period = 60 / whole
    return _Grid(middle - round(seconds / 2 / period) * period, period, grid.error)


def _bars(samples: Floats, heard: Onsets, grid: _Grid, first_sound: float) -> tuple[int, bool]:
    """Which of four beats begins bars, as its number on the grid, and whether that is clear.

    Kicks are on it, snares beside it, chords change there, and music begins with it. What comes
    back after three beats rather than after four has no such bars.
    """
    period = grid.period * ONSET_RATE
    threes, fours = (
        _comes_back(heard, beats * period) + _comes_back(heard, 2 * beats * period)
        for beats in (3, BEATS_A_BAR)
    )
    if threes > fours + _IN_THREE:
        return 0, False
    first = grid.first * ONSET_RATE
    skipped = int(np.ceil(-first / period)) if first < 0 else 0
    if (len(heard.low) - first) / period < 3 * BEATS_A_BAR:
        return 0, False
    start = first + skipped * period - EARLY
    while start < 0:
        start, skipped = start + period, skipped + 1
    low, mid = (on_beats(band, period, start, BEATS_A_BAR) for band in (heard.low, heard.mid))
    change = _changes(samples, grid, skipped)
    kicks = low / max(float(low.mean()), 1e-9)
    snares = mid / max(float(mid.mean()), 1e-9)
    begins = np.zeros(BEATS_A_BAR)
    begins[(round((first_sound - grid.first) / grid.period) - skipped) % BEATS_A_BAR] = 1.0
    scores = 0.5 * kicks + change + 0.6 * begins
    scores += 0.3 * np.roll(kicks, -2) + 0.3 * (np.roll(snares, -1) + np.roll(snares, -3))
    best = int(np.argmax(scores))
    others = np.delete(scores, best)
    return best + skipped, bool(scores[best] - others.max() > 0.25)


def _comes_back(heard: Onsets, moments: float) -> float:
    """How much onsets are like those so much later: 1 is the same."""
    strengths, shift = heard.drums, round(moments)
    if shift >= len(strengths) // 2:
        return 0.0
    near = np.convolve(strengths, np.ones(5), "same")  # tempos aren't whole numbers of moments
    first, second = near[:-shift] - near.mean(), near[shift:] - near.mean()
    return float((first * second).mean()) / max(float(near.var()), 1e-9)


def _changes(samples: Floats, grid: _Grid, skipped: int) -> Floats:
    """How much harmony changes at each of four beats, above its mean: [4]."""
    hop = RATE // 50
    chroma = np.sqrt(powers(samples, hop, _CHROMA_EDGES))
    count = int((len(chroma) / 50 - grid.first) / grid.period)
    starts = (grid.first + grid.period * np.arange(skipped, count)) * 50
    if len(starts) < 2 * BEATS_A_BAR:
        return np.zeros(BEATS_A_BAR)
    beats = np.add.reduceat(chroma, np.maximum(0, starts).astype(np.int64))
    beats /= np.maximum(np.linalg.norm(beats, axis=1, keepdims=True), 1e-12)
    new = np.concatenate([[0.0], 1 - (beats[1:] * beats[:-1]).sum(axis=1)])
    each = np.array([new[turn::BEATS_A_BAR].mean() for turn in range(BEATS_A_BAR)])
    spread = max(float(each.max()), 0.02)
    found: Floats = (each - each.mean()) / spread
    return found


def _first_sound(samples: Floats) -> float:
    """Seconds until something is heard."""
    block = RATE // 100
    loud = np.abs(samples[: len(samples) // block * block]).reshape(-1, block).max(axis=1)
    return float(np.argmax(loud > _SILENT * loud.max())) / 100


def _steadiness(heard: Onsets, beats_per_second: float) -> tuple[float, bool]:
    """How much the tempos of parts agree, 0 to 1, and whether they are one tempo."""
    strengths = heard.all
    num_parts = max(2, min(8, int(len(strengths) / ONSET_RATE / _PART_SECONDS)))
    rates = []
    for part in np.array_split(strengths, num_parts):
        if part.any():
            rates.append(refined(part, beats_per_second, 0.05) / beats_per_second)
    if len(rates) < 2:
        return 0.5, True
    # The middle ones: a part without drums may say anything.
    apart = float(np.subtract(*np.quantile(rates, [0.8, 0.2]))) / 2
    return min(1.0, max(0.0, 1.5 - apart / (2 * STEADY))), apart < STEADY
