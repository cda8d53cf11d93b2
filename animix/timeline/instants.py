"""Instants: the exact moments of a clip at which its pictures are taken."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from animix.timeline.arrays import Integers

LARGEST_NUMBER = 1 << 53
"""Of an instant: floats hold whole numbers up to here exactly."""


@dataclass(frozen=True, eq=False)
class Instants:
    """Moments from the start of a clip on, in order: ``numbers / rate`` seconds each."""

    numbers: Integers
    """[N], ascending"""
    rate: Fraction

    def __post_init__(self) -> None:
        if not len(self.numbers):
            raise ValueError("a clip has at least one instant")

    def __len__(self) -> int:
        return len(self.numbers)

    def seconds(self, index: int) -> Fraction:
        """The time of one of them."""
        return int(self.numbers[index]) / self.rate

    def places(self, others: Instants) -> Integers:
        """Where others, all of which are among these, stand here: [len(others)].

        >>> union_of([even(6, Fraction(30)), even(4, Fraction(20))]).places(even(4, Fraction(20)))
        array([0, 2, 4, 6])
        """
        numbers = others.numbers * int(self.rate / others.rate)
        found: Integers = np.searchsorted(self.numbers, numbers)
        return found


def even(num_frames: int, fps: Fraction) -> Instants:
    """The instants of frames: frame n is at n/fps."""
    return Instants(np.arange(num_frames), fps)


def union_of(all_instants: Sequence[Instants]) -> Instants:
    """All of several, each once: what films of different rates show of one clip.

    OverflowError where rates have so little in common that no whole numbers hold their times.

    >>> both = union_of([even(6, Fraction(30)), even(4, Fraction(20))])
    >>> both.numbers.tolist(), both.rate
    ([0, 2, 3, 4, 6, 8, 9, 10], Fraction(60, 1))
    """
    rate = common_rate([instants.rate for instants in all_instants])
    steps = [int(rate / instants.rate) for instants in all_instants]
    for instants, step in zip(all_instants, steps, strict=True):
        if int(instants.numbers[-1]) * step > LARGEST_NUMBER:
            raise OverflowError("these rates have no common clock")
    scaled = [instants.numbers * n for instants, n in zip(all_instants, steps, strict=True)]
    return Instants(np.unique(np.concatenate(scaled)), rate)


def common_rate(rates: Sequence[Fraction]) -> Fraction:
    """The slowest clock that ticks at each frame of all rates.

    >>> common_rate([Fraction(24), Fraction(30), Fraction(30000, 1001)])
    Fraction(30000, 1)
    """
    numerator = math.lcm(*(rate.numerator for rate in rates))
    return Fraction(numerator, math.gcd(*(rate.denominator for rate in rates)))
