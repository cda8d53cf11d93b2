"""Reads the pickles of NVIDIA's TensorFlow code: StyleGAN2 and StyleGAN2-ADA, without TensorFlow.

Such a file holds a tuple (G, D, Gs) or Gs alone, each a ``dnnlib.tflib`` network: a state with
its constructor's arguments (``static_kwargs``), the Python source that built it, its components
mapping and synthesis, and its variables as NumPy arrays. Gs is the average that is used.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from torch import Tensor

from animix.checkpoints.bounds import Room
from animix.checkpoints.glance import Glance
from animix.checkpoints.numpy_data import NUMPY, Array, array_of, is_array
from animix.checkpoints.pickle_data import Record, read_pickle
from animix.checkpoints.pickle_tape import read_span
from animix.checkpoints.w_avg import W_AVG, network_with_w_avg
from animix.errors import NetworkError
from animix.networks.mapping import LR_MULTIPLIER
from animix.networks.network import Network
from animix.networks.stylegan2 import is_published_filter, square_filter

NETWORK = "dnnlib.tflib.network.Network"

MAX_VARIABLES = 2000
"""Ten times as many as a network of 1024 px has."""

MAX_TAPS = 16
"""Of a filter; animix paints with no more."""

LAYERS = {
    "Conv": "conv1",
    "Conv0_up": "conv0",
    "Conv1": "conv1",
    "ToRGB": "torgb",
    "Skip": "skip",
}
"""The layers of a resolution, as TensorFlow and PyTorch name them; ``Conv`` is that of 4 px."""

PARTS: dict[str, tuple[str, Callable[[Array], Array]]] = {
    "weight": ("weight", lambda array: array.transpose(3, 2, 0, 1)),  # from [h, w, in, out]
    "bias": ("bias", lambda array: array),
    "mod_weight": ("affine.weight", lambda array: array.transpose(1, 0)),
    "mod_bias": ("affine.bias", lambda array: array + 1),
    "noise_strength": ("noise_strength", lambda array: array),
}
"""What a layer has, and how the numbers lie in PyTorch: a style's 1 is part of its bias there."""

FIXED: dict[str, tuple[object, ...]] = {
    "nonlinearity": ("lrelu", None),
    "mapping_nonlinearity": ("lrelu", None),
    "normalize_latents": (True, None),
    "use_attention": (False, None),
    "use_spectral_norm": (False, None),
}
"""Arguments that change the maths, with the values that animix follows; others are harmless, or
change the variables' names and shapes, which are checked."""


def is_tensorflow_pickle(seen: Glance) -> bool:
    """Whether the first thing that a pickle names is a network of the TensorFlow code."""
    return seen.is_pickle and b"dnnlib.tflib" in seen.head[:256]


def read_tensorflow_pickle(path: Path) -> Network:
    """Read Gs, the last of (G, D, Gs), or the network that the file itself is."""
    # Numbers that are not finite are found, and named, when the network is made.
    with path.open("rb") as file, np.errstate(all="ignore"):
        content = read_pickle(file, (NETWORK, *NUMPY))
        # Arrays may share their bytes, but honest ones do not.
        return _network(content, _Arrays(file, Room.of(path)))


@dataclass
class _Arrays:
    """Reads arrays out of a file, and no more bytes than it may hold."""

    file: BinaryIO
    room: Room

    def __call__(self, name: str, record: object) -> Array:
        """The array of a variable, of floating point numbers."""
        array = self.any_kind(f"the variable {name}", record)
        if array.dtype.kind != "f":
            raise NetworkError(
                f"the variable {name} holds {array.dtype} numbers, expected floating point"
            )
        return array

    def any_kind(self, called: str, record: object) -> Array:
        """An array of whichever real numbers, as an argument may be."""
        try:
            array = array_of(record, partial(read_span, self.file), self.room.left)
        except NetworkError as exc:
            raise NetworkError(f"{called}: {exc}") from exc
        self.room.take(array.nbytes)
        return array


@dataclass(frozen=True)
class _Part:
    """A ``tflib`` network or a component of one."""

    arguments: dict[str, Any] = field(default_factory=dict)
    variables: dict[str, object] = field(default_factory=dict)
    components: dict[str, object] = field(default_factory=dict)


