from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.signal import firwin, kaiser_atten, kaiser_beta
from scipy.special import j1

from animix.checkpoints.load import load_network
from animix.engine.noise import noise_circle
from animix.errors import NetworkError
from animix.film import open_film
from animix.networks import stylegan3
from animix.networks.lowpass import lowpass
from animix.networks.network import Network
from animix.networks.recognize import network_of
from animix.rendering import encode
from animix.sheets import seed_painter
from animix.starter import write_starter
from animix.summary import summarize
from animix.timeline.reader import load_timeline
from animix.video.mp4 import count_frames
from tests.tiny import relative_of, tiny_stylegan3, tiny_tensors, write_tensors

GOLDEN = Path(__file__).parent / "golden"
RADIAL = {"conv_kernel": 1, "use_radial_filters": True}


def tiny_network(**tiny) -> Network:
    return network_of(*tiny_stylegan3(**tiny))


def relative_error(found: torch.Tensor, expected: torch.Tensor | np.ndarray) -> float:
    found, expected = np.asarray(found), np.asarray(expected)
    return float(np.abs(found - expected).max() / np.abs(expected).max())


def some_ws(network: Network, count: int = 1, seed: int = 3) -> torch.Tensor:
    return network.mapping(np.random.RandomState(seed).randn(count, network.z_dim))


NETWORK = tiny_network()


# The published implementation's own numbers.


def test_mapping_matches_the_published_implementation():
    network, golden = load_network(GOLDEN / "sg3-t.pkl"), np.load(GOLDEN / "sg3-t.npz")
    z = golden["z"]
    assert relative_error(network.mapping(z), golden["w"]) < 1e-5
    assert relative_error(network.mapping(z, None, 0.7), golden["w_psi07"]) < 1e-5
    assert relative_error(network.mapping(z, None, 0.5, 2), golden["w_psi05_cutoff2"]) < 1e-5


@pytest.mark.parametrize(
    ("ws", "image"), [("w", "image"), ("w_psi07", "image_psi07"), ("w_mixed", "image_mixed")]
)
@pytest.mark.parametrize("filters", ["the file's", "designed"])
def test_synthesis_matches_the_published_implementation(ws, image, filters):
    network, golden = load_network(GOLDEN / "sg3-t.pkl"), np.load(GOLDEN / "sg3-t.npz")
    assert any(name.endswith("_filter") for name in network.tensors)
    if filters == "designed":
        kept = {name: t for name, t in network.tensors.items() if not name.endswith("_filter")}
        network = network_of(kept, network.metadata)
    assert relative_error(network.synthesis(golden[ws]), golden[image]) < 1e-5


# The filters, by scipy's formulas.


@pytest.mark.parametrize(
    ("taps", "cutoff", "width", "rate"),
    [(12, 2, 12, 32), (24, 4.3, 9, 64), (12, 32, 0.9, 128), (7, 2, 3, 32), (48, 16, 40, 256)],
)
def test_filters_are_kaisers(taps, cutoff, width, rate):
    expected = firwin(taps, cutoff, width=width, fs=rate)
    assert relative_error(lowpass(taps, cutoff, width, rate), expected) < 1e-6

    places = (np.arange(taps) - (taps - 1) / 2) / rate
    radius = np.maximum(np.hypot(places[:, None], places), 1e-9)
    window = np.kaiser(taps, kaiser_beta(kaiser_atten(taps, width / (rate / 2))))
    jinc = j1(2 * np.pi * cutoff * radius) / radius * np.outer(window, window)
    radial = lowpass(taps, cutoff, width, rate, radial=True)
    assert relative_error(radial, jinc / jinc.sum()) < 1e-6


# A layer, the slow way: dense matrices in float64.


def dense(taps: np.ndarray, inputs: int, factor: int, crop: int, outputs: int) -> np.ndarray:
    """The matrix [outputs, inputs] that spreads by a factor, filters, and crops."""
    matrix = np.zeros((inputs * factor + len(taps), inputs))
    for index in range(inputs):
        matrix[index * factor : index * factor + len(taps), index] = taps * factor
    return matrix[crop : crop + outputs]


