"""Full float32: what a network paints must not depend on what a program has allowed elsewhere."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch


@contextlib.contextmanager
def full_float32() -> Iterator[None]:
    """Arithmetic in full float32, with no algorithm that is picked by timing.

    By default cuDNN rounds to TF32, an error of 3e-4, and its benchmark may choose another kernel
    in the next run, so that a frame would not get the same bits twice.
    """
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        with torch.backends.cudnn.flags(
            enabled=True, benchmark=False, deterministic=True, allow_tf32=False
        ):
            yield
    finally:
        torch.set_float32_matmul_precision(before)
