from __future__ import annotations

import itertools
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from animix.errors import NetworkError
from animix.networks.recognize import network_of
from animix.networks.stylegan3_layout import is_stylegan3, read_facts
from animix.networks.stylegan3_plan import Specification, make_plan
from tests.tiny import tiny_stylegan3, tiny_tensors

TENSORS, METADATA = tiny_stylegan3(filters=True)
RADIAL = {"conv_kernel": 1, "use_radial_filters": True}

# The names that published checkpoints have: sampling rate and margins of each layer.
PUBLISHED_SIZES = {
    256: [36, 36, 36, 52, 52, 84, 84, 148, 148, 148, 276, 276, 276, 256, 256],
    512: [36, 36, 52, 52, 84, 84, 148, 148, 276, 276, 532, 532, 532, 512, 512],
    1024: [36, 36, 52, 52, 84, 148, 148, 276, 276, 532, 1044, 1044, 1044, 1024, 1024],
}


@pytest.mark.parametrize("img_resolution", PUBLISHED_SIZES)
@pytest.mark.parametrize("settings", [{}, RADIAL])
def test_sizes_are_those_in_published_names(img_resolution, settings):
    plan = make_plan(Specification(img_resolution, **settings))
    assert [layer.output.size for layer in plan.layers] == PUBLISHED_SIZES[img_resolution]
    radial = [layer.down.radial for layer in plan.layers]
    assert radial == [bool(settings)] * 12 + [False] * 3


@st.composite
def specifications(draw):
    num_layers = draw(st.integers(6, 20))
    return Specification(
        img_resolution=2 ** draw(st.integers(4, 11)),
        num_layers=num_layers,
        num_critical=draw(st.integers(1, num_layers // 2)),
        margin_size=draw(st.integers(0, 20)),
        conv_kernel=draw(st.sampled_from([1, 3])),
        lrelu_upsampling=draw(st.sampled_from([1, 2, 4])),
        use_radial_filters=draw(st.booleans()),
    )


@given(specifications())
def test_every_layer_has_room_for_its_band(spec):
    plan = make_plan(spec)
    signals = [layer.output for layer in plan.layers]
    rates = [signal.sampling_rate for signal in signals]
    assert len(signals) == spec.num_layers + 1
    assert rates == sorted(rates) and rates[-1] == spec.img_resolution
    assert signals[-1].size == spec.img_resolution
    source = plan.input
    for layer, signal in zip(plan.layers, signals, strict=True):
        assert signal.cutoff <= signal.sampling_rate / 2 and signal.half_width > 0
        fine_rate = layer.up.factor * source.sampling_rate
        assert fine_rate == layer.down.factor * signal.sampling_rate
        # The pixels that the filters reach are there.
        full_size = (source.size + layer.kernel - 2) * layer.up.factor + layer.up.taps
        assert 0 <= layer.crop <= full_size - layer.fine_size
        assert (layer.fine_size - layer.down.taps) // layer.down.factor + 1 == signal.size
        source = signal


@given(specifications())
def test_bands_grow_geometrically_up_to_the_critical_layers(spec):
    signals = [layer.output for layer in make_plan(spec).layers]
    growing = signals[: spec.num_layers - spec.num_critical + 1]
    steps = [b.cutoff / a.cutoff for a, b in itertools.pairwise(growing)]
    assert all(math.isclose(step, steps[0]) for step in steps)
    for signal in signals[len(growing) - 1 :]:
        assert math.isclose(signal.cutoff, spec.img_resolution / 2)


SQUEEZED = {
    "img_resolution": 8,
    "num_layers": 1,
    "num_critical": 0,
    "first_cutoff": 4,
    "first_stopband": 4,
    "lrelu_upsampling": 1,
}
STRETCHED = {
    "num_layers": 2,
    "num_critical": 0,
    "margin_size": 0,
    "conv_kernel": 1,
    "lrelu_upsampling": 1,
}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"img_resolution": 4096}, "img_resolution is 4096, expected 4 to 2048"),
        ({"img_resolution": 48}, "img_resolution is 48, expected a power of two"),
        ({"num_layers": 0}, "num_layers is 0, expected 1 to"),
        ({"num_layers": 10**9}, "num_layers is 1e.09, expected 1 to"),
        ({"num_critical": 14}, "num_critical is 14, expected 0 to 13"),
        ({"num_critical": -1}, "num_critical is -1"),
        ({"first_cutoff": 0}, "first_cutoff is 0"),
        ({"first_cutoff": 200}, "first_cutoff is 200, expected 0.01 to 128"),
        ({"first_stopband": 1.5}, "first_stopband is 1.5, expected 2 to"),
        ({"first_stopband": 300}, "first_stopband is 300, expected at most the last one"),
        ({"first_cutoff": 0.5, "first_stopband": 0.6}, "layer 0 has a sampling rate of 2"),
        ({"first_cutoff": 4, "first_stopband": 4}, "no filter passes 4 cycles, at 16 samples"),
        (SQUEEZED, "the input's cutoff is 4, expected less than half of its sampling rate 8"),
        (STRETCHED, "a layer's picture is larger than what it is made from"),
        ({"last_stopband_rel": 0.5}, "last_stopband_rel is 0.5"),
        ({"margin_size": -1}, "margin_size is -1"),
        ({"margin_size": 10**6}, "margin_size is 1e.06, expected 0 to 64"),
        ({"conv_kernel": 9}, "conv_kernel is 9"),
        ({"filter_size": 1000}, "filter_size is 1000"),
        ({"filter_size": 32, "num_layers": 2, "num_critical": 1}, "a filter has .* taps, expected"),
        ({"lrelu_upsampling": 64}, "lrelu_upsampling is 64"),
    ],
)
def test_what_no_network_has_is_refused(settings, message):
    with pytest.raises(NetworkError, match=message):
        make_plan(Specification(**({"img_resolution": 256} | settings)))


