"""Pickles of the TensorFlow code: read exactly, without TensorFlow, or refused by name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from animix.checkpoints.load import format_of, load_network
from animix.errors import NetworkError
from tests.tensorflow_files import (
    generator,
    network_record,
    variables_of,
    write_tensorflow_pickle,
)
from tests.tiny import tiny_tensors

GOLDEN = Path(__file__).parent / "golden"
SMALL = {"img_resolution": 8, "channels": 2, "w_dim": 4}


def small_tensors(**tiny):
    return tiny_tensors(**(SMALL | tiny))[0]


def written(tmp_path, content, protocol=4):
    return write_tensorflow_pickle(tmp_path / "a.pkl", content, protocol)


def relative_error(found, expected):
    return np.abs(found.numpy() - expected).max() / np.abs(expected).max()


def test_the_golden_file_paints_the_published_pictures():
    network = load_network(GOLDEN / "tf-a.pkl")
    golden = np.load(GOLDEN / "tf-a.npz")
    assert relative_error(network.mapping(golden["z"]), golden["w"]) < 1e-4
    w = network.mapping(golden["z"], truncation_psi=0.5, truncation_cutoff=2)
    assert relative_error(w, golden["w_psi05_cutoff2"]) < 1e-4
    assert relative_error(network.synthesis(golden["w"]), golden["image"]) < 1e-4
    without = network.synthesis(golden["w"], noise="none")
    assert relative_error(without, golden["image_no_noise"]) < 1e-4


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("architecture", ["skip", "resnet", "orig"])
def test_a_pickle_gives_the_tensors_that_were_written(tmp_path, protocol, architecture):
    tensors = small_tensors(architecture=architecture, c_dim=3, img_resolution=16)
    path = written(tmp_path, generator(tensors), protocol)
    network = load_network(path)
    assert set(network.tensors) == set(tensors)
    for name, tensor in tensors.items():
        # A style's bias has lost its 1 and got it back.
        close = torch.allclose(network.tensors[name], tensor, rtol=0, atol=3e-7)
        assert close if name.endswith("affine.bias") else torch.equal(network.tensors[name], tensor)
    assert network.facts.architecture == architecture
    assert network.metadata == {"source_format": "TensorFlow pickle", "conv_clamp": "none"}
    assert format_of(path).name == "TensorFlow pickle"


def test_of_three_networks_the_last_is_read(tmp_path):
    nets = [generator(small_tensors(seed=seed)) for seed in (1, 2)]
    discriminator = network_record({"8x8/FromRGB/weight": np.zeros((1, 1, 3, 2), np.float32)})
    path = written(tmp_path, (nets[0], discriminator, nets[1]))
    assert torch.equal(
        load_network(path).tensors["synthesis.b4.const"],
        small_tensors(seed=2)["synthesis.b4.const"],
    )


@pytest.mark.parametrize(
    "arguments",
    [
        {"fused_modconv": True, "fmap_base": 99, "structure": "auto", "somebody's own": [1]},
        {"resolution_h": 8, "resolution_w": 8, "randomize_noise": False},
        {"nonlinearity": "lrelu", "normalize_latents": True, "mapping_lrmul": 0.01},
        {"mapping_lrmul": np.float64(0.01), "resample_kernel": np.array([1.0, 3, 3, 1])},
    ],
)
def test_arguments_that_change_no_maths_are_tolerated(tmp_path, arguments):
    tensors = small_tensors()
    network = load_network(written(tmp_path, generator(tensors, arguments)))
    assert torch.equal(network.tensors["mapping.fc0.weight"], tensors["mapping.fc0.weight"])
    assert "synthesis.b4.resample_filter" not in network.tensors


def test_another_learning_rate_is_taken_into_the_weights(tmp_path):
    tensors = small_tensors()
    slow = {n: t / 10 if n.startswith("mapping.fc") else t for n, t in tensors.items()}
    z = np.random.RandomState(0).randn(2, 4)
    expected = load_network(written(tmp_path, generator(tensors))).mapping(z)
    path = written(tmp_path, generator(slow, {"mapping_lrmul": 0.1}))
    assert torch.allclose(load_network(path).mapping(z), expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("kernel", "expected"),
    [(kernel, [[0.25, 0.25], [0.25, 0.25]]) for kernel in (None, [1, 1], np.ones((2, 2)))],
)
def test_another_filter_is_kept(tmp_path, kernel, expected):
    path = written(tmp_path, generator(small_tensors(), {"resample_kernel": kernel}))
    assert load_network(path).tensors["synthesis.b4.resample_filter"].tolist() == expected


def test_the_clamp_is_kept(tmp_path):
    path = written(tmp_path, generator(small_tensors(), {"conv_clamp": 256}))
    assert load_network(path).facts.conv_clamp == 256


def test_a_network_without_noise_is_read(tmp_path):
    tensors = {name: t for name, t in small_tensors().items() if "noise" not in name}
    assert set(load_network(written(tmp_path, generator(tensors))).tensors) == set(tensors)


def grown(lod: float):
    """As StyleGAN2's configurations B to D: an output at each resolution, that of 8 px is used."""
    tensors = small_tensors(architecture="skip")
    _, synthesis = variables_of(tensors)
    renamed = {
        name.replace("4x4/ToRGB", "ToRGB_lod1").replace("8x8/ToRGB", "ToRGB_lod0"): array
        for name, array in synthesis.items()
    }
    return tensors, generator(tensors, synthesis=renamed | {"lod": np.float32(lod)})


