"""Slots: which of a film's networks lies where in the stack."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from animix.engine.plan import Plan
from animix.engine.shelf import Shelf
from animix.networks.network import Network
from animix.schedule import Row


class Stacked(Protocol):
    """Networks side by side, each in a slot."""

    def put(self, slot: int, network: Network) -> None:
        """Fill a slot with a network's weights."""


class Slots:
    """The stack's slots, filled with the networks that frames need, as the plan has it."""

    def __init__(self, stack: Stacked, plan: Plan, shelf: Shelf) -> None:
        self.contents: tuple[int | None, ...] = (None,) * plan.num_slots
        """The column of the mix that lies in each slot."""
        self._stack, self._plan, self._shelf = stack, plan, shelf

    def put(self, rows: Sequence[Row]) -> None:
        """Put the networks that take part in rows into their slots."""
        for column in np.flatnonzero(_mix(rows).any(axis=(0, 1))).tolist():
            slot = self._plan.slot_of_column[column]
            if self.contents[slot] != column:
                self.contents = _with(self.contents, slot, None)  # gone, even if reading fails
                self._stack.put(slot, self._shelf.read(column))
                self.contents = _with(self.contents, slot, column)
                self._shelf.placed = frozenset(c for c in self.contents if c is not None)

    def mix(self, rows: Sequence[Row]) -> NDArray[np.float64]:
        """The mix of the slots in rows: [B, L, slots]."""
        mix = _mix(rows)
        by_slot = np.zeros((*mix.shape[:2], self._plan.num_slots))
        # Of the columns that share a slot a cell has one: the others have no share in it.
        for column, slot in enumerate(self._plan.slot_of_column):
            by_slot[:, :, slot] += mix[:, :, column]
        return by_slot


def _mix(rows: Sequence[Row]) -> NDArray[np.float64]:
    return np.stack([row.mix for row in rows])  # [B, L, columns]


def _with(
    contents: tuple[int | None, ...], slot: int, column: int | None
) -> tuple[int | None, ...]:
    return (*contents[:slot], column, *contents[slot + 1 :])
