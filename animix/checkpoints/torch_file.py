"""Reads what torch.save writes, without torch's own reader: nothing in a file is ever called.

There are two formats. The old one is five pickles (magic number, version, machine, content, keys
of storages), then for each storage its count and raw bytes; the new one is a zip archive with the
content as ``data.pkl`` and each storage as a member ``data/KEY``. In both a tensor is a record of
its storage, offset, size and strides.
"""

from __future__ import annotations

import io
import math
import os
import zipfile
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import torch
from torch import Tensor

from animix.checkpoints.pickle_data import (
    MAX_STEPS,
    TORCH_MAGIC,
    Name,
    Record,
    read_pickle,
)
from animix.checkpoints.pickle_tape import Span, Tape, fill
from animix.checkpoints.zip_file import open_zip, read_member
from animix.errors import NetworkError

PARAMETER = "torch._utils._rebuild_parameter"
PARAMETERS = (PARAMETER, f"{PARAMETER}_with_state")
TENSOR = "torch._utils._rebuild_tensor_v2"

FLOATS = {
    "torch.HalfStorage": torch.float16,
    "torch.BFloat16Storage": torch.bfloat16,
    "torch.FloatStorage": torch.float32,
    "torch.DoubleStorage": torch.float64,
}
INTEGERS = {
    "torch.ByteStorage": torch.uint8,
    "torch.CharStorage": torch.int8,
    "torch.ShortStorage": torch.int16,
    "torch.IntStorage": torch.int32,
    "torch.LongStorage": torch.int64,
}
NUMBERS = FLOATS | INTEGERS
"""The kinds of storage that hold real numbers."""

MAX_PICKLE = 64 << 20
"""Bytes of the content of a zip file, a hundred times what a training checkpoint has."""

MAX_DIMENSIONS = 8

DAMAGE = (AttributeError, LookupError, TypeError, ValueError, ArithmeticError)
"""What reading a hostile record raises, none of it more telling than the others."""


@dataclass(frozen=True)
class Storage:
    """Numbers that a file holds beside its pickle: which, of what kind and how many."""

    key: str
    dtype: torch.dtype
    count: int

    @property
    def nbytes(self) -> int:
        """How many bytes the numbers take."""
        return self.count * self.dtype.itemsize


@dataclass
class TorchFile:
    """An open file: its content with a Record for each tensor, and the tensors on demand."""

    content: object
    raw: Callable[[Storage], Tensor]
    """The bytes of a storage: uint8 [n]."""
    room: int
    """How many bytes may yet be read: all storages together are no larger than the file."""
    places: Mapping[str, int] = field(default_factory=dict)
    """Where in the file the bytes of each storage begin, by its key; old format only."""
    numbers: dict[Storage, Tensor] = field(default_factory=dict)

    def storage(self, storage: object) -> Tensor:
        """The numbers [n] of a storage, read once; NetworkError if the file has other bytes."""
        if not isinstance(storage, Storage):
            raise NetworkError("it has no storage")
        if storage not in self.numbers:
            self.room -= storage.nbytes
            if self.room < 0:
                raise NetworkError("its storages take more than the file holds")
            raw = self.raw(storage)
            if not len(raw) or len(raw) != storage.nbytes:
                raise NetworkError("its storage has another size than it says")
            self.numbers[storage] = raw.view(storage.dtype)
        return self.numbers[storage]

    def tensor(self, record: object) -> Tensor:
        """The tensor (or parameter) of a record, in the precision that it is stored with."""
        return build_tensor(without_parameter(record), self.storage)


def without_parameter(record: object) -> object:
    """The record of the tensor that a parameter is made of, or what else it is."""
    if isinstance(record, Record) and record.name in PARAMETERS and record.args:
        return record.args[0]
    return record


def build_tensor(record: object, storage_of: Callable[[Any], Tensor]) -> Tensor:
    """The tensor of a record, a view of its storage; NetworkError for any that does not fit in.

    ``storage_of`` gives the numbers [n] for what the record has as its storage.
    """
    try:
        if not isinstance(record, Record) or record.name != TENSOR:
            raise ValueError("not a tensor")
        stored, offset, size, strides = record.args[:4]
        if not isinstance(size, tuple) or not isinstance(strides, tuple):
            raise ValueError("a size or stride is no tuple")
        if len(size) > MAX_DIMENSIONS or len(strides) != len(size):
            raise ValueError("too many dimensions")
        if not all(type(number) is int and number >= 0 for number in (offset, *size, *strides)):
            raise ValueError("a size or stride is no count")
        numbers = storage_of(stored)
        # A stride of 0 could make gigabytes of one number; a tensor that was saved has none.
        repeats = any(n > 1 and stride == 0 for n, stride in zip(size, strides, strict=True))
        if repeats or math.prod(size) > len(numbers):
            raise ValueError("more numbers than stored")
        return numbers.as_strided(size, strides, offset)
    except DAMAGE as exc:
        raise NetworkError("it is damaged") from exc
    except RuntimeError as exc:  # how torch says that a stride leads out of the storage
        raise NetworkError("it lies outside its storage") from exc


