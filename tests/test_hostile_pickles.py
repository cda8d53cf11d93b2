"""Pickles that ask for work out of proportion: each took minutes or tens of gigabytes once."""

from __future__ import annotations

import struct
import time

import pytest
import torch

from animix.checkpoints.load import load_network
from animix.checkpoints.nvidia_pickle import MODULE
from animix.errors import NetworkError
from tests.memory import little_memory
from tests.nvidia_files import storage_bytes


def text(content: str) -> bytes:
    return b"X" + struct.pack("<I", len(content)) + content.encode()


def module_of(**state: bytes) -> bytes:
    """The program of a module: its arguments are programs too."""
    entries = b"".join(text(name) + program for name, program in state.items())
    library, _, function = MODULE.rpartition(".")
    call = f"c{library}\n{function}\n".encode()
    return call + b"}" + text("state") + b"}(" + entries + b"us\x85R"


def entries_of(names, program: bytes) -> bytes:
    return b"}(" + b"".join(text(name) + program for name in names) + b"u"


PUT, GET = b"r\x00\x00\x00\x00", b"j\x00\x00\x00\x00"
TENSOR = b"ctorch._utils\n_rebuild_tensor_v2\n"


def stored(numbers: int) -> bytes:
    """The program of a storage with so many numbers."""
    data = storage_bytes(torch.zeros(numbers))
    return b"ctorch.storage\n_load_from_bytes\nB" + struct.pack("<I", len(data)) + data + b"\x85R"


def shares_a_storage() -> bytes:
    tensor = TENSOR + b"(" + GET + b"K\x00K\x01\x85K\x01\x85tR"
    buffers = entries_of((f"synthesis.b{i}" for i in range(3000)), tensor)
    return stored(2_000_000) + PUT + b"0" + module_of(_buffers=buffers)


def shares_its_entries() -> bytes:
    module = module_of(_modules=b"}", _buffers=GET)
    modules = entries_of((str(i) for i in range(3000)), module)
    entries = entries_of((str(i) for i in range(2000)), b"N")
    return entries + PUT + b"0" + module_of(_modules=modules)


def shares_a_long_size() -> bytes:
    tensor = TENSOR + b"(" + stored(1) + b"K\x00" + GET + GET + b"tR"
    return (
        b"("
        + b"K\x01" * 200_000
        + b"t"
        + PUT
        + b"0"
        + module_of(_buffers=b"}" + text("a") + tensor + b"s")
    )


BOMBS = {
    "copies of a set": (
        lambda: (
            b"("
            + b"N" * 200_000
            + b"l\x85"
            + PUT
            + b"0("
            + (b"cbuiltins\nset\n" + GET + b"R") * 10_000
            + b"l"
        ),
        "no network G_ema, but a list",
    ),
    "copies of a tuple": (
        lambda: (
            b"("
            + b"N" * 200_000
            + b"t\x85"
            + PUT
            + b"0("
            + (b"cbuiltins\nfrozenset\n" + GET + b"R") * 10_000
            + b"l"
        ),
        "no network G_ema, but a list",
    ),
    "a long name": (
        lambda: module_of(
            _modules=b"}"
            + text("x" * 300_000)
            + module_of(_buffers=entries_of((str(i) for i in range(3000)), b"K\x01"))
            + b"s"
        ),
        "has a name without end",
    ),
    "large numbers": (
        lambda: b"(" + b"\x8b" + struct.pack("<i", 50_000) + b"\x7f" * 50_000 + b"l",
        "a number of more than 64 bits",
    ),
    "one storage, many tensors": (shares_a_storage, "no StyleGAN2 generator"),
    "one list of entries, many modules": (shares_its_entries, "more than 4000 parts"),
    "one long size": (shares_a_long_size, "tensor a: it is damaged"),
    "too many steps": (lambda: b"N" * 600_000, "takes more than 500000 steps"),
    "a deep tuple": (lambda: b")" + b"\x85" * 400_000, "no network G_ema, but a tuple"),
    "a line without end": (lambda: b"F" + b"1" * 2_000_000 + b"\n", "damaged or cut short"),
    "a size that lies": (lambda: b"\x8e" + struct.pack("<Q", 1 << 45), "damaged or cut short"),
    "a long text as many settings": (
        lambda: (
            text("x" * 1_000_000)
            + PUT
            + b"0"
            + module_of(_init_kwargs=entries_of((str(i) for i in range(10_000)), GET))
        ),
        "no StyleGAN2 generator",
    ),
}


@pytest.mark.parametrize("name", BOMBS)
def test_no_pickle_takes_work_out_of_proportion(tmp_path, name):
    program, message = BOMBS[name]
    path = tmp_path / "a.pkl"
    path.write_bytes(b"\x80\x02" + program() + b".")
    start = time.process_time()
    with little_memory(), pytest.raises(NetworkError, match=message):
        load_network(path)
    assert time.process_time() - start < 5
