"""rosinality's .pt files: read exactly and written so that its Generator loads them."""

from __future__ import annotations

import re
import zipfile
from dataclasses import replace

import numpy as np
import pytest
import torch

from animix.checkpoints.load import format_of, load_network
from animix.checkpoints.rosinality import write_rosinality
from animix.errors import NetworkError, OptionError
from tests.rosinality_files import KERNEL, state_dict, training_file, write_torch
from tests.tiny import tiny_tensors, write_tiny

SMALL = {"img_resolution": 16, "channels": 2, "w_dim": 4}
ESTIMATED = "estimated from 10000 latents, seed 0"


def small_tensors(**tiny):
    return tiny_tensors(**(SMALL | tiny))[0]


TENSORS = small_tensors()
STATE = state_dict(TENSORS)
AVERAGE = TENSORS["mapping.w_avg"]


def wrapped(prefix):
    return {f"{prefix}{name}": tensor for name, tensor in STATE.items()}


def assert_same(found, expected):
    assert set(found) == set(expected)
    for name, tensor in expected.items():
        assert torch.equal(found[name], tensor), name


CONTENTS = {
    "converted": {"g_ema": STATE, "latent_avg": AVERAGE},
    "converted, an average in a row": {"g_ema": STATE, "latent_avg": AVERAGE[None]},
    "converted, an average for each layer": {"g_ema": STATE, "latent_avg": AVERAGE.repeat(6, 1)},
    "of a training": training_file(STATE, latent_avg=AVERAGE),
    "of a training on several GPUs": {"g_ema": wrapped("module."), "latent_avg": AVERAGE},
    "beside an encoder": {"state_dict": wrapped("decoder."), "latent_avg": AVERAGE},
    "a plain state dict": {**STATE, "latent_avg": AVERAGE},
    "parameters": {
        "g_ema": {name: torch.nn.Parameter(tensor) for name, tensor in STATE.items()},
        "latent_avg": AVERAGE,
    },
}


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize("name", CONTENTS)
def test_a_file_gives_the_tensors_that_were_written(tmp_path, name, zipped):
    path = write_torch(tmp_path / "a.pt", CONTENTS[name], zipped=zipped)
    network = load_network(path)
    assert_same(network.tensors, TENSORS)
    assert (network.img_resolution, network.num_ws, network.facts.conv_clamp) == (16, 6, None)
    assert network.metadata == {"source_format": "rosinality .pt", "conv_clamp": "none"}
    assert format_of(path).name == "rosinality .pt"


@pytest.mark.parametrize("protocol", [2, 4])
@pytest.mark.parametrize(("size", "depth"), [(4, 1), (8, 2), (32, 8)])
def test_size_and_depth_are_told_by_the_shapes(tmp_path, size, depth, protocol):
    tensors = small_tensors(img_resolution=size, num_mapping_layers=depth)
    content = {"g_ema": state_dict(tensors), "latent_avg": tensors["mapping.w_avg"]}
    path = write_torch(tmp_path / "a.pt", content, protocol=protocol)
    assert_same(load_network(path).tensors, tensors)


def test_of_a_training_only_the_average_generator_is_read(tmp_path):
    # The discriminator's numbers lie outside the file, which only a reader of theirs would notice.
    content = training_file(STATE, latent_avg=AVERAGE, d={"odd": torch.arange(7.0)})
    path = write_torch(tmp_path / "a.pt", content)
    with zipfile.ZipFile(path) as archive:
        sizes = {info.filename: info.file_size for info in archive.infolist()}
    (key,) = (name for name, size in sizes.items() if size == 28)
    content = path.read_bytes()
    damaged = content.replace(key.encode(), key.replace("data", "atad").encode())
    path.write_bytes(damaged)
    assert damaged != content
    assert_same(load_network(path).tensors, TENSORS)


def test_a_generator_without_average_is_read_and_said(tmp_path):
    path = write_torch(tmp_path / "a.pt", {"g": STATE, "latent_avg": AVERAGE})
    network = load_network(path)
    assert_same(network.tensors, TENSORS)
    assert network.metadata["network"] == "g, the file has no average of it (g_ema)"


