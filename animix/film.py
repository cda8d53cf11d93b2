"""A film: a timeline with its networks at hand, rendered frame by frame to a file."""

from __future__ import annotations

import contextlib
import os
import time
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from animix.checkpoints.load import load_network
from animix.checkpoints.runs import find_run
from animix.engine.device import choose_device, painting
from animix.engine.make import Engine, make_engine
from animix.engine.pixels import lay, lies_as_it_is, to_rgb8
from animix.engine.precision import choose_precision
from animix.engine.shelf import Shelf
from animix.engine.transfer import Transfer, new_stream
from animix.errors import LatentError, Mistake, NetworkError, RenderError, TimelineError
from animix.latents import load_latent
from animix.networks.blend import check_blendable, mapping_differences, with_mapping
from animix.networks.facts import NetworkFacts
from animix.networks.network import Network
from animix.progress import Progress, Stages
from animix.sampling import make_schedule
from animix.schedule import Column, Row, Schedule
from animix.timeline.timeline import Timeline
from animix.video.ffmpeg import Encoder, EncoderSettings

RENDERS = Path("renders")
"""Where results land, seen from the current folder, unless they are told where to go."""


@dataclass(frozen=True, eq=False)
class Film:
    """A timeline whose networks are open and whose schedule is known: any frame, in any order."""

    timeline: Timeline
    schedule: Schedule
    engine: Engine
    canvas_size: tuple[int, int]
    """Width and height in pixels."""
    files: tuple[Path, ...]
    """What was read: the timeline, networks and latents."""
    notes: tuple[str, ...]
    """What the user should know before it is rendered."""

    def canvas(self, index: int) -> Tensor:
        """The picture of a frame as it lies on the canvas: [3, H, W], nominally in [-1, 1]."""
        cell = self._cell(index)
        with painting(self.engine.device):
            canvas = self._canvases(cell, range(index, index + 1))[0].clone()
            finite = _finite(canvas[None])
        _check_finite([index], finite)
        return canvas

    def yuv420(self, index: int) -> NDArray[np.uint8]:
        """The bytes of a frame before encoding: planar BT.709 4:2:0, limited range."""
        return next(self.frames(range(index, index + 1)))

    def rgb8(self, index: int) -> NDArray[np.uint8]:
        """The pixels of a frame as a still shows them: [H, W, 3]."""
        with painting(self.engine.device):
            return np.asarray(to_rgb8(self.canvas(index), index).cpu().numpy())

    def frames(self, frames: range) -> Iterator[NDArray[np.uint8]]:
        """The bytes of frames in order, as ``yuv420`` has them, made ahead of their use."""
        on_cuda = self.engine.device.type == "cuda"
        copies = new_stream(self.engine.device) if on_cuda else None
        under_way: deque[tuple[range, Transfer, Transfer]] = deque()
        start = frames.start
        while start < frames.stop or under_way:
            # Two cells ahead the device always has work, and memory holds few.
            if start < frames.stop and len(under_way) < 2:
                cell = self._cell(start)
                wanted = range(start, min(cell.stop, frames.stop))
                under_way.append((wanted, *self._painted(cell, wanted, copies)))
                start = wanted.stop
                if on_cuda:
                    continue
            wanted, pixels, finite = under_way.popleft()
            _check_finite(wanted, finite.wait())
            yield from pixels.wait().numpy()

    def pictures(self, rows: Sequence[Row]) -> Tensor:
        """The pictures of any rows, such as seeds at a moment: [N, 3, h, w]; not on a canvas."""
        with painting(self.engine.device):
            pictures = self.engine.pictures(rows).clone()
            finite = _finite(pictures)
        _check_finite([row.index for row in rows], finite)
        return pictures

    def _cell(self, index: int) -> range:
        """The frames that are painted together with a frame, whichever of them are asked for."""
        size = self.engine.batch_size
        start = index // size * size
        return range(start, min(start + size, self.schedule.num_frames))

    def _painted(
        self, cell: range, wanted: range, copies: torch.cuda.Stream | None
    ) -> tuple[Transfer, Transfer]:
        """The bytes of a cell's wanted frames, and which of them have a picture at all."""
        with painting(self.engine.device):
            canvases = self._canvases(cell, wanted)
            finite = _finite(canvases)
            pixels = self.engine.operations.yuv420(canvases, wanted)
            return Transfer(pixels, copies), Transfer(finite, copies)

    def _canvases(self, cell: range, wanted: range) -> Tensor:
        """A cell's wanted pictures on their canvases, [N, 3, H, W], until the next cell's."""
        rows = [self.schedule.row(index) for index in cell]
        chosen = slice(wanted.start - cell.start, wanted.stop - cell.start)
        pictures, rows = self.engine.pictures(rows, chosen), rows[chosen]
        if all(lies_as_it_is(pictures, self.canvas_size, row.framing) for row in rows):
            return pictures
        pairs = zip(pictures, rows, strict=True)
        return torch.stack([lay(picture, self.canvas_size, row.framing) for picture, row in pairs])


