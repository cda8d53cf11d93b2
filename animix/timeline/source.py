"""The text of a timeline's file, or in words why there is none."""

from __future__ import annotations

import stat
from pathlib import Path

from animix.timeline.document import MOST_CHARACTERS
from animix.timeline.misread import Misread


def source_text(path: Path) -> str:
    """The text of a file; Misread where it is none that a timeline could be in."""
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            kind = "a folder" if stat.S_ISDIR(status.st_mode) else "no regular file"
            raise Misread(f"is {kind}, expected a timeline in YAML")
        if status.st_size > MOST_CHARACTERS:
            raise Misread("is larger than a mebibyte, too large for a timeline")
        return path.read_bytes().decode("utf-8")
    except Misread:
        raise
    except FileNotFoundError as error:
        raise Misread("there is no such file") from error
    except UnicodeDecodeError as error:
        message = f"is no UTF-8 text (byte {error.start}): is it a timeline in YAML?"
        raise Misread(message) from error
    except (OSError, ValueError) as error:
        raise Misread(f"can't be read: {getattr(error, 'strerror', None) or error}") from error
