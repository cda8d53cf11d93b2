"""The fast engine paints StyleGAN3 as the plain one does, however frames are mixed."""

from dataclasses import replace

import numpy as np
import pytest
import torch

import animix
from animix.checkpoints.load import load_network
from animix.engine import fast_stylegan3, kernels, twins
from animix.engine.fast import FastEngine
from animix.engine.make import why_plain
from animix.engine.plan import Plan, place_columns
from animix.engine.stylegan3_stack import Stylegan3Stack
from animix.film import open_film
from animix.networks.recognize import network_of
from animix.timeline.reader import load_timeline
from tests.tiny import relative_of, tiny_stylegan3, write_tensors

NETWORKS = """
networks: {faces: faces.safetensors, art: "art-*.safetensors", third: third.safetensors}
duration: 6f
fps: 10
"""

SWEEP = "third: {swap: {0%: none, 50%: 8, 100%: none}}"

BLENDS = {
    "one network": "blend: [faces]",
    "a mix that stands still": "blend: [faces, third: {swap: 16, alpha: 0.7}]",
    "a sweep": f"blend: [faces, {SWEEP}]",
    "extrapolated": "blend: [faces, third: {alpha: {0%: -2, 50%: 3, 100%: -2}}]",
    "a run of snapshots": "blend: [faces, art: {snapshot: {0%: 0, 100%: last}}]",
    "three networks": f"blend: [faces, art: {{alpha: 0.5}}, {SWEEP}]",
}

KINDS = {
    "config-t": {},
    "config-r": {"conv_kernel": 1, "use_radial_filters": True},
    "narrower layers": {"channels": 12, "channel_base": 96, "img_resolution": 32},
    "the file's filters": {"filters": True},
    "no clamp": {"conv_clamp": "none"},
    "a clamp that matters": {"conv_clamp": "0.5"},
    "no filters": {"lrelu_upsampling": 1},
}


@pytest.fixture(autouse=True)
def small_groups(monkeypatch):
    """Let frames part on their way through the layers."""
    monkeypatch.setattr(fast_stylegan3, "GROUP_NUMBERS", 1 << 13)


def write_networks(folder, conv_clamp=None, **tiny):
    tensors, metadata = tiny_stylegan3(**tiny)
    if conv_clamp is not None:
        metadata["conv_clamp"] = conv_clamp
    write_tensors(folder / "faces.safetensors", tensors, metadata)
    for seed, name in enumerate(["third", "art-1", "art-2", "art-3"], start=1):
        relative = relative_of(tensors, amount=0.2, seed=seed)
        for magnitude in (name for name in tensors if name.endswith(".magnitude_ema")):
            relative[magnitude] = tensors[magnitude] * (1 + 0.3 * seed)
        write_tensors(folder / f"{name}.safetensors", relative, metadata)


def both(folder, text, batch_size=4, dtype=torch.float32):
    """The same film with the plain engine and with the fast one, its kernels' twins inside."""
    (folder / "reel.yaml").write_text(NETWORKS + text)
    plain = open_film(load_timeline(folder / "reel.yaml"), device="cpu")
    plan = Plan(batch_size, dtype, place_columns(plain.schedule, batch_size))
    home = load_network(folder / "faces.safetensors")
    fast = FastEngine(home, plain.engine.shelf, {}, plan, twins)
    return plain, replace(plain, engine=fast)


def assert_same_pictures(plain, fast, tolerance=1e-5):
    for index in range(plain.schedule.num_frames):
        expected, found = plain.canvas(index), fast.canvas(index)
        error = (found - expected).norm() / expected.norm()
        assert error < tolerance, f"frame {index}: {error}"


@pytest.mark.parametrize("blend", BLENDS.values(), ids=BLENDS.keys())
def test_every_mix_is_painted_as_the_plain_engine_does(tmp_path, blend):
    write_networks(tmp_path)
    assert_same_pictures(*both(tmp_path, blend))


