"""Pages: a clip's stills over the curves of its parameters, a line of time beneath the other."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from animix.figure import COLOURS, write_figure
from animix.score import Line, Score, Strip, pieces
from animix.tables import short_path

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Inches.
MARGIN = 0.25
LEFT = 1.75
WIDTH = 11.6
RIGHT = 0.35
NAMES = 0.75
"""Right of the curves, where several lines of one strip have names."""
TILE_HEIGHT = 2.1
"""At most."""
RULER = 0.44
FLAG = 0.2
STRIP = 0.56
LABEL = 0.14
"""What the name of one of several lines takes."""
GAP = 0.1
BETWEEN = 0.42
"""From one line of time to the next."""

INK, GREY, BAR, BEAT, MARKER, SOUND = (
    "#222222",
    "#777777",
    "#c4c4c4",
    "#ececec",
    "#b3261e",
    "#6b7a8f",
)
SECTIONS = ("#f3ead2", "#dcebe3", "#e3e2f2", "#f4e0df")
MOST_PEAKS = 1200
"""Of a line of time; it is 1400 pixels wide."""
MOST_POINTS = 2 * MOST_PEAKS
MOST_DOTS = 64
"""Keys of a line of time beyond which dots would hide the curve."""


def write_page(
    score: Score, moments: Sequence[float], stills: Sequence[Image.Image], target: Path
) -> None:
    """Draw a score into an SVG or a PNG, over it a still of each moment, if there are any.

    The moments are in seconds, a step apart, and are told above their stills.
    """
    write_figure(lambda: _page(score, moments, stills), target)


@dataclass(frozen=True)
class _System:
    """A line of time."""

    start: float
    stop: float
    places: range
    """Its moments."""


def _page(score: Score, moments: Sequence[float], stills: Sequence[Image.Image]) -> Figure:
    from matplotlib.figure import Figure

    alone = float(score.duration) - moments[0]
    step = moments[1] - moments[0] if len(moments) > 1 else alone
    systems = []
    lines = list(pieces(len(moments)))
    for places in lines:
        start = 0.0 if places.start == 0 else moments[places.start]
        # What is before the first bar belongs to it; the clip may end within the last step.
        stop = moments[places.start] + len(lines[0]) * step
        systems.append(_System(start, stop, places))
    named = any(_named(strip) for strip in score.strips)
    width = LEFT + WIDTH + RIGHT + NAMES * named
    still = textwrap.wrap("still:  " + "  ·  ".join(score.still), 190)[:6]
    head = MARGIN + 0.66 + 0.17 * len(still)
    tile_height = 0.0
    if stills:
        inches = WIDTH * step / max(system.stop - system.start for system in systems) - 0.04
        shape = max(each.height / each.width for each in stills)
        tile_height = min(TILE_HEIGHT, inches * shape)
    flags = _flags(score, systems)
    of_system = tile_height + RULER + GAP + FLAG * _num_rows(flags)
    of_system += 0 if score.peaks is None else STRIP + GAP
    of_system += sum(_height(strip) + GAP for strip in score.strips)
    height = head + len(systems) * of_system + (len(systems) - 1) * BETWEEN + MARGIN
    figure = Figure(figsize=(width, height))
    pen = _Pen(figure, width, height)
    pen.say(MARGIN, MARGIN + 0.16, score.title, size=14, weight="bold", color=INK)
    pen.say(MARGIN, MARGIN + 0.4, score.told, size=9.5, color=INK)
    for number, text in enumerate(still):
        pen.say(MARGIN, MARGIN + 0.6 + 0.17 * number, text, size=8.5, color=GREY)
    for number, system in enumerate(systems):
        top = head + number * (of_system + BETWEEN)
        _Drawing(pen, score, system, moments).draw(top, stills, tile_height, flags)
    return figure


def _height(strip: Strip) -> float:
    return max(STRIP, LABEL * len(_named(strip)))


def _named(strip: Strip) -> list[tuple[Line, str]]:
    """The lines of a strip that have a name beside it, with their colours."""
    if len(strip.lines) == 1 or strip.scale == "shares":
        return []
    return list(zip(strip.lines, COLOURS * len(strip.lines), strict=False))


def _flags(score: Score, systems: Sequence[_System]) -> dict[str, int]:
    """The row of each name above the curves, so that none lies over another."""
    rows: dict[str, int] = {}
    ends: list[float] = []
    scale = max(system.stop - system.start for system in systems) / WIDTH
    named = [(name, at) for name, at, _ in score.sections] + list(score.markers)
    for name, start in sorted(named, key=lambda each: each[1]):
        length = (0.085 * min(len(name), 24) + 0.16) * scale
        row = next((n for n, end in enumerate(ends) if end <= start), len(ends))
        ends[row : row + 1] = [start + length]
        rows[name] = row
    return rows


def _num_rows(flags: dict[str, int]) -> int:
    return 1 + max(flags.values(), default=-1)


class _Pen:
    """Draws in inches from the upper left."""

    def __init__(self, figure: Figure, width: float, height: float) -> None:
        self.figure, self.width, self.height = figure, width, height

    def axes(self, top: float, height: float) -> Axes:
        """An empty drawing over the axis of time."""
        place = (
            LEFT / self.width,
            1 - (top + height) / self.height,
            WIDTH / self.width,
            height / self.height,
        )
        axes = self.figure.add_axes(place)
        axes.set_yticks([])
        axes.set_xticks([])
        axes.grid(visible=False)
        for spine in axes.spines.values():
            spine.set_visible(False)
        axes.patch.set_visible(False)
        return axes

    def say(self, left: float, middle: float, text: str, size: float, **style: Any) -> None:
        """Write a text."""
        place = (left / self.width, 1 - middle / self.height)
        self.figure.text(*place, text, fontsize=size, va="center", **style)


class _Drawing:
    """Draws a line of time: stills, times, names, sound and strips."""

    def __init__(self, pen: _Pen, score: Score, system: _System, moments: Sequence[float]) -> None:
        self.pen, self.score, self.system, self.moments = pen, score, system, moments
        self.span = system.stop - system.start
        # To the end of the clip and no further.
        self.inside = (system.start, min(system.stop, float(score.duration)))

    def draw(
        self,
        top: float,
        stills: Sequence[Image.Image],
        tile_height: float,
        flags: dict[str, int],
    ) -> None:
        """Draw everything, from ``top`` inches down."""
        if stills:
            self._stills(top, tile_height, stills)
            top += tile_height
        self._ruler(top)
        top += RULER
        if rows := _num_rows(flags):
            self._flags(top, rows, flags)
            top += FLAG * rows
        top += GAP
        if self.score.peaks is not None:
            self._sound(top, self.score.peaks)
            top += STRIP + GAP
        for number, strip in enumerate(self.score.strips):
            self._strip(top, strip, COLOURS[number % len(COLOURS)])
            top += _height(strip) + GAP

    def _axes(self, top: float, height: float) -> Axes:
        axes = self.pen.axes(top, height)
        axes.set_xlim(self.system.start, self.system.stop)
        return axes

    def _grid(self, axes: Axes) -> None:
        """Sections, bars, beats and markers behind a curve."""
        start, stop = self.inside
        for number, (_, first, last) in enumerate(self.score.sections):
            if first < stop and last > start:
                shade = SECTIONS[number % len(SECTIONS)]
                axes.axvspan(max(first, start), min(last, stop), color=shade, lw=0, zorder=0)
        beats = [each for each in self.score.beats() if start <= each[0] <= stop]
        dense = len(beats) > 80
        for seconds, is_bar in beats:
            if is_bar or not dense:
                axes.axvline(seconds, color=BAR if is_bar else BEAT, lw=0.7, zorder=0.5)
        if not beats:
            for place in self.system.places:
                axes.axvline(self.moments[place], color=BEAT, lw=0.7, zorder=0.5)
        for _, seconds in self._markers():
            axes.axvline(seconds, color=MARKER, lw=0.9, ls=(0, (3, 2)), zorder=3)

    def _markers(self) -> list[tuple[str, float]]:
        """Those of this line of time; one where it ends stands in the next, if there is one."""
        start, stop = self.inside
        to_end = stop >= float(self.score.duration)
        return [
            (name, seconds)
            for name, seconds in self.score.markers
            if start <= seconds < stop or (to_end and seconds >= stop)
        ]

    def _stills(self, top: float, height: float, stills: Sequence[Image.Image]) -> None:
        axes = self._axes(top, height)
        axes.set_ylim(0, 1)
        for place in self.system.places:
            still = stills[place]
            seconds = height * still.width / still.height * self.span / WIDTH
            extent = (self.moments[place], self.moments[place] + seconds, 0, 1)
            axes.imshow(np.asarray(still), extent=extent, aspect="auto", clip_on=False)
        # A picture brings limits of its own.
        axes.set_xlim(self.system.start, self.system.stop)
        axes.set_ylim(0, 1)

    def _ruler(self, top: float) -> None:
        axes = self._axes(top, RULER)
        axes.set_ylim(0, 1)
        for place in self.system.places:
            seconds = self.moments[place]
            clock = f"{seconds:.4g} s"
            musical = self.score.place(seconds)
            axes.axvline(seconds, 0.72, 1, color=INK, lw=0.8)
            style: dict[str, Any] = {"fontsize": 8, "va": "center", "clip_on": False}
            if musical:
                axes.text(seconds, 0.52, musical, color=INK, weight="bold", **style)
                axes.text(seconds, 0.18, clock, color=GREY, **style)
            else:
                axes.text(seconds, 0.52, clock, color=INK, **style)

    def _flags(self, top: float, rows: int, flags: dict[str, int]) -> None:
        axes = self._axes(top, FLAG * rows)
        axes.set_ylim(rows, 0)
        start, stop = self.inside
        style: dict[str, Any] = {"fontsize": 8, "va": "center", "zorder": 4}
        pad = 0.06 * self.span / WIDTH
        for number, (name, first, last) in enumerate(self.score.sections):
            if first < stop and last > start:
                left, right = max(first, start), min(last, stop)
                shade, row = SECTIONS[number % len(SECTIONS)], flags[name]
                axes.axvspan(left, right, 0, 1, color=shade, lw=0, zorder=0)
                axes.text(left + pad, row + 0.5, name[:24], color=INK, weight="bold", **style)
        for name, seconds in self._markers():
            # From its name down, so that it crosses none of those above.
            down = [flags[name], rows]
            axes.plot([seconds] * 2, down, color=MARKER, lw=0.9, ls=(0, (3, 2)), zorder=3)
            axes.text(seconds + pad, flags[name] + 0.5, name[:24], color=MARKER, **style)

    def _name(self, top: float, height: float, name: str, colour: str) -> None:
        self.pen.say(
            MARGIN, top + height / 2, short_path(name, 20), size=8.5, color=colour, weight="bold"
        )

    def _sound(self, top: float, peaks: np.ndarray[Any, np.dtype[np.float64]]) -> None:
        axes = self._axes(top, STRIP)
        self._grid(axes)
        seconds = np.linspace(0, float(self.score.duration), len(peaks), endpoint=False)
        start, stop = np.searchsorted(seconds, self.inside)
        # No more of them than a page shows, and of those the extremes.
        places = np.arange(start, stop, max(1, (stop - start) // MOST_PEAKS))
        low, high = peaks.min(), peaks.max()
        if len(places):
            lows = np.minimum.reduceat(peaks[:stop, 0], places)
            highs = np.maximum.reduceat(peaks[:stop, 1], places)
            axes.fill_between(seconds[places], lows, highs, color=SOUND, lw=0.3, step="post")
        loudest = max(-low, high) or 1.0
        axes.set_ylim(-loudest * 1.05, loudest * 1.05)
        self._name(top, STRIP, "sound", SOUND)

    def _strip(self, top: float, strip: Strip, colour: str) -> None:
        height = _height(strip)
        axes = self._axes(top, height)
        self._grid(axes)
        low, high = strip.low, strip.high
        if strip.scale == "octaves":
            axes.set_yscale("log", base=2)
            axes.minorticks_off()
            axes.set_ylim(low / 1.25, high * 1.25)
        elif strip.scale == "shares":
            low, high = 0.0, 1.0
            axes.set_ylim(min(strip.low, 0) - 0.04, max(strip.high, 1) + 0.04)
        else:
            axes.set_ylim(low - 0.12 * (high - low), high + 0.12 * (high - low))
        axes.set_yticks([low, high], [f"{low:.4g}", f"{high:.4g}"])
        axes.tick_params(axis="y", labelsize=7, labelcolor=GREY, length=2, color=BAR)
        axes.spines["left"].set_visible(True)
        axes.spines["left"].set_color(BAR)
        self._name(top, height, strip.name, INK if len(strip.lines) > 1 else colour)
        if strip.scale == "shares":
            self._shares(axes, strip)
            return
        coloured = _named(strip) or [(strip.lines[0], colour)]
        for line, its_colour in coloured:
            self._line(axes, line, its_colour)
        for number, (line, its_colour) in enumerate(_named(strip)):
            middle = top + height / 2 + LABEL * (number - (len(strip.lines) - 1) / 2)
            self.pen.say(LEFT + WIDTH + 0.1, middle, line.name, size=7.5, color=its_colour)

    def _curve(self, line: Line) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
        """The samples in this line of time, and what lies beside it."""
        seconds, values = self.score.seconds, line.values
        # The last frame stands until the clip is over, or leads back to the first.
        seconds = np.append(seconds, float(self.score.duration))
        values = np.append(values, values[0] if self.score.loop else values[-1])
        start, stop = np.searchsorted(seconds, self.inside)
        chosen = slice(max(0, int(start) - 1), int(stop) + 1)
        seconds, values = seconds[chosen], values[chosen]
        if len(values) <= MOST_POINTS:
            return seconds, values
        # Of more than a page shows the extremes, in turns.
        starts = np.arange(0, len(values), -(-2 * len(values) // MOST_POINTS))
        extremes = [extreme.reduceat(values, starts) for extreme in (np.minimum, np.maximum)]
        return np.repeat(seconds[starts], 2), np.stack(extremes, axis=1).ravel()

    def _line(self, axes: Axes, line: Line, colour: str) -> None:
        axes.plot(*self._curve(line), color=colour, lw=1.4, zorder=2, solid_joinstyle="round")
        start, stop = self.inside
        keys = [seconds for seconds in line.keys if start <= seconds <= stop]
        if len(keys) <= MOST_DOTS:
            values = [self.score.value(line, seconds) for seconds in keys]
            axes.plot(
                keys, values, "o", ms=3.4, mfc="white", mec=colour, mew=1, zorder=2.5, clip_on=False
            )

    def _shares(self, axes: Axes, strip: Strip) -> None:
        """Each source's share as a hill with its name."""
        box = {"facecolor": "white", "alpha": 0.9, "lw": 0, "pad": 1.2}
        for number, line in enumerate(strip.lines):
            colour = COLOURS[number % len(COLOURS)]
            seconds, values = self._curve(line)
            if not np.any(values):
                continue
            axes.plot(seconds, values, color=colour, lw=1.1, zorder=2)
            axes.fill_between(seconds, 0, values, color=colour, alpha=0.16, lw=0, zorder=1)
            name = short_path(line.name, 14)
            for first, last in _ruled(seconds, values):
                left, right = max(first, self.inside[0]), min(last, self.inside[1])
                inches = (right - left) * WIDTH / self.span
                if inches > 0.075 * len(name) + 0.08:
                    middle = (left + right) / 2
                    axes.text(
                        middle, 0.3, name, fontsize=8, weight="bold", color=colour, ha="center",
                        va="center", zorder=4, bbox=box,
                    )  # fmt: skip


def _ruled(
    seconds: np.ndarray[Any, Any], values: np.ndarray[Any, Any]
) -> list[tuple[float, float]]:
    """The spans in which a share is more than a half."""
    above = np.concatenate([[False], values > 0.5, [False]])
    edges = np.flatnonzero(above[1:] != above[:-1])
    return [
        (float(seconds[first]), float(seconds[min(last, len(seconds) - 1)]))
        for first, last in zip(edges[::2], edges[1::2], strict=True)
    ]
