"""Footage: the pictures of a clip, painted once for all films that show them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache, partial
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from animix.crew import Take, one_by_one, share_out
from animix.engine.device import painting
from animix.engine.make import Engine
from animix.engine.pasting import Scene, paste
from animix.engine.pixels import lay, lies_as_it_is, to_bytes
from animix.engine.transfer import Transfer, new_stream
from animix.errors import RenderError
from animix.networks.step import step
from animix.schedule import Row, Schedule
from animix.timeline.arrays import Integers
from animix.timeline.formats import PixelFormat, frame_bytes

LOOKAHEAD_FRAMES = 128
"""So far ahead networks are looked for that come into use: four cells of the fast path."""

AHEAD_BYTES = 64 << 20
"""Frames that a GPU has to paint while Python does something else, such as a chunk's key, which
takes 20 ms: as many cells as this holds, two to eight."""
MOST_AHEAD = 8

CELLS_KEPT = 128
"""Cells whose rows are kept: those of a chunk are made for its key, before it is painted."""

BLOCK_BYTES = 128 << 20
"""Frames that one of several GPUs paints in a row, so that it reads few snapshots."""
BLOCKS_OF_EACH = 8
"""At least so many, as long as there are cells: GPUs that end early have nothing to do."""


@dataclass(frozen=True, eq=False)
class View:
    """How a film shows pictures: which of them as its frames, on which canvas, as which pixels."""

    schedule: Schedule
    """Of its own frames."""
    places: Integers
    """[N] the number of each frame's picture."""
    canvas_size: tuple[int, int]
    """Width and height in pixels."""
    pixel_format: PixelFormat
    scene: Scene | None = None
    """The photo that its pictures are laid into."""

    @property
    def frame_bytes(self) -> int:
        """The length of one frame."""
        return frame_bytes(self.pixel_format, *self.canvas_size)

    @property
    def kind(self) -> tuple[object, ...]:
        """What decides the bytes of its frames beside their pictures."""
        fit = self.schedule.frame.fit
        return self.canvas_size, self.pixel_format, fit, self.schedule.instants.rate

    def frames_in(self, cell: range) -> range:
        """The frames that show pictures of a cell."""
        start, stop = np.searchsorted(self.places, (cell.start, cell.stop)).tolist()
        return range(start, stop)


Part: TypeAlias = tuple[range, tuple[range, ...]]
"""A cell, and the frames of each view that are wanted of it."""

Cell: TypeAlias = tuple[NDArray[np.uint8], ...]
"""The bytes of what was wanted of a cell, for each view [N, bytes of one frame]."""


