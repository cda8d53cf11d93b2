"""The plain engine: a row of the schedule → a Picture, in plain torch and float32."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from animix.engine.shelf import Shelf
from animix.errors import RenderError
from animix.latents import z_of_seed
from animix.networks.blend import mix_buffers, mix_tensors
from animix.networks.mapping import truncated
from animix.networks.network import Network
from animix.schedule import NoiseState, Row

_REMEMBERED = 256
"""Seeds whose w is kept; a path visits a few of them over and over."""


class Engine:
    """Paints the picture of any row, in any order: nothing of one reaches another.

    ``home`` is a network of the blend's shapes that gives mapping, w_avg, noise images and filters
    to every mix; ``shelf`` has the networks that are mixed, one for each column of a row's mix;
    ``projected`` has the w [num_ws, w_dim] of each latent file.
    """

    def __init__(
        self,
        home: Network,
        shelf: Shelf,
        projected: Mapping[str, NDArray[np.float32]],
        *,
        stop_resolution: int | None = None,
    ) -> None:
        self.facts = home.facts
        self.device = shelf.device
        self.shelf = shelf
        self._buffers = mix_buffers(home)
        # Its own layers are let go: every mix is written over them.
        self._network = home.with_tensors(self._buffers)
        self._projected = projected
        self._stop_resolution = stop_resolution
        self._circle: dict[str, tuple[Tensor, Tensor]] | None = None
        self._w_of_seed: dict[tuple[int, int | None], Tensor] = {}

    def picture(self, row: Row) -> Tensor:
        """The picture of a row: [3, h, w] float32, nominally in [-1, 1].

        RenderError where the mix is so far out that numbers overflow.
        """
        used = np.flatnonzero((row.mix != 0).any(axis=0)).tolist()
        mixed = mix_tensors(self.shelf.take(used), row.mix[:, used], self._buffers)
        network = self._network.with_tensors({**mixed, **self._noise_images(row.noise)})
        picture = network.synthesis(
            self.ws(row)[None],
            noise=row.noise.kind if row.noise.kind in ("none", "random") else "const",
            seed=row.noise.seed,
            stop_resolution=self._stop_resolution,
        )[0]
        if not bool(torch.isfinite(picture).all()):
            raise RenderError(
                f"frame {row.index}: this mix makes no picture, its numbers overflow; bring alpha "
                "and truncation nearer to 0..1"
            )
        return picture

    def ws(self, row: Row) -> Tensor:
        """The w of a row, seeds truncated and projected files as they are: [num_ws, w_dim]."""
        w_avg = self._network.tensors["mapping.w_avg"]
        psi = torch.tensor(row.psi, dtype=torch.float32, device=self.device)
        classes = row.labels or ((None, 1.0),)
        ws = torch.zeros(self.facts.num_ws, self.facts.w_dim, device=self.device)
        if row.space == "z":
            z = np.sum([weight * self._z(source) for source, weight in row.latents], axis=0)
            for label, share in classes:
                ws += share * self._map(z, label)
            return truncated(ws[None], w_avg, psi)[0]
        for source, weight in row.latents:
            if isinstance(source, str):
                ws += weight * torch.from_numpy(self._projected[source]).to(self.device)
                continue
            for label, share in classes:
                seen = self._mapped(source, label)
                ws += weight * share * truncated(seen[None], w_avg, psi)[0]
        return ws

    def _noise_images(self, noise: NoiseState) -> dict[str, Tensor]:
        if noise.kind != "loop":
            return {}
        if self._circle is None:
            self._circle = noise_circle(self._network)
        angle = 2 * np.pi * noise.turn
        return {
            name: float(np.cos(angle)) * fixed + float(np.sin(angle)) * other
            for name, (fixed, other) in self._circle.items()
        }

    def _z(self, seed: int | str) -> NDArray[np.float64]:
        assert isinstance(seed, int), "the schedule lets no projected file into z"
        return z_of_seed(seed, self.facts.z_dim)

    def _mapped(self, seed: int, label: int | None) -> Tensor:
        if (seed, label) not in self._w_of_seed:
            if len(self._w_of_seed) >= _REMEMBERED:
                self._w_of_seed.clear()
            self._w_of_seed[seed, label] = self._map(self._z(seed), label)
        return self._w_of_seed[seed, label]

    def _map(self, z: NDArray[np.float64], label: int | None) -> Tensor:
        one_hot = None if label is None else np.eye(self.facts.c_dim, dtype=np.float32)[[label]]
        return self._network.mapping(z, one_hot)[0]


def noise_circle(network: Network) -> dict[str, tuple[Tensor, Tensor]]:
    """For each noise image the two that span a circle through it: cos · fixed + sin · other.

    Both have the same power and are orthogonal, so the power is the same all the way round.
    """
    circle = {}
    for number, layer in enumerate(network.layers):
        name = f"synthesis.{layer.name}.noise_const"
        fixed = network.tensors.get(name)
        if fixed is None:
            continue
        # Drawn on the CPU: the same circle on every device.
        generator = torch.Generator().manual_seed(number)
        other = torch.randn(fixed.shape, generator=generator).to(fixed.device)
        power = fixed.square().sum()
        if power > 0:
            other -= (other * fixed).sum() / power * fixed
        circle[name] = fixed, other * (power / other.square().sum()).sqrt()
    return circle
