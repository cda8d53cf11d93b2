"""Shapes: which ones a checkpoint's tensors must have, and those of a mapping network."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping

import torch
from torch import Tensor

from animix.errors import NetworkError
from animix.networks.facts import show_shape

Shape = tuple[int, ...]

MAX_MAPPING_LAYERS = 64
"""Eight times as many as published. A small file could ask for thousands."""


def dimensions(tensors: Mapping[str, Tensor], name: str, count: int) -> Shape:
    """The shape of a tensor that must be there with so many dimensions, none of them 0."""
    if name not in tensors:
        raise NetworkError(f"the tensor {name} is missing")
    shape = tuple(tensors[name].shape)
    if len(shape) != count or not all(shape):
        raise NetworkError(
            f"{name} is {show_shape(shape)}, expected {count} dimensions, none of them 0"
        )
    return shape


def mapping_depth(names: Iterable[str]) -> int:
    """How many layers the mapping network has, by the names of a network's tensors.

    >>> mapping_depth(["mapping.fc0.weight", "mapping.fc0.bias", "mapping.fc1.weight"])
    2
    """
    return sum(bool(re.fullmatch(r"mapping\.fc[0-9]+\.weight", name)) for name in names)


def mapping_shapes(tensors: Mapping[str, Tensor], w_dim: int) -> Iterator[tuple[str, Shape]]:
    """Each tensor of the mapping network with the shape that the ones before it call for."""
    yield "mapping.w_avg", (w_dim,)
    depth = mapping_depth(tensors)
    if depth > MAX_MAPPING_LAYERS:
        raise NetworkError(f"its mapping has {depth} layers, expected at most {MAX_MAPPING_LAYERS}")
    outputs = dimensions(tensors, "mapping.fc0.weight", 2)[1]
    if "mapping.embed.weight" in tensors:
        embedding, c_dim = dimensions(tensors, "mapping.embed.weight", 2)
        yield "mapping.embed.weight", (embedding, c_dim)
        yield "mapping.embed.bias", (embedding,)
        if outputs < embedding:
            raise NetworkError(
                f"mapping.fc0.weight takes {outputs} numbers, expected at least the {embedding} "
                "of mapping.embed.weight"
            )
    for index in range(depth):
        inputs = outputs
        outputs = dimensions(tensors, f"mapping.fc{index}.weight", 2)[0]
        if index == depth - 1:
            outputs = w_dim
        yield f"mapping.fc{index}.weight", (outputs, inputs)
        yield f"mapping.fc{index}.bias", (outputs,)


def latent_dims(tensors: Mapping[str, Tensor]) -> tuple[int, int]:
    """How many numbers a z and a label have (no label: 0), once the shapes are checked."""
    inputs = tensors["mapping.fc0.weight"].shape[1]
    embedding = tensors.get("mapping.embed.weight")
    if embedding is None:
        return inputs, 0
    return inputs - embedding.shape[0], embedding.shape[1]


def check_shapes(
    tensors: Mapping[str, Tensor], expected: Mapping[str, Shape], optional: tuple[str, ...]
) -> None:
    """Raise NetworkError for a tensor that is missing or has another shape.

    Names that end as one of ``optional`` does may be missing.
    """
    for name, shape in expected.items():
        if name not in tensors:
            if name.endswith(optional):
                continue
            raise NetworkError(
                f"the tensor {name} is missing, expected with shape {show_shape(shape)}"
            )
        found = tuple(tensors[name].shape)
        if found != shape:
            raise NetworkError(
                f"{name} is {show_shape(found)}, but the other tensors call for {show_shape(shape)}"
            )


def check_finite(name: str, tensor: Tensor) -> None:
    """Raise NetworkError if a tensor holds what no picture can be made from."""
    # The norm takes a tenth of the time; it may overflow although every number is finite.
    norm = torch.linalg.vector_norm(tensor)
    if not math.isfinite(norm.item()) and not bool(torch.isfinite(tensor).all()):
        bad = int((~torch.isfinite(tensor)).sum())
        raise NetworkError(
            f"{name} holds {bad} of {tensor.numel()} numbers that are infinite or not a number "
            "(the training probably diverged: take an earlier snapshot)"
        )
