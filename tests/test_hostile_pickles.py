"""Hostile checkpoints: those that would run something, and those that ask for work without end.

Each attack is first given to Python's own reader, which it must get the better of.
"""

from __future__ import annotations

import copyreg
import io
import json
import pickle
import struct
import time
import zipfile
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch

from animix.checkpoints.load import load_network
from animix.checkpoints.nvidia_modules import MODULE
from animix.errors import NetworkError
from tests.memory import little_memory
from tests.nvidia_files import storage_bytes
from tests.tensorflow_files import generator, published_modules
from tests.tiny import tiny_tensors

SECONDS, BYTES = 5, 200 << 20
"""What refusing a hostile file may take, beyond what the process has already."""


class Touches:
    """Leaves a mark wherever Python's reader lets it: when it is made and when it is filled."""

    def __new__(cls, marker=None, **named):
        for path in (marker, *named.values()):
            if path:
                Path(path).touch()
        return super().__new__(cls)

    def __setstate__(self, marker):
        Path(marker).touch()


SYSTEM = b"cposix\nsystem\n"
TOUCHES = f"c{Touches.__module__}\n{Touches.__name__}\n".encode()
CODES = {b"\x82": 201, b"\x83": 40_001, b"\x84": 1_000_001}


def text(content: str) -> bytes:
    letters = content.encode()
    return b"X" + struct.pack("<I", len(letters)) + letters


ATTACKS = {
    "GLOBAL and REDUCE": lambda mark: SYSTEM + text(f"touch {mark}") + b"\x85R",
    "STACK_GLOBAL": lambda mark: (
        text("posix") + text("system") + b"\x93" + text(f"touch {mark}") + b"\x85R"
    ),
    "eval": lambda mark: (
        b"cbuiltins\neval\n" + text(f"__import__('pathlib').Path('{mark}').touch()") + b"\x85R"
    ),
    "a name with dots": lambda mark: (
        b"\x80\x04"
        + text("os")
        + text("path.os.system")
        + b"\x93"
        + text(f"touch {mark}")
        + b"\x85R"
    ),
    "INST": lambda mark: b"(" + text(f"touch {mark}") + b"iposix\nsystem\n",
    "OBJ": lambda mark: b"(" + SYSTEM + text(f"touch {mark}") + b"o",
    "NEWOBJ": lambda mark: TOUCHES + text(mark) + b"\x85\x81",
    "NEWOBJ_EX": lambda mark: TOUCHES + b")}" + text("named") + text(mark) + b"s\x92",
    "BUILD": lambda mark: TOUCHES + b")\x81" + text(mark) + b"b",
    "EXT1": lambda mark: b"\x82" + struct.pack("<B", CODES[b"\x82"]) + text(mark) + b"\x85R",
    "EXT2": lambda mark: b"\x83" + struct.pack("<H", CODES[b"\x83"]) + text(mark) + b"\x85R",
    "EXT4": lambda mark: b"\x84" + struct.pack("<i", CODES[b"\x84"]) + text(mark) + b"\x85R",
    "PERSID": lambda mark: b"P" + mark.encode() + b"\n",
    "BINPERSID": lambda mark: text(mark) + b"Q",
}


class FollowsKeys(pickle.Unpickler):
    """Python's reader as a careless program uses it."""

    def persistent_load(self, key):
        Path(key).touch()


def as_zip(program: bytes, compression: int = zipfile.ZIP_STORED, **members: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        archive.writestr("archive/data.pkl", program)
        for name, content in members.items():
            archive.writestr(f"archive/{name.replace('_', '/')}", content)
    return buffer.getvalue()


def old_torch(program: bytes) -> bytes:
    heads = [0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}]
    return b"".join(pickle.dumps(part, 2) for part in heads) + program + pickle.dumps([], 2)


def in_a_network(program: bytes, kind: str = "_buffers") -> bytes:
    """A snapshot whose G_ema has what the program makes as a tensor."""
    entries = b"}" + text("synthesis.b4.const") + program + b"s"
    return b"\x80\x02}" + text("G_ema") + module_of(**{kind: entries}) + b"s."


