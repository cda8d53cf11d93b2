"""Projected photos as files: they come back as they were, numpy reads them, damage is told."""

import json
import warnings

import numpy as np
import pytest

import animix
from animix.errors import LatentError, OptionError
from animix.film import open_film
from animix.latents import load_latent
from animix.photos.crop import square
from animix.projected import Projected, read_projected, write_projected
from tests.tiny import write_tiny


def example(num_ws=6, w_dim=16, **others):
    rng = np.random.default_rng(0)
    facts = {
        "w": rng.standard_normal((num_ws, w_dim)).astype(np.float32),
        "photo": "mé.jpg",
        "photo_digest": "ab" * 32,
        "photo_size": (640, 480),
        "crop": square(10, 20, 200),
        "network": "base.safetensors",
        "network_digest": "cd" * 32,
        "settings": {"steps": 3, "psnr": 21.5, "note": "“so”"},
        "losses": np.array([3, 2, 1], np.float32),
    }
    return Projected(**facts | others)


def test_what_is_written_is_read(tmp_path):
    written = example()
    write_projected(written, tmp_path / "me.npz")
    found = read_projected(tmp_path / "me.npz")
    assert np.array_equal(found.crop.matrix, written.crop.matrix)
    for name in ("w", "losses"):
        assert np.array_equal(getattr(found, name), getattr(written, name))
    for name in ("photo", "photo_digest", "photo_size", "network", "network_digest", "settings"):
        assert getattr(found, name) == getattr(written, name)


def test_a_photo_without_a_crop_is_read(tmp_path):
    write_projected(example(crop=None), tmp_path / "me.npz")
    assert read_projected(tmp_path / "me.npz").crop is None


def test_numpy_reads_it_without_pickle(tmp_path):
    write_projected(example(), tmp_path / "me.npz")
    with np.load(tmp_path / "me.npz", allow_pickle=False) as file:
        assert file["w"].dtype == np.float32
        assert json.loads(str(file["about"]))["photo_size"] == [640, 480]


def test_the_same_gives_the_same_bytes(tmp_path):
    write_projected(example(), tmp_path / "a.npz")
    write_projected(example(), tmp_path / "b.npz")
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"w": np.full((6, 16), np.nan, np.float32)}, "finite"),
        ({"w": np.zeros(16, np.float32)}, r"\[16\]"),
        ({"photo_size": (0, 5)}, "size"),
        ({"photo": "../secret.jpg"}, "no file name"),
        ({"photo": ".."}, "no file name"),
        ({"photo": "a\0.jpg"}, "no file name"),
        ({"photo": "é" * 128}, "no file name"),
        ({"network": "/base.pkl"}, "no file name"),
    ],
)
def test_what_can_be_no_projected_photo_is_refused(change, told):
    with pytest.raises(LatentError, match=told):
        example(**change)


def test_another_name_is_refused(tmp_path):
    with pytest.raises(OptionError, match=r"ends in \.npz"):
        write_projected(example(), tmp_path / "me.npy")


ABOUT = {
    "photo": "a.png",
    "photo_digest": "",
    "photo_size": [20, 20],
    "network": "",
    "network_digest": "",
    "settings": {},
}
REST = {"about": np.array(json.dumps(ABOUT)), "losses": np.zeros(0, np.float32)}


def save(path, **arrays):
    np.savez(path, **arrays)


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda path: None, "no such file"),
        (lambda path: path.write_bytes(b"PK\x03\x04 and so on"), "damaged"),
        (lambda path: save(path, w=np.zeros((6, 16))), "no arrays w and about"),
        (lambda path: save(path, w=np.ones((2, 3)), crop=np.eye(2), **REST), "a crop's matrix"),
        (lambda path: save(path, w=np.full((6, 16), 1e300), **REST), "expected finite"),
        (lambda path: save(path, w=np.ones(3), about=np.array("{")), "can't be read"),
        (lambda path: save(path, w=np.ones((6, 16)), about=np.ones(3)), "can't be read|expected"),
        (
            lambda path: save(path, w=np.array(["a"]), about=np.array("{}")),
            "expected floating-point",
        ),
    ],
)
def test_damage_is_told_with_the_file(make, told, tmp_path, recwarn):
    path = tmp_path / "me.npz"
    make(path)
    with pytest.raises(LatentError, match=told) as caught:
        read_projected(path)
    assert not recwarn.list
    assert str(caught.value).startswith(str(path))


def test_it_stands_where_a_seed_may_in_a_timeline(tmp_path):
    network = animix.load_network(write_tiny(tmp_path / "base.safetensors"))
    projected = example(network.num_ws, network.w_dim)
    write_projected(projected, tmp_path / "me.npz")
    assert np.array_equal(load_latent(tmp_path / "me.npz", network.facts), projected.w)
    timeline = tmp_path / "reel.yaml"
    timeline.write_text(
        "networks: {base: base.safetensors}\nduration: 1s\nfps: 4\nlatents: {seeds: [me.npz, 7]}\n"
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        film = open_film(animix.load_timeline(timeline), device="cpu", precision="float32")
    painted = network.synthesis(projected.w[None])[0].permute(1, 2, 0)
    expected = ((painted + 1) * 127.5).clamp(0, 255).numpy()
    assert np.abs(film.rgb8(0).astype(float) - expected).max() < 1.6
