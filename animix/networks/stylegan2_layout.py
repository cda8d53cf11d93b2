"""What a StyleGAN2 checkpoint holds: from its tensors' names and shapes to the network's facts."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

from animix.errors import NetworkError
from animix.networks.facts import Layer, NetworkFacts, show_shape
from animix.networks.settings import NO_SETTINGS, Settings, positive
from animix.networks.shapes import (
    Shape,
    check_finite,
    check_shapes,
    dimensions,
    latent_dims,
    mapping_shapes,
)

BUFFERS = ("w_avg", "noise_const", "resample_filter")
"""Last parts of the names of tensors that are not trained."""

MAX_RESOLUTION = 2048
"""Twice the largest published. A file of a few KiB could ask for pictures of any size."""

FILTER_SHAPES = {shape for taps in range(2, 17, 2) for shape in ((taps,), (taps, taps))}
"""Filters with many taps may be stored as one row, which serves both directions."""


def is_stylegan2(tensors: Mapping[str, Tensor]) -> bool:
    """Whether the names are those of a StyleGAN2 generator."""
    return "synthesis.b4.const" in tensors


def read_facts(tensors: Mapping[str, Tensor], settings: Settings = NO_SETTINGS) -> NetworkFacts:
    """The facts of a generator, all of them read from its shapes but the setting ``conv_clamp``.

    NetworkError names the first tensor that is missing, unknown, of another shape than the
    others call for, or that holds numbers that are not finite.
    """
    architecture = _architecture(tensors)
    img_resolution = _img_resolution(tensors)
    expected = dict(_expected_shapes(tensors, architecture, img_resolution))
    check_shapes(tensors, expected, optional=(".noise_const", ".noise_strength"))
    for name in tensors:
        _check_tensor(name, tensors, expected)

    z_dim, c_dim = latent_dims(tensors)
    parameters = [t.numel() for name, t in tensors.items() if not name.endswith(BUFFERS)]
    return NetworkFacts(
        kind="stylegan2",
        architecture=architecture,
        img_resolution=img_resolution,
        z_dim=z_dim,
        c_dim=c_dim,
        w_dim=_w_dim(tensors),
        num_ws=2 * (img_resolution.bit_length() - 1) - 2,
        layers=tuple(_layers(tensors, img_resolution)),
        num_parameters=sum(parameters),
        conv_clamp=positive(settings, "conv_clamp", None),
    )


def _resolutions(tensors: Mapping[str, Tensor]) -> set[int]:
    found = (re.match(r"synthesis\.b(\d{1,6})\.", name) for name in tensors)
    return {int(match[1]) for match in found if match}


def _img_resolution(tensors: Mapping[str, Tensor]) -> int:
    resolutions = sorted(_resolutions(tensors))
    if not resolutions or resolutions != [4 << k for k in range(len(resolutions))]:
        raise NetworkError(
            f"it has blocks for {', '.join(map(str, resolutions[:12])) or 'no'} px, "
            "expected 4, 8, 16, … without a gap"
        )
    if resolutions[-1] > MAX_RESOLUTION:
        raise NetworkError(
            f"it has blocks up to {resolutions[-1]} px, animix reads networks of up to "
            f"{MAX_RESOLUTION}"
        )
    return resolutions[-1]


def _architecture(tensors: Mapping[str, Tensor]) -> str:
    if any(name.endswith(".skip.weight") for name in tensors):
        return "resnet"
    pictures = {name for name in tensors if name.endswith(".torgb.weight")}
    return "skip" if len(pictures) == len(_resolutions(tensors)) else "orig"


def _w_dim(tensors: Mapping[str, Tensor]) -> int:
    return dimensions(tensors, "synthesis.b4.conv1.affine.weight", 2)[1]


def _expected_shapes(
    tensors: Mapping[str, Tensor], architecture: str, img_resolution: int
) -> Iterator[tuple[str, Shape]]:
    """Each tensor with the shape that the ones before it call for."""
    w_dim = _w_dim(tensors)
    yield from mapping_shapes(tensors, w_dim)

    channels = dimensions(tensors, "synthesis.b4.const", 3)[0]
    yield "synthesis.b4.const", (channels, 4, 4)
    resolution = 4
    while resolution <= img_resolution:
        block = f"synthesis.b{resolution}"
        block_inputs = channels
        for convolution in ("conv1",) if resolution == 4 else ("conv0", "conv1"):
            layer = f"{block}.{convolution}"
            outputs = dimensions(tensors, f"{layer}.weight", 4)[0]
            yield f"{layer}.weight", (outputs, channels, 3, 3)
            yield f"{layer}.bias", (outputs,)
            yield f"{layer}.affine.weight", (channels, w_dim)
            yield f"{layer}.affine.bias", (channels,)
            yield f"{layer}.noise_strength", ()
            yield f"{layer}.noise_const", (resolution, resolution)
            channels = outputs
        if architecture == "resnet" and resolution > 4:
            yield f"{block}.skip.weight", (channels, block_inputs, 1, 1)
        if architecture == "skip" or resolution == img_resolution:
            colours = dimensions(tensors, f"{block}.torgb.weight", 4)[0]
            if colours != 3:
                raise NetworkError(
                    f"it makes pictures with {colours} channels, animix reads RGB networks (3)"
                )
            yield f"{block}.torgb.weight", (3, channels, 1, 1)
            yield f"{block}.torgb.bias", (3,)
            yield f"{block}.torgb.affine.weight", (channels, w_dim)
            yield f"{block}.torgb.affine.bias", (channels,)
        resolution *= 2


def _check_tensor(name: str, tensors: Mapping[str, Tensor], expected: Mapping[str, Shape]) -> None:
    tensor = tensors[name]
    if name.endswith(".resample_filter"):
        if tuple(tensor.shape) not in FILTER_SHAPES:
            raise NetworkError(
                f"{name} is {show_shape(tensor.shape)}, expected an even number of taps, as 4×4"
            )
        # One filter serves the whole network: it is read from the first block.
        first = tensors.get("synthesis.b4.resample_filter")
        if first is None or not torch.equal(tensor, first):
            raise NetworkError(f"{name} differs from synthesis.b4.resample_filter")
    elif name not in expected:
        raise NetworkError(f"the tensor {name} is not one of a StyleGAN2 generator")
    elif name.endswith(".noise_const") and name[:-5] + "strength" not in tensors:
        raise NetworkError(f"the tensor {name[:-5]}strength is missing, expected with {name}")
    elif name.endswith(".noise_strength") and name[:-8] + "const" not in tensors:
        raise NetworkError(f"the tensor {name[:-8]}const is missing, expected with {name}")
    check_finite(name, tensor)


def _layers(tensors: Mapping[str, Tensor], img_resolution: int) -> Iterator[Layer]:
    resolution = 4
    while resolution <= img_resolution:
        block = f"b{resolution}"
        first = "const" if resolution == 4 else "conv0"
        for name, prefixes in (
            (f"{block}.{first}", (first, "skip")),
            (f"{block}.conv1", ("conv1", "torgb")),
        ):
            belonging = tuple(f"synthesis.{block}.{prefix}" for prefix in prefixes)
            yield Layer(
                name=name,
                resolution=resolution,
                tensors=tuple(
                    tensor
                    for tensor in tensors
                    if (tensor in belonging or tensor.rpartition(".")[0].startswith(belonging))
                    and not tensor.endswith(BUFFERS)
                ),
            )
        resolution *= 2
