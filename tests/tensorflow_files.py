"""Writes pickles as the published TensorFlow code does: for tests, with random tensors in them."""

from __future__ import annotations

import pickle
import re
import sys
import types
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

SOURCE = "raise SystemExit('the source in a checkpoint was run')\n"
LAYERS = {"conv0": "Conv0_up", "conv1": "Conv1", "torgb": "ToRGB", "skip": "Skip"}


class Network:
    """A network of ``dnnlib.tflib``: pickles as its name and a state."""

    def __init__(self, **state: Any) -> None:
        self.__dict__.update(state)


Network.__module__ = "dnnlib.tflib.network"


@contextmanager
def published_modules() -> Iterator[None]:
    """Let the names that such pickles use exist, so that pickle writes them."""
    modules = {
        name: types.ModuleType(name) for name in ("dnnlib", "dnnlib.tflib", Network.__module__)
    }
    modules[Network.__module__].Network = Network
    sys.modules.update(modules)
    try:
        yield
    finally:
        for name in modules:
            del sys.modules[name]


def network_record(
    variables: dict[str, Any],
    arguments: dict[str, Any] | None = None,
    components: dict[str, Network] | None = None,
    version: int = 4,
) -> Network:
    return Network(
        version=version,
        name="G",
        static_kwargs=arguments or {},
        components=components or {},
        build_module_src=SOURCE,
        build_func_name="G_main",
        variables=list(variables.items()),
    )


def variables_of(tensors: dict[str, Tensor]) -> tuple[dict[str, Any], dict[str, Any]]:
    """A generator's variables in TensorFlow's layout: the mapping's and the synthesis network's."""
    mapping: dict[str, Any] = {}
    synthesis: dict[str, Any] = {}
    for name, tensor in tensors.items():
        array = tensor.numpy()
        if match := re.fullmatch(r"mapping\.(embed|fc(\d+))\.(weight|bias)", name):
            layer = "LabelEmbed" if match[1] == "embed" else f"Dense{match[2]}"
            mapping[f"{layer}/{match[3]}"] = array.T
        elif name == "synthesis.b4.const":
            synthesis["4x4/Const/const"] = array[None]
        elif match := re.fullmatch(r"synthesis\.b(\d+)\.(\w+)\.(.+)", name):
            size, layer, part = int(match[1]), match[2], match[3]
            theirs = "Conv" if name.startswith("synthesis.b4.conv1") else LAYERS[layer]
            place = f"{size}x{size}/{theirs}"
            k = size.bit_length() - 1
            if part == "noise_const":
                index = 2 * k - (5 if layer == "conv0" else 4)
                synthesis[f"noise{index}"] = array[None, None]
            elif part == "weight":
                turned = array[:, :, ::-1, ::-1] if layer == "conv0" else array
                synthesis[f"{place}/weight"] = turned.transpose(2, 3, 1, 0)
            elif part == "affine.weight":
                synthesis[f"{place}/mod_weight"] = array.T
            elif part == "affine.bias":
                synthesis[f"{place}/mod_bias"] = array - 1
            elif part == "noise_strength":
                synthesis[f"{place}/noise_strength"] = np.float32(array)
            else:
                synthesis[f"{place}/{part}"] = array
    return mapping, synthesis


def generator(
    tensors: dict[str, Tensor],
    arguments: dict[str, Any] | None = None,
    *,
    mapping: dict[str, Any] | None = None,
    synthesis: dict[str, Any] | None = None,
    version: int = 4,
) -> Network:
    """A generator's record; variables given for a component take the place of its own."""
    own_mapping, own_synthesis = variables_of(tensors)
    arguments = {"architecture": "skip", "truncation_psi": 0.5, **(arguments or {})}
    components = {
        "synthesis": network_record(
            own_synthesis if synthesis is None else synthesis, arguments, version=version
        ),
        "mapping": network_record(own_mapping if mapping is None else mapping, arguments),
    }
    whole = {"lod": np.float32(0), "dlatent_avg": tensors["mapping.w_avg"].numpy()}
    return network_record(whole, arguments, components, version)


def write_tensorflow_pickle(path: Path, content: Any, protocol: int = 4) -> Path:
    """Write a record, or several as a tuple."""
    with published_modules(), path.open("wb") as file:
        pickle.dump(content, file, protocol=protocol)
    return path
