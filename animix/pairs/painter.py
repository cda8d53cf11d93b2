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
    side: int | None = None,
    scorer: Scorer | None = None,
) -> Generator[list[Pair], None, None]:
    """The pairs of numbered latents, those of a cell together, made ahead of their use.

    Pictures of ``side`` pixels; None: the networks' own. The numbers of a cell lie in one cell of
    the engine and ascend. What else is painted with a pair is decided by its number alone, so it is
    the same bit for bit whichever others are asked for.
    """
    engine = moment.film.engine
    on_cuda = engine.device.type == "cuda"
    copies = new_stream(engine.device) if on_cuda else None
    under_way: list[_Painted] = []
    for cell in cells:
        under_way.append(_paint_cell(moment, subjects, cell, side, scorer, copies))
        if len(under_way) >= (CELLS_AHEAD if on_cuda else 1):
            yield under_way.pop(0).wait()
    while under_way:
        yield under_way.pop(0).wait()


def _paint_cell(
    moment: Moment,
    subjects: Seeds | Photos,
    wanted: Sequence[int],
    side: int | None,
    scorer: Scorer | None,
    copies: torch.cuda.Stream | None,
) -> _Painted:
    engine = moment.film.engine
    size = engine.batch_size
    start = wanted[0] // size * size
    # With a mix for each latent, all of the cell decide how it is painted. Of seeds that begin or
    # end inside of one, the whole cell is the same as that of any others.
    whole = [subjects.at(number) for number in subjects.cell(start, size)]
    rows = [moment.rows(subject) for subject in whole]
    chosen = slice(wanted[0] - start, wanted[-1] - start + 1)
    kept = [number - wanted[0] for number in wanted]
    places = [number - start for number in wanted]
    engine.add_latents(
        {s.source: s.w for s in whole if isinstance(s.source, str) and s.w is not None}
    )
    sides, finite, scores = [], None, None
    with painting(engine.device, ADVICE):
        for number, of_side in enumerate(zip(*rows, strict=True)):
            pictures = engine.pictures(of_side, chosen)
            if len(kept) < len(pictures):
                pictures = torch.stack([pictures[place] for place in kept])
            # A sum is finite if all are, short of numbers that no picture has.
            is_finite = torch.isfinite(pictures.flatten(1).sum(dim=1))
            finite = is_finite if finite is None else finite & is_finite
            if scorer is not None and number == 0:
                scores = Transfer(_scores(scorer, pictures, places, size), copies)
            pixels = to_rgb8(_laid(pictures, side), of_side[0].index)
            sides.append(Transfer(pixels, copies))
        assert finite is not None, "a cell has two sides"
        done = Transfer(finite, copies)
    return _Painted(
        [whole[number - start] for number in wanted],
        [rows[number - start] for number in wanted],
        (sides[0], sides[1]),
        done,
        scores,
    )


def _scores(scorer: Scorer, pictures: Tensor, places: Sequence[int], size: int) -> Tensor:
    """The scores of a cell's pictures, each in the place that it always has.

    How many there are, and where, decides a score's last bits.
    """
    cell = pictures.new_zeros(size, *pictures.shape[1:])
    for place, picture in zip(places, pictures, strict=True):
        cell[place] = picture
    scores = scorer(cell)
    return torch.stack([scores[place] for place in places])


def _laid(pictures: Tensor, side: int | None) -> Tensor:
    """Pictures at the size that is asked for."""
    if side is None or pictures.shape[-2:] == (side, side):
        return pictures
    framing = Framing(fit="stretch")
    return torch.stack([lay(picture, (side, side), framing) for picture in pictures])
