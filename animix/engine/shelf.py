"""The shelf of networks: those in use are on the device, the others stay in their files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from animix.checkpoints.load import load_network
from animix.networks.network import Network


class Shelf:
    """Networks by number, as many as are in use at a time."""

    def __init__(self, files: Sequence[Path], device: torch.device) -> None:
        self.files = tuple(files)
        self.device = device
        self._networks: dict[int, Network] = {}

    def take(self, numbers: Sequence[int]) -> list[Network]:
        """The networks of these numbers; all others leave before a new one is read."""
        self._networks = {n: self._networks[n] for n in numbers if n in self._networks}
        for number in numbers:
            if number not in self._networks:
                network = load_network(self.files[number])
                self._networks[number] = network.to(self.device)
        return [self._networks[number] for number in numbers]

    def __len__(self) -> int:
        return len(self._networks)
