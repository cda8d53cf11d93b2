from __future__ import annotations

import io
import os
import pickle
import re
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from animix.checkpoints.bounds import Room
from animix.checkpoints.load import load_network
from animix.checkpoints.nvidia_modules import read_snapshot
from animix.checkpoints.nvidia_pickle import read_tensors
from animix.checkpoints.nvidia_settings import metadata_of
from animix.errors import NetworkError
from animix.networks.recognize import network_of
from tests.nvidia_files import (
    network_module,
    published_modules,
    storage_bytes,
    write_nvidia_pickle,
)
from tests.tiny import tiny_stylegan3, tiny_tensors

SMALL = {"img_resolution": 8, "channels": 2, "w_dim": 4}
BIAS = "synthesis.b8.conv0.bias"


def small_tensors(**tiny):
    return tiny_tensors(**(SMALL | tiny))[0]


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("architecture", ["skip", "resnet", "orig"])
def test_a_snapshot_gives_the_tensors_that_were_written(tmp_path, protocol, architecture):
    tensors = small_tensors(architecture=architecture, c_dim=3)
    path = write_nvidia_pickle(tmp_path / "a.pkl", tensors, protocol=protocol)
    network = load_network(path)
    assert set(network.tensors) == set(tensors)
    for name, tensor in tensors.items():
        assert torch.equal(network.tensors[name], tensor)
    assert network.facts.architecture == architecture
    assert (network.img_resolution, network.c_dim, network.facts.conv_clamp) == (8, 3, 256)
    assert network.metadata == {
        "z_dim": "16",
        "conv_clamp": "256",
        "source_format": "NVIDIA PyTorch pickle",
        "source_class": "Generator",
    }


def test_the_version_of_the_published_code_does_not_matter(tmp_path):
    path = write_nvidia_pickle(tmp_path / "a.pkl", small_tensors())
    content = path.read_bytes()
    newer = re.sub(rb"(version\x94)K\x06", rb"\1Kc", content)
    assert newer != content
    path.write_bytes(newer)
    assert load_network(path).img_resolution == 8


def test_a_file_may_hold_the_network_alone(tmp_path):
    path = write_nvidia_pickle(tmp_path / "a.pkl", small_tensors(), bare=True, conv_clamp=None)
    assert load_network(path).facts.conv_clamp is None


def test_the_golden_files_tell_their_sizes():
    network = load_network(Path(__file__).parent / "golden" / "sg2-cond.pkl")
    assert (network.img_resolution, network.num_ws, network.z_dim) == (32, 8, 32)
    assert (network.c_dim, network.facts.conv_clamp) == (5, 256)
    assert network.metadata["channel_base"] == "1024"


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_precisions_become_float32(tmp_path, dtype):
    tensors = {name: tensor.to(dtype) for name, tensor in small_tensors().items()}
    network = load_network(write_nvidia_pickle(tmp_path / "a.pkl", tensors))
    assert all(torch.equal(network.tensors[name], t.float()) for name, t in tensors.items())


def test_views_of_a_storage_are_read(tmp_path):
    tensors = small_tensors()
    wide = torch.arange(20.0).reshape(2, 10)
    tensors[BIAS] = wide[:, 3]
    tensors["synthesis.b8.conv0.affine.weight"] = torch.arange(8.0).reshape(4, 2).T
    network = load_network(write_nvidia_pickle(tmp_path / "a.pkl", tensors))
    assert network.tensors[BIAS].tolist() == [3, 13]
    assert network.tensors["synthesis.b8.conv0.affine.weight"].tolist() == [
        [0, 2, 4, 6],
        [1, 3, 5, 7],
    ]


GOLDEN = Path(__file__).parent / "golden"


def test_stylegan3_tells_its_synthesis_networks_arguments():
    metadata = load_network(GOLDEN / "sg3-t.pkl").metadata
    assert {
        "img_resolution": "32",
        "num_layers": "6",
        "num_critical": "2",
        "margin_size": "4",
        "output_scale": "0.25",
        "conv_clamp": "256",
    }.items() <= metadata.items()


