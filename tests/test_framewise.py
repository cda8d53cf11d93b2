"""The framewise engine paints what the plain one paints, in float32 and in bfloat16."""

import threading
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from animix.checkpoints.load import load_network
from animix.engine import framewise_stylegan2, precision
from animix.engine.framewise import FramewiseEngine
from animix.engine.framewise_stylegan2 import MixedWeights, synthesize_frame, weight_is_smaller
from animix.engine.plain import PlainEngine
from animix.engine.plan import (
    LARGE,
    Plan,
    make_framewise_plan,
    num_multiply_adds,
    place_columns,
)
from animix.engine.stack import Stack
from animix.engine.styles import prepare
from animix.errors import OptionError
from animix.film import open_film
from animix.timeline.reader import load_timeline
from tests.test_fast import BLENDS, NETWORKS, STYLES, assert_same_pictures, write_networks
from tests.tiny import plainly, tiny_stylegan3, write_tensors, write_tiny

TOLERANCE = {"float32": 1e-5, "bfloat16": 2e-2}
"""‖found − plain‖ / ‖plain‖ of random networks of 16 px; at 256 px bfloat16 has 6e-3 to 1.1e-2."""


def opened(folder, text, precision="float32", **settings):
    (folder / "reel.yaml").write_text(NETWORKS + text)
    timeline = load_timeline(folder / "reel.yaml")
    return open_film(timeline, device="cpu", precision=precision, **settings)


@pytest.mark.parametrize("precision", TOLERANCE)
@pytest.mark.parametrize("architecture", ["skip", "resnet", "orig"])
@pytest.mark.parametrize("blend", BLENDS.values(), ids=BLENDS.keys())
def test_every_mix_and_architecture_is_painted_as_the_plain_engine_does(
    tmp_path, architecture, blend, precision
):
    write_networks(tmp_path, architecture=architecture)
    film = opened(tmp_path, blend, precision)
    assert isinstance(film.engine, FramewiseEngine)
    assert_same_pictures(plainly(film), film, TOLERANCE[precision])


@pytest.mark.parametrize("noise", ["fixed", "none", "random", "{loop: 0.5s}"])
@pytest.mark.parametrize(
    "latents", ["[3, 17]", "{seeds: [3, 17], space: z}", "{0s: 3, 0.3s: me.npz, end: 3}"]
)
def test_noise_latents_labels_and_truncation_are_the_plain_engines(tmp_path, noise, latents):
    write_networks(tmp_path, c_dim=3)
    np.savez(tmp_path / "me.npz", w=np.random.default_rng(0).normal(size=(1, 6, 16)))
    film = opened(
        tmp_path,
        f"{BLENDS['a sweep']}\nnoise: {noise}\nlatents: {latents}\n"
        "label: {0%: 0, 50%: 2, 100%: 0}\n"
        "truncation: {4..4: 0.5, 8..: {0%: 1, 50%: 0.7, 100%: 1}}\n",
    )
    w = np.load(tmp_path / "me.npz")["w"][0].astype(np.float32)
    assert_same_pictures(plainly(film, projected={"me.npz": w}), film)


def test_paths_by_resolution_and_edits_are_the_plain_engines(tmp_path):
    write_networks(tmp_path)
    w = np.random.default_rng(0).normal(size=(6, 16)).astype(np.float32)
    np.savez(tmp_path / "me.npz", w=w)
    film = opened(tmp_path, f"{BLENDS['a sweep']}\n{STYLES}\n")
    assert_same_pictures(plainly(film, projected={"me.npz": w}), film)


@pytest.mark.parametrize("changes", [{"conv_clamp": "0.5"}, {"conv_clamp": "256"}])
def test_activations_are_clamped_where_the_plain_engine_does_it(tmp_path, changes):
    write_networks(tmp_path, architecture="resnet")
    for path in tmp_path.glob("*.safetensors"):
        network = load_network(path)
        write_tensors(path, dict(network.tensors), {**network.metadata, **changes})
    film = opened(tmp_path, BLENDS["a sweep"])
    assert film.engine.facts.conv_clamp == float(changes["conv_clamp"])
    assert_same_pictures(plainly(film), film)


@pytest.mark.parametrize("channels", [1, 12])
@pytest.mark.parametrize("filter_size", [2, 6])
def test_any_number_of_channels_and_any_filter_will_do(tmp_path, channels, filter_size):
    write_networks(tmp_path, channels=channels)
    taps = torch.rand(filter_size, filter_size, generator=torch.Generator().manual_seed(0))
    for path in tmp_path.glob("*.safetensors"):
        tensors = {**load_network(path).tensors, "synthesis.b4.resample_filter": taps / taps.sum()}
        write_tensors(path, tensors, {"conv_clamp": "none"})
    film = opened(tmp_path, BLENDS["a sweep"])
    assert_same_pictures(plainly(film), film)


