"""A photo: the upright sRGB pixels of a picture file, whatever it holds them as."""

from __future__ import annotations

import io
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError

from animix.errors import PhotoError
from animix.tables import count

SMALLEST_SIDE = 16
MOST_PIXELS = 128_000_000
"""A telephone's largest pictures have 108 million; decoded that takes 384 MB."""

FORMATS = ("JPEG", "PNG", "WEBP", "AVIF", "TIFF", "BMP", "GIF", "PPM")
"""Pillow's names. Not all that it knows: for some of them it starts other programs."""

_IN_ONE_FILE = ("MPO", "TIFF")
"""Formats whose further pictures are previews, depths and pages, and no frames."""

_DEEP_MODES = ("I", "I;16", "I;16L", "I;16B", "I;16N")
_NO_COLOURS = ("F", "LAB")
_DEEP_FORMATS = ("PNG", "PPM", "TIFF")
_SRGB_NAMES = ("srgb", "iec61966")
_BACKGROUND = (255, 255, 255)


@dataclass(frozen=True, eq=False)
class Photo:
    """A picture as one sees it: turned upright by its EXIF, opaque, in sRGB."""

    pixels: NDArray[np.uint8]
    """[H, W, 3] in sRGB."""
    path: Path
    notes: tuple[str, ...] = ()
    """What was done to it that its owner may want to know, a phrase each."""

    def __post_init__(self) -> None:
        if self.pixels.dtype != np.uint8 or self.pixels.ndim != 3 or self.pixels.shape[2] != 3:
            found = f"{self.pixels.dtype} {list(self.pixels.shape)}"
            raise ValueError(f"pixels are {found}, expected uint8 [H, W, 3]")

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self.pixels.shape[1], self.pixels.shape[0]


def read_photo(path: str | Path) -> Photo:
    """Read a picture file of any common kind as a photo; PhotoError for what is none.

    Greyscale, palettes, CMYK and 16 bits become RGB of 8 bits; an ICC profile is turned into sRGB;
    what is transparent lies over white; of a file of several pages the first counts. Refused are
    animations, pictures under 16 pixels a side or over 128 million, and files cut off or broken.
    """
    path = Path(path)
    if path.is_dir():
        raise PhotoError(f"{path}: is a folder, expected a picture")
    if not path.exists():
        raise PhotoError(f"{path}: no such file")
    if not path.is_file():  # a pipe may never end
        raise PhotoError(f"{path}: is no regular file")
    try:
        if not path.stat().st_size:
            raise PhotoError(f"{path}: is empty")
        # Its limits and ours differ, and some of what is broken is still seen well.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            Image.init()
            known = [name for name in FORMATS if name in Image.OPEN]  # AVIF: not in each Pillow
            with Image.open(path, formats=known) as image:
                _check(image, path)
                image.load()
                pixels, notes = _upright_srgb(image)
        return Photo(pixels, path, notes)
    except PhotoError:
        raise
    except UnidentifiedImageError as exc:
        raise PhotoError(
            f"{path}: is no picture that can be read here; save it as JPEG, PNG or WebP"
        ) from exc
    except Image.DecompressionBombError as exc:
        raise PhotoError(f"{path}: is too large; {_larger()}") from exc
    except Exception as exc:  # a damaged file makes Pillow raise whatever its decoders meet
        told = (str(exc) or type(exc).__name__).splitlines()[0][:200]
        raise PhotoError(f"{path}: is cut off or damaged ({told})") from exc


def _larger() -> str:
    return f"expected up to {MOST_PIXELS // 1_000_000} million pixels: scale it down first"


def _check(image: Image.Image, path: Path) -> None:
    width, height = image.size
    if min(width, height) < SMALLEST_SIDE:
        raise PhotoError(
            f"{path}: has {width}x{height} pixels, expected at least {SMALLEST_SIDE} a side"
        )
    if width * height > MOST_PIXELS:
        raise PhotoError(f"{path}: has {width}x{height} pixels; {_larger()}")
    num_frames = getattr(image, "n_frames", 1)
    if num_frames > 1 and image.format not in _IN_ONE_FILE:
        raise PhotoError(
            f"{path}: is an animation of {count(num_frames, 'frame')}; save one of them as a PNG"
        )
    is_deep = image.mode in _DEEP_MODES
    is_deeper = image.mode == "I" and image.format == "TIFF"  # 16 bits have a mode of their own
    if image.mode in _NO_COLOURS or is_deeper or (is_deep and image.format not in _DEEP_FORMATS):
        raise PhotoError(
            f"{path}: its numbers can't be shown as they are ({image.mode}); save it as RGB"
        )


def _upright_srgb(image: Image.Image) -> tuple[NDArray[np.uint8], tuple[str, ...]]:
    """The pixels [H, W, 3] of a loaded image, and what is to be told of them."""
    notes = []
    profile = image.info.get("icc_profile")
    # Some cameras leave EXIF that can't be parsed, and a picture that can be.
    try:
        image = ImageOps.exif_transpose(image)
    except Exception:
        notes.append("its EXIF is damaged, so it is taken as it lies")
    if image.mode in _DEEP_MODES:
        deep = np.asarray(image).astype(np.int64)
        image = Image.fromarray(np.clip((deep + 128) // 257, 0, 255).astype(np.uint8))
    alpha = None
    if image.has_transparency_data:
        alpha = image.convert("RGBA").getchannel("A")
        if alpha.getextrema() == (255, 255):
            alpha = None
        else:
            notes.append("what is transparent lies over white")
    colours = image
    if image.mode not in ("L", "RGB", "CMYK"):
        # Alpha by itself: a profile is of the colours. Via RGBA, or a palette's alpha is lost.
        colours = (image.convert("RGBA") if image.has_transparency_data else image).convert("RGB")
    if profile:
        converted = _in_srgb(colours, profile)
        if converted is None:
            notes.append("its colour profile can't be used, so its colours are taken as sRGB")
        colours = converted or colours
    colours = colours.convert("RGB")
    if alpha is not None:
        over = Image.new("RGB", colours.size, _BACKGROUND)
        over.paste(colours, mask=alpha)
        colours = over
    return np.array(colours), tuple(notes)


def _in_srgb(image: Image.Image, profile: bytes) -> Image.Image | None:
    """An image in sRGB as its ICC profile has it; None where the profile doesn't fit or work."""
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        name = ImageCms.getProfileDescription(source).lower().replace(" ", "")
        if image.mode == "RGB" and any(word in name for word in _SRGB_NAMES):
            return image  # it would only be rounded
        target = ImageCms.createProfile("sRGB")
        return ImageCms.profileToProfile(image, source, target, outputMode="RGB")
    except Exception:  # whatever stands in a damaged profile
        return None
