"""The rule of blend_models.py: its shares, its quirks and its refusals."""

import math

import pytest
import torch

from animix.errors import BlendError, OptionError
from animix.networks.recognize import network_of
from animix.pinkney import pinkney_blend, pinkney_share, pinkney_shares, position
from tests.tiny import relative_of, tiny_stylegan3, tiny_tensors


def pair(**tiny):
    tensors, metadata = tiny_tensors(img_resolution=32, **tiny)
    return network_of(tensors, metadata), network_of(relative_of(tensors, 0.5), metadata)


@pytest.mark.parametrize(
    ("tensor", "place"),
    [
        ("synthesis.b4.const", 0),
        ("synthesis.b4.torgb.weight", 1),
        ("synthesis.b4.conv1.weight", None),
        ("synthesis.b4.conv1.affine.bias", None),
        ("synthesis.b8.conv0.affine.weight", 2),
        ("synthesis.b8.conv1.noise_strength", 3),
        ("synthesis.b8.conv1.noise_const", None),
        ("synthesis.b8.resample_filter", None),
        ("synthesis.b8.skip.weight", None),
        ("synthesis.b1024.torgb.bias", 17),
        ("synthesis.b2048.conv0.bias", None),
        ("mapping.w_avg", None),
    ],
)
def test_tensors_lie_in_order_of_half_blocks(tensor, place):
    assert position(tensor) == place


def test_the_soft_mode_is_the_logistic_curve():
    shares = [round(pinkney_share(x, 1.0), 3) for x in range(-2, 3)]
    assert shares == [0.119, 0.269, 0.5, 0.731, 0.881]
    assert pinkney_share(-5, 1e-9) == 0
    assert pinkney_share(5, 1e-9) == 1
    assert pinkney_share(-1, 2.0) == 1 / (1 + math.exp(0.5))


@pytest.mark.parametrize("width", [None, 0, 0.0])
@pytest.mark.parametrize(
    ("level", "first_taken"), [(0, "synthesis.b16.conv0"), (1, "synthesis.b16.conv1")]
)
def test_the_hard_mode_keeps_the_low_network_up_to_the_resolution(width, level, first_taken):
    low, high = pair()
    blended = pinkney_blend(low, high, 8, level, width)
    taken = {n for n in low.tensors if torch.equal(blended.tensors[n], high.tensors[n])}
    trained = {n for n in low.tensors if not torch.equal(low.tensors[n], high.tensors[n])}
    expected = {n for n in trained if (position(n) or 0) >= position(first_taken)}
    assert taken & trained == expected
    assert expected


def test_the_convolution_at_4_px_mapping_and_noise_are_always_the_low_networks():
    low, high = pair()
    high = high.with_tensors({"mapping.w_avg": high.tensors["mapping.w_avg"] + 1})
    blended = pinkney_blend(low, high, 4, 0, 100.0)
    for name in low.tensors:
        if name.startswith(("mapping.", "synthesis.b4.conv1")) or name.endswith("noise_const"):
            assert torch.equal(blended.tensors[name], low.tensors[name]), name
    const = "synthesis.b4.const"
    middle = (low.tensors[const] + high.tensors[const]) / 2
    assert torch.allclose(blended.tensors[const], middle)


@pytest.mark.parametrize(
    ("resolution", "level", "architecture"),
    [
        *[(64, 0, "skip"), (7, 0, "skip"), (0, 0, "skip"), (-4, 0, "skip"), (8, 2, "skip")],
        # Without a picture there, nothing of the name 4x4/ToRGB or 4x4/Conv1 exists.
        *[(4, 1, "orig"), (4, 1, "resnet")],
    ],
)
def test_places_that_a_network_does_not_have_are_refused(resolution, level, architecture):
    low, _ = pair(architecture=architecture)
    with pytest.raises(OptionError, match="finds nothing at resolution"):
        pinkney_shares(low, resolution, level)


def test_other_networks_are_refused():
    low, high = pair()
    with pytest.raises(BlendError, match="can't be mixed"):
        pinkney_blend(low, network_of(*tiny_tensors()), 8)
    for width in (math.nan, math.inf, -1.0):
        with pytest.raises(
            OptionError, match=f"--blend-width {width:g}: expected a number above 0"
        ):
            pinkney_blend(low, high, 8, 0, width)
    with pytest.raises(OptionError, match="is for StyleGAN2"):
        pinkney_shares(network_of(*tiny_stylegan3()), 16)
