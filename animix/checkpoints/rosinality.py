"""Reads and writes the .pt files of rosinality's stylegan2-pytorch.

A training file holds ``g``, ``d``, ``g_ema`` and both optimizers; a converted one ``g_ema`` and
``latent_avg``. Size, depth and channels are told by the shapes of the tensors.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from animix.checkpoints.bounds import Room
from animix.checkpoints.glance import Glance
from animix.checkpoints.state_dict import (
    ALLOWED,
    find_records,
    float32_tensors,
    read_latent_avg,
)
from animix.checkpoints.torch_file import open_torch_file
from animix.checkpoints.w_avg import W_AVG, network_with_w_avg
from animix.errors import NetworkError, OptionError
from animix.interruption import uninterrupted
from animix.networks.facts import show_shape
from animix.networks.network import Network
from animix.networks.shapes import MAX_MAPPING_LAYERS, Shape, mapping_depth
from animix.networks.stylegan2 import is_published_filter, resample_filter
from animix.networks.stylegan2_layout import MAX_RESOLUTION
from animix.whole_file import whole_file

NOISE_SEED = 0

UP_GAIN = 4
"""The stored blur kernels make up for the zeros that upsampling puts between the values."""

# How a tensor lies in such a file: axes of length 1 stand where there is a 0.
ALL = slice(None)
AS_IT_IS = ()
ONE = (0,)
NOISE = (0, 0)
COLOUR = (0, ALL, 0, 0)


@dataclass(frozen=True)
class Pair:
    """A tensor's published name, rosinality's, and the axes that only the latter has."""

    name: str
    theirs: str
    axes: tuple[Any, ...] = AS_IT_IS

    def read(self, stored: Tensor) -> Tensor:
        """The tensor as animix has it; NetworkError if those axes are missing or longer."""
        if stored.ndim >= len(self.axes) and stored.numel():
            found = stored[self.axes]
            if self.write(found).shape == stored.shape:
                return found
        raise NetworkError(
            f"{self.theirs} is {show_shape(stored.shape)}, which is not the layout of "
            "rosinality's Generator"
        )

    def write(self, tensor: Tensor) -> Tensor:
        """The tensor as the file has it."""
        return tensor[tuple(None if axis == 0 else axis for axis in self.axes)]


def pairs(img_resolution: int, depth: int, with_noise: bool = True) -> Iterator[Pair]:
    """Every tensor of a generator with ``depth`` mapping layers but the fixed filters."""
    for index in range(depth):
        for part in ("weight", "bias"):
            yield Pair(f"mapping.fc{index}.{part}", f"style.{index + 1}.{part}")
    yield Pair("synthesis.b4.const", "input.input", ONE)
    for k in range(2, img_resolution.bit_length()):
        block, first = f"synthesis.b{2**k}", 2 * (k - 3)
        layers = [
            ("conv0", f"convs.{first}", first + 1),
            ("conv1", f"convs.{first + 1}", first + 2),
        ]
        if k == 2:
            layers = [("conv1", "conv1", 0)]
        for name, theirs, noise in layers:
            yield from _convolution(f"{block}.{name}", theirs)
            yield Pair(f"{block}.{name}.bias", f"{theirs}.activate.bias")
            if with_noise:
                yield Pair(f"{block}.{name}.noise_strength", f"{theirs}.noise.weight", ONE)
                yield Pair(f"{block}.{name}.noise_const", f"noises.noise_{noise}", NOISE)
        picture = "to_rgb1" if k == 2 else f"to_rgbs.{k - 3}"
        yield from _convolution(f"{block}.torgb", picture)
        yield Pair(f"{block}.torgb.bias", f"{picture}.bias", COLOUR)


def _convolution(name: str, theirs: str) -> Iterator[Pair]:
    yield Pair(f"{name}.weight", f"{theirs}.conv.weight", ONE)
    for part in ("weight", "bias"):
        yield Pair(f"{name}.affine.{part}", f"{theirs}.conv.modulation.{part}")


def is_rosinality(seen: Glance) -> bool:
    """Whether a torch.save file names the tensors of rosinality's generator."""
    return seen.is_torch and b"to_rgb1.conv.modulation.weight" in seen.names


