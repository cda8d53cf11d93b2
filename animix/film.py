"""A film: a timeline with its networks at hand, painted frame by frame."""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from animix.cast import find_networks, open_cast
from animix.checkpoints.load import load_network
from animix.checkpoints.store import Store
from animix.engine.device import (
    choose_device,
    choose_gpus,
    limit_memory,
    memory_of_film,
    painting,
)
from animix.engine.make import Engine, make_engine
from animix.engine.pasting import Scene
from animix.engine.pixels import to_rgb8
from animix.engine.precision import choose_precision
from animix.engine.shelf import Shelf
from animix.errors import (
    Mistake,
    OptionError,
    TimelineError,
)
from animix.evenness import open_lengths
from animix.footage import Footage
from animix.inset import inset_of
from animix.networks.extent import SQUARE, Extent, extent_of
from animix.networks.network import Network
from animix.progress import Follow
from animix.sampling import make_schedule
from animix.schedule import Column, Row, Schedule
from animix.setting import open_scene, photo_file
from animix.timeline.keyframes import Clip
from animix.timeline.output import Output
from animix.timeline.timeline import Timeline
from animix.vectors import open_directions, open_latents
from animix.video.soundtrack import Soundtrack, open_soundtrack
from animix.view import View, cells_of, own_size


@dataclass(frozen=True, eq=False)
class Film:
    """A timeline whose networks are open and whose schedule is known: any frame, in any order.

    It is what one output shows of pictures that others may be made of as well.
    """

    timeline: Timeline
    outputs: tuple[Output, ...]
    """Those of the timeline that are made of the same pictures."""
    views: tuple[View, ...]
    """Of each output the frames on their canvas."""
    painted: Schedule
    """Of all pictures that they are made of."""
    engine: Engine
    extent: Extent
    """How far the networks paint, for the canvas."""
    files: tuple[Path, ...]
    """What was read: the timeline and its bases, networks, latents and their photo."""
    notes: tuple[str, ...]
    """What the user should know before it is rendered, whatever it is written as."""
    home_files: tuple[Path, Path]
    """The base's and the mapping's, which give what is not mixed."""
    stop_resolution: int | None = None
    """Where networks stop, for a draft."""
    soundtrack: Soundtrack | None = None
    more_engines: tuple[Engine, ...] = ()
    """Those of further GPUs, which paint the same frames as the first."""
    number: int = 0
    """Which of the outputs this film is for."""

    @property
    def output(self) -> Output:
        """What it is written as."""
        return self.outputs[self.number]

    @property
    def view(self) -> View:
        """Its frames, on their canvas."""
        return self.views[self.number]

    @property
    def schedule(self) -> Schedule:
        """Of its frames."""
        return self.view.schedule

    @property
    def canvas_size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self.view.canvas_size

    @property
    def devices(self) -> str:
        """The names of the devices that it is painted on."""
        return ", ".join(str(engine.device) for engine in self.footage.engines)

    @property
    def footage(self) -> Footage:
        """The pictures that it is made of."""
        return Footage(self.painted, (self.engine, *self.more_engines))

    @property
    def versions(self) -> tuple[Film, ...]:
        """This film for each of its outputs."""
        return tuple(replace(self, number=number) for number in range(len(self.outputs)))

    @property
    def own_notes(self) -> tuple[str, ...]:
        """What the user should know of this output."""
        inset = self.view.inset.notes if self.view.inset else ()
        return (*_seam_notes(self.painted.clip, self.schedule.fps), *inset)

    def canvas(self, index: int) -> Tensor:
        """The picture of a frame as it lies on the canvas: [3, H, W], nominally in [-1, 1]."""
        return self.footage.canvas(self.view, index)

    def yuv420(self, index: int) -> NDArray[np.uint8]:
        """The bytes of a frame before encoding, if the output is none else planar BT.709 4:2:0."""
        return next(self.frames(range(index, index + 1)))

    def rgb8(self, index: int) -> NDArray[np.uint8]:
        """The pixels of a frame as a still shows them: [H, W, 3]."""
        with painting(self.engine.device):
            return np.asarray(to_rgb8(self.canvas(index), index).cpu().numpy())

    def frames(self, frames: range) -> Iterator[NDArray[np.uint8]]:
        """The bytes of frames in order, as ``yuv420`` has them, made ahead of their use."""
        with contextlib.closing(self.cells(frames)) as cells:
            for cell in cells:
                yield from cell

    def cells(self, *frames: range) -> Generator[NDArray[np.uint8], None, None]:
        """The bytes of frames in order, those painted together as one array: [N, bytes of one].

        Of several ranges one comes after the other. Nobody writes over an array that is still in
        use.
        """
        with contextlib.closing(self.footage.cells([(self.view, frames)])) as cells:
            for (cell,) in cells:
                yield cell

    def pictures(self, rows: Sequence[Row]) -> Tensor:
        """The pictures of any rows, such as seeds at a moment: [N, 3, h, w]; not on a canvas."""
        return self.footage.pictures(rows)

    def cell(self, index: int) -> range:
        """The frames that are painted together with a frame, whichever of them are asked for."""
        return self.view.frames_in(self.footage.cell(int(self.view.places[index])))


