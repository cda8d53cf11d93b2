"""Noise images that are found beside w, and what keeps them from painting the photo themselves."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from animix.networks import stylegan2
from animix.networks.network import Network

SMALLEST = 8
"""Pixels a side of the smallest noise that is looked at."""


def const_noise(network: Network, count: int) -> dict[str, Tensor]:
    """A network's own noise images for so many pictures: [N, 1, h, w] by layer."""
    images = stylegan2.const_noise(network.facts, network.tensors)
    return {name: image.expand(count, 1, -1, -1).clone() for name, image in images.items()}


def correlation(noise: Mapping[str, Tensor]) -> Tensor:
    """How much noise pixels depend on their neighbours at any scale: [N].

    Karras et al. 2020, appendix D: the squared mean of each pixel times its right and its lower
    neighbour, summed over a pyramid down to 8 px in which 2×2 pixels become one of the same
    variance.
    """
    first = next(iter(noise.values()))
    total = torch.zeros(len(first), device=first.device)
    for image in noise.values():
        while True:
            for axis in (2, 3):
                total = total + (image * image.roll(1, dims=axis)).mean(dim=(1, 2, 3)).square()
            if image.shape[2] <= SMALLEST:
                break
            image = avg_pool2d(image, 2) * 2  # the mean of four has half their deviation
    return total


@torch.no_grad()
def normalise(noise: Mapping[str, Tensor]) -> None:
    """Bring each image back to mean 0 and variance 1, in place."""
    for image in noise.values():
        image -= image.mean(dim=(1, 2, 3), keepdim=True)
        image *= image.square().mean(dim=(1, 2, 3), keepdim=True).clamp(min=1e-12).rsqrt()
