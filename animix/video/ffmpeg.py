"""Frames to ffmpeg: a child process, fed without waiting and watched to its end."""

from __future__ import annotations

import contextlib
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from animix.errors import EncodeError
from animix.ffmpeg.program import END_SECONDS, FFMPEG_ADVICE, POLL_SECONDS, find_ffmpeg
from animix.interruption import uninterrupted
from animix.video.place import full_disk

QUEUE_BYTES = 64 << 20
"""Frames that wait for ffmpeg. As much as a batch of them may come on top."""
WRITE_BYTES = 1 << 20
"""What is written at a time, and what a pipe holds where it can be told to."""
PATIENCE_SECONDS = 60.0
"""How long nothing may move."""

LAST_WORDS_BYTES = 8192


class Feed:
    """An ffmpeg that is given frames, as what it writes grows.

    Frames wait in a queue, so that the caller works on the next ones meanwhile. EncodeError where
    ffmpeg is missing, has died or hasn't moved for ``patience_seconds``. It may be given up at any
    time, from any thread.
    """

    def __init__(
        self,
        arguments: Sequence[str],
        *,
        growing: Path,
        name: str,
        executable: str | None = None,
        patience_seconds: float = PATIENCE_SECONDS,
        queue_bytes: int = QUEUE_BYTES,
    ) -> None:
        """``growing`` is what it writes, by which progress is seen; ``name`` is told in errors."""
        self.num_frames = 0
        """Frames taken so far."""
        self._arguments = arguments
        self._growing = growing
        self._name = name
        self._executable = executable
        self._patience_seconds = patience_seconds
        self._queue_bytes = queue_bytes
        self._bytes_taken = 0
        self._bytes_fed = 0
        self._is_broken = False
        self._has_all = False
        self._last_words = b""
        # Never full and written in C: an interruption can't leave a lock of it taken.
        self._queue: queue.SimpleQueue[NDArray[np.uint8] | None] = queue.SimpleQueue()
        self._process: subprocess.Popen[bytes]
        self._feeder = threading.Thread(target=self._feed, name="ffmpeg stdin", daemon=True)
        self._listener = threading.Thread(target=self._listen, name="ffmpeg stderr", daemon=True)

    def start(self) -> None:
        """Start it."""
        self._process = start_ffmpeg(self._arguments, self._executable, stdin=subprocess.PIPE)
        widen(self._process.stdin)
        self._feeder.start()
        self._listener.start()

    def write(self, frames: NDArray[np.uint8]) -> None:
        """Takes the next frames: [N, bytes].

        They are not copied: nobody may change them afterwards. Waits while the queue is full.
        """
        if self._is_broken or self._bytes_taken - self._bytes_fed >= self._queue_bytes:
            self._wait_for(self._has_room)
        self._bytes_taken += frames.size
        self._queue.put(frames)
        self.num_frames += len(frames)

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
            raise self.failure("could not finish")

    @property
    def has_ended(self) -> bool:
        """Whether ffmpeg has."""
        return self._process.poll() is not None

    def finish(self) -> None:
        """Waits for ffmpeg's end, once it has been given all frames."""
        self.end()
        self._wait_for(self._has_ended)
        if self._bytes_fed < self._bytes_taken:
            raise self._refusal()
        if self._process.returncode != 0:
            raise self.failure("could not finish")

    def abort(self) -> None:
        """Ends ffmpeg."""
        if hasattr(self, "_process"):  # it may not have come so far
            self._process.kill()
            self._queue.put(None)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(END_SECONDS)
        for thread in (self._feeder, self._listener):
            if thread.is_alive():
                thread.join(END_SECONDS)

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
                raise self.failure(f"hasn't moved for {self._patience_seconds:g} s")

    def _progress(self) -> tuple[int, int, int]:
        try:
            growing = self._growing.stat()
        except OSError:
            return self._bytes_fed, 0, 0
        return self._bytes_fed, growing.st_size, growing.st_mtime_ns

    def _refusal(self) -> EncodeError:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(END_SECONDS)  # its pipe may break a moment before it ends
        return self.failure("stopped taking frames")

    def failure(self, what: str) -> EncodeError:
        """The error that says what ffmpeg did, with its last words."""
        code = self._process.poll()
        if code is None:
            ending = "it was still running"
        else:
            self._listener.join(END_SECONDS)
            ending = f"exit code {code}" if code >= 0 else f"killed by signal {-code}"
        words = self._last_words.decode(errors="replace").strip() or "(it said nothing)"
        words = words.replace(f"file:{self._growing}", self._name)
        return EncodeError(
            f"{self._name}: ffmpeg {what} after {self.num_frames} frames"
            f" ({ending}{full_disk(words, self._growing.parent)}):\n{words}"
        )


def start_ffmpeg(
    arguments: Sequence[str],
    executable: str | None = None,
    *,
    stdin: int = subprocess.DEVNULL,
    stdout: int = subprocess.DEVNULL,
) -> subprocess.Popen[bytes]:
    """Start an ffmpeg, by default the usual one, whose words are to be heard; or EncodeError."""
    executable = executable or find_ffmpeg()
    try:
        return subprocess.Popen(
            [executable, *arguments],
            stdin=stdin,
            stdout=stdout,
            stderr=subprocess.PIPE,
            bufsize=0,
            # Ctrl-C goes to the whole foreground group; ending ffmpeg is for abort alone.
            start_new_session=True,
        )
    except OSError as exc:
        raise EncodeError(
            f"{executable}: ffmpeg could not be started: {exc.strerror}; {FFMPEG_ADVICE}"
        ) from exc


def widen(pipe: IO[bytes] | None) -> None:
    """Let a pipe hold as much as is written at a time, where that is possible."""
    if sys.platform == "linux" and pipe is not None:
        import fcntl

        # The system gives a user only so much of it.
        with contextlib.suppress(OSError):
            fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, WRITE_BYTES)
