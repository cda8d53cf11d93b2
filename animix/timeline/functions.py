"""The functions of expressions: what may be called, and nothing else is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import reduce
from typing import NamedTuple

import numpy as np

from animix.timeline.arrays import Floats

MANY = 20
"""Arguments that min and max take at most."""


class Function(NamedTuple):
    """What is computed from numbers, moment by moment."""

    looks: str
    """How it is written."""
    fewest: int
    most: int
    apply: Callable[..., Floats]


def _remainder(a: Floats, b: Floats) -> Floats:
    """The remainder that has the sign of the divisor, so that time before 0 turns the same way."""
    found: Floats = np.mod(a, b)
    return found


def _if(condition: Floats, then: Floats, otherwise: Floats) -> Floats:
    return np.where(condition != 0, then, otherwise)


def _round(x: Floats) -> Floats:
    """Halves go up, as at school; numpy's go to the even number."""
    found: Floats = np.floor(x + 0.5)
    return found


def _truth(compare: Callable[[Floats, Floats], Floats]) -> Callable[[Floats, Floats], Floats]:
    return lambda a, b: np.where(compare(a, b), 1.0, 0.0)


OPERATORS: Mapping[str, Callable[..., Floats]] = {
    "+": np.add,
    "-": np.subtract,
    "*": np.multiply,
    "/": np.divide,
    "%": _remainder,
    "^": np.power,
    "<": _truth(np.less),
    "<=": _truth(np.less_equal),
    ">": _truth(np.greater),
    ">=": _truth(np.greater_equal),
    "==": _truth(np.equal),
    "!=": _truth(np.not_equal),
    "negative": np.negative,
}
"""The last is a minus that has nothing before it."""

FUNCTIONS: Mapping[str, Function] = {
    "if": Function("if(condition, a, b)", 3, 3, _if),
    "min": Function("min(a, b)", 1, MANY, lambda *each: reduce(np.minimum, each)),
    "max": Function("max(a, b)", 1, MANY, lambda *each: reduce(np.maximum, each)),
    "clamp": Function(
        "clamp(x, low, high)", 3, 3, lambda x, low, high: np.minimum(np.maximum(x, low), high)
    ),
    "mix": Function("mix(a, b, share)", 3, 3, lambda a, b, share: a + (b - a) * share),
    "abs": Function("abs(x)", 1, 1, np.abs),
    "floor": Function("floor(x)", 1, 1, np.floor),
    "round": Function("round(x)", 1, 1, _round),
    "sqrt": Function("sqrt(x)", 1, 1, np.sqrt),
    "exp": Function("exp(x)", 1, 1, np.exp),
    "log": Function("log(x)", 1, 1, np.log),
    "sin": Function("sin(radians)", 1, 1, np.sin),
    "cos": Function("cos(radians)", 1, 1, np.cos),
}


def _tri(turns: Floats) -> Floats:
    """Up to 1 in a quarter, down to −1 at three quarters, and back."""
    found: Floats = 1 - np.abs((turns - 0.25) % 1 * 4 - 2)
    return -found


def _saw(turns: Floats) -> Floats:
    """Up to 1 at the half, from there at −1, and up."""
    found: Floats = (turns + 0.5) % 1 * 2 - 1
    return found


def _square(turns: Floats) -> Floats:
    """1 in the first half, −1 in the second, and 0 at the instants between them."""
    return np.where(turns % 0.5 == 0, 0.0, np.where(turns % 1 < 0.5, 1.0, -1.0))


def _pulse(turns: Floats) -> Floats:
    """1 for an eighth about the quarter, −1 for an eighth about three quarters, else 0."""
    near = np.abs(turns % 0.5 - 0.25) <= 1 / 16
    return np.where(near, _square(turns), 0.0)


def _sine(turns: Floats) -> Floats:
    """Its zeros are exactly 0."""
    return np.where(turns % 0.5 == 0, 0.0, np.sin(2 * np.pi * (turns % 1)))


OSCILLATORS: Mapping[str, Callable[[Floats], Floats]] = {
    "sine": _sine,
    "tri": _tri,
    "saw": _saw,
    "square": _square,
    "pulse": _pulse,
}
"""−1..1 for a number of turns, 0 at 0."""


def noise(turns: Floats, seed: int, num_turns: int | None) -> Floats:
    """A random number in −1..1 at each whole turn, and a smooth way between them: [N].

    A function of (seed, turns) alone; ``num_turns`` is after how many it begins again. The way is
    the quintic whose first two derivatives are 0 at its ends (Perlin, Improving Noise, 2002).
    """
    whole = np.floor(turns)
    first = whole.astype(np.int64)
    second = first + 1
    if num_turns is not None:
        first, second = first % num_turns, second % num_turns
    u = turns - whole
    share = u * u * u * (u * (6 * u - 15) + 10)
    start = _random(first.astype(np.uint64), seed)
    return start + (_random(second.astype(np.uint64), seed) - start) * share


def _random(numbers: np.ndarray[tuple[int, ...], np.dtype[np.uint64]], seed: int) -> Floats:
    """Numbers in −1..1 by counter: the finalizer of SplitMix64 (Steele, Lea, Flood, 2014)."""
    with np.errstate(over="ignore"):
        bits = numbers + np.uint64(seed) * np.uint64(0xD1342543DE82EF95)
        for _ in range(2):
            bits = bits + np.uint64(0x9E3779B97F4A7C15)
            bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
            bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
            bits = bits ^ (bits >> np.uint64(31))
    found: Floats = (bits >> np.uint64(11)).astype(np.float64) / 2.0**52 - 1.0
    return found
