"""A whole file: what is written appears under its name when it is finished, or not at all."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from animix.errors import OptionError


@contextlib.contextmanager
def whole_file(target: Path) -> Iterator[Path]:
    """A path to write to, beside ``target``, that takes its place when the block ends well.

    Missing folders are made, and who may read the file is as the umask says, however it is written.
    OptionError where nothing can be written; what stood there stays.
    """
    # A link stays a link: what it leads to is written.
    target = Path(os.path.realpath(target))
    part = target.with_name(f".{target.name}.part-{os.getpid()}")
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
