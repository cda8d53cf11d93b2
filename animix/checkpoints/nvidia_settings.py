"""Settings in NVIDIA's pickles: what a network was built with, as the texts of its metadata."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from animix.checkpoints.numpy_data import array_of, is_array
from animix.checkpoints.nvidia_modules import Module, Snapshot
from animix.errors import NetworkError
from animix.networks.mapping import LR_MULTIPLIER

MAX_SETTINGS = 64
"""A published network has about 20."""

MAX_TEXT = 200
"""Letters in a setting's name or value."""

NONE = Module("", {})

SYNTHESIS = ("img_resolution", "num_layers", "num_critical", "margin_size", "output_scale")
"""What StyleGAN3's synthesis network remembers of what it was built with, defaults included."""


def metadata_of(snapshot: Snapshot) -> dict[str, str]:
    """The arguments that a generator was built with and where it comes from; small and few.

    NetworkError for settings that no synthesis of animix follows.
    """
    modules = snapshot.modules
    check_settings(modules)
    clamp = conv_clamp(modules)
    metadata = _texts(_arguments(modules))
    metadata["conv_clamp"] = "none" if clamp is None else repr(clamp).removesuffix(".0")
    origin = {
        "source_class": modules[""].class_name,
        "source_network": "G (the file has no G_ema)" if snapshot.name == "G" else "",
        "training_set": _training_set(snapshot),
    }
    return metadata | _texts({name: text for name, text in origin.items() if text})


def _arguments(modules: Mapping[str, Module]) -> dict[Any, Any]:
    """The constructor arguments, those of the synthesis network under their own names."""
    arguments = _init_kwargs(modules[""])
    mapping, synthesis = arguments.pop("mapping_kwargs", {}), arguments.pop("synthesis_kwargs", {})
    if isinstance(mapping, dict):
        # StyleGAN3 counts the layers of both halves under one name.
        arguments |= {f"mapping_{name}": value for name, value in mapping.items()}
    if isinstance(synthesis, dict):
        arguments |= synthesis
    if "synthesis.input" in modules:
        half = modules.get("synthesis", NONE)
        arguments |= _init_kwargs(half)
        arguments |= {name: half.state[name] for name in SYNTHESIS if name in half.state}
    return arguments


def _init_kwargs(module: Module) -> dict[Any, Any]:
    found = module.state.get("_init_kwargs")
    return dict(found) if isinstance(found, dict) else {}


def _training_set(snapshot: Snapshot) -> str:
    """The data set's name, without the folders that it was in."""
    found = snapshot.beside.get("training_set_kwargs")
    path = found.get("path") if isinstance(found, dict) else None
    return re.split(r"[/\\]", path.rstrip("/\\"))[-1] if isinstance(path, str) else ""


def _texts(arguments: Mapping[Any, Any]) -> dict[str, str]:
    """Those arguments that are one number, text, yes, no or none, as Python writes them."""
    texts: dict[str, str] = {}
    for name, found in arguments.items():
        value = plain(found)
        text = isinstance(value, str) and len(value) <= MAX_TEXT
        simple = text or value is None or not math.isnan(number(value))
        if isinstance(name, str) and len(name) <= MAX_TEXT and simple:
            texts[name] = str(value) if text else str(value).lower()
        if len(texts) == MAX_SETTINGS:
            break
    return texts


def check_settings(modules: Mapping[str, Module]) -> None:
    """Raise NetworkError for constructor arguments that our synthesis does not follow."""
    for path, module in modules.items():
        state = module.state
        learned = path.startswith("mapping.fc") or path.endswith((".conv0", ".conv1"))
        if learned and state.get("activation", "lrelu") != "lrelu":
            raise NetworkError(f"{path} has another activation than lrelu, the published one")
        if path.startswith("mapping.fc"):
            multiplier = number(state.get("bias_gain", LR_MULTIPLIER))
            if not math.isclose(multiplier, LR_MULTIPLIER):
                raise NetworkError(
                    f"{path} has another learning rate multiplier than {LR_MULTIPLIER}, "
                    "the published one"
                )


def conv_clamp(modules: Mapping[str, Module]) -> float | None:
    """What the synthesis layers clamp to, which is one number for all of them."""
    clamps = {
        number(module.state["conv_clamp"])
        for path, module in modules.items()
        if path.startswith(("synthesis.b", "synthesis.L"))
        and module.state.get("conv_clamp") is not None
    }
    if not clamps:
        return None
    clamp = clamps.pop()
    if clamps or not 0 < clamp < math.inf:
        raise NetworkError("conv_clamp is not one positive number for all layers")
    return clamp


def plain(value: object) -> object:
    """A number of NumPy's as one of Python's; everything else as it is."""
    if not is_array(value):
        return value
    try:
        array = array_of(value, _inline, max_bytes=16)
    except NetworkError:
        return value
    return array.item() if array.shape == () else value


def _inline(data: object) -> bytes:
    if not isinstance(data, bytes):
        raise ValueError("longer than a number")
    return data


def number(value: object) -> float:
    """A number of ordinary size, or NaN for anything else."""
    value = plain(value)
    if isinstance(value, (int, float)) and abs(value) < 2**53:
        return float(value)
    return math.nan
