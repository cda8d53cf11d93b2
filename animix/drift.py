"""Drift: how far one network has moved from another, in its weights and in what it makes of a w.

Everything is measured for two networks that can be blended, and with one mapping and one set of
noise images, the base's, as in a blend: what differs then are the synthesis layers alone.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, interpolate

from animix.errors import NetworkError
from animix.latents import ws_of_seed
from animix.networks.blend import with_mapping
from animix.networks.facts import Layer
from animix.networks.network import Network
from animix.networks.related import correlation
from animix.timeline.reader import DEFAULT_TRUNCATION

SMALLEST_BAND = 4
"""Pixels a side of the coarsest band."""


@dataclass(frozen=True)
class LayerDrift:
    """How far one layer has moved."""

    name: str
    resolution: int
    distance: float
    """Of the weights: ‖θ_B − θ_A‖ / ‖θ_A‖, with all tensors of the layer as one vector θ."""
    correlation: float
    """Pearson's, of the layer's kernel (of the constant in the first layer)."""
    activation: float
    """√(Σ ‖x_B − x_A‖² / Σ ‖x_A‖²), with x the layer's output for a w and the sums over seeds.

    Both networks compute x from w on, so it holds what all layers below it have changed as well.
    """


@dataclass(frozen=True)
class BandDrift:
    """How far the pictures have moved in one band of a pyramid."""

    resolution: int
    difference: float
    """√(mean (b_B − b_A)²) over seeds, pixels and colours, with pictures p in [-1, 1].

    The band is b = P_r p − P_{r/2} p, where P_r p is the picture of means over blocks that has r
    pixels a side (Burt and Adelson 1983, with a box for the filter); the coarsest band is P_4 p.
    The bands are orthogonal: the squares of their differences sum to the whole picture's.
    """
    relative: float
    """√(Σ (b_B − b_A)² / Σ b_A²): 1 is a difference as large as what the base has in this band."""


@dataclass(frozen=True)
class MappingDrift:
    """How far the mapping has moved; a blend does not see it, for it uses one mapping."""

    w: float
    """√(Σ ‖w_B(z) − w_A(z)‖² / Σ ‖w_A(z) − w_avg_A‖²), without truncation, the sums over seeds."""
    w_avg: float
    """‖w_avg_B − w_avg_A‖ / √(mean ‖w_A(z) − w_avg_A‖²): in units of the w's spread."""


@dataclass(frozen=True)
class Drift:
    """How far a network has moved from the base."""

    layers: tuple[LayerDrift, ...]
    bands: tuple[BandDrift, ...]
    """From coarse to fine."""
    picture: BandDrift
    """The whole picture: as a band, with b = p."""
    mapping: MappingDrift | None
    """None where the two mappings take different z or labels, or give different w."""

    @property
    def distance(self) -> float:
        """The median of the layers' distances."""
        return float(np.median([layer.distance for layer in self.layers]))

    @property
    def correlation(self) -> float:
        """The median of the layers' correlations."""
        return float(np.median([layer.correlation for layer in self.layers]))


@dataclass
class Ratio:
    """A sum of squares over another, which grow from seed to seed."""

    change: float = 0.0
    size: float = 0.0
    count: int = 0

    def add(self, base: Tensor, other: Tensor) -> None:
        """Count the squares of what differs and of what the base has."""
        # Each sum is float32, for not every device has float64.
        self.change += float((other - base).square().sum())
        self.size += float(base.square().sum())
        self.count += base.numel()

    @property
    def relative(self) -> float:
        """√(change / size); out of nothing, every change is infinite."""
        if self.size == 0:
            return math.inf if self.change else 0.0
        return math.sqrt(self.change / self.size)

    @property
    def difference(self) -> float:
        """√(change / count)."""
        return math.sqrt(self.change / max(1, self.count))


