"""VGG16's features, and LPIPS, from a file of the user's own; animix carries and loads none."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.functional import conv2d, max_pool2d, relu

from animix.checkpoints.bounds import Room
from animix.checkpoints.glance import glance
from animix.checkpoints.load import told
from animix.checkpoints.safetensors import read_tensors
from animix.checkpoints.state_dict import float32_tensors
from animix.checkpoints.torch_file import open_torch_file
from animix.errors import NetworkError
from animix.projection.features import Features, Maps

CHANNELS = (64, 64, 128, 128, 256, 256, 256, 512, 512, 512, 512, 512, 512)
PLACES = (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28)
"""Of the convolutions among torchvision's ``features`` (Simonyan and Zisserman 2015, column D)."""
TAPS = (2, 7, 14, 21, 28)
"""After these come the features that LPIPS compares: relu1_2, 2_2, 3_3, 4_3, 5_3."""

MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of ImageNet's colours in [0, 1]: what the published weights were trained on."""

# features.0.weight, net.slice1.0.weight; lin0.model.1.weight, lins.0.1.weight
_CONVOLUTION = re.compile(r"(?:.{,40}\.)?(?:features|slice\d)\.(\d{1,2})\.(weight|bias)")
_LINEAR = re.compile(r"(?:.{,40}\.)?lins?\.?(\d)\..{,40}weight")


def read_vgg(path: str | Path, device: torch.device) -> Features:
    """The features of a VGG16 in torchvision's names, of LPIPS where the file weighs channels.

    A safetensors file or one of torch.save's: ``features.0.weight`` …, or LPIPS' own
    ``net.slice1.0.weight`` … with ``lin0.model.1.weight`` …. NetworkError, beginning with the path,
    for any other.
    """
    path = Path(path)
    with told(path):
        if not path.is_file():
            raise NetworkError("there is no such file" if not path.exists() else "it is no file")
        return vgg_features({n: t.to(device) for n, t in _tensors(path).items()})


def vgg_features(tensors: Mapping[str, Tensor]) -> Features:
    """The features of tensors with such names; NetworkError names what is missing."""
    found: dict[str, Tensor] = {}
    linear: dict[int, Tensor] = {}
    for name, tensor in tensors.items():
        if match := _CONVOLUTION.fullmatch(name):
            found[f"{match[1]}.{match[2]}"] = tensor
        elif match := _LINEAR.fullmatch(name):
            linear[int(match[1])] = tensor.reshape(-1)
    inputs = 3
    for place, outputs in zip(PLACES, CHANNELS, strict=True):
        for part, shape in (("weight", (outputs, inputs, 3, 3)), ("bias", (outputs,))):
            stored = found.get(f"{place}.{part}")
            if stored is None or tuple(stored.shape) != shape:
                told_shape = "missing" if stored is None else f"{list(stored.shape)}"
                raise NetworkError(
                    f"features.{place}.{part} is {told_shape}, expected VGG16's {list(shape)}, in "
                    "torchvision's names or LPIPS'"
                )
        inputs = outputs
    weights = None
    if linear:
        sizes = [CHANNELS[PLACES.index(tap)] for tap in TAPS]
        if sorted(linear) != list(range(5)) or [len(linear[n]) for n in range(5)] != sizes:
            raise NetworkError("its lin weights are not the five of LPIPS for VGG16")
        weights = tuple(linear[n] for n in range(5))

    def extract(images: Tensor) -> Maps:
        mean, deviation = images.new_tensor(MEAN), images.new_tensor(DEVIATION)
        x = ((images + 1) / 2 - mean[:, None, None]) / deviation[:, None, None]
        maps: Maps = []
        for place in PLACES:
            if place in (5, 10, 17, 24):
                x = max_pool2d(x, 2)
            weight, bias = (found[f"{place}.{part}"] for part in ("weight", "bias"))
            x = relu(conv2d(x, weight, bias, padding=1))
            if place in TAPS:
                maps.append(x)
        return maps

    return Features("LPIPS (VGG16)" if weights else "VGG16", extract, weights)


def _tensors(path: Path) -> Mapping[str, Tensor]:
    seen = glance(path)
    if seen.is_safetensors:
        return read_tensors(path)[0]
    if not seen.is_torch:
        raise NetworkError("it is neither a safetensors file nor one that torch.save wrote")
    with open_torch_file(path) as file:
        if not isinstance(file.content, dict):
            raise NetworkError("it holds no state dict")
        names = [n for n in file.content if isinstance(n, str)]
        kept = [n for n in names if _CONVOLUTION.fullmatch(n) or _LINEAR.fullmatch(n)]
        return float32_tensors(file, {n: file.content[n] for n in kept}, Room.of(path))
