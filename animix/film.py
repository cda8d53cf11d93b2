"""A film: a timeline with its networks at hand, rendered frame by frame to a file."""

from __future__ import annotations

import contextlib
import os
import time
from collections import deque
from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from animix.checkpoints.load import load_network
from animix.checkpoints.runs import find_run
from animix.engine.device import choose_device, painting
from animix.engine.pixels import lay, to_rgb8, to_yuv420
from animix.engine.plain import Engine
from animix.engine.shelf import Shelf
from animix.errors import LatentError, Mistake, NetworkError, TimelineError
from animix.latents import load_latent
from animix.networks.blend import check_blendable, mapping_differences, with_mapping
from animix.networks.facts import NetworkFacts
from animix.networks.network import Network
from animix.progress import Progress
from animix.sampling import make_schedule
from animix.schedule import Column, Schedule
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
        row = self.schedule.row(index)
        with painting(self.engine.device):
            return lay(self.engine.picture(row), self.canvas_size, row.framing)

    def yuv420(self, index: int) -> NDArray[np.uint8]:
        """The bytes of a frame before encoding: planar BT.709 4:2:0, limited range."""
        with painting(self.engine.device):
            return np.asarray(to_yuv420(self.canvas(index), index).cpu().numpy())

    def rgb8(self, index: int) -> NDArray[np.uint8]:
        """The pixels of a frame as a still shows them: [H, W, 3]."""
        with painting(self.engine.device):
            return np.asarray(to_rgb8(self.canvas(index), index).cpu().numpy())


def open_film(timeline: Timeline, *, device: str | None = None, draft: bool = False) -> Film:
    """Find and open the networks of a timeline and make its schedule.

    Raises TimelineError with everything that the timeline asks for and that isn't there or can't
    be done. A ``draft`` is half as wide and high, and skip generators stop a block earlier for it.
    """
    chosen = choose_device(device)
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
    engine = Engine(
        home.to(chosen), Shelf(files, chosen), projected, stop_resolution=stop_resolution
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
        notes=(*timeline.notes, *differences),
    )


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
    with Encoder(target, settings) as encoder:
        for done, index in enumerate(frames, start=1):
            encoder.write(film.yuv420(index))
            if done < len(frames):
                yield Progress(done, len(frames), time.monotonic() - started)
    # The last step is told when the film stands at its place.
    yield Progress(len(frames), len(frames), time.monotonic() - started)


def render(
    timeline: Timeline,
    output: str | Path | None = None,
    *,
    device: str | None = None,
    frames: range | None = None,
    draft: bool = False,
) -> Path:
    """Render a timeline to an mp4 and return its path, by default under ``renders/``."""
    film = open_film(timeline, device=device, draft=draft)
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
