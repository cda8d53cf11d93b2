"""What an MP4 says about itself, read for the tests alone (ISO/IEC 14496-12)."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path


def boxes(data: bytes) -> list[tuple[str, bytes]]:
    """Names and contents of the boxes in a box, in order."""
    found, at = [], 0
    while at < len(data):
        size, name, head = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8], 8
        if size == 1:
            size, head = int.from_bytes(data[at + 8 : at + 16], "big"), 16
        found.append((name.decode("latin1"), data[at + head : at + size]))
        at += size
    return found


def box(path: Path, names: str) -> bytes:
    """The content of a box by the names on the way to it, such as "moov mvhd"."""
    data = path.read_bytes()
    for name in names.split():
        data = dict(boxes(data))[name]
    return data


def length_seconds(header: bytes) -> Fraction:
    """The length that an mvhd or mdhd box states."""
    at, size = (20, 8) if header[0] == 1 else (12, 4)
    timescale = int.from_bytes(header[at : at + 4], "big")
    return Fraction(int.from_bytes(header[at + 4 : at + 4 + size], "big"), timescale)


def frame_ticks(path: Path) -> set[int]:
    """The different lengths of the track's frames, in ticks of its clock."""
    stts = box(path, "moov trak mdia minf stbl stts")
    return {int.from_bytes(stts[at + 4 : at + 8], "big") for at in range(8, len(stts), 8)}


def colour(path: Path) -> tuple[str, int, int, int, bool]:
    """The colr box: its kind, primaries, transfer, matrix, and whether the range is full."""
    stsd = box(path, "moov trak mdia minf stbl stsd")
    (_, entry), *_ = boxes(stsd[8:])
    colr = dict(boxes(entry[78:]))["colr"]
    primaries, transfer, matrix = (int.from_bytes(colr[at : at + 2], "big") for at in (4, 6, 8))
    return colr[:4].decode(), primaries, transfer, matrix, bool(colr[10] & 0x80)