@pytest.mark.parametrize("half", ["", "synthesis"])
@pytest.mark.parametrize(
    "tiny",
    [
        {"conv_kernel": 1, "margin_size": 3, "num_critical": 0},
        {"margin_size": 6, "num_critical": 2, "num_layers": 5, "first_cutoff": 1.5},
    ],
)
def test_stylegan3_r_paints_as_the_network_of_its_tensors(tmp_path, tiny, half):
    tiny = {"use_radial_filters": True} | tiny
    tensors, metadata = tiny_stylegan3(filters=True, channels=4, **tiny)
    expected = network_of(tensors, metadata)
    assert expected.facts.architecture == "config-r"
    known = {"num_layers": 4, "num_critical": 1, "margin_size": 2} | tiny
    # Of a network, its arguments hold those of both halves; each half also keeps its own.
    states = {
        "": {"_init_kwargs": {"synthesis_kwargs": known}},
        "synthesis": {"_init_kwargs": {"img_resolution": 16, **known}},
    }
    path = write_nvidia_pickle(tmp_path / "a.pkl", tensors, states={half: states[half]})
    network = load_network(path)
    assert network.facts.plan == expected.facts.plan
    assert network.facts.architecture == "config-r"
    ws = np.random.RandomState(0).randn(2, network.num_ws, network.w_dim)
    assert torch.equal(network.synthesis(ws), expected.synthesis(ws))


def test_floating_point_settings_lose_nothing(tmp_path):
    states = {
        "": {"_init_kwargs": {"mapping_kwargs": {"num_layers": 2}, "last_stopband_rel": 2**0.3}},
        "synthesis": {
            "_init_kwargs": {"num_layers": 14, "first_cutoff": np.float64(2 / 3)},
            "margin_size": np.int64(10),
            "output_scale": np.float32(0.25),
        },
    }
    tensors = small_tensors() | {"synthesis.input.freqs": torch.ones(2, 2)}
    path = write_nvidia_pickle(tmp_path / "a.pkl", tensors, states=states, conv_clamp=0.1)
    with path.open("rb") as file:
        metadata = metadata_of(read_snapshot(file))
    assert float(metadata["last_stopband_rel"]) == 2**0.3
    assert float(metadata["first_cutoff"]) == 2 / 3
    assert float(metadata["conv_clamp"]) == 0.1
    assert (metadata["num_layers"], metadata["mapping_num_layers"]) == ("14", "2")
    assert (metadata["margin_size"], metadata["output_scale"]) == ("10", "0.25")


@pytest.mark.parametrize("core", [b"numpy._core", b"numpy.core"])
def test_numbers_of_either_numpy_are_numbers(tmp_path, core):
    states = {"mapping.fc0": {"bias_gain": np.float64(0.01)}, "mapping.fc1": {"sizes": np.ones(3)}}
    clamp = np.float64(64)
    path = write_nvidia_pickle(
        tmp_path / "a.pkl", small_tensors(), states=states, conv_clamp=clamp, protocol=3
    )
    path.write_bytes(path.read_bytes().replace(b"numpy._core", core).replace(b"numpy.core", core))
    assert load_network(path).facts.conv_clamp == 64


@pytest.mark.parametrize("averaged", [{}, {"G_ema": None}])
def test_without_an_average_the_trained_network_is_taken_and_said_to_be(tmp_path, averaged):
    path = write_nvidia_pickle(tmp_path / "a.pkl", small_tensors(), chosen="G", beside=averaged)
    assert load_network(path).metadata["source_network"] == "G (the file has no G_ema)"


def test_what_stands_beside_the_average_is_not_read(tmp_path):
    damaged = {name: torch.ones(9) for name in small_tensors()}
    tensors = small_tensors(seed=1)
    path = write_nvidia_pickle(tmp_path / "a.pkl", tensors, others={"G": damaged, "D": damaged})
    network = load_network(path)
    assert all(torch.equal(network.tensors[name], tensors[name]) for name in tensors)
    assert "source_network" not in network.metadata


class Recording(io.BytesIO):
    """A file that remembers what is read from it into memory for good."""

    def __init__(self, content):
        super().__init__(content)
        self.filled = []

    def readinto(self, buffer):
        self.filled.append((self.tell(), memoryview(buffer).nbytes))
        return super().readinto(buffer)


