"""Reads the pickles of NVIDIA's PyTorch code, without running the source that they carry.

Of a training snapshot, which holds three networks, only the averaged generator's tensors are read:
straight from their places in the file.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import BinaryIO, TypeGuard

import torch
from torch import Tensor

from animix.checkpoints.bounds import Room
from animix.checkpoints.nvidia_modules import STORAGE, Snapshot, read_snapshot
from animix.checkpoints.nvidia_settings import metadata_of
from animix.checkpoints.pickle_data import Record
from animix.checkpoints.pickle_tape import Span, read_span
from animix.checkpoints.torch_file import FLOATS, Storage, TorchFile, build_tensor, read_old_format
from animix.checkpoints.w_avg import network_with_w_avg
from animix.errors import NetworkError
from animix.networks.network import Network

STORAGE_STEPS = 64
"""The steps of each of a storage's five pickles, at most; the longest takes about 30."""


def read_nvidia_pickle(path: Path) -> Network:
    """Read ``G_ema`` of a training snapshot (``G`` if there is none), or the network alone.

    NetworkError for what is no StyleGAN2 or StyleGAN3 generator, damaged or hostile.
    """
    with path.open("rb") as file:
        snapshot = read_snapshot(file)
        metadata = metadata_of(snapshot)
        tensors = read_tensors(file, snapshot, Room.of(path))
    return network_with_w_avg(tensors, metadata)


class Storages:
    """The storages of an open pickle, each of them a small file of torch's own in it."""

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        self.known: dict[Span | bytes, TorchFile] = {}

    def numbers(self, record: object) -> Tensor:
        """The numbers [n] of a storage, read once however many tensors have them."""
        opened = self.opened(record)
        return opened.storage(opened.content)

    def place(self, record: object) -> int:
        """Where in the file the numbers of a storage begin."""
        opened = self.opened(record)
        if not _stands_as_bytes(_literal(record)) or not isinstance(opened.content, Storage):
            raise NetworkError("it has its bytes as text (pickle protocol 2), expected bytes")
        return opened.places[opened.content.key]

    def opened(self, record: object) -> TorchFile:
        """A storage as the file that it is."""
        data = _literal(record)
        if data not in self.known:
            if _stands_as_bytes(data):
                found = read_old_format(self.file, FLOATS, STORAGE_STEPS, span=data)
            else:
                # What stands there as text is no part of the file as it is.
                content = io.BytesIO(read_span(self.file, data))
                found = read_old_format(content, FLOATS, STORAGE_STEPS)
            self.known[data] = found
        return self.known[data]


def _literal(record: object) -> Span | bytes:
    if isinstance(record, Record) and record.name == STORAGE and len(record.args) == 1:
        data = record.args[0]
        if isinstance(data, (Span, bytes)):
            return data
    raise ValueError("not a storage")


def _stands_as_bytes(data: Span | bytes) -> TypeGuard[Span]:
    return isinstance(data, Span) and not data.utf8


def read_tensors(file: BinaryIO, snapshot: Snapshot, room: Room) -> dict[str, Tensor]:
    """All tensors of a network, float32, each with memory of its own.

    NetworkError names the tensor that is damaged, or says that they take more than the file holds.
    """
    storages = Storages(file)
    owned: set[int] = set()
    tensors: dict[str, Tensor] = {}
    for name, record in snapshot.stored():
        try:
            stored = build_tensor(record, storages.numbers)
        except NetworkError as exc:
            raise NetworkError(f"the pickle's tensor {name}: {exc}") from exc
        memory = stored.untyped_storage()
        whole = stored.dtype == torch.float32 and 4 * stored.numel() == memory.nbytes()
        if not whole or not stored.is_contiguous() or memory.data_ptr() in owned:
            room.take(4 * stored.numel())
            stored = stored.to(torch.float32, memory_format=torch.contiguous_format, copy=True)
        owned.add(stored.untyped_storage().data_ptr())
        tensors[name] = stored
    return tensors
