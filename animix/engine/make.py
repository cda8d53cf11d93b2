"""Makes the engine that paints a film: the fast one where it can, else the plain one."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from animix.engine.device import memory_of
from animix.engine.fast import FastEngine
from animix.engine.operations import Operations
from animix.engine.plain import PlainEngine
from animix.engine.plan import make_plan
from animix.engine.shelf import Shelf
from animix.networks.facts import NetworkFacts
from animix.networks.network import Network
from animix.networks.stylegan2 import is_published_filter, resample_filter
from animix.schedule import Row, Schedule


class Engine(Protocol):
    """Paints cells of ``batch_size`` rows, in any order: nothing of one reaches another."""

    facts: NetworkFacts
    device: torch.device
    shelf: Shelf
    batch_size: int
    operations: Operations
    notes: tuple[str, ...]

    def ws(self, row: Row) -> Tensor:
        """The w of a row: [num_ws, w_dim]."""

    def pictures(self, rows: Sequence[Row]) -> Tensor:
        """The pictures of a cell's rows."""


def make_engine(
    home: Network,
    shelf: Shelf,
    projected: Mapping[str, NDArray[np.float32]],
    schedule: Schedule,
    canvas_size: tuple[int, int],
    memory_bytes: int | None = None,
    stop_resolution: int | None = None,
) -> Engine:
    """The fastest engine for a network that gives shapes and mapping, and the shelf's device.

    ``memory_bytes``: what may be taken of a GPU's memory; None: nearly all of it. OptionError where
    that isn't enough.
    """
    if shelf.device.type != "cuda":
        return PlainEngine(home, shelf, projected, stop_resolution)
    capability = torch.cuda.get_device_capability(shelf.device)
    has_triton = importlib.util.find_spec("triton") is not None
    reason = why_plain(home, capability, has_triton=has_triton)
    if reason is not None:
        note = f"the plain path paints this, far slower: {reason}"
        return PlainEngine(home, shelf, projected, stop_resolution, notes=(note,))
    from animix.engine import kernels

    usable = memory_of(shelf.device) if memory_bytes is None else memory_bytes
    plan = make_plan(schedule, home, canvas_size, usable, stop_resolution=stop_resolution)
    return FastEngine(home, shelf, projected, plan, kernels, stop_resolution)


def why_plain(home: Network, capability: tuple[int, int], *, has_triton: bool) -> str | None:
    """Why a CUDA device of this compute capability can't paint a network fast; None: it can."""
    if not has_triton:
        return "the fast one needs Triton, which comes with torch for CUDA on Linux"
    if capability < (7, 0):
        return "the fast one needs a GPU of compute capability 7.0 or newer"
    if home.facts.kind != "stylegan2":
        return f"there is no fast one for {home.facts.kind} yet"
    if not is_published_filter(resample_filter(home.tensors)):
        return "the network has another resampling filter than 1-3-3-1"
    for layer in home.layers[1:]:
        channels = len(home.tensors[f"synthesis.{layer.name}.weight"])
        if channels & (channels - 1):
            return f"{layer.name} has {channels} channels, the fast one needs powers of two"
    return None
