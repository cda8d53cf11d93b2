"""The fast engine paints what the plain one paints, however frames are mixed and asked for."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from animix.checkpoints.load import load_network
from animix.engine import fast_stylegan2, twins
from animix.engine import stack as stack_module
from animix.engine.fast import FastEngine
from animix.engine.make import why_plain
from animix.engine.memory import bytes_needed
from animix.engine.plain import PlainEngine
from animix.engine.plan import BATCH_SIZES, MAX_SLOTS, Plan, make_plan, place_columns
from animix.engine.stack import Stack, folded, parts_of
from animix.errors import OptionError
from animix.film import open_film
from animix.networks.extent import SQUARE, Extent
from animix.timeline.reader import load_timeline
from tests.tiny import fastly, plainly, relative_of, tiny_tensors, write_tensors

NETWORKS = """
networks: {faces: faces.safetensors, art: "art-*.safetensors", third: third.safetensors,
           fourth: fourth.safetensors}
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
    "a jump": "blend: [faces, art: {snapshot: {0%: 1 hold, 30%: 5 hold, end: 1}}]",
    "four networks": f"blend: [faces, art: {{alpha: 0.5}}, {SWEEP}, fourth: {{take: low}}]",
}


@pytest.fixture(autouse=True)
def low_resolutions(monkeypatch):
    """Let networks of 16 px have layers of every kind."""
    monkeypatch.setattr(stack_module, "CONCATENATED_RESOLUTION", 8)
    monkeypatch.setattr(fast_stylegan2, "GROUPED_RESOLUTION", 16)


def write_networks(folder, **tiny):
    tensors, metadata = tiny_tensors(img_resolution=16, **tiny)
    names = ["third", "fourth", *(f"art-{n}" for n in range(1, 6))]
    write_tensors(folder / "faces.safetensors", tensors, metadata)
    for seed, name in enumerate(names, start=1):
        relative = relative_of(tensors, amount=0.2, seed=seed)
        write_tensors(folder / f"{name}.safetensors", relative, metadata)


def both(folder, text, batch_size=4, dtype=torch.float32, projected=None, **settings):
    """The same film with the plain engine and with the fast one, its kernels' twins inside."""
    (folder / "reel.yaml").write_text(NETWORKS + text)
    film = open_film(load_timeline(folder / "reel.yaml"), device="cpu", **settings)
    stop = 8 if settings.get("draft") else None
    given = {"projected": projected or {}, "stop_resolution": stop}
    return plainly(film, **given), fastly(film, batch_size, dtype, **given)


def assert_same_pictures(plain, fast, tolerance=1e-5):
    for index in range(plain.schedule.num_frames):
        expected, found = plain.canvas(index), fast.canvas(index)
        error = (found - expected).norm() / expected.norm()
        assert error < tolerance, f"frame {index}: {error}"


@pytest.mark.parametrize("architecture", ["skip", "resnet", "orig"])
@pytest.mark.parametrize("blend", BLENDS.values(), ids=BLENDS.keys())
def test_every_mix_and_architecture_is_painted_as_the_plain_engine_does(
    tmp_path, architecture, blend
):
    write_networks(tmp_path, architecture=architecture)
    assert_same_pictures(*both(tmp_path, blend))


@pytest.mark.parametrize("noise", ["fixed", "none", "random", "{loop: 0.5s}"])
@pytest.mark.parametrize(
    "latents", ["[3, 17]", "{seeds: [3, 17], space: z}", "{0s: 3, 0.3s: me.npz, end: 3}"]
)
def test_noise_latents_labels_and_truncation_are_the_plain_engines(tmp_path, noise, latents):
    write_networks(tmp_path, c_dim=3)
    np.savez(tmp_path / "me.npz", w=np.random.default_rng(0).normal(size=(1, 6, 16)))
    text = (
        f"{BLENDS['a sweep']}\nnoise: {noise}\nlatents: {latents}\n"
        "label: {0%: 0, 50%: 2, 100%: 0}\n"
        "truncation: {4..4: 0.5, 8..: {0%: 1, 50%: 0.7, 100%: 1}}\n"
    )
    w = np.load(tmp_path / "me.npz")["w"][0].astype(np.float32)
    assert_same_pictures(*both(tmp_path, text, projected={"me.npz": w}))


