"""A step of painting, by whose name a profile tells how long it takes."""

from __future__ import annotations

from contextlib import AbstractContextManager

from torch.profiler import record_function

PREFIX = "animix: "


def step(name: str) -> AbstractContextManager[object]:
    """What happens in the block is the step of this name; steps don't lie in one another."""
    return record_function(PREFIX + name)
