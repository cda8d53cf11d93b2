"""Formats: the containers, codecs and pixel formats that a film can be written in."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Literal, get_args

Container = Literal["mp4", "webm", "mov", "gif", "png"]
Codec = Literal["h264", "h265", "av1", "vp9", "prores", "gif", "png"]
PixelFormat = Literal["yuv420p", "yuv422p10", "rgb24"]

CONTAINERS: tuple[Container, ...] = get_args(Container)
PIXEL_FORMATS: tuple[PixelFormat, ...] = get_args(PixelFormat)

GIF_RATES = (1, 2, 4, 5, 10, 20, 25, 50)
"""A GIF shows each frame for whole hundredths of a second, browsers none for less than two."""

_BYTES_PER_PIXEL: dict[PixelFormat, Fraction] = {
    "yuv420p": Fraction(3, 2),
    "yuv422p10": Fraction(4),
    "rgb24": Fraction(3),
}


@dataclass(frozen=True)
class CodecFacts:
    """What a codec goes into, is made from and made by."""

    container: Container
    pixel_formats: tuple[PixelFormat, ...]
    """The first is what is used if nothing is said."""
    encoders: tuple[str, ...]
    """By ffmpeg's names: the first runs everywhere, the others are hardware's."""
    crf: int | None = None
    """The constant rate factor if none is given; None: the codec has none."""
    worst_crf: int = 0

    def __post_init__(self) -> None:
        if not self.pixel_formats or not self.encoders:
            raise ValueError("a codec needs a pixel format and an encoder")
        if self.crf is not None and not 0 <= self.crf <= self.worst_crf:
            raise ValueError(f"crf is {self.crf}: expected 0 to {self.worst_crf}")


CODECS: dict[Codec, CodecFacts] = {
    "h264": CodecFacts(
        "mp4", ("yuv420p",), ("libx264", "h264_nvenc", "h264_videotoolbox"), crf=17, worst_crf=51
    ),
    "h265": CodecFacts(
        "mp4",
        ("yuv420p", "yuv422p10"),
        ("libx265", "hevc_nvenc", "hevc_videotoolbox"),
        crf=18,
        worst_crf=51,
    ),
    "av1": CodecFacts("mp4", ("yuv420p",), ("libsvtav1", "av1_nvenc"), crf=22, worst_crf=63),
    "vp9": CodecFacts("webm", ("yuv420p",), ("libvpx-vp9",), crf=22, worst_crf=63),
    "prores": CodecFacts("mov", ("yuv422p10",), ("prores_ks",)),
    "gif": CodecFacts("gif", ("rgb24",), ("gif",)),
    "png": CodecFacts("png", ("rgb24",), ("png",)),
}


def codecs_of(container: Container) -> tuple[Codec, ...]:
    """The codecs that a container is written with, the usual one first.

    >>> codecs_of("mp4")
    ('h264', 'h265', 'av1')
    """
    return tuple(codec for codec, facts in CODECS.items() if facts.container == container)


def frame_bytes(pixel_format: PixelFormat, width: int, height: int) -> int:
    """The length of one frame, its planes or pixels one after the other.

    >>> frame_bytes("yuv420p", 1080, 1920)
    3110400
    """
    return int(_BYTES_PER_PIXEL[pixel_format] * width * height)
