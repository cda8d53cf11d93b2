"""The framewise engine: frames painted one by one in plain torch, small ones by threads.

A processor is busiest when each of its cores has a frame of its own; where frames are large, all
cores work on one.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from animix.engine import twins
from animix.engine.framewise_stylegan2 import MixedWeights, synthesize_frame
from animix.engine.graph import is_taken_apart
from animix.engine.noise import NoiseImages
from animix.engine.operations import Operations
from animix.engine.plan import Plan
from animix.engine.shelf import Shelf
from animix.engine.slots import Slots
from animix.engine.stack import Stack
from animix.engine.styles import Styles, prepare
from animix.engine.transfer import upload
from animix.engine.ws import Ws
from animix.interruption import uninterrupted
from animix.networks.network import Network
from animix.networks.step import step
from animix.networks.stylegan2 import resample_filter
from animix.schedule import Row


class FramewiseEngine:
    """Paints the pictures of a cell of rows, in any order: nothing of one cell reaches another.

    What is small is made for a whole cell, pictures for the chosen rows alone. ``home`` gives
    mapping, w_avg, noise images and filters, as for the plain engine.
    """

    operations: Operations = twins

    def __init__(
        self,
        home: Network,
        shelf: Shelf,
        projected: Mapping[str, NDArray[np.float32]],
        plan: Plan,
        stop_resolution: int | None = None,
        notes: Sequence[str] = (),
    ) -> None:
        self.notes = tuple(notes)
        self.home = home
        self.facts = home.facts
        self.device = shelf.device
        self.shelf = shelf
        self.plan = plan
        self.batch_size = plan.batch_size
        # Weights are kept in float32: extrapolated mixes would enlarge a rounding.
        self.stack = Stack(
            home, plan.num_slots, self.device, torch.float32, stop_resolution, one_by_one=True
        )
        self._slots = Slots(self.stack, plan, shelf)
        self._mixed = MixedWeights(self.stack, plan.dtype)
        self._blur = resample_filter(home.tensors)
        self._ws = Ws(home, projected)
        self._noise = NoiseImages(home, plan.dtype)
        self._pool = _pool(plan.num_threads) if plan.num_threads > 1 else None

    def ws(self, row: Row) -> Tensor:
        """The w of a row: [num_ws, w_dim]."""
        return self._ws.of_rows([row])[0]

    def add_latents(self, projected: Mapping[str, NDArray[np.float32]]) -> None:
        """Let rows name further latent files, each w [num_ws, w_dim], until others are added."""
        self._ws.add(projected)

    def pictures(self, rows: Sequence[Row], chosen: slice = slice(None)) -> Tensor:
        """The chosen pictures of a cell's rows: [N, 3, h, w] float32, nominally in [-1, 1]."""
        frames = range(len(rows))[chosen]
        with step("networks"):
            self._slots.put(rows[chosen])
        # Fewer rows, at the end of a film, are filled up: how many there are decides last bits.
        whole = [*rows, *[rows[-1]] * (self.batch_size - len(rows))]
        mix = upload(self._slots.mix(whole).astype(np.float32), self.device)
        with step("w"):
            ws = self._ws.of_rows(whole)
        with step("styles"):
            styles = prepare(self.stack, ws, mix)

        def paint(frame: int) -> Tensor:
            return self._picture(rows[frame], styles.of_frames(slice(frame, frame + 1)))

        return torch.cat(self._side_by_side(paint, frames))

    def _side_by_side(self, paint: Callable[[int], Tensor], frames: range) -> list[Tensor]:
        if self._pool is None or is_taken_apart():
            return [paint(frame) for frame in frames]
        # A Ctrl-C could leave a lock of the pool taken: it waits until the cell is done.
        with uninterrupted():
            return list(self._pool.map(paint, frames))

    @torch.inference_mode()
    def _picture(self, row: Row, styles: Styles) -> Tensor:
        stack, contents = self.stack, self._slots.contents
        shares = styles.shares[:, 0].tolist()
        with step("mixed weights"):
            weights = {
                conv.name: self._mixed.of(conv, shares[place], contents)
                for place, conv in enumerate((*stack.convolutions, *stack.skips))
            }
        with step("noise"):
            noise = self._noise.of_rows([row])
        return synthesize_frame(stack, styles, weights, noise, self._blur, self.plan.dtype)


def _pool(num_threads: int) -> ThreadPoolExecutor:
    """Threads in each of which torch uses one core."""
    pool = ThreadPoolExecutor(num_threads, "painter", _take_one_core)
    all_there = threading.Barrier(num_threads)
    with uninterrupted():
        list(pool.map(lambda _: all_there.wait(), range(num_threads)))
    # Threads made from here on would have one core, too.
    torch.set_num_threads(torch.get_num_threads())
    return pool


def _take_one_core() -> None:
    torch.set_num_threads(1)
    # Asked for the first time in a thread, torch takes the number that was set last, by any thread.
    torch.get_num_threads()
