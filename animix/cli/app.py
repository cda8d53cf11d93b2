"""The app: its options and endings that all commands share."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from animix.cli.report import Report, tell
from animix.errors import AnimixError, OptionError, unusable
from animix.interruption import uninterrupted
from animix.whole_file import whole_file

if TYPE_CHECKING:
    from PIL import Image

    from animix.video.metadata import Metadata

Item = TypeVar("Item")

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def named_path(text: str) -> Path:
    """The path that an option names; an empty one, as of a variable that isn't set, is refused."""
    if not str(text):
        raise typer.BadParameter("the name is empty")
    return Path(text)


Output = Annotated[
    Path | None,
    typer.Option(
        "--output", "-o", metavar="PATH", parser=named_path, help="Where the result goes."
    ),
]
Device = Annotated[str | None, typer.Option(help="cuda, cuda:N, mps or cpu; else the best.")]
Gpus = Annotated[
    str | None,
    typer.Option(metavar="all|N,N,…", help="Several GPUs at once: all, or 0,1."),
]
Memory = Annotated[
    str | None,
    typer.Option(metavar="SIZE", help="What to take of a GPU's memory: 8GB; else nearly all."),
]
Precision = Annotated[
    str | None, typer.Option(help="float32, bfloat16 or float16; else what suits the device.")
]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Replace a value: --set blend.swap=64"),
]
Only = Annotated[
    list[str] | None,
    typer.Option("--only", metavar="KEY=VALUE", help="Choose of variants: --only seed=7,8"),
]
NoRecipe = Annotated[
    bool, typer.Option("--no-recipe", help="Leave out of the file how it was made.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Report as JSON, one object a line.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Report errors only.")]


def each(
    items: Sequence[Item],
    work: Callable[[Item], None],
    report: Report,
) -> None:
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
                report.error(str(item), unusable(error, str(item)))
                code = max(code, OptionError.exit_code)
    except KeyboardInterrupt:
        report.interrupted()
        raise typer.Exit(130) from None
    end(report, code)


def end(report: Report, code: int = 0) -> None:
    """Exit with a command's code, if it has one; results that could not be told are an error."""
    if report.lost:
        tell(
            "error: stdout can't be written: results told there are lost, files that stand are not"
        )
        code = max(code, 1)
    if code:
        raise typer.Exit(code)


@contextlib.contextmanager
def interruptible(report: Report) -> Iterator[None]:
    """Import torch for a block, and let Ctrl-C end the command in it."""
    try:
        import_torch()
        yield
    except KeyboardInterrupt:
        report.interrupted()
        raise typer.Exit(130) from None


def import_torch() -> None:
    """Import torch; a Ctrl-C meanwhile waits until it is done.

    Raised in the middle of it, KeyboardInterrupt goes through C++ that can't carry it, and Python
    aborts.
    """
    with uninterrupted():
        import torch  # noqa: F401  (only its loading counts)


def keep_inputs(target: Path, inputs: Sequence[Path], reader: str = "timeline") -> None:
    """Refuse to write over a timeline, a network, a latent or a photo that is being read."""
    place = os.path.realpath(target)
    if any(os.path.realpath(path) == place for path in inputs):
        raise OptionError(f"{target} is read by this {reader}; name another file")


def check_writable(target: Path) -> None:
    """Refuse a target that can't be written, before there is work that would be lost."""
    # Whether a file can be written is known when one is: it goes again.
    with contextlib.suppress(_Tried), whole_file(target) as part:
        part.touch()
        raise _Tried


class _Tried(Exception):
    """Ends the trial of a place."""


def save_png(image: Image.Image, target: Path, metadata: Metadata | None = None) -> None:
    """Write a picture as a PNG, with what it says of how it was made, if anything."""
    from animix.video.metadata import write_metadata

    with whole_file(target) as part:
        image.save(part, format="PNG")
        write_metadata(part, "png", metadata)
