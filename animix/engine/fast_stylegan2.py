"""StyleGAN2's synthesis as the fast path runs it: a batch of frames, each with a mix of its own.

Weights are never modulated: activations carry the next layer's style, and what a convolution puts
out is demodulated. Weights then depend on the mix alone, and frames of one mix share them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn.functional import conv2d, conv_transpose2d

from animix.engine.finish import UNCLAMPED, Finish
from animix.engine.operations import Operations
from animix.engine.stack import Convolution, Stack, parts_of
from animix.engine.styles import Styles, mixing_shares, prepare
from animix.networks.continuation import CONTINUED_RESOLUTION, repeated, sides
from animix.networks.extent import SQUARE, Extent
from animix.networks.step import step

GROUPED_RESOLUTION = 256
GROUP = 4
"""Frames. So few fill a device from here on, and a whole batch would take gigabytes."""

CELLS_GROUPS = 8
"""A small cell, which is small for the sake of memory, has so many groups at least."""

NUM_STREAMS = 2
"""Frames that run alone overlap: a second stream gives 12 to 17 %, a fourth nothing more."""


Weights = Mapping[str, Tensor]
"""By convolution, [1 or B, *weight_shape]; a concatenated one's are those of all networks."""


def paint(
    stack: Stack,
    ws: Tensor,
    mix: Tensor,
    weights: Weights | None,
    noise: Sequence[Tensor],
    operations: Operations,
    streams: Sequence[torch.cuda.Stream] = (),
    extent: Extent = SQUARE,
) -> Tensor:
    """The pictures [B, 3, H, W] of ws [B, num_ws, w_dim] under a mix [B, L, K].

    Weights are those that the frames share; None: they are mixed for each frame.
    """
    with step("styles"):
        styles = prepare(stack, ws, mix)
    if weights is None:
        with step("mixed weights"):
            weights = mixed_weights(stack, styles.shares, operations)
    return synthesize(stack, styles, weights, noise, operations, extent=extent, streams=streams)


def mixed_weights(stack: Stack, shares: Tensor, operations: Operations) -> Weights:
    """The weights of each frame; of all networks where their inputs stand side by side.

    ``shares`` [rows, B, K] are those of ``mixing_shares``.
    """
    weights = _flat_weights(stack, shares, operations)
    for conv in stack.convolutions:
        if conv.first_block is None:
            whole = stack.concatenated[conv.name]
            beside = whole.flatten(0, 1) if conv.kind == "up" else whole.flatten(3)
            weights[conv.name] = beside[None]
    return weights


def shared_weights(stack: Stack, mix: Tensor, operations: Operations) -> Weights:
    """The weights of any number of frames with the mix [1, L, K]."""
    shares = mixing_shares(stack, mix)
    weights = _flat_weights(stack, shares, operations)
    for n, conv in enumerate(stack.convolutions):
        if conv.first_block is None:
            equation = "kiyxo,k->iyxo" if conv.kind == "up" else "oyxki,k->oyxi"
            whole = stack.concatenated[conv.name].float()
            mixed = torch.einsum(equation, whole, shares[n, 0].repeat(conv.parts))
            parts = parts_of(mixed, conv.parts, stack.dtype)
            weights[conv.name] = torch.cat(parts, dim=0 if conv.kind == "up" else 3)[None]
    return weights


def _flat_weights(stack: Stack, shares: Tensor, operations: Operations) -> dict[str, Tensor]:
    by_frame = shares.transpose(0, 1).contiguous()
    flat = operations.mix_kernels(stack.kernels, by_frame, stack.row_of_block)
    convolutions = (*stack.convolutions, *stack.skips)
    return {c.name: stack.weight(c, flat) for c in convolutions if c.first_block is not None}


