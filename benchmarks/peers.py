"""Other programs' generators, loaded from checkouts of theirs that are not part of this project."""

from __future__ import annotations

import importlib
import sys
import types
from pathlib import Path
from typing import Any

import torch


def nvlabs_generator(directory: Path, tensors: dict[str, torch.Tensor], **settings: Any) -> Any:
    """The StyleGAN2 generator of a checkout of NVlabs/stylegan3, in float32, with these tensors.

    Settings are those of its constructor. What keeps the checkout from loading beside newer
    packages, and no generator needs, is filled in: ``requests``, and ``pkg_resources``, of which it
    compares versions.
    """
    for name in ("requests", "pkg_resources"):
        try:
            importlib.import_module(name)
        except ImportError:
            sys.modules[name] = types.ModuleType(name)
    versions = sys.modules["pkg_resources"]
    if not hasattr(versions, "parse_version"):
        versions.parse_version = _release  # type: ignore[attr-defined]  # a module made here
    sys.path.insert(0, str(directory))
    try:
        generator = importlib.import_module("training.networks_stylegan2").Generator
    finally:
        sys.path.remove(str(directory))
    made = generator(c_dim=0, img_channels=3, num_fp16_res=0, **settings)
    missing, unexpected = made.load_state_dict(tensors, strict=False)
    if unexpected or not all(name.endswith("resample_filter") for name in missing):
        raise ValueError(f"these tensors are another network's: {missing}, {unexpected}")
    return made.eval().requires_grad_(False)


def _release(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("+")[0].split(".")[:2])