def _network(content: object, read: _Arrays) -> Network:
    found = content[-1] if isinstance(content, (tuple, list)) and content else content
    whole = _part(found)
    if not {"mapping", "synthesis"} <= set(whole.components):
        if any("FromRGB" in name for name in whole.variables):
            raise NetworkError("it holds a discriminator alone, and pictures come from generators")
        names = ", ".join(sorted(whole.components)[:8]) or "none"
        raise NetworkError(
            "the TensorFlow pickle's network has other components than mapping and synthesis: "
            + names[:200]
        )
    mapping, synthesis = (_part(whole.components[name]) for name in ("mapping", "synthesis"))
    arguments = {**whole.arguments, **mapping.arguments, **synthesis.arguments}
    _check_arguments(arguments)
    learning_rate = LR_MULTIPLIER
    if arguments.get("mapping_lrmul") is not None:
        learning_rate = _number("mapping_lrmul", arguments["mapping_lrmul"], read)

    tensors: dict[str, Tensor] = {}
    for name, array in chain(  # one after the other, so that none is in memory twice for long
        _mapping(mapping.variables, read, learning_rate),
        _synthesis(synthesis.variables, read),
    ):
        if name in tensors:
            raise NetworkError(f"two variables of the TensorFlow pickle are {name}")
        tensors[name] = _tensor(array)
    if "dlatent_avg" in whole.variables:
        tensors[W_AVG] = _tensor(read("dlatent_avg", whole.variables["dlatent_avg"]))
    kernel = _resample_filter(arguments, read)
    if kernel is not None:
        tensors["synthesis.b4.resample_filter"] = kernel
    clamp = arguments.get("conv_clamp")
    settings = {
        "conv_clamp": "none" if clamp is None else f"{_number('conv_clamp', clamp, read):g}",
    }
    return network_with_w_avg(tensors, settings)


def _part(record: object) -> _Part:
    state = record.state if isinstance(record, Record) and record.name == NETWORK else None
    if not isinstance(state, dict):
        raise NetworkError(
            "the TensorFlow pickle holds no (G, D, Gs) and no network alone, or it is damaged"
        )
    version = state.get("version")
    if not isinstance(version, int) or version < 4:
        raise NetworkError(
            "it is a network of StyleGAN or an older code in TensorFlow (a record of version "
            f"{_shown(version)}, StyleGAN2's have 4), whose maths are others; animix reads "
            "StyleGAN2 and newer"
        )
    variables = _variables(state.get("variables"))
    if any("StyleMod" in name for name in variables):
        raise NetworkError(
            "it is a StyleGAN network (of 2019, with AdaIN), whose maths are others; animix reads "
            "StyleGAN2 and newer"
        )
    return _Part(_named(state.get("static_kwargs")), variables, _named(state.get("components")))


def _variables(pairs: object) -> dict[str, object]:
    if not isinstance(pairs, list) or len(pairs) > MAX_VARIABLES:
        raise NetworkError("the TensorFlow pickle's variables are damaged")
    variables: dict[str, object] = {}
    for pair in pairs:
        if not isinstance(pair, tuple) or len(pair) != 2 or not isinstance(pair[0], str):
            raise NetworkError("the TensorFlow pickle's variables are damaged")
        variables[pair[0]] = pair[1]
    return variables


def _named(found: object) -> dict[str, Any]:
    """What a dictionary has under names; a network may have no arguments or components."""
    entries = found if isinstance(found, dict) else {}
    return {key: value for key, value in entries.items() if isinstance(key, str)}


def _check_arguments(arguments: Mapping[str, Any]) -> None:
    """Raise NetworkError for constructor arguments that this synthesis does not follow."""
    for name, allowed in FIXED.items():
        value = arguments.get(name)
        if value not in allowed:
            raise NetworkError(
                f"its {name} is {_shown(value)}, animix follows the published {_shown(allowed[0])}"
            )
    height, width = arguments.get("resolution_h"), arguments.get("resolution_w")
    if isinstance(height, int) and isinstance(width, int) and height != width:
        raise NetworkError(f"its pictures are {width}×{height}, animix reads square networks")


def _shown(value: object) -> str:
    """A simple value as text; never repr of what holds others, which need not end."""
    simple = isinstance(value, (str, int, float, bool, type(None)))
    return str(value).lower()[:40] if simple else f"a {type(value).__name__}"


def _mapping(
    variables: Mapping[str, object], read: _Arrays, learning_rate: float
) -> Iterator[tuple[str, Array]]:
    # The multiplier scales weights and biases when they are used; ours is the published 0.01.
    gain = np.float32(learning_rate / LR_MULTIPLIER)
    for name, record in variables.items():
        if match := re.fullmatch(r"Dense(\d{1,3})/(weight|bias)", name):
            array = _weight_or_bias(name, read(name, record))
            yield f"mapping.fc{int(match[1])}.{match[2]}", array * gain
        elif match := re.fullmatch(r"LabelEmbed/(weight|bias)", name):
            yield f"mapping.embed.{match[1]}", _weight_or_bias(name, read(name, record))
        elif name.startswith("LabelConcat/"):
            raise NetworkError(
                "it is conditional as StyleGAN2's TensorFlow code was: z and the label's vector "
                "are normalised together (LabelConcat). animix maps labels as StyleGAN2-ADA does, "
                "each for itself (LabelEmbed), which no weights can make the same"
            )
        else:
            raise _unknown(f"mapping/{name}")


