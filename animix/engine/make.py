"""Makes the engine that paints a film: the fastest that the device and the networks allow."""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from animix.engine.device import keep_freed_memory, memory_of
from animix.engine.fast import FastEngine
from animix.engine.framewise import FramewiseEngine
from animix.engine.operations import Operations
from animix.engine.plain import PlainEngine
from animix.engine.plan import MAX_SLOTS, Plan, make_framewise_plan, make_plan
from animix.engine.precision import choose_precision, speeds_up_bfloat16
from animix.engine.resampling import why_not
from animix.engine.shelf import Shelf
from animix.engine.stylegan3_stack import filled
from animix.networks.continuation import sides
from animix.networks.extent import SQUARE, Extent
from animix.networks.facts import NetworkFacts
from animix.networks.network import Network
from animix.networks.stylegan2 import is_published_filter, resample_filter
from animix.networks.stylegan3 import layer_filters
from animix.schedule import Row, Schedule

MOST_NUMBERS = 2**31 - 1
"""Of a frame at any layer: the kernels count them in 32 bits."""

STYLEGAN3_TRITON = (3, 4)
"""Its kernels hold rows in tuples, which 3.2 has not, and which 3.3 compiles for compute
capabilities 8.0 to 10.0 alone. Tried by compiling them, with 3.4 and 3.9 down to 7.0."""


class Engine(Protocol):
    """Paints cells of ``batch_size`` rows, in any order: nothing of one reaches another."""

    facts: NetworkFacts
    device: torch.device
    shelf: Shelf
    batch_size: int
    operations: Operations
    notes: tuple[str, ...]

    @property
    def plan(self) -> Plan | None:
        """How it paints, if that had to be planned."""

    def ws(self, row: Row) -> Tensor:
        """The w of a row: [num_ws, w_dim]."""

    def add_latents(self, projected: Mapping[str, NDArray[np.float32]]) -> None:
        """Let rows name further latent files, each w [num_ws, w_dim], until others are added."""

    def pictures(self, rows: Sequence[Row], chosen: slice = slice(None)) -> Tensor:
        """The chosen pictures of a cell's rows."""


def make_engine(
    home: Network,
    shelf: Shelf,
    projected: Mapping[str, NDArray[np.float32]],
    schedule: Schedule,
    *,
    canvas_size: tuple[int, int],
    memory_bytes: int | None = None,
    stop_resolution: int | None = None,
    extent: Extent = SQUARE,
    precision: str | None = None,
) -> Engine:
    """The fastest engine for a network that gives shapes and mapping, and the shelf's device.

    ``home`` is moved to that device, once it is known that memory is enough.
    ``memory_bytes``: what may be taken of a GPU's memory; None: nearly all of it. OptionError where
    that isn't enough, or for a ``precision`` (None: what suits the device) that can't be had.
    """
    device = shelf.device
    dtype = choose_precision(device, precision)

    def plain(*notes: str) -> PlainEngine:
        return PlainEngine(home.to(device), shelf, projected, stop_resolution, extent, notes)

    if device.type == "cuda":
        reason: str | None = "precision is float32"
        if dtype != torch.float32:
            capability = torch.cuda.get_device_capability(device)
            reason = why_plain(home, capability, extent, triton_version=_triton_version())
        if reason is not None:
            return plain(f"the plain path paints this, far slower: {reason}")
        from animix.engine import kernels

        usable = memory_of(device)
        usable = usable if memory_bytes is None else min(usable, memory_bytes)
        plan = make_plan(
            schedule, home, canvas_size, usable, stop_resolution=stop_resolution, extent=extent
        )
        there = home.to(device)
        return FastEngine(there, shelf, projected, plan, kernels, stop_resolution, extent)
    if device.type == "cpu":
        keep_freed_memory()
    if home.facts.kind != "stylegan2" or extent != SQUARE:
        what = home.facts.kind if extent == SQUARE else "fit: extend"
        asked = precision not in (None, "float32")
        return plain(*[f"{what} is painted in float32 on {device.type}"] * asked)
    if device.type == "mps" and dtype == torch.float32:
        return plain()
    notes = []
    if dtype == torch.bfloat16 and not speeds_up_bfloat16():
        notes = ["nothing is known here that speeds bfloat16 up: float32 may be faster"]
    num_threads = torch.get_num_threads() if device.type == "cpu" else 1
    plan = make_framewise_plan(schedule, home, canvas_size, dtype, num_threads)
    if plan.num_slots > MAX_SLOTS:
        # The products of all pairs of so many networks would take gigabytes.
        return plain()
    return FramewiseEngine(home.to(device), shelf, projected, plan, stop_resolution, notes)


def _triton_version() -> tuple[int, int] | None:
    """Major and minor of the Triton that is here, if one is."""
    if importlib.util.find_spec("triton") is None:
        return None
    import triton

    major, minor, *_ = triton.__version__.split(".")
    return int(major), int(minor)


def why_plain(
    home: Network,
    capability: tuple[int, int],
    extent: Extent = SQUARE,
    *,
    triton_version: tuple[int, int] | None,
) -> str | None:
    """Why a CUDA device of this compute capability can't paint a network fast; None: it can."""
    if triton_version is None:
        return "the fast one needs Triton, which comes with torch for CUDA on Linux"
    if capability < (7, 0):
        return "the fast one needs a GPU of compute capability 7.0 or newer"
    if home.facts.kind == "stylegan3":
        if triton_version < STYLEGAN3_TRITON:
            needed, found = (".".join(map(str, v)) for v in (STYLEGAN3_TRITON, triton_version))
            return f"StyleGAN3's fast one needs Triton {needed} or newer, here is {found}"
        return _why_plain_stylegan3(home, extent)
    if not is_published_filter(resample_filter(home.tensors)):
        return "the network has another resampling filter than 1-3-3-1"
    for layer in home.layers[1:]:
        channels = len(home.tensors[f"synthesis.{layer.name}.weight"])
        if channels & (channels - 1):
            return f"{layer.name} has {channels} channels, the fast one needs powers of two"
        height, width = sides(extent, layer.resolution)
        if channels * (height + 1) * (width + 1) > MOST_NUMBERS:
            return f"{layer.name} puts out more than 2^31 numbers"
    return None


def _why_plain_stylegan3(home: Network, extent: Extent) -> str | None:
    plan = home.facts.plan
    assert plan is not None, "the layout gives every StyleGAN3 network a plan"
    *layers, last = plan.layers
    if (last.up.factor, last.down.factor, last.crop) != (1, 1, 0):
        return "its last layer changes the picture's size"
    source = plan.input
    for layer, planned in zip(home.layers[1:-1], layers, strict=True):
        _, down = layer_filters(home.tensors, layer.name, planned)
        reason = why_not(planned, down)
        if reason is not None:
            return f"{layer.name} has {reason}"
        convolved = [side + planned.kernel - 1 for side in source.sides(extent)]
        pixels = max(math.prod(convolved), math.prod(planned.output.sides(extent)))
        if filled(len(home.tensors[f"synthesis.{layer.name}.weight"])) * pixels > MOST_NUMBERS:
            return f"{layer.name} puts out more than 2^31 numbers"
        source = planned.output
    return None
