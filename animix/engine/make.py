"""Makes the engine that paints a film: the fastest that the device and the networks allow."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from animix.engine.device import keep_freed_memory
from animix.engine.fast import FastEngine
from animix.engine.framewise import FramewiseEngine
from animix.engine.operations import Operations
from animix.engine.plain import PlainEngine
from animix.engine.plan import make_framewise_plan, make_plan
from animix.engine.precision import choose_precision, speeds_up_bfloat16
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

    def pictures(self, rows: Sequence[Row], chosen: slice = slice(None)) -> Tensor:
        """The chosen pictures of a cell's rows."""


def make_engine(
    home: Network,
    shelf: Shelf,
    projected: Mapping[str, NDArray[np.float32]],
    schedule: Schedule,
    stop_resolution: int | None = None,
    precision: str | None = None,
) -> Engine:
    """The fastest engine for a network that gives shapes and mapping, the shelf's device, and a
    precision (None: the device's own)."""
    device = shelf.device
    dtype = choose_precision(device, precision)
    if device.type == "cuda":
        reason: str | None = "precision is float32"
        if dtype != torch.float32:
            capability = torch.cuda.get_device_capability(device)
            has_triton = importlib.util.find_spec("triton") is not None
            reason = why_plain(home, capability, has_triton=has_triton)
        if reason is None:
            from animix.engine import kernels

            return FastEngine(home, shelf, projected, make_plan(schedule), kernels, stop_resolution)
        note = f"the plain path paints this, far slower: {reason}"
        return PlainEngine(home, shelf, projected, stop_resolution, notes=[note])
    if device.type == "cpu":
        keep_freed_memory()
    if home.facts.kind != "stylegan2":
        note = f"{home.facts.kind} is painted in float32 on {device.type}"
        notes = [note] if precision not in (None, "float32") else []
        return PlainEngine(home, shelf, projected, stop_resolution, notes=notes)
    if device.type == "mps" and dtype == torch.float32:
        return PlainEngine(home, shelf, projected, stop_resolution)
    notes = []
    if dtype == torch.bfloat16 and not speeds_up_bfloat16():
        notes = ["nothing is known here that speeds bfloat16 up: float32 may be faster"]
    num_threads = torch.get_num_threads() if device.type == "cpu" else 1
    plan = make_framewise_plan(schedule, home, dtype, num_threads)
    return FramewiseEngine(home, shelf, projected, plan, stop_resolution, notes)


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
