"""What a film is encoded as, and how ffmpeg is told."""

from __future__ import annotations

import os
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal, get_args

from animix.errors import OptionError
from animix.video.metadata import Metadata

Preset = Literal[
    "ultrafast",
    "superfast",
    "veryfast",
    "faster",
    "fast",
    "medium",
    "slow",
    "slower",
    "veryslow",
]

MAX_RATE_TERM = 1_001_000
"""ffmpeg rounds a frame rate to a fraction of numbers up to this."""

FAST_PRESETS = ("ultrafast", "superfast")
MAX_THREADS = 128
MAX_FAST_THREADS = 8
"""More threads make x264's fast presets slower: 869 frames a second with 8, 744 with 16."""


@dataclass(frozen=True)
class EncoderSettings:
    """What a film is encoded as: H.264 in 8-bit 4:2:0, BT.709, limited range.

    >>> EncoderSettings(1080, 1920, Fraction(30)).frame_bytes
    3110400
    """

    width: int
    """Pixels, even."""
    height: int
    """Pixels, even."""
    fps: Fraction
    crf: int = 17
    """x264's constant rate factor, 0 (lossless) to 51; 17 can hardly be told from its source."""
    preset: Preset = "medium"
    title: str = ""
    """What players show as the film's name."""
    metadata: Metadata | None = None
    """What the finished film says of how it was made; its segments and a silent one say nothing."""

    def __post_init__(self) -> None:
        if min(self.width, self.height) < 2 or self.width % 2 or self.height % 2:
            raise OptionError(
                f"size is {self.width}x{self.height}: 4:2:0 video needs an even width and height"
            )
        if self.fps <= 0 or max(self.fps.numerator, self.fps.denominator) > MAX_RATE_TERM:
            raise OptionError(
                f"fps is {self.fps}: expected a rate above 0 such as 30, 29.97 or 30000/1001,"
                f" a ratio of whole numbers up to {MAX_RATE_TERM}"
            )
        if not 0 <= self.crf <= 51:
            raise OptionError(f"crf is {self.crf}: expected 0 (lossless) to 51, 17 is near perfect")
        if self.preset not in get_args(Preset):
            raise OptionError(
                f'preset is "{self.preset}": expected one of {", ".join(get_args(Preset))}'
            )

    @property
    def frame_bytes(self) -> int:
        """The length of one frame, its planes Y, Cb and Cr one after the other."""
        return self.width * self.height * 3 // 2

    @property
    def timescale(self) -> int:
        """Ticks a second for the film's clocks: whole ticks for a frame, so no time is rounded."""
        ticks = self.fps.numerator
        while ticks < 10_000:  # some players round coarser clocks; ffmpeg's own rule
            ticks *= 2
        return ticks


def num_cores() -> int:
    """The processor's cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def num_threads(settings: EncoderSettings) -> int:
    """The threads that suit one x264 on this machine.

    It says how many by itself, three for two cores, but then does not tell; they decide its bytes.
    """
    if settings.preset in FAST_PRESETS and num_cores() > MAX_FAST_THREADS:
        return MAX_FAST_THREADS
    return min(max(1, num_cores() * 3 // 2), MAX_THREADS)


def arguments(settings: EncoderSettings, threads: int | None, *, is_segment: bool) -> list[str]:
    """ffmpeg's arguments but for the file, which comes last.

    ``threads`` are x264's, None: as many as suit. A segment's table stands at its end.
    """
    size = f"{settings.width}x{settings.height}"
    return [
        *("-nostdin", "-hide_banner", "-loglevel", "error", "-y"),
        *("-f", "rawvideo", "-pixel_format", "yuv420p"),
        *("-video_size", size, "-framerate", str(settings.fps)),
        # The tags are options of the input: as options of the output ffmpeg 7.1 and later writes
        # only the matrix, and leaves the other two and the colr box out.
        *("-colorspace", "bt709", "-color_primaries", "bt709", "-color_trc", "bt709"),
        *("-color_range", "tv", "-chroma_sample_location", "left"),
        *("-i", "pipe:0"),
        *("-c:v", "libx264", "-preset", settings.preset, "-crf", str(settings.crf)),
        *("-threads", str(num_threads(settings) if threads is None else threads)),
        *(() if is_segment else ("-movflags", "+faststart")),
        *(("-metadata", f"title={settings.title}") if settings.title else ()),
        # The film's clock and its track's, so that both lengths are exact.
        *("-movie_timescale", str(settings.timescale)),
        *("-video_track_timescale", str(settings.timescale)),
        *("-f", "mp4"),
    ]
