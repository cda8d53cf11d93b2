"""Projection: pictures are found again, the prior holds w back, noise stays noise, tuning helps."""

import json
import sys

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

import animix
from animix.errors import AnimixError, NetworkError, OptionError, RenderError
from animix.networks.recognize import network_of
from animix.projection import judges
from animix.projection.distance import Distance, Weights, edge_distance, pixel_distance, pyramid
from animix.projection.efficientnet import efficientnet_features
from animix.projection.features import Features, discriminator_features
from animix.projection.noise import correlation, normalise
from animix.projection.prior import prior_of
from animix.projection.recipe import Recipe
from animix.projection.search import Search, Start, paint
from animix.projection.tuning import Tuning, TuningRecipe
from animix.projection.vgg import CHANNELS, PLACES, TAPS, read_vgg
from tests.test_discriminator import tiny_discriminator
from tests.tiny import tiny_stylegan3, tiny_tensors, write_tensors, write_tiny

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def one_thread():
    """Tiny networks are no work for several: threads that wait for each other take longer."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


PIXELS = Weights(features=0, pixels=1, edges=0)


def tiny_network(**tiny):
    return network_of(*tiny_tensors(**tiny))


def pictures_of(network, count=1, spread=0.0):
    """Pictures of seeds, whose ws may differ from layer to layer."""
    rng = np.random.RandomState(3)
    ws = network.mapping(rng.randn(count, network.z_dim), truncation_psi=0.7)
    ws = ws + spread * torch.from_numpy(rng.randn(*ws.shape)).float()
    return network.synthesis(ws)


def searched(network, targets, features=None, start=None, **recipe):
    given = {"steps": 60, "weights": PIXELS, "faithful": 1.0} | recipe
    chosen = Recipe(**given)
    distance = Distance(targets, features, chosen.weights)
    search = Search(network, distance, prior_of(network), chosen, len(targets), start)
    list(search.steps())
    return search


def error(network, search, targets):
    return (network.synthesis(search.ws) - targets).square().mean(dim=(1, 2, 3))


def start_error(network, targets):
    mean = prior_of(network).mean.expand(1, network.num_ws, -1)
    return (network.synthesis(mean) - targets).square().mean(dim=(1, 2, 3))


@pytest.mark.parametrize("architecture", ["skip", "resnet", "orig"])
def test_a_picture_of_the_network_is_found_again(architecture):
    network = tiny_network(architecture=architecture)
    targets = pictures_of(network)
    found = error(network, searched(network, targets), targets)
    assert found < start_error(network, targets) / 4  # 6 dB


def test_a_picture_of_stylegan3_is_found_again():
    network = network_of(*tiny_stylegan3())
    targets = pictures_of(network)
    found = error(network, searched(network, targets, steps=40), targets)
    assert found < start_error(network, targets) / 4


@pytest.mark.parametrize(
    "made", [tiny_tensors(architecture="resnet"), tiny_stylegan3(), tiny_tensors()]
)
def test_gradients_are_those_of_the_picture(made):
    tensors, metadata = made
    network = network_of(tensors, {**metadata, "conv_clamp": "2"})
    rng = torch.Generator().manual_seed(0)
    ws = torch.randn(2, network.num_ws, network.w_dim, generator=rng).requires_grad_(True)
    image = paint(network, ws, {})
    probe = torch.randn(image.shape, generator=rng)
    (gradient,) = torch.autograd.grad((image * probe).sum(), ws)
    direction, step = gradient / gradient.norm(), 1e-2
    ahead, behind = (
        network.synthesis(ws.detach() + sign * step * direction, noise="none") for sign in (1, -1)
    )
    slope = ((ahead.double() - behind.double()) * probe).sum() / (2 * step)
    assert float(gradient.norm()) == pytest.approx(float(slope), rel=0.05)


def test_w_plus_comes_nearer_than_w():
    network = tiny_network()
    targets = pictures_of(network, spread=0.7)
    in_w = searched(network, targets, share_in_w=1.0)
    in_w_plus = searched(network, targets, share_in_w=0.4)
    assert torch.equal(in_w.ws, in_w.ws[:, :1].expand_as(in_w.ws))
    assert error(network, in_w_plus, targets) < 0.7 * error(network, in_w, targets)


def test_the_less_faithful_the_nearer_to_what_the_network_knows():
    network = tiny_network()
    targets = torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(1)) * 2 - 1
    prior = prior_of(network)
    found = [searched(network, targets, steps=40, faithful=f) for f in (0.0, 0.5, 1.0)]
    strange = [float(prior.strangeness(each.ws)) for each in found]
    assert strange[0] < strange[1] < strange[2]
    errors = [float(error(network, each, targets)) for each in found]
    assert errors[2] < errors[0]


def test_seeds_are_usual_and_the_mean_is_most_usual():
    network = tiny_network()
    prior = prior_of(network)
    ws = network.mapping(np.random.RandomState(5).randn(500, network.z_dim))
    assert float(prior.strangeness(ws).mean()) == pytest.approx(1, abs=0.15)
    apart = ws.clone()
    apart[:, 0] = ws.flip(0)[:, 0]
    assert float(prior.strangeness(apart).mean()) > float(prior.strangeness(ws).mean()) + 0.1


def test_the_prior_of_a_conditional_network_has_every_class():
    network = tiny_network(c_dim=3)
    assert torch.isfinite(prior_of(network).whitening).all()


def test_photos_of_a_batch_are_found_as_each_alone():
    network = tiny_network()
    targets = pictures_of(network, count=2)
    together = searched(network, targets, steps=8)
    for index in range(2):
        alone = searched(network, targets[index : index + 1], steps=8)
        torch.testing.assert_close(alone.ws[0], together.ws[index], rtol=1e-2, atol=1e-2)


def test_a_search_that_was_interrupted_goes_on():
    network = tiny_network()
    targets = pictures_of(network)
    recipe = Recipe(steps=20, weights=PIXELS, faithful=1.0)
    search = Search(network, Distance(targets, None, PIXELS), prior_of(network), recipe, 1)
    for progress in search.steps():
        if progress.done == 12:
            break
    start = Start(search.ws, search.step, search.losses)
    rest = searched(network, targets, steps=20, start=start)
    assert (search.step, rest.step, rest.losses.shape) == (12, 20, (1, 20))
    assert np.array_equal(rest.losses[:, :12], search.losses)
    assert error(network, rest, targets) < error(network, search, targets)


def test_a_loss_that_is_no_number_is_told():
    network = tiny_network()
    with pytest.raises(RenderError, match="no number"):
        searched(network, pictures_of(network) * torch.nan, steps=3)


def test_correlation_is_the_formula_of_the_paper():
    rng = np.random.default_rng(0)
    image = rng.standard_normal((16, 16))
    total, level = 0.0, image
    while True:
        for axis in (0, 1):
            total += (level * np.roll(level, 1, axis)).mean() ** 2
        if len(level) <= 8:
            break
        level = level.reshape(len(level) // 2, 2, -1, 2).sum(axis=(1, 3)) / 2
    noise = {"b16.conv1": torch.from_numpy(image)[None, None]}
    assert float(correlation(noise)) == pytest.approx(total)


def test_noise_is_found_beside_w_and_stays_noise():
    network = tiny_network()
    targets = pictures_of(network)
    search = searched(network, targets, steps=10, noise="regularised")
    for name, found in search.noise.items():
        image = found.detach()
        before = network.tensors[f"synthesis.{name}.noise_const"]
        assert not torch.allclose(image[0, 0], before)
        assert float(image.mean()) == pytest.approx(0, abs=1e-4)
        assert float(image.square().mean()) == pytest.approx(1, abs=1e-3)


def test_normalising_makes_mean_0_and_variance_1():
    image = 3 + 2 * torch.randn(2, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    normalise({"b8.conv0": image})
    torch.testing.assert_close(image.mean(dim=(1, 2, 3)), torch.zeros(2), atol=1e-5, rtol=0)
    torch.testing.assert_close(image.square().mean(dim=(1, 2, 3)), torch.ones(2))


def test_distances_are_0_for_the_photo_itself_and_each_photos_own():
    images = pictures_of(tiny_network(img_resolution=32), count=2)
    features = discriminator_features(animix_discriminator(32))
    for chosen in (None, features):
        distance = Distance(images, chosen, Weights())
        torch.testing.assert_close(distance(images), torch.zeros(2), atol=1e-5, rtol=0)
        assert (distance(images.flip(0)) > 0.01).all()


def animix_discriminator(img_resolution=16):
    from animix.networks.discriminator import Discriminator

    return Discriminator(tiny_discriminator(img_resolution))


def test_pixels_are_compared_at_every_scale():
    dark, light = torch.zeros(1, 3, 64, 64), torch.ones(1, 3, 64, 64)
    assert [each.shape[2] for each in pyramid(dark)] == [64, 32, 16]
    assert float(pixel_distance(pyramid(dark), pyramid(light))) == 1
    assert float(edge_distance(pyramid(dark), pyramid(light))) == 0
    stripes = dark.clone()
    stripes[..., ::2] = 1
    assert float(edge_distance(pyramid(dark), pyramid(stripes))) > 0.1


def test_tuning_lowers_the_loss_around_the_pivot_only():
    network = tiny_network()
    target = pictures_of(network_of(*tiny_tensors(seed=1)))
    pivot = searched(network, target, steps=10).ws
    tuning = Tuning(network, pivot, Distance(target, None, PIXELS), TuningRecipe(steps=30))
    steps = list(tuning.steps())
    assert len(steps) == len(tuning.losses) == 30
    after = (tuning.network.synthesis(pivot) - target).square().mean()
    assert after < (network.synthesis(pivot) - target).square().mean()
    for name, tensor in tuning.network.tensors.items():
        moved = not torch.equal(tensor, network.tensors[name])
        assert moved == (name.startswith("synthesis.") and not name.endswith("noise_const"))


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"steps": 0}, "0 steps"),
        ({"faithful": float("nan")}, "faithful is nan"),
        ({"faithful": 1.5}, "expected 0 to 1"),
        ({"noise": "loud"}, "fixed, regularised"),
        ({"learning_rate": 0.0}, "learning rate"),
    ],
)
def test_a_recipe_that_can_not_be_is_refused(given, told):
    with pytest.raises(OptionError, match=told):
        Recipe(**given)


def vgg_tensors(lpips=False):
    rng, inputs, found = torch.Generator().manual_seed(0), 3, {}
    for place, outputs in zip(PLACES, CHANNELS, strict=True):
        slices = sum(place > tap for tap in TAPS) + 1
        name = f"net.slice{slices}.{place}" if lpips else f"features.{place}"
        weight = torch.randn(outputs, inputs, 3, 3, generator=rng)
        found[f"{name}.weight"] = weight / (inputs * 9 / 2) ** 0.5
        found[f"{name}.bias"] = torch.zeros(outputs)
        inputs = outputs
    if lpips:
        for index, tap in enumerate(TAPS):
            channels = CHANNELS[PLACES.index(tap)]
            found[f"lin{index}.model.1.weight"] = torch.full((1, channels, 1, 1), 0.5)
    return found


def test_vgg_and_lpips_are_read_from_files_of_ones_own(tmp_path):
    images = pictures_of(tiny_network(img_resolution=32), count=2)
    save_file(vgg_tensors(), tmp_path / "vgg.safetensors")
    torch.save(vgg_tensors(lpips=True), tmp_path / "lpips.pth")
    vgg, lpips = read_vgg(tmp_path / "vgg.safetensors", CPU), read_vgg(tmp_path / "lpips.pth", CPU)
    assert (vgg.name, lpips.name) == ("VGG16", "LPIPS (VGG16)")
    shapes = [tuple(each.shape[1:]) for each in vgg(images)]
    assert shapes == [(64, 32, 32), (128, 16, 16), (256, 8, 8), (512, 4, 4), (512, 2, 2)]
    maps = vgg(images)
    plain, weighted = (f.distance(maps, [m.flip(0) for m in maps]) for f in (vgg, lpips))
    torch.testing.assert_close(weighted, plain / 2)


def test_what_is_no_vgg_is_told_with_its_file(tmp_path):
    tensors = vgg_tensors()
    del tensors["features.5.bias"]
    save_file(tensors, tmp_path / "vgg.safetensors")
    with pytest.raises(NetworkError, match=r"vgg\.safetensors: features\.5\.bias is missing"):
        read_vgg(tmp_path / "vgg.safetensors", CPU)
    with pytest.raises(NetworkError, match="no such file"):
        read_vgg(tmp_path / "nothing.pth", CPU)


def test_features_are_the_discriminators_where_there_is_one(tmp_path):
    path = write_tiny(tmp_path / "base.safetensors")
    network = animix.load_network(path)
    save_file(tiny_discriminator(), tmp_path / "base-discriminator.safetensors")
    found, note = judges.choose_features("auto", path, network, CPU)
    assert (found.name, note) == ("discriminator", "")
    save_file(tiny_discriminator(32), tmp_path / "base-discriminator.safetensors")
    with pytest.raises(NetworkError, match="takes pictures of 32 px, the generator paints 16"):
        judges.choose_features("auto", path, network, CPU)


def test_without_any_features_that_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(judges, "find_spec", lambda name: None)
    path = write_tiny(tmp_path / "base.safetensors")
    network = animix.load_network(path)
    found, note = judges.choose_features("auto", path, network, CPU)
    assert found is None
    assert "pixels and edges" in note
    for wanted in ("discriminator", "nowhere.pth"):
        with pytest.raises(OptionError):
            judges.choose_features(wanted, path, network, CPU)


def test_a_checkpoint_as_features_is_told(tmp_path):
    path = write_tiny(tmp_path / "base.safetensors")
    network = animix.load_network(path)
    save_file(tiny_discriminator(), tmp_path / "base-discriminator.safetensors")
    found, note = judges.choose_features(str(path), path, network, CPU)
    assert found.name == "discriminator"
    assert note == f"--features {path} is no VGG16: its discriminator compares pictures"
    (tmp_path / "base-discriminator.safetensors").unlink()
    with pytest.raises(NetworkError, match=r"base\.safetensors"):
        judges.choose_features(str(path), path, network, CPU)


def test_efficientnet_that_is_missing_is_told_with_what_brings_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "efficientnet_lite_pytorch", None)
    with pytest.raises(OptionError, match=r"animix\[features\]"):
        efficientnet_features(CPU)


def test_features_may_be_a_file(tmp_path):
    path = write_tiny(tmp_path / "base.safetensors")
    network = animix.load_network(path)
    save_file(tiny_discriminator(), tmp_path / "judge.safetensors")
    found, _ = judges.choose_features(str(tmp_path / "judge.safetensors"), path, network, CPU)
    assert found.name == "discriminator"
    with pytest.raises(AnimixError, match="VGG16"):
        judges.choose_features(str(path), path, network, CPU)


def test_features_have_length_1_everywhere():
    found = Features("raw", lambda images: [images])(pictures_of(tiny_network()))
    torch.testing.assert_close(found[0].norm(dim=1), torch.ones(1, 16, 16), rtol=1e-3, atol=1e-3)


def test_the_recipe_is_what_json_can_hold():
    assert json.loads(json.dumps(Recipe().as_dict()))["weights"]["pixels"] == Weights().pixels


def test_a_file_of_stylegan3_carries_its_discriminator_too(tmp_path):
    path = write_tensors(tmp_path / "three.safetensors", *tiny_stylegan3())
    save_file(tiny_discriminator(), tmp_path / "three-discriminator.safetensors")
    network = animix.load_network(path)
    assert judges.choose_features("discriminator", path, network, CPU)[0] is not None
