"""A record knows a film that is as it was made, and no other."""

from __future__ import annotations

import shutil

import pytest

from animix.video.cache import Cache, prune
from animix.video.record import is_on_record, keep_record, prune_records, record_of


@pytest.fixture(params=["file", "folder"])
def film(tmp_path, request):
    """A film, or one of pictures."""
    if request.param == "file":
        (tmp_path / "reel.mp4").write_bytes(b"frames")
        return tmp_path / "reel.mp4"
    (tmp_path / "reel").mkdir()
    for number in range(3):
        (tmp_path / "reel" / f"{number}.png").write_bytes(b"frame %d" % number)
    return tmp_path / "reel"


def change(film):
    file = film if film.is_file() else film / "1.png"
    file.write_bytes(file.read_bytes()[:-1] + b"!")


def test_a_film_is_known_by_its_key(film):
    assert not is_on_record(film, "key")
    keep_record(film, "key")
    assert is_on_record(film, "key")
    assert not is_on_record(film, "another")


def test_a_film_that_was_changed_is_not(film):
    keep_record(film, "key")
    change(film)
    assert not is_on_record(film, "key")


def test_a_film_that_is_gone_is_not(film):
    keep_record(film, "key")
    shutil.move(film, film.with_name("elsewhere"))
    assert not is_on_record(film, "key")


def test_a_picture_more_or_less_is_a_change(tmp_path):
    film = tmp_path / "reel"
    film.mkdir()
    (film / "0.png").write_bytes(b"frame")
    keep_record(film, "key")
    (film / "1.png").write_bytes(b"frame")
    assert not is_on_record(film, "key")


def test_films_and_records_that_are_copied_together_stay_known(film, tmp_path):
    keep_record(film, "key")
    shutil.copytree(tmp_path, tmp_path.with_name(f"{tmp_path.name}-copy"))
    assert is_on_record(tmp_path.with_name(f"{tmp_path.name}-copy") / film.name, "key")


@pytest.mark.parametrize("text", ["", "[]", "{", '{"key": "key"}', "\xff"])
def test_a_broken_record_knows_nothing(film, text):
    keep_record(film, "key")
    record_of(film).write_text(text, encoding="latin1")
    assert not is_on_record(film, "key")


def test_a_record_that_can_not_be_written_is_none(film):
    (film.parent / ".animix").write_text("no folder")
    keep_record(film, "key")
    assert not is_on_record(film, "key")
    assert {path.name for path in film.parent.iterdir()} == {film.name, ".animix"}


def test_records_of_films_that_are_gone_are_pruned(film):
    keep_record(film, "key")
    prune_records(film.parent)
    assert is_on_record(film, "key")
    with Cache(film.parent / "other.mp4") as cache:
        cache.chunk("0" * 32).write_bytes(b"x")
    film.rename(film.with_name("elsewhere"))
    prune_records(film.parent)
    assert not record_of(film).exists()
    prune(film.parent)
    assert [path.name for path in film.parent.iterdir()] == ["elsewhere"]


def test_the_last_record_takes_the_folder_with_it(film):
    keep_record(film, "key")
    film.rename(film.with_name("elsewhere"))
    prune_records(film.parent)
    assert [path.name for path in film.parent.iterdir()] == ["elsewhere"]
