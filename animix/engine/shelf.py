"""The shelf of networks: those in use are on the device, the next ones on their way from files."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import torch

from animix.checkpoints.load import load_network
from animix.checkpoints.store import Store
from animix.interruption import uninterrupted
from animix.networks.network import Network

MAX_EXPECTED = 3
"""Networks that are read ahead: at 1024 px each takes 110 MB of the host's memory."""


class Shelf:
    """Networks by number, as many as are in use at a time."""

    def __init__(
        self, files: Sequence[Path], device: torch.device, store: Store | None = None
    ) -> None:
        """``store``: where networks are that other films have read."""
        self.files = tuple(files)
        self.device = device
        self.placed: frozenset[int] = frozenset()
        """Networks that lie in an engine's slots: those are not read again."""
        self.kept: frozenset[int] = frozenset()
        """Networks that other panels of the same frames are painted with: they stay."""
        self._networks: dict[int, Network] = {}
        self._expected: dict[int, Future[Network]] = {}
        self._reader: ThreadPoolExecutor | None = None
        self._store = store

    def expect(self, numbers: Sequence[int]) -> None:
        """Begin to read networks that will be asked for soon, the soonest first.

        Those that were expected before and are not any more are forgotten. Where none is, no thread
        is left behind.
        """
        numbers = [n for n in numbers if n not in self._networks and n not in self.placed]
        numbers = numbers[:MAX_EXPECTED]
        # A pool's locks are Python objects: interrupted in one, nobody would release it.
        with uninterrupted():
            for number in set(self._expected) - set(numbers):
                self._expected.pop(number).cancel()
            if not numbers and self._reader is not None:
                self._reader.shutdown()
                self._reader = None
            for number in numbers:
                if number not in self._expected:
                    self._reader = self._reader or ThreadPoolExecutor(1, "networks")
                    self._expected[number] = self._reader.submit(self._read, number)

    def read(self, number: int) -> Network:
        """A network in the host's memory, from where the device can fetch it by itself."""
        expected = self._expected.pop(number, None)
        return self._read(number) if expected is None else expected.result()

    def take(self, numbers: Sequence[int]) -> list[Network]:
        """The networks of these numbers on the device; others leave before one is read."""
        staying = self.kept.union(numbers)
        self._networks = {n: network for n, network in self._networks.items() if n in staying}
        for number in numbers:
            if number not in self._networks:
                self._networks[number] = self.read(number).to(self.device)
        return [self._networks[number] for number in numbers]

    def __len__(self) -> int:
        return len(self._networks)

    def _read(self, number: int) -> Network:
        load = load_network if self._store is None else self._store.load
        network = load(self.files[number])
        if self.device.type != "cuda":
            return network
        pinned = {name: tensor.pin_memory() for name, tensor in network.tensors.items()}
        return replace(network, tensors=pinned)
