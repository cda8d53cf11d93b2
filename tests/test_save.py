"""Networks are saved so that they come back bit for bit, or not at all."""

import contextlib
import os
import resource
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import animix
from animix.checkpoints.load import format_of, load_network
from animix.errors import AnimixError, NetworkError, OptionError
from animix.networks.blend import with_mapping
from animix.networks.recognize import network_of
from tests.nvidia_files import write_nvidia_pickle
from tests.tiny import relative_of, tiny_stylegan3, tiny_tensors

NETWORKS = {
    "skip": lambda: tiny_tensors(),
    "resnet": lambda: tiny_tensors(architecture="resnet"),
    "orig with labels": lambda: tiny_tensors(architecture="orig", c_dim=3),
    "StyleGAN3": lambda: tiny_stylegan3(),
    "StyleGAN3, other settings": lambda: tiny_stylegan3(margin_size=4, first_cutoff=1.5),
}


def assert_same(one, other):
    assert one.tensors.keys() == other.tensors.keys()
    for name, tensor in one.tensors.items():
        assert torch.equal(tensor, other.tensors[name]), name
    for fact in ("kind", "architecture", "img_resolution", "num_ws", "conv_clamp", "plan"):
        assert getattr(one.facts, fact) == getattr(other.facts, fact)
    z = np.random.RandomState(1).randn(2, one.z_dim)
    label = np.eye(one.c_dim)[[0, 1]] if one.c_dim else None
    ws = one.mapping(z, label)
    assert torch.equal(one.synthesis(ws), other.synthesis(ws))


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("clamp", ["none", "256", "0.1"])
def test_safetensors_give_the_network_back_bit_for_bit(tmp_path, name, clamp):
    tensors, metadata = NETWORKS[name]()
    network = network_of(tensors, {**metadata, "conv_clamp": clamp})
    animix.save_network(network, tmp_path / "sub" / "a.safetensors")
    assert_same(network, load_network(tmp_path / "sub" / "a.safetensors"))


def test_metadata_stay_and_tell_what_the_file_was_before(tmp_path):
    tensors, metadata = tiny_tensors()
    said = {"licence": "CC0-1.0", "strange": "\ud800 ☃", "source_format": "rosinality .pt"}
    network = network_of(tensors, {**metadata, **said})
    animix.save_network(network, tmp_path / "a.safetensors")
    found = load_network(tmp_path / "a.safetensors").metadata
    assert found["licence"] == "CC0-1.0"
    assert found["strange"] == "? ☃"
    assert found["converted_from"] == "rosinality .pt"
    assert found["source_format"] == "safetensors"
    # It still tells so when it has been read and written again.
    animix.save_network(load_network(tmp_path / "a.safetensors"), tmp_path / "b.safetensors")
    assert load_network(tmp_path / "b.safetensors").metadata == found


def test_tensors_that_share_their_numbers_are_written(tmp_path):
    tensors, metadata = tiny_tensors()
    tensors["synthesis.b8.conv0.bias"] = tensors["synthesis.b4.conv1.bias"]
    turned = tensors["synthesis.b8.conv0.weight"].transpose(0, 1)
    network = network_of({**tensors, "synthesis.b8.conv0.weight": turned}, metadata)
    animix.save_network(network, tmp_path / "a.safetensors")
    assert_same(network, load_network(tmp_path / "a.safetensors"))


def test_a_pt_is_read_back(tmp_path):
    network = network_of(*tiny_tensors(channels=512, img_resolution=8, w_dim=8))
    animix.save_network(network, tmp_path / "a.pt")
    assert format_of(tmp_path / "a.pt").name == "rosinality .pt"
    assert_same(network, load_network(tmp_path / "a.pt"))


def test_a_network_that_a_pt_can_not_express_is_refused(tmp_path):
    with pytest.raises(OptionError, match="const has 8 channels"):
        animix.save_network(network_of(*tiny_tensors()), tmp_path / "a.pt")
    assert list(tmp_path.iterdir()) == []


def test_a_pkl_is_like_its_original(tmp_path):
    tensors, _ = tiny_tensors()
    child = relative_of(tensors)
    original = write_nvidia_pickle(tmp_path / "original.pkl", tensors)
    network = load_network(write_nvidia_pickle(tmp_path / "child.pkl", child))
    before = original.read_bytes()
    animix.save_network(network, tmp_path / "new.pkl", like=original)
    assert_same(network, load_network(tmp_path / "new.pkl"))
    assert original.read_bytes() == before


