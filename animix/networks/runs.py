"""Runs of snapshots: the files that a path or a glob names, in the order of their training."""

from __future__ import annotations

import re
from pathlib import Path


def snapshot_order(path: Path) -> tuple[str | int, ...]:
    """Sorting key that counts the numbers in a name as numbers.

    >>> sorted([Path("run-10.pkl"), Path("run-9.pkl")], key=snapshot_order)[0].name
    'run-9.pkl'
    """
    parts = re.split(r"(\d+)", path.name)
    return tuple(int(part) if part.isdecimal() else part for part in parts)


def find_run(pattern: str, folder: Path) -> list[Path]:
    """The files that a path or a glob names, relative to ``folder``, in order; maybe none.

    ``*``, ``?`` and ``[…]`` may stand in the name only, not in its folders. A name that exists
    as written is that file, even if it reads like a glob.
    """
    whole = folder / Path(pattern).expanduser()
    if whole.exists() or not set("*?[") & set(whole.name):
        return [whole]
    return sorted(whole.parent.glob(whole.name), key=snapshot_order)