def _finite(pictures: Tensor) -> Tensor:
    """Which of the pictures [N, …] have finite numbers only: [N]."""
    # A sum is finite if all are, short of numbers that no picture has; one pass is enough.
    return torch.isfinite(pictures.flatten(1).sum(dim=1))


def _check_finite(frames: Iterable[int], finite: Tensor) -> None:
    for index, well in zip(frames, finite.tolist(), strict=True):
        if not well:
            raise RenderError(
                f"frame {index}: this mix makes no picture, its numbers overflow; bring alpha and "
                "truncation nearer to 0..1"
            )


def open_film(
    timeline: Timeline,
    *,
    device: str | None = None,
    precision: str | None = None,
    draft: bool = False,
) -> Film:
    """Find and open the networks of a timeline and make its schedule.

    Raises TimelineError with everything that the timeline asks for and that isn't there or can't
    be done, OptionError for a device or a ``precision`` (float32, bfloat16, float16; None: what
    suits the device) that can't be had. A ``draft`` is half as wide and high, and skip generators
    stop a block earlier for it.
    """
    chosen = choose_device(device)
    choose_precision(chosen, precision)
    runs = find_networks(timeline)
    columns = tuple(
        Column(name, number, len(runs[name]))
        for name in dict.fromkeys(layer.network for layer in timeline.blend)
        for number in range(1, len(runs[name]) + 1)
    )
    home, differences = _open_networks(timeline, columns, runs)
    mistakes: list[Mistake] = []
    projected = _open_latents(timeline, home.facts, mistakes)
    try:
        schedule = make_schedule(timeline, home.facts, columns)
    except TimelineError as error:
        raise TimelineError([*mistakes, *error.mistakes]) from error
    if mistakes:
        raise TimelineError(mistakes)

    width, height = timeline.size or (home.img_resolution, home.img_resolution)
    stop_resolution = None
    if draft:
        width, height = (max(2, side // 4 * 2) for side in (width, height))
        if home.facts.architecture == "skip" and home.img_resolution > 4:
            stop_resolution = home.img_resolution // 2
    files = [runs[column.network][column.snapshot - 1] for column in columns]
    with painting(chosen):
        shelf = Shelf(files, chosen)
        engine = make_engine(
            home.to(chosen), shelf, projected, schedule, stop_resolution, precision
        )
    return Film(
        timeline=timeline,
        schedule=schedule,
        engine=engine,
        canvas_size=(width, height),
        files=(
            timeline.path,
            *(file for run in runs.values() for file in run),
            *(timeline.path.parent / name for name in projected),
        ),
        notes=(*timeline.notes, *differences, *_noise_notes(timeline, home), *engine.notes),
    )


def _noise_notes(timeline: Timeline, home: Network) -> list[str]:
    """Says that noise was asked for where networks take none, as StyleGAN3 never does."""
    if timeline.noise.kind in ("fixed", "none"):
        return []
    if any(name.endswith(".noise_strength") for name in home.tensors):
        return []
    return [f"noise: {timeline.noise.kind} changes nothing, these networks take no noise"]


def find_networks(timeline: Timeline) -> dict[str, list[Path]]:
    """The files of each network that takes part, snapshots in order."""
    runs: dict[str, list[Path]] = {}
    mistakes = []
    for name in dict.fromkeys([*(layer.network for layer in timeline.blend), timeline.mapping]):
        run = timeline.networks[name]
        runs[name] = []
        for pattern in run.patterns:
            files = find_run(pattern, timeline.path.parent)
            runs[name] += files
            if not files:
                folder = (timeline.path.parent / pattern).parent
                wild = (
                    " (wildcards stand in the name only)" if set("*?[") & set(str(folder)) else ""
                )
                mistakes.append(
                    Mistake(run.mark, f"{name}: no file {pattern}", f"looked in {folder}{wild}")
                )
    if mistakes:
        raise TimelineError(mistakes)
    return runs


def _open_networks(
    timeline: Timeline, columns: Sequence[Column], runs: dict[str, list[Path]]
) -> tuple[Network, list[str]]:
    """The base with the clip's mapping, and how other mappings differ; on the CPU.

    Every network is opened once and let go again, so that none is found unfit while rendering.
    """
    mistakes: list[Mistake] = []
    notes: dict[str, None] = {}
    kept: dict[Path, Network] = {}

    def opened(name: str, file: Path, like: Network | None = None) -> Network | None:
        try:
            network = kept[file] if file in kept else load_network(file)
            if like is not None:
                check_blendable(like, network, (timeline.blend[0].network, name))
            return network
        except NetworkError as error:
            mistakes.append(Mistake(timeline.networks[name].mark, str(error)))
            return None

    base_file, home_file = runs[columns[0].network][-1], runs[timeline.mapping][-1]
    if base := opened(columns[0].network, base_file):
        kept[base_file] = base
    if home := opened(timeline.mapping, home_file, base):
        kept[home_file] = home
    for column in columns:
        network = opened(column.network, runs[column.network][column.snapshot - 1], base)
        for difference in mapping_differences(home, network) if home and network else ():
            note = f"{timeline.mapping} and {column.network} differ in {difference}"
            notes[f"{note}; the first one's mapping is used"] = None
    if base is None or home is None or mistakes:
        raise TimelineError(dict.fromkeys(mistakes))
    return with_mapping(base, home), list(notes)


def _open_latents(
    timeline: Timeline, facts: NetworkFacts, mistakes: list[Mistake]
) -> dict[str, NDArray[np.float32]]:
    """The w of each projected file of a timeline; those that can't be used become mistakes."""
    projected = {}
    for key in timeline.latents.keys:
        if isinstance(key.source, str):
            try:
                projected[key.source] = load_latent(timeline.path.parent / key.source, facts)
            except LatentError as error:
                mistakes.append(Mistake(key.mark, str(error)))
    return projected


def encode(
    film: Film, target: Path, *, frames: range | None = None, draft: bool = False
) -> Generator[Progress, None, None]:
    """Render frames (None: all) into an mp4 and yield after each; the file is whole or absent.

    Closing the iterator before its end leaves no file, and one that stood there before stays.
    """
    frames = frames if frames is not None else range(film.schedule.num_frames)
    width, height = film.canvas_size
    settings = EncoderSettings(width, height, film.schedule.fps, title=film.timeline.title)
    if draft:
        settings = replace(settings, crf=28, preset="ultrafast")
    started = time.monotonic()
    stages = Stages()

    def progress(done: int) -> Progress:
        return Progress(done, len(frames), time.monotonic() - started, stages.slowest)

    with contextlib.ExitStack() as ending, Encoder(target, settings) as encoder:
        painted = film.frames(frames)
        for done in range(1, len(frames) + 1):
            with stages.waiting_for("painting"):
                frame = next(painted)
            with stages.waiting_for("encoding"):
                encoder.write(frame)
            if done < len(frames):
                yield progress(done)
        # Until the film is whole it is ffmpeg that is waited for.
        ending.enter_context(stages.waiting_for("encoding"))
    # The last step is told when the film stands at its place.
    yield progress(len(frames))


def render(
    timeline: Timeline,
    output: str | Path | None = None,
    *,
    device: str | None = None,
    precision: str | None = None,
    frames: range | None = None,
    draft: bool = False,
) -> Path:
    """Render a timeline to an mp4 and return its path, by default under ``renders/``."""
    film = open_film(timeline, device=device, precision=precision, draft=draft)
    target = film_path(timeline, frames, draft=draft) if output is None else Path(output)
    with contextlib.closing(encode(film, target, frames=frames, draft=draft)) as steps:
        deque(steps, maxlen=0)
    return target


def film_path(timeline: Timeline, frames: range | None = None, *, draft: bool = False) -> Path:
    """Where a film goes if nobody says: drafts and ranges of frames get names of their own."""
    planned = timeline.output or RENDERS / f"{timeline.path.stem}.mp4"
    name = planned.stem
    if frames is not None:
        name += f"-frames-{frames.start}-{frames.stop - 1}"
    if draft:
        name += "-draft"
    return Path(os.path.normpath(planned.with_name(f"{name}.mp4")))
