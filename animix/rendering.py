"""Rendering: the frames of a film into its file, painted and encoded at the same time."""

from __future__ import annotations

import contextlib
import os
import time
from collections import deque
from collections.abc import Generator
from dataclasses import replace
from functools import cache as cache_results
from pathlib import Path

from animix.chunks import chunk_keys, files_of
from animix.film import Film, open_film
from animix.progress import Progress, Stages
from animix.timeline.timeline import Timeline
from animix.video.cache import Cache
from animix.video.mp4 import is_sealed
from animix.video.muxing import with_sound
from animix.video.segments import (
    Segment,
    encoding_of,
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
    """Render frames (None: all) into an mp4, yield after each cell; the file is whole or absent.

    Closing the iterator before its end leaves no file, and one that stood there before stays. Its
    finished chunks stay in a cache beside it, and the next time they are not rendered again, unless
    that is to be ``fresh``. When the film is whole they go, unless the next time is to have them.
    """
    frames = frames if frames is not None else range(film.schedule.num_frames)
    settings = settings_of(film, draft=draft)
    if preset is not None:
        settings = replace(settings, preset=preset)
    started = time.monotonic()
    stages = Stages()

    def progress(done: int) -> Progress:
        seconds = time.monotonic() - started
        return Progress(done, len(frames), seconds, dict(stages.seconds), done_before)

    with Cache(target) as cache:
        segments = _segments(film, frames, settings, cache, fresh=fresh)
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
        cache.clear(but=[segment.path for segment in segments] if keep_cache else ())
    # The last step is told when the film stands at its place.
    yield progress(len(frames))


def settings_of(film: Film, *, draft: bool = False) -> EncoderSettings:
    """What a film is encoded as."""
    width, height = film.canvas_size
    settings = EncoderSettings(width, height, film.schedule.fps, title=film.timeline.title)
    return replace(settings, crf=28, preset="ultrafast") if draft else settings


def _segments(
    film: Film, frames: range, settings: EncoderSettings, cache: Cache, *, fresh: bool
) -> list[Segment]:
    """The segments of frames, those that the cache has whole marked as such."""
    key = chunk_keys(film, encoding_of(settings), cache.digests(files_of(film)))

    @cache_results
    def find(part: range) -> Path:
        return cache.chunk(key(part))

    parts = segments_of(frames, segment_frames(settings))
    segments = [Segment(part, find) for part in parts]
    if fresh or cache.is_empty:
        return segments
    return [
        replace(segment, is_whole=is_sealed(segment.path, len(segment.frames)))
        for segment in segments
    ]


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
    """Render a timeline to an mp4 and return its path, by default under ``renders/``.

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
    planned = timeline.output or RENDERS / f"{timeline.path.stem}.mp4"
    name = planned.stem
    if frames is not None:
        name += f"-frames-{frames.start}-{frames.stop - 1}"
    if draft:
        name += "-draft"
    return Path(os.path.normpath(planned.with_name(f"{name}.mp4")))
