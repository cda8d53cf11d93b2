"""Both formats of torch.save, read without torch's reader; hostile ones end at once."""

from __future__ import annotations

import io
import os
import pickle
import struct
import time
import zipfile

import pytest
import torch

from animix.checkpoints.torch_file import open_torch_file
from animix.errors import NetworkError
from tests.memory import little_memory


def saved(path, content, zipped=True):
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    return path


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64, torch.int16])
def test_tensors_come_back_as_they_were_saved(tmp_path, zipped, dtype):
    whole = torch.arange(24).reshape(4, 6).to(dtype)
    content = {"whole": whole, "view": whole[1:, ::2].T, "number": whole[2, 3], "steps": 3}
    with open_torch_file(saved(tmp_path / "a.pt", content, zipped)) as file:
        assert file.content["steps"] == 3
        for name in ("whole", "view", "number"):
            tensor = file.tensor(file.content[name])
            assert tensor.dtype == dtype
            assert torch.equal(tensor, content[name])


@pytest.mark.parametrize("zipped", [False, True])
def test_parameters_are_tensors(tmp_path, zipped):
    parameter = torch.nn.Parameter(torch.ones(3))
    with open_torch_file(saved(tmp_path / "a.pt", [parameter], zipped)) as file:
        assert torch.equal(file.tensor(file.content[0]), torch.ones(3))


class Hostile:
    def __reduce__(self):
        return os.system, ("touch ran.txt",)


@pytest.mark.parametrize("zipped", [False, True])
def test_no_call_is_made(tmp_path, monkeypatch, zipped):
    monkeypatch.chdir(tmp_path)
    path = saved(tmp_path / "a.pt", {"w": Hostile()}, zipped)
    with pytest.raises(NetworkError, match="nothing in it was run"), open_torch_file(path):
        pass
    assert not (tmp_path / "ran.txt").exists()


def number(value: int) -> bytes:
    return b"\x8a\x08" + struct.pack("<q", value)


def tensor_program(
    count: int = 4, size: int = 4, stride: int = 1, kind: bytes = b"FloatStorage"
) -> bytes:
    storage = b"(U\x07storagectorch\n" + kind + b"\nU\x010U\x03cpu" + number(count) + b"tQ"
    shape = number(size) + b"\x85" + number(stride) + b"\x85"
    return b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage + b"K\x00" + shape + b"\x89}tR"


def zipped(program: bytes, *, compression=zipfile.ZIP_STORED, **members: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        archive.writestr("archive/data.pkl", b"\x80\x02" + program + b".")
        for name, content in members.items():
            archive.writestr(f"archive/{name.replace('_', '/')}", content)
    return buffer.getvalue()


def old(program: bytes, keys: object = ("0",), raw: bytes = b"") -> bytes:
    head = [0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}]
    pickles = [pickle.dumps(part, 2) for part in head]
    listed = keys if isinstance(keys, bytes) else pickle.dumps(list(keys), 2)
    return b"".join(pickles) + b"\x80\x02" + program + b"." + listed + raw


def many_members() -> bytes:
    """An archive whose list of members is long, made by repeating one entry of it."""
    content = zipped(b"N")
    start = content.index(b"PK\x01\x02")
    end = content.index(b"PK\x05\x06")
    entries = content[start:end] * 60_000
    tail = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 60_000, 60_000, len(entries), start, 0)
    return content[:start] + entries + tail


NESTED = b")" + b"q\x01h\x01\x86" * 60
NUMBERS = struct.pack("<4f", 1, 2, 3, 4)
COUNTED = struct.pack("<q", 4) + NUMBERS

