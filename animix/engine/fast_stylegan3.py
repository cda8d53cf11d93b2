"""StyleGAN3's synthesis as the fast path runs it: a batch of frames, each with a mix of its own.

As for StyleGAN2, weights are never modulated: activations carry the next layer's style, and what a
convolution puts out is demodulated.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn.functional import conv2d, linear, pad

from animix.engine.operations import Operations
from animix.engine.stylegan3_stack import Stylegan3Stack
from animix.networks.extent import SQUARE, Extent
from animix.networks.step import step
from animix.networks.stylegan3 import waves

GROUP_NUMBERS = 1 << 26
"""Numbers of a layer's input in the frames that run together: more fill no device better."""

CELL_FRAMES = 32
"""Square ones. A smaller cell is small for the sake of memory, and so are its groups."""

Weights = Mapping[str, Tensor]
"""By layer, [1 or B, *weight_shape]."""


@dataclass(frozen=True)
class Styles:
    """What w and mix make of B frames; C is the width of the widest layer, narrower ones padded."""

    turn: Tensor  # [1, B, 4], what the input layer's waves are turned and shifted by
    style: Tensor  # [layers, B, C], of each layer's input, its magnitude brought to 1
    gain: Tensor  # [layers − 1, B, C]
    bias: Tensor  # [layers − 1, B, C]
    colour_weight: Tensor  # [1, B, 3, C], modulated
    colour_bias: Tensor  # [1, B, 3]

    def of_frames(self, frames: slice) -> Styles:
        """Those of some of the frames."""
        return Styles(**{name: value[:, frames] for name, value in vars(self).items()})


