"""The fast engine: a batch of the schedule's rows → Pictures, with weights mixed for each frame."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from animix.engine.fast_stylegan2 import (
    NUM_STREAMS,
    Weights,
    mixed_weights,
    shared_weights,
    synthesize,
)
from animix.engine.graph import Captured
from animix.engine.noise import NoiseImages
from animix.engine.operations import Operations
from animix.engine.plan import Plan
from animix.engine.shelf import Shelf
from animix.engine.slots import Slots
from animix.engine.stack import Stack
from animix.engine.styles import Styles, mixing_shares, prepare
from animix.engine.transfer import new_stream, upload
from animix.engine.ws import Ws
from animix.networks.continuation import sides
from animix.networks.extent import SQUARE, Extent
from animix.networks.network import Network
from animix.schedule import Row


class FastEngine:
    """Paints the pictures of a cell of rows, in any order: nothing of one cell reaches another.

    ``home`` gives mapping, w_avg, noise images and filters, as for the plain engine.
    """

    def __init__(
        self,
        home: Network,
        shelf: Shelf,
        projected: Mapping[str, NDArray[np.float32]],
        plan: Plan,
        operations: Operations,
        stop_resolution: int | None = None,
        extent: Extent = SQUARE,
    ) -> None:
        self.notes: tuple[str, ...] = ()
        self.home = home
        self.facts = home.facts
        self.device = shelf.device
        self.shelf = shelf
        self.batch_size = plan.batch_size
        self.stack = Stack(home, plan.num_slots, self.device, plan.dtype, stop_resolution)
        self.plan = plan
        self.extent = extent
        self.operations = operations
        self._ws = Ws(home, projected)
        self._noise = NoiseImages(home, plan.dtype, extent)
        self._slots = Slots(self.stack, plan, shelf)
        self._weights: Weights = {}
        self._shared_by: tuple[object, ...] = ()
        self._silent = {
            conv.name: torch.zeros(
                1, *sides(extent, conv.resolution), dtype=plan.dtype, device=self.device
            )
            for conv in self.stack.convolutions
        }
        on_cuda = self.device.type == "cuda"
        self._streams = [new_stream(self.device) for _ in range(NUM_STREAMS * on_cuda)]
        self._graphs: dict[tuple[bool, bool], Captured] = {}

    def ws(self, row: Row) -> Tensor:
        """The w of a row: [num_ws, w_dim]."""
        return self._ws.of_rows([row])[0]

    def pictures(self, rows: Sequence[Row], chosen: slice = slice(None)) -> Tensor:
        """The chosen pictures of a cell's rows: [N, 3, h, w] float32, nominally in [-1, 1].

        They are overwritten by the next call. Fewer rows, at the end of a film, are filled up with
        the last one.
        """
        num_rows = len(rows)
        rows = [*rows, *[rows[-1]] * (self.batch_size - num_rows)]
        self._slots.put(rows)
        mix = self._slots.mix(rows)
        shared = bool((mix == mix[0]).all())
        shared_by = self._slots.contents, mix[0].tobytes()
        if shared and shared_by != self._shared_by:
            self._share(mix[0])
            self._shared_by = shared_by
        images = {**self._silent, **self._noise.of_rows(rows)}
        noise = [images[conv.name] for conv in self.stack.convolutions]
        key = shared, len(noise[0]) > 1
        if key not in self._graphs:
            self._graphs[key] = Captured(self._paint_shared if shared else self._paint_mixed)
        mix_tensor = upload(mix.astype(np.float32), self.device)
        return self._graphs[key](self._ws.of_rows(rows), mix_tensor, *noise)[:num_rows][chosen]

    def _paint_mixed(self, ws: Tensor, mix: Tensor, *noise: Tensor) -> Tensor:
        styles = prepare(self.stack, ws, mix)
        weights = mixed_weights(self.stack, styles.shares, self.operations)
        return self._synthesized(styles, weights, noise)

    def _paint_shared(self, ws: Tensor, mix: Tensor, *noise: Tensor) -> Tensor:
        return self._synthesized(prepare(self.stack, ws, mix), self._weights, noise)

    def _synthesized(self, styles: Styles, weights: Weights, noise: Sequence[Tensor]) -> Tensor:
        return synthesize(
            self.stack,
            styles,
            weights,
            noise,
            self.operations,
            extent=self.extent,
            streams=self._streams,
        )

    def _share(self, mix: NDArray[np.float64]) -> None:
        """Mix the weights that frames of one mix share, into the same memory as ever."""
        held = upload(mix.astype(np.float32), self.device)
        shares = mixing_shares(self.stack, held[None])
        weights = shared_weights(self.stack, shares, self.operations)
        if not self._weights:
            self._weights = {name: weight.clone() for name, weight in weights.items()}
        else:
            for name, weight in weights.items():
                self._weights[name].copy_(weight)