def synthesize(
    stack: Stack,
    styles: Styles,
    weights: Weights,
    noise: Sequence[Tensor],
    operations: Operations,
    *,
    extent: Extent = SQUARE,
    streams: Sequence[torch.cuda.Stream] = (),
) -> Tensor:
    """The pictures [B, 3, H, W] of B frames' styles, nominally in [-1, 1].

    ``noise`` has [1 or B, h, w] for each convolution. Low resolutions run all frames at once; where
    each frame has weights of its own it runs alone, and high resolutions run in groups, which are
    dealt out to ``streams``.
    """
    height, width = sides(extent, stack.img_resolution)
    last = len(stack.convolutions)
    const = styles.const[0]
    x = (const * styles.style[0, :, : const.shape[1], None, None]).permute(0, 2, 3, 1)
    copies = _input_copies(stack.convolutions[0], weights, styles.shares[0])
    if copies is not None:
        x = (x[..., None, :] * copies[:, None, None, :, None]).flatten(3)
    batch = Batch(
        styles=styles,
        weights=weights,
        noise=noise,
        image=torch.empty(len(const), 3, height, width, device=x.device),
        x=x.to(stack.dtype).contiguous(),
    )
    split, alone = _split(stack, weights)
    group = 1 if alone else group_of(len(const))
    batch = _run(stack, batch, range(split), operations, extent)
    for stream in streams:
        stream.wait_stream(torch.cuda.current_stream(x.device))
    for number, first in enumerate(range(0, len(const), group)):
        frames = slice(first, first + group)
        with torch.cuda.stream(streams[number % len(streams)]) if streams else nullcontext():
            _run(stack, batch.of_frames(frames), range(split, last), operations, extent)
    for stream in streams:
        torch.cuda.current_stream(x.device).wait_stream(stream)
    return repeated(batch.image, extent) if _ends_square(stack) else batch.image


def _ends_square(stack: Stack) -> bool:
    """Whether a picture is so small that it is continued when it is finished."""
    return stack.img_resolution <= CONTINUED_RESOLUTION


def _split(stack: Stack, weights: Weights) -> tuple[int, bool]:
    """From which convolution on frames run in groups, and whether each runs alone."""
    for n, conv in enumerate(stack.convolutions):
        if len(weights[conv.name]) > 1:
            return n, True
        if conv.resolution >= GROUPED_RESOLUTION:
            return n, False
    return len(stack.convolutions), True


