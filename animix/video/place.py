"""Places: where a film grows and where it stands, a file or a folder of numbered pictures."""

from __future__ import annotations

import contextlib
import errno
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

from animix.errors import EncodeError, OptionError
from animix.timeline.formats import Container
from animix.whole_file import part_of

PICTURE_NAME = "frame-%06d.png"
ROOM_BYTES = 1 << 20
"""Where less is free a disk is full: a file that could not grow may be gone already."""
_PICTURE = re.compile(r"frame-[0-9]{6,}\.png")


@contextlib.contextmanager
def making_room(path: Path, target: Path, container: Container = "mp4") -> Iterator[None]:
    """Make a film's folder, and in the block what it grows as; OptionError where that can't be."""
    try:
        if container == "png" and target.exists() and not is_of_pictures(target):
            raise OptionError(
                f"{path}: is no folder of pictures that others could replace; name another"
            )
        if container != "png" and target.exists() and not target.is_file():
            raise OptionError(f"{path}: is no file that a film could replace; name another output")
        target.parent.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as exc:
        raise OptionError(f"{path}: can't be written: {exc.strerror}; {remedy(exc)}") from exc


def full_disk(words: str, folder: Path) -> str:
    """What to add to an ending where a disk is full, by ffmpeg's words or by the disk; or nothing.

    >>> full_disk("Error writing trailer: No space left on device", Path("renders"))
    '; its disk is full, make room'
    """
    is_full = "No space left" in words or "quota exceeded" in words
    with contextlib.suppress(OSError):
        is_full = is_full or shutil.disk_usage(folder).free < ROOM_BYTES
    return "; its disk is full, make room" if is_full else ""


def remedy(error: OSError) -> str:
    """What to do where a film can't be written.

    >>> remedy(OSError(errno.EROFS, "Read-only file system"))
    'name another output'
    """
    is_full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    return "make room for it or name another output" if is_full else "name another output"


def is_of_pictures(folder: Path) -> bool:
    """Whether a folder holds nothing but pictures that a film was rendered to."""
    return folder.is_dir() and all(_PICTURE.fullmatch(path.name) for path in folder.iterdir())


def begin(part: Path, container: Container) -> None:
    """Make what a film grows as."""
    if container == "png":
        part.mkdir()
    else:
        part.touch()


def files_of(part: Path) -> list[Path]:
    """The files that a film is."""
    return sorted(part.iterdir()) if part.is_dir() else [part]


def move(part: Path, target: Path) -> None:
    """Give a film its place, and remove the one that stood there; OSError where that can't be."""
    if not (part.is_dir() and target.exists()):
        part.replace(target)
        return
    # A folder that isn't empty can't be replaced in one step.
    before = part_of(target)
    target.rename(before)
    try:
        part.replace(target)
    except OSError:
        before.rename(target)
        raise
    shutil.rmtree(before, ignore_errors=True)


def not_moved(name: Path | str, error: OSError) -> EncodeError:
    """The error of a film that can't be given its place."""
    return EncodeError(
        f"{name}: the finished film can't be moved here: {error.strerror};"
        " close what has the old one open and render again"
    )


def remove(path: Path) -> None:
    """Remove a file or a folder, where that can be."""
    with contextlib.suppress(OSError):
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
