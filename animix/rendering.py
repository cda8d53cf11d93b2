"""Rendering: the frames of a film into its file, painted and encoded at the same time."""

from __future__ import annotations

import contextlib
import os
import time
from collections import deque
from collections.abc import Generator
from dataclasses import replace
from pathlib import Path

from animix.delivery import check_output, settings_of
from animix.film import Film, open_film
from animix.progress import Progress, Stages
from animix.timeline.timeline import Timeline
from animix.video.segments import make_encoder
from animix.video.settings import Preset

RENDERS = Path("renders")
"""Where results land, seen from the current folder, unless they are told where to go."""


def encode(
    film: Film,
    target: Path,
    *,
    frames: range | None = None,
    draft: bool = False,
    preset: Preset | None = None,
) -> Generator[Progress, None, None]:
    """Render frames (None: all) as the output says, yield after each cell; whole or absent.

    Closing the iterator before its end leaves no file, and one that stood there before stays.
    TimelineError, before the first frame, for what the output's platform would refuse.
    """
    check_output(film, frames=frames, draft=draft)
    frames = frames if frames is not None else range(film.schedule.num_frames)
    settings = settings_of(film, draft=draft)
    if preset is not None:
        settings = replace(settings, preset=preset)
    started = time.monotonic()
    stages = Stages()
    done = 0

    def progress(done: int) -> Progress:
        return Progress(done, len(frames), time.monotonic() - started, dict(stages.seconds))

    with contextlib.ExitStack() as ending, make_encoder(target, settings, frames) as encoder:
        # Closed at once when the render ends early: devices may be at work.
        with contextlib.closing(film.cells(frames)) as painted:
            while done < len(frames):
                with stages.waiting_for("painting"):
                    cell = next(painted)
                with stages.waiting_for("encoding"):
                    encoder.write(cell)
                done += len(cell)
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
    gpus: str | None = None,
    precision: str | None = None,
    memory_bytes: int | None = None,
    frames: range | None = None,
    draft: bool = False,
) -> Path:
    """Render a timeline to what its output says, by default an mp4 under ``renders/``: its path."""
    film = open_film(
        timeline,
        device=device,
        gpus=gpus,
        precision=precision,
        memory_bytes=memory_bytes,
        draft=draft,
    )
    target = film_path(timeline, frames, draft=draft) if output is None else Path(output)
    with contextlib.closing(encode(film, target, frames=frames, draft=draft)) as steps:
        deque(steps, maxlen=0)
    return target


def film_path(timeline: Timeline, frames: range | None = None, *, draft: bool = False) -> Path:
    """Where a film goes if nobody says: drafts and ranges of frames get names of their own."""
    output = timeline.output
    name = timeline.path.stem
    if output.preset is not None and output.container == "mp4":
        name += f"-{output.preset.name}"
    planned = output.file or RENDERS / f"{name}{output.suffix}"
    name = planned.stem if output.suffix else planned.name
    if frames is not None:
        name += f"-frames-{frames.start}-{frames.stop - 1}"
    if draft and not output.is_draft:
        name += "-draft"
    return Path(os.path.normpath(planned.with_name(f"{name}{output.suffix}")))
