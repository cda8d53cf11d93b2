"""Tables of a terminal: columns that line up, and texts that are safe to show there."""

from __future__ import annotations

from collections.abc import Sequence

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


def shown(text: str, limit: int = WIDTH) -> str:
    """A text from a file on one line, without characters that steer a terminal.

    >>> shown("red \\x1b[31m"), shown("a name without end", limit=8)
    ('red ?[31m', 'a name …')
    """
    # Metadata may be of any length, and so is only looked at as far as it is shown.
    text = " ".join(text[: 4 * limit].split())
    text = "".join(letter if letter.isprintable() else "?" for letter in text)
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


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
    if number >= 1e6:
        return f"{number / 1e6:.2f} M"
    return f"{number / 1e3:.0f} k" if number >= 1e4 else str(number)


def size_text(num_bytes: int) -> str:
    """A file's size.

    >>> size_text(3_600_000), size_text(812)
    ('3.6 MB', '812 bytes')
    """
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if (value := num_bytes / size) >= 1:
            return f"{value:.0f} {unit}" if value >= 100 else f"{value:.3g} {unit}"
    return f"{num_bytes} bytes"
