"""The discriminator: its parts as the formulas have them, and found in any checkpoint."""

import pytest
import torch
from safetensors.torch import save_file
from torch.nn.functional import conv2d, pad

from animix.checkpoints.discriminators import load_discriminator
from animix.checkpoints.rosinality import discriminator_names
from animix.errors import NetworkError
from animix.networks import discriminator
from animix.networks.discriminator import Discriminator
from tests.nvidia_files import write_nvidia_pickle
from tests.rosinality_files import state_dict
from tests.tiny import tiny_tensors, write_tiny


def normal(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def tiny_discriminator(img_resolution=16, channels=4, architecture="resnet", labels=0):
    """Random tensors of a discriminator, as ``tiny_tensors`` are of a generator."""
    tensors = {}

    def layer(name, *shape, bias=True):
        tensors[f"{name}.weight"] = normal(*shape, seed=len(tensors))
        if bias:
            tensors[f"{name}.bias"] = 0.1 * normal(shape[0], seed=len(tensors))

    resolution = img_resolution
    while resolution > 4:
        block = f"b{resolution}"
        if resolution == img_resolution or architecture == "skip":
            layer(f"{block}.fromrgb", channels, 3, 1, 1)
        layer(f"{block}.conv0", channels, channels, 3, 3)
        layer(f"{block}.conv1", channels, channels, 3, 3)
        if architecture == "resnet":
            layer(f"{block}.skip", channels, channels, 1, 1, bias=False)
        resolution //= 2
    if architecture == "skip":
        layer("b4.fromrgb", channels, 3, 1, 1)
    layer("b4.conv", channels, channels + 1, 3, 3)
    layer("b4.fc", channels, 16 * channels)
    layer("b4.out", labels or 1, channels)
    return tensors


def test_the_discriminator_halves_as_a_blur_and_a_strided_convolution_do():
    x, weight = normal(2, 3, 8, 8), normal(4, 3, 3, 3, seed=1)
    taps = torch.tensor([1.0, 3, 3, 1]) / 8
    smooth = torch.outer(taps, taps).expand(3, 1, 4, 4)
    expected = conv2d(conv2d(pad(x, (2, 2, 2, 2)), smooth, groups=3), weight, stride=2)
    torch.testing.assert_close(discriminator.halved(x, weight), expected, rtol=1e-4, atol=1e-4)


def test_variety_is_the_mean_deviation_within_a_group():
    x = torch.zeros(8, 2, 4, 4)
    x[::2] = torch.tensor([1.0, 1, 3, 3])[:, None, None, None]  # pictures 0, 2, 4, 6: one group
    found = discriminator.variety(x)
    torch.testing.assert_close(found[::2], torch.ones(4, 1, 4, 4))
    torch.testing.assert_close(found[1::2], torch.full((4, 1, 4, 4), 1e-4))


def published(tensors, images):
    """The features and logit of one picture, op by op as Karras et al. 2020 draw them."""

    def weighted(name):
        weight = tensors[f"{name}.weight"]
        return weight / weight[0].numel() ** 0.5

    taps = torch.tensor([1.0, 3, 3, 1]) / 8

    def down(x, name, around):
        smooth = torch.outer(taps, taps).expand(x.shape[1], 1, 4, 4)
        x = conv2d(pad(x, (around,) * 4), smooth, groups=x.shape[1])
        return x[:, :, ::2, ::2] if name is None else conv2d(x, weighted(name), stride=2)

    def lrelu(x, name):
        x = x + tensors[f"{name}.bias"][:, None, None]
        return torch.maximum(x, 0.2 * x) * 2**0.5

    x, image, features = None, images, []
    resolution = images.shape[2]
    while resolution > 4:
        block = f"b{resolution}"
        if f"{block}.fromrgb.weight" in tensors:
            seen = lrelu(conv2d(image, weighted(f"{block}.fromrgb")), f"{block}.fromrgb")
            x = seen if x is None else x + seen
        skipped = None
        if f"{block}.skip.weight" in tensors:
            skipped = down(x, f"{block}.skip", 1)
        x = lrelu(conv2d(x, weighted(f"{block}.conv0"), padding=1), f"{block}.conv0")
        x = lrelu(down(x, f"{block}.conv1", 2), f"{block}.conv1")
        x = x if skipped is None else (x + skipped) / 2**0.5
        image = down(image, None, 1)
        features.append(x)
        resolution //= 2
    return features


@pytest.mark.parametrize("architecture", ["resnet", "skip", "orig"])
def test_features_are_those_of_the_paper(architecture):
    tensors = tiny_discriminator(architecture=architecture)
    images = normal(2, 3, 16, 16)
    found = Discriminator(tensors).features(images)
    for one, other in zip(found, published(tensors, images), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)


def test_both_ways_of_halving_are_one():
    x, weight = normal(2, 3, 8, 8), normal(4, 3, 3, 3, seed=1)
    folded = discriminator.halved(x.to("meta"), weight.to("meta"))
    assert folded.shape == discriminator.halved(x, weight).shape == (2, 4, 4, 4)


def test_a_score_is_the_pictures_own():
    judge = Discriminator(tiny_discriminator())
    images = normal(3, 3, 16, 16)
    assert judge.scores(images).shape == (3,)
    torch.testing.assert_close(judge.scores(images)[:1], judge.scores(images[:1]))


def test_a_conditional_one_has_features_and_no_score():
    judge = Discriminator(tiny_discriminator(labels=3))
    assert len(judge.features(normal(1, 3, 16, 16))) == 2
    with pytest.raises(NetworkError, match="conditional"):
        judge.scores(normal(1, 3, 16, 16))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"b8.conv0.weight": torch.zeros(4, 5, 3, 3)}, r"b8\.conv0\.weight is"),
        ({"b8.conv0.bias": torch.full((4,), torch.nan)}, "not a number"),
        ({"b64.conv0.bias": torch.zeros(4)}, "blocks for 4, 8, 16, 64 px"),
    ],
)
def test_what_can_be_no_discriminator_is_told(change, told):
    with pytest.raises(NetworkError, match=told):
        Discriminator(tiny_discriminator() | change)


