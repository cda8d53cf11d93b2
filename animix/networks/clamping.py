"""Clamping of activations, which networks made for float16 ask for."""

from __future__ import annotations

from torch import Tensor


def clamped(x: Tensor, limit: float) -> Tensor:
    """The x in [-limit, limit]; it is written over, unless a gradient will need it.

    >>> import torch
    >>> clamped(torch.tensor([-3.0, 0.5]), 1)
    tensor([-1.0000,  0.5000])
    """
    return x.clamp(-limit, limit) if x.requires_grad else x.clamp_(-limit, limit)
