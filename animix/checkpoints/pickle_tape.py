"""The tape that a pickle's instructions are read from: long literals on it are passed over."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from animix.errors import NetworkError

MAX_LINE = 4096
"""Bytes; only names and the small numbers of old protocols stand in lines."""

MAX_LITERAL = 1024
"""Bytes of a literal that is read where it stands; a longer one comes as a Span."""

MAX_LITERALS = 16 << 20
"""Bytes of all literals that are read where they stand; a training snapshot has a few KiB."""

WINDOW = 16 << 10
"""Bytes that are read at once: what lies between two large literals is shorter."""


@dataclass(frozen=True)
class Span:
    """Bytes that the reader left in the file: ``size`` of them from offset ``start`` on."""

    start: int
    size: int
    utf8: bool = False
    """They stand there as text, one letter for each byte: so did protocol 2 write bytes."""


def read_span(file: BinaryIO, span: Span | bytes) -> bytearray:
    """The bytes that ``read_pickle`` left in the ``file``, or those that it did not leave there."""
    if isinstance(span, bytes):
        return bytearray(span)
    raw = bytearray(span.size)
    fill(raw, file, span.start)
    if not span.utf8:
        return raw
    try:
        return bytearray(raw.decode().encode("latin-1"))
    except UnicodeError as exc:
        raise NetworkError("the pickle has text where it should have bytes") from exc


def fill(raw: bytearray | npt.NDArray[np.uint8], file: BinaryIO, start: int) -> None:
    """Fill memory with the bytes of a file from ``start`` on; NetworkError if it has fewer."""
    file.seek(start)
    if file.readinto(raw) != len(raw):  # type: ignore[attr-defined]  # BinaryIO lacks it
        raise NetworkError("the file was cut short while it was read")


class Tape:
    """The rest of a file, of which a window is in memory; a size that lies costs nothing.

    Pickles that stand one behind the other are read from one tape.
    """

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        self.start = file.tell()
        """Where in the file the window begins."""
        self.end = file.seek(0, os.SEEK_END)
        self.window = b""
        self.next = 0
        """What comes next, counted from the window's beginning; it may lie behind its end."""
        self.literals_left = MAX_LITERALS

    @property
    def place(self) -> int:
        """Where in the file that is which comes next."""
        return self.start + self.next

    def take(self, count: int) -> bytes:
        """The next bytes; never many."""
        stop = self.next + count
        if stop > len(self.window):
            self._move()
            stop = count
        piece = self.window[self.next : stop]
        if len(piece) != count:
            raise ValueError("cut short")
        self.next = stop
        return piece

    def _move(self) -> None:
        """Let the window begin with what comes next."""
        self.start += self.next
        self.next = 0
        self.file.seek(self.start)
        self.window = self.file.read(WINDOW)

    def number(self, size: int) -> int:
        """The next bytes as a count, low byte first."""
        return int.from_bytes(self.take(size), "little")

    def line(self) -> bytes:
        """What comes next up to the end of a line, and without it."""
        stop = self.window.find(b"\n", self.next)
        if stop < 0:
            self._move()
            stop = self.window.find(b"\n")
        if stop < 0 or stop - self.next > MAX_LINE:
            raise ValueError("a line without end")
        line = self.window[self.next : stop]
        self.next = stop + 1
        self._count(len(line))
        return line

    def literal(self, size: int, max_size: int = MAX_LITERAL) -> bytes | Span:
        """The next bytes, which are left where they are if they are many."""
        if size <= max_size:
            self._count(size)
            return self.take(size)
        start = self.place
        if size > self.end - start:
            raise ValueError("cut short")
        self.next += size
        return Span(start, size)

    def _count(self, size: int) -> None:
        self.literals_left -= size
        if self.literals_left < 0:
            raise NetworkError("the pickle has more texts than any network needs")
