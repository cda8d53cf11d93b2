"""Metadata in MP4 and QuickTime: a comment as iTunes writes it, and a box of XMP at the end.

The boxes are those of ISO/IEC 14496-12; where XMP stands is told by Adobe's XMP specification, part
3, 1.2.
"""

from __future__ import annotations

import io
import os
import struct
from collections.abc import Iterator
from typing import BinaryIO

import numpy as np

from animix.video.insertion import insert
from animix.video.mp4 import box, places

XMP = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")
COMMENT = "©cmt"
UTF8 = 1
MOST_BYTES = 4 << 20
"""Of all comments together."""
MOST_BOXES = 100_000
"""That are looked at: a small file may claim any number."""

# A handler (8.4.3) of metadata in the form that iTunes gave it.
_HANDLER = box("hdlr", struct.pack(">8x4s4s9x", b"mdir", b"appl"))
_WAY = ("moov", "trak", "mdia", "minf", "stbl")
"""From the film to the tables of where its chunks lie (8.7.5)."""
_OFFSETS = {"stco": ">u4", "co64": ">u8"}


def write(file: BinaryIO, comment: str, xmp: bytes) -> None:
    """Put a comment into the film's table, which stays first, and XMP behind everything.

    The table grows into free room behind it where there is enough, and otherwise all that follows
    it moves on.
    """
    found = list(places(file))
    number = next((n for n, (name, _, _) in enumerate(found) if name == "moov"), None)
    if number is None:
        raise ValueError("has no moov")
    _, start, size = found[number]
    end = start + size
    file.seek(start)
    old = file.read(size)
    new = _commented(old, comment)
    grown = len(new) - size
    free = sum(found[number + 1][1:]) - end if _is_free(found[number + 1 : number + 2]) else 0
    if free == grown or free >= grown + 8:
        rest = free - grown
        file.seek(start - 8)
        file.write(box("moov", new) + (box("free", b"\0" * (rest - 8)) if rest else b""))
    elif grown:
        # What has become shorter by less than a box takes becomes longer by one.
        room = b"" if grown > 0 else box("free", b"")
        grown += len(room)
        new = _moved(new, end, grown)
        insert(file, end, b"\0" * grown)
        file.seek(start - 8)
        file.write(box("moov", new) + room)
    file.seek(0, os.SEEK_END)
    file.write(box("uuid", XMP + xmp))


def comments(file: BinaryIO) -> Iterator[str]:
    """The comment, if there is one."""
    end = file.seek(0, os.SEEK_END)
    way = ["moov", "udta", "meta", "ilst", COMMENT, "data"]
    num_bytes = 0
    for start, stop in _inside(file, way, 0, end, [MOST_BOXES]):
        num_bytes += stop - start
        if num_bytes > MOST_BYTES:
            raise ValueError(f"its comments have more than {MOST_BYTES} bytes")
        file.seek(start + 8)  # behind the kind of text and its language
        yield file.read(max(0, stop - start - 8)).decode(errors="replace")


def _inside(
    file: BinaryIO, way: list[str], start: int, stop: int, left: list[int]
) -> Iterator[tuple[int, int]]:
    """Start and end of the content of each box at the end of a way through others."""
    name, *rest = way
    while start + 8 <= stop:
        left[0] -= 1
        if left[0] < 0:
            raise ValueError(f"more than {MOST_BOXES} boxes")
        file.seek(start)
        size, kind = struct.unpack(">I4s", file.read(8))
        first = start + 8
        if size == 1:
            size, first = int.from_bytes(file.read(8), "big"), first + 8
        last = start + size if size else stop
        if not first <= last <= stop:
            raise ValueError(f"a box at byte {start} has no end")
        if kind.decode("latin1") == name:
            if not rest:
                yield first, last
            else:
                # The version of this one comes before the boxes in it.
                yield from _inside(file, rest, first + 4 * (name == "meta"), last, left)
        start = last


def _is_free(following: list[tuple[str, int, int]]) -> bool:
    return bool(following) and following[0][0] == "free"


def _boxes(data: bytes) -> dict[str, bytes]:
    """Boxes by their names; of those that are changed here there is one."""
    found: dict[str, bytes] = {}
    for name, start, size in places(io.BytesIO(data)):
        found[name] = found.get(name, b"") + box(name, data[start : start + size])
    return found


def _commented(moov: bytes, comment: str) -> bytes:
    """The content of a moov with a comment: moov, udta, meta and ilst, each in the other."""
    data = box("data", struct.pack(">II", UTF8, 0) + comment.encode())
    about = _boxes(_content(_boxes(moov), "udta"))
    meta = _content(about, "meta") or b"\0" * 4 + _HANDLER
    ilst = _boxes(_content(_boxes(meta[4:]), "ilst")) | {COMMENT: box(COMMENT, data)}
    meta = meta[:4] + _with(meta[4:], "ilst", b"".join(ilst.values()))
    return _with(moov, "udta", _with(b"".join(about.values()), "meta", meta))


def _content(boxes: dict[str, bytes], name: str) -> bytes:
    return boxes.get(name, b"")[8:]


def _with(data: bytes, name: str, content: bytes) -> bytes:
    """Boxes, the one of that name with another content; the last where there was none."""
    parts, is_there = [], False
    for found, start, size in places(io.BytesIO(data)):
        is_there |= found == name
        parts.append(box(found, content if found == name else data[start : start + size]))
    return b"".join(parts if is_there else [*parts, box(name, content)])


def _moved(data: bytes, behind: int, by: int) -> bytes:
    """A moov whose chunks behind a place in the file have moved on."""
    parts = []
    for name, start, size in places(io.BytesIO(data)):
        content = data[start : start + size]
        if name in _WAY:
            content = _moved(content, behind, by)
        elif name in _OFFSETS:
            kind = _OFFSETS[name]
            offsets = np.frombuffer(content[8:], kind).astype(np.uint64)
            offsets[offsets >= behind] += np.uint64(by)
            if len(offsets) and int(offsets.max()) > np.iinfo(np.dtype(kind)).max:
                raise ValueError("its frames lie too far behind for its table")
            content = content[:8] + offsets.astype(kind).tobytes()
        parts.append(box(name, content))
    return b"".join(parts)