def test_a_missing_average_is_estimated_always_the_same(tmp_path):
    path = write_torch(tmp_path / "a.pt", training_file(STATE))
    network = load_network(path)
    assert network.metadata["w_avg"] == ESTIMATED
    w = network.mapping(np.random.RandomState(0).randn(10_000, 4))[:, 0]
    estimate = network.tensors["mapping.w_avg"]
    assert torch.allclose(estimate, w.double().mean(dim=0).float(), rtol=1e-5)
    assert torch.equal(load_network(path).tensors["mapping.w_avg"], estimate)


def test_missing_noise_images_are_drawn_always_the_same(tmp_path):
    early = {name: tensor for name, tensor in STATE.items() if not name.startswith("noises.")}
    path = write_torch(tmp_path / "a.pt", {"g_ema": early, "latent_avg": AVERAGE})
    network = load_network(path)
    assert network.metadata["noise"] == "the file has no noise images: drawn with seed 0"
    assert set(network.tensors) == set(TENSORS)
    image = network.tensors["synthesis.b16.conv1.noise_const"]
    assert image.shape == (16, 16)
    assert image.std() > 0.8
    again = load_network(path)
    assert_same(again.tensors, dict(network.tensors))


def test_another_blur_is_kept(tmp_path):
    box = torch.ones(2, 2)
    content = {"g_ema": state_dict(TENSORS, box), "latent_avg": AVERAGE}
    network = load_network(write_torch(tmp_path / "a.pt", content))
    assert torch.equal(network.tensors["synthesis.b4.resample_filter"], box / 4)


def test_half_precision_becomes_float32(tmp_path):
    half = {name: tensor.half() for name, tensor in STATE.items()}
    content = {"g_ema": half, "latent_avg": AVERAGE}
    network = load_network(write_torch(tmp_path / "a.pt", content))
    name = "synthesis.b8.conv0.weight"
    assert torch.equal(network.tensors[name], TENSORS[name].half().float())


def changed(**tensors):
    state = STATE | {name.replace("__", "."): tensor for name, tensor in tensors.items()}
    return {"g_ema": state, "latent_avg": AVERAGE}


def lacking(name):
    return {"g_ema": {n: tensor for n, tensor in STATE.items() if n != name}}


