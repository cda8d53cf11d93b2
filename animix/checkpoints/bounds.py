"""Bounds: how much of a file is taken in, whatever it says of itself."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from animix.errors import NetworkError

MAX_NAME = 200
"""Letters in a tensor's full name."""

MAX_ENTRIES = 4000
"""Tensors of a generator, ten times as many as the largest published one has."""


@dataclass
class Room:
    """How many bytes a file's tensors may yet take in memory.

    A file could name the same megabytes ten thousand times.
    """

    left: int

    @classmethod
    def of(cls, path: Path) -> Room:
        """Twice the file: half precision becomes float32."""
        return cls(2 * path.stat().st_size)

    def take(self, nbytes: int) -> None:
        """Count what is to be taken; NetworkError for more than there is room for."""
        self.left -= nbytes
        if self.left < 0:
            raise NetworkError("its tensors take more than the file holds")
