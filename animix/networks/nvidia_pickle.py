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

from animix.errors import NetworkError
from animix.networks import stylegan2_layout
from animix.networks.mapping import LR_MULTIPLIER
from animix.networks.network import Network
from animix.networks.pickle_data import Name, Persistent, Record, UnknownName, read_pickle

MODULE = "torch_utils.persistence._reconstruct_persistent_obj"
PARAMETER = "torch._utils._rebuild_parameter"
TENSOR = "torch._utils._rebuild_tensor_v2"
STORAGE = "torch.storage._load_from_bytes"
NUMPY = tuple(
    f"{module}.{name}"
    for module in ("numpy.core.multiarray", "numpy._core.multiarray")
    for name in ("scalar", "_reconstruct")
)
ALLOWED = (MODULE, PARAMETER, TENSOR, STORAGE, *NUMPY, "numpy.dtype", "numpy.ndarray")

DTYPES = {
    "torch.HalfStorage": torch.float16,
    "torch.BFloat16Storage": torch.bfloat16,
    "torch.FloatStorage": torch.float32,
    "torch.DoubleStorage": torch.float64,
}

NOT_YET = ", which animix does not read yet (it reads StyleGAN2 in PyTorch)"

TORCH_MAGIC = 0x1950A86A20F9469CFC6C
"""The first number of a file written by torch.save before it wrote zip files."""


def read_nvidia_pickle(path: Path) -> Network:
    """Read ``G_ema`` of a training snapshot, or the network that the file itself is."""
    data = path.read_bytes()
    try:
        content = read_pickle(io.BytesIO(data), ALLOWED)
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
    tensors: dict[str, Tensor] = {}
    room = 2 * len(data)
    for module, state in modules.items():
        for name, tensor in _own_tensors(module, state):
            tensors[name] = tensor
            room -= tensor.nbytes
            # A file could name the same megabytes ten thousand times.
            if room < 0:
                raise NetworkError("the pickle's tensors take more than the file holds")
    if "synthesis.input.freqs" in tensors:
        raise NetworkError(f"it is a StyleGAN3 network{NOT_YET}")
    if not stylegan2_layout.is_stylegan2(tensors):
        raise NetworkError("the pickle's network is no StyleGAN2 generator (no synthesis.b4.const)")
    _check_settings(modules)
    facts = stylegan2_layout.read_facts(tensors, _conv_clamp(modules))
    return Network(facts, tensors, _metadata(modules[""]))


def _described(content: object) -> str:
    """Say what a pickle holds; never by repr, which need not end for hostile data."""
    if isinstance(content, dict):
        keys = ", ".join(key[:40] for key in list(content)[:8] if isinstance(key, str))
        return f"a dictionary with the keys {keys}" if keys else "a dictionary without names"
    return f"a {content.name if isinstance(content, Record) else type(content).__name__}"


def _modules(root: Record) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each module's path (``synthesis.b4``; the root's is empty) and state."""
    waiting: list[tuple[str, object]] = [("", root)]
    seen: set[int] = set()
    while waiting:
        path, module = waiting.pop()
        if id(module) in seen:
            raise NetworkError(f"the module {path} occurs more than once in the pickle")
        seen.add(id(module))
        yield path, (state := _state(path, module))
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
    """Return one kind of what a module holds, under full names."""
    entries = state.get(kind, {})
    if not isinstance(entries, dict) or not all(isinstance(name, str) for name in entries):
        raise NetworkError(f"{kind} of the pickle's module {path or 'G_ema'} is damaged")
    return [(f"{path}.{name}".lstrip("."), entry) for name, entry in entries.items()]


def _own_tensors(path: str, state: Mapping[str, Any]) -> Iterator[tuple[str, Tensor]]:
    """Yield the parameters and buffers of one module, not those of its submodules."""
    for name, value in _entries(path, state, "_parameters"):
        if isinstance(value, Record) and value.name == PARAMETER and value.args:
            yield name, _tensor(name, value.args[0])
        elif value is not None:
            raise NetworkError(f"the pickle's parameter {name} is damaged")
    for name, value in _entries(path, state, "_buffers"):
        if value is not None:
            yield name, _tensor(name, value)


def _tensor(name: str, value: object) -> Tensor:
    """Build a tensor, float32, from the record of its storage, offset, size and strides."""
    try:
        return _rebuilt(value)
    except NetworkError as exc:
        raise NetworkError(f"the pickle's tensor {name}: {exc}") from exc
    except (AttributeError, LookupError, TypeError, ValueError, ArithmeticError) as exc:
        raise NetworkError(f"the pickle's tensor {name} is damaged") from exc
    except RuntimeError as exc:  # how torch says that a stride leads out of the storage
        raise NetworkError(f"the pickle's tensor {name} lies outside its storage") from exc


def _rebuilt(value: Any) -> Tensor:
    storage_record, offset, size, strides = value.args[:4]
    if value.name != TENSOR or storage_record.name != STORAGE:
        raise ValueError("not a tensor")
    storage = _storage(storage_record.args[0])
    if not all(type(number) is int and number >= 0 for number in (offset, *size, *strides)):
        raise ValueError("a size or stride is no count")
    # A stride of 0 could make gigabytes of one number; a published tensor has none.
    if math.prod(size) > len(storage):
        raise ValueError("more numbers than stored")
    return storage.as_strided(size, strides, offset).to(torch.float32, copy=True)


def _storage(data: bytes) -> Tensor:
    """Return the numbers [n] that ``torch.save`` wrote before it wrote zip files.

    Five pickles (magic number, version, machine, storage, keys), then count and raw bytes.
    Read by hand, for torch's own reader would be a second way for a file to call things.
    """
    file = io.BytesIO(data)
    magic, _version, machine = read_pickle(file), read_pickle(file), read_pickle(file)
    storage = read_pickle(file, DTYPES, persistent=True)
    read_pickle(file)
    if magic != TORCH_MAGIC or not isinstance(machine, dict) or not machine["little_endian"]:
        raise ValueError("not a storage of a little-endian machine")
    if not isinstance(storage, Persistent) or not isinstance(storage.key, tuple):
        raise ValueError("not a storage")
    _what, kind, _key, _device, count, view = storage.key
    if not isinstance(kind, Name) or type(count) is not int or view is not None:
        raise ValueError("not a whole storage of numbers")
    dtype = DTYPES[kind.full]
    stored_count, raw = int.from_bytes(file.read(8), "little"), file.read()
    if count < 1 or count != stored_count or count * dtype.itemsize != len(raw):
        raise ValueError("another count than bytes")
    return torch.frombuffer(bytearray(raw), dtype=dtype)


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
    """Return a number of ordinary size, or NaN for anything else."""
    if isinstance(value, (int, float)) and abs(value) < 2**53:
        return float(value)
    return math.nan


def _metadata(state: Mapping[str, Any]) -> dict[str, str]:
    """Return the generator's constructor arguments as texts."""
    found = state.get("_init_kwargs")
    arguments = dict(found) if isinstance(found, dict) else {}
    for name in ("mapping_kwargs", "synthesis_kwargs"):
        nested = arguments.pop(name, None)
        arguments.update(nested if isinstance(nested, dict) else {})
    metadata = {}
    for name, value in arguments.items():
        simple = isinstance(value, (str, bool, type(None))) or not math.isnan(_number(value))
        if isinstance(name, str) and simple:
            metadata[name] = str(value).lower()
    return metadata
