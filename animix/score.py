"""Scores: the curve of every parameter of a clip that moves, over its bars and its sound."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

import numpy as np

from animix.cast import find_networks, open_cast
from animix.checkpoints.load import load_network
from animix.errors import Mistake, SoundError, TimelineError
from animix.latents import KeyPath
from animix.sampling import make_schedule, w_indices
from animix.schedule import Column, Schedule
from animix.tables import count, short_path, shown
from animix.timeline.arrays import Floats
from animix.timeline.clock import BEATS_A_BAR
from animix.timeline.curves import resolve
from animix.timeline.edits import told
from animix.timeline.keyframes import Track
from animix.timeline.seams import edits
from animix.timeline.timeline import Bands, Timeline
from animix.timeline.walk import walk
from animix.vectors import open_directions, open_latents
from animix.video.hearing import samples_of
from animix.video.soundtrack import Soundtrack, mistake_of, open_soundtrack

MOST_STRIPS = 40
MOST_BEATS = 4000
"""Of a clip with more of them none are told."""
MOST_SOURCES = 200
"""Seeds and files of one path."""
PEAKS = 4800
"""Parts of a clip's sound whose loudest samples are told."""


@dataclass(frozen=True, eq=False)
class Line:
    """A parameter over the time of a clip."""

    name: str
    """What tells it from the others of its strip, such as ``4..32``."""
    values: Floats
    """[N], one a frame; in a strip of octaves resolutions."""
    keys: tuple[float, ...] = ()
    """Seconds at which its keys stand."""


@dataclass(frozen=True, eq=False)
class Strip:
    """Lines that are drawn over each other. Shares sum to 1 at each moment."""

    name: str
    lines: tuple[Line, ...]
    scale: Literal["linear", "octaves", "shares"] = "linear"

    @property
    def low(self) -> float:
        """The least value in it."""
        return min(float(line.values.min()) for line in self.lines)

    @property
    def high(self) -> float:
        """The largest value in it."""
        return max(float(line.values.max()) for line in self.lines)


@dataclass(frozen=True, eq=False)
class Score:
    """What a clip does when."""

    title: str
    told: str
    """Its length and its tempo, in words."""
    seconds: Floats
    """[N] when each frame is shown."""
    duration: Fraction
    """Seconds."""
    loop: bool
    strips: tuple[Strip, ...]
    still: tuple[str, ...]
    """What stands still, each with its value."""
    bar: float | None = None
    """Seconds; None: without a tempo."""
    first_bar: float = 0.0
    """When bar 1 begins."""
    markers: tuple[tuple[str, float], ...] = ()
    """Their names and times, in the order of time."""
    sections: tuple[tuple[str, float, float], ...] = ()
    """Their names, starts and ends."""
    peaks: Floats | None = None
    """[M, 2] the lowest and highest sample in each of M even parts; None: silent."""
    notes: tuple[str, ...] = ()
    """What the user should know."""

    def beats(self) -> list[tuple[float, bool]]:
        """When each beat is, and whether a bar begins with it; none without a tempo."""
        if self.bar is None:
            return []
        beat = self.bar / BEATS_A_BAR
        first = math.ceil(-self.first_bar / beat - 1e-9)
        last = math.floor((float(self.duration) - self.first_bar) / beat + 1e-9)
        if last - first > MOST_BEATS:
            return []
        return [(self.first_bar + n * beat, n % BEATS_A_BAR == 0) for n in range(first, last + 1)]

    def place(self, seconds: float) -> str:
        """A time in bars, as timelines write it; empty where there are none, or before the first.

        >>> score = Score("", "", np.zeros(1), Fraction(8), True, (), (), bar=2.0)
        >>> score.place(4.0), score.place(4.5), score.place(4.6)
        ('bar 3', 'bar 3 beat 2', '')
        """
        if self.bar is None or seconds < self.first_bar - 1e-6:
            return ""
        beats = (seconds - self.first_bar) / self.bar * BEATS_A_BAR
        if abs(beats - round(beats)) > 1e-4:
            return ""
        bar, beat = divmod(round(beats), BEATS_A_BAR)
        return f"bar {bar + 1}" + (f" beat {beat + 1}" if beat else "")

    def value(self, line: Line, seconds: float) -> float:
        """The value of a line at a moment: that of the first frame from it on."""
        index = int(np.searchsorted(self.seconds, seconds - 1e-6))
        if index == len(self.seconds):
            index = 0 if self.loop else index - 1
        return float(line.values[index])