@pytest.mark.parametrize("precision", TOLERANCE)
def test_a_draft_stops_where_the_plain_engine_stops(tmp_path, precision):
    write_networks(tmp_path)
    film = opened(tmp_path, BLENDS["a sweep"], precision, draft=True)
    assert_same_pictures(plainly(film, stop_resolution=8), film, TOLERANCE[precision])


def test_weights_and_activations_are_modulated_alike(tmp_path, monkeypatch):
    write_networks(tmp_path, architecture="resnet")
    film = opened(tmp_path, BLENDS["a sweep"])
    convolutions = film.engine.stack.convolutions
    assert {weight_is_smaller(conv) for conv in convolutions} == {True, False}
    plain = plainly(film)
    for smaller in (True, False):
        # A skip is never modulated.
        monkeypatch.setattr(
            framewise_stylegan2,
            "weight_is_smaller",
            lambda conv, smaller=smaller: smaller and conv.kind != "skip",
        )
        assert_same_pictures(plain, opened(tmp_path, BLENDS["a sweep"]))


def with_plan(film, batch_size, num_threads, dtype=torch.bfloat16):
    """The same film in cells of another size, painted by so many threads."""
    home = film.engine.home
    plan = Plan(batch_size, dtype, place_columns(film.schedule, batch_size), num_threads)
    return replace(film, engine=FramewiseEngine(home, film.engine.shelf, {}, plan))


@pytest.mark.parametrize(("batch_size", "num_threads"), [(1, 1), (4, 1), (4, 2), (16, 3)])
@pytest.mark.parametrize("noise", ["fixed", "random", "{loop: 1s}"])
def test_a_frame_is_the_same_bits_from_the_film_from_a_range_and_alone(
    tmp_path, batch_size, num_threads, noise
):
    write_networks(tmp_path)
    film = opened(tmp_path, f"{BLENDS['a run of snapshots']}\nnoise: {noise}\n")
    whole = with_plan(film, batch_size, num_threads)
    frames = [frame.tobytes() for frame in whole.frames(range(6))]
    pictures = [whole.canvas(index) for index in range(6)]
    part = with_plan(film, batch_size, num_threads)
    assert [frame.tobytes() for frame in part.frames(range(2, 5))] == frames[2:5]
    for index in (5, 1, 4):
        alone = with_plan(film, batch_size, num_threads)
        assert alone.yuv420(index).tobytes() == frames[index]
        assert torch.equal(alone.canvas(index), pictures[index])


def test_a_still_of_a_cell_paints_and_reads_no_more_than_it_shows(tmp_path, monkeypatch):
    write_networks(tmp_path)
    film = with_plan(opened(tmp_path, BLENDS["a run of snapshots"]), 16, 2)
    painted = []

    def counted(*arguments):
        painted.append(arguments)
        return synthesize_frame(*arguments)

    monkeypatch.setattr("animix.engine.framewise.synthesize_frame", counted)
    film.canvas(0)
    assert len(painted) == 1
    assert [column for column in film.engine._slots.contents if column is not None] == [0]


def test_threads_paint_side_by_side_and_leave_torch_as_it_was(tmp_path, monkeypatch):
    write_networks(tmp_path)
    before = torch.get_num_threads()
    film = with_plan(opened(tmp_path, BLENDS["a sweep"]), 4, 2)
    together = threading.Barrier(2, timeout=20)

    def met(*arguments):
        together.wait()  # breaks unless two frames are on their way at once
        assert torch.get_num_threads() == 1
        return synthesize_frame(*arguments)

    monkeypatch.setattr("animix.engine.framewise.synthesize_frame", met)
    list(film.frames(range(4)))
    assert torch.get_num_threads() == before
    seen = []
    late = threading.Thread(target=lambda: seen.append(torch.get_num_threads()))
    late.start()
    late.join()
    assert seen == [before]


def test_what_goes_wrong_in_a_thread_is_told(tmp_path, monkeypatch):
    write_networks(tmp_path)
    film = with_plan(opened(tmp_path, BLENDS["a sweep"]), 4, 2)

    def fail(*_):
        raise ValueError("in a thread")

    monkeypatch.setattr("animix.engine.framewise.synthesize_frame", fail)
    with pytest.raises(ValueError, match="in a thread"):
        film.canvas(0)


def test_a_weight_is_mixed_once_while_its_shares_stand_still(tmp_path):
    write_networks(tmp_path)
    network = load_network(tmp_path / "faces.safetensors")
    stack = Stack(network, 2, torch.device("cpu"), torch.float32, one_by_one=True)
    for slot, name in enumerate(("faces", "third")):
        stack.put(slot, load_network(tmp_path / f"{name}.safetensors"))
    mixed = MixedWeights(stack, torch.bfloat16)
    for conv in stack.convolutions:
        first, other = stack.weight(conv, stack.kernels)
        weight = mixed.of(conv, (1.0, -0.25), (0, 1))
        assert torch.allclose(weight.float(), first - 0.25 * other, rtol=1e-2, atol=1e-2)
        assert mixed.of(conv, (1.0, -0.25), (0, 1)) is weight
        assert mixed.of(conv, (1.0, -0.25), (0, 2)) is not weight
        assert torch.equal(mixed.of(conv, (0.0, 1.0), (0, 1)).float(), other.to(weight.dtype))


