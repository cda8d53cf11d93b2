"""A store reads each network once, as long as its file stays as it is and there is room."""

from __future__ import annotations

import threading

import pytest
import torch

from animix import whole_file
from animix.checkpoints import store as store_module
from animix.checkpoints.store import Store
from animix.errors import NetworkError
from tests.tiny import write_tiny


@pytest.fixture
def reads(monkeypatch):
    """The names of the files that are read; those of a test count as settled."""
    names, load = [], store_module.load_network
    monkeypatch.setattr(
        store_module, "load_network", lambda path: (names.append(path.name), load(path))[1]
    )
    monkeypatch.setattr(whole_file, "SETTLED_NS", 0)
    return names


@pytest.fixture
def files(tmp_path):
    return [write_tiny(tmp_path / f"{name}.safetensors", seed=n) for n, name in enumerate("abc")]


def test_a_network_is_read_once_by_whatever_name(files, reads, tmp_path):
    (tmp_path / "link").symlink_to(files[0])
    store = Store()
    first = store.load(files[0])
    assert store.load(files[0]) is store.load(tmp_path / "link") is first
    assert reads == ["a.safetensors"]


def test_a_file_that_has_changed_is_read_again(files, reads):
    store = Store()
    before = store.load(files[0]).tensors["synthesis.b4.const"]
    write_tiny(files[0], seed=9)
    assert not torch.equal(store.load(files[0]).tensors["synthesis.b4.const"], before)


def test_a_file_that_has_just_been_written_is_not_kept(files, reads, monkeypatch):
    monkeypatch.setattr(whole_file, "SETTLED_NS", 10**12)
    store = Store()
    store.load(files[0])
    store.load(files[0])
    assert len(reads) == 2


def test_those_used_last_are_kept_as_far_as_there_is_room(files, reads):
    size = sum(tensor.nbytes for tensor in Store().load(files[0]).tensors.values())
    reads.clear()
    store = Store(most_bytes=2 * size)
    for number in (0, 1, 0, 2, 0, 1):
        store.load(files[number])
    assert reads == [files[number].name for number in (0, 1, 2, 1)]
    assert len(store) == 2


def test_what_has_no_room_is_read_all_the_same(files, reads):
    store = Store(most_bytes=10)
    assert store.load(files[0]).img_resolution == 16
    assert len(store) == 0


@pytest.mark.parametrize("name", ["gone.pkl", "a\0b", ""])
def test_errors_are_those_of_reading(tmp_path, name):
    with pytest.raises(NetworkError):
        Store().load(tmp_path / name)


def test_threads_share_a_store(files, reads):
    store = Store(most_bytes=10**5)
    errors = []

    def use():
        try:
            for number in range(30):
                store.load(files[number % 3])
        except Exception as exc:
            errors.append(exc)

    threads = [threading.Thread(target=use) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
