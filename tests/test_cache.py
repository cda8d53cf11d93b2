"""The cache beside a film: who uses it, what is told of it, what is removed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from animix import whole_file
from animix.errors import OptionError
from animix.video import cache as cache_module
from animix.video.cache import Cache, kept_in, prune
from animix.whole_file import part_of


def keep(folder: Path, name: str, num_chunks: int = 1) -> None:
    with Cache(folder / name) as cache:
        for number in range(num_chunks):
            cache.chunk(f"{number:032x}").write_bytes(b"x" * 1000)


def test_a_cache_says_what_it_is_while_there_is_something_in_it(tmp_path):
    keep(tmp_path, "reel.mp4")
    tag = (tmp_path / ".animix" / "CACHEDIR.TAG").read_text()
    assert tag.startswith("Signature: 8a477f597d28d172789f06886806bc55")
    assert "animix cache --prune" in tag
    prune(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_cache_without_a_chunk_leaves_nothing(tmp_path):
    (tmp_path / "network").write_bytes(b"one")
    with Cache(tmp_path / "out" / "reel.mp4") as cache:
        cache.digests([tmp_path / "network"])
        assert cache.folder.is_dir()
    assert list((tmp_path / "out").iterdir()) == []


def test_chunks_of_other_films_stay(tmp_path):
    keep(tmp_path, "one.mp4")
    keep(tmp_path, "two.mp4", 2)
    with Cache(tmp_path / "one.mp4") as cache:
        cache.clear()
    assert [(kept.film.name, kept.num_chunks) for kept in kept_in(tmp_path)] == [("two.mp4", 2)]


def test_what_a_render_uses_is_not_removed(tmp_path):
    keep(tmp_path, "reel.mp4", 2)
    with Cache(tmp_path / "reel.mp4"):
        with Cache(tmp_path / "reel.mp4") as other:
            other.clear()
        prune(tmp_path)
        (kept,) = kept_in(tmp_path)
        assert (kept.num_chunks, kept.is_in_use) == (2, True)
    prune(tmp_path)
    assert kept_in(tmp_path) == []


def test_a_film_behind_a_link_has_its_chunks_where_it_is(tmp_path):
    (tmp_path / "far").mkdir()
    (tmp_path / "near.mp4").symlink_to(tmp_path / "far" / "reel.mp4")
    with Cache(tmp_path / "near.mp4") as cache:
        assert cache.folder == tmp_path.resolve() / "far" / ".animix" / "reel.mp4"


def test_files_are_read_again_when_they_may_have_changed(tmp_path, monkeypatch):
    reads = []
    digest = cache_module.digest_of

    def counted(path):
        reads.append(path)
        return digest(path)

    monkeypatch.setattr(cache_module, "digest_of", counted)
    old, new = tmp_path / "old", tmp_path / "new"
    for file in (old, new):
        file.write_bytes(b"a network")
    monkeypatch.setattr(whole_file, "SETTLED_NS", 0)
    with Cache(tmp_path / "reel.mp4") as cache:
        first = cache.digests([old, new])
        assert first[old] == first[new]
        assert cache.digests([old, new]) == first
        assert len(reads) == 2
        about = new.stat()
        new.write_bytes(b"A network")  # of the same length, and of the same date
        os.utime(new, ns=(about.st_atime_ns, about.st_mtime_ns))
        second = cache.digests([old, new])
    assert second[old] == first[old]
    assert second[new] != first[new]
    assert len(reads) == 3


def test_a_file_that_has_just_been_written_is_not_remembered(tmp_path):
    (tmp_path / "new").write_bytes(b"one")
    with Cache(tmp_path / "reel.mp4") as cache:
        first = cache.digests([tmp_path / "new"])
        (tmp_path / "new").write_bytes(b"two")
        assert cache.digests([tmp_path / "new"]) != first


@pytest.mark.parametrize("content", ["", "{", "[]", '{"a": '])
def test_what_is_remembered_may_be_broken(tmp_path, content):
    (tmp_path / "network").write_bytes(b"one")
    with Cache(tmp_path / "reel.mp4") as cache:
        first = cache.digests([tmp_path / "network"])
        (cache.folder / "digests.json").write_text(content)
        assert cache.digests([tmp_path / "network"]) == first


def test_a_file_that_is_gone_is_told(tmp_path):
    with (
        pytest.raises(OptionError, match="gone: can't be read"),
        Cache(tmp_path / "reel.mp4") as cache,
    ):
        cache.digests([tmp_path / "gone"])
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_another_render_removes_meanwhile_is_made_again(tmp_path, monkeypatch):
    touch, times = Path.touch, []

    def removed_first(self, *arguments, **options):
        times.append(self)
        if len(times) < 3:
            shutil.rmtree(tmp_path / ".animix")
        return touch(self, *arguments, **options)

    monkeypatch.setattr(Path, "touch", removed_first)
    with Cache(tmp_path / "reel.mp4") as cache:
        assert cache.folder.is_dir()
    assert len(times) == 3


def test_the_command_tells_and_removes(tmp_path, run, monkeypatch):
    keep(tmp_path / "renders", "one.mp4", 3)
    keep(tmp_path / "renders", "two.mp4")
    monkeypatch.chdir(tmp_path)
    code, out, _ = run("cache")
    assert code == 0
    assert "renders/one.mp4  3 chunks, 0.0 MB, kept\n" in out
    assert out.endswith("renders  2 films, 0.0 MB\n")
    with Cache(tmp_path / "renders" / "two.mp4"):
        _, out, _ = run("cache", "renders", "--prune", "--json")
    events = [json.loads(line) for line in out.splitlines()]
    assert [event.get("state") for event in events] == ["removed", "being rendered", None]
    assert events[-1]["text"] == "renders  1 film, 0.0 MB removed; 1 film left as before"
    assert (events[-1]["films"], events[-1]["bytes"]) == (1, events[0]["bytes"])
    assert [kept.film.name for kept in kept_in(tmp_path / "renders")] == ["two.mp4"]
    assert run("cache", "--prune", "--quiet") == (0, "", "")
    assert list((tmp_path / "renders").iterdir()) == []


@pytest.mark.parametrize("arguments", [["nowhere"], ["file"]])
def test_a_folder_that_is_none_is_refused(tmp_path, run, monkeypatch, arguments):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    code, _, err = run("cache", *arguments)
    assert code == 2
    assert "is no folder" in err


def test_before_the_first_render_nothing_is_kept(tmp_path, run, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run("cache") == (0, "renders  0 films, 0.0 MB\n", "")
    assert run("cache", "--prune")[0] == 0
    assert list(tmp_path.iterdir()) == []


def test_pruning_takes_what_a_killed_process_left_beside_the_films(tmp_path):
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    left = tmp_path / f".reel.mp4.part-{gone.pid}-0123ab-1"
    left.mkdir()
    (left / "sound").touch()
    own = part_of(tmp_path / "reel.mp4")
    own.touch()
    (tmp_path / "reel.mp4").touch()
    prune(tmp_path)
    assert sorted(tmp_path.iterdir()) == sorted([own, tmp_path / "reel.mp4"])
