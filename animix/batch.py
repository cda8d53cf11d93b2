"""A batch: timelines that become films, several at a time if asked; what is there is not remade."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal, TypeAlias

import torch

from animix.chunks import files_of, film_key
from animix.crew import side_by_side
from animix.delivery import settings_of
from animix.engine.device import choose_gpus
from animix.errors import AnimixError, unusable
from animix.progress import Progress
from animix.provenance import metadata_of, parts_of, render_command
from animix.rendering import Job, encode_all
from animix.timeline.timeline import Timeline
from animix.video.cache import digests_of
from animix.video.record import is_on_record, keep_record


@dataclass(frozen=True)
class Commission:
    """The films of a timeline that are to be made, one for each output."""

    timeline: Timeline
    targets: tuple[Path, ...]
    """Where they go; for a range of frames their names say so, once it is known."""
    num_frames: int
    """Of all of them, as far as is known before networks are opened."""


@dataclass(frozen=True)
class Place:
    """Where films of a batch are painted, one after the other."""

    device: str | None = None
    gpus: str | None = None
    films_at_a_time: int = 1
    """So many share its devices with films of other places."""


@dataclass(frozen=True, eq=False)
class Begun:
    """The films of this number's timeline are open, and frames of them are on their way."""

    number: int
    jobs: tuple[Job | None, ...]
    """For each output; None: its film is up to date."""
    opening_seconds: float
    progress: Progress


@dataclass(frozen=True)
class Advanced:
    """The films of this number's timeline are so far."""

    number: int
    progress: Progress


@dataclass(frozen=True)
class Made:
    """A film that is there."""

    target: Path
    result: Literal["rendered", "up to date"]
    num_bytes: int


@dataclass(frozen=True, eq=False)
class Ended:
    """What has become of the films of this number's timeline."""

    number: int
    seconds: float
    """From when they were begun to be opened."""
    made: tuple[Made, ...] = ()
    """For each output."""
    error: AnimixError | None = None
    """Why they could not be made."""


Event: TypeAlias = Begun | Advanced | Ended

Open: TypeAlias = Callable[[Commission, Place], Sequence[Job]]
"""Opens the films of a commission, and says what is to be rendered of them."""


