"""The plan: how a film is painted, decided before its first frame and never by a measurement."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from animix.engine.memory import bytes_needed
from animix.errors import OptionError
from animix.networks.extent import SQUARE, Extent
from animix.networks.network import Network
from animix.schedule import Schedule


@dataclass(frozen=True)
class Plan:
    """Cells of ``batch_size`` frames, and where the networks lie."""

    batch_size: int
    dtype: torch.dtype
    slot_of_column: tuple[int, ...]
    """For each column of the mix. Columns with the same slot are never in one cell."""
    num_threads: int = 1
    """Frames that are painted side by side, where they are painted one by one."""

    @property
    def num_slots(self) -> int:
        """Networks on the device at a time."""
        return 1 + max(self.slot_of_column)


BATCH_SIZES = (32, 16, 8, 4, 2, 1)
"""Frames of a cell. On an H100 16 are 3 % slower than 32 at 256 px and no slower at 1024."""

MAX_SLOTS = 8
"""The energies of all pairs of 8 networks take 640 MB; those of 40 would take 14 GB."""


def make_plan(
    schedule: Schedule,
    home: Network,
    canvas_size: tuple[int, int],
    memory_bytes: int,
    *,
    dtype: torch.dtype = torch.float16,
    stop_resolution: int | None = None,
    extent: Extent = SQUARE,
) -> Plan:
    """The plan of a film: the largest cells that few slots and the memory are enough for.

    They have fewer frames where those are larger than the square. OptionError where the memory
    isn't enough for cells of one frame.
    """
    needed = 0
    most = max(BATCH_SIZES[0] / extent.area, 1)
    for plan in _plans(schedule, dtype, [size for size in BATCH_SIZES if size <= most]):
        needed = bytes_needed(
            home, plan.num_slots, plan.batch_size, dtype, canvas_size, stop_resolution, extent
        )
        if needed <= memory_bytes:
            return plan
    raise OptionError(
        f"these networks need {needed / 1e9:.1f} GB of the device's memory, it may use "
        f"{memory_bytes / 1e9:.1f} GB; give more with --memory, or try --draft"
    )


def _plans(schedule: Schedule, dtype: torch.dtype, batch_sizes: Sequence[int]) -> Iterator[Plan]:
    """Plans with few slots, the largest cells first; with the smallest cells in any case."""
    for batch_size in batch_sizes:
        plan = Plan(batch_size, dtype, place_columns(schedule, batch_size))
        if plan.num_slots <= MAX_SLOTS or batch_size == batch_sizes[-1]:
            yield plan


FRAMEWISE_BATCH_SIZES = (16, 8, 4, 2, 1)

LARGE = 10_000_000_000
"""Multiply-adds of a picture from which on all cores work on one.

On 2 cores frames side by side are 15 % faster at 4 · 10⁹ (256 px, channel base 8192), and as fast
at 45 · 10⁹ (configuration F), where each takes a gigabyte.
"""


CANVASES_BYTES = 1 << 29
"""What a cell's canvases may take of a computer's memory."""


def make_framewise_plan(
    schedule: Schedule,
    network: Network,
    canvas_size: tuple[int, int],
    dtype: torch.dtype,
    num_threads: int,
) -> Plan:
    """The plan of a film whose frames are painted one by one, by threads where they are small."""
    if num_multiply_adds(network) >= LARGE:
        return next(_plans(schedule, dtype, (1,)))
    width, height = canvas_size
    # Each is there twice when a cell's are put together.
    most = max(1, CANVASES_BYTES // (2 * 3 * 4 * width * height))
    sizes = [size for size in FRAMEWISE_BATCH_SIZES if size <= most]
    plan = next(_plans(schedule, dtype, sizes))
    return replace(plan, num_threads=min(num_threads, plan.batch_size))


def num_multiply_adds(network: Network) -> int:
    """Products that a picture's 3×3 convolutions take; one that is up works on small pictures."""
    total = 0
    for layer in network.layers[1:]:
        side = layer.resolution // 2 if layer.name.endswith("conv0") else layer.resolution
        total += network.tensors[f"synthesis.{layer.name}.weight"].numel() * side**2
    return total


def place_columns(schedule: Schedule, batch_size: int) -> tuple[int, ...]:
    """The slot of each column: a run of snapshots takes turns in a few.

    It is a function of the schedule alone, for the order in which networks are summed decides the
    last bits of a picture.
    """
    slot_of_column = [0] * len(schedule.columns)
    first = 0
    runs: dict[str, list[int]] = {}
    for place, column in enumerate(schedule.columns):
        runs.setdefault(column.network, []).append(place)
    for name, places in runs.items():
        turns = _turns(schedule, name, len(places), batch_size)
        for number, place in enumerate(places):
            slot_of_column[place] = first + number % turns
        first += turns
    return tuple(slot_of_column)


def _turns(schedule: Schedule, network: str, num_snapshots: int, batch_size: int) -> int:
    """The fewest slots in which no two snapshots of one cell meet."""
    positions = [
        np.clip(layer.position, 1, num_snapshots)
        for layer in schedule.layers
        if schedule.columns[layer.columns[0]].network == network
    ]
    cells = _cells(positions, schedule.num_frames, batch_size)
    for turns in range(1, num_snapshots):
        if all(len({number % turns for number in cell}) == len(cell) for cell in cells):
            return turns
    return num_snapshots


def _cells(positions: list[np.ndarray], num_frames: int, batch_size: int) -> set[frozenset[int]]:
    """The sets of snapshot numbers that occur in one cell."""
    cells: dict[int, set[int]] = {}
    for position in positions:
        for numbers in (np.floor(position), np.ceil(position)):
            if len(numbers) == 1:
                numbers = np.repeat(numbers, num_frames)
            pairs = np.stack([np.arange(num_frames) // batch_size, numbers.astype(int)], axis=1)
            for cell, number in np.unique(pairs, axis=0).tolist():
                cells.setdefault(cell, set()).add(number)
    return {frozenset(cell) for cell in cells.values()}
