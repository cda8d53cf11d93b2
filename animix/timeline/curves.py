"""Curves: what a track's value is at each frame, once it is known where the clip ends."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import NamedTuple

import numpy as np

from animix.timeline.arrays import Floats, Integers
from animix.timeline.eases import progress
from animix.timeline.expression import Expression, Moments
from animix.timeline.keyframes import Clip, Ease, Space, Track
from animix.timeline.knots import closed, knots_of, numbers_of

_FAR = 1 << 62
_BELOW_ONE = np.nextafter(1.0, 0.0)


class Progress(NamedTuple):
    """Where each frame stands between two keys; arrays of one entry a frame.

    ``before`` and ``after`` number the keys of a curve from 0; ``after`` is ``before`` where the
    ends hold. ``share`` is the eased way between them, 0 at a key; back, elastic, bezier and spring
    leave 0..1.
    """

    before: Integers
    after: Integers
    share: Floats


@dataclass(frozen=True, eq=False)
class Curve:
    """A track whose keys stand at exact instants, ready to be sampled at any frame.

    Key k is reached with ``arrivals[k]`` and leaves with ``values[k]``; ``eases[k]`` shapes the way
    to the next key, None being the monotone cubic, whose slopes at the keys are ``slopes``. Where
    a key is computed there is NaN instead of a number, and ``computed`` and ``reached`` have its
    expression: the way between two keys then leads from one moving value to the other.
    """

    times: tuple[Fraction, ...]
    """Seconds, ascending."""
    values: Floats
    arrivals: Floats
    eases: tuple[Ease | None, ...]
    slopes: Floats
    """In the natural space, per second."""
    space: Space
    low: float | None
    high: float | None
    period: Fraction | None
    """Seconds after which a loop begins again; None: the ends hold."""
    clip: Clip
    computed: Mapping[int, Expression] = field(default_factory=dict)
    """What computes the value with which a key leaves."""
    reached: Mapping[int, Expression] = field(default_factory=dict)
    """What computes the value with which a key is reached."""
    rides: tuple[tuple[Fraction, Expression], ...] = ()
    """What rides on all of this, each from its time on; ascending."""

    def sample(self, frames: Sequence[int] | Integers, fps: Fraction) -> Floats:
        """The value at each instant frame/fps, exactly a key's value at its key: [len(frames)].

        Another instant t is asked for as ``sample([t.numerator], Fraction(t.denominator))``. In a
        loop the frames lie in 0..period. Raises TimelineError where an expression has no value.
        """
        moments = moments_of(np.asarray(frames, dtype=np.int64), fps, self.clip)
        places = self._places(frames, fps)
        natural = self._natural_at(places, moments)
        plain = to_plain(natural, self.space)
        # At a key, and where the curve stands still, what was written, not a rounded power of it.
        starts, stops = (to_natural(ends, self.space) for ends in (self.values, self.arrivals))
        plain = np.where(natural == stops[places.after], self.arrivals[places.after], plain)
        plain = np.where(natural == starts[places.before], self.values[places.before], plain)
        return self._ridden(clamp(plain, self.low, self.high), moments)

    def sample_natural(self, frames: Sequence[int] | Integers, fps: Fraction) -> Floats:
        """As ``sample``, in the track's natural space: log2 for octaves, ln for logarithm."""
        if self.rides:
            return to_natural(self.sample(frames, fps), self.space)
        low, high = (
            None if bound is None else float(to_natural(np.float64(bound), self.space))
            for bound in (self.low, self.high)
        )
        natural = self._natural_at(
            self._places(frames, fps),
            moments_of(np.asarray(frames, dtype=np.int64), fps, self.clip),
        )
        return clamp(natural, low, high)

    def progress(self, frames: Sequence[int] | Integers, fps: Fraction) -> Progress:
        """Where each frame stands between its keys, for values that are no numbers, such as seeds.

        A key without an ease is left at even speed: such a path gets its smoothness from a spline.
        """
        places = self._places(frames, fps)
        share = self._eased(places)
        return Progress(places.before, places.after, share)

    def _ridden(self, plain: Floats, moments: Moments) -> Floats:
        """Values with what rides on them."""
        if not self.rides:
            return plain
        starts = [math.ceil(time * moments.rate) for time, _ in self.rides]
        ridden: Floats = plain.copy()
        for (_, expression), start, stop in zip(
            self.rides, starts, [*starts[1:], None], strict=True
        ):
            ruled = moments.numbers >= start
            if stop is not None:
                ruled &= moments.numbers < stop
            (chosen,) = np.nonzero(ruled)
            if len(chosen):
                value = expression.apply(moments.at(chosen), plain[chosen])
                ridden[chosen] = clamp(value, self.low, self.high)
        return ridden

    def _ends(
        self, ends: Floats, computed: Mapping[int, Expression], keys: Integers, moments: Moments
    ) -> Floats:
        """The values of the keys on one side of each frame, in the natural space."""
        found: Floats = to_natural(ends, self.space)[keys]  # a copy, by fancy indexing
        if not computed:
            return found
        # Each expression is evaluated once, for the frames of all its keys.
        order = np.argsort(keys, kind="stable")
        bounds = np.searchsorted(keys[order], np.arange(len(self.times) + 1))
        slices: dict[Expression, list[Integers]] = {}
        for key, expression in computed.items():
            slices.setdefault(expression, []).append(order[bounds[key] : bounds[key + 1]])
        for expression, each in slices.items():
            chosen = np.concatenate(each)
            if len(chosen):
                plain = clamp(expression.apply(moments.at(chosen)), self.low, self.high)
                found[chosen] = to_natural(plain, self.space)
        return found

    def _spans(self) -> Floats:
        """Seconds from each key to the next, 1 after a last one that holds."""
        last = self.times[-1] + 1 if self.period is None else self.times[0] + self.period
        stops = (*self.times[1:], last)
        return np.array([float(b - a) for a, b in zip(self.times, stops, strict=True)])

    def _places(self, frames: Sequence[int] | Integers, fps: Fraction) -> Progress:
        """Key before, key after and plain share of the time between them, for each frame."""
        numbers = np.asarray(frames, dtype=np.int64)
        count = len(self.times)
        starts = self.times if self.period is None else (self.times[-1] - self.period, *self.times)
        # Which keys lie behind a frame is decided in whole frames: floats would bring a key at
        # 7/30 s one frame late. ``lead`` is the way from a key to the first frame at or after it.
        whole = [max(-_FAR, min(_FAR, math.ceil(time * fps))) for time in starts]
        lead = np.array([float(n - time * fps) for n, time in zip(whole, starts, strict=True)])
        first = np.array(whole, dtype=np.int64)
        index = np.searchsorted(first, numbers, side="right") - 1
        early, index = index < 0, np.maximum(index, 0)
        before = index if self.period is None else (index - 1) % count
        elapsed = (numbers - first[index]) + lead[index]
        share: Floats = np.clip(elapsed / (self._spans()[before] * float(fps)), 0.0, _BELOW_ONE)
        if self.period is not None:
            return Progress(before, (before + 1) % count, share)
        held = early | (before == count - 1)
        after = np.where(held, before, np.minimum(before + 1, count - 1))
        return Progress(before, after, np.where(held, 0.0, share))

    def _eased(self, places: Progress) -> Floats:
        """The share of the way for each frame, by the ease of the key before it."""
        kinds = {ease: number for number, ease in enumerate(dict.fromkeys(self.eases))}
        kind = np.array([kinds[ease] for ease in self.eases])[places.before]
        # Sorted by ease, each ease's frames are one slice: many keys don't cost many passes.
        order = np.argsort(kind, kind="stable")
        bounds = np.searchsorted(kind[order], np.arange(len(kinds) + 1))
        share: Floats = places.share.copy()
        for ease, number in kinds.items():
            chosen = order[bounds[number] : bounds[number + 1]]
            if ease is not None and len(chosen):
                share[chosen] = progress(ease, share[chosen])
        return share

    def _natural_at(self, places: Progress, moments: Moments) -> Floats:
        """Values in the natural space, not yet clamped."""
        start = self._ends(self.values, self.computed, places.before, moments)
        if len(self.times) == 1 and self.reached == self.computed and self.computed:
            return start
        way = self._ends(self.arrivals, self.reached, places.after, moments) - start
        u, span = places.share, self._spans()[places.before]
        # Cubic Hermite, written so that equal ends without slopes give exactly that value.
        cubic = (
            start
            + way * (u * u * (3 - 2 * u))
            + span * self.slopes[places.before] * (u * (1 - u) * (1 - u))
            - span * self.slopes[places.after] * (u * u * (1 - u))
        )
        smooth = np.array([_is_smooth(ease) for ease in self.eases])[places.before]
        return np.where(smooth, cubic, start + way * self._eased(places))


