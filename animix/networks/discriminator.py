"""A StyleGAN2 discriminator: what it sees in pictures, layer by layer, and how real it finds them.

Karras et al. 2020 (figure 7: residual blocks) and Karras et al. 2018, section 3 (minibatch standard
deviation), with the published names of the tensors. StyleGAN3's is the same one.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor
from torch.nn.functional import conv2d, leaky_relu, pad

from animix.errors import NetworkError
from animix.networks.mapping import fully_connected
from animix.networks.shapes import Shape, check_finite, check_shapes, dimensions

GROUP = 4
"""So many pictures are compared with each other."""

MAX_RESOLUTION = 2048

Watch = Callable[[Tensor], None]


def is_discriminator(names: Collection[str]) -> bool:
    """Whether the names are those of a discriminator."""
    return "b4.out.weight" in names and any(name.endswith("fromrgb.weight") for name in names)


@dataclass(frozen=True, eq=False)
class Discriminator:
    """A discriminator's tensors, float32, under their published names; checked when it is made.

    NetworkError names the first tensor that is missing, of another shape or not finite.
    """

    tensors: Mapping[str, Tensor]

    def __post_init__(self) -> None:
        known = {n: t for n, t in self.tensors.items() if not n.endswith("resample_filter")}
        object.__setattr__(self, "tensors", known)
        check_shapes(known, dict(_expected_shapes(known)), optional=())
        for name, tensor in known.items():
            check_finite(name, tensor)

    @cached_property
    def img_resolution(self) -> int:
        """Pixels a side of the pictures that it takes."""
        return self.resolutions[-1]

    @cached_property
    def resolutions(self) -> tuple[int, ...]:
        """The resolutions of its blocks, from 4 up."""
        return tuple(_resolutions(self.tensors))

    def to(self, device: torch.device | str) -> Discriminator:
        """The discriminator on a device."""
        return replace(self, tensors={name: t.to(device) for name, t in self.tensors.items()})

    def features(self, images: Tensor) -> list[Tensor]:
        """What each block puts out for pictures [N, 3, H, W], from the largest to 4 px.

        A picture's are its own, whichever others are in the batch.
        """
        found: list[Tensor] = []
        blocks(self.tensors, self.resolutions, images, found.append)
        return found

    def scores(self, images: Tensor) -> Tensor:
        """How real pictures [N, 3, H, W] look, each by itself: logits [N], above 0 for real ones.

        NetworkError for a conditional one, whose logits depend on a label.
        """
        if len(self.tensors["b4.out.weight"]) != 1:
            raise NetworkError("this discriminator is conditional: it scores no picture alone")
        x = blocks(self.tensors, self.resolutions, images)
        return ending(self.tensors, x, torch.full_like(x[:, :1], 1e-4))


def _resolutions(tensors: Mapping[str, Tensor]) -> list[int]:
    """The resolutions of the blocks, from 4 up."""
    found = {int(match[1]) for name in tensors if (match := re.match(r"b(\d{1,5})\.", name))}
    resolutions = sorted(found)
    if len(resolutions) < 2 or resolutions != [4 << k for k in range(len(resolutions))]:
        told = ", ".join(map(str, resolutions[:12])) or "no"
        raise NetworkError(f"the discriminator has blocks for {told} px, expected 4, 8, 16, …")
    if resolutions[-1] > MAX_RESOLUTION:
        raise NetworkError(f"the discriminator takes {resolutions[-1]} px, up to {MAX_RESOLUTION}")
    return resolutions


def _expected_shapes(tensors: Mapping[str, Tensor]) -> Iterator[tuple[str, Shape]]:
    """Each tensor with the shape that the ones before it call for."""
    resolutions = _resolutions(tensors)
    channels = dimensions(tensors, f"b{resolutions[-1]}.fromrgb.weight", 4)[0]
    for resolution in reversed(resolutions[1:]):
        block = f"b{resolution}"
        if f"{block}.fromrgb.weight" in tensors:
            yield f"{block}.fromrgb.weight", (channels, 3, 1, 1)
            yield f"{block}.fromrgb.bias", (channels,)
        yield f"{block}.conv0.weight", (channels, channels, 3, 3)
        yield f"{block}.conv0.bias", (channels,)
        outputs = dimensions(tensors, f"{block}.conv1.weight", 4)[0]
        yield f"{block}.conv1.weight", (outputs, channels, 3, 3)
        yield f"{block}.conv1.bias", (outputs,)
        if f"{block}.skip.weight" in tensors:
            yield f"{block}.skip.weight", (outputs, channels, 1, 1)
        channels = outputs
    if "b4.fromrgb.weight" in tensors:
        yield "b4.fromrgb.weight", (channels, 3, 1, 1)
        yield "b4.fromrgb.bias", (channels,)
    inputs, hidden = channels, dimensions(tensors, "b4.fc.weight", 2)[0]
    yield "b4.conv.weight", (channels, inputs + 1, 3, 3)
    yield "b4.conv.bias", (channels,)
    yield "b4.fc.weight", (hidden, 16 * channels)
    yield "b4.fc.bias", (hidden,)
    outputs = dimensions(tensors, "b4.out.weight", 2)[0]
    yield "b4.out.weight", (outputs, hidden)
    yield "b4.out.bias", (outputs,)


def judge(
    tensors: Mapping[str, Tensor],
    resolutions: Sequence[int],
    images: Tensor,
    dtype: torch.dtype = torch.float32,
) -> Tensor:
    """The logits [N] of a batch of pictures [N, 3, H, W]: above 0 for what looks real.

    ``resolutions`` are those of the blocks, from 4 up. Picture i is compared with pictures i + N/4,
    i + N/2 and i + 3N/4; convolutions compute in ``dtype``.
    """
    x = blocks(tensors, resolutions, images, dtype=dtype)
    return ending(tensors, x, variety(x))


def blocks(
    tensors: Mapping[str, Tensor],
    resolutions: Sequence[int],
    images: Tensor,
    watch: Watch | None = None,
    dtype: torch.dtype = torch.float32,
) -> Tensor:
    """What the block of 8 px puts out, and 4 px takes: [N, C, 4, 4] float32.

    ``watch`` is given what each block puts out. Some discriminators take a smaller picture at every
    block (``skip``), some have no residual path (``orig``): the tensors tell.
    """
    image = images.to(dtype, memory_format=torch.channels_last)
    in_all = "b4.fromrgb.weight" in tensors
    x: Tensor | None = None
    for resolution in reversed(resolutions[1:]):
        block = f"b{resolution}"
        if x is None or in_all:
            seen = activated(tensors, f"{block}.fromrgb", image)
            x = seen if x is None else x + seen
        residual = None
        if f"{block}.skip.weight" in tensors:
            residual = halved(x, scaled(tensors, f"{block}.skip"))
        x = activated(tensors, f"{block}.conv0", x)
        x = halved(x, scaled(tensors, f"{block}.conv1"))
        x = leaky_relu(x + tensors[f"{block}.conv1.bias"].to(x.dtype)[:, None, None], 0.2)
        # Both halves at √½ keep the variance; the activation's gain √2 cancels with one of them.
        x = x * 2**0.5 if residual is None else x + residual * 0.5**0.5
        if in_all:
            each = torch.eye(3, device=image.device, dtype=image.dtype)[:, :, None, None]
            image = halved(image, each)
        if watch is not None:
            watch(x)
    assert x is not None
    if in_all:
        x = x + activated(tensors, "b4.fromrgb", image)
    return x.float()


def ending(tensors: Mapping[str, Tensor], x: Tensor, spread: Tensor) -> Tensor:
    """The logits [N] of what the blocks put out [N, C, 4, 4] and the batch's variety beside it."""
    x = activated(tensors, "b4.conv", torch.cat([x, spread], dim=1)).flatten(1)
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
    return weight / math.sqrt(weight[0].numel())


