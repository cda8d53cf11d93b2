"""Numbers as timelines write them, by the rules of YAML 1.2: ``012`` is 12, ``.inf`` is refused."""

from __future__ import annotations

import re

from animix.timeline.misread import Misread, quoted

LARGEST = 1e9
"""No number that shapes a picture is larger; it keeps every later sum and logarithm finite."""
LARGEST_SEED = 2**32 - 1
"""What numpy's RandomState takes."""

# Bounded digits: a number of a million digits is refused before anything computes with it.
_NUMBER = re.compile(
    r"[+-]?(?:[0-9]{1,20}(?:\.[0-9]{0,20})?|\.[0-9]{1,20})(?:[eE][+-]?[0-9]{1,3})?"
)
_INTEGER = re.compile(r"[+-]?[0-9]{1,20}")
_LIKE_A_NUMBER = re.compile(r"[+-]?\.?[0-9][0-9_.eE+-]*")
_NOT_FINITE = re.compile(r"[+-]?\.?(?:inf|infinity|nan)", re.IGNORECASE)
_PERCENT = re.compile(r"([+-]?[0-9]{1,6}(?:\.[0-9]{1,6})?)%")


def parse_number(text: str) -> float:
    """The finite number that a text writes, at most 1e9 in size.

    >>> parse_number("012"), parse_number("-.5"), parse_number("1e3")
    (12.0, -0.5, 1000.0)
    """
    if _NUMBER.fullmatch(text):
        number = float(text)
        if abs(number) > LARGEST:
            raise Misread(f"{quoted(text)} is too large", "numbers lie within ±1000000000")
        return number + 0.0  # −0.0 becomes 0.0
    if _NOT_FINITE.fullmatch(text):
        raise Misread(f"{quoted(text)} is not a finite number")
    if len(text) > 20 and _LIKE_A_NUMBER.fullmatch(text):
        raise Misread(f"{quoted(text)} has too many digits", "numbers lie within ±1000000000")
    if percent := _PERCENT.fullmatch(text):
        raise Misread(f"{quoted(text)} is not a number", f"write {float(percent[1]) / 100:g}")
    raise Misread(f"{quoted(text)} is not a number")


def parse_whole(text: str) -> int:
    """The whole number that a text writes, exactly.

    >>> parse_whole("4294967295")
    4294967295
    """
    if _INTEGER.fullmatch(text):
        return int(text)
    parse_number(text)  # says more about what is no number at all
    raise Misread(f"{quoted(text)} is not a whole number")
