"""Rendering: the frames of a film into its file, painted and encoded at the same time."""

from __future__ import annotations

import contextlib
import math
import time
from collections import deque
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache as cache_results
from pathlib import Path

from animix.chunks import chunk_keys, files_of
from animix.delivery import check_outputs, check_places, film_path, settings_of
from animix.errors import AnimixError, EncodeError, OptionError
from animix.film import Film, open_films
from animix.progress import Progress, Stages
from animix.provenance import metadata_of, parts_of, render_command
from animix.timeline.timeline import Timeline
from animix.video.cache import Cache
from animix.video.mp4 import is_sealed
from animix.video.muxing import with_sound
from animix.video.segments import (
    Segment,
    SegmentEncoder,
    encoding_of,
    make_encoder,
    segment_frames,
    segments_of,
)
from animix.video.settings import EncoderSettings, Preset
from animix.whole_file import without_parts

TELL_SECONDS = 0.1
"""How often is told how many painted frames still wait for their encoder."""


@dataclass(frozen=True)
class Job:
    """A film to render: where it goes, and which of its frames; None: all."""

    film: Film
    target: Path
    frames: range | None = None

    @property
    def wanted(self) -> range:
        """The numbers of its frames."""
        return range(self.film.schedule.num_frames) if self.frames is None else self.frames


def encode(
    film: Film,
    target: Path,
    *,
    frames: range | None = None,
    draft: bool = False,
    preset: Preset | None = None,
    fresh: bool = False,
    keep_cache: bool = False,
    recipe: bool = True,
) -> Generator[Progress, None, None]:
    """Render frames (None: all) of one film, as ``encode_all`` does."""
    job = Job(film, target, frames)
    return encode_all(
        [job],
        draft=draft,
        preset=preset,
        fresh=fresh,
        keep_cache=keep_cache,
        recipe=recipe,
    )


def encode_all(
    jobs: Sequence[Job],
    *,
    draft: bool = False,
    preset: Preset | None = None,
    fresh: bool = False,
    keep_cache: bool = False,
    recipe: bool = True,
) -> Generator[Progress, None, None]:
    """Render films as their outputs say, yield after each cell; each is whole or absent.

    Films that are made of the same pictures are written side by side, and those painted once. One
    that fails does not cost the others: its error is raised when they are whole.
    Closing the iterator before its end leaves no file, and one that stood there before stays. Its
    finished chunks stay in a cache beside it, and the next time they are not rendered again, unless
    that is to be ``fresh``. When the film is whole they go, unless the next time is to have them.
    TimelineError, before the first frame, for what an output's platform would refuse.
    The films carry their recipes, unless those are to be left out.
    """
    for job in jobs:
        check_outputs([job.film], frames=job.frames, draft=draft)
    total = sum(len(job.wanted) for job in jobs)
    done = done_before = 0
    started = time.monotonic()
    stages = Stages()
    errors: list[AnimixError] = []

    def progress(to_encode: int = 0) -> Progress:
        seconds = time.monotonic() - started
        so_far = min(done, total - 1) if to_encode else done
        return Progress(so_far, total, seconds, dict(stages.seconds), done_before, to_encode)

    for alike in _by_footage(jobs):
        with contextlib.ExitStack() as unfinished:
            writings: list[_Writing] = []
            endings: list[contextlib.ExitStack] = []
            for job in alike:
                settings = settings_of(job.film, draft=draft)
                if preset is not None:
                    settings = replace(settings, preset=preset)
                command = render_command(job.film, job.wanted, draft=draft) if recipe else None
                writing = _writing(job, settings, command, fresh=fresh, keep_cache=keep_cache)
                endings.append(unfinished.enter_context(contextlib.ExitStack()))
                writings.append(endings[-1].enter_context(writing))
            to_come = [sum(map(len, each.missing)) for each in writings]
            before = sum(len(job.wanted) for job in alike) - sum(to_come)
            done, done_before = done + before, done_before + before
            cells = alike[0].film.footage.cells(
                [(job.film.view, each.missing) for job, each in zip(alike, writings, strict=True)]
            )
            # Closed at once when the render ends early: devices may be at work.
            with contextlib.closing(cells) as painted:
                while any(to_come):
                    with stages.waiting_for("painting"):
                        cell = next(painted)
                    with stages.waiting_for("encoding"):
                        for number, frames in enumerate(cell):
                            if len(frames) and to_come[number]:
                                try:
                                    writings[number].encoder.write(frames)
                                    to_come[number] -= len(frames)
                                except AnimixError as error:
                                    errors.append(_give_up(endings[number], error))
                                    to_come[number] = 0
                    done += sum(map(len, cell))
                    if done < total:
                        yield progress()
            while waiting := sum(each.encoder.num_waiting for each in writings):
                with stages.waiting_for("encoding"):
                    time.sleep(TELL_SECONDS)
                yield progress(waiting)
            # Until the films are whole it is ffmpeg that is waited for.
            with stages.waiting_for("encoding"):
                errors += _end(endings)
    if errors:
        raise errors[0]
    # The last step is told when all films stand at their places.
    yield progress()