@pytest.mark.parametrize(
    ("name", "like", "message"),
    [
        ("a.onnx", None, "expected a name that ends in .safetensors, .pt, .pkl"),
        ("a", None, "expected a name that ends in"),
        ("a.pkl", None, "--like ORIGINAL.pkl"),
        ("a.safetensors", "original.pkl", "ends in .pkl"),
        ("original.pkl", "original.pkl", "is the original itself"),
        ("file/a.safetensors", None, "can't be written"),
        ("folder.safetensors", None, "is no regular file"),
        ("a.pkl", "gone.pkl", "no such file"),
        ("a.pkl", "other.pkl", "other.pkl"),
    ],
)
def test_what_can_not_be_written_is_told_and_leaves_nothing(
    tmp_path, monkeypatch, name, like, message
):
    monkeypatch.chdir(tmp_path)
    tensors, metadata = tiny_tensors()
    write_nvidia_pickle(tmp_path / "original.pkl", tensors)
    write_nvidia_pickle(tmp_path / "other.pkl", tiny_tensors(channels=4)[0])
    (tmp_path / "file").write_text("no folder")
    (tmp_path / "folder.safetensors").mkdir()
    before = {path: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
    network = network_of(tensors, {**metadata, "conv_clamp": "256"})
    with pytest.raises(AnimixError, match=message) as caught:
        animix.save_network(network, Path(name), like=like)
    assert isinstance(caught.value, (OptionError, NetworkError))
    assert {path: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()} == before


@contextlib.contextmanager
def full_disk(max_bytes=4096):
    """Let no file become larger, which is told as a full disk is."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (max_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("suffix", [".safetensors", ".pt", ".pkl"])
def test_a_full_disk_leaves_what_stood_there(tmp_path, suffix):
    tensors, _ = tiny_tensors(channels=512, img_resolution=4, w_dim=8)
    original = write_nvidia_pickle(tmp_path / "original.pkl", tensors)
    network = load_network(original)
    target, like = tmp_path / f"a{suffix}", original if suffix == ".pkl" else None
    animix.save_network(network, target, like)
    before = target.read_bytes()
    names = sorted(path.name for path in tmp_path.iterdir())
    with full_disk(), pytest.raises(OptionError, match=r"can't be written: .*File too large"):
        animix.save_network(replace(network, metadata={}), target, like)
    assert target.read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == names


def test_a_network_with_the_mapping_of_another_is_written_like_it(tmp_path):
    tensors, _ = tiny_tensors()
    deep, _ = tiny_tensors(num_mapping_layers=3, seed=1)
    base = load_network(write_nvidia_pickle(tmp_path / "a.pkl", tensors))
    other = load_network(write_nvidia_pickle(tmp_path / "b.pkl", deep))
    network = with_mapping(base, other)
    animix.save_network(network, tmp_path / "c.pkl", like=tmp_path / "b.pkl")
    assert_same(network, load_network(tmp_path / "c.pkl"))


def test_a_pipe_or_a_file_of_another_format_is_no_original(tmp_path):
    network = network_of(*tiny_tensors())
    os.mkfifo(tmp_path / "pipe.pkl")
    animix.save_network(network, tmp_path / "a.safetensors")
    for name, message in (
        ("pipe.pkl", "it is a pipe or a device"),
        ("a.safetensors", "its format is safetensors, expected NVIDIA's PyTorch pickle"),
    ):
        with pytest.raises(NetworkError, match=rf"{name}: {message}"):
            animix.save_network(network, tmp_path / "b.pkl", like=tmp_path / name)


def test_a_network_with_another_mapping_is_written_like_an_original(tmp_path):
    tensors, _ = tiny_tensors()
    deep, _ = tiny_tensors(num_mapping_layers=4)
    like = write_nvidia_pickle(tmp_path / "original.pkl", deep)
    base = load_network(write_nvidia_pickle(tmp_path / "base.pkl", tensors))
    network = with_mapping(base, load_network(like))
    animix.save_network(network, tmp_path / "new.pkl", like=like)
    found = load_network(tmp_path / "new.pkl")
    assert_same(network, found)
    assert found.facts.num_parameters == network.facts.num_parameters