def test_only_the_averages_storages_are_read_and_each_once(tmp_path):
    tensors = small_tensors()
    others = {"G": small_tensors(seed=1), "D": small_tensors(seed=2)}
    path = write_nvidia_pickle(tmp_path / "a.pkl", tensors, others=others)
    file = Recording(path.read_bytes())
    found = read_tensors(file, read_snapshot(file), Room.of(path))
    assert all(torch.equal(found[name], tensor) for name, tensor in tensors.items())
    assert sum(size for _, size in file.filled) == sum(t.nbytes for t in tensors.values())
    content = file.getvalue()
    stored = {content[place : place + size] for place, size in file.filled}
    assert stored == {tensor.numpy().tobytes() for tensor in tensors.values()}


def test_the_training_set_is_named_without_its_folders(tmp_path):
    for path, name in (("/home/me/ffhq.zip", "ffhq.zip"), ("C:\\data\\cats\\", "cats"), (7, None)):
        beside = {"training_set_kwargs": {"path": path, "xflip": True}}
        file = write_nvidia_pickle(tmp_path / "a.pkl", small_tensors(), beside=beside)
        assert load_network(file).metadata.get("training_set") == name


def test_metadata_is_small_and_few(tmp_path):
    many = {f"setting{i}": i for i in range(1000)}
    states = {"": {"_init_kwargs": {"long": "x" * 300, "nested": [[1]], 3: 4, **many}}}
    path = write_nvidia_pickle(tmp_path / "a.pkl", small_tensors(), states=states)
    metadata = load_network(path).metadata
    assert len(metadata) < 80
    assert "long" not in metadata
    assert "nested" not in metadata


def test_tensors_that_share_a_storage_get_memory_of_their_own(tmp_path):
    shared = torch.ones(2)
    names = ["synthesis.b8.conv0.bias", "synthesis.b8.conv1.bias"]
    path = write_nvidia_pickle(tmp_path / "a.pkl", small_tensors() | dict.fromkeys(names, shared))
    one, other = (load_network(path).tensors[name] for name in names)
    assert torch.equal(one, shared)
    assert torch.equal(other, shared)
    assert one.data_ptr() != other.data_ptr()


def test_storages_of_older_torch_and_of_a_gpu_are_read(tmp_path):
    data = storage_bytes(torch.tensor([1.0, 2.0]))
    cuda = data.replace(b"X\x03\x00\x00\x00cpu", b"X\x06\x00\x00\x00cuda:1")
    without_view = cuda.replace(b"K\x02Nt", b"K\x02t")
    assert len(data) == len(cuda) - 3 == len(without_view) - 2
    for variant in (cuda, without_view):
        replaced = {BIAS: tensor_of(variant)}
        path = write_nvidia_pickle(tmp_path / "a.pkl", small_tensors(), replaced=replaced)
        assert load_network(path).tensors[BIAS].tolist() == [1, 2]


def test_parameters_with_a_state_are_read(tmp_path):
    parameter = torch.nn.Parameter(torch.tensor([3.0, 4.0]))
    parameter.note = "kept by torch since 2.0"
    tensors = small_tensors()
    path = tmp_path / "a.pkl"
    with published_modules() as published:
        root = network_module(published, tensors)
        root.modules["synthesis"].modules["b8"].modules["conv0"].parameters["bias"] = parameter
        path.write_bytes(pickle.dumps(root))
    assert load_network(path).tensors[BIAS].tolist() == [3, 4]


