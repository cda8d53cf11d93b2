"""StyleGAN3's synthesis network in plain torch, float32, written from the paper's formulas.

Karras et al. 2021 is "Alias-Free Generative Adversarial Networks". Tensors carry the names of the
published PyTorch checkpoints.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import torch
from torch import Tensor
from torch.nn.functional import conv2d, conv_transpose2d, leaky_relu, linear

from animix.networks.clamping import clamped
from animix.networks.extent import SQUARE, Extent
from animix.networks.facts import NetworkFacts
from animix.networks.lowpass import lowpass
from animix.networks.mapping import fully_connected
from animix.networks.step import step
from animix.networks.stylegan3_plan import FilterPlan, LayerPlan, Signal

AT_A_TIME = 1 << 22
"""Numbers that pass through the filters together, on a CPU."""

MIN_CHANNELS = 16
"""As many channels at least are filtered together: depthwise convolutions work on so many."""


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

    They have gradients by tensors and ws that ask for them.
    The arguments are those of every architecture; StyleGAN3 has no noise, and no smaller picture to
    stop at. ``watch`` is called with the name and the output [N, C, h, w] of each layer.
    """
    plan = facts.plan
    assert plan is not None, "the layout gives every StyleGAN3 network a plan"
    with step("input"):
        x = fourier_features(tensors, plan.input, ws[:, 0], extent)
    if watch is not None:
        watch("input", x)
    for index, (layer, planned) in enumerate(zip(facts.layers[1:], plan.layers, strict=True)):
        coloured = index == len(plan.layers) - 1
        w, clamp = ws[:, 1 + index], facts.conv_clamp
        with step(layer.name):
            x = synthesis_layer(
                tensors, layer.name, planned, x, w, clamp, extent, coloured=coloured
            )
        if watch is not None:
            watch(layer.name, x)
    return (x * plan.output_scale).contiguous()


def fourier_features(
    tensors: Mapping[str, Tensor], signal: Signal, w: Tensor, extent: Extent = SQUARE
) -> Tensor:
    """The input layer: waves, turned and shifted by w [N, w_dim], then mixed: [N, C, h, w]."""
    features = waves(tensors, signal, affine(tensors, "input", w), extent)
    weight = tensors["synthesis.input.weight"]
    return linear(features, weight / weight.shape[1] ** 0.5).permute(0, 3, 1, 2)


def waves(
    tensors: Mapping[str, Tensor], signal: Signal, t: Tensor, extent: Extent = SQUARE
) -> Tensor:
    """The input layer's waves [N, h, w, C], turned and shifted by t [N, 4].

    Karras et al. 2021, sections 3.1 and 3.2 (transformed Fourier features): t has the cosine and
    sine of a rotation and the x and y of a translation, the buffer ``transform`` another one from
    the user.
    """
    prefix = "synthesis.input"
    t = t / torch.linalg.vector_norm(t[:, :2], dim=1, keepdim=True)
    cosine, sine, x, y = t.unbind(dim=1)
    zero, one = torch.zeros_like(x), torch.ones_like(x)
    # What the picture goes through, its coordinates go through in reverse.
    rotation = torch.stack([cosine, -sine, zero, sine, cosine, zero, zero, zero, one], dim=1)
    translation = torch.stack([one, zero, -x, zero, one, -y, zero, zero, one], dim=1)
    transform = (
        rotation.view(-1, 3, 3) @ translation.view(-1, 3, 3) @ tensors[f"{prefix}.transform"]
    )

    frequencies = tensors[f"{prefix}.freqs"] @ transform[:, :2, :2]  # [N, C, 2]
    phases = (
        tensors[f"{prefix}.phases"] + (tensors[f"{prefix}.freqs"] @ transform[:, :2, 2:])[..., 0]
    )
    # A user who shrinks the picture raises frequencies: those near the limit fade out.
    radius = torch.linalg.vector_norm(frequencies, dim=2)
    nyquist = signal.sampling_rate / 2
    amplitudes = (1 - (radius - signal.cutoff) / (nyquist - signal.cutoff)).clamp(0, 1)

    left, right, top, bottom = extent.added(signal.sampling_rate)
    x_places, y_places = (
        _places(signal, added, t.device) for added in ((left, right), (top, bottom))
    )
    across = x_places[:, None] * frequencies[:, None, :, 0]  # [N, W, C]
    down = y_places[:, None] * frequencies[:, None, :, 1]  # [N, H, C]
    cycles = across[:, None] + (down + phases[:, None])[:, :, None]  # [N, H, W, C]
    features: Tensor = torch.sin(cycles * (2 * math.pi)) * amplitudes[:, None, None]
    return features


