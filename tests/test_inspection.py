"""An inspection tells what a checkpoint is, on lines that fit and steer no terminal."""

import json
import math

import pytest

from animix import demo
from animix.errors import NetworkError
from animix.inspection import inspect_checkpoint, inspection_of
from animix.networks.recognize import network_of
from animix.tables import WIDTH
from tests.nvidia_files import write_nvidia_pickle
from tests.tiny import tiny_stylegan3, tiny_tensors, write_tensors, write_tiny


def test_the_sizes_are_those_of_the_network(tmp_path):
    path = write_tiny(tmp_path / "a.safetensors", img_resolution=32, channels=4, c_dim=3)
    found = inspect_checkpoint(path)
    assert (found.format, found.architecture) == ("safetensors", "StyleGAN2 skip")
    assert (found.img_resolution, found.num_ws, found.num_layers) == (32, 8, 8)
    assert (found.z_dim, found.c_dim, found.w_dim, found.mapping_depth) == (16, 3, 16, 2)
    assert (found.num_noise_layers, found.conv_clamp) == (7, None)
    assert found.size_bytes == path.stat().st_size
    assert [part.resolution for part in found.parts] == [4, 8, 16, 32]
    assert found.parts[0].layers == ("b4.const", "b4.conv1")
    assert {channels for part in found.parts for channels in part.channels} == {4}
    parts = sum(part.num_parameters for part in found.parts)
    assert parts + found.num_mapping_parameters == found.num_parameters


def test_a_pickle_and_stylegan3_are_told_by_name(tmp_path):
    pickle = write_nvidia_pickle(tmp_path / "a.pkl", tiny_tensors()[0])
    assert inspect_checkpoint(pickle).format == "NVIDIA PyTorch pickle"
    assert inspect_checkpoint(pickle).conv_clamp == 256
    write_tensors(tmp_path / "t.safetensors", *tiny_stylegan3())
    write_tensors(tmp_path / "r.safetensors", *tiny_stylegan3(use_radial_filters=True))
    third = inspect_checkpoint(tmp_path / "t.safetensors")
    assert third.architecture == "StyleGAN3-T"
    assert inspect_checkpoint(tmp_path / "r.safetensors").architecture == "StyleGAN3-R"
    assert third.num_noise_layers == 0
    assert third.parts[0].layers[0] == "input"
    assert third.parts[-1].channels[-1] == 3


def test_the_lines_tell_where_a_network_came_from():
    lines = inspect_checkpoint(demo.TIMELINE.parent / "relief-4.safetensors").lines()
    text = "\n".join(lines)
    assert "StyleGAN2 skip, 128 px, safetensors, 3.64 MB" in lines[0]
    assert "licence               CC0-1.0" in text
    assert "parent                base" in text
    # What the tensors tell is not told again.
    assert "w_dim" not in text


def test_lines_fit_and_steer_no_terminal(tmp_path):
    metadata = {"licence": "x" * 5000, "evil\x1b[2J" * 30: "red \x1b[31m\n\tmore", "∞": ""}
    network = network_of(tiny_tensors()[0], metadata)
    found = inspection_of(network, "folder/" * 40 + "a.pkl", "NVIDIA PyTorch pickle", 10**12)
    lines = found.lines()
    assert max(map(len, lines)) <= WIDTH
    assert all(line.isprintable() for line in lines)
    assert "a.pkl: StyleGAN2 skip" in lines[0]


def test_a_file_that_says_nothing_is_told_so():
    lines = inspection_of(network_of(tiny_tensors()[0], {}), "a", "b", 1).lines()
    assert lines[-1].strip() == "The file says nothing of where it came from."


def test_machines_get_everything(tmp_path):
    metadata = {"licence": "x" * 5000}
    found = inspection_of(network_of(tiny_tensors()[0], metadata), "a", "b", 1)
    told = json.loads(json.dumps(found.as_dict()))
    assert told["metadata"]["licence"] == "x" * 5000
    assert math.isclose(told["num_parameters"], found.num_parameters)
    assert len(told["parts"]) == 3


@pytest.mark.parametrize("content", [b"", b"GIF89a", None])
def test_what_is_no_checkpoint_is_refused(tmp_path, content):
    path = tmp_path / "a.pkl"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(NetworkError, match=r"a\.pkl"):
        inspect_checkpoint(path)
