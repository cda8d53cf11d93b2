"""A whole file: what is written appears under its name when it is finished, or not at all."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from animix.errors import OptionError


@contextlib.contextmanager
def whole_file(target: Path) -> Iterator[Path]:
    """A path to write to, beside ``target``, that takes its place when the block ends well.

    Missing folders are made. OptionError where nothing can be written; what stood there stays.
    """
    # A link stays a link: what it leads to is written.
    target = Path(os.path.realpath(target))
    part = target.with_name(f".{target.name}.part-{os.getpid()}")
    try:
        if target.exists() and not target.is_file():
            raise OptionError(f"{target} is no regular file; name another")
        target.parent.mkdir(parents=True, exist_ok=True)
        yield part
        part.replace(target)
    except OSError as exc:
        raise OptionError(f"{target} can't be written: {exc.strerror or exc}") from exc
    finally:
        with contextlib.suppress(OSError):
            part.unlink()