def in_a_storage(content: bytes) -> bytes:
    data = b"B" + struct.pack("<I", len(content)) + content
    storage = b"ctorch.storage\n_load_from_bytes\n" + data + b"\x85R"
    return in_a_network(TENSOR + b"(" + storage + b"K\x00K\x01\x85K\x01\x85tR")


def in_an_array(program: bytes) -> bytes:
    array = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85C\x01b\x87R"
    return array + b"(K\x01K\x01\x85" + program + b"\x89C\x04abcdtb"


PLACES = {
    "the whole file": lambda program: b"\x80\x02" + program + b".",
    "beside the network": lambda program: b"\x80\x02}" + text("D") + program + b"s.",
    "a buffer": in_a_network,
    "a parameter": lambda program: in_a_network(program, "_parameters"),
    "a module": lambda program: in_a_network(program, "_modules"),
    "a storage": lambda program: in_a_storage(b"\x80\x02" + program + b"." + bytes(100)),
    "a storage's content": lambda program: in_a_storage(old_torch(b"\x80\x02" + program + b".")),
    "an array's state": lambda program: in_a_network(in_an_array(program)),
    "torch's zip file": lambda program: as_zip(b"\x80\x02" + program + b"."),
    "torch's old format": lambda program: old_torch(b"\x80\x02" + program + b"."),
}


@pytest.fixture(scope="module", autouse=True)
def extensions():
    for code in CODES.values():
        # The registry keeps one code for a name, so each code gets a name of its own.
        name = f"Touches{code}"
        globals()[name] = Touches
        copyreg.add_extension(__name__, name, code)
    yield
    for code in CODES.values():
        copyreg.remove_extension(__name__, f"Touches{code}", code)


@pytest.mark.parametrize("attack", ATTACKS)
def test_the_attacks_get_the_better_of_pythons_reader(tmp_path, attack):
    mark = tmp_path / "ran"
    FollowsKeys(io.BytesIO(ATTACKS[attack](str(mark)) + b".")).load()
    assert mark.exists()


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("attack", ATTACKS)
def test_no_attack_runs(tmp_path, attack, place):
    mark, path = tmp_path / "ran", tmp_path / "a.pkl"
    path.write_bytes(PLACES[place](ATTACKS[attack](str(mark))))
    start = time.process_time()
    refused = "which no network needs|refers to objects stored elsewhere"
    if attack == "BINPERSID" and ("storage's" in place or "torch" in place):
        refused += "|the pickle is damaged"  # torch's files may have keys, but not such
    with little_memory(BYTES), pytest.raises(NetworkError, match=refused):
        load_network(path)
    assert time.process_time() - start < SECONDS
    assert not mark.exists()
    assert list(tmp_path.iterdir()) == [path]


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


LIBRARY, _, FUNCTION = MODULE.rpartition(".")


