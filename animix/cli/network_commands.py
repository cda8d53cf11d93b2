"""The commands for checkpoints: what they are, how they differ, and new ones made of them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from animix.checkpoints.runs import find_run
from animix.cli.app import (
    AsJson,
    Device,
    Only,
    Quiet,
    Settings,
    check_writable,
    each,
    keep_inputs,
    save_png,
)
from animix.cli.arguments import (
    parse_number,
    parse_seeds,
    parse_settings,
    parse_whole,
    with_suffix,
)
from animix.cli.report import Report, choose_report
from animix.errors import OptionError
from animix.tables import count

if TYPE_CHECKING:
    import torch
    from PIL import Image

    from animix.networks.network import Network
    from animix.recipe import Blended

Networks = Annotated[
    list[Path],
    typer.Argument(metavar="FILE", readable=False, help="Checkpoints, or quoted globs."),
]
Target = Annotated[
    Path, typer.Option("--output", "-o", help="A .safetensors, .pt or, with --like, .pkl.")
]
Like = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE", readable=False, help="The NVIDIA .pkl that a .pkl is written like."
    ),
]
GRID_SEEDS = "1..4"
SeedList = Annotated[str, typer.Option("--seeds", metavar="A..B", help="Seeds: 1..16, or 3,17,42.")]


def inspect(files: Networks, as_json: AsJson = False, quiet: Quiet = False) -> None:
    """Tell what checkpoints are: format, architecture, sizes, and where they came from."""
    report = choose_report(as_json=as_json, quiet=quiet)

    # A name that nothing matches is told as a file that is not there.
    found_files = [path for file in files for path in find_run(str(file), Path()) or [file]]

    def inspect_one(file: Path) -> None:
        from animix.inspection import inspect_checkpoint

        found = inspect_checkpoint(file)
        separator = [""] if file != found_files[-1] else []
        report.result(*found.lines(), *separator, **found.as_dict())

    each(found_files, inspect_one, report)


def compare(
    base: Annotated[
        Path, typer.Argument(metavar="BASE", readable=False, help="The network to start from.")
    ],
    others: Annotated[
        list[str],
        typer.Argument(metavar="OTHER", help="Networks, or quoted globs for runs of snapshots."),
    ],
    seeds: SeedList = "1..16",
    plot: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Draw it as well: a .svg or .png.")
    ] = None,
    device: Device = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Measure how far networks have moved from a base: in weights, activations and pictures.

    All networks get the same w, with the base's mapping and noise images, as in a blend. Networks
    that can't be blended with the base, or are no relatives of it, are an answer and no failure.
    """
    report = choose_report(as_json=as_json, quiet=quiet)

    def compare_with(base: Path) -> None:
        from animix.comparison import Comparing, find_others
        from animix.engine.device import choose_device
        from animix.plots import check_plot, write_plot

        files = find_others(others)
        comparing = Comparing(base, files, parse_seeds(seeds), choose_device(device))
        if plot:
            check_plot(plot)
            keep_inputs(plot, [base, *files], "command")
            check_writable(plot)
        deque(report.follow(base.name, comparing.measure(), unit="seeds/s"), maxlen=0)
        comparison = comparing.comparison
        report.result(*comparison.lines(), **comparison.as_dict())
        if plot and comparison.measured:
            write_plot(comparison, plot)
            report.result(str(plot), file=str(plot))
        elif plot:
            report.note(f"{plot} is not drawn: nothing can be blended with the base")
        for file, error in comparing.failed:
            report.error(str(file), error)
        if comparing.failed:
            raise typer.Exit(OptionError.exit_code)

    each([base], compare_with, report)


