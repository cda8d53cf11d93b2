"""The command that makes paired data sets."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from animix.cli.app import (
    AsJson,
    Device,
    Memory,
    Only,
    Precision,
    Quiet,
    Settings,
    each,
    named_path,
)
from animix.cli.arguments import parse_memory, parse_settings
from animix.cli.report import Report, choose_report, clock, measuring
from animix.errors import OptionError
from animix.tables import count as count_of

if TYPE_CHECKING:
    from animix.pairs.data_set import DataSet
    from animix.pairs.moment import Moment
    from animix.progress import Progress

# Whatever needs torch is imported inside the functions, so that `animix --help` answers at once.


def pairs(
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE",
            readable=False,
            help="The base and what is laid over it; or a timeline.",
        ),
    ],
    output: Annotated[
        Path,
        typer.Option(
            "--output", "-o", metavar="DIR", parser=named_path, help="The folder of the data set."
        ),
    ],
    count: Annotated[
        int | None, typer.Option(metavar="N", help="How many pairs; else one for each photo.")
    ] = None,
    at: Annotated[
        str | None, typer.Option("--at", metavar="TIME", help="The moment of a timeline.")
    ] = None,
    swap: Annotated[
        list[str] | None,
        typer.Option(metavar="PX", help="Swap level: 32, all, none; 16..64: another in each pair."),
    ] = None,
    alpha: Annotated[
        list[str] | None,
        typer.Option(metavar="NUMBER", help="How much of a network: 0.8, or 0.5..1."),
    ] = None,
    width: Annotated[
        list[str] | None, typer.Option(metavar="LAYERS", help="Of the crossover: 1 is narrow.")
    ] = None,
    take: Annotated[
        list[str] | None,
        typer.Option(metavar="high|low", help="What lies above or below the swap level."),
    ] = None,
    truncation: Annotated[
        str | None,
        typer.Option(metavar="PSI", help="0.7, or 0.5..1; else 0.7, or the timeline's."),
    ] = None,
    first_seed: Annotated[
        int, typer.Option("--first-seed", metavar="SEED", help="Seeds go up from here.")
    ] = 0,
    photos: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Projected photos instead of seeds: .npz, .npy, .pt."),
    ] = None,
    layout: Annotated[
        str, typer.Option(metavar="NAME", help="folders, side-by-side or train.")
    ] = "folders",
    test: Annotated[
        float, typer.Option(metavar="SHARE", help="Of the pairs, for test folders: 0.1.")
    ] = 0.0,
    picture_format: Annotated[
        str, typer.Option("--format", metavar="NAME", help="png, jpeg or webp.")
    ] = "png",
    quality: Annotated[
        int | None, typer.Option(metavar="1..100", help="Of jpeg (else 95) and webp (else 90).")
    ] = None,
    size: Annotated[
        int | None, typer.Option(metavar="PX", help="Of a picture; else the networks' own.")
    ] = None,
    distinct: Annotated[
        int | None,
        typer.Option(metavar="BITS", help="Leave out near-duplicates: hashes closer than this."),
    ] = None,
    min_score: Annotated[
        float | None,
        typer.Option("--min-score", metavar="SCORE", help="Leave out what scores less."),
    ] = None,
    best: Annotated[
        float | None, typer.Option(metavar="SHARE", help="Keep this share, by score: 0.5.")
    ] = None,
    discriminator: Annotated[
        Path | None,
        typer.Option(metavar="FILE", readable=False, help="What scores; else the base's own."),
    ] = None,
    device: Device = None,
    memory: Memory = None,
    precision: Precision = None,
    only: Only = None,
    settings: Settings = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Make a paired data set: the same latents through a base and through a blend of it.

    Networks are laid over each other as in `blend`, without options the last as it is; a timeline
    gives the mix, truncation and edits of a moment. manifest.jsonl tells what each pair is made of.
    The same command goes on where it was interrupted, makes what is lost again, and with a larger
    --count more.
    """
    report = choose_report(as_json=as_json, quiet=quiet)
    laying = {"swap": swap, "alpha": alpha, "width": width, "take": take}
    laid = {name: given for name, given in laying.items() if given}

    def make(_: Path) -> None:
        from animix.pairs.critic import discriminator_of
        from animix.pairs.data_set import DataSet
        from animix.pairs.layout import Layout
        from animix.pairs.moment import parse_range
        from animix.pairs.order import Order
        from animix.pairs.picture_file import PictureFormat
        from animix.pairs.sieve import Sieve
        from animix.pairs.subject import Photos, Seeds

        order = Order(
            count=count,
            layout=Layout(layout, test),  # type: ignore[arg-type]  # it checks the name itself
            picture_format=PictureFormat(picture_format, quality),
            side=size,
            sieve=Sieve(min_score, distinct),
            best=best,
        )
        seeds = Seeds(first_seed)
        if photos is None and count is None:
            raise OptionError("how many? give --count, such as --count 20000")
        if discriminator is not None and not order.scores:
            raise OptionError("--discriminator is for --best and --min-score: give one of them")
        if photos is not None and (truncation is not None or first_seed):
            name = "--first-seed" if first_seed else "--truncation"
            raise OptionError(f"{name} is for seeds: projected photos go through as they are")
        if output.exists() and not output.is_dir():
            raise OptionError(f"{output} is a file; name a folder for the pairs")
        ends = None if truncation is None else parse_range("--truncation", truncation)
        options = {
            "device": device,
            "precision": precision,
            "memory_bytes": parse_memory(memory) if memory else None,
            "follow": measuring(report),
        }
        moment = open_moment(files, laid, ends, at, settings, only, options)
        subjects: Seeds | Photos = seeds
        if photos is not None:
            subjects = Photos(photos, moment.film.painted.facts)
            if (count or 0) > len(subjects.numbers):
                report.note(f"{photos} holds {count_of(len(subjects.numbers), 'photo')}")
        for note in moment.notes:
            report.note(note)
        critic = discriminator_of(moment.film, discriminator) if order.scores else None
        data_set = DataSet(moment, subjects, output, order, critic)
        with closing(data_set.make()) as steps:
            last = deque(report.follow(output.name, steps, unit="pictures/s"), maxlen=1)[0]
        tell_data_set(report, data_set, last)

    each(files[:1], make, report)


