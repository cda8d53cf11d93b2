"""Losses: what generator and discriminator are moved by, and the two regularisers."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import softplus


def generator_loss(fake: Tensor) -> Tensor:
    """−log sigmoid of the fakes' logits [N]: the non-saturating loss (Goodfellow et al. 2014)."""
    return softplus(-fake).mean()


def discriminator_loss(fake: Tensor, real: Tensor) -> Tensor:
    """The cross-entropy of telling fakes' logits [N] from real pictures' [N]."""
    return softplus(fake).mean() + softplus(-real).mean()


def gradient_penalty(judge: Callable[[Tensor], Tensor], images: Tensor) -> Tensor:
    """R1: the mean squared length of the logits' gradient at real pictures [N, 3, H, W].

    Mescheder et al. 2018, "Which Training Methods for GANs do actually Converge?", eq. 9, without
    its γ/2.
    """
    images = images.detach().requires_grad_(True)
    (gradient,) = torch.autograd.grad(judge(images).sum(), images, create_graph=True)
    return gradient.square().sum(dim=(1, 2, 3)).mean()


def path_lengths(images: Tensor, ws: Tensor, directions: Tensor) -> Tensor:
    """How far a picture moves as its w does: ‖Jᵀy‖ [N], y normal in the space of pictures.

    Karras et al. 2020, section 3.2. ``images`` [N, 3, H, W] were made from ``ws`` [N, num_ws,
    w_dim], ``directions`` are normal, of the pictures' shape; y has the variance 1/(H·W), and the
    length is the mean over ws, squared.
    """
    height, width = images.shape[2:]
    moved = (images * directions).sum() / (height * width) ** 0.5
    (gradient,) = torch.autograd.grad(moved, ws, create_graph=True)
    return gradient.square().sum(dim=2).mean(dim=1).sqrt()


def path_penalty(lengths: Tensor, mean_length: Tensor) -> Tensor:
    """The mean squared distance of lengths [N] from what they are on the average so far."""
    return (lengths - mean_length).square().mean()