REFUSED = {
    "an unknown tensor": (
        changed(attention__weight=torch.ones(2)),
        "attention.weight is not one of rosinality's StyleGAN2 Generator",
    ),
    "a missing tensor": (lacking("convs.0.conv.weight"), "convs.0.conv.weight is missing"),
    "a missing noise image": (lacking("noises.noise_2"), "it has 4 of 5 noise images"),
    "a gap in the mapping": (lacking("style.1.weight"), "is not one of|is missing"),
    "no mapping": (
        {"g_ema": {n: t for n, t in STATE.items() if not n.startswith("style.")}},
        "its mapping has 0 layers",
    ),
    "two generators in one": (
        wrapped("a.") | wrapped("b."),
        "it holds 2 tensors input.input, expected one",
    ),
    "blurs that differ": (
        changed(convs__0__conv__blur__kernel=KERNEL * 2),
        "blur kernels differ from layer to layer",
    ),
    "an odd blur": (
        {"g_ema": state_dict(TENSORS, torch.ones(3, 3)), "latent_avg": AVERAGE},
        "expected an even number of taps",
    ),
    "another shape": (
        changed(input__input=torch.ones(2, 2, 4, 4)),
        "input.input is 2×2×4×4, which is not the layout",
    ),
    "too few dimensions": (changed(input__input=torch.tensor(1.0)), "which is not the layout"),
    "an axis of none": (
        changed(input__input=torch.ones(1, 2, 4, 4)[:0]),
        "input.input is 0×2×4×4, which",
    ),
    "other channels": (
        changed(convs__0__activate__bias=torch.ones(3)),
        "b8.conv0.bias is 3, but the other tensors call for 2",
    ),
    "whole numbers": (
        changed(input__input=torch.ones(1, 2, 4, 4, dtype=torch.int64)),
        "input.input holds torch.int64 numbers, expected floating point",
    ),
    "no numbers": (changed(input__input=float("nan") * STATE["input.input"]), "not a number"),
    "a text": (changed(input__input="none"), "the tensor input.input: it is damaged"),
    "averages that differ": (
        {"g_ema": STATE, "latent_avg": torch.arange(8.0).reshape(2, 4)},
        "latent_avg differs from layer to layer",
    ),
    "an average of another size": (
        {"g_ema": STATE, "latent_avg": torch.ones(5)},
        "mapping.w_avg is 5, but the other tensors call for 4",
    ),
    "an average that is no tensor": (
        {"g_ema": STATE, "latent_avg": 1.5},
        "latent_avg: it is damaged",
    ),
    "resolutions without end": (
        {"g_ema": STATE | {f"to_rgbs.{i}.conv.weight": torch.ones(1) for i in range(40)}},
        "it has 40 to_rgbs, more than 2048 px need",
    ),
    "a mapping without end": (
        {"g_ema": STATE | {f"style.{i}.weight": torch.ones(1) for i in range(80)}},
        "its mapping has 80 layers",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_read_is_named(tmp_path, name):
    content, message = REFUSED[name]
    path = write_torch(tmp_path / "a.pt", content)
    with pytest.raises(NetworkError, match=message):
        load_network(path)


def test_an_average_is_not_estimated_at_any_cost(tmp_path):
    tensors = small_tensors(z_dim=5000)
    path = write_torch(tmp_path / "a.pt", state_dict(tensors))
    with pytest.raises(NetworkError, match="the mapping is too large to estimate it"):
        load_network(path)


def test_numbers_that_many_tensors_share_are_not_copied_for_ever(tmp_path):
    shared = torch.zeros(500, 500)
    layers = {f"style.{i}.{part}": shared for i in range(1, 60) for part in ("weight", "bias")}
    path = write_torch(tmp_path / "a.pt", STATE | layers)
    with pytest.raises(NetworkError, match="take more than the file holds"):
        load_network(path)


# Writing.


def published(tmp_path, **tiny):
    """A network with the numbers of channels that rosinality's Generator has."""
    small = {"img_resolution": 8, "channels": 512, "w_dim": 8}
    return load_network(write_tiny(tmp_path / "a.safetensors", **(small | tiny)))


def generator_shapes(img_resolution, w_dim, depth, multiplier=1):
    """Names and shapes of the state dict of ``Generator(size, w_dim, depth, multiplier)``."""

    def channels(size):
        return 512 if size <= 32 else 16384 * multiplier // size

    shapes = {"input.input": (1, 512, 4, 4)}
    for i in range(1, depth + 1):
        shapes |= {f"style.{i}.weight": (w_dim, w_dim), f"style.{i}.bias": (w_dim,)}

    def convolution(name, inputs, outputs, size):
        shapes[f"{name}.conv.weight"] = (1, outputs, inputs, size, size)
        shapes[f"{name}.conv.modulation.weight"] = (inputs, w_dim)
        shapes[f"{name}.conv.modulation.bias"] = (inputs,)

    def styled(name, inputs, outputs):
        convolution(name, inputs, outputs, 3)
        shapes[f"{name}.noise.weight"] = (1,)
        shapes[f"{name}.activate.bias"] = (outputs,)

    def picture(name, inputs):
        convolution(name, inputs, 3, 1)
        shapes[f"{name}.bias"] = (1, 3, 1, 1)

    styled("conv1", 512, 512)
    picture("to_rgb1", 512)
    shapes["noises.noise_0"] = (1, 1, 4, 4)
    size, block = 8, 0
    while size <= img_resolution:
        inputs, outputs = channels(size // 2), channels(size)
        styled(f"convs.{2 * block}", inputs, outputs)
        styled(f"convs.{2 * block + 1}", outputs, outputs)
        picture(f"to_rgbs.{block}", outputs)
        shapes[f"convs.{2 * block}.conv.blur.kernel"] = (4, 4)
        shapes[f"to_rgbs.{block}.upsample.kernel"] = (4, 4)
        for index in (2 * block + 1, 2 * block + 2):
            shapes[f"noises.noise_{index}"] = (1, 1, size, size)
        size, block = 2 * size, block + 1
    return shapes


@pytest.mark.parametrize("depth", [2, 8])
def test_what_is_written_has_the_generators_names_and_shapes(tmp_path, depth):
    network = published(tmp_path, num_mapping_layers=depth)
    path = tmp_path / "b.pt"
    write_rosinality(network, path)
    content = torch.load(path, weights_only=True)
    assert set(content) == {"g_ema", "latent_avg"}
    found = {name: tuple(tensor.shape) for name, tensor in content["g_ema"].items()}
    assert found == generator_shapes(8, 8, depth)
    assert torch.equal(content["g_ema"]["to_rgbs.0.upsample.kernel"], KERNEL)
    assert_same(load_network(path).tensors, dict(network.tensors))


def test_a_network_without_noise_is_written_with_noise_of_no_strength(tmp_path):
    network = published(tmp_path)
    silent = {name: t for name, t in network.tensors.items() if "noise" not in name}
    network = type(network)(network.facts, silent, {})
    write_rosinality(network, tmp_path / "b.pt")
    state = torch.load(tmp_path / "b.pt", weights_only=True)["g_ema"]
    assert set(state) == set(generator_shapes(8, 8, 2))
    assert state["convs.1.noise.weight"].item() == 0


def test_the_file_takes_no_more_than_its_tensors(tmp_path):
    network = published(tmp_path, img_resolution=4)
    # A view of something large is saved as what it shows.
    large = torch.zeros(4 << 20)
    large[:8] = network.tensors["mapping.w_avg"]
    network = network.with_tensors({"mapping.w_avg": large[:8]})
    write_rosinality(network, tmp_path / "b.pt")
    needed = sum(4 * tensor.numel() for tensor in network.tensors.values())
    assert (tmp_path / "b.pt").stat().st_size < needed + 100_000


def test_where_nothing_can_be_written_is_told(tmp_path):
    network = published(tmp_path, img_resolution=4)
    with pytest.raises(OptionError, match="can't be written"):
        write_rosinality(network, tmp_path / "a.safetensors" / "b.pt")


@pytest.mark.parametrize(
    ("tiny", "message"),
    [
        ({"architecture": "resnet"}, "its architecture is resnet, rosinality's is skip"),
        ({"architecture": "orig"}, "its architecture is orig"),
        ({"c_dim": 2}, "it is conditional"),
        ({"z_dim": 6}, "mapping.fc0 is 8×6, rosinality's layers are all as wide as w (8)"),
        ({"channels": 4}, "b4.const has 4 channels, that of rosinality's Generator 512"),
    ],
)
def test_what_its_generator_cannot_be_is_refused_by_name(tmp_path, tiny, message):
    network = published(tmp_path, **({"channels": 2} | tiny))
    path = tmp_path / "b.pt"
    with pytest.raises(OptionError, match=re.escape(message)):
        write_rosinality(network, path)
    assert not path.exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"synthesis.b4.const": (300, 4, 4)}, "b4.const has 300 channels, .* 512"),
        ({"synthesis.b8.conv0.weight": (300, 512, 3, 3)}, "b8.conv0.weight has 300×512 .* 512×512"),
        ({"synthesis.b8.conv1.weight": (512, 300, 3, 3)}, "b8.conv1.weight has 512×300 .* 512×512"),
        ({"synthesis.b4.conv1.weight": (256, 512, 3, 3)}, "b4.conv1.weight has 256×512 .* 512×512"),
    ],
)
def test_every_layers_channels_must_be_those_of_its_generator(tmp_path, changes, message):
    network = published(tmp_path)
    tensors = {name: torch.zeros(shape) for name, shape in changes.items()}
    network = replace(network, tensors={**network.tensors, **tensors})
    with pytest.raises(OptionError, match=message):
        write_rosinality(network, tmp_path / "b.pt")
