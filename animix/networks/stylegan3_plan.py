"""StyleGAN3's plan: the rates, bands, sizes and filters of its layers, from a few numbers.

Karras et al. 2021 is "Alias-Free Generative Adversarial Networks". No torch.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from animix.errors import NetworkError
from animix.networks.extent import Extent

MAX_RESOLUTION = 2048
"""Twice the largest published. A file of a few KiB could ask for pictures of any size."""

MAX_TAPS = 512
"""Ten times as many as the longest published filter has."""


@dataclass(frozen=True)
class Specification:
    """What a synthesis network was constructed with, by the published names and defaults."""

    img_resolution: int
    num_layers: int = 14
    """Layers between the input and the one that makes colours."""
    num_critical: int = 2
    """Layers at the end that keep everything up to the Nyquist frequency."""
    first_cutoff: float = 2
    """Cycles per picture."""
    first_stopband: float = 2**2.1
    last_stopband_rel: float = 2**0.3
    """The last layer's stopband by its cutoff."""
    margin_size: int = 10
    """Pixels around the picture that the layers compute, each at its own sampling rate."""
    conv_kernel: int = 3
    filter_size: int = 6
    """Taps of a filter for each step of its up- or downsampling."""
    lrelu_upsampling: int = 2
    """How much finer the leaky ReLU works than its layer."""
    use_radial_filters: bool = False
    output_scale: float = 0.25
    """What the last layer's colours are multiplied by."""

    def __post_init__(self) -> None:
        for name, low, high in (
            ("img_resolution", 4, MAX_RESOLUTION),
            ("num_layers", 1, 62),
            ("num_critical", 0, self.num_layers - 1),
            ("first_cutoff", 0.01, self.img_resolution / 2),
            ("first_stopband", self.first_cutoff, 2 * MAX_RESOLUTION),
            ("last_stopband_rel", 1, 16),
            ("margin_size", 0, 64),
            ("conv_kernel", 1, 7),
            ("filter_size", 1, 32),
            ("lrelu_upsampling", 1, 4),
        ):
            value = getattr(self, name)
            if not low <= value <= high:
                raise NetworkError(f"{name} is {value:g}, expected {low:g} to {high:g}")
        if self.img_resolution & (self.img_resolution - 1):
            raise NetworkError(f"img_resolution is {self.img_resolution}, expected a power of two")


@dataclass(frozen=True)
class Signal:
    """What comes out of a layer: a picture with margins, sampled at a rate, band-limited."""

    size: int
    """Pixels a side, margins included."""
    sampling_rate: int
    """Pixels per picture, margins not counted."""
    cutoff: float
    """Cycles per picture."""
    half_width: float
    """Half of the transition from what passes to what does not."""

    def sides(self, extent: Extent) -> tuple[int, int]:
        """Height and width of the picture, margins included, which are as in the square."""
        height, width = extent.sides(self.sampling_rate)
        margins = self.size - self.sampling_rate
        return height + margins, width + margins


@dataclass(frozen=True)
class FilterPlan:
    """A low-pass filter that goes with resampling by a whole factor; one tap: none."""

    factor: int
    taps: int
    cutoff: float
    width: float
    sampling_rate: float
    """Of the finer side."""
    radial: bool = False

    def __post_init__(self) -> None:
        if self.taps > MAX_TAPS:
            raise NetworkError(f"a filter has {self.taps} taps, expected {MAX_TAPS} at most")
        if self.taps > 1 and not (self.width > 0 and self.cutoff < self.sampling_rate / 2):
            raise NetworkError(
                f"no filter passes {self.cutoff:g} cycles, at {self.sampling_rate:g} samples, with "
                f"a transition of {self.width:g}"
            )

    @property
    def shape(self) -> tuple[int, ...]:
        """The taps' shape; () where there is no filter."""
        if self.taps == 1:
            return ()
        return (self.taps, self.taps) if self.radial else (self.taps,)


@dataclass(frozen=True)
class LayerPlan:
    """A layer after the input: a convolution, then a leaky ReLU between two filters."""

    output: Signal
    kernel: int
    up: FilterPlan
    down: FilterPlan
    fine_size: int
    """Pixels a side where the leaky ReLU works."""
    crop: int
    """Pixels that are left out at the upsampled picture's upper and left edge."""

    def __post_init__(self) -> None:
        if self.crop < 0:
            raise NetworkError("a layer's picture is larger than what it is made from")

    def fine_sides(self, extent: Extent) -> tuple[int, int]:
        """Height and width where the leaky ReLU works; margins and crop are as in the square."""
        rate = self.down.factor * self.output.sampling_rate
        height, width = extent.sides(rate)
        return self.fine_size + height - rate, self.fine_size + width - rate