STYLES = (
    "latents: {4: {seeds: [3, me.npz], path: linear, speed: =1 + sine(0.6s)},"
    " 8: {seeds: [5], edits: [{direction: me.npz, amount: {8: {0s: 0, 50%: 2, end: 0}}}]},"
    " 16..: {seeds: [17, 4], space: z, edits: [{direction: sefa 2, amount: 0.5}]}}"
)
"""A path of each kind, and edits."""


def test_paths_by_resolution_and_edits_are_the_plain_engines(tmp_path):
    write_networks(tmp_path)
    w = np.random.default_rng(0).normal(size=(6, 16)).astype(np.float32)
    np.savez(tmp_path / "me.npz", w=w)
    text = f"{BLENDS['a sweep']}\n{STYLES}\n"
    assert_same_pictures(*both(tmp_path, text, projected={"me.npz": w}))


@pytest.mark.parametrize("batch_size", [1, 4, 16])
def test_a_frame_is_the_same_bytes_from_the_film_from_a_range_and_alone(tmp_path, batch_size):
    write_networks(tmp_path)
    text = f"{BLENDS['a run of snapshots']}\nnoise: random\n"
    _, whole = both(tmp_path, text, batch_size)
    frames = [frame.tobytes() for frame in whole.frames(range(6))]
    _, part = both(tmp_path, text, batch_size)
    assert [frame.tobytes() for frame in part.frames(range(2, 5))] == frames[2:5]
    for index in (5, 1, 4):
        _, alone = both(tmp_path, text, batch_size)
        assert alone.yuv420(index).tobytes() == frames[index]


def test_a_folded_up_convolution_paints_the_same(tmp_path, monkeypatch):
    monkeypatch.setattr(stack_module, "FOLDED_RESOLUTION", 16)
    write_networks(tmp_path)
    plain, fast = both(tmp_path, BLENDS["a sweep"])
    assert {conv.kind for conv in fast.engine.stack.convolutions} == {"plain", "up", "folded"}
    assert_same_pictures(plain, fast)
    assert folded(torch.ones(2, 3, 3, 3)).shape == (8, 3, 3, 3)


def test_channels_may_grow_towards_the_last_layer(tmp_path):
    write_networks(tmp_path)
    for path in tmp_path.glob("*.safetensors"):
        tensors = dict(load_network(path).tensors)
        for name in ("conv1.weight", "conv1.bias", "torgb.affine.weight", "torgb.affine.bias"):
            name = f"synthesis.b16.{name}"
            tensors[name] = torch.cat([tensors[name], tensors[name]])
        colours = tensors["synthesis.b16.torgb.weight"]
        tensors["synthesis.b16.torgb.weight"] = torch.cat([colours, 0.5 * colours], dim=1)
        write_tensors(path, tensors, {})
    assert_same_pictures(*both(tmp_path, BLENDS["a sweep"]))


def test_a_draft_stops_where_the_plain_engine_stops(tmp_path):
    write_networks(tmp_path)
    assert_same_pictures(*both(tmp_path, BLENDS["a sweep"], draft=True))


WIDE = "size: 96x48\nframe: {fit: extend, zoom: {0%: 1, 50%: 1.2, 100%: 1}}\n"


@pytest.mark.parametrize(
    ("blend", "noise"),
    [
        ("a sweep", "fixed"),
        ("a sweep", "none"),
        ("a sweep", "random"),
        ("a mix that stands still", "{loop: 0.5s}"),
        ("four networks", "fixed"),
    ],
)
def test_an_extended_picture_is_the_plain_engine_s(tmp_path, blend, noise):
    write_networks(tmp_path)
    assert_same_pictures(*both(tmp_path, f"{BLENDS[blend]}\nnoise: {noise}\n{WIDE}"))


