"""Knots: the keys of a track at exact instants, once it is known where the clip ends."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import groupby
from typing import TypeAlias

import numpy as np

from animix.errors import Mark, Mistake, TimelineError
from animix.timeline.arrays import Floats
from animix.timeline.expression import Expression
from animix.timeline.keyframes import Clip, Ease, Repeat, Track, Value

Told: TypeAlias = "float | Expression"
"""A value whose words have numbers by now."""


@dataclass(frozen=True)
class Knot:
    """A key at an exact instant."""

    time: Fraction
    value: Told
    arrival: Told | None
    ease: Ease | None
    mark: Mark
    yields: bool = False
    """Made where a Repeat stops: another key at that instant takes its place, and its arrival."""

    @property
    def reached(self) -> Told:
        """The value on reaching this key."""
        return self.value if self.arrival is None else self.arrival

    @property
    def number(self) -> float:
        """The value with which it is left, NaN where it is computed."""
        return math.nan if isinstance(self.value, Expression) else self.value


def closed(knots: list[Knot], at_seam: Knot) -> list[Knot]:
    """The knots of a loop: what lies at its end lies at 0."""
    if knots and knots[0].time == 0:
        return [replace(knots[0], arrival=at_seam.reached), *knots[1:]]
    return [replace(at_seam, time=Fraction(0)), *knots]


def _number(value: Value) -> Told:
    """A value whose words have numbers by now."""
    return value if isinstance(value, Expression) else float(value)


def numbers_of(values: Iterable[Told]) -> tuple[Floats, dict[int, Expression]]:
    """Numbers, with NaN for each expression, and the expressions by their places."""
    listed = list(values)
    numbers = [math.nan if isinstance(value, Expression) else value for value in listed]
    computed = {n: value for n, value in enumerate(listed) if isinstance(value, Expression)}
    return np.array(numbers, dtype=np.float64), computed


def knots_of(track: Track, clip: Clip) -> tuple[list[Knot], Knot | None]:
    """The knots of a track by time, and in a loop the one that lies at its end.

    N frames may be a little shorter or longer than the duration: what lies at the one or at the
    other is at the end.
    """
    end = clip.end_seconds
    knots = []
    for key in track.keys:
        arrival = None if key.arrival is None else _number(key.arrival)
        time = key.time.at(end)
        knots.append(Knot(time, _number(key.value), arrival, key.ease, key.mark))
    for repeat in track.repeats:
        knots += _repeated(repeat, clip)
    mistakes = [
        Mistake(knot.mark, "this key lies before the start of the clip")
        for knot in knots
        if knot.time < 0
    ]
    if not knots:  # a run that starts behind the last frame
        mistakes.append(Mistake(track.mark, f"{track.name} has no key inside the clip"))
    knots.sort(key=lambda knot: knot.time)
    inner: list[Knot] = []
    outer: list[Knot] = []
    for knot in knots:
        at_end = knot.time >= end or knot.time == clip.duration_seconds
        (outer if clip.loop and at_end else inner).append(knot)
    groups = [list(group) for _, group in groupby(inner, key=lambda knot: knot.time)]
    mistakes += (found for group in [*groups, outer] if (found := _collision(track, group)))
    if mistakes:
        raise TimelineError(dict.fromkeys(mistakes))
    return [_meeting(group) for group in groups], _meeting(outer) if outer else None


def _repeated(repeat: Repeat, clip: Clip) -> Iterator[Knot]:
    """The keys of one Repeat, and the one on which it stops."""
    end = clip.end_seconds
    start, stop = repeat.start.at(end), repeat.stop.at(end)
    value = _number(repeat.value)
    arrival = None if repeat.arrival is None else _number(repeat.arrival)
    # What would begin at the duration is the next round's, also where frames last a little longer.
    last = min(end, clip.duration_seconds) if clip.loop else end
    count = math.ceil((min(stop, last) - start) / repeat.step_seconds)
    for k in range(count):
        reached = arrival if k > 0 else None
        yield Knot(start + k * repeat.step_seconds, value, reached, repeat.ease, repeat.mark)
    if arrival is not None and count > 0:
        yield Knot(stop, arrival, None, None, repeat.mark, yields=True)


def _collision(track: Track, knots: Sequence[Knot]) -> Mistake | None:
    """The mistake of two keys at one instant."""
    real = [knot for knot in knots if not knot.yields] or list(knots)
    if len(real) < 2:
        return None
    seconds = f"{float(real[1].time):.6g}"
    hint = f"the other stands in line {real[0].mark.line}"
    return Mistake(real[1].mark, f"two keys of {track.name} at one instant ({seconds}s)", hint)


def _meeting(knots: Sequence[Knot]) -> Knot:
    """The one knot that stands for all at its instant: the key, reached with what stops there."""
    real = next((knot for knot in knots if not knot.yields), knots[0])
    stopping = [knot for knot in knots if knot.yields and knot is not real]
    return replace(real, arrival=stopping[0].value) if stopping else real
