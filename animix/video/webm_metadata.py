"""Metadata in WebM: tags at the end of the segment, to which its table of contents leads.

RFC 8794 (EBML) and RFC 9559 (Matroska, 5.1.1 and 5.1.8).
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterator
from typing import BinaryIO

EBML = b"\x1a\x45\xdf\xa3"
SEGMENT = b"\x18\x53\x80\x67"
SEEK_HEAD = b"\x11\x4d\x9b\x74"
SEEK, SEEK_ID, SEEK_POSITION = b"\x4d\xbb", b"\x53\xab", b"\x53\xac"
VOID = b"\xec"
CRC = b"\xbf"
TAGS, TAG, TARGETS = b"\x12\x54\xc3\x67", b"\x73\x73", b"\x63\xc0"
SIMPLE_TAG, TAG_NAME, TAG_STRING = b"\x67\xc8", b"\x45\xa3", b"\x44\x87"

COMMENT = "COMMENT"
XMP = "XMP"
MOST_BYTES = 4 << 20
"""Of all tags together."""
MOST_ELEMENTS = 100_000
"""That are looked at; ten hours of film have some ten thousand."""


def write(file: BinaryIO, comment: str, xmp: bytes) -> None:
    """Put a comment and XMP behind all frames, and their place into the table of contents."""
    start, stop = _segment(file)
    if stop != file.seek(0, os.SEEK_END):
        raise ValueError("has something behind its segment")
    texts = ((COMMENT, comment.encode()), (XMP, xmp))
    tags = [
        _element(SIMPLE_TAG, _element(TAG_NAME, name.encode()) + _element(TAG_STRING, text))
        for name, text in texts
    ]
    # Targets without any are the whole film.
    data = _element(TAGS, _element(TAG, _element(TARGETS, b"") + b"".join(tags)))
    file.write(data)
    _announce(file, start, stop)
    file.seek(start - 8)
    file.write(_size(stop + len(data) - start, 8))


def comments(file: BinaryIO) -> Iterator[str]:
    """The comments of the film, and of parts of it."""
    left, num_bytes = [MOST_ELEMENTS], 0
    for name, start, stop in _elements(file, *_segment(file), left):
        if name != TAGS:
            continue
        num_bytes += stop - start
        if num_bytes > MOST_BYTES:
            raise ValueError(f"its tags have more than {MOST_BYTES} bytes")
        for _, tag, tag_end in _elements(file, start, stop, left):
            for kind, first, last in _elements(file, tag, tag_end, left):
                if kind == SIMPLE_TAG:
                    parts = {
                        part: _content(file, *place)
                        for part, *place in _elements(file, first, last, left)
                    }
                    if parts.get(TAG_NAME, b"").upper() == COMMENT.encode():
                        yield parts.get(TAG_STRING, b"").decode(errors="replace")


def _segment(file: BinaryIO) -> tuple[int, int]:
    """Start and end of the segment's content, which must not be open."""
    end = file.seek(0, os.SEEK_END)
    for name, start, stop in _elements(file, 0, end, [16]):
        if name == SEGMENT:
            return start, stop
    raise ValueError("has no segment")


def _announce(file: BinaryIO, start: int, place: int) -> None:
    """Tell in the table of contents where tags are, if there is room for it."""
    found = _elements(file, start, place, [MOST_ELEMENTS])
    name, first, last = next(found)
    if name != SEEK_HEAD:
        return
    void, _, end = next(found)
    position = struct.pack(">Q", place - start)
    seek = _element(SEEK, _element(SEEK_ID, TAGS) + _element(SEEK_POSITION, position))
    entries = _content(file, first, last) + seek
    if entries.startswith(CRC + b"\x84"):
        entries = entries[:2] + struct.pack("<I", zlib.crc32(entries[6:])) + entries[6:]
    head = _element(SEEK_HEAD, entries)
    spare = end - start - len(head)
    if void != VOID or spare < 9:
        return
    file.seek(start)
    file.write(head + VOID + _size(spare - 9, 8))


def _elements(
    file: BinaryIO, start: int, stop: int, left: list[int]
) -> Iterator[tuple[bytes, int, int]]:
    """Name, start and end of the content of each element between two places."""
    while start < stop:
        left[0] -= 1
        if left[0] < 0:
            raise ValueError(f"more than {MOST_ELEMENTS} elements")
        file.seek(start)
        head = file.read(12)
        name_length = _length(head)
        name, head = head[:name_length], head[name_length:]
        size_length = _length(head)
        if len(head) < size_length:
            raise ValueError(f"an element at byte {start} has no size")
        ones = (1 << 7 * size_length) - 1
        size = int.from_bytes(head[:size_length], "big") & ones
        start += name_length + size_length
        last = stop if size == ones else start + size
        if last > stop:
            raise ValueError(f"an element at byte {start} has no end")
        yield name, start, last
        start = last


def _length(head: bytes) -> int:
    """The length of a number that begins a text: its first byte's leading zeros tell (4)."""
    if not head or not head[0]:
        raise ValueError("a number is too long or missing")
    return 9 - head[0].bit_length()


def _content(file: BinaryIO, start: int, stop: int) -> bytes:
    file.seek(start)
    return file.read(stop - start)


def _element(name: bytes, content: bytes) -> bytes:
    return name + _size(len(content), 1 if len(content) < 127 else 8) + content


def _size(size: int, length: int) -> bytes:
    """A size in so many bytes."""
    return (size | 1 << 7 * length).to_bytes(length, "big")
