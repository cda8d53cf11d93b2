"""The inset: what is drawn into frames, the chart of the mix and captions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import TypeAlias

import PIL
import torch
from torch import Tensor

from animix.captions import Caption, State, letters_in, make_captions
from animix.chart import Chart
from animix.engine.transfer import upload
from animix.lettering import layers_of
from animix.schedule import Schedule
from animix.timeline.grid import Inset as Kind
from animix.timeline.grid import Place

STATES_KEPT = 64
"""Plates that are kept on their device, for the frames that look alike."""


Plate: TypeAlias = "tuple[Tensor, Tensor]"
"""What it adds [3, h, w], in [-1, 1], and what it leaves of a canvas [1, h, w], in [0, 1]."""


@dataclass(frozen=True, eq=False)
class Inset:
    """What is drawn into the frames of one film."""

    chart: Chart | None
    captions: tuple[Caption, ...]
    notes: tuple[str, ...] = ()
    """What the user should know of it."""

    @property
    def looks(self) -> tuple[object, ...]:
        """What decides it in all frames, beside their mixes and their states."""
        chart = self.chart.looks if self.chart else None
        return PIL.__version__, chart, tuple(caption.looks for caption in self.captions)

    def state(self, index: int) -> tuple[object, ...]:
        """What decides its letters in a frame."""
        return tuple(caption.state(index) for caption in self.captions)

    def draw(self, canvases: Tensor, frames: range) -> None:
        """Draw on the canvases [N, 3, H, W] of frames, in [-1, 1]."""
        for caption in self.captions:
            states = [caption.state(index) for index in frames]
            for first, stop in _runs(states):
                plate = self._plates(caption, states[first], canvases.device)
                _lay(canvases[first:stop], caption.place, plate)
        if self.chart is not None:
            _lay(canvases, self.chart.place, self._plates(self.chart, (), canvases.device))
            self.chart.draw(canvases, frames)

    @cached_property
    def _plates(self) -> Callable[[Chart | Caption, State, torch.device], Plate]:
        """The plate of a chart or a caption in a state, on a device."""

        @lru_cache(maxsize=STATES_KEPT * (len(self.captions) + 1))
        def made(piece: Chart | Caption, state: State, device: torch.device) -> Plate:
            colours, opacity = layers_of(piece.drawn(state))
            return upload(colours * opacity, device), upload(1 - opacity, device)

        return made


def inset_of(
    schedule: Schedule, canvas_size: tuple[int, int], kinds: Sequence[Kind]
) -> Inset | None:
    """What is drawn into the frames of a film; None: nothing."""
    if not kinds:
        return None
    cells = schedule.grid.places(canvas_size, schedule.frame.fit)
    captions = tuple(make_captions(schedule, cells, canvas_size)) if "labels" in kinds else ()
    chart, missing = None, []
    if "mix" in kinds:
        number = next(n for n, panel in enumerate(schedule.grid.panels) if panel.network is None)
        letters = letters_in(cells[number], canvas_size)
        chart = Chart(schedule, cells[number], letters, is_named=not captions)
        if not chart.fits:
            chart = replace(chart, is_named=False)
    if chart is not None and not chart.fits:
        chart, missing = None, ["the mix"]
    if "labels" in kinds and not captions:
        missing.append("labels")
    size = f"{cells[0].width}×{cells[0].height}"
    notes = [f"overlay: {what} can't be read in cells of {size} pixels" for what in missing]
    return Inset(chart, captions, tuple(f"{note}, and is left out" for note in notes))


def _runs(states: Sequence[object]) -> list[tuple[int, int]]:
    """Where states stay the same: from, and up to where."""
    starts = [n for n, state in enumerate(states) if n == 0 or state != states[n - 1]]
    return list(zip(starts, [*starts[1:], len(states)], strict=True))


def _lay(canvases: Tensor, place: Place, plate: Plate) -> None:
    """Lay a plate on canvases [N, 3, H, W]."""
    added, kept = plate
    part = canvases[..., place.top : place.top + place.height, :]
    part = part[..., place.left : place.left + place.width]
    # In two steps, each exact: torch.lerp rounds by where in memory a pixel lies.
    part.copy_(part * kept + added)
