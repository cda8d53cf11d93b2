"""The commands: each parses, calls and prints."""

from __future__ import annotations

import os
import shlex
import signal
import sys
from collections import deque
from pathlib import Path
from typing import Annotated

import typer

from animix import __version__
from animix.cli.app import (
    AsJson,
    Device,
    Memory,
    NoRecipe,
    Only,
    Output,
    Precision,
    Quiet,
    Settings,
    app,
    each,
    end,
    interruptible,
    keep_inputs,
    named_path,
    save_png,
)
from animix.cli.arguments import (
    parse_memory,
    parse_seeds,
    parse_settings,
    with_suffix,
)
from animix.cli.beats_command import beats
from animix.cli.cache_command import cache
from animix.cli.network_commands import NETWORK_COMMANDS
from animix.cli.pairs_command import pairs
from animix.cli.preset_commands import presets
from animix.cli.project_command import project
from animix.cli.render_command import Timelines, render, render_demo
from animix.cli.report import choose_report, close_off, measuring, tell
from animix.cli.schema_command import schema
from animix.cli.sheet_command import sheet
from animix.errors import AnimixError, OptionError, unusable
from animix.tables import count
from animix.timeline.numbers import LARGEST_SEED
from animix.whole_file import whole_file

# Whatever needs torch is imported inside the commands, so that `animix --help` answers at once.

Timeline = Annotated[
    Path, typer.Argument(metavar="FILE", readable=False, help="A timeline (YAML).")
]


@app.callback(invoke_without_command=True)
def animix(
    version: Annotated[bool, typer.Option("--version", help="Show the version and exit.")] = False,
) -> None:
    """Render videos from StyleGAN networks that are re-blended for every frame."""
    if version:
        report = choose_report(as_json=False, quiet=False)
        report.result(f"animix {__version__}")
        end(report)
        raise typer.Exit


app.command()(render)


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
            follow=measuring(report),
        )
        index = film.schedule.frame_at(at)
        target = target or RENDERS / f"{timeline.name}-frame-{index}.png"
        keep_inputs(target, film.files)
        for note in film.view.inset.notes if film.view.inset else ():
            report.note(note)
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
        from animix.csv_rows import write_csv
        from animix.delivery import (
            check_outputs,
            check_places,
            check_targets,
            film_path,
            notes_of,
        )
        from animix.film import open_films
        from animix.summary import summarize

        if isinstance(item.timeline, SameMistakes):
            return
        try:
            if csv and len(items) > 1:
                raise OptionError("--csv writes one schedule: give one timeline, or --only")
            timeline = item.opened()
            check_places(timeline)
            check_targets(timeline)
            films = open_films(timeline, device="cpu", store=store, follow=measuring(report))
            check_outputs(films)
        except AnimixError as error:
            if is_new(item.file, str(error)):
                raise
            return
        summary, warnings = summarize(*films)
        lines = summary.lines() if is_new(item.file, "") else []
        facts = summary.as_dict()
        if timeline.variant:
            told = f"{film_path(timeline)}, {summary.length_and_size()}"
            lines.append(f"  {item.variant}: {told}")
            facts["variant"] = item.variant
        report.result(*lines, **facts)
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
        keep_inputs(target, painter.files)
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
    output: Annotated[
        Path,
        typer.Option(
            "--output", "-o", metavar="PATH", parser=named_path, help="The file to write."
        ),
    ] = Path("timeline.yaml"),
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Write a commented timeline for networks, ready to render.

    With --from it is the one in a film: networks are looked for beside it, by name and content.
    """
    report = choose_report(as_json=as_json, quiet=quiet)

    def write(_: Path) -> None:
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

    each([output if source is None else source], write, report)


app.command("demo")(render_demo)
app.command()(sheet)
app.command()(project)
app.command()(presets)
app.command()(beats)
app.command()(schema)
app.command()(pairs)
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
    try:
        app()
    except OSError as error:  # a page of help, which typer tells by itself
        close_off(sys.stdout)
        tell(f"error: {unusable(error, 'stdout')}")
        sys.exit(1)
