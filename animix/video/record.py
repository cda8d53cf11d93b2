"""The record of a finished film: what it was made of, kept beside it, so that it is not made twice.

It stands in the cache's folder as ``.animix/NAME.json``. It holds the film's own digest, too: of a
film that was changed, cut short or made by another command it says nothing.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from pathlib import Path

from animix.video.cache import FOLDER, remove_if_empty, tag
from animix.whole_file import kept_text, part_of

RECORD = ".json"
BLOCK_BYTES = 1 << 20


def keep_record(film: Path, key: str) -> None:
    """Note the key that a finished film was made with.

    Where that can't be written there is no record, and the film is made again the next time.
    """
    record = record_of(film)
    part = part_of(record)
    with contextlib.suppress(OSError):
        try:
            record.parent.mkdir(exist_ok=True)
            tag(record.parent)
            part.write_text(json.dumps({"key": key, "sha256": _digest(film)}), encoding="utf-8")
            part.replace(record)
        finally:
            part.unlink(missing_ok=True)


def is_on_record(film: Path, key: str) -> bool:
    """Whether a film was made with a key and is, to the last byte, as it was then."""
    try:
        found = json.loads(kept_text(record_of(film)))
        return bool(found == {"key": key, "sha256": _digest(film)})
    except (OSError, ValueError):
        return False


def record_of(film: Path) -> Path:
    """Where the record of a film stands, if there is one."""
    target = Path(os.path.realpath(film))
    return target.parent / FOLDER / f"{target.name}{RECORD}"


def prune_records(folder: Path) -> None:
    """Remove the records of films that a folder does not hold any more."""
    for record in (folder / FOLDER).glob(f"*{RECORD}"):
        film = record.name.removesuffix(RECORD)
        if not (folder / film).exists():
            with contextlib.suppress(OSError):
                record.unlink()
            remove_if_empty(record.with_name(film))


def _digest(film: Path) -> str:
    """The SHA-256 of a file, or of the names and contents of a folder's."""
    digest = hashlib.sha256()
    if film.is_dir():
        for path in sorted(film.iterdir()):
            digest.update(repr((path.name, _digest(path))).encode())
        return digest.hexdigest()
    with film.open("rb") as file:
        while block := file.read(BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()
