"""What a film is encoded as, and how ffmpeg is told."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Literal, get_args

from animix.errors import OptionError
from animix.timeline.formats import CODECS, Codec, Container, PixelFormat, frame_bytes
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
    """What a film is encoded as, if nothing else is said H.264 in 8-bit 4:2:0; BT.709.

    >>> EncoderSettings(1080, 1920, Fraction(30)).frame_bytes
    3110400
    """

    width: int
    """Pixels, even."""
    height: int
    """Pixels, even."""
    fps: Fraction
    crf: int = 17
    """The constant rate factor, 0 to the codec's worst; x264's 17 is hardly told from its source.

    Codecs that have none pass it by, and so does a ``bitrate``.
    """
    preset: Preset = "medium"
    title: str = ""
    """What players show as the film's name."""
    codec: Codec = "h264"
    encoder: str | None = None
    """By ffmpeg's name; None: the one that runs everywhere."""
    pixel_format: PixelFormat = "yuv420p"
    bitrate: int | None = None
    """Bits a second on average; None: ``crf`` rules."""
    max_bitrate: int | None = None
    """Bits over any second of a segment; None: as many as the quality takes."""
    gop_frames: int | None = None
    """Length of the groups of pictures, each closed; None: the encoder cuts as it likes."""
    audio_bitrate: int = 192_000
    """Bits a second of the sound, if there is any."""
    edit_list: bool = True
    """False: the film's times start at 0 without one, as platforms want it."""
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
        facts = CODECS[self.codec]
        if facts.crf is not None and not 0 <= self.crf <= facts.worst_crf:
            raise OptionError(
                f"crf is {self.crf}: expected 0 (lossless) to {facts.worst_crf}, {facts.crf} is"
                " near perfect"
            )
        if self.pixel_format not in facts.pixel_formats:
            raise OptionError(f"pixel format is {self.pixel_format}: {self.codec} has another")
        if self.encoder is not None and self.encoder not in facts.encoders:
            raise OptionError(f"encoder is {self.encoder}: it does not make {self.codec}")
        for name in ("bitrate", "max_bitrate", "gop_frames", "audio_bitrate"):
            number = getattr(self, name)
            if number is not None and number < 1:
                raise OptionError(f"{name} is {number}: expected a number above 0")
        if self.preset not in get_args(Preset):
            raise OptionError(
                f'preset is "{self.preset}": expected one of {", ".join(get_args(Preset))}'
            )

    @property
    def frame_bytes(self) -> int:
        """The length of one frame, its planes Y, Cb and Cr or its pixels one after the other."""
        return frame_bytes(self.pixel_format, self.width, self.height)

    @property
    def container(self) -> Container:
        """What the codec goes into."""
        return CODECS[self.codec].container

    @property
    def made_by(self) -> str:
        """The encoder by ffmpeg's name."""
        return self.encoder or CODECS[self.codec].encoders[0]

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


def is_joined(settings: EncoderSettings) -> bool:
    """Whether a film's segments are joined as they are: those of x264 and x265 can be.

    Others are kept without loss, and the film is encoded from them.
    """
    return settings.made_by in ("libx264", "libx265")


LOG = ("-nostdin", "-hide_banner", "-loglevel", "error", "-y")
"""How ffmpeg is told to say what fails and nothing else, and to ask nobody."""

LOSSLESS = ("-c:v", "ffvhuff", "-pred", "median")
"""The quickest that has all pixel formats. FFV1 leaves a fifth to a quarter less, but is several
times slower to write and to read, and x264 is about twice as slow (benchmarks/lossless.py); Ut
Video and MagicYUV have no 10 bits."""


def arguments(settings: EncoderSettings, threads: int | None, *, is_segment: bool) -> list[str]:
    """ffmpeg's arguments but for the file, which comes last.

    ``threads`` are x264's, None: as many as suit. A segment's table stands at its end.
    """
    if is_segment and not is_joined(settings):
        # QuickTime, whose table is an MP4's. Nothing tells here what the film is encoded as: in
        # another way it is encoded from the same segments. Nor do they need times of their own.
        kept_as = LOSSLESS_FORMATS[settings.pixel_format]
        frames = raw_input(replace(settings, fps=Fraction(30)))
        return [*LOG, *frames, *LOSSLESS, "-pix_fmt", kept_as, "-f", "mov"]
    return [
        *LOG,
        *raw_input(settings),
        *encoding(settings, threads),
        *(("-metadata", f"title={settings.title}") if settings.title else ()),
        *muxing(settings, is_segment=is_segment),
    ]


RAW_FORMATS: dict[PixelFormat, str] = {
    "yuv420p": "yuv420p",
    "yuv422p10": "yuv422p10le",
    "rgb24": "rgb24",
}
LOSSLESS_FORMATS = RAW_FORMATS | {"rgb24": "gbrp"}
"""The median of neighbours is for planes."""


def raw_input(settings: EncoderSettings) -> list[str]:
    """How ffmpeg is told what comes through the pipe."""
    if settings.pixel_format == "rgb24":
        tags = ["-colorspace", "rgb", "-color_primaries", "bt709", "-color_trc", "iec61966-2-1"]
        tags += ["-color_range", "pc"]
    else:
        tags = ["-colorspace", "bt709", "-color_primaries", "bt709", "-color_trc", "bt709"]
        tags += ["-color_range", "tv", "-chroma_sample_location", "left"]
    return [
        *("-f", "rawvideo", "-pixel_format", RAW_FORMATS[settings.pixel_format]),
        *("-video_size", f"{settings.width}x{settings.height}", "-framerate", str(settings.fps)),
        # The tags are options of the input: as options of the output ffmpeg 7.1 and later writes
        # only the matrix, and leaves the other two and the colr box out.
        *tags,
        *("-i", "pipe:0"),
    ]


