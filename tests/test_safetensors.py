from __future__ import annotations

import json
import resource
import struct
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors import safe_open

from animix.checkpoints.load import load_network
from animix.checkpoints.safetensors import write_safetensors
from animix.errors import NetworkError
from animix.networks.recognize import network_of
from tests.tiny import tiny_tensors, write_tensors, write_tiny

DEMO = Path(__file__).parents[1] / "animix" / "demo"


@pytest.mark.parametrize("architecture", ["skip", "resnet", "orig"])
@pytest.mark.parametrize("c_dim", [0, 3])
def test_sizes_and_architecture_are_read_from_the_tensors(tmp_path, architecture, c_dim):
    tensors, _ = tiny_tensors(architecture=architecture, c_dim=c_dim, z_dim=12)
    network = load_network(write_tensors(tmp_path / "a.safetensors", tensors, {"parent": "none"}))
    facts = network.facts
    assert (facts.kind, facts.architecture) == ("stylegan2", architecture)
    assert (network.img_resolution, network.num_ws) == (16, 6)
    assert (network.z_dim, network.w_dim, network.c_dim) == (12, 16, c_dim)
    assert facts.conv_clamp is None
    assert network.metadata == {"parent": "none", "source_format": "safetensors"}
    for name, tensor in tensors.items():
        assert torch.equal(network.tensors[name], tensor)


def test_the_demo_networks_are_read():
    network = load_network(DEMO / "base.safetensors")
    assert (network.img_resolution, network.num_ws, network.w_dim) == (128, 12, 128)
    assert {tensor.dtype for tensor in network.tensors.values()} == {torch.float32}
    assert network.metadata["licence"] == "CC0-1.0"
    picture = network.synthesis(network.mapping(torch.zeros(1, 128), truncation_psi=0))
    assert picture.shape == (1, 3, 128, 128)
    assert 0.5 < picture.abs().max() < 3


@pytest.mark.parametrize(("text", "clamp"), [("none", None), ("256", 256.0), ("0.5", 0.5)])
def test_conv_clamp_stands_in_the_metadata(tmp_path, text, clamp):
    tensors, metadata = tiny_tensors()
    path = write_tensors(tmp_path / "a.safetensors", tensors, metadata | {"conv_clamp": text})
    assert load_network(path).facts.conv_clamp == clamp


@pytest.mark.parametrize("text", ["", "loud", "0", "-1", "nan", "inf"])
def test_a_senseless_conv_clamp_is_refused(tmp_path, text):
    tensors, metadata = tiny_tensors()
    path = write_tensors(tmp_path / "a.safetensors", tensors, metadata | {"conv_clamp": text})
    with pytest.raises(NetworkError, match=r"a\.safetensors: the metadata conv_clamp is"):
        load_network(path)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_precisions_become_float32(tmp_path, dtype):
    tensors, metadata = tiny_tensors()
    tensors = {name: tensor.to(dtype) for name, tensor in tensors.items()}
    network = load_network(write_tensors(tmp_path / "a.safetensors", tensors, metadata))
    for name, tensor in tensors.items():
        assert torch.equal(network.tensors[name], tensor.float())


def test_tensors_beside_the_generator_are_left_out(tmp_path):
    tensors, metadata = tiny_tensors()
    path = write_tensors(tmp_path / "a.safetensors", tensors | {"step": torch.ones(1)}, metadata)
    assert "step" not in load_network(path).tensors


def changed(name, tensor):
    def change(tensors):
        tensors[name] = tensor

    return change


def without(name):
    def change(tensors):
        del tensors[name]

    return change


