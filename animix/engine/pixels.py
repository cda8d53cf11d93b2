"""Picture to the pixels of an output: laid on its canvas, dithered, as 4:2:0 or RGB.

Everything here is a pure function of its arguments, in float32 on the picture's device. Places and
weights are worked out on the CPU in float64, which not every device has, and only then rounded.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import grid_sample

from animix.timeline.formats import PixelFormat
from animix.timeline.framing import Framing

Reals = NDArray[np.floating[Any]]

BACKDROP_SIDE = 48
"""Pixels a side of what the blurred backdrop is made from: it needs no more detail than that."""
BACKDROP_BLUR = 0.05
"""Standard deviation of the backdrop's blur, in sides of the picture."""
BACKDROP_LIGHT = 0.6
"""What the backdrop keeps of the picture's light, so that the picture stands out."""

# BT.709's shares of red, green and blue in luma (ITU-R BT.709-6, item 3.2).
KR, KG, KB = 0.2126, 0.7152, 0.0722


@torch.no_grad()
def lay(picture: Tensor, canvas_size: tuple[int, int], framing: Framing) -> Tensor:
    """The canvas with the picture laid on it: [3, H, W] float32 from [3, h, w], both in [-1, 1].

    ``canvas_size`` is (width, height). Scaling, moves, turns and the picture's borders are
    antialiased and exact to a fraction of a pixel, so that slow moves don't shimmer. A picture that
    fills its canvas just as it is comes back bit for bit.

    >>> lay(torch.ones(3, 4, 4), (8, 4), Framing("contain", background=(0, 0, 0)))[0, 0].tolist()
    [-1.0, -1.0, 1.0, 1.0, 1.0, 1.0, -1.0, -1.0]
    """
    picture = picture.float()
    width, height = canvas_size
    _, picture_height, picture_width = picture.shape
    scale_x, scale_y = scales((picture_width, picture_height), canvas_size, framing)
    laid_width, laid_height = picture_width * scale_x, picture_height * scale_y

    # Canvas pixels by their place from the picture's centre: first along the canvas's axes, ...
    columns = np.arange(width) + 0.5 - (width / 2 + framing.pan_x * laid_width)
    rows = np.arange(height) + 0.5 - (height / 2 + framing.pan_y * laid_width)
    angle = math.radians(framing.rotate % 360)
    cos, sin = math.cos(angle), math.sin(angle)
    # ... then along the picture's, which are turned: the sums of these parts.
    along = (columns * cos, rows * sin) if angle else (columns, np.zeros(1))
    down = (columns * -sin, rows * cos) if angle else (np.zeros(1), rows)

    if angle:
        left, tile_width = _seen(along, laid_width, columns[0])
        top, tile_height = _seen(down, laid_height, rows[0])
        # Twice as fine as the canvas, though no sharper: between so near pixels lines will do.
        tile = _resample(
            picture,
            _scaling(picture_width, tile_width, left, scale_x, 2, picture.device),
            _scaling(picture_height, tile_height, top, scale_y, 2, picture.device),
        )
        laid = _sample(tile, 2 * (_plane(along, tile) - left), 2 * (_plane(down, tile) - top))
    else:
        laid = _scale(picture, (width, columns[0], scale_x), (height, rows[0], scale_y))
    if _fills(along, laid_width) and _fills(down, laid_height):
        return laid
    if framing.fit == "blur":
        behind = backdrop(picture, canvas_size)
    else:
        behind = (laid.new_tensor(framing.background) / 127.5 - 1)[:, None, None]
    share = _covered(_plane(along, laid), laid_width) * _covered(_plane(down, laid), laid_height)
    return torch.lerp(behind, laid, share)


def scales(
    picture_size: tuple[int, int], canvas_size: tuple[int, int], framing: Framing
) -> tuple[float, float]:
    """How many pixels of a canvas one of a picture takes, across and down.

    >>> scales((4, 4), (8, 4), Framing("contain", zoom=2))
    (2.0, 2.0)
    """
    across, down = (to / of for to, of in zip(canvas_size, picture_size, strict=True))
    if framing.fit in ("cover", "extend"):
        across = down = max(across, down)
    elif framing.fit != "stretch":
        across = down = min(across, down)
    return across * framing.zoom, down * framing.zoom


def lies_as_it_is(pictures: Tensor, canvas_size: tuple[int, int], framing: Framing) -> bool:
    """Whether pictures [..., h, w] fill the canvas just as they are."""
    moved = framing.pan_x, framing.pan_y, framing.rotate % 360
    height, width = pictures.shape[-2:]
    return (width, height) == canvas_size and framing.zoom == 1 and not any(moved)


