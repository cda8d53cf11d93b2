"""Writes a network as one of NVIDIA's pickles: a copy of the owner's own, with other numbers.

Such a pickle carries Python source that is not ours to write. So an original is copied, and only
the bytes of its averaged generator's tensors are replaced: everything that reads the original
reads the copy.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import torch
from torch import Tensor

from animix.checkpoints.load import format_of, load_network, told
from animix.checkpoints.nvidia_modules import read_snapshot
from animix.checkpoints.nvidia_pickle import Storages, read_nvidia_pickle
from animix.checkpoints.torch_file import build_tensor
from animix.errors import NetworkError, OptionError
from animix.networks.facts import NetworkFacts, show_shape
from animix.networks.network import Network
from animix.networks.stylegan2 import resample_filter, square_filter
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
    check_original(original)
    found = load_network(original)
    with told(original):
        with original.open("rb") as file:
            stored = _stored(file)
        tensors = {**network.tensors, **_filters(network, stored.tensors)}
        _check_alike(tensors, stored.tensors)
        _check_settings(network.facts, found.facts)
        for name, tensor in stored.tensors.items():
            _replace(name, tensor, tensors[name])
        # Two names may share numbers: what was replaced first may have been replaced again.
        for name, tensor in stored.tensors.items():
            if not torch.equal(tensor, tensors[name].to("cpu", tensor.dtype)):
                raise NetworkError(f"{name} shares its numbers with another tensor in the file")
    with whole_file(path) as part:
        shutil.copyfile(original, part)
        with part.open("r+b") as copy:
            for place, numbers in stored.storages.items():
                copy.seek(place)
                copy.write(numbers.view(torch.uint8).numpy().data)


def check_original(path: Path) -> None:
    """Raise NetworkError, which begins with the path, for what is no pickle to write like.

    A glance tells it: nothing is read.
    """
    try:
        known = format_of(path)
    except NetworkError as exc:
        raise NetworkError(
            f"{exc}; what a .pkl is written like is one of NVIDIA's PyTorch pickles"
        ) from exc
    if known.read is not read_nvidia_pickle:
        raise NetworkError(
            f"{path}: its format is {known.name}, expected NVIDIA's PyTorch pickle, the .pkl that "
            "another is written like"
        )


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


def _filters(network: Network, stored: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """StyleGAN2's filter for each layer that has it in the file but not in the network.

    Other formats have it once, or not at all if it is the published one.
    """
    lacking = [n for n in stored if n.endswith(".resample_filter") and n not in network.tensors]
    if not lacking or network.facts.kind != "stylegan2":
        return {}
    own = resample_filter(network.tensors).cpu()
    filters = {}
    for name in lacking:
        kernel = stored[name].clone()
        square = square_filter(kernel.float())
        # Rounded otherwise, or as one row, it is the same filter: the file's stays as it is.
        alike = square.shape == own.shape and torch.allclose(square, own, atol=1e-5)
        filters[name] = kernel if alike else own
    return filters


def _check_alike(tensors: Mapping[str, Tensor], stored: Mapping[str, Tensor]) -> None:
    """Raise NetworkError, with the first difference, for tensors of other names or shapes."""
    for name in sorted({*tensors, *stored}):
        if name not in stored:
            raise NetworkError(f"it has no tensor {name}, which the network to write has")
        if name not in tensors:
            raise NetworkError(f"it has the tensor {name}, which the network to write lacks")
        mine, theirs = tensors[name].shape, stored[name].shape
        if mine != theirs:
            raise NetworkError(
                f"{name} is {show_shape(theirs)} in it, {show_shape(mine)} in the network to write"
            )


def _check_settings(mine: NetworkFacts, theirs: NetworkFacts) -> None:
    """Raise NetworkError for networks that compute otherwise with the same tensors."""
    if difference := _other_setting(mine, theirs):
        raise NetworkError(
            f"{difference}; take the file that the network was trained or blended from, or another "
            "with the same settings"
        )


def _other_setting(mine: NetworkFacts, theirs: NetworkFacts) -> str | None:
    """What differs of the settings that a file keeps beside its tensors."""
    for fact in ("kind", "architecture", "img_resolution", "conv_clamp"):
        one, other = getattr(mine, fact), getattr(theirs, fact)
        if one != other:
            return f"its {fact} is {other}, {one} in the network to write"
    if mine.plan != theirs.plan:
        return (
            "its layers have other sampling rates, cutoffs, filters or another output_scale than "
            "those of the network to write"
        )
    return None


def _replace(name: str, stored: Tensor, value: Tensor) -> None:
    try:
        stored.copy_(value)
    except RuntimeError as exc:
        raise NetworkError(f"{name} lies over itself in the file") from exc
    if not bool(torch.isfinite(stored).all()):
        raise NetworkError(f"{name} has numbers that {stored.dtype} in the file can't hold")
