"""A picture that goes on beyond its borders keeps its middle, on networks of either kind."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from animix.checkpoints.load import load_network
from animix.networks.continuation import reflected, repeated, sides
from animix.networks.extent import SQUARE, Extent
from animix.networks.recognize import network_of
from animix.networks.stylegan2 import const_noise
from tests.tiny import tiny_stylegan3, tiny_tensors

DEMO = Path(__file__).parents[1] / "animix" / "demo" / "base.safetensors"

EXTENTS = st.builds(Extent, st.integers(4, 20), st.integers(4, 20))


def some_ws(network, count=1):
    z = np.random.RandomState(3).randn(count, network.z_dim)
    return network.mapping(z, truncation_psi=0.7)


def middle(pictures, extent, resolution):
    left, _, top, _ = extent.added(resolution)
    return pictures[..., top : top + resolution, left : left + resolution]


def added(extent, resolution):
    """What is added, as numpy takes it."""
    left, right, top, bottom = extent.added(resolution)
    return (top, bottom), (left, right)


@given(EXTENTS, st.sampled_from([16, 32]))
def test_noise_is_reflected_about_its_outermost_pixels(extent, resolution):
    image = torch.arange(float(resolution**2)).view(resolution, resolution)
    expected = np.pad(image.numpy(), added(extent, resolution), mode="reflect")
    assert (reflected(image, extent).numpy() == expected).all()
    assert reflected(image, extent).shape == sides(extent, resolution)


@given(EXTENTS)
def test_activations_go_on_by_their_outermost_pixels(extent):
    x = torch.arange(128.0).view(1, 2, 8, 8)
    expected = np.pad(x.numpy(), ((0, 0), (0, 0), *added(extent, 8)), mode="edge")
    assert (repeated(x, extent).numpy() == expected).all()


@pytest.mark.parametrize("resolution", [4, 8])
def test_noise_of_the_first_layers_stays_square(resolution):
    image = torch.ones(resolution, resolution)
    assert reflected(image, Extent(8, 4)) is image
    assert sides(Extent(8, 4), resolution) == (resolution, resolution)


def test_the_square_goes_through_untouched():
    x = torch.ones(1, 2, 8, 8)
    assert repeated(x, SQUARE) is x
    assert reflected(x, SQUARE) is x


@pytest.mark.parametrize("tiny", [tiny_tensors, tiny_stylegan3])
@pytest.mark.parametrize("noise", ["const", "none", "random"])
def test_without_an_extent_a_picture_is_the_square_bit_for_bit(tiny, noise):
    network = network_of(*tiny())
    ws = some_ws(network, 2)
    expected = network.synthesis(ws, noise, 7)
    assert torch.equal(network.synthesis(ws, noise, 7, extent=SQUARE), expected)


@settings(max_examples=12)
@given(
    EXTENTS,
    st.sampled_from(["skip", "resnet", "orig"]),
    st.sampled_from(["const", "none", "random"]),
    st.sampled_from([4, 8, 16, 32]),
)
def test_stylegan2_paints_any_extent_at_any_size(extent, architecture, noise, resolution):
    network = network_of(*tiny_tensors(img_resolution=resolution, architecture=architecture))
    picture = network.synthesis(some_ws(network, 2), noise, extent=extent)
    assert picture.shape == (2, 3, *extent.sides(resolution))
    assert picture.isfinite().all()


@pytest.mark.parametrize("stop", [4, 8, 16])
def test_a_skip_generator_stops_early_at_an_extended_picture(stop):
    network = network_of(*tiny_tensors(img_resolution=32))
    extent, ws = Extent(8, 5), some_ws(network)
    picture = network.synthesis(ws, stop_resolution=stop, extent=extent)
    assert picture.shape == (1, 3, *extent.sides(stop))
    if stop <= 8:  # so small a picture is the square one, continued
        square = network.synthesis(ws, stop_resolution=stop)
        assert torch.equal(picture, repeated(square, extent))


def test_each_layer_is_as_large_as_its_noise():
    network = network_of(*tiny_tensors(img_resolution=32))
    extent, seen = Extent(6, 9), {}
    network.synthesis(some_ws(network), watch=lambda name, x: seen.update({name: x}), extent=extent)
    noise = const_noise(network.facts, network.tensors, extent)
    assert {name: x.shape[2:] for name, x in seen.items() if name in noise} == {
        name: image.shape for name, image in noise.items()
    }


def correlation(a, b):
    return float(torch.corrcoef(torch.stack([a.flatten(), b.flatten()]))[0, 1])


@pytest.mark.parametrize("extent", [Extent(8, 4), Extent(4, 8)], ids=["9:16", "16:9"])
def test_the_middle_of_a_stylegan2_s_picture_stays_the_square_picture(extent):
    network = load_network(DEMO)
    ws = some_ws(network, 2)
    square, whole = network.synthesis(ws), network.synthesis(ws, extent=extent)
    found = middle(whole, extent, 128)
    assert correlation(found, square) > 0.94
    for shift in (-16, 16):
        moved = middle(whole.roll(shift, (2 if extent.rows > 4 else 3)), extent, 128)
        assert correlation(moved, square) < correlation(found, square) - 0.1
    inner = (..., slice(48, 80), slice(48, 80))
    assert torch.allclose(found[inner], square[inner], atol=1e-4)


def test_beyond_the_square_the_network_goes_on_painting():
    network = load_network(DEMO)
    extent = Extent(8, 4)
    whole = network.synthesis(some_ws(network), extent=extent)
    above = whole[..., :32, :]
    assert above.std() > 0.05
    assert not torch.allclose(above, above[..., -1:, :].expand_as(above), atol=0.05)


@pytest.mark.parametrize("extent", [Extent(8, 4), Extent(4, 8), Extent(6, 5)])
@pytest.mark.parametrize("settings", [{}, {"conv_kernel": 1, "use_radial_filters": True}])
def test_the_middle_of_a_stylegan3_s_picture_is_the_square_picture(extent, settings):
    sizes = {"img_resolution": 64, "channels": 16, "num_layers": 6, "num_critical": 2}
    network = network_of(*tiny_stylegan3(margin_size=10, **sizes, **settings))
    ws = some_ws(network)
    square, whole = network.synthesis(ws), network.synthesis(ws, extent=extent)
    assert whole.shape == (1, 3, *extent.sides(64))
    error = (middle(whole, extent, 64) - square).abs().max() / square.abs().max()
    assert error < 1e-4
    moved = middle(whole.roll((3, 3), (2, 3)), extent, 64)
    assert (moved - square).abs().max() > 100 * error * square.abs().max()


@settings(max_examples=8)
@given(EXTENTS, st.sampled_from([16, 32]), st.sampled_from([0, 2, 10]))
def test_stylegan3_paints_any_extent_at_any_margin(extent, resolution, margin_size):
    tensors = tiny_stylegan3(img_resolution=resolution, margin_size=margin_size)
    network = network_of(*tensors)
    picture = network.synthesis(some_ws(network), extent=extent)
    assert picture.shape == (1, 3, *extent.sides(resolution))
