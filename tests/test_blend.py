from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from animix.checkpoints.load import load_network
from animix.errors import BlendError
from animix.networks import recognize
from animix.networks.blend import (
    blend,
    check_blendable,
    checked_mix,
    mapping_differences,
    mix_buffers,
    mix_tensors,
    with_mapping,
)
from animix.networks.network import Network
from animix.networks.stylegan2_layout import read_facts
from tests.tiny import relative_of, tiny_stylegan3, tiny_tensors

GOLDEN = Path(__file__).parent / "golden"
SMALL = {"channels": 3, "w_dim": 4}


def network_of(tensors) -> Network:
    return Network(read_facts(tensors), tensors)


def tiny_network(**tiny) -> Network:
    return network_of(tiny_tensors(**(SMALL | tiny))[0])


def tiny_alias_free(**tiny) -> Network:
    return recognize.network_of(*tiny_stylegan3(**(SMALL | tiny)))


BASE = tiny_network()
FAMILY = [BASE, *(network_of(relative_of(dict(BASE.tensors), 0.5, seed)) for seed in (1, 2))]
LAYERS = len(BASE.layers)


@pytest.mark.parametrize("name", ["blend-ramp", "blend-swap16"])
def test_a_blend_matches_the_published_implementation(name):
    networks = [load_network(GOLDEN / f"{part}.pkl") for part in ("sg2-a", "sg2-a-tuned")]
    golden = np.load(GOLDEN / f"{name}.npz")
    shares = dict(zip(golden["coef_resolutions"].tolist(), golden["coef"].tolist(), strict=True))
    upper = [shares[layer.resolution] for layer in networks[0].layers]
    image = blend(networks, [[1 - share, share] for share in upper]).synthesis(golden["w"])
    error = np.abs(image.numpy() - golden["image"]).max() / np.abs(golden["image"]).max()
    assert error < 1e-5


shares = st.floats(-2, 2).map(lambda share: round(share, 3))
mixes = st.lists(st.tuples(shares, shares), min_size=LAYERS, max_size=LAYERS).map(
    lambda rows: np.array([[1 - a - b, a, b] for a, b in rows])
)


@settings(max_examples=30, deadline=None)
@given(mix=mixes)
def test_each_layer_is_the_sum_of_the_networks_times_their_shares(mix):
    mixed = blend(FAMILY, mix)
    for layer, row in zip(BASE.layers, mix, strict=True):
        for name in layer.tensors:
            parts = [network.tensors[name].double().numpy() for network in FAMILY]
            expected = sum(share * part for share, part in zip(row, parts, strict=True))
            np.testing.assert_allclose(mixed.tensors[name].numpy(), expected, rtol=1e-4, atol=1e-4)


@settings(max_examples=30, deadline=None)
@given(mix=mixes)
def test_what_no_layer_owns_is_the_first_networks(mix):
    mixed = blend(FAMILY, mix)
    owned = {name for layer in BASE.layers for name in layer.tensors}
    for name in set(BASE.tensors) - owned:
        assert mixed.tensors[name] is BASE.tensors[name]
    assert mixed.facts == BASE.facts


@settings(max_examples=30, deadline=None)
@given(mix=mixes, place=st.integers(0, 3))
def test_leaving_out_an_unused_network_changes_no_bit(mix, place):
    unused = network_of(relative_of(dict(BASE.tensors), 5, seed=9))
    family = [*FAMILY[:place], unused, *FAMILY[place:]]
    wide = np.insert(mix, place, 0, axis=1)
    with_it, without_it = mix_tensors(family, wide), mix_tensors(FAMILY, mix)
    assert all(torch.equal(with_it[name], tensor) for name, tensor in without_it.items())


@settings(max_examples=30, deadline=None)
@given(mix=mixes)
def test_buffers_change_no_bit(mix):
    buffers = mix_buffers(BASE)
    for tensor in buffers.values():
        tensor.fill_(torch.nan)
    found, fresh = mix_tensors(FAMILY, mix, buffers), mix_tensors(FAMILY, mix)
    assert all(torch.equal(found[name], tensor) for name, tensor in fresh.items())
    again = mix_tensors(FAMILY, mix, buffers)
    assert all(torch.equal(again[name], tensor) for name, tensor in fresh.items())


def test_the_number_of_threads_changes_no_bit():
    base = tiny_network(channels=61)
    other = network_of(relative_of(dict(base.tensors)))
    mix = checked_mix([0.3, 0.7], LAYERS, 2)
    threads = torch.get_num_threads()
    results = []
    try:
        for count in (1, 2, 3):
            torch.set_num_threads(count)
            results.append(mix_tensors([base, other], mix))
    finally:
        torch.set_num_threads(threads)
    for name, tensor in results[0].items():
        assert all(torch.equal(result[name], tensor) for result in results[1:])


