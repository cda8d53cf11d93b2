"""Captions: lines that name what a cell of a frame shows, and tell what of it moves."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import PurePath
from typing import TypeAlias

import numpy as np
from PIL import Image, ImageDraw

from animix.lettering import BRIGHT, DIM, Colour, fitting, font_of, plate, width_of
from animix.palette import colours_of
from animix.schedule import LayerSamples, Schedule, at
from animix.timeline.arrays import Floats
from animix.timeline.grid import Panel, Place

LETTERS = 0.025
"""Size of the font in sides of the canvas: 27 pixels of 1080."""
MOST_LETTERS = 0.045
"""Of a cell's side, where that is small."""
SMALLEST_LETTERS = 10
MOST_OF_CELL = 0.8
"""Of a cell's height that a caption may take."""
SMALLEST_CELL = 8
"""Sides of a cell in letters: in a smaller one nothing would be seen beside its caption."""
SHORTEST_NAME = 2.5
"""Of a network that is cut, in letters' heights: four letters or five."""
LONGEST_SOURCE = 12
"""Letters of a latent file's name."""


def letters_in(cell: Place, canvas_size: tuple[int, int]) -> int:
    """The size of the font in a cell of a canvas, in pixels; all that is drawn goes by it."""
    most = round(MOST_LETTERS * min(cell.width, cell.height))
    return max(SMALLEST_LETTERS, min(most, round(LETTERS * min(canvas_size))))


def margin_of(letters: int) -> int:
    """From a cell's border to what is drawn into it."""
    return round(0.9 * letters)


State: TypeAlias = "tuple[tuple[str, ...], ...]"
"""The values in a caption at a moment, line by line."""


@dataclass(frozen=True, eq=False)
class Dial:
    """A value that a line tells of each frame."""

    word: str
    text: Callable[[int], str]
    """Its value at a frame."""
    widest: str
    """What takes at least as much room as any value."""


@dataclass(frozen=True, eq=False)
class Line:
    """A line of a caption."""

    name: str
    colour: Colour | None
    """Of the mark before it; None: it has none."""
    dials: tuple[Dial, ...] = ()

    @property
    def looks(self) -> tuple[object, ...]:
        """What of it is the same in all frames."""
        return self.name, self.colour, tuple((dial.word, dial.widest) for dial in self.dials)

    def state(self, index: int) -> tuple[str, ...]:
        """What of it is a frame's own."""
        return tuple(dial.text(index) for dial in self.dials)


@dataclass(frozen=True, eq=False)
class Caption:
    """Lines on a plate in the upper left corner of a cell."""

    cell: Place
    letters: int
    lines: tuple[Line, ...]

    @property
    def looks(self) -> tuple[object, ...]:
        """What of it is the same in all frames."""
        return self.cell, self.letters, tuple(line.looks for line in self.lines)

    def state(self, index: int) -> State:
        """What of it is a frame's own."""
        return tuple(line.state(index) for line in self.lines)

    @property
    def place(self) -> Place:
        """Where its plate lies."""
        margin = margin_of(self.letters)
        width, height = self.image.size
        return Place(self.cell.left + margin, self.cell.top + margin, width, height)

    @cached_property
    def image(self) -> Image.Image:
        """The plate with all that is the same in all frames, RGBA."""
        size = self.letters
        width = max(self._lefts(line)[-1] for line in self.lines) + _pad(size)
        height = len(self.lines) * leading_of(size) + 2 * _pad(size) - round(0.3 * size)
        image = plate(width, height, round(0.35 * size))
        pen, font = ImageDraw.Draw(image), font_of(size)
        for number, line in enumerate(self.lines):
            left, top = _pad(size), _pad(size) + number * leading_of(size)
            if line.colour is not None:
                draw_mark(pen, (left, top), size, line.colour)
            pen.text((left + indent_of(size), top), line.name, (*BRIGHT, 255), font, anchor="la")
            for dial, place in zip(line.dials, self._lefts(line), strict=False):
                pen.text((place, top), dial.word, (*DIM, 255), font, anchor="la")
        return image

    @cached_property
    def windows(self) -> list[tuple[Dial, Place]]:
        """The dials, and where on the canvas their values stand."""
        size, found = self.letters, []
        for number, line in enumerate(self.lines):
            top = self.place.top + _pad(size) + number * leading_of(size)
            for dial, left in zip(line.dials, self._lefts(line), strict=False):
                left += self.place.left + width_of(f"{dial.word} ", size)
                width = width_of(dial.widest, size)
                found.append((dial, Place(left, top, width, leading_of(size))))
        return found

    def _lefts(self, line: Line) -> list[int]:
        """Where the first, second, … dial of a line begins, and where the last one ends.

        Dials of lines with names stand below each other.
        """
        size = self.letters
        alike = [each for each in self.lines if bool(each.name) == bool(line.name)]
        lefts = [_pad(size)]
        if line.name:
            lefts[0] += indent_of(size) + max(width_of(each.name, size) for each in alike)
        for number in range(len(line.dials)):
            dials = [each.dials[number] for each in alike if len(each.dials) > number]
            widths = [width_of(f"{dial.word} {dial.widest}", size) for dial in dials]
            lefts[-1] += round(0.8 * size) if line.name or number else 0
            lefts.append(lefts[-1] + max(widths))
        return lefts


