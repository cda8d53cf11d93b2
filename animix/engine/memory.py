"""How much of a device's memory a plan takes, worked out before anything is painted."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from animix.engine import fast_stylegan2
from animix.engine.fast_stylegan2 import GROUPED_RESOLUTION, NUM_STREAMS
from animix.engine.fast_stylegan3 import group_numbers, group_of
from animix.engine.stack import Convolution, Stack
from animix.engine.stylegan3_stack import Stylegan3Stack, filled
from animix.networks.extent import SQUARE, Extent
from animix.networks.network import Network

CONTEXT_BYTES = 700_000_000
"""What CUDA, its libraries and compiled kernels take beside all tensors; 0.5 to 0.6 GB seen."""

WORKSPACE_BYTES = 300_000_000
"""What convolutions take to work in, for each of the two graphs at most."""

PIECES = 1.5
"""Memory that StyleGAN3's activations take over those that are alive: no layer has the sizes of the
one before, so what that leaves behind seldom fits. 1.15 to 1.5 seen on an H100."""

NOISE_COPIES = 4
"""Of a cell's noise images, each frame with its own: drawn in float32, which takes as much as two,
rounded, and held by the graph."""

CANVASES = 3
"""Of a cell's frames: laid one by one, stacked, and what laying and the bytes of two cells take."""

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
    meta = torch.device("meta")  # here tensors have shapes, but no memory
    stack: Stack | Stylegan3Stack
    noise = painting = 0.0
    if home.facts.kind == "stylegan3":
        stack = Stylegan3Stack(home, num_slots, meta, dtype)
        for mixed in (True, False):
            painting += _painting_stylegan3(stack, batch_size, extent, mixed=mixed)
    else:
        stack = Stack(home.to("meta"), num_slots, meta, dtype, stop_resolution)
        pixels = sum(conv.resolution**2 for conv in stack.convolutions) * extent.area
        noise = NOISE_COPIES * batch_size * pixels * dtype.itemsize
        for mixed in (True, False):
            painting += _painting(stack, batch_size, extent, mixed=mixed)
    kept = sum(map(_size, home.tensors.values())) + sum(map(_size, stack.tensors()))
    width, height = canvas_size
    painted = stack.img_resolution**2 * extent.area
    pictures = batch_size * 3 * 4 * (painted + CANVASES * width * height)
    tensors = kept + noise + pictures + painting + 2 * WORKSPACE_BYTES
    return int(UNUSED * tensors) + CONTEXT_BYTES


def _painting(stack: Stack, batch_size: int, extent: Extent, *, mixed: bool) -> float:
    """What is alive while a cell is painted, its frames with weights of their own or the same."""
    copies = batch_size if mixed else 2
    weights = copies * stack.kernels.shape[1] * stack.dtype.itemsize
    alone = [conv for conv in stack.convolutions if _runs_apart(conv, mixed=mixed)]
    together = [conv for conv in stack.convolutions if conv not in alone]
    group = NUM_STREAMS * (1 if mixed else fast_stylegan2.group_of(batch_size))
    return weights + extent.area * (
        batch_size * max((_alive(stack, conv) for conv in together), default=0)
        + min(group, batch_size) * max((_alive(stack, conv) for conv in alone), default=0)
        + batch_size * 3 * 4 * stack.img_resolution**2
    )


def _painting_stylegan3(
    stack: Stylegan3Stack, batch_size: int, extent: Extent, *, mixed: bool
) -> float:
    """As ``_painting``, of StyleGAN3, whose groups get smaller layer by layer.

    What the whole cell took first is of no use to the streams of its parts: their peaks add up.
    """
    size = stack.dtype.itemsize
    weights = (batch_size if mixed else 2) * stack.kernels.shape[1] * size
    picture = batch_size * 3 * 4 * math.prod(extent.sides(stack.img_resolution))
    waves, *layers = stack.convolutions
    source = stack.plan.input
    inside = filled(waves.out_channels) * math.prod(source.sides(extent))
    group, most = batch_size, group_numbers(batch_size, extent)
    cell = group * inside * max(3 * 4, 2 * size)  # waves are worked out in float32
    held = group * inside * size  # what goes into the groups' first layer
    part, num_parts = 0, 0
    for conv, planned in zip(layers, stack.plan.layers, strict=False):
        smaller = 1 if mixed and conv.kernel > 1 else group_of(group, inside, most)
        if smaller < group and num_parts == 0:
            cell, held, num_parts = max(cell, held + group * inside * size), 0, NUM_STREAMS
        elif smaller < group:
            held += group * inside * size
        group = smaller
        convolved = math.prod(side + conv.kernel - 1 for side in source.sides(extent))
        between = filled(conv.out_channels) * convolved
        outside = filled(conv.out_channels) * math.prod(planned.output.sides(extent))
        alive = held + group * (max(inside, outside) + between + outside) * size
        if num_parts:
            part = max(part, alive)
        else:
            cell = max(cell, alive)
        source, inside = planned.output, outside
    return weights + picture + PIECES * (cell + num_parts * part)


def _runs_apart(conv: Convolution, *, mixed: bool) -> bool:
    return conv.first_block is not None if mixed else conv.resolution >= GROUPED_RESOLUTION


def _alive(stack: Stack, conv: Convolution) -> int:
    """Bytes of a frame at a convolution: what goes in, what comes out, and what that becomes."""
    copies = conv.parts * stack.num_slots if conv.first_block is None else 1
    inside = conv.in_channels * copies * (conv.resolution / (1 if conv.kind == "plain" else 2)) ** 2
    outside = conv.out_channels * (conv.resolution + 1) ** 2
    residual = outside if stack.facts.architecture == "resnet" else 0
    pictures = 2 * 3 * 4 * conv.resolution**2
    return math.ceil((inside + (1 + copies) * outside + residual) * stack.dtype.itemsize) + pictures


def _size(tensor: Tensor) -> int:
    return tensor.numel() * tensor.element_size()
