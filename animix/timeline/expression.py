"""Expressions: values that are computed, for all frames at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction

import numpy as np

from animix.errors import Mark, Mistake, TimelineError
from animix.sound.envelopes import ENVELOPES, Envelopes
from animix.timeline.arrays import Floats, Integers
from animix.timeline.functions import FUNCTIONS, OPERATORS, OSCILLATORS, noise
from animix.timeline.nodes import TextNode
from animix.timeline.numbers import LARGEST

TIMES = ("t", "u", "n")
"""Seconds; the share of the way to the end; frames of the timeline, which may be fractional."""
KEY = "key"
"""What the track's other keys say at this moment."""
SOUNDS = ENVELOPES
"""What is heard at this moment."""


@dataclass(frozen=True, eq=False)
class Moments:
    """The moments at which expressions are evaluated, and what is known of each."""

    numbers: Integers
    """[N], each at ``number / rate`` seconds"""
    rate: Fraction
    fps: Fraction
    """The timeline's."""
    end_seconds: Fraction
    loop: bool
    sound: Envelopes | None = None
    """What is heard in the clip; None: nothing asks for it."""

    def value(self, name: str) -> Floats:
        """What a name stands for: [N]."""
        if name in SOUNDS:
            assert self.sound is not None  # whoever makes a schedule listens
            return self.sound.at(name, self.numbers / float(self.rate))
        scale = {"t": self.rate, "u": self.rate * self.end_seconds, "n": self.rate / self.fps}
        found: Floats = self.numbers / float(scale[name])
        return found

    def turns(self, period_seconds: Fraction) -> Floats:
        """How often a period has gone by: [N]."""
        turns: Floats = self.numbers / float(self.rate * period_seconds)
        # 0.9 / 0.3 is not 3: at its quarters, where waves switch, a turn is exact.
        near: Floats = np.rint(turns * 4) / 4
        return np.where(np.abs(turns - near) < 1e-9 * np.maximum(1, np.abs(turns)), near, turns)

    def at(self, chosen: Integers) -> Moments:
        """Some of them."""
        return replace(self, numbers=self.numbers[chosen])


@dataclass(frozen=True)
class Term:
    """A part of an expression: a number, a name, or what is computed from other parts."""

    name: str
    """Of a number "number"; else a name or function of the tables, and nothing else."""
    parts: tuple[Term, ...] = ()
    number: float = 0.0
    period_seconds: Fraction | None = None
    """Of oscillators and noise; the number of noise is its seed."""
    offset: int = field(default=0, compare=False)
    """Where it stands in its text."""
    width: int = field(default=1, compare=False)

    def walk(self) -> Iterator[Term]:
        """Its parts, inner ones first, and then itself."""
        for part in self.parts:
            yield from part.walk()
        yield self


