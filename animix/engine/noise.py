"""The noise images of frames: fixed, none, new in each frame, or on a closed circle."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from animix.engine.transfer import upload
from animix.networks.continuation import reflected
from animix.networks.extent import SQUARE, Extent
from animix.networks.network import Network
from animix.networks.stylegan2 import const_noise, random_noise
from animix.schedule import Row


class NoiseImages:
    """The noise images of a network's layers for rows, as ``Network`` draws them."""

    def __init__(self, network: Network, dtype: torch.dtype, extent: Extent = SQUARE) -> None:
        self.network, self.dtype, self.extent = network, dtype, extent
        self.fixed = {
            name: image[None].to(dtype)
            for name, image in const_noise(network.facts, network.tensors, extent).items()
        }
        self._circle: dict[str, tuple[Tensor, Tensor]] | None = None

    def of_rows(self, rows: Sequence[Row]) -> Mapping[str, Tensor]:
        """By layer [1 or N, H, W]; empty where there is no noise."""
        kind = rows[0].noise.kind
        if kind == "fixed":
            return self.fixed
        if kind == "none":
            return {}
        if kind == "random":
            network, draws = self.network, [(row.noise.seed, 0) for row in rows]
            drawn = random_noise(network.facts, network.tensors, draws, network.device, self.extent)
            return {name: images[:, 0].to(self.dtype) for name, images in drawn.items()}
        turns = 2 * np.pi * np.array([row.noise.turn for row in rows], dtype=np.float64)
        along = self._tensor(np.cos(turns)), self._tensor(np.sin(turns))
        if self._circle is None:
            self._circle = {
                name: (reflected(fixed, self.extent), reflected(other, self.extent))
                for name, (fixed, other) in noise_circle(self.network).items()
            }
        return {
            name: (along[0] * fixed + along[1] * other).to(self.dtype)
            for name, (fixed, other) in self._circle.items()
        }

    def _tensor(self, values: np.ndarray) -> Tensor:
        return upload(values.astype(np.float32), self.network.device)[:, None, None]


def noise_circle(network: Network) -> dict[str, tuple[Tensor, Tensor]]:
    """For each noise image the two that span a circle through it: cos · fixed + sin · other.

    Both have the same power and are orthogonal, so the power is the same all the way round.
    """
    circle = {}
    for number, layer in enumerate(network.layers):
        fixed = network.tensors.get(f"synthesis.{layer.name}.noise_const")
        if fixed is None:
            continue
        # Drawn on the CPU: the same circle on every device.
        generator = torch.Generator().manual_seed(number)
        other = torch.randn(fixed.shape, generator=generator).to(fixed.device)
        power = fixed.square().sum()
        if power > 0:
            other -= (other * fixed).sum() / power * fixed
        circle[layer.name] = fixed, other * (power / other.square().sum()).sqrt()
    return circle
