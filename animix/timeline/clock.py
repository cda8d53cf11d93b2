"""The clock of a timeline: how long frames and beats are, and where markers and sections lie."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction

from animix.errors import Mark, OptionError
from animix.timeline.keyframes import Time
from animix.timeline.misread import Consequence

BEATS_A_BAR = 4
SLOWEST_BPM = 1
FASTEST_BPM = 1000


@dataclass(frozen=True)
class Section:
    """A named part of a clip."""

    name: str
    start: Time
    stop: Time
    """Not included."""
    mark: Mark


@dataclass(frozen=True)
class Clock:
    """What times are told by.

    >>> Clock(fps=Fraction(30), bpm=Fraction(128)).beats_seconds(Fraction(32))
    Fraction(15, 1)
    """

    fps: Fraction
    bpm: Fraction | None = None
    """Beats a minute; None: the timeline doesn't say."""
    first_beat_seconds: Fraction = Fraction(0)
    """Where in the clip bar 1 begins; below 0 it began before the clip."""
    markers: Mapping[str, Time | None] = field(default_factory=dict)
    """None: it can't be read, which is told where it stands."""
    sections: Mapping[str, Section | None] = field(default_factory=dict)
    """As markers."""

    def __post_init__(self) -> None:
        if self.bpm is not None and not SLOWEST_BPM <= self.bpm <= FASTEST_BPM:
            raise OptionError(
                f"{float(self.bpm):g} beats a minute: expected {SLOWEST_BPM} to {FASTEST_BPM}"
            )

    def beats_seconds(self, beats: Fraction) -> Fraction:
        """How long so many beats are; Consequence where the timeline has no tempo."""
        if self.bpm is None:
            raise Consequence("bpm", "beats and bars need a bpm", "write audio: {bpm: 128}")
        return beats * 60 / self.bpm
