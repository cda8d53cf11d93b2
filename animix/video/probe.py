"""Probes: how many frames are in what ffmpeg has written."""

from __future__ import annotations

import subprocess
from pathlib import Path

from animix.timeline.formats import Container
from animix.video.mp4 import count_frames


def frames_in(path: Path, container: Container, executable: str) -> int:
    """How many frames a finished film holds: an MP4's own table says so, of others packets count.

    None of them is decoded; 0 where the file can't be read. Pictures are counted by their files.
    """
    if container == "png":
        return len(list(path.iterdir()))
    if container in ("mp4", "mov"):
        return count_frames(path)
    told = subprocess.run(
        [
            *(executable, "-nostdin", "-v", "error", "-i", f"file:{path}"),
            *("-map", "0:v:0", "-c", "copy", "-f", "framehash", "-hash", "adler32", "-"),
        ],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )
    return sum(not line.startswith(b"#") for line in told.stdout.splitlines())
