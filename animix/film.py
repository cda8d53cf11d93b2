"""A film: a timeline with its networks at hand, painted frame by frame."""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from animix.checkpoints.load import load_network
from animix.checkpoints.runs import find_run
from animix.checkpoints.store import Store
from animix.crew import Take, one_by_one, share_out
from animix.engine.device import (
    choose_device,
    choose_gpus,
    limit_memory,
    memory_of_film,
    painting,
)
from animix.engine.make import Engine, make_engine
from animix.engine.pixels import lay, lies_as_it_is, to_rgb8
from animix.engine.precision import choose_precision
from animix.engine.shelf import Shelf
from animix.engine.transfer import Transfer, new_stream
from animix.errors import (
    LatentError,
    Mistake,
    NetworkError,
    OptionError,
    RenderError,
    TimelineError,
)
from animix.latents import load_latent
from animix.networks.blend import check_blendable, mapping_differences, with_mapping
from animix.networks.extent import SQUARE, Extent, extent_of
from animix.networks.facts import NetworkFacts
from animix.networks.network import Network
from animix.networks.step import step
from animix.sampling import make_schedule
from animix.schedule import Column, Row, Schedule
from animix.timeline.timeline import Timeline
from animix.video.soundtrack import Soundtrack, open_soundtrack

LOOKAHEAD_FRAMES = 128
"""So far ahead networks are looked for that come into use: four cells of the fast path."""

BLOCK_BYTES = 128 << 20
"""Frames that one of several GPUs paints in a row, so that it reads few snapshots."""
BLOCKS_OF_EACH = 8
"""At least so many, as long as there are cells: GPUs that end early have nothing to do."""