def deep_modules(depth: int) -> bytes:
    """Modules in each other, each under the empty name."""
    start = f"c{LIBRARY}\n{FUNCTION}\n".encode() + b"}" + text("state") + b"}" + text("_modules")
    return (start + b"}" + text("")) * depth + b"N" + b"sss\x85R" * depth


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
            + text("x" * 1000)
            + module_of(_buffers=entries_of((str(i) for i in range(3000)), b"K\x01"))
            + b"s"
        ),
        "has a name without end",
    ),
    "large numbers": (
        lambda: b"(" + b"\x8b" + struct.pack("<i", 50_000) + b"\x7f" * 50_000 + b"l",
        "a number of more than 64 bits",
    ),
    "one storage, many tensors": (shares_a_storage, "holds no generator"),
    "one list of entries, many modules": (shares_its_entries, "more than 4000 parts"),
    "one long size": (shares_a_long_size, "tensor a: it is damaged"),
    "too many steps": (lambda: b"N" * 400_000, "takes more than 300000 steps"),
    "a deep tuple": (lambda: b")" + b"\x85" * 290_000, "no network G_ema, but a tuple"),
    "a line without end": (lambda: b"F" + b"1" * 2_000_000 + b"\n", "damaged or cut short"),
    "a size that lies": (lambda: b"\x8e" + struct.pack("<Q", 1 << 45), "damaged or cut short"),
    "a deep list": (lambda: b"]" * 100_000 + b"a" * 99_999, "no network G_ema, but a list"),
    "a deep dictionary": (
        lambda: b"}" + (text("G_ema") + b"}") * 95_000 + b"s" * 95_000,
        "no network G_ema, but a dictionary",
    ),
    "deep calls": (
        lambda: (b"ctorch\nSize\n" * 95_000) + b")" + b"R\x85" * 94_999 + b"R",
        "no network G_ema, but a torch.Size",
    ),
    "deep modules": (
        lambda: deep_modules(15_000),
        "has more than 4000 parts",
    ),
    "a list in itself": (lambda: b"]q\x00h\x00a", "no network G_ema, but a list"),
    "a dictionary in itself": (
        lambda: b"}q\x00" + text("G_ema") + b"h\x00s",
        "no network G_ema, but a dictionary",
    ),
    "a module in itself": (
        lambda: f"c{LIBRARY}\n{FUNCTION}\n".encode() + b"}q\x00" + text("state") + b"h\x00s\x85R",
        "holds no generator",
    ),
    "a module that holds itself": (
        lambda: (
            b"}q\x00" + module_of(_modules=b"h\x00") + b"q\x010h\x00" + text("a") + b"h\x01s00h\x01"
        ),
        "the module a occurs more than once",
    ),
    "a memo with a giant index": (
        lambda: b"Nr\xff\xff\xff\xff" + b"0Np" + b"9" * 4000 + b"\n",
        "no network G_ema, but a NoneType",
    ),
    "a tuple that doubles": (lambda: b")" + b"2\x86" * 100_000, "no network G_ema, but a tuple"),
    "a tuple that doubles as a key": (
        lambda: b"}" + b")" + b"2\x86" * 100 + b"Ns",
        "damaged or cut short",
    ),
    "a list that takes itself": (
        lambda: b"]q\x00" + b"(h\x00h\x00h\x00e" * 55_000,
        "no network G_ema, but a list",
    ),
    "empty dictionaries": (lambda: b"(" + b"}" * 290_000 + b"l", "no network G_ema, but a list"),
    "marks": (lambda: b"(" * 290_000 + b"N", "damaged|NoneType"),
    "texts of wide letters": (
        lambda: b"(" + text("\U0001f600" + "x" * 1020) * 20_000 + b"l",
        "more texts than any network needs",
    ),
    "a text of gigabytes": (lambda: b"X\xff\xff\xff\xffx", "damaged or cut short"),
    "a storage of terabytes": (
        lambda: in_a_storage(
            storage_bytes(torch.ones(2)).replace(b"K\x02Nt", b"\x8a\x06" + b"\xff" * 5 + b"\x00Nt")
        )[2:-1],
        "it is damaged or cut short",
    ),
    "a long text as many settings": (
        lambda: (
            text("x" * 1_000_000)
            + PUT
            + b"0"
            + module_of(_init_kwargs=entries_of((str(i) for i in range(10_000)), GET))
        ),
        "holds no generator",
    ),
}


@pytest.mark.parametrize("name", BOMBS)
def test_no_pickle_takes_work_out_of_proportion(tmp_path, name):
    program, message = BOMBS[name]
    path = tmp_path / "a.pkl"
    path.write_bytes(b"\x80\x02" + program() + b".")

    def seconds() -> float:
        start = time.process_time()
        with little_memory(BYTES), pytest.raises(NetworkError, match=message):
            load_network(path)
        return time.process_time() - start

    # The better of two: on a shared core even a processor's own time can be twice as long.
    assert seconds() < SECONDS or seconds() < SECONDS


def safetensors_of(header: dict, length: int | None = None) -> bytes:
    content = json.dumps(header).encode()
    return struct.pack("<Q", len(content) if length is None else length) + content


