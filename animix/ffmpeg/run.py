"""One run of ffmpeg from its start to its end: what it said, what it wrote, and no leftovers."""

from __future__ import annotations

import contextlib
import io
import subprocess
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from animix.errors import EncodeError
from animix.ffmpeg.program import END_SECONDS, FFMPEG_ADVICE, POLL_SECONDS, find_ffmpeg
from animix.interruption import uninterrupted

PATIENCE_SECONDS = 60.0
"""How long nothing may move."""
READ_BYTES = 1 << 16
FIRST_WORDS_BYTES = 1 << 16
LAST_WORDS_BYTES = 1 << 13


@dataclass(frozen=True)
class Outcome:
    """How a run ended."""

    code: int
    """The exit code; negative: the signal that killed it."""
    num_bytes: int
    """Written to its standard output."""
    words: str
    """What it said; of very much, the beginning and the end."""
    data: bytes = b""
    """What was written, where it is kept."""

    @property
    def ending(self) -> str:
        """The exit code in words."""
        return f"exit code {self.code}" if self.code >= 0 else f"killed by signal {-self.code}"


class Run:
    """An ffmpeg that needs no input from us; leaving the with-block ends it if it still runs.

    Its standard output is counted and, unless it is to be kept, thrown away. Raises EncodeError
    where it can't be started, and from ``wait`` where nothing moves for a minute.
    """

    def __init__(
        self, arguments: Sequence[str], *, growing: Path | None = None, keep: bool = False
    ) -> None:
        """``growing`` is the file that it writes, by which its progress is seen."""
        self._arguments = arguments
        self._growing = growing
        self._kept: list[bytes] | None = [] if keep else None
        self._num_bytes = 0
        self._first_words = self._last_words = b""
        self._process: subprocess.Popen[bytes]
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> Run:
        try:
            with uninterrupted():
                self._start()
        except BaseException:
            with uninterrupted():
                self._end()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with uninterrupted():
            self._end()

    def wait(self) -> Outcome:
        """Waits for its end."""
        seen, still = self._progress(), 0
        while True:
            with uninterrupted():
                if self._process.poll() is not None:
                    break
            time.sleep(POLL_SECONDS)
            progress = self._progress()
            still = still + 1 if progress == seen else 0
            seen = progress
            # Counts tries, not the clock: a computer that slept in between has not been stuck.
            if still * POLL_SECONDS > PATIENCE_SECONDS:
                raise EncodeError(f"ffmpeg hasn't moved for {PATIENCE_SECONDS:g} s")
        for thread in self._threads:
            thread.join(END_SECONDS)
        words = (self._first_words + self._last_words).decode(errors="replace").strip()
        data = b"".join(self._kept or ())
        return Outcome(self._process.returncode, self._num_bytes, words, data)

    def _start(self) -> None:
        executable = find_ffmpeg()
        try:
            self._process = subprocess.Popen(
                [executable, "-nostdin", "-hide_banner", "-nostats", *self._arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                # Ctrl-C goes to the whole foreground group; ending ffmpeg is for us alone.
                start_new_session=True,
            )
        except OSError as exc:
            raise EncodeError(
                f"{executable}: ffmpeg could not be started: {exc.strerror}; {FFMPEG_ADVICE}"
            ) from exc
        for read, stream in ((self._count, "stdout"), (self._listen, "stderr")):
            pipe = getattr(self._process, stream)
            thread = threading.Thread(
                target=read, args=(pipe,), name=f"ffmpeg {stream}", daemon=True
            )
            thread.start()
            self._threads.append(thread)

    def _end(self) -> None:
        if hasattr(self, "_process"):  # it may not have come so far
            self._process.kill()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(END_SECONDS)
        for thread in self._threads:
            thread.join(END_SECONDS)

    def _count(self, pipe: io.BufferedReader) -> None:
        with pipe:
            while data := pipe.read1(READ_BYTES):
                self._num_bytes += len(data)
                if self._kept is not None:
                    self._kept.append(data)

    def _listen(self, pipe: io.BufferedReader) -> None:
        with pipe:
            while words := pipe.read1(READ_BYTES):
                room = FIRST_WORDS_BYTES - len(self._first_words)
                self._first_words += words[:room]
                self._last_words = (self._last_words + words[room:])[-LAST_WORDS_BYTES:]

    def _progress(self) -> tuple[int, int, int]:
        try:
            file = self._growing.stat() if self._growing else None
        except OSError:
            file = None
        return (
            (self._num_bytes, file.st_size, file.st_mtime_ns) if file else (self._num_bytes, 0, 0)
        )
