"""Networks are saved so that they come back bit for bit, or not at all."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import animix
from animix.checkpoints.load import format_of, load_network
from animix.errors import AnimixError, NetworkError, OptionError
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
    assert "source_format" not in found


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
    with pytest.raises(OptionError, match="8 channels at 4 px"):
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


def test_a_full_disk_leaves_what_stood_there(tmp_path, monkeypatch):
    network = network_of(*tiny_tensors())
    target = tmp_path / "a.safetensors"
    animix.save_network(network, target)
    before = target.read_bytes()

    def full(*_):
        import safetensors

        raise safetensors.SafetensorError("No space left on device")

    monkeypatch.setattr("animix.checkpoints.safetensors.save_file", full)
    with pytest.raises(OptionError, match="No space left"):
        animix.save_network(replace(network, metadata={}), target)
    assert target.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["a.safetensors"]
