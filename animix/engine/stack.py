"""The stack: K networks side by side on the device, laid out as the fast path mixes them."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from animix.networks.network import Network

BLOCK = 1024
"""Weights that one program of the mixing kernel has; each convolution starts a new block."""

CONCATENATED_RESOLUTION = 32
"""Up to here it is cheaper to mix the activations of a few networks than their weights."""

CONCATENATED_NETWORKS = 3
"""With more networks than this all weights are mixed: concatenation costs K convolutions."""

Kind = Literal["plain", "up", "folded", "skip"]

PRECISE_RESOLUTION = 16
"""Up to here a concatenated weight is two numbers of 16 bits, the second what rounding the first
left: little arithmetic takes a third off the error, which these layers hand on to all others."""

FOLDED_RESOLUTION = 1024
"""From here on the blur after an up-convolution is cheaper inside its kernel."""


@dataclass(frozen=True)
class Convolution:
    """A 3×3 convolution with a style, or a residual block's 1×1 skip, and where its weight is."""

    name: str
    """As in the checkpoint: ``b8.conv0``."""
    layer: int
    """Number of the layer whose shares mix it."""
    resolution: int
    """Of what it puts out, in pixels a side; of a skip, of what it takes."""
    in_channels: int
    out_channels: int
    kind: Kind
    """``up`` makes its input twice as large and leaves the blur to its epilogue; ``folded`` does so
    with the blur inside its kernel, which is four times the arithmetic."""
    first_block: int | None
    """Where its weight starts among the mixed ones; None: it takes concatenated inputs."""
    parts: int = 1
    """Numbers that a weight is the sum of; each part takes a copy of the inputs."""

    @property
    def weight_shape(self) -> tuple[int, int, int, int]:
        """Of one network's weight in memory, channels last; a transposed one has its inputs first.

        A folded one puts out four phases: the even and odd columns of even and odd rows.
        """
        if self.kind == "up":
            return self.in_channels, 3, 3, self.out_channels
        taps = 1 if self.kind == "skip" else 3
        return self.out_channels * (4 if self.kind == "folded" else 1), taps, taps, self.in_channels

    @property
    def num_weights(self) -> int:
        """Numbers in its weight."""
        return math.prod(self.weight_shape)

    @property
    def num_blocks(self) -> int:
        """Blocks that its weight takes."""
        return -(-self.num_weights // BLOCK)


@dataclass(frozen=True)
class ToRgb:
    """Where a block's activations leave as a picture."""

    name: str
    layer: int
    channels: int


class Stack:
    """K networks of the same shapes, each in a slot: a mix of them is a matter of coefficients.

    Weights are kept in ``dtype``, all that is small in float32. ``put`` fills a slot; until then it
    holds a network of zeros. With ``stop_resolution`` a skip generator ends early. Where frames are
    painted one by one, every weight is mixed: nothing is ``concatenated`` or ``folded``.
    """

    def __init__(
        self,
        like: Network,
        num_slots: int,
        device: torch.device,
        dtype: torch.dtype,
        stop_resolution: int | None = None,
        *,
        one_by_one: bool = False,
    ) -> None:
        self.img_resolution = stop_resolution or like.img_resolution
        self.facts = like.facts
        self.device, self.dtype, self.num_slots = device, dtype, num_slots
        self.convolutions, self.skips = _placed(
            like, num_slots, self.img_resolution, one_by_one=one_by_one
        )
        placed = (*self.convolutions, *self.skips)
        self.to_rgbs = tuple(_to_rgbs(like, self.img_resolution))
        self.pairs = list(itertools.combinations_with_replacement(range(num_slots), 2))

        def zeros(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
            return torch.zeros(shape, dtype=dtype, device=device)

        self.row_of_block = torch.tensor(_rows_of_blocks(placed), dtype=torch.int32, device=device)
        """The row of Styles.shares that mixes a block: convolutions first, then skips."""
        self.kernels = zeros(num_slots, len(self.row_of_block) * BLOCK, dtype=dtype)
        self.concatenated = {
            conv.name: zeros(conv.parts * num_slots, *conv.weight_shape, dtype=dtype)
            if conv.kind == "up"
            else zeros(
                *conv.weight_shape[:3], conv.parts * num_slots, conv.in_channels, dtype=dtype
            )
            for conv in placed
            if conv.first_block is None
        }
        self._unfolded = {
            conv.name: zeros(num_slots, conv.out_channels, conv.in_channels, 3, 3)
            for conv in placed
            if conv.kind == "folded"
        }

        # All that is small is padded with zeros to the widest layer: one product serves all layers.
        # Block r reads w 2k−5, 2k−4 and, for torgb, 2k−3: a layer its own, a torgb the next one's.
        styled = [(conv.layer, conv.layer - 1) for conv in self.convolutions]
        styled += [(rgb.layer, rgb.layer) for rgb in self.to_rgbs]
        self.layers = torch.tensor([layer for layer, _ in styled], device=device)
        self.w_index = torch.tensor([w_index for _, w_index in styled], device=device)
        self.skip_layers = torch.tensor([conv.layer for conv in self.skips], device=device).long()
        fan_in = [9.0 * conv.in_channels for conv in self.convolutions]
        self.fan_in = torch.tensor(fan_in, device=device)
        num_conv, num_rgb = len(self.convolutions), len(self.to_rgbs)
        channels = max(max(conv.in_channels, conv.out_channels) for conv in self.convolutions)
        self.affine = zeros(len(styled), like.w_dim, num_slots, channels)
        self.affine_bias = zeros(len(styled), num_slots, channels)
        self.energies = zeros(num_conv, len(self.pairs), channels, channels)
        self.bias = zeros(num_conv, num_slots, channels)
        self.noise_strength = zeros(num_conv, num_slots)
        self.rgb_weight = zeros(num_rgb, num_slots, 3, channels)
        self.rgb_bias = zeros(num_rgb, num_slots, 3)
        self.const = zeros(num_slots, *like.tensors["synthesis.b4.const"].shape)

    @torch.no_grad()
    def put(self, slot: int, network: Network) -> None:
        """Fill a slot with a network's weights."""
        w_gain = network.w_dim**-0.5

        def tensor(name: str) -> Tensor:
            return network.tensors[f"synthesis.{name}"].to(self.device, non_blocking=True)

        self.const[slot] = tensor("b4.const")
        for n, conv in enumerate(self.convolutions):
            inputs, outputs = conv.in_channels, conv.out_channels
            self.affine[n, :, slot, :inputs] = tensor(f"{conv.name}.affine.weight").T * w_gain
            self.affine_bias[n, slot, :inputs] = tensor(f"{conv.name}.affine.bias")
            self.bias[n, slot, :outputs] = tensor(f"{conv.name}.bias")
            if f"synthesis.{conv.name}.noise_strength" in network.tensors:
                self.noise_strength[n, slot] = tensor(f"{conv.name}.noise_strength")
            # The scale of equalised learning rate goes in here: float16 needs numbers near 1.
            weight = tensor(f"{conv.name}.weight") * (9 * inputs) ** -0.5
            if conv.kind == "folded":
                self._unfolded[conv.name][slot] = weight
                weight = folded(weight)
            laid = weight.permute((1, 2, 3, 0) if conv.kind == "up" else (0, 2, 3, 1))
            for part, numbers in enumerate(parts_of(laid, conv.parts, self.dtype)):
                self._kernel(conv, slot, part).copy_(numbers)
            self._measure_energies(n, conv, slot)
        for conv in self.skips:
            weight = tensor(f"{conv.name}.weight") * (0.5 / conv.in_channels) ** 0.5
            self._kernel(conv, slot).copy_(weight.permute(0, 2, 3, 1))
        for m, rgb in enumerate(self.to_rgbs):
            n, gain = len(self.convolutions) + m, rgb.channels**-0.5
            affine = tensor(f"{rgb.name}.affine.weight").T
            self.affine[n, :, slot, : rgb.channels] = affine * (w_gain * gain)
            self.affine_bias[n, slot, : rgb.channels] = tensor(f"{rgb.name}.affine.bias") * gain
            self.rgb_weight[m, slot, :, : rgb.channels] = tensor(f"{rgb.name}.weight")[:, :, 0, 0]
            self.rgb_bias[m, slot] = tensor(f"{rgb.name}.bias")

    def tensors(self) -> Iterator[Tensor]:
        """All that it keeps on its device."""
        for value in vars(self).values():
            held = value.values() if isinstance(value, dict) else (value,)
            yield from (tensor for tensor in held if isinstance(tensor, Tensor))

    def weight(self, conv: Convolution, flat: Tensor) -> Tensor:
        """A convolution's weights [B, *weight_shape] among mixed ones [B, n]."""
        assert conv.first_block is not None
        start = conv.first_block * BLOCK
        return flat[:, start : start + conv.num_weights].view(-1, *conv.weight_shape)

    def _kernel(self, conv: Convolution, slot: int, part: int = 0) -> Tensor:
        """Where a part of one network's weight is: *weight_shape."""
        if conv.first_block is None:
            whole, number = self.concatenated[conv.name], part * self.num_slots + slot
            return whole.select(0 if conv.kind == "up" else 3, number)
        return self.weight(conv, self.kernels[slot : slot + 1])[0]

    def _whole(self, conv: Convolution, slot: int) -> Tensor:
        """One network's weight as its parts make it: float32 *weight_shape."""
        parts = [self._kernel(conv, slot, part).float() for part in range(conv.parts)]
        return torch.stack(parts).sum(0)

    def _measure_energies(self, n: int, conv: Convolution, slot: int) -> None:
        """Σ over taps of W_i · W_j, inputs × outputs, for each pair that a slot is part of.

        They make the demodulation of any mix exact: |Σ a_i W_i|² = Σ a_i a_j W_i · W_j.
        """
        for p, pair in enumerate(self.pairs):
            if slot not in pair:
                continue
            if conv.kind == "folded":
                one, other = (self._unfolded[conv.name][k].transpose(0, 1) for k in pair)
                power = (one * other).sum((2, 3))
            else:
                one, other = (self._whole(conv, k) for k in pair)
                power = (one * other).sum((1, 2))
                power = power if conv.kind == "up" else power.T
            # A pair of two stands in the sum in both orders.
            power = power * (1 if pair[0] == pair[1] else 2)
            self.energies[n, p, : conv.in_channels, : conv.out_channels] = power


def parts_of(weight: Tensor, num_parts: int, dtype: torch.dtype) -> list[Tensor]:
    """What a weight [·, h, w, ·] is the sum of, each part in ``dtype``.

    The last is rounded tap by tap, and what one tap loses goes to the next: pictures are smooth, so
    what counts is the sum of neighbouring taps. That takes half the error for no work at all.
    """
    parts = []
    for _ in range(num_parts - 1):
        parts.append(weight.to(dtype))
        weight = weight - parts[-1]
    last, lost = weight.to(dtype), torch.zeros((), device=weight.device)
    if dtype != torch.float32:
        height, width = weight.shape[1:3]
        for row in range(height):
            for column in range(width)[:: 1 if row % 2 == 0 else -1]:  # to and fro
                wanted = weight[:, row, column] + lost
                last[:, row, column] = wanted
                lost = wanted - last[:, row, column]
    return [*parts, last]


def folded(weight: Tensor) -> Tensor:
    """The kernel [4·O, I, 3, 3] that does what a stride-½ convolution [O, I, 3, 3] and its blur do.

    Each of its four phases is a plain convolution of the small picture.
    """
    blur = (0.25, 0.75, 0.75, 0.25)
    of_phase = torch.zeros(2, 3, 3, dtype=weight.dtype, device=weight.device)
    for phase, delta, tap in itertools.product(range(2), range(3), range(3)):
        place = 2 * (delta - 1) + tap + (1 if phase == 0 else 0)
        if 0 <= place < 4:
            of_phase[phase, delta, tap] = blur[place]
    return torch.einsum("adt,bes,oits->aboide", of_phase, of_phase, weight).flatten(0, 2)


def _placed(
    like: Network, num_slots: int, img_resolution: int, *, one_by_one: bool
) -> tuple[tuple[Convolution, ...], tuple[Convolution, ...]]:
    """The convolutions in order, and the skips of residual blocks."""
    few = 1 < num_slots <= CONCATENATED_NETWORKS and not one_by_one
    convolutions: list[Convolution] = []
    skips: list[Convolution] = []
    block = 0

    def place(name: str, layer: int, resolution: int, kind: Kind) -> Convolution:
        nonlocal block
        out_channels, in_channels = like.tensors[f"synthesis.{name}.weight"].shape[:2]
        mixed = kind == "skip" or resolution > CONCATENATED_RESOLUTION or not few
        first_block = block if mixed else None
        parts = 2 if first_block is None and resolution <= PRECISE_RESOLUTION else 1
        conv = Convolution(
            name, layer, resolution, in_channels, out_channels, kind, first_block, parts
        )
        block += conv.num_blocks if mixed else 0
        return conv

    for number, layer in enumerate(like.layers[1:], start=1):
        if layer.resolution > img_resolution:
            break
        kind: Kind = "plain"
        if layer.name.endswith("conv0"):
            folds = layer.resolution >= FOLDED_RESOLUTION and not one_by_one
            kind = "folded" if folds else "up"
            if like.facts.architecture == "resnet":
                skip = layer.name.replace("conv0", "skip")
                skips.append(place(skip, number, layer.resolution // 2, "skip"))
        convolutions.append(place(layer.name, number, layer.resolution, kind))
    return tuple(convolutions), tuple(skips)


def _rows_of_blocks(placed: Sequence[Convolution]) -> list[int]:
    of_block = {
        conv.first_block + block: row
        for row, conv in enumerate(placed)
        if conv.first_block is not None
        for block in range(conv.num_blocks)
    }
    return [of_block[block] for block in range(len(of_block))]


def _to_rgbs(like: Network, img_resolution: int) -> Iterator[ToRgb]:
    for number, layer in enumerate(like.layers):
        name = layer.name.replace("conv1", "torgb")
        if layer.resolution > img_resolution:
            break
        if name != layer.name and f"synthesis.{name}.weight" in like.tensors:
            yield ToRgb(name, number, like.tensors[f"synthesis.{name}.weight"].shape[1])
