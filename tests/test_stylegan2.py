from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import convolve2d, correlate2d

from animix.checkpoints.load import load_network
from animix.errors import NetworkError
from animix.networks import stylegan2
from animix.networks.network import Network
from animix.networks.stylegan2_layout import read_facts
from tests.tiny import tiny_tensors

GOLDEN = Path(__file__).parent / "golden"


def tiny_network(conv_clamp=None, **tiny) -> Network:
    tensors, metadata = tiny_tensors(**tiny)
    settings = {} if conv_clamp is None else {"conv_clamp": str(conv_clamp)}
    return Network(read_facts(tensors, settings), tensors, metadata)


def relative_error(found: torch.Tensor, expected: np.ndarray) -> float:
    return float(np.abs(found.numpy() - expected).max() / np.abs(expected).max())


# The published implementation's own numbers.


@pytest.mark.parametrize("name", ["sg2-a", "sg2-a-tuned", "sg2-cond"])
def test_mapping_matches_the_published_implementation(name):
    network, golden = load_network(GOLDEN / f"{name}.pkl"), np.load(GOLDEN / f"{name}.npz")
    label = golden["c"] if network.c_dim else None
    z = golden["z"]
    assert relative_error(network.mapping(z, label), golden["w"]) < 1e-5
    assert relative_error(network.mapping(z, label, 0.7), golden["w_psi07"]) < 1e-5
    assert relative_error(network.mapping(z, label, 0.5, 2), golden["w_psi05_cutoff2"]) < 1e-5


@pytest.mark.parametrize("name", ["sg2-a", "sg2-a-tuned", "sg2-cond"])
@pytest.mark.parametrize(
    ("ws", "image", "noise"),
    [
        ("w", "image", "const"),
        ("w_psi07", "image_psi07", "const"),
        ("w", "image_no_noise", "none"),
        ("w_mixed", "image_mixed", "const"),
    ],
)
def test_synthesis_matches_the_published_implementation(name, ws, image, noise):
    network, golden = load_network(GOLDEN / f"{name}.pkl"), np.load(GOLDEN / f"{name}.npz")
    assert relative_error(network.synthesis(golden[ws], noise=noise), golden[image]) < 1e-5


# A slow twin in float64, straight from the papers: one sample at a time, modulated weights.


def twin_linear(x, tensors, prefix, lr_multiplier=1.0):
    weight, bias = tensors[f"{prefix}.weight"], tensors[f"{prefix}.bias"]
    return weight @ x * (lr_multiplier / np.sqrt(weight.shape[1])) + bias * lr_multiplier


