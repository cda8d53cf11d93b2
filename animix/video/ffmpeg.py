"""Frames to a film: an ffmpeg child process, fed without waiting and watched to its end."""

from __future__ import annotations

import contextlib
import errno
import os
import queue
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from animix.errors import EncodeError, OptionError
from animix.ffmpeg.program import END_SECONDS, FFMPEG_ADVICE, POLL_SECONDS, find_ffmpeg
from animix.interruption import uninterrupted
from animix.video.metadata import write_metadata
from animix.video.mp4 import seal
from animix.video.probe import frames_in
from animix.video.settings import EncoderSettings, arguments
from animix.whole_file import part_of

QUEUE_BYTES = 64 << 20
"""Frames that wait for ffmpeg. As much as a batch of them may come on top."""
WRITE_BYTES = 1 << 20
"""What is written at a time, and what a pipe holds where it can be told to."""

Frames = bytes | bytearray | memoryview | NDArray[np.uint8]

LAST_WORDS_BYTES = 8192
ROOM_BYTES = 1 << 20
"""Where less is free a disk is full: a file that could not grow may be gone already."""


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
        threads: int | None = None,
        queue_bytes: int = QUEUE_BYTES,
        segment_of: str = "",
    ) -> None:
        """``threads`` are x264's, None: as many as suit one ffmpeg.

        A segment is told as one of its film, and sealed, so that half of it is never taken for it.
        """
        self.path = path
        self.settings = settings
        self.num_frames = 0
        """Frames taken so far."""
        self._name = segment_of or str(path)
        self._executable = executable
        self._queue_bytes = queue_bytes
        self._is_segment = bool(segment_of)
        self._arguments = arguments(settings, threads, is_segment=self._is_segment)
        self._patience_seconds = patience_seconds
        self._bytes_taken = 0
        self._bytes_fed = 0
        self._is_broken = False
        self._has_all = False
        self._last_words = b""
        # Never full and written in C: an interruption can't leave a lock of it taken.
        self._queue: queue.SimpleQueue[NDArray[np.uint8] | None] = queue.SimpleQueue()
        self._target = Path(os.path.realpath(path))  # behind a link, so that the link stays
        self._part = part_of(self._target)
        self._process: subprocess.Popen[bytes]
        self._feeder = threading.Thread(target=self._feed, name="ffmpeg stdin", daemon=True)
        self._listener = threading.Thread(target=self._listen, name="ffmpeg stderr", daemon=True)

    def __enter__(self) -> Encoder:
        try:
            with uninterrupted():
                self._start()
        except BaseException:  # an interruption too must leave nothing behind
            with uninterrupted():
                self.abort()
            raise
        return self

    def _start(self) -> None:
        executable = self._executable or find_ffmpeg()
        with making_room(self.path, self._target):
            self._part.write_bytes(b"")
        try:
            self._process = subprocess.Popen(
                [executable, *self._arguments, f"file:{self._part}"],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                bufsize=0,
                # Ctrl-C goes to the whole foreground group; ending ffmpeg is for abort alone.
                start_new_session=True,
            )
        except OSError as exc:
            raise EncodeError(
                f"{executable}: ffmpeg could not be started: {exc.strerror}; {FFMPEG_ADVICE}"
            ) from exc
        _widen(self._process)
        self._feeder.start()
        self._listener.start()

    def write(self, frames: Frames) -> None:
        """Takes the next frame, ``settings.frame_bytes`` bytes, or [N, bytes].

        They are not copied: nobody may change them afterwards. Waits while the queue is full.
        Raises EncodeError if ffmpeg is dead or stuck.
        """
        batch = batch_of(frames, self.settings, self.num_frames)
        if self._is_broken or self._bytes_taken - self._bytes_fed >= self._queue_bytes:
            self._wait_for(self._has_room)
        self._bytes_taken += batch.size
        self._queue.put(batch)
        self.num_frames += len(batch)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            if error is None:
                self.finish()
        finally:
            with uninterrupted():
                self.abort()  # after a good end there is nothing left to do

    def end(self) -> None:
        """There are no more frames: ffmpeg comes to its end while the caller goes on."""
        self._has_all = True
        self._queue.put(None)

    def check(self) -> None:
        """Raises EncodeError if ffmpeg has failed."""
        has_failed = bool(self._process.poll())
        if self._is_broken or (has_failed and not self._has_all):
            raise self._refusal()
        if has_failed:
            raise self._failure("could not finish")

    @property
    def has_ended(self) -> bool:
        """Whether ffmpeg has."""
        return self._process.poll() is not None

    def finish(self) -> None:
        """Waits for ffmpeg's end and moves the film into its place."""
        if self.num_frames == 0:
            raise no_frame(self.path)
        self.end()
        self._wait_for(self._has_ended)
        if self._bytes_fed < self._bytes_taken:
            raise self._refusal()
        if self._process.returncode != 0:
            raise self._failure("could not finish")
        try:
            # An exit code of 0 is ffmpeg's word; the film's own table is the proof.
            executable = self._executable or find_ffmpeg()
            found = frames_in(self._part, self.settings.container, executable)
            if found != self.num_frames:
                raise self._failure(f"left a film of {found} frames")
            write_metadata(self._part, self.settings.container, self.settings.metadata)
            if self._is_segment:
                seal(self._part)
            self._part.replace(self._target)
        except OSError as exc:
            raise EncodeError(
                f"{self._name}: the finished film can't be moved here: {exc.strerror};"
                " close what has the old one open and render again"
            ) from exc

    def abort(self) -> None:
        """Ends ffmpeg and removes what it wrote."""
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
        return self._bytes_taken - self._bytes_fed < self._queue_bytes

    def _has_ended(self) -> bool:
        if self._is_broken:
            raise self._refusal()
        return self.has_ended

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
        words = words.replace(f"file:{self._part}", self._name)
        return EncodeError(
            f"{self._name}: ffmpeg {what} after {self.num_frames} frames"
            f" ({ending}{full_disk(words, self._part.parent)}):\n{words}"
        )


