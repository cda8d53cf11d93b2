"""Crops: the squares that are cut out of photos, upright or turned."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from animix.errors import OptionError
from animix.photos.photo import SMALLEST_SIDE, Photo

_NUMBER = r"\s*([0-9]{1,6}(?:\.[0-9]{0,9})?)\s*"
_CROP = re.compile(",".join([_NUMBER] * 3))
_TOLERANCE = 1e-6
_LANCZOS_REACH = 3
_BICUBIC_REACH = 2
"""How far the filters read, in pixels of the smaller of the two pictures."""


@dataclass(frozen=True, eq=False)
class Crop:
    """A square in a photo.

    ``matrix`` [3, 3] takes the crop's coordinates in [0, 1]² (x right, y down) to the upright
    photo's pixels, of which the first reaches from 0 to 1: a similarity, so no crop is mirrored.
    """

    matrix: NDArray[np.float64]
    of: Literal["face", "centre", "square"] = "square"
    """What it was laid around; a square that was chosen by hand is no more than that."""

    def __post_init__(self) -> None:
        if self.matrix.shape != (3, 3) or not np.isfinite(self.matrix).all():
            raise ValueError("a crop's matrix is finite and [3, 3]")
        (a, b, _), (c, d, _), last = self.matrix
        side = math.hypot(a, c)
        if side <= 0 or max(abs(a - d), abs(b + c)) > _TOLERANCE * side:
            raise ValueError("a crop's matrix turns, scales and moves, and does nothing else")
        if last.tolist() != [0, 0, 1]:
            raise ValueError(f"a crop's matrix ends in 0 0 1, not in {last}")

    @property
    def side(self) -> float:
        """How long a side is, in the photo's pixels."""
        return math.hypot(self.matrix[0, 0], self.matrix[1, 0])

    @property
    def corners(self) -> NDArray[np.float64]:
        """Where the corners lie in the photo: [4, 2], from the top left one clockwise."""
        unit = np.array([[0, 0, 1], [1, 0, 1], [1, 1, 1], [0, 1, 1]], np.float64)
        return np.ascontiguousarray((unit @ self.matrix.T)[:, :2])

    @property
    def is_level(self) -> bool:
        """Whether its sides are the photo's rows and columns."""
        return bool(self.matrix[1, 0] == 0)


def square(x: float, y: float, side: float) -> Crop:
    """The level crop whose top left corner lies at x, y.

    >>> square(10, 20, 64).corners[2].tolist()
    [74.0, 84.0]
    """
    return Crop(np.array([[side, 0, x], [0, side, y], [0, 0, 1]], np.float64))


def centre_crop(photo: Photo) -> Crop:
    """The largest square in the middle of a photo."""
    width, height = photo.size
    side = min(width, height)
    return Crop(square((width - side) / 2, (height - side) / 2, side).matrix, "centre")


def parse_crop(text: str) -> Crop:
    """A crop written as X,Y,SIZE: its top left corner and its side, in the upright photo's pixels.

    >>> parse_crop("10, 20, 64.5").side
    64.5
    """
    match = _CROP.fullmatch(text)
    if match is None:
        raise OptionError(
            f"crop {text[:80]!r}: expected X,Y,SIZE, the top left corner and the side of a square"
            " in pixels of the upright photo, such as 120,40,512"
        )
    x, y, side = (float(number) for number in match.groups())
    if side < SMALLEST_SIDE:
        raise OptionError(
            f"crop {text[:80]!r}: a side of {side:g}, expected at least {SMALLEST_SIDE}"
        )
    return square(x, y, side)


def cut(photo: Photo, crop: Crop, size: int) -> NDArray[np.uint8]:
    """What a crop shows, as a picture: uint8 [size, size, 3] in sRGB.

    Antialiased where it gets smaller; beyond its edges the photo goes on as its mirror image.
    """
    if size < 1:
        raise ValueError(f"a size of {size}: expected at least 1")
    if crop.is_level:
        reach = math.ceil(_LANCZOS_REACH * max(1, crop.side / size)) + 1
        region, inside = _region(photo, crop, reach)
        box = (*inside.corners[0].tolist(), *inside.corners[2].tolist())
        image = Image.fromarray(region)
        return np.array(image.resize((size, size), Image.Resampling.LANCZOS, box=box))
    # A turn reads a few pixels around each point and skips those between: so it is made at no
    # fewer pixels than the photo has, up to three times the size, and more are averaged before.
    factor = max(1, math.floor(crop.side / (2 * size)))
    region, inside = _region(photo, crop, (_BICUBIC_REACH + 1) * factor)
    image = Image.fromarray(region)
    if factor > 1:
        image = image.reduce(factor)
    turned = size * math.ceil(crop.side / factor / size)
    matrix = np.diag([1 / factor, 1 / factor, 1]) @ inside.matrix
    matrix = matrix @ np.diag([1 / turned, 1 / turned, 1])
    image = image.transform(
        (turned, turned),
        Image.Transform.AFFINE,
        tuple(matrix[:2].ravel().tolist()),
        Image.Resampling.BICUBIC,
    )
    return np.array(image.resize((size, size), Image.Resampling.LANCZOS))


def _region(photo: Photo, crop: Crop, reach: int) -> tuple[NDArray[np.uint8], Crop]:
    """The pixels of a crop and ``reach`` around it, and where it lies among them."""
    width, height = photo.size
    left, top = (np.floor(crop.corners.min(axis=0)).astype(int) - reach).tolist()
    right, bottom = (np.ceil(crop.corners.max(axis=0)).astype(int) + reach).tolist()
    rows = photo.pixels[_mirrored(top, bottom, height)]
    region = np.ascontiguousarray(rows[:, _mirrored(left, right, width)])
    return region, Crop(np.array([[1, 0, -left], [0, 1, -top], [0, 0, 1]]) @ crop.matrix)


def _mirrored(first: int, last: int, side: int) -> slice | NDArray[np.int64]:
    """The pixels ``first`` to ``last`` of a row of ``side``, which its mirror images continue.

    >>> _mirrored(-2, 5, 3).tolist()
    [1, 0, 0, 1, 2, 2, 1]
    """
    if first >= 0 and last <= side:
        return slice(first, last)
    place = np.arange(first, last) % (2 * side)
    return np.minimum(place, 2 * side - 1 - place)
