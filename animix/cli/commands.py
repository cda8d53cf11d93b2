"""The commands: each parses, calls and prints."""

from __future__ import annotations

import os
import shlex
import signal
import sys
import time
from collections import deque
from contextlib import closing
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from animix import __version__, demo
from animix.cli.app import (
    AsJson,
    Device,
    Gpus,
    Memory,
    NoRecipe,
    Only,
    Output,
    Precision,
    Quiet,
    Settings,
    app,
    each,
    interruptible,
    keep_inputs,
    save_png,
)
from animix.cli.arguments import (
    film_targets,
    parse_frames,
    parse_memory,
    parse_range,
    parse_section,
    parse_seeds,
    parse_settings,
    with_suffix,
)
from animix.cli.batch_command import render_batch
from animix.cli.beats_command import beats
from animix.cli.cache_command import cache
from animix.cli.film_telling import tell_film, tell_profile
from animix.cli.network_commands import NETWORK_COMMANDS
from animix.cli.preset_commands import presets
from animix.cli.report import choose_report
from animix.cli.schema_command import schema
from animix.cli.sheet_command import sheet
from animix.errors import AnimixError, OptionError
from animix.tables import count
from animix.timeline.timeline import LARGEST_SEED
from animix.whole_file import whole_file

if TYPE_CHECKING:
    from animix.batch import Commission, Place
    from animix.checkpoints.store import Store
    from animix.rendering import Job

# Whatever needs torch is imported inside the commands, so that `animix --help` answers at once.

Timeline = Annotated[
    Path, typer.Argument(metavar="FILE", readable=False, help="A timeline (YAML).")
]
Timelines = Annotated[
    list[Path], typer.Argument(metavar="FILE", readable=False, help="Timelines (YAML).")
]


@app.callback(invoke_without_command=True)
def animix(
    version: Annotated[bool, typer.Option("--version", help="Show the version and exit.")] = False,
) -> None:
    """Render videos from StyleGAN networks that are re-blended for every frame."""
    if version:
        typer.echo(f"animix {__version__}")
        raise typer.Exit


