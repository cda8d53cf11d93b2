"""The continuation of StyleGAN2's activations and noise images beyond the square picture."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import pad

from animix.networks.extent import SQUARE, Extent

CONTINUED_RESOLUTION = 8
"""Up to here the square picture is painted, whatever the extent; then its activations go on.

Networks tell places by their distance from the border: so they have seen it while they laid out
the picture. What was tried instead is in docs/performance.md.
"""


def sides(extent: Extent, resolution: int) -> tuple[int, int]:
    """Height and width of the layers at a resolution."""
    return extent.sides(resolution) if resolution > CONTINUED_RESOLUTION else (resolution,) * 2


def repeated(x: Tensor, extent: Extent) -> Tensor:
    """Activations or a picture [N, C, r, r] continued by their outermost pixels: [N, C, h, w]."""
    return x if extent == SQUARE else pad(x, extent.added(x.shape[-1]), mode="replicate")


def reflected(image: Tensor, extent: Extent) -> Tensor:
    """A layer's noise image [..., r, r] continued by reflection to the layer's size: [..., h, w].

    It is reflected about its outermost pixels: two equal rows of grain would show.
    """
    resolution = image.shape[-1]
    if extent == SQUARE or resolution <= CONTINUED_RESOLUTION:
        return image
    left, right, top, bottom = extent.added(resolution)
    rows = _reflection(resolution, top, bottom, image.device)
    columns = _reflection(resolution, left, right, image.device)
    return image[..., rows, :][..., columns]


def _reflection(length: int, before: int, after: int, device: torch.device) -> Tensor:
    """Which pixels of an axis stand where: back and forth as often as it takes."""
    place = torch.arange(-before, length + after, device=device) % (2 * length - 2)
    return torch.minimum(place, 2 * length - 2 - place)
