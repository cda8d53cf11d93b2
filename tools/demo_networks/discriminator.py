"""A discriminator that learns: animix's, of a size and before it has learnt anything."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from animix.networks import discriminator
from tools.demo_networks.sizes import Size


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
    """The logits [N] of pictures [N, 3, H, W]: above 0 for what looks real."""
    return discriminator.judge(tensors, size.resolutions, images, dtype)
