"""The grid: what stands side by side in one frame — the blend, single networks, several paths."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from types import EllipsisType
from typing import Literal

from animix.errors import Mark
from animix.timeline.framing import Fit

Inset = Literal["mix", "labels"]
INSETS: tuple[Inset, ...] = ("mix", "labels")
BLEND = "blend"
"""What ``show`` calls the whole stack; no network has this name."""

LARGEST_OWN_SIDE = 4096
"""Pixels of a canvas that is as large as its pictures; encoders and players take no more."""


@dataclass(frozen=True)
class Panel:
    """What one cell of a grid shows: the blend or a network alone, on one of the latent paths."""

    network: str | None = None
    """None: the blend."""
    path: int = 0
    """0: the timeline's own."""


@dataclass(frozen=True)
class Place:
    """A rectangle of the canvas, in pixels."""

    left: int
    top: int
    width: int
    height: int

    @property
    def pixels(self) -> tuple[EllipsisType, slice, slice]:
        """The index of its pixels in a canvas [..., H, W]."""
        rows = slice(self.top, self.top + self.height)
        return ..., rows, slice(self.left, self.left + self.width)


@dataclass(frozen=True)
class Grid:
    """The cells of a frame, row by row.

    >>> grid_of(["faces", "blend"], 2, 2).panels[2]
    Panel(network='faces', path=1)
    """

    columns: int = 1
    rows: int = 1
    panels: tuple[Panel, ...] = (Panel(),)
    mark: Mark | None = None

    def __post_init__(self) -> None:
        if len(self.panels) != self.columns * self.rows:
            raise ValueError(f"{len(self.panels)} panels in {self.columns} × {self.rows} cells")

    @property
    def num_paths(self) -> int:
        """Latent paths that it shows."""
        return 1 + max(panel.path for panel in self.panels)

    @property
    def shown(self) -> tuple[str, ...]:
        """What its first path is seen in: networks, and ``blend``."""
        return tuple(panel.network or BLEND for panel in self.of_path(0))

    def of_path(self, path: int) -> tuple[Panel, ...]:
        """The panels of a path, row by row."""
        return tuple(panel for panel in self.panels if panel.path == path)

    def own_size(self, side: int) -> tuple[int, int]:
        """The canvas of pictures of ``side`` pixels, as large as they are if that isn't too large.

        >>> Grid(2, 1, (Panel(), Panel(path=1))).own_size(256)
        (512, 256)
        """
        return self.size_of_cells((side, side))

    def size_of_cells(self, size: tuple[int, int]) -> tuple[int, int]:
        """The canvas of cells of a size, as large as they are if that isn't too large.

        >>> Grid(2, 1, (Panel(), Panel(path=1))).size_of_cells((640, 480))
        (1280, 480)
        """
        if len(self.panels) == 1:
            return size
        most = LARGEST_OWN_SIDE // max(self.columns, self.rows)
        share = min(1.0, most / max(size))
        width, height = (max(2, int(side * share) // 2 * 2) for side in size)
        return width * self.columns, height * self.rows

    def shape_of_cells(self, canvas_size: tuple[int, int]) -> tuple[int, int]:
        """Width and height of cells that fill a canvas, times a number that makes them whole."""
        return canvas_size[0] * self.rows, canvas_size[1] * self.columns

    def places(
        self, canvas_size: tuple[int, int], fit: Fit, shape: tuple[int, int] = (1, 1)
    ) -> tuple[Place, ...]:
        """Where each panel's cell lies, row by row; all sides are even.

        With ``blur`` and ``contain`` they have the ``shape`` of what they show, its width and
        height, and lie in the middle of the canvas, else they share all of it.

        >>> Grid(2, 1, (Panel(), Panel(path=1))).places((100, 80), "contain")[1]
        Place(left=50, top=14, width=50, height=50)
        """
        width, height = canvas_size
        if len(self.panels) == 1:
            return (Place(0, 0, width, height),)
        if fit in ("blur", "contain"):
            shares = (
                Fraction(width, self.columns * shape[0]),
                Fraction(height, self.rows * shape[1]),
            )
            wide, high = (max(1, int(side * min(shares)) // 2) * 2 for side in shape)
            left = (width - wide * self.columns) // 4 * 2
            top = (height - high * self.rows) // 4 * 2
            return tuple(
                Place(left + column * wide, top + row * high, wide, high)
                for row in range(self.rows)
                for column in range(self.columns)
            )
        lefts = [2 * (width * n // (2 * self.columns)) for n in range(self.columns + 1)]
        tops = [2 * (height * n // (2 * self.rows)) for n in range(self.rows + 1)]
        return tuple(
            Place(left, top, right - left, bottom - top)
            for top, bottom in pairwise(tops)
            for left, right in pairwise(lefts)
        )


def grid_of(shown: Sequence[str], columns: int, rows: int, mark: Mark | None = None) -> Grid | None:
    """The grid in whose cells views and paths lie; None where they don't fill it evenly.

    The views of a path lie beside each other, over several rows if they fill those; where they
    don't fill a row they lie one below the other, and paths beside each other.
    """
    count, cells = len(shown), columns * rows
    if cells % count:
        return None
    panels = [
        Panel(None if name == BLEND else name, path)
        for path in range(cells // count)
        for name in shown
    ]
    if columns % count and count % columns:
        if rows % count and count % rows:
            return None
        panels = [panels[column * rows + row] for row in range(rows) for column in range(columns)]
    return Grid(columns, rows, tuple(panels), mark)
