"""Tables of a terminal: columns that line up, and texts that are safe to show there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

T = TypeVar("T")

WIDTH = 100
"""Columns that a line takes at most."""


def table(header: Sequence[str], rows: Sequence[Sequence[str]], align: str) -> list[str]:
    """Lines with two blanks between columns; ``align`` has a < or > for each column.

    >>> table(["layer", "px"], [["b4.const", "4"], ["b128.conv1", "128"]], "<>")
    ['layer        px', 'b4.const      4', 'b128.conv1  128']
    """
    lines = [header, *rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return [
        "  ".join(
            f"{cell:{side}{width}}" for cell, side, width in zip(line, align, widths, strict=True)
        ).rstrip()
        for line in lines
    ]


def share_lines(parts: Mapping[str, float], unit: str) -> list[str]:
    """Parts of a whole, each with its share of it.

    >>> print(*share_lines({"opening": 0.5, "painting": 1.5}, "s"), sep="\\n")
    opening   0.500 s  25.0 %
    painting  1.500 s  75.0 %
    """
    total = sum(parts.values()) or 1.0
    rows = [
        (name, f"{part:.3f} {unit}", f"{100 * part / total:.1f} %") for name, part in parts.items()
    ]
    return table(("", "", ""), rows, "<>>")[1:]


def shown(text: str, limit: int = WIDTH) -> str:
    """A text from a file on one line, without characters that steer a terminal.

    >>> shown("red \\x1b[31m"), shown("a name without end", limit=8)
    ('red ?[31m', 'a name …')
    """
    # Metadata may be of any length, and so is only looked at as far as it is shown.
    text = " ".join(text[: 4 * limit].split())
    text = "".join(letter if letter.isprintable() else "?" for letter in text)
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def one_line(name: str) -> str:
    """A name as it is, but for characters that would break its line or steer a terminal.

    >>> one_line("films/a reel.mp4"), one_line("two\\nlines")
    ('films/a reel.mp4', 'two\\\\nlines')
    """
    if name.isprintable():
        return name
    return "".join(
        each if each.isprintable() else each.encode("unicode_escape").decode() for each in name
    )


def short_path(text: str, limit: int) -> str:
    """A path or a name in few letters: its end says more than its start.

    >>> short_path("runs/00012/network-snapshot-000120.pkl", 24)
    '…ork-snapshot-000120.pkl'
    """
    whole = shown(text[-4 * limit :], 4 * limit)
    return whole if len(whole) <= limit else f"…{whole[1 - limit :]}"


def count_text(number: int) -> str:
    """A number of parameters as people say it.

    >>> count_text(30370060), count_text(176_400), count_text(1284)
    ('30.37 M', '176 k', '1284')
    """
    # Rounded before the unit is chosen: 999 999 is 1.00 M, not 1000 k.
    if round(number, -3) >= 1e6:
        return f"{number / 1e6:.2f} M"
    return f"{number / 1e3:.0f} k" if number >= 1e4 else str(number)


def size_text(num_bytes: int) -> str:
    """A file's size.

    >>> size_text(3_600_000), size_text(812)
    ('3.6 MB', '812 bytes')
    """
    if num_bytes < 1000:
        return count(num_bytes, "byte")
    sizes = (("kB", num_bytes / 1e3), ("MB", num_bytes / 1e6), ("GB", num_bytes / 1e9))
    told = [(f"{n:.0f}" if n >= 100 else f"{n:.3g}", unit) for unit, n in sizes]
    text, unit = next((each for each in told if float(each[0]) < 1000), told[-1])
    return f"{text} {unit}"


def count(number: int, noun: str) -> str:
    """A number with its noun.

    >>> count(1, "frame"), count(2, "frame")
    ('1 frame', '2 frames')
    """
    return f"{number} {noun}{'' if number == 1 else 's'}"


def from_all_along(items: Sequence[T], most: int) -> list[T]:
    """At most so many of the items, at even steps from the first to the last; ``most`` is over 1.

    >>> from_all_along("abcdefghi", 5), from_all_along("ab", 5)
    (['a', 'c', 'e', 'g', 'i'], ['a', 'b'])
    """
    if len(items) <= most:
        return list(items)
    step = (len(items) - 1) / (most - 1)
    return [items[round(step * place)] for place in range(most)]
