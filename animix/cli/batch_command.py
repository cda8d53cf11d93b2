"""Several timelines in one command: films as they are done, and what has become of all."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from animix.cli.app import end, import_torch
from animix.cli.film_telling import tell_film, tell_profile
from animix.cli.report import Report
from animix.errors import AnimixError, OptionError, TimelineError, unusable
from animix.progress import Progress
from animix.tables import count, short_path, shown, size_text, table

if TYPE_CHECKING:
    from animix.batch import Advanced, Begun, Commission, Ended, Event, Place
    from animix.checkpoints.store import Store
    from animix.cli.wanted import Wanted
    from animix.rendering import Job

# Whatever needs torch is imported inside the functions, so that `animix --help` answers at once.

LONGEST_NAME = 40
LONGEST_ERROR = 80


@dataclass
class Outcome:
    """What is known so far of one of the films, or of a timeline that has none yet."""

    timeline: str
    """Its file, and which of its variants."""
    result: str = "not begun"
    file: str = ""
    seconds: float | None = None
    per_second: float | None = None
    """Frames that were rendered, if any were."""
    bytes: int | None = None
    exit_code: int = 0
    error: str = ""
    """In one line."""

    def cells(self) -> tuple[str, ...]:
        """What the table shows of it."""
        return (
            short_path(self.timeline, LONGEST_NAME),
            self.result,
            "" if self.seconds is None else f"{self.seconds:.1f}",
            "" if self.per_second is None else f"{self.per_second:.1f}",
            "" if self.bytes is None else size_text(self.bytes),
            self.error or (self.file if self.bytes is not None else ""),
        )


def render_batch(
    items: Sequence[Wanted],
    read_one: Callable[[Wanted], Commission],
    open_one: Callable[[Commission, Place, Store], Sequence[Job]],
    report: Report,
    *,
    jobs: int | None = None,
    device: str | None = None,
    gpus: str | None = None,
    draft: bool = False,
    fresh: bool = False,
    keep_cache: bool = False,
    recipe: bool = True,
    with_profile: bool = False,
) -> None:
    """Render several timelines, tell what has become of them, and exit with the highest code."""
    telling = Telling(items, report, with_profile=with_profile)
    is_interrupted = False
    try:
        import_torch()
        from animix.batch import make_films, places_for
        from animix.checkpoints.store import Store

        places = places_for(len(items), jobs=jobs, device=device, gpus=gpus)
        if with_profile and len(places) > 1:
            raise OptionError("--profile measures one film at a time: add --jobs 1")
        store = Store()
        commissions = _read(items, read_one)
        telling.expect(commissions)
        films = make_films(
            commissions,
            lambda commission, place: open_one(commission, place, store),
            places,
            draft=draft,
            fresh=fresh,
            keep_cache=keep_cache,
            recipe=recipe,
        )
        # Closed at once when interrupted, so that ffmpeg ends and half a film goes.
        with closing(films):
            if len(places) == 1:
                telling.one_by_one(films)
            else:
                title = count(len(items), "timeline")
                deque(report.follow_several(title, telling.side_by_side(films)), maxlen=0)
    except OptionError as error:  # of the options, whatever the timelines
        report.error("", error)
        raise typer.Exit(error.exit_code) from None
    except KeyboardInterrupt:
        is_interrupted = True
        report.interrupted()
    telling.table()
    code = max(outcome.exit_code for outcome in telling.outcomes)
    end(report, 130 if is_interrupted else code)


def _read(
    items: Sequence[Wanted], read_one: Callable[[Wanted], Commission]
) -> list[Commission | AnimixError]:
    """What is to be made of each, or why nothing can be."""
    commissions: list[Commission | AnimixError] = []
    targets: dict[str, Wanted] = {}
    for item in items:
        try:
            commission = read_one(item)
            for target in commission.targets:
                if (first := targets.get(os.path.realpath(target))) is not None:
                    raise OptionError(f"would replace {target}, which {first} is rendered to")
            targets |= dict.fromkeys(map(os.path.realpath, commission.targets), item)
            commissions.append(commission)
        except AnimixError as error:
            commissions.append(error)
        except OSError as error:  # of a path that nobody looked at before
            commissions.append(unusable(error, str(item.file)))
    return commissions


class Telling:
    """Tells of films as they begin and end, and keeps what has become of each for the table."""

    def __init__(
        self, items: Sequence[Wanted], report: Report, *, with_profile: bool = False
    ) -> None:
        self._timelines = [str(item) for item in items]
        self._outcomes = [[Outcome(timeline)] for timeline in self._timelines]
        self._report = report
        self._with_profile = with_profile
        self._begun: dict[int, Begun] = {}
        self._steps: dict[int, Progress] = {}
        self._started = 0.0

    @property
    def outcomes(self) -> list[Outcome]:
        """What is known of each film, those of a timeline together."""
        return list(chain.from_iterable(self._outcomes))

    def expect(self, commissions: Sequence[Commission | AnimixError]) -> None:
        """Learn what is to be made; from now on time counts."""
        self._started = time.monotonic()
        for number, commission in enumerate(commissions):
            if not isinstance(commission, AnimixError):
                self._steps[number] = Progress(0, commission.num_frames, 0.0)

    def one_by_one(self, events: Iterator[Event]) -> None:
        """Tell of films of which one comes after the other."""
        while self._next(events):
            pass

    def side_by_side(self, events: Iterator[Event]) -> Iterator[tuple[str, Progress, Progress]]:
        """Tell of films as they end, and yield how far each is, and all are."""
        from animix.batch import Ended

        for event in events:
            if isinstance(event, Ended):
                self._end(event)
            else:
                yield self._advance(event), event.progress, self._of_all()

    def table(self) -> None:
        """Tell what has become of all."""
        header = ("timeline", "result", "seconds", "fps", "size", "")
        cells = [outcome.cells() for outcome in self.outcomes]
        self._report.batch(
            *table(header, cells, "<<>>><"),
            films=[asdict(outcome) for outcome in self.outcomes],
        )

    def _next(self, events: Iterator[Event]) -> bool:
        """Follow the next film from its beginning to its end; False: there is none.

        No name here holds a film when the next one is opened, whose networks need its memory.
        """
        from animix.batch import Ended

        event = next(events, None)
        if event is None:
            return False
        if not isinstance(event, Ended):
            timeline = self._advance(event)
            ended: list[Ended] = []
            steps = self._to_its_end(event.progress, events, ended)
            with self._report.about(timeline):
                deque(self._report.follow(Path(timeline).name, steps), maxlen=0)
            (event,) = ended
        self._end(event)
        return True

    def _to_its_end(
        self, first: Progress, events: Iterator[Event], ended: list[Ended]
    ) -> Iterator[Progress]:
        from animix.batch import Ended

        yield first
        for event in events:
            if isinstance(event, Ended):
                ended.append(event)
                return
            self._advance(event)
            yield event.progress

    def _advance(self, event: Begun | Advanced) -> str:
        """Take note of how far films are, and give their timeline's name."""
        from animix.batch import Begun

        number, step = event.number, event.progress
        if isinstance(event, Begun):
            self._begin(event)
        self._steps[number] = step
        return self._timelines[number]

    def _begin(self, event: Begun) -> None:
        from animix.delivery import notes_of

        timeline, step = self._timelines[event.number], event.progress
        self._begun[event.number] = event
        self._outcomes[event.number] = [
            # What is rendered is interrupted until it is known better.
            Outcome(
                timeline, "interrupted" if job else "up to date", str(job.target) if job else ""
            )
            for job in event.jobs
        ]
        jobs = [job for job in event.jobs if job]
        with self._report.about(timeline):
            for note in notes_of([job.film for job in jobs], [job.target for job in jobs]):
                self._report.note(note)
            if step.done_before:
                total = count(step.total, "frame")
                self._report.note(f"{step.done_before} of {total} were rendered before")

    def _end(self, event: Ended) -> None:
        timeline = self._timelines[event.number]
        step = self._steps.pop(event.number, None)
        begun = self._begun.pop(event.number, None)
        with self._report.about(timeline):
            if event.error is not None:
                for outcome in self._outcomes[event.number]:
                    if outcome.result != "up to date":
                        outcome.result, outcome.seconds = "failed", round(event.seconds, 3)
                        outcome.error = _in_one_line(event.error)
                        outcome.exit_code = event.error.exit_code
                self._report.error(timeline, event.error)
                return
            self._outcomes[event.number] = outcomes = [
                Outcome(timeline, made.result, str(made.target), bytes=made.num_bytes)
                for made in event.made
            ]
            jobs = [None] * len(outcomes) if begun is None else begun.jobs
            alone = len([job for job in jobs if job]) == 1
            for outcome, job in zip(outcomes, jobs, strict=True):
                if job is None or step is None:
                    text = f"{outcome.file}  up to date"
                    self._report.result(text, file=outcome.file, up_to_date=True)
                    continue
                outcome.seconds = round(event.seconds, 3)
                if step.done > step.done_before:
                    outcome.per_second = round(step.per_second, 3)
                tell_film(self._report, job, step, alone=alone)
            if begun is None or step is None:
                return
            self._steps[event.number] = step
            first = next(job for job in begun.jobs if job)
            if self._with_profile:
                stages = {"opening": begun.opening_seconds, **step.stage_seconds}
                tell_profile(self._report, first, stages)

    def _of_all(self) -> Progress:
        """How far all films are that are rendered, as far as is known."""
        steps = self._steps.values()
        return Progress(
            done=sum(step.done for step in steps),
            total=sum(step.total for step in steps),
            elapsed_seconds=time.monotonic() - self._started,
            done_before=sum(step.done_before for step in steps),
            to_encode=sum(step.to_encode for step in steps),
        )


def _in_one_line(error: AnimixError) -> str:
    """The start of an error, and how many more mistakes there are."""
    if not isinstance(error, TimelineError):
        return shown(str(error), LONGEST_ERROR)
    first, *more = error.mistakes
    told = shown(f"{first.mark}  {first.message}", LONGEST_ERROR)
    return f"{told} (and {count(len(more), 'more mistake')})" if more else told
