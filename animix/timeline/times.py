"""Times as timelines write them: ``2s``, ``12f``, ``bar 5 beat 3``, ``50%``, ``drop - 1b``."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from fractions import Fraction

from animix.timeline.clock import BEATS_A_BAR, Clock
from animix.timeline.keyframes import Time
from animix.timeline.misread import Consequence, Misread, quoted, suggestion

PLACES = {"start": Fraction(0), "end": Fraction(1)}
"""Places in any clip, as shares of its end."""

UNITS = ("s", "ms", "f", "%")
MUSICAL = {
    **dict.fromkeys(("b", "beat", "beats"), 1),
    **dict.fromkeys(("bar", "bars"), BEATS_A_BAR),
}
"""Units of music, in beats."""

LOOKS = "times look like 2s, 250ms, 12f, 4b, bar 5 beat 3, 50%, 1:30.5, start, end - 1s"
UNKNOWN = f"{LOOKS}, or are markers"
LENGTHS = "lengths look like 2s, 250ms, 12f, 4b, 2bar, 1:30.5"
SPANS = "write FROM..TO, such as 0s..end, or the name of a section"

LONGEST = 200
"""Characters; no time is longer, and patterns that backtrack get no more to chew on."""

# Bounded digits and no exponent: a hostile 1e999999999s must cost nothing.
_TERM = re.compile(
    r"\s*(?P<sign>[+-]?)\s*(?P<term>"
    r"(?P<clock>[0-9]{1,4}(?::[0-9]{1,4}){1,2}(?:\.[0-9]{1,12})?)(?![\w:.%])"
    r"|(?P<number>[0-9]{1,12}(?:\.[0-9]{0,12})?|\.[0-9]{1,12})(?P<unit>%|[A-Za-z]*)(?![\w:.%])"
    r"|(?P<place>bar\s+(?P<bar>[0-9]{1,6}(?:\.[0-9]{0,12})?)(?![\w:.%])"
    r"(?:\s+beat\s+(?P<beat>[0-9]{1,6}(?:\.[0-9]{0,12})?)(?![\w:.%]))?)"
    r"|(?P<word>[A-Za-z]\w*|%)"
    r")\s*"
)


def parse_time(text: str, clock: Clock) -> Time:
    """The instant that a text names; ``%`` is of the clip's end.

    A sum that begins with beats or bars counts from the first beat, unless it names another place.
    Raises Misread for what is no time, and for numbers other than 0 without a unit.

    >>> clock = Clock(fps=Fraction(30), bpm=Fraction(120), first_beat_seconds=Fraction(1))
    >>> parse_time("end - 1.5s", clock)
    Time(seconds=Fraction(-3, 2), end_share=Fraction(1, 1))
    >>> [str(parse_time(text, clock).seconds) for text in ("1:30", "7f", "bar 2 beat 3", "6b")]
    ['90', '7/30', '4', '4']
    """
    terms = _terms(text)
    total = Time(Fraction(0))
    if terms[0]["unit"] in MUSICAL and not any(_is_place(term) for term in terms):
        total = Time(clock.first_beat_seconds)
    for term in terms:
        try:
            value = _value(term, clock)
        except Misread as misread:
            misread.offset, misread.width = term.start("term"), len(term["term"])
            raise
        sign = -1 if term["sign"] == "-" else 1
        total = Time(total.seconds + sign * value.seconds, total.end_share + sign * value.end_share)
    _check_places([term for term in terms if _is_place(term)])
    return total


def parse_length(text: str, clock: Clock) -> Fraction:
    """The length in seconds that a text names, above 0: units only, no places and no ``%``.

    >>> parse_length("1s + 15f", Clock(fps=Fraction(30)))
    Fraction(3, 2)
    >>> parse_length("8bar", Clock(fps=Fraction(30), bpm=Fraction(128)))
    Fraction(15, 1)
    """
    length = parse_time(text, replace(clock, first_beat_seconds=Fraction(0)))
    if names_place(text):
        raise Misread(f"{quoted(text)} is a place in the clip, not a length", LENGTHS)
    if length.seconds <= 0:
        raise Misread(f"{quoted(text)} is no length above 0", LENGTHS)
    return length.seconds


def parse_span(text: str, clock: Clock) -> tuple[Time, Time]:
    """From where to where ``FROM..TO`` or a section goes; its end is not included.

    >>> parse_span("1s..end", Clock(fps=Fraction(30)))[0]
    Time(seconds=Fraction(1, 1), end_share=Fraction(0, 1))
    """
    first, dots, last = text.partition("..")
    name = text.strip()
    if not dots and name in clock.sections:
        section = clock.sections[name]
        if section is None:
            raise Consequence(f"section {name}", f"{quoted(name)} can't be read")
        return section.start, section.stop
    if not dots:
        raise Misread(f"{quoted(name)} is no part of the clip", _near(name, clock.sections, SPANS))
    offset = 0
    try:
        start = parse_time(part := first, clock)
        offset = len(first) + len(dots)
        return start, parse_time(part := last, clock)
    except Misread as misread:
        misread.offset += offset
        misread.width = len(part) if misread.width is None else misread.width
        raise


def names_place(text: str) -> bool:
    """Whether a time says where in the clip it is; otherwise it is a length as well.

    >>> names_place("2bar - 1s"), names_place("bar 2 - 1s"), names_place("50%")
    (False, True, True)
    """
    return any(_is_place(term) or term["unit"] == "%" for term in _terms(text))


def _terms(text: str) -> list[re.Match[str]]:
    """The terms of a sum, at least one."""
    if len(text) > LONGEST:
        raise Misread(f"{quoted(text)} is not a time", LOOKS)
    terms: list[re.Match[str]] = []
    position = 0
    while position < len(text) or not terms:
        term = _TERM.match(text, position)
        if term is None:
            raise Misread(f"{quoted(text)} is not a time", LOOKS)
        if terms and not term["sign"]:
            hint = f"put + or - between: {text[:position].strip()[:20]} + {term['term'][:20]}"
            if term["word"] in MUSICAL:
                hint = "write bar 5 beat 3 for a place, 3b or 2bar for a length"
            at = term.start("term"), len(term["term"])
            raise _spaced(terms[-1], term) or Misread(f"{quoted(text)} is not a time", hint, *at)
        terms.append(term)
        position = term.end()
    return terms


def _is_place(term: re.Match[str]) -> bool:
    return bool(term["word"] or term["place"])


def _check_places(places: list[re.Match[str]]) -> None:
    """Misread for sums of places, which would lie nowhere."""
    wrong = [term for number, term in enumerate(places) if number or term["sign"] == "-"]
    for term in wrong[:1]:
        message = f"{quoted(term['term'])} is a place: only lengths are added and taken away"
        raise Misread(message, LENGTHS, term.start("term"), len(term["term"]))


def _value(term: re.Match[str], clock: Clock) -> Time:
    """What one term of a sum adds."""
    if term["clock"]:
        return Time(_clock(term["clock"]))
    if term["place"]:
        return _place_in_music(term, clock)
    if word := term["word"]:
        return _named(word, clock)
    number, unit = Fraction(term["number"]), term["unit"]
    if unit == "%":
        return Time(Fraction(0), number / 100)
    if unit == "f":
        return Time(number / clock.fps)
    if unit in ("s", "ms"):
        return Time(number / (1000 if unit == "ms" else 1))
    if unit in MUSICAL:
        return Time(clock.beats_seconds(number * MUSICAL[unit]))
    if unit:
        raise Misread(f"{quoted(term['term'])}: there is no unit {quoted(unit)}", LOOKS)
    if number == 0:
        return Time(Fraction(0))
    raise _without_unit(term)


def _named(word: str, clock: Clock) -> Time:
    """The place that a word names."""
    if word in PLACES:
        return Time(Fraction(0), PLACES[word])
    if word in clock.markers:
        time = clock.markers[word]
        if time is None:
            raise Consequence(f"marker {word}", f"{quoted(word)} can't be read")
        return time
    if word in clock.sections:
        hint = f'a key is "{word} every 1s", or stands at the place where it starts'
        raise Misread(f"{quoted(word)} is a section, not a place", hint)
    if counted := re.fullmatch(r"(bar|beat)([0-9]{1,6})", word):
        raise Misread(f"{quoted(word)} is not a time", f"write {counted[1]} {counted[2]}")
    if word in MUSICAL:
        hint = "write bar 5 or bar 5 beat 3 for a place, 3b or 2bar for a length"
        raise Misread(f"{quoted(word)} has no number", hint)
    raise Misread(f"{quoted(word)} is not a time", _near(word, (*PLACES, *clock.markers), UNKNOWN))


def _near(word: str, known: Iterable[str], otherwise: str) -> str:
    return suggestion(word, known) or otherwise


def _place_in_music(term: re.Match[str], clock: Clock) -> Time:
    """``bar 5 beat 3``: both are counted from 1, and a beat may have a fraction."""
    bar, beat = Fraction(term["bar"]), Fraction(term["beat"] or 1)
    if bar < 1:
        raise Misread(f"{quoted(term['term'])}: bars are counted from 1", "write bar 1 or start")
    if bar.denominator != 1:
        beat = 1 + BEATS_A_BAR * (bar % 1)
        hint = f"write bar {int(bar)} beat {float(beat):g}"
        raise Misread(f"{quoted(term['term'])}: a bar's number is whole", hint)
    if not 1 <= beat < BEATS_A_BAR + 1:
        message = f"{quoted(term['term'])}: the beats of a bar are counted from 1 to {BEATS_A_BAR}"
        later = BEATS_A_BAR * (bar - 1) + beat - 1
        bars, beats = divmod(later, BEATS_A_BAR)
        raise Misread(message, f"write bar {bars + 1} beat {float(beats + 1):g}" if beat else "")
    return Time(clock.first_beat_seconds + clock.beats_seconds(BEATS_A_BAR * (bar - 1) + beat - 1))


def _without_unit(term: re.Match[str]) -> Misread:
    """What is wrong with a number alone."""
    found = term["number"]
    hint = f"write {found}s (seconds), {found}f (frames), {found}b (beats) or {found}bar"
    return Misread(f"{found} needs a unit", hint)


def _spaced(before: re.Match[str], term: re.Match[str]) -> Misread | None:
    """What is wrong with ``2 s``; None where the two are something else."""
    found, unit = before["number"], term["word"]
    if not found or before["unit"] or unit not in (*UNITS, *MUSICAL):
        return None
    message = f"{found} {unit} has a space in it"
    return Misread(message, f"write {found}{unit}", before.start("term"), len(before["term"]))


def _clock(text: str) -> Fraction:
    """Minutes and seconds, or hours, minutes and seconds, in seconds."""
    parts = [Fraction(part) for part in text.split(":")]
    if any(part >= 60 for part in parts[1:]):
        raise Misread(f"{quoted(text)} is not a time", "minutes and seconds end at 59")
    seconds = Fraction(0)
    for part in parts:
        seconds = seconds * 60 + part
    return seconds
