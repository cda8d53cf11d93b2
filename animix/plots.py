"""Plots of a comparison: the drift of networks from their base, by layer, band and training."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from animix.comparison import Compared, Comparison
from animix.drift import Drift
from animix.errors import OptionError
from animix.figure import COLOURS, check_figure, write_figure
from animix.tables import count, from_all_along, short_path

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_NAMED = 12
"""Lines with a name of their own in the legend; of more, as many are named from all along."""

MARKERS = "osD^vPX*"
"""Networks are told apart by them, too, for people who see few colours."""


def check_plot(target: Path) -> None:
    """Raise OptionError where no plot can be drawn: another kind of file, or no matplotlib."""
    check_figure(target, "--plot")


def write_plot(comparison: Comparison, target: Path) -> None:
    """Draw a comparison into an SVG or a PNG; OptionError where there is nothing to draw."""
    check_plot(target)
    others = comparison.measured
    if not others:
        raise OptionError(f"--plot {target}: none of the networks can be blended with the base")
    write_figure(lambda: _figure(comparison, others), target)


def _figure(comparison: Comparison, others: Sequence[Compared]) -> Figure:
    from matplotlib.figure import Figure

    training = _training(others)
    figure = Figure(figsize=(11, 8.6), layout="constrained")
    noun = others[0].name if len(others) == 1 else f"{len(others)} networks"
    figure.suptitle(
        f"How far {short_path(noun, 40)} moved from {short_path(comparison.name, 40)}  "
        f"({count(len(comparison.seeds), 'seed')}, the base's mapping and noise)",
        fontsize=13,
        x=0.01,
        ha="left",
    )
    (weights, activations), (bands, last) = figure.subplots(2, 2)
    for number, (other, colour) in enumerate(zip(others, _colours(others), strict=True)):
        drift = other.drift
        assert drift is not None
        style = {
            "color": colour,
            "marker": "o" if training else _marker(number),
            "label": _named(other.name),
        }
        places = range(len(drift.layers))
        weights.plot(places, [100 * layer.distance for layer in drift.layers], **style)
        activations.plot(places, [100 * layer.activation for layer in drift.layers], **style)
        rows = range(len(drift.bands))
        bands.plot(rows, [band.difference for band in drift.bands], **style)
    drift = others[0].drift
    assert drift is not None
    _layer_axis(weights, drift, "Weights", "distance, % of the base's")
    _layer_axis(activations, drift, "Activations", "difference, % of the base's")
    _band_axis(bands, drift)
    if training:
        _draw_training(last, others, training)
    else:
        _draw_correlation(last, others)
    if len(others) > 1:
        _legend(figure, weights)
    return figure


def _training(others: Sequence[Compared]) -> list[float]:
    """How far each snapshot of a run was trained; empty for networks that are no run."""
    values = [other.kimg for other in others if other.kimg is not None]
    grows = all(a < b for a, b in itertools.pairwise(values))
    # Snapshots of one training have names that differ in their numbers alone.
    one_run = len({re.sub(r"\d+", "", other.name) for other in others}) == 1
    return values if one_run and grows and len(values) == len(others) > 1 else []


def _colours(others: Sequence[Compared]) -> list[object]:
    """From light to dark along a run, else one that differs from its neighbours."""
    import matplotlib

    if not _training(others):
        return [COLOURS[number % len(COLOURS)] for number in range(len(others))]
    shades = matplotlib.colormaps["viridis_r"]
    return [shades(0.12 + 0.83 * place / (len(others) - 1)) for place in range(len(others))]


def _layer_axis(axes: Axes, drift: Drift, title: str, unit: str) -> None:
    """Name the layers, whose resolutions stand in their names."""
    axes.set_title(title)
    axes.set_ylabel(unit)
    axes.set_ylim(bottom=0)
    names = [layer.name for layer in drift.layers]
    axes.set_xticks(range(len(names)), names, rotation=55, ha="right", rotation_mode="anchor")
    axes.tick_params(axis="x", labelsize=8.5)
    axes.grid(axis="x", visible=False)


def _band_axis(axes: Axes, drift: Drift) -> None:
    axes.set_title("Pictures, by the size of what differs")
    axes.set_ylabel("difference (RMS; black to white is 2)")
    axes.set_xlabel("band of the picture, px")
    axes.set_xticks(range(len(drift.bands)), [str(band.resolution) for band in drift.bands])
    axes.set_ylim(bottom=0)
    axes.grid(axis="x", visible=False)


def _draw_training(axes: Axes, others: Sequence[Compared], training: Sequence[float]) -> None:
    """Each band, and the whole picture, against the training."""
    import matplotlib

    drifts = [other.drift for other in others if other.drift]
    num_bands = len(drifts[0].bands)
    shades = matplotlib.colormaps["plasma"]
    for place in range(num_bands):
        axes.plot(
            training,
            [drift.bands[place].difference for drift in drifts],
            color=shades(0.85 * place / max(1, num_bands - 1)),
            marker="o",
            label=f"{drifts[0].bands[place].resolution} px",
        )
    whole = [drift.picture.difference for drift in drifts]
    axes.plot(training, whole, color="black", linestyle="--", marker="s", label="whole")
    axes.set_title("Pictures, against the training")
    axes.set_xlabel("thousands of pictures trained with (kimg)")
    axes.set_ylabel("difference (RMS)")
    axes.set_ylim(bottom=0)
    if training[0] > 0 and training[-1] / training[0] >= 20:
        axes.set_xscale("log")
    if len(training) <= 8:
        # Decades alone would leave a short run without a number at its axis.
        axes.set_xticks(training, [f"{kimg:.0f}" for kimg in training])
        axes.minorticks_off()
    # Upside down, and so in the order of the lines; beside them, for they fill all the room.
    handles, labels = axes.get_legend_handles_labels()
    axes.legend(
        [handles[-1], *handles[:-1]],
        [labels[-1], *labels[:-1]],
        fontsize=8.5,
        loc="center left",
        bbox_to_anchor=(1.0, 0.5),
    )


def _draw_correlation(axes: Axes, others: Sequence[Compared]) -> None:
    """The correlation of each layer's weights."""
    lowest = 1.0
    for number, (other, colour) in enumerate(zip(others, _colours(others), strict=True)):
        assert other.drift is not None
        values = [layer.correlation for layer in other.drift.layers]
        lowest = min(lowest, *values)
        axes.plot(range(len(values)), values, color=colour, marker=_marker(number))
    assert others[0].drift is not None
    _layer_axis(axes, others[0].drift, "Weights, correlation", "Pearson's, with the base")
    bottom = min(0.0, lowest - 0.05) if lowest < 0.5 else 1 - 1.15 * max(1 - lowest, 1e-6)
    axes.set_ylim(bottom, 1 + 0.05 * (1 - bottom))
    axes.ticklabel_format(axis="y", useOffset=False)


def _marker(number: int) -> str:
    """One that differs where colours come round again."""
    return MARKERS[(number + number // len(COLOURS)) % len(MARKERS)]


def _named(name: str) -> str:
    """A network's name in a legend, from which a leading _ would keep it out."""
    short = short_path(name, 28)
    return f" {short}" if short.startswith("_") else short


def _legend(figure: Figure, axes: Axes) -> None:
    handles, labels = axes.get_legend_handles_labels()
    chosen = from_all_along(range(len(handles)), MOST_NAMED)
    figure.legend(
        [handles[place] for place in chosen],
        [labels[place] for place in chosen],
        loc="outside lower center",
        ncols=min(4, len(handles)),
    )