def read_rosinality(path: Path) -> Network:
    """Read ``g_ema`` (or ``g``, or a plain state dict), and nothing else of a training file.

    What the file lacks is made by a fixed seed, and the metadata says so: the average w, and in
    early files the noise images. The original draws those anew for each picture; without them
    pictures would be smoother than any that the training saw.
    """
    with open_torch_file(path, ALLOWED) as file:
        place, records = find_records(file.content, ("input.input",))
        records.pop("latent_avg", None)
        img_resolution, depth = _size(records)
        known = list(pairs(img_resolution, depth))
        kernels = {name for name in records if name.endswith(".kernel")}
        _check_names(records, known, kernels)
        stored = float32_tensors(file, records, Room.of(path))
        average = read_latent_avg(file)
    tensors = {p.name: p.read(stored[p.theirs]) for p in known if p.theirs in stored}
    settings = {"conv_clamp": "none"}
    if place == "g":
        settings["network"] = "g, the file has no average of it (g_ema)"
    if average is not None:
        tensors[W_AVG] = average
    kernel = _blur(stored, kernels)
    if kernel is not None:
        tensors["synthesis.b4.resample_filter"] = kernel
    if not any(name.startswith("noises.") for name in stored):
        tensors |= _noise_images(img_resolution)
        settings["noise"] = f"the file has no noise images: drawn with seed {NOISE_SEED}"
    return network_with_w_avg(tensors, settings)


