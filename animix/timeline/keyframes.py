"""Keyframes: values at times, and the eases between them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Literal, TypeAlias, TypeVar

from animix.errors import Mark
from animix.sound.envelopes import Envelopes
from animix.timeline.expression import Expression

Space = Literal["linear", "octaves", "logarithm", "names"]
"""In what a value moves evenly. Names are numbers that stand for things, such as classes: any two
are equally far apart."""

Value: TypeAlias = "float | str | Expression"
"""A number; a word that the networks give a number to: all, none, first, last; or what is computed
at every moment."""


@dataclass(frozen=True)
class Ease:
    """An ease by name with its numbers, such as ``bezier .2 0 .3 1``."""

    name: str
    numbers: tuple[float, ...] = ()


@dataclass(frozen=True)
class Time:
    """An instant: seconds plus a share of the clip's end, which only the schedule knows."""

    seconds: Fraction
    end_share: Fraction = Fraction(0)

    def at(self, end_seconds: Fraction) -> Fraction:
        """The instant in seconds, once it is known where the clip ends."""
        return self.seconds + self.end_share * end_seconds


@dataclass(frozen=True)
class Clip:
    """How long a clip is and whether its end is its start again."""

    num_frames: int
    fps: Fraction
    duration_seconds: Fraction
    """As written; ``num_frames`` is rounded from it."""
    loop: bool
    sound: Envelopes | None = field(default=None, compare=False, repr=False)
    """What is heard in it, where an expression asks for that."""

    @property
    def end_seconds(self) -> Fraction:
        """The instant called ``end``: frame N, which is frame 0, in a loop; else the last frame."""
        # A single frame is not its own end, or all keys would stand at one instant.
        return max(1, self.num_frames if self.loop else self.num_frames - 1) / self.fps

    def num_frames_at(self, fps: Fraction) -> int:
        """How many frames a film of another rate has: in a loop those before its end, rounded.

        >>> second = Clip(30, Fraction(30), Fraction(1), loop=True)
        >>> second.num_frames_at(Fraction(20)), second.num_frames_at(Fraction(60))
        (20, 60)
        """
        seconds = self.num_frames / self.fps if self.loop else self.duration_seconds
        return max(1, int(seconds * fps + Fraction(1, 2)))


@dataclass(frozen=True)
class Keyframe:
    """A value at a time; its ease shapes the way to the next key."""

    time: Time
    value: Value
    ease: Ease | None
    """None: the default curve."""
    mark: Mark
    arrival: Value | None = None
    """The value on reaching this key, where it differs from the one it leaves with."""


@dataclass(frozen=True)
class Repeat:
    """A run of keys, ``FROM..TO every STEP``; how many there are depends on where the clip ends."""

    start: Time
    stop: Time
    """Not included."""
    step_seconds: Fraction
    value: Value
    arrival: Value | None
    """The value just before the next repetition and at ``stop``; None: no arrow was written."""
    ease: Ease | None
    mark: Mark


@dataclass(frozen=True)
class Ride:
    """An expression that asks for ``key``: from its time on it rules, and rides on the keys."""

    time: Time
    expression: Expression
    mark: Mark


Key = TypeVar("Key", Keyframe, Repeat)


@dataclass(frozen=True)
class Track:
    """The keyframes of one parameter; a constant has one key."""

    name: str
    """As a user would say it: ``swap of anime``."""
    keys: tuple[Keyframe, ...]
    """As the file lists them; ``curves.resolve`` brings them into the order of time."""
    space: Space
    low: float | None
    high: float | None
    mark: Mark
    repeats: tuple[Repeat, ...] = ()
    rides: tuple[Ride, ...] = ()

    @property
    def is_constant(self) -> bool:
        """Whether the parameter stands still through the whole clip."""
        moves = self.repeats or self.rides or any(self.expressions())
        return len(self.keys) == 1 and not moves

    def expressions(self) -> Iterator[Expression]:
        """Every expression among its values, and those that ride on them."""
        yield from (value for value, _ in self.values() if isinstance(value, Expression))
        yield from (ride.expression for ride in self.rides)

    def values(self) -> Iterator[tuple[Value, Mark]]:
        """Every value that the file gives this parameter, with the place where it stands."""
        stops: tuple[Keyframe | Repeat, ...] = (*self.keys, *self.repeats)
        for key in stops:
            yield key.value, key.mark
            if key.arrival is not None:
                yield key.arrival, key.mark

    def with_values(self, change: Callable[[Value], Value]) -> Track:
        """The same keys with other values, for words whose numbers become known."""

        def changed(key: Key) -> Key:
            arrival = None if key.arrival is None else change(key.arrival)
            return replace(key, value=change(key.value), arrival=arrival)

        return replace(
            self,
            keys=tuple(changed(key) for key in self.keys),
            repeats=tuple(changed(run) for run in self.repeats),
        )
