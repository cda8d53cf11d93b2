"""Reads the pickles of NVIDIA's PyTorch code, without running the source that they carry.

Such a file holds, for each network, one call of ``torch_utils.persistence`` with the module's
Python source, its class name and its state; the state holds parameters, buffers and submodules.
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from animix.checkpoints.pickle_data import TORCH_MAGIC, Record, UnknownName, read_pickle
from animix.checkpoints.torch_file import FLOATS, PARAMETER, TENSOR, build_tensor, read_old_format
from animix.errors import NetworkError
from animix.networks.mapping import LR_MULTIPLIER
from animix.networks.network import Network
from animix.networks.recognize import network_of

MODULE = "torch_utils.persistence._reconstruct_persistent_obj"
STORAGE = "torch.storage._load_from_bytes"
NUMPY = tuple(
    f"{module}.{name}"
    for module in ("numpy.core.multiarray", "numpy._core.multiarray")
    for name in ("scalar", "_reconstruct")
)
ALLOWED = (MODULE, PARAMETER, TENSOR, STORAGE, *NUMPY, "numpy.dtype", "numpy.ndarray")

NOT_YET = ", which animix does not read yet (it reads StyleGAN2 in PyTorch)"

KINDS = ("_modules", "_parameters", "_buffers")
"""What a module holds."""

MAX_ENTRIES = 4000
"""Modules and tensors of a network, ten times as many as the largest published one has."""

MAX_NAME = 200
"""Letters in a tensor's full name."""

STORAGE_STEPS = 64
"""The steps of each of a storage's five pickles, at most; the longest takes about 30."""


def read_nvidia_pickle(path: Path) -> Network:
    """Read ``G_ema`` of a training snapshot, or the network that the file itself is."""
    try:
        with path.open("rb") as file:
            content = read_pickle(file, ALLOWED)
    except UnknownName as exc:
        if exc.name.startswith("dnnlib.tflib."):
            raise NetworkError(f"it is a TensorFlow-era StyleGAN pickle{NOT_YET}") from exc
        raise
    if content == TORCH_MAGIC:
        raise NetworkError(f"it is a PyTorch .pt file{NOT_YET}")

    network = content.get("G_ema") if isinstance(content, dict) else content
    if not isinstance(network, Record) or network.name != MODULE:
        raise NetworkError(f"the pickle holds no network G_ema, but {_described(content)}")
    modules = dict(_modules(network))
    tensors = _tensors(modules, room=2 * path.stat().st_size)
    if "synthesis.input.freqs" in tensors:
        raise NetworkError(f"it is a StyleGAN3 network{NOT_YET}")
    _check_settings(modules)
    clamp = _conv_clamp(modules)
    clamp_text = "none" if clamp is None else f"{clamp:g}"
    return network_of(tensors, {**_metadata(modules[""]), "conv_clamp": clamp_text})


def _described(content: object) -> str:
    """What a pickle holds; never by repr, which need not end for hostile data."""
    if isinstance(content, dict):
        keys = ", ".join(key[:40] for key in list(content)[:8] if isinstance(key, str))
        return f"a dictionary with the keys {keys}" if keys else "a dictionary without names"
    return f"a {content.name if isinstance(content, Record) else type(content).__name__}"


