"""The Fréchet distance between two sets of pictures, each seen as a Gaussian of features."""

from __future__ import annotations

import torch
from torch import Tensor


def frechet_distance(first: Tensor, second: Tensor) -> float:
    """The distance of two sets of features, [N, F] and [M, F].

    ‖μ₁ − μ₂‖² + tr(C₁ + C₂ − 2·(C₁C₂)^½) (Heusel et al. 2017, eq. 6). It grows as the sets become
    smaller: compare distances of sets of one size only.
    """
    (mean_1, spread_1), (mean_2, spread_2) = _gaussian(first), _gaussian(second)
    return gaussian_distance(mean_1, spread_1, mean_2, spread_2)


def gaussian_distance(mean_1: Tensor, spread_1: Tensor, mean_2: Tensor, spread_2: Tensor) -> float:
    """The distance of two Gaussians, of means [F] and covariances [F, F].

    >>> one, two = torch.zeros(1), torch.eye(1)
    >>> gaussian_distance(one, two, one + 3, 4 * two)  # (0 − 3)² + (1 − 2)²
    10.0
    """
    mean_1, spread_1 = mean_1.double(), spread_1.double()
    mean_2, spread_2 = mean_2.double(), spread_2.double()
    # The trace of (C₁C₂)^½ is that of the symmetric (C₁^½ C₂ C₁^½)^½: its eigenvalues are real.
    values, vectors = torch.linalg.eigh(spread_1)
    root = vectors * values.clamp(min=0).sqrt() @ vectors.T
    common = torch.linalg.eigvalsh(root @ spread_2 @ root).clamp(min=0).sqrt().sum()
    apart = (mean_1 - mean_2).square().sum()
    return float(apart + spread_1.trace() + spread_2.trace() - 2 * common)


def _gaussian(features: Tensor) -> tuple[Tensor, Tensor]:
    features = features.double()
    return features.mean(dim=0), torch.cov(features.T)
