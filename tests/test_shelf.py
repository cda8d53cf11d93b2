"""The shelf of networks: few at a time, read ahead, and no error lost on the way."""

import threading

import pytest
import torch

from animix.engine import shelf as shelf_module
from animix.engine.shelf import MAX_EXPECTED, Shelf
from animix.errors import NetworkError
from animix.film import open_film
from animix.timeline.reader import load_timeline
from tests.tiny import plainly, relative_of, tiny_tensors, write_tensors


@pytest.fixture
def files(tmp_path):
    tensors, metadata = tiny_tensors(img_resolution=8)
    paths = [tmp_path / f"art-{number}.safetensors" for number in range(6)]
    for number, path in enumerate(paths):
        write_tensors(path, relative_of(tensors, amount=0.1, seed=number), metadata)
    return paths


@pytest.fixture
def shelf(files):
    return Shelf(files, torch.device("cpu"))


def same(one, other):
    return all(torch.equal(tensor, other.tensors[name]) for name, tensor in one.tensors.items())


def test_networks_in_use_are_kept_and_all_others_leave(shelf):
    first, second = shelf.take([0, 1])
    assert shelf.take([1])[0] is second and len(shelf) == 1
    assert shelf.take([0])[0] is not first


def test_an_expected_network_is_the_one_that_its_file_holds(shelf, files):
    shelf.expect([2, 3])
    for number in (3, 2):
        assert same(shelf.read(number), shelf_module.load_network(files[number]))


def test_an_expected_network_is_read_once_and_before_it_is_asked_for(shelf, monkeypatch):
    read, load = [], shelf_module.load_network
    monkeypatch.setattr(
        shelf_module, "load_network", lambda file: read.append(file.stem) or load(file)
    )
    shelf.expect([4, 5])
    shelf.expect([5, 4])
    shelf.take([5])
    shelf.expect([5, 4])
    shelf.take([4])
    assert sorted(read) == ["art-4", "art-5"]


def test_no_more_are_read_ahead_than_memory_is_meant_for(shelf, monkeypatch):
    read, load = [], shelf_module.load_network
    monkeypatch.setattr(
        shelf_module, "load_network", lambda file: read.append(file.stem) or load(file)
    )
    shelf.expect(range(6))
    shelf.read(MAX_EXPECTED - 1)
    assert len(read) == MAX_EXPECTED


def test_a_file_that_went_bad_meanwhile_is_told_when_it_is_asked_for(shelf, files):
    files[1].write_bytes(b"not a network")
    shelf.expect([1])
    with pytest.raises(NetworkError, match=r"art-1\.safetensors"):
        shelf.take([1])
    with pytest.raises(NetworkError, match=r"art-1\.safetensors"):
        shelf.take([1])


SLIDE = """
networks: {faces: art-0.safetensors, art: "art-[1-5].safetensors"}
duration: 40f
latents: [3, 17]
blend: [faces, art: {snapshot: {0%: first linear, 100%: last}}]
"""


def reads_of(monkeypatch):
    """The names of all files that are read from here on."""
    read, load = [], shelf_module.load_network
    monkeypatch.setattr(
        shelf_module, "load_network", lambda file: read.append(file.stem) or load(file)
    )
    return read


@pytest.mark.parametrize("plain", [True, False])
def test_a_film_reads_each_network_once_and_ahead_of_its_use(files, monkeypatch, plain):
    (files[0].parent / "reel.yaml").write_text(SLIDE)
    film = open_film(load_timeline(files[0].parent / "reel.yaml"), device="cpu")
    film = plainly(film) if plain else film
    read = reads_of(monkeypatch)
    waited, take = [], Shelf._read
    monkeypatch.setattr(
        Shelf,
        "_read",
        lambda shelf, number: waited.append(threading.current_thread().name) or take(shelf, number),
    )
    frames = list(film.frames(range(40)))
    assert sorted(read) == sorted(file.stem for file in files)
    # By the shelf's own thread, but for what a cell needs beyond those that are read ahead.
    by_painter = [name for name in waited if not name.startswith("networks")]
    assert len(by_painter) <= max(0, film.engine.batch_size - MAX_EXPECTED) / 4
    assert len(frames) == 40


def test_a_range_reads_nothing_that_comes_after_it(files, monkeypatch):
    (files[0].parent / "reel.yaml").write_text(SLIDE)
    film = plainly(open_film(load_timeline(files[0].parent / "reel.yaml"), device="cpu"))
    read = reads_of(monkeypatch)
    list(film.frames(range(3)))
    assert set(read) <= {"art-0", "art-1", "art-2"}