@torch.no_grad()
def to_yuv420(canvas: Tensor, frame_index: int) -> Tensor:
    """The canvas as planar 4:2:0, BT.709, limited range: uint8 [H · W · 3/2] from [3, H, W].

    Planes Y, Cb, Cr one after the other. Chroma sits on the even columns and midway between two
    rows, where H.264 has it if nothing else is said. What lies outside [-1, 1] is clamped. Dithered
    by ``frame_index``; colours that are whole levels stay what they are.

    >>> to_yuv420(torch.ones(3, 2, 2), frame_index=0).tolist()
    [235, 235, 235, 235, 128, 128]
    """
    _, height, width = canvas.shape
    if height % 2 or width % 2:
        raise ValueError(f"canvas is {width}x{height}: 4:2:0 needs an even width and height")
    rgb = canvas.float().clamp(-1, 1).add(1).div(2)
    # Averaging and the matrix are both linear: averaged first there is a quarter to multiply.
    rows = (rgb[:, 0::2] + rgb[:, 1::2]) / 2
    planes = _levels(rgb, _on_even_columns(rows), 1)
    return torch.cat([_dither(plane, frame_index, n).flatten() for n, plane in enumerate(planes)])


@torch.no_grad()
def to_yuv422p10(canvas: Tensor, frame_index: int) -> Tensor:
    """The canvas as planar 10-bit 4:2:2, BT.709, limited range: uint8 [H · W · 4] from [3, H, W].

    As ``to_yuv420``, but chroma has all rows, and a level takes two bytes, the low one first.

    >>> to_yuv422p10(torch.ones(3, 1, 2), frame_index=0).view(torch.int16).tolist()
    [940, 940, 512, 512]
    """
    _, height, width = canvas.shape
    if width % 2:
        raise ValueError(f"canvas is {width}x{height}: 4:2:2 needs an even width")
    rgb = canvas.float().clamp(-1, 1).add(1).div(2)
    planes = _levels(rgb, _on_even_columns(rgb), 4)
    levels = [_dither(plane, frame_index, n, torch.int16) for n, plane in enumerate(planes)]
    return torch.cat([plane.flatten() for plane in levels]).view(torch.uint8)


def _on_even_columns(rgb: Tensor) -> Tensor:
    """Colours [3, H, W/2] where chroma sits, each of three columns."""
    at, right = rgb[:, :, 0::2], rgb[:, :, 1::2]
    left = torch.cat([at[:, :, :1], right[:, :, :-1]], dim=2)
    return (left + 2 * at + right) / 4


def _levels(rgb: Tensor, chroma_rgb: Tensor, scale: int) -> tuple[Tensor, Tensor, Tensor]:
    """Y, Cb and Cr by BT.709-6, item 3.5; ``scale`` is 1 for 8 bits and 4 for 10."""
    red, green, blue = rgb
    luma = KR * red + KG * green + KB * blue
    red, green, blue = chroma_rgb
    chroma_luma = KR * red + KG * green + KB * blue
    return (
        16 * scale + 219 * scale * luma,
        128 * scale + 224 * scale * (blue - chroma_luma) / (2 - 2 * KB),
        128 * scale + 224 * scale * (red - chroma_luma) / (2 - 2 * KR),
    )


@torch.no_grad()
def to_rgb8(canvas: Tensor, frame_index: int) -> Tensor:
    """The canvas as full-range RGB: uint8 [H, W, 3] from [3, H, W], clamped to [-1, 1], dithered.

    Several at once, [N, H, W, 3] from [N, 3, H, W], are all dithered as the same frame.

    >>> to_rgb8(torch.tensor([[[1.0]], [[-1.0]], [[0.2]]]), frame_index=0).tolist()
    [[[255, 0, 153]]]
    """
    levels = canvas.float().clamp(-1, 1).add(1).mul(127.5)
    return torch.stack(
        [_dither(plane, frame_index, n) for n, plane in enumerate(levels.unbind(-3))], dim=-1
    )


def to_bytes(canvases: Tensor, frames: Sequence[int], pixel_format: PixelFormat) -> Tensor:
    """Canvases [N, 3, H, W] as an output's frames: uint8 [N, bytes of one], dithered by number."""
    if pixel_format == "rgb24":
        pairs = zip(canvases, frames, strict=True)
        return torch.stack([to_rgb8(canvas, index).flatten() for canvas, index in pairs])
    convert = to_yuv420 if pixel_format == "yuv420p" else to_yuv422p10
    pairs = zip(canvases, frames, strict=True)
    return torch.stack([convert(canvas, index) for canvas, index in pairs])


