"""The rows of a map of times: when each key is, or each run of keys, and that no two coincide."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from fractions import Fraction
from typing import NamedTuple

from animix.timeline.clock import Clock
from animix.timeline.keyframes import Time
from animix.timeline.misread import Misread, quoted
from animix.timeline.nodes import MapNode, TextNode
from animix.timeline.reading import Reading, TooManyMistakes
from animix.timeline.times import LONGEST, parse_length, parse_span, parse_time

MOST_KEYS = 20_000
"""Keys of one track, repetitions counted."""
MOST_KEYS_IN_ALL = 100_000

_EVERY = re.compile(r"(.*?)\s+every\s+(.*)", re.DOTALL)
_RIDES = re.compile(r"=.*\bkey\b", re.DOTALL)


class Row(NamedTuple):
    """One entry of a map of times: the place in time of a key, or of a run of keys."""

    time: Time
    until: tuple[Time, Fraction] | None
    """For ``FROM..TO every STEP``: TO, and STEP in seconds."""
    value: TextNode


def rows(reading: Reading, node: MapNode, name: str) -> Iterator[Row]:
    """The entries of a map of times, those with mistakes left out."""
    if not node.entries:
        reading.note(node.mark, f"{name} has no keys")
    seen: dict[tuple[Time, bool], TextNode] = {}
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
        # What rides on keys is none, and may stand beside one.
        instant = time, text is not None and _RIDES.match(text.text) is not None
        if until is None and instant in seen:
            hint = f"the other stands in line {seen[instant].mark.line}"
            reading.note(key.mark, f"two keys of {name} at one instant", hint)
            continue
        seen[instant] = key
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