def test_a_network_that_has_grown_up_is_read(tmp_path):
    tensors, record = grown(0)
    network = load_network(written(tmp_path, record))
    assert network.facts.architecture == "orig"
    name = "synthesis.b8.torgb.weight"
    assert torch.equal(network.tensors[name], tensors[name])


def test_arrays_in_any_order_and_precision_are_read(tmp_path):
    tensors = small_tensors()
    _, synthesis = variables_of(tensors)
    name = "8x8/Conv1/weight"
    array = synthesis[name]
    for stored in (
        np.asfortranarray(array),
        array.astype(">f4"),
        array.astype(np.float64),
        array[::-1][::-1],
    ):
        path = written(tmp_path, generator(tensors, synthesis=synthesis | {name: stored}))
        found = load_network(path).tensors["synthesis.b8.conv1.weight"]
        assert torch.equal(found, tensors["synthesis.b8.conv1.weight"])


def mapping_of(tensors, **changed):
    mapping, _ = variables_of(tensors)
    return mapping | changed


def without(variables, part):
    return {name: array for name, array in variables.items() if part not in name}


NUMBERS = np.zeros(4, np.float32)
PLAIN = small_tensors()
MAPPING, SYNTHESIS = variables_of(PLAIN)

REFUSED = {
    "StyleGAN": (generator(PLAIN, version=3), "of StyleGAN or an older code .* version 3"),
    "StyleGAN under a new version": (
        generator(PLAIN, synthesis={"4x4/Const/StyleMod/weight": NUMBERS}),
        "a StyleGAN network .of 2019, with AdaIN",
    ),
    "labels joined to z": (
        generator(PLAIN, mapping=MAPPING | {"LabelConcat/weight": NUMBERS}),
        "normalised together .LabelConcat",
    ),
    "a discriminator": (
        network_record({"8x8/FromRGB/weight": NUMBERS}),
        "a discriminator alone",
    ),
    "no components": (network_record({}), "other components than mapping and synthesis: none"),
    "attention": (
        generator(PLAIN, synthesis=SYNTHESIS | {"8x8/attention/f_conv": NUMBERS}),
        "synthesis/8x8/attention/f_conv is not one of a StyleGAN2 generator",
    ),
    "an unknown mapping layer": (
        generator(PLAIN, mapping=MAPPING | {"Other0/weight": NUMBERS}),
        "mapping/Other0/weight is not one of",
    ),
    "layers that are not square": (
        generator(PLAIN, synthesis={"4x8/Conv/weight": NUMBERS}),
        "layers of 8×4 px, animix reads square networks",
    ),
    "pictures that are not square": (
        generator(PLAIN, {"resolution_h": 8, "resolution_w": 16}),
        "its pictures are 16×8",
    ),
    "another activation": (
        generator(PLAIN, {"nonlinearity": "relu"}),
        "its nonlinearity is relu, animix follows the published lrelu",
    ),
    "latents as they are": (
        generator(PLAIN, {"normalize_latents": False}),
        "its normalize_latents is false, animix follows the published true",
    ),
    "a list in place of a text": (generator(PLAIN, {"nonlinearity": [1]}), "is a list"),
    "a strange clamp": (generator(PLAIN, {"conv_clamp": "no"}), "its conv_clamp is not a number"),
    "a strange filter": (
        generator(PLAIN, {"resample_kernel": "no"}),
        "its resample_kernel is no list of at most 16 numbers",
    ),
    "a filter that is damaged": (
        generator(PLAIN, {"resample_kernel": np.array(["no", "numbers"])}),
        "its resample_kernel: it is damaged, or no array of real numbers",
    ),
    "a filter of nothing": (generator(PLAIN, {"resample_kernel": []}), "has not 1 to 16 taps"),
    "a filter of no numbers": (
        generator(PLAIN, {"resample_kernel": np.zeros(0)}),
        "resample_kernel has not 1 to 16 taps",
    ),
    "a long filter": (
        generator(PLAIN, {"resample_kernel": np.ones(17)}),
        "resample_kernel has not 1 to 16 taps",
    ),
    "a wide filter": (
        generator(PLAIN, {"resample_kernel": np.ones((2, 17))}),
        "resample_kernel has not 1 to 16 taps",
    ),
    "a filter of three dimensions": (
        generator(PLAIN, {"resample_kernel": np.ones((2, 2, 2))}),
        "resample_kernel has not 1 to 16 taps",
    ),
    "taps that are no numbers": (
        generator(PLAIN, {"resample_kernel": [np.zeros(0), 1]}),
        "its resample_kernel is not a number",
    ),
    "a clamp without number": (
        generator(PLAIN, {"conv_clamp": np.zeros(0)}),
        "its conv_clamp is not a number",
    ),
    "a clamp of two numbers": (
        generator(PLAIN, {"conv_clamp": np.ones(2)}),
        "its conv_clamp is not a number",
    ),
    "a learning rate without number": (
        generator(PLAIN, {"mapping_lrmul": np.zeros((0, 3))}),
        "its mapping_lrmul is not a number",
    ),
    "a filter of zeros": (generator(PLAIN, {"resample_kernel": [0, 0]}), "no low-pass filter"),
    "a network that grows": (grown(1.5)[1], "it was still growing"),
    "a missing layer": (
        generator(PLAIN, synthesis=without(SYNTHESIS, "8x8/Conv1")),
        r"synthesis\.b8\.conv1\.weight is missing",
    ),
    "nothing at all": (
        network_record({}, {}, {"mapping": network_record({}), "synthesis": network_record({})}),
        "holds no generator",
    ),
    "a kernel of two dimensions": (
        generator(PLAIN, synthesis=SYNTHESIS | {"8x8/Conv1/weight": NUMBERS[None]}),
        "8x8/Conv1/weight has 2 dimensions",
    ),
    "whole numbers": (
        generator(PLAIN, synthesis=SYNTHESIS | {"8x8/Conv1/bias": np.zeros(2, np.int32)}),
        "holds int32 numbers, expected floating point",
    ),
    "whole numbers in the mapping": (
        generator(PLAIN, mapping=MAPPING | {"Dense0/weight": np.ones((4, 4), np.int8)}),
        "Dense0/weight holds int8 numbers, expected floating point",
    ),
    "texts": (
        generator(PLAIN, synthesis=SYNTHESIS | {"8x8/Conv1/bias": "none"}),
        "the variable 8x8/Conv1/bias: it is damaged",
    ),
    "variables that are no pairs": (
        network_record({}, {}, {"mapping": 1, "synthesis": 2}),
        "no network alone, or it is damaged",
    ),
    "a list of nothing else": ((generator(PLAIN), 3), "no network alone, or it is damaged"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_read_is_named(tmp_path, name):
    content, message = REFUSED[name]
    with pytest.raises(NetworkError, match=message):
        load_network(written(tmp_path, content))


def test_no_call_beside_the_networks_is_made(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    class Hostile:
        def __reduce__(self):
            return __import__("os").system, ("touch ran.txt",)

    path = written(tmp_path, (Hostile(), generator(PLAIN)))
    with pytest.raises(NetworkError, match="nothing in it was run"):
        load_network(path)
    path = written(tmp_path, generator(PLAIN, {"resample_kernel": Hostile()}))
    with pytest.raises(NetworkError, match="nothing in it was run"):
        load_network(path)
    assert not (tmp_path / "ran.txt").exists()


def test_bytes_that_many_variables_share_are_not_read_for_ever(tmp_path):
    shared = np.zeros((1, 1, 512, 512), np.float32)
    record = generator(PLAIN, synthesis={f"noise{i}": shared for i in range(100)})
    with pytest.raises(NetworkError, match="more bytes than the file has left"):
        load_network(written(tmp_path, record))
