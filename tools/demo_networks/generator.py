"""A StyleGAN2 generator that learns: the tensors of animix's networks, with gradients.

Karras et al. 2020, "Analyzing and Improving the Image Quality of StyleGAN", is the source; the
tensors have the published names, so that what is learnt is a network of animix. It is a second
formulation beside animix.networks.stylegan2, which never needs a gradient.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn.functional import conv2d, leaky_relu, linear, pixel_shuffle

from animix.networks.mapping import LR_MULTIPLIER, fully_connected, normalized
from tools.demo_networks.sizes import Size

BUFFERS = ("mapping.w_avg", ".noise_const")
"""Ends of the names of tensors that are not learnt by gradients."""

Tensors = Mapping[str, Tensor]


def is_learnt(name: str) -> bool:
    """Whether a tensor is learnt by gradients."""
    return not name.endswith(BUFFERS)


def initial_generator(size: Size, rng: torch.Generator) -> dict[str, Tensor]:
    """The tensors of a generator before it has learnt anything, on the rng's device."""

    def normal(*shape: int) -> Tensor:
        return torch.randn(shape, generator=rng, device=rng.device)

    def constant(value: float, *shape: int) -> Tensor:
        return torch.full(shape, float(value), device=rng.device)

    tensors = {"mapping.w_avg": constant(0, size.w_dim)}
    for index in range(size.num_mapping_layers):
        inputs = size.z_dim if index == 0 else size.w_dim
        tensors[f"mapping.fc{index}.weight"] = normal(size.w_dim, inputs) / LR_MULTIPLIER
        tensors[f"mapping.fc{index}.bias"] = constant(0, size.w_dim)

    def styled(layer: str, inputs: int, outputs: int, taps: int) -> None:
        tensors[f"{layer}.affine.weight"] = normal(inputs, size.w_dim)
        tensors[f"{layer}.affine.bias"] = constant(1, inputs)
        tensors[f"{layer}.weight"] = normal(outputs, inputs, taps, taps)
        tensors[f"{layer}.bias"] = constant(0, outputs)

    inputs = size.channels(4)
    tensors["synthesis.b4.const"] = normal(inputs, 4, 4)
    for resolution in size.resolutions:
        block, outputs = f"synthesis.b{resolution}", size.channels(resolution)
        for name in ("conv1",) if resolution == 4 else ("conv0", "conv1"):
            styled(f"{block}.{name}", inputs, outputs, taps=3)
            tensors[f"{block}.{name}.noise_strength"] = constant(0)
            tensors[f"{block}.{name}.noise_const"] = normal(resolution, resolution)
            inputs = outputs
        styled(f"{block}.torgb", outputs, 3, taps=1)
    return tensors


def map_z(tensors: Tensors, z: Tensor) -> Tensor:
    """The w [N, w_dim] of z [N, z_dim]."""
    x, depth = normalized(z), 0
    while f"mapping.fc{depth}.weight" in tensors:
        weight, bias = tensors[f"mapping.fc{depth}.weight"], tensors[f"mapping.fc{depth}.bias"]
        x = leaky_relu(fully_connected(x, weight, bias, LR_MULTIPLIER), 0.2) * 2**0.5
        depth += 1
    return x


def noise_of(size: Size, count: int, rng: torch.Generator) -> dict[str, Tensor]:
    """New noise for each layer: [N, 1, h, w]."""
    noise = {}
    for r in size.resolutions:
        for layer in ("conv1",) if r == 4 else ("conv0", "conv1"):
            shape = (count, 1, r, r)
            noise[f"b{r}.{layer}"] = torch.randn(shape, generator=rng, device=rng.device)
    return noise


def synthesize(
    tensors: Tensors,
    size: Size,
    ws: Tensor,
    noise: Mapping[str, Tensor],
    dtype: torch.dtype = torch.float32,
) -> Tensor:
    """The pictures [N, 3, H, W] of ws [N, num_ws, w_dim]; convolutions compute in ``dtype``."""
    x = tensors["synthesis.b4.const"].to(dtype).expand(len(ws), -1, -1, -1)
    x = x.contiguous(memory_format=torch.channels_last)
    image: Tensor | None = None
    for block, resolution in enumerate(size.resolutions):
        name, first_w = f"b{resolution}", 2 * block - 1
        if resolution > 4:
            x = styled(tensors, f"{name}.conv0", x, ws[:, first_w], noise, up=True)
        x = styled(tensors, f"{name}.conv1", x, ws[:, first_w + 1], noise)
        picture = to_rgb(tensors, name, x, ws[:, first_w + 2])
        # The picture is summed up in float32: bfloat16 would round every block's share away.
        image = picture.float() if image is None else upsampled(image) + picture.float()
    assert image is not None
    return image


