"""The views: which of them a frame shows in which grid, and what is drawn on them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from animix.tables import count
from animix.timeline.grid import BLEND, INSETS, Grid, Inset, grid_of
from animix.timeline.misread import Misread, quoted, suggestion
from animix.timeline.nodes import Broken, ListNode, Node
from animix.timeline.reading import Reading
from animix.timeline.timeline import LatentBand, NetworkRun

MOST_CELLS = 64
SMALLEST_CELL = 16
"""Pixels a side, as the smallest canvas has."""
NO_INSET = "none"

_GRID = re.compile(r"([0-9]{1,6}) ?[x×] ?([0-9]{1,6})")


def read_grid(
    reading: Reading,
    show: Node | None,
    grid: Node | None,
    networks: Mapping[str, NetworkRun],
    sizes: Sequence[tuple[int, int] | None],
) -> Grid:
    """What stands where in a frame; ``sizes`` are those of the outputs' canvases, if known."""
    noted = reading.num_noted
    shown = _read_show(reading, show, networks)
    upright = any(size is not None and size[1] > size[0] for size in sizes[:1])
    columns, rows = (1, len(shown)) if upright else (len(shown), 1)
    mark = None if show is None else show.mark
    if grid is not None and not isinstance(grid, Broken):
        mark = grid.mark
        columns, rows = reading.read(grid, "grid", "COLUMNSxROWS", _parse_grid) or (columns, rows)
    if reading.num_noted > noted:
        return Grid()
    found = grid_of(shown, columns, rows, mark)
    if mark is None or (found is not None and len(found.panels) == 1):
        return found or Grid()
    if found is None:
        views = f"{len(shown)} views"
        fitting = f"{len(shown)}x{max(1, round(columns * rows / len(shown)))}"
        message = f"a grid of {columns}x{rows} is not filled evenly by {views}"
        reading.note(mark, message, f"each path is seen in all of them: write grid: {fitting}")
        return Grid()
    for size in dict.fromkeys(sizes):
        if size is not None and min(size[0] // columns, size[1] // rows) < SMALLEST_CELL:
            message = f"cells of {size[0] // columns}x{size[1] // rows} pixels"
            hint = f"expected {SMALLEST_CELL} a side or more: fewer cells, or a larger size"
            reading.note(mark, message, hint)
    return found


def _read_show(
    reading: Reading, node: Node | None, networks: Mapping[str, NetworkRun]
) -> list[str]:
    """The views of each path."""
    if node is None or isinstance(node, Broken):
        return [BLEND]
    items = node.items if isinstance(node, ListNode) else (node,)
    if not items:
        reading.note(node.mark, "show has no views", "write show: [faces, blend]")

    def parser(text: str) -> str:
        if text != BLEND and networks and text not in networks:
            known = (*networks, BLEND)
            hint = suggestion(text, known) or f"write blend or a network: {', '.join(networks)}"
            raise Misread(f"unknown view {quoted(text)}", hint[:200])
        return text

    shown: list[str] = []
    for item in items[: MOST_CELLS + 1]:
        name = reading.read(item, "a view", "blend or a network's name", parser)
        if name in shown:
            reading.note(item.mark, f"{name} is shown twice", "name each view once")
        elif name is not None:
            shown.append(name)
    if len(shown) > MOST_CELLS:
        reading.note(node.mark, f"more than {MOST_CELLS} views")
    return shown[:MOST_CELLS] or [BLEND]


def _parse_grid(text: str) -> tuple[int, int]:
    """Columns and rows.

    >>> _parse_grid("3x2")
    (3, 2)
    """
    match = _GRID.fullmatch(text)
    if match is None:
        raise Misread(f"{quoted(text)} is no grid", "write COLUMNSxROWS, such as 3x2")
    columns, rows = int(match[1]), int(match[2])
    if not columns or not rows:
        raise Misread(f"a grid of {columns}x{rows} has no cells", "expected 1x1 or more")
    if columns * rows > MOST_CELLS:
        raise Misread(f"a grid of {columns * rows} cells", f"expected up to {MOST_CELLS}")
    return columns, rows


def check_paths(reading: Reading, grid: Grid, latents: Sequence[LatentBand]) -> None:
    """Note a grid of more paths than files make, where no seed can be replaced by another."""
    sources = [{key.source for key in band.path.keys} for band in latents]
    if any(isinstance(source, int) for each in sources for source in each):
        return
    most = max(len(each) for each in sources)
    if grid.num_paths > most and grid.mark is not None:
        message = f"{grid.num_paths} paths, and the latents are {count(most, 'file')} and no seed"
        reading.note(
            grid.mark, message, "each path starts with another latent: add a seed, [me.npz, 3]"
        )


def read_overlay(reading: Reading, node: Node | None, grid: Grid) -> tuple[Inset, ...]:
    """What is drawn into the frame."""
    if node is None or isinstance(node, Broken):
        return ()
    items = node.items if isinstance(node, ListNode) else (node,)
    words = INSETS if isinstance(node, ListNode) else (*INSETS, NO_INSET)
    found: list[Inset] = []
    for item in items:
        noted = reading.num_noted
        word = reading.choice(item, "overlay", words, NO_INSET)
        if reading.num_noted > noted or word == NO_INSET:
            continue
        if word in found:
            reading.note(item.mark, f"{word} is drawn twice", "name it once")
        elif word == "mix" and BLEND not in grid.shown:
            message = "the mix is drawn on the blend, which show leaves out"
            reading.note(item.mark, message, "add blend to show, or leave mix out")
        else:
            found.extend(inset for inset in INSETS if inset == word)
    return tuple(found)
