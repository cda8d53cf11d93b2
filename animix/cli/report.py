"""Reports: how a command tells what it does, as a bar, as lines, as JSON or not at all."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import IO, Any

import typer

from animix.errors import AnimixError, TimelineError
from animix.progress import Follow, Progress
from animix.tables import count, one_line

ENCODING_SECONDS = 10
"""How often a line tells of painted frames that wait for their encoder."""


def tell(*lines: str, err: bool = True) -> bool:
    """Write lines to stderr or stdout; where they can't be delivered, work goes on without them.

    Each stays one line, whatever names of files stand in it. A reader that has left (`animix … |
    head`) or a full disk behind a redirect must not cost a film that took an hour. False where they
    are lost, though there may be somebody who waits for them.
    """
    stream = sys.stderr if err else sys.stdout
    try:
        typer.echo("\n".join(map(one_line, lines)), file=stream)
    except (OSError, ValueError) as error:
        close_off(stream)
        return isinstance(error, BrokenPipeError)
    # Python has none where it was closed from the start.
    return stream is not None


def close_off(stream: IO[str]) -> None:
    """Let nothing more go where a stream led, or Python itself would complain on its way out."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


class Report:
    """Plain lines: results to stdout, everything else to stderr."""

    lost = False
    """Whether a result could not be delivered."""
    _timeline = ""

    @contextlib.contextmanager
    def about(self, timeline: str) -> Iterator[None]:
        """Let all that is told in a block be about one of several timelines."""
        before, self._timeline = self._timeline, timeline
        try:
            yield
        finally:
            self._timeline = before

    def note(self, text: str) -> None:
        """Tell what the user should know."""
        tell(f"note: {self._of_timeline}{text}")

    def error(self, subject: str, error: AnimixError) -> None:
        """Tell what went wrong with one item."""
        if isinstance(error, TimelineError):
            mistakes = count(len(error.mistakes), "mistake")
            tell(*str(error).split("\n"), "", f"{mistakes} in {subject}")
        else:
            tell(*f"error: {self._of_timeline}{error}".split("\n"))

    def interrupted(self) -> None:
        """Tell that the user stopped the work."""
        tell("interrupted")

    def batch(self, *lines: str, **facts: Any) -> None:
        """Tell what has become of all timelines."""
        self.result(*lines)

    def result(self, *lines: str, **facts: Any) -> None:
        """Tell what was made."""
        self.lost |= not tell(*lines, err=False)

    def profile(self, *lines: str, **facts: Any) -> None:
        """Tell where time went."""
        self.result(*lines)

    def follow(
        self, title: str, steps: Iterable[Progress], unit: str = "fps"
    ) -> Iterator[Progress]:
        """Pass steps on and show how far they are: a line every tenth of the way, not too often."""
        told, told_seconds = 0, 0.0
        for step in steps:
            tenths = 10 * step.done // step.total
            if tenths > told and (tenths == 10 or step.elapsed_seconds > told_seconds + 1):
                told, told_seconds = tenths, step.elapsed_seconds
                tell(f"{title}  {step.done}/{step.total}  {pace_of(step, unit)}".rstrip())
            elif step.to_encode and step.elapsed_seconds > told_seconds + ENCODING_SECONDS:
                told_seconds = step.elapsed_seconds
                tell(f"{title}  all painted, {step.to_encode} to encode")
            yield step

    def follow_several(
        self, title: str, steps: Iterable[tuple[str, Progress, Progress]]
    ) -> Iterator[Progress]:
        """Show how far films are that are rendered side by side; pass on how far all are.

        A step is a timeline's name, how far its film is and how far all are.
        """
        yield from self.follow(title, (of_all for _, _, of_all in steps))

    @property
    def _of_timeline(self) -> str:
        return f"{self._timeline}: " if self._timeline else ""


class BarReport(Report):
    """A progress bar with its pace and the time left."""

    def follow(
        self, title: str, steps: Iterable[Progress], unit: str = "fps"
    ) -> Iterator[Progress]:
        """Pass steps on and draw the bar."""
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
        from rich.progress import Progress as Bar

        columns = (
            TextColumn("{task.description}", markup=False),  # names may have brackets
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[pace]}", markup=False),
        )
        # Lines that come meanwhile stand above the bar, unless they go elsewhere.
        with Bar(
            *columns,
            console=Console(stderr=True),
            transient=True,
            redirect_stdout=bool(sys.stdout and sys.stdout.isatty()),
        ) as bar:
            task = bar.add_task(one_line(title), total=None, pace="")
            for step in steps:
                pace = f"{step.to_encode} to encode" if step.to_encode else pace_of(step, unit)
                bar.update(task, completed=step.done, total=step.total, pace=pace)
                yield step