@pytest.mark.parametrize("tiny", KINDS.values(), ids=KINDS.keys())
def test_every_network_is_painted_as_the_plain_engine_does(tmp_path, tiny):
    write_networks(tmp_path, **tiny)
    assert_same_pictures(*both(tmp_path, BLENDS["a sweep"]))


def test_labels_and_truncation_are_the_plain_engines(tmp_path):
    write_networks(tmp_path, c_dim=3)
    text = (
        f"{BLENDS['a sweep']}\nlatents: [3, 17]\nlabel: {{0%: 0, 50%: 2, 100%: 0}}\n"
        "truncation: {4..4: 0.5, 8..: {0%: 1, 50%: 0.7, 100%: 1}}\n"
    )
    assert_same_pictures(*both(tmp_path, text))


@pytest.mark.parametrize("kind", ["config-t", "config-r"])
@pytest.mark.parametrize("batch_size", [4, 16])
def test_a_frame_is_the_same_bytes_from_the_film_from_a_range_and_alone(tmp_path, batch_size, kind):
    write_networks(tmp_path, **KINDS[kind])
    text = BLENDS["a run of snapshots"]
    _, whole = both(tmp_path, text, batch_size)
    frames = [frame.tobytes() for frame in whole.frames(range(6))]
    _, part = both(tmp_path, text, batch_size)
    assert [frame.tobytes() for frame in part.frames(range(2, 5))] == frames[2:5]
    for index in (5, 1, 4):
        _, alone = both(tmp_path, text, batch_size)
        assert alone.yuv420(index).tobytes() == frames[index]


@pytest.mark.parametrize("kind", ["config-t", "config-r"])
def test_half_precision_is_within_three_thousandths(tmp_path, kind):
    write_networks(tmp_path, channels=32, **KINDS[kind])
    films = both(tmp_path, BLENDS["a sweep"], dtype=torch.float16)
    assert_same_pictures(*films, tolerance=3e-3)


def test_weights_of_any_size_are_brought_into_half_precision(tmp_path):
    tensors, metadata = tiny_stylegan3(channels=16)
    for name in list(tensors):
        if name.endswith(".weight") and ".L" in name and "affine" not in name and "_3." not in name:
            tensors[name] = tensors[name] * 1e6
    network = network_of(tensors, metadata)
    ws = network.mapping(np.random.default_rng(0).standard_normal((2, network.z_dim)))
    found = painted([network], ws, torch.float16, twins)
    expected = network.synthesis(ws)
    assert (found - expected).norm() / expected.norm() < 3e-3


def painted(networks, ws, dtype, operations):
    """Equal parts of networks, painted by the fast path's synthesis alone."""
    stack = Stylegan3Stack(networks[0], len(networks), torch.device("cpu"), dtype)
    for slot, network in enumerate(networks):
        stack.put(slot, network)
    mix = torch.full((len(ws), len(networks[0].layers), len(networks)), 1 / len(networks))
    return fast_stylegan3.paint(stack, ws, mix, None, (), operations)


@pytest.mark.parametrize("kind", ["config-t", "config-r"])
def test_the_kernels_paint_whole_pictures(kind):
    tensors, metadata = tiny_stylegan3(**KINDS[kind])
    networks = [network_of(tensors, metadata), network_of(relative_of(tensors, 0.2), metadata)]
    ws = networks[0].mapping(np.random.default_rng(0).standard_normal((1, networks[0].z_dim)))
    found = painted(networks, ws, torch.float16, kernels)
    expected = animix.blend(networks, [0.5, 0.5]).synthesis(ws)
    assert (found - expected).norm() / expected.norm() < 3e-3


def test_a_network_without_a_fast_path_says_so():
    assert why_plain(network_of(*tiny_stylegan3()), (9, 0), triton_version=(3, 4)) is None
    network = network_of(*tiny_stylegan3(filter_size=12))
    assert "24 taps" in why_plain(network, (9, 0), triton_version=(3, 4))
    odd = {"img_resolution": 64, "num_layers": 2, "num_critical": 0, "margin_size": 10}
    network = network_of(*tiny_stylegan3(**odd))
    assert "last layer" in why_plain(network, (9, 0), triton_version=(3, 4))
