"""The inset: what is drawn into frames, the chart of the mix and captions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property

import numpy as np
import PIL
import torch
from torch import Tensor

from animix.captions import Caption, letters_in, make_captions
from animix.chart import Chart
from animix.engine.transfer import upload
from animix.lettering import BRIGHT, layers_of, shape_of
from animix.schedule import Schedule
from animix.timeline.grid import Inset as Kind
from animix.timeline.grid import Place


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
        device = canvases.device
        for caption in self.captions:
            _lay(canvases[caption.place.pixels], *self._layers(caption, device))
            for dial, window in caption.windows:
                texts = [dial.text(index) for index in frames]
                texts = texts[:1] if len(set(texts)) == 1 else texts
                size = caption.letters, window.width, window.height
                shapes = np.stack([shape_of(text, *size) for text in texts])[:, None]
                opacity = upload(shapes, device)  # [N or 1, 1, h, w]
                _lay(canvases[window.pixels], opacity * self._bright(device), 1 - opacity)
        if self.chart is not None:
            _lay(canvases[self.chart.place.pixels], *self._layers(self.chart, device))
            self.chart.draw(canvases, frames)

    @cached_property
    def _layers(self) -> Callable[[Chart | Caption, torch.device], tuple[Tensor, Tensor]]:
        """What a plate adds to a canvas [3, h, w], and how much of it it keeps [1, h, w]."""

        @cache
        def made(piece: Chart | Caption, device: torch.device) -> tuple[Tensor, Tensor]:
            colours, opacity = layers_of(piece.image)
            return upload(colours * opacity, device), upload(1 - opacity, device)

        return made

    @cached_property
    def _bright(self) -> Callable[[torch.device], Tensor]:
        """The colour of values: [3, 1, 1]."""
        colour = np.array(BRIGHT, np.float32)[:, None, None] / 127.5 - 1
        return cache(lambda device: upload(colour, device))


def inset_of(
    schedule: Schedule,
    canvas_size: tuple[int, int],
    cells: Sequence[Place],
    kinds: Sequence[Kind],
) -> Inset | None:
    """What is drawn into the frames of a film; None: nothing."""
    if not kinds:
        return None
    captions: list[Caption] = []
    chart: Chart | None = None
    missing: list[str] = []
    if "mix" in kinds:
        number = next(n for n, panel in enumerate(schedule.grid.panels) if panel.network is None)
        letters = letters_in(cells[number], canvas_size)
        chart = Chart(schedule, cells[number], letters, is_named=False)
        if not chart.fits:
            chart, missing = None, ["the mix"]
    if "labels" in kinds:
        taken = None if chart is None else chart.place
        captions, left_out = make_captions(schedule, cells, canvas_size, taken)
        missing += left_out
    # Captions name the networks beside their colours, unless there are none.
    if chart is not None and not captions:
        named = replace(chart, is_named=True)
        chart = named if named.fits else chart
    size = f"{cells[0].width}×{cells[0].height}"
    notes = tuple(
        f"overlay: {what} can't be read in cells of {size} pixels; left out" for what in missing
    )
    return Inset(chart, tuple(captions), notes)


def _lay(part: Tensor, added: Tensor, kept: Tensor) -> None:
    """Lay letters or a plate on a part of canvases [N, 3, h, w]."""
    # In two steps, each exact: torch.lerp rounds by where in memory a pixel lies.
    part.copy_(part * kept + added)
