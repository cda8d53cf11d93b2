"""StyleGAN2's synthesis of one frame in plain torch, with weights mixed for it alone.

Modulation and demodulation (Karras et al. 2020, eq. 1 and 3) scale a layer's weight or what goes
through it, whichever is smaller: at high resolutions that is the weight, and passes over
activations are what a processor spends its time on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from torch.nn.functional import conv2d, conv_transpose2d, leaky_relu

from animix.engine.stack import Convolution, Stack
from animix.engine.styles import Styles
from animix.networks.step import step
from animix.networks.stylegan2 import MEMORY_FORMAT, blurred, upsampled


class MixedWeights:
    """The mixed weights of a stack; one whose shares stand still is mixed once.

    Threads may share it: what one finds is what it would have made itself.
    """

    def __init__(self, stack: Stack, dtype: torch.dtype) -> None:
        self._stack, self._dtype = stack, dtype
        self._last: dict[str, tuple[tuple[object, ...], Tensor]] = {}

    def of(self, conv: Convolution, shares: Sequence[float], contents: Sequence[object]) -> Tensor:
        """A convolution's weight by the shares of slots with these contents: [*weight_shape].

        It is float32 where it is still to be modulated.
        """
        made_of = (*shares, *contents)
        name, last = conv.name, self._last.get(conv.name)
        if last is not None and last[0] == made_of:
            return last[1]
        parts = self._stack.weight(conv, self._stack.kernels)
        # Shares are scaled to a largest of 1: two networks take one pass.
        active = [(share, parts[slot]) for slot, share in enumerate(shares) if share]
        (share, weight), *others = sorted(active, key=lambda pair: -pair[0])
        if share != 1:
            weight = weight * share
        for share, part in others:
            weight = torch.add(weight, part, alpha=share)
        if not weight_is_smaller(conv):
            weight = weight.to(self._dtype)
        self._last[name] = made_of, weight
        return weight


def weight_is_smaller(conv: Convolution) -> bool:
    """Whether a convolution's weight is modulated, and not its input."""
    side = conv.resolution // 2 if conv.kind == "up" else conv.resolution
    return conv.kind != "skip" and conv.num_weights < conv.in_channels * side**2


def synthesize_frame(
    stack: Stack,
    styles: Styles,
    weights: Mapping[str, Tensor],
    noise: Mapping[str, Tensor],
    blur: Tensor,
    dtype: torch.dtype,
) -> Tensor:
    """The picture [1, 3, H, W] float32 of one frame's styles, nominally in [-1, 1].

    ``weights`` are those of ``MixedWeights`` by convolution, ``noise`` has images [1, R, R] for
    layers that get noise; ``blur`` is the network's filter [T, T], and convolutions run in
    ``dtype``.
    """
    facts = stack.facts
    skips = {conv.layer: conv for conv in stack.skips}
    rgbs = {rgb.layer: m for m, rgb in enumerate(stack.to_rgbs)}
    # Leaky ReLU is positively homogeneous: its gain √2 goes ahead of it and costs no pass.
    gains = [0.5**0.5 if c.layer - 1 in skips else 1.0 for c in stack.convolutions]
    gain = torch.tensor(gains, device=blur.device)[:, None, None] * 2**0.5
    demodulation = styles.demodulation * gain
    biases = (styles.bias * gain).to(dtype)
    strengths = (styles.noise_strength * gain[..., 0]).to(dtype)
    lowered = styles.style.to(dtype), demodulation.to(dtype)
    blur_there = blur.to(dtype)

    x = styles.const[0].to(dtype).contiguous(memory_format=MEMORY_FORMAT)
    picture: Tensor | None = None
    residual: Tensor | None = None
    for n, conv in enumerate(stack.convolutions):
        with step(conv.name):
            if conv.layer in skips:
                small = conv2d(x, _as_kernel(weights[skips[conv.layer].name]))
                residual = upsampled(small, blur_there)
            modulation = (styles.style, demodulation) if weight_is_smaller(conv) else lowered
            x = _styled_convolution(
                conv,
                x,
                weights[conv.name],
                modulation[0][n, 0, : conv.in_channels],
                modulation[1][n, 0, : conv.out_channels],
                biases[n, 0, : conv.out_channels],
                blur_there,
            )
            if conv.name in noise:
                x.add_(noise[conv.name] * strengths[n])
            x = leaky_relu(x, 0.2, inplace=True)
            if facts.conv_clamp is not None:
                x.clamp_(-facts.conv_clamp * gains[n], facts.conv_clamp * gains[n])
            if conv.kind == "up":
                continue
            if residual is not None:
                x, residual = x.add_(residual), None
            if conv.layer in rgbs:
                coloured = _coloured(x, styles, rgbs[conv.layer])
                if facts.conv_clamp is not None:
                    coloured.clamp_(-facts.conv_clamp, facts.conv_clamp)
                picture = coloured if picture is None else upsampled(picture, blur).add_(coloured)
    assert picture is not None
    return picture


def _styled_convolution(
    conv: Convolution,
    x: Tensor,
    weight: Tensor,
    style: Tensor,
    demodulation: Tensor,
    bias: Tensor,
    blur: Tensor,
) -> Tensor:
    """A convolution with style [I] and demodulation [O], its blur, and bias."""
    up = conv.kind == "up"
    if weight_is_smaller(conv):
        if up:
            kernel = _as_kernel((weight * style[:, None, None, None] * demodulation).to(x.dtype))
            return blurred(conv_transpose2d(x, kernel, stride=2), blur, bias)
        kernel = _as_kernel((weight * style * demodulation[:, None, None, None]).to(x.dtype))
        return conv2d(x, kernel, bias, padding=1)
    x, kernel = x * style[:, None, None], _as_kernel(weight)
    x = blurred(conv_transpose2d(x, kernel, stride=2), blur) if up else conv2d(x, kernel, padding=1)
    return torch.addcmul(bias[:, None, None], x, demodulation[:, None, None])


def _as_kernel(weight: Tensor) -> Tensor:
    """A weight as it lies in memory, channels last, in the order that torch takes."""
    return weight.permute(0, 3, 1, 2)


def _coloured(x: Tensor, styles: Styles, m: int) -> Tensor:
    """What the m-th torgb makes of x [1, C, R, R]: [1, 3, R, R] float32."""
    _, channels, height, width = x.shape
    # In 16 bits this takes half the time, but colours would have steps of half an 8-bit level.
    pixels = x.permute(0, 2, 3, 1).reshape(-1, channels).float()
    weight = styles.rgb_weight[m, 0, :, :channels]
    colours = torch.addmm(styles.rgb_bias[m, 0][:, None], weight, pixels.T)
    return colours.view(1, 3, height, width)