def draw_mark(pen: ImageDraw.ImageDraw, place: tuple[int, int], size: int, colour: Colour) -> None:
    """Draw the mark of a network's colour before its name, whose letters begin at a place."""
    (left, top), side = place, round(0.62 * size)
    top += round(0.3 * size)
    pen.rectangle((left, top, left + side - 1, top + side - 1), fill=(*colour, 255))


def _pad(size: int) -> int:
    return round(0.55 * size)


def leading_of(size: int) -> int:
    """From line to line."""
    return round(1.4 * size)


def indent_of(size: int) -> int:
    """Of a name behind its mark."""
    return round(1.05 * size)


def make_captions(
    schedule: Schedule,
    cells: Sequence[Place],
    canvas_size: tuple[int, int],
    taken: Place | None = None,
) -> tuple[list[Caption], list[str]]:
    """The captions of a frame's cells: of the first path what is seen, of several paths the seeds.

    None lies on the place that is ``taken``. Where they don't fit their cell names are cut, then
    values left out, and else the caption: the second of the results tells what is.
    """
    captions: list[Caption] = []
    missing: set[str] = set()
    grid = schedule.grid
    first_of_path: dict[int, int] = {}
    for number, panel in enumerate(grid.panels):
        first_of_path.setdefault(panel.path, number)
    for number, (panel, cell) in enumerate(zip(grid.panels, cells, strict=True)):
        lines = list(_view(schedule, panel)) if panel.path == 0 else []
        if grid.num_paths > 1 and first_of_path[panel.path] == number:
            lines.append(Line("", None, (_seed(schedule, panel),)))
        if lines:
            caption = Caption(cell, letters_in(cell, canvas_size), tuple(lines))
            fitted = _fitted(caption, taken)
            if fitted is None:
                missing.add("labels")
            else:
                captions.append(fitted)
                if len(fitted.windows) < len(caption.windows):
                    missing.add("values in labels")
    return captions, sorted(missing)


def _fitted(caption: Caption, taken: Place | None) -> Caption | None:
    """A caption as it fits its cell beside a place that is taken; None where it doesn't."""
    cell, size = caption.cell, caption.letters
    room = cell.width - 2 * margin_of(size)
    if min(cell.width, cell.height) < SMALLEST_CELL * size:
        return None
    if caption.place.height > MOST_OF_CELL * cell.height:
        return None
    gap, place = margin_of(size) // 2, caption.place
    if taken is not None and _meet(cell, taken) and place.top + place.height + gap > taken.top:
        room = min(room, taken.left - gap - place.left)
    bare = [replace(line, dials=()) if line.name else line for line in caption.lines]
    for lines in (caption.lines, tuple(bare)):
        fitted = _cut(replace(caption, lines=lines), room)
        if fitted.place.width <= room:
            return fitted
    return None


