"""Augmentation: what is done to real and painted pictures alike before they are judged.

With few pictures a discriminator learns them by heart. Karras et al. 2020b, "Training Generative
Adversarial Networks with Limited Data": as long as each change is done with a probability well
below 1, the generator does not learn the change; the probability follows a sign of overfitting.
Only shifts and colours here: these drawings all look one way, so mirroring is the reader's choice
(--mirror), and turned or scaled ones were of no use at their number.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample

TARGET = 0.6
"""The share of real pictures taken for real, less that taken for painted (their section 3)."""

IMAGES_TO_CERTAIN = 500_000
"""So many pictures take the probability from 0 to 1."""

HIGHEST = 0.8
"""Above this the changes begin to show in what is painted (their section 2)."""

SHIFT = 1 / 8
"""At most this share of a side."""


def augmented(images: Tensor, probability: Tensor, rng: torch.Generator) -> Tensor:
    """Pictures [N, 3, H, W], each shifted, and each recoloured, with a probability [] on its own.

    Shifts are whole pixels, so nothing becomes softer; what comes in is a reflection.
    """
    count, _, height, width = images.shape
    numbers = torch.rand(6, count, generator=rng, device=images.device)
    do_shift, do_colour = numbers[0] < probability, numbers[1] < probability

    theta = torch.eye(2, 3, device=images.device).repeat(count, 1, 1)
    for row, side in enumerate((width, height)):
        pixels = ((2 * numbers[2 + row] - 1) * SHIFT * side).round() * do_shift
        theta[:, row, 2] = 2 * pixels / side  # a picture spans 2 of grid_sample's units
    grid = affine_grid(theta, list(images.shape), align_corners=False)
    images = grid_sample(images, grid, padding_mode="reflection", align_corners=False)

    brightness = (numbers[4] - 0.5) * 0.5 * do_colour
    saturation = torch.where(do_colour, 2 * numbers[5], torch.ones_like(numbers[5]))
    grey = images.mean(dim=1, keepdim=True)
    images = grey + (images - grey) * saturation[:, None, None, None]
    return images + brightness[:, None, None, None]


def adapted(probability: Tensor, real: Tensor) -> Tensor:
    """The next probability [], from the logits [N] of the real pictures of one step.

    >>> adapted(torch.tensor(0.5), torch.ones(500))
    tensor(0.5010)
    """
    step = len(real) / IMAGES_TO_CERTAIN
    overfits = torch.sign(real.float().sign().mean() - TARGET)
    return (probability + step * overfits).clamp(0, HIGHEST)
