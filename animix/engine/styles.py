"""Styles: all that is small and follows from w and mix, for every layer of a batch of frames."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from animix.engine.stack import Stack


@dataclass(frozen=True)
class Styles:
    """What w and mix make of B frames; C is the width of the widest layer, narrower ones padded."""

    style: Tensor  # [convolutions, B, C], the largest in each row ±1
    demodulation: Tensor  # [convolutions, B, C]
    bias: Tensor  # [convolutions, B, C]
    noise_strength: Tensor  # [convolutions, B]
    shares: Tensor  # [convolutions + skips, B, K], a convolution's largest ±1
    const: Tensor  # [1, B, C, 4, 4]
    rgb_weight: Tensor  # [torgbs, B, 3, C], modulated
    rgb_bias: Tensor  # [torgbs, B, 3]

    def of_frames(self, frames: slice) -> Styles:
        """Those of some of the frames."""
        return Styles(**{name: value[:, frames] for name, value in vars(self).items()})


def prepare(stack: Stack, ws: Tensor, mix: Tensor) -> Styles:
    """The styles of ws [B, num_ws, w_dim] under a mix [B, L, K].

    The demodulation (Karras et al. 2020, eq. 3) is that of the mixed weight: its sum of squares is
    a sum over pairs of networks.
    """
    num_conv = len(stack.convolutions)
    w = ws[:, stack.w_index].transpose(0, 1)  # [layers, B, w_dim]
    of_networks = torch.bmm(w, stack.affine.flatten(2))
    of_networks = of_networks.view(*of_networks.shape[:2], stack.num_slots, -1)
    of_layers = mix[:, stack.layers].transpose(0, 1)  # [layers, B, K]
    styles = ((of_networks + stack.affine_bias[:, None]) * of_layers[..., None]).sum(2)
    style, rgb_style = styles[:num_conv], styles[num_conv:]
    shares, rgb_shares = of_layers[:num_conv], of_layers[num_conv:]

    pairs = torch.stack([shares[..., i] * shares[..., j] for i, j in stack.pairs], dim=2)
    terms = (pairs[..., None] * style.square()[:, :, None]).flatten(2)
    power = torch.bmm(terms, stack.energies.flatten(1, 2))
    # Kernels get styles and shares of at most 1: float16 neither overflows nor fades away. What
    # they are divided by comes back with the demodulation.
    largest_style = style.abs().amax(2, keepdim=True).clamp_min(1e-30)
    largest_share = _largest(shares)
    epsilon = 1e-8 / stack.fan_in[:, None, None]  # the weights are scaled by their fan-in
    rgb_weight = torch.einsum("nbk,nkdc->nbdc", rgb_shares, stack.rgb_weight)
    return Styles(
        style=style / largest_style,
        demodulation=largest_style * largest_share * (power + epsilon).rsqrt(),
        bias=torch.einsum("nbk,nkc->nbc", shares, stack.bias),
        noise_strength=torch.einsum("nbk,nk->nb", shares, stack.noise_strength),
        shares=mixing_shares(stack, mix),
        const=torch.einsum("bk,kchw->bchw", mix[:, 0], stack.const)[None],
        rgb_weight=(rgb_weight * rgb_style[:, :, None]).contiguous(),
        rgb_bias=torch.einsum("nbk,nkd->nbd", rgb_shares, stack.rgb_bias),
    )


def mixing_shares(stack: Stack, mix: Tensor) -> Tensor:
    """By what a mix [B, L, K] mixes each weight: [convolutions + skips, B, K].

    A convolution's are scaled to a largest of ±1, which its demodulation makes good.
    """
    of_layers = mix.transpose(0, 1)
    shares = of_layers[stack.layers[: len(stack.convolutions)]]
    return torch.cat([shares / _largest(shares), of_layers[stack.skip_layers]])


def _largest(shares: Tensor) -> Tensor:
    return shares.abs().amax(2, keepdim=True)
