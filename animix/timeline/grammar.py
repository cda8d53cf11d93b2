"""The grammar of expressions: ``=0.5 + 0.1*sine(2s)`` becomes an Expression, or a mistake.

Timelines are shared between strangers, so nothing of Python reads them: a tokenizer, a parser by
recursive descent with a bounded depth, and tables of the names there are.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import NamedTuple

import numpy as np

from animix.errors import TimelineError
from animix.timeline.clock import BEATS_A_BAR, Clock
from animix.timeline.expression import KEY, SOUNDS, TIMES, Expression, Moments, Term
from animix.timeline.functions import FUNCTIONS, OSCILLATORS
from animix.timeline.misread import Misread, quoted, suggestion
from animix.timeline.numbers import LARGEST_SEED, parse_number
from animix.timeline.times import parse_time

LONGEST = 1000
"""Characters of an expression."""
MOST_TOKENS = 250
DEEPEST = 40
"""Brackets in brackets, minus signs in a row, towers of powers."""

CALLED = (*FUNCTIONS, *OSCILLATORS, "noise")
VARIABLES = (*TIMES, KEY, *SOUNDS)
MUSICAL_NAMES = ("beat", "bar")
NAMES = (*VARIABLES, *MUSICAL_NAMES, *CALLED)
"""Every name there is."""

_TOKEN = re.compile(
    r"\s*(?:(?P<number>(?:[0-9]{1,4}(?::[0-9]{1,4}){1,2}(?:\.[0-9]{1,12})?"
    r"|(?:[0-9]{1,20}(?:\.[0-9]{0,20})?|\.[0-9]{1,20})(?:[eE][+-]?[0-9]{1,3}(?![0-9A-Za-z]))?)"
    r"(?P<unit>[A-Za-z]{0,10}))(?![\w:])"
    r"|(?P<name>[A-Za-z_]\w{0,200})"
    r"|(?P<sign>->|\*\*|<=|>=|==|!=|[-+*/%^<>(),=]))"
)
_BLANK = re.compile(r"\s*")
_COMPARISONS = ("<", "<=", ">", ">=", "==", "!=")


class _Token(NamedTuple):
    kind: str
    """number, name, sign, or end: where nothing more can be read."""
    text: str
    offset: int
    unit: str = ""


def parse_expression(text: str, clock: Clock, offset: int = 0) -> tuple[Expression, int]:
    """The expression that begins with the ``=`` at an offset of a text, and where it ends there.

    Times inside are lengths, by the clock. Raises Misread, at the place inside the text.

    >>> clock = Clock(fps=Fraction(30))
    >>> expression, end = parse_expression("=0.5 + 0.1*sine(2s) ease-in", clock)
    >>> expression.text, end
    ('=0.5 + 0.1*sine(2s)', 19)
    """
    if len(text) - offset > LONGEST:
        raise Misread(f"an expression has at most {LONGEST} characters", offset=offset, width=40)
    lengths = replace(clock, first_beat_seconds=Fraction(0))
    parser = _Parser(text, _tokens(text, offset + 1), clock, lengths)
    term = parser.comparison()
    end = parser.last_end
    return Expression(term, text[offset:end]), end


def constant_of(expression: Expression) -> float:
    """The one number that a constant expression is; Misread where it is none."""
    once = Moments(np.zeros(1, np.int64), Fraction(1), Fraction(1), Fraction(1), loop=False)
    try:
        return float(expression.apply(once)[0])
    except TimelineError as error:
        term = expression.term
        (mistake,) = error.mistakes
        message = mistake.message.removesuffix(" at 0 s")
        raise Misread(message, mistake.hint, term.offset, term.width) from error


def _tokens(text: str, start: int) -> list[_Token]:
    """The tokens from a place on, and an end."""
    tokens: list[_Token] = []
    position = start
    while match := _TOKEN.match(text, position):
        kind = match.lastgroup if match.lastgroup != "unit" else "number"
        kind = "number" if match["number"] is not None else kind or "sign"
        found = match[kind]
        tokens.append(_Token(kind, found, match.start(kind), match["unit"] or ""))
        position = match.end()
        if len(tokens) > MOST_TOKENS:
            message = f"an expression has at most {MOST_TOKENS} numbers, names and signs"
            raise Misread(message, offset=start - 1, width=40)
    blank = _BLANK.match(text, position)
    return [*tokens, _Token("end", text[blank.end() if blank else position :], position)]


@dataclass
class _Parser:
    """Reads tokens from left to right; each method takes one level of the grammar."""

    text: str
    tokens: Sequence[_Token]
    clock: Clock
    lengths: Clock
    """The same, with beats counted from 0."""
    place: int = 0
    depth: int = 0
    last_end: int = 0

    @property
    def token(self) -> _Token:
        return self.tokens[self.place]

    def take(self) -> _Token:
        """The next token, which is passed."""
        token = self.token
        self.place += 1
        self.last_end = token.offset + len(token.text)
        return token

    def comparison(self) -> Term:
        """Sums, and whether one is less, more or equal."""
        left = self.sum()
        while self.token.text in _COMPARISONS and self.token.kind == "sign":
            left = self._both(self.take(), left, self.sum())
        return left

    def sum(self) -> Term:
        """Products, added and subtracted."""
        left = self.product()
        while self.token.kind == "sign" and self.token.text in ("+", "-"):
            left = self._both(self.take(), left, self.product())
        return left

    def product(self) -> Term:
        """Powers, multiplied and divided."""
        left = self.negative()
        while self.token.kind == "sign" and self.token.text in ("*", "/", "%", "**"):
            sign = self.take()
            if sign.text == "**":
                raise Misread('there is no "**"', "write ^ for a power", sign.offset, 2)
            after = self.token
            if sign.text == "%" and not self._begins_operand(after):
                hint = f"% is the remainder here: write {self._as_share(left)}"
                raise Misread('a value is missing after "%"', hint, sign.offset, 1)
            left = self._both(sign, left, self.negative())
        return left

    def negative(self) -> Term:
        """A power, or minus one: −2^2 is −4."""
        if self.token.kind == "sign" and self.token.text in ("-", "+"):
            sign = self.take()
            self._deeper(sign)
            part = self.negative()
            self.depth -= 1
            if sign.text == "+":
                return part
            if part.name == "number":
                return self._spanning(replace(part, number=-part.number), sign)
            return self._spanning(Term("negative", (part,)), sign)
        return self.power()

    def power(self) -> Term:
        """2^3^2 is 2^9, and 2^-1 a half."""
        base = self.operand()
        if self.token.kind == "sign" and self.token.text == "^":
            sign = self.take()
            self._deeper(sign)
            exponent = self.negative()
            self.depth -= 1
            return self._both(sign, base, exponent)
        return base

    def operand(self) -> Term:
        """A number, a name, a call, or a sum in brackets."""
        token = self.take()
        if token.kind == "number":
            number = self._number(token)
            return Term("number", number=number, offset=token.offset, width=len(token.text))
        if token.kind == "name":
            return self._named(token)
        if token.kind == "sign" and token.text == "(":
            self._deeper(token)
            inner = self.comparison()
            self._close(token)
            self.depth -= 1
            return inner
        if token.kind == "end" and not token.text:
            at = max(0, token.offset - 1)
            raise Misread("a value is missing at the end of the expression", "", at, 1)
        found = token.text[:1] if token.kind == "end" else token.text
        hint = "write numbers without a space, names, + - * / % ^ and brackets"
        if found in ("*", "/", "%", "^", ")", ","):
            hint = "a number or a name stands before it"
        raise Misread(f"unexpected {quoted(found)} in an expression", hint, token.offset, 1)

    def _named(self, token: _Token) -> Term:
        """A variable or a call; of a name that isn't in the tables a mistake."""
        name = token.text
        opened = self.token.kind == "sign" and self.token.text == "("
        offset, width = token.offset, len(name)
        if name in MUSICAL_NAMES:
            return self._musical(name, offset, width)
        if name in VARIABLES:
            if opened:
                raise Misread(f"{name} takes no brackets", f"write {name}", offset, width)
            return Term(name, offset=offset, width=width)
        if name not in CALLED:
            hint = suggestion(name, NAMES) or f"there are {', '.join(VARIABLES)} and functions"
            raise Misread(f"unknown name {quoted(name)} in an expression", hint, offset, width)
        looks = _looks(name)
        if not opened:
            raise Misread(f"{name} needs brackets", f"write {looks}", offset, width)
        bracket = self.take()
        self._deeper(bracket)
        parts: list[Term] = []
        if not (self.token.kind == "sign" and self.token.text == ")"):
            parts.append(self.comparison())
            while self.token.kind == "sign" and self.token.text == ",":
                self.take()
                parts.append(self.comparison())
        self._close(bracket)
        self.depth -= 1
        width = self.last_end - offset
        fewest, most = (1, 2) if name == "noise" else (1, 1)
        if name in FUNCTIONS:
            fewest, most = FUNCTIONS[name].fewest, FUNCTIONS[name].most
        if not fewest <= len(parts) <= most:
            raise Misread(f"{name} has {len(parts)} values", f"write {looks}", offset, width)
        if name in FUNCTIONS:
            return Term(name, tuple(parts), offset=offset, width=width)
        return Term(
            name,
            number=_seed(parts[1]) if len(parts) > 1 else 0,
            period_seconds=self._period(name, parts[0]),
            offset=offset,
            width=width,
        )

    def _musical(self, name: str, offset: int, width: int) -> Term:
        """How many beats or bars have gone by since the first: a line over ``t``."""

        def number(value: float) -> Term:
            return Term("number", number=value, offset=offset, width=width)

        beats = BEATS_A_BAR if name == "bar" else 1
        try:
            length = float(self.clock.beats_seconds(Fraction(beats)))
        except Misread as misread:
            misread.offset, misread.width = offset, width
            raise
        first = number(float(self.clock.first_beat_seconds))
        passed = Term(
            "-", (Term("t", offset=offset, width=width), first), offset=offset, width=width
        )
        return Term("/", (passed, number(length)), offset=offset, width=width)

    def _period(self, name: str, part: Term) -> Fraction:
        """The length that an oscillator is given: exact, where it is written as one."""
        offset, width = part.offset, part.width
        if not Expression(part, "").is_constant:
            hint = f"write a length, such as {_looks(name)}"
            raise Misread(f"the period of {name} can't change", hint, offset, width)
        written = self.text[part.offset : part.offset + part.width]
        if not re.search(r"[0-9.][A-Za-z]|:", written):
            hint = f"write {written[:20]}s (seconds) or {written[:20]}f (frames)"
            raise Misread(f"{quoted(written)} needs a unit", hint, offset, width)
        seconds = constant_of(Expression(part, written))
        # 12f at 30000/1001 fps is no decimal number; its float is told apart from its neighbours
        # by any fraction of a million.
        period = Fraction(seconds).limit_denominator(10**6)
        if part.name == "number" and not re.search(r"[eE][-+0-9]", written):
            period = abs(parse_time(written.lstrip("+- "), self.lengths).seconds)
        if seconds <= 0 or period < Fraction(1, 10**6):
            raise Misread(f"{quoted(written)} is no length above 0", "", offset, width)
        return period

    def _number(self, token: _Token) -> float:
        """A plain number, or a time in seconds."""
        try:
            if not token.unit and ":" not in token.text:
                return parse_number(token.text)
            return float(parse_time(token.text, self.lengths).seconds)
        except Misread as misread:
            misread.offset, misread.width = token.offset, len(token.text)
            raise

    def _both(self, sign: _Token, left: Term, right: Term) -> Term:
        """What a sign makes of its two sides."""
        width = right.offset + right.width - left.offset
        return Term(sign.text, (left, right), offset=left.offset, width=width)

    def _spanning(self, part: Term, first: _Token) -> Term:
        return replace(part, offset=first.offset, width=self.last_end - first.offset)

    def _deeper(self, token: _Token) -> None:
        """Go one level down, which doesn't go on for ever."""
        self.depth += 1
        if self.depth > DEEPEST:
            message = f"this is nested more than {DEEPEST} levels deep"
            raise Misread(message, offset=token.offset, width=1)

    def _close(self, bracket: _Token) -> None:
        """Pass the bracket that closes another."""
        token = self.token
        if token.kind == "sign" and token.text == ")":
            self.take()
            return
        if token.kind == "end" and not token.text:
            raise Misread("this bracket is not closed", 'write ")"', bracket.offset, 1)
        found = token.text[:1] if token.kind == "end" else token.text
        hint = "a sign such as + or * is missing before it"
        width = len(found)
        raise Misread(f"unexpected {quoted(found)} in brackets", hint, token.offset, width)

    def _begins_operand(self, token: _Token) -> bool:
        return token.kind in ("number", "name") or token.text in ("(", "-", "+")

    def _as_share(self, part: Term) -> str:
        return f"{part.number / 100:g}" if part.name == "number" else "a number"


def _looks(name: str) -> str:
    """How a function is written."""
    if name in FUNCTIONS:
        return FUNCTIONS[name].looks
    return "noise(2s, 7)" if name == "noise" else f"{name}(2s)"


def _seed(part: Term) -> float:
    """The seed of noise."""
    if part.name != "number" or part.number % 1 or not 0 <= part.number <= LARGEST_SEED:
        message = f"a seed of noise is a whole number from 0 to {LARGEST_SEED}"
        raise Misread(message, "write noise(2s, 7)", part.offset, part.width)
    return part.number
