"""Opens a checkpoint: what kind of file it is is found by looking into it, never asked."""

from __future__ import annotations

import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from animix.checkpoints.nvidia_pickle import read_nvidia_pickle
from animix.checkpoints.safetensors import read_safetensors
from animix.errors import NetworkError
from animix.networks.network import Network

MAX_BYTES = 8 << 30
"""The largest published checkpoints take less than 2 GiB."""


def _is_safetensors(head: bytes) -> bool:
    """A header of at most 100 MB: its length in 8 bytes, then JSON."""
    return head[8:9] == b"{" and int.from_bytes(head[:8], "little") <= 100_000_000


@dataclass(frozen=True)
class Format:
    """A kind of checkpoint: its name, how its first 64 bytes tell, and its reader."""

    name: str
    detect: Callable[[bytes], bool]
    read: Callable[[Path], Network]


FORMATS = (
    Format("safetensors", _is_safetensors, read_safetensors),
    Format(
        "NVIDIA PyTorch pickle",
        lambda head: head[:1] == b"\x80" and head[1:2] in (b"\2", b"\3", b"\4", b"\5"),
        read_nvidia_pickle,
    ),
)

STRANGERS = (
    (b"version https://git-lfs", "a Git LFS pointer: fetch the file itself with git lfs pull"),
    (b"<", "a web page or XML: the download probably went wrong"),
    (b"{", "JSON text"),
    (b"PK\x03\x04", "a zip archive, perhaps a PyTorch .pt file, which animix does not read yet"),
    (b"\x1f\x8b", "a gzip archive: unpack it first"),
    (b"\x89PNG", "a PNG picture"),
    (b"\xff\xd8\xff", "a JPEG picture"),
    (b"\x93NUMPY", "a NumPy array"),
    (b"\x89HDF", "an HDF5 file"),
)
"""How files begin that people give for checkpoints, and what to tell them."""


def load_network(path: str | Path) -> Network:
    """Read a network, float32 and on the CPU; nothing in the file is ever executed.

    NetworkError, beginning with the path, says what was found and what was expected.
    """
    path = Path(path)
    try:
        return _format(path).read(path)
    except NetworkError as exc:
        raise NetworkError(f"{path}: {exc}") from exc
    except OSError as exc:
        raise NetworkError(f"{path}: it can't be read ({exc.strerror})") from exc
    except MemoryError as exc:
        raise NetworkError(f"{path}: it takes more memory than there is") from exc


def _format(path: Path) -> Format:
    try:
        found = path.stat()
    except FileNotFoundError as exc:
        raise NetworkError("there is no such file") from exc
    except ValueError as exc:
        raise NetworkError("the path holds a character that no path can hold") from exc
    if stat.S_ISDIR(found.st_mode):
        raise NetworkError("it is a folder, expected a checkpoint file")
    if not stat.S_ISREG(found.st_mode):
        # Opening a pipe would wait for ever, reading a device never end.
        raise NetworkError("it is a pipe or a device, expected a checkpoint file")
    if found.st_size > MAX_BYTES:
        raise NetworkError(
            f"it takes {found.st_size / 2**30:.0f} GiB, more than any network "
            f"({MAX_BYTES >> 30} GiB)"
        )
    with path.open("rb") as file:
        head = file.read(64)
    for known in FORMATS:
        if known.detect(head):
            return known
    raise NetworkError(f"it is {_stranger(head)}; animix reads {_names()}")


def _stranger(head: bytes) -> str:
    if not head:
        return "empty"
    for start, meaning in STRANGERS:
        if head.lstrip().startswith(start):
            return meaning
    return f"no checkpoint that animix knows (it begins with {head[:12]!r})"


def _names() -> str:
    return " and ".join(f"{known.name} files" for known in FORMATS)
