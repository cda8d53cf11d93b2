"""The boxes of an MP4, and the number of its frames, read from its own table.

ISO/IEC 14496-12: boxes of a size, a four-letter name and a content, nested.
"""

from __future__ import annotations

import hashlib
import io
import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

BLOCK_BYTES = 1 << 20
SEAL_BYTES = 8 + 32
"""A box named ``free``, whose content players pass over: the SHA-256 of everything before it."""


def seal(path: Path) -> None:
    """End a file with its own digest: it tells a whole file even after a power cut."""
    with path.open("r+b") as file:
        digest = _digest(file, file.seek(0, os.SEEK_END))
        file.seek(0, os.SEEK_END)
        file.write(struct.pack(">I4s", SEAL_BYTES, b"free") + digest)


def is_sealed(path: Path, num_frames: int) -> bool:
    """Whether a file is what was sealed, to the last byte, with so many frames."""
    try:
        with path.open("rb") as file:
            length = file.seek(0, os.SEEK_END) - SEAL_BYTES
            if length < 0:
                return False
            digest = _digest(file, length)
            if file.read() != struct.pack(">I4s", SEAL_BYTES, b"free") + digest:
                return False
        return count_frames(path) == num_frames
    except OSError:
        return False


def _digest(file: BinaryIO, length: int) -> bytes:
    """The SHA-256 of the first bytes of a file."""
    digest = hashlib.sha256()
    file.seek(0)
    while block := file.read(min(length - file.tell(), BLOCK_BYTES)):
        digest.update(block)
    return digest.digest()


def count_frames(path: Path) -> int:
    """How many frames an MP4's first track lists; 0 where the file holds no such table.

    ``stsz`` (8.7.3) lists the size of each frame.
    """
    with path.open("rb") as file:
        box: BinaryIO = file
        for name in ("moov", "trak", "mdia", "minf", "stbl", "stsz"):
            content = _content(box, name)
            box = io.BytesIO(content)
    return int.from_bytes(content[8:12], "big")


def box(name: str, content: bytes) -> bytes:
    """A box."""
    return struct.pack(">I4s", 8 + len(content), name.encode("latin1")) + content


def places(boxes: BinaryIO) -> Iterator[tuple[str, int, int]]:
    """Name, start and length of the content of each box, in order, up to one without an end."""
    while len(header := boxes.read(8)) == 8:
        size = int.from_bytes(header[:4], "big") - 8
        if size == 1 - 8:  # a long box: its size follows in eight bytes
            size = int.from_bytes(boxes.read(8), "big") - 16
        start = boxes.tell()
        yield header[4:].decode("latin1"), start, size
        if size < 0:
            break
        boxes.seek(start + size)


def _content(boxes: BinaryIO, wanted: str) -> bytes:
    """The content of the first box of that name, empty where there is none."""
    for name, start, size in places(boxes):
        if name == wanted:
            boxes.seek(start)
            return boxes.read(size)
    return b""
