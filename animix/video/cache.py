"""The cache: finished chunks of films on their way, in a hidden folder beside each film."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import TracebackType

from animix.errors import OptionError
from animix.interruption import uninterrupted
from animix.timeline.formats import Container
from animix.video.place import making_room, remedy, remove
from animix.whole_file import (
    digest_of,
    ending_of_ours,
    is_left_over,
    kept_text,
    part_of,
    state_of,
)

FOLDER = ".animix"
CHUNK = ".mp4"
USER = "user-"
DIGESTS = "digests.json"

TAG = "CACHEDIR.TAG"
TAG_TEXT = """Signature: 8a477f597d28d172789f06886806bc55
# Finished parts of films that animix renders, or was interrupted in: the same command goes on.
# And what finished films were made of: a batch does not make them again.
# `animix cache --prune` removes them. Programs that make backups leave this folder out:
# https://bford.info/cachedir/
"""

NUM_READERS = 4
"""Files that are read at a time, for their digests."""
ATTEMPTS = 20


class Cache:
    """The finished chunks of one film, while a render uses them: ``.animix/NAME`` beside it.

    Any number of renders may use them at a time. What processes left there that are gone is removed
    on entering, and a folder without a chunk on leaving. OptionError where it can't be written.
    """

    def __init__(self, film: Path, container: Container = "mp4") -> None:
        self._film = film
        self._container = container
        self._target = Path(os.path.realpath(film))
        self.folder = self._target.parent / FOLDER / self._target.name
        self._mark = self.folder / f"{USER}{ending_of_ours()}"

    def __enter__(self) -> Cache:
        with making_room(self._film, self._target, self._container):
            pass
        try:
            with uninterrupted():
                self._begin()
        except OSError as exc:
            self._leave()
            raise OptionError(
                f"{self._film}: its finished chunks, which are kept in {self.folder} until it is "
                f"whole, can't be written: {exc.strerror}; {remedy(exc)}"
            ) from exc
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with uninterrupted():
            self._leave()

    def chunk(self, key: str) -> Path:
        """Where the chunk of a key stands, if it does."""
        return self.folder / f"{key}{CHUNK}"

    @property
    def is_empty(self) -> bool:
        """Whether there is no chunk."""
        return next(_chunks(self.folder), None) is None

    def clear(self, but: Iterable[Path] = ()) -> None:
        """Remove chunks, unless another render may use them."""
        kept = set(but)
        if not _users(self.folder, but=self._mark):
            for chunk in _chunks(self.folder):
                if chunk not in kept:
                    remove(chunk)

    def digests(self, files: Iterable[Path]) -> dict[Path, str]:
        """The SHA-256 of each file; those that are as they were are not read again."""
        remembered = self._remembered()
        known = dict(remembered)
        digests = digests_of(files, known)
        if not known.items() <= remembered.items():
            self._remember(known)
        return digests

    def _begin(self) -> None:
        for attempt in range(ATTEMPTS):
            try:
                self.folder.mkdir(parents=True, exist_ok=True)
                self._mark.touch()
                tag(self.folder.parent)
                break
            except FileNotFoundError:  # another render, at its end, has removed the folder
                if attempt == ATTEMPTS - 1:
                    raise
        remove_left_overs(self.folder)
        for path in self._target.parent.glob(".*"):
            if path.name.startswith(f".{self._target.name}.part-") and is_left_over(path.name):
                remove(path)

    def _leave(self) -> None:
        remove(self._mark)
        remove_if_empty(self.folder)

    def _remembered(self) -> dict[str, str]:
        try:
            found = json.loads(kept_text(self.folder / DIGESTS))
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def _remember(self, digests: dict[str, str]) -> None:
        part = part_of(self.folder / DIGESTS)
        with uninterrupted(), contextlib.suppress(OSError):  # then they are read again
            part.write_text(json.dumps(digests), encoding="utf-8")
            part.replace(self.folder / DIGESTS)


def digests_of(files: Iterable[Path], remembered: dict[str, str] | None = None) -> dict[Path, str]:
    """The SHA-256 of each file; OptionError where one can't be read.

    Those that ``remembered`` has are not read; afterwards it has these files, as they are, alone.
    """
    remembered = {} if remembered is None else remembered
    paths = {file: Path(os.path.realpath(file)) for file in files}
    try:
        states = {path: state_of(path) for path in paths.values()}
        known = {path: remembered.get(f"{path} {state}") for path, state in states.items()}
        unknown = [path for path, digest in known.items() if digest is None]
        for first in range(0, len(unknown), NUM_READERS):
            some = unknown[first : first + NUM_READERS]
            # A Ctrl-C could leave a lock of the pool taken: it waits until these are read.
            with uninterrupted(), ThreadPoolExecutor(NUM_READERS) as readers:
                digests = readers.map(_digest_of, some, [states[path] for path in some])
                known |= zip(some, digests, strict=True)
    except OSError as exc:
        raise OptionError(f"{exc.filename}: can't be read: {exc.strerror}") from exc
    found = {path: digest for path, digest in known.items() if digest is not None}
    remembered.clear()
    remembered.update({f"{path} {states[path]}": digest for path, digest in found.items()})
    return {file: found[path] for file, path in paths.items()}


@dataclass(frozen=True)
class Kept:
    """What is kept of one film."""

    film: Path
    num_chunks: int
    num_bytes: int
    is_in_use: bool
    """A render is at work on it."""


def kept_in(folder: Path) -> list[Kept]:
    """What is kept of the films of a folder; OptionError where there is no folder."""
    if not folder.is_dir():
        raise OptionError(f"{folder}: is no folder")
    found = []
    for kept in _folders(folder):
        chunks = list(_chunks(kept))
        num_bytes = sum(chunk.stat().st_size for chunk in chunks)
        is_in_use = bool(_users(kept))
        found.append(Kept(folder / kept.name, len(chunks), num_bytes, is_in_use))
    return found


def prune(folder: Path) -> None:
    """Remove what is kept of the films of a folder, but of those that are being rendered.

    What processes left beside the films that are gone goes, too.
    """
    for kept in _folders(folder):
        if not _users(kept):
            shutil.rmtree(kept, ignore_errors=True)
            remove_if_empty(kept)
    for path in folder.glob(".*.part-*"):
        if is_left_over(path.name):
            remove(path)


def tag(folder: Path) -> None:
    """Say in a folder what it is."""
    (folder / TAG).write_text(TAG_TEXT, encoding="utf-8")


def remove_left_overs(folder: Path) -> None:
    """Remove what processes left in a folder that are gone."""
    for path in folder.iterdir():
        if is_left_over(path.name):
            remove(path)


def remove_if_empty(folder: Path) -> None:
    """Remove a film's folder without a chunk, and what it stands in if that holds no other."""
    with contextlib.suppress(OSError):
        if folder.is_dir() and {path.name for path in folder.iterdir()} == {DIGESTS}:
            remove(folder / DIGESTS)
        folder.rmdir()
    with contextlib.suppress(OSError):
        if {path.name for path in folder.parent.iterdir()} == {TAG}:
            remove(folder.parent / TAG)
        folder.parent.rmdir()


def _folders(folder: Path) -> list[Path]:
    inside = folder / FOLDER
    return sorted(path for path in inside.iterdir() if path.is_dir()) if inside.is_dir() else []


def _chunks(folder: Path) -> Iterator[Path]:
    return (path for path in folder.glob(f"[!.]*{CHUNK}") if path.is_file())


def _users(folder: Path, but: Path | None = None) -> list[Path]:
    """The marks of the renders that use a film's chunks."""
    return [path for path in folder.glob(f"{USER}*") if path != but and not is_left_over(path.name)]


@lru_cache(maxsize=1 << 12)
def _digest_of(path: Path, state: str) -> str:
    """The SHA-256 of a file in a state: what several films are made of is read once."""
    return digest_of(path)