def open_film(
    timeline: Timeline,
    *,
    device: str | None = None,
    gpus: str | None = None,
    precision: str | None = None,
    memory_bytes: int | None = None,
    draft: bool = False,
    store: Store | None = None,
    films_at_a_time: int = 1,
    follow: Follow = iter,
) -> Film:
    """Find and open the networks of a timeline and make its schedule, for its first output.

    The film's ``versions`` are those for all outputs that are made of the same pictures.

    ``gpus`` are several to paint on, ``all`` or numbers such as ``0,1``. ``memory_bytes`` is what
    may be taken of a GPU's memory; None: nearly all of it. Films of a batch have networks from one
    ``store``, and so many ``films_at_a_time`` share a GPU's memory. ``follow`` is given the steps
    of measuring paths that are to be even, which is long work where nothing is kept of it.

    Raises TimelineError with everything that the timeline asks for and that isn't there or can't
    be done, OptionError for a device or a ``precision`` (float32, bfloat16, float16; None: what
    suits the device) that can't be had. A ``draft`` is half as wide and high, and skip generators
    stop a block earlier for it.
    """
    kind = _painted_for(timeline, timeline.output, draft=draft)
    outputs = tuple(
        output for output in timeline.outputs if _painted_for(timeline, output, draft=draft) == kind
    )
    extent, draft = kind
    if device is not None and gpus is not None:
        raise OptionError("--device and --gpus both say where to paint: give one of them")
    chosen = (choose_device(device),) if gpus is None else choose_gpus(gpus)
    choose_precision(chosen[0], precision)
    for each in chosen:
        limit_memory(each, memory_bytes)
    memory_bytes = memory_of_film(chosen, memory_bytes, films_at_a_time)
    runs = find_networks(timeline)
    columns = tuple(
        Column(name, number, len(runs[name]))
        for name in timeline.cast
        for number in range(1, len(runs[name]) + 1)
    )
    load = load_network if store is None else store.load
    home, differences = open_cast(timeline, columns, runs, load)
    mistakes: list[Mistake] = []
    projected = open_latents(timeline, home.facts, mistakes)
    scene = open_scene(timeline, mistakes)
    directions = open_directions(timeline, home, mistakes)
    try:
        shown = replace(timeline, outputs=outputs)
        painted = make_schedule(shown, home.facts, columns, directions)
        soundtrack = open_soundtrack(timeline.audio, painted.clip)
    except TimelineError as error:
        raise TimelineError([*mistakes, *error.mistakes]) from error
    if mistakes:
        raise TimelineError(mistakes)
    home_files = (runs[columns[0].network][-1], runs[timeline.mapping][-1])
    lengths = open_lengths(timeline, painted, home, home_files, projected, chosen[0], follow)
    if lengths:
        painted = make_schedule(shown, home.facts, columns, directions, lengths)

    views = tuple(_view(timeline, output, painted, scene, draft=draft) for output in outputs)
    stop_resolution = None
    if draft and home.facts.architecture == "skip" and home.img_resolution > 4:
        stop_resolution = home.img_resolution // 2
    files = [runs[column.network][column.snapshot - 1] for column in columns]
    engines = []
    for each in chosen:
        with painting(each):
            engine = make_engine(
                home,
                Shelf(files, each, store),
                projected,
                painted,
                canvas_size=side_by_side([view.canvas_size for view in views]),
                memory_bytes=memory_bytes,
                stop_resolution=stop_resolution,
                extent=extent,
                precision=precision,
            )
        engines.append(engine)
    engine = engines[0]
    return Film(
        timeline=timeline,
        outputs=outputs,
        views=views,
        painted=painted,
        engine=engine,
        extent=extent,
        files=(
            timeline.path,
            *timeline.bases,
            *(file for run in runs.values() for file in run),
            *(timeline.path.parent / name for name in projected),
            *([timeline.path.parent / timeline.frame.into.file] if timeline.frame.into else []),
            *([photo] if (photo := photo_file(timeline)) else []),
            *(timeline.path.parent / name for name in directions if isinstance(name, str)),
            *((soundtrack.path,) if soundtrack else ()),
        ),
        notes=(
            *timeline.notes,
            *differences,
            *_noise_notes(timeline, home),
            *engine.notes,
            *(soundtrack.notes if soundtrack else ()),
        ),
        home_files=home_files,
        stop_resolution=stop_resolution,
        soundtrack=soundtrack,
        more_engines=tuple(engines[1:]),
    )


