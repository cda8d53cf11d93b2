"""A film: a timeline with its networks at hand, rendered frame by frame to a file."""

from __future__ import annotations

import contextlib
import re
import time
from collections import deque
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from animix.engine.device import choose_device, exact
from animix.engine.pixels import lay, to_rgb8, to_yuv420
from animix.engine.plain import Engine
from animix.engine.shelf import Shelf
from animix.errors import Mistake, OptionError, TimelineError
from animix.latents import load_latent
from animix.networks.blend import check_blendable, mapping_differences
from animix.networks.network import Network
from animix.networks.runs import find_run
from animix.progress import Progress
from animix.sampling import make_schedule
from animix.schedule import Column, Schedule
from animix.timeline.timeline import Timeline
from animix.video.ffmpeg import Encoder, EncoderSettings

RENDERS = Path("renders")
"""Where results land unless the timeline or --output say otherwise."""


@dataclass(frozen=True, eq=False)
class Film:
    """A timeline whose networks are open and whose schedule is known: any frame, in any order."""

    timeline: Timeline
    schedule: Schedule
    engine: Engine
    canvas_size: tuple[int, int]
    """Width and height in pixels."""
    notes: tuple[str, ...]
    """What the user should know before it is rendered."""

    def network(self, number: int) -> Network:
        """The network in a column of the mix."""
        return self.engine.shelf[number]

    def canvas(self, index: int) -> Tensor:
        """The picture of a frame as it lies on the canvas: [3, H, W], nominally in [-1, 1]."""
        row = self.schedule.row(index)
        with exact(self.engine.device):
            return lay(self.engine.picture(row), self.canvas_size, row.framing)

    def yuv420(self, index: int) -> NDArray[np.uint8]:
        """The bytes of a frame before encoding: planar BT.709 4:2:0, limited range."""
        with exact(self.engine.device):
            return np.asarray(to_yuv420(self.canvas(index), index).cpu().numpy())

    def rgb8(self, index: int) -> NDArray[np.uint8]:
        """The pixels of a frame as a still shows them: [H, W, 3]."""
        with exact(self.engine.device):
            return np.asarray(to_rgb8(self.canvas(index), index).cpu().numpy())


