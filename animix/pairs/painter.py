"""The painter of pairs: cells of latents, once through the base and once through the blend."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from animix.engine.device import painting
from animix.engine.pixels import lay, to_rgb8
from animix.engine.transfer import Transfer, new_stream
from animix.errors import RenderError
from animix.pairs.moment import Moment
from animix.pairs.subject import Photos, Seeds, Subject
from animix.schedule import Row
from animix.timeline.framing import Framing

Scorer = Callable[[Tensor], Tensor]
"""Gives pictures [N, 3, h, w] in [-1, 1] their scores [N]: how real they look, more is better."""

CELLS_AHEAD = 2
"""That a GPU has to paint while Python looks at others."""

ADVICE = "use a machine with more, or try --device cpu"


@dataclass(frozen=True, eq=False)
class Pair:
    """A latent's two pictures, [H, W, 3], and what painted them."""

    subject: Subject
    base: Row
    blended: Row
    a: NDArray[np.uint8]
    b: NDArray[np.uint8]
    score: float | None = None
    """Of the base's picture, where there is a scorer."""


@dataclass(frozen=True, eq=False)
class _Painted:
    """A cell's pictures on their way from the device."""

    subjects: list[Subject]
    rows: list[tuple[Row, Row]]
    sides: tuple[Transfer, Transfer]
    finite: Transfer
    scores: Transfer | None

    def wait(self) -> list[Pair]:
        a, b = (side.wait().numpy() for side in self.sides)
        finite = self.finite.wait().tolist()
        scores = self.scores.wait().tolist() if self.scores else [None] * len(finite)
        pairs = []
        for n, (subject, (base, blended)) in enumerate(zip(self.subjects, self.rows, strict=True)):
            if not finite[n]:
                raise RenderError(
                    f"{subject}: this mix makes no picture, its numbers overflow; bring alpha "
                    "and truncation nearer to 0..1"
                )
            pairs.append(Pair(subject, base, blended, a[n], b[n], scores[n]))
        return pairs


def paint_pairs(
    moment: Moment,
    subjects: Seeds | Photos,
    cells: Iterable[list[int]],
    *,
    size: int | None = None,
    scorer: Scorer | None = None,
) -> Generator[list[Pair], None, None]:
    """The pairs of numbered latents, those of a cell together, made ahead of their use.

    Pictures of ``size`` pixels a side; None: the networks' own. The numbers of a cell lie in one
    cell of the engine and ascend. What else is painted with a pair is decided by its number alone,
    so it is the same bit for bit whichever others are asked for.
    """
    engine = moment.film.engine
    on_cuda = engine.device.type == "cuda"
    copies = new_stream(engine.device) if on_cuda else None
    under_way: list[_Painted] = []
    for numbers in cells:
        cell = _cell(moment, subjects, numbers)
        under_way.append(_paint_cell(moment, cell, size, scorer, copies))
        if len(under_way) >= (CELLS_AHEAD if on_cuda else 1):
            yield under_way.pop(0).wait()
    while under_way:
        yield under_way.pop(0).wait()


def score_bases(
    moment: Moment, subjects: Seeds | Photos, cells: Iterable[list[int]], scorer: Scorer
) -> Generator[list[float], None, None]:
    """The scores of numbered latents by the base's pictures, as ``paint_pairs`` has them."""
    for numbers in cells:
        cell = _cell(moment, subjects, numbers)
        with painting(moment.film.engine.device, ADVICE):
            scores = _scores(scorer, cell, _paint(moment, cell, 0))
            yield scores.tolist()


@dataclass(frozen=True, eq=False)
class _Cell:
    """All latents of an engine's cell, and which of them are wanted."""

    subjects: list[Subject]
    rows: list[tuple[Row, Row]]
    wanted: list[int]
    """Their places."""


def _cell(moment: Moment, subjects: Seeds | Photos, numbers: Sequence[int]) -> _Cell:
    """The cell of some numbers, with all that lie in it.

    With a mix for each latent all of the cell decide how it is painted. So a cell of seeds is
    whole, even if the first that is asked for lies in its middle.
    """
    size = moment.film.engine.batch_size
    start = numbers[0] // size * size
    whole = [subjects.at(number) for number in subjects.cell(start, size)]
    rows = [moment.rows(subject) for subject in whole]
    return _Cell(whole, rows, [number - start for number in numbers])


def _paint(moment: Moment, cell: _Cell, side: int) -> Tensor:
    """The wanted pictures of a cell, until the next that are painted; side 0 is the base."""
    engine = moment.film.engine
    files = {s.source: s.w for s in cell.subjects if isinstance(s.source, str) and s.w is not None}
    engine.add_latents(files)
    first, last = cell.wanted[0], cell.wanted[-1]
    pictures = engine.pictures([rows[side] for rows in cell.rows], slice(first, last + 1))
    if len(cell.wanted) == len(pictures):
        return pictures
    return torch.stack([pictures[place - first] for place in cell.wanted])


def _paint_cell(
    moment: Moment,
    cell: _Cell,
    size: int | None,
    scorer: Scorer | None,
    copies: torch.cuda.Stream | None,
) -> _Painted:
    frame = moment.base.index
    sides, finite, scores = [], [], None
    with painting(moment.film.engine.device, ADVICE):
        for side in (0, 1):
            pictures = _paint(moment, cell, side)
            # A sum is finite if all are, short of numbers that no picture has.
            finite.append(torch.isfinite(pictures.flatten(1).sum(dim=1)))
            if scorer is not None and side == 0:
                scores = Transfer(_scores(scorer, cell, pictures), copies)
            sides.append(Transfer(to_rgb8(_laid(pictures, size), frame), copies))
        are_finite = Transfer(finite[0] & finite[1], copies)
    return _Painted(
        [cell.subjects[place] for place in cell.wanted],
        [cell.rows[place] for place in cell.wanted],
        (sides[0], sides[1]),
        are_finite,
        scores,
    )


def _scores(scorer: Scorer, cell: _Cell, pictures: Tensor) -> Tensor:
    """The scores of a cell's wanted pictures, each in the place that it always has.

    How many there are, and where, decides a score's last bits.
    """
    all_places = pictures.new_zeros(len(cell.subjects), *pictures.shape[1:])
    for place, picture in zip(cell.wanted, pictures, strict=True):
        all_places[place] = picture
    scores = scorer(all_places)
    return torch.stack([scores[place] for place in cell.wanted])


def _laid(pictures: Tensor, size: int | None) -> Tensor:
    """Pictures at the size that is asked for."""
    if size is None or pictures.shape[-2:] == (size, size):
        return pictures
    framing = Framing(fit="stretch")
    return torch.stack([lay(picture, (size, size), framing) for picture in pictures])
