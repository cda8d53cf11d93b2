"""A score as lines of text, for a terminal: dots of Braille, or plain letters where those lack."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence

import numpy as np

from animix.score import Score, Strip
from animix.tables import short_path
from animix.timeline.arrays import Floats

MOST_LINES = 100
NAME, VALUE = 24, 7
"""Columns left of the curves: what a strip is called, and its bounds."""
TALLEST = 4

_DOTS = ((0x40, 0x04, 0x02, 0x01), (0x80, 0x20, 0x10, 0x08))
"""The bits of a Braille letter's dots, of each column from the bottom up."""
_LETTERS = "_-'"
"""A third of a line each, where there is no Braille."""
_PLAIN = str.maketrans({"·": "|", "─": "-", "│": "|", "…": "~", "×": "x", "●": "o"})


def score_lines(score: Score, width: int, *, plain: bool = False) -> list[str]:
    """A score in lines of at most ``width`` columns; ``plain`` in ASCII.

    There are at most 100: strips are lower where there are many, and the last of too many are
    only counted.
    """
    width = max(width, NAME + VALUE + 24)
    columns = width - NAME - VALUE - 2
    head = [f"{score.title}: {score.told}"]
    still = textwrap.wrap("still: " + " · ".join(score.still), width)[:8]
    rows = _times(score, columns)
    if score.markers or score.sections:
        rows += [(name, line, "") for name, line in _names(score, columns)]
    if score.peaks is not None:
        rows.append(("sound", _loudness(score.peaks, columns, plain), ""))
    room = MOST_LINES - len(head) - len(still) - len(rows) - 2
    tall = [strip for strip in score.strips if strip.scale != "shares"]
    lows = len(score.strips) - len(tall)
    num_curves = max(1, sum(len(strip.lines) for strip in tall))
    height = max(2, min(TALLEST, (room - lows) // num_curves))
    is_roomy = room >= lows + num_curves * height + len(score.strips)
    for strip in score.strips:
        drawn = (
            [(strip.name, _ribbon(score, strip, columns), "")]
            if strip.scale == "shares"
            else _curves(score, strip, columns, height, plain)
        )
        apart = [("", "", "")] * is_roomy
        drawn = [*apart, *drawn]
        if room < len(drawn):
            rows.append(("…", "more that moves is drawn into a file: --output curves.svg", ""))
            break
        room -= len(drawn)
        rows += drawn
    told = [
        f"{short_path(name, NAME):<{NAME}} {value:>{VALUE}} {line}".rstrip()
        for name, line, value in rows
    ]
    lines = [*head, *told, *still]
    if plain:
        lines = [
            line.translate(_PLAIN).encode("ascii", "replace").decode("ascii") for line in lines
        ]
    return lines


def _column(seconds: float, score: Score, columns: int) -> int:
    return min(columns - 1, max(0, int(seconds / float(score.duration) * columns + 1e-6)))


def _write(line: list[str], column: int, text: str) -> bool:
    """Write a text into a line if there is room, with a blank before and behind it."""
    around = line[max(0, column - 1) : column + len(text) + 1]
    if column + len(text) > len(line) or any(letter != " " for letter in around):
        return False
    line[column : column + len(text)] = text
    return True


def _times(score: Score, columns: int) -> list[tuple[str, str, str]]:
    """The bars, if there are any, and the seconds, as many as there is room for."""
    lines = []
    if bars := [seconds for seconds, is_bar in score.beats() if is_bar]:
        line = [" "] * columns
        stride = _stride(len(bars), columns, 8)
        for seconds in bars:
            name = score.place(seconds)
            number = int(name[4:]) if name else 0
            if number and (number - 1) % stride == 0 and seconds < score.duration:
                _write(line, _column(seconds, score, columns), f"│{number}")
        lines.append(("", "".join(line), "bar"))
    line = [" "] * columns
    duration = float(score.duration)
    step = _round(duration / max(2, columns // 10))
    for number in range(int(duration / step) + 1):
        if number * step < duration - 1e-6:
            _write(line, _column(number * step, score, columns), f"│{number * step:.4g}")
    return [*lines, ("", "".join(line), "s")]


def _stride(count: int, columns: int, room: int) -> int:
    """Every how many of ``count`` are named, in powers of two."""
    stride = 1
    while count / stride * room > columns:
        stride *= 2
    return stride


def _round(seconds: float) -> float:
    """The next of 1, 2, 5, 10, … from a length up."""
    power = 10.0 ** np.floor(np.log10(seconds))
    return float(next(n * power for n in (1, 2, 5, 10) if n * power >= seconds * (1 - 1e-9)))


def _names(score: Score, columns: int) -> list[tuple[str, str]]:
    """The sections as spans, and the markers at their places."""
    rows = []
    sections, markers = [" "] * columns, [" "] * columns
    for name, start, stop in score.sections:
        first, last = (_column(seconds, score, columns) for seconds in (start, stop))
        length = max(1, last - first + (stop >= score.duration))
        shown = f"│{name} "[:length]
        sections[first : first + length] = shown + "─" * (length - len(shown))
    for name, seconds in score.markers:
        column = _column(seconds, score, columns)
        _write(markers, column, f"│{name}"[: columns - column]) or _write(markers, column, "│")
    if score.sections:
        rows.append(("sections", "".join(sections)))
    if score.markers:
        rows.append(("markers", "".join(markers)))
    return rows


def _loudness(peaks: Floats, columns: int, plain: bool) -> str:
    """How loud the sound is, a letter for each part of it."""
    levels = " .:-=+*#" if plain else " ▁▂▃▄▅▆▇█"
    parts = np.array_split(np.abs(peaks).max(axis=1), columns)
    loud = np.array([part.max(initial=0.0) for part in parts])
    loud = loud / (float(loud.max()) or 1.0)
    return "".join(levels[round(each * (len(levels) - 1))] for each in loud.tolist())


def _ribbon(score: Score, strip: Strip, columns: int) -> str:
    """Which source has the largest share, named where it begins."""
    shares = np.stack([_resampled(score, line.values, columns) for line in strip.lines])
    largest = shares.argmax(axis=0)
    text = ""
    starts = [0, *(np.flatnonzero(np.diff(largest)) + 1).tolist()]
    for start, stop in zip(starts, [*starts[1:], columns], strict=True):
        name = f"│{strip.lines[int(largest[start])].name} "[: stop - start]
        text += name + "─" * (stop - start - len(name))
    return text


def _resampled(score: Score, values: Floats, count: int) -> Floats:
    """The values in the middle of even parts of the clip."""
    moments = (np.arange(count) + 0.5) * float(score.duration) / count
    places = np.searchsorted(score.seconds, moments, side="right") - 1
    found: Floats = values[np.clip(places, 0, len(values) - 1)]
    return found


def _curves(
    score: Score, strip: Strip, columns: int, height: int, plain: bool
) -> list[tuple[str, str, str]]:
    """The lines of a strip, one beneath the other: what each is called, its letters, its bounds."""
    found = []
    for line in strip.lines:
        name = f"{strip.name} {line.name}".strip()
        low, high = float(line.values.min()), float(line.values.max())
        if low == high:
            found.append((name, "─" * columns, f"{low:.4g}"))
            continue
        values = np.log2(line.values) if strip.scale == "octaves" else line.values
        bottom, top = float(values.min()), float(values.max())
        levels = 3 if plain else 4
        per_letter = 1 if plain else 2
        scale = (height * levels - 1) / (top - bottom)
        ends = _extremes(score, (values - bottom) * scale, columns * per_letter)
        letters = _plain(ends, height) if plain else _braille(ends, height)
        for number, row in enumerate(letters):
            value = {0: f"{high:.4g}", height - 1: f"{low:.4g}"}.get(number, "")
            found.append((name if number == 0 else "", row, value))
    return found


def _extremes(score: Score, values: Floats, count: int) -> list[tuple[int, int]]:
    """The lowest and highest step of what is shown in each of even parts of the clip."""
    moments = np.arange(count) * float(score.duration) / count
    starts = np.maximum(np.searchsorted(score.seconds, moments + 1e-6, side="right") - 1, 0)
    # Where several parts show one frame, each has that frame alone.
    low, high = (extreme.reduceat(values, starts) for extreme in (np.minimum, np.maximum))
    pairs = np.rint(np.stack([low, high], axis=1)).astype(np.int64)
    return [(first, last) for first, last in pairs.tolist()]


def _joined(ends: Sequence[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Ends that reach to those before them, so that a line has no gaps where it jumps."""
    before = ends[0]
    for low, high in ends:
        yield min(low, before[1] + 1), max(high, before[0] - 1)
        before = low, high


def _plain(ends: Sequence[tuple[int, int]], height: int) -> list[str]:
    """Rows from the top, a letter for each part: three steps to a row."""
    rows = [[" "] * len(ends) for _ in range(height)]
    for column, ((first, last), (low, high)) in enumerate(zip(_joined(ends), ends, strict=True)):
        is_short = high - low <= 3
        for row in range(first // 3 + is_short, last // 3 + 1 - is_short):
            rows[height - 1 - row][column] = "|"
        if is_short:
            row, part = divmod((low + high) // 2, 3)
            rows[height - 1 - row][column] = _LETTERS[part]
    return ["".join(row) for row in rows]


def _braille(ends: Sequence[tuple[int, int]], height: int) -> list[str]:
    """Rows from the top, two parts to a letter: four steps to a row."""
    cells = [[0] * (len(ends) // 2) for _ in range(height)]
    for place, (first, last) in enumerate(_joined(ends)):
        for step in range(first, last + 1):
            row, part = divmod(step, 4)
            cells[height - 1 - row][place // 2] |= _DOTS[place % 2][part]
    return ["".join(chr(0x2800 + cell) if cell else " " for cell in row) for row in cells]
