"""Eases: how far a value has come, for how much of the time has passed."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np

from animix.timeline.arrays import Floats
from animix.timeline.keyframes import Ease
from animix.timeline.misread import Misread, quoted, suggestion
from animix.timeline.numbers import parse_number

Shape = Callable[[Floats], Floats]

ELASTIC_PERIOD = 0.3
BACK_OVERSHOOT = 1.70158  # swings a tenth beyond its end
DEFAULT_BOUNCE = 0.25
MOST_STEPS = 10_000


def progress(ease: Ease, u: Floats) -> Floats:
    """How far an ease has come, for u in [0, 1]: 0 at 0, 1 at 1, between them what it likes.

    ``hold`` stays at 0 until u is 1; ``steps`` jumps at the end of each step, as in CSS.

    >>> progress(Ease("quad-in"), np.array([0.0, 0.5, 1.0])).tolist()
    [0.0, 0.25, 1.0]
    """
    u = np.clip(np.asarray(u, dtype=np.float64), 0.0, 1.0)
    eased = (
        _PLAIN[ease.name](u) if ease.name in _PLAIN else _WITH_NUMBERS[ease.name](u, *ease.numbers)
    )
    # Exact ends, whatever the formulas round to.
    return np.where(u <= 0.0, 0.0, np.where(u >= 1.0, 1.0, eased))


def parse_ease(text: str) -> Ease:
    """The ease that a text names, such as ``expo-out``, ``steps 4`` or ``bezier .2 0 .3 1``.

    >>> parse_ease("bezier .2 0 .3 1")
    Ease(name='bezier', numbers=(0.2, 0.0, 0.3, 1.0))
    """
    name, *words = text.split() or [""]
    where = {"offset": text.index(name), "width": len(name)}
    if name in _PLAIN:
        if words:
            message = f"{name} takes nothing after it, found {quoted(' '.join(words))}"
            raise Misread(message, offset=text.index(words[0], where["offset"] + len(name)))
        return Ease(name)
    if name not in _WITH_NUMBERS:
        if any(name.startswith(known) for known in (*_WITH_NUMBERS, "cubic-bezier")):
            hint = f"write it with spaces: {_SHAPES['steps' if 'steps' in name else 'bezier']}"
        else:
            hint = (
                suggestion(name, EASES)
                or "eases: linear, hold, smooth, ease, sine-in-out, steps 4, …"
            )
        raise Misread(f"unknown ease {quoted(name)}", hint, **where)
    try:
        numbers = tuple(parse_number(word) for word in words)
        _check_numbers(name, numbers)
    except Misread as misread:
        raise Misread(f"{name}: {misread.message}", f"write {_SHAPES[name]}", **where) from misread
    return Ease(name, numbers)


def _check_numbers(name: str, numbers: tuple[float, ...]) -> None:
    """Raise Misread for numbers that an ease can't take."""
    fewest, most = _COUNTS[name]
    if not fewest <= len(numbers) <= most:
        expected = str(most) if fewest == most else f"{fewest} or {most}"
        raise Misread(f"takes {expected} numbers, found {len(numbers)}")
    if name == "steps" and not (numbers[0].is_integer() and 1 <= numbers[0] <= MOST_STEPS):
        raise Misread(f"takes a whole number from 1 to {MOST_STEPS}")
    if name == "spring" and numbers and not 0 <= numbers[0] <= 1:
        raise Misread("a bounce lies in 0..1")
    if name == "bezier":
        x1, y1, x2, y2 = numbers
        if not (0 <= x1 <= 1 and 0 <= x2 <= 1):
            raise Misread("its first and third number, the times, lie in 0..1")
        if max(abs(y1), abs(y2)) > 10:
            raise Misread("its second and fourth number lie in -10..10")


def _bezier(u: Floats, x1: float, y1: float, x2: float, y2: float) -> Floats:
    """The cubic Bézier through (0, 0), (x1, y1), (x2, y2), (1, 1): y where x is u.

    x is monotone in the curve's parameter s, so s is bracketed in a table and then refined by
    Newton steps; a step that leaves the bracket is replaced by bisection (x1 = 1, x2 = 0 stands
    upright in its middle, where plain Newton runs away).
    """

    def polynomial(p1: float, p2: float, s: Floats) -> Floats:
        return ((1 + 3 * p1 - 3 * p2) * s + (3 * p2 - 6 * p1)) * s * s + 3 * p1 * s

    table = np.linspace(0.0, 1.0, 257)
    place = np.clip(np.searchsorted(polynomial(x1, x2, table), u, side="right"), 1, 256)
    low, high = table[place - 1], table[place]
    s = (low + high) / 2
    for _ in range(14):
        miss = polynomial(x1, x2, s) - u
        low, high = np.where(miss < 0, s, low), np.where(miss < 0, high, s)
        slope = 3 * ((1 + 3 * x1 - 3 * x2) * s + 2 * (x2 - 2 * x1)) * s + 3 * x1
        with np.errstate(divide="ignore", invalid="ignore"):
            newton = s - miss / slope
        s = np.where((newton >= low) & (newton <= high), newton, (low + high) / 2)
    return polynomial(y1, y2, s)


