"""Lettering: texts on small plates that can be read on any picture, in the font of Pillow."""

from __future__ import annotations

from functools import cache, lru_cache
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

Font: TypeAlias = "ImageFont.ImageFont | ImageFont.FreeTypeFont"
Colour: TypeAlias = "tuple[int, int, int]"
"""RGB, 0..255."""
PLATE: tuple[int, int, int, int] = (14, 14, 16, 176)
"""Dark and not quite opaque: on a white picture letters keep a contrast of 6 to 1, dim ones 4."""
BRIGHT: Colour = (244, 244, 242)
DIM: Colour = (206, 206, 208)
TEXTS_KEPT = 4096
"""Values such as 0.55 come again and again."""
FINENESS = 8
"""Parts of a pixel in which a plate's corners are drawn."""


@cache
def font_of(size: int) -> Font:
    """The font at a size in pixels. Its digits are all as wide, so that counting texts stand still.

    It is Aileron by Sora Sagano, CC0, which comes with Pillow.
    """
    return ImageFont.load_default(size)


def width_of(text: str, size: int) -> int:
    """Pixels that a text takes."""
    return int(np.ceil(font_of(size).getlength(text)))


def fitting(text: str, size: int, width: int) -> str:
    """A text cut in its middle where it is too wide: both ends of a file's name tell it apart.

    >>> fitting("network-snapshot-000120", 13, 100)
    'networ…000120'
    """
    if width_of(text, size) <= width:
        return text
    for kept in range(len(text) - 1, 1, -1):
        cut = f"{text[: kept // 2]}…{text[len(text) - (kept - kept // 2) :]}"
        if width_of(cut, size) <= width:
            return cut
    return "…"


def plate(width: int, height: int, radius: int) -> Image.Image:
    """An empty plate with round corners, RGBA."""
    red, green, blue, opacity = PLATE
    large = Image.new("L", (width * FINENESS, height * FINENESS))
    box = (0, 0, width * FINENESS - 1, height * FINENESS - 1)
    ImageDraw.Draw(large).rounded_rectangle(box, radius * FINENESS, fill=opacity)
    made = Image.new("RGBA", (width, height), (red, green, blue))
    made.putalpha(large.resize((width, height), Image.Resampling.BOX))
    return made


def layers_of(image: Image.Image) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """An RGBA image as its colours [3, h, w] in [-1, 1] and its opacity [1, h, w] in [0, 1]."""
    pixels = np.asarray(image, np.float32).transpose(2, 0, 1)
    return pixels[:3] / 127.5 - 1, pixels[3:] / 255


@lru_cache(maxsize=TEXTS_KEPT)
def shape_of(text: str, size: int, width: int, height: int) -> NDArray[np.float32]:
    """The letters of a text as opacity [h, w] in [0, 1], which nobody may change."""
    image = Image.new("L", (width, height))
    ImageDraw.Draw(image).text((0, 0), text, 255, font_of(size), anchor="la")
    shape: NDArray[np.float32] = np.asarray(image, np.float32) / np.float32(255)
    return shape
