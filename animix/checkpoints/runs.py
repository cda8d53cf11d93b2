"""Runs of snapshots: the files that a path or a glob names, in the order of their training."""

from __future__ import annotations

import contextlib
import fnmatch
import os
import re
from pathlib import Path


def snapshot_order(path: Path) -> tuple[str | int, ...]:
    """Sorting key that counts the numbers in a name as numbers.

    >>> sorted([Path("run-10.pkl"), Path("run-9.pkl")], key=snapshot_order)[0].name
    'run-9.pkl'
    """
    parts = re.split(r"(\d+)", path.name)
    return tuple(int(part) if part.isdecimal() else part for part in parts)


def path_from(folder: Path, file: Path) -> str:
    """How a timeline in a folder names a file."""
    try:
        return os.path.relpath(file.resolve(), folder.resolve())
    except ValueError:  # another drive
        return str(file.resolve())


def find_run(pattern: str, folder: Path) -> list[Path]:
    """The files that a path or a glob names, relative to ``folder``, in order; maybe none.

    ``*``, ``?`` and ``[…]`` stand in the name only, not in its folders: a hostile ``/**/*`` must
    not walk through the disk. A name that exists as written is that file, even if it reads like a
    glob.
    """
    # A name that no file can have, or a home that nobody has, names no file.
    with contextlib.suppress(OSError, ValueError, RuntimeError):
        whole = folder / Path(pattern).expanduser()
        if whole.exists():
            return [whole]
        if set("*?[") & set(whole.name):
            names = [entry.name for entry in whole.parent.iterdir() if not entry.is_dir()]
            found = fnmatch.filter(names, whole.name)
            return sorted((whole.parent / name for name in found), key=snapshot_order)
    return []
