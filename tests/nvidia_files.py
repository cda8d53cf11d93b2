"""Writes pickles as the published PyTorch code does: for tests, with random tensors in them."""

from __future__ import annotations

import pickle
import sys
import types
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

SOURCE = "raise SystemExit('the source in a checkpoint was run')\n"


@contextmanager
def published_modules() -> Iterator[types.SimpleNamespace]:
    """Let the names that published pickles use exist, so that pickle writes them."""

    def _reconstruct_persistent_obj(meta: object) -> None:
        raise AssertionError("the pickle was run")

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


def write_nvidia_pickle(
    path: Path,
    tensors: dict[str, Tensor],
    *,
    conv_clamp: object = 256,
    protocol: int = 4,
    replaced: dict[str, Any] | None = None,
    bare: bool = False,
    fc0_settings: dict[str, Any] | None = None,
    **beside: Any,
) -> Path:
    """Write a snapshot; ``replaced`` tensors are pickled as given, ``beside`` stands by G_ema."""
    with published_modules() as published:
        init_kwargs = published.EasyDict(z_dim=16, synthesis_kwargs={"conv_clamp": conv_clamp})
        root = Module(published.reconstruct, "Generator", _init_kwargs=init_kwargs)
        for name, tensor in tensors.items():
            *parents, own = name.split(".")
            module = root
            for parent in parents:
                if parent not in module.modules:
                    clamped = parent.startswith(("conv", "torgb"))
                    settings = {"conv_clamp": conv_clamp} if clamped else {}
                    settings |= (fc0_settings or {}) if parent == "fc0" else {}
                    module.modules[parent] = Module(published.reconstruct, "Layer", **settings)
                module = module.modules[parent]
            value = tensor
            if replaced and name in replaced:
                module.buffers[own] = replaced[name]
            elif own in BUFFERS:
                module.buffers[own] = value
            else:
                module.parameters[own] = torch.nn.Parameter(value, requires_grad=False)
        content = root if bare else {"G": None, "D": None, "G_ema": root, **beside}
        with path.open("wb") as file:
            pickle.dump(content, file, protocol=protocol)
    return path


def storage_bytes(tensor: torch.Tensor) -> bytes:
    """The bytes that pickle stores for a tensor's storage."""
    storage = torch.storage.TypedStorage(
        wrap_storage=tensor.untyped_storage(), dtype=tensor.dtype, _internal=True
    )
    _, (data,) = storage.__reduce__()
    return data
