"""The fast engine paints StyleGAN3 as the plain one does, however frames are mixed."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import animix
from animix.checkpoints.load import load_network
from animix.engine import fast_stylegan3, kernels, twins
from animix.engine.make import why_plain
from animix.engine.memory import CONTEXT_BYTES, bytes_needed
from animix.engine.plan import BATCH_SIZES, make_plan
from animix.engine.stylegan3_stack import Stylegan3Stack
from animix.errors import OptionError
from animix.film import open_film
from animix.networks.extent import SQUARE, Extent
from animix.networks.recognize import network_of
from animix.timeline.reader import load_timeline
from tests.tiny import fastly, relative_of, tiny_stylegan3, write_tensors

NETWORKS = """
networks: {faces: faces.safetensors, art: "art-*.safetensors", third: third.safetensors}
duration: 6f
fps: 10
"""

MEASURED = Path(__file__).parent.parent / "benchmarks" / "results" / "stylegan3-cuda.json"
MIXES = ("a mix for every frame", "one mix")

CONFIGURATIONS = {
    "T": (32768, 512, {}),
    "R": (65536, 1024, {"conv_kernel": 1, "use_radial_filters": True}),
}
"""Channel base, most channels, and settings of the networks that were measured."""

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
    monkeypatch.setattr(fast_stylegan3, "GROUP_NUMBERS", 1 << 16)


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
    return plain, fastly(plain, batch_size, dtype)


def assert_same_pictures(plain, fast, tolerance=1e-5):
    for index in range(plain.schedule.num_frames):
        expected, found = plain.canvas(index), fast.canvas(index)
        error = relative_error(found, expected)
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


WIDE = "size: 64x32\nframe: {fit: extend, zoom: {0%: 1, 50%: 1.2, 100%: 1}}\n"


@pytest.mark.parametrize("kind", ["config-t", "config-r", "a clamp that matters"])
@pytest.mark.parametrize("blend", ["a sweep", "a mix that stands still"])
def test_an_extended_picture_is_the_plain_engines(tmp_path, kind, blend):
    write_networks(tmp_path, **KINDS[kind])
    assert_same_pictures(*both(tmp_path, f"{BLENDS[blend]}\n{WIDE}"))


@settings(max_examples=10)
@given(st.integers(4, 12), st.integers(4, 12), st.sampled_from(["config-t", "config-r"]))
def test_any_extent_is_painted_as_the_plain_path_does(rows, columns, kind):
    tensors, metadata = tiny_stylegan3(**KINDS[kind])
    networks = [network_of(tensors, metadata), network_of(relative_of(tensors, 0.2), metadata)]
    ws = networks[0].mapping(np.random.default_rng(0).standard_normal((2, networks[0].z_dim)))
    extent = Extent(rows, columns)
    found = painted(networks, ws, torch.float32, twins, extent)
    assert found.shape[2:] == extent.sides(16)
    expected = animix.blend(networks, [0.5, 0.5]).synthesis(ws, extent=extent)
    assert relative_error(found, expected) < 1e-5


@pytest.mark.parametrize("kind", ["config-t", "config-r"])
def test_a_frame_is_the_same_bytes_from_the_film_from_a_range_and_alone(tmp_path, kind):
    write_networks(tmp_path, **KINDS[kind])
    text = BLENDS["a run of snapshots"] + "\nsize: 32x32\n"
    _, whole = both(tmp_path, text)
    frames = [frame.tobytes() for frame in whole.frames(range(6))]
    _, part = both(tmp_path, text)
    assert [frame.tobytes() for frame in part.frames(range(2, 5))] == frames[2:5]
    for index in (5, 1):
        _, alone = both(tmp_path, text)
        assert alone.yuv420(index).tobytes() == frames[index]


PROMISED = 5e-3
"""‖fast − plain‖ / ‖plain‖, as docs/performance.md has it."""


@pytest.mark.parametrize("kind", ["config-t", "config-r"])
@pytest.mark.parametrize("seed", range(3))
def test_half_precision_is_within_half_a_percent_through_all_layers(kind, seed):
    """Of a network as deep as the published ones."""
    deep = {"img_resolution": 64, "num_layers": 14, "num_critical": 2, "channels": 16}
    tensors, metadata = tiny_stylegan3(seed=seed, **deep, **KINDS[kind])
    networks = [network_of(tensors, metadata), network_of(relative_of(tensors, 0.2), metadata)]
    ws = networks[0].mapping(np.random.default_rng(seed).standard_normal((1, networks[0].z_dim)))
    found = painted(networks, ws, torch.float16, twins)
    expected = animix.blend(networks, [0.5, 0.5]).synthesis(ws)
    assert relative_error(found, expected) < PROMISED


def test_weights_of_any_size_are_brought_into_half_precision(tmp_path):
    tensors, metadata = tiny_stylegan3(channels=16)
    for name in list(tensors):
        if name.endswith(".weight") and ".L" in name and "affine" not in name and "_3." not in name:
            tensors[name] = tensors[name] * 1e6
    network = network_of(tensors, metadata)
    ws = network.mapping(np.random.default_rng(0).standard_normal((2, network.z_dim)))
    found = painted([network], ws, torch.float16, twins)
    assert relative_error(found, network.synthesis(ws)) < PROMISED


def relative_error(found, expected):
    return (found - expected).norm() / expected.norm()


def painted(networks, ws, dtype, operations, extent=SQUARE):
    """Equal parts of networks, painted by the fast path's synthesis alone."""
    stack = Stylegan3Stack(networks[0], len(networks), torch.device("cpu"), dtype)
    for slot, network in enumerate(networks):
        stack.put(slot, network)
    mix = torch.full((len(ws), len(networks[0].layers), len(networks)), 1 / len(networks))
    return fast_stylegan3.paint(stack, ws, mix, None, (), operations, extent=extent)


