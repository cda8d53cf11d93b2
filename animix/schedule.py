"""The schedule: a timeline and what its networks are like → one row a frame. No torch."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import cached_property
from typing import Literal

import numpy as np

from animix.errors import OptionError
from animix.latents import Direction, KeyPath
from animix.mix import Overlay, share, snapshot_weights, stack
from animix.networks.facts import NetworkFacts
from animix.timeline.arrays import Floats
from animix.timeline.clock import Clock
from animix.timeline.framing import Fit, Framing
from animix.timeline.grid import Grid, Panel
from animix.timeline.instants import Instants, even
from animix.timeline.keyframes import Clip
from animix.timeline.misread import Misread
from animix.timeline.timeline import Noise
from animix.timeline.times import parse_time


@dataclass(frozen=True)
class Column:
    """One network of the mix: a name of the timeline and, in a run, the number of the snapshot.

    >>> str(Column("anime", 3, num_snapshots=4)), str(Column("faces", 1, num_snapshots=1))
    ('anime-3', 'faces')
    """

    network: str
    snapshot: int
    """Counted from 1."""
    num_snapshots: int

    def __str__(self) -> str:
        return self.network if self.num_snapshots == 1 else f"{self.network}-{self.snapshot}"


@dataclass(frozen=True)
class NoiseState:
    """The noise images of one frame."""

    kind: Literal["fixed", "none", "random", "loop"]
    seed: int = 0
    """For ``random``."""
    turn: float = 0.0
    """For ``loop``: the place on the circle, 0..1."""


@dataclass(frozen=True)
class PathPoint:
    """A point on a path through latent space, and the w indices that it rules."""

    indices: range
    latents: tuple[tuple[int | str, float], ...]
    """Seeds and projected files, with their weights."""
    space: Literal["w", "z"]
    """Where the latents are weighed."""


@dataclass(frozen=True)
class Row:
    """Everything that decides one frame's pixels, and nothing else."""

    index: int
    time_seconds: Fraction
    mix: Floats
    """[L, K], a coefficient per layer and network; rows sum to 1."""
    points: tuple[PathPoint, ...]
    """Where the frame stands on each path; their w indices follow each other from 0 up."""
    psi: Floats
    """[num_ws]"""
    edits: tuple[tuple[Direction, Floats], ...]
    """Directions along which the ws are pushed, after truncation, and how far each: [num_ws]."""
    labels: tuple[tuple[int, float], ...]
    """Classes and their weights; empty for networks without classes."""
    noise: NoiseState
    framing: Framing


@dataclass(frozen=True, eq=False)
class LayerSamples:
    """The tracks of one layer of the stack; every array has one entry a frame, or just one."""

    columns: tuple[int, ...]
    position: Floats
    """Of the snapshot in its run."""
    swap_octaves: Floats
    width: Floats
    alpha: tuple[Floats, ...]
    """One array for each of the L layers of the networks."""
    take: Literal["high", "low"]


@dataclass(frozen=True, eq=False)
class PathSamples:
    """A path through latent space, and the w indices that it rules."""

    indices: range
    sources: tuple[int | str, ...]
    """The seed or file of each latent key."""
    space: Literal["w", "z"]
    path: KeyPath

    def at(self, index: int) -> PathPoint:
        """Where it is at a frame."""
        latents = tuple((self.sources[key], weight) for key, weight in self.path.at(index))
        return PathPoint(self.indices, latents, self.space)


@dataclass(frozen=True, eq=False)
class EditSamples:
    """A direction in W, and how far along it each w index is pushed."""

    direction: Direction
    amount: tuple[Floats, ...]
    """One array for each w index; every array has one entry a frame, or just one."""


@dataclass(frozen=True, eq=False)
class FrameSamples:
    """The tracks of the framing; every array has one entry a frame, or just one."""

    fit: Fit
    zoom: Floats
    pan_x: Floats
    pan_y: Floats
    rotate: Floats
    background: tuple[int, int, int]

    def at(self, index: int) -> Framing:
        """How the picture of a frame lies on the canvas."""
        return self._still or self._at(index)

    @cached_property
    def _still(self) -> Framing | None:
        """How it lies in all frames, where nothing of it moves: checked once for all of them."""
        tracks = (self.zoom, self.pan_x, self.pan_y, self.rotate)
        return self._at(0) if all(len(samples) == 1 for samples in tracks) else None

    def _at(self, index: int) -> Framing:
        return Framing(
            fit=self.fit,
            zoom=at(self.zoom, index),
            pan_x=at(self.pan_x, index),
            pan_y=at(self.pan_y, index),
            rotate=at(self.rotate, index),
            background=self.background,
        )


def at(samples: Floats, index: int) -> float:
    """The sample of a frame; a track that stands still has one for all."""
    return float(samples[index % len(samples)])


