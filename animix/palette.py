"""The palette: the colour by which each network is known in what is drawn into frames."""

from __future__ import annotations

from collections.abc import Sequence

from animix.lettering import Colour
from animix.schedule import Column

NETWORK_COLOURS: tuple[Colour, ...] = (
    (222, 220, 214),
    (86, 180, 233),
    (240, 162, 40),
    (204, 121, 167),
    (0, 172, 125),
    (240, 228, 66),
    (72, 122, 214),
    (224, 102, 32),
)
"""Of the networks of a stack, from the bottom up, and round again; the base is the light one.

After Okabe and Ito, "Color universal design", 2008, told apart whatever one's colour vision, and
made lighter where they stand on a dark plate."""
WHITENESS = 0.62
"""Of the first of many snapshots: a run begins pale and ends in its network's colour."""


def colours_of(columns: Sequence[Column]) -> dict[str, Colour]:
    """The colour of each network of a stack."""
    names = dict.fromkeys(column.network for column in columns)
    return {n: NETWORK_COLOURS[k % len(NETWORK_COLOURS)] for k, n in enumerate(names)}


def tint_of(column: Column, colour: Colour) -> Colour:
    """The colour of one snapshot.

    >>> tint_of(Column("faces", 1, num_snapshots=1), (0, 172, 125))
    (0, 172, 125)
    """
    to_come = (column.num_snapshots - column.snapshot) / column.num_snapshots
    red, green, blue = (round(part + (255 - part) * WHITENESS * to_come) for part in colour)
    return red, green, blue
