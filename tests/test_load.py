from __future__ import annotations

import os
import pickle
import signal
import time
from pathlib import Path

import pytest
import safetensors
import torch

from animix.checkpoints import load
from animix.checkpoints.load import format_of, load_network
from animix.checkpoints.w_avg import network_with_w_avg
from animix.errors import NetworkError
from tests.memory import little_memory
from tests.nvidia_files import write_nvidia_pickle
from tests.rosinality_files import state_dict
from tests.tensorflow_files import generator, write_tensorflow_pickle
from tests.tiny import tiny_tensors, write_tensors, write_tiny

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
    write_tensors(tmp_path / "c.safetensors", tensors, {"source_format": "another"})
    written = (tmp_path / name for name in ("a.pt", "b.pt", "c.safetensors"))
    for path in (GOLDEN / "tf-a.pkl", GOLDEN / "sg2-a.pkl", *written):
        assert load_network(path).metadata["source_format"] == format_of(path).name


def test_a_format_is_one_line_in_a_table(tmp_path, monkeypatch):
    network = load_network(GOLDEN / "sg2-a.pkl")
    mine = load.Format("mine", lambda seen: seen.head.startswith(b"mine"), lambda path: network)
    monkeypatch.setattr(load, "FORMATS", (mine, *load.FORMATS))
    path = tmp_path / "a.pkl"
    path.write_bytes(b"mine")
    assert load_network(path).tensors is network.tensors
    assert load_network(path).metadata["source_format"] == "mine"
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
        ("", "it is this folder, or the path is empty"),
        (
            "https://example.com/a.pkl",
            "^https://example.com/a.pkl: animix reads files, no URLs: download it first",
        ),
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
    assert time.process_time() - start < 20


def test_a_network_that_memory_does_not_hold_is_an_error_of_ours(tmp_path, monkeypatch):
    def fail(path):
        raise MemoryError

    monkeypatch.setattr(load, "FORMATS", (load.Format("any", lambda seen: True, fail),))
    path = tmp_path / "a.pkl"
    path.write_bytes(b"a")
    with pytest.raises(NetworkError, match=r"a\.pkl: it takes more memory than there is"):
        load_network(path)


@pytest.mark.parametrize(
    "name",
    [
        "synthesis.b4.\x1b[31mred",
        "synthesis.b4.\x9b31mred",
        "synthesis.b4.a\nb",
        "synthesis.b4.\r\x07",
    ],
)
def test_names_out_of_files_do_not_steer_a_terminal(tmp_path, name):
    tensors, metadata = tiny_tensors(img_resolution=8, channels=2, w_dim=4)
    write_tensors(tmp_path / "a.safetensors", tensors | {name: torch.ones(1)}, metadata)
    torch.save(tensors | {name: torch.ones(1)}, tmp_path / "a.pt")
    (tmp_path / "a.pkl").write_bytes(pickle.dumps({name: 1}))
    for path in tmp_path.iterdir():
        with pytest.raises(NetworkError, match=r"synthesis\.b4") as caught:
            load_network(path)
        assert str(caught.value).isprintable()


def test_a_long_read_ends_at_once_when_it_is_interrupted(tmp_path, monkeypatch):
    read_on = []

    def read(path):
        os.kill(os.getpid(), signal.SIGINT)
        read_on.append(path)

    monkeypatch.setattr(load, "FORMATS", (load.Format("any", lambda seen: True, read),))
    path = tmp_path / "a.pkl"
    path.write_bytes(b"a")
    with pytest.raises(KeyboardInterrupt):
        load_network(path)
    assert read_on == []


def test_a_librarys_call_is_not_interrupted_but_the_read_ends_after_it(tmp_path, monkeypatch):
    path = write_tiny(tmp_path / "a.safetensors", img_resolution=8, channels=2, w_dim=4)
    opened, taken = safetensors.safe_open, []

    class Interrupted:
        def __init__(self, *args):
            self.file = opened(*args)

        def __enter__(self):
            return self.file.__enter__() and self

        def __exit__(self, *error):
            return self.file.__exit__(*error)

        def __getattr__(self, name):
            return getattr(self.file, name)

        def get_tensor(self, name):
            os.kill(os.getpid(), signal.SIGINT)
            taken.append(name)
            return self.file.get_tensor(name)

    monkeypatch.setattr(safetensors, "safe_open", Interrupted)
    with pytest.raises(KeyboardInterrupt):
        load_network(path)
    assert len(taken) == 1


def lacking(tensors):
    return {name: tensor for name, tensor in tensors.items() if name != "mapping.w_avg"}


def as_tensorflow(path, tensors):
    record = generator(tensors)
    record.variables = [pair for pair in record.variables if pair[0] != "dlatent_avg"]
    write_tensorflow_pickle(path, record)


WRITERS = {
    "NVIDIA PyTorch pickle": lambda path, tensors: write_nvidia_pickle(path, lacking(tensors)),
    "TensorFlow pickle": as_tensorflow,
    "rosinality .pt": lambda path, tensors: torch.save({"g_ema": state_dict(tensors)}, path),
    "PyTorch state dict": lambda path, tensors: torch.save(lacking(tensors), path),
    "safetensors": lambda path, tensors: write_tensors(path, lacking(tensors), {}),
}


@pytest.mark.parametrize("name", WRITERS)
def test_where_a_file_has_no_average_w_it_is_estimated_and_said(tmp_path, name):
    tensors, _ = tiny_tensors(img_resolution=8, channels=2, w_dim=4)
    WRITERS[name](tmp_path / "a", tensors)
    network = load_network(tmp_path / "a")
    assert format_of(tmp_path / "a").name == name
    assert network.metadata["w_avg"] == "estimated from 10000 latents, seed 0"
    expected = network_with_w_avg(lacking(tensors), {}).tensors["mapping.w_avg"]
    assert torch.allclose(network.tensors["mapping.w_avg"], expected)