def twin_mapping(tensors, z, label):
    parts = [z] if label is None else [z, twin_linear(label, tensors, "mapping.embed")]
    x = np.concatenate([part / np.sqrt(np.mean(part**2) + 1e-8) for part in parts if part.size])
    for index in range(sum(name.startswith("mapping.fc") for name in tensors) // 2):
        x = twin_linear(x, tensors, f"mapping.fc{index}", 0.01)
        x = np.where(x < 0, 0.2 * x, x) * np.sqrt(2)
    return x


def spread(x):
    wide = np.zeros((2 * x.shape[0] - 1, 2 * x.shape[1] - 1))
    wide[::2, ::2] = x
    return wide


def smoothed(x, kernel, start, size):
    return convolve2d(x, 4 * kernel)[start : start + size, start : start + size]


def twin_upsampled(x, kernel):
    size = 2 * x.shape[1]
    return np.stack([smoothed(spread(c), kernel, len(kernel) // 2 - 1, size) for c in x])


def twin_convolution(tensors, layer, x, w, noise, kernel, gain, clamp):
    prefix = f"synthesis.{layer}"
    style = twin_linear(w, tensors, f"{prefix}.affine")
    weight = tensors[f"{prefix}.weight"] * style[:, None, None]  # eq. 1
    weight = weight / np.sqrt(np.sum(weight**2, axis=(1, 2, 3), keepdims=True) + 1e-8)  # eq. 3
    if kernel is None:
        x = np.stack([sum(map(lambda a, k: correlate2d(a, k, "same"), x, o)) for o in weight])
    else:
        size = 2 * x.shape[1]
        full = [sum(convolve2d(spread(a), k) for a, k in zip(x, o, strict=True)) for o in weight]
        x = np.stack([smoothed(channel, kernel, len(kernel) // 2, size) for channel in full])
    if noise:
        x = x + tensors[f"{prefix}.noise_const"] * tensors[f"{prefix}.noise_strength"]
    x = x + tensors[f"{prefix}.bias"][:, None, None]
    x = np.where(x < 0, 0.2 * x, x) * np.sqrt(2) * gain
    return np.clip(x, -clamp * gain, clamp * gain)


def twin_torgb(tensors, block, x, w, clamp):
    prefix = f"synthesis.{block}.torgb"
    style = twin_linear(w, tensors, f"{prefix}.affine") / np.sqrt(len(x))
    rgb = np.einsum("oc,c,chw->ohw", tensors[f"{prefix}.weight"][:, :, 0, 0], style, x)
    return np.clip(rgb + tensors[f"{prefix}.bias"][:, None, None], -clamp, clamp)


def twin_synthesis(network, ws, *, noise=True):
    tensors = {name: tensor.double().numpy() for name, tensor in network.tensors.items()}
    facts = network.facts
    clamp = facts.conv_clamp or np.inf
    row = np.array([1, 3, 3, 1]) / 8
    kernel = tensors.get("synthesis.b4.resample_filter", np.outer(row, row))
    x, image, index = tensors["synthesis.b4.const"], None, 0
    for resolution in sorted(set(facts.resolutions)):
        block, gain, residual = f"b{resolution}", 1.0, 0.0
        if resolution > 4:
            if facts.architecture == "resnet":
                gain = np.sqrt(0.5)
                skip = tensors[f"synthesis.{block}.skip.weight"][:, :, 0, 0]
                thin = np.einsum("oc,chw->ohw", skip / np.sqrt(skip.shape[1]), x)
                residual = gain * twin_upsampled(thin, kernel)
            layer = f"{block}.conv0"
            x = twin_convolution(tensors, layer, x, ws[index], noise, kernel, 1.0, clamp)
            index += 1
        layer = f"{block}.conv1"
        x = twin_convolution(tensors, layer, x, ws[index], noise, None, gain, clamp) + residual
        index += 1
        if f"synthesis.{block}.torgb.weight" in tensors:
            rgb = twin_torgb(tensors, block, x, ws[index], clamp)
            image = rgb if image is None else twin_upsampled(image, kernel) + rgb
    assert index + 1 == facts.num_ws
    return image


@pytest.mark.parametrize("architecture", ["skip", "resnet", "orig"])
@pytest.mark.parametrize("conv_clamp", [None, 0.8])
def test_synthesis_is_the_papers_formula(architecture, conv_clamp):
    network = tiny_network(conv_clamp, architecture=architecture, channels=5)
    assert network.facts.architecture == architecture
    ws = np.random.default_rng(3).standard_normal((2, network.num_ws, network.w_dim))
    for noise in ("const", "none"):
        expected = np.stack([twin_synthesis(network, w, noise=noise == "const") for w in ws])
        assert relative_error(network.synthesis(ws, noise=noise), expected) < 1e-5


@pytest.mark.parametrize("taps", [[1, 1], [1, 5, 2, 1], [1, 5, 10, 9, 5, 2]])
@pytest.mark.parametrize("architecture", ["skip", "resnet"])
def test_the_networks_own_filter_is_used(taps, architecture):
    tensors, _ = tiny_tensors(architecture=architecture, channels=3, img_resolution=8)
    row = torch.tensor(taps, dtype=torch.float32) / sum(taps)
    tensors["synthesis.b4.resample_filter"] = torch.outer(row, row)
    network = Network(read_facts(tensors), tensors)
    ws = np.random.default_rng(3).standard_normal((1, network.num_ws, network.w_dim))
    assert relative_error(network.synthesis(ws), twin_synthesis(network, ws[0])[None]) < 1e-5

    one_row = Network(network.facts, {**tensors, "synthesis.b4.resample_filter": row})
    assert torch.allclose(one_row.synthesis(ws), network.synthesis(ws), atol=1e-5)


@pytest.mark.parametrize(("c_dim", "z_dim", "depth"), [(0, 16, 1), (3, 16, 2), (3, 0, 3)])
def test_mapping_is_the_papers_formula(c_dim, z_dim, depth):
    network = tiny_network(c_dim=c_dim, z_dim=z_dim, num_mapping_layers=depth, img_resolution=8)
    assert (network.z_dim, network.c_dim) == (z_dim, c_dim)
    rng = np.random.default_rng(3)
    z, label = rng.standard_normal((2, z_dim)), np.eye(3)[:2] if c_dim else None
    tensors = {name: tensor.double().numpy() for name, tensor in network.tensors.items()}
    expected = np.stack(
        [twin_mapping(tensors, z[i], None if label is None else label[i]) for i in range(2)]
    )
    ws = network.mapping(z, label)
    assert ws.shape == (2, network.num_ws, network.w_dim)
    assert relative_error(ws[:, 0], expected) < 1e-5


# What callers rely on.


@settings(max_examples=20, deadline=None)
@given(scale=st.floats(0.1, 100), seed=st.integers(0, 2**32 - 1))
def test_only_the_direction_of_z_matters(scale, seed):
    z = np.random.RandomState(seed).randn(1, 16)
    ws = NETWORK.mapping(z)
    assert torch.allclose(NETWORK.mapping(scale * z), ws, atol=1e-4 * float(ws.abs().max()))


NETWORK = tiny_network()


@settings(max_examples=20, deadline=None)
@given(psi=st.floats(-1, 2), cutoff=st.none() | st.integers(0, 6))
def test_truncation_moves_the_first_ws_along_the_line_to_the_average(psi, cutoff):
    z, w_avg = np.random.RandomState(1).randn(2, 16), NETWORK.tensors["mapping.w_avg"]
    ws, found = NETWORK.mapping(z), NETWORK.mapping(z, None, psi, cutoff)
    assert torch.allclose(found[:, :cutoff], w_avg + psi * (ws - w_avg)[:, :cutoff], atol=1e-5)
    if cutoff is not None:
        assert torch.equal(found[:, cutoff:], ws[:, cutoff:])


def test_a_sample_does_not_depend_on_the_others_in_its_batch():
    ws = NETWORK.mapping(np.random.RandomState(1).randn(3, 16))
    alone = torch.cat([NETWORK.synthesis(w[None]) for w in ws])
    assert torch.allclose(NETWORK.synthesis(ws), alone, atol=1e-4)


def test_random_noise_is_a_function_of_seed_layer_and_sample():
    def draw(seed, samples):
        cpu = torch.device("cpu")
        draws = [(seed, sample) for sample in samples]
        return stylegan2.random_noise(NETWORK.facts, NETWORK.tensors, draws, cpu)

    one, two = draw(7, [0, 1]), draw(7, [1])
    assert all(torch.equal(one[layer][1], two[layer][0]) for layer in one)
    assert not torch.equal(one["b8.conv0"], one["b8.conv1"])
    assert not torch.equal(one["b8.conv0"], draw(8, [0, 1])["b8.conv0"])
    assert set(one) == {layer.name for layer in NETWORK.layers[1:]}
    assert one["b16.conv1"].std() == pytest.approx(1, abs=0.1)


def test_noise_is_fixed_random_or_none():
    ws = NETWORK.mapping(np.random.RandomState(1).randn(1, 16))
    pictures = [NETWORK.synthesis(ws, noise=noise) for noise in ("const", "none", "random")]
    again = NETWORK.synthesis(ws, noise="random", seed=0)
    other = NETWORK.synthesis(ws, noise="random", seed=1)
    assert torch.equal(pictures[2], again) and not torch.equal(again, other)
    assert not torch.equal(pictures[0], pictures[1])


def test_a_network_without_noise_is_painted_without_noise():
    tensors, _ = tiny_tensors()
    quiet = {name: tensor for name, tensor in tensors.items() if ".noise_" not in name}
    network = Network(read_facts(quiet), quiet)
    ws = network.mapping(np.random.RandomState(1).randn(1, 16))
    expected = NETWORK.synthesis(ws, noise="none")
    for noise in ("const", "none", "random"):
        assert torch.equal(network.synthesis(ws, noise=noise), expected)


def test_a_skip_generator_can_stop_at_a_lower_block():
    ws = NETWORK.mapping(np.random.RandomState(1).randn(2, 16))
    for resolution in (4, 8, 16):
        draft = NETWORK.synthesis(ws, stop_resolution=resolution)
        assert draft.shape == (2, 3, resolution, resolution)
    assert torch.equal(draft, NETWORK.synthesis(ws))


@pytest.mark.parametrize(
    ("architecture", "resolution", "message"),
    [
        ("skip", 32, "stop_resolution is 32, expected one of 4, 8, 16"),
        ("skip", 12, "stop_resolution is 12"),
        ("resnet", 8, "needs a StyleGAN2 skip generator, this one is stylegan2 resnet"),
    ],
)
def test_stopping_elsewhere_is_refused(architecture, resolution, message):
    network = tiny_network(architecture=architecture)
    ws = np.zeros((1, network.num_ws, network.w_dim))
    with pytest.raises(NetworkError, match=message):
        network.synthesis(ws, stop_resolution=resolution)


def test_layers_are_numbered_from_the_constant_up():
    network = tiny_network(architecture="resnet")
    names = [layer.name for layer in network.layers]
    assert names == ["b4.const", "b4.conv1", "b8.conv0", "b8.conv1", "b16.conv0", "b16.conv1"]
    assert [layer.resolution for layer in network.layers] == [4, 4, 8, 8, 16, 16]
    assert network.num_ws == 6
    assert "synthesis.b8.skip.weight" in network.layers[2].tensors
    assert "synthesis.b16.torgb.affine.bias" in network.layers[5].tensors
    owned = [name for layer in network.layers for name in layer.tensors]
    buffers = {name for name in network.tensors if name.endswith("noise_const")}
    trained = {name for name in network.tensors if name.startswith("synthesis.")} - buffers
    assert len(owned) == len(set(owned)) and set(owned) == trained


@pytest.mark.parametrize(
    ("z", "label", "message"),
    [
        (np.zeros((1, 15)), np.zeros((1, 3)), r"z is \[1, 15\], expected \[N, 16\]"),
        (np.zeros(16), np.zeros((1, 3)), r"z is \[16\], expected"),
        (np.zeros((0, 16)), np.zeros((0, 3)), r"z is \[0, 16\], expected"),
        (np.full((1, 16), np.nan), np.zeros((1, 3)), "z holds numbers that are infinite or not"),
        (np.full((1, 16), 1e300), np.zeros((1, 3)), "z holds numbers that are infinite or not"),
        (np.full((1, 16), "a"), np.zeros((1, 3)), "z is no array of numbers"),
        (np.zeros((1, 16)), None, r"conditional: give it a label \[N, 3\]"),
        (np.zeros((1, 16)), np.zeros((1, 4)), r"label is \[1, 4\], expected \[N, 3\]"),
        (np.zeros((2, 16)), np.zeros((1, 3)), "2 z, but 1 labels"),
    ],
)
def test_a_conditional_mapping_refuses_what_it_cannot_take(z, label, message):
    network = tiny_network(c_dim=3, img_resolution=8)
    with pytest.raises(NetworkError, match=message):
        network.mapping(z, label)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"label": np.zeros((1, 3))}, "takes no label, but one was given"),
        ({"truncation_psi": float("nan")}, "truncation_psi is nan"),
        ({"truncation_cutoff": 7}, "truncation_cutoff is 7, expected 0 to 6"),
        ({"truncation_cutoff": -1}, "truncation_cutoff is -1"),
    ],
)
def test_mapping_refuses_wrong_options(arguments, message):
    with pytest.raises(NetworkError, match=message):
        NETWORK.mapping(np.zeros((1, 16)), **arguments)


@pytest.mark.parametrize(
    ("ws", "arguments", "message"),
    [
        (np.zeros((1, 16)), {}, r"ws is \[1, 16\], expected \[N, 6, 16\]"),
        (np.zeros((1, 5, 16)), {}, r"ws is \[1, 5, 16\]"),
        (torch.full((1, 6, 16), torch.inf), {}, "ws holds numbers"),
        (np.zeros((1, 6, 16)), {"noise": "fixed"}, "noise is 'fixed', expected one of const"),
        (np.zeros((1, 6, 16)), {"seed": -1}, "seed is -1"),
    ],
)
def test_synthesis_refuses_what_it_cannot_take(ws, arguments, message):
    with pytest.raises(NetworkError, match=message):
        NETWORK.synthesis(ws, **arguments)


def test_arrays_and_tensors_of_any_kind_are_taken():
    ws = NETWORK.mapping(np.zeros((1, 16))).numpy()
    fixed = ws.copy()
    fixed.setflags(write=False)
    expected = NETWORK.synthesis(torch.from_numpy(ws))
    for kind in (fixed, ws.astype(np.float64), ws.astype(">f4"), torch.from_numpy(ws).double()):
        found = NETWORK.synthesis(kind)
        assert found.dtype == torch.float32 and found.is_contiguous()
        assert torch.equal(found, expected)


def test_a_network_prints_as_its_sizes():
    assert repr(NETWORK) == (
        "Network(stylegan2, skip, 16 px, z_dim=16, w_dim=16, c_dim=0, num_ws=6)"
    )


def test_with_tensors_shares_the_rest_and_leaves_the_network_alone():
    before = NETWORK.tensors["synthesis.b4.const"]
    other = NETWORK.with_tensors({"synthesis.b4.const": before + 1})
    assert NETWORK.tensors["synthesis.b4.const"] is before
    assert other.tensors["mapping.w_avg"] is NETWORK.tensors["mapping.w_avg"]
    assert torch.equal(other.tensors["synthesis.b4.const"], before + 1)


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        ({"synthesis.b4.const": torch.zeros(8, 4, 5)}, r"is \[8, 4, 5\], expected \[8, 4, 4\]"),
        ({"synthesis.b4.bias": torch.zeros(8)}, "has no tensor synthesis.b4.bias"),
    ],
)
def test_with_tensors_refuses_others(tensors, message):
    with pytest.raises(NetworkError, match=message):
        NETWORK.with_tensors(tensors)