def _modules(root: Record) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each module's path (``synthesis.b4``; the root's is empty) and state."""
    waiting: list[tuple[str, object]] = [("", root)]
    seen: set[int] = set()
    left = MAX_ENTRIES
    while waiting:
        path, module = waiting.pop()
        if id(module) in seen:
            raise NetworkError(f"the module {path} occurs more than once in the pickle")
        seen.add(id(module))
        yield path, (state := _state(path, module))
        # Modules can share one long list of entries, so it is their sum that is bounded.
        left -= sum(len(state[kind]) for kind in KINDS if isinstance(state.get(kind), dict))
        if left < 0:
            raise NetworkError(f"the pickle's network has more than {MAX_ENTRIES} parts")
        for name, child in _entries(path, state, "_modules"):
            if child is not None:
                waiting.append((name, child))


def _state(path: str, module: object) -> dict[str, Any]:
    if isinstance(module, Record) and module.name == MODULE and len(module.args) == 1:
        meta = module.args[0]
        if isinstance(meta, dict) and isinstance(state := meta.get("state"), dict):
            return state
    raise NetworkError(f"the pickle's module {path or 'G_ema'} has no state")


def _entries(path: str, state: Mapping[str, Any], kind: str) -> list[tuple[str, Any]]:
    """One kind of what a module holds, under full names."""
    entries = state.get(kind, {})
    if not isinstance(entries, dict) or not all(isinstance(name, str) for name in entries):
        raise NetworkError(f"{kind} of the pickle's module {path or 'G_ema'} is damaged")
    if any(len(path) + len(name) >= MAX_NAME for name in entries):
        raise NetworkError(f"the pickle's module {path or 'G_ema'} has a name without end")
    return [(f"{path}.{name}".lstrip("."), entry) for name, entry in entries.items()]


def _tensors(modules: Mapping[str, Mapping[str, Any]], room: int) -> dict[str, Tensor]:
    """All tensors of a network, float32, if they take no more than ``room`` bytes."""
    storages: dict[int, Tensor] = {}

    def storage_of(record: Any) -> Tensor:
        """The numbers [n] that ``torch.save`` wrote, read once however many tensors have them."""
        if record.name != STORAGE or not isinstance(data := record.args[0], bytes):
            raise ValueError("not a storage")
        if id(data) not in storages:
            file = read_old_format(io.BytesIO(data), FLOATS, STORAGE_STEPS)
            storages[id(data)] = file.storage(file.content)
        return storages[id(data)]

    tensors: dict[str, Tensor] = {}
    for module, state in modules.items():
        for name, record in _own_tensors(module, state):
            try:
                stored = build_tensor(record, storage_of)
            except NetworkError as exc:
                raise NetworkError(f"the pickle's tensor {name}: {exc}") from exc
            # A file could name the same megabytes ten thousand times.
            room -= 4 * stored.numel()
            if room < 0:
                raise NetworkError("the pickle's tensors take more than the file holds")
            tensors[name] = stored.to(torch.float32, copy=True)
    return tensors


def _own_tensors(path: str, state: Mapping[str, Any]) -> Iterator[tuple[str, object]]:
    """The records of one module's parameters and buffers, not those of its submodules."""
    for name, value in _entries(path, state, "_parameters"):
        if isinstance(value, Record) and value.name == PARAMETER and value.args:
            yield name, value.args[0]
        elif value is not None:
            raise NetworkError(f"the pickle's parameter {name} is damaged")
    for name, value in _entries(path, state, "_buffers"):
        if value is not None:
            yield name, value


def _check_settings(modules: Mapping[str, Mapping[str, Any]]) -> None:
    """Raise NetworkError for constructor arguments that this synthesis does not follow."""
    for path, state in modules.items():
        learned = path.startswith("mapping.fc") or path.endswith((".conv0", ".conv1"))
        if learned and state.get("activation", "lrelu") != "lrelu":
            raise NetworkError(f"{path} has another activation than lrelu, the published one")
        if path.startswith("mapping.fc"):
            multiplier = _number(state.get("bias_gain", LR_MULTIPLIER))
            if not math.isclose(multiplier, LR_MULTIPLIER):
                raise NetworkError(
                    f"{path} has another learning rate multiplier than {LR_MULTIPLIER}, "
                    "the published one"
                )


def _conv_clamp(modules: Mapping[str, Mapping[str, Any]]) -> float | None:
    clamps = {
        _number(state["conv_clamp"])
        for path, state in modules.items()
        if path.startswith("synthesis.b") and state.get("conv_clamp") is not None
    }
    if not clamps:
        return None
    clamp = clamps.pop()
    if clamps or not 0 < clamp < math.inf:
        raise NetworkError("conv_clamp is not one positive number for all layers")
    return clamp


def _number(value: object) -> float:
    """A number of ordinary size, or NaN for anything else."""
    if isinstance(value, (int, float)) and abs(value) < 2**53:
        return float(value)
    return math.nan


def _metadata(state: Mapping[str, Any]) -> dict[str, str]:
    """The generator's constructor arguments as texts."""
    found = state.get("_init_kwargs")
    arguments = dict(found) if isinstance(found, dict) else {}
    for name in ("mapping_kwargs", "synthesis_kwargs"):
        nested = arguments.pop(name, None)
        arguments.update(nested if isinstance(nested, dict) else {})
    metadata = {}
    for name, value in arguments.items():
        # One text of megabytes could be the value of ten thousand names.
        text = isinstance(value, str) and len(value) <= MAX_NAME
        simple = text or value is None or not math.isnan(_number(value))
        if isinstance(name, str) and simple:
            metadata[name] = str(value).lower()
    return metadata