@app.command()
def render(
    files: Timelines,
    draft: Annotated[bool, typer.Option("--draft", help="Half the size each way, fast.")] = False,
    frames: Annotated[
        str | None, typer.Option(metavar="A..B", help="Frame numbers, both included.")
    ] = None,
    section: Annotated[
        str | None, typer.Option(metavar="NAME", help="A section of the timelines.")
    ] = None,
    only: Only = None,
    output: Output = None,
    device: Device = None,
    gpus: Gpus = None,
    jobs: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="Films at a time, of several; else one on each GPU."),
    ] = None,
    memory: Memory = None,
    with_profile: Annotated[
        bool, typer.Option("--profile", help="Tell where the time went, by stage and by layer.")
    ] = False,
    precision: Precision = None,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Render everything, whatever is there.")
    ] = False,
    keep_cache: Annotated[
        bool,
        typer.Option("--keep-cache", help="Keep the chunks: after an edit only others are made."),
    ] = False,
    no_recipe: NoRecipe = False,
    settings: Settings = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Render timelines to films, mp4 files unless they say otherwise, by default into renders/.

    A draft or a part gets a file name of its own. What was interrupted goes on with the
    same command. With several files, variants or outputs --output names a folder. With several
    files or variants a bad one doesn't stop the others, films that are there and would not change
    are left as they are, and a table ends it.
    """
    report = choose_report(as_json=as_json, quiet=quiet)
    with interruptible(report):
        from animix.cli.wanted import Wanted, wanted

        items = wanted(files, settings, only)
    is_batch = len(items) > 1

    def read_one(item: Wanted) -> Commission:
        from animix.batch import Commission, expected_frames
        from animix.delivery import check_places, film_path

        timeline = item.opened()
        check_places(timeline)
        planned = [film_path(timeline, draft=draft, output=each) for each in timeline.outputs]
        targets = film_targets(output, planned, batch=is_batch)
        part = None if frames is None else parse_range(frames, timeline.num_frames)
        if frames is not None and section is not None:
            raise OptionError("--frames and --section both name a part: give one of them")
        if section is not None:
            fps = timeline.output.fps or timeline.fps
            part = parse_section(section, timeline.clock).frames(timeline.clip(True), fps)
        return Commission(timeline, tuple(targets), expected_frames(timeline, part))

    def open_one(commission: Commission, place: Place, store: Store | None = None) -> list[Job]:
        from animix.film import open_films
        from animix.rendering import jobs_of

        films = open_films(
            commission.timeline,
            device=place.device,
            gpus=place.gpus,
            precision=precision,
            memory_bytes=parse_memory(memory) if memory else None,
            draft=draft,
            store=store,
            films_at_a_time=place.films_at_a_time,
        )
        num_frames = films[0].schedule.num_frames
        chosen = None if frames is None else parse_frames(frames, num_frames)
        if section is not None:
            schedule = films[0].schedule
            chosen = parse_section(section, schedule.clock).frames(schedule.clip, schedule.fps)
        jobs = jobs_of(films, chosen, draft=draft)
        targets = film_targets(output, [job.target for job in jobs], batch=is_batch)
        for target in targets:
            keep_inputs(target, films[0].files)
        return [replace(job, target=each) for job, each in zip(jobs, targets, strict=True)]

    def render_one(item: Wanted) -> None:
        from animix.batch import Place
        from animix.delivery import notes_of
        from animix.rendering import encode_all

        started = time.monotonic()
        films = open_one(read_one(item), Place(device, gpus))
        opening = time.monotonic() - started
        for note in notes_of([job.film for job in films]):
            report.note(note)
        # Closed at once when interrupted, so that ffmpeg ends and its half a film goes.
        with closing(
            encode_all(
                films,
                draft=draft,
                fresh=fresh,
                keep_cache=keep_cache,
                recipe=not no_recipe,
            )
        ) as steps:
            begun = next(steps)
            if begun.done_before:
                total = count(begun.total, "frame")
                report.note(f"{begun.done_before} of {total} were rendered before")
            last = deque(report.follow(item.file.name, chain([begun], steps)), maxlen=1)[0]
        for job in films:
            tell_film(report, job, last, alone=len(films) == 1)
        if with_profile:
            tell_profile(report, films[0], {"opening": opening, **last.stage_seconds})

    if is_batch:
        render_batch(
            items,
            read_one,
            open_one,
            report,
            jobs=jobs,
            device=device,
            gpus=gpus,
            draft=draft,
            fresh=fresh,
            keep_cache=keep_cache,
            recipe=not no_recipe,
            with_profile=with_profile,
        )
    else:
        each(items, render_one, report)


@app.command()
def still(
    file: Timeline,
    at: Annotated[
        str, typer.Option("--at", metavar="TIME", help="2s, 45f, 'bar 5', 50%, 'end - 1s', …")
    ],
    only: Only = None,
    output: Output = None,
    device: Device = None,
    memory: Memory = None,
    precision: Precision = None,
    no_recipe: NoRecipe = False,
    settings: Settings = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Write the frame that the film shows at a time as a PNG."""
    report = choose_report(as_json=as_json, quiet=quiet)

    def write_still(file: Path) -> None:
        from PIL import Image

        from animix.delivery import RENDERS
        from animix.film import open_film
        from animix.provenance import still_metadata
        from animix.timeline.reader import load_timeline

        target = with_suffix(output, ".png") if output else None
        timeline = load_timeline(file, parse_settings(settings), only or ())
        film = open_film(
            timeline,
            device=device,
            precision=precision,
            memory_bytes=parse_memory(memory) if memory else None,
        )
        index = film.schedule.frame_at(at)
        target = target or RENDERS / f"{timeline.name}-frame-{index}.png"
        metadata = None if no_recipe else still_metadata(film, index)
        save_png(Image.fromarray(film.rgb8(index)), target, metadata)
        report.result(
            f"{target}  frame {index}, {float(index / film.schedule.fps):.3f} s",
            file=str(target),
            frame=index,
        )

    each([file], write_still, report)


