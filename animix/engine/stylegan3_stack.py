"""StyleGAN3's stack: K networks side by side on the device, as the fast path mixes them."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from animix.engine.resampling import make_resampling
from animix.engine.stack import BLOCK
from animix.networks.blend import MAGNITUDE
from animix.networks.network import Network
from animix.networks.stylegan3 import layer_filters

CHANNELS_STEP = 8
"""Channels are filled up to a multiple of it: matrix units take 16 bytes of a pixel at a time."""


@dataclass(frozen=True)
class Convolution:
    """The input layer's mixing of waves, or a layer's convolution, and where its weight is."""

    name: str
    """Of the layer, as in the checkpoint: ``L0_36_512``."""
    number: int
    """Of the layer whose shares mix it; 0 is the input layer."""
    in_channels: int
    out_channels: int
    kernel: int
    first_block: int
    """Where its weight starts among the mixed ones."""
    scale: float
    """By what weights are multiplied: float16 needs numbers near 1. Demodulation makes it good."""

    @property
    def weight_shape(self) -> tuple[int, int, int, int]:
        """Of one network's weight in memory, channels last."""
        return filled(self.out_channels), self.kernel, self.kernel, filled(self.in_channels)

    @property
    def filling(self) -> int:
        """Channels of its input that are always 0."""
        return filled(self.in_channels) - self.in_channels

    @property
    def num_weights(self) -> int:
        """Numbers in its weight."""
        return filled(self.out_channels) * self.kernel**2 * filled(self.in_channels)

    @property
    def num_blocks(self) -> int:
        """Blocks that its weight takes."""
        return -(-self.num_weights // BLOCK)


class Stylegan3Stack:
    """K StyleGAN3 networks of the same shapes, each in a slot.

    Weights are kept in ``dtype``, all that is small in float32. ``put`` fills a slot; until then it
    holds a network of zeros. The waves and filters are those of ``like``.
    """

    def __init__(
        self, like: Network, num_slots: int, device: torch.device, dtype: torch.dtype
    ) -> None:
        plan = like.facts.plan
        assert plan is not None, "the layout gives every StyleGAN3 network a plan"
        self.facts, self.plan, self.img_resolution = like.facts, plan, like.img_resolution
        self.device, self.dtype, self.num_slots = device, dtype, num_slots
        self.convolutions = _placed(like)
        self.pairs = list(itertools.combinations_with_replacement(range(num_slots), 2))
        self.waves: Mapping[str, Tensor] = {
            name: like.tensors[name].to(device)
            for name in (f"synthesis.input.{part}" for part in ("freqs", "phases", "transform"))
        }
        layers = zip(like.layers[1:-1], plan.layers[:-1], strict=True)
        self.resamplings = tuple(
            make_resampling(
                planned, *layer_filters(like.tensors, layer.name, planned), dtype, device
            )
            for layer, planned in layers
        )

        def zeros(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
            return torch.zeros(shape, dtype=dtype, device=device)

        rows = [conv.number for conv in self.convolutions for _ in range(conv.num_blocks)]
        self.row_of_block = torch.tensor(rows, dtype=torch.int32, device=device)
        self.kernels = zeros(num_slots, len(rows) * BLOCK, dtype=dtype)
        # All that is small is padded with zeros to the widest layer: one product serves all layers.
        num_layers = len(plan.layers)
        channels = max(filled(conv.out_channels) for conv in self.convolutions)
        self.affine = zeros(num_layers, like.w_dim, num_slots, channels)
        self.affine_bias = zeros(num_layers, num_slots, channels)
        self.log_magnitude = zeros(num_layers, num_slots)
        self.bias = zeros(num_layers - 1, num_slots, channels)
        demodulated = self.convolutions[1:]
        self.energies = [
            zeros(len(self.pairs), channels, filled(conv.out_channels)) for conv in demodulated
        ]
        fan_ins = [conv.in_channels * conv.kernel**2 for conv in demodulated]
        self.fan_in = torch.tensor(fan_ins, dtype=torch.float32, device=device)
        in_channels = [conv.in_channels for conv in demodulated]
        self.in_channels = torch.tensor(in_channels, dtype=torch.float32, device=device)
        self.colour_weight = zeros(num_slots, 3, channels)
        self.colour_bias = zeros(num_slots, 3)
        self.input_affine = zeros(num_slots, like.w_dim, 4)
        self.input_affine_bias = zeros(num_slots, 4)

    @torch.no_grad()
    def put(self, slot: int, network: Network) -> None:
        """Fill a slot with a network's weights."""
        w_gain = network.w_dim**-0.5

        def tensor(layer: str, part: str) -> Tensor:
            name = f"synthesis.{layer}.{part}"
            return network.tensors[name].to(self.device, non_blocking=True)

        self.input_affine[slot] = tensor("input", "affine.weight").T * w_gain
        self.input_affine_bias[slot] = tensor("input", "affine.bias")
        for conv in self.convolutions:
            name = network.layers[conv.number].name
            weight = tensor(name, "weight") * conv.scale
            weight = weight.view(*weight.shape[:2], conv.kernel, conv.kernel).permute(0, 2, 3, 1)
            outputs, *_, inputs = weight.shape
            held = self.weight(conv, self.kernels[slot : slot + 1])[0]
            held[:outputs, :, :, :inputs] = weight
        for n, layer in enumerate(network.layers[1:]):
            weight = tensor(layer.name, "affine.weight")
            self.affine[n, :, slot, : len(weight)] = weight.T * w_gain
            self.affine_bias[n, slot, : len(weight)] = tensor(layer.name, "affine.bias")
            self.log_magnitude[n, slot] = tensor(layer.name, MAGNITUDE[1:]).log()
            if layer is not network.layers[-1]:
                bias = tensor(layer.name, "bias")
                self.bias[n, slot, : len(bias)] = bias
        name = network.layers[-1].name
        weight = tensor(name, "weight")[:, :, 0, 0]
        self.colour_weight[slot, :, : weight.shape[1]] = weight * weight.shape[1] ** -0.5
        self.colour_bias[slot] = tensor(name, "bias")
        self._measure_energies(slot)

    def tensors(self) -> Iterator[Tensor]:
        """All that it keeps on its device."""
        for resampling in self.resamplings:
            yield from (resampling.across_up, resampling.across_down)
        for value in vars(self).values():
            held = value.values() if isinstance(value, dict) else value
            held = held if isinstance(value, (dict, list)) else (value,)
            yield from (tensor for tensor in held if isinstance(tensor, Tensor))

    def weight(self, conv: Convolution, flat: Tensor) -> Tensor:
        """A convolution's weights [B, *weight_shape] among mixed ones [B, n]."""
        start = conv.first_block * BLOCK
        return flat[:, start : start + conv.num_weights].view(-1, *conv.weight_shape)

    def _measure_energies(self, slot: int) -> None:
        """Σ over taps of W_i · W_j, inputs × outputs, for each pair that a slot is part of.

        They make the demodulation of any mix exact: |Σ a_i W_i|² = Σ a_i a_j W_i · W_j.
        """
        for conv, energies in zip(self.convolutions[1:], self.energies, strict=True):
            for power, pair in zip(energies, self.pairs, strict=True):
                if slot in pair:
                    one, other = (
                        self.weight(conv, self.kernels[k : k + 1])[0].float() for k in pair
                    )
                    # A pair of two stands in the sum in both orders.
                    orders = 1 if pair[0] == pair[1] else 2
                    power[: one.shape[3]] = orders * (one * other).sum((1, 2)).T


def filled(channels: int) -> int:
    """Channels as they lie in memory.

    >>> filled(81)
    88
    """
    return -(-channels // CHANNELS_STEP) * CHANNELS_STEP


def _placed(like: Network) -> tuple[Convolution, ...]:
    """The input layer's mixing of waves and the convolutions that follow, but for the last."""
    convolutions = []
    block = 0
    for number, layer in enumerate(like.layers[:-1]):
        weight = like.tensors[f"synthesis.{layer.name}.weight"]
        out_channels, in_channels, *taps = weight.shape
        fan_in = weight[0].numel()
        scale = fan_in**-0.5
        if number > 0:  # trained weights may have any size, but one network's serves all
            scale /= max(float(weight.square().mean().sqrt()), 1e-20)
        conv = Convolution(
            layer.name, number, in_channels, out_channels, (*taps, 1)[0], block, scale
        )
        convolutions.append(conv)
        block += conv.num_blocks
    return tuple(convolutions)
