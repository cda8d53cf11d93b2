"""Zip archives from strangers: measured before they are read, and never larger than they say."""

from __future__ import annotations

import io
import os
import struct
import zipfile
import zlib
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from animix.errors import NetworkError

MAX_READ = 1 << 20
"""Bytes at once. The list of members is read at once: about 10 000 of them."""

_DAMAGE = (
    *(zipfile.BadZipFile, zlib.error, struct.error, EOFError, ValueError, OSError, OverflowError),
    RuntimeError,  # encrypted, or of a version that Python does not read
)
"""How Python's zip reader says that something is wrong."""


class _SmallReads(io.FileIO):
    """A file that refuses to read much at once.

    Python's zip reader makes objects of the whole list of members, however long, when it opens an
    archive; this is where that can be stopped.
    """

    def read(self, size: int | None = -1, /) -> bytes:
        if size is None or size < 0:
            size = os.fstat(self.fileno()).st_size - self.tell()
        if size > MAX_READ:
            raise NetworkError("the zip archive has more members than any that animix reads")
        return super().read(max(size, 0))


@contextmanager
def open_zip(path: Path) -> Iterator[zipfile.ZipFile]:
    """A zip archive to read from; NetworkError if it is damaged or lists too many members."""
    with _SmallReads(path) as file:
        try:
            archive = zipfile.ZipFile(file)
        except _DAMAGE as exc:
            raise NetworkError("the zip archive is damaged or cut short") from exc
        with archive:
            yield archive


def read_member(
    archive: zipfile.ZipFile, name: str, max_bytes: int, compressions: Collection[int]
) -> bytearray:
    """A member's bytes; KeyError if there is none of that name.

    NetworkError for more than ``max_bytes``, for a compression not among ``compressions`` (as
    ``zipfile.ZIP_STORED``) and for a damaged member.
    """
    member = archive.getinfo(name)
    if member.compress_type not in compressions:
        raise NetworkError(f"the zip member {name[:80]} is compressed in an unusual way")
    if member.file_size > max_bytes:
        raise NetworkError(f"the zip member {name[:80]} unpacks to more than {max_bytes} bytes")
    content, size = bytearray(member.file_size), 0
    try:
        with archive.open(member) as file:
            while piece := file.read(MAX_READ):
                content[size : size + len(piece)] = piece
                size += len(piece)
    except _DAMAGE as exc:
        raise NetworkError(f"the zip member {name[:80]} is damaged") from exc
    if not size == len(content) == member.file_size:
        raise NetworkError(f"the zip member {name[:80]} is cut short")
    return content