def test_a_hard_swap_copies_nothing():
    mix = [[1, 0, 0]] * 2 + [[0, 0, 1]] * (LAYERS - 2)
    buffers = mix_buffers(BASE)
    mixed = mix_tensors(FAMILY, np.array(mix, dtype=float), buffers)
    low, high = "synthesis.b4.conv1.weight", "synthesis.b16.conv1.weight"
    assert mixed[low] is BASE.tensors[low]
    assert mixed[high] is FAMILY[2].tensors[high]


@pytest.mark.parametrize(
    "mix",
    [
        [0.5, 0.5, 0],
        np.array([0.5, 0.5, 0], dtype=np.float32),
        torch.tensor([0.5, 0.5, 0]),
        [[0.5, 0.5, 0]] * LAYERS,
        torch.tensor([[0.5, 0.5, 0]] * LAYERS),
    ],
)
def test_a_mix_may_be_a_list_an_array_or_a_tensor(mix):
    expected = blend(FAMILY[:2], [0.5, 0.5])
    found = blend(FAMILY, mix)
    assert all(torch.equal(found.tensors[name], t) for name, t in expected.tensors.items())


@pytest.mark.parametrize(
    ("mix", "message"),
    [
        ([0.5, 0.4, 0], "sums to 0.9 in layer 0, expected 1"),
        ([[1, 0, 0]] * (LAYERS - 1) + [[1, 0, 2e-6]], f"in layer {LAYERS - 1}, expected 1"),
        ([float("nan"), 1, 0], "sums to nan"),
        ([float("inf"), 0, 0], "sums to inf"),
        ([1, 0], r"is \[2\], expected \[6, 3\] \(layers, networks\) or \[3\]"),
        ([[1, 0, 0]], r"is \[1, 3\], expected"),
        ([[1, 0, 0], [1, 0]], "not a table of numbers"),
        ("all", "not a table of numbers"),
        (1.0, r"is \[\], expected"),
    ],
)
def test_other_mixes_are_refused(mix, message):
    with pytest.raises(BlendError, match=message):
        blend(FAMILY, mix)


def test_a_blend_of_nothing_is_refused():
    with pytest.raises(BlendError, match="at least one"):
        blend([], [])


QUIET = {name: t for name, t in BASE.tensors.items() if ".noise_" not in name}


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (tiny_network(img_resolution=8), "faces has pictures of 16 px, anime pictures of 8 px"),
        (tiny_network(architecture="orig"), "faces has the architecture skip, anime .* orig"),
        (tiny_network(w_dim=5), "faces has 4 numbers in a w, anime 5 numbers in a w"),
        (
            tiny_network(channels=6),
            r"const is 3×4×4 in faces, 6×4×4 in anime; .*\(channel base: 48 and 96;",
        ),
        (tiny_alias_free(), "faces has the architecture stylegan2, anime .* stylegan3"),
        (network_of(QUIET), "faces has the tensor .*noise_strength, anime does not; .*use_noise"),
    ],
)
def test_networks_that_cannot_be_mixed_are_refused_with_the_likely_cause(other, message):
    with pytest.raises(BlendError, match=message):
        check_blendable(BASE, other, ("faces", "anime"))
    with pytest.raises(BlendError, match="network 1 and network 2 can't be mixed"):
        blend([BASE, other], [1, 0])


# StyleGAN3.

ALIAS_FREE = tiny_alias_free(img_resolution=32, filters=True)
ALIAS_FREE_FAMILY = [
    ALIAS_FREE,
    *(ALIAS_FREE.with_tensors(relative_of(dict(ALIAS_FREE.tensors), 0.5, seed)) for seed in (1, 2)),
]
MAGNITUDES = {
    f"synthesis.{layer.name}.magnitude_ema": torch.tensor(float(2 + number))
    for number, layer in enumerate(ALIAS_FREE.layers[1:])
}
SCALED = ALIAS_FREE.with_tensors(MAGNITUDES)


@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_whole_share_is_the_network_itself(place):
    mix = np.eye(3)[place]
    mixed, alone = blend(ALIAS_FREE_FAMILY, mix), ALIAS_FREE_FAMILY[place]
    ws = np.random.default_rng(0).standard_normal((1, alone.num_ws, alone.w_dim))
    assert torch.equal(mixed.synthesis(ws), alone.synthesis(ws))