def test_facts_are_read_from_tensors_and_settings():
    facts = read_facts(TENSORS, METADATA)
    assert (facts.kind, facts.architecture) == ("stylegan3", "config-t")
    assert (facts.img_resolution, facts.z_dim, facts.c_dim, facts.w_dim) == (16, 16, 0, 16)
    names = [layer.name for layer in facts.layers]
    assert names == ["input", "L0_20_8", "L1_20_8", "L2_20_8", "L3_16_8", "L4_16_3"]
    assert facts.num_ws == 6 and facts.ws_resolutions == facts.resolutions == (16,) * 6
    assert facts.conv_clamp == 256
    assert facts.layers[0].tensors == (
        "synthesis.input.weight",
        "synthesis.input.affine.weight",
        "synthesis.input.affine.bias",
    )
    parts = ("affine.weight", "affine.bias", "weight", "bias", "magnitude_ema")
    assert facts.layers[2].tensors == tuple(f"synthesis.L1_20_8.{part}" for part in parts)


@pytest.mark.parametrize(
    ("tiny", "settings"),
    [
        ({"num_layers": 14, "num_critical": 2, "margin_size": 10}, ()),
        ({"margin_size": 7}, ("margin_size",)),
        ({"num_critical": 3}, ("num_critical",)),
        (RADIAL | {"filters": True}, ()),
    ],
)
def test_what_tensors_or_defaults_tell_needs_no_setting(tiny, settings):
    standard = {"margin_size": 10, "num_critical": 2} | tiny
    tensors, metadata = tiny_stylegan3(**standard)
    kept = {name: metadata[name] for name in settings}
    assert read_facts(tensors, kept) == read_facts(tensors, metadata)


def test_a_conditional_network_has_an_embedding():
    tensors, metadata = tiny_stylegan3(c_dim=3)
    facts = read_facts(tensors, metadata)
    assert (facts.z_dim, facts.c_dim) == (16, 3)


def test_the_two_kinds_are_told_apart():
    assert is_stylegan3(TENSORS) and not is_stylegan3(tiny_tensors()[0])
    assert network_of(TENSORS, METADATA).facts.kind == "stylegan3"
    assert network_of(*tiny_tensors()).facts.kind == "stylegan2"
    with pytest.raises(NetworkError, match=r"knows \(StyleGAN2, StyleGAN3\)"):
        network_of({"a": torch.zeros(1)}, {})