def places_for(
    num_films: int, *, jobs: int | None = None, device: str | None = None, gpus: str | None = None
) -> tuple[Place, ...]:
    """Where films are painted, as many at a time as there are places.

    Films are dealt to GPUs: by default each has one, and only where there are more GPUs than films
    at a time a film has several. Elsewhere, and on one GPU, it is one at a time unless ``jobs``
    says otherwise: its frames keep the device busy by themselves.

    >>> places_for(3, device="cpu")
    (Place(device='cpu', gpus=None, films_at_a_time=1),)
    >>> len(places_for(3, jobs=8))
    3
    """
    if gpus is None:
        jobs = min(jobs or 1, num_films)
        return (Place(device, films_at_a_time=jobs),) * jobs
    numbers = [str(found.index) for found in choose_gpus(gpus)]
    jobs = min(jobs or len(numbers), num_films)
    films_at_a_time = -(-jobs // len(numbers))
    dealt = (numbers[place::jobs] or [numbers[place % len(numbers)]] for place in range(jobs))
    return tuple(Place(device, ",".join(several), films_at_a_time) for several in dealt)


def make_films(
    commissions: Sequence[Commission | AnimixError],
    open_one: Open,
    places: Sequence[Place],
    *,
    draft: bool = False,
    fresh: bool = False,
    keep_cache: bool = False,
    recipe: bool = True,
) -> Generator[Event, None, None]:
    """Make the films of each commission and yield what happens; a bad one doesn't stop the others.

    A film that is there already, and to the last byte what it would become, is left as it is,
    unless it is to be ``fresh``. An error in place of a commission is told in its turn. Closing the
    iterator ends what is at work: its finished chunks stay, and whole films do.
    """
    # torch asks each new thread anew how many it may use, and that decides a film's last bits.
    num_threads = torch.get_num_threads() if len(places) > 1 else None
    make = partial(
        _make,
        open_one=open_one,
        encode=partial(encode_all, draft=draft, fresh=fresh, keep_cache=keep_cache, recipe=recipe),
        key_of=partial(_key, draft=draft, recipe=recipe),
        opening=threading.Lock(),
        num_threads=num_threads,
        fresh=fresh,
    )
    numbered = list(enumerate(commissions))
    if len(places) > 1:
        yield from side_by_side(numbered, [partial(make, place=place) for place in places])
        return
    for job in numbered:
        yield from make(job, threading.Event(), place=places[0])


def _make(
    numbered: tuple[int, Commission | AnimixError],
    is_over: threading.Event,
    *,
    place: Place,
    open_one: Open,
    encode: Callable[[Sequence[Job]], Generator[Progress, None, None]],
    key_of: Callable[[Job], str],
    opening: threading.Lock,
    num_threads: int | None,
    fresh: bool,
) -> Generator[Event, None, None]:
    """The films of one; ``opening`` is held by those who open theirs, one after the other."""
    number, commission = numbered
    if isinstance(commission, AnimixError):
        yield Ended(number, 0.0, error=commission)
        return
    started = time.monotonic()
    try:
        with contextlib.ExitStack() as ending:
            # Networks that films share are read once, and an engine that takes threads for itself
            # does so alone. To the first frame, as what is compiled is to be compiled once.
            with opening:
                if is_over.is_set():
                    return
                if num_threads is not None:
                    torch.set_num_threads(num_threads)
                started = time.monotonic()
                jobs = open_one(commission, place)
                opening_seconds = time.monotonic() - started
                # Before anything is painted: files may change meanwhile.
                keys = [key_of(job) for job in jobs]
                missing = tuple(
                    job if fresh or not is_on_record(job.target, key) else None
                    for job, key in zip(jobs, keys, strict=True)
                )
                if any(missing):
                    # Closed in the end, however that comes, so that ffmpeg ends.
                    steps = encode([job for job in missing if job])
                    ending.enter_context(contextlib.closing(steps))
                    first = next(steps)
            if any(missing):
                yield Begun(number, missing, opening_seconds, first)
                for progress in steps:
                    yield Advanced(number, progress)
                for job, key in zip(missing, keys, strict=True):
                    if job:
                        keep_record(job.target, key)
        made = tuple(
            Made(job.target, "rendered" if is_new else "up to date", _num_bytes(job.target))
            for job, is_new in zip(jobs, missing, strict=True)
        )
        yield Ended(number, time.monotonic() - started, made)
    except AnimixError as error:
        yield Ended(number, time.monotonic() - started, error=_alone(error))
    except OSError as error:  # of a path that nobody looked at before
        told = unusable(error, str(commission.timeline.path))
        yield Ended(number, time.monotonic() - started, error=told)


def expected_frames(timeline: Timeline, frames: range | None = None) -> int:
    """About how many frames all films of a timeline have, or show of the first's ``frames``."""
    clip = timeline.clip(loop=False)
    rates = [output.fps or clip.fps for output in timeline.outputs]
    if frames is None:
        return sum(map(clip.num_frames_at, rates))
    return sum(max(1, round(len(frames) * rate / rates[0])) for rate in rates)


def _key(job: Job, *, draft: bool, recipe: bool) -> str:
    film, settings = job.film, settings_of(job.film, draft=draft)
    digests = digests_of({*files_of(film), *parts_of(film)})
    if recipe:
        command = render_command(film, job.wanted, draft=draft)
        settings = replace(settings, metadata=metadata_of(film, digests, command))
    return film_key(film, job.wanted, settings, digests)


def _num_bytes(film: Path) -> int:
    files = film.iterdir() if film.is_dir() else [film]
    return sum(file.stat().st_size for file in files)


def _alone(error: AnimixError) -> AnimixError:
    """An error without what it came from, which would keep a film in memory."""
    error.__cause__ = error.__context__ = None
    return error.with_traceback(None)
