"""Transfers between host and device that neither waits for."""

from __future__ import annotations

from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor


def new_stream(device: torch.device) -> torch.cuda.Stream:
    """A queue of work of its own on a CUDA device."""
    stream: torch.cuda.Stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]  # in torch
    return stream


def upload(values: NDArray[Any], device: torch.device) -> Tensor:
    """An array on the device; the host does not wait for what the device has yet to do."""
    tensor = torch.from_numpy(values)
    # From other memory than pinned a copy waits for its turn on the device, and Python with it.
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor


class Transfer:
    """A tensor on its way to the host, where ``wait`` has it; a device's own work goes on."""

    def __init__(self, values: Tensor, stream: torch.cuda.Stream | None) -> None:
        """``stream`` is the device's for copies; None: the device is the host, or waits."""
        self._event: torch.cuda.Event | None = None
        if stream is None:
            self._host = values.cpu()
            return
        # Torch keeps pinned memory that is let go of and gives it out again: a ring by itself.
        self._host = torch.empty(values.shape, dtype=values.dtype, pin_memory=True)
        stream.wait_stream(torch.cuda.current_stream(values.device))
        with torch.cuda.stream(stream):
            self._host.copy_(values, non_blocking=True)
            # Asleep until then: a core that looks for it over and over is one less for the encoder.
            self._event = torch.cuda.Event(blocking=True)  # type: ignore[no-untyped-call]  # in torch
            self._event.record(stream)
        values.record_stream(stream)

    def wait(self) -> Tensor:
        """The values on the host."""
        if self._event is not None:
            self._event.synchronize()
        return self._host
