"""Curves: what a track's value is at each frame, once it is known where the clip ends."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from itertools import groupby
from typing import NamedTuple, TypeAlias

import numpy as np

from animix.errors import Mark, Mistake, TimelineError
from animix.timeline.arrays import Floats, Integers
from animix.timeline.eases import progress
from animix.timeline.expression import Expression, Moments
from animix.timeline.keyframes import Clip, Ease, Repeat, Space, Track, Value

MEND = "make the two equal, or set loop: false"

_Told: TypeAlias = "float | Expression"
_FAR = 1 << 62
_SAME = 1e-9
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
        moments = self._moments(frames, fps)
        places = self._places(frames, fps)
        natural = self._natural_at(places, moments)
        plain = _to_plain(natural, self.space)
        # At a key, and where the curve stands still, what was written, not a rounded power of it.
        starts, stops = (_to_natural(ends, self.space) for ends in (self.values, self.arrivals))
        plain = np.where(natural == stops[places.after], self.arrivals[places.after], plain)
        plain = np.where(natural == starts[places.before], self.values[places.before], plain)
        return self._ridden(_clamp(plain, self.low, self.high), moments)

    def sample_natural(self, frames: Sequence[int] | Integers, fps: Fraction) -> Floats:
        """As ``sample``, in the track's natural space: log2 for octaves, ln for logarithm."""
        if self.rides:
            return _to_natural(self.sample(frames, fps), self.space)
        low, high = (
            None if bound is None else float(_to_natural(np.float64(bound), self.space))
            for bound in (self.low, self.high)
        )
        natural = self._natural_at(self._places(frames, fps), self._moments(frames, fps))
        return _clamp(natural, low, high)

    def progress(self, frames: Sequence[int] | Integers, fps: Fraction) -> Progress:
        """Where each frame stands between its keys, for values that are no numbers, such as seeds.

        A key without an ease is left at even speed: such a path gets its smoothness from a spline.
        """
        places = self._places(frames, fps)
        share = self._eased(places)
        return Progress(places.before, places.after, share)

    def _moments(self, frames: Sequence[int] | Integers, fps: Fraction) -> Moments:
        """The frames as expressions see them."""
        numbers = np.asarray(frames, dtype=np.int64)
        return _moments(numbers, fps, self.clip)

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
                ridden[chosen] = _clamp(value, self.low, self.high)
        return ridden

    def _ends(
        self, ends: Floats, computed: Mapping[int, Expression], keys: Integers, moments: Moments
    ) -> Floats:
        """The values of the keys on one side of each frame, in the natural space."""
        found: Floats = _to_natural(ends, self.space)[keys]  # a copy, by fancy indexing
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
                plain = _clamp(expression.apply(moments.at(chosen)), self.low, self.high)
                found[chosen] = _to_natural(plain, self.space)
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

    >>> from animix.timeline.keyframes import Keyframe, Time
    >>> mark = Mark("reel.yaml", 1, 1)
    >>> keys = [Keyframe(Time(Fraction(n)), v, None, mark) for n, v in [(0, 64.0), (2, 16.0)]]
    >>> track = Track("swap", tuple(keys), "octaves", 4, None, mark)
    >>> clip = Clip(num_frames=4, fps=Fraction(1), duration_seconds=Fraction(4), loop=True)
    >>> resolve(track, clip).sample([0, 1, 2, 3], clip.fps).tolist()
    [64.0, 32.0, 16.0, 32.0]
    """
    knots, at_seam = _knots(track, clip)
    if at_seam is not None:
        knots = _closed(knots, at_seam)
    values, computed = _told(knot.value for knot in knots)
    arrivals, reached = _told(knot.reached for knot in knots)
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


def seam(track: Track, clip: Clip) -> Seam | None:
    """Where a track would not meet itself if the clip were a loop; None if it does.

    Keys at the end and at 0 have to be equal. A jump that nobody wrote, out of a hold or a
    repetition that stops there, may be as large as the largest that the track makes in the clip.
    """
    clip = replace(clip, loop=True)
    knots, at_seam = _knots(track, clip)
    if any(track.expressions()):
        if found := _computed_seam(track, clip, knots, at_seam):
            return found
        knots = [_still(knot, clip) for knot in knots]
        at_seam = _still(at_seam, clip) if at_seam else None
    starts_at_0 = bool(knots) and knots[0].time == 0
    if at_seam is not None:
        if starts_at_0 and not at_seam.yields and _differ(at_seam.number, knots[0].number):
            return Seam(track, at_seam.number, knots[0].number, at_seam.mark)
        knots = _closed(knots, at_seam)
    elif not starts_at_0:
        return None
    reached, jumps, steps = _jumps(knots, track.space)
    if jumps[-1] <= np.concatenate((jumps[:-1], steps)).max(initial=0.0) + _SAME:
        return None
    return Seam(track, reached, knots[0].number, (at_seam or knots[-1]).mark)


def _computed_seam(
    track: Track, clip: Clip, knots: Sequence[_Knot], at_seam: _Knot | None
) -> Seam | None:
    """The seam of an expression that rules across it and has come elsewhere when the clip ends."""
    starts_at_0 = bool(knots) and knots[0].time == 0
    around: list[_Told] = []
    if not starts_at_0:
        around += [knot.value for knot in [at_seam or knots[-1]] if knot]
    if at_seam is None or not starts_at_0:
        around += [knots[0].reached] if knots else []
    for value in around:
        if isinstance(value, Expression):
            ends = [_moments_at(clip, time) for time in (Fraction(0), clip.end_seconds)]
            start, end = (
                float(_clamp(value.apply(moments), track.low, track.high)[0]) for moments in ends
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
    values = last.apply(_moments_at(clip, clip.end_seconds), key)
    end = float(_clamp(values, track.low, track.high)[0])
    return Seam(track, end, start, last.mark(last.term)) if _differ(end, start) else None


def _at(expression: Expression, clip: Clip, time: Fraction) -> float:
    """The value of an expression at an instant."""
    return float(expression.apply(_moments_at(clip, time))[0])


def _moments_at(clip: Clip, time: Fraction) -> Moments:
    """One instant as expressions see it."""
    return _moments(np.array([time.numerator]), Fraction(time.denominator), clip)


def _moments(numbers: Integers, rate: Fraction, clip: Clip) -> Moments:
    """Moments of a clip, each at ``number / rate`` seconds."""
    return Moments(numbers, rate, clip.fps, clip.end_seconds, clip.loop)


def _still(knot: _Knot, clip: Clip) -> _Knot:
    """A knot with the number that it computes at its own time."""

    def number(value: _Told) -> float:
        return _at(value, clip, knot.time) if isinstance(value, Expression) else value

    arrival = None if knot.arrival is None else number(knot.arrival)
    return replace(knot, value=number(knot.value), arrival=arrival)


def _differ(end: float, start: float) -> bool:
    """Whether two values are more than rounding apart."""
    return abs(end - start) > _SAME * max(1.0, abs(start))


def _jumps(knots: Sequence[_Knot], space: Space) -> tuple[float, Floats, Floats]:
    """The value just before the seam, the jump on reaching each next knot, and those of steps.

    Jumps are measured in the natural space; the last is that over the seam.
    """
    start = _to_natural(_told(knot.value for knot in knots)[0], space)
    stop = np.roll(_to_natural(_told(knot.reached for knot in knots)[0], space), -1)
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
    return float(_to_plain(before, space)[-1]), jumps, np.abs(step[counts > 1])


def _closed(knots: list[_Knot], at_seam: _Knot) -> list[_Knot]:
    """The knots of a loop: what lies at its end lies at 0."""
    if knots and knots[0].time == 0:
        return [replace(knots[0], arrival=at_seam.reached), *knots[1:]]
    return [replace(at_seam, time=Fraction(0)), *knots]


@dataclass(frozen=True)
class _Knot:
    """A key at an exact instant."""

    time: Fraction
    value: _Told
    arrival: _Told | None
    ease: Ease | None
    mark: Mark
    yields: bool = False
    """Made where a Repeat stops: another key at that instant takes its place, and its arrival."""

    @property
    def reached(self) -> _Told:
        """The value on reaching this key."""
        return self.value if self.arrival is None else self.arrival

    @property
    def number(self) -> float:
        """The value with which it is left, NaN where it is computed."""
        return math.nan if isinstance(self.value, Expression) else self.value


def _number(value: Value) -> _Told:
    """A value whose words have numbers by now."""
    return value if isinstance(value, Expression) else float(value)


def _told(values: Iterable[_Told]) -> tuple[Floats, dict[int, Expression]]:
    """Numbers, with NaN for each expression, and the expressions by their places."""
    listed = list(values)
    numbers = [math.nan if isinstance(value, Expression) else value for value in listed]
    computed = {n: value for n, value in enumerate(listed) if isinstance(value, Expression)}
    return np.array(numbers, dtype=np.float64), computed


def _knots(track: Track, clip: Clip) -> tuple[list[_Knot], _Knot | None]:
    """The knots of a track by time, and in a loop the one that lies at its end.

    N frames may be a little shorter or longer than the duration: what lies at the one or at the
    other is at the end.
    """
    end = clip.end_seconds
    knots = []
    for key in track.keys:
        arrival = None if key.arrival is None else _number(key.arrival)
        time = key.time.at(end)
        knots.append(_Knot(time, _number(key.value), arrival, key.ease, key.mark))
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
    inner: list[_Knot] = []
    outer: list[_Knot] = []
    for knot in knots:
        at_end = knot.time >= end or knot.time == clip.duration_seconds
        (outer if clip.loop and at_end else inner).append(knot)
    groups = [list(group) for _, group in groupby(inner, key=lambda knot: knot.time)]
    mistakes += (found for group in [*groups, outer] if (found := _collision(track, group)))
    if mistakes:
        raise TimelineError(dict.fromkeys(mistakes))
    return [_meeting(group) for group in groups], _meeting(outer) if outer else None


def _repeated(repeat: Repeat, clip: Clip) -> Iterator[_Knot]:
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
        yield _Knot(start + k * repeat.step_seconds, value, reached, repeat.ease, repeat.mark)
    if arrival is not None and count > 0:
        yield _Knot(stop, arrival, None, None, repeat.mark, yields=True)


def _collision(track: Track, knots: Sequence[_Knot]) -> Mistake | None:
    """The mistake of two keys at one instant."""
    real = [knot for knot in knots if not knot.yields] or list(knots)
    if len(real) < 2:
        return None
    seconds = f"{float(real[1].time):.6g}"
    hint = f"the other stands in line {real[0].mark.line}"
    return Mistake(real[1].mark, f"two keys of {track.name} at one instant ({seconds}s)", hint)


def _meeting(knots: Sequence[_Knot]) -> _Knot:
    """The one knot that stands for all at its instant: the key, reached with what stops there."""
    real = next((knot for knot in knots if not knot.yields), knots[0])
    stopping = [knot for knot in knots if knot.yields and knot is not real]
    return replace(real, arrival=stopping[0].value) if stopping else real


def _slopes(curve: Curve) -> Floats:
    """Slopes at the keys that keep a cubic between its keys' values (Fritsch and Butland, 1984).

    The harmonic mean of the slopes on both sides, weighted by their lengths; flat at extremes, at
    the ends of a clip, beside another ease and at jumps.
    """
    spans = curve._spans()
    start, stop = (_to_natural(ends, curve.space) for ends in (curve.values, curve.arrivals))
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


def _to_natural(plain: Floats, space: Space) -> Floats:
    natural: Mapping[Space, Callable[[Floats], Floats]] = {"octaves": np.log2, "logarithm": np.log}
    return natural[space](plain) if space in natural else plain


def _to_plain(natural: Floats, space: Space) -> Floats:
    plain: Mapping[Space, Callable[[Floats], Floats]] = {"octaves": np.exp2, "logarithm": np.exp}
    return plain[space](natural) if space in plain else natural


def _clamp(values: Floats, low: float | None, high: float | None) -> Floats:
    return values if low is None and high is None else np.clip(values, low, high)
