"""Full float32: what a network paints must not depend on what a program has allowed elsewhere."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

import torch


@contextlib.contextmanager
def full_float32() -> Iterator[None]:
    """Arithmetic in full float32, with no algorithm that is picked by timing.

    By default cuDNN rounds to TF32, an error of 3e-4, and its benchmark may choose another kernel
    in the next run, so that a frame would not get the same bits twice.

    torch has one such setting for all threads: while any of them is in here, it stays as it is.
    """
    _HELD.enter()
    try:
        yield
    finally:
        _HELD.leave()


@contextlib.contextmanager
def _set() -> Iterator[None]:
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        with torch.backends.cudnn.flags(
            enabled=True, benchmark=False, deterministic=True, allow_tf32=False
        ):
            yield
    finally:
        torch.set_float32_matmul_precision(before)


class _Held:
    """The setting, made by the first who enters and taken back by the last who leaves."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._num_inside = 0
        self._setting = contextlib.ExitStack()

    def enter(self) -> None:
        with self._lock:
            if self._num_inside == 0:
                self._setting.enter_context(_set())
            self._num_inside += 1

    def leave(self) -> None:
        with self._lock:
            self._num_inside -= 1
            if self._num_inside == 0:
                self._setting.close()


_HELD = _Held()
