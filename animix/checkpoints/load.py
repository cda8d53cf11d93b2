"""Opens a checkpoint: what kind of file it is is found by looking into it, never asked."""

from __future__ import annotations

import contextlib
import re
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from animix.checkpoints.glance import Glance, glance
from animix.checkpoints.nvidia_pickle import read_nvidia_pickle
from animix.checkpoints.pickle_data import UnknownName
from animix.checkpoints.rosinality import is_rosinality, read_rosinality
from animix.checkpoints.safetensors import NAME as SAFETENSORS
from animix.checkpoints.safetensors import read_safetensors
from animix.checkpoints.state_dict import read_state_dict
from animix.checkpoints.strangers import cut_short, pickled_stranger, stranger
from animix.checkpoints.tensorflow_pickle import is_tensorflow_pickle, read_tensorflow_pickle
from animix.errors import NetworkError
from animix.networks.network import Network
from animix.tables import count, shown

MAX_MESSAGE = 1000
"""Letters; a message names some tensors, and a hostile file could name them at any length."""

MAX_BYTES = 8 << 30
"""The largest published checkpoints take less than 2 GiB."""


@dataclass(frozen=True)
class Format:
    """A kind of checkpoint: its name, how a glance at a file tells it, and its reader."""

    name: str
    detect: Callable[[Glance], bool]
    read: Callable[[Path], Network]


FORMATS = (
    Format(SAFETENSORS, lambda seen: seen.is_safetensors, read_safetensors),
    Format("TensorFlow pickle", is_tensorflow_pickle, read_tensorflow_pickle),
    Format("NVIDIA PyTorch pickle", lambda seen: seen.is_pickle, read_nvidia_pickle),
    Format("rosinality .pt", is_rosinality, read_rosinality),
    Format("PyTorch state dict", lambda seen: seen.is_torch, read_state_dict),
)
"""What animix reads; a new format is a file with its reader, and a line here.

The first that fits is it, so what is particular stands before what is not.
"""


def load_network(path: str | Path) -> Network:
    """Read a network, float32 and on the CPU; nothing in the file is ever executed.

    The metadata's ``source_format`` is the name of the file's format.

    NetworkError, beginning with the path, says what was found and what was expected.
    """
    path = Path(path)
    with told(path):
        seen = _glance(path)
        known = _format(seen)
        try:
            network = known.read(path)
            said = {**network.metadata, "source_format": known.name}
            return replace(network, metadata=said)
        except UnknownName as exc:
            if meaning := pickled_stranger(exc.name):
                raise NetworkError(f"it is {meaning} ({exc})") from exc
            raise
        except NetworkError as exc:
            if cut := cut_short(seen):
                raise NetworkError(f"{exc}; {cut}") from exc
            if "cut short" in str(exc):  # torch's old format shows it to its reader alone
                raise NetworkError(
                    f"{exc}; it has {seen.size:,} bytes: if its source says more, fetch it again"
                ) from exc
            raise


def format_of(path: str | Path) -> Format:
    """The format of a checkpoint, told by a glance: its tensors are not read.

    NetworkError, beginning with the path, says what a file is that is none.
    """
    path = Path(path)
    with told(path):
        return _format(_glance(path))


@contextlib.contextmanager
def told(path: Path) -> Iterator[None]:
    """Let what goes wrong be a NetworkError that begins with the path.

    Names out of files stand in messages, which terminals show: letters that steer one become ?.
    """
    try:
        yield
    except NetworkError as exc:
        raise NetworkError(f"{path}: {shown(str(exc), MAX_MESSAGE)}") from exc
    except FileNotFoundError as exc:
        if url := re.match("([a-z][a-z0-9+]+):/+", str(path)):
            called = f"{url[1]}://{str(path)[url.end() :]}"
            raise NetworkError(f"{called}: animix reads files, no URLs: download it first") from exc
        raise NetworkError(f"{path}: there is no such file") from exc
    except OSError as exc:
        raise NetworkError(f"{path}: it can't be read ({exc.strerror})") from exc
    except MemoryError as exc:
        raise NetworkError(f"{path}: it takes more memory than there is") from exc


def _glance(path: Path) -> Glance:
    try:
        found = path.stat()
    except ValueError as exc:
        raise NetworkError("the path holds a character that no path can hold") from exc
    if path == Path():
        raise NetworkError("it is this folder, or the path is empty; expected a checkpoint file")
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
            f"it is a zip archive with {count(len(seen.members), 'member')}, and not one that "
            f"torch.save wrote: unpack it first; animix reads {_names()}"
        )
    raise NetworkError(
        f"it is no checkpoint that animix knows (it begins with {seen.head[:12]!r}); animix reads "
        f"{_names()}"
    )


def _names() -> str:
    *names, last = (known.name for known in FORMATS)
    return f"{', '.join(names)} and {last} files"