def _spring(u: Floats, bounce: float = DEFAULT_BOUNCE) -> Floats:
    """A damped spring let go at 0, at rest at 1: damping ratio 1 − 0.9·bounce.

    Its envelope falls to a thousandth; what is left of it there is spread evenly, so that it ends
    at exactly 1.
    """
    ratio = 1 - 0.9 * bounce
    decay = math.log(1000)
    turns = decay * math.sqrt(1 - ratio * ratio) / ratio  # radians over the whole way

    def swing(v: Floats) -> Floats:
        # sinc keeps the critically damped case (turns = 0) out of the division
        return np.exp(-decay * v) * (np.cos(turns * v) + decay * v * np.sinc(turns * v / math.pi))

    return 1 - swing(u) + u * swing(np.ones(1))


def _bounce_out(u: Floats) -> Floats:
    """Four parabolas, each a quarter as high as the one before (R. Penner)."""
    result = np.zeros_like(u)
    for start, middle, floor in (
        (0.0, 0.0, 0.0),
        (1.0, 1.5, 0.75),
        (2.0, 2.25, 0.9375),
        (2.5, 2.625, 0.984375),
    ):
        result = np.where(u >= start / 2.75, 7.5625 * (u - middle / 2.75) ** 2 + floor, result)
    return result


def _expo_in(u: Floats) -> Floats:
    """2^(10u), moved and scaled to meet 0 and 1 (Penner's jumps by a thousandth at 0)."""
    return (np.exp2(10 * u) - 1) / 1023


def _elastic_in(u: Floats) -> Floats:
    return _expo_in(u) * np.cos(2 * math.pi * (1 - u) / ELASTIC_PERIOD)


def _back_in(u: Floats) -> Floats:
    return u * u * ((BACK_OVERSHOOT + 1) * u - BACK_OVERSHOOT)


def _backwards(curve: Shape) -> Shape:
    """The same way run from its end: what comes in, goes out."""
    return lambda u: 1 - curve(1 - u)


def _both(curve: Shape) -> Shape:
    """In on the first half, out on the second."""
    return lambda u: np.where(
        u < 0.5, curve(np.minimum(2 * u, 1)) / 2, 1 - curve(np.minimum(2 - 2 * u, 1)) / 2
    )


def _power(exponent: int) -> Shape:
    return lambda u: u**exponent


def _css(x1: float, y1: float, x2: float, y2: float) -> Shape:
    return lambda u: _bezier(u, x1, y1, x2, y2)


_FAMILIES: Mapping[str, Shape] = {
    "sine": lambda u: 1 - np.cos(u * math.pi / 2),
    "quad": _power(2),
    "cubic": _power(3),
    "quart": _power(4),
    "quint": _power(5),
    "expo": _expo_in,
    "circ": lambda u: 1 - np.sqrt(1 - u * u),
    "back": _back_in,
    "elastic": _elastic_in,
    "bounce": _backwards(_bounce_out),
}

_PLAIN: Mapping[str, Shape] = {
    "linear": lambda u: u,
    "hold": np.zeros_like,
    "smooth": lambda u: u * u * (3 - 2 * u),
    # CSS Easing Functions Level 1, section 2.2
    "ease": _css(0.25, 0.1, 0.25, 1.0),
    "ease-in": _css(0.42, 0.0, 1.0, 1.0),
    "ease-out": _css(0.0, 0.0, 0.58, 1.0),
    "ease-in-out": _css(0.42, 0.0, 0.58, 1.0),
    **{f"{family}-in": curve for family, curve in _FAMILIES.items()},
    **{f"{family}-out": _backwards(curve) for family, curve in _FAMILIES.items()},
    **{f"{family}-in-out": _both(curve) for family, curve in _FAMILIES.items()},
}

_WITH_NUMBERS: Mapping[str, Callable[..., Floats]] = {
    "steps": lambda u, count: np.floor(u * count) / count,
    "bezier": _bezier,
    "spring": _spring,
}
_COUNTS = {"steps": (1, 1), "bezier": (4, 4), "spring": (0, 1)}
_SHAPES = {"steps": "steps 4", "bezier": "bezier .2 0 .3 1", "spring": "spring or spring 0.4"}

EASES: tuple[str, ...] = (*_PLAIN, *_WITH_NUMBERS)
"""The names of all eases."""
