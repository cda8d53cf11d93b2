"""Tiny random networks for the tests: tensors in the published layouts, or a file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor

from animix.checkpoints.load import load_network
from animix.engine import twins
from animix.engine.fast import FastEngine
from animix.engine.plain import PlainEngine
from animix.engine.plan import Plan, place_columns
from animix.film import Film
from animix.networks import stylegan2_layout, stylegan3_layout
from animix.networks.lowpass import lowpass
from animix.networks.stylegan3_plan import Specification, make_plan

BUFFERS = (*stylegan2_layout.BUFFERS, *stylegan3_layout.BUFFERS)


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
    z_dim = w_dim if z_dim is None else z_dim
    draw = Draw(w_dim, seed)

    def convolution(name: str, resolution: int) -> None:
        draw.affine(name, channels)
        draw(f"{name}.weight", channels, channels, 3, 3)
        draw(f"{name}.bias", channels, scale=0.1)
        draw(f"{name}.noise_strength", scale=0.1)
        draw(f"{name}.noise_const", resolution, resolution)

    draw.mapping(num_mapping_layers, z_dim, c_dim)
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
            draw.affine(f"{block}.torgb", channels)
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
    return draw.tensors, metadata


def tiny_stylegan3(
    img_resolution: int = 16,
    channels: int = 8,
    w_dim: int = 16,
    c_dim: int = 0,
    seed: int = 0,
    num_mapping_layers: int = 2,
    channel_base: int = 1 << 30,
    filters: bool = False,
    **settings: Any,
) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Return random tensors of a StyleGAN3 generator and their metadata.

    ``channels`` are the most that a layer has, ``settings`` those of a ``Specification``;
    ``filters`` adds the designed ones, as published files have them.
    """
    settings = {"num_layers": 4, "num_critical": 1, "margin_size": 2} | settings
    spec = Specification(img_resolution, **settings)
    plan = make_plan(spec)
    draw = Draw(w_dim, seed)
    draw.mapping(num_mapping_layers, w_dim, c_dim)

    def width(cutoff: float) -> int:
        return round(min(channel_base / 2 / cutoff, channels))

    inputs = width(plan.input.cutoff)
    directions = draw("synthesis.input.freqs", inputs, 2)
    directions *= 0.9 * plan.input.cutoff / directions.norm(dim=1, keepdim=True)
    draw("synthesis.input.phases", inputs, scale=0.3)
    draw.tensors["synthesis.input.transform"] = torch.eye(3)
    draw("synthesis.input.weight", inputs, inputs)
    draw("synthesis.input.affine.weight", 4, w_dim, scale=0.1)
    draw.tensors["synthesis.input.affine.bias"] = torch.tensor([1.0, 0, 0, 0])
    for index, layer in enumerate(plan.layers):
        coloured = index == spec.num_layers
        outputs = 3 if coloured else width(layer.output.cutoff)
        name = f"synthesis.L{index}_{layer.output.size}_{outputs}"
        draw.affine(name, inputs)
        draw(f"{name}.weight", outputs, inputs, layer.kernel, layer.kernel)
        draw(f"{name}.bias", outputs, scale=0.1)
        draw(f"{name}.magnitude_ema", scale=0.1, around=1)
        for part, planned in (("up_filter", layer.up), ("down_filter", layer.down)):
            if filters and planned.shape:
                draw.tensors[f"{name}.{part}"] = lowpass(
                    planned.taps,
                    planned.cutoff,
                    planned.width,
                    planned.sampling_rate,
                    radial=planned.radial,
                ).clone()
        inputs = outputs
    metadata = {
        "img_resolution": str(img_resolution),
        "c_dim": str(c_dim),
        **{name: str(value).lower() for name, value in settings.items()},
    }
    return draw.tensors, metadata


class Draw:
    """Draws normal numbers into named tensors."""

    def __init__(self, w_dim: int, seed: int) -> None:
        self.tensors: dict[str, Tensor] = {}
        self._w_dim = w_dim
        self._rng = np.random.default_rng(seed)

    def __call__(self, name: str, *shape: int, scale: float = 1, around: float = 0) -> Tensor:
        values = around + scale * self._rng.standard_normal(shape)
        self.tensors[name] = torch.from_numpy(np.asarray(values, dtype=np.float32))
        return self.tensors[name]

    def affine(self, name: str, size: int) -> None:
        self(f"{name}.affine.weight", size, self._w_dim)
        self(f"{name}.affine.bias", size, scale=0.1, around=1)

    def mapping(self, depth: int, z_dim: int, c_dim: int) -> None:
        w_dim = self._w_dim
        if c_dim:
            self("mapping.embed.weight", w_dim, c_dim)
            self("mapping.embed.bias", w_dim, scale=0.1)
        for index in range(depth):
            size = w_dim if index else z_dim + (w_dim if c_dim else 0)
            self(f"mapping.fc{index}.weight", w_dim, size, scale=100)
            self(f"mapping.fc{index}.bias", w_dim, scale=10)
        self("mapping.w_avg", w_dim, scale=0.5)


def relative_of(
    tensors: dict[str, Tensor], amount: float = 0.1, seed: int = 1
) -> dict[str, Tensor]:
    """Return a fine-tuned-like relative: what is trained moves, buffers stay as they are."""
    rng = np.random.default_rng(seed)
    relative = {}
    for name, tensor in tensors.items():
        if name.endswith(BUFFERS):
            relative[name] = tensor
        else:
            spread = tensor.abs().mean().item()
            change = torch.from_numpy(np.asarray(rng.standard_normal(tensor.shape), np.float32))
            relative[name] = tensor + amount * spread * change
    return relative


def plainly(film: Film, **settings: Any) -> Film:
    """Return the same film with the plain engine, the reference; settings are the engine's."""
    if isinstance(film.engine, PlainEngine):
        return film
    settings = {"projected": {}, "extent": film.extent} | settings
    return replace(film, engine=PlainEngine(film.engine.home, film.engine.shelf, **settings))


def fastly(
    film: Film, batch_size: int = 4, dtype: torch.dtype = torch.float32, **settings: Any
) -> Film:
    """Return the same film with the fast engine, the kernels' twins inside."""
    plan = Plan(batch_size, dtype, place_columns(film.schedule, batch_size))
    settings = {"projected": {}, "extent": film.extent} | settings
    shelf = film.engine.shelf
    home = load_network(shelf.files[0])
    return replace(film, engine=FastEngine(home, shelf, plan=plan, operations=twins, **settings))


def write_tensors(path: Path, tensors: dict[str, Tensor], metadata: dict[str, str]) -> Path:
    """Write tensors as a safetensors file."""
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, path, metadata)
    return path


def write_tiny(path: Path, **tiny: Any) -> Path:
    """Write a tiny random network as a safetensors file; arguments as for ``tiny_tensors``."""
    return write_tensors(path, *tiny_tensors(**tiny))
