"""safetensors files, read and written: tensors with the published names, facts as metadata."""

from __future__ import annotations

from pathlib import Path

import safetensors
import torch
from safetensors.torch import save_file
from torch import Tensor

from animix.checkpoints.torch_file import FLOATS
from animix.errors import NetworkError, OptionError
from animix.networks.network import Network
from animix.networks.recognize import network_of
from animix.whole_file import whole_file

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


def write_safetensors(network: Network, path: Path) -> None:
    """Write a generator, float32, so that ``read_safetensors`` gives it back bit for bit.

    Its metadata stays; ``source_format``, which this file is no longer of, becomes
    ``converted_from``.
    """
    metadata = {
        "architecture": f"{network.facts.kind}-{network.facts.architecture}",
        "img_resolution": str(network.img_resolution),
        **network.metadata,
        "conv_clamp": str(network.facts.conv_clamp).lower(),
    }
    if "source_format" in metadata:
        metadata["converted_from"] = metadata.pop("source_format")
    # What can't be said in UTF-8 must not cost a network.
    texts = {
        key.encode(errors="replace").decode(): text.encode(errors="replace").decode()
        for key, text in metadata.items()
    }
    # Tensors that share their numbers are refused by the library: each gets its own.
    tensors = {
        name: tensor.to("cpu").clone(memory_format=torch.contiguous_format)
        for name, tensor in network.tensors.items()
    }
    with whole_file(path) as part:
        part.touch()  # an OSError where nothing can be written, which the library words its own way
        try:
            save_file(tensors, part, texts)
        except safetensors.SafetensorError as exc:
            raise OptionError(f"{path} can't be written: {str(exc)[:200]}") from exc


def _float32(name: str, tensor: Tensor) -> Tensor:
    if tensor.dtype not in FLOATS.values():
        raise NetworkError(
            f"{name} holds {tensor.dtype} numbers, expected float16, bfloat16, float32 or float64"
        )
    # A copy even of float32: the library's tensors begin at any byte of the file, and where in
    # memory a number lies decides how some kernels round.
    return tensor.to(torch.float32, copy=True)