@app.command()
def check(
    files: Timelines,
    csv: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the schedule, a row a frame.")
    ] = None,
    only: Only = None,
    settings: Settings = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Find every mistake in timelines, then tell what they will render."""
    report = choose_report(as_json=as_json, quiet=quiet)

    with interruptible(report):
        from animix.checkpoints.store import Store
        from animix.cli.wanted import SameMistakes, Wanted, wanted

        items = wanted(files, settings, only)
    store = Store() if len(items) > 1 else None
    told: set[str] = set()

    def is_new(file: Path, text: str) -> bool:
        """Whether a text has not been told of this file before; its variants have much alike."""
        before = len(told)
        told.add(f"{file} {text}")
        return len(told) > before

    def check_one(item: Wanted) -> None:
        from animix.delivery import check_outputs, check_places, film_path, notes_of
        from animix.film import open_films
        from animix.schedule import write_csv
        from animix.summary import summarize

        if csv and len(items) > 1:
            raise OptionError(
                "--csv writes one schedule: give one timeline, of variants with --only"
            )
        if isinstance(item.timeline, SameMistakes):
            return
        try:
            timeline = item.opened()
            check_places(timeline)
            films = open_films(timeline, device="cpu", store=store)
            check_outputs(films)
        except AnimixError as error:
            if is_new(item.file, str(error)):
                raise
            return
        summary, warnings = summarize(*films)
        lines = summary.lines() if is_new(item.file, "") else []
        facts = summary.as_dict()
        if timeline.variant:
            lines.append(f"  {item.variant}: {film_path(timeline)}")
            facts["variant"] = item.variant
        report.result("\n".join(lines), **facts)
        for note in filter(lambda text: is_new(item.file, text), (*notes_of(films), *warnings)):
            report.note(note)
        if csv:
            keep_inputs(csv, films[0].files)
            with whole_file(csv) as part, part.open("w", newline="", encoding="utf-8") as stream:
                write_csv(films[0].schedule, stream)
            rows = films[0].schedule.num_frames
            report.result(f"{csv}  {count(rows, 'row')}", file=str(csv), rows=rows)

    each(items, check_one, report)


@app.command()
def seeds(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", readable=False, help="A network or a timeline.")
    ],
    numbers: Annotated[str, typer.Argument(metavar="A..B", help="Seeds, both included: 1..200")],
    at: Annotated[
        str | None,
        typer.Option("--at", metavar="TIME", help="The moment of a timeline; else its middle."),
    ] = None,
    like: Annotated[
        int | None,
        typer.Option(
            metavar="SEED",
            min=0,
            max=LARGEST_SEED,
            help="Order by closeness to this one in W.",
        ),
    ] = None,
    output: Output = None,
    device: Device = None,
    precision: Precision = None,
    only: Only = None,
    settings: Settings = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Draw a numbered sheet of seeds; of a timeline, base and blend side by side."""
    report = choose_report(as_json=as_json, quiet=quiet)

    def draw(file: Path) -> None:
        from animix.delivery import RENDERS
        from animix.sheets import SeedSheet, by_closeness, seed_painter

        target = with_suffix(output, ".png") if output else RENDERS / f"{file.stem}-seeds.png"
        chosen = parse_seeds(numbers)
        overrides = parse_settings(settings)
        painter = seed_painter(
            file, at=at, overrides=overrides, only=only or (), device=device, precision=precision
        )
        if like is not None:
            chosen = by_closeness(painter, chosen, like)
        sheet = SeedSheet(painter, chosen)
        deque(report.follow(file.name, sheet.draw(), unit="seeds/s"), maxlen=0)
        save_png(sheet.image, target)
        report.result(f"{target}  {count(len(chosen), 'seed')}", file=str(target), seeds=chosen)

    each([file], draw, report)


@app.command()
def new(
    networks: Annotated[
        list[Path] | None,
        typer.Argument(metavar="NETWORK", readable=False, help="Checkpoints, snapshots included."),
    ] = None,
    source: Annotated[
        Path | None,
        typer.Option(
            "--from",
            metavar="FILM",
            readable=False,
            help="Write back the timeline that a film or a still of animix's carries.",
        ),
    ] = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="The file to write.")] = Path(
        "timeline.yaml"
    ),
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Write a commented timeline for networks, ready to render.

    With --from it is the one in a film: networks are looked for beside it, by name and content.
    """
    report = choose_report(as_json=as_json, quiet=quiet)

    def write(output: Path) -> None:
        from animix.restoration import restore
        from animix.starter import write_starter

        if source is not None:
            restored = restore(source, output, networks or ())
            notes, command = restored.notes, restored.command
        elif networks:
            notes = tuple(write_starter(networks, output))
            command = shlex.join(["animix", "render", str(output)])
        else:
            raise OptionError("name networks, or a film with --from")
        for note in notes:
            report.note(note)
        report.result(f"{output}  try: {command}", file=str(output))

    each([output], write, report)


@app.command("demo")
def render_demo(
    draft: Annotated[bool, typer.Option("--draft", help="Half the size each way, fast.")] = False,
    output: Output = None,
    device: Device = None,
    gpus: Gpus = None,
    memory: Memory = None,
    precision: Precision = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Render the demo: networks that come with animix melt into each other."""
    render(
        [demo.TIMELINE],
        draft=draft,
        output=output,
        device=device,
        gpus=gpus,
        memory=memory,
        precision=precision,
        as_json=as_json,
        quiet=quiet,
    )


app.command()(sheet)
app.command()(presets)
app.command()(beats)
app.command()(schema)
app.command()(cache)
for network_command in NETWORK_COMMANDS:
    app.command()(network_command)


def main() -> None:
    """Run the command line and exit with its code."""
    # torch's threads (libgomp's) wait for each other in a busy loop of 300 000 turns, unless told
    # otherwise before torch is imported. On two cores, beside x264, a frame takes 91 ms so, 80 with
    # 10 000 turns and 86 with none; beside another busy program 260, 214 and 135.
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")
    # torch's profiler tells the terminal when it starts and stops, below this level.
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")
    for ending in (signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGTERM)):
        # As an exception, so that ffmpeg ends and its half a film goes, as with Ctrl-C.
        signal.signal(ending, lambda number, _: sys.exit(128 + number))
    app()
