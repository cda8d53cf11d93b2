"""What is written appears whole, with the permissions that new files have, or not at all."""

from __future__ import annotations

import contextlib
import os
import stat

import pytest

import animix
from animix.checkpoints.load import load_network
from animix.errors import OptionError
from animix.whole_file import whole_file
from tests.nvidia_files import write_nvidia_pickle
from tests.tiny import tiny_tensors


@contextlib.contextmanager
def umask(mask):
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


def permissions(path):
    return stat.S_IMODE(path.stat().st_mode)


def write_in_place(part):
    part.write_text("new")


def write_private_file(part):
    """As libraries do that write to a temporary file first."""
    own = part.with_name("own")
    own.write_text("new")
    own.chmod(0o600)
    own.replace(part)


@pytest.mark.parametrize(("mask", "expected"), [(0o022, 0o644), (0o027, 0o640), (0o077, 0o600)])
@pytest.mark.parametrize("write", [write_in_place, write_private_file])
def test_a_file_has_the_permissions_of_new_files(tmp_path, mask, expected, write):
    with umask(mask), whole_file(tmp_path / "a") as part:
        write(part)
    assert (tmp_path / "a").read_text() == "new"
    assert permissions(tmp_path / "a") == expected


@pytest.mark.parametrize("suffix", [".safetensors", ".pt", ".pkl"])
def test_networks_have_the_permissions_of_new_files(tmp_path, suffix):
    tensors, _ = tiny_tensors(channels=512, img_resolution=4, w_dim=8)
    original = write_nvidia_pickle(tmp_path / "original.pkl", tensors)
    original.chmod(0o600)
    target, like = tmp_path / f"a{suffix}", original if suffix == ".pkl" else None
    with umask(0o027):
        animix.save_network(load_network(original), target, like)
    assert permissions(target) == 0o640


def test_what_stood_there_stays_until_the_end_and_after_a_failure(tmp_path):
    target, link = tmp_path / "sub" / "a", tmp_path / "link"
    link.symlink_to(target)
    with whole_file(link) as part:
        part.write_text("old")
    with pytest.raises(OptionError, match="can't be written: No space left"), whole_file(link) as p:
        p.write_text("half")
        assert target.read_text() == "old"
        raise OSError(28, "No space left on device")
    assert link.is_symlink()
    assert target.read_text() == "old"
    assert [path.name for path in target.parent.iterdir()] == ["a"]


def test_places_where_no_file_can_be_are_told(tmp_path):
    (tmp_path / "file").write_text("no folder")
    for target, message in (
        (tmp_path, "is no regular file"),
        (tmp_path / "file" / "a", "can't be written"),
    ):
        with pytest.raises(OptionError, match=message), whole_file(target):
            raise AssertionError("nothing can be written here")
