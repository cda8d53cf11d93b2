"""Insertion: bytes put into the middle of a file, without a second file."""

from __future__ import annotations

import os
from typing import BinaryIO

BLOCK_BYTES = 1 << 22


def insert(file: BinaryIO, at: int, data: bytes) -> None:
    """Put bytes into a file at a place; what stood there and behind it moves on."""
    end = file.seek(0, os.SEEK_END)
    while end > at:
        start = max(at, end - BLOCK_BYTES)
        file.seek(start)
        block = file.read(end - start)
        file.seek(start + len(data))
        file.write(block)
        end = start
    file.seek(at)
    file.write(data)