@pytest.mark.parametrize("skewed", [False, True])
@pytest.mark.parametrize("radial", [False, True])
def test_the_leaky_relu_works_between_two_filters(skewed, radial):
    settings = RADIAL if radial else {}
    network = tiny_network(filters=True, img_resolution=32, **settings)
    rng = np.random.default_rng(0)
    for layer, plan in zip(network.layers[1:-1], network.facts.plan.layers[:-1], strict=True):
        up, down = (
            network.tensors[f"synthesis.{layer.name}.{part}_filter"].double().numpy()
            for part in ("up", "down")
        )
        if skewed:  # a file's own filters need not be symmetric
            up, down = (
                taps * (1 + 0.1 * np.arange(taps.size).reshape(taps.shape)) for taps in (up, down)
            )
        size = plan.output.size
        inputs = (plan.fine_size + 2 * plan.crop - len(up)) // plan.up.factor + 1
        x = rng.standard_normal((2, 3, inputs, inputs))
        spread = dense(up, inputs, plan.up.factor, plan.crop, plan.fine_size)
        fine = spread @ x @ spread.T
        fine = np.clip(np.where(fine < 0, 0.2 * fine, fine), -0.7, 0.7)
        square = down if down.ndim == 2 else np.outer(down, down)
        windows = np.lib.stride_tricks.sliding_window_view(fine, square.shape, axis=(2, 3))
        step = plan.down.factor
        expected = np.einsum("nchwij,ij->nchw", windows[:, :, ::step, ::step], square[::-1, ::-1])
        found = stylegan3.filtered(
            torch.from_numpy(x),
            plan,
            torch.from_numpy(up),
            torch.from_numpy(down),
            slope=0.2,
            clamp=0.7,
        )
        assert found.shape == (2, 3, size, size)
        assert relative_error(found, expected) < 1e-9


# What callers rely on.


SMOOTH = {"img_resolution": 64, "channels": 16, "num_layers": 6, "num_critical": 2}
INNER = (..., slice(12, -12), slice(12, -12))


@pytest.mark.parametrize("settings", [{}, RADIAL])
def test_a_shift_of_the_transform_shifts_the_picture(settings):
    network = tiny_network(margin_size=10, **SMOOTH, **settings)
    shift = torch.eye(3)
    shift[0, 2] = -3 / 64  # the picture is read further left, so it moves to the right
    moved = network.with_tensors({"synthesis.input.transform": shift})
    ws = some_ws(network)
    before, after = network.synthesis(ws), moved.synthesis(ws)
    assert relative_error(after[INNER], before.roll(3, dims=3)[INNER]) < 0.01
    assert relative_error(after[INNER], before[INNER]) > 0.1


def test_with_radial_filters_a_turn_of_the_transform_turns_the_picture():
    network = tiny_network(margin_size=10, **SMOOTH, **RADIAL)
    tensors = {name: 0 * t for name, t in network.tensors.items() if "input.affine.weight" in name}
    network = network.with_tensors(tensors)
    turn = torch.tensor([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]])
    turned = network.with_tensors({"synthesis.input.transform": turn})
    ws = some_ws(network)
    before, after = network.synthesis(ws), turned.synthesis(ws)
    assert relative_error(after[INNER], before.rot90(1, dims=(2, 3))[INNER]) < 0.01
    assert relative_error(after[INNER], before[INNER]) > 0.1


def test_a_picture_shrunk_beyond_its_sampling_rate_fades_out():
    shrunk = NETWORK.with_tensors({"synthesis.input.transform": 50 * torch.eye(3)})
    features = {}
    shrunk.synthesis(some_ws(shrunk), watch=features.__setitem__)
    assert float(features["input"].abs().max()) == 0


def test_what_w_turns_and_shifts_the_user_can_turn_and_shift_back():
    angle, x, y = 0.7, 0.2, -0.1
    cosine, sine = float(np.cos(angle)), float(np.sin(angle))
    tensors = dict(NETWORK.tensors)
    tensors["synthesis.input.affine.weight"] = 0 * tensors["synthesis.input.affine.weight"]
    plain = network_of(tensors, NETWORK.metadata)
    # The picture's coordinates go through the rotation last, so it is undone first of all; twice
    # as long an arrow is the same rotation, and half of the shift.
    tensors["synthesis.input.affine.bias"] = torch.tensor(
        [2 * cosine, 2 * sine, 2 * x, 2 * y]
    ).float()
    turn = torch.tensor([[cosine, -sine, 0], [sine, cosine, 0], [0, 0, 1]]).double()
    shift = torch.tensor([[1, 0, -x], [0, 1, -y], [0, 0, 1]]).double()
    tensors["synthesis.input.transform"] = torch.linalg.inv(turn @ shift).float()
    ws = some_ws(plain)
    back = network_of(tensors, NETWORK.metadata)
    assert relative_error(back.synthesis(ws), plain.synthesis(ws)) < 1e-4


def test_many_channels_are_filtered_in_parts(monkeypatch):
    network = tiny_network(channels=20)
    ws = some_ws(network, count=2)
    at_once = network.synthesis(ws)
    monkeypatch.setattr(stylegan3, "AT_A_TIME", 1)
    monkeypatch.setattr(stylegan3, "MIN_CHANNELS", 6)
    assert relative_error(network.synthesis(ws), at_once) < 1e-5


@pytest.mark.parametrize("settings", [{}, RADIAL, {"lrelu_upsampling": 1}, {"num_critical": 0}])
def test_a_sample_does_not_depend_on_the_others_in_its_batch(settings):
    network = tiny_network(**settings)
    ws = some_ws(network, count=3)
    alone = torch.cat([network.synthesis(w[None]) for w in ws])
    assert relative_error(network.synthesis(ws), alone) < 1e-4


