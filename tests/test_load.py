from __future__ import annotations

import io
import os
import pickle
import time
import zipfile

import pytest
import torch

from animix.checkpoints import load
from animix.checkpoints.load import load_network
from animix.errors import NetworkError
from tests.memory import little_memory


def zipped() -> bytes:
    buffer = io.BytesIO()
    torch.save({"g_ema": torch.zeros(3)}, buffer)
    assert zipfile.is_zipfile(buffer)
    return buffer.getvalue()


def old_torch() -> bytes:
    buffer = io.BytesIO()
    torch.save({"g_ema": torch.zeros(3)}, buffer, _use_new_zipfile_serialization=False)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "it is empty; animix reads safetensors files and NVIDIA PyTorch pickle files"),
        (b"<!DOCTYPE html><html>", "it is a web page .* animix reads safetensors files"),
        (b"\n <html>", "it is a web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid", "a Git LFS pointer: fetch"),
        (b'{"a": 1}', "it is JSON text"),
        (b"\x1f\x8b\x08\x00", "it is a gzip archive"),
        (b"\x89PNG\r\n\x1a\n", "it is a PNG picture"),
        (b"MZ\x90\x00\x03", r"no checkpoint that animix knows \(it begins with b'MZ"),
        (b"\x80", "no checkpoint that animix knows"),
        (b"\x80\x04", "the pickle is damaged or cut short"),
        (zipped(), "a zip archive, perhaps a PyTorch .pt file, which animix does not read yet"),
        (old_torch(), "it is a PyTorch .pt file, which animix does not read yet"),
        (pickle.dumps({"a": 1, "b": 2}), "no network G_ema, but a dictionary with the keys a, b"),
        (pickle.dumps([1, 2]), "no network G_ema, but a list"),
        (pickle.dumps({}), "no network G_ema, but a dictionary without names"),
    ],
)
def test_files_of_another_kind_are_named(tmp_path, content, message):
    path = tmp_path / "network.pkl"
    path.write_bytes(content)
    with pytest.raises(NetworkError, match=message) as caught:
        load_network(path)
    assert str(caught.value).startswith(f"{path}: ")


def test_what_is_no_file_is_refused_without_waiting(tmp_path):
    pipe, link = tmp_path / "pipe", tmp_path / "link"
    os.mkfifo(pipe)
    link.symlink_to(link)
    for path, message in (
        (tmp_path / "missing.pkl", "missing.pkl: there is no such file"),
        (tmp_path, "it is a folder"),
        (pipe, "it is a pipe or a device"),
        ("/dev/zero", "it is a pipe or a device"),
        (link, "it can't be read"),
        ("a\0b", "a character that no path can hold"),
    ):
        with pytest.raises(NetworkError, match=message):
            load_network(path)


@pytest.mark.parametrize(
    ("size", "message"),
    [(1 << 40, "it takes 1024 GiB, more than any network"), (4 << 30, "damaged or cut short")],
)
def test_a_file_of_holes_is_not_read_through(tmp_path, size, message):
    path = tmp_path / "holes.pkl"
    path.write_bytes(b"\x80\x02")
    os.truncate(path, size)
    start = time.process_time()
    with little_memory(), pytest.raises(NetworkError, match=message):
        load_network(path)
    assert time.process_time() - start < 2


def test_a_network_that_memory_does_not_hold_is_an_error_of_ours(tmp_path, monkeypatch):
    def fail(path):
        raise MemoryError

    monkeypatch.setattr(load, "FORMATS", (load.Format("any", lambda head: True, fail),))
    path = tmp_path / "a.pkl"
    path.write_bytes(b"a")
    with pytest.raises(NetworkError, match=r"a\.pkl: it takes more memory than there is"):
        load_network(path)