X265_ALONE = ("pools=none", "frame-threads=1")
"""With a second thread, if only one that looks ahead, x265 4.3 makes other bytes about once in
three hundred times. Cores are kept busy by several segments instead."""

X264_FLATS = ("-aq-mode", "3", "-aq-strength", "1.7")
X265_FLATS = ("aq-mode=3:aq-strength=2.2",)
"""More bits for flat and dark parts, or the dither in them is smoothed away and they band.

benchmarks/banding.py measures it. x264's grain tuning and smaller dead zones do nothing for it; a
crf of 10 comes near, for half as many bits again. Fast presets do without."""


def encoding(settings: EncoderSettings, threads: int | None = None) -> list[str]:
    """How ffmpeg is told the encoder and its rate."""
    is_fast = settings.preset in FAST_PRESETS
    groups = ("-g", str(settings.gop_frames)) if settings.gop_frames else ()
    rate = _rate(settings)
    words: dict[str, tuple[str, ...]] = {
        "libx264": (
            *("-preset", settings.preset, *rate, *([] if is_fast else X264_FLATS)),
            *("-threads", str(num_threads(settings) if threads is None else threads)),
            *_closed(settings),
        ),
        # x265 has a log of its own, and open groups unless told otherwise. Players of Apple's open
        # hvc1 alone.
        "libx265": (
            *("-preset", settings.preset, *rate, *groups, "-tag:v", "hvc1"),
            *(
                "-x265-params",
                ":".join(("log-level=error:open-gop=0", *X265_ALONE, *X265_FLATS[is_fast:])),
            ),
        ),
        # With a bitrate and several threads it makes other bytes each time.
        "libsvtav1": (
            *("-preset", "12" if is_fast else "6", *rate, *groups),
            *(("-svtav1-params", "lp=1") if settings.bitrate is not None else ()),
        ),
        "libvpx-vp9": (
            *("-deadline", "realtime" if is_fast else "good", "-cpu-used", "8" if is_fast else "2"),
            *("-row-mt", "1", *rate, *groups),
        ),
        "prores_ks": ("-profile:v", "hq", "-vendor", "apl0"),
        "h264_videotoolbox": (*rate, *groups),
        "hevc_videotoolbox": (*rate, *groups, "-tag:v", "hvc1"),
        "h264_nvenc": (*rate, *groups, "-bf", "2"),
        "hevc_nvenc": (*rate, *groups, "-tag:v", "hvc1"),
        "av1_nvenc": (*rate, *groups),
    }
    return ["-c:v", settings.made_by, *words[settings.made_by]]


def _closed(settings: EncoderSettings) -> tuple[str, ...]:
    """x264's High profile with two B-frames, cut into closed groups of pictures."""
    if settings.gop_frames is None:
        return ()
    length = str(settings.gop_frames)
    return (
        *("-profile:v", "high", "-bf", "2", "-flags", "+cgop"),
        *("-g", length, "-keyint_min", length, "-sc_threshold", "0"),
    )


def _rate(settings: EncoderSettings) -> tuple[str, ...]:
    """The quality or the bitrate, and the cap, which holds for every second."""
    cap: tuple[str, ...] = ()
    if settings.max_bitrate is not None:
        cap = ("-maxrate", str(settings.max_bitrate), "-bufsize", str(settings.max_bitrate))
    if settings.bitrate is not None:
        return ("-b:v", str(settings.bitrate), *cap)
    crf = str(settings.crf)
    if settings.made_by.endswith("_nvenc"):
        return ("-rc", "vbr", "-cq", crf, "-b:v", "0", *cap)
    if settings.made_by.endswith("_videotoolbox"):
        # Its scale runs from 1 to 100, the best.
        return ("-q:v", str(max(1, 100 - 2 * settings.crf)), *cap)
    if settings.made_by == "libvpx-vp9":
        return ("-crf", crf, "-b:v", "0", *cap)
    return ("-crf", crf, *cap)


def muxing(settings: EncoderSettings, *, is_segment: bool) -> list[str]:
    """How ffmpeg is told the container; a segment's table stands at its end."""
    if settings.container == "webm":
        return [*clocks(settings), "-f", "webm"]
    flags = [
        *([] if is_segment else ["faststart"]),
        # Without an edit list the first frame is shown at 0 only if frames that are shown before
        # they would be decoded may be told so.
        *([] if settings.edit_list else ["negative_cts_offsets"]),
    ]
    return [
        *(("-movflags", "+" + "+".join(flags)) if flags else ()),
        *(() if settings.edit_list else ("-use_editlist", "0")),
        *clocks(settings),
        *("-f", settings.container),
    ]


def clocks(settings: EncoderSettings) -> list[str]:
    """How ffmpeg is told a film's clock and its track's, so that both lengths are exact."""
    if settings.container == "webm":
        # It counts in milliseconds. Without this it is given random numbers to be known by.
        return ["-fflags", "+bitexact"]
    ticks = str(settings.timescale)
    return ["-movie_timescale", ticks, "-video_track_timescale", ticks]