def group_of(batch_size: int) -> int:
    """Frames of a cell that run together at high resolutions."""
    return max(1, min(GROUP, batch_size // CELLS_GROUPS))


@dataclass(frozen=True)
class Batch:
    """Frames on their way through the layers."""

    styles: Styles
    weights: Weights
    noise: Sequence[Tensor]
    image: Tensor
    """[B, 3, H, W], where the pictures go."""
    x: Tensor
    """[B, h, w, I]: the next convolution's input."""
    raw: Tensor | None = None
    """[B, h, w, C]: the activations without a style, for a residual block."""
    picture: Tensor | None = None
    """[B, 3, h, w]: the picture so far."""

    def of_frames(self, frames: slice) -> Batch:
        """Some of the frames."""

        def cut(values: Tensor) -> Tensor:
            return values if len(values) == 1 else values[frames]

        return Batch(
            styles=self.styles.of_frames(frames),
            weights={name: cut(weight) for name, weight in self.weights.items()},
            noise=[cut(images) for images in self.noise],
            image=cut(self.image),
            x=cut(self.x),
            raw=None if self.raw is None else cut(self.raw),
            picture=None if self.picture is None else cut(self.picture),
        )


def _run(
    stack: Stack, batch: Batch, numbers: range, operations: Operations, extent: Extent
) -> Batch:
    """The batch after some of the convolutions."""
    styles, weights, facts = batch.styles, batch.weights, stack.facts
    skips = {conv.layer: conv for conv in stack.skips}
    rgbs = {rgb.layer: m for m, rgb in enumerate(stack.to_rgbs)}
    clamp = UNCLAMPED if facts.conv_clamp is None else facts.conv_clamp
    x, raw, picture = batch.x, batch.raw, batch.picture
    residual: Tensor | None = None
    for n in numbers:
        conv = stack.convolutions[n]
        with step(conv.name):
            following = stack.convolutions[n + 1] if n + 1 < len(stack.convolutions) else None
            if conv.layer in skips:
                assert raw is not None
                residual = _skipped(skips[conv.layer], raw, weights)
            y = convolved(conv, x, weights[conv.name][0])
            gain = 0.5**0.5 if residual is not None and conv.kind == "plain" else 1.0
            finish = Finish(
                demodulation=styles.demodulation[n],
                bias=styles.bias[n],
                noise=batch.noise[n],
                noise_strength=styles.noise_strength[n],
                gain=gain * 2**0.5,
                clamp=clamp * gain,
                folded=conv.kind == "folded",
            )
            if following is not None:
                copies = _input_copies(following, weights, styles.shares[n + 1])
                finish = replace(finish, next_style=styles.style[n + 1], next_shares=copies)
            if conv.kind == "up":
                x = operations.blur_epilogue(y, finish)
                continue
            image = None
            if conv.layer in rgbs:
                m, (height, width) = rgbs[conv.layer], sides(extent, conv.resolution)
                weight, bias = styles.rgb_weight[m], styles.rgb_bias[m]
                finish = replace(finish, rgb_weight=weight, rgb_bias=bias, rgb_clamp=clamp)
                whole = following is None
                planes = len(x), 3, height, width
                image = batch.image if whole else x.new_empty(planes, dtype=torch.float32)
            if conv.kind == "plain":
                keeps_raw = facts.architecture == "resnet" and following is not None
                finish = replace(finish, keeps_raw=keeps_raw)
                out, raw = operations.epilogue(y, finish, picture, residual, image)
                residual = None
            else:
                out, _ = operations.epilogue(y, finish, None, None, None)
            x = x if out is None else out
            picture = picture if image is None else image
            if conv.resolution == CONTINUED_RESOLUTION and conv.kind == "plain" and following:
                x = _continued(x, extent)
                raw = None if raw is None else _continued(raw, extent)
                picture = None if picture is None else repeated(picture, extent)
    return replace(batch, x=x, raw=raw, picture=picture)


def _continued(x: Tensor, extent: Extent) -> Tensor:
    """Activations [B, r, r, C] beyond the square: [B, h, w, C]."""
    return repeated(x.permute(0, 3, 1, 2), extent).permute(0, 2, 3, 1).contiguous()


def _skipped(skip: Convolution, raw: Tensor, weights: Weights) -> Tensor:
    """A residual block's other path, still small: [B, h, w, O]."""
    weight = weights[skip.name]
    if len(weight) == 1:
        return convolved(skip, raw, weight[0])
    # Low resolutions run all frames at once, but a skip has weights for each at any resolution.
    each = [convolved(skip, raw[b : b + 1], weight[b]) for b in range(len(raw))]
    return torch.cat(each)


def convolved(conv: Convolution, x: Tensor, weight: Tensor) -> Tensor:
    """The convolution of x [B, h, w, I]: [B, h, w, O]; one that is up, [B, 2h+1, 2w+1, O]."""
    x, weight = x.permute(0, 3, 1, 2), weight.permute(0, 3, 1, 2)
    if conv.kind == "up":
        y = conv_transpose2d(x, weight, stride=2)
    else:
        y = conv2d(x, weight, padding=0 if conv.kind == "skip" else 1)
    return y.permute(0, 2, 3, 1).contiguous()


def _input_copies(conv: Convolution, weights: Weights, shares: Tensor) -> Tensor | None:
    """What the copies of a convolution's inputs are multiplied by: [B, copies].

    There are as many as its weight has parts; where networks go into it side by side, so many of
    each, times their shares [B, K]. None: it takes its inputs as they are.
    """
    num_copies = weights[conv.name][0].numel() // conv.num_weights
    if num_copies == 1:
        return None
    if num_copies == conv.parts:  # the networks are mixed already
        return shares.new_ones(len(shares), num_copies)
    return shares.repeat(1, conv.parts)
