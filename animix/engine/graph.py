"""A captured graph: thousands of small launches recorded once and replayed as one."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from contextvars import ContextVar

import torch
from torch import Tensor

from animix.engine.transfer import new_stream

_CAPTURING = threading.Lock()
"""torch empties every device's cache before it captures, and none may be captured on meanwhile."""


_TAKEN_APART: ContextVar[bool] = ContextVar("taken_apart", default=False)


@contextlib.contextmanager
def taken_apart() -> Iterator[None]:
    """Paint step by step, without graphs, streams and threads, so that each can be measured."""
    token = _TAKEN_APART.set(True)
    try:
        yield
    finally:
        _TAKEN_APART.reset(token)


def is_taken_apart() -> bool:
    """Whether what is painted now is measured step by step."""
    return _TAKEN_APART.get()


class Captured:
    """A function of tensors, recorded as a CUDA graph when it is first called.

    Inputs have the same shapes at every call and are never changed in place. The result is the same
    tensor each time: it must be used, on the same stream, before the next call. On other devices
    the function is just called.
    """

    def __init__(self, function: Callable[..., Tensor]) -> None:
        self.function = function
        self._graph: torch.cuda.CUDAGraph | None = None
        self._inputs: list[Tensor] = []
        self._given: Sequence[Tensor] = ()
        self._result: Tensor | None = None

    def __call__(self, *inputs: Tensor) -> Tensor:
        """The function's result for these inputs."""
        if inputs[0].device.type != "cuda" or is_taken_apart():
            return self.function(*inputs)
        if self._graph is None:
            with _CAPTURING:
                self._capture(inputs)
        assert self._graph is not None and self._result is not None
        for held, given, last in zip(self._inputs, inputs, self._given, strict=True):
            if given is not last:  # what stays the same, as fixed noise does, is not copied again
                held.copy_(given)
        self._given = inputs
        self._graph.replay()
        return self._result

    def _capture(self, inputs: Sequence[Tensor]) -> None:
        self._inputs = [given.clone() for given in inputs]
        self._given = inputs
        stream = new_stream(inputs[0].device)
        stream.wait_stream(torch.cuda.current_stream())
        # Once without recording: kernels are compiled and libraries make their workspaces.
        with torch.cuda.stream(stream):
            self.function(*self._inputs)
        torch.cuda.current_stream().wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        # Torch's own stream for this is on the device that was captured on first. Other threads may
        # read networks into pinned memory meanwhile.
        mode = "thread_local"
        with torch.cuda.graph(graph, stream=stream, capture_error_mode=mode):
            result = self.function(*self._inputs)
        self._graph, self._result = graph, result