def changed(**tensors):
    """The tiny tensors with some replaced, or left out where the value is None."""
    all_tensors = TENSORS | {f"synthesis.{name}": tensor for name, tensor in tensors.items()}
    return {name: tensor for name, tensor in all_tensors.items() if tensor is not None}


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        ({"input.freqs": torch.zeros(8, 3)}, r"input.freqs is 8×3, but the other .* for 8×2"),
        ({"input.phases": None}, r"synthesis.input.phases is missing, expected with shape 8"),
        ({"input.transform": torch.eye(2)}, "transform is 2×2, but the other .* call for 3×3"),
        ({"input.weight": torch.zeros(8)}, "input.weight is 8, expected 2 dimensions"),
        ({"input.affine.weight": torch.zeros(3, 16)}, r"affine.weight is 3×16, but .* for 4×16"),
        ({"L1_20_8.bias": None}, "the tensor synthesis.L1_20_8.bias is missing"),
        ({"L1_20_8.weight": torch.zeros(8, 8, 3, 1)}, "is 8×8×3×1, but .* call for 8×8×3×3"),
        ({"L1_20_8.weight": torch.zeros(9, 8, 3, 3)}, "expected the name L1_20_9"),
        ({"L1_20_8.weight": torch.zeros(0, 8, 3, 3)}, "expected 4 dimensions, none of them 0"),
        ({"L4_16_3.weight": torch.zeros(4, 8, 1, 1)}, "pictures with 4 channels, .* RGB"),
        ({"L1_20_8.magnitude_ema": None}, "L1_20_8.magnitude_ema is missing"),
        ({"L1_20_8.magnitude_ema": torch.tensor(0.0)}, "magnitude_ema is 0, expected .* above 0"),
        ({"L1_20_8.magnitude_ema": torch.tensor(-1.0)}, "magnitude_ema is -1, expected"),
        ({"L1_20_8.magnitude_ema": torch.ones(1)}, "magnitude_ema is 1, but .* for one number"),
        ({"L1_20_8.up_filter": torch.ones(6)}, "up_filter is 6, but .* call for 12"),
        ({"L1_20_8.down_filter": torch.ones(12, 12)}, "down_filter is 12×12, but .* for 12"),
        ({"L4_16_3.up_filter": torch.ones(12)}, "up_filter is not one of this StyleGAN3"),
        ({"L1_20_8.noise": torch.ones(1)}, "L1_20_8.noise is not one of this StyleGAN3"),
        ({"L1_20_9.bias": torch.ones(9)}, "two layers 1, L1_20_8 and L1_20_9"),
        ({"L6_20_8.bias": torch.ones(8)}, "the layers L0, .*, L4, L6 after the input, expected"),
        ({"L1_20_8.bias": torch.full((8,), math.nan)}, "bias holds 8 of 8 numbers"),
        ({"input.freqs": torch.full((8, 2), math.inf)}, "freqs holds 16 of 16 numbers"),
    ],
)
def test_tensors_that_do_not_fit_are_named(tensors, message):
    settings = METADATA | {"use_radial_filters": "false"}
    with pytest.raises(NetworkError, match=message):
        read_facts(changed(**tensors), settings)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"margin_size": "3"}, "L0_20_8 has 8 channels and, by the metadata, 22 px .* L0_22_8"),
        ({"num_layers": "14"}, "layers up to L4_16_3, but the metadata num_layers is 14"),
        ({"conv_kernel": "1"}, "has 3×3 kernels, but the metadata conv_kernel is 1"),
        ({"img_resolution": "32"}, "expected the name L2_36_8"),
        ({"margin_size": "2.5"}, "margin_size is '2.5', expected a whole number"),
        ({"margin_size": "nan"}, "margin_size is 'nan', expected a number"),
        ({"num_critical": "two"}, "num_critical is 'two', expected a number"),
        ({"first_cutoff": "none"}, "first_cutoff is 'none', expected a number"),
        ({"output_scale": "inf"}, "output_scale is 'inf', expected a number"),
        ({"use_radial_filters": "1"}, "use_radial_filters is '1', expected true or false"),
        ({"use_radial_filters": "true"}, "down_filter is 12, but .* call for 12×12"),
        ({"conv_clamp": "-1"}, "conv_clamp is '-1', expected a number or none"),
    ],
)
def test_settings_that_do_not_fit_are_named(settings, message):
    with pytest.raises(NetworkError, match=message):
        read_facts(TENSORS, METADATA | settings)


def test_no_layer_puts_out_more_than_any_network():
    tensors, metadata = tiny_stylegan3(2048, channels=1, num_layers=6)
    wide = {
        "synthesis.L0_20_1.weight": torch.zeros(1, 1, 3, 3),
        "synthesis.L5_2048_1.weight": torch.zeros(513, 1, 3, 3),
    }
    name = "synthesis.L5_2048_1.weight"
    assert name in tensors
    tensors = {n.replace("L5_2048_1", "L5_2048_513"): wide.get(n, t) for n, t in tensors.items()}
    with pytest.raises(NetworkError, match="L5_2048_513 puts out 513 channels of 2048×2048 px"):
        read_facts(tensors, metadata)