def batch_of(frames: Frames, settings: EncoderSettings, first: int) -> NDArray[np.uint8]:
    """Frames as they lie in memory one after the other: [N, frame_bytes]; ``first`` is told."""
    if not isinstance(frames, np.ndarray):
        frames = np.frombuffer(frames, np.uint8)
    batch = np.ascontiguousarray(np.atleast_2d(frames))
    if batch.shape[1:] != (settings.frame_bytes,):
        raise ValueError(
            f"frame {first} has {batch.shape[-1]} bytes, expected"
            f" {settings.frame_bytes}: all planes of {settings.pixel_format}"
        )
    return batch


@contextlib.contextmanager
def making_room(path: Path, target: Path) -> Iterator[None]:
    """Make a film's folder, and in the block what it grows as; OptionError where that can't be."""
    try:
        if target.exists() and not target.is_file():
            raise OptionError(f"{path}: is no file that a film could replace; name another output")
        target.parent.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as exc:
        raise OptionError(f"{path}: can't be written: {exc.strerror}; {remedy(exc)}") from exc


def full_disk(words: str, folder: Path) -> str:
    """What to add to an ending where a disk is full, by ffmpeg's words or by the disk; or nothing.

    >>> full_disk("Error writing trailer: No space left on device", Path("renders"))
    '; its disk is full, make room'
    """
    is_full = "No space left" in words or "quota exceeded" in words
    with contextlib.suppress(OSError):
        is_full = is_full or shutil.disk_usage(folder).free < ROOM_BYTES
    return "; its disk is full, make room" if is_full else ""


def remedy(error: OSError) -> str:
    """What to do where a film can't be written.

    >>> remedy(OSError(errno.EROFS, "Read-only file system"))
    'name another output'
    """
    is_full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    return "make room for it or name another output" if is_full else "name another output"


def no_frame(path: Path) -> EncodeError:
    """The error of a film that nothing was written to."""
    return EncodeError(f"{path}: no frame was written, so there is no film")


def _widen(process: subprocess.Popen[bytes]) -> None:
    """Let the pipe to a process hold as much as is written at a time, where that is possible."""
    if sys.platform == "linux" and process.stdin is not None:
        import fcntl

        # The system gives a user only so much of it.
        with contextlib.suppress(OSError):
            fcntl.fcntl(process.stdin, fcntl.F_SETPIPE_SZ, WRITE_BYTES)
