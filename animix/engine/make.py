"""Makes the engine that paints a film: the fast one where it can, else the plain one."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from animix.engine.fast import FastEngine
from animix.engine.operations import Operations
from animix.engine.plain import PlainEngine
from animix.engine.plan import make_plan
from animix.engine.resampling import why_not
from animix.engine.shelf import Shelf
from animix.networks.facts import NetworkFacts
from animix.networks.network import Network
from animix.networks.stylegan2 import is_published_filter, resample_filter
from animix.networks.stylegan3 import layer_filters
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
    stop_resolution: int | None = None,
) -> Engine:
    """The fastest engine for a network that gives shapes and mapping, and the shelf's device."""
    if shelf.device.type != "cuda":
        return PlainEngine(home, shelf, projected, stop_resolution)
    capability = torch.cuda.get_device_capability(shelf.device)
    has_triton = importlib.util.find_spec("triton") is not None
    reason = why_plain(home, capability, has_triton=has_triton)
    if reason is not None:
        note = f"the plain path paints this, far slower: {reason}"
        return PlainEngine(home, shelf, projected, stop_resolution, notes=(note,))
    from animix.engine import kernels

    return FastEngine(home, shelf, projected, make_plan(schedule), kernels, stop_resolution)


def why_plain(home: Network, capability: tuple[int, int], *, has_triton: bool) -> str | None:
    """Why a CUDA device of this compute capability can't paint a network fast; None: it can."""
    if not has_triton:
        return "the fast one needs Triton, which comes with torch for CUDA on Linux"
    if capability < (7, 0):
        return "the fast one needs a GPU of compute capability 7.0 or newer"
    if home.facts.kind == "stylegan3":
        return _why_plain_stylegan3(home)
    if not is_published_filter(resample_filter(home.tensors)):
        return "the network has another resampling filter than 1-3-3-1"
    for layer in home.layers[1:]:
        channels = len(home.tensors[f"synthesis.{layer.name}.weight"])
        if channels & (channels - 1):
            return f"{layer.name} has {channels} channels, the fast one needs powers of two"
    return None


def _why_plain_stylegan3(home: Network) -> str | None:
    plan = home.facts.plan
    assert plan is not None, "the layout gives every StyleGAN3 network a plan"
    *layers, last = plan.layers
    if (last.up.factor, last.down.factor, last.crop) != (1, 1, 0):
        return "its last layer changes the picture's size"
    for layer, planned in zip(home.layers[1:-1], layers, strict=True):
        _, down = layer_filters(home.tensors, layer.name, planned)
        reason = why_not(planned, down)
        if reason is not None:
            return f"{layer.name} has {reason}"
    return None
