"""The fast engine: a batch of the schedule's rows → Pictures, with weights mixed for each frame."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from animix.engine import fast_stylegan2, fast_stylegan3
from animix.engine.fast_stylegan2 import NUM_STREAMS
from animix.engine.graph import Captured, is_taken_apart
from animix.engine.noise import NoiseImages
from animix.engine.operations import Operations
from animix.engine.plan import Plan
from animix.engine.shelf import Shelf
from animix.engine.slots import Slots
from animix.engine.stack import Stack
from animix.engine.stylegan3_stack import Stylegan3Stack
from animix.engine.transfer import new_stream, upload
from animix.engine.ws import Ws
from animix.networks.continuation import sides
from animix.networks.extent import SQUARE, Extent
from animix.networks.network import Network
from animix.networks.step import step
from animix.schedule import Row


class Synthesis(Protocol):
    """How a kind of network is painted; the stack is the one that the kind has."""

    def paint(
        self,
        stack: Any,
        ws: Tensor,
        mix: Tensor,
        weights: Mapping[str, Tensor] | None,
        noise: Sequence[Tensor],
        operations: Operations,
        streams: Sequence[torch.cuda.Stream] = (),
        extent: Extent = SQUARE,
    ) -> Tensor:
        """The pictures [B, 3, H, W] of ws [B, num_ws, w_dim] under a mix [B, L, K].

        Weights are those that the frames share; None: they are mixed for each frame.
        """

    def shared_weights(
        self, stack: Any, mix: Tensor, operations: Operations
    ) -> Mapping[str, Tensor]:
        """The weights of any number of frames with the mix [1, L, K]."""


SYNTHESES: dict[str, Synthesis] = {"stylegan2": fast_stylegan2, "stylegan3": fast_stylegan3}


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
        self.stack: Stack | Stylegan3Stack
        if home.facts.kind == "stylegan3":
            self.stack = Stylegan3Stack(home, plan.num_slots, self.device, plan.dtype)
            noisy: dict[str, int] = {}
        else:
            self.stack = Stack(home, plan.num_slots, self.device, plan.dtype, stop_resolution)
            noisy = {conv.name: conv.resolution for conv in self.stack.convolutions}
        self._synthesis = SYNTHESES[home.facts.kind]
        self.plan = plan
        self.extent = extent
        self.operations = operations
        self._ws = Ws(home, projected)
        self._noise = NoiseImages(home, plan.dtype, extent)
        self._slots = Slots(self.stack, plan, shelf)
        self._weights: dict[str, Tensor] = {}
        self._shared_by: tuple[object, ...] = ()
        self._silent = {
            name: torch.zeros(1, *sides(extent, size), dtype=plan.dtype, device=self.device)
            for name, size in noisy.items()
        }
        on_cuda = self.device.type == "cuda"
        self._streams = [new_stream(self.device) for _ in range(NUM_STREAMS * on_cuda)]
        self._graphs: dict[tuple[bool, bool], Captured] = {}

    def ws(self, row: Row) -> Tensor:
        """The w of a row: [num_ws, w_dim]."""
        return self._ws.of_rows([row])[0]

    def add_latents(self, projected: Mapping[str, NDArray[np.float32]]) -> None:
        """Let rows name further latent files, each w [num_ws, w_dim], until others are added."""
        self._ws.add(projected)

    def pictures(self, rows: Sequence[Row], chosen: slice = slice(None)) -> Tensor:
        """The chosen pictures of a cell's rows: [N, 3, h, w] float32, nominally in [-1, 1].

        They are overwritten by the next call. Fewer rows, at the end of a film, are filled up with
        the last one.
        """
        num_rows = len(rows)
        rows = [*rows, *[rows[-1]] * (self.batch_size - num_rows)]
        with step("networks"):
            self._slots.put(rows)
        mix = self._slots.mix(rows)
        shared = bool((mix == mix[0]).all())
        shared_by = self._slots.contents, mix[0].tobytes()
        if shared and shared_by != self._shared_by:
            self._share(mix[0])
            self._shared_by = shared_by
        with step("noise"):
            images = {**self._silent, **self._noise.of_rows(rows)}
        noise = [images[name] for name in self._silent]
        key = shared, any(len(image) > 1 for image in noise)
        if key not in self._graphs:
            self._graphs[key] = Captured(self._paint_shared if shared else self._paint_mixed)
        with step("w"):
            ws, mix_there = self._ws.of_rows(rows), upload(mix.astype(np.float32), self.device)
        return self._graphs[key](ws, mix_there, *noise)[:num_rows][chosen]

    def _paint_mixed(self, ws: Tensor, mix: Tensor, *noise: Tensor) -> Tensor:
        return self._painted(ws, mix, None, noise)

    def _paint_shared(self, ws: Tensor, mix: Tensor, *noise: Tensor) -> Tensor:
        return self._painted(ws, mix, self._weights, noise)

    def _painted(
        self, ws: Tensor, mix: Tensor, weights: Mapping[str, Tensor] | None, noise: Sequence[Tensor]
    ) -> Tensor:
        # Taken apart, steps must not overlap.
        streams = () if is_taken_apart() else self._streams
        return self._synthesis.paint(
            self.stack, ws, mix, weights, noise, self.operations, streams, self.extent
        )

    def _share(self, mix: NDArray[np.float64]) -> None:
        """Mix the weights that frames of one mix share, into the same memory as ever."""
        held = upload(mix.astype(np.float32), self.device)
        weights = self._synthesis.shared_weights(self.stack, held[None], self.operations)
        if not self._weights:
            self._weights = {name: weight.clone() for name, weight in weights.items()}
        else:
            for name, weight in weights.items():
                self._weights[name].copy_(weight)
