"""A glance at a file: enough to tell what kind of checkpoint it is, without reading it."""

from __future__ import annotations

import os
import zipfile
from dataclasses import dataclass
from pathlib import Path

from animix.checkpoints.pickle_data import TORCH_MAGIC
from animix.checkpoints.zip_file import open_zip, read_member
from animix.errors import NetworkError

HEAD = 4096
TAIL = 1024
"""Bytes; a zip archive's last record takes 22 of them."""

MAX_NAMES = 8 << 20
"""Bytes among which names are looked for; a training file with its optimizers takes 400 KiB."""

_TORCH_MAGIC = b"\x8a\x0a" + TORCH_MAGIC.to_bytes(10, "little")


@dataclass(frozen=True)
class Glance:
    """What a file shows without being read: every format is told by this alone."""

    size: int
    head: bytes
    """The first 4 KiB."""
    tail: bytes
    """The last KiB."""
    members: tuple[str, ...] = ()
    """The names in a zip archive; none in one that is damaged."""
    names: bytes = b""
    """The bytes in which a torch.save or safetensors file names its tensors, as they are."""

    @property
    def is_zip(self) -> bool:
        """Whether it begins as a zip archive does."""
        return self.head.startswith(b"PK\x03\x04")

    @property
    def is_torch(self) -> bool:
        """Whether torch.save wrote it, in either of its formats."""
        return is_old_torch(self.head) or any(name.endswith("/data.pkl") for name in self.members)

    @property
    def is_pickle(self) -> bool:
        """Whether it is one pickle, of protocol 2 to 5."""
        begins = self.head[:1] == b"\x80" and self.head[1:2] in (b"\2", b"\3", b"\4", b"\5")
        return begins and not is_old_torch(self.head)

    @property
    def is_safetensors(self) -> bool:
        """Whether it begins with the length of a header of at most 100 MB, then JSON."""
        return self.head[8:9] == b"{" and int.from_bytes(self.head[:8], "little") <= 100_000_000


def glance(path: Path) -> Glance:
    """Look at a file; what is damaged in it is left for its reader to say."""
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - TAIL))
        tail = file.read(TAIL)
        file.seek(0)
        head = file.read(HEAD)
        found = Glance(size, head, tail)
        if found.is_zip:
            members, names = _zip_names(path)
            return Glance(size, head, tail, members, names)
        if found.is_safetensors:
            file.seek(8)
            length = min(int.from_bytes(head[:8], "little"), MAX_NAMES)
            return Glance(size, head, tail, names=file.read(length))
        if found.is_torch:
            file.seek(0)
            return Glance(size, head, tail, names=file.read(MAX_NAMES))
    return found


def is_old_torch(head: bytes) -> bool:
    """Whether a file begins as torch.save wrote before it wrote zip archives."""
    return head[:1] == b"\x80" and head[2:].startswith(_TORCH_MAGIC)


def _zip_names(path: Path) -> tuple[tuple[str, ...], bytes]:
    members: tuple[str, ...] = ()
    try:
        with open_zip(path) as archive:
            members = tuple(archive.namelist())
            pickles = [name for name in members if name.endswith("/data.pkl")]
            if len(pickles) == 1:
                content = read_member(archive, pickles[0], MAX_NAMES, (zipfile.ZIP_STORED,))
                return members, bytes(content)
    except NetworkError:
        pass
    return members, b""
