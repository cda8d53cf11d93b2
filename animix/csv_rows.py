"""The rows of a schedule as CSV, for other programs and for curious eyes."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from typing import TextIO

from animix.schedule import Schedule
from animix.timeline.grid import Panel


def write_csv(schedule: Schedule, stream: TextIO) -> None:
    """Write a schedule as CSV, one row a frame: all that decides its pixels."""
    layers = [layer.name for layer in schedule.facts.layers]
    several = len(schedule.paths) > 1
    panels = schedule.grid.panels
    numbers = sorted({panel.path for panel in panels})
    shown = list(dict.fromkeys(panel.network for panel in panels if panel.network))
    writer = csv.writer(stream)
    writer.writerow(
        ["frame", "time_seconds"]
        + [
            " ".join(
                [
                    name,
                    *([f"{path.indices[0]}..{path.indices[-1]}"] if several else []),
                    *([f"of path {number + 1}"] if number else []),
                ]
            )
            for number in numbers
            for path in schedule.paths_of(Panel(path=number))
            for name in ("latents", "space")
        ]
        + [f"psi {index}" for index in range(schedule.facts.num_ws)]
        + [
            f"{edit.direction.name} {index}"
            for edit in schedule.edits
            for index in range(schedule.facts.num_ws)
        ]
        + ["labels", "noise", "noise_seed", "noise_turn"]
        + ["fit", "zoom", "pan_x", "pan_y", "rotate", "background"]
        + [f"{layer} {column}" for layer in layers for column in schedule.columns]
        + [f"alone {network}" for network in shown]
    )
    for index in range(schedule.num_frames):
        row = schedule.row(index)
        lies = row.framing
        each_path = [schedule.paths_of(Panel(path=number)) for number in numbers]
        points = [path.at(index) for paths in each_path for path in paths]
        alone = [schedule.row(index, Panel(network)).mix[0] for network in shown]
        writer.writerow(
            [
                row.index,
                float(row.time_seconds),
                *(told for point in points for told in (_weighted(point.latents), point.space)),
                *row.psi.tolist(),
                *(amount for _, amounts in row.edits for amount in amounts.tolist()),
                _weighted(row.labels),
                row.noise.kind,
                row.noise.seed,
                row.noise.turn,
                lies.fit,
                lies.zoom,
                lies.pan_x,
                lies.pan_y,
                lies.rotate,
                f"#{bytes(lies.background).hex()}",
                *row.mix.ravel().tolist(),
                *(_shares(schedule, mix.tolist()) for mix in alone),
            ]
        )


def _shares(schedule: Schedule, mix: Sequence[float]) -> str:
    return _weighted([(str(c), s) for c, s in zip(schedule.columns, mix, strict=True) if s])


def _weighted(parts: Sequence[tuple[int | str, float]]) -> str:
    return " + ".join(f"{weight:.17g}*{source}" for source, weight in parts)