def open_film(timeline: Timeline, *, device: str | None = None, draft: bool = False) -> Film:
    """Find and open the networks of a timeline and make its schedule.

    Raises TimelineError with everything that the timeline asks and its networks can't do,
    NetworkError, BlendError and LatentError for files that can't be read, mixed or used. A
    ``draft`` is half as wide and high, and skip generators stop a block earlier for it.
    """
    chosen = choose_device(device)
    runs = find_networks(timeline)
    columns = tuple(
        Column(name, number, len(runs[name]))
        for name in dict.fromkeys(layer.network for layer in timeline.blend)
        for number in range(1, len(runs[name]) + 1)
    )
    files = [runs[column.network][column.snapshot - 1] for column in columns]
    shelf = Shelf(files, device=chosen)
    home = shelf.load(runs[timeline.mapping][-1])
    notes = [*timeline.notes]
    for number, column in enumerate(columns):
        network = shelf[number]
        check_blendable(home, network, (timeline.mapping, str(column)))
        notes += [
            f"{column} and {timeline.mapping} differ in {difference}; the mapping of "
            f"{timeline.mapping} is used"
            for difference in mapping_differences(home, network)
        ]
    schedule = make_schedule(timeline, home.facts, columns)
    projected = {
        str(source): load_latent(timeline.path.parent / source, home.facts)
        for source in schedule.sources
        if not isinstance(source, int)
    }
    width, height = timeline.size or (home.img_resolution, home.img_resolution)
    stop_resolution = None
    if draft:
        width, height = (max(2, side // 4 * 2) for side in (width, height))
        if home.facts.architecture == "skip" and home.img_resolution > 4:
            stop_resolution = home.img_resolution // 2
    return Film(
        timeline=timeline,
        schedule=schedule,
        engine=Engine(home, shelf, projected, stop_resolution=stop_resolution),
        canvas_size=(width, height),
        notes=tuple(dict.fromkeys(notes)),
    )


def find_networks(timeline: Timeline) -> dict[str, list[Path]]:
    """The files of each network that takes part, snapshots in order."""
    runs: dict[str, list[Path]] = {}
    mistakes = []
    for name in dict.fromkeys([*(layer.network for layer in timeline.blend), timeline.mapping]):
        run = timeline.networks[name]
        runs[name] = []
        for pattern in run.patterns:
            files = [file for file in find_run(pattern, timeline.path.parent) if file.exists()]
            if not files:
                folder = (timeline.path.parent / pattern).parent
                mistakes.append(
                    Mistake(run.mark, f"{name}: no file {pattern}", f"looked in {folder}")
                )
            runs[name] += files
    if mistakes:
        raise TimelineError(mistakes)
    return runs


def encode(
    film: Film, target: Path, *, frames: range | None = None, draft: bool = False
) -> Generator[Progress, None, None]:
    """Render frames (None: all) into an mp4 and yield after each; the file is whole or absent.

    Closing the iterator before its end leaves no file, and one that stood there before stays.
    """
    frames = frames if frames is not None else range(film.schedule.num_frames)
    width, height = film.canvas_size
    settings = (
        EncoderSettings(width, height, film.schedule.fps, crf=28, preset="ultrafast")
        if draft
        else EncoderSettings(width, height, film.schedule.fps)
    )
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
    path = None if output is None else Path(output)
    target = output_path(timeline, path, draft=draft, frames=frames)
    with contextlib.closing(encode(film, target, frames=frames, draft=draft)) as steps:
        deque(steps, maxlen=0)
    return target


def output_path(
    timeline: Timeline,
    output: Path | None = None,
    *,
    draft: bool = False,
    frames: range | None = None,
    batch: bool = False,
) -> Path:
    """Where a render goes: drafts and ranges get names of their own; of a ``batch`` each file does.

    ``output`` is a file, or a folder if it exists as one or several timelines are rendered.
    """
    folder = output if output is not None and (batch or output.is_dir()) else None
    if output is not None and folder is None:
        if output.suffix.lower() != ".mp4":
            raise OptionError(f"--output {output}: expected a name that ends in .mp4, or a folder")
        return output
    planned = timeline.output or RENDERS / f"{timeline.path.stem}.mp4"
    name = planned.stem
    if frames is not None:
        name += f"-frames-{frames.start}-{frames.stop - 1}"
    if draft:
        name += "-draft"
    return (folder or planned.parent) / f"{name}.mp4"


def parse_frames(text: str, num_frames: int) -> range:
    """Frame numbers ``a..b``, both included, or a single one.

    >>> parse_frames("3..5", 300), parse_frames("7", 300)
    (range(3, 6), range(7, 8))
    """
    match = re.fullmatch(r"\s*(\d{1,9})(?:\s*\.\.\s*(\d{1,9}))?\s*", text)
    if not match:
        raise OptionError(f'--frames "{text}": expected A..B, frame numbers, both included')
    first, last = int(match[1]), int(match[2] or match[1])
    if not first <= last < num_frames:
        raise OptionError(
            f"--frames {text}: this clip has frames 0 to {num_frames - 1}, and A is at most B"
        )
    return range(first, last + 1)


def save_png(image: Image.Image | NDArray[np.uint8], target: Path) -> None:
    """Write a picture as a PNG; the file is whole or absent."""
    picture = image if isinstance(image, Image.Image) else Image.fromarray(image)
    if target.suffix.lower() != ".png":
        raise OptionError(f"--output {target}: expected a name that ends in .png")
    part = target.with_name(f".{target.name}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        picture.save(part, format="PNG")
        part.replace(target)
    except OSError as exc:
        part.unlink(missing_ok=True)
        raise OptionError(f"{target} can't be written: {exc.strerror or exc}") from exc
