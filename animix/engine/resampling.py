"""Resampling: a StyleGAN3 layer's two filters as the fast path's kernel takes them.

A tile of the picture is filtered along its rows by products with small banded matrices, and down
its columns tap by tap, row after row.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from animix.networks.stylegan3_plan import LayerPlan

FINE_WIDTH = 128
"""Columns of a tile between the filters."""

OUT_WIDTH = 64
"""Most columns that come out of a tile; Hopper's matrix units take no fewer rows at a time."""

IN_WIDTHS = (16, 32, 64, 128)

MAX_FACTOR = 8
MAX_STEPS = 8
"""Taps of a filter for each step of its factor. Published networks have 6."""

MAX_RANK = 6
"""Separable filters in place of one that is not: 4 bring any designed one to 1e-6."""

TOLERANCE = 3e-4
"""What may be missing from the sum of separable filters, as a share of the filter's norm.

Radial filters of the published plans take 2 in most layers, 3 in the last ones.
"""


@dataclass(frozen=True)
class Tile:
    """How a layer's pictures are cut into columns, and what a tile needs."""

    in_width: int
    out_columns: int
    """Columns of the result, OUT_WIDTH or fewer."""


@dataclass(frozen=True, eq=False)
class Resampling:
    """A layer's filters: along the rows as matrices, down the columns as taps."""

    plan: LayerPlan
    up: Tensor | None
    """The filter itself [T], as ``networks.stylegan3.filtered`` takes it."""
    down: Tensor | None
    """[T], radial [T, T]."""
    tile: Tile
    across_up: Tensor  # [FINE_WIDTH, in_width]
    across_down: Tensor  # [rank, OUT_WIDTH, FINE_WIDTH]
    up_taps: tuple[float, ...]
    """[factor, steps]: for each phase of a fine row those of the rows that reach it, in order."""
    down_taps: tuple[float, ...]
    """[rank, steps · factor]: those of the fine rows that a row is made from, in order."""

    @property
    def rank(self) -> int:
        """Separable filters that the downsampling filter is the sum of."""
        return len(self.across_down)

    @property
    def up_steps(self) -> int:
        """Rows that a fine row is made from."""
        return len(self.up_taps) // self.plan.up.factor

    @property
    def down_steps(self) -> int:
        """Rows that a fine row is part of."""
        return len(self.down_taps) // (self.rank * self.plan.down.factor)

    @property
    def phase(self) -> int:
        """Which of the upsampling filter's phases makes the first fine row and column."""
        return self.plan.crop % self.plan.up.factor

    @property
    def first(self) -> int:
        """The first row and column that the first fine one is made from; below 0 there are none."""
        return self.plan.crop // self.plan.up.factor - (self.up_steps - 1)


def make_resampling(
    plan: LayerPlan,
    up: Tensor | None,
    down: Tensor | None,
    dtype: torch.dtype,
    device: torch.device,
) -> Resampling:
    """The resampling of a layer with these filters; its matrices in ``dtype`` on a device."""
    tile = _tile(plan)
    # Zeros make up for taps that a factor lacks, on the side where the filter does not end.
    spread = _numbers(up, (0, -plan.up.taps % plan.up.factor))
    spread = spread * plan.up.factor  # few values among zeros: the gain keeps the mean
    pairs = separated(_numbers(down, (-plan.down.taps % plan.down.factor, 0)))
    phase, steps = plan.crop % plan.up.factor, len(spread) // plan.up.factor
    across_up = np.zeros((FINE_WIDTH, tile.in_width))
    for column in range(tile.in_width):
        first = (column - (steps - 1)) * plan.up.factor - phase
        for tap, value in enumerate(spread):
            if 0 <= first + tap < FINE_WIDTH:
                across_up[first + tap, column] = value
    across_down = np.zeros((len(pairs), OUT_WIDTH, FINE_WIDTH))
    for matrix, (_, row) in zip(across_down, pairs, strict=True):
        for column in range(tile.out_columns):
            start = column * plan.down.factor
            matrix[column, start : start + len(row)] = row[::-1]
    # By phase, and from the farthest row's tap to the nearest one's.
    up_taps = spread.reshape(steps, plan.up.factor).T[:, ::-1]
    down_taps = np.stack([column[::-1] for column, _ in pairs])
    return Resampling(
        plan=plan,
        up=up,
        down=down,
        tile=tile,
        across_up=torch.from_numpy(across_up).to(device, dtype),
        across_down=torch.from_numpy(across_down).to(device, dtype),
        up_taps=tuple(up_taps.ravel().tolist()),
        down_taps=tuple(down_taps.ravel().tolist()),
    )


def separated(
    taps: NDArray[np.float64],
) -> list[tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Filters for columns and rows whose products' sum is a filter [T] or, nearly, [T, T].

    A radial filter's singular values fall quickly. Up to ``TOLERANCE`` of the filter is left out.
    """
    if taps.ndim == 1:
        return [(taps, taps)]
    columns, values, rows = np.linalg.svd(taps)
    missing = np.sqrt(np.cumsum(values[::-1] ** 2)[::-1])  # without the n first ones
    count = max(int((missing > TOLERANCE * missing[0]).sum()), 1)
    roots = np.sqrt(values[:count])
    return [(columns[:, n] * roots[n], rows[n] * roots[n]) for n in range(count)]


def why_not(plan: LayerPlan, down: Tensor | None) -> str | None:
    """Why the kernel can't run a layer's filters; None: it can."""
    for filter_plan in (plan.up, plan.down):
        steps = -(-filter_plan.taps // filter_plan.factor)
        if filter_plan.factor > MAX_FACTOR or steps > MAX_STEPS:
            return (
                f"a filter with {filter_plan.taps} taps for a factor of {filter_plan.factor}, the "
                f"fast one takes up to {MAX_STEPS} for each of {MAX_FACTOR} steps"
            )
    if down is not None and len(separated(_numbers(down, (0, 0)))) > MAX_RANK:
        return "a filter far from radial"
    return None


def _numbers(taps: Tensor | None, zeros: tuple[int, int]) -> NDArray[np.float64]:
    """A filter in float64, with so many zeros before and behind it."""
    taps = torch.ones(1) if taps is None else taps
    return np.pad(taps.double().cpu().numpy(), [zeros] * taps.ndim)


def _tile(plan: LayerPlan) -> Tile:
    """The tile that takes the least work: filters are applied to whole widths, used or not."""
    up, down = plan.up, plan.down
    up_steps, down_steps = -(-up.taps // up.factor), -(-down.taps // down.factor)
    phase, step = plan.crop % up.factor, up.factor // math.gcd(up.factor, down.factor)
    best: tuple[float, Tile] | None = None
    for in_width in IN_WIDTHS:
        # Tiles begin at the same phase, so their columns are a multiple of the step.
        for columns in range(OUT_WIDTH - OUT_WIDTH % step, 0, -step):
            fine = down.factor * (columns - 1 + down_steps)
            if fine <= FINE_WIDTH and (phase + fine - 1) // up.factor + up_steps <= in_width:
                work = in_width * up_steps + 4 * FINE_WIDTH + OUT_WIDTH * down_steps
                work *= -(-plan.output.size // columns)
                if best is None or work < best[0]:
                    best = work, Tile(in_width, columns)
                break
    assert best is not None, "why_not lets no wider filter pass"
    return best[1]
