"""Values that shape the picture: a constant, a map of times to values, or one per resolution."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import partial
from typing import NamedTuple

from animix.errors import Mark
from animix.timeline.clock import Clock
from animix.timeline.eases import parse_ease
from animix.timeline.expression import KEY, Expression
from animix.timeline.grammar import constant_of, parse_expression
from animix.timeline.keyframes import Ease, Keyframe, Repeat, Ride, Space, Time, Track, Value
from animix.timeline.misread import Misread, quoted, suggestion
from animix.timeline.nodes import Broken, MapNode, Node, TextNode
from animix.timeline.numbers import parse_number, parse_whole
from animix.timeline.reading import Reading
from animix.timeline.rows import rows

_WORD = re.compile(r"\S+")

CLOCK = Clock(fps=Fraction(30))
"""What times inside an expression are told by where no timeline says."""


@dataclass(frozen=True)
class Quantity:
    """What the values of a track may be."""

    name: str
    """As a user would say it: ``swap of anime``."""
    space: Space = "linear"
    low: float | None = None
    high: float | None = None
    words: tuple[str, ...] = ()
    whole: bool = False

    def parse(self, text: str) -> float | str:
        """The number or word that a text says; Misread where it is out of range."""
        if text in self.words:
            return text
        try:
            number = float(parse_whole(text)) if self.whole else parse_number(text)
        except Misread as misread:
            known = ", ".join(["a whole number" if self.whole else "a number", *self.words[:-1]])
            known += f" or {self.words[-1]}" if self.words else ""
            near = suggestion(text, self.words)
            misread.hint = misread.hint or near or f"{self.name} is {known}"
            raise
        self._check(number, text)
        return number

    def parse_expression(self, text: str, offset: int, clock: Clock) -> tuple[Value, int]:
        """The value of the expression at an offset of a text, and where that ends.

        One that never changes is a number like any other.
        """
        expression, end = parse_expression(text, clock, offset)
        if not expression.is_constant:
            if self.whole:
                message = f"{self.name} counts, and an expression that moves does not"
                raise Misread(message, "write keys: {0s: 3, 2s: 7}", offset, end - offset)
            return expression, end
        number = constant_of(expression)
        try:
            if self.whole and number % 1:
                raise Misread(f"{number:g} is not a whole number")
            self._check(number, f"{number:g}")
        except Misread as misread:
            misread.offset, misread.width = offset, end - offset
            raise
        return number + 0.0, end

    def _check(self, number: float, text: str) -> None:
        """Raise Misread for what lies out of range."""
        for bound, name in ((self.low, "least"), (self.high, "most")):
            if bound is not None and (number < bound if name == "least" else number > bound):
                limit = f"{bound:f}".rstrip("0").rstrip(".")
                raise Misread(f"{self.name} can't be {text[:20]}: the {name} is {limit}")

    def track(
        self,
        mark: Mark,
        keys: Sequence[Keyframe],
        repeats: Sequence[Repeat],
        rides: Sequence[Ride] = (),
    ) -> Track:
        """The track of these keys."""
        kept = tuple(keys), self.space, self.low, self.high, mark
        return Track(self.name, *kept, tuple(repeats), tuple(rides))

    def constant(self, value: Value, mark: Mark) -> Track:
        """The track that stands still at a value."""
        return self.track(mark, [Keyframe(Time(Fraction(0)), value, None, mark)], [])


class Stop(NamedTuple):
    """What a key says: a value for each track that it sets, and an ease."""

    values: tuple[Value, ...]
    arrivals: tuple[Value, ...] | None
    """After an arrow: the values at the end of each repetition."""
    ease: Ease | None

    @property
    def rides(self) -> bool:
        """Whether it is no key, but rides on the others."""
        return any(isinstance(value, Expression) and value.rides for value in self.values)


def read_tracks(
    reading: Reading, node: Node | None, quantities: tuple[Quantity, ...], default: Track
) -> tuple[Track, ...]:
    """The tracks that a value sets, one for each quantity; usually there is one.

    ``default`` stands in, under each quantity's name, where there is nothing or a mistake: what is
    left of keys that were not all understood says nothing about the track.
    """
    instead = tuple(q.constant(default.keys[0].value, default.mark) for q in quantities)
    if node is None or isinstance(node, Broken):
        return instead
    name = quantities[0].name
    if not isinstance(node, MapNode):
        text = reading.text(node, name, "a value or a map of times to values")
        stop = None
        if text is not None:
            parser = partial(parse_constant, quantities=quantities, clock=reading.clock)
            stop = _placed(reading.parse_value(text, parser), text)
        if text is None or stop is None or not _has_keys(reading, stop, text, name):
            return instead
        return tuple(q.constant(v, node.mark) for q, v in zip(quantities, stop.values, strict=True))
    noted = reading.num_noted
    keys: list[list[Keyframe]] = [[] for _ in quantities]
    repeats: list[list[Repeat]] = [[] for _ in quantities]
    rides: list[list[Ride]] = [[] for _ in quantities]
    riding: list[tuple[Stop, TextNode]] = []
    for row in rows(reading, node, name):
        repeated = row.until is not None
        parser = partial(parse_stop, quantities=quantities, repeated=repeated, clock=reading.clock)
        stop = _placed(reading.parse_value(row.value, parser), row.value)
        if stop is None:
            continue
        if stop.rides:
            riding.append((stop, row.value))
        for number, value in enumerate(stop.values):
            arrival = stop.arrivals[number] if stop.arrivals else None
            if isinstance(value, Expression) and value.rides:
                rides[number].append(Ride(row.time, value, row.value.mark))
            elif row.until is None:
                keys[number].append(Keyframe(row.time, value, stop.ease, row.value.mark))
            else:
                to, step = row.until
                run = Repeat(row.time, to, step, value, arrival, stop.ease, row.value.mark)
                repeats[number].append(run)
    for number in range(len(quantities)):
        if riding and not keys[number] and not repeats[number]:
            _has_keys(reading, *riding[0], name)
            break
    if reading.num_noted > noted or not node.whole:
        return instead
    each = zip(quantities, keys, repeats, rides, strict=True)
    return tuple(
        q.track(node.mark, its_keys, runs, its_rides) for q, its_keys, runs, its_rides in each
    )


def _placed(stop: Stop | None, node: TextNode) -> Stop | None:
    """A stop whose expressions know where they stand."""
    if stop is None:
        return None

    def placed(values: tuple[Value, ...]) -> tuple[Value, ...]:
        return tuple(replace(v, node=node) if isinstance(v, Expression) else v for v in values)

    return Stop(placed(stop.values), stop.arrivals and placed(stop.arrivals), stop.ease)


def _has_keys(reading: Reading, stop: Stop, node: TextNode, name: str) -> bool:
    """Note an expression that rides on keys where there are none."""
    for value in stop.values:
        if isinstance(value, Expression) and value.rides:
            part = next(part for part in value.term.walk() if part.name == KEY)
            hint = "write {start: =key + …, 0s: 1, end: 2}"
            message = f"key is the value of the other keys, and {name} has none"
            reading.note(value.mark(part), message, hint)
            return False
    return True


def read_track(reading: Reading, node: Node | None, quantity: Quantity, default: Track) -> Track:
    """The track that a value sets; ``default`` where there is nothing or a mistake."""
    return read_tracks(reading, node, (quantity,), default)[0]


def parse_constant(text: str, quantities: tuple[Quantity, ...], clock: Clock = CLOCK) -> Stop:
    """What a constant says: as a key, but without an ease."""
    stop = parse_stop(text, quantities, repeated=False, clock=clock)
    if stop.ease is not None:
        raise Misread("an ease leads from key to key, and here is none", "write {0s: …, end: …}")
    return stop


def parse_stop(
    text: str, quantities: tuple[Quantity, ...], repeated: bool, clock: Clock = CLOCK
) -> Stop:
    """What a key says: ``VALUE [ease]``, and ``A -> B [ease]`` where it is repeated.

    >>> parse_stop("0.8 -> 0.2 expo-out", (Quantity("alpha"),), repeated=True)
    Stop(values=(0.8,), arrivals=(0.2,), ease=Ease(name='expo-out', numbers=()))
    """
    values, position = _parse_values(text, 0, quantities, clock)
    arrivals = None
    word = _WORD.search(text, position)
    if word and word[0].startswith("->"):
        if not repeated:
            hint = "write 0s..end every 1s: A -> B"
            raise Misread('"->" stands only in keys with "every"', hint, word.start(), 2)
        if _WORD.search(text, word.start() + 2) is None:
            raise Misread('a value is missing after "->"', offset=word.start(), width=2)
        arrivals, position = _parse_values(text, word.start() + 2, quantities, clock)
        word = _WORD.search(text, position)
    stop = Stop(values, arrivals, parse_ease_at(text, word.start()) if word else None)
    _check_ride(text, stop, repeated)
    return stop


def _check_ride(text: str, stop: Stop, repeated: bool) -> None:
    """Raise Misread for what rides on keys and is written as a key."""
    arriving = Stop(stop.arrivals or (), None, None)
    if (stop.rides and (repeated or stop.ease)) or arriving.rides:
        hint = "write 0s: =key + 0.1*sine(1s), and =key where it ends"
        message = "what rides on key begins at one time, without an ease"
        raise Misread(message, hint, _index_of_key(text), len(KEY))
    riding = [isinstance(value, Expression) and value.rides for value in stop.values]
    if any(riding) and not all(riding):
        message = "where one value rides on key the others do too"
        raise Misread(message, "write =key for the other", _index_of_key(text), len(KEY))


def _index_of_key(text: str) -> int:
    found = re.search(rf"\b{KEY}\b", text)
    return found.start() if found else 0


def parse_ease_at(text: str, offset: int) -> Ease:
    """The ease that the rest of a text names."""
    try:
        return parse_ease(text[offset:])
    except Misread as misread:
        misread.offset += offset
        raise


def _parse_values(
    text: str, position: int, quantities: tuple[Quantity, ...], clock: Clock
) -> tuple[tuple[Value, ...], int]:
    """The first words, or expressions, as a value of each quantity, and where they end."""
    values: list[Value] = []
    count = len(quantities)
    for quantity in quantities:
        word = _WORD.search(text, position)
        if word is None or (values and word[0][0] not in "=+-.0123456789") or word[0] == "->":
            break
        if word[0][0] == "=":
            value, position = quantity.parse_expression(text, word.start(), clock)
            _check_gap(text, position)
            values.append(value)
            continue
        try:
            values.append(quantity.parse(word[0]))
        except Misread as misread:
            if count == 1 or word[0][0] in "+-.0123456789":
                misread.offset, misread.width = word.start(), len(word[0])
                raise
            break
        position = word.end()
    if count > 1 and len(values) == 1 and values[0] == 0:
        return (0.0,) * count, position
    name = quantities[0].name
    if count > 1 and len(values) < count:
        found = f"{name} takes {count} numbers, found {len(values)}"
        raise Misread(found, f"write {name}: 0.1 0")
    if not values:
        raise Misread(f"{name} has no value")
    return tuple(values), position


def _check_gap(text: str, end: int) -> None:
    """Raise Misread for what follows an expression and is neither a value, an arrow nor an ease."""
    rest = text[end:].lstrip()
    if not rest or (text[end].isspace() and (rest[0].isalnum() or rest[0] in "=.-+")):
        return
    if rest.startswith("->"):
        return
    offset = len(text) - len(rest)
    hint = "a value is numbers, names, + - * / % ^ and brackets, such as =0.5 + 0.1*sine(2s)"
    found = re.match(r"\w+|.", rest, re.DOTALL)
    word = found[0] if found else rest[:1]
    raise Misread(f"unexpected {quoted(word)} in an expression", hint, offset, len(word))
