"""Metadata in GIF: a comment and XMP in extensions of their own, before the first picture.

GIF89a, sections 18, 24 and 26; how XMP is laid into one, Adobe's XMP specification, part 3, 1.1.2.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

from animix.video.insertion import insert

EXTENSION = 0x21
COMMENT = 0xFE
APPLICATION = 0xFF
MOST_BYTES = 4 << 20
"""Of a comment."""
MOST_BLOCKS = 100_000
"""That are looked at before the first picture."""
LONGEST = 255
"""Bytes of a block."""

# XMP stands as it is, and who reads it as blocks, by their lengths, is led to its end by these.
_TRAILER = bytes([1, *range(255, -1, -1), 0])


def write(file: BinaryIO, comment: str, xmp: bytes) -> None:
    """Put a comment and XMP before the first picture, behind how often the GIF repeats."""
    place = _start(file)
    for kind, start, _ in _extensions(file):
        if kind != APPLICATION:
            place = start - 2
            break
        place = file.tell()
    text = comment.encode()
    blocks = [text[at : at + LONGEST] for at in range(0, len(text), LONGEST)]
    data = b"".join(bytes([len(block)]) + block for block in blocks)
    insert(
        file,
        place,
        bytes([EXTENSION, COMMENT])
        + data
        + b"\0"
        + bytes([EXTENSION, APPLICATION, 11])
        + b"XMP DataXMP"
        + xmp
        + _TRAILER,
    )


def comments(file: BinaryIO) -> Iterator[str]:
    """The comments, of those before the first picture."""
    for kind, _, content in _extensions(file):
        if kind == COMMENT:
            yield content.decode(errors="replace")


def _start(file: BinaryIO) -> int:
    """Where the first block begins: behind the header and the palette of all pictures."""
    file.seek(0)
    header = file.read(13)
    if len(header) < 13 or not header.startswith(b"GIF8"):
        raise ValueError("is no GIF")
    flags = header[10]
    return 13 + (3 << (flags & 7) + 1 if flags & 0x80 else 0)


def _extensions(file: BinaryIO) -> Iterator[tuple[int, int, bytes]]:
    """Kind, start and content of the extensions before the first picture; then it stands behind."""
    file.seek(_start(file))
    left = MOST_BLOCKS
    while (head := file.read(2))[:1] == bytes([EXTENSION]):
        if len(head) < 2:
            raise ValueError("ends before its first picture")
        start, content = file.tell(), bytearray()
        while True:
            left -= 1
            length = file.read(1)
            if not length or left < 0 or len(content) > MOST_BYTES:
                raise ValueError("an extension has no end")
            if length == b"\0":
                break
            content += file.read(length[0])
        yield head[1], start, bytes(content)