def each_of(samples: Floats, frames: range) -> Floats:
    """The samples of frames: [N]; a track that stands still has one for all."""
    found: Floats = samples[np.asarray(frames) % len(samples)]
    return found


def all_of(tracks: Sequence[Floats], frames: range) -> Floats:
    """The samples of frames in several tracks, many of which are one and the same: [N, tracks]."""
    known: dict[int, Floats] = {}
    for samples in tracks:
        if id(samples) not in known:
            known[id(samples)] = each_of(samples, frames)
    return np.stack([known[id(samples)] for samples in tracks], axis=1)


BLEND = Panel()
"""The whole stack on the timeline's own path."""


@dataclass(frozen=True, eq=False)
class Schedule:
    """One row a frame; made by ``animix.sampling.make_schedule``."""

    clip: Clip
    instants: Instants
    """When each frame is taken: those of one film, or of all films of a timeline."""
    loop_reason: str
    """One line that says why the clip loops or doesn't."""
    facts: NetworkFacts
    columns: tuple[Column, ...]
    """The K networks of the mix."""
    layers: tuple[LayerSamples, ...]
    paths: tuple[PathSamples, ...]
    """Their w indices follow each other from 0 up."""
    psi: tuple[Floats, ...]
    """One array for each w index."""
    edits: tuple[EditSamples, ...]
    classes: KeyPath | None
    noise: Noise
    frame: FrameSamples
    clock: Clock
    """What times are told by, but for frames, which are the film's."""
    grid: Grid = field(default_factory=Grid)
    """What each frame shows, one panel beside the other."""
    further_paths: tuple[tuple[PathSamples, ...], ...] = ()
    """As ``paths``, for each further path of the grid."""

    @property
    def num_frames(self) -> int:
        """N."""
        return len(self.instants)

    @property
    def fps(self) -> Fraction:
        """Frames a second; of several films at once the rate at which their instants count."""
        return self.instants.rate

    def film(self, fps: Fraction, fit: Fit) -> Schedule:
        """The frames that one film shows of these, which are those of all films."""
        instants = even(self.clip.num_frames_at(fps), fps)
        if len(instants) == self.num_frames:
            return replace(self, instants=instants, frame=replace(self.frame, fit=fit))
        places = self.instants.places(instants)

        def taken(samples: Floats) -> Floats:
            return samples if len(samples) == 1 else samples[places]

        def on_path(path: KeyPath) -> KeyPath:
            alone = len(path.keys) == 1
            return path if alone else KeyPath(path.keys[places], path.weights[places])

        def on_paths(paths: Sequence[PathSamples]) -> tuple[PathSamples, ...]:
            return tuple(replace(each, path=on_path(each.path)) for each in paths)

        return replace(
            self,
            instants=instants,
            layers=tuple(
                replace(
                    layer,
                    position=taken(layer.position),
                    swap_octaves=taken(layer.swap_octaves),
                    width=taken(layer.width),
                    alpha=_of_each(taken, layer.alpha),
                )
                for layer in self.layers
            ),
            paths=on_paths(self.paths),
            further_paths=tuple(map(on_paths, self.further_paths)),
            psi=_of_each(taken, self.psi),
            edits=tuple(replace(edit, amount=_of_each(taken, edit.amount)) for edit in self.edits),
            classes=on_path(self.classes) if self.classes else None,
            frame=replace(
                self.frame,
                fit=fit,
                zoom=taken(self.frame.zoom),
                pan_x=taken(self.frame.pan_x),
                pan_y=taken(self.frame.pan_y),
                rotate=taken(self.frame.rotate),
            ),
        )

    def mix(self, index: int, num_overlays: int | None = None) -> Floats:
        """The mix [L, K] of a frame, of the whole stack or of the base and its lowest overlays."""
        mix: Floats = self.mixes(range(index, index + 1), num_overlays=num_overlays)[0]
        return mix

    def columns_in(self, frames: range) -> list[int]:
        """The columns that may have a share in some frames, in the order in which they come in."""
        first_seen: dict[int, int] = {}
        shown = [panel.network for panel in self.grid.panels]
        for layer in self.layers:
            position = layer.position
            if self.columns[layer.columns[0]].network in shown:
                position = np.maximum(position, 1)
            position = position[frames.start : frames.stop] if len(position) > 1 else position
            for numbers in (np.floor(position), np.ceil(position)):
                # Below the first snapshot lies what is under it in the stack.
                for number, frame in zip(*np.unique(numbers, return_index=True), strict=True):
                    if number >= 1 and len(frames):
                        column = layer.columns[min(int(number), len(layer.columns)) - 1]
                        first_seen[column] = min(int(frame), first_seen.get(column, int(frame)))
        return sorted(first_seen, key=lambda column: (first_seen[column], column))

    def row(self, index: int, panel: Panel = BLEND) -> Row:
        """Everything that decides the pixels of a frame, 0 … N−1, or of one panel of it."""
        return self.rows(range(index, index + 1), panel)[0]

    def rows(self, frames: range, panel: Panel = BLEND) -> list[Row]:
        """The rows of frames, each as ``row`` has it; 32 together take a tenth of their time."""
        for index in (min(frames), max(frames)):
            if not 0 <= index < self.num_frames:
                raise OptionError(f"frame {index}: this clip has frames 0 to {self.num_frames - 1}")
        each_mix, each_psi = self.mixes(frames, panel), all_of(self.psi, frames)
        each_edit = [(edit.direction, all_of(edit.amount, frames)) for edit in self.edits]
        return [
            self._row(
                index,
                self.paths_of(panel),
                each_mix[place],
                each_psi[place],
                tuple((direction, amounts[place]) for direction, amounts in each_edit),
            )
            for place, index in enumerate(frames)
        ]

    def _row(
        self,
        index: int,
        paths: Sequence[PathSamples],
        mix: Floats,
        psi: Floats,
        edits: tuple[tuple[Direction, Floats], ...],
    ) -> Row:
        time_seconds = self.instants.seconds(index)
        return Row(
            index=index,
            time_seconds=time_seconds,
            mix=mix,
            points=tuple(path.at(index) for path in paths),
            psi=psi,
            edits=edits,
            labels=self.classes.at(index) if self.classes else (),
            noise=noise_state(self.noise, time_seconds),
            framing=self.frame.at(index),
        )

    def paths_of(self, panel: Panel) -> tuple[PathSamples, ...]:
        """The paths that a panel shows, by resolution."""
        return self.further_paths[panel.path - 1] if panel.path else self.paths

    def position_of(self, network: str) -> Floats | None:
        """Where a network's lowest layer has it in its run; None: it is not in the stack."""
        for layer in self.layers:
            if self.columns[layer.columns[0]].network == network:
                return layer.position
        return None

    def _alone(self, frames: range, network: str) -> Floats:
        """The mixes [N, L, K] in which a network has everything, at its first snapshot or later."""
        columns = [n for n, column in enumerate(self.columns) if column.network == network]
        position = self.position_of(network)
        if position is None:
            position = np.full(1, float(len(columns)))
        places = np.maximum(each_of(position, frames), 1)
        weights = snapshot_weights(places, len(columns))[:, None, 1:]
        mixes = np.zeros((len(frames), len(self.facts.layers), len(self.columns)))
        mixes[..., columns] = weights
        return mixes

    def mixes(self, frames: range, panel: Panel = BLEND, num_overlays: int | None = None) -> Floats:
        """The mixes of frames: [N, L, K]."""
        if panel.network is not None:
            return self._alone(frames, panel.network)
        stacked = self.layers if num_overlays is None else self.layers[: 1 + num_overlays]
        overlays = [
            Overlay(
                share=share(
                    each_of(layer.swap_octaves, frames),
                    width=each_of(layer.width, frames),
                    alpha=all_of(layer.alpha, frames),
                    take=layer.take,
                    resolutions=self.facts.resolutions,
                ),
                columns=layer.columns,
                position=each_of(layer.position, frames),
            )
            for layer in stacked
        ]
        return stack(overlays, len(self.columns))

    def frame_at(self, text: str) -> int:
        """The frame on the screen at a time such as ``2s``, ``50%`` or ``end - 1s``.

        OptionError for what is no time or lies outside the clip.
        """
        try:
            seconds = parse_time(text, replace(self.clock, fps=self.fps)).at(self.clip.end_seconds)
        except Misread as exc:
            raise OptionError(f"--at: {exc.message}; {exc.hint}".removesuffix("; ")) from exc
        end = self.clip.end_seconds
        if not 0 <= seconds <= max(self.clip.duration_seconds, end):
            raise OptionError(
                f"--at {text} lies outside the clip, which lasts "
                f"{float(self.clip.duration_seconds):g} s"
            )
        # In a loop the end is the start; without, the last frame stands until the clip is over.
        if self.clip.loop and seconds >= end:
            return 0
        return min(math.floor(seconds * self.fps), self.num_frames - 1)


def _of_each(taken: Callable[[Floats], Floats], tracks: Sequence[Floats]) -> tuple[Floats, ...]:
    """What is taken of several tracks, many of which are one and the same, and stay so."""
    known = {id(samples): taken(samples) for samples in tracks}
    return tuple(known[id(samples)] for samples in tracks)


def noise_state(noise: Noise, time_seconds: Fraction) -> NoiseState:
    """The noise images at an instant: a function of the time alone, at any frame rate."""
    if noise.kind == "loop" and noise.period_seconds is not None:
        return NoiseState("loop", turn=float(time_seconds / noise.period_seconds % 1))
    if noise.kind == "random":
        words = (time_seconds.numerator, time_seconds.denominator)
        seed = np.random.SeedSequence(words).generate_state(1, np.uint32)
        return NoiseState("random", seed=int(seed[0]))
    return NoiseState(noise.kind)