@dataclass(frozen=True)
class Plan:
    """The input and the layers L0 … Ln in order; the last makes colours."""

    input: Signal
    layers: tuple[LayerPlan, ...]
    output_scale: float

    def __post_init__(self) -> None:
        if not 2 * self.input.cutoff < self.input.sampling_rate:
            raise NetworkError(
                f"the input's cutoff is {self.input.cutoff:g}, expected less than half of its "
                f"sampling rate {self.input.sampling_rate}"
            )


def make_plan(spec: Specification) -> Plan:
    """The plan that follows from a specification.

    >>> plan = make_plan(Specification(img_resolution=1024))
    >>> [layer.output.size for layer in plan.layers]
    [36, 36, 52, 52, 84, 148, 148, 276, 276, 532, 1044, 1044, 1044, 1024, 1024]
    >>> plan.layers[2].up.factor, plan.layers[2].up.taps, plan.layers[2].down.factor
    (4, 24, 2)
    """
    signals = _signals(spec)
    layers = [
        _layer(spec, signals[max(index - 1, 0)], output, spec.num_layers - index)
        for index, output in enumerate(signals)
    ]
    return Plan(signals[0], tuple(layers), spec.output_scale)


def _signals(spec: Specification) -> list[Signal]:
    """The output of each layer L0 … Ln.

    Cutoff and stopband grow geometrically up to the first critical layer, and the sampling rate is
    the lowest power of two with room for the stopband (Karras et al. 2021, section 3.2).
    """
    last_cutoff = spec.img_resolution / 2
    last_stopband = last_cutoff * spec.last_stopband_rel
    if spec.first_stopband > last_stopband:
        raise NetworkError(
            f"first_stopband is {spec.first_stopband:g}, expected at most the last one, "
            f"{last_stopband:g}"
        )
    signals = []
    for index in range(spec.num_layers + 1):
        progress = min(index / (spec.num_layers - spec.num_critical), 1)
        cutoff = spec.first_cutoff * (last_cutoff / spec.first_cutoff) ** progress
        stopband = spec.first_stopband * (last_stopband / spec.first_stopband) ** progress
        rate = 2 ** math.ceil(math.log2(min(2 * stopband, spec.img_resolution)))
        if rate < 4:
            raise NetworkError(f"layer {index} has a sampling rate of {rate}, expected at least 4")
        # The last two layers compute no margin: nothing after them looks beyond the edge.
        has_margin = index < spec.num_layers - 1
        size = rate + 2 * spec.margin_size if has_margin else spec.img_resolution
        signals.append(Signal(size, rate, cutoff, max(stopband, rate / 2) - cutoff))
    return signals


def _layer(spec: Specification, source: Signal, output: Signal, layers_after: int) -> LayerPlan:
    """The layer between two signals; the last one, that makes colours, filters nothing."""
    coloured = layers_after == 0
    kernel = 1 if coloured else spec.conv_kernel
    fine_rate = max(source.sampling_rate, output.sampling_rate)
    fine_rate *= 1 if coloured else spec.lrelu_upsampling
    up_factor, down_factor = fine_rate // source.sampling_rate, fine_rate // output.sampling_rate

    def taps(factor: int) -> int:
        return 1 if coloured or factor == 1 else spec.filter_size * factor

    up = FilterPlan(up_factor, taps(up_factor), source.cutoff, 2 * source.half_width, fine_rate)
    down = FilterPlan(
        down_factor,
        taps(down_factor),
        output.cutoff,
        2 * output.half_width,
        fine_rate,
        # Critical layers keep the whole square of frequencies, so their filters stay separable.
        radial=spec.use_radial_filters and layers_after > spec.num_critical,
    )
    # Both pictures have the same middle. A full convolution with the filter, of the zeros put
    # between the pixels of a full convolution with the kernel, is so many pixels wide:
    full_size = (source.size + kernel - 2) * up.factor + up.taps
    fine_size = (output.size - 1) * down.factor + down.taps
    return LayerPlan(output, kernel, up, down, fine_size, (full_size - fine_size) // 2)
