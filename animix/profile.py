"""A profile: how long each step of painting a frame takes."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, replace

from torch.profiler import ProfilerActivity
from torch.profiler import profile as record

from animix.engine.graph import taken_apart
from animix.film import Film
from animix.networks.step import PREFIX


@dataclass(frozen=True)
class Profile:
    """Milliseconds of a frame by step, in the order of painting."""

    device: str
    num_frames: int
    """Frames of the cell that was painted."""
    milliseconds: Mapping[str, float]


def profile(film: Film, index: int) -> Profile:
    """Paint the cell of a frame once more, step by step, and measure each.

    That is done without graphs, streams and threads: a render, which has them, takes less than all
    steps together. On CUDA a step's time is that of its kernels.
    """
    on_cuda = film.engine.device.type == "cuda"
    activities = [ProfilerActivity.CPU] + [ProfilerActivity.CUDA] * on_cuda
    # One engine, in this thread: others would not be measured.
    alone, cell = replace(film, more_engines=()), film.cell(index)
    with taken_apart():
        deque(alone.cells(cell), maxlen=0)  # what is made once is made
        with record(activities=activities) as recorded:
            deque(alone.cells(cell), maxlen=0)
    spent: dict[str, float] = {}
    for event in recorded.events() or ():
        # On CUDA each step is told twice, by what the host did and by what the device did.
        if event.name.startswith(PREFIX) and event.device_type.name == "CPU":
            name = event.name.removeprefix(PREFIX)
            microseconds = event.device_time_total if on_cuda else event.cpu_time_total
            spent[name] = spent.get(name, 0.0) + microseconds / 1000 / len(cell)
    return Profile(str(film.engine.device), len(cell), spent)
