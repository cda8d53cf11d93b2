"""A batch: timelines that become films, several at a time if asked; what is there is not remade."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal, TypeAlias

import torch

from animix.chunks import files_of, film_key
from animix.crew import side_by_side
from animix.engine.device import choose_gpus
from animix.errors import AnimixError, unusable
from animix.film import Film
from animix.progress import Progress
from animix.rendering import encode, settings_of
from animix.timeline.timeline import Timeline
from animix.video.cache import digests_of
from animix.video.record import is_on_record, keep_record


@dataclass(frozen=True)
class Commission:
    """A film that is to be made."""

    timeline: Timeline
    target: Path
    frames: range
    """Those of the timeline that are wanted."""
    draft: bool = False


@dataclass(frozen=True)
class Place:
    """Where films of a batch are painted, one after the other."""

    device: str | None = None
    gpus: str | None = None
    films_at_a_time: int = 1
    """So many share its devices with films of other places."""


@dataclass(frozen=True, eq=False)
class Begun:
    """The film of this number is open, and frames of it are on their way."""

    number: int
    film: Film
    frames: range
    opening_seconds: float
    progress: Progress


@dataclass(frozen=True)
class Advanced:
    """The film of this number is so far."""

    number: int
    progress: Progress


@dataclass(frozen=True, eq=False)
class Ended:
    """What has become of the film of this number."""

    number: int
    result: Literal["rendered", "up to date", "failed"]
    seconds: float
    """From when it was begun to be opened."""
    num_bytes: int = 0
    error: AnimixError | None = None


Event: TypeAlias = Begun | Advanced | Ended

Open: TypeAlias = Callable[[Commission, Place], Film]


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
    fresh: bool = False,
    keep_cache: bool = False,
) -> Generator[Event, None, None]:
    """Make the film of each commission and yield what happens; a bad one doesn't stop the others.

    A film that is there already, and to the last byte what it would become, is left as it is,
    unless it is to be ``fresh``. An error in place of a commission is told in its turn. Closing the
    iterator ends what is at work: its finished chunks stay, and whole films do.
    """
    # torch asks each new thread anew how many it may use, and that decides a film's last bits.
    num_threads = torch.get_num_threads() if len(places) > 1 else None
    make = partial(
        _make,
        open_one=open_one,
        opening=threading.Lock(),
        num_threads=num_threads,
        fresh=fresh,
        keep_cache=keep_cache,
    )
    numbered = list(enumerate(commissions))
    if len(places) > 1:
        yield from side_by_side(numbered, [partial(make, place=place) for place in places])
        return
    for job in numbered:
        yield from make(job, threading.Event(), place=places[0])


def _make(
    job: tuple[int, Commission | AnimixError],
    is_over: threading.Event,
    *,
    place: Place,
    open_one: Open,
    opening: threading.Lock,
    num_threads: int | None,
    fresh: bool,
    keep_cache: bool,
) -> Generator[Event, None, None]:
    """One film; ``opening`` is held by those who open theirs, one after the other."""
    number, commission = job
    if isinstance(commission, AnimixError):
        yield Ended(number, "failed", 0.0, error=commission)
        return
    started = time.monotonic()
    try:
        target, draft = commission.target, commission.draft
        with contextlib.ExitStack() as ending:
            # Networks that films share are read once, and an engine that takes threads for itself
            # does so alone. To the first frame, as what is compiled is to be compiled once.
            with opening:
                if is_over.is_set():
                    return
                if num_threads is not None:
                    torch.set_num_threads(num_threads)
                started = time.monotonic()
                film = open_one(commission, place)
                opening_seconds = time.monotonic() - started
                # Before anything is painted: files may change meanwhile.
                key = _key(film, commission)
                is_there = not fresh and is_on_record(target, key)
                if not is_there:
                    steps = encode(
                        film,
                        target,
                        frames=commission.frames,
                        draft=draft,
                        fresh=fresh,
                        keep_cache=keep_cache,
                    )
                    # Closed in the end, however that comes, so that ffmpeg ends.
                    ending.enter_context(contextlib.closing(steps))
                    first = next(steps)
            if not is_there:
                yield Begun(number, film, commission.frames, opening_seconds, first)
                for progress in steps:
                    yield Advanced(number, progress)
                keep_record(target, key)
        result: Literal["rendered", "up to date"] = "up to date" if is_there else "rendered"
        yield Ended(number, result, time.monotonic() - started, _num_bytes(target))
    except AnimixError as error:
        yield Ended(number, "failed", time.monotonic() - started, error=_alone(error))
    except OSError as error:  # of a path that nobody looked at before
        told = unusable(error, str(commission.target))
        yield Ended(number, "failed", time.monotonic() - started, error=told)


def _key(film: Film, commission: Commission) -> str:
    sound = {film.soundtrack.path} if film.soundtrack else set()
    digests = digests_of(files_of(film) | sound)
    return film_key(film, commission.frames, settings_of(film, draft=commission.draft), digests)


def _num_bytes(film: Path) -> int:
    files = film.iterdir() if film.is_dir() else [film]
    return sum(file.stat().st_size for file in files)


def _alone(error: AnimixError) -> AnimixError:
    """An error without what it came from, which would keep a film in memory."""
    error.__cause__ = error.__context__ = None
    return error.with_traceback(None)