@contextmanager
def open_torch_file(path: Path, allowed: Collection[str] = ()) -> Iterator[TorchFile]:
    """A file of either format, with real numbers of any kind; NetworkError if it is damaged.

    ``allowed`` are names that may occur beside those of tensors; each call of one is a Record.
    """
    with path.open("rb") as file:
        if file.read(4) == b"PK\x03\x04":
            with open_zip(path) as archive:
                yield _read_zip(archive, path.stat().st_size, allowed)
        else:
            file.seek(0)
            yield read_old_format(file, NUMBERS, allowed=allowed)


def _read_zip(archive: zipfile.ZipFile, room: int, allowed: Collection[str]) -> TorchFile:
    names = [name for name in archive.namelist() if name.endswith("/data.pkl")]
    if len(names) != 1:
        raise NetworkError("the zip archive is not one that torch.save wrote (no data.pkl)")
    folder = names[0][: -len("data.pkl")]

    def member(name: str, max_bytes: int) -> bytearray:
        try:
            return read_member(archive, folder + name, max_bytes, (zipfile.ZIP_STORED,))
        except KeyError as exc:
            raise NetworkError(f"the zip archive has no member {name[:80]}") from exc

    if f"{folder}byteorder" in archive.namelist() and member("byteorder", 16) != b"little":
        raise NetworkError("it was saved on a big-endian machine")
    pickle = member("data.pkl", min(room, MAX_PICKLE))
    known = (TENSOR, *PARAMETERS, *NUMBERS, *allowed)
    content = read_pickle(io.BytesIO(pickle), known, _Storages(NUMBERS))

    def raw(storage: Storage) -> Tensor:
        found = member(f"data/{storage.key}", storage.nbytes)
        return torch.frombuffer(found, dtype=torch.uint8) if found else torch.empty(0)

    return TorchFile(content, raw, room - len(pickle))


def read_old_format(
    file: BinaryIO,
    dtypes: Mapping[str, torch.dtype],
    max_steps: int = MAX_STEPS,
    allowed: Collection[str] = (),
    span: Span | None = None,
) -> TorchFile:
    """A file of the format before zip, for use while it is open; NetworkError if it is damaged.

    ``dtypes`` are the kinds of storage that may occur, ``max_steps`` bounds each of its pickles.
    ``span`` is where it lies if it is part of another file.
    """
    start = span.start if span else 0
    end = start + span.size if span else file.seek(0, os.SEEK_END)
    file.seek(start)
    tape = Tape(file)
    read = partial(read_pickle, tape, max_steps=max_steps)
    magic, _version, machine = read(), read(), read()
    if magic != TORCH_MAGIC or not isinstance(machine, dict):
        raise NetworkError("it is not a file that torch.save wrote")
    if not machine.get("little_endian"):
        raise NetworkError("it was saved on a big-endian machine")
    storages = _Storages(dtypes)
    content = read((TENSOR, *PARAMETERS, *dtypes, *allowed), storages)
    places: dict[str, int] = {}
    keys = read()
    file.seek(tape.place)
    try:
        # Only texts may be hashed: a nested tuple would take for ever.
        if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
            raise ValueError("not a list of keys")
        if set(keys) != set(storages.known):
            raise ValueError("keys of other storages than the content's")
        for key in keys:
            storage = storages.known[key]
            if int.from_bytes(file.read(8), "little") != storage.count:
                raise ValueError("another count than the content's")
            places[key] = file.tell()
            if file.seek(storage.nbytes, os.SEEK_CUR) > end:
                raise ValueError("cut short")
        if file.tell() != end:
            raise ValueError("more than the storages")
    except DAMAGE as exc:
        raise NetworkError("it is damaged or cut short") from exc
    return TorchFile(
        content,
        lambda storage: read_bytes(file, places[storage.key], storage.nbytes),
        end - start,
        places,
    )


def read_bytes(file: BinaryIO, start: int, size: int) -> Tensor:
    """The bytes of a file from ``start`` on, copied once: uint8 [size]."""
    try:
        # Of a bytearray every byte would be written twice, first as a zero.
        raw = torch.empty(size, dtype=torch.uint8)
    except RuntimeError as exc:
        raise MemoryError from exc
    fill(raw.numpy(), file, start)
    return raw


class _Storages:
    """Makes a Storage of what a pickle says of it, always the same for one key."""

    def __init__(self, dtypes: Mapping[str, torch.dtype]) -> None:
        self.dtypes = dtypes
        self.known: dict[str, Storage] = {}

    def __call__(self, found: object) -> Storage:
        if not isinstance(found, tuple):
            raise ValueError("not a storage")
        # The last of six is a view into the storage, which nothing has written since 2017.
        what, kind, key, _device, count, *view = found
        if what != "storage" or not isinstance(kind, Name) or not isinstance(key, str):
            raise ValueError("not a storage of numbers")
        if type(count) is not int or count < 0 or view not in ([], [None]):
            raise ValueError("not a whole storage")
        storage = Storage(key, self.dtypes[kind.full], count)
        if self.known.setdefault(key, storage) != storage:
            raise ValueError("one storage as two kinds of numbers")
        return storage
