"""The program: where ffmpeg is, and which one."""

from __future__ import annotations

import subprocess
from functools import lru_cache

import imageio_ffmpeg

from animix.errors import EncodeError

POLL_SECONDS = 0.005
VERSION_SECONDS = 20
END_SECONDS = 2
"""How long a process or a thread that is about to end is waited for."""

FFMPEG_ADVICE = (
    "reinstall it with pip install --force-reinstall imageio-ffmpeg, or set IMAGEIO_FFMPEG_EXE to"
    " the path of an ffmpeg"
)


def find_ffmpeg() -> str:
    """The path of the ffmpeg that imageio-ffmpeg brings or finds; EncodeError if there is none."""
    try:
        return str(imageio_ffmpeg.get_ffmpeg_exe())
    except RuntimeError as exc:
        raise EncodeError(f"there is no ffmpeg here; {FFMPEG_ADVICE}") from exc


@lru_cache
def ffmpeg_version(executable: str) -> str:
    """What an ffmpeg says of itself; EncodeError where it doesn't start."""
    try:
        told = subprocess.run(
            [executable, "-version"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=VERSION_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as exc:
        reason = getattr(exc, "strerror", None) or exc
        raise EncodeError(
            f"{executable}: ffmpeg could not be started: {reason}; {FFMPEG_ADVICE}"
        ) from exc
    return told.stdout.decode(errors="replace")
