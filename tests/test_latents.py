"""Paths through latent space: who takes part in a frame, and projected files read safely."""

import io
import pickle
import zipfile

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from animix.errors import LatentError
from animix.latents import (
    KeyPath,
    load_direction,
    load_latent,
    moments_at,
    one_hot,
    slerp,
    spline,
    straight,
    z_of_seed,
)
from animix.networks.facts import Layer, NetworkFacts
from tests.memory import little_memory

FACTS = NetworkFacts(
    kind="stylegan2",
    architecture="skip",
    img_resolution=8,
    z_dim=16,
    c_dim=0,
    w_dim=16,
    num_ws=4,
    layers=(Layer("b4.const", 4, ()),),
    num_parameters=0,
)


def values_along(path, values):
    return (path.weights * np.asarray(values)[path.keys]).sum(1)


def walk(key_times, times, period):
    """Segments and progress of instants among keys at key_times."""
    key_times = np.asarray(key_times, float)
    segments = np.searchsorted(key_times, times, side="right") - 1
    ends = np.append(key_times[1:], key_times[0] + period if period else key_times[-1] + 1)
    progress = (times - key_times[segments]) / (ends - key_times)[segments]
    if not period:
        progress = np.where(segments == len(key_times) - 1, 0.0, progress)
    return segments, progress


def test_a_seed_is_everybodys_seed():
    assert z_of_seed(3, 512)[0, :3] == pytest.approx([1.78862847, 0.43650985, 0.09649747])


def test_a_label_takes_no_more_memory_than_it_has_numbers():
    with little_memory():
        label = one_hot(499_999, 500_000)
    assert (label.shape, label.dtype) == ((1, 500_000), np.float32)
    assert label.argmax() == 499_999
    assert label.sum() == 1


times_of_keys = st.lists(st.integers(1, 40), min_size=1, max_size=8).map(np.cumsum)


@given(times_of_keys, st.booleans())
def test_weights_sum_to_one_and_keys_are_met(gaps, closed):
    key_times = np.concatenate([[0], gaps[:-1]]).astype(float)
    period = float(gaps[-1]) if closed else None
    times = np.unique(np.concatenate([np.linspace(0, key_times[-1], 50), key_times]))
    segments, progress = walk(key_times, times, period)
    path = spline(key_times, segments, progress, np.zeros(len(key_times), bool), period=period)
    assert path.weights.sum(1) == pytest.approx(1)
    for number, key_time in enumerate(key_times):
        frame = int(np.flatnonzero(times == key_time)[0])
        assert dict(path.at(frame)) == pytest.approx({number: 1.0})


@given(st.integers(5, 9), st.data())
def test_a_key_moves_only_the_four_spans_around_it(num_keys, data):
    moved = data.draw(st.integers(0, num_keys - 1))
    key_times = np.arange(num_keys, dtype=float)
    times = np.linspace(0, num_keys, 20 * num_keys, endpoint=False)
    path = spline(
        key_times,
        *walk(key_times, times, num_keys),
        np.zeros(num_keys, bool),
        period=float(num_keys),
    )
    values = np.zeros(num_keys)
    values[moved] = 1
    touched = values_along(path, values) != 0
    distance = np.abs((times - moved + num_keys / 2) % num_keys - num_keys / 2)
    assert not touched[distance >= 2].any()
    assert touched[(distance > 0) & (distance < 1)].all()


def test_a_closed_path_goes_smoothly_through_the_seam():
    values = [0.0, 1.0, 3.0, 2.0]
    times = np.linspace(0, 4, 400, endpoint=False)
    path = spline(np.arange(4.0), *walk(np.arange(4), times, 4), np.zeros(4, bool), period=4.0)
    along = values_along(path, values)
    steps = np.diff(np.append(along, along[0]))
    assert np.abs(steps).max() == pytest.approx(np.abs(steps[:-1]).max())
    assert np.abs(np.diff(steps)).max() < 1e-3


def test_a_path_rests_at_its_open_ends_and_at_holds():
    times = np.linspace(0, 2, 201)
    rests = np.array([False, True, False])
    path = spline(np.arange(3.0), *walk(np.arange(3), times, None), rests, period=None)
    speed = np.abs(np.diff(values_along(path, [0.0, 1.0, 2.0])))
    assert speed[[0, 99, 100, -1]].max() < 0.05 * speed.max()


