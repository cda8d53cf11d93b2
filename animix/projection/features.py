"""Features: what a network that judges pictures sees, and how far two pictures are apart."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from animix.networks.discriminator import Discriminator

Maps = list[Tensor]
"""Features of a batch, of one layer each: [N, C, h, w]."""


@dataclass(frozen=True, eq=False)
class Features:
    """A network's features, by which pictures are compared."""

    name: str
    """Whose they are: ``discriminator``, ``EfficientNet-Lite0``, ``VGG16``, ``LPIPS (VGG16)``."""
    extract: Callable[[Tensor], Maps]
    """From pictures [N, 3, H, W], nominally in [-1, 1]."""
    weights: tuple[Tensor, ...] | None = None
    """How much each channel counts, [C] for each map; None: all alike."""

    def __call__(self, images: Tensor) -> Maps:
        """The features of pictures, each place's of length 1 (Zhang et al. 2018, section 3)."""
        return [unit(each) for each in self.extract(images)]

    def distance(self, some: Sequence[Tensor], others: Sequence[Tensor]) -> Tensor:
        """How far the features of pictures are apart: [N], a mean over layers, 0 … 4.

        Zhang et al. 2018, "The Unreasonable Effectiveness of Deep Features as a Perceptual
        Metric", eq. 1.
        """
        total = torch.zeros(len(some[0]), device=some[0].device)
        for index, (one, other) in enumerate(zip(some, others, strict=True)):
            squares = (one - other).square()
            if self.weights is not None:
                squares = squares * self.weights[index][:, None, None]
            total = total + squares.sum(dim=1).mean(dim=(1, 2))
        return total / len(some)


def unit(features: Tensor) -> Tensor:
    """Features [N, C, h, w] with each place's vector of length 1."""
    return features * (features.square().sum(dim=1, keepdim=True) + 1e-8).rsqrt()


def discriminator_features(discriminator: Discriminator) -> Features:
    """What the generator's own discriminator has learnt to look at: it knows the domain."""
    return Features("discriminator", discriminator.features)