def styled(
    tensors: Tensors,
    layer: str,
    x: Tensor,
    w: Tensor,
    noise: Mapping[str, Tensor],
    up: bool = False,
) -> Tensor:
    """A modulated 3×3 convolution with noise, bias and leaky ReLU; ``up``: twice as large.

    Modulation and demodulation (eqs. 1 and 3) scale the activations before and after, so that the
    whole batch shares one weight.
    """
    prefix = f"synthesis.{layer}"
    weight = tensors[f"{prefix}.weight"]
    style = affine(tensors, layer, w)
    power = linear(style.square(), weight.square().sum(dim=(2, 3)))
    demodulation = (power + 1e-8).rsqrt()
    x = x * style.to(x.dtype)[:, :, None, None]
    kernels = phases(weight) if up else weight
    x = conv2d(x, kernels.to(x.dtype), padding=1)
    x = pixel_shuffle(x, 2) if up else x
    x = x * demodulation.to(x.dtype)[:, :, None, None]
    x = x + (noise[layer] * tensors[f"{prefix}.noise_strength"]).to(x.dtype)
    x = x + tensors[f"{prefix}.bias"].to(x.dtype)[:, None, None]
    return leaky_relu(x, 0.2) * 2**0.5


def to_rgb(tensors: Tensors, block: str, x: Tensor, w: Tensor) -> Tensor:
    """A block's picture [N, 3, h, w]: a 1×1 modulated convolution, not demodulated."""
    prefix = f"synthesis.{block}.torgb"
    weight = tensors[f"{prefix}.weight"]
    style = affine(tensors, f"{block}.torgb", w) / weight.shape[1] ** 0.5
    x = conv2d(x * style.to(x.dtype)[:, :, None, None], weight.to(x.dtype))
    return x + tensors[f"{prefix}.bias"].to(x.dtype)[:, None, None]


def affine(tensors: Tensors, layer: str, w: Tensor) -> Tensor:
    """The style [N, C] of w [N, w_dim] for a layer: A in figure 2."""
    prefix = f"synthesis.{layer}.affine"
    return fully_connected(w, tensors[f"{prefix}.weight"], tensors[f"{prefix}.bias"])


def tent(places: Tensor) -> Tensor:
    """The filter 1-3-3-1, over 4, at places 0 … 3, and 0 elsewhere.

    Made on the device by arithmetic: a table that comes from the host would wait for the device at
    every step.

    >>> tent(torch.arange(-1, 5))
    tensor([0.0000, 0.2500, 0.7500, 0.7500, 0.2500, 0.0000])
    """
    return (1 - (places - 1.5).abs() / 2).clamp(min=0)


def phase_matrix(like: Tensor) -> Tensor:
    """How 3 taps, spread out by 2 and smoothed, are two kernels of 3 taps: [phase, offset, tap].

    Output 2m + p takes from input m + d what tap t puts there: the filter's tap 2d + t + 1 − p.
    """
    three = torch.arange(3, device=like.device)
    phase, offset, tap = three[:2, None, None], three[:, None] - 1, three
    return tent(2 * offset + tap + 1 - phase).to(like.dtype)


def phases(weight: Tensor) -> Tensor:
    """The kernels [4·O, I, 3, 3] which ``pixel_shuffle`` makes a convolution of stride ½ of.

    The same numbers as a transposed convolution and a blur after it. Four times the
    multiplications, but none of the passes over activations of twice the size, which cost more on
    a GPU.
    """
    matrix = phase_matrix(weight)
    kernels = torch.einsum("adt,bes,oits->oabide", matrix, matrix, weight)
    return kernels.reshape(-1, *kernels.shape[3:])


def upsampled(image: Tensor) -> Tensor:
    """A picture [N, 3, h, w] twice as large, zeros between its values smoothed by 1-3-3-1."""
    rows = phase_matrix(image)[:, :, 1]  # [2, 3]: one tap is spread out
    kernels = torch.einsum("ad,be->abde", rows, rows).reshape(4, 1, 3, 3)
    kernels = kernels.repeat(image.shape[1], 1, 1, 1)
    return pixel_shuffle(conv2d(image, kernels, padding=1, groups=image.shape[1]), 2)
