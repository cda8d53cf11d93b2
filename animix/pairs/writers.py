"""Writers: threads that encode pictures and write them, while others are painted."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from animix.interruption import uninterrupted
from animix.pairs.picture_file import PictureFormat
from animix.whole_file import part_of


@dataclass(frozen=True, eq=False)
class Sheaf:
    """The pictures of a pair, and the files that they become."""

    number: int
    files: tuple[Path, ...]
    pictures: tuple[NDArray[np.uint8], ...]
    """[H, W, 3] each."""

    @property
    def num_bytes(self) -> int:
        """What its pixels take."""
        return sum(picture.nbytes for picture in self.pictures)


@dataclass(frozen=True)
class Written:
    """What has become of a sheaf."""

    number: int
    num_bytes: tuple[int, ...] = ()
    """Of each file."""
    encoding_seconds: float = 0.0
    writing_seconds: float = 0.0
    error: Exception | None = None


class Writers:
    """Threads that write sheaves, each file whole or not at all; ``take`` has what is done.

    Threads and no processes: zlib, Pillow and numpy let others run while they encode, and nothing
    has to be sent. A sheaf's error is told in its turn; closing lets those that are begun end.
    """

    def __init__(self, picture_format: PictureFormat, num_threads: int) -> None:
        self._format = picture_format
        # Written in C and never full: an interruption can't leave a lock of them taken.
        self._todo: queue.SimpleQueue[Sheaf | None] = queue.SimpleQueue()
        self._done: queue.SimpleQueue[Written] = queue.SimpleQueue()
        self._is_over = threading.Event()
        self._threads = [
            threading.Thread(target=self._work, name="writer", daemon=True)
            for _ in range(num_threads)
        ]
        with uninterrupted():
            for thread in self._threads:
                thread.start()

    def give(self, sheaf: Sheaf) -> None:
        """Have a sheaf written."""
        self._todo.put(sheaf)

    def take(self, *, wait: bool = True) -> Written | None:
        """The next that is done, in any order; None: none is, and it was not to wait for one."""
        try:
            return self._done.get(block=wait)
        except queue.Empty:
            return None

    def close(self) -> list[Written]:
        """End them, after the sheaf that each is at, and return what nobody has taken."""
        self._is_over.set()
        with uninterrupted():
            for _ in self._threads:
                self._todo.put(None)
            for thread in self._threads:
                thread.join()
        left = []
        while (written := self.take(wait=False)) is not None:
            left.append(written)
        return left

    def _work(self) -> None:
        while (sheaf := self._todo.get()) is not None:
            if self._is_over.is_set():
                continue
            try:
                self._done.put(write_sheaf(sheaf, self._format))
            except Exception as error:  # told to whoever takes it, whatever it is
                self._done.put(Written(sheaf.number, error=error))


def write_sheaf(sheaf: Sheaf, picture_format: PictureFormat) -> Written:
    """Encode and write the pictures of a pair; OSError where that can't be."""
    encoding = writing = 0.0
    sizes: list[int] = []
    for file, pixels in zip(sheaf.files, sheaf.pictures, strict=True):
        started = time.perf_counter()
        content = picture_format.encode(pixels)
        encoded = time.perf_counter()
        write_whole(file, content)
        encoding += encoded - started
        writing += time.perf_counter() - encoded
        sizes.append(len(content))
    return Written(sheaf.number, tuple(sizes), encoding, writing)


def write_whole(file: Path, content: bytes) -> None:
    """Write a file that has its name only when it is whole."""
    part = part_of(file)
    try:
        part.write_bytes(content)
        part.replace(file)
    except OSError:
        part.unlink(missing_ok=True)
        raise


def remove_all(files: Sequence[Path]) -> None:
    """Remove the files of a pair that is not to be, where they are there."""
    for file in files:
        file.unlink(missing_ok=True)
