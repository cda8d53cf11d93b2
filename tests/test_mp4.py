from __future__ import annotations

import struct
from pathlib import Path

import pytest

from animix.video.mp4 import count_frames


def box(name: str, content: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(content), name.encode()) + content


def long_box(name: str, content: bytes) -> bytes:
    return struct.pack(">I4sQ", 1, name.encode(), 16 + len(content)) + content


def moov(num_frames: int) -> bytes:
    table = box("stsz", struct.pack(">III", 0, 0, num_frames))
    for name in ("stbl", "minf", "mdia"):
        table = box("hdlr", b"----") + box(name, table)
    return box("moov", box("mvhd", bytes(100)) + box("trak", table))


@pytest.mark.parametrize(
    "film",
    [
        moov(450) + box("mdat", bytes(50)),
        box("ftyp", b"isom") + moov(450) + box("mdat", bytes(50)),
        box("ftyp", b"isom") + box("mdat", bytes(50)) + moov(450),
        box("ftyp", b"isom") + long_box("mdat", bytes(50)) + moov(450),
    ],
    ids=["bare", "moov first", "moov last", "long mdat"],
)
def test_frames_are_counted(tmp_path: Path, film: bytes):
    path = tmp_path / "film.mp4"
    path.write_bytes(film)
    assert count_frames(path) == 450


@pytest.mark.parametrize(
    "film",
    [
        b"",
        b"no film at all, but a text",
        box("ftyp", b"isom") + box("mdat", bytes(50)),
        box("ftyp", b"isom") + struct.pack(">I4s", 0, b"mdat") + moov(450),
        moov(450)[:150],
        box("moov", b""),
    ],
    ids=["empty", "text", "no moov", "mdat without an end", "cut off", "empty moov"],
)
def test_a_file_without_a_table_has_no_frames(tmp_path: Path, film: bytes):
    path = tmp_path / "film.mp4"
    path.write_bytes(film)
    assert count_frames(path) == 0