def test_large_frames_are_painted_one_after_the_other(tmp_path):
    write_networks(tmp_path)
    film = opened(tmp_path, BLENDS["a sweep"])
    home = film.engine.home
    # 2 · 9 · 8² weights at 8 and at 16 px, with half as large an input each first; one at 4 px.
    assert num_multiply_adds(home) == 9 * 8**2 * (4**2 + 4**2 + 8**2 + 8**2 + 16**2)
    plan = make_framewise_plan(film.schedule, home, film.canvas_size, torch.float32, 3)
    assert (plan.batch_size, plan.num_threads, plan.num_slots) == (16, 3, 2)
    wide = torch.empty(1, device="meta").expand(LARGE // 16**2)
    large = replace(home, tensors={**home.tensors, "synthesis.b16.conv1.weight": wide})
    plan = make_framewise_plan(film.schedule, large, film.canvas_size, torch.float32, 3)
    assert (plan.batch_size, plan.num_threads) == (1, 1)


@pytest.mark.parametrize(
    ("flags", "asked", "dtype", "note"),
    [
        ({"avx512_bf16"}, None, torch.bfloat16, None),
        (set(), None, torch.float32, None),
        ({"avx512_bf16"}, "float32", torch.float32, None),
        (set(), "bfloat16", torch.bfloat16, "float32 may be faster"),
    ],
)
def test_precision_follows_flags_unless_it_is_named(
    tmp_path, monkeypatch, flags, asked, dtype, note
):
    monkeypatch.setattr(precision, "processor_flags", lambda: frozenset(flags))
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: True)
    write_networks(tmp_path)
    film = opened(tmp_path, BLENDS["a sweep"], asked)
    assert film.engine.plan.dtype == dtype
    assert (note is None) == (not film.notes)
    assert note is None or note in film.notes[0]
    with pytest.raises(OptionError, match="float16"):
        opened(tmp_path, BLENDS["a sweep"], "float16")


@pytest.mark.parametrize(("asked", "notes"), [(None, 0), ("float32", 0), ("bfloat16", 1)])
def test_other_networks_are_painted_in_float32(tmp_path, asked, notes):
    write_tensors(tmp_path / "faces.safetensors", *tiny_stylegan3())
    (tmp_path / "reel.yaml").write_text("networks: {a: faces.safetensors}\nduration: 1s\n")
    film = open_film(load_timeline(tmp_path / "reel.yaml"), device="cpu", precision=asked)
    assert isinstance(film.engine, PlainEngine)
    assert len(film.notes) == notes


class NoFloat64(TorchDispatchMode):
    """Fails where a device would have to make float64 numbers, which not every device can."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        for tensor in result if isinstance(result, (tuple, list)) else (result,):
            if isinstance(tensor, torch.Tensor):
                assert not (tensor.is_meta and tensor.dtype == torch.float64), func
        return result


@pytest.mark.parametrize("architecture", ["skip", "resnet", "orig"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_no_device_has_to_have_float64(tmp_path, architecture, dtype):
    write_tiny(tmp_path / "one.safetensors", architecture=architecture)
    network = load_network(tmp_path / "one.safetensors").to("meta")
    stack = Stack(network, 2, torch.device("meta"), torch.float32, one_by_one=True)
    mixed = MixedWeights(stack, dtype)
    with NoFloat64():
        stack.put(0, network)
        ws, mix = torch.empty(4, 6, 16, device="meta"), torch.empty(4, 5, 2, device="meta")
        styles = prepare(stack, ws, mix).of_frames(slice(1, 2))
        convolutions = (*stack.convolutions, *stack.skips)
        weights = {conv.name: mixed.of(conv, (1.0, 0.5), (0, 1)) for conv in convolutions}
        blur = torch.empty(4, 4, device="meta")
        picture = synthesize_frame(stack, styles, weights, {}, blur, dtype)
    assert (picture.shape, picture.dtype) == ((1, 3, 16, 16), torch.float32)


def test_cells_of_large_canvases_have_few_frames(tmp_path):
    write_networks(tmp_path)
    film = opened(tmp_path, BLENDS["a sweep"])
    sizes = [
        make_framewise_plan(film.schedule, film.engine.home, size, torch.float32, 2).batch_size
        for size in ((512, 512), (1080, 1920), (2048, 2048), (16384, 16384))
    ]
    assert sizes == [16, 8, 4, 1]