def test_noise_makes_no_difference():
    ws = some_ws(NETWORK)
    pictures = [NETWORK.synthesis(ws, noise=noise) for noise in ("const", "none", "random")]
    assert torch.equal(pictures[0], pictures[1]) and torch.equal(pictures[0], pictures[2])
    assert pictures[0].is_contiguous() and pictures[0].shape == (1, 3, 16, 16)
    assert noise_circle(NETWORK) == {}


def test_every_w_feeds_its_layer():
    ws = some_ws(NETWORK)
    seen: dict[str, torch.Tensor] = {}
    NETWORK.synthesis(ws, watch=seen.__setitem__)
    for index, layer in enumerate(NETWORK.layers):
        changed = ws.clone()
        changed[:, index] += 1
        now: dict[str, torch.Tensor] = {}
        NETWORK.synthesis(changed, watch=now.__setitem__)
        same = [torch.equal(seen[each.name], now[each.name]) for each in NETWORK.layers]
        assert same == [True] * index + [False] * (len(NETWORK.layers) - index), layer.name


@pytest.mark.parametrize("make", [tiny_stylegan3, tiny_tensors])
def test_watching_sees_each_layers_output_and_changes_nothing(make):
    network = network_of(*make())
    ws = some_ws(network, count=2)
    seen: dict[str, torch.Tensor] = {}
    watched = network.synthesis(ws, watch=seen.__setitem__)
    assert torch.equal(watched, network.synthesis(ws))
    assert list(seen) == [layer.name for layer in network.layers]
    assert all(x.ndim == 4 and len(x) == 2 for x in seen.values())
    if network.facts.plan is not None:
        scale = network.facts.plan.output_scale
        assert torch.equal(seen[network.layers[-1].name] * scale, watched)


def test_stopping_earlier_is_refused():
    with pytest.raises(NetworkError, match="needs a StyleGAN2 skip generator, this one is styleg"):
        NETWORK.synthesis(some_ws(NETWORK), stop_resolution=16)


def test_a_conditional_network_takes_a_label():
    network = tiny_network(c_dim=3)
    assert (network.c_dim, network.z_dim) == (3, 16)
    z = np.random.RandomState(0).randn(1, 16)
    one, other = (network.mapping(z, np.eye(3)[[label]]) for label in (0, 1))
    assert not torch.equal(network.synthesis(one), network.synthesis(other))
    with pytest.raises(NetworkError, match=r"conditional: give it a label \[N, 3\]"):
        network.mapping(z)


# A film of a network and a relative of it.

REEL = """
networks: {faces: faces.safetensors, art: art.safetensors}
duration: 1s
fps: 4
latents: [3, 17]
noise: {loop: 1s}
truncation: {4..16: 0.5, 32..: 0.9}
blend: {swap: {0%: none, 50%: all, 100%: none}, alpha: {4..16: 0.5, 32..: 1}}
"""


@pytest.fixture
def folder(tmp_path):
    tensors, metadata = tiny_stylegan3(img_resolution=32, num_layers=5)
    write_tensors(tmp_path / "faces.safetensors", tensors, metadata)
    write_tensors(tmp_path / "art.safetensors", relative_of(tensors), metadata)
    (tmp_path / "reel.yaml").write_text(REEL)
    return tmp_path


@pytest.mark.parametrize("draft", [False, True])
def test_a_timeline_renders(folder, draft):
    film = open_film(load_timeline(folder / "reel.yaml"), device="cpu", draft=draft)
    list(encode(film, folder / "reel.mp4", draft=draft))
    assert count_frames(folder / "reel.mp4") == 4
    whole = load_network(folder / "faces.safetensors")
    row = film.schedule.row(0)
    assert row.mix[:, 0].tolist() == [1] * len(whole.layers)
    expected = whole.synthesis(film.engine.ws(row)[None])[0]
    assert torch.equal(film.pictures([row])[0], expected)
    assert not torch.equal(film.pictures([film.schedule.row(2)])[0], expected)


@pytest.mark.parametrize(
    ("noise", "told"), [("fixed", False), ("none", False), ("random", True), ("{loop: 1s}", True)]
)
def test_noise_that_changes_nothing_is_told(folder, noise, told):
    (folder / "reel.yaml").write_text(REEL.replace("noise: {loop: 1s}", f"noise: {noise}"))
    film = open_film(load_timeline(folder / "reel.yaml"), device="cpu")
    assert any("changes nothing" in note for note in film.notes) == told


def test_the_summary_tells_its_kind_and_kin(folder):
    summary, warnings = summarize(open_film(load_timeline(folder / "reel.yaml"), device="cpu"))
    assert [network.architecture for network in summary.networks] == ["stylegan3 config-t"] * 2
    assert summary.networks[1].related and not warnings


def test_starter_and_seeds_take_it(folder):
    output = folder / "first.yaml"
    assert write_starter([folder / "faces.safetensors", folder / "art.safetensors"], output) == []
    film = open_film(load_timeline(output), device="cpu")
    assert len(film.schedule.columns) == 2
    (picture,) = seed_painter(folder / "faces.safetensors", device="cpu").paint(5)
    assert picture.shape == (3, 32, 32)
