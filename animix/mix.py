"""The mix: swap level, width, alpha and snapshot of stacked networks → a coefficient per layer."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np

from animix.timeline.arrays import Floats


def first_layer(swap_octaves: float, resolutions: Sequence[int]) -> float:
    """Number of the first layer at a resolution, which may lie between two of the network's.

    ``swap_octaves`` is log2 of the resolution, ``resolutions`` that of each layer, in order: [L].
    Resolution 4 is layer 0, twice the network's own is layer L, and between resolutions the number
    moves linearly in octaves.

    >>> resolutions = [4, 4, 8, 8, 16, 16]
    >>> [first_layer(octaves, resolutions) for octaves in (2, 3, 3.5, 5)]
    [0.0, 2.0, 3.0, 6.0]
    """
    return float(np.interp(swap_octaves, *_first_layers(tuple(resolutions))))


@lru_cache(maxsize=16)
def _first_layers(resolutions: tuple[int, ...]) -> tuple[Floats, Floats]:
    """Octaves and the number of the first layer at each."""
    places = {2.0: 0.0}
    for number, resolution in enumerate(resolutions):
        places.setdefault(math.log2(resolution), float(number))
    places[math.log2(2 * resolutions[-1])] = float(len(resolutions))
    return np.array(list(places.keys())), np.array(list(places.values()))


def share(
    swap_octaves: float,
    *,
    width: float,
    alpha: Floats | float,
    take: Literal["high", "low"],
    resolutions: Sequence[int],
) -> Floats:
    """The upper network's share in each layer: [L], alpha times a ramp of ``width`` layers.

    ``take`` says whether it has the resolutions from the swap level up (high) or those below
    it (low). ``alpha`` is a number or one per layer; outside 0..1 it extrapolates.

    >>> share(3, width=1, alpha=1, take="high", resolutions=[4, 4, 8, 8])
    array([0., 0., 1., 1.])
    >>> share(3.25, width=1, alpha=1, take="high", resolutions=[4, 4, 8, 8])
    array([0. , 0. , 0.5, 1. ])
    """
    num_layers = len(resolutions)
    centre = first_layer(swap_octaves, resolutions) * (num_layers - 1 + width) / num_layers
    ramp = np.clip((np.arange(num_layers) - centre) / width + 1, 0, 1)
    # Rounding must not leave a trace of a network that is not meant to be there at all.
    ramp = np.where(ramp < 1e-9, 0.0, np.where(ramp > 1 - 1e-9, 1.0, ramp))
    return alpha * (ramp if take == "high" else 1 - ramp)


@dataclass(frozen=True)
class Overlay:
    """A network laid over what lies below it: a share per layer, a place in its run."""

    share: Floats
    """[L]"""
    columns: tuple[int, ...]
    """The columns of the mix that hold the snapshots of its run, in order."""
    position: float
    """1 is the first snapshot, n the last, 0 what lies below; between two, both take part."""

    def __post_init__(self) -> None:
        if not 0 <= self.position <= len(self.columns):
            raise ValueError(f"{self.position = } is not in 0..{len(self.columns)}")


def snapshot_weights(position: float, num_snapshots: int) -> Floats:
    """What lies below and each snapshot, as weights that sum to 1: [1 + n].

    >>> snapshot_weights(0.25, 2), snapshot_weights(1.5, 2)
    (array([0.75, 0.25, 0.  ]), array([0. , 0.5, 0.5]))
    """
    weights = np.zeros(1 + num_snapshots)
    lower = min(int(position), num_snapshots)
    weights[lower] = 1 - (position - lower)
    if position > lower:
        weights[lower + 1] = position - lower
    return weights


def stack(overlays: Sequence[Overlay], num_networks: int) -> Floats:
    """The mix [L, K] of overlays laid one over the other, the base first; every row sums to 1.

    >>> base = Overlay(np.ones(2), (0,), 1)
    >>> over = Overlay(np.array([0.0, 0.5]), (1, 2), 1.5)
    >>> stack([base, over], 3)
    array([[1.  , 0.  , 0.  ],
           [0.5 , 0.25, 0.25]])
    """
    mix = np.zeros((len(overlays[0].share), num_networks))
    for number, overlay in enumerate(overlays):
        below, *snapshots = snapshot_weights(overlay.position, len(overlay.columns))
        if number == 0:
            if below > 0:
                raise ValueError(f"nothing lies below the base: {overlay.position = }")
            mix[:, overlay.columns] = snapshots
            continue
        # Alphas without measure may overflow; the engine refuses what has no finite picture.
        with np.errstate(over="ignore", invalid="ignore"):
            mix *= (1 - overlay.share * (1 - below))[:, None]
            mix[:, overlay.columns] += overlay.share[:, None] * np.asarray(snapshots)
    return mix
