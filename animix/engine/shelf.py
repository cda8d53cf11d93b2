"""The shelf of networks: those in use are on the device, the others stay in their files."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path

import torch

from animix.networks.load import load_network
from animix.networks.network import Network


class Shelf:
    """Networks by number, at most ``capacity`` at a time; the least recently used one leaves."""

    def __init__(self, files: Sequence[Path], *, device: torch.device, capacity: int = 2) -> None:
        self.files = tuple(files)
        self.device = device
        self.capacity = capacity
        self._networks: OrderedDict[int, Network] = OrderedDict()

    def __getitem__(self, number: int) -> Network:
        network = self._networks.pop(number, None)
        if network is None:
            # Room is made first: at no time are there more than `capacity`.
            while len(self._networks) >= self.capacity:
                self._networks.popitem(last=False)
            network = self.load(self.files[number])
        self._networks[number] = network
        return network

    def __len__(self) -> int:
        return len(self._networks)

    def load(self, file: Path) -> Network:
        """A network that does not stand on the shelf."""
        return load_network(file).to(self.device)
