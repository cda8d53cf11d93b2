"""StyleGAN2's synthesis network in plain torch, float32, written from the papers' formulas.

Karras et al. 2019 is "A Style-Based Generator Architecture for Generative Adversarial Networks",
Karras et al. 2020 "Analyzing and Improving the Image Quality of StyleGAN". Tensors carry the
names of the published PyTorch checkpoints.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor
from torch.nn.functional import conv2d, conv_transpose2d, leaky_relu, linear

from animix.networks.clamping import clamped
from animix.networks.continuation import CONTINUED_RESOLUTION, reflected, repeated, sides
from animix.networks.extent import SQUARE, Extent
from animix.networks.facts import NetworkFacts
from animix.networks.mapping import fully_connected
from animix.networks.normal_field import normal_fields
from animix.networks.step import step

# Measured on 2 Xeon cores, batch 1, an up-convolution 64 → 32 channels from 128 to 256 px:
# channels_last 4.3 ms, the default layout 24-44 ms. The blur after it, channels_last: one
# depthwise convolution 0.9 ms, two separable ones 1.8, shifted adds 2.2-3.5.
# The whole synthesis at 256 px (channel base 8192, at most 256 channels) takes 58 ms; kernels kept
# in the same layout save 1 ms of that, which is not worth a second layout of every network.
MEMORY_FORMAT = torch.channels_last

DEFAULT_FILTER = (1.0, 3.0, 3.0, 1.0)


def synthesize(
    facts: NetworkFacts,
    tensors: Mapping[str, Tensor],
    ws: Tensor,
    noise: Mapping[str, Tensor],
    stop_resolution: int | None = None,
    watch: Callable[[str, Tensor], None] | None = None,
    extent: Extent = SQUARE,
) -> Tensor:
    """The pictures of ws [N, num_ws, w_dim]: [N, 3, H, W] float32, nominally in [-1, 1].

    They have gradients by tensors, ws and noise that ask for them. ``noise`` holds an image [h, w]
    or [N, 1, h, w] for each layer that gets noise (``b8.conv0``), h and w as ``continuation.sides``
    has them.
    A skip generator sums a picture up from block to block (Karras et al. 2020, figure 7): it can
    stop at a lower block and return that block's picture, a quick draft. ``watch`` is called with
    the name and the output [N, C, h, w] of each layer, the residual added.
    """
    clamp = facts.conv_clamp
    last = stop_resolution or facts.img_resolution
    blur = resample_filter(tensors)
    x = tensors["synthesis.b4.const"].expand(len(ws), -1, -1, -1)
    x = x.contiguous(memory_format=MEMORY_FORMAT)
    image: Tensor | None = None
    if watch is not None:
        watch("b4.const", x)

    for block, resolution in enumerate(2**k for k in range(2, last.bit_length())):
        name = f"b{resolution}"
        # Block r = 2^k reads w 2k−5, 2k−4 and, for torgb, 2k−3; block 4 starts with conv1.
        first_w = 2 * block - 1
        residual: Tensor | None = None
        if resolution > 4:
            with step(f"{name}.conv0"):
                if facts.architecture == "resnet":
                    residual = upsampled(skip_convolution(tensors, name, x), blur)
                w = ws[:, first_w]
                x = styled_convolution(tensors, f"{name}.conv0", x, w, noise, clamp, blur=blur)
            if watch is not None:
                watch(f"{name}.conv0", x)
        gain = 1.0 if residual is None else 0.5**0.5
        with step(f"{name}.conv1"):
            w = ws[:, first_w + 1]
            x = styled_convolution(tensors, f"{name}.conv1", x, w, noise, clamp, gain=gain)
            if residual is not None:
                x = x + residual if x.requires_grad else x.add_(residual)
        if watch is not None:
            watch(f"{name}.conv1", x)
        if facts.architecture == "skip" or resolution == facts.img_resolution:
            with step(f"{name}.torgb"):
                picture = to_rgb(tensors, name, x, ws[:, first_w + 2], clamp)
                image = picture if image is None else upsampled(image, blur).add_(picture)
        if resolution == min(CONTINUED_RESOLUTION, last):
            x = repeated(x, extent)
            image = None if image is None else repeated(image, extent)

    assert image is not None
    return image.contiguous()


def styled_convolution(
    tensors: Mapping[str, Tensor],
    layer: str,
    x: Tensor,
    w: Tensor,
    noise: Mapping[str, Tensor],
    clamp: float | None,
    *,
    blur: Tensor | None = None,
    gain: float = 1.0,
) -> Tensor:
    """A modulated 3×3 convolution with noise, bias and leaky ReLU; ``blur``: twice as large.

    Modulation (Karras et al. 2020, eq. 1) and demodulation (eq. 3) scale the weight's inputs and
    outputs, or by linearity the activations before and after: whichever is less work. Many samples
    share one weight, so theirs are the activations.
    """
    prefix = f"synthesis.{layer}"
    weight = tensors[f"{prefix}.weight"]
    style = affine(tensors, layer, w)
    # Leaky ReLU is positively homogeneous, so its gain √2 may go ahead of it and cost no pass.
    act_gain = gain * 2**0.5
    # One matrix product over inputs and taps: a sum over the taps first takes three times as long.
    power = linear(style.square().repeat_interleave(9, dim=1), weight.flatten(1).square())
    demodulation = act_gain * power.add_(1e-8).rsqrt_()  # [N, O]
    bias = tensors[f"{prefix}.bias"] * act_gain
    # At 256 px (channel base 8192) a pass over activations takes 2 ms, one over the weight 0.02.
    if len(x) == 1 and weight.numel() < x.numel():
        x = convolved(x, weight * (demodulation.T * style)[:, :, None, None], bias, blur)
    else:
        x = convolved(x * style[:, :, None, None], weight, None, blur)
        x = x.mul_(demodulation[:, :, None, None]).add_(bias[:, None, None])
    if layer in noise:
        x = x.add_(noise[layer] * (tensors[f"{prefix}.noise_strength"] * act_gain))
    x = leaky_relu(x, 0.2, inplace=True)
    return x if clamp is None else clamped(x, clamp * gain)


def convolved(x: Tensor, weight: Tensor, bias: Tensor | None, blur: Tensor | None) -> Tensor:
    """The 3×3 convolution of x [N, C, h, w]; with a ``blur`` of stride ½, so twice as large."""
    if blur is None:
        return conv2d(x, weight, bias, padding=1)
    return blurred(conv_transpose2d(x, weight.transpose(0, 1), stride=2), blur, bias)


def to_rgb(
    tensors: Mapping[str, Tensor], block: str, x: Tensor, w: Tensor, clamp: float | None
) -> Tensor:
    """A block's picture [N, 3, h, w]: a 1×1 modulated convolution, not demodulated."""
    prefix = f"synthesis.{block}.torgb"
    weight = tensors[f"{prefix}.weight"]
    style = affine(tensors, f"{block}.torgb", w) / weight.shape[1] ** 0.5
    # One small matrix per sample instead of x modulated in full: a quarter of the time.
    kernels = weight[:, :, 0, 0] * style[:, None, :]  # [N, 3, C]
    pixels = x.permute(0, 2, 3, 1).flatten(1, 2)  # [N, HW, C], a view in channels_last
    rgb = torch.baddbmm(tensors[f"{prefix}.bias"], pixels, kernels.transpose(1, 2))
    x = rgb.reshape(*x.shape[:1], *x.shape[2:], 3).permute(0, 3, 1, 2)
    return x if clamp is None else clamped(x, clamp)