@pytest.mark.parametrize("architecture", ["resnet", "orig"])
def test_every_architecture_extends(tmp_path, architecture):
    write_networks(tmp_path, architecture=architecture)
    assert_same_pictures(*both(tmp_path, BLENDS["a sweep"] + f"\n{WIDE}"))


def test_a_draft_of_an_extended_picture_stops_early_too(tmp_path):
    write_networks(tmp_path)
    plain, fast = both(tmp_path, BLENDS["a sweep"] + f"\n{WIDE}", draft=True)
    assert_same_pictures(plain, fast)


def test_a_folded_up_convolution_extends(tmp_path, monkeypatch):
    monkeypatch.setattr(stack_module, "FOLDED_RESOLUTION", 16)
    write_networks(tmp_path)
    assert_same_pictures(*both(tmp_path, BLENDS["a sweep"] + f"\n{WIDE}"))


@settings(max_examples=10)
@given(st.integers(4, 12), st.integers(4, 12), st.sampled_from([None, 8, 4]))
def test_any_extent_is_the_plain_engine_s(tmp_path_factory, rows, columns, stop):
    folder = tmp_path_factory.mktemp("networks")
    write_networks(folder)
    film, _ = both(folder, BLENDS["a sweep"])
    home, extent = load_network(folder / "faces.safetensors"), Extent(rows, columns)
    plan = Plan(2, torch.float32, place_columns(film.schedule, 2))
    plain = PlainEngine(home, film.engine.shelf, {}, stop, extent)
    fast = FastEngine(home, film.engine.shelf, {}, plan, twins, stop, extent)
    frames = [film.schedule.row(index) for index in (2, 3)]
    expected = plain.pictures(frames)
    assert expected.shape[2:] == extent.sides(stop or 16)
    assert torch.allclose(fast.pictures(frames), expected, rtol=0, atol=1e-4)


def test_half_precision_is_within_half_a_percent(tmp_path):
    write_networks(tmp_path, channels=16)
    assert_same_pictures(*both(tmp_path, BLENDS["a sweep"], dtype=torch.float16), tolerance=5e-3)


def test_weights_of_low_resolutions_are_kept_in_two_parts(tmp_path):
    write_networks(tmp_path)
    home = load_network(tmp_path / "faces.safetensors")
    stack = Stack(home, 2, torch.device("cpu"), torch.float16)
    stack.put(1, home)
    conv = next(conv for conv in stack.convolutions if conv.name == "b8.conv1")
    weight = home.tensors["synthesis.b8.conv1.weight"] * (9 * conv.in_channels) ** -0.5
    of_networks = stack.concatenated["b8.conv1"].float()  # [O, 3, 3, parts × networks, I]
    rounded, both = of_networks[..., 1, :], of_networks[..., 1::2, :].sum(3)
    expected = weight.permute(0, 2, 3, 1)
    assert (rounded - expected).norm() > 1e-4 * expected.norm()
    assert (both - expected).norm() < 1e-5 * expected.norm()
    assert not of_networks[..., 0::2, :].any()


def test_a_rounded_kernel_keeps_the_sum_of_its_taps():
    weight = 0.02 * torch.randn(8, 3, 3, 5, generator=torch.Generator().manual_seed(1))
    (rounded,) = parts_of(weight, 1, torch.float16)
    lost = (rounded.float() - weight).abs()
    assert 0 < lost.max() <= 2**-14  # one step: a tap rounds what came to it too
    sums = (rounded.float() - weight).sum((1, 2)).abs()
    naive = (weight.half().float() - weight).sum((1, 2)).abs()
    assert sums.max() <= 2**-15 + 1e-9
    assert sums.mean() < naive.mean() / 2
    (exact,) = parts_of(weight, 1, torch.float32)
    assert torch.equal(exact, weight)


def test_what_lies_in_a_slot_from_before_leaves_no_trace(tmp_path):
    write_networks(tmp_path)
    _, fast = both(tmp_path, BLENDS["a run of snapshots"])
    for frame in (5, 0, 3, 5):
        fast.canvas(frame)
    _, fresh = both(tmp_path, BLENDS["a run of snapshots"])
    assert torch.equal(fast.canvas(3), fresh.canvas(3))


