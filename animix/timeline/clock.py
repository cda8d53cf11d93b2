"""The clock of a timeline: how long frames and beats are, and where markers and sections lie."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction

from animix.errors import Mark, Mistake, OptionError, TimelineError
from animix.timeline.keyframes import Clip, Time
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

    def frames(self, clip: Clip, fps: Fraction) -> range:
        """The frames that a film shows of it, the last one too if it goes to the clip's end.

        TimelineError where it is over before its first frame.

        >>> second = Time(Fraction(1)), Time(Fraction(2))
        >>> clip = Clip(90, Fraction(30), Fraction(3), loop=False)
        >>> Section("hook", *second, Mark("reel.yaml", 1, 1)).frames(clip, fps=Fraction(30))
        range(30, 60)
        """
        num_frames, end = clip.num_frames_at(fps), clip.end_seconds
        start, stop = self.start.at(end), self.stop.at(end)
        stop_frame = num_frames if stop >= end else math.ceil(stop * fps)
        frames = range(math.ceil(start * fps), min(stop_frame, num_frames))
        if not frames:
            message = f"section {self.name} shows no frame at {float(fps):.4g} fps"
            hint = f"it lasts {float(stop - start):.3g} s"
            raise TimelineError([Mistake(self.mark, message, hint)])
        return frames


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
