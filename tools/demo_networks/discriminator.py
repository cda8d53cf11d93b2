"""A StyleGAN2 discriminator: residual, with the batch's own variety as one more channel.

Karras et al. 2020 (figure 7: residual blocks) and Karras et al. 2018, section 3 (minibatch standard
deviation), with the published names of the tensors.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn.functional import conv2d, leaky_relu, pad

from animix.networks.mapping import fully_connected
from tools.demo_networks.generator import tent
from tools.demo_networks.sizes import Size

GROUP = 4
"""So many pictures are compared with each other."""


def initial_discriminator(size: Size, rng: torch.Generator) -> dict[str, Tensor]:
    """The tensors of a discriminator before it has learnt anything, on the rng's device."""
    tensors: dict[str, Tensor] = {}

    def layer(name: str, *shape: int, bias: bool = True) -> None:
        tensors[f"{name}.weight"] = torch.randn(shape, generator=rng, device=rng.device)
        if bias:
            tensors[f"{name}.bias"] = torch.zeros(shape[0], device=rng.device)

    top = size.img_resolution
    layer(f"b{top}.fromrgb", size.channels(top), 3, 1, 1)
    for resolution in reversed(size.resolutions[1:]):
        inputs, outputs = size.channels(resolution), size.channels(resolution // 2)
        layer(f"b{resolution}.conv0", inputs, inputs, 3, 3)
        layer(f"b{resolution}.conv1", outputs, inputs, 3, 3)
        layer(f"b{resolution}.skip", outputs, inputs, 1, 1, bias=False)
    channels = size.channels(4)
    layer("b4.conv", channels, channels + 1, 3, 3)
    layer("b4.fc", channels, 16 * channels)
    layer("b4.out", 1, channels)
    return tensors


def judge(
    tensors: Mapping[str, Tensor], size: Size, images: Tensor, dtype: torch.dtype = torch.float32
) -> Tensor:
    """The logits [N] of pictures [N, 3, H, W]: above 0 for what looks real.

    Picture i is compared with pictures i + N/4, i + N/2 and i + 3N/4; convolutions compute in
    ``dtype``.
    """
    x = images.to(dtype, memory_format=torch.channels_last)
    x = activated(tensors, f"b{size.img_resolution}.fromrgb", x)
    for resolution in reversed(size.resolutions[1:]):
        block = f"b{resolution}"
        residual = halved(x, scaled(tensors, f"{block}.skip"))
        x = activated(tensors, f"{block}.conv0", x)
        x = halved(x, scaled(tensors, f"{block}.conv1"))
        x = leaky_relu(x + tensors[f"{block}.conv1.bias"].to(x.dtype)[:, None, None], 0.2)
        # Both halves at √½ keep the variance; the activation's gain √2 cancels with one of them.
        x = x + residual * 0.5**0.5
    x = x.float()
    x = activated(tensors, "b4.conv", torch.cat([x, variety(x)], dim=1)).flatten(1)
    x = leaky_relu(fully_connected(x, tensors["b4.fc.weight"], tensors["b4.fc.bias"]), 0.2)
    x = fully_connected(x * 2**0.5, tensors["b4.out.weight"], tensors["b4.out.bias"])
    return x[:, 0]


def variety(x: Tensor) -> Tensor:
    """How much a group's pictures differ, on the average, as a channel: [N, 1, h, w].

    The standard deviation over each group, its mean over channels and places. A batch that is no
    multiple of the group is one group.
    """
    group = GROUP if len(x) % GROUP == 0 else len(x)
    groups = x.reshape(group, -1, *x.shape[1:])
    # The variance's gradient at 0 must be finite: a group may be of one picture.
    deviation = (groups.var(dim=0, correction=0) + 1e-8).sqrt()
    mean = deviation.mean(dim=(1, 2, 3))
    return mean.repeat(group)[:, None, None, None].expand(-1, 1, *x.shape[2:])


def scaled(tensors: Mapping[str, Tensor], layer: str) -> Tensor:
    """A stored weight as it is used: with equalised learning rate."""
    weight = tensors[f"{layer}.weight"]
    return weight / weight[0].numel() ** 0.5


def activated(tensors: Mapping[str, Tensor], layer: str, x: Tensor) -> Tensor:
    """A convolution with bias and leaky ReLU."""
    weight = scaled(tensors, layer).to(x.dtype)
    bias = tensors[f"{layer}.bias"].to(x.dtype)
    return leaky_relu(conv2d(x, weight, bias, padding=weight.shape[2] // 2), 0.2) * 2**0.5


def halved(x: Tensor, weight: Tensor) -> Tensor:
    """The convolution of x smoothed by 1-3-3-1, half as large.

    Smoothing is folded into the kernel, which grows by 3: one pass instead of two.
    """
    taps = weight.shape[2]
    taps_4 = tent(torch.arange(4, device=weight.device)).to(weight.dtype) / 2
    smooth = torch.outer(taps_4, taps_4)[None, None]
    # Every kernel [taps, taps] convolved in full with the (symmetric) filter.
    kernel = conv2d(pad(weight.flatten(0, 1)[:, None], (3, 3, 3, 3)), smooth)
    kernel = kernel.reshape(*weight.shape[:2], taps + 3, taps + 3)
    return conv2d(x, kernel.to(x.dtype), stride=2, padding=(taps + 1) // 2)