def activated(tensors: Mapping[str, Tensor], layer: str, x: Tensor) -> Tensor:
    """A convolution with bias and leaky ReLU."""
    weight = scaled(tensors, layer).to(x.dtype)
    bias = tensors[f"{layer}.bias"].to(x.dtype)
    return leaky_relu(conv2d(x, weight, bias, padding=weight.shape[2] // 2), 0.2) * 2**0.5


def halved(x: Tensor, weight: Tensor) -> Tensor:
    """The convolution of x [N, C, h, w] smoothed by 1-3-3-1, half as large.

    On CUDA smoothing is folded into the kernel, which grows by 3: one pass instead of two. On a CPU
    arithmetic is what costs: the features of a picture of 128 px take one core 233 ms so, and
    48 ms in two passes.
    """
    taps = weight.shape[2]
    # Made on the device by arithmetic: a table from the host would wait for the device each time.
    row = (1 - (torch.arange(4, device=x.device) - 1.5).abs() / 2).to(weight.dtype) / 2
    smooth = torch.outer(row, row)[None, None]
    if x.device.type == "cpu":
        channels = x.shape[1]
        around = (taps + 1) // 2
        x = conv2d(x, smooth.expand(channels, 1, 4, 4).to(x.dtype), padding=around, groups=channels)
        halves: Tensor = conv2d(x, weight.to(x.dtype), stride=2)
        return halves
    # Every kernel [taps, taps] convolved in full with the (symmetric) filter.
    kernel = conv2d(pad(weight.flatten(0, 1)[:, None], (3, 3, 3, 3)), smooth)
    kernel = kernel.reshape(*weight.shape[:2], taps + 3, taps + 3)
    return conv2d(x, kernel.to(x.dtype), stride=2, padding=(taps + 1) // 2)
