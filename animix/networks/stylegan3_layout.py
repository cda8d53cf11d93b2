"""What a StyleGAN3 checkpoint holds: from tensors and settings to the network's facts."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from torch import Tensor

from animix.errors import NetworkError
from animix.networks.facts import Layer, NetworkFacts
from animix.networks.settings import NO_SETTINGS, Settings, number, positive, truth, whole
from animix.networks.shapes import (
    Shape,
    check_finite,
    check_shapes,
    dimensions,
    latent_dims,
    mapping_shapes,
)
from animix.networks.stylegan3_plan import Plan, Specification, make_plan

FILTERS = (".up_filter", ".down_filter")

BUFFERS = ("w_avg", ".freqs", ".phases", ".transform", ".magnitude_ema", *FILTERS)
"""Last parts of the names of tensors that are not trained."""

DEFAULT_CLAMP = 256.0

SETTINGS: dict[str, Callable[[Settings, str], Any]] = {
    "img_resolution": whole,
    "num_layers": whole,
    "num_critical": whole,
    "first_cutoff": number,
    "first_stopband": number,
    "last_stopband_rel": number,
    "margin_size": whole,
    "conv_kernel": whole,
    "filter_size": whole,
    "lrelu_upsampling": whole,
    "use_radial_filters": truth,
    "output_scale": number,
}
"""What a file may say of a ``Specification``, and how each is read."""

MAX_ACTIVATIONS = 1 << 31
"""Numbers that a layer puts out, several times what the largest published one does."""

COLOURS = 3


def is_stylegan3(tensors: Mapping[str, Tensor]) -> bool:
    """Whether the names are those of a StyleGAN3 generator."""
    return "synthesis.input.freqs" in tensors


def read_facts(tensors: Mapping[str, Tensor], settings: Settings = NO_SETTINGS) -> NetworkFacts:
    """The facts of a generator, read from its tensors and the synthesis network's settings.

    Settings bear the names of the published constructor's arguments and default to its defaults;
    the tensors' names and shapes must be what follows from them. NetworkError names the first
    tensor that is missing, unknown, of another shape, or that holds unusable numbers.
    """
    names = _layer_names(tensors)
    spec = _specification(tensors, names, settings)
    plan = make_plan(spec)
    w_dim = dimensions(tensors, "synthesis.input.affine.weight", 2)[1]
    expected = dict(mapping_shapes(tensors, w_dim))
    expected |= _synthesis_shapes(tensors, names, plan, w_dim)
    check_shapes(tensors, expected, optional=FILTERS)
    for name, tensor in tensors.items():
        if name not in expected:
            raise NetworkError(f"the tensor {name} is not one of this StyleGAN3 generator")
        check_finite(name, tensor)
        if name.endswith(".magnitude_ema") and not float(tensor) > 0:
            raise NetworkError(f"{name} is {float(tensor):g}, expected a number above 0")

    z_dim, c_dim = latent_dims(tensors)
    return NetworkFacts(
        kind="stylegan3",
        architecture="config-r" if spec.use_radial_filters else "config-t",
        img_resolution=spec.img_resolution,
        z_dim=z_dim,
        c_dim=c_dim,
        w_dim=w_dim,
        num_ws=1 + len(names),
        layers=tuple(_layers(tensors, names, plan)),
        num_parameters=sum(t.numel() for n, t in tensors.items() if not n.endswith(BUFFERS)),
        conv_clamp=positive(settings, "conv_clamp", DEFAULT_CLAMP),
        plan=plan,
    )


def _layer_names(tensors: Mapping[str, Tensor]) -> list[str]:
    """The layers after the input in order: ``L0_36_512``, …, each number once."""
    found: dict[int, str] = {}
    for name in tensors:
        match = re.match(r"synthesis\.(L([0-9]{1,4})_[0-9]{1,6}_[0-9]{1,6})\.", name)
        if match is None:
            continue
        if found.setdefault(int(match[2]), match[1]) != match[1]:
            raise NetworkError(
                f"it has two layers {match[2]}, {found[int(match[2])]} and {match[1]}"
            )
    if len(found) < 2 or sorted(found) != list(range(len(found))):
        raise NetworkError(
            f"it has the layers {', '.join(f'L{index}' for index in sorted(found)[:20]) or 'none'} "
            "after the input, expected L0, L1, L2, … without a gap"
        )
    return [found[index] for index in range(len(found))]


def _specification(
    tensors: Mapping[str, Tensor], names: list[str], settings: Settings
) -> Specification:
    """What the network was constructed with; where settings are silent, shapes may tell."""
    radial = any(name.endswith(".down_filter") and t.ndim == 2 for name, t in tensors.items())
    kernel = dimensions(tensors, f"synthesis.{names[0]}.weight", 4)[2]
    by_shapes = {
        "img_resolution": _size(names[-1]),
        "num_layers": len(names) - 1,
        "conv_kernel": kernel,
        "use_radial_filters": radial,
    }
    said = {name: read(settings, name) for name, read in SETTINGS.items() if name in settings}
    spec = Specification(**{**by_shapes, **said})
    if spec.num_layers != len(names) - 1:
        raise NetworkError(
            f"it has layers up to {names[-1]}, but the metadata num_layers is {spec.num_layers}"
        )
    if spec.conv_kernel != kernel:
        raise NetworkError(
            f"synthesis.{names[0]}.weight has {kernel}×{kernel} kernels, but the metadata "
            f"conv_kernel is {spec.conv_kernel}"
        )
    return spec


def _size(name: str) -> int:
    return int(name.split("_")[1])


def _synthesis_shapes(
    tensors: Mapping[str, Tensor], names: list[str], plan: Plan, w_dim: int
) -> Iterator[tuple[str, Shape]]:
    """Each tensor of the synthesis network with the shape that plan and earlier ones call for."""
    channels = dimensions(tensors, "synthesis.input.weight", 2)[0]
    _check_activations("input", channels, plan.input.size)
    yield "synthesis.input.weight", (channels, channels)
    yield "synthesis.input.affine.weight", (4, w_dim)
    yield "synthesis.input.affine.bias", (4,)
    yield "synthesis.input.freqs", (channels, 2)
    yield "synthesis.input.phases", (channels,)
    yield "synthesis.input.transform", (3, 3)
    for index, (name, layer) in enumerate(zip(names, plan.layers, strict=True)):
        prefix = f"synthesis.{name}"
        outputs = dimensions(tensors, f"{prefix}.weight", 4)[0]
        if name == names[-1] and outputs != COLOURS:
            raise NetworkError(
                f"it makes pictures with {outputs} channels, animix reads RGB networks (3)"
            )
        if name != (called := f"L{index}_{layer.output.size}_{outputs}"):
            raise NetworkError(
                f"the layer {name} has {outputs} channels and, by the metadata, "
                f"{layer.output.size} px a side, expected the name {called}; what a network was "
                "constructed with (margin_size, num_critical, first_stopband, …) must stand in the "
                "metadata where it is not the published default"
            )
        _check_activations(name, outputs, layer.output.size)
        yield f"{prefix}.weight", (outputs, channels, layer.kernel, layer.kernel)
        yield f"{prefix}.bias", (outputs,)
        yield f"{prefix}.affine.weight", (channels, w_dim)
        yield f"{prefix}.affine.bias", (channels,)
        yield f"{prefix}.magnitude_ema", ()
        for part, planned in (("up_filter", layer.up), ("down_filter", layer.down)):
            if planned.shape:
                yield f"{prefix}.{part}", planned.shape
        channels = outputs


def _check_activations(name: str, channels: int, size: int) -> None:
    if channels * size**2 > MAX_ACTIVATIONS:
        raise NetworkError(
            f"the layer {name} puts out {channels} channels of {size}×{size} px, more than any "
            "network"
        )


def _layers(tensors: Mapping[str, Tensor], names: list[str], plan: Plan) -> Iterator[Layer]:
    rates = [layer.output.sampling_rate for layer in plan.layers]
    for name, rate in zip(("input", *names), (plan.input.sampling_rate, *rates), strict=True):
        # A magnitude belongs to the weights that come after it; the rest is the base's in a mix.
        belonging = tuple(
            tensor
            for tensor in tensors
            if tensor.startswith(f"synthesis.{name}.")
            and (not tensor.endswith(BUFFERS) or tensor.endswith(".magnitude_ema"))
        )
        yield Layer(name=name, resolution=rate, tensors=belonging)
