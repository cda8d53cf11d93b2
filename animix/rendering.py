"""Rendering: the frames of a film into its file, painted and encoded at the same time."""

from __future__ import annotations

import contextlib
import os
import time
from collections import deque
from collections.abc import Generator, Iterator
from dataclasses import replace
from functools import cache as cache_results
from pathlib import Path

from animix.chunks import chunk_keys, files_of
from animix.delivery import check_output, settings_of
from animix.film import Film, open_film
from animix.progress import Progress, Stages
from animix.timeline.timeline import Timeline
from animix.video.cache import Cache
from animix.video.mp4 import is_sealed
from animix.video.muxing import with_sound
from animix.video.segments import (
    Segment,
    encoding_of,
    is_cut,
    make_encoder,
    segment_frames,
    segments_of,
)
from animix.video.settings import EncoderSettings, Preset

RENDERS = Path("renders")
"""Where results land, seen from the current folder, unless they are told where to go."""


def encode(
    film: Film,
    target: Path,
    *,
    frames: range | None = None,
    draft: bool = False,
    preset: Preset | None = None,
    fresh: bool = False,
    keep_cache: bool = False,
) -> Generator[Progress, None, None]:
    """Render frames (None: all) as the output says, yield after each cell; whole or absent.

    Closing the iterator before its end leaves no file, and one that stood there before stays. Its
    finished chunks stay in a cache beside it, and the next time they are not rendered again, unless
    that is to be ``fresh``. When the film is whole they go, unless the next time is to have them.
    TimelineError, before the first frame, for what the output's platform would refuse.
    """
    check_output(film, frames=frames, draft=draft)
    frames = frames if frames is not None else range(film.schedule.num_frames)
    settings = settings_of(film, draft=draft)
    if preset is not None:
        settings = replace(settings, preset=preset)
    started = time.monotonic()
    stages = Stages()

    def progress(done: int) -> Progress:
        seconds = time.monotonic() - started
        return Progress(done, len(frames), seconds, dict(stages.seconds), done_before)

    with _segments(film, target, frames, settings, fresh=fresh, keep_cache=keep_cache) as segments:
        missing = [segment.frames for segment in segments if not segment.is_whole]
        done = done_before = len(frames) - sum(map(len, missing))
        with (
            with_sound(film.soundtrack, target, settings, frames) as silent,
            contextlib.ExitStack() as ending,
            make_encoder(silent, settings, segments) as encoder,
        ):
            # Closed at once when the render ends early: devices may be at work.
            with contextlib.closing(film.cells(*missing)) as painted:
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


@contextlib.contextmanager
def _segments(
    film: Film,
    target: Path,
    frames: range,
    settings: EncoderSettings,
    *,
    fresh: bool,
    keep_cache: bool,
) -> Iterator[list[Segment]]:
    """The segments of frames, those that the cache has whole marked as such, and it for them.

    What can't be joined is one segment, and nothing of it is kept.
    """
    if not is_cut(settings):
        yield [Segment(frames, lambda _: target)]
        return
    with Cache(target) as cache:
        key = chunk_keys(film, encoding_of(settings), cache.digests(files_of(film)))

        @cache_results
        def find(part: range) -> Path:
            return cache.chunk(key(part))

        segments = [Segment(part, find) for part in segments_of(frames, segment_frames(settings))]
        if not (fresh or cache.is_empty):
            segments = [
                replace(segment, is_whole=is_sealed(segment.path, len(segment.frames)))
                for segment in segments
            ]
        yield segments
        cache.clear(but=[segment.path for segment in segments] if keep_cache else ())


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
    fresh: bool = False,
    keep_cache: bool = False,
) -> Path:
    """Render a timeline as its output says, by default to an mp4, and return its path.

    What an interrupted render of the same film has finished is not rendered again, unless it is to
    be ``fresh``.
    """
    film = open_film(
        timeline,
        device=device,
        gpus=gpus,
        precision=precision,
        memory_bytes=memory_bytes,
        draft=draft,
    )
    target = film_path(timeline, frames, draft=draft) if output is None else Path(output)
    with contextlib.closing(
        encode(film, target, frames=frames, draft=draft, fresh=fresh, keep_cache=keep_cache)
    ) as steps:
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
