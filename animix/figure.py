"""Figures: what all drawings by matplotlib share, from their style to the file that they go to."""

from __future__ import annotations

import contextlib
import logging
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from animix.errors import OptionError
from animix.whole_file import whole_file

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SUFFIXES = (".svg", ".png")
DPI = 120

COLOURS = ("#3b6fb6", "#d1605e", "#4f9d69", "#8d6cab", "#c98a2b", "#5aa0a8", "#b0688c", "#7a7a7a")
STYLE: dict[str, Any] = {
    "font.family": "sans-serif",
    "font.size": 10,
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e3e3e3",
    "grid.linewidth": 0.8,
    "lines.linewidth": 1.8,
    "lines.markersize": 5,
    "legend.frameon": False,
    "svg.hashsalt": "animix",
    "text.parse_math": False,
}
"""The salt makes an SVG's names, and so its bytes, the same in every run; a $ is no formula."""


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep matplotlib from telling of its own files, where it finds no home that it may write."""
    logger = logging.getLogger("matplotlib")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)


def check_figure(target: Path, option: str, otherwise: str = "") -> None:
    """Raise OptionError where no figure can be drawn: another kind of file, or no matplotlib.

    ``option`` is what asks for it, ``otherwise`` what can be done without matplotlib.
    """
    if target.suffix.lower() not in SUFFIXES:
        raise OptionError(f"{option} {target}: expected a name that ends in .svg or .png")
    try:
        with _quiet():
            import matplotlib  # noqa: F401  (only whether it is there counts)
    except ImportError as exc:
        raise OptionError(
            f"{option} needs matplotlib, which is not installed: pip install 'animix[plot]'"
            f"{otherwise}"
        ) from exc


def write_figure(draw: Callable[[], Figure], target: Path) -> None:
    """Write what ``draw`` draws in the style of all figures: an SVG or a PNG, by its name."""
    import matplotlib

    suffix = target.suffix.lower()
    # A style of one's own machine would not have been looked at.
    with _quiet(), matplotlib.rc_context():
        matplotlib.rcdefaults()
        settings: Any = matplotlib.rcParams  # typed by the names that one version has
        settings.update(STYLE)
        figure = draw()
        with whole_file(target) as part, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of letters that the font lacks, in a file's name
            # Without a date, the same drawing is the same file.
            metadata = {"Date": None} if suffix == ".svg" else {"Software": None}
            figure.savefig(part, format=suffix[1:], dpi=DPI, metadata=metadata)
