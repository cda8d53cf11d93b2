"""The summary of a film: what it will render, from which networks, and whether they are related."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from animix.delivery import film_path
from animix.film import Film
from animix.networks.blend import setting_differences
from animix.networks.related import RELATED, correlation
from animix.schedule import Schedule
from animix.tables import count
from animix.timeline.grid import BLEND


@dataclass(frozen=True)
class NetworkSummary:
    """One network of the stack, of a run its last snapshot."""

    name: str
    num_snapshots: int
    img_resolution: int
    num_parameters: int
    architecture: str
    correlation: float | None
    """Median over layers of the weights' correlation with the base; None for the base itself."""
    related: bool


@dataclass(frozen=True)
class OutputSummary:
    """A film that is written."""

    file: str
    codec: str
    num_frames: int
    fps: str
    width: int
    height: int

    def line(self) -> str:
        """It, for people."""
        told = f"{self.num_frames} frames at {self.fps} fps, {self.width}×{self.height}"
        return f"  {self.file}: {self.codec}, {told}"


@dataclass(frozen=True)
class SectionSummary:
    """A section of the clip, as the first output shows it."""

    name: str
    first_frame: int
    last_frame: int
    start_seconds: float
    stop_seconds: float

    def line(self) -> str:
        """It, for people."""
        seconds = f"{self.start_seconds:.4g} s to {self.stop_seconds:.4g} s"
        return f"  section {self.name}: frames {self.first_frame}..{self.last_frame}, {seconds}"


@dataclass(frozen=True)
class Summary:
    """What ``animix check`` tells of a timeline without mistakes."""

    file: str
    title: str
    num_frames: int
    seconds: float
    fps: str
    width: int
    height: int
    painted_width: int
    """Of what the networks paint; the canvas shows all of it or a part."""
    painted_height: int
    loop: bool
    loop_reason: str
    mapping: str
    networks: tuple[NetworkSummary, ...]
    sound: str | None = None
    """What is heard when."""
    bpm: float | None = None
    """Beats a minute, given or found in the sound."""
    first_beat_seconds: float | None = None
    """Where in the clip bar 1 begins."""
    outputs: tuple[OutputSummary, ...] = ()
    """All that is written, the first one included."""
    sections: tuple[SectionSummary, ...] = ()
    grid: str = "1x1"
    """Columns and rows of a frame."""
    shown: tuple[str, ...] = (BLEND,)
    """What is seen of each path: networks, and the blend."""
    num_paths: int = 1
    overlay: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Everything, for machines."""
        return asdict(self)

    def length_and_size(self) -> str:
        """How long and how large it is, for people."""
        size = f"{self.width}×{self.height}"
        if self.painted_width != self.painted_height:
            size += f" (extended: painted as {self.painted_width}×{self.painted_height})"
        return f"{count(self.num_frames, 'frame')}, {self.seconds:g} s at {self.fps} fps, {size}"

    def lines(self) -> list[str]:
        """Everything, for people."""
        told = [f"{self.file}: {self.length_and_size()}; {self.loop_reason}"]
        for network in self.networks:
            run = f", {network.num_snapshots} snapshots" if network.num_snapshots > 1 else ""
            kin = "the base"
            if network.correlation is not None:
                kin = "related to the base" if network.related else "NOT related to the base"
                kin += f" (correlation {network.correlation:.4f})"
            millions = network.num_parameters / 1e6
            told.append(
                f"  {network.name}: {network.img_resolution} px, {millions:.2f} M parameters, "
                f"{network.architecture}{run}; {kin}"
            )
        if self.grid != "1x1" or self.shown != (BLEND,):
            paths = f"; {self.num_paths} paths" if self.num_paths > 1 else ""
            told.append(f"  grid {self.grid}: {', '.join(self.shown)}{paths}")
        if self.overlay:
            told.append(f"  overlay: {', '.join(self.overlay)}")
        if self.sound:
            told.append(f"  {self.sound}")
        if self.bpm is not None:
            told.append(f"  {self.bpm:g} beats a minute, bar 1 at {self.first_beat_seconds:.4g} s")
        if len(self.outputs) > 1:
            told += [output.line() for output in self.outputs]
        return told + [section.line() for section in self.sections]


def summarize(film: Film, *others: Film) -> tuple[Summary, list[str]]:
    """The summary of a film, and a warning for each network that will mix into garbage.

    Of ``others``, those of the timeline's further outputs, it tells what is written.
    """
    schedule, timeline = film.schedule, film.timeline
    clock = timeline.clock
    last = {column.network: number for number, column in enumerate(schedule.columns)}
    base_name = timeline.blend[0].network
    (base,) = film.engine.shelf.take([last[base_name]])
    networks, warnings = [], []
    for name, number in last.items():
        (network,) = film.engine.shelf.take([number])
        alike = None if name == base_name else float(np.median(correlation(base, network)))
        related = alike is None or alike > RELATED
        if not related:
            warnings.append(
                f"{name} is no relative of {base_name}: their blend will not look like either; "
                "networks mix if one was fine-tuned from the other or both from a third"
            )
        for difference in setting_differences(base, network):
            warnings.append(
                f"{base_name} and {name} differ in {difference}; the first one's is used"
            )
        networks.append(
            NetworkSummary(
                name=name,
                num_snapshots=schedule.columns[number].num_snapshots,
                img_resolution=network.img_resolution,
                num_parameters=network.facts.num_parameters,
                architecture=f"{network.facts.kind} {network.facts.architecture}",
                correlation=alike,
                related=related,
            )
        )
    width, height = film.canvas_size
    painted_height, painted_width = film.extent.sides(film.engine.facts.img_resolution)
    return (
        Summary(
            file=str(timeline.path),
            title=timeline.title,
            num_frames=schedule.num_frames,
            seconds=float(schedule.num_frames / schedule.fps),
            fps=str(schedule.fps),
            width=width,
            height=height,
            painted_width=painted_width,
            painted_height=painted_height,
            loop=schedule.clip.loop,
            loop_reason=schedule.loop_reason,
            mapping=timeline.mapping,
            networks=tuple(networks),
            sound=film.soundtrack.told() if film.soundtrack else None,
            bpm=None if clock.bpm is None else float(clock.bpm),
            first_beat_seconds=None if clock.bpm is None else float(clock.first_beat_seconds),
            outputs=tuple(_of_output(each) for each in (film, *others)),
            sections=tuple(_of_sections(schedule)),
            grid=f"{schedule.grid.columns}x{schedule.grid.rows}",
            shown=schedule.grid.shown,
            num_paths=schedule.grid.num_paths,
            overlay=timeline.overlay,
        ),
        warnings,
    )


def _of_sections(schedule: Schedule) -> Iterator[SectionSummary]:
    end = schedule.clip.end_seconds
    for section in filter(None, schedule.clock.sections.values()):
        frames = section.frames(schedule.clip, schedule.fps)
        yield SectionSummary(
            name=section.name,
            first_frame=frames[0],
            last_frame=frames[-1],
            start_seconds=float(section.start.at(end)),
            stop_seconds=float(section.stop.at(end)),
        )


def _of_output(film: Film) -> OutputSummary:
    width, height = film.canvas_size
    return OutputSummary(
        file=str(film_path(film.timeline, output=film.output)),
        codec=film.output.codec,
        num_frames=film.schedule.num_frames,
        fps=str(film.schedule.fps),
        width=width,
        height=height,
    )