def open_films(
    timeline: Timeline,
    *,
    device: str | None = None,
    gpus: str | None = None,
    precision: str | None = None,
    memory_bytes: int | None = None,
    draft: bool = False,
    store: Store | None = None,
    films_at_a_time: int = 1,
    follow: Follow = iter,
) -> list[Film]:
    """As ``open_film``, a film for each output, in their order.

    Most are made of the same pictures, and share engines; only drafts, and canvases of other shapes
    that networks paint to their borders, need others.
    """
    films: dict[int, Film] = {}
    to_come = dict(enumerate(timeline.outputs))
    while to_come:
        film = open_film(
            replace(timeline, outputs=tuple(to_come.values())),
            device=device,
            gpus=gpus,
            precision=precision,
            memory_bytes=memory_bytes,
            draft=draft,
            store=store,
            films_at_a_time=films_at_a_time,
            follow=follow,
        )
        alike = [number for number, output in to_come.items() if output in film.outputs]
        films |= zip(alike, film.versions, strict=True)
        for number in alike:
            del to_come[number]
    return [films[number] for number in sorted(films)]


def side_by_side(sizes: Sequence[tuple[int, int]]) -> tuple[int, int]:
    """A canvas with room for several, (width, height) each.

    >>> side_by_side([(1080, 1920), (720, 720)])
    (1800, 1920)
    """
    return sum(width for width, _ in sizes), max(height for _, height in sizes)


def _painted_for(timeline: Timeline, output: Output, *, draft: bool) -> tuple[Extent, bool]:
    """What networks paint for an output: how far beyond the square, and whether as a draft."""
    is_draft = draft or output.is_draft
    if (output.fit or timeline.frame.fit) != "extend":
        return SQUARE, is_draft
    # Only the shape of its cells counts, and the pictures' own is square.
    canvas_size = output.canvas_size(timeline.size or timeline.grid.own_size(512))
    return extent_of(timeline.grid.shape_of_cells(canvas_size)), is_draft


def _view(
    timeline: Timeline, output: Output, painted: Schedule, scene: Scene | None, *, draft: bool
) -> View:
    """The frames of an output on their canvas, of all that are painted."""
    size = own_size(painted.grid, painted.facts.img_resolution, scene)
    width, height = output.canvas_size(output.size or timeline.size or size)
    if draft:
        width, height = (max(2, side // 4 * 2) for side in (width, height))
    rate = output.fps or painted.clip.fps
    schedule = painted.film(rate, output.fit or timeline.frame.fit)
    places = painted.instants.places(schedule.instants)
    cells = cells_of(schedule, (width, height), scene)
    inset = inset_of(schedule, (width, height), cells, timeline.overlay)
    return View(schedule, places, (width, height), output.pixel_format, inset, scene)


def _seam_notes(clip: Clip, rate: Fraction) -> list[str]:
    """Says where a loop is no whole number of an output's frames."""
    length = clip.num_frames / clip.fps
    off = clip.num_frames_at(rate) / rate - length
    if not clip.loop or not off:
        return []
    told = f"{float(abs(off)) * 1000:.1f} ms" if abs(off) < 1 else f"{float(abs(off)):.4g} s"
    return [
        f"at {float(rate):.4g} fps the loop of {float(length):.4g} s is {told}"
        f" {'longer' if off > 0 else 'shorter'}: it has no whole number of frames"
    ]


def _noise_notes(timeline: Timeline, home: Network) -> list[str]:
    """Says that noise was asked for where networks take none, as StyleGAN3 never does."""
    if timeline.noise.kind in ("fixed", "none"):
        return []
    if any(name.endswith(".noise_strength") for name in home.tensors):
        return []
    return [f"noise: {timeline.noise.kind} changes nothing, these networks take no noise"]