def _weight_or_bias(name: str, array: Array) -> Array:
    return _laid_out(name, array, lambda a: a.transpose(1, 0) if name.endswith("weight") else a)


def _synthesis(variables: Mapping[str, object], read: _Arrays) -> Iterator[tuple[str, Array]]:
    sizes = [int(m[1]) for n in variables if (m := re.match(r"(\d{1,6})x\d{1,6}/", n))]
    img_resolution = max(sizes, default=0)
    for name, record in variables.items():
        if match := re.fullmatch(r"noise(\d{1,3})", name):
            index = int(match[1])
            layer = f"b{2 ** ((index + 5) // 2)}.conv{0 if index % 2 else 1}"
            yield (
                f"synthesis.{layer}.noise_const",
                _laid_out(name, read(name, record), lambda array: array[0, 0]),
            )
        elif name == "4x4/Const/const":
            yield (
                "synthesis.b4.const",
                _laid_out(name, read(name, record), lambda array: array[0]),
            )
        elif match := re.fullmatch(r"(\d{1,6})x(\d{1,6})/(\w+)/(\w+)", name):
            if match[1] != match[2]:
                raise NetworkError(
                    f"it has layers of {match[2]}×{match[1]} px, animix reads square networks"
                )
            yield _layer(name, int(match[1]), match[3], match[4], read(name, record))
        elif match := re.fullmatch(r"ToRGB_lod(\d{1,2})/(\w+)", name):
            # A network that grew (StyleGAN2's configurations B to D) has an output at each
            # resolution and uses that of the last, if it has grown up.
            if int(match[1]) == 0:
                yield _layer(name, img_resolution, "ToRGB", match[2], read(name, record))
        elif name == "lod":
            if any(n.startswith("ToRGB_lod") for n in variables) and read(name, record).any():
                raise NetworkError(
                    "it was still growing when it was saved (lod is not 0); take a later snapshot"
                )
        else:
            raise _unknown(f"synthesis/{name}")


def _layer(name: str, resolution: int, layer: str, part: str, array: Array) -> tuple[str, Array]:
    """A layer's variable under its PyTorch name."""
    if layer not in LAYERS or part not in PARTS:
        raise _unknown(f"synthesis/{name}")
    own, lay_out = PARTS[part]
    array = _laid_out(name, array, lay_out)
    if layer == "Conv0_up" and part == "weight":
        # TensorFlow's up-convolution turns the kernel by 180°, a transposed convolution does not.
        array = array[:, :, ::-1, ::-1]
    return f"synthesis.b{resolution}.{LAYERS[layer]}.{own}", array


def _laid_out(name: str, array: Array, lay_out: Callable[[Array], Array]) -> Array:
    try:
        return lay_out(array)
    except (ValueError, IndexError) as exc:
        raise NetworkError(
            f"the variable {name} has {array.ndim} dimensions, which is not StyleGAN2's layout"
        ) from exc


def _unknown(name: str) -> NetworkError:
    return NetworkError(
        f"the variable {name[:80]} is not one of a StyleGAN2 generator: a changed architecture "
        "(attention, extra layers) can't be read"
    )


def _tensor(array: Array) -> Tensor:
    with np.errstate(over="ignore"):  # what becomes infinite is told by network_of
        return torch.from_numpy(np.array(array, np.float32, order="C"))


def _number(name: str, value: object, read: _Arrays) -> float:
    if is_array(value):
        array = read.any_kind(f"its {name}", value)
        value = array.item() if array.size == 1 else None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) < 2**53:
        raise NetworkError(f"its {name} is not a number")
    return float(value)


def _resample_filter(arguments: Mapping[str, Any], read: _Arrays) -> Tensor | None:
    """The low-pass filter [T, T], which sums to 1; None if it is the published one."""
    if "resample_kernel" not in arguments:
        return None
    found = arguments["resample_kernel"]
    if found is None:
        found = [1, 1]  # a box
    if is_array(found):
        array = read.any_kind("its resample_kernel", found)
    elif isinstance(found, (list, tuple)) and len(found) <= MAX_TAPS:
        array = np.array([_number("resample_kernel", tap, read) for tap in found])
    else:
        raise NetworkError(f"its resample_kernel is no list of at most {MAX_TAPS} numbers")
    if array.ndim not in (1, 2) or not all(0 < size <= MAX_TAPS for size in array.shape):
        raise NetworkError(f"its resample_kernel has not 1 to {MAX_TAPS} taps")
    kernel = square_filter(torch.from_numpy(array.astype(np.float64)))
    if not kernel.isfinite().all() or kernel.sum() == 0:
        raise NetworkError("its resample_kernel is no low-pass filter")
    kernel = (kernel / kernel.sum()).float()
    return None if is_published_filter(kernel) else kernel