@dataclass(frozen=True)
class Expression:
    """A value that is computed; made by ``grammar.parse_expression``."""

    term: Term
    text: str
    """As written, without what follows it."""
    node: TextNode | None = field(default=None, compare=False)
    """The text in which it stands."""

    @property
    def is_constant(self) -> bool:
        """Whether it is one number at all times."""
        return all(part.name in _STILL for part in self.term.walk())

    @property
    def rides(self) -> bool:
        """Whether it asks for the value of the other keys."""
        return any(part.name == KEY for part in self.term.walk())

    @property
    def hears(self) -> Term | None:
        """The first part of it that asks for the sound."""
        return next((part for part in self.term.walk() if part.name in SOUNDS), None)

    def mark(self, part: Term) -> Mark:
        """Where a part of it stands."""
        if self.node is None:
            return Mark("", 0, 0)
        return self.node.part(part.offset, part.width)

    def apply(self, moments: Moments, key: Floats | None = None) -> Floats:
        """Its value at each moment: [N], within ±1e9.

        ``key`` is what the other keys say. Raises TimelineError where it has no such value.

        >>> from animix.timeline.clock import Clock
        >>> from animix.timeline.grammar import parse_expression
        >>> expression, _ = parse_expression("=1 + 0.5*tri(2s)", Clock(Fraction(30)))
        >>> second = Moments(np.arange(4), Fraction(2), Fraction(30), Fraction(2), loop=True)
        >>> expression.apply(second).tolist()
        [1.0, 1.5, 1.0, 0.5]
        """
        count = len(moments.numbers)
        with np.errstate(all="ignore"):
            found: Floats = np.broadcast_to(_value(self.term, moments, key), (count,))
            good = np.abs(found) <= LARGEST  # False for NaN too
        if good.all():
            return found + 0.0
        first = int(np.argmin(good))
        raise TimelineError([self._failure(moments, key, first)])

    def _failure(self, moments: Moments, key: Floats | None, first: int) -> Mistake:
        """The mistake of the innermost part that went wrong at a moment."""
        moment = moments.at(np.array([first]))
        its_key = None if key is None else key[[first]]
        seconds = float(Fraction(int(moment.numbers[0])) / moments.rate)
        for part in _taken(self.term, moment, its_key):
            with np.errstate(all="ignore"):
                value = float(np.broadcast_to(_value(part, moment, its_key), (1,))[0])
            if not np.isfinite(value) or (part is self.term and abs(value) > LARGEST):
                break
        hint = _HINTS.get(part.name, "")
        return Mistake(self.mark(part), f"{_reason(part, value)} at {seconds:.6g} s", hint)

    def open_periods(self, end_seconds: Fraction) -> Iterator[Mistake]:
        """What doesn't come round in a loop of this length."""
        for part in self.term.walk():
            period = part.period_seconds
            if period is None or (end_seconds / period).denominator == 1:
                continue
            count = int(end_seconds / period)
            whole = [end_seconds / turns for turns in (count + 1, count) if turns]
            near = " or ".join(f"{float(seconds):.6g}s" for seconds in whole)
            yield Mistake(
                self.mark(part),
                f"seam: {part.name} returns every {float(period):.6g} s, which does not divide the "
                f"{float(end_seconds):.6g} s of the clip",
                f"the nearest that do: {near}; or set loop: false",
            )


_STILL = frozenset(("number", *OPERATORS, *FUNCTIONS))


def _value(term: Term, moments: Moments, key: Floats | None) -> Floats:
    """The value of a part, [N] or one for all moments."""
    name = term.name
    if name == "number":
        return np.full(1, term.number)
    if term.period_seconds is not None:
        turns = moments.turns(term.period_seconds)
        if name in OSCILLATORS:
            return OSCILLATORS[name](turns)
        whole = moments.end_seconds / term.period_seconds
        around = int(whole) if moments.loop and whole.denominator == 1 else None
        return noise(turns, int(term.number), around)
    if name == KEY:
        assert key is not None  # whoever reads an expression refuses it where there are no keys
        return key
    parts = [_value(part, moments, key) for part in term.parts]
    if name in OPERATORS:
        return OPERATORS[name](*parts)
    if name in FUNCTIONS:
        return FUNCTIONS[name].apply(*parts)
    return moments.value(name)


def _taken(term: Term, moment: Moments, key: Floats | None) -> Iterator[Term]:
    """The parts that count at one moment, inner ones first: of an if only the branch it takes."""
    parts = term.parts
    if term.name == "if":
        with np.errstate(all="ignore"):
            condition = np.broadcast_to(_value(parts[0], moment, key), (1,))[0]
        parts = (parts[0], parts[1] if condition != 0 else parts[2])
    for part in parts:
        yield from _taken(part, moment, key)
    yield term


def _reason(part: Term, value: float) -> str:
    """What went wrong in a part."""
    if part.name in ("/", "%") and not (np.isfinite(value) and value):
        return "a division by zero"
    if part.name == "sqrt":
        return "a root of a negative number"
    if part.name == "log":
        return "a logarithm of what is not above 0"
    if np.isnan(value):
        return "this is not a number"
    return "this is too large: numbers lie within ±1000000000"


_HINTS: Mapping[str, str] = {
    "/": "keep it away from 0, such as / max(x, 0.001)",
    "%": "keep it away from 0, such as % max(x, 0.001)",
    "sqrt": "write sqrt(max(0, x))",
    "log": "write log(max(0.001, x))",
}
