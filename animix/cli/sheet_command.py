"""The command that shows a timeline's variants on one page."""

from __future__ import annotations

from collections import deque
from pathlib import Path
from typing import Annotated

import typer

from animix.cli.app import (
    AsJson,
    Device,
    Only,
    Output,
    Precision,
    Quiet,
    Settings,
    each,
    keep_inputs,
    save_png,
)
from animix.cli.arguments import parse_settings, with_suffix
from animix.cli.report import choose_report
from animix.errors import OptionError
from animix.tables import count

MOST_TILES = 1000


def sheet(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", readable=False, help="A timeline (YAML).")
    ],
    variants: Annotated[
        bool, typer.Option("--variants", help="A still of each variant, named.")
    ] = False,
    at: Annotated[
        str, typer.Option("--at", metavar="TIME", help="The moment: 2s, 45f, 50%, …")
    ] = "50%",
    only: Only = None,
    output: Output = None,
    device: Device = None,
    precision: Precision = None,
    settings: Settings = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Draw a timeline's variants on one page, a still of each."""
    report = choose_report(as_json=as_json, quiet=quiet)

    def draw(file: Path) -> None:
        from animix.delivery import RENDERS
        from animix.sheets import VariantSheet
        from animix.timeline import reader

        if not variants:
            raise OptionError("what is to be drawn? give --variants")
        target = with_suffix(output, ".png") if output else RENDERS / f"{file.stem}-variants.png"
        timelines = reader.variants(file, parse_settings(settings), only or ())
        if len(timelines) > MOST_TILES:
            told = f"{len(timelines)} variants are too many for a page of up to {MOST_TILES}"
            raise OptionError(f"{told}: choose with --only")
        keep_inputs(target, [file, *timelines[0].bases])
        drawn = VariantSheet(timelines, at, device=device, precision=precision)
        deque(report.follow(file.name, drawn.draw(), unit="stills/s"), maxlen=0)
        save_png(drawn.image, target)
        report.result(
            f"{target}  {count(len(timelines), 'variant')}",
            file=str(target),
            variants=[str(timeline.variant or timeline.name) for timeline in timelines],
        )

    each([file], draw, report)
