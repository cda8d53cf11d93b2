"""Saves networks: what kind of file is written is told by the name's ending."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from animix.checkpoints.nvidia_rewrite import check_original, write_like
from animix.checkpoints.rosinality import write_rosinality
from animix.checkpoints.safetensors import write_safetensors
from animix.errors import OptionError
from animix.networks.network import Network

WRITERS: dict[str, Callable[[Network, Path], None]] = {
    ".safetensors": write_safetensors,
    ".pt": write_rosinality,
}
"""By suffix. A .pkl is written like another one: the Python code in it is its owner's."""


def save_network(network: Network, path: str | Path, like: str | Path | None = None) -> None:
    """Write a network: ``.safetensors`` with all that animix knows, ``.pt`` as rosinality's code.

    A ``.pkl`` needs a file that it is ``like``: one of NVIDIA's PyTorch pickles of the same
    architecture and shapes, of which all is kept but the numbers in G_ema's tensors.

    The file is whole or absent. OptionError: a name, a place or a network that can't be written.
    """
    path = Path(path)
    check_target(path, like)
    if like is not None:
        write_like(network, Path(like), path)
    else:
        WRITERS[path.suffix.lower()](network, path)


def check_target(path: Path, like: str | Path | None = None) -> None:
    """Raise OptionError for a name that no network is written under.

    NetworkError for a file that no .pkl is written ``like``.
    """
    suffix = path.suffix.lower()
    if suffix == ".pkl" and like is None:
        raise OptionError(
            f"{path}: a .pkl is a copy of an original with other numbers in its G_ema: name that "
            "with --like ORIGINAL.pkl, or write .safetensors"
        )
    if suffix != ".pkl" and suffix not in WRITERS:
        known = ", ".join([*WRITERS, ".pkl (with --like)"])
        raise OptionError(f"{path}: expected a name that ends in {known}")
    if like is None:
        return
    if suffix != ".pkl":
        raise OptionError(f"{path}: what is written like {like} ends in .pkl")
    if os.path.realpath(path) == os.path.realpath(like):
        raise OptionError(f"{path} is the original itself; name another file")
    check_original(Path(like))