@pytest.mark.parametrize("kind", ["config-t", "config-r"])
def test_the_kernels_paint_whole_pictures(kind):
    extent = Extent(rows=6)
    tensors, metadata = tiny_stylegan3(**KINDS[kind])
    networks = [network_of(tensors, metadata), network_of(relative_of(tensors, 0.2), metadata)]
    ws = networks[0].mapping(np.random.default_rng(0).standard_normal((1, networks[0].z_dim)))
    found = painted(networks, ws, torch.float16, kernels, extent)
    expected = animix.blend(networks, [0.5, 0.5]).synthesis(ws, extent=extent)
    assert relative_error(found, expected) < PROMISED


def plan_of(folder, film, memory_bytes, extent=SQUARE):
    home = load_network(folder / "faces.safetensors")
    return make_plan(film.schedule, home, film.canvas_size, memory_bytes, extent=extent)


def test_cells_and_their_groups_are_as_small_as_little_memory_wants(tmp_path):
    write_networks(tmp_path)
    film, _ = both(tmp_path, BLENDS["a sweep"])
    home = load_network(tmp_path / "faces.safetensors")
    needed = {
        size: bytes_needed(home, 2, size, torch.float16, film.canvas_size) for size in BATCH_SIZES
    }
    assert sorted(set(needed.values()), reverse=True) == list(needed.values())
    for size, memory_bytes in needed.items():
        assert plan_of(tmp_path, film, memory_bytes).batch_size == size
    with pytest.raises(OptionError, match=r"need 1\.\d GB .* may use 0\.5 GB.*--memory"):
        plan_of(tmp_path, film, 500_000_000)
    groups = [fast_stylegan3.group_numbers(size, SQUARE) for size in BATCH_SIZES]
    assert groups == [(1 << 16) // 2**n for n in range(6)]
    # Larger pictures in fewer frames are as much work at a time.
    assert fast_stylegan3.group_numbers(8, Extent(8, 8)) == 1 << 16
    plans = [plan_of(tmp_path, film, 80 * 10**9, Extent(rows)) for rows in (4, 8, 16)]
    assert [plan.batch_size for plan in plans] == [32, 16, 8]


@pytest.mark.parametrize("case", ["T, 256 px", "R, 256 px", "T, 1024 px"])
def test_the_memory_that_is_planned_for_is_what_was_measured(case, monkeypatch):
    """Both graphs take their own: it is compared with the sum of films that had one of them."""
    monkeypatch.undo()  # groups as they were measured
    base, most, settings = CONFIGURATIONS[case[0]]
    resolution = int(case.split()[1])
    published = {"num_layers": 14, "num_critical": 2, "margin_size": 10, "w_dim": 512}
    sizes = {"img_resolution": resolution, "channels": most, "channel_base": base}
    home = network_of(*tiny_stylegan3(**sizes, **published, **settings))
    needed = bytes_needed(home, 2, 32, torch.float16, (resolution, resolution)) - CONTEXT_BYTES
    measured = json.loads(MEASURED.read_text(encoding="utf-8"))["results"]
    both = sum(measured[f"{case}, {mix}"]["memory_gib"] for mix in MIXES)
    assert both < needed / 2**30 < 1.3 * both


def test_a_network_without_a_fast_path_says_so():
    def why(extent=SQUARE, triton_version=(3, 4), **tiny):
        network = network_of(*tiny_stylegan3(**tiny))
        return why_plain(network, (9, 0), extent, triton_version=triton_version)

    assert why() is None
    assert why(Extent(16, 4)) is None
    assert "2^31" in why(Extent(1 << 13, 1 << 12))
    assert "needs Triton 3.4 or newer, here is 3.3" in why(triton_version=(3, 3))
    assert "Triton" in why(triton_version=None)
    assert "24 taps" in why(filter_size=12)
    odd = {"img_resolution": 64, "num_layers": 2, "num_critical": 0, "margin_size": 10}
    assert "last layer" in why(**odd)