@settings(max_examples=30, deadline=None)
@given(share=shares)
@pytest.mark.parametrize("buffered", [False, True])
def test_magnitudes_are_mixed_in_their_logarithm(share, buffered):
    buffers = mix_buffers(ALIAS_FREE) if buffered else None
    rows = checked_mix([1 - share, share], len(ALIAS_FREE.layers), 2)
    mixed = mix_tensors([ALIAS_FREE, SCALED], rows, buffers)
    for name, there in MAGNITUDES.items():
        here = ALIAS_FREE.tensors[name]
        expected = float(here) ** (1 - share) * float(there) ** share
        assert float(mixed[name]) == pytest.approx(expected, rel=1e-5)


def test_frequencies_transform_and_filters_are_the_first_networks():
    changed = {
        name: tensor + 1
        for name, tensor in ALIAS_FREE.tensors.items()
        if name.endswith((".freqs", ".phases", ".transform", "_filter")) or "mapping" in name
    }
    assert len(changed) > 10
    other = ALIAS_FREE.with_tensors(changed)
    for mix in ([0.5, 0.5], [0, 1]):
        mixed = blend([ALIAS_FREE, other], mix)
        assert all(mixed.tensors[name] is ALIAS_FREE.tensors[name] for name in changed)
    home = with_mapping(ALIAS_FREE, other)
    moved = [name for name in changed if home.tensors[name] is other.tensors[name]]
    assert moved and all(name.startswith("mapping.") for name in moved)


@pytest.mark.parametrize(
    ("tiny", "message"),
    [
        (
            {"channel_base": 32},
            r"L2_36_3.bias is 3 in faces, .*L2_36_2.bias is 2 in anime; .*base: 96 and 32;",
        ),
        ({"img_resolution": 16}, "faces has pictures of 32 px, anime pictures of 16 px"),
        ({"num_layers": 5}, "faces has 6 layers, anime 7 layers"),
        ({"margin_size": 4}, "their layers have other sampling rates, margins, kernels or filters"),
        (
            {"use_radial_filters": True},
            "faces has the architecture config-t, anime the architecture config-r",
        ),
        ({"conv_kernel": 1}, "their layers have other sampling rates, margins, kernels or filters"),
    ],
)
def test_other_alias_free_networks_are_refused(tiny, message):
    other = tiny_alias_free(**({"img_resolution": 32} | tiny))
    with pytest.raises(BlendError, match=message):
        check_blendable(ALIAS_FREE, other, ("faces", "anime"))
    with pytest.raises(BlendError, match="network 1 and network 2 can't be mixed"):
        blend([ALIAS_FREE, other], [1, 0])


def test_another_mapping_is_no_hindrance():
    other = tiny_network(num_mapping_layers=3, c_dim=2, z_dim=6)
    check_blendable(BASE, other)
    assert mapping_differences(BASE, BASE) == []
    assert mapping_differences(BASE, other) == [
        "mapping layers: 2 and 3",
        "numbers in a z: 4 and 6",
        "numbers in a label: 0 and 2",
    ]
    mixed = blend([BASE, other], [0.5, 0.5])
    assert mixed.mapping(np.zeros((1, 4))).shape == (1, 6, 4)


def test_the_number_of_parameters_is_that_of_the_tensors():
    for tiny in ({"num_mapping_layers": 3}, {"c_dim": 2, "z_dim": 6}):
        other = tiny_network(**tiny)
        moved = with_mapping(BASE, other)
        assert moved.facts.num_parameters == read_facts(moved.tensors).num_parameters
        assert moved.facts == read_facts(moved.tensors)


@pytest.mark.parametrize(
    ("power", "share", "message"),
    [
        (30, -2.0, "magnitude_ema of the blend is a magnitude too small"),
        (30, 2.0, "magnitude_ema of the blend has numbers too large"),
    ],
)
def test_magnitudes_that_float32_cannot_hold_are_refused(power, share, message):
    name = f"synthesis.{ALIAS_FREE.layers[1].name}.magnitude_ema"
    far = ALIAS_FREE.with_tensors({name: torch.tensor(10.0**power)})
    with pytest.raises(BlendError, match=message):
        blend([ALIAS_FREE, far], [1 - share, share])


def test_weights_that_float32_cannot_hold_are_refused():
    name = "synthesis.b8.conv0.weight"
    far = BASE.with_tensors({name: BASE.tensors[name] * 1e37})
    with pytest.raises(BlendError, match=r"conv0\.weight of the blend has numbers too large"):
        blend([BASE, far], [-999, 1000])
