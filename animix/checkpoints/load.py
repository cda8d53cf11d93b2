"""Opens a checkpoint: what kind of file it is is found by looking into it, never asked."""

from __future__ import annotations

import contextlib
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from animix.checkpoints.glance import Glance, glance
from animix.checkpoints.nvidia_pickle import read_nvidia_pickle
from animix.checkpoints.pickle_data import UnknownName
from animix.checkpoints.rosinality import is_rosinality, read_rosinality
from animix.checkpoints.safetensors import read_safetensors
from animix.checkpoints.state_dict import is_torch_file, read_state_dict
from animix.checkpoints.strangers import cut_short, pickled_stranger, stranger
from animix.checkpoints.tensorflow_pickle import is_tensorflow_pickle, read_tensorflow_pickle
from animix.errors import NetworkError
from animix.interruption import uninterrupted
from animix.networks.network import Network

MAX_BYTES = 8 << 30
"""The largest published checkpoints take less than 2 GiB."""


@dataclass(frozen=True)
class Format:
    """A kind of checkpoint: its name, how a glance at a file tells it, and its reader."""

    name: str
    detect: Callable[[Glance], bool]
    read: Callable[[Path], Network]


FORMATS = (
    Format("safetensors", lambda seen: seen.is_safetensors, read_safetensors),
    Format("TensorFlow pickle", is_tensorflow_pickle, read_tensorflow_pickle),
    Format("NVIDIA PyTorch pickle", lambda seen: seen.is_pickle, read_nvidia_pickle),
    Format("rosinality .pt", is_rosinality, read_rosinality),
    Format("PyTorch state dict", is_torch_file, read_state_dict),
)
"""What animix reads; a new format is a file with its reader, and a line here.

The first that fits is it, so what is particular stands before what is not.
"""


def load_network(path: str | Path) -> Network:
    """Read a network, float32 and on the CPU; nothing in the file is ever executed.

    NetworkError, beginning with the path, says what was found and what was expected.
    """
    path = Path(path)
    with _told(path):
        seen = _glance(path)
        try:
            # What is raised inside a library's compiled code may come out as something else.
            with uninterrupted():
                return _format(seen).read(path)
        except UnknownName as exc:
            if meaning := pickled_stranger(exc.name):
                raise NetworkError(f"it is {meaning} ({exc})") from exc
            raise
        except NetworkError as exc:
            if cut := cut_short(seen):
                raise NetworkError(f"{exc}; {cut}") from exc
            raise


def format_of(path: str | Path) -> Format:
    """The format of a checkpoint, told by a glance: its tensors are not read.

    NetworkError, beginning with the path, says what a file is that is none.
    """
    path = Path(path)
    with _told(path):
        return _format(_glance(path))


@contextlib.contextmanager
def _told(path: Path) -> Iterator[None]:
    """Let what goes wrong be a NetworkError that begins with the path."""
    try:
        yield
    except NetworkError as exc:
        raise NetworkError(f"{path}: {exc}") from exc
    except OSError as exc:
        raise NetworkError(f"{path}: it can't be read ({exc.strerror})") from exc
    except MemoryError as exc:
        raise NetworkError(f"{path}: it takes more memory than there is") from exc


def _glance(path: Path) -> Glance:
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
    return glance(path)


def _format(seen: Glance) -> Format:
    if meaning := stranger(seen):
        raise NetworkError(f"it is {meaning}; animix reads {_names()}")
    for known in FORMATS:
        if known.detect(seen):
            return known
    if cut := cut_short(seen):
        raise NetworkError(cut)
    if seen.is_zip and not seen.members:
        raise NetworkError("the zip archive is empty or damaged: fetch it again")
    if seen.is_zip:
        raise NetworkError(
            f"it is a zip archive with {len(seen.members)} members, and not one that torch.save "
            f"wrote: unpack it first; animix reads {_names()}"
        )
    raise NetworkError(
        f"it is no checkpoint that animix knows (it begins with {seen.head[:12]!r}); animix reads "
        f"{_names()}"
    )


def _names() -> str:
    *names, last = (known.name for known in FORMATS)
    return f"{', '.join(names)} and {last} files"
