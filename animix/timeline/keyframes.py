"""Keyframes: values at times, the eases between them, and the curve they make."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from animix.errors import Mark

Space = Literal["linear", "octaves", "logarithm"]


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
class Keyframe:
    """A value at a time; its ease shapes the way to the next key."""

    time: Time
    value: float | str
    """A number, or a word that the networks give a number to: all, none, first, last."""
    ease: Ease | None
    """None: the default curve."""
    mark: Mark
    arrival: float | str | None = None
    """The value on reaching this key, where it differs from the one it leaves with."""


@dataclass(frozen=True)
class Track:
    """The keyframes of one parameter, in order of time; a constant has one key."""

    name: str
    """As a user would say it: ``swap of anime``."""
    keys: tuple[Keyframe, ...]
    space: Space
    low: float | None
    high: float | None
    mark: Mark
