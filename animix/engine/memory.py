"""How much of a device's memory a plan takes, worked out before anything is painted."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from animix.engine.fast_stylegan2 import GROUP, GROUPED_RESOLUTION, NUM_STREAMS
from animix.engine.stack import Convolution, Stack
from animix.networks.extent import SQUARE, Extent
from animix.networks.network import Network

CONTEXT_BYTES = 700_000_000
"""What CUDA, its libraries and compiled kernels take beside all tensors; 0.5 to 0.6 GB seen."""

WORKSPACE_BYTES = 300_000_000
"""What convolutions take to work in, for each of the two graphs at most."""

UNUSED = 1.1
"""Memory that is taken over that which is used: the allocator's pieces are never all full."""


def bytes_needed(
    home: Network,
    num_slots: int,
    batch_size: int,
    dtype: torch.dtype,
    canvas_size: tuple[int, int],
    stop_resolution: int | None = None,
    extent: Extent = SQUARE,
) -> int:
    """What the fast path takes of a device for cells of ``batch_size``, all in all, at most.

    Weights are counted exactly, activations as they are alive at the worst moment.
    """
    # On this device tensors have shapes, but no memory.
    if home.facts.kind == "stylegan3":
        networks = (1 + num_slots) * sum(map(_size, home.tensors.values()))
        pixels = home.img_resolution**2 + 3 * canvas_size[0] * canvas_size[1]
        return networks + batch_size * 3 * 4 * pixels + 2_000_000_000 + CONTEXT_BYTES
    stack = Stack(home.to("meta"), num_slots, torch.device("meta"), dtype, stop_resolution)
    kept = sum(map(_size, home.tensors.values())) + sum(map(_size, stack.tensors()))
    noise = 4 * batch_size * sum(conv.resolution**2 for conv in stack.convolutions) * dtype.itemsize
    width, height = canvas_size
    pictures = batch_size * 3 * 4 * (stack.img_resolution**2 * extent.area + 3 * width * height)
    painting = _painting(stack, batch_size, extent, mixed=True) + _painting(
        stack, batch_size, extent
    )
    tensors = kept + noise * extent.area + pictures + painting + 2 * WORKSPACE_BYTES
    return int(UNUSED * tensors) + CONTEXT_BYTES


def _painting(stack: Stack, batch_size: int, extent: Extent, *, mixed: bool = False) -> float:
    """What is alive while a cell is painted, its frames with weights of their own or the same."""
    copies = batch_size if mixed else 2
    weights = copies * stack.kernels.shape[1] * stack.dtype.itemsize
    alone = [conv for conv in stack.convolutions if _runs_apart(conv, mixed=mixed)]
    together = [conv for conv in stack.convolutions if conv not in alone]
    group = NUM_STREAMS * (1 if mixed else GROUP)
    return weights + extent.area * (
        batch_size * max((_alive(stack, conv) for conv in together), default=0)
        + min(group, batch_size) * max((_alive(stack, conv) for conv in alone), default=0)
        + batch_size * 3 * 4 * stack.img_resolution**2
    )


def _runs_apart(conv: Convolution, *, mixed: bool) -> bool:
    return conv.first_block is not None if mixed else conv.resolution >= GROUPED_RESOLUTION


def _alive(stack: Stack, conv: Convolution) -> int:
    """Bytes of a frame at a convolution: what goes in, what comes out, and what that becomes."""
    copies = stack.num_slots if conv.first_block is None else 1
    inside = conv.in_channels * copies * (conv.resolution / (1 if conv.kind == "plain" else 2)) ** 2
    outside = conv.out_channels * (conv.resolution + 1) ** 2
    residual = outside if stack.facts.architecture == "resnet" else 0
    pictures = 2 * 3 * 4 * conv.resolution**2
    return math.ceil((inside + (1 + copies) * outside + residual) * stack.dtype.itemsize) + pictures


def _size(tensor: Tensor) -> int:
    return tensor.numel() * tensor.element_size()