def _size(records: Mapping[str, Any]) -> tuple[int, int]:
    """Pixels a side, and how many layers the mapping has."""
    pictures = [name for name in records if re.fullmatch(r"to_rgbs\.\d+\.conv\.weight", name)]
    depth = sum(bool(re.fullmatch(r"style\.\d+\.weight", name)) for name in records)
    if len(pictures) > (MAX_RESOLUTION // 8).bit_length():
        raise NetworkError(f"it has {len(pictures)} to_rgbs, more than {MAX_RESOLUTION} px need")
    if not 0 < depth <= MAX_MAPPING_LAYERS:
        raise NetworkError(f"its mapping has {depth} layers, expected 1 to {MAX_MAPPING_LAYERS}")
    return 4 << len(pictures), depth


def _check_names(records: Mapping[str, Any], known: list[Pair], kernels: set[str]) -> None:
    expected = {pair.theirs for pair in known}
    for name in records:
        if name not in expected and name not in kernels:
            raise NetworkError(
                f"the tensor {name} is not one of rosinality's StyleGAN2 Generator; a changed "
                "architecture can't be read"
            )
    for name in expected:
        if name not in records and not name.startswith("noises."):
            raise NetworkError(f"the tensor {name} is missing")
    noises = [name for name in expected if name.startswith("noises.") and name in records]
    images = sum(name.startswith("noises.") for name in expected)
    if noises and len(noises) != images:
        raise NetworkError(f"it has {len(noises)} of {images} noise images")


def _blur(stored: Mapping[str, Tensor], kernels: set[str]) -> Tensor | None:
    """The low-pass filter [T, T], which sums to 1; None for the published 1-3-3-1."""
    found = [stored[name] / UP_GAIN for name in sorted(kernels)]
    if not found:
        return None
    if any(k.shape != found[0].shape or not torch.allclose(k, found[0]) for k in found):
        raise NetworkError("its blur kernels differ from layer to layer, expected one for all")
    return None if is_published_filter(found[0]) else found[0]


def _noise_images(img_resolution: int) -> dict[str, Tensor]:
    rng = np.random.RandomState(NOISE_SEED)
    drawn = {}
    for pair in pairs(img_resolution, 1):
        if pair.name.endswith(".noise_const"):
            resolution = int(pair.name.split(".")[1][1:])
            image = rng.randn(resolution, resolution).astype(np.float32)
            drawn[pair.name] = torch.from_numpy(image)
    return drawn


def discriminator_names(img_resolution: int) -> dict[str, str]:
    """Each tensor of rosinality's Discriminator but the fixed filters, and its published name."""
    names = {
        "convs.0.0.weight": f"b{img_resolution}.fromrgb.weight",
        "convs.0.1.bias": f"b{img_resolution}.fromrgb.bias",
        "final_conv.0.weight": "b4.conv.weight",
        "final_conv.1.bias": "b4.conv.bias",
    }
    for part in ("weight", "bias"):
        names[f"final_linear.0.{part}"] = f"b4.fc.{part}"
        names[f"final_linear.1.{part}"] = f"b4.out.{part}"
    for index in range(1, img_resolution.bit_length() - 2):
        theirs, ours = f"convs.{index}", f"b{img_resolution >> index - 1}"
        names[f"{theirs}.conv1.0.weight"] = f"{ours}.conv0.weight"
        names[f"{theirs}.conv1.1.bias"] = f"{ours}.conv0.bias"
        names[f"{theirs}.conv2.1.weight"] = f"{ours}.conv1.weight"
        names[f"{theirs}.conv2.2.bias"] = f"{ours}.conv1.bias"
        names[f"{theirs}.skip.1.weight"] = f"{ours}.skip.weight"
    return names


def write_rosinality(network: Network, path: Path) -> None:
    """Write ``{"g_ema", "latent_avg"}``, which rosinality's Generator loads with strict=True.

    That Generator knows no clamp: a ``conv_clamp``, made for float16, is left out. OptionError
    for a network that it can't express.
    """
    _check_expressible(network)
    depth = mapping_depth(network.tensors)
    # A network without noise is one whose noise has no strength.
    state = {
        pair.theirs: pair.write(_tensor_or_zeros(network, pair.name))
        for pair in pairs(network.img_resolution, depth)
    }
    kernel = resample_filter(network.tensors) * UP_GAIN
    for block in range(network.img_resolution.bit_length() - 3):
        state[f"convs.{2 * block}.conv.blur.kernel"] = kernel
        state[f"to_rgbs.{block}.upsample.kernel"] = kernel
    content = {"g_ema": state, "latent_avg": network.tensors[W_AVG]}
    with whole_file(path) as part, part.open("wb") as file:
        try:
            # What is raised while torch writes comes out of its compiled code as something else.
            with uninterrupted():
                torch.save(_apart(content), file)
        except RuntimeError as exc:
            reason = exc.__context__ or exc
            raise OptionError(f"{path} can't be written: {str(reason)[:200]}") from exc


def _tensor_or_zeros(network: Network, name: str) -> Tensor:
    if name in network.tensors:
        return network.tensors[name]
    resolution = int(name.split(".")[1][1:])
    return torch.zeros(() if name.endswith("noise_strength") else (resolution, resolution))


def _apart(content: Any) -> Any:
    """The same with tensors that share no memory: a view would be saved with all it views."""
    if isinstance(content, dict):
        return {key: _apart(value) for key, value in content.items()}
    return content.detach().to("cpu", copy=True, memory_format=torch.contiguous_format)


def _check_expressible(network: Network) -> None:
    facts = network.facts
    reason = None
    if facts.kind != "stylegan2":
        reason = f"it is a {facts.kind} network"
    elif facts.architecture != "skip":
        reason = f"its architecture is {facts.architecture}, rosinality's is skip"
    elif facts.c_dim:
        reason = "it is conditional"
    else:
        reason = _other_mapping(network) or _other_channels(network)
    if not reason and tuple(resample_filter(network.tensors).shape) != (4, 4):
        reason = "its resample filter has not 4 taps"
    if reason:
        raise OptionError(
            f"the network can't be written as rosinality's .pt: {reason}; write .safetensors"
        )


def _other_mapping(network: Network) -> str | None:
    for index in range(mapping_depth(network.tensors)):
        shape = tuple(network.tensors[f"mapping.fc{index}.weight"].shape)
        if shape != (network.w_dim, network.w_dim):
            return (
                f"mapping.fc{index} is {show_shape(shape)}, rosinality's layers are all as wide "
                f"as w ({network.w_dim})"
            )
    return None


def _other_channels(network: Network) -> str | None:
    """What differs from 512 channels up to 32 px, then 256·m at 64 px, 128·m at 128 px, …"""
    if network.img_resolution > 1024:
        return f"its pictures have {network.img_resolution} px, rosinality's at most 1024"
    multiplier = 1
    if network.img_resolution >= 64:
        multiplier = max(1, len(network.tensors["synthesis.b64.conv1.weight"]) // 256)
    for name, expected in _channels(network.img_resolution, multiplier):
        shape = tuple(network.tensors[f"synthesis.{name}"].shape[: len(expected)])
        if shape != expected:
            return (
                f"synthesis.{name} has {show_shape(shape)} channels, that of rosinality's "
                f"Generator {show_shape(expected)}"
            )
    return None


def _channels(img_resolution: int, multiplier: int) -> Iterator[tuple[str, Shape]]:
    """How many channels each layer of rosinality's Generator puts out and takes in."""
    inputs = 512
    yield "b4.const", (inputs,)
    for resolution in (2**k for k in range(2, img_resolution.bit_length())):
        outputs = 512 if resolution <= 32 else 16384 * multiplier // resolution
        if resolution > 4:
            yield f"b{resolution}.conv0.weight", (outputs, inputs)
        yield f"b{resolution}.conv1.weight", (outputs, outputs)
        inputs = outputs
