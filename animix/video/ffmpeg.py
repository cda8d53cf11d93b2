"""Frames to a film: an ffmpeg child process, fed without waiting and watched to its end."""

from __future__ import annotations

import contextlib
import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Literal, get_args

import imageio_ffmpeg
import numpy as np
from numpy.typing import NDArray

from animix.errors import EncodeError, OptionError
from animix.interruption import uninterrupted
from animix.video.mp4 import count_frames

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

QUEUE_BYTES = 64 << 20
"""Frames that wait for ffmpeg. As much as a batch of them may come on top."""
WRITE_BYTES = 1 << 20
"""What is written at a time, and what a pipe holds where it can be told to."""
LAST_WORDS_BYTES = 8192
POLL_SECONDS = 0.005
END_SECONDS = 2
"""How long a process or a thread that is about to end is waited for."""

FFMPEG_ADVICE = (
    "reinstall it with pip install --force-reinstall imageio-ffmpeg, or set IMAGEIO_FFMPEG_EXE to"
    " the path of an ffmpeg"
)


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


class Encoder:
    """Writes a film with ffmpeg: whole at its path when the with-block ends, or not at all.

    Frames wait in a queue, so that the caller works on the next ones meanwhile. The film
    grows beside its path under a temporary name and moves into place once ffmpeg has ended well and
    every frame is in it. An error or an interruption in the block ends ffmpeg and removes what it
    wrote; a film that stood at the path before stays.

    Raises OptionError on entering where the path can't be written; EncodeError on entering, from
    ``write`` or at the block's end when ffmpeg is missing, has died or hasn't moved for
    ``patience_seconds``::

        with Encoder(Path("grey.mp4"), EncoderSettings(64, 64, Fraction(30))) as film:
            film.write(bytes([126]) * film.settings.frame_bytes)
    """

    def __init__(
        self,
        path: Path,
        settings: EncoderSettings,
        *,
        executable: str | None = None,
        patience_seconds: float = 60,
    ) -> None:
        self.path = path
        self.settings = settings
        self.num_frames = 0
        """Frames taken so far."""
        self._executable = executable
        self._patience_seconds = patience_seconds
        self._bytes_taken = 0
        self._bytes_fed = 0
        self._is_broken = False
        self._last_words = b""
        # Never full and written in C: an interruption can't leave a lock of it taken.
        self._queue: queue.SimpleQueue[NDArray[np.uint8] | None] = queue.SimpleQueue()
        self._target = Path(os.path.realpath(path))  # behind a link, so that the link stays
        self._part = self._target.with_name(f".{self._target.name}.part-{os.getpid()}")
        self._process: subprocess.Popen[bytes]
        self._feeder = threading.Thread(target=self._feed, name="ffmpeg stdin", daemon=True)
        self._listener = threading.Thread(target=self._listen, name="ffmpeg stderr", daemon=True)

    def __enter__(self) -> Encoder:
        try:
            with uninterrupted():
                self._start()
        except BaseException:  # an interruption too must leave nothing behind
            with uninterrupted():
                self._abort()
            raise
        return self

    def _start(self) -> None:
        executable = self._executable or find_ffmpeg()
        self._reserve()
        try:
            self._process = subprocess.Popen(
                [executable, *_arguments(self.settings), f"file:{self._part}"],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                bufsize=0,
                # Ctrl-C goes to the whole foreground group; ending ffmpeg is for _abort alone.
                start_new_session=True,
            )
        except OSError as exc:
            raise EncodeError(
                f"{executable}: ffmpeg could not be started: {exc.strerror}; {FFMPEG_ADVICE}"
            ) from exc
        _widen(self._process)
        self._feeder.start()
        self._listener.start()

    def _reserve(self) -> None:
        """Make an empty file beside the film's place, so that one that can't be is told now."""
        try:
            if self._target.exists() and not self._target.is_file():
                raise OptionError(
                    f"{self.path}: is no file that a film could replace; name another output"
                )
            self._target.parent.mkdir(parents=True, exist_ok=True)
            self._part.write_bytes(b"")
        except OSError as exc:
            raise OptionError(
                f"{self.path}: can't be written: {exc.strerror}; name another output or make room "
                "for it"
            ) from exc

    def write(self, frames: bytes | bytearray | memoryview | NDArray[np.uint8]) -> None:
        """Takes the next frame, ``settings.frame_bytes`` bytes of planar yuv420p, or [N, bytes].

        They are not copied: nobody may change them afterwards. Waits while the queue is full.
        Raises EncodeError if ffmpeg is dead or stuck.
        """
        batch = self._batch(frames)
        if self._is_broken or self._bytes_taken - self._bytes_fed >= QUEUE_BYTES:
            self._wait_for(self._has_room)
        self._bytes_taken += batch.size
        self._queue.put(batch)
        self.num_frames += len(batch)

    def _batch(
        self, frames: bytes | bytearray | memoryview | NDArray[np.uint8]
    ) -> NDArray[np.uint8]:
        """Frames as they lie in memory one after the other: [N, frame_bytes]."""
        if not isinstance(frames, np.ndarray):
            frames = np.frombuffer(frames, np.uint8)
        batch = np.ascontiguousarray(np.atleast_2d(frames))
        if batch.shape[1:] != (self.settings.frame_bytes,):
            raise ValueError(
                f"frame {self.num_frames} has {batch.shape[-1]} bytes, expected"
                f" {self.settings.frame_bytes}: all of Y, Cb and Cr"
            )
        return batch

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            if error is None:
                self._finish()
        finally:
            with uninterrupted():
                self._abort()  # after a good end there is nothing left to do

    def _finish(self) -> None:
        if self.num_frames == 0:
            raise EncodeError(f"{self.path}: no frame was written, so there is no film")
        self._queue.put(None)
        self._wait_for(self._has_ended)
        if self._bytes_fed < self._bytes_taken:
            raise self._refusal()
        if self._process.returncode != 0:
            raise self._failure("could not finish")
        try:
            # An exit code of 0 is ffmpeg's word; the film's own table is the proof.
            if (found := count_frames(self._part)) != self.num_frames:
                raise self._failure(f"left a film of {found} frames")
            self._part.replace(self._target)
        except OSError as exc:
            raise EncodeError(
                f"{self.path}: the finished film can't be moved here: {exc.strerror};"
                " close what has the old one open and render again"
            ) from exc

    def _abort(self) -> None:
        if hasattr(self, "_process"):  # it may not have come so far
            self._process.kill()
            self._queue.put(None)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(END_SECONDS)
        for thread in (self._feeder, self._listener):
            if thread.is_alive():
                thread.join(END_SECONDS)
        with contextlib.suppress(OSError):
            self._part.unlink(missing_ok=True)

    def _feed(self) -> None:
        """The thread that writes to ffmpeg: a pipe that is full must not stop the caller."""
        assert self._process.stdin is not None
        try:
            with self._process.stdin as stdin:
                while (batch := self._queue.get()) is not None:
                    rest = batch.reshape(-1).data
                    while rest:
                        num_bytes = stdin.write(rest[:WRITE_BYTES])
                        self._bytes_fed += num_bytes
                        rest = rest[num_bytes:]
        except OSError:  # ffmpeg has ended or closed its end, and its exit code says more
            self._is_broken = True

    def _listen(self) -> None:
        """The thread that hears ffmpeg out: unread, its words would fill their pipe and stop it."""
        assert self._process.stderr is not None
        with self._process.stderr as stderr:
            while words := stderr.read(LAST_WORDS_BYTES):
                self._last_words = (self._last_words + words)[-LAST_WORDS_BYTES:]

    def _has_room(self) -> bool:
        """Whether the queue takes more."""
        if self._is_broken or self._process.poll() is not None:
            raise self._refusal()
        return self._bytes_taken - self._bytes_fed < QUEUE_BYTES

    def _has_ended(self) -> bool:
        if self._is_broken:
            raise self._refusal()
        return self._process.poll() is not None

    def _wait_for(self, attempt: Callable[[], bool]) -> None:
        """Tries until done, as long as ffmpeg takes frames or its file changes.

        Counts tries, not the clock: a computer that slept in between has not been stuck.
        """
        seen, still = self._progress(), 0
        while True:
            # A process's lock is a Python object: interrupted in it, nobody would release it.
            with uninterrupted():
                if attempt():
                    return
            time.sleep(POLL_SECONDS)
            progress = self._progress()
            still = still + 1 if progress == seen else 0
            seen = progress
            if still * POLL_SECONDS > self._patience_seconds:
                raise self._failure(f"hasn't moved for {self._patience_seconds:g} s")

    def _progress(self) -> tuple[int, int, int]:
        try:
            part = self._part.stat()
        except OSError:
            return self._bytes_fed, 0, 0
        return self._bytes_fed, part.st_size, part.st_mtime_ns

    def _refusal(self) -> EncodeError:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(END_SECONDS)  # its pipe may break a moment before it ends
        return self._failure("stopped taking frames")

    def _failure(self, what: str) -> EncodeError:
        """The error that says what ffmpeg did, with its last words."""
        code = self._process.poll()
        if code is None:
            ending = "it was still running"
        else:
            self._listener.join(END_SECONDS)
            ending = f"exit code {code}" if code >= 0 else f"killed by signal {-code}"
        words = self._last_words.decode(errors="replace").strip() or "(it said nothing)"
        return EncodeError(
            f"{self.path}: ffmpeg {what} after {self.num_frames} frames ({ending}). If its last"
            f" words don't say why, look for free space in {self._part.parent}:\n{words}"
        )


def find_ffmpeg() -> str:
    """The path of the ffmpeg that imageio-ffmpeg brings or finds; EncodeError if there is none."""
    try:
        return str(imageio_ffmpeg.get_ffmpeg_exe())
    except RuntimeError as exc:
        raise EncodeError(f"there is no ffmpeg here; {FFMPEG_ADVICE}") from exc


def _widen(process: subprocess.Popen[bytes]) -> None:
    """Let the pipe to a process hold as much as is written at a time, where that is possible."""
    if sys.platform == "linux" and process.stdin is not None:
        import fcntl

        # The system gives a user only so much of it.
        with contextlib.suppress(OSError):
            fcntl.fcntl(process.stdin, fcntl.F_SETPIPE_SZ, WRITE_BYTES)


def _arguments(settings: EncoderSettings) -> list[str]:
    """ffmpeg's arguments but for the file, which comes last."""
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
        *("-movflags", "+faststart"),
        *(("-metadata", f"title={settings.title}") if settings.title else ()),
        # The film's clock and its track's, so that both lengths are exact.
        *("-movie_timescale", str(settings.timescale)),
        *("-video_track_timescale", str(settings.timescale)),
        *("-f", "mp4"),
    ]