def tensorflow(arguments: dict, **variables) -> bytes:
    tensors, _ = tiny_tensors(img_resolution=8, channels=2, w_dim=4)
    with published_modules():
        return pickle.dumps(generator(tensors, arguments, **variables), 4)


def shares_an_array() -> bytes:
    shared = np.zeros((1, 1, 512, 512), np.float32)
    return tensorflow({}, synthesis={f"noise{i}": shared for i in range(1000)})


def deep_mapping(depth: int, width: int, between: int | None = None) -> bytes:
    """A state dict without average w, whose mapping goes through so many layers."""
    tensors, _ = tiny_tensors(img_resolution=4, channels=1, w_dim=width, num_mapping_layers=1)
    del tensors["mapping.w_avg"]
    widths = [width] + [between or width] * (depth - 1) + [width]
    for index, (inputs, outputs) in enumerate(pairwise(widths)):
        tensors[f"mapping.fc{index}.weight"] = torch.zeros(outputs, inputs)
        tensors[f"mapping.fc{index}.bias"] = torch.zeros(outputs)
    buffer = io.BytesIO()
    torch.save(tensors, buffer)
    return buffer.getvalue()


TERABYTES = {"dtype": "F32", "shape": [1 << 20, 1 << 20], "data_offsets": [0, 1 << 42]}

FILES = {
    "a zip bomb": (
        lambda: as_zip(b"\x80\x02" + bytes(1 << 28), zipfile.ZIP_DEFLATED),
        "compressed in an unusual way|unpacks to more",
    ),
    "a bomb for a storage": (
        lambda: as_zip(
            b"\x80\x02}"
            + text("g_ema")
            + b"}"
            + text("input.input")
            + TENSOR
            + b"(("
            + text("storage")
            + b"ctorch\nFloatStorage\n"
            + text("0")
            + text("cpu")
            + b"J\x00\x00\x00\x10tQK\x00J\x00\x00\x00\x10\x85K\x01\x85\x89}tRss.",
            zipfile.ZIP_DEFLATED,
            data_0=bytes(1 << 28),
        ),
        "compressed in an unusual way|unpacks to more",
    ),
    "a header of terabytes": (
        lambda: safetensors_of({}, 1 << 42) + bytes(99),
        "no checkpoint that animix knows",
    ),
    "a header that is longer than the file": (
        lambda: safetensors_of({}, 1 << 22),
        "damaged|cut short",
    ),
    "thousands of tensors": (
        lambda: safetensors_of(
            {
                f"synthesis.{i}": {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}
                for i in range(50_000)
            }
        ),
        "more than 4000 tensors",
    ),
    "a filter that is multiplied with itself": (
        lambda: tensorflow({"resample_kernel": np.ones(15_000, np.int8)}),
        "resample_kernel has not 1 to 16 taps",
    ),
    "a filter of many taps": (
        lambda: tensorflow({"resample_kernel": [1] * 100_000}),
        "no list of at most 16 numbers",
    ),
    "variables that share their bytes": (shares_an_array, "more bytes than the file has left"),
    "a deep mapping whose average is to be estimated": (
        lambda: deep_mapping(1950, 92),
        "its mapping has 1950 layers, expected at most 64",
    ),
    "a large mapping whose average is to be estimated": (
        lambda: deep_mapping(64, 260),
        "the mapping is too large to estimate it",
    ),
    "a wide mapping whose average is to be estimated": (
        lambda: deep_mapping(2, 4, between=500_000),
        "the mapping is too large to estimate it",
    ),
    "a tensor of terabytes": (
        lambda: safetensors_of({"synthesis.b4.const": TERABYTES}),
        "damaged|cut short",
    ),
}


@pytest.mark.parametrize("name", FILES)
def test_no_file_takes_memory_out_of_proportion(tmp_path, name):
    content, message = FILES[name]
    path = tmp_path / "a.pt"
    path.write_bytes(content())
    start = time.process_time()
    with little_memory(BYTES), pytest.raises(NetworkError, match=message):
        load_network(path)
    assert time.process_time() - start < SECONDS
