"""The app: its options and endings that all commands share."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from animix.cli.report import Report
from animix.errors import AnimixError, OptionError
from animix.interruption import uninterrupted
from animix.whole_file import whole_file

if TYPE_CHECKING:
    from PIL import Image

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Output = Annotated[Path | None, typer.Option("--output", "-o", help="Where the result goes.")]
Device = Annotated[str | None, typer.Option(help="cuda, cuda:N, mps or cpu; else the best.")]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Replace a value: --set blend.swap=64"),
]
AsJson = Annotated[bool, typer.Option("--json", help="Report as JSON, one object a line.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Report errors only.")]


def each(items: Sequence[Path], work: Callable[[Path], None], report: Report) -> None:
    """Do work for every item, tell its errors, and exit with the highest of their codes."""
    code = 0
    try:
        import_torch()
        for item in items:
            try:
                work(item)
            except AnimixError as error:
                report.error(str(item), error)
                code = max(code, error.exit_code)
            except OSError as error:  # of a path that nobody looked at before
                place = error.filename or item
                report.error(str(item), OptionError(f"{place}: {error.strerror or error}"))
                code = max(code, OptionError.exit_code)
    except KeyboardInterrupt:
        report.interrupted()
        raise typer.Exit(130) from None
    if code:
        raise typer.Exit(code)


def import_torch() -> None:
    """Import torch; a Ctrl-C meanwhile waits until it is done.

    Raised in the middle of it, KeyboardInterrupt goes through C++ that can't carry it, and Python
    aborts.
    """
    with uninterrupted():
        import torch  # noqa: F401  (only its loading counts)


def keep_inputs(target: Path, inputs: Sequence[Path], reader: str = "timeline") -> None:
    """Refuse to write over a timeline, a network or a latent that is being read."""
    place = os.path.realpath(target)
    if any(os.path.realpath(path) == place for path in inputs):
        raise OptionError(f"{target} is read by this {reader}; name another file")


def save_png(image: Image.Image, target: Path) -> None:
    """Write a picture as a PNG."""
    with whole_file(target) as part:
        image.save(part, format="PNG")


def count(number: int, noun: str) -> str:
    """A number with its noun.

    >>> count(1, "frame"), count(2, "frame")
    ('1 frame', '2 frames')
    """
    return f"{number} {noun}{'' if number == 1 else 's'}"
