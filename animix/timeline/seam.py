"""The seam of a track: whether it meets itself where a loop closes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np

from animix.errors import Mark, Mistake
from animix.timeline.arrays import Floats
from animix.timeline.curves import clamp, moments_at, resolve, to_natural, to_plain
from animix.timeline.expression import Expression
from animix.timeline.keyframes import Clip, Space, Track
from animix.timeline.knots import Knot, Told, closed, knots_of, numbers_of

MEND = "make the two equal, or set loop: false"

_SAME = 1e-9


@dataclass(frozen=True)
class Seam:
    """A track that doesn't meet itself where a loop closes: what it reaches, and starts with."""

    track: Track
    end: float
    start: float
    mark: Mark

    @property
    def mistake(self) -> Mistake:
        """What to tell the person who asked for a loop."""
        jump = f" (a jump of {abs(self.end - self.start):g})"
        if self.track.space == "names":
            jump = ""
        if self.track.space == "octaves":
            octaves = abs(math.log2(self.end / self.start))
            jump = f" (a jump of {'one octave' if octaves == 1 else f'{octaves:.3g} octaves'})"
        return Mistake(
            self.mark,
            f"seam: {self.track.name} is {self.end:g} at the end but {self.start:g} at the start"
            + jump,
            MEND,
        )


def seam(track: Track, clip: Clip) -> Seam | None:
    """Where a track would not meet itself if the clip were a loop; None if it does.

    Keys at the end and at 0 have to be equal. A jump that nobody wrote, out of a hold or a
    repetition that stops there, may be as large as the largest that the track makes in the clip.
    """
    clip = replace(clip, loop=True)
    knots, at_seam = knots_of(track, clip)
    if any(track.expressions()):
        if found := _computed_seam(track, clip, knots, at_seam):
            return found
        knots = [_still(knot, clip, track) for knot in knots]
        at_seam = _still(at_seam, clip, track) if at_seam else None
    starts_at_0 = bool(knots) and knots[0].time == 0
    if at_seam is not None:
        if starts_at_0 and not at_seam.yields and _differ(at_seam.number, knots[0].number):
            return Seam(track, at_seam.number, knots[0].number, at_seam.mark)
        knots = closed(knots, at_seam)
    elif not starts_at_0:
        return None
    reached, jumps, steps = _jumps(knots, track.space)
    if jumps[-1] <= np.concatenate((jumps[:-1], steps)).max(initial=0.0) + _SAME:
        return None
    return Seam(track, reached, knots[0].number, (at_seam or knots[-1]).mark)


def _computed_seam(
    track: Track, clip: Clip, knots: Sequence[Knot], at_seam: Knot | None
) -> Seam | None:
    """The seam of an expression that rules across it and has come elsewhere when the clip ends."""
    starts_at_0 = bool(knots) and knots[0].time == 0
    around: list[Told] = []
    if not starts_at_0:
        around += [knot.value for knot in [at_seam or knots[-1]] if knot]
    if at_seam is None or not starts_at_0:
        around += [knots[0].reached] if knots else []
    for value in around:
        if isinstance(value, Expression):
            ends = [moments_at(clip, time) for time in (Fraction(0), clip.end_seconds)]
            start, end = (
                float(clamp(value.apply(moments), track.low, track.high)[0]) for moments in ends
            )
            if _differ(end, start):
                return Seam(track, end, start, value.mark(value.term))
    if not track.rides:
        return None
    curve = resolve(track, clip)
    key = resolve(replace(track, rides=()), clip).sample([0], Fraction(1))
    start = float(curve.sample([0], Fraction(1))[0])
    inside = [expression for time, expression in curve.rides if time < clip.end_seconds]
    last = inside[-1] if inside else curve.rides[-1][1]
    values = last.apply(moments_at(clip, clip.end_seconds), key)
    end = float(clamp(values, track.low, track.high)[0])
    return Seam(track, end, start, last.mark(last.term)) if _differ(end, start) else None


def _still(knot: Knot, clip: Clip, track: Track) -> Knot:
    """A knot with the number that it computes at its own time, inside its track's range."""

    def number(value: Told) -> float:
        if not isinstance(value, Expression):
            return value
        computed = value.apply(moments_at(clip, knot.time))
        return float(clamp(computed, track.low, track.high)[0])

    arrival = None if knot.arrival is None else number(knot.arrival)
    return replace(knot, value=number(knot.value), arrival=arrival)


def _differ(end: float, start: float) -> bool:
    """Whether two values are more than rounding apart."""
    return abs(end - start) > _SAME * max(1.0, abs(start))


def _jumps(knots: Sequence[Knot], space: Space) -> tuple[float, Floats, Floats]:
    """The value just before the seam, the jump on reaching each next knot, and those of steps.

    Jumps are measured in the natural space; the last is that over the seam.
    """
    start = to_natural(numbers_of(knot.value for knot in knots)[0], space)
    stop = np.roll(to_natural(numbers_of(knot.reached for knot in knots)[0], space), -1)
    holds = np.array([knot.ease is not None and knot.ease.name == "hold" for knot in knots])
    counts = np.array(
        [knot.ease.numbers[0] if knot.ease and knot.ease.name == "steps" else 0 for knot in knots]
    )
    if space == "names":  # any two are one apart
        before = np.where(holds, start, stop)
        return float(before[-1]), (before != np.roll(start, -1)).astype(np.float64), np.zeros(0)
    step = np.divide(stop - start, counts, out=np.zeros_like(start), where=counts > 0)
    before = np.where(holds, start, stop - step)
    jumps = np.abs(np.roll(start, -1) - before)
    return float(to_plain(before, space)[-1]), jumps, np.abs(step[counts > 1])
