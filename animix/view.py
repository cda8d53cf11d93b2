"""The view: how one film shows pictures, as which frames, on which canvas and as which pixels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from animix.engine.pasting import Scene, paste
from animix.engine.pixels import backdrop, lay, lies_as_it_is
from animix.inset import Inset
from animix.networks.step import step
from animix.schedule import Schedule
from animix.timeline.arrays import Integers
from animix.timeline.formats import PixelFormat, frame_bytes
from animix.timeline.framing import Framing
from animix.timeline.grid import Grid, Place


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
    inset: Inset | None = None
    """What is drawn into its frames."""
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


def own_size(grid: Grid, side: int, scene: Scene | None) -> tuple[int, int]:
    """The canvas where nobody asks for another: the photo's, or that of pictures of ``side``."""
    return grid.own_size(side) if scene is None else grid.size_of_cells(scene.canvas_size)


def cells_of(
    schedule: Schedule, canvas_size: tuple[int, int], scene: Scene | None
) -> tuple[Place, ...]:
    """Where the cells of a frame lie: squares, or of the photo's shape where they may choose."""
    shape = (1, 1) if scene is None else scene.canvas_size
    return schedule.grid.places(canvas_size, schedule.frame.fit, shape)


class Canvases:
    """The canvases of some frames of a view, on which pictures are laid panel after panel."""

    def __init__(self, view: View, frames: range, first: int) -> None:
        """``first`` is the number of the first picture that is given."""
        self._view, self._frames = view, frames
        self._numbers: list[int] = (view.places[[*frames]] - first).tolist()
        self._framings = [view.schedule.frame.at(index) for index in frames]
        self._grid = view.schedule.grid
        self._cells = cells_of(view.schedule, view.canvas_size, view.scene)
        self._canvases: Tensor | None = None
        self._is_borrowed = False
        """Whether the canvases are the pictures themselves, on which nothing may be drawn."""

    def lay(self, pictures: Tensor, number: int) -> None:
        """Lay the pictures [N, 3, h, w] of the panel of a number."""
        if len(self._cells) == 1:
            self._canvases = self._alone(pictures)
            return
        cell = self._cells[number]
        if self._canvases is None:
            width, height = self._view.canvas_size
            shape = len(self._frames), 3, height, width
            self._canvases = torch.empty(shape, device=pictures.device)
        with step("framing"):
            for canvas, place, framing in zip(
                self._canvases, self._numbers, self._framings, strict=True
            ):
                laid = self._laid(pictures[place], (cell.width, cell.height), framing)
                canvas[cell.pixels].copy_(laid)

    def _alone(self, pictures: Tensor) -> Tensor:
        """The canvases of pictures that fill them."""
        numbers, size = self._numbers, self._view.canvas_size
        as_it_is = (lies_as_it_is(pictures, size, framing) for framing in self._framings)
        if self._view.scene is None and all(as_it_is):
            if numbers == [*range(numbers[0], numbers[0] + len(numbers))]:
                self._is_borrowed = True
                return pictures[numbers[0] : numbers[-1] + 1]
            # Kernels read them one after the other, and an index would be waited for on its way.
            return torch.stack([pictures[number] for number in numbers])
        with step("framing"):
            pairs = zip(numbers, self._framings, strict=True)
            return torch.stack(
                [self._laid(pictures[number], size, framing) for number, framing in pairs]
            )

    def _laid(self, picture: Tensor, size: tuple[int, int], framing: Framing) -> Tensor:
        """A picture on a canvas or a cell of ``size``, in its photo if it has one: [3, H, W]."""
        scene = self._view.scene
        if scene is None:
            return lay(picture, size, framing)
        return paste(picture, scene, size, framing)

    def finished(self) -> Tensor:
        """The canvases when all panels are laid: [N, 3, H, W]."""
        canvases = self._canvases
        assert canvases is not None, "a grid has at least one panel"
        if len(self._cells) > 1:
            self._surround(canvases)
        if self._view.inset is not None:
            with step("overlay"):
                canvases = canvases.clone() if self._is_borrowed else canvases
                self._view.inset.draw(canvases, self._frames)
        return canvases

    def _surround(self, canvases: Tensor) -> None:
        """Paint what a grid leaves free of its canvas."""
        first, last = self._cells[0], self._cells[-1]
        right, bottom = last.left + last.width, last.top + last.height
        width, height = self._view.canvas_size
        whole = Place(first.left, first.top, right - first.left, bottom - first.top)
        if (whole.width, whole.height) == (width, height):
            return
        strips = (
            Place(0, 0, width, whole.top),
            Place(0, bottom, width, height - bottom),
            Place(0, whole.top, whole.left, whole.height),
            Place(right, whole.top, width - right, whole.height),
        )
        for canvas, framing in zip(canvases, self._framings, strict=True):
            behind = _behind(canvas[whole.pixels], (width, height), framing)
            for strip in strips:
                canvas[strip.pixels].copy_(behind[strip.pixels])


def _behind(picture: Tensor, canvas_size: tuple[int, int], framing: Framing) -> Tensor:
    """What is seen beside a picture: [3, H, W]."""
    if framing.fit == "blur":
        return backdrop(picture, canvas_size)
    width, height = canvas_size
    colour = picture.new_tensor(framing.background) / 127.5 - 1
    return colour[:, None, None].expand(3, height, width)
