"""Values that shape the picture: a constant, a map of times to values, or one per resolution."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from typing import NamedTuple

from animix.errors import Mark
from animix.timeline.clock import Clock
from animix.timeline.eases import parse_ease
from animix.timeline.keyframes import Ease, Keyframe, Repeat, Space, Time, Track
from animix.timeline.misread import Misread, quoted, suggestion
from animix.timeline.nodes import Broken, MapNode, Node, TextNode
from animix.timeline.numbers import parse_number, parse_whole
from animix.timeline.reading import Reading, TooManyMistakes
from animix.timeline.times import LONGEST, parse_length, parse_span, parse_time

MOST_KEYS = 20_000
"""Keys of one track, repetitions counted."""
MOST_KEYS_IN_ALL = 100_000

_EVERY = re.compile(r"(.*?)\s+every\s+(.*)", re.DOTALL)
_WORD = re.compile(r"\S+")


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
            known = f"{self.name} is a number, {' or '.join(self.words)}" if self.words else ""
            misread.hint = misread.hint or suggestion(text, self.words) or known
            raise
        for bound, name in ((self.low, "least"), (self.high, "most")):
            if bound is not None and (number < bound if name == "least" else number > bound):
                limit = f"{bound:f}".rstrip("0").rstrip(".")
                raise Misread(f"{self.name} can't be {text[:20]}: the {name} is {limit}")
        return number

    def track(self, mark: Mark, keys: list[Keyframe], repeats: list[Repeat]) -> Track:
        """The track of these keys."""
        return Track(self.name, tuple(keys), self.space, self.low, self.high, mark, tuple(repeats))

    def constant(self, value: float | str, mark: Mark) -> Track:
        """The track that stands still at a value."""
        return self.track(mark, [Keyframe(Time(Fraction(0)), value, None, mark)], [])


class Stop(NamedTuple):
    """What a key says: a value for each track that it sets, and an ease."""

    values: tuple[float | str, ...]
    arrivals: tuple[float | str, ...] | None
    """After an arrow: the values at the end of each repetition."""
    ease: Ease | None


class Row(NamedTuple):
    """One entry of a map of times: the place in time of a key, or of a run of keys."""

    time: Time
    until: tuple[Time, Fraction] | None
    """For ``FROM..TO every STEP``: TO, and STEP in seconds."""
    value: TextNode


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
        parser = partial(parse_constant, quantities=quantities)
        stop = reading.read(node, name, "a value or a map of times to values", parser)
        if stop is None:
            return instead
        return tuple(q.constant(v, node.mark) for q, v in zip(quantities, stop.values, strict=True))
    noted = reading.num_noted
    keys: list[list[Keyframe]] = [[] for _ in quantities]
    repeats: list[list[Repeat]] = [[] for _ in quantities]
    for row in rows(reading, node, name):
        parser = partial(parse_stop, quantities=quantities, repeated=row.until is not None)
        stop = reading.parse(row.value, parser)
        if stop is None:
            continue
        for number, value in enumerate(stop.values):
            arrival = stop.arrivals[number] if stop.arrivals else None
            if row.until is None:
                keys[number].append(Keyframe(row.time, value, stop.ease, row.value.mark))
            else:
                to, step = row.until
                run = Repeat(row.time, to, step, value, arrival, stop.ease, row.value.mark)
                repeats[number].append(run)
    if reading.num_noted > noted or not node.whole:
        return instead
    return tuple(
        quantity.track(node.mark, its_keys, its_repeats)
        for quantity, its_keys, its_repeats in zip(quantities, keys, repeats, strict=True)
    )


def read_track(reading: Reading, node: Node | None, quantity: Quantity, default: Track) -> Track:
    """The track that a value sets; ``default`` where there is nothing or a mistake."""
    return read_tracks(reading, node, (quantity,), default)[0]


def rows(reading: Reading, node: MapNode, name: str) -> Iterator[Row]:
    """The entries of a map of times, those with mistakes left out."""
    if not node.entries:
        reading.note(node.mark, f"{name} has no keys")
    seen: dict[Time, TextNode] = {}
    left = MOST_KEYS
    for key, value in node.entries:
        if isinstance(value, MapNode):
            hint = "resolutions stand outside, times inside: 4..32: {0s: 0, 2s: 1}"
            reading.note(value.mark, f"{name} at {key.text[:40]} is a value, found a map", hint)
            continue
        text = reading.text(value, f"{name} at {key.text[:40]}", "a value")
        place = reading.parse(key, lambda text: _parse_place(text, reading.clock))
        if place is None or not _lies_inside(reading, key, place):
            continue
        time, until = place
        if until is None and time in seen:
            hint = f"the other stands in line {seen[time].mark.line}"
            reading.note(key.mark, f"two keys of {name} at one instant", hint)
            continue
        seen[time] = key
        count = _count(reading, time, until)
        left, reading.num_keys = left - count, reading.num_keys + count
        if left < 0:
            reading.note(key.mark, f"{name} has more than {MOST_KEYS} keys")
            return
        if reading.num_keys > MOST_KEYS_IN_ALL:
            reading.note(key.mark, f"all tracks together have more than {MOST_KEYS_IN_ALL} keys")
            raise TooManyMistakes  # every track that follows would say the same
        if text is not None:
            yield Row(time, until, text)


def parse_constant(text: str, quantities: tuple[Quantity, ...]) -> Stop:
    """What a constant says: as a key, but without an ease."""
    stop = parse_stop(text, quantities, repeated=False)
    if stop.ease is not None:
        raise Misread("an ease leads from key to key, and here is none", "write {0s: …, end: …}")
    return stop


def parse_stop(text: str, quantities: tuple[Quantity, ...], repeated: bool) -> Stop:
    """What a key says: ``VALUE [ease]``, and ``A -> B [ease]`` where it is repeated.

    >>> parse_stop("0.8 -> 0.2 expo-out", (Quantity("alpha"),), repeated=True)
    Stop(values=(0.8,), arrivals=(0.2,), ease=Ease(name='expo-out', numbers=()))
    """
    words = list(_WORD.finditer(text))
    values, words = _parse_values(words, quantities)
    arrivals = None
    if words and words[0][0] == "->":
        arrow = words[0]
        if not repeated:
            hint = "write 0s..end every 1s: A -> B"
            raise Misread('"->" stands only in keys with "every"', hint, arrow.start(), 2)
        if len(words) == 1:
            raise Misread('a value is missing after "->"', offset=arrow.start(), width=2)
        arrivals, words = _parse_values(words[1:], quantities)
    return Stop(values, arrivals, parse_ease_at(text, words[0].start()) if words else None)


def parse_ease_at(text: str, offset: int) -> Ease:
    """The ease that the rest of a text names."""
    try:
        return parse_ease(text[offset:])
    except Misread as misread:
        misread.offset += offset
        raise


def _parse_values(
    words: list[re.Match[str]], quantities: tuple[Quantity, ...]
) -> tuple[tuple[float | str, ...], list[re.Match[str]]]:
    """The first words as a value of each quantity, and the words after them."""
    count = len(quantities)
    numbers = [word for word in words[:count] if word[0][0] in "+-.0123456789" and word[0] != "->"]
    if count > 1 and len(numbers) == 1 and words[0][0] == "0":
        return (0.0,) * count, words[1:]
    if count > 1 and len(numbers) < count:
        name = quantities[0].name
        raise Misread(f"{name} takes {count} numbers, found {len(numbers)}", f"write {name}: 0.1 0")
    values = []
    for word, quantity in zip(words, quantities, strict=False):
        try:
            values.append(quantity.parse(word[0]))
        except Misread as misread:
            misread.offset, misread.width = word.start(), len(word[0])
            raise
    if not values:
        raise Misread(f"{quantities[0].name} has no value")
    return tuple(values), words[count:]


def _parse_place(text: str, clock: Clock) -> tuple[Time, tuple[Time, Fraction] | None]:
    """The time of a key; for ``FROM..TO every STEP`` FROM, and TO with STEP."""
    every = _EVERY.fullmatch(text) if len(text) <= LONGEST else None
    if every is None:
        if ".." in text and not re.search("[a-z%]", text):
            raise Misread(f"{quoted(text)} are resolutions, and times are expected here")
        if ".." in text:
            hint = "write FROM..TO every STEP, such as 0s..end every 1s"
            raise Misread(f"{quoted(text)} is not a time", hint)
        return parse_time(text, clock), None
    group = 1
    try:
        start, stop = parse_span(every[1], clock)
        step = parse_length(every[group := 2], clock)
    except Misread as misread:
        misread.offset += every.start(group)
        misread.width = len(every[group]) if misread.width is None else misread.width
        raise
    return start, (stop, step)


def _lies_inside(
    reading: Reading, key: TextNode, place: tuple[Time, tuple[Time, Fraction] | None]
) -> bool:
    """Whether a key lies in the clip and a run ends after it starts; if not, that is noted."""
    if (end := reading.duration) is None:
        return True
    time, until = place
    for instant in (time, *(until or ())[:1]):
        if instant.at(end) < 0:
            reading.note(key.mark, f"{quoted(key.text)} lies before the start of the clip")
            return False
        if instant.at(end) > end:
            hint = f"the duration is {float(end):g}s"
            reading.note(key.mark, f"{quoted(key.text)} lies after the end of the clip", hint)
            return False
    if until is not None and until[0].at(end) <= time.at(end):
        reading.note(key.mark, f"{quoted(key.text)} ends before it starts")
        return False
    return True


def _count(reading: Reading, time: Time, until: tuple[Time, Fraction] | None) -> int:
    """How many keys an entry makes."""
    if until is None or reading.duration is None:
        return 1
    stop, step = until
    return math.ceil((stop.at(reading.duration) - time.at(reading.duration)) / step)
