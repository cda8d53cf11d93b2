"""Normal fields: random pictures that are a function of counters alone, on any device.

A generator with a state draws on one core, one field after the other: 23 ms for the noise of one
frame of 1024 px. Here every pixel works out its own number.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

_ROUNDS = ((16, 0x7FEB352D), (15, 0x846CA68B - 2**32))
"""Shifts and factors of C. Wellons' "lowbias32" (Prospecting for hash functions, 2018)."""

_GOLDEN = 0x9E3779B9 - 2**32
"""2³² over the golden ratio: counters that follow each other start far apart."""


def normal_fields(
    keys: Sequence[Sequence[int]], shape: tuple[int, int], device: torch.device
) -> Tensor:
    """Standard normal fields [N, h, w] float32, one for each key, a key being numbers from 0 up.

    The same on every device but for the rounding of logarithm and cosine (Box & Muller, "A note on
    the generation of random normal deviates", 1958).

    >>> normal_fields([(1, 2)], (1, 2), torch.device("cpu"))
    tensor([[[...]]])
    """
    height, width = shape
    halves = -(-height * width // 2)
    # Four words of 32 bits for each key: two streams, each with a start and a twist of its own.
    words = np.stack([np.random.SeedSequence(list(key)).generate_state(4) for key in keys])
    state = torch.from_numpy(words.view(np.int32)).to(device)[..., None]  # [N, 4, 1]
    counter = torch.arange(halves, dtype=torch.int32, device=device) * _GOLDEN
    radius = _uniform(_hashed(counter + state[:, 0], state[:, 1])).log_().mul_(-2).sqrt_()
    angle = _uniform(_hashed(counter + state[:, 2], state[:, 3])).mul_(2 * math.pi)
    fields = torch.cat([radius * angle.cos(), radius * angle.sin()], dim=1)
    return fields[:, : height * width].view(len(keys), height, width)


def _uniform(x: Tensor) -> Tensor:
    """Numbers in (0, 1), the middles of 2²³ equal parts, from integers of 32 bits.

    The middles of 2²⁴ parts take 25 bits: float32 would round the last one to 1.
    """
    return (x >> 9).bitwise_and_(0x7FFFFF).to(torch.float32).add_(0.5).mul_(2.0**-23)


def _hashed(x: Tensor, twist: Tensor) -> Tensor:
    """Integers that look random, from integers that are used up."""
    for key in (None, twist):
        x = x if key is None else x.bitwise_xor_(key)
        for shift, factor in _ROUNDS:
            x = _folded(x, shift).mul_(factor)
        x = _folded(x, 16)
    return x


def _folded(x: Tensor, shift: int) -> Tensor:
    """The x xor its upper bits; torch shifts copies of the sign in, which are masked off."""
    return x.bitwise_xor_((x >> shift).bitwise_and_((1 << (32 - shift)) - 1))