def skip_convolution(tensors: Mapping[str, Tensor], block: str, x: Tensor) -> Tensor:
    """The residual path of a block before it is upsampled: 1×1, no bias, gain √½."""
    weight = tensors[f"synthesis.{block}.skip.weight"]
    return conv2d(x, weight * (0.5 / weight.shape[1]) ** 0.5)


def affine(tensors: Mapping[str, Tensor], layer: str, w: Tensor) -> Tensor:
    """The style [N, C] of w [N, w_dim] for a layer: A in Karras et al. 2020, figure 2."""
    prefix = f"synthesis.{layer}.affine"
    return fully_connected(w, tensors[f"{prefix}.weight"], tensors[f"{prefix}.bias"])


def resample_filter(tensors: Mapping[str, Tensor]) -> Tensor:
    """The low-pass filter [T, T] of the network, which sums to 1; T is even."""
    stored = tensors.get("synthesis.b4.resample_filter")
    if stored is None:
        return _published_filter(tensors["synthesis.b4.const"].device)
    return square_filter(stored)


def square_filter(taps: Tensor) -> Tensor:
    """A filter [T, T] that is stored as one row [T], which serves both directions, or as it is."""
    return torch.outer(taps, taps) if taps.ndim == 1 else taps


def is_published_filter(kernel: Tensor) -> bool:
    """Whether a filter [T] or [T, T], float32, that sums to 1 is the published 1-3-3-1.

    >>> is_published_filter(torch.tensor([0.125, 0.375, 0.375, 0.125]))
    True
    """
    kernel, published = square_filter(kernel), _published_filter(kernel.device)
    return kernel.shape == published.shape and torch.allclose(kernel, published)


