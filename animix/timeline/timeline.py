"""A Timeline: everything a YAML file says about a clip, checked, before any network is known."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Literal

from animix.errors import Mark
from animix.timeline.audio import Audio
from animix.timeline.clock import Clock
from animix.timeline.framing import Fit
from animix.timeline.keyframes import Clip, Ease, Track
from animix.timeline.nodes import MapNode
from animix.timeline.output import Output
from animix.timeline.variants import Variant


@dataclass(frozen=True)
class NetworkRun:
    """A network as a timeline names it: one file, or the snapshots of a run in order."""

    name: str
    patterns: tuple[str, ...]
    """As written: paths and globs, relative to the timeline's folder."""
    mark: Mark


@dataclass(frozen=True)
class Band:
    """A track that rules the resolutions from ``low`` to ``high``, both included."""

    low: int
    high: int | None
    """None: up to the network's own."""
    track: Track


@dataclass(frozen=True)
class Bands:
    """One track per range of resolutions; ``unlisted`` rules where none does."""

    bands: tuple[Band, ...]
    unlisted: float

    def track_at(self, resolution: int) -> Track | None:
        """The track that rules a resolution, None where the unlisted value does."""
        for band in self.bands:
            if band.low <= resolution and (band.high is None or resolution <= band.high):
                return band.track
        return None


@dataclass(frozen=True)
class BlendLayer:
    """One layer of the stack: a network laid over what lies below it."""

    network: str
    alpha: Bands
    swap: Track
    width: Track
    take: Literal["high", "low"]
    snapshot: Track
    mark: Mark


@dataclass(frozen=True)
class LatentKey:
    """A place on the latent path: a seed, or the path of a projected file."""

    source: int | str
    mark: Mark
    ease: Ease | None = None
    """How the way to the next key is paced; None: evenly, the spline does the rest."""


@dataclass(frozen=True)
class Edit:
    """A direction in W along which a path is pushed, after truncation."""

    direction: int | str
    """The number of a network's own direction, from 1, or the path of a file."""
    amount: Bands
    """How far, the direction having length 1."""
    mark: Mark


@dataclass(frozen=True)
class Latents:
    """A path through latent space.

    Either ``track`` is None and ``keys`` are visited in order, ``every`` seconds (None: spread over
    the clip); or ``track`` holds the times, and its values are indices into ``keys``.
    """

    keys: tuple[LatentKey, ...]
    every: Fraction | None
    track: Track | None
    space: Literal["w", "z"]
    path: Literal["spline", "linear"]
    mark: Mark
    speed: Track | None = None
    """Relative speed along a path that is spread over the clip; None: as its keys are spread."""
    even: bool = False
    """Whether its length is measured in pictures, so that they change evenly."""
    edits: tuple[Edit, ...] = ()


@dataclass(frozen=True)
class LatentBand:
    """A path that rules the resolutions from ``low`` to ``high``, both included."""

    low: int
    high: int | None
    """None: up to the network's own."""
    path: Latents


@dataclass(frozen=True)
class Noise:
    """The noise images: fixed, none, a new field each frame, or a circle of ``period_seconds``."""

    kind: Literal["fixed", "none", "random", "loop"]
    period_seconds: Fraction | None = None
    mark: Mark | None = None


@dataclass(frozen=True)
class Into:
    """A projected photo's file, with whose photo pictures are shown."""

    file: str
    """Relative to the timeline's folder."""
    mark: Mark


@dataclass(frozen=True)
class Frame:
    """How the picture lies on the canvas."""

    fit: Fit
    zoom: Track
    pan_x: Track
    """Picture widths, positive moves the picture to the right."""
    pan_y: Track
    """Picture widths, positive moves the picture down."""
    rotate: Track
    """Degrees, positive turns clockwise."""
    background: tuple[int, int, int]
    """RGB, 0..255."""
    into: Into | None = None
    """The photo in which the picture lies; the photo lies on the canvas then."""


@dataclass(frozen=True)
class Timeline:
    """A clip as its file describes it. Made by ``animix.load_timeline``."""

    path: Path
    """The file; relative paths inside it start at its folder."""
    title: str
    size: tuple[int, int] | None
    """Width and height of the canvas in pixels, both even; None: the network's own."""
    fps: Fraction
    """The clip's own, which says where it ends; an output may show it at another."""
    duration_seconds: Fraction
    loop: Literal["auto", True, False]
    networks: dict[str, NetworkRun]
    blend: tuple[BlendLayer, ...]
    """Bottom to top; the first is the base, of which only the snapshot counts."""
    mapping: str
    """Name of the network whose mapping, w_avg and noise images are used."""
    latents: tuple[LatentBand, ...]
    """One path from 0 up, or one for each range of resolutions."""
    truncation: Bands
    label: Track | None
    noise: Noise
    frame: Frame
    audio: Audio | None
    """None: a silent film."""
    clock: Clock
    """What its times are told by, with its markers and sections."""
    outputs: tuple[Output, ...]
    """What is written, at least one film; a size, fps and fit of its own rule over these."""
    document: MapNode = field(repr=False, compare=False)
    """All of this as it is written, with what its base, its variables, its variant and the command
    line put into it."""
    notes: tuple[str, ...] = field(default=())
    """What was decided while reading and the user should know, such as a rounded size."""
    variant: Variant | None = None
    """Which of its file's variants it is; None: there is but one."""
    bases: tuple[Path, ...] = ()
    """The timelines that it extends, its own base first."""

    @property
    def name(self) -> str:
        """What its films and stills are called, unless it says: ``reel``, ``reel-seed-7``."""
        return self.path.stem + (f"-{self.variant.name}" if self.variant else "")

    @property
    def output(self) -> Output:
        """The first output, which stills and sheets of seeds go by."""
        return self.outputs[0]

    @property
    def num_frames(self) -> int:
        """Duration times fps, rounded, halves up, at least 1."""
        return max(1, int(self.duration_seconds * self.fps + Fraction(1, 2)))

    def clip(self, loop: bool) -> Clip:
        """How long the clip is; ``loop`` is what ``loop: auto`` was decided to be."""
        return Clip(self.num_frames, self.fps, self.duration_seconds, loop)
