"""Discriminators of checkpoints: one in the same file, or one that lies beside it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from animix.checkpoints.bounds import Room
from animix.checkpoints.load import format_of, told
from animix.checkpoints.nvidia_modules import read_discriminator
from animix.checkpoints.nvidia_pickle import read_tensors as read_pickled
from animix.checkpoints.rosinality import discriminator_names
from animix.checkpoints.safetensors import NAME as SAFETENSORS
from animix.checkpoints.safetensors import read_tensors
from animix.checkpoints.state_dict import ALLOWED, float32_tensors
from animix.checkpoints.torch_file import open_torch_file
from animix.errors import NetworkError
from animix.networks.discriminator import Discriminator, is_discriminator

BESIDE = "-discriminator.safetensors"
"""What takes the place of a network's ending in the name of its discriminator's file."""

PREFIX = "discriminator."
"""Before each name of a discriminator that stands in its generator's safetensors file."""


def load_discriminator(path: str | Path) -> Discriminator | None:
    """The discriminator that a checkpoint carries, float32 and on the CPU; None if it has none.

    Training snapshots of NVIDIA's (``D``) and rosinality's (``d``) carry it, and so may a state
    dict (``D``) or a safetensors file (names after ``discriminator.``). For ``NAME`` of any ending
    it may also lie beside, as ``NAME-discriminator.safetensors``. The path may be that of a file
    with a discriminator alone.

    NetworkError, beginning with the path, for one that is damaged or of another architecture.
    """
    path = Path(path)
    # A file with a discriminator alone is none that a network is read from.
    is_ours = path.is_file() and path.suffix.lower() == ".safetensors"
    known = SAFETENSORS if is_ours else format_of(path).name
    with told(path):
        tensors = _READERS[known](path) if known in _READERS else {}
        if tensors:
            return Discriminator(tensors)
    beside = path.with_name(path.stem + BESIDE)
    if beside.is_file():
        with told(beside):
            return Discriminator(_in_safetensors(beside))
    return None


def _in_safetensors(path: Path) -> Mapping[str, Tensor]:
    tensors, _ = read_tensors(path, PREFIX)
    if tensors:
        return {name.removeprefix(PREFIX): tensor for name, tensor in tensors.items()}
    alone, _ = read_tensors(path, ("b",))
    return alone if is_discriminator(alone) else {}


def _in_nvidia_pickle(path: Path) -> Mapping[str, Tensor]:
    with path.open("rb") as file:
        snapshot = read_discriminator(file)
        if snapshot is None:
            return {}
        tensors = read_pickled(file, snapshot, Room.of(path))
    # A conditional one maps labels as well: its scores need that, its features do not.
    return {name: tensor for name, tensor in tensors.items() if re.match(r"b\d+\.", name)}


def _in_torch_file(path: Path) -> Mapping[str, Tensor]:
    with open_torch_file(path, ALLOWED) as file:
        content = file.content
        if not isinstance(content, dict):
            return {}
        for place in ("D", "d", ""):
            records: Any = content.get(place) if place else content
            if not isinstance(records, dict):
                continue
            names = {name: name for name in records if isinstance(name, str)}
            if "final_linear.1.weight" in names:
                names = _published(names)
            if not is_discriminator(names):
                continue
            chosen = {ours: records[theirs] for ours, theirs in names.items()}
            chosen = {n: r for n, r in chosen.items() if re.match(r"b\d+\.", n)}
            return float32_tensors(file, chosen, Room.of(path))
    return {}


def _published(theirs: Mapping[str, str]) -> dict[str, str]:
    """rosinality's name for each published one."""
    blocks = {match[1] for name in theirs if (match := re.match(r"convs\.(\d{1,3})\.conv1", name))}
    if len(blocks) > 9:
        raise NetworkError(f"its discriminator has {len(blocks)} blocks, more than any")
    known = discriminator_names(4 << len(blocks))
    if missing := [name for name in known if name not in theirs]:
        raise NetworkError(f"its discriminator has no tensor {missing[0]}")
    return {ours: name for name, ours in known.items()}


_READERS: dict[str, Callable[[Path], Mapping[str, Tensor]]] = {
    SAFETENSORS: _in_safetensors,
    "NVIDIA PyTorch pickle": _in_nvidia_pickle,
    "rosinality .pt": _in_torch_file,
    "PyTorch state dict": _in_torch_file,
}
"""By the name of a checkpoint's format; TensorFlow's pickles are read for their generator alone."""