def _published_filter(device: torch.device) -> Tensor:
    taps = torch.tensor(DEFAULT_FILTER, device=device)
    return square_filter(taps / taps.sum())


def blurred(x: Tensor, kernel: Tensor, bias: Tensor | None = None) -> Tensor:
    """What a 3×3 convolution of stride ½ spread out, smoothed: [N, C, 2h+1, …] → [N, C, 2h, …]."""
    channels, taps = x.shape[1], len(kernel)
    # Stride 2 leaves one value in four: the gain 4 keeps the mean.
    kernels = (4 * kernel).flip(0, 1).expand(channels, 1, taps, taps)
    return conv2d(x, kernels, bias, padding=taps // 2 - 1, groups=channels)


def upsampled(x: Tensor, kernel: Tensor) -> Tensor:
    """The x [N, C, h, w] twice as large, zeros between its values smoothed by the kernel."""
    channels, taps = x.shape[1], len(kernel)
    kernels = (4 * kernel).expand(channels, 1, taps, taps)
    return conv_transpose2d(x, kernels, stride=2, padding=taps // 2 - 1, groups=channels)


def const_noise(
    facts: NetworkFacts, tensors: Mapping[str, Tensor], extent: Extent = SQUARE
) -> dict[str, Tensor]:
    """The network's fixed noise images by layer, continued by reflection: [h, w]."""
    names = [layer.name for layer in facts.layers]
    found = {name: tensors.get(f"synthesis.{name}.noise_const") for name in names}
    return {name: reflected(image, extent) for name, image in found.items() if image is not None}


def random_noise(
    facts: NetworkFacts,
    tensors: Mapping[str, Tensor],
    draws: Sequence[tuple[int, int]],
    device: torch.device,
    extent: Extent = SQUARE,
) -> dict[str, Tensor]:
    """Normal noise [N, 1, h, w] by layer for draws, each a seed and the number of a sample.

    A function of (seed, layer, sample) alone: the same on every device, and the same for a draw
    whichever others are made with it.
    """
    noise = {}
    for index, layer in enumerate(facts.layers):
        if f"synthesis.{layer.name}.noise_strength" in tensors:
            keys = [(seed, index, sample) for seed, sample in draws]
            shape = sides(extent, layer.resolution)
            noise[layer.name] = normal_fields(keys, shape, device)[:, None]
    return noise
