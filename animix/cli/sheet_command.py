"""The command that shows a timeline, or its variants, on one page."""

from __future__ import annotations

import math
import shutil
import sys
from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TextIO

import typer

from animix.cli.app import (
    AsJson,
    Device,
    Only,
    Output,
    Precision,
    Quiet,
    Settings,
    check_writable,
    each,
    keep_inputs,
    save_png,
)
from animix.cli.arguments import parse_settings, with_suffix
from animix.cli.report import Report, choose_report, measuring
from animix.errors import OptionError
from animix.tables import WIDTH, count

if TYPE_CHECKING:
    from PIL import Image

    from animix.score import Score
    from animix.timeline.clock import Clock
    from animix.timeline.timeline import Timeline

MOST_VARIANTS = 1000
MOST_TILES = 60
STEPS_SECONDS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600)
MIDDLE = "50%"


def sheet(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", readable=False, help="A timeline (YAML).")
    ],
    every: Annotated[
        str | None,
        typer.Option(
            metavar="LENGTH", help="From still to still: 1bar, 2s, 30f; else a bar or 1s."
        ),
    ] = None,
    curves: Annotated[
        bool, typer.Option("--curves", help="No stills: the curves alone, here or into a file.")
    ] = False,
    variants: Annotated[
        bool, typer.Option("--variants", help="A still of each variant, named.")
    ] = False,
    at: Annotated[
        str | None,
        typer.Option("--at", metavar="TIME", help="Of variants the moment: 2s, 45f; else 50%."),
    ] = None,
    only: Only = None,
    output: Output = None,
    device: Device = None,
    precision: Precision = None,
    settings: Settings = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Draw a timeline: stills in even steps, and below them the curve of all that moves.

    Bars, beats, markers, sections and the sound stand over the same time. It is written as a PNG
    or an SVG; --curves alone draws in the terminal and paints nothing.
    """
    report = choose_report(as_json=as_json, quiet=quiet)

    def draw(file: Path) -> None:
        from animix.timeline import reader

        if variants:
            if every is not None or curves:
                raise OptionError("--every and --curves are for one clip, not for --variants")
            timelines = reader.variants(file, parse_settings(settings), only or ())
            _draw_variants(file, timelines, at or MIDDLE, output, device, precision, report)
            return
        if at is not None:
            raise OptionError("--at is for --variants; one clip has stills in steps, see --every")
        timeline = reader.load_timeline(file, parse_settings(settings), only or ())
        if curves and output is None:
            if every is not None:
                raise OptionError("--every is for pages: with --curves, name one with --output")
            _tell_curves(timeline, report)
        else:
            _draw_clip(timeline, every, curves, output, device, precision, report)

    each([file], draw, report)


def _tell_curves(timeline: Timeline, report: Report) -> None:
    """Draw the curves with letters."""
    from animix.score import open_score
    from animix.score_lines import score_lines

    score = open_score(timeline)
    width = min(shutil.get_terminal_size((WIDTH, 24)).columns, 240)
    lines = score_lines(score, width, plain=not letters_fit(sys.stdout))
    report.result(*lines, **_facts(score))
    _tell_notes(score, report)


def letters_fit(stream: TextIO | None) -> bool:
    """Whether curves can be drawn with the letters that a stream takes."""
    try:
        "⡠▁│─".encode(getattr(stream, "encoding", None) or "ascii")
    except (UnicodeError, LookupError):
        return False
    return True


def _draw_clip(
    timeline: Timeline,
    every: str | None,
    curves: bool,
    output: Path | None,
    device: str | None,
    precision: str | None,
    report: Report,
) -> None:
    """Draw stills over curves, or curves alone, into a file."""
    from animix.delivery import RENDERS, notes_of
    from animix.figure import check_figure
    from animix.film import open_film
    from animix.pages import write_page
    from animix.score import open_score, score_of
    from animix.sheets import FilmTiles

    target = output or RENDERS / f"{timeline.name}-sheet.png"
    asks = "--output" if output else "sheet"
    check_figure(target, asks, "; or draw in the terminal: --curves")
    keep_inputs(target, _read_by([timeline]))
    # Frames are those of the film that is shown.
    clock = replace(timeline.clock, fps=timeline.output.fps or timeline.fps)
    if curves:
        score = open_score(timeline)
        frames: list[int] = []
        stills: list[Image.Image] = []
        moments = _moments(score, clock, every, report)
    else:
        film = open_film(timeline, device=device, precision=precision, follow=measuring(report))
        keep_inputs(target, film.files)
        score = score_of(timeline, film.schedule, film.soundtrack, notes_of(film.versions))
        moments = _moments(score, clock, every, report)
        check_writable(target)
        last = film.schedule.num_frames - 1
        frames = [min(math.floor(each * film.schedule.fps), last) for each in moments]
        tiles = FilmTiles(film, frames)
        deque(report.follow(timeline.path.name, tiles.draw(), unit="stills/s"), maxlen=0)
        stills = tiles.stills
    write_page(score, [float(each) for each in moments], stills, target)
    _tell_notes(score, report)
    drawn = f"{count(len(stills), 'still')}, " if stills else ""
    report.result(
        f"{target}  {drawn}{count(len(score.strips), 'curve')}",
        file=str(target),
        frames=frames,
        **_facts(score),
    )


def _moments(score: Score, clock: Clock, every: str | None, report: Report) -> list[Fraction]:
    """The moments that are drawn: a step apart as asked for, else as many as fit on a page."""
    from animix.score import moments
    from animix.timeline.clock import BEATS_A_BAR
    from animix.timeline.misread import Misread
    from animix.timeline.times import parse_length

    duration = score.duration
    if every is not None:
        try:
            step = parse_length(every, clock)
        except Misread as exc:
            raise OptionError(f"--every: {exc.message}; {exc.hint}".removesuffix("; ")) from exc
        # No other unit than those of beats has a b.
        first = clock.first_beat_seconds if "b" in every else Fraction(0)
        if duration / step > MOST_TILES:
            number = math.ceil(duration / step)
            least = float(duration / MOST_TILES)
            raise OptionError(
                f"--every {every}: {number} steps are too many for a page of up to {MOST_TILES}; "
                f"take {least:.3g}s or more"
            )
        return moments(duration, step, first)
    if clock.bpm is not None:
        bar = clock.beats_seconds(Fraction(BEATS_A_BAR))
        bars = 1
        while duration / (bars * bar) > MOST_TILES:
            bars *= 2
        if bars > 1:
            report.note(f"a step is {bars} bars: there are too many for a step each")
        return moments(duration, bars * bar, clock.first_beat_seconds)
    fitting = (each for each in STEPS_SECONDS if duration / each <= MOST_TILES)
    seconds = next(fitting, math.ceil(duration / MOST_TILES))
    if seconds > 1:
        report.note(f"a step is {seconds} s: there are too many for one a second")
    return moments(duration, Fraction(seconds), Fraction(0))


def _facts(score: Score) -> dict[str, object]:
    """What machines are told of a score."""
    curves = [
        {
            "name": f"{strip.name} {line.name}".strip(),
            "low": min(line.values.tolist()),
            "high": max(line.values.tolist()),
        }
        for strip in score.strips
        for line in strip.lines
    ]
    return {"curves": curves, "still": list(score.still)}


def _read_by(timelines: Sequence[Timeline]) -> list[Path]:
    """The files that timelines are, and the photos that they show."""
    from animix.setting import photo_file

    photos = filter(None, map(photo_file, timelines))
    return [*(path for one in timelines for path in (one.path, *one.bases)), *photos]


def _tell_notes(score: Score, report: Report) -> None:
    for note in score.notes:
        report.note(note)


def _draw_variants(
    file: Path,
    timelines: Sequence[Timeline],
    at: str,
    output: Path | None,
    device: str | None,
    precision: str | None,
    report: Report,
) -> None:
    """Draw a still of each variant."""
    from animix.delivery import RENDERS
    from animix.sheets import VariantSheet

    target = with_suffix(output, ".png") if output else RENDERS / f"{file.stem}-variants.png"
    if len(timelines) > MOST_VARIANTS:
        told = f"{len(timelines)} variants are too many for a page of up to {MOST_VARIANTS}"
        raise OptionError(f"{told}: choose with --only")
    keep_inputs(target, _read_by(timelines))
    drawn = VariantSheet(timelines, at, device=device, precision=precision)
    deque(report.follow(file.name, drawn.draw(), unit="stills/s"), maxlen=0)
    save_png(drawn.image, target)
    report.result(
        f"{target}  {count(len(timelines), 'variant')}",
        file=str(target),
        variants=[str(timeline.variant or timeline.name) for timeline in timelines],
    )
