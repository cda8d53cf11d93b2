"""The number of frames in an MP4, read from its own table."""

from __future__ import annotations

import io
from pathlib import Path
from typing import BinaryIO


def count_frames(path: Path) -> int:
    """How many frames an MP4's first track lists; 0 where the file holds no such table.

    ISO/IEC 14496-12: boxes of a size, a four-letter name and a content, nested; ``stsz`` (8.7.3)
    lists the size of each frame.
    """
    with path.open("rb") as file:
        box: BinaryIO = file
        for name in (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsz"):
            content = _content(box, name)
            box = io.BytesIO(content)
    return int.from_bytes(content[8:12], "big")


def _content(boxes: BinaryIO, name: bytes) -> bytes:
    """The content of the first box of that name, empty where there is none."""
    while len(header := boxes.read(8)) == 8:
        size = int.from_bytes(header[:4], "big") - 8
        if size == 1 - 8:  # a long box: its size follows in eight bytes
            size = int.from_bytes(boxes.read(8), "big") - 16
        if header[4:] == name:
            return boxes.read(size)
        if size < 0:
            break
        boxes.seek(size, io.SEEK_CUR)
    return b""