HOSTILE = {
    "a nested key": (zipped(b"}" + NESTED + b"Ns"), "the pickle is damaged"),
    "a nested key in the old format": (old(b"}" + NESTED + b"Ns"), "the pickle is damaged"),
    "a nested storage key": (
        old(tensor_program(), b"\x80\x02]" + NESTED + b"a."),
        "damaged or cut short",
    ),
    "a large bytearray": (
        zipped(b"c__builtin__\nbytearray\n" + number(4 << 30) + b"\x85R"),
        "asks for __builtin__.bytearray",
    ),
    "a stride of 0": (
        zipped(tensor_program(size=1 << 31, stride=0), data_0=NUMBERS),
        "it is damaged",
    ),
    "a large size": (zipped(tensor_program(size=1 << 40), data_0=NUMBERS), "it is damaged"),
    "a long stride": (zipped(tensor_program(stride=2), data_0=NUMBERS), "outside its storage"),
    "a large storage": (zipped(tensor_program(count=1 << 40), data_0=NUMBERS), "take more than"),
    "another storage": (zipped(tensor_program(count=5), data_0=NUMBERS), "another size"),
    "no storage": (zipped(tensor_program()), "has no member data/0"),
    "a compressed storage": (
        zipped(tensor_program(), compression=zipfile.ZIP_DEFLATED, data_0=NUMBERS),
        "compressed in an unusual way",
    ),
    "complex numbers": (
        zipped(tensor_program(kind=b"ComplexFloatStorage"), data_0=NUMBERS * 2),
        "asks for torch.ComplexFloatStorage",
    ),
    "another machine": (zipped(tensor_program(), byteorder=b"big"), "big-endian"),
    "no tensor": (zipped(b"N"), "it is damaged"),
    "no pickle": (zipped(b"N").replace(b"data.pkl", b"atad.pkl"), r"no data\.pkl"),
    "many members": (many_members(), "more members"),
    "a cut archive": (zipped(tensor_program(), data_0=NUMBERS)[:-30], "damaged or cut short"),
    "a count that lies": (old(tensor_program(), raw=b"\x05" + COUNTED[1:]), "cut short"),
    "a cut storage": (old(tensor_program(), raw=COUNTED[:-1]), "cut short"),
    "keys of nothing": (old(tensor_program(), keys=("0", "1"), raw=COUNTED), "cut short"),
    "more behind": (old(tensor_program(), raw=COUNTED + b"1"), "cut short"),
    "a text": (b"hello", "damaged or cut short"),
    "another pickle": (pickle.dumps(3) * 3, "not a file that torch.save wrote"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_ends_at_once(tmp_path, name):
    content, message = HOSTILE[name]
    path = tmp_path / "a.pt"
    path.write_bytes(content)
    start = time.process_time()
    with (
        little_memory(),
        pytest.raises(NetworkError, match=message),
        open_torch_file(path) as file,
    ):
        file.tensor(file.content)
    assert time.process_time() - start < 20


@pytest.mark.parametrize(
    "content", [zipped(tensor_program(), data_0=NUMBERS), old(tensor_program(), raw=COUNTED)]
)
def test_the_hostile_files_are_readable_without_what_makes_them_hostile(tmp_path, content):
    path = tmp_path / "a.pt"
    path.write_bytes(content)
    with open_torch_file(path) as file:
        assert file.tensor(file.content).tolist() == [1, 2, 3, 4]


def test_members_that_lie_over_each_other_are_refused(tmp_path):
    # Five storages with the bytes of one, by the offsets in the list of members.
    storages = {f"data_{i}": bytes(100_000 if i == 0 else 0) for i in range(5)}
    tensors = b"".join(
        tensor_program(count=25_000).replace(b"U\x010", b"U\x01" + str(i).encode())
        for i in range(5)
    )
    content = bytearray(zipped(b"(" + tensors + b"l", **storages))
    entries = [i for i in range(len(content)) if content[i : i + 4] == b"PK\x01\x02"]
    whole = next(i for i in entries if content[i + 46 :].startswith(b"archive/data/0"))
    for i in entries:
        if content[i + 46 :].startswith(b"archive/data/"):
            content[i + 16 : i + 28] = content[whole + 16 : whole + 28]
            content[i + 42 : i + 46] = content[whole + 42 : whole + 46]
    path = tmp_path / "a.pt"
    path.write_bytes(content)
    with (
        pytest.raises(NetworkError, match="take more than the file holds"),
        open_torch_file(path) as file,
    ):
        for record in file.content:
            file.tensor(record)
