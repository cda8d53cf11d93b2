"""The chart of the mix: a column for each resolution, filled with what it holds of each network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from torch import Tensor

from animix.captions import draw_mark, indent_of, leading_of, margin_of
from animix.engine.transfer import upload
from animix.lettering import BRIGHT, DIM, fitting, font_of, plate, width_of
from animix.palette import colours_of, tint_of
from animix.schedule import Schedule
from animix.timeline.arrays import Floats
from animix.timeline.grid import Place

BAR = 0.9
"""Width of a column in letters of the font."""
SMALLEST_BAR = 7
BARS_HEIGHT = 4.5
MOST_OF_WIDTH = 0.9
MOST_OF_HEIGHT = 0.6
"""Of a cell, that the chart may take."""


@dataclass(frozen=True, eq=False)
class Chart:
    """Columns on a plate in the lower right corner of a cell."""

    schedule: Schedule
    cell: Place
    letters: int
    is_named: bool
    """Whether it names the networks, which captions may do as well."""

    @property
    def looks(self) -> tuple[object, ...]:
        """What of it is the same in all frames; the rest are their mixes."""
        names = [str(column) for column in self.schedule.columns]
        return self.cell, self.letters, self.is_named, names, self.schedule.facts.resolutions

    @property
    def fits(self) -> bool:
        """Whether there is room for it."""
        room = MOST_OF_WIDTH * self.cell.width, MOST_OF_HEIGHT * self.cell.height
        return self.place.width <= room[0] and self.place.height <= room[1]

    @property
    def place(self) -> Place:
        """Where its plate lies."""
        margin = margin_of(self.letters)
        width, height = self.image.size
        left = self.cell.left + self.cell.width - margin - width
        return Place(left, self.cell.top + self.cell.height - margin - height, width, height)

    @property
    def bars(self) -> Place:
        """Where on the canvas its columns lie."""
        left, top, width, height = self._bars
        return Place(self.place.left + left, self.place.top + top, width, height)

    @property
    def resolutions(self) -> list[int]:
        """Of its columns, from left to right."""
        return list(dict.fromkeys(self.schedule.facts.resolutions))

    def shares(self, frames: range) -> Floats:
        """What each resolution holds of each column of the mix, 0 to 1: [N, R, K].

        Of its layers the mean. What is extrapolated is more than all, or less than nothing: that is
        drawn as all and nothing.
        """
        mixes = np.nan_to_num(self.schedule.mixes(frames), posinf=1e9, neginf=-1e9)
        layers = np.array(self.schedule.facts.resolutions)
        means = [mixes[:, layers == each].mean(axis=1) for each in self.resolutions]
        held = np.clip(np.stack(means, axis=1), 0, None)
        found: Floats = held / held.sum(axis=2, keepdims=True).clip(1e-9)
        return found

    def draw(self, canvases: Tensor, frames: range) -> None:
        """Draw the columns on canvases [N, 3, H, W], where its plate lies already."""
        place, device = self.bars, canvases.device
        shares = self.shares(frames)
        used = np.flatnonzero(shares.any(axis=(0, 1)))
        ends = np.zeros((*shares.shape[:2], len(used) + 1))
        ends[..., 1:] = shares[..., used].cumsum(axis=2) * place.height
        tints = [self._tints[number] for number in used]
        columns = _stacked(upload(ends.astype(np.float32), device), place.height, tints)
        drawn, places = (upload(each, device) for each in self._columns_of_pixels)
        part = canvases[place.pixels]
        part.copy_(torch.where(drawn, columns[..., places], part))

    @cached_property
    def _tints(self) -> list[tuple[float, ...]]:
        """The colours of the columns of the mix, in [-1, 1]."""
        colours = colours_of(self.schedule.columns)
        tints = [tint_of(column, colours[column.network]) for column in self.schedule.columns]
        return [tuple(part / 127.5 - 1 for part in tint) for tint in tints]

    @cached_property
    def _columns_of_pixels(self) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
        """Along the columns which pixels are drawn, and the column that each belongs to: [W]."""
        pixels = np.arange(self.bars.width)
        return pixels % self._step < self._bar, pixels // self._step

    @property
    def _bar(self) -> int:
        return max(SMALLEST_BAR, round(BAR * self.letters))

    @property
    def _step(self) -> int:
        return self._bar + max(1, round(self._bar / 7))

    @property
    def _names(self) -> list[str]:
        """Those of the stack, from the bottom up."""
        columns = self.schedule.columns
        names = [columns[layer.columns[0]].network for layer in self.schedule.layers]
        return list(dict.fromkeys(names)) if self.is_named else []

    @cached_property
    def _bars(self) -> tuple[int, int, int, int]:
        """Left, top, width and height of the columns on the plate."""
        size = self.letters
        pad = round(0.6 * size)
        top = pad + leading_of(size) * len(self._names) + (round(0.3 * size) if self._names else 0)
        width = self._step * len(self.resolutions) - (self._step - self._bar)
        return pad, top, width, round(BARS_HEIGHT * size)

    @cached_property
    def image(self) -> Image.Image:
        """The plate with names and resolutions, RGBA."""
        size = self.letters
        small = max(9, round(0.78 * size))
        left, top, bars_width, bars_height = self._bars
        indent = indent_of(size)
        room = round(MOST_OF_WIDTH * self.cell.width) - 2 * left - indent
        names = {name: fitting(name, size, room) for name in self._names}
        widths = [indent + width_of(name, size) for name in names.values()]
        width = max([bars_width, *widths]) + 2 * left
        image = plate(width, top + bars_height + round(1.75 * small), round(0.35 * size))
        pen = ImageDraw.Draw(image)
        colours = colours_of(self.schedule.columns)
        for number, (name, shown) in enumerate(names.items()):
            line = left + leading_of(size) * number
            draw_mark(pen, (left, line), size, colours[name])
            pen.text((left + indent, line), shown, (*BRIGHT, 255), font_of(size), anchor="la")
        below = top + bars_height + round(0.3 * small)
        for place, text in self._ticks(small):
            pen.text((place, below), text, (*DIM, 255), font_of(small), anchor="la")
        return image

    def _ticks(self, small: int) -> list[tuple[int, str]]:
        """The resolutions that are written and their lefts, each in the middle of its column."""
        left, _, bars_width, _ = self._bars
        texts = [str(resolution) for resolution in self.resolutions]
        for step in range(1, len(texts) + 1):
            found = []
            for number in range(0, len(texts), step):
                width = width_of(texts[number], small)
                middle = left + number * self._step + self._bar / 2
                # The outermost ones stay over the plate.
                place = min(round(middle - width / 2), left + bars_width + left // 2 - width)
                found.append((max(left // 2, place), texts[number], width))
            gaps = [b[0] - a[0] - a[2] for a, b in pairwise(found)]
            if all(gap >= 0.35 * small for gap in gaps):
                return [(place, text) for place, text, _ in found]
        return []


def _stacked(ends: Tensor, height: int, colours: Sequence[Sequence[float]]) -> Tensor:
    """Stacked bars one pixel wide: [N, 3, height, R] of ends [N, R, K + 1] from 0 to the height.

    A pixel shows as much of each colour as it covers. Worked out step by step: products of matrices
    round otherwise for other numbers of frames.
    """
    rows = torch.arange(height, dtype=ends.dtype, device=ends.device).flip(0)[:, None]
    planes = [torch.zeros(1, device=ends.device)] * 3
    for number, colour in enumerate(colours):
        low, high = ends[:, None, :, number], ends[:, None, :, number + 1]
        covered = (torch.minimum(high, rows + 1) - torch.maximum(low, rows)).clamp(min=0)
        planes = [plane + covered * part for plane, part in zip(planes, colour, strict=True)]
    return torch.stack(planes, dim=1)
