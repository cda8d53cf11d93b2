"""Metadata in PNG: texts in chunks of their own, before the picture (PNG, 11.3.3.4)."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from typing import BinaryIO

from animix.video.insertion import insert

SIGNATURE = b"\x89PNG\r\n\x1a\n"
COMMENT = b"Comment"
XMP = b"XML:com.adobe.xmp"
MOST_BYTES = 4 << 20
"""Of all texts together."""
MOST_CHUNKS = 10_000
"""That are looked at before the picture."""


def write(file: BinaryIO, comment: str, xmp: bytes) -> None:
    """Put a comment and XMP behind the header."""
    _, size = next(_chunks(file))
    texts = ((COMMENT, comment.encode()), (XMP, xmp))
    # A keyword, neither compression nor language nor a translated keyword, the text.
    data = b"".join(_chunk(b"iTXt", key + b"\0" + b"\0" * 4 + text) for key, text in texts)
    insert(file, len(SIGNATURE) + 12 + size, data)


def comments(file: BinaryIO) -> Iterator[str]:
    """The comments, of those before the picture."""
    num_bytes = 0
    for kind, size in _chunks(file):
        if kind == b"IDAT":
            return
        if kind == b"iTXt":
            num_bytes += size
            if num_bytes > MOST_BYTES:
                raise ValueError(f"its texts have more than {MOST_BYTES} bytes")
            key, _, rest = file.read(size).partition(b"\0")
            if key == COMMENT and rest[:1] == b"\0":
                yield rest[2:].split(b"\0", 2)[-1].decode(errors="replace")


def _chunks(file: BinaryIO) -> Iterator[tuple[bytes, int]]:
    """The kind and the length of each chunk, with the file at the start of its content."""
    if file.read(len(SIGNATURE)) != SIGNATURE:
        raise ValueError("is no PNG")
    place = len(SIGNATURE)
    for _ in range(MOST_CHUNKS):
        file.seek(place)
        head = file.read(8)
        if len(head) < 8:
            raise ValueError("ends before its picture")
        size, kind = struct.unpack(">I4s", head)
        yield kind, size
        place += 12 + size
    raise ValueError(f"more than {MOST_CHUNKS} chunks before its picture")


def _chunk(kind: bytes, content: bytes) -> bytes:
    body = kind + content
    return struct.pack(">I", len(content)) + body + struct.pack(">I", zlib.crc32(body))
