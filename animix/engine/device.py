"""The device that pictures are painted on: CUDA, Apple's MPS or the CPU."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch

from animix.errors import OptionError, RenderError


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
        "cpu": True,
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


@contextlib.contextmanager
def exact(device: torch.device) -> Iterator[None]:
    """Arithmetic that gives a frame the same bits whenever it is painted; errors as ours.

    Full float32 and no algorithm picked by timing: cuDNN's benchmark may choose another kernel in
    the next run, and TF32 alone is an error of 3e-4.
    """
    try:
        with (
            torch.inference_mode(),
            torch.backends.cudnn.flags(
                enabled=True, benchmark=False, deterministic=True, allow_tf32=False
            ),
        ):
            yield
    except torch.OutOfMemoryError as exc:
        raise RenderError(
            f"{device}: out of memory; try --draft, a smaller size, or --device cpu"
        ) from exc
