"""The plain engine: a row of the schedule → a Picture, in plain torch and float32."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from animix.engine import twins
from animix.engine.noise import NoiseImages
from animix.engine.operations import Operations
from animix.engine.shelf import Shelf
from animix.engine.ws import Ws
from animix.networks.blend import mix_buffers, mix_tensors
from animix.networks.extent import SQUARE, Extent
from animix.networks.network import Network
from animix.networks.step import step
from animix.schedule import Row


class PlainEngine:
    """Paints the picture of any row, in any order: nothing of one reaches another.

    A cell is one frame.

    ``home`` is a network of the blend's shapes that gives mapping, w_avg, noise images and filters
    to every mix; ``shelf`` has the networks that are mixed, one for each column of a row's mix;
    ``projected`` has the w [num_ws, w_dim] of each latent file.
    """

    batch_size = 1
    plan = None
    operations: Operations = twins

    def __init__(
        self,
        home: Network,
        shelf: Shelf,
        projected: Mapping[str, NDArray[np.float32]],
        stop_resolution: int | None = None,
        extent: Extent = SQUARE,
        notes: Sequence[str] = (),
    ) -> None:
        self.notes = tuple(notes)
        self.facts = home.facts
        self.device = shelf.device
        self.shelf = shelf
        self._buffers = mix_buffers(home)
        # Its own layers are let go: every mix is written over them.
        self._network = home.with_tensors(self._buffers)
        self._ws = Ws(home, projected)
        # Of the square picture: the network continues its noise images itself.
        self._noise = NoiseImages(home, torch.float32)
        self._stop_resolution = stop_resolution
        self._extent = extent

    def ws(self, row: Row) -> Tensor:
        """The w of a row, seeds truncated and projected files as they are: [num_ws, w_dim]."""
        return self._ws.of_rows([row])[0]

    def add_latents(self, projected: Mapping[str, NDArray[np.float32]]) -> None:
        """Let rows name further latent files, each w [num_ws, w_dim], until others are added."""
        self._ws.add(projected)

    def pictures(self, rows: Sequence[Row], chosen: slice = slice(None)) -> Tensor:
        """The chosen pictures of rows: [N, 3, h, w] float32, nominally in [-1, 1]."""
        return torch.stack([self._picture(row) for row in rows[chosen]])

    def _picture(self, row: Row) -> Tensor:
        used = np.flatnonzero((row.mix != 0).any(axis=0)).tolist()
        with step("networks"):
            networks = self.shelf.take(used)
        with step("mixed weights"):
            mixed = mix_tensors(networks, row.mix[:, used], self._buffers)
        network = self._network.with_tensors({**mixed, **self._noise_images(row)})
        return network.synthesis(
            self._ws.of_rows([row]),
            noise=row.noise.kind if row.noise.kind in ("none", "random") else "const",
            seed=row.noise.seed,
            stop_resolution=self._stop_resolution,
            extent=self._extent,
        )[0]

    def _noise_images(self, row: Row) -> dict[str, Tensor]:
        if row.noise.kind != "loop":
            return {}
        images = self._noise.of_rows([row])
        return {f"synthesis.{name}.noise_const": image[0] for name, image in images.items()}