@dataclass(frozen=True, eq=False)
class Footage:
    """Pictures in the order of their instants, those of a cell painted together."""

    schedule: Schedule
    """A row for each picture, whichever films show it."""
    engines: tuple[Engine, ...]
    """They paint the same: each on a device of its own."""

    def cell(self, place: int) -> range:
        """The pictures that are painted together with one, whichever of them are asked for."""
        size = self.engines[0].batch_size
        start = place // size * size
        return range(start, min(start + size, self.schedule.num_frames))

    @cached_property
    def rows(self) -> Callable[[range], list[Row]]:
        """The rows of a cell, which nobody may change: they are kept for a while."""
        return lru_cache(maxsize=CELLS_KEPT)(self.schedule.rows)

    def cells(self, wanted: Sequence[tuple[View, Sequence[range]]]) -> Generator[Cell, None, None]:
        """The bytes of the frames that each view is wanted for, cell by cell; of one view in order.

        Several views go through their frames side by side, so they want them in order. Nobody
        writes over an array that is still in use.
        """
        views = [view for view, _ in wanted]
        parts = self._parts(wanted)
        stop = max((cell.stop for cell, _ in parts), default=0)
        if len(self.engines) == 1:
            return self._cells(self.engines[0], views, stop, one_by_one(iter(parts)))
        of_picture = sum(view.frame_bytes for view in views)
        most_bytes = BLOCK_BYTES // len(self.engines)
        length = max(1, most_bytes // (of_picture * self.engines[0].batch_size))
        length = max(1, min(length, len(parts) // (BLOCKS_OF_EACH * len(self.engines))))
        blocks = [parts[first : first + length] for first in range(0, len(parts), length)]
        workers = [
            partial(self._cells, engine, views, stop) for engine in self.engines[: len(blocks)]
        ]
        return share_out(blocks, workers)

    def canvas(self, view: View, index: int) -> Tensor:
        """The picture of a view's frame on its canvas: [3, H, W], nominally in [-1, 1]."""
        engine, frames = self.engines[0], range(index, index + 1)
        place = int(view.places[index])
        with painting(engine.device):
            pictures = self._pictures(engine, self.cell(place), range(place, place + 1))
            canvas = _canvases(pictures, place, view, frames)[0].clone()
            finite = _finite(canvas[None])
        _check_finite(frames, finite)
        return canvas

    def pictures(self, rows: Sequence[Row]) -> Tensor:
        """The pictures of any rows, such as seeds at a moment: [N, 3, h, w]; not on a canvas."""
        with painting(self.engines[0].device):
            pictures = self.engines[0].pictures(rows).clone()
            finite = _finite(pictures)
        _check_finite([row.index for row in rows], finite)
        return pictures

    def _parts(self, wanted: Sequence[tuple[View, Sequence[range]]]) -> list[Part]:
        """What is wanted, by the cells that it is painted in."""
        found: dict[tuple[int, int], list[range]] = {}
        for number, (view, all_frames) in enumerate(wanted):
            before: dict[int, int] = {}
            for frames in all_frames:
                start = frames.start
                while start < frames.stop:
                    cell = self.cell(int(view.places[start]))
                    part = range(start, min(view.frames_in(cell).stop, frames.stop))
                    # Of one view several ranges may lie in one cell: each is painted by itself.
                    time = before[cell.start] = before.get(cell.start, -1) + 1
                    found.setdefault((cell.start, time), [range(0)] * len(wanted))[number] = part
                    start = part.stop
        order = sorted(found) if len(wanted) > 1 else list(found)
        return [(self.cell(start), tuple(found[start, time])) for start, time in order]

    def _cells(
        self, engine: Engine, views: Sequence[View], stop: int, take: Take[Part]
    ) -> Generator[Cell, None, None]:
        """The bytes of each part that is taken; none is of a picture from ``stop`` on."""
        on_cuda = engine.device.type == "cuda"
        copies = new_stream(engine.device) if on_cuda else None
        under_way: deque[list[_Painted]] = deque()
        cell_bytes = engine.batch_size * sum(view.frame_bytes for view in views)
        num_ahead = min(max(2, AHEAD_BYTES // cell_bytes), MOST_AHEAD) if on_cuda else 1
        try:
            while True:
                if len(under_way) < num_ahead:
                    part = take(not under_way)
                    if part is not None:
                        engine.shelf.expect(self._columns_from(part[0], stop))
                        under_way.append(self._painted(engine, part, views, copies))
                        continue
                if not under_way:
                    return
                yield tuple(painted.wait() for painted in under_way.popleft())
        finally:
            engine.shelf.expect(())

    def _columns_from(self, cell: range, stop: int) -> list[int]:
        """The networks that a cell uses, then those that come after it, the soonest first."""
        used = self.schedule.columns_in(cell)
        ahead = range(cell.stop, max(cell.stop, min(cell.stop + LOOKAHEAD_FRAMES, stop)))
        return list(dict.fromkeys([*used, *self.schedule.columns_in(ahead)]))

    def _painted(
        self,
        engine: Engine,
        part: Part,
        views: Sequence[View],
        copies: torch.cuda.Stream | None,
    ) -> list[_Painted]:
        """The bytes of a part's frames for each view; views that show the same share them."""
        cell, wanted = part
        places = [view.places[[*frames]] for view, frames in zip(views, wanted, strict=True)]
        first = min(int(each[0]) for each in places if len(each))
        last = max(int(each[-1]) for each in places if len(each))
        found: dict[tuple[object, ...], _Painted] = {}
        keys = []
        with painting(engine.device):
            pictures = self._pictures(engine, cell, range(first, last + 1))
            for view, frames in zip(views, wanted, strict=True):
                keys.append(key := (*view.kind, frames))
                if key in found:
                    continue
                if not frames:
                    found[key] = _Painted(frames, view.frame_bytes)
                    continue
                canvases = _canvases(pictures, first, view, frames)
                with step("4:2:0"):
                    finite = Transfer(_finite(canvases), copies)
                    pixels = Transfer(_pixels(engine, canvases, view, frames), copies)
                found[key] = _Painted(frames, view.frame_bytes, pixels, finite)
        return [found[key] for key in keys]

    def _pictures(self, engine: Engine, cell: range, wanted: range) -> Tensor:
        """A cell's wanted pictures, until the next cell's."""
        chosen = slice(wanted.start - cell.start, wanted.stop - cell.start)
        return engine.pictures(self.rows(cell), chosen)


@dataclass(frozen=True, eq=False)
class _Painted:
    """The bytes of a view's frames, on their way from the device."""

    frames: range
    frame_bytes: int
    pixels: Transfer | None = None
    finite: Transfer | None = None
    """Which of them have a picture at all."""

    def wait(self) -> NDArray[np.uint8]:
        """The bytes: [N, bytes of one]; RenderError for a frame that has none."""
        if self.pixels is None or self.finite is None:
            return np.empty((0, self.frame_bytes), np.uint8)
        _check_finite(self.frames, self.finite.wait())
        return self.pixels.wait().numpy()


def _canvases(pictures: Tensor, first: int, view: View, frames: range) -> Tensor:
    """The pictures of a view's frames on their canvases, [N, 3, H, W]; ``first`` is theirs."""
    places = (view.places[[*frames]] - first).tolist()
    framings = [view.schedule.frame.at(index) for index in frames]
    if view.scene is None and all(
        lies_as_it_is(pictures, view.canvas_size, framing) for framing in framings
    ):
        if places == [*range(places[0], places[0] + len(places))]:
            return pictures[places[0] : places[-1] + 1]
        # Kernels read them one after the other, and an index would be waited for on its way.
        return torch.stack([pictures[place] for place in places])
    with step("framing"):
        pairs = zip(places, framings, strict=True)
        if (scene := view.scene) is not None:
            return torch.stack(
                [paste(pictures[place], scene, view.canvas_size, each) for place, each in pairs]
            )
        return torch.stack(
            [lay(pictures[place], view.canvas_size, framing) for place, framing in pairs]
        )


def _pixels(engine: Engine, canvases: Tensor, view: View, frames: range) -> Tensor:
    """Canvases in a view's pixel format."""
    if view.pixel_format == "yuv420p":
        return engine.operations.yuv420(canvases, frames)
    return to_bytes(canvases, frames, view.pixel_format)


def _finite(pictures: Tensor) -> Tensor:
    """Which of the pictures [N, …] have finite numbers only: [N]."""
    # A sum is finite if all are, short of numbers that no picture has; one pass is enough.
    return torch.isfinite(pictures.flatten(1).sum(dim=1))


def _check_finite(frames: Iterable[int], finite: Tensor) -> None:
    for index, well in zip(frames, finite.tolist(), strict=True):
        if not well:
            raise RenderError(
                f"frame {index}: this mix makes no picture, its numbers overflow; bring alpha and "
                "truncation nearer to 0..1"
            )
