"""Reads networks from safetensors files: tensors with the published names, facts as metadata."""

from __future__ import annotations

from pathlib import Path

import safetensors
import torch
from torch import Tensor

from animix.checkpoints.torch_file import FLOATS
from animix.errors import NetworkError
from animix.networks.network import Network
from animix.networks.recognize import network_of

MAX_HEADER = 8 << 20
"""Bytes; a published network's names take 40 KiB, and each takes several times that in memory."""

MAX_NAME = 200


def read_safetensors(path: Path) -> Network:
    """Read a generator; what shapes do not tell (``conv_clamp``) stands in the metadata."""
    with path.open("rb") as head:
        if int.from_bytes(head.read(8), "little") > MAX_HEADER:
            raise NetworkError("the safetensors file's header is longer than any network's")
    try:
        with safetensors.safe_open(path, "pt") as file:
            metadata = dict(file.metadata() or {})
            # The rest may be an optimizer's, of any size.
            names = [n for n in file.keys() if n.startswith(("mapping.", "synthesis."))]  # noqa: SIM118 (no dict)
            if long := [name for name in names if len(name) > MAX_NAME]:
                raise NetworkError(f"the tensor {long[0][:40]}… has a name without end")
            tensors = {name: _float32(name, file.get_tensor(name)) for name in names}
    except (NetworkError, MemoryError):
        raise
    except Exception as exc:  # the library and torch raise whatever they meet
        raise NetworkError(
            f"the safetensors file is damaged or cut short ({str(exc)[:200]})"
        ) from exc

    return network_of(tensors, metadata)


def _float32(name: str, tensor: Tensor) -> Tensor:
    if tensor.dtype not in FLOATS.values():
        raise NetworkError(
            f"{name} holds {tensor.dtype} numbers, expected float16, bfloat16, float32 or float64"
        )
    return tensor.to(torch.float32)
