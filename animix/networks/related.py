"""Tells whether two networks have a common ancestor: only then does mixing them make sense."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from animix.networks.blend import check_blendable
from animix.networks.facts import Layer
from animix.networks.network import Network

RELATED = 0.3
"""Networks from different starts correlate by about 0, fine-tunes with their parent by over 0.9."""


def correlation(base: Network, other: Network) -> npt.NDArray[np.float64]:
    """How far the two networks' weights are alike in each layer: [L], from −1 to 1.

    Pearson's correlation of the layer's kernel (of the constant in the first layer). BlendError
    for networks whose layers have other shapes.
    """
    check_blendable(base, other)
    return np.array(
        [
            # On the CPU, for not every device has float64.
            _pearson(_weight(base, layer).cpu().double(), _weight(other, layer).cpu().double())
            for layer in base.layers
        ]
    )


def is_related(base: Network, other: Network) -> bool:
    """Whether half of the layers and more show that the networks have a common ancestor."""
    return bool(np.median(correlation(base, other)) > RELATED)


def _weight(network: Network, layer: Layer) -> Tensor:
    name = f"synthesis.{layer.name}"
    return network.tensors[name if name in network.tensors else f"{name}.weight"]


def _pearson(a: Tensor, b: Tensor) -> float:
    a, b = a - a.mean(), b - b.mean()
    norm = torch.linalg.vector_norm(a) * torch.linalg.vector_norm(b)
    # A constant weight is like nothing, and 0 / 0 would say so less clearly.
    return float((a * b).sum() / norm) if norm > 0 else 0.0