# -- Laying ----------------------------------------------------------------------------------------


def _tensor(values: Reals, like: Tensor) -> Tensor:
    return torch.from_numpy(values.astype(np.float32)).to(like.device)


def _plane(parts: tuple[Reals, Reals], like: Tensor) -> Tensor:
    """Sums of the columns' and the rows' parts: [H, W], or with one part alone [H, 1] or [1, W]."""
    of_columns, of_rows = parts
    return _tensor(of_columns, like) + _tensor(of_rows, like)[:, None]


def _fills(parts: tuple[Reals, Reals], laid_side: float) -> bool:
    """Whether every canvas pixel lies wholly inside the picture along this axis."""
    furthest = max(abs(sum(part.max() for part in parts)), abs(sum(part.min() for part in parts)))
    return bool(furthest + 0.5 <= laid_side / 2 + 1e-6)  # a fitted side may be a rounding short


def _covered(places: Tensor, laid_side: float) -> Tensor:
    """The share of each pixel that the picture covers along one axis."""
    return (laid_side / 2 + 0.5 - places.abs()).clamp(0, min(1, laid_side))


def _seen(parts: tuple[Reals, Reals], laid_side: float, unturned: float) -> tuple[float, int]:
    """The stretch of the turned picture that the canvas shows: its first pixel, and how many.

    Pixels lie where those of the unturned picture would, so that a turn begins and ends without a
    jump in sharpness and does not shift what it samples.
    """
    half = laid_side / 2
    first = math.floor(min(max(sum(float(part.min()) for part in parts), -half), half)) - 3
    last = math.ceil(min(max(sum(float(part.max()) for part in parts), -half), half)) + 3
    return first + unturned % 1, last - first


def _scale(
    picture: Tensor, columns: tuple[int, float, float], rows: tuple[int, float, float]
) -> Tensor:
    """The picture scaled: along each axis (pixels, first one's place from the centre, scale)."""
    _, height, width = picture.shape
    return _resample(
        picture,
        _scaling(width, *columns, 1, picture.device),
        _scaling(height, *rows, 1, picture.device),
    )


def _resample(picture: Tensor, of_columns: Tensor | None, of_rows: Tensor | None) -> Tensor:
    """The picture with weights [out, in] applied to each axis; None leaves an axis as it is."""
    if of_rows is not None:
        picture = of_rows @ picture
    if of_columns is not None:
        picture = picture @ of_columns.T
    return picture


@lru_cache(maxsize=64)
def _scaling(
    num_in: int, num_out: int, first: float, scale: float, fineness: int, device: torch.device
) -> Tensor | None:
    """Weights [num_out · fineness, num_in] that scale one axis; None where nothing changes.

    With a ``fineness`` of 2 there is a place between every two pixels as well.
    """
    if scale == 1 and fineness == 1 and num_in == num_out and first == 0.5 - num_in / 2:
        return None
    # Made smaller, the kernel takes in all that falls on a pixel; the whole picture at most.
    width = min(max(1.0, 1 / scale), num_in)
    places = (np.arange(num_out * fineness) / fineness + first) / scale
    return _weights(num_in, places, lambda x: catmull_rom(x / width), 2 * width, device)


@lru_cache(maxsize=64)
def _blurring(num_in: int, num_out: int, scale: float, blur: float, device: torch.device) -> Tensor:
    """Weights [num_out, num_in] that scale one axis about its middle; ``blur`` in pixels of it."""
    places = (np.arange(num_out) + 0.5 - num_out / 2) / scale
    return _weights(num_in, places, lambda x: np.exp(-0.5 * (x / blur) ** 2), 4 * blur, device)


def _weights(
    num_in: int,
    places: Reals,
    kernel: Callable[[Reals], Reals],
    reach: float,
    device: torch.device,
) -> Tensor:
    """Weights [len(places), num_in] of the pixels around places, counted from the axis's middle.

    The kernel is 0 beyond its reach, in pixels. Each row sums to 1; the outermost pixels go on
    outside.
    """
    index = (places + (num_in - 1) / 2)[:, None]
    taps = np.ceil(index - reach) + np.arange(math.floor(2 * reach) + 1)
    shares = kernel(taps - index)
    shares /= shares.sum(axis=1, keepdims=True)
    weights = np.zeros((len(places), num_in))
    row = np.broadcast_to(np.arange(len(places))[:, None], taps.shape)
    np.add.at(weights, (row, taps.clip(0, num_in - 1).astype(int)), shares)
    return torch.from_numpy(weights.astype(np.float32)).to(device)