CONV = "synthesis.b8.conv0"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (without("synthesis.b4.const"), "holds no generator of an arch"),
        (without(f"{CONV}.weight"), "b8.conv0.weight is missing"),
        (without(f"{CONV}.bias"), "b8.conv0.bias is missing, expected with shape 8$"),
        (without("mapping.fc0.weight"), "mapping.fc0.weight is missing"),
        (without(f"{CONV}.noise_const"), "noise_const is missing, expected with"),
        (without(f"{CONV}.noise_strength"), "noise_strength is missing, expected with"),
        (changed(f"{CONV}.weight", torch.zeros(8, 8, 3)), "8×8×3, expected 4 dimensions"),
        (changed(f"{CONV}.weight", torch.zeros(8, 8, 5, 5)), "8×8×5×5, .* call for 8×8×3×3"),
        (changed(f"{CONV}.weight", torch.zeros(9, 8, 3, 3)), "b8.conv0.bias is 8, .* for 9"),
        (changed(f"{CONV}.weight", torch.zeros(0, 8, 3, 3)), "none of them 0"),
        (changed(f"{CONV}.noise_const", torch.zeros(4, 4)), "noise_const is 4×4, .* for 8×8"),
        (changed(f"{CONV}.noise_strength", torch.zeros(1)), "is 1, .* call for one number"),
        (changed("mapping.fc1.weight", torch.zeros(16, 15)), "fc1.weight is 16×15, .* 16×16"),
        (changed("mapping.fc1.weight", torch.zeros(15, 16)), "fc1.weight is 15×16, .* 16×16"),
        (changed("mapping.fc3.weight", torch.zeros(16, 16)), "mapping.fc2.weight is missing"),
        (changed("mapping.embed.weight", torch.zeros(17, 3)), "fc0.weight takes 16 numbers"),
        (changed("mapping.w_avg", torch.zeros(17)), "w_avg is 17, .* call for 16"),
        (changed("synthesis.b8.torgb.weight", torch.zeros(4, 8, 1, 1)), "with 4 channels, .* RGB"),
        (changed("synthesis.b64.conv0.weight", torch.zeros(1)), "blocks for 4, 8, 16, 64 px"),
        (changed("synthesis.b8.conv2.weight", torch.zeros(1)), "conv2.weight is not one of"),
        (changed("synthesis.b8.resample_filter", torch.zeros(3, 3)), "3×3, expected an even num"),
        (changed("synthesis.b8.resample_filter", torch.zeros(4, 4)), "differs from synthesis.b4"),
        (changed(f"{CONV}.bias", torch.full((8,), torch.nan)), "bias holds 8 of 8 numbers that"),
        (changed(f"{CONV}.bias", torch.zeros(8, dtype=torch.int32)), "torch.int32 numbers"),
        (changed(f"{CONV}.bias", torch.zeros(8, dtype=torch.float8_e5m2)), "e5m2 numbers"),
        (changed(f"{CONV}.{'x' * 300}", torch.zeros(1)), "has a name without end"),
    ],
)
def test_tensors_that_do_not_fit_each_other_are_refused_by_name(tmp_path, change, message):
    tensors, metadata = tiny_tensors()
    change(tensors)
    path = write_tensors(tmp_path / "a.safetensors", tensors, metadata)
    with pytest.raises(NetworkError, match=message) as caught:
        load_network(path)
    assert str(caught.value).startswith(f"{path}: ")


def test_a_small_file_does_not_ask_for_large_pictures(tmp_path):
    tensors, metadata = tiny_tensors(channels=1)
    tensors = {name: tensor for name, tensor in tensors.items() if "noise" not in name}
    for power in range(5, 13):
        for name in [name for name in tensors if name.startswith("synthesis.b16.")]:
            tensors[name.replace("b16", f"b{1 << power}")] = tensors[name].clone()
    path = write_tensors(tmp_path / "a.safetensors", tensors, metadata)
    with pytest.raises(NetworkError, match=r"blocks up to 4096 px, animix reads .* up to 2048"):
        load_network(path)


def test_only_the_generator_is_read(tmp_path):
    # The other tensor is a hole of 4 GiB, far more than may be taken.
    path = write_tiny(tmp_path / "a.safetensors", img_resolution=8, channels=2, w_dim=4)
    content = path.read_bytes()
    length = int.from_bytes(content[:8], "little")
    entries, data = json.loads(content[8 : 8 + length]), content[8 + length :]
    span = [len(data), len(data) + (4 << 30)]
    entries["optimizer"] = {"dtype": "F16", "shape": [2 << 30], "data_offsets": span}
    with path.open("wb") as file:
        file.write(header(json.dumps(entries).encode(), data=data))
        file.truncate(file.tell() + (4 << 30))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert load_network(path).img_resolution == 8
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200 << 10


def test_numbers_of_four_bits_are_refused(tmp_path):
    entry = {"synthesis.a": {"dtype": "F4", "shape": [2, 4], "data_offsets": [0, 4]}}
    path = tmp_path / "a.safetensors"
    path.write_bytes(header(json.dumps(entry).encode(), data=b"1234"))
    with pytest.raises(NetworkError, match=r"float4|damaged"):
        load_network(path)


def test_a_header_of_many_megabytes_is_not_parsed(tmp_path):
    path = tmp_path / "a.safetensors"
    path.write_bytes(header(b"{" + b" " * (9 << 20) + b"}"))
    with pytest.raises(NetworkError, match="header is longer than any network's"):
        load_network(path)


def header(text: bytes, length: int | None = None, data: bytes = b"") -> bytes:
    return struct.pack("<Q", len(text) if length is None else length) + text + data