class JsonReport(Report):
    """One JSON object a line on stdout, for machines."""

    def note(self, text: str) -> None:
        """Write a note."""
        self._write("note", text=text)

    def error(self, subject: str, error: AnimixError) -> None:
        """Write an error, and each mistake of a timeline with its place."""
        mistakes = error.mistakes if isinstance(error, TimelineError) else ()
        self._write(
            "error",
            subject=subject,
            kind=type(error).__name__,
            exit_code=error.exit_code,
            message=str(error),
            mistakes=[
                {
                    "file": mistake.mark.file,
                    "line": mistake.mark.line,
                    "column": mistake.mark.column,
                    "message": mistake.message,
                    "hint": mistake.hint,
                }
                for mistake in mistakes
            ],
        )

    def interrupted(self) -> None:
        """Write that the user stopped the work."""
        self._write("interrupted")

    def result(self, *lines: str, **facts: Any) -> None:
        """Write what was made."""
        self._write("result", text="\n".join(lines), **facts)

    def batch(self, *lines: str, **facts: Any) -> None:
        """Write what has become of all timelines."""
        self._write("batch", **facts)

    def profile(self, *lines: str, **facts: Any) -> None:
        """Write where time went."""
        self._write("profile", **facts)

    def follow(
        self, title: str, steps: Iterable[Progress], unit: str = "fps"
    ) -> Iterator[Progress]:
        """Pass steps on and write one object for every hundredth of the way."""
        told = -1
        for step in steps:
            told = self._progress(title, step, told)
            yield step

    def follow_several(
        self, title: str, steps: Iterable[tuple[str, Progress, Progress]]
    ) -> Iterator[Progress]:
        """Pass on how far all are, and write objects of each."""
        told: dict[str, int] = {}
        for timeline, step, of_all in steps:
            with self.about(timeline):
                name = Path(timeline).name
                told[timeline] = self._progress(name, step, told.get(timeline, -1))
            yield of_all

    def _progress(self, title: str, step: Progress, told: int) -> int:
        """Write how far work is if it is a hundredth further than was told."""
        hundredths = 100 * step.done // step.total
        if hundredths > told:
            self._write(
                "progress",
                subject=title,
                done=step.done,
                total=step.total,
                per_second=round(step.per_second, 3),
                eta_seconds=round(step.eta_seconds, 1),
                **({"told": step.told} if step.told else {}),
            )
        return max(hundredths, told)

    def _write(self, event: str, **facts: Any) -> None:
        of_timeline = {"timeline": self._timeline} if self._timeline else {}
        told = json.dumps({"event": event, **of_timeline, **facts})
        self.lost |= not tell(told, err=False)


class QuietReport(Report):
    """Errors only."""

    def note(self, text: str) -> None:
        """Keep quiet."""

    def result(self, *lines: str, **facts: Any) -> None:
        """Keep quiet."""

    def batch(self, *lines: str, **facts: Any) -> None:
        """Keep quiet."""

    def profile(self, *lines: str, **facts: Any) -> None:
        """Keep quiet."""

    def follow(
        self, title: str, steps: Iterable[Progress], unit: str = "fps"
    ) -> Iterator[Progress]:
        """Pass steps on."""
        yield from steps


def choose_report(*, as_json: bool, quiet: bool) -> Report:
    """The report for the options given and the place where it will be read."""
    if quiet:
        return QuietReport()
    if as_json:
        return JsonReport()
    return BarReport() if sys.stderr and sys.stderr.isatty() else Report()


def measuring(report: Report) -> Follow:
    """What shows how far the measuring of a path is, before a film is there."""
    return partial(report.follow, "measuring the path", unit="pictures/s")


def pace_of(step: Progress, unit: str) -> str:
    """How fast work goes and how long it will take; of work that has done nothing yet, neither.

    >>> pace_of(Progress(30, 60, 2.0, told="loss 0.2"), "fps")
    '15.0 fps  loss 0.2  2.0s left'
    >>> pace_of(Progress(30, 60, 2.0, done_before=30), "fps")
    ''
    """
    said = f"{step.told}  " if step.told else ""
    if step.done == step.done_before:
        return said.rstrip()
    return f"{step.per_second:.1f} {unit}  {said}{clock(step.eta_seconds)} left"


def clock(seconds: float) -> str:
    """Seconds as a person reads them.

    >>> clock(0.34), clock(17.4), clock(75), clock(3700)
    ('0.3s', '17s', '1:15', '1:01:40')
    """
    whole = round(seconds)
    if whole < 10:
        return f"{seconds:.1f}s"
    if whole < 60:
        return f"{whole}s"
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
