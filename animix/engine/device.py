"""The device that pictures are painted on: CUDA, Apple's MPS or the CPU."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

import torch

from animix.engine.memory import CONTEXT_BYTES
from animix.errors import OptionError, RenderError
from animix.networks.precision import full_float32


def choose_device(name: str | None = None) -> torch.device:
    """The device by name (``cuda``, ``cuda:1``, ``mps``, ``cpu``); None: the fastest at hand."""
    if name is None:
        mps = "mps" if torch.backends.mps.is_available() else "cpu"
        name = "cuda" if torch.cuda.is_available() else mps
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
    # Some of torch's functions want to know which one.
    on_cuda = device.type == "cuda" and device.index is None
    return torch.device("cuda", torch.cuda.current_device()) if on_cuda else device


def choose_gpus(text: str) -> tuple[torch.device, ...]:
    """The CUDA devices of ``all``, or of numbers such as ``0,1``; OptionError where one isn't."""
    parts = [part.strip() for part in text.split(",")]
    if parts != ["all"] and not all(part.isascii() and part.isdecimal() for part in parts):
        raise OptionError(f'--gpus "{text[:40]}": expected all, or numbers such as 0,1')
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if count == 0:
        raise OptionError("--gpus: there is no CUDA device here; leave it out to use the best")
    numbers: Sequence[int] = range(count)
    if parts != ["all"]:
        numbers = list(dict.fromkeys(int(part[:9]) for part in parts))
        if missing := [number for number in numbers if number >= count]:
            raise OptionError(
                f"--gpus {text[:40]}: there is no GPU {missing[0]} here; they are numbered 0 to "
                f"{count - 1}"
            )
    # Who paints what is decided by who is free: of another kind, it would paint other last bits.
    kinds = {torch.cuda.get_device_name(number): number for number in numbers}
    if len(kinds) > 1:
        named = ", ".join(f"{number} is a {name}" for name, number in kinds.items())
        raise OptionError(f"--gpus {text[:40]}: expected GPUs of one kind, but {named}")
    return tuple(torch.device("cuda", number) for number in numbers)


SPARE_MEMORY = 0.05
"""Of a card: what a desktop or another program has of it at the least."""


def memory_of(device: torch.device) -> int:
    """The bytes that may be taken of a CUDA device if nobody says: nearly all, whatever is free.

    Were it what is free just now, a plan would follow from the moment, and so would its bytes.
    """
    total: int = torch.cuda.get_device_properties(device).total_memory
    return int((1 - SPARE_MEMORY) * total)


def limit_memory(device: torch.device, memory_bytes: int | None) -> None:
    """Let tensors on a CUDA device take no more than so many bytes, the device's own included.

    None takes a limit away that was set for another film.
    """
    if device.type != "cuda":
        if memory_bytes is not None:
            raise OptionError(
                f"--memory limits a GPU's memory, and this is painted on the {device}"
            )
        return
    fraction = 1.0
    if memory_bytes is not None:
        total = torch.cuda.get_device_properties(device).total_memory
        fraction = min(1.0, max(0.0, memory_bytes - CONTEXT_BYTES) / total)
    torch.cuda.set_per_process_memory_fraction(fraction, device)


def memory_of_film(
    devices: Sequence[torch.device], memory_bytes: int | None, films_at_a_time: int = 1
) -> int | None:
    """What a film's plan may take of each of its devices; None: nearly all, or it is no GPU.

    A plan follows from the memory, and all devices must have the same. So many ``films_at_a_time``
    share it evenly.
    """
    several = max(len(devices), films_at_a_time) > 1
    if devices[0].type != "cuda" or not several:
        return memory_bytes
    usable = min(memory_of(device) for device in devices)
    return min(usable, memory_bytes or usable) // films_at_a_time


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
