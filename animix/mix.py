"""The mix: swap level, width, alpha and snapshot of stacked networks → a coefficient per layer.

Everything is worked out for one frame or for many at once, with the same numbers: [...] stands for
no axis or for that of the frames.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np

from animix.timeline.arrays import Floats


def first_layer(swap_octaves: Floats | float, resolutions: Sequence[int]) -> Floats | float:
    """Number of the first layer at a resolution, which may lie between two of the network's: [...].

    ``swap_octaves`` is log2 of the resolution, ``resolutions`` that of each layer, in order: [L].
    Resolution 4 is layer 0, twice the network's own is layer L, and between resolutions the number
    moves linearly in octaves.

    >>> first_layer(np.array([2, 3, 3.5, 5]), resolutions=[4, 4, 8, 8, 16, 16])
    array([0., 2., 3., 6.])
    """
    found: Floats | float = np.interp(swap_octaves, *_first_layers(tuple(resolutions)))
    return found


@lru_cache(maxsize=16)
def _first_layers(resolutions: tuple[int, ...]) -> tuple[Floats, Floats]:
    """Octaves and the number of the first layer at each."""
    places = {2.0: 0.0}
    for number, resolution in enumerate(resolutions):
        places.setdefault(math.log2(resolution), float(number))
    places[math.log2(2 * resolutions[-1])] = float(len(resolutions))
    return np.array(list(places.keys())), np.array(list(places.values()))


def share(
    swap_octaves: Floats | float,
    *,
    width: Floats | float,
    alpha: Floats | float,
    take: Literal["high", "low"],
    resolutions: Sequence[int],
) -> Floats:
    """The upper network's share in each layer: [..., L], alpha times a ramp of ``width`` layers.

    ``take`` says whether it has the resolutions from the swap level up (high) or those below
    it (low). ``alpha`` is a number or one per layer; outside 0..1 it extrapolates.

    >>> share(3, width=1, alpha=1, take="high", resolutions=[4, 4, 8, 8])
    array([0., 0., 1., 1.])
    >>> share(3.25, width=1, alpha=1, take="high", resolutions=[4, 4, 8, 8])
    array([0. , 0. , 0.5, 1. ])
    """
    num_layers = len(resolutions)
    first = first_layer(swap_octaves, resolutions)
    centre = np.asarray(first * (num_layers - 1 + width) / num_layers)[..., None]
    ramp = np.clip((np.arange(num_layers) - centre) / np.asarray(width)[..., None] + 1, 0, 1)
    # Rounding must not leave a trace of a network that is not meant to be there at all.
    ramp = np.where(ramp < 1e-9, 0.0, np.where(ramp > 1 - 1e-9, 1.0, ramp))
    return alpha * (ramp if take == "high" else 1 - ramp)


@dataclass(frozen=True)
class Overlay:
    """A network laid over what lies below it: a share per layer, a place in its run."""

    share: Floats
    """[..., L]"""
    columns: tuple[int, ...]
    """The columns of the mix that hold the snapshots of its run, in order."""
    position: Floats | float
    """[...]: 1 is the first snapshot, n the last, 0 what lies below; between two, both are in."""

    def __post_init__(self) -> None:
        if not np.all((self.position >= 0) & (self.position <= len(self.columns))):
            raise ValueError(f"{self.position = } is not in 0..{len(self.columns)}")


def snapshot_weights(position: Floats | float, num_snapshots: int) -> Floats:
    """What lies below and each snapshot, as weights that sum to 1: [..., 1 + n].

    >>> snapshot_weights(np.array([0.25, 1.5]), 2)
    array([[0.75, 0.25, 0.  ],
           [0.  , 0.5 , 0.5 ]])
    """
    place = np.asarray(position, dtype=np.float64)[..., None]
    lower = np.minimum(place.astype(np.int64), num_snapshots)
    weights = np.zeros((*place.shape[:-1], 1 + num_snapshots))
    np.put_along_axis(weights, np.minimum(lower + 1, num_snapshots), place - lower, axis=-1)
    np.put_along_axis(weights, lower, 1 - (place - lower), axis=-1)
    return weights


def stack(overlays: Sequence[Overlay], num_networks: int) -> Floats:
    """The mix [..., L, K] of overlays laid one over the other, the base first; rows sum to 1.

    >>> base = Overlay(np.ones(2), (0,), 1)
    >>> over = Overlay(np.array([0.0, 0.5]), (1, 2), 1.5)
    >>> stack([base, over], 3)
    array([[1.  , 0.  , 0.  ],
           [0.5 , 0.25, 0.25]])
    """
    mix = np.zeros((*overlays[0].share.shape, num_networks))
    for number, overlay in enumerate(overlays):
        weights = snapshot_weights(overlay.position, len(overlay.columns))
        below, snapshots = weights[..., :1], weights[..., None, 1:]
        if number == 0:
            if (below > 0).any():
                raise ValueError(f"nothing lies below the base: {overlay.position = }")
            mix[..., overlay.columns] = snapshots
            continue
        # Alphas without measure may overflow; the engine refuses what has no finite picture.
        with np.errstate(over="ignore", invalid="ignore"):
            mix *= (1 - overlay.share * (1 - below))[..., None]
            mix[..., overlay.columns] += overlay.share[..., None] * snapshots
    return mix
