"""Reads networks from safetensors files: tensors with the published names, facts as metadata."""

from __future__ import annotations

from pathlib import Path

import safetensors
import torch
from torch import Tensor

from animix.errors import NetworkError
from animix.networks import stylegan2_layout
from animix.networks.network import Network


def read_safetensors(path: Path) -> Network:
    """Read a generator; what shapes do not tell (``conv_clamp``) stands in the metadata."""
    try:
        with safetensors.safe_open(path, "pt") as file:
            metadata = dict(file.metadata() or {})
            stored = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no dict)
    except (safetensors.SafetensorError, OSError, RuntimeError, ValueError) as exc:
        raise NetworkError(f"the safetensors file is damaged or cut short ({exc})") from exc

    tensors = {
        name: _float32(name, tensor)
        for name, tensor in stored.items()
        if name.startswith(("mapping.", "synthesis."))
    }
    if not stylegan2_layout.is_stylegan2(tensors):
        raise NetworkError(
            "the safetensors file holds no StyleGAN2 generator (no tensor synthesis.b4.const)"
        )
    facts = stylegan2_layout.read_facts(tensors, _conv_clamp(metadata))
    return Network(facts, tensors, metadata)


def _float32(name: str, tensor: Tensor) -> Tensor:
    if not tensor.dtype.is_floating_point:
        raise NetworkError(f"{name} holds {tensor.dtype} numbers, expected floating point")
    return tensor.to(torch.float32)


def _conv_clamp(metadata: dict[str, str]) -> float | None:
    text = metadata.get("conv_clamp", "none")
    if text.lower() == "none":
        return None
    try:
        clamp = float(text)
    except ValueError:
        clamp = 0
    if not 0 < clamp < float("inf"):
        raise NetworkError(f"the metadata conv_clamp is {text!r}, expected a number or none")
    return clamp