ENTRY = json.dumps({"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}).encode()


@pytest.mark.parametrize(
    "content",
    [
        header(ENTRY, length=len(ENTRY) + 50, data=b"12345678"),
        header(ENTRY, data=b"1234"),
        header(ENTRY, data=b"123456789"),
        header(ENTRY[:-3]),
        header(ENTRY.replace(b"[2]", b"[3]"), data=b"12345678"),
        header(ENTRY.replace(b"[2]", b"[4611686018427387904]"), data=b"12345678"),
        header(ENTRY.replace(b"F32", b"F31"), data=b"12345678"),
        header(b"{}" + b" " * 60),
    ],
)
def test_damaged_files_are_refused(tmp_path, content):
    path = tmp_path / "a.safetensors"
    path.write_bytes(content)
    with pytest.raises(NetworkError, match=r"a\.safetensors: .*(damaged|holds no generator)"):
        load_network(path)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_a_damaged_byte_or_a_cut_never_ends_in_anything_but_an_error_of_ours(tmp_path, data):
    path = write_tiny(tmp_path / "a.safetensors", img_resolution=8, channels=2, w_dim=4)
    content = bytearray(path.read_bytes())
    # The first bytes are the header's, where damage does most.
    place = data.draw(st.integers(0, 3000))
    if data.draw(st.booleans()):
        content[place] = data.draw(st.integers(0, 255))
    else:
        del content[place:]
    path.write_bytes(content)
    try:
        network = load_network(path)
    except NetworkError as exc:
        assert str(exc).startswith(str(path))
    else:
        assert network.img_resolution == 8


def test_the_same_network_gives_the_same_bytes(tmp_path):
    tensors, metadata = tiny_tensors()
    said = metadata | {f"key {number}": "told" for number in range(20)}
    turned = dict(reversed(tensors.items()))
    write_safetensors(network_of(tensors, said), tmp_path / "a.safetensors")
    content = (tmp_path / "a.safetensors").read_bytes()
    for others in (tensors, turned):
        again = dict(reversed(said.items()))
        write_safetensors(network_of(others, again), tmp_path / "b.safetensors")
        assert (tmp_path / "b.safetensors").read_bytes() == content


def test_a_written_file_is_what_the_library_reads(tmp_path):
    tensors, metadata = tiny_tensors(c_dim=3)
    tensors["synthesis.b8.conv0.weight"] = tensors["synthesis.b8.conv0.weight"].transpose(0, 1)
    write_safetensors(network_of(tensors, metadata | {"☃": "é"}), tmp_path / "a.safetensors")
    with safe_open(tmp_path / "a.safetensors", "pt") as file:
        assert file.metadata()["☃"] == "é"
        assert set(file.keys()) == set(tensors)
        for name, tensor in tensors.items():
            assert torch.equal(file.get_tensor(name), tensor)
    content = (tmp_path / "a.safetensors").read_bytes()
    assert int.from_bytes(content[:8], "little") % 8 == 0


@pytest.mark.parametrize("name", ["\udcff.safetensors", "n\udce9e", "é ☃.safetensors"])
def test_a_name_that_is_no_utf_8_is_one_as_well(tmp_path, name):
    network = network_of(*tiny_tensors())
    write_safetensors(network, tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == [name]
    found = load_network(tmp_path / name)
    assert all(torch.equal(found.tensors[n], t) for n, t in network.tensors.items())
    (tmp_path / name).write_bytes(header(ENTRY[:-3]))
    with pytest.raises(NetworkError, match="damaged"):
        load_network(tmp_path / name)


SIZES = {"img_resolution": 16, "z_dim": 12, "w_dim": 16, "c_dim": 3}


@pytest.mark.parametrize("name", SIZES)
def test_metadata_that_contradict_the_tensors_are_refused(tmp_path, name):
    tensors, metadata = tiny_tensors(z_dim=12, c_dim=3)
    path = write_tensors(tmp_path / "a.safetensors", tensors, metadata)
    assert getattr(load_network(path), name) == SIZES[name]
    write_tensors(path, tensors, metadata | {name: "64"})
    with pytest.raises(NetworkError, match=rf"metadata {name} is '64', .* with {SIZES[name]}$"):
        load_network(path)
    write_tensors(path, tensors, metadata | {name: "large"})
    with pytest.raises(NetworkError, match=f"metadata {name} is 'large', expected a number"):
        load_network(path)


def test_what_is_written_says_the_sizes_of_its_tensors(tmp_path):
    tensors, metadata = tiny_tensors(z_dim=12)
    stale = dict.fromkeys(SIZES, "64")
    write_safetensors(network_of(tensors, metadata | stale), tmp_path / "a.safetensors")
    found = load_network(tmp_path / "a.safetensors").metadata
    assert {name: found[name] for name in SIZES} == {name: metadata[name] for name in SIZES}
