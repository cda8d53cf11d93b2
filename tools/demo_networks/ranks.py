"""Ranks: processes that train one network together, each on a GPU of its own.

    torchrun --nproc-per-node 2 -m tools.demo_networks.build

Each shows its share of every batch; gradients are averaged, so all of them hold the same weights.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta

import torch
from torch import Tensor, distributed

PATIENCE = timedelta(hours=1)
"""So long the others wait for the first, which draws the pictures."""


@dataclass(frozen=True)
class Ranks:
    """Which of so many processes this is."""

    rank: int = 0
    count: int = 1

    @property
    def is_first(self) -> bool:
        """Whether this is the one that writes files and tells how it goes."""
        return self.rank == 0

    def average(self, tensors: Iterable[Tensor]) -> None:
        """Replace tensors by their mean over all ranks; in one message, for each costs a wait."""
        if self.count == 1:
            return
        held = list(tensors)
        message = torch.cat([tensor.flatten() for tensor in held])
        distributed.all_reduce(message)
        message /= self.count
        sizes = [tensor.numel() for tensor in held]
        means = message.split(sizes)
        torch._foreach_copy_(held, [m.view_as(t) for m, t in zip(means, held, strict=True)])

    def gathered(self, values: Tensor) -> Tensor:
        """The values [N] of all ranks, one after the other."""
        if self.count == 1:
            return values
        parts = [torch.empty_like(values) for _ in range(self.count)]
        distributed.all_gather(parts, values.contiguous())
        return torch.cat(parts)

    def any(self, flag: bool, device: torch.device) -> bool:
        """Whether the flag is set in one of the ranks."""
        if self.count == 1:
            return flag
        found = torch.tensor(int(flag), device=device)
        distributed.all_reduce(found, distributed.ReduceOp.MAX)
        return bool(found)

    def wait(self) -> None:
        """Wait until all ranks are here."""
        if self.count > 1:
            distributed.barrier()


ALONE = Ranks()


@contextlib.contextmanager
def joined(name: str | None = None) -> Iterator[tuple[Ranks, torch.device]]:
    """The ranks that torchrun has started, and this one's device: by its name, or a GPU if any.

    A rank sees no GPU but its own: then all compile the same code, and take it from one cache.
    """
    count = int(os.environ.get("WORLD_SIZE", "1"))
    if count > 1:
        local = int(os.environ["LOCAL_RANK"])
        visible = os.environ.get("CUDA_VISIBLE_DEVICES", "")
        os.environ["CUDA_VISIBLE_DEVICES"] = visible.split(",")[local] if visible else str(local)
    device = chosen_device(name)
    if count == 1:
        yield ALONE, device
        return
    on_gpu = device.type == "cuda"
    distributed.init_process_group(
        "nccl" if on_gpu else "gloo",
        timeout=PATIENCE,
        device_id=torch.device("cuda", 0) if on_gpu else None,
    )
    try:
        yield Ranks(distributed.get_rank(), distributed.get_world_size()), device
    finally:
        distributed.destroy_process_group()


def chosen_device(name: str | None) -> torch.device:
    """The device by its name; None: a GPU where there is one."""
    return torch.device(name or ("cuda" if torch.cuda.is_available() else "cpu"))