def _places(signal: Signal, added: tuple[int, int], device: torch.device) -> Tensor:
    """Where an axis's pixels lie, in sides of the square picture and from its middle."""
    before, after = added
    places = torch.arange(-before, signal.size + after, dtype=torch.float32, device=device)
    return (places + (0.5 - signal.size / 2)) / signal.sampling_rate


def synthesis_layer(
    tensors: Mapping[str, Tensor],
    layer: str,
    plan: LayerPlan,
    x: Tensor,
    w: Tensor,
    clamp: float | None,
    extent: Extent = SQUARE,
    *,
    coloured: bool,
) -> Tensor:
    """A modulated convolution, then the leaky ReLU between two filters (section 3.2).

    The last layer is ``coloured``: neither demodulated nor bent.
    """
    prefix = f"synthesis.{layer}"
    weight, bias = tensors[f"{prefix}.weight"], tensors[f"{prefix}.bias"]
    # Leaky ReLU is positively homogeneous, so its gain √2 may go ahead of it and cost no pass.
    act_gain = 1.0 if coloured else 2**0.5
    input_gain = tensors[f"{prefix}.magnitude_ema"].rsqrt()
    style = affine(tensors, layer, w)
    if coloured:
        style = style / weight[0].numel() ** 0.5
        gain = input_gain.expand(len(x), len(weight))
    else:
        gain = demodulation(weight, style) * (input_gain * act_gain)
    bias = bias * act_gain
    padding = plan.kernel - 1
    # As in StyleGAN2: modulation goes to weights or activations, whichever is less work.
    if len(x) == 1 and weight.numel() < x.numel():
        x = conv2d(x, weight * (gain.T * style)[:, :, None, None], bias, padding=padding)
    else:
        x = conv2d(x * style[:, :, None, None], weight, padding=padding)
        x = x.mul_(gain[:, :, None, None]).add_(bias[:, None, None])
    up, down = layer_filters(tensors, layer, plan)
    return filtered(x, plan, up, down, extent, slope=1.0 if coloured else 0.2, clamp=clamp)


def demodulation(weight: Tensor, style: Tensor) -> Tensor:
    """What brings each output [N, O] of a modulated convolution back to a variance of 1.

    Karras et al. 2020, eq. 3. Weights and styles come with a mean square of 1 before it, as when
    the published networks were trained; that matters for the epsilon alone.
    """
    squares = weight.flatten(1).square()
    weight_gain = squares.mean(dim=1).rsqrt()  # [O]
    style_gain = style.square().mean(dim=1, keepdim=True).rsqrt()  # [N, 1]
    taps = weight[0, 0].numel()
    power = linear((style * style_gain).square().repeat_interleave(taps, dim=1), squares)
    return (power * weight_gain.square() + 1e-8).rsqrt() * weight_gain * style_gain