def resolve(track: Track, clip: Clip) -> Curve:
    """The curve of a track of numbers in a clip.

    In a loop the way from the last key leads through the seam to the first, and a key at the end is
    a key at 0. Raises TimelineError where two keys meet at one instant or one lies before 0.

    >>> from animix.errors import Mark
    >>> from animix.timeline.keyframes import Keyframe, Time
    >>> mark = Mark("reel.yaml", 1, 1)
    >>> keys = [Keyframe(Time(Fraction(n)), v, None, mark) for n, v in [(0, 64.0), (2, 16.0)]]
    >>> track = Track("swap", tuple(keys), "octaves", 4, None, mark)
    >>> clip = Clip(num_frames=4, fps=Fraction(1), duration_seconds=Fraction(4), loop=True)
    >>> resolve(track, clip).sample([0, 1, 2, 3], clip.fps).tolist()
    [64.0, 32.0, 16.0, 32.0]
    """
    knots, at_seam = knots_of(track, clip)
    if at_seam is not None:
        knots = closed(knots, at_seam)
    values, computed = numbers_of(knot.value for knot in knots)
    arrivals, reached = numbers_of(knot.reached for knot in knots)
    rides = [(ride.time.at(clip.end_seconds), ride.expression) for ride in track.rides]
    curve = Curve(
        times=tuple(knot.time for knot in knots),
        values=values,
        arrivals=arrivals,
        eases=tuple(knot.ease for knot in knots),
        slopes=np.zeros(len(knots)),
        space=track.space,
        low=track.low,
        high=track.high,
        period=clip.end_seconds if clip.loop else None,
        clip=clip,
        computed=computed,
        reached=reached,
        rides=tuple(sorted(rides, key=lambda ride: ride[0])),
    )
    return replace(curve, slopes=_slopes(curve))