def in_its_generator(path, tensors):
    generator, metadata = tiny_tensors()
    named = {f"discriminator.{name}": tensor for name, tensor in tensors.items()}
    save_file(generator | named, path.with_suffix(".safetensors"), metadata)
    return path.with_suffix(".safetensors")


def beside(path, tensors):
    save_file(tensors, path.with_name(f"{path.stem}-discriminator.safetensors"))
    return write_tiny(path.with_suffix(".safetensors"))


def alone(path, tensors):
    save_file(tensors, path.with_suffix(".safetensors"))
    return path.with_suffix(".safetensors")


def in_a_pickle(path, tensors):
    return write_nvidia_pickle(path.with_suffix(".pkl"), tiny_tensors()[0], others={"D": tensors})


def in_rosinalitys_file(path, tensors):
    theirs = {theirs: tensors[ours] for theirs, ours in discriminator_names(16).items()}
    path = path.with_suffix(".pt")
    torch.save({"g_ema": state_dict(tiny_tensors()[0]), "d": theirs}, path)
    return path


def in_a_state_dict(path, tensors):
    path = path.with_suffix(".pt")
    torch.save({"G_ema": tiny_tensors()[0], "D": tensors}, path)
    return path


PLACES = [in_its_generator, beside, alone, in_a_pickle, in_rosinalitys_file, in_a_state_dict]


@pytest.mark.parametrize("write", PLACES)
def test_it_is_found_where_a_checkpoint_has_it(write, tmp_path):
    tensors = tiny_discriminator()
    found = load_discriminator(write(tmp_path / "net", tensors))
    assert found.tensors.keys() == tensors.keys()
    assert all(torch.equal(found.tensors[name], tensors[name]) for name in tensors)


@pytest.mark.parametrize("write", [in_a_pickle, in_rosinalitys_file, in_a_state_dict])
def test_a_file_without_one_has_none(write, tmp_path):
    path = write(tmp_path / "net", tiny_discriminator())
    if path.suffix == ".pkl":
        write_nvidia_pickle(path, tiny_tensors()[0])
    else:
        torch.save({"g_ema": state_dict(tiny_tensors()[0])}, path)
    assert load_discriminator(path) is None


def test_a_damaged_one_is_told_with_its_file(tmp_path):
    tensors = tiny_discriminator()
    del tensors["b4.fc.weight"]
    path = beside(tmp_path / "net", tensors)
    with pytest.raises(NetworkError, match=r"net-discriminator\.safetensors: .*b4\.fc\.weight"):
        load_discriminator(path)