@dataclass(frozen=True)
class _Writing:
    """A film on its way into its file."""

    encoder: SegmentEncoder
    missing: Sequence[range]
    """The frames that it has yet to be given."""


@contextlib.contextmanager
def _writing(
    job: Job, settings: EncoderSettings, command: str | None, *, fresh: bool, keep_cache: bool
) -> Iterator[_Writing]:
    """A film's file, whole when the block ends well, with its recipe if there is a ``command``."""
    film, target, frames = job.film, job.target, job.wanted
    with _telling_of_films(), Cache(target, settings.container) as cache:
        digests = cache.digests(files_of(film) if command is None else parts_of(film))
        if command is not None:
            settings = replace(settings, metadata=metadata_of(film, digests, command))
        segments = _segments(film, frames, settings, cache, digests, fresh=fresh)
        with (
            with_sound(film.soundtrack, target, settings, frames) as silent,
            make_encoder(silent, _of_film_at(silent, target, settings), segments) as encoder,
        ):
            yield _Writing(encoder, [each.frames for each in segments if not each.is_whole])
        cache.clear(but=[segment.path for segment in segments] if keep_cache else ())


@contextlib.contextmanager
def _telling_of_films() -> Iterator[None]:
    """Have errors name the file that was asked for, where they name what it grows as."""
    try:
        yield
    except (EncodeError, OptionError) as error:
        raise type(error)(without_parts(str(error))) from error


def _of_film_at(path: Path, target: Path, settings: EncoderSettings) -> EncoderSettings:
    """What a film at a path is encoded as: one that waits for its sound has no metadata yet."""
    return settings if path == target else replace(settings, metadata=None)


def _by_footage(jobs: Sequence[Job]) -> list[list[Job]]:
    """Jobs by the pictures that their films are made of."""
    found: dict[int, list[Job]] = {}
    for job in jobs:
        found.setdefault(id(job.film.engine), []).append(job)
    return list(found.values())


def _end(endings: Sequence[contextlib.ExitStack]) -> list[AnimixError]:
    """Finish films; one that fails does not cost the others. The errors of those."""
    errors = []
    for ending in endings:
        try:
            ending.close()
        except AnimixError as error:
            errors.append(error)
    return errors


def _give_up(ending: contextlib.ExitStack, error: AnimixError) -> AnimixError:
    """Clear away a film that has failed; its error, as it is to be told."""
    try:
        ending.__exit__(type(error), error, error.__traceback__)
    except AnimixError as told:
        return told
    return error


def _segments(
    film: Film,
    frames: range,
    settings: EncoderSettings,
    cache: Cache,
    digests: Mapping[Path, str],
    *,
    fresh: bool,
) -> list[Segment]:
    """The segments of frames, those that the cache has whole marked as such."""
    key = chunk_keys(film, encoding_of(settings), digests)

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


def jobs_of(
    films: Sequence[Film], frames: range | None = None, *, draft: bool = False
) -> list[Job]:
    """What is to be rendered of films of one timeline, each at its own place.

    ``frames`` are the first film's; of the others it is those that are shown meanwhile.
    """
    jobs = []
    for film in films:
        own = None
        if frames is not None:
            ratio = film.schedule.fps / films[0].schedule.fps
            start, stop = (math.ceil(number * ratio) for number in (frames.start, frames.stop))
            own = range(start, min(stop, film.schedule.num_frames))
            if not own:
                raise OptionError(
                    f"at {float(film.schedule.fps):.4g} fps no frame is shown during frames"
                    f" {frames.start} to {frames.stop - 1}: name more frames"
                )
        target = film_path(film.timeline, own, draft=draft, output=film.output)
        jobs.append(Job(film, target, own))
    return jobs


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
    recipe: bool = True,
) -> Path:
    """Render a timeline as its output says, by default to an mp4, and return its path.

    Of a timeline with several outputs ``output`` is the folder of their films, and the first one's
    path is returned. What an interrupted render of the same film has finished is not rendered
    again, unless it is to be ``fresh``.
    """
    check_places(timeline)
    films = open_films(
        timeline,
        device=device,
        gpus=gpus,
        precision=precision,
        memory_bytes=memory_bytes,
        draft=draft,
    )
    jobs = jobs_of(films, frames, draft=draft)
    if output is not None and len(jobs) == 1:
        jobs = [replace(jobs[0], target=Path(output))]
    elif output is not None:
        jobs = [replace(job, target=Path(output) / job.target.name) for job in jobs]
    steps = encode_all(jobs, draft=draft, fresh=fresh, keep_cache=keep_cache, recipe=recipe)
    with contextlib.closing(steps):
        deque(steps, maxlen=0)
    return jobs[0].target
