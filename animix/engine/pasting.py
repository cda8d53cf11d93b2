"""Pasting: pictures laid back into the photo that they were cut out of, with a soft edge."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from animix.engine.pixels import Reals, lay, scales
from animix.photos.crop import Crop
from animix.timeline.framing import Framing

SOFT_EDGE = 0.1
"""Of a crop's side: how far from its edge the picture fades into the photo."""
SAME_EDGE = 0.5
"""Pixels by which a crop may miss the photo's edge and still end there."""

Box: TypeAlias = tuple[int, int, int, int]
"""Left, top, right, bottom, in whole pixels of a canvas."""


@dataclass(frozen=True, eq=False)
class Scene:
    """A photo, and where in it pictures belong."""

    photo: NDArray[np.uint8]
    """[H, W, 3] in sRGB."""
    crop: Crop
    _kept: dict[tuple[torch.device, tuple[int, int]], tuple[Framing, Tensor, Tensor]] = field(
        default_factory=dict, init=False, repr=False
    )
    """For each device and canvas what was laid there last: most clips lay the photo once."""

    @property
    def canvas_size(self) -> tuple[int, int]:
        """Width and height of the canvas that shows the photo as it is: its own, made even."""
        height, width = self.photo.shape[:2]
        return width + width % 2, height + height % 2

    def laid(
        self, canvas_size: tuple[int, int], framing: Framing, device: torch.device
    ) -> tuple[Tensor, Tensor]:
        """The photo on a canvas [3, H, W]; of pixels in the crop's box how much is the picture's.

        Nobody may write into them.
        """
        kept = self._kept.get((device, canvas_size))
        if kept is None or kept[0] != framing:
            photo = _photo_laid(self, canvas_size, framing, device)
            kept = framing, photo, _share(self, canvas_size, framing, device)
            self._kept[device, canvas_size] = kept
        return kept[1:]


@torch.no_grad()
def paste(picture: Tensor, scene: Scene, canvas_size: tuple[int, int], framing: Framing) -> Tensor:
    """The photo on its canvas with a picture in it: [3, H, W] float32, in [-1, 1], from [3, h, w].

    ``framing`` lays the photo as ``lay`` does, with the picture in its place. Towards the crop's
    edges the picture fades into the photo, but not where the photo ends there as well. Everywhere
    else the photo stays bit for bit as it is laid.
    """
    size = picture.shape[-1], picture.shape[-2]
    photo, share = scene.laid(canvas_size, framing, picture.device)
    canvas = photo.clone()
    place = crop_on_canvas(scene, canvas_size, framing)
    box = _box(place, canvas_size)
    left, top, right, bottom = box
    if left >= right or top >= bottom:
        return canvas
    # Sized and turned about the box's middle, which is what framings are told from.
    side = place.side
    centre = place.corners.mean(axis=0)
    width, height = right - left, bottom - top
    inside = Framing(
        fit="contain",
        zoom=side / max(size) / min(width / size[0], height / size[1]),
        pan_x=(centre[0] - left - width / 2) / (side * size[0] / max(size)),
        pan_y=(centre[1] - top - height / 2) / (side * size[0] / max(size)),
        rotate=math.degrees(math.atan2(place.matrix[1, 0], place.matrix[0, 0])),
    )
    laid = lay(picture, (width, height), inside)
    part = canvas[:, top:bottom, left:right]
    part.copy_(torch.lerp(part, laid, share))
    return canvas


def crop_on_canvas(scene: Scene, canvas_size: tuple[int, int], framing: Framing) -> Crop:
    """Where on a canvas the crop lies, in its pixels: as a crop of the canvas.

    >>> scene = Scene(np.zeros((4, 8, 3), np.uint8), Crop(np.diag([4.0, 4.0, 1.0])))
    >>> crop_on_canvas(scene, (16, 16), Framing("contain")).corners.tolist()
    [[0.0, 4.0], [8.0, 4.0], [8.0, 12.0], [0.0, 12.0]]
    """
    return Crop(_photo_on_canvas(scene, canvas_size, framing) @ scene.crop.matrix)


