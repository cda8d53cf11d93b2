"""Times as timelines write them: ``2s``, ``12f``, ``50%``, ``1:30.5``, ``end - 1s``."""

from __future__ import annotations

import re
from fractions import Fraction

from animix.timeline.keyframes import Time
from animix.timeline.misread import Misread, not_yet, quoted, suggestion

PLACES = {"start": Fraction(0), "end": Fraction(1)}
"""Places in a clip, as shares of its end."""

UNITS = ("s", "ms", "f", "%")
MUSICAL = ("b", "beat", "beats", "bar", "bars")

LOOKS = "times look like 2s, 250ms, 12f, 50%, 1:30.5, start, end - 1s"
UNKNOWN = f"{LOOKS}; markers are planned but not available yet"
LENGTHS = "lengths look like 2s, 250ms, 12f, 1:30.5"

LONGEST = 200
"""Characters; no time is longer, and patterns that backtrack get no more to chew on."""

# Bounded digits and no exponent: a hostile 1e999999999s must cost nothing.
_TERM = re.compile(
    r"\s*(?P<sign>[+-]?)\s*(?P<term>"
    r"(?P<clock>[0-9]{1,4}(?::[0-9]{1,4}){1,2}(?:\.[0-9]{1,12})?)(?![\w:.%])"
    r"|(?P<number>[0-9]{1,12}(?:\.[0-9]{0,12})?|\.[0-9]{1,12})(?P<unit>%|[A-Za-z]*)(?![\w:.%])"
    r"|(?P<word>[A-Za-z]\w*)"
    r")\s*"
)


def parse_time(text: str, fps: Fraction) -> Time:
    """The instant that a text names; ``f`` counts frames of ``fps``, ``%`` is of the clip's end.

    Raises Misread for what is no time, and for numbers other than 0 without a unit.

    >>> parse_time("end - 1.5s", fps=Fraction(30))
    Time(seconds=Fraction(-3, 2), end_share=Fraction(1, 1))
    >>> parse_time("1:30", fps=Fraction(30)).seconds, parse_time("7f", fps=Fraction(30)).seconds
    (Fraction(90, 1), Fraction(7, 30))
    """
    seconds = end_share = Fraction(0)
    if len(text) > LONGEST:
        raise Misread(f"{quoted(text)} is not a time", LOOKS)
    position = 0
    while position < len(text) or position == 0:
        term = _TERM.match(text, position)
        if term is None:
            raise Misread(f"{quoted(text)} is not a time", LOOKS)
        if position > 0 and not term["sign"]:
            raise Misread(
                f"{quoted(text)} is not a time",
                f"put + or - between: {text[:position].strip()[:20]} + {term['term'][:20]}",
                term.start("term"),
                len(term["term"]),
            )
        try:
            in_seconds, share = _value(term, fps)
        except Misread as misread:
            misread.offset, misread.width = term.start("term"), len(term["term"])
            raise
        sign = -1 if term["sign"] == "-" else 1
        seconds, end_share = seconds + sign * in_seconds, end_share + sign * share
        position = term.end()
    return Time(seconds, end_share)


def parse_length(text: str, fps: Fraction) -> Fraction:
    """The length in seconds that a text names, above 0: units only, no places and no ``%``.

    >>> parse_length("1s + 15f", fps=Fraction(30))
    Fraction(3, 2)
    """
    length = parse_time(text, fps)
    if length.end_share or any(place in text for place in (*PLACES, "%")):
        raise Misread(f"{quoted(text)} is a place in the clip, not a length", LENGTHS)
    if length.seconds <= 0:
        raise Misread(f"{quoted(text)} is no length above 0", LENGTHS)
    return length.seconds


def _value(term: re.Match[str], fps: Fraction) -> tuple[Fraction, Fraction]:
    """What one term of a sum adds: seconds, and shares of the end."""
    none = Fraction(0)
    if term["clock"]:
        return _clock(term["clock"]), none
    if word := term["word"]:
        if word in PLACES:
            return none, PLACES[word]
        if word in MUSICAL:
            raise Misread(not_yet("times in beats and bars"))
        raise Misread(f"{quoted(word)} is not a time", suggestion(word, PLACES) or UNKNOWN)
    number, unit = Fraction(term["number"]), term["unit"]
    if unit == "%":
        return none, number / 100
    if unit == "f":
        return number / fps, none
    if unit in ("s", "ms"):
        return number / (1000 if unit == "ms" else 1), none
    if unit in MUSICAL:
        raise Misread(not_yet("times in beats and bars"))
    if unit:
        raise Misread(f"{quoted(term['term'])}: there is no unit {quoted(unit)}", LOOKS)
    if number == 0:
        return none, none
    found, rest = term["number"], term.string[term.end() :].split(maxsplit=1)
    if rest and rest[0] in UNITS:
        raise Misread(f"{found} {rest[0]} has a space in it", f"write {found}{rest[0]}")
    raise Misread(f"{found} needs a unit", f"write {found}s (seconds) or {found}f (frames)")


def _clock(text: str) -> Fraction:
    """Minutes and seconds, or hours, minutes and seconds, in seconds."""
    parts = [Fraction(part) for part in text.split(":")]
    if any(part >= 60 for part in parts[1:]):
        raise Misread(f"{quoted(text)} is not a time", "minutes and seconds end at 59")
    seconds = Fraction(0)
    for part in parts:
        seconds = seconds * 60 + part
    return seconds
