"""safetensors files, read and written: tensors with the published names, facts as metadata."""

from __future__ import annotations

import contextlib
import json
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import torch
from torch import Tensor

from animix.checkpoints.bounds import MAX_ENTRIES, MAX_NAME
from animix.checkpoints.torch_file import FLOATS
from animix.checkpoints.w_avg import network_with_w_avg
from animix.errors import NetworkError
from animix.interruption import uninterrupted
from animix.networks.network import Network
from animix.networks.settings import whole
from animix.whole_file import whole_file

NAME = "safetensors"

FLOAT32, FLOAT16 = np.dtype("<f4"), np.dtype("<f2")

SIZES = ("img_resolution", "z_dim", "w_dim", "c_dim")
"""Metadata that repeat what the tensors' shapes tell."""

MAX_HEADER = 8 << 20
"""Bytes; a published network's names take 40 KiB, and each takes several times that in memory."""


def read_safetensors(path: Path) -> Network:
    """Read a generator; what shapes do not tell (``conv_clamp``) stands in the metadata."""
    # The rest may be an optimizer's, of any size.
    tensors, metadata = read_tensors(path, ("mapping.", "synthesis."))
    network = network_with_w_avg(tensors, metadata)
    for size in SIZES:
        if size in metadata and whole(metadata, size) != getattr(network, size):
            raise NetworkError(
                f"the metadata {size} is {metadata[size][:40]!r}, but the tensors are those of a "
                f"network with {getattr(network, size)}"
            )
    return network


def read_tensors(
    path: Path, starts: str | tuple[str, ...] = ""
) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors whose names start so, float32, and the metadata; NetworkError for damage."""
    with path.open("rb") as head:
        if int.from_bytes(head.read(8), "little") > MAX_HEADER:
            raise NetworkError("the safetensors file's header is longer than any network's")
    with _named_in_utf8(path) as name:
        return _read(name, starts)


def _read(path: Path, starts: str | tuple[str, ...]) -> tuple[dict[str, Tensor], dict[str, str]]:
    try:
        with _opened(path) as file:
            metadata = dict(file.metadata() or {})
            names = [n for n in file.keys() if n.startswith(starts)]  # noqa: SIM118 (no dict)
            if long := [name for name in names if len(name) > MAX_NAME]:
                raise NetworkError(f"the tensor {long[0][:40]}… has a name without end")
            if len(names) > MAX_ENTRIES:
                raise NetworkError(f"the file's network has more than {MAX_ENTRIES} tensors")
            return {name: _float32(name, _stored(file, name)) for name in names}, metadata
    except (NetworkError, MemoryError):
        raise
    except Exception as exc:  # the library and torch raise whatever they meet
        raise NetworkError(
            f"the safetensors file is damaged or cut short ({str(exc)[:200]})"
        ) from exc


def write_safetensors(network: Network, path: Path, half: bool = False) -> None:
    """Write a generator, float32, so that ``read_safetensors`` gives it back bit for bit.

    Its metadata stays but for sizes, which are written as the tensors are; the ``source_format``
    becomes ``converted_from``, unless it is this one. The same network gives the same bytes.
    ``half``: numbers are rounded to float16, and the file is half as large; NetworkError names
    a tensor with numbers too large for that.
    """
    dtype = FLOAT16 if half else FLOAT32
    metadata = {
        "architecture": f"{network.facts.kind}-{network.facts.architecture}",
        **network.metadata,
        **{size: str(getattr(network, size)) for size in SIZES},
        "conv_clamp": str(network.facts.conv_clamp).lower(),
    }
    source = metadata.pop("source_format", NAME)
    if source != NAME:
        metadata["converted_from"] = source
    # What can't be said in UTF-8 must not cost a network.
    texts = {
        key.encode(errors="replace").decode(): text.encode(errors="replace").decode()
        for key, text in metadata.items()
    }
    tensors = dict(sorted(network.tensors.items()))
    for name, tensor in tensors.items():
        if half and not bool(torch.isfinite(tensor.half()).all()):
            raise NetworkError(f"{name} holds numbers too large for float16 (65504): keep float32")
    with whole_file(path) as part, part.open("wb") as file:
        file.write(_header(tensors, texts, dtype))
        for tensor in tensors.values():
            file.write(np.asarray(tensor.detach().cpu()).astype(dtype).tobytes())


def _header(
    tensors: Mapping[str, Tensor], metadata: Mapping[str, str], dtype: np.dtype[np.floating[Any]]
) -> bytes:
    """What a file of such tensors begins with: a length, JSON, blanks up to 8 bytes.

    The library's own writer takes metadata in an order that is another each time.
    """
    header: dict[str, object] = {"__metadata__": dict(sorted(metadata.items()))}
    end = 0
    for name, tensor in tensors.items():
        start, end = end, end + dtype.itemsize * tensor.numel()
        stored = {FLOAT32: "F32", FLOAT16: "F16"}[dtype]
        header[name] = {"dtype": stored, "shape": [*tensor.shape], "data_offsets": [start, end]}
    text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text


@contextlib.contextmanager
def _named_in_utf8(path: Path) -> Iterator[Path]:
    """A path to the same file that the library takes: a link to it where its own is no UTF-8."""
    if str(path) == str(path).encode(errors="replace").decode():
        yield path
        return
    with tempfile.TemporaryDirectory() as folder:
        link = Path(folder, "network.safetensors")
        link.symlink_to(path.resolve())
        yield link


# What is raised inside the library's compiled code may come out as something else.


def _opened(path: Path) -> Any:
    with uninterrupted():
        return safetensors.safe_open(path, "pt")


def _stored(file: Any, name: str) -> Tensor:
    with uninterrupted():
        tensor: Tensor = file.get_tensor(name)
    return tensor


def _float32(name: str, tensor: Tensor) -> Tensor:
    if tensor.dtype not in FLOATS.values():
        raise NetworkError(
            f"{name} holds {tensor.dtype} numbers, expected float16, bfloat16, float32 or float64"
        )
    # A copy even of float32: the library's tensors begin at any byte of the file, and where in
    # memory a number lies decides how some kernels round.
    return tensor.to(torch.float32, copy=True)
