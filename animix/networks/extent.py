"""The extent: how far a network paints beyond its square picture. No torch."""

from __future__ import annotations

from dataclasses import dataclass

from animix.errors import NetworkError

CELLS = 4
"""Cells along a side of the square picture: the pixels of StyleGAN2's constant."""


@dataclass(frozen=True)
class Extent:
    """Rows and columns of cells; a cell is a quarter of the square picture's side.

    The square picture is in the middle of them. One cell more than an even number is at the bottom,
    or on the right.

    >>> Extent(rows=8).sides(1024)
    (2048, 1024)
    """

    rows: int = CELLS
    columns: int = CELLS

    def __post_init__(self) -> None:
        if min(self.rows, self.columns) < CELLS:
            raise NetworkError(
                f"an extent of {self.rows} × {self.columns} cells: expected {CELLS} or more"
            )

    def sides(self, resolution: int) -> tuple[int, int]:
        """Height and width in pixels, where the square picture has ``resolution`` a side."""
        return resolution * self.rows // CELLS, resolution * self.columns // CELLS

    @property
    def area(self) -> float:
        """In square pictures."""
        return self.rows * self.columns / CELLS**2

    def added(self, resolution: int) -> tuple[int, int, int, int]:
        """Pixels at the square picture's left, right, top and bottom."""
        spans = []
        for cells in (self.columns, self.rows):
            before = (cells - CELLS) // 2
            spans += [before, cells - CELLS - before]
        left, right, top, bottom = (resolution * span // CELLS for span in spans)
        return left, right, top, bottom


SQUARE = Extent()


def extent_of(canvas_size: tuple[int, int]) -> Extent:
    """The fewest cells that cover a canvas (width, height) and have the square in their middle.

    9:16 are 7.1 rows. Seven would take an eighth less work, but with three more than the square has
    it would lie half a cell off the canvas's middle.

    >>> extent_of((1080, 1920)), extent_of((512, 512))
    (Extent(rows=8, columns=4), Extent(rows=4, columns=4))
    """
    width, height = canvas_size
    side = min(width, height)
    half = CELLS // 2
    rows, columns = (CELLS + 2 * -(-half * (length - side) // side) for length in (height, width))
    return Extent(rows, columns)