def filtered(
    x: Tensor,
    plan: LayerPlan,
    up: Tensor | None,
    down: Tensor | None,
    extent: Extent = SQUARE,
    *,
    slope: float,
    clamp: float | None,
) -> Tensor:
    """The leaky ReLU of x [N, C, h, w], worked finer than the pixels so that it makes no alias.

    On a CPU some channels at a time: what is between the filters is many times as large as x, and
    so it stays in the cache. 2 Xeon cores, 128 channels, 278 → 572 → 276 px: 62 ms, all at once
    190; the filters as products with banded matrices 180. The layout is the other way round on
    CUDA: pictures of 256 px take an H100 30 ms, channels_last 51; with radial filters 40 and 116.
    """
    on_cpu = x.device.type == "cpu"
    layout = torch.channels_last if on_cpu else torch.contiguous_format
    fine_sides = plan.fine_sides(extent)
    area = len(x) * fine_sides[0] * fine_sides[1]
    count = max(MIN_CHANNELS, AT_A_TIME // area) if on_cpu else x.shape[1]
    parts = []
    for start in range(0, x.shape[1], count):
        part = x[:, start : start + count].contiguous(memory_format=layout)
        part = _resampled_up(part, plan, up, fine_sides)
        part = leaky_relu(part, slope, inplace=not part.requires_grad) if slope != 1 else part
        part = part if clamp is None else clamped(part, clamp)
        parts.append(_resampled_down(part, plan, down))
    return parts[0] if len(parts) == 1 else torch.cat(parts, dim=1)


def _resampled_up(
    x: Tensor, plan: LayerPlan, taps: Tensor | None, fine_sides: tuple[int, int]
) -> Tensor:
    """Zeros between the pixels, smoothed by the filter, and cropped: [N, C, *fine_sides]."""
    factor, channels = plan.up.factor, x.shape[1]
    row = torch.ones(1, device=x.device) if taps is None else taps
    row = row * factor  # few values among zeros: the gain keeps the mean
    kernel = row.expand(channels, 1, 1, -1)
    if factor > 1:
        x = conv_transpose2d(x, kernel.transpose(2, 3), stride=(factor, 1), groups=channels)
    x = x.narrow(2, plan.crop, fine_sides[0])
    if factor > 1:
        x = conv_transpose2d(x, kernel, stride=(1, factor), groups=channels)
    return x.narrow(3, plan.crop, fine_sides[1])


def _resampled_down(x: Tensor, plan: LayerPlan, taps: Tensor | None) -> Tensor:
    """Smoothed by the filter, every so many pixels: [N, C, h, w]."""
    factor, channels = plan.down.factor, x.shape[1]
    if taps is None:
        return x[:, :, ::factor, ::factor]
    # Torch correlates; a filter convolves.
    if taps.ndim == 2:
        kernel = taps.flip(0, 1).expand(channels, 1, -1, -1)
        return conv2d(x, kernel, stride=factor, groups=channels)
    kernel = taps.flip(0).expand(channels, 1, 1, -1)
    x = conv2d(x, kernel, stride=(1, factor), groups=channels)
    return conv2d(x, kernel.transpose(2, 3), stride=(factor, 1), groups=channels)


def layer_filters(
    tensors: Mapping[str, Tensor], layer: str, plan: LayerPlan
) -> tuple[Tensor | None, Tensor | None]:
    """A layer's filters, up [T] and down [T] or [T, T]: the network's own or those of its plan."""
    prefix = f"synthesis.{layer}"
    return (
        _filter(tensors, f"{prefix}.up_filter", plan.up),
        _filter(tensors, f"{prefix}.down_filter", plan.down),
    )


def _filter(tensors: Mapping[str, Tensor], name: str, plan: FilterPlan) -> Tensor | None:
    """The network's own filter, or the one that its plan calls for."""
    if plan.taps == 1:
        return None
    if name in tensors:
        return tensors[name]
    taps = lowpass(plan.taps, plan.cutoff, plan.width, plan.sampling_rate, radial=plan.radial)
    return taps.to(tensors["synthesis.input.freqs"].device)


def affine(tensors: Mapping[str, Tensor], layer: str, w: Tensor) -> Tensor:
    """The style [N, C] of w [N, w_dim] for a layer; of the input its four numbers."""
    prefix = f"synthesis.{layer}.affine"
    return fully_connected(w, tensors[f"{prefix}.weight"], tensors[f"{prefix}.bias"])