@dataclass(frozen=True, eq=False)
class Film:
    """A timeline whose networks are open and whose schedule is known: any frame, in any order."""

    timeline: Timeline
    schedule: Schedule
    engine: Engine
    canvas_size: tuple[int, int]
    """Width and height in pixels."""
    extent: Extent
    """How far the networks paint, for the canvas."""
    files: tuple[Path, ...]
    """What was read: the timeline, networks and latents."""
    notes: tuple[str, ...]
    """What the user should know before it is rendered."""
    home_files: tuple[Path, Path]
    """The base's and the mapping's, which give what is not mixed."""
    stop_resolution: int | None = None
    """Where networks stop, for a draft."""
    soundtrack: Soundtrack | None = None
    more_engines: tuple[Engine, ...] = ()
    """Those of further GPUs, which paint the same frames as the first."""

    @property
    def devices(self) -> str:
        """The names of the devices that it is painted on."""
        return ", ".join(str(engine.device) for engine in (self.engine, *self.more_engines))

    def canvas(self, index: int) -> Tensor:
        """The picture of a frame as it lies on the canvas: [3, H, W], nominally in [-1, 1]."""
        cell = self.cell(index)
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
        with contextlib.closing(self.cells(frames)) as cells:
            for cell in cells:
                yield from cell

    def cells(self, *frames: range) -> Generator[NDArray[np.uint8], None, None]:
        """The bytes of frames in order, those painted together as one array: [N, H · W · 3/2].

        Of several ranges one comes after the other. Nobody writes over an array that is still in
        use.
        """
        parts = [part for each in frames for part in self._parts(each)]
        stop = max((each.stop for each in frames), default=0)
        if not self.more_engines:
            return self._cells(stop, one_by_one(iter(parts)))
        engines = self.engine, *self.more_engines
        frame_bytes = self.canvas_size[0] * self.canvas_size[1] * 3 // 2
        most_bytes = BLOCK_BYTES // len(engines)
        length = max(1, most_bytes // (frame_bytes * self.engine.batch_size))
        length = max(1, min(length, len(parts) // (BLOCKS_OF_EACH * len(engines))))
        blocks = [parts[first : first + length] for first in range(0, len(parts), length)]
        alone = [replace(self, engine=engine, more_engines=()) for engine in engines]
        workers = [partial(film._cells, stop) for film in alone[: len(blocks)]]
        return share_out(blocks, workers)

    def _parts(self, frames: range) -> list[range]:
        """Frames by the cells that they are painted in."""
        parts = []
        start = frames.start
        while start < frames.stop:
            parts.append(range(start, min(self.cell(start).stop, frames.stop)))
            start = parts[-1].stop
        return parts

    def _cells(self, stop: int, take: Take[range]) -> Generator[NDArray[np.uint8], None, None]:
        """The bytes of each part of a cell that is taken; none is from ``stop`` on."""
        on_cuda = self.engine.device.type == "cuda"
        copies = new_stream(self.engine.device) if on_cuda else None
        under_way: deque[tuple[range, Transfer, Transfer]] = deque()
        # Two cells ahead a GPU always has work, and memory holds few.
        num_ahead = 2 if on_cuda else 1
        try:
            while True:
                if len(under_way) < num_ahead:
                    wanted = take(not under_way)
                    if wanted is not None:
                        cell = self.cell(wanted.start)
                        self.engine.shelf.expect(self._columns_from(cell, stop))
                        under_way.append((wanted, *self._painted(cell, wanted, copies)))
                        continue
                if not under_way:
                    return
                wanted, pixels, finite = under_way.popleft()
                _check_finite(wanted, finite.wait())
                yield pixels.wait().numpy()
        finally:
            self.engine.shelf.expect(())

    def pictures(self, rows: Sequence[Row]) -> Tensor:
        """The pictures of any rows, such as seeds at a moment: [N, 3, h, w]; not on a canvas."""
        with painting(self.engine.device):
            pictures = self.engine.pictures(rows).clone()
            finite = _finite(pictures)
        _check_finite([row.index for row in rows], finite)
        return pictures

    def cell(self, index: int) -> range:
        """The frames that are painted together with a frame, whichever of them are asked for."""
        size = self.engine.batch_size
        start = index // size * size
        return range(start, min(start + size, self.schedule.num_frames))

    def _columns_from(self, cell: range, stop: int) -> list[int]:
        """The networks that a cell uses, then those that come after it, the soonest first."""
        used = self.schedule.columns_in(cell)
        ahead = range(cell.stop, max(cell.stop, min(cell.stop + LOOKAHEAD_FRAMES, stop)))
        return list(dict.fromkeys([*used, *self.schedule.columns_in(ahead)]))

    def _painted(
        self, cell: range, wanted: range, copies: torch.cuda.Stream | None
    ) -> tuple[Transfer, Transfer]:
        """The bytes of a cell's wanted frames, and which of them have a picture at all."""
        with painting(self.engine.device):
            canvases = self._canvases(cell, wanted)
            with step("4:2:0"):
                finite = _finite(canvases)
                pixels = self.engine.operations.yuv420(canvases, wanted)
            return Transfer(pixels, copies), Transfer(finite, copies)

    def _canvases(self, cell: range, wanted: range) -> Tensor:
        """A cell's wanted pictures on their canvases, [N, 3, H, W], until the next cell's."""
        rows = self.schedule.rows(cell)
        chosen = slice(wanted.start - cell.start, wanted.stop - cell.start)
        pictures, rows = self.engine.pictures(rows, chosen), rows[chosen]
        if all(lies_as_it_is(pictures, self.canvas_size, row.framing) for row in rows):
            return pictures
        pairs = zip(pictures, rows, strict=True)
        with step("framing"):
            laid = [lay(picture, self.canvas_size, row.framing) for picture, row in pairs]
            return torch.stack(laid)


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
    gpus: str | None = None,
    precision: str | None = None,
    memory_bytes: int | None = None,
    draft: bool = False,
    store: Store | None = None,
    films_at_a_time: int = 1,
) -> Film:
    """Find and open the networks of a timeline and make its schedule.

    ``gpus`` are several to paint on, ``all`` or numbers such as ``0,1``. ``memory_bytes`` is what
    may be taken of a GPU's memory; None: nearly all of it. Films of a batch have networks from one
    ``store``, and so many ``films_at_a_time`` share a GPU's memory.

    Raises TimelineError with everything that the timeline asks for and that isn't there or can't
    be done, OptionError for a device or a ``precision`` (float32, bfloat16, float16; None: what
    suits the device) that can't be had. A ``draft`` is half as wide and high, and skip generators
    stop a block earlier for it.
    """
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
        for name in dict.fromkeys(layer.network for layer in timeline.blend)
        for number in range(1, len(runs[name]) + 1)
    )
    load = load_network if store is None else store.load
    home, differences = _open_networks(timeline, columns, runs, load)
    mistakes: list[Mistake] = []
    projected = _open_latents(timeline, home.facts, mistakes)
    try:
        schedule = make_schedule(timeline, home.facts, columns)
        soundtrack = open_soundtrack(timeline.audio, schedule.clip)
    except TimelineError as error:
        raise TimelineError([*mistakes, *error.mistakes]) from error
    if mistakes:
        raise TimelineError(mistakes)

    width, height = timeline.size or (home.img_resolution, home.img_resolution)
    extent = extent_of((width, height)) if timeline.frame.fit == "extend" else SQUARE
    stop_resolution = None
    if draft:
        width, height = (max(2, side // 4 * 2) for side in (width, height))
        if home.facts.architecture == "skip" and home.img_resolution > 4:
            stop_resolution = home.img_resolution // 2
    files = [runs[column.network][column.snapshot - 1] for column in columns]
    engines = []
    for each in chosen:
        with painting(each):
            engine = make_engine(
                home,
                Shelf(files, each, store),
                projected,
                schedule,
                canvas_size=(width, height),
                memory_bytes=memory_bytes,
                stop_resolution=stop_resolution,
                extent=extent,
                precision=precision,
            )
        engines.append(engine)
    engine = engines[0]
    return Film(
        timeline=timeline,
        schedule=schedule,
        engine=engine,
        canvas_size=(width, height),
        extent=extent,
        files=(
            timeline.path,
            *(file for run in runs.values() for file in run),
            *(timeline.path.parent / name for name in projected),
            *((soundtrack.path,) if soundtrack else ()),
        ),
        notes=(
            *timeline.notes,
            *differences,
            *_noise_notes(timeline, home),
            *engine.notes,
            *(soundtrack.notes if soundtrack else ()),
        ),
        home_files=(runs[columns[0].network][-1], runs[timeline.mapping][-1]),
        stop_resolution=stop_resolution,
        soundtrack=soundtrack,
        more_engines=tuple(engines[1:]),
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
    timeline: Timeline,
    columns: Sequence[Column],
    runs: dict[str, list[Path]],
    load: Callable[[Path], Network],
) -> tuple[Network, list[str]]:
    """The base with the clip's mapping, and how other mappings differ; on the CPU.

    Every network is opened once and let go again, so that none is found unfit while rendering.
    """
    mistakes: list[Mistake] = []
    notes: dict[str, None] = {}
    kept: dict[Path, Network] = {}

    def opened(name: str, file: Path, like: Network | None = None) -> Network | None:
        try:
            network = kept[file] if file in kept else load(file)
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