def convert(
    file: Annotated[Path, typer.Argument(metavar="FILE", readable=False, help="A checkpoint.")],
    output: Target,
    like: Like = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Write a checkpoint in another format.

    safetensors keeps everything; .pt is what rosinality's code reads. A .pkl is a copy of an
    NVIDIA pickle of the same architecture, in which only the numbers of G_ema are replaced.
    """
    report = choose_report(as_json=as_json, quiet=quiet)

    def convert_one(file: Path) -> None:
        from animix.checkpoints.load import load_network
        from animix.checkpoints.save import check_target

        check_target(output, like)
        keep_inputs(output, [file], "command")
        check_writable(output)
        write_network(load_network(file), output, like, report)

    each([file], convert_one, report)


def blend(
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE",
            readable=False,
            help="The base and what is laid over it; or a timeline.",
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="A .safetensors, .pt or, with --like, .pkl."),
    ] = None,
    swap: Annotated[
        list[str] | None, typer.Option(metavar="PX", help="Swap level: 32, 45.5, all, none.")
    ] = None,
    alpha: Annotated[
        list[str] | None,
        typer.Option(metavar="NUMBER", help="How much of a network: 0..1, or beyond it."),
    ] = None,
    width: Annotated[
        list[str] | None, typer.Option(metavar="LAYERS", help="Of the crossover: 1 is narrow.")
    ] = None,
    take: Annotated[
        list[str] | None,
        typer.Option(metavar="high|low", help="What lies above or below the swap level."),
    ] = None,
    rule: Annotated[
        str | None,
        typer.Option(metavar="pinkney", help="As blend_models.py: the first is the low one."),
    ] = None,
    resolution: Annotated[
        str | None, typer.Option(metavar="PX", help="For --rule: the low one keeps up to this.")
    ] = None,
    level: Annotated[
        str | None, typer.Option(metavar="0|1", help="For --rule: 1 is half a block higher.")
    ] = None,
    blend_width: Annotated[
        str | None, typer.Option(metavar="NUMBER", help="For --rule: soft; 0 or none is hard.")
    ] = None,
    at: Annotated[
        str | None, typer.Option("--at", metavar="TIME", help="The moment of a timeline.")
    ] = None,
    like: Like = None,
    grid: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Draw base, blend and others: a .png.")
    ] = None,
    seeds: Annotated[
        str | None,
        typer.Option("--seeds", metavar="A..B", help="For --grid: 1..16, or 3,17,42; else 1..4."),
    ] = None,
    device: Annotated[
        str | None, typer.Option(help="For --grid: cuda, cuda:N, mps or cpu; else the best.")
    ] = None,
    only: Only = None,
    settings: Settings = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Blend networks, or the moment of a timeline, into one new network.

    --swap, --alpha, --width and --take mean what they mean in a timeline. Given once they count for
    every network over the base, given several times for one after the other. Mapping, w_avg and
    noise images are the base's, or as the timeline says. --grid paints --seeds with the base, the
    blend and the others, all from the same w.
    """
    report = choose_report(as_json=as_json, quiet=quiet)
    laying = {"swap": swap, "alpha": alpha, "width": width, "take": take}
    laid = {name: given for name, given in laying.items() if given}
    ruled = {"resolution": resolution, "level": level, "blend-width": blend_width}
    ruling = {name: value for name, value in ruled.items() if value is not None}

    def blend_all(first: Path) -> None:
        from animix.checkpoints.save import check_target
        from animix.engine.device import choose_device

        if output is None and grid is None:
            raise OptionError("where to? give --output for the network, --grid for pictures")
        if output is None and like is not None:
            raise OptionError("--like is for a network that is written: give --output")
        if grid is None and (seeds or device):
            name = "--seeds" if seeds else "--device"
            raise OptionError(f"{name} is for pictures: give --grid")
        if output:
            check_target(output, like)
        if grid:
            with_suffix(grid, ".png", "--grid")
        chosen, painted_on = parse_seeds(seeds or GRID_SEEDS), choose_device(device)
        blended = open_blend(files, laid, rule, ruling, at, settings, only)
        for target in filter(None, (output, grid)):
            keep_inputs(target, [*blended.files, *([like] if like else [])], "command")
            check_writable(target)
        for note in blended.notes:
            report.note(note)
        # What takes long comes before what is written, so that an interruption leaves nothing.
        drawn = draw_grid(blended, chosen, grid.name, painted_on, report) if grid else None
        if output:
            write_network(blended.network, output, like, report)
        if grid and drawn:
            save_png(drawn, grid)
            names = grid_names(blended)
            report.result(
                f"{grid}  {count(len(chosen), 'seed')}: {', '.join(names)}",
                file=str(grid),
                seeds=chosen,
                networks=names,
            )

    each(files[:1], blend_all, report)


def open_blend(
    files: Sequence[Path],
    laid: dict[str, list[str]],
    rule: str | None,
    ruling: dict[str, str],
    at: str | None,
    settings: list[str] | None,
    only: list[str] | None = None,
) -> Blended:
    """The blend that the options ask for; OptionError where they contradict each other."""
    from animix.recipe import blend_by_pinkney, blend_files, blend_moment, read_laid
    from animix.timeline.reader import is_timeline

    options = [f"--{name}" for name in (*laid, *(["rule"] if rule else []), *ruling)]
    if is_timeline(files[0]):
        if len(files) > 1 or options:
            found = options[0] if options else str(files[1])
            raise OptionError(f"a timeline says itself what is mixed and how: leave out {found}")
        if at is None:
            raise OptionError(f"when? give --at, such as {files[0]} --at 50%")
        return blend_moment(files[0], at, parse_settings(settings), only or ())
    if at is not None or settings or only:
        name = "--at" if at is not None else "--set" if settings else "--only"
        raise OptionError(f"{name} is for timelines, but {files[0]} is read as a network")
    if globs := [file for file in files if set("*?[") & set(file.name) and not file.exists()]:
        raise OptionError(f"{globs[0]}: there is no such file; a blend takes networks by name")
    if len(files) < 2:
        raise OptionError(f"{files[0]} alone is no blend: give the base and what lies over it")
    if rule is None:
        if ruling:
            raise OptionError(f"{options[-1]} is for --rule pinkney: give both or none of them")
        if not laid:
            raise OptionError("how? give --swap 32, --alpha 0.5 or --rule pinkney --resolution 32")
        return blend_files(files, read_laid(len(files) - 1, **laid))
    if rule != "pinkney":
        raise OptionError(f"--rule {rule[:40]}: expected pinkney")
    if laid:
        raise OptionError(f"{options[0]} and --rule pinkney are two ways to say it: give one")
    if len(files) > 2:
        raise OptionError("--rule pinkney mixes two networks, the low and the high")
    if "resolution" not in ruling:
        raise OptionError("--rule pinkney needs --resolution, such as --resolution 32")
    return blend_by_pinkney(
        files,
        parse_whole("--resolution", ruling["resolution"]),
        parse_whole("--level", ruling.get("level", "0")),
        parse_number("--blend-width", ruling["blend-width"]) if "blend-width" in ruling else None,
    )


def write_network(network: Network, target: Path, like: Path | None, report: Report) -> None:
    """Save a network and tell what was written."""
    from animix.checkpoints.load import format_of, load_network
    from animix.checkpoints.save import save_network
    from animix.inspection import architecture_title
    from animix.tables import count_text, size_text

    save_network(network, target, like)
    if target.suffix.lower() == ".pt" and network.facts.conv_clamp is not None:
        clamp = network.facts.conv_clamp
        report.note(f"{target} has no clamp (here ±{clamp:g}), for a .pt of this kind knows none")
    title, format_name = architecture_title(network.facts), format_of(target).name
    size = target.stat().st_size
    report.result(
        f"{target}  {title}, {network.img_resolution} px, "
        f"{count_text(network.facts.num_parameters)} parameters; {format_name}, {size_text(size)}",
        file=str(target),
        format=format_name,
        architecture=title,
        img_resolution=network.img_resolution,
        num_parameters=network.facts.num_parameters,
        size_bytes=size,
        metadata=load_network(target).metadata,
    )


def draw_grid(
    blended: Blended, seeds: list[int], title: str, device: torch.device, report: Report
) -> Image.Image:
    """Paint the base, the blend and the others side by side."""
    from animix.sheets import NetworkGrid

    base, *others = blended.parents
    names = grid_names(blended)
    networks = [base[1], blended.network, *(network for _, network in others)]
    drawn = NetworkGrid(list(zip(names, networks, strict=True)), seeds, device)
    deque(report.follow(title, drawn.draw(), unit="pictures/s"), maxlen=0)
    return drawn.image


def grid_names(blended: Blended) -> list[str]:
    """The columns of a grid."""
    base, *others = (name for name, _ in blended.parents)
    return [base, "blend", *others]


NETWORK_COMMANDS: tuple[Callable[..., None], ...] = (inspect, compare, convert, blend)
