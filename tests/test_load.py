from __future__ import annotations

import os
import pickle
import time
from pathlib import Path

import pytest
import torch

from animix.checkpoints import load
from animix.checkpoints.load import format_of, load_network
from animix.errors import NetworkError
from tests.memory import little_memory
from tests.rosinality_files import state_dict

GOLDEN = Path(__file__).parent / "golden"


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("sg2-a.pkl", "NVIDIA PyTorch pickle"),
        ("tf-a.pkl", "TensorFlow pickle"),
    ],
)
def test_the_format_is_found_by_looking_into_the_file(tmp_path, file, name):
    assert format_of(GOLDEN / file).name == name
    misnamed = tmp_path / "network.safetensors"
    misnamed.write_bytes((GOLDEN / file).read_bytes())
    assert format_of(misnamed).name == name
    assert load_network(misnamed).img_resolution == 32


def test_every_reader_says_what_it_read(tmp_path):
    tensors = dict(load_network(GOLDEN / "tf-a.pkl").tensors)
    torch.save({"G_ema": tensors}, tmp_path / "a.pt")
    torch.save({"g_ema": state_dict(tensors)}, tmp_path / "b.pt")
    for path in (GOLDEN / "tf-a.pkl", tmp_path / "a.pt", tmp_path / "b.pt"):
        assert load_network(path).metadata["source_format"] == format_of(path).name


def test_a_format_is_one_line_in_a_table(tmp_path, monkeypatch):
    network = load_network(GOLDEN / "sg2-a.pkl")
    mine = load.Format("mine", lambda seen: seen.head.startswith(b"mine"), lambda path: network)
    monkeypatch.setattr(load, "FORMATS", (mine, *load.FORMATS))
    path = tmp_path / "a.pkl"
    path.write_bytes(b"mine")
    assert load_network(path) is network
    assert format_of(path) is mine
    path.write_bytes(b"yours")
    with pytest.raises(NetworkError, match=r"animix reads mine, safetensors, .* files"):
        load_network(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\x80", "no checkpoint that animix knows"),
        (b"\x80\x04", "the pickle is damaged or cut short"),
        (pickle.dumps({"a": 1, "b": 2}), "no network G_ema, but a dictionary with the keys a, b"),
        (pickle.dumps([1, 2]), "no network G_ema, but a list"),
        (pickle.dumps({}), "no network G_ema, but a dictionary without names"),
    ],
)
def test_pickles_without_a_network_are_refused(tmp_path, content, message):
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
        with pytest.raises(NetworkError, match=message):
            format_of(path)


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

    monkeypatch.setattr(load, "FORMATS", (load.Format("any", lambda seen: True, fail),))
    path = tmp_path / "a.pkl"
    path.write_bytes(b"a")
    with pytest.raises(NetworkError, match=r"a\.pkl: it takes more memory than there is"):
        load_network(path)
