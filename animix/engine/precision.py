"""Precision: the kind of number that pictures are painted in, by device."""

from __future__ import annotations

import subprocess
import sys
from functools import lru_cache
from pathlib import Path

import torch

from animix.errors import OptionError

PRECISIONS = {
    "float32": torch.float32,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
}

OF_DEVICE = {
    "cuda": ("float16", "float32"),
    "mps": ("float32", "float16"),
    "cpu": ("float32", "bfloat16"),
}
"""What a device paints in, its default first; a processor's follows its flags."""

WHY_NOT = {
    ("cuda", "bfloat16"): "it is as fast as float16 there and ten times less exact",
    ("mps", "bfloat16"): "not every Mac has it",
    ("cpu", "float16"): "processors are slow at it",
}

SPEED_UP_BFLOAT16 = frozenset({"amx_bf16", "avx512_bf16", "bf16"})
"""The flags of Intel's and AMD's processors, as Linux calls them, and of Arm's."""


def choose_precision(device: torch.device, name: str | None = None) -> torch.dtype:
    """What a device paints in: by name, or None: the fastest that can't be told from float32."""
    if name is None:
        by_flags = device.type == "cpu" and speeds_up_bfloat16()
        return PRECISIONS["bfloat16" if by_flags else OF_DEVICE[device.type][0]]
    if name not in PRECISIONS:
        raise OptionError(f'precision is "{name}", expected one of {", ".join(PRECISIONS)}')
    if name not in OF_DEVICE[device.type]:
        raise OptionError(
            f"{name} is not painted in on {device.type}: {WHY_NOT[device.type, name]}; take "
            f"{' or '.join(OF_DEVICE[device.type])}"
        )
    return PRECISIONS[name]


def speeds_up_bfloat16() -> bool:
    """Whether this processor has instructions for bfloat16, and torch the library to use them."""
    has_library: bool = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]  # in torch
    return has_library and bool(SPEED_UP_BFLOAT16 & processor_flags())


@lru_cache
def processor_flags() -> frozenset[str]:
    """What the processor can do, by the names that the system gives; empty where it doesn't tell.

    Linux tells it in a file, macOS by a command, of which only Arm's bfloat16 is asked for.
    """
    if sys.platform == "darwin":
        return frozenset({"bf16"}) if _sysctl("hw.optional.arm.FEAT_BF16") == "1" else frozenset()
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return frozenset()
    return flags_of(lines)


def flags_of(cpuinfo: list[str]) -> frozenset[str]:
    """The flags that the lines of /proc/cpuinfo tell: those that every core has.

    >>> sorted(flags_of(["model name: x", "flags\\t\\t: sse avx512_bf16"]))
    ['avx512_bf16', 'sse']
    """
    parts = [line.partition(":") for line in cpuinfo]
    told = [set(text.split()) for name, _, text in parts if name.strip() in ("flags", "Features")]
    return frozenset(set.intersection(*told)) if told else frozenset()


def _sysctl(name: str) -> str:
    command = ["/usr/sbin/sysctl", "-n", name]
    try:
        told = subprocess.run(command, capture_output=True, text=True, timeout=5, check=False)
    except (OSError, subprocess.SubprocessError):
        return ""
    return told.stdout.strip()
