"""Tiny random StyleGAN2 networks for the tests: tensors in the published layout, or a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor


def tiny_tensors(
    img_resolution: int = 16,
    channels: int = 8,
    w_dim: int = 16,
    c_dim: int = 0,
    architecture: str = "skip",
    seed: int = 0,
    num_mapping_layers: int = 2,
    z_dim: int | None = None,
) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Return random tensors in which every one matters to the picture, and their metadata."""
    rng = np.random.default_rng(seed)
    tensors: dict[str, Tensor] = {}
    z_dim = w_dim if z_dim is None else z_dim

    def draw(name: str, *shape: int, scale: float = 1, around: float = 0) -> None:
        values = around + scale * rng.standard_normal(shape)
        tensors[name] = torch.from_numpy(np.asarray(values, dtype=np.float32))

    def affine(name: str, size: int) -> None:
        draw(f"{name}.affine.weight", size, w_dim)
        draw(f"{name}.affine.bias", size, scale=0.1, around=1)

    def convolution(name: str, resolution: int) -> None:
        affine(name, channels)
        draw(f"{name}.weight", channels, channels, 3, 3)
        draw(f"{name}.bias", channels, scale=0.1)
        draw(f"{name}.noise_strength", scale=0.1)
        draw(f"{name}.noise_const", resolution, resolution)

    if c_dim:
        draw("mapping.embed.weight", w_dim, c_dim)
        draw("mapping.embed.bias", w_dim, scale=0.1)
    for index in range(num_mapping_layers):
        size = w_dim if index else z_dim + (w_dim if c_dim else 0)
        draw(f"mapping.fc{index}.weight", w_dim, size, scale=100)
        draw(f"mapping.fc{index}.bias", w_dim, scale=10)
    draw("mapping.w_avg", w_dim, scale=0.5)

    resolution = 4
    draw("synthesis.b4.const", channels, 4, 4)
    while resolution <= img_resolution:
        block = f"synthesis.b{resolution}"
        if resolution > 4:
            convolution(f"{block}.conv0", resolution)
            if architecture == "resnet":
                draw(f"{block}.skip.weight", channels, channels, 1, 1)
        convolution(f"{block}.conv1", resolution)
        if architecture == "skip" or resolution == img_resolution:
            affine(f"{block}.torgb", channels)
            draw(f"{block}.torgb.weight", 3, channels, 1, 1)
            draw(f"{block}.torgb.bias", 3, scale=0.1)
        resolution *= 2

    metadata = {
        "architecture": f"stylegan2-{architecture}",
        "img_resolution": str(img_resolution),
        "z_dim": str(z_dim),
        "w_dim": str(w_dim),
        "c_dim": str(c_dim),
        "mapping_layers": str(num_mapping_layers),
        "conv_clamp": "none",
    }
    return tensors, metadata


def relative_of(
    tensors: dict[str, Tensor], amount: float = 0.1, seed: int = 1
) -> dict[str, Tensor]:
    """Return a fine-tuned-like relative: what is trained moves, buffers stay as they are."""
    rng = np.random.default_rng(seed)
    relative = {}
    for name, tensor in tensors.items():
        if name.endswith(("w_avg", "noise_const", "resample_filter")):
            relative[name] = tensor
        else:
            spread = tensor.abs().mean().item()
            change = torch.from_numpy(np.asarray(rng.standard_normal(tensor.shape), np.float32))
            relative[name] = tensor + amount * spread * change
    return relative


def write_tensors(path: Path, tensors: dict[str, Tensor], metadata: dict[str, str]) -> Path:
    """Write tensors as a safetensors file."""
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, path, metadata)
    return path


def write_tiny(path: Path, **tiny: Any) -> Path:
    """Write a tiny random network as a safetensors file; arguments as for ``tiny_tensors``."""
    return write_tensors(path, *tiny_tensors(**tiny))
