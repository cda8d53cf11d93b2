"""The order: what is asked for of a data set."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from animix.errors import OptionError
from animix.pairs.layout import Layout
from animix.pairs.picture_file import PictureFormat
from animix.pairs.sieve import Sieve

SIDES = (4, 8192)
"""Pixels a side that pictures may be asked for with."""


@dataclass(frozen=True)
class Order:
    """What is asked for: how many pairs, as what they are written, and which are kept."""

    count: int | None = None
    """None: one for each projected photo."""
    layout: Layout = field(default_factory=Layout)
    picture_format: PictureFormat = field(default_factory=PictureFormat)
    side: int | None = None
    """Pixels of a picture; None: the networks' own."""
    sieve: Sieve = field(default_factory=Sieve)
    best: float | None = None
    """The share of latents to keep, by their scores."""

    def __post_init__(self) -> None:
        if self.count is not None and self.count < 1:
            raise OptionError(f"--count {self.count}: expected 1 or more")
        if self.side is not None and not SIDES[0] <= self.side <= SIDES[1]:
            raise OptionError(f"--size {self.side}: expected {SIDES[0]} to {SIDES[1]} pixels")
        if self.best is not None and not 0 < self.best < 1:
            raise OptionError(f"--best {self.best:g}: expected a share between 0 and 1")
        if self.best is not None and self.sieve.min_score is not None:
            raise OptionError("--best and --min-score both say what is kept: give one of them")

    @property
    def scores(self) -> bool:
        """Whether pictures are to be scored."""
        return self.best is not None or self.sieve.min_score is not None

    def settings(self) -> dict[str, Any]:
        """What of it has to stay the same where a data set goes on: all but the count."""
        return {
            "layout": self.layout.name,
            "test": self.layout.test_share,
            "format": self.picture_format.name,
            "quality": self.picture_format.quality,
            "size": self.side,
            "distinct": self.sieve.distinct,
            "min_score": self.sieve.min_score,
            "best": self.best,
        }
