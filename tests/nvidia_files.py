"""Writes pickles as the published PyTorch code does: for tests, with random tensors in them."""

from __future__ import annotations

import pickle
import sys
import types
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

SOURCE = "raise SystemExit('the source in a checkpoint was run')\n"


@contextmanager
def published_modules() -> Iterator[types.SimpleNamespace]:
    """Let the names that published pickles use exist, so that pickle writes and reads them."""

    def _reconstruct_persistent_obj(meta: dict[str, Any]) -> types.SimpleNamespace:
        return types.SimpleNamespace(**meta["state"])

    class EasyDict(dict):
        pass

    persistence, util = types.ModuleType("torch_utils.persistence"), types.ModuleType("dnnlib.util")
    contents: tuple[tuple[types.ModuleType, Any], ...] = (
        (persistence, _reconstruct_persistent_obj),
        (util, EasyDict),
    )
    added = {"torch_utils": types.ModuleType("torch_utils"), "dnnlib": types.ModuleType("dnnlib")}
    for module, content in contents:
        content.__module__, content.__qualname__ = module.__name__, content.__name__
        setattr(module, content.__name__, content)
        added[module.__name__] = module
    sys.modules.update(added)
    try:
        yield types.SimpleNamespace(reconstruct=_reconstruct_persistent_obj, EasyDict=EasyDict)
    finally:
        for name in added:
            del sys.modules[name]


class Module:
    """A network's module: reduces to one call, as in the published code."""

    def __init__(self, call: Any, class_name: str, **settings: Any) -> None:
        self.call, self.class_name, self.settings = call, class_name, settings
        self.parameters: dict[str, Any] = {}
        self.buffers: dict[str, Any] = {}
        self.modules: OrderedDict[str, Module] = OrderedDict()

    def __reduce__(self) -> tuple[Any, ...]:
        state = {
            "training": False,
            "_parameters": self.parameters,
            "_buffers": self.buffers,
            "_non_persistent_buffers_set": set(),
            "_modules": self.modules,
            **self.settings,
        }
        meta = {
            "type": "class",
            "version": 6,
            "module_src": SOURCE,
            "class_name": self.class_name,
            "state": state,
        }
        return self.call, (meta,)


BUFFERS = ("w_avg", "noise_const", "resample_filter")


def network_module(
    published: types.SimpleNamespace,
    tensors: Mapping[str, Tensor],
    *,
    conv_clamp: object = 256,
    replaced: Mapping[str, Any] | None = None,
    states: Mapping[str, dict[str, Any]] | None = None,
    class_name: str = "Generator",
) -> Module:
    """A network as modules; ``replaced`` tensors are pickled as given, ``states`` go by path."""
    states, replaced = states or {}, replaced or {}
    init_kwargs = published.EasyDict(z_dim=16, synthesis_kwargs={"conv_clamp": conv_clamp})
    own_state = {"_init_kwargs": init_kwargs} | states.get("", {})
    root = Module(published.reconstruct, class_name, **own_state)
    for name, tensor in tensors.items():
        *parents, own = name.split(".")
        module, path = root, ""
        for parent in parents:
            path = f"{path}.{parent}".lstrip(".")
            if parent not in module.modules:
                clamped = parent.startswith(("conv", "torgb", "L"))
                settings = {"conv_clamp": conv_clamp} if clamped else {}
                settings |= states.get(path, {})
                module.modules[parent] = Module(published.reconstruct, "Layer", **settings)
            module = module.modules[parent]
        if name in replaced:
            module.buffers[own] = replaced[name]
        elif own in BUFFERS:
            module.buffers[own] = tensor
        else:
            module.parameters[own] = torch.nn.Parameter(tensor, requires_grad=False)
    return root


def write_nvidia_pickle(
    path: Path,
    tensors: Mapping[str, Tensor],
    *,
    protocol: int = 4,
    bare: bool = False,
    chosen: str = "G_ema",
    others: Mapping[str, Mapping[str, Tensor]] | None = None,
    beside: Mapping[str, Any] | None = None,
    **network: Any,
) -> Path:
    """Write a snapshot whose ``chosen`` network has the tensors; ``others`` are networks as well.

    ``network`` are arguments of ``network_module``; what is ``beside`` it is pickled as given.
    """
    with published_modules() as published:
        root = network_module(published, tensors, **network)
        found = {name: network_module(published, more) for name, more in (others or {}).items()}
        content = {"G": None, "D": None} | found | {chosen: root} | (beside or {})
        with path.open("wb") as file:
            pickle.dump(root if bare else content, file, protocol=protocol)
    return path


def read_with_python(path: Path) -> dict[str, Tensor]:
    """The tensors of G_ema, read by Python's own unpickler with stubs for the published code."""
    with published_modules(), path.open("rb") as file:
        root = pickle.load(file)["G_ema"]
    waiting, tensors = [("", root)], {}
    while waiting:
        path, module = waiting.pop()
        for name, tensor in {**module._parameters, **module._buffers}.items():
            tensors[f"{path}{name}"] = tensor.detach()
        waiting += [(f"{path}{name}.", child) for name, child in module._modules.items()]
    return tensors


def storage_bytes(tensor: torch.Tensor) -> bytes:
    """The bytes that pickle stores for a tensor's storage."""
    storage = torch.storage.TypedStorage(
        wrap_storage=tensor.untyped_storage(), dtype=tensor.dtype, _internal=True
    )
    _, (data,) = storage.__reduce__()
    return data
