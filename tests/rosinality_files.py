"""Writes .pt files in the layout of rosinality's code: for tests, with random tensors in them."""

from __future__ import annotations

import re
from argparse import Namespace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

KERNEL = torch.tensor([1.0, 3, 3, 1])
KERNEL = KERNEL[:, None] * KERNEL / 16  # sums to 4


def state_dict(tensors: dict[str, Tensor], kernel: Tensor = KERNEL) -> dict[str, Tensor]:
    """A generator's tensors under rosinality's names and in its shapes."""
    state: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        if match := re.fullmatch(r"mapping\.fc(\d+)\.(\w+)", name):
            state[f"style.{int(match[1]) + 1}.{match[2]}"] = tensor
        elif name == "synthesis.b4.const":
            state["input.input"] = tensor[None]
        elif match := re.fullmatch(r"synthesis\.b(\d+)\.(conv0|conv1|torgb)\.(.+)", name):
            k = int(match[1]).bit_length() - 1
            place = f"convs.{2 * k - 6 + int(match[2] == 'conv1')}"
            if match[2] == "torgb":
                place = "to_rgb1" if k == 2 else f"to_rgbs.{k - 3}"
            elif k == 2:
                place = "conv1"
            if match[3] == "noise_const":
                index = 2 * k - (5 if match[2] == "conv0" else 4)
                state[f"noises.noise_{index}"] = tensor[None, None]
            elif match[3] == "noise_strength":
                state[f"{place}.noise.weight"] = tensor[None]
            elif match[3] == "weight":
                state[f"{place}.conv.weight"] = tensor[None]
            elif match[3] == "bias" and match[2] == "torgb":
                state[f"{place}.bias"] = tensor[None, :, None, None]
            elif match[3] == "bias":
                state[f"{place}.activate.bias"] = tensor
            else:
                state[f"{place}.conv.{match[3].replace('affine', 'modulation')}"] = tensor
            if match[2] == "conv0":
                state[f"{place}.conv.blur.kernel"] = kernel
            elif match[2] == "torgb" and k > 2:
                state[f"{place}.upsample.kernel"] = kernel
    return state


def training_file(state: dict[str, Tensor], **beside: Any) -> dict[str, Any]:
    """What a training of rosinality's saves; only ``g_ema`` is the network that is asked for."""
    other = {name: torch.zeros_like(tensor) for name, tensor in state.items()}
    moments = {0: {"step": torch.tensor(3.0), "exp_avg": torch.ones(4)}}
    optimizer = {"state": moments, "param_groups": [{"lr": 0.002, "betas": (0, 0.99)}]}
    return {
        "g": other,
        "d": {"final_linear.0.weight": torch.ones(2, 2)},
        "g_ema": state,
        "g_optim": optimizer,
        "d_optim": optimizer,
        "args": Namespace(path="data", size=8, augment=True),
        "ada_aug_p": 0.25,
        **beside,
    }


def write_torch(path: Path, content: Any, *, zipped: bool = True, protocol: int = 2) -> Path:
    torch.save(content, path, _use_new_zipfile_serialization=zipped, pickle_protocol=protocol)
    return path