@pytest.mark.parametrize(
    ("tensors", "class_name", "message"),
    [
        (["mapping.embed_proj.weight"], "Generator", "it is StyleGAN-XL"),
        (["synthesis.b4.const"], "SuperresGenerator", "it is StyleGAN-XL"),
        (["backbone.synthesis.b4.const"], "Generator", "it is EG3D"),
        (["b4.conv0.weight"], "Discriminator", "it is a discriminator"),
        (
            ["init.weight", "main.weight"],
            "FastGan",
            "a FastGan with the parts init, main, expected",
        ),
    ],
)
def test_networks_of_another_kind_are_named(tmp_path, tensors, class_name, message):
    found = {name: torch.ones(2) for name in tensors}
    path = write_nvidia_pickle(tmp_path / "a.pkl", found, class_name=class_name)
    with pytest.raises(NetworkError, match=f"{message}.*animix renders StyleGAN2 and StyleGAN3"):
        load_network(path)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("pg_modules.discriminator\nProjectedDiscriminator", "a StyleGAN-XL or Projected GAN"),
        ("torch.nn.modules.sparse\nEmbedding", "it is a StyleGAN-XL network"),
        ("training.volumetric_rendering.renderer\nImportanceRenderer", "it is an EG3D network"),
    ],
)
def test_names_of_another_kind_of_network_tell_which(tmp_path, name, message):
    path = tmp_path / "a.pkl"
    path.write_bytes(b"\x80\x03}X\x01\x00\x00\x00Gc" + name.encode() + b"\n)\x81s.")
    with pytest.raises(NetworkError, match=message):
        load_network(path)


# Nothing in a checkpoint is ever executed.


class Calls:
    """Something that, unpickled, makes a call."""

    def __init__(self, function, *args):
        self.call = function, args

    def __reduce__(self):
        return self.call


class SetsState:
    """Something that, unpickled, has its state set by a call."""

    def __init__(self, inner):
        self.inner = inner

    def __reduce__(self):
        return OrderedDict, (), self.inner


class PointsElsewhere(pickle.Pickler):
    def persistent_id(self, value):
        return "key" if value == "elsewhere" else None


def tensor_of(storage_bytes: object, size=(2,), strides=(1,), offset=0) -> Calls:
    storage = Calls(torch.storage._load_from_bytes, storage_bytes)
    rebuild = torch._utils._rebuild_tensor_v2
    return Calls(rebuild, storage, offset, size, strides, False, OrderedDict())


@pytest.fixture
def attack(tmp_path):
    """A call that leaves a mark, proven to leave it when Python's own reader meets it."""
    marker = tmp_path / "the-attack-ran"
    attack = Calls(os.system, f"touch '{marker}'")
    pickle.loads(pickle.dumps(attack))
    assert marker.exists()
    marker.unlink()
    yield attack
    assert not marker.exists()


@pytest.mark.parametrize("protocol", [3, 4, 5])
def test_a_call_beside_the_network_is_named_and_not_made(tmp_path, attack, protocol):
    path = write_nvidia_pickle(
        tmp_path / "a.pkl", small_tensors(), protocol=protocol, beside={"beside": attack}
    )
    with pytest.raises(NetworkError, match=r"asks for (posix|nt).system, .* nothing in it was run"):
        load_network(path)


@pytest.mark.parametrize(
    "hidden",
    [
        lambda attack: attack,
        lambda attack: tensor_of(attack),
        lambda attack: tensor_of(pickle.dumps(attack)),
        lambda attack: tensor_of(pickle.dumps(0x1950A86A20F9469CFC6C) + pickle.dumps(attack)),
        lambda attack: tensor_of(storage_bytes(torch.ones(2)), size=(attack,)),
        lambda attack: SetsState(attack),
        lambda attack: [attack],
    ],
)
def test_a_call_in_place_of_a_tensor_is_not_made(tmp_path, attack, hidden):
    replaced = {BIAS: hidden(attack)}
    path = write_nvidia_pickle(tmp_path / "a.pkl", small_tensors(), replaced=replaced)
    with pytest.raises(NetworkError, match=r"asks for (posix|nt).system"):
        load_network(path)


def test_persistent_references_are_not_followed(tmp_path):
    path = tmp_path / "a.pkl"
    with path.open("wb") as file:
        PointsElsewhere(file).dump({"G_ema": "elsewhere"})
    with pytest.raises(NetworkError, match="refers to objects stored elsewhere"):
        load_network(path)


# Damage.


