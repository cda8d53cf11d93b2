"""A whole file: what is written appears under its name when it is finished, or not at all."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import itertools
import os
import re
import secrets
import stat
import time
from collections.abc import Iterator
from pathlib import Path

from animix.errors import OptionError

_PROCESS = secrets.token_hex(3)
"""Tells this process from an earlier one of the same number, as a container's first always has."""
_COUNT = itertools.count()

_PART = re.compile(
    r"(?<![^/\\\s:'\"])\.([^/\\\n]+?)\.part-[0-9]{1,10}-[0-9a-f]{6}-[0-9]+(?:[/\\][^\s:'\"]*)?"
)
"""A part, and what stands in it if it is a folder."""

LARGEST_KEPT_BYTES = 1 << 20
SETTLED_NS = 2_000_000_000
"""A file that changed within these may change again, and its times not tell."""


def part_of(target: Path) -> Path:
    """A hidden name beside ``target`` that nobody else has, for what is to take its place."""
    return target.with_name(f".{target.name}.part-{ending_of_ours()}")


def without_parts(text: str) -> str:
    """A text with the names of what is to take their place instead of such hidden ones.

    >>> without_parts("films/.reel.gif.part-12345-9f86d0-7/clip.nut: No space left on device")
    'films/reel.gif: No space left on device'
    """
    return _PART.sub(r"\1", text)


def ending_of_ours() -> str:
    """The end of a name that tells whose it is: ``12345-9f86d0-7``."""
    return f"{os.getpid()}-{_PROCESS}-{next(_COUNT)}"


def is_left_over(name: str) -> bool:
    """Whether a name with such an end is that of a process that is gone.

    >>> is_left_over(part_of(Path("reel.mp4")).name), is_left_over("reel-1.mp4")
    (False, False)
    """
    found = re.search(r"-([0-9]{1,10})-([0-9a-f]{6})-[0-9]+$", name)
    if found is None:
        return False
    if int(found[1]) == os.getpid():
        return found[2] != _PROCESS
    return not _is_alive(int(found[1]))


def _is_alive(process: int) -> bool:
    if os.name == "nt":  # there a signal 0 is a Ctrl-C
        return True
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:  # somebody else's
        return True
    return True


def state_of(path: Path) -> str:
    """What changes when a file's content does; another text each time for one that just has."""
    found = path.stat()
    changed = max(found.st_mtime_ns, found.st_ctime_ns)
    is_settled = abs(time.time_ns() - changed) > SETTLED_NS
    settled = "" if is_settled else f" {time.time_ns()}"
    # Not by its size and date alone: snapshots have one size, and a copy may keep its date.
    return f"{found.st_size} {found.st_mtime_ns} {found.st_ctime_ns} {found.st_ino}{settled}"


def kept_text(path: Path) -> str:
    """The text of a small file that was kept here before; OSError where there is none.

    What lies beside a stranger's timeline may be a link to anything: only a regular file of up to
    a mebibyte is opened, or reading it might never end.
    """
    found = path.stat()
    if not stat.S_ISREG(found.st_mode) or found.st_size > LARGEST_KEPT_BYTES:
        raise OSError(errno.EINVAL, "is nothing that was kept here", str(path))
    return path.read_text(encoding="utf-8")


@contextlib.contextmanager
def whole_file(target: Path) -> Iterator[Path]:
    """A path to write to, beside ``target``, that takes its place when the block ends well.

    Missing folders are made, and who may read the file is as the umask says, however it is written.
    OptionError where nothing can be written; what stood there stays.
    """
    # A link stays a link: what it leads to is written.
    target = Path(os.path.realpath(target))
    part = part_of(target)
    try:
        if target.exists() and not target.is_file():
            raise OptionError(f"{target} is no regular file; name another")
        target.parent.mkdir(parents=True, exist_ok=True)
        part.touch()
        mode = stat.S_IMODE(part.stat().st_mode)
        yield part
        # Some libraries make a file of their own, for its owner alone, and give it the name.
        if stat.S_IMODE(part.stat().st_mode) != mode:
            part.chmod(mode)
        part.replace(target)
    except OSError as exc:
        raise OptionError(f"{target} can't be written: {exc.strerror or exc}") from exc
    finally:
        with contextlib.suppress(OSError):
            part.unlink()


def digest_of(path: Path) -> str:
    """The SHA-256 of a file."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