def test_slerp_keeps_the_length_and_meets_both_ends():
    zs = np.concatenate([z_of_seed(1, 64), z_of_seed(2, 64)])
    progress = np.linspace(0, 1, 11)
    zeros = np.zeros(11, int)
    path = slerp(straight(zeros, zeros + 1, progress), zs)
    along = path.weights[:, 1:2] * zs[0] + path.weights[:, 2:3] * zs[1]
    lengths = np.linalg.norm(along, axis=1)
    assert lengths.min() > 0.95 * min(np.linalg.norm(zs, axis=1))
    assert along[0] == pytest.approx(zs[0])
    assert along[-1] == pytest.approx(zs[1])


def test_slerp_between_equal_zs_stands_still():
    zs = np.concatenate([z_of_seed(1, 8)] * 2)
    path = slerp(straight(np.zeros(3, int), np.ones(3, int), np.array([0.0, 0.3, 1.0])), zs)
    assert path.weights.sum(1) == pytest.approx(1)


def test_a_path_that_stands_still_has_one_entry_for_all_frames():
    path = KeyPath(np.array([[0, 0, 0, 0]]), np.array([[0.0, 1.0, 0.0, 0.0]]))
    assert path.at(0) == path.at(12345) == ((0, 1.0),)


@given(st.lists(st.floats(0, 100), min_size=2, max_size=30))
def test_a_walk_goes_forward_by_its_length_from_its_start_to_its_end(steps):
    lengths = np.concatenate([[0], np.cumsum(steps)])
    shares = np.linspace(0, 1, 101)
    found = moments_at(lengths, shares)
    assert (found[0], found[-1]) == pytest.approx((0, 1))
    assert (np.diff(found) >= -1e-12).all()
    if lengths[-1] > 0 and min(steps) > 1e-2 * np.mean(steps):
        behind = np.interp(found, np.linspace(0, 1, len(lengths)), lengths / lengths[-1])
        assert np.abs(behind - shares).max() <= max(steps) / lengths[-1] + 1e-9


def test_a_walk_between_two_places_that_are_one_keeps_its_times():
    shares = np.linspace(0, 1, 5)
    assert (moments_at(np.zeros(4), shares) == shares).all()


def test_a_walk_that_stands_still_for_a_while_is_through_at_once():
    found = moments_at(np.array([0.0, 1, 1, 1, 2]), np.array([0.499, 0.501]))
    assert found[0] < 0.3 and found[1] > 0.7


W = np.random.default_rng(0).standard_normal((4, 16)).astype(np.float32)


@pytest.mark.parametrize("shape", [(16,), (1, 16), (4, 16), (1, 4, 16), (3, 4, 16)])
@pytest.mark.parametrize("suffix", [".npz", ".npy", ".pt"])
def test_a_w_of_any_usual_shape_is_read(tmp_path, shape, suffix):
    w = np.broadcast_to(W[0], shape) if shape[-2:] != (4, 16) else np.broadcast_to(W, shape)
    path = tmp_path / f"me{suffix}"
    if suffix == ".npz":
        np.savez(path, w=w)
    elif suffix == ".npy":
        np.save(path, w)
    else:
        torch.save({"w": torch.from_numpy(w.copy())}, path)
    expected = W if shape[-2:] == (4, 16) else np.broadcast_to(W[0], (4, 16))
    assert (load_latent(path, FACTS) == expected).all()


@pytest.mark.parametrize("w", [W, W[:1], 3 * W[0], W * np.eye(4, dtype=np.float32)[1][:, None]])
def test_a_direction_has_length_1(tmp_path, w):
    np.save(tmp_path / "a.npy", w)
    found = load_direction(tmp_path / "a.npy", "a.npy", FACTS)
    assert (found.name, found.vectors.shape, found.vectors.dtype) == ("a.npy", (4, 16), np.float32)
    assert np.linalg.norm(found.vectors, axis=1).max() == pytest.approx(1)
    np.save(tmp_path / "b.npy", 7 * w)
    same = load_direction(tmp_path / "b.npy", "b.npy", FACTS)
    assert np.abs(same.vectors - found.vectors).max() < 1e-6


@pytest.mark.parametrize(
    ("w", "message"),
    [(np.zeros(16), "0 everywhere"), (np.ones(9), "needs a w of"), (np.full(16, np.nan), "finite")],
)
def test_a_direction_that_leads_nowhere_fails(tmp_path, w, message):
    np.save(tmp_path / "a.npy", w)
    with pytest.raises(LatentError, match=message):
        load_direction(tmp_path / "a.npy", "a.npy", FACTS)


@pytest.mark.parametrize(
    "content",
    [
        torch.from_numpy(W),
        torch.from_numpy(W).requires_grad_(),
        torch.from_numpy(W).double(),
        {"latent": torch.nn.Parameter(torch.from_numpy(W))},
        {"a.png": {"img": torch.zeros(3), "latent": torch.from_numpy(W), "noise": []}},
    ],
)
@pytest.mark.parametrize("zipped", [False, True])
def test_what_projectors_save_is_read(tmp_path, content, zipped):
    torch.save(content, tmp_path / "a.pt", _use_new_zipfile_serialization=zipped)
    assert (load_latent(tmp_path / "a.pt", FACTS) == W).all()