@pytest.mark.parametrize(
    "tensor",
    [
        tensor_of(storage_bytes(torch.ones(2)), size=(3,)),
        tensor_of(storage_bytes(torch.ones(2)), strides=(2,)),
        tensor_of(storage_bytes(torch.ones(2)), offset=1),
        tensor_of(storage_bytes(torch.ones(2)), offset=-1),
        tensor_of(storage_bytes(torch.ones(2)), size=(1 << 40,), strides=(0,)),
        tensor_of(storage_bytes(torch.ones(2)), size=(1 << 63,)),
        tensor_of(storage_bytes(torch.ones(2)), size=(2,), strides=(0,)),
        tensor_of(storage_bytes(torch.ones(2)), size=(1,) * 9, strides=(1,) * 9),
        tensor_of(storage_bytes(torch.ones(2)), size=("2",)),
        tensor_of(storage_bytes(torch.ones(2)), size=(2, 1)),
        tensor_of(storage_bytes(torch.ones(2))[:-1]),
        tensor_of(storage_bytes(torch.ones(2)) + b"1"),
        tensor_of(b""),
        tensor_of("text"),
        Calls(torch._utils._rebuild_tensor_v2),
        (2, 3),
        7,
    ],
)
def test_damaged_tensors_are_named(tmp_path, tensor):
    path = write_nvidia_pickle(tmp_path / "a.pkl", small_tensors(), replaced={BIAS: tensor})
    with pytest.raises(
        NetworkError, match=f"tensor {BIAS}: (it is damaged|it lies outside|the pickle is damaged)"
    ):
        load_network(path)


def test_integers_are_not_weights(tmp_path):
    whole = torch.ones(2, dtype=torch.int64)
    path = write_nvidia_pickle(tmp_path / "a.pkl", small_tensors(), replaced={BIAS: whole})
    with pytest.raises(NetworkError, match=r"asks for torch\.LongStorage"):
        load_network(path)


def test_one_storage_under_thousands_of_names_does_not_fill_the_memory(tmp_path):
    shared = torch.ones(100_000)
    replaced = {f"synthesis.b4.more{i}": shared for i in range(50)}
    tensors = small_tensors() | replaced
    path = write_nvidia_pickle(tmp_path / "a.pkl", tensors, replaced=replaced)
    with pytest.raises(NetworkError, match="take more than the file holds"):
        load_network(path)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"states": {"mapping.fc0": {"activation": "relu"}}}, "mapping.fc0 has another activation"),
        (
            {"states": {"mapping.fc0": {"bias_gain": 1.0}}},
            "fc0 has another learning rate multiplier",
        ),
        ({"states": {"mapping.fc0": {"bias_gain": 1 << 63}}}, "another learning rate multiplier"),
        ({"conv_clamp": -1}, "conv_clamp is not one positive number"),
        ({"conv_clamp": "loud"}, "conv_clamp is not one positive number"),
    ],
)
def test_settings_that_the_synthesis_does_not_follow_are_refused(tmp_path, arguments, message):
    path = write_nvidia_pickle(tmp_path / "a.pkl", small_tensors(), **arguments)
    with pytest.raises(NetworkError, match=message):
        load_network(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"synthesis.b4.torgb.weight": torch.ones(4, 2, 1, 1)},
            "with 4 channels, animix reads RGB",
        ),
        ({BIAS: torch.ones(3)}, f"{BIAS} is 3, but the other tensors call for 2"),
        ({BIAS: torch.full((2,), torch.inf)}, f"{BIAS} holds 2 of 2 numbers that are infinite"),
    ],
)
def test_tensors_that_do_not_fit_are_refused(tmp_path, change, message):
    path = write_nvidia_pickle(tmp_path / "a.pkl", small_tensors() | change)
    with pytest.raises(NetworkError, match=message):
        load_network(path)


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_a_damaged_byte_or_a_cut_never_ends_in_anything_but_an_error_of_ours(tmp_path, data):
    path = tmp_path / "a.pkl"
    whole = tmp_path / "whole.pkl"
    if not whole.exists():
        write_nvidia_pickle(whole, small_tensors(img_resolution=4))
    content = bytearray(whole.read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    if data.draw(st.booleans()):
        del content[data.draw(st.integers(0, len(content) - 1)) :]
    path.write_bytes(content)
    try:
        network = load_network(path)
    except NetworkError as exc:
        assert str(exc).startswith(str(path))
    else:
        assert network.img_resolution == 4