def open_score(timeline: Timeline) -> Score:
    """The score of a timeline's first film, for which only the base and its mapping are opened.

    Nothing is painted, so an ``even`` walk is told as if it were none. Raises TimelineError with
    what the timeline asks for and that isn't there or can't be done.
    """
    runs = find_networks(timeline)
    counts = {name: len(files) for name, files in runs.items()}
    names = dict.fromkeys(layer.network for layer in timeline.blend)
    columns = [Column(name, n, counts[name]) for name in names for n in range(1, counts[name] + 1)]
    base = columns[counts[columns[0].network] - 1]
    home, _ = open_cast(timeline, [base], runs, load_network)
    mistakes: list[Mistake] = []
    open_latents(timeline, home.facts, mistakes)
    directions = open_directions(timeline, home, mistakes)
    try:
        schedule = make_schedule(timeline, home.facts, columns, directions)
        soundtrack = open_soundtrack(timeline.audio, schedule.clip)
    except TimelineError as error:
        raise TimelineError([*mistakes, *error.mistakes]) from error
    if mistakes:
        raise TimelineError(mistakes)
    output = timeline.output
    of_film = schedule.film(output.fps or schedule.clip.fps, output.fit or timeline.frame.fit)
    notes = list(timeline.notes)
    if any(band.path.even for band in timeline.latents):
        notes.append("latents: even is measured in pictures, so this is the walk without it")
    return score_of(timeline, of_film, soundtrack, notes)


def score_of(
    timeline: Timeline,
    schedule: Schedule,
    soundtrack: Soundtrack | None,
    notes: Sequence[str] = (),
) -> Score:
    """The score of a film's frames, which ``schedule`` has."""
    end, clock = schedule.clip.end_seconds, schedule.clock
    told = f"{float(schedule.num_frames / schedule.fps):.4g} s, "
    told += f"{count(schedule.num_frames, 'frame')} at {float(schedule.fps):.4g} fps"
    if clock.bpm is not None:
        told += f", {float(clock.bpm):.4g} beats a minute"
    told += ", a loop" if schedule.clip.loop else ""
    strips, still = _Sorting(timeline, schedule).sorted()
    more = [strip.name for strip in strips[MOST_STRIPS:]]
    if more:
        notes = [*notes, f"{len(more)} parameters more that move are not drawn: {more[0]}, …"]
    markers = [
        (name, float(time.at(end))) for name, time in clock.markers.items() if time is not None
    ]
    sections = [
        (each.name, float(each.start.at(end)), float(each.stop.at(end)))
        for each in clock.sections.values()
        if each is not None
    ]
    bar = None if clock.bpm is None else float(60 * BEATS_A_BAR / clock.bpm)
    return Score(
        title=shown(timeline.title, 60),
        told=told,
        seconds=schedule.instants.numbers / float(schedule.instants.rate),
        duration=schedule.num_frames / schedule.fps,
        loop=schedule.clip.loop,
        strips=tuple(strips[:MOST_STRIPS]),
        still=tuple(still),
        bar=bar,
        first_bar=float(clock.first_beat_seconds),
        markers=tuple(sorted(markers, key=lambda marker: marker[1])),
        sections=tuple(sorted(sections, key=lambda section: section[1])),
        peaks=_peaks(timeline, soundtrack),
        notes=tuple(notes),
    )


def _peaks(timeline: Timeline, soundtrack: Soundtrack | None) -> Floats | None:
    """The extremes of a sound as it is heard in the clip."""
    if soundtrack is None or timeline.audio is None:
        return None
    try:
        samples = samples_of(soundtrack)
    except SoundError as error:
        raise mistake_of(timeline.audio, "file", str(error)) from error
    starts = np.unique(np.linspace(0, len(samples), PEAKS, endpoint=False).astype(np.int64))
    low = np.minimum.reduceat(samples.min(axis=1), starts)
    return np.stack([low, np.maximum.reduceat(samples.max(axis=1), starts)], axis=1)