def open_moment(
    files: Sequence[Path],
    laid: dict[str, list[str]],
    truncation: tuple[float, float] | None,
    at: str | None,
    settings: list[str] | None,
    only: list[str] | None,
    options: dict[str, Any],
) -> Moment:
    """The moment that the options ask for; OptionError where they contradict each other."""
    from animix.pairs.moment import moment_of_networks, moment_of_timeline, read_ranges
    from animix.timeline.reader import is_timeline, load_timeline

    if is_timeline(files[0]):
        if len(files) > 1 or laid:
            found = f"--{next(iter(laid))}" if laid else str(files[1])
            raise OptionError(f"a timeline says itself what is mixed and how: leave out {found}")
        if at is None:
            raise OptionError(f"when? give --at, such as {files[0]} --at 50%")
        timeline = load_timeline(files[0], parse_settings(settings), only or ())
        return moment_of_timeline(timeline, at, truncation, **options)
    if at is not None or settings or only:
        name = "--at" if at is not None else "--set" if settings else "--only"
        raise OptionError(f"{name} is for timelines, but {files[0]} is read as a network")
    if globs := [file for file in files if set("*?[") & set(file.name) and not file.exists()]:
        raise OptionError(f"{globs[0]}: there is no such file; pairs take networks by name")
    if len(files) < 2:
        raise OptionError(f"{files[0]} alone has no pairs: give the base and what lies over it")
    if len(files) > 2 and not laid:
        raise OptionError("how? give --swap 32 or --alpha 0.5, or two networks alone")
    return moment_of_networks(files, read_ranges(len(files) - 1, **laid), truncation, **options)


def tell_data_set(report: Report, data_set: DataSet, last: Progress) -> None:
    """Tell where a data set is, what it is like, and how long it took."""
    new = data_set.num_pairs - data_set.num_before
    told = f"{count_of(data_set.num_pairs, 'pair')}, {data_set.side}×{data_set.side}"
    if new:
        told += (
            f"; {new} made in {clock(last.elapsed_seconds)} ({last.per_second:.1f} pictures/s, "
            f"{last.slowest_stage or 'writing'} took longest)"
        )
    else:
        told += "; all were there"
    if data_set.left_out:
        reasons = (f"{number} for {reason}" for reason, number in data_set.left_out.items())
        report.note(f"left out: {', '.join(reasons)}")
    report.result(
        f"{data_set.folder}  {told}",
        file=str(data_set.folder),
        pairs=data_set.num_pairs,
        pairs_before=data_set.num_before,
        left_out=dict(data_set.left_out),
        img_resolution=data_set.side,
        elapsed_seconds=round(last.elapsed_seconds, 3),
        slowest_stage=last.slowest_stage,
    )