def paint(
    stack: Stylegan3Stack,
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
    if weights is None:
        with step("mixed weights"):
            weights = shared_weights(stack, mix, operations)
    with step("styles"):
        styles = prepare(stack, ws, mix)
    return synthesize(stack, styles, weights, operations, extent=extent, streams=streams)


def shared_weights(stack: Stylegan3Stack, mix: Tensor, operations: Operations) -> Weights:
    """The weights of each mix in [B, L, K]; those of a single one serve any number of frames."""
    shares = mix / _largest(mix)
    shares[:, 0] = mix[:, 0]  # nothing makes it good in the input layer
    flat = operations.mix_kernels(stack.kernels, shares, stack.row_of_block)
    return {conv.name: stack.weight(conv, flat) for conv in stack.convolutions}


def prepare(stack: Stylegan3Stack, ws: Tensor, mix: Tensor) -> Styles:
    """The styles of ws [B, num_ws, w_dim] under a mix [B, L, K].

    The demodulation is ``networks.stylegan3.demodulation``'s, of the mixed weight: its sum of
    squares is a sum over pairs of networks.
    """
    w = ws[:, 1:].transpose(0, 1)  # [layers, B, w_dim]
    shares = mix[:, 1:].transpose(0, 1).contiguous()  # [layers, B, K]
    of_networks = torch.bmm(w, stack.affine.flatten(2))
    of_networks = of_networks.view(*of_networks.shape[:2], stack.num_slots, -1)
    style = ((of_networks + stack.affine_bias[:, None]) * shares[..., None]).sum(2)
    input_gain = torch.exp(-0.5 * torch.einsum("nbk,nk->nb", shares, stack.log_magnitude))

    squares = style[:-1].square()
    pairs = torch.stack([shares[:-1, :, i] * shares[:-1, :, j] for i, j in stack.pairs], dim=2)
    terms = (pairs[..., None] * squares[:, :, None]).flatten(2)
    power, weight_power = style.new_zeros(2, *squares.shape)
    for n, energies in enumerate(stack.energies):
        outputs = energies.shape[2]
        power[n, :, :outputs] = terms[n] @ energies.flatten(0, 1)
        weight_power[n, :, :outputs] = pairs[n] @ energies.sum(1)
    # The epsilon is for weights and styles with a mean square of 1.
    epsilon = 1e-8 * weight_power / stack.fan_in[:, None, None]
    power = power + epsilon * (squares.sum(2) / stack.in_channels[:, None])[..., None]
    # Kernels get styles and shares of at most 1: float16 neither overflows nor fades away. What
    # they are divided by comes back with the demodulation, and so does the leaky ReLU's gain.
    largest = style.abs().amax(2, keepdim=True).clamp_min(1e-30)
    gain = 2**0.5 * largest[:-1] * _largest(shares[:-1]) * power.clamp_min(1e-30).rsqrt()

    carried = style / largest
    carried[-1] = 1  # colours are weighed in float32
    colour_weight = torch.einsum("bk,kdc->bdc", shares[-1], stack.colour_weight)
    of_input = torch.einsum("bw,kwt->bkt", ws[:, 0], stack.input_affine) + stack.input_affine_bias
    return Styles(
        turn=torch.einsum("bk,bkt->bt", mix[:, 0], of_input)[None],
        style=carried * input_gain[..., None],
        gain=gain,
        bias=2**0.5 * torch.einsum("nbk,nkc->nbc", shares[:-1], stack.bias),
        colour_weight=(colour_weight * style[-1][:, None]).contiguous()[None],
        colour_bias=torch.einsum("bk,kd->bd", shares[-1], stack.colour_bias)[None],
    )


def synthesize(
    stack: Stylegan3Stack,
    styles: Styles,
    weights: Weights,
    operations: Operations,
    *,
    extent: Extent = SQUARE,
    streams: Sequence[torch.cuda.Stream] = (),
) -> Tensor:
    """The pictures [B, 3, H, W] of B frames' styles, nominally in [-1, 1].

    Layers with small pictures run all frames at once, the larger the fewer; where each frame has
    weights of its own and they are more than a product, it runs alone. The first such parts are
    dealt out to ``streams``.
    """
    mixing = stack.convolutions[0]
    with step(mixing.name):
        features = waves(stack.waves, stack.plan.input, styles.turn[0], extent).to(stack.dtype)
        x = convolved(pad(features, (0, mixing.filling)), weights[mixing.name])
        x = (x * styles.style[0, :, None, None, : x.shape[3]]).to(stack.dtype)
    image = torch.empty(len(x), 3, *extent.sides(stack.img_resolution), device=x.device)
    most = group_numbers(len(x), extent)
    _run(stack, Batch(styles, weights, image, x, extent, most), 0, operations, streams)
    return image


@dataclass(frozen=True)
class Batch:
    """Frames on their way through the layers."""

    styles: Styles
    weights: Weights
    image: Tensor
    """[B, 3, H, W], where the pictures go."""
    x: Tensor
    """[B, h, w, I]: the next convolution's input."""
    extent: Extent
    most_numbers: int
    """Of ``x`` in the frames that run together."""

    def of_frames(self, frames: slice) -> Batch:
        """Some of the frames."""
        return replace(
            self,
            styles=self.styles.of_frames(frames),
            weights={
                name: weight if len(weight) == 1 else weight[frames]
                for name, weight in self.weights.items()
            },
            image=self.image[frames],
            x=self.x[frames],
        )


def _run(
    stack: Stylegan3Stack,
    batch: Batch,
    first: int,
    operations: Operations,
    streams: Sequence[torch.cuda.Stream],
) -> None:
    """Paint a batch's pictures from what goes into a layer's convolution."""
    styles, weights, x, clamp = batch.styles, batch.weights, batch.x, stack.facts.conv_clamp
    for n in range(first, len(stack.resamplings)):
        conv = stack.convolutions[n + 1]
        alone = conv.kernel > 1 and len(weights[conv.name]) > 1
        group = 1 if alone else group_of(len(x), x[0].numel(), batch.most_numbers)
        if group < len(x):
            _run_apart(stack, replace(batch, x=x), n, group, operations, streams)
            return
        with step(conv.name):
            y = convolved(x, weights[conv.name])
            gain, bias, next_style = styles.gain[n], styles.bias[n], styles.style[n + 1]
            x = operations.filtered(
                y, stack.resamplings[n], gain, bias, next_style, clamp, batch.extent
            )
    with step(stack.facts.layers[-1].name):
        scale = stack.plan.output_scale
        weight, bias = styles.colour_weight[0], styles.colour_bias[0]
        operations.colours(x, weight, bias, clamp, scale, batch.image)


def _run_apart(
    stack: Stylegan3Stack,
    batch: Batch,
    first: int,
    group: int,
    operations: Operations,
    streams: Sequence[torch.cuda.Stream],
) -> None:
    """As ``_run`` does, for so many frames at a time."""
    for stream in streams:
        stream.wait_stream(torch.cuda.current_stream(batch.x.device))
    for number, start in enumerate(range(0, len(batch.x), group)):
        part = batch.of_frames(slice(start, start + group))
        with torch.cuda.stream(streams[number % len(streams)]) if streams else nullcontext():
            _run(stack, part, first, operations, ())
    for stream in streams:
        torch.cuda.current_stream(batch.x.device).wait_stream(stream)


def group_numbers(batch_size: int, extent: Extent) -> int:
    """Numbers that groups of a cell's frames have at most."""
    return int(GROUP_NUMBERS * min(batch_size * extent.area / CELL_FRAMES, 1))


def group_of(num_frames: int, numbers: int, most: int) -> int:
    """Frames with so many numbers each that run together through a layer and all that follow."""
    group = num_frames
    while group > 1 and group * numbers > most:
        group = -(-group // 2)
    return group


def convolved(x: Tensor, weight: Tensor) -> Tensor:
    """The convolution of x [B, h, w, I] with weights [1 or B, O, k, k, I]: [B, h+k−1, w+k−1, O].

    Frames with weights of their own go one by one, but for 1×1 kernels.
    """
    kernel = weight.shape[2]
    if kernel == 1:
        matrix = weight[:, :, 0, 0]
        if len(matrix) == 1:
            return linear(x, matrix[0])
        return torch.bmm(x.flatten(1, 2), matrix.transpose(1, 2)).view(*x.shape[:3], -1)
    assert len(weight) == 1, "a frame with a weight of its own runs alone"
    y = conv2d(x.permute(0, 3, 1, 2), weight[0].permute(0, 3, 1, 2), padding=kernel - 1)
    return y.permute(0, 2, 3, 1).contiguous()


def _largest(shares: Tensor) -> Tensor:
    return shares.abs().amax(2, keepdim=True)
