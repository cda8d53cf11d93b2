"""The store: networks that several films are made of are read from their files once."""

from __future__ import annotations

import os
import threading
from pathlib import Path

from animix.checkpoints.load import load_network
from animix.interruption import uninterrupted
from animix.networks.network import Network
from animix.whole_file import state_of

MOST_BYTES = 4 << 30
"""Some 36 networks of 1024 px."""
SHARE_OF_MEMORY = 0.25


class Store:
    """Networks by file, those that were used last as long as they fit; for any number of threads.

    A file that has changed is read again. What is put aside for lack of room is, too.
    """

    def __init__(self, most_bytes: int | None = None) -> None:
        """``most_bytes``: of all networks together; None: what suits this machine."""
        self._most_bytes = _room() if most_bytes is None else most_bytes
        self._kept: dict[tuple[str, str], Network] = {}
        self._lock = threading.Lock()

    def load(self, path: Path) -> Network:
        """The network of a file, as ``load_network`` reads it, with the same errors."""
        try:
            key = os.path.realpath(path), state_of(path)
        except (OSError, ValueError):  # told in words by whoever reads it
            return load_network(path)
        with uninterrupted(), self._lock:
            network = self._kept.pop(key, None)
            if network is not None:
                self._kept[key] = network  # the last used is the last
                return network
        network = load_network(path)
        with uninterrupted(), self._lock:
            # As the file was before: it may have changed since.
            self._kept[key] = network
            while sum(map(_num_bytes, self._kept.values())) > self._most_bytes:
                del self._kept[next(iter(self._kept))]
        return network

    def __len__(self) -> int:
        return len(self._kept)


def _num_bytes(network: Network) -> int:
    return sum(tensor.nbytes for tensor in network.tensors.values())


def _room() -> int:
    """A part of the machine's memory, where that is told, and not more than is of use."""
    try:
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):  # as on Windows
        return MOST_BYTES
    return min(MOST_BYTES, int(SHARE_OF_MEMORY * memory))