def catmull_rom(x: Reals) -> Reals:
    """The cubic with B = 0, C = 1/2 of Mitchell & Netravali, "Reconstruction filters", 1988.

    Passes through the pixels and keeps ramps straight. Lanczos-3 drew a second, bright line beside
    each dark one; the softer B = C = 1/3 lost the pixels' own sharpness as soon as a zoom left 1.
    """
    x = np.abs(x)
    near = (1.5 * x - 2.5) * x**2 + 1
    far = ((-0.5 * x + 2.5) * x - 4) * x + 2
    return np.where(x < 1, near, np.where(x < 2, far, 0.0))


def _sample(tile: Tensor, columns: Tensor, rows: Tensor) -> Tensor:
    """A tile at any places, in pixels from the middle of its first one, bilinear: [3, H, W].

    Cubic gathers over a tile of single fineness took three times as long, and torch's own bicubic
    is not on every device and bends ramps.
    """
    _, height, width = tile.shape
    places = torch.stack([2 * columns / (width - 1) - 1, 2 * rows / (height - 1) - 1], dim=-1)
    # Clamped here: before torch 2.13 MPS has no padding_mode="border".
    return grid_sample(tile[None], places[None].clamp(-1, 1), align_corners=True)[0]


def backdrop(picture: Tensor, canvas_size: tuple[int, int]) -> Tensor:
    """The picture covering the canvas, strongly blurred and darkened: [3, H, W]."""
    width, height = canvas_size
    _, picture_height, picture_width = picture.shape
    scale = max(width / picture_width, height / picture_height)
    device = picture.device
    # Made small first: under so wide a blur it looks the same, for a fraction of the work.
    small_width = min(picture_width, BACKDROP_SIDE)
    small_height = min(picture_height, BACKDROP_SIDE)
    shrink_x, shrink_y = small_width / picture_width, small_height / picture_height
    small = _scale(
        picture,
        (small_width, 0.5 - small_width / 2, shrink_x),
        (small_height, 0.5 - small_height / 2, shrink_y),
    )
    blur = BACKDROP_BLUR * max(picture_width, picture_height)
    blurred = _resample(
        small,
        _blurring(small_width, width, scale / shrink_x, blur * shrink_x, device),
        _blurring(small_height, height, scale / shrink_y, blur * shrink_y, device),
    )
    return (blurred + 1) * BACKDROP_LIGHT - 1


# -- Dither ----------------------------------------------------------------------------------------

# The additive recurrence R2: whole shifts that come near each other as late as can be. M. Roberts,
# "The unreasonable effectiveness of quasirandom sequences", 2018; x³ = x + 1.
PLASTIC_NUMBER = 1.324717957244746

THRESHOLD_SIDE = 64


def _dither(
    plane: Tensor, frame_index: int, plane_index: int, dtype: torch.dtype = torch.uint8
) -> Tensor:
    """Levels [..., H, W] rounded up or down to whole ones, so that their mean stays.

    That is floor(level + u); u in (0, 1) is the blue-noise texture, elsewhere for each frame and
    plane.
    """
    height, width = plane.shape[-2:]
    texture = threshold(plane.device)
    size = len(texture)
    down, along = dither_shifts([frame_index])[0, plane_index].tolist()
    tiled = texture.roll((down, along), (0, 1)).repeat(-(-height // size), -(-width // size))
    return (plane + tiled[:height, :width]).to(dtype)


def dither_shifts(frames: Sequence[int]) -> NDArray[np.int32]:
    """Rows and columns by which the texture is shifted for each plane of frames: [N, 3, 2]."""
    steps = 3.0 * np.asarray(frames)[:, None, None] + np.arange(3.0)[:, None]
    powers = [PLASTIC_NUMBER, PLASTIC_NUMBER**2]
    shifts: NDArray[np.int32] = (THRESHOLD_SIDE * (steps / powers % 1)).astype(np.int32)
    return shifts


@cache
def threshold(device: torch.device) -> Tensor:
    """The blue-noise texture in (0, 1): [64, 64]. Made by tools/blue_noise.py."""
    ranks = np.load(Path(__file__).with_name("blue_noise.npy"))
    # Thresholds stay clear of 0 and 1 by more than float32 errs: whole levels stay what they are.
    return torch.from_numpy(((ranks + 0.5) / ranks.size).astype(np.float32)).to(device)