def moments_at(clip: Clip, time: Fraction) -> Moments:
    """One instant as expressions see it."""
    return moments_of(np.array([time.numerator]), Fraction(time.denominator), clip)


def moments_of(numbers: Integers, rate: Fraction, clip: Clip) -> Moments:
    """Moments of a clip, each at ``number / rate`` seconds."""
    return Moments(numbers, rate, clip.fps, clip.end_seconds, clip.loop, clip.sound)


def _slopes(curve: Curve) -> Floats:
    """Slopes at the keys that keep a cubic between its keys' values (Fritsch and Butland, 1984).

    The harmonic mean of the slopes on both sides, weighted by their lengths; flat at extremes, at
    the ends of a clip, beside another ease and at jumps.
    """
    spans = curve._spans()
    start, stop = (to_natural(ends, curve.space) for ends in (curve.values, curve.arrivals))
    secants: Floats = (np.roll(stop, -1) - start) / spans
    before, after = np.roll(secants, 1), secants
    smooth = np.array([_is_smooth(ease) for ease in curve.eases])
    through = smooth & np.roll(smooth, 1) & (start == stop) & (before * after > 0)
    if curve.period is None:
        through[[0, -1]] = False
    weight_before, weight_after = np.roll(spans, 1) + 2 * spans, 2 * np.roll(spans, 1) + spans
    # One fraction instead of w/before + w/after, which overflows for slopes of 1e-308.
    top = (weight_before + weight_after) * before * after
    below = weight_before * after + weight_after * before
    return np.divide(top, below, out=np.zeros_like(spans), where=through)


def _is_smooth(ease: Ease | None) -> bool:
    return ease is None or ease.name == "smooth"


def to_natural(plain: Floats, space: Space) -> Floats:
    """Values in the space in which they move evenly: log2 for octaves, ln for logarithm."""
    natural: Mapping[Space, Callable[[Floats], Floats]] = {"octaves": np.log2, "logarithm": np.log}
    return natural[space](plain) if space in natural else plain


def to_plain(natural: Floats, space: Space) -> Floats:
    """Values as they are written, of those in the natural space."""
    plain: Mapping[Space, Callable[[Floats], Floats]] = {"octaves": np.exp2, "logarithm": np.exp}
    return plain[space](natural) if space in plain else natural


def clamp(values: Floats, low: float | None, high: float | None) -> Floats:
    """Values kept inside a range."""
    return values if low is None and high is None else np.clip(values, low, high)
