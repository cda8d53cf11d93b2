"""The device that pictures are painted on: CUDA, Apple's MPS or the CPU."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch

from animix.errors import OptionError, RenderError
from animix.networks.precision import full_float32


def choose_device(name: str | None = None) -> torch.device:
    """The device by name (``cuda``, ``cuda:1``, ``mps``, ``cpu``); None: the fastest at hand."""
    if name is None:
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as exc:
        raise OptionError(f'"{name}" is not a device; expected cuda, cuda:N, mps or cpu') from exc
    at_hand = {
        "cpu": not device.index,
        "cuda": torch.cuda.is_available() and (device.index or 0) < torch.cuda.device_count(),
        "mps": torch.backends.mps.is_available(),
    }
    if device.type not in at_hand:
        raise OptionError(f'animix does not run on "{name}"; expected cuda, cuda:N, mps or cpu')
    if not at_hand[device.type]:
        raise OptionError(
            f'device "{name}" is not at hand here; leave --device out to use the best'
        )
    return device


def keep_freed_memory() -> None:
    """Have glibc keep the memory of activations that are done with for the next ones.

    It gives it back to the system at once, until a large piece was let go: a frame of 128 px then
    takes 900 to 1300 page faults and 10 to 20 % longer.
    """
    torch.empty(31 << 20, dtype=torch.uint8)


@contextlib.contextmanager
def painting(device: torch.device, advice: str = "try --draft or a smaller size") -> Iterator[None]:
    """Full float32 without gradients; memory that is full is a RenderError with an advice."""
    # Streams, graphs and Triton's kernels go to the current device, whatever their tensors are on.
    on_it = torch.cuda.device(device) if device.type == "cuda" else contextlib.nullcontext()
    try:
        with torch.inference_mode(), full_float32(), on_it:
            yield
    except (torch.OutOfMemoryError, MemoryError) as exc:
        raise _out_of_memory(device, advice) from exc
    except RuntimeError as exc:
        if "can't allocate memory" not in str(exc):  # how torch says it on the CPU
            raise
        raise _out_of_memory(device, advice) from exc


def _out_of_memory(device: torch.device, advice: str) -> RenderError:
    return RenderError(f"{device}: out of memory; {advice}")