class Measuring:
    """Measures the drift of a network from a base that it can be blended with, seed by seed.

    Both are on one device; whoever measures looks after its memory.
    """

    def __init__(self, base: Network, other: Network) -> None:
        self._base = base
        self._mapping = other
        self._other = with_mapping(other, base)
        self._activations = {layer.name: Ratio() for layer in base.layers}
        self._bands: dict[int, Ratio] = {}
        self._picture = Ratio()
        self._w = Ratio()

    def add_seed(self, seed: int) -> None:
        """Paint one seed with both networks and add up what differs.

        NetworkError where the other's numbers overflow.
        """
        mine, theirs = self._synthesize(ws_of_seed(self._base, seed, DEFAULT_TRUNCATION))
        self._picture.add(mine, theirs)
        for (resolution, a), (_, b) in zip(bands_of(mine), bands_of(theirs), strict=True):
            self._bands.setdefault(resolution, Ratio()).add(a, b)
        if self._has_like_mappings():
            centre = self._base.tensors["mapping.w_avg"]
            w, other_w = (ws_of_seed(n, seed)[:, 0] - centre for n in (self._base, self._mapping))
            self._w.add(w, other_w)

    def drift(self) -> Drift:
        """What was measured so far."""
        base, other = self._base, self._other
        alike = correlation(base, other).tolist()
        layers = [
            LayerDrift(
                name=layer.name,
                resolution=layer.resolution,
                distance=_distance(base, other, layer),
                correlation=value,
                activation=self._activations[layer.name].relative,
            )
            for layer, value in zip(base.layers, alike, strict=True)
        ]
        return Drift(
            layers=tuple(layers),
            bands=tuple(_band(r, ratio) for r, ratio in sorted(self._bands.items())),
            picture=_band(base.img_resolution, self._picture),
            mapping=self._mapping_drift(),
        )

    def _synthesize(self, ws: Tensor) -> tuple[Tensor, Tensor]:
        """The pictures of both networks, as they are seen; their activations are measured."""
        seen: dict[str, Tensor] = {}

        # A copy, for a layer may go on to write where the one before it wrote.
        def keep(name: str, x: Tensor) -> None:
            seen[name] = x.clone()

        def measure(name: str, x: Tensor) -> None:
            self._activations[name].add(seen.pop(name), x)

        mine = self._base.synthesis(ws, watch=keep)
        theirs = self._other.synthesis(ws, watch=measure)
        if not bool(torch.isfinite(theirs).all()):
            raise NetworkError("it makes no picture: its numbers overflow")
        return mine.clamp(-1, 1), theirs.clamp(-1, 1)

    def _has_like_mappings(self) -> bool:
        base, other = self._base, self._mapping
        return (base.z_dim, base.c_dim, base.w_dim) == (other.z_dim, other.c_dim, other.w_dim)

    def _mapping_drift(self) -> MappingDrift | None:
        if not self._has_like_mappings():
            return None
        base, other = (n.tensors["mapping.w_avg"] for n in (self._base, self._mapping))
        # The size of the w is summed over seeds and w_dim.
        seeds = self._w.count / self._base.w_dim
        spread = math.sqrt(self._w.size / max(1, seeds))
        moved = float(torch.linalg.vector_norm(other - base))
        return MappingDrift(self._w.relative, moved / spread if spread else math.inf)


def bands_of(picture: Tensor) -> list[tuple[int, Tensor]]:
    """A picture [N, C, r, r] as bands, coarse to fine; each has as many pixels as its resolution.

    They add up to the picture, each enlarged by repeating its pixels, and are orthogonal:

    >>> bands = bands_of(torch.arange(64.0).reshape(1, 1, 8, 8))
    >>> [(resolution, float(band.square().mean())) for resolution, band in bands]
    [(4, 1317.25), (8, 16.25)]
    >>> float(torch.arange(64.0).square().mean())
    1333.5
    """
    bands = []
    while (resolution := picture.shape[-1]) > SMALLEST_BAND and resolution % 2 == 0:
        coarser = avg_pool2d(picture, 2)
        bands.append((resolution, picture - interpolate(coarser, scale_factor=2, mode="nearest")))
        picture = coarser
    return [(picture.shape[-1], picture), *reversed(bands)]


def _band(resolution: int, ratio: Ratio) -> BandDrift:
    return BandDrift(resolution, ratio.difference, ratio.relative)


def _distance(base: Network, other: Network, layer: Layer) -> float:
    ratio = Ratio()
    for name in layer.tensors:
        ratio.add(base.tensors[name], other.tensors[name])
    return ratio.relative