def test_integers_and_half_precision_are_numbers_too(tmp_path):
    for dtype in (torch.bfloat16, torch.float16, torch.int64, torch.uint8):
        torch.save(torch.full((16,), 3, dtype=dtype), tmp_path / "a.pt")
        assert (load_latent(tmp_path / "a.pt", FACTS) == 3).all()


class Hostile:
    def __reduce__(self):
        return (open, ("ran.txt", "w"))


def write_bytes(path, content):
    path.write_bytes(content)


def write_zip(path, members):
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)


def array_header(descr):
    """The header of an array of 4 milliards of values, and none of them."""
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": descr, "fortran_order": False, "shape": (4 * 10**9,)}
    )
    return header.getvalue()


def write_bomb(path):
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("w.npy", "w", force_zip64=True) as member,
    ):
        header = io.BytesIO()
        np.lib.format.write_array_header_1_0(
            header, {"descr": "<f4", "fortran_order": False, "shape": (10**8,)}
        )
        member.write(header.getvalue())
        for _ in range(100):
            member.write(bytes(1 << 20))


BAD_FILES = {
    "another-shape.npz": (lambda path: np.savez(path, w=np.zeros((18, 512))), "another network"),
    "another-name.npz": (lambda path: np.savez(path, x=W), "no array named `w`"),
    "text.npy": (lambda path: write_bytes(path, b"<html>"), "can't be read"),
    "empty.pt": (lambda path: write_bytes(path, b""), "can't be read"),
    "words.npy": (lambda path: np.save(path, np.array(["a"] * 16)), "holds str32 values"),
    "complex.npy": (lambda path: np.save(path, W.astype(complex)), "holds complex128 values"),
    "dates.npy": (lambda path: np.save(path, W.astype("M8[s]")), "holds datetime64.s. values"),
    "huge.npy": (lambda path: np.save(path, W.astype(float) * 1e300), "not finite"),
    "letters.npy": (lambda path: write_bytes(path, array_header("<U0")), "holds str values"),
    "letters.npz": (
        lambda path: write_zip(path, {"w.npy": array_header("<U0")}),
        "holds str values",
    ),
    "short.npy": (lambda path: write_bytes(path, array_header("<f8")), "it is cut short"),
    "words.txt": (lambda path: write_bytes(path, b"a"), "expected a .npz, .npy or .pt"),
    "complex.pt": (
        lambda path: torch.save(torch.zeros(4, 16, dtype=torch.complex64), path),
        "asks for torch.ComplexFloatStorage",
    ),
    "number.pt": (lambda path: torch.save({"w": 3}, path), "no array named `w`"),
    "nothing.pt": (lambda path: torch.save({}, path), "no array named `w`"),
    "nan.npy": (lambda path: np.save(path, np.full((4, 16), np.nan)), "not finite"),
    "objects.npy": (lambda path: np.save(path, np.array([Hostile()], object)), "holds object"),
    "hostile.pt": (lambda path: torch.save(Hostile(), path), "can't be read"),
    "hostile-pickle.pt": (
        lambda path: write_bytes(path, pickle.dumps(Hostile())),
        "can't be read",
    ),
    "bomb.npz": (write_bomb, "unpacks to more"),
    "empty.npy": (lambda path: np.save(path, np.zeros((0, 16))), "another network"),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_a_file_that_is_no_latent_fails(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    write, message = BAD_FILES[name]
    write(tmp_path / name)
    with little_memory(), pytest.raises(LatentError, match=message) as caught:
        load_latent(tmp_path / name, FACTS)
    assert name in str(caught.value)
    assert not (tmp_path / "ran.txt").exists()


@pytest.mark.parametrize("name", ["me.npz", "a\0b.npz"])
def test_a_missing_latent_fails(tmp_path, name):
    with pytest.raises(LatentError, match=r"no such file|null"):
        load_latent(tmp_path / name, FACTS)


def test_a_name_too_long_for_a_file_fails(tmp_path):
    with pytest.raises(LatentError, match="can't be read"):
        load_latent(tmp_path / ("a" * 5000 + ".npz"), FACTS)


def test_odd_values_are_refused_without_a_warning(tmp_path, recwarn):
    for values in (W.astype(complex), W.astype(float) * 1e300):
        np.save(tmp_path / "a.npy", values)
        with pytest.raises(LatentError):
            load_latent(tmp_path / "a.npy", FACTS)
    assert not recwarn