@pytest.mark.parametrize(
    ("blend", "batch_size", "num_slots"),
    [
        ("one network", 4, 1),
        ("a sweep", 4, 2),
        ("a run of snapshots", 1, 3),
        ("a run of snapshots", 16, 6),
        ("four networks", 4, 4),
    ],
)
def test_a_run_of_snapshots_takes_turns_in_few_slots(tmp_path, blend, batch_size, num_slots):
    write_networks(tmp_path)
    plain, fast = both(tmp_path, BLENDS[blend], batch_size)
    plan = fast.engine.plan
    assert plan.num_slots == num_slots
    for start in range(0, 6, batch_size):
        mixes = [plain.schedule.mix(n) for n in range(start, min(start + batch_size, 6))]
        used = np.flatnonzero((np.stack(mixes) != 0).any(axis=(0, 1))).tolist()
        assert len({plan.slot_of_column[column] for column in used}) == len(used)


def plan_of(folder, film, memory_bytes=80 * 10**9, extent=SQUARE):
    home = load_network(folder / "faces.safetensors")
    return make_plan(film.schedule, home, film.canvas_size, memory_bytes, extent=extent)


def test_cells_are_as_large_as_few_slots_allow(tmp_path):
    write_networks(tmp_path)
    plain, _ = both(tmp_path, BLENDS["a sweep"])
    plan = plan_of(tmp_path, plain)
    assert (plan.batch_size, plan.num_slots) == (32, 2)
    tensors, metadata = tiny_tensors(img_resolution=16)
    for number in range(6, 41):
        write_tensors(tmp_path / f"art-{number}.safetensors", tensors, metadata)
    plain, _ = both(tmp_path, BLENDS["a run of snapshots"])
    plan = plan_of(tmp_path, plain)
    assert plan.num_slots <= MAX_SLOTS
    assert plan.batch_size < 4


def test_cells_are_as_small_as_little_memory_wants(tmp_path):
    write_networks(tmp_path)
    plain, _ = both(tmp_path, BLENDS["a sweep"])
    home = load_network(tmp_path / "faces.safetensors")
    needed = {
        size: bytes_needed(home, 2, size, torch.float16, plain.canvas_size) for size in BATCH_SIZES
    }
    assert sorted(needed.values(), reverse=True) == list(needed.values())
    for size, memory_bytes in needed.items():
        assert plan_of(tmp_path, plain, memory_bytes).batch_size == size
    with pytest.raises(OptionError, match=r"need 1\.\d GB .* may use 0\.5 GB.*--memory"):
        plan_of(tmp_path, plain, 500_000_000)


def test_cells_of_larger_pictures_have_fewer_frames(tmp_path):
    write_networks(tmp_path)
    plain, _ = both(tmp_path, BLENDS["a sweep"])
    extents = [Extent(rows, 4) for rows in (4, 6, 8, 16, 4000)]
    plans = [plan_of(tmp_path, plain, extent=extent) for extent in extents]
    assert [plan.batch_size for plan in plans] == [32, 16, 16, 8, 1]


def test_a_network_without_a_fast_path_says_so(tmp_path):
    write_networks(tmp_path, channels=12)
    network = load_network(tmp_path / "faces.safetensors")
    assert "12 channels" in why_plain(network, (9, 0), triton_version=(3, 4))
    write_networks(tmp_path)
    network = load_network(tmp_path / "faces.safetensors")
    assert why_plain(network, (9, 0), triton_version=(3, 4)) is None
    assert why_plain(network, (9, 0), Extent(16, 4), triton_version=(3, 4)) is None
    assert "2^31" in why_plain(network, (9, 0), Extent(1 << 14, 1 << 12), triton_version=(3, 4))
    assert "Triton" in why_plain(network, (9, 0), triton_version=None)
    assert "7.0" in why_plain(network, (6, 1), triton_version=(3, 4))
