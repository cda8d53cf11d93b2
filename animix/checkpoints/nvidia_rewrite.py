"""Writes a network as one of NVIDIA's pickles: a copy of the owner's own, with other numbers.

Such a pickle carries Python source that is not ours to write. So an original is copied, and only
the bytes of its averaged generator's tensors are replaced: everything that reads the original
reads the copy.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

import torch
from torch import Tensor

from animix.checkpoints.nvidia_modules import read_snapshot
from animix.checkpoints.nvidia_pickle import Storages, read_nvidia_pickle
from animix.checkpoints.torch_file import build_tensor
from animix.errors import NetworkError, OptionError
from animix.networks.facts import show_shape
from animix.networks.network import Network
from animix.whole_file import whole_file


def write_like(network: Network, original: Path, path: Path) -> None:
    """Copy an NVIDIA pickle to ``path`` with the network's tensors as those of its ``G_ema``.

    Precision and order in the file stay as they are, and so does every other byte. The file is
    whole or absent. NetworkError, which begins with the original's path, for an original that
    can't be read or is a network of other tensors or settings; OptionError if ``path`` is the
    original or can't be written.
    """
    if os.path.realpath(original) == os.path.realpath(path):
        raise OptionError(f"{path} is the original itself; name another file")
    try:
        with original.open("rb") as file:
            stored = _stored(file)
            _check_alike(network, read_nvidia_pickle(original), stored)
            for name, tensor in stored.tensors.items():
                _replace(name, tensor, network.tensors[name])
            # Two names may share numbers: what was replaced first may have been replaced again.
            for name, tensor in stored.tensors.items():
                if not torch.equal(tensor, network.tensors[name].to("cpu", tensor.dtype)):
                    raise NetworkError(f"{name} shares its numbers with another tensor in the file")
        with whole_file(path) as part:
            shutil.copyfile(original, part)
            with part.open("r+b") as copy:
                for place, numbers in stored.storages.items():
                    copy.seek(place)
                    copy.write(numbers.view(torch.uint8).numpy().data)
    except NetworkError as exc:
        raise NetworkError(f"{original}: {exc}") from exc
    except FileNotFoundError as exc:
        raise NetworkError(f"{original}: there is no such file") from exc
    except OSError as exc:
        raise NetworkError(f"{original}: it can't be read ({exc.strerror})") from exc


@dataclass(frozen=True)
class _Stored:
    """A file's tensors as they lie in it."""

    tensors: dict[str, Tensor]
    """Views of the storages."""
    storages: dict[int, Tensor]
    """The numbers [n] of each storage, by the place in the file where they begin."""


def _stored(file: BinaryIO) -> _Stored:
    storages = Storages(file)
    tensors: dict[str, Tensor] = {}
    places: dict[int, Tensor] = {}

    def numbers_of(record: object) -> Tensor:
        numbers = storages.numbers(record)
        places[storages.place(record)] = numbers
        return numbers

    for name, record in read_snapshot(file).stored():
        try:
            tensors[name] = build_tensor(record, numbers_of)
        except NetworkError as exc:
            raise NetworkError(f"the pickle's tensor {name}: {exc}") from exc
    return _Stored(tensors, places)


def _check_alike(network: Network, found: Network, stored: _Stored) -> None:
    """Raise NetworkError, with the first difference, for networks that are not built alike."""
    for name in sorted({*network.tensors, *stored.tensors}):
        if name not in stored.tensors:
            raise NetworkError(f"it has no tensor {name}, which the network to write has")
        if name not in network.tensors:
            raise NetworkError(f"it has the tensor {name}, which the network to write lacks")
        mine, theirs = network.tensors[name].shape, stored.tensors[name].shape
        if mine != theirs:
            raise NetworkError(
                f"{name} is {show_shape(theirs)} in it, {show_shape(mine)} in the network to write"
            )
    # A layer lists its tensors in the order of the file that it was read from.
    if replace(network.facts, layers=()) != replace(found.facts, layers=()):
        raise NetworkError(
            "it has other settings than the network to write (conv_clamp "
            f"{found.facts.conv_clamp} and {network.facts.conv_clamp}); take the file that the "
            "network was trained or blended from"
        )


def _replace(name: str, stored: Tensor, value: Tensor) -> None:
    try:
        stored.copy_(value)
    except RuntimeError as exc:
        raise NetworkError(f"{name} lies over itself in the file") from exc
    if not bool(torch.isfinite(stored).all()):
        raise NetworkError(f"{name} has numbers that {stored.dtype} in the file can't hold")