def _cut(caption: Caption, room: int) -> Caption:
    """A caption whose names are as short as it takes to fit a room, but can still be read."""
    size, over = caption.letters, caption.place.width - room
    names = [line.name for line in caption.lines]
    left = max(width_of(name, size) for name in names) - over
    if over <= 0 or left < SHORTEST_NAME * size:
        return caption
    cut = [fitting(name, size, left) for name in names]
    if len(set(cut)) < len(set(names)):  # which is which is not to be told any more
        return caption
    lines = (replace(line, name=name) for line, name in zip(caption.lines, cut, strict=True))
    return replace(caption, lines=tuple(lines))


def _meet(one: Place, other: Place) -> bool:
    """Whether rectangles have pixels in common."""
    across = max(one.left, other.left) < min(one.left + one.width, other.left + other.width)
    down = max(one.top, other.top) < min(one.top + one.height, other.top + other.height)
    return across and down


def _view(schedule: Schedule, panel: Panel) -> Iterator[Line]:
    """A line for each network that a panel shows, from the bottom up."""
    colours = colours_of(schedule.columns)
    counts = {column.network: column.num_snapshots for column in schedule.columns}
    if panel.network is not None:
        position = schedule.position_of(panel.network)
        moving = _snapshot(position, counts[panel.network], lowest=1)
        yield Line(panel.network, colours[panel.network], tuple(moving))
        return
    for number, layer in enumerate(schedule.layers):
        network = schedule.columns[layer.columns[0]].network
        dials = [] if number == 0 else list(_laid(layer, schedule))
        dials += _snapshot(layer.position, counts[network], lowest=0 if number else 1)
        yield Line(network, colours[network], tuple(dials))


def _laid(layer: LayerSamples, schedule: Schedule) -> Iterator[Dial]:
    """How a network is laid over others, where that isn't as a matter of course."""
    lowest, highest = 2.0, float(np.log2(2 * schedule.facts.img_resolution))
    whole, nothing = (lowest, highest) if layer.take == "high" else (highest, lowest)

    def swap(index: int) -> str:
        octaves = at(layer.swap_octaves, index)
        words = {whole: "all", nothing: "none"}
        return words.get(octaves, f"{2**octaves:.0f}")

    if (layer.swap_octaves != whole).any():
        highest_number = f"{2 ** float(layer.swap_octaves.max()):.0f}"
        yield Dial("swap", swap, max("none", "8" * len(highest_number), key=len))
    (alpha, *others) = {id(samples): samples for samples in layer.alpha}.values()
    # By resolution there is more than one; the chart shows them.
    if not others and (alpha != 1).any():
        ends = [f"{float(alpha.min()):.2f}", f"{float(alpha.max()):.2f}"]
        widest = "-8.88" if ends[0].startswith("-") else "8.88"
        yield Dial("alpha", lambda index: f"{at(alpha, index):.2f}", max(widest, *ends, key=len))


def _snapshot(position: Floats | None, count: int, lowest: int) -> Iterator[Dial]:
    """Where a network stands in its run, if it has one and isn't at its end."""
    if position is not None and count > 1 and (position != count).any():

        def text(index: int) -> str:
            return f"{max(at(position, index), lowest):.1f}"

        yield Dial("snapshot", text, f"{'8' * len(str(count))}.8")


def _seed(schedule: Schedule, panel: Panel) -> Dial:
    """The latent that a path is nearest to, of several by resolution at the lowest."""
    path = schedule.paths_of(panel)[0]

    def text(index: int) -> str:
        weights = path.at(index).latents
        source, _ = max(weights, key=lambda each: each[1])
        return told(source)

    def told(source: int | str) -> str:
        return str(source) if isinstance(source, int) else PurePath(source).name[:LONGEST_SOURCE]

    return Dial("seed", text, max(map(told, path.sources), key=len))
