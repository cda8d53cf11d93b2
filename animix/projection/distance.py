"""The distance of pictures from their photos: features, pixels and, without features, edges."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor
from torch.nn.functional import avg_pool2d

from animix.projection.features import Features, Maps

SMALLEST = 16
"""Pixels a side of the smallest picture of a pyramid."""


@dataclass(frozen=True)
class Weights:
    """How much each part of a distance counts."""

    features: float = 1.0
    pixels: float = 20.0
    edges: float = 1.0
    """Where there are no features."""


class Distance:
    """How far pictures are from their photos, which are looked at once."""

    def __init__(self, targets: Tensor, features: Features | None, weights: Weights) -> None:
        """``targets`` [N, 3, H, W] in [-1, 1]; without ``features`` edges take their place."""
        self.features, self.weights = features, weights
        self._maps: Maps = []
        if features is not None:
            self._maps = [each.detach() for each in features(targets)]
        self._pyramid = pyramid(targets)

    def __call__(self, images: Tensor) -> Tensor:
        """The distance of pictures [N, 3, H, W] from the photos: [N]."""
        weights, scales = self.weights, pyramid(images)
        total = weights.pixels * pixel_distance(scales, self._pyramid)
        if self.features is None:
            return total + weights.edges * edge_distance(scales, self._pyramid)
        apart = self.features.distance(self.features(images), self._maps)
        return total + weights.features * apart


def pyramid(images: Tensor) -> Maps:
    """Pictures [N, 3, H, W] and halves of them, down to 16 px."""
    scales = [images]
    while min(scales[-1].shape[2:]) >= 2 * SMALLEST:
        scales.append(avg_pool2d(scales[-1], 2))
    return scales


def pixel_distance(some: Maps, others: Maps) -> Tensor:
    """The mean square of what pixels differ by, averaged over scales: [N]."""
    pairs = zip(some, others, strict=True)
    apart = [(one - other).square().mean(dim=(1, 2, 3)) for one, other in pairs]
    return sum(apart[1:], apart[0]) / len(apart)


def edge_distance(some: Maps, others: Maps) -> Tensor:
    """How far the steps from pixel to pixel differ, averaged over scales: [N].

    Blurring an edge costs little in squares of pixels; here it costs all of it.
    """
    total = some[0].new_zeros(len(some[0]))
    for one, other in zip(some, others, strict=True):
        for axis in (2, 3):
            total = total + (one.diff(dim=axis) - other.diff(dim=axis)).abs().mean(dim=(1, 2, 3))
    return total / (2 * len(some))
