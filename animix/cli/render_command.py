"""The command that renders timelines, and the one that renders the demo."""

from __future__ import annotations

import time
from collections import deque
from contextlib import closing
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from animix import demo
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
    each,
    interruptible,
    keep_inputs,
)
from animix.cli.arguments import (
    film_targets,
    parse_frames,
    parse_memory,
    parse_range,
    parse_section,
)
from animix.cli.batch_command import render_batch
from animix.cli.film_telling import tell_film, tell_profile
from animix.cli.report import choose_report, measuring
from animix.errors import OptionError
from animix.tables import count

if TYPE_CHECKING:
    from animix.batch import Commission, Place
    from animix.checkpoints.store import Store
    from animix.rendering import Job

# Whatever needs torch is imported inside the functions, so that `animix --help` answers at once.

Timelines = Annotated[
    list[Path], typer.Argument(metavar="FILE", readable=False, help="Timelines (YAML).")
]


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
            follow=iter if is_batch else measuring(report),
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
        for note in notes_of([job.film for job in films], [job.target for job in films]):
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


def render_demo(
    draft: Annotated[bool, typer.Option("--draft", help="Half the size each way, fast.")] = False,
    output: Output = None,
    device: Device = None,
    gpus: Gpus = None,
    memory: Memory = None,
    precision: Precision = None,
    no_recipe: NoRecipe = False,
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
        no_recipe=no_recipe,
        as_json=as_json,
        quiet=quiet,
    )