def _photo_on_canvas(
    scene: Scene, canvas_size: tuple[int, int], framing: Framing
) -> NDArray[np.float64]:
    """What takes the photo's pixels to those of the canvas that it is laid on: [3, 3]."""
    photo_size = np.array(scene.canvas_size)
    scale, _ = scales(scene.canvas_size, canvas_size, framing)
    angle = math.radians(framing.rotate % 360)
    cos, sin = math.cos(angle), math.sin(angle)
    turn = scale * np.array([[cos, -sin], [sin, cos]])
    pan = np.array([framing.pan_x, framing.pan_y]) * photo_size[0] * scale
    laid = np.eye(3)
    laid[:2, :2] = turn
    laid[:2, 2] = np.array(canvas_size) / 2 + pan - turn @ (photo_size / 2)
    return laid


def _photo_laid(
    scene: Scene, canvas_size: tuple[int, int], framing: Framing, device: torch.device
) -> Tensor:
    """The photo on its canvas: [3, H, W]."""
    height, width = scene.photo.shape[:2]
    # A side that is odd gets its last pixels twice: scaled instead, none would stay as it is.
    even = np.pad(scene.photo, [(0, height % 2), (0, width % 2), (0, 0)], mode="edge")
    levels = torch.from_numpy(even).to(device).movedim(2, 0).float()
    return lay(levels / 127.5 - 1, canvas_size, framing)


def _share(
    scene: Scene, canvas_size: tuple[int, int], framing: Framing, device: torch.device
) -> Tensor:
    """How much of each pixel in the crop's box is the picture's: [H, W] in [0, 1].

    A cubic from 0 on the edge to 1 within, along both axes: no step, and no crease either.
    """
    photo = _photo_on_canvas(scene, canvas_size, framing)
    place = Crop(photo @ scene.crop.matrix)
    left, top, right, bottom = _box(place, canvas_size)
    columns, rows = np.arange(left, right) + 0.5, np.arange(top, bottom) + 0.5
    share = np.ones((len(rows), len(columns)))
    for at, ends in zip(_places(place.matrix, columns, rows), _ends_with_photo(scene), strict=True):
        for distance, is_end in zip((at, 1 - at), ends, strict=True):
            if not is_end:
                near = (distance / SOFT_EDGE).clip(0, 1)
                share *= near**2 * (3 - 2 * near)
    # A crop may reach beyond the photo, where the canvas shows what lies behind it.
    scale = math.hypot(*photo[:2, 0])
    for at, side in zip(_places(photo, columns, rows), scene.canvas_size, strict=True):
        for distance in (at, side - at):
            # Of the photo's last pixels the middle lies half a pixel inside, but for a rounding.
            share *= (distance * scale + 0.5 + 1e-6).clip(0, 1)
    return torch.from_numpy(share.astype(np.float32)).to(device)


def _places(matrix: Reals, columns: Reals, rows: Reals) -> tuple[Reals, Reals]:
    """Where pixels of a canvas lie in what a matrix lays on it: x and y, each [H, W]."""
    inverse = np.linalg.inv(matrix)
    x, y = (a * columns + (b * rows + c)[:, None] for a, b, c in inverse[:2])
    return x, y


def _ends_with_photo(scene: Scene) -> tuple[tuple[bool, bool], tuple[bool, bool]]:
    """Whether the crop's left and right, top and bottom lie at the photo's edge, or beyond."""
    if not scene.crop.is_level:
        return (False, False), (False, False)
    height, width = scene.photo.shape[:2]
    (left, top), (right, bottom) = scene.crop.corners[0], scene.crop.corners[2]
    return (
        (bool(left <= SAME_EDGE), bool(right >= width - SAME_EDGE)),
        (bool(top <= SAME_EDGE), bool(bottom >= height - SAME_EDGE)),
    )


def _box(place: Crop, canvas_size: tuple[int, int]) -> Box:
    """The whole pixels of a canvas that a crop of it touches; empty if there are none."""
    low = np.floor(place.corners.min(axis=0)).clip(0, canvas_size).astype(int)
    high = np.ceil(place.corners.max(axis=0)).clip(0, canvas_size).astype(int)
    return int(low[0]), int(low[1]), int(high[0]), int(high[1])