class _Sorting:
    """Sorts a schedule's parameters into those that move and those that stand still."""

    def __init__(self, timeline: Timeline, schedule: Schedule) -> None:
        self.timeline = timeline
        self.schedule = schedule
        self.strips: list[Strip] = []
        self.still: list[str] = []

    def sorted(self) -> tuple[list[Strip], list[str]]:
        """The strips, from the bottom of the stack to the frame, and what stands still."""
        timeline, schedule = self.timeline, self.schedule
        resolutions = schedule.facts.resolutions
        of_ws = schedule.facts.ws_resolutions
        for number, (layer, samples) in enumerate(
            zip(timeline.blend, schedule.layers, strict=True)
        ):
            name = layer.network
            if number:  # of the base only the snapshot counts
                octaves = np.round(2.0**samples.swap_octaves, 6)
                self._add(f"swap of {name}", [("", octaves, layer.swap)], "octaves")
                self._add(f"width of {name}", [("", samples.width, layer.width)])
                self._add(f"alpha of {name}", self._bands(layer.alpha, samples.alpha, resolutions))
            if len(samples.columns) > 1 or not layer.snapshot.is_constant:
                self._add(f"snapshot of {name}", [("", samples.position, layer.snapshot)])
        walks = [band for band in timeline.latents if w_indices(band, schedule.facts)]
        for band, walked in zip(walks, schedule.paths, strict=True):
            where = f" at {_told(band.low, band.high)}" if len(timeline.latents) > 1 else ""
            keys = self._keys(walk(band.path, schedule.clip))
            names = [str(source) for source in walked.sources]
            self._shares(f"latents{where}", walked.path, names, keys)
        self._add("truncation", self._bands(timeline.truncation, schedule.psi, of_ws))
        for edit, pushed in zip(edits(timeline), schedule.edits, strict=False):
            lines = self._bands(edit.amount, pushed.amount, of_ws)
            self._add(f"edit {short_path(told(edit.direction), 14)}", lines)
        if timeline.label is not None and schedule.classes is not None:
            names = [str(number) for number in range(int(schedule.classes.keys.max()) + 1)]
            self._shares("label", schedule.classes, names, self._keys(timeline.label))
        frame, written = schedule.frame, timeline.frame
        self._add("zoom", [("", frame.zoom, written.zoom)])
        pans = [("x", frame.pan_x, written.pan_x), ("y", frame.pan_y, written.pan_y)]
        self._add("pan", pans)
        self._add("rotate", [("", frame.rotate, written.rotate)])
        noise = timeline.noise
        period = noise.period_seconds
        self.still.append(f"noise {noise.kind}" + (f" {float(period):.4g} s" if period else ""))
        return self.strips, self.still

    def _bands(
        self, bands: Bands, samples: Sequence[Floats], resolutions: Sequence[int]
    ) -> list[tuple[str, Floats, Track]]:
        """The tracks that rule resolutions of these networks, each with its samples."""
        found = []
        for band in bands.bands:
            ruled = [n for n, r in enumerate(resolutions) if bands.track_at(r) is band.track]
            for place in ruled[:1]:
                everywhere = band.low == 0 and band.high is None
                name = "" if everywhere else _told(band.low, band.high)
                found.append((name, samples[place], band.track))
        return found

    def _add(
        self,
        name: str,
        lines: Sequence[tuple[str, Floats, Track]],
        scale: Literal["linear", "octaves"] = "linear",
    ) -> None:
        """Note a parameter with the lines that it has."""
        num_frames = self.schedule.num_frames
        if any(np.ptp(samples) > 0 for _, samples, _ in lines):
            drawn = [
                Line(line, np.broadcast_to(samples, num_frames), self._keys(track))
                for line, samples, track in lines
            ]
            self.strips.append(Strip(name, tuple(drawn), scale))
        elif lines:
            values = [f"{line} {samples[0]:.4g}".strip() for line, samples, _ in lines]
            self.still.append(f"{name} {', '.join(values)}")

    def _shares(
        self, name: str, path: KeyPath, names: Sequence[str], keys: tuple[float, ...]
    ) -> None:
        """Note what a path is made of at each moment: sources of one name are one line."""
        if len(set(names)) > MOST_SOURCES:
            self.still.append(f"{name}: {len(set(names))} of them, too many to draw")
            return
        weights: dict[str, Floats] = {}
        for number, source in enumerate(names):
            weight = np.where(path.keys == number, path.weights, 0.0).sum(axis=1)
            weights[source] = weights.get(source, 0.0) + weight
        weights = {source: weight for source, weight in weights.items() if np.any(weight)}
        if len(weights) == 1:
            self.still.append(f"{name} {short_path(next(iter(weights)), 24)}")
            return
        num_frames = self.schedule.num_frames
        lines = [
            Line(short_path(source, 24), np.broadcast_to(weight, num_frames), keys)
            for source, weight in weights.items()
        ]
        if all(np.ptp(line.values) == 0 for line in lines):
            parts = [f"{line.values[0]:.3g} of {line.name}" for line in lines]
            self.still.append(f"{name} {', '.join(parts)}")
        else:
            self.strips.append(Strip(name, tuple(lines), "shares"))

    def _keys(self, track: Track) -> tuple[float, ...]:
        """When the keys of a track stand, if it has any to speak of."""
        if track.is_constant or len(track.keys) + len(track.repeats) < 2:
            return ()
        # Where keys stand doesn't depend on their values, so any number does for a word.
        plain = track.with_values(lambda value: 4.0 if isinstance(value, str) else value)
        return tuple(float(time) for time in resolve(plain, self.schedule.clip).times)


def _told(low: int, high: int | None) -> str:
    """A range of resolutions as timelines write it."""
    return str(low) if low == high else f"{low}..{high or ''}"


def moments(duration: Fraction, step: Fraction, first: Fraction) -> list[Fraction]:
    """The moments of a clip that are a step apart, such that ``first`` is or would be one of them.

    >>> [str(each) for each in moments(Fraction(4), Fraction(3, 2), Fraction(7, 2))]
    ['1/2', '2', '7/2']
    """
    start = first % step
    num_moments = math.ceil((duration - start) / step)
    return [start + number * step for number in range(num_moments)] or [Fraction(0)]


def pieces(count: int) -> Iterator[range]:
    """So many steps in lines of even length, whole phrases of 12 or 8 if they come out even.

    >>> [len(line) for line in pieces(16)], [len(line) for line in pieces(13)]
    ([8, 8], [7, 6])
    """
    most = 12
    length = count
    if count > most:
        even = [each for each in (12, 8, 10, 9) if count % each == 0]
        length = even[0] if even else -(-count // -(-count // most))
    for start in range(0, count, length):
        yield range(start, min(start + length, count))
