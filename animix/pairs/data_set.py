"""A data set of pairs: painted, encoded and written at the same time; it goes on where it ended."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np

from animix.errors import OptionError, RenderError
from animix.pairs.critic import Critic
from animix.pairs.manifest import Line, Manifest, is_there, sweep, unwritable
from animix.pairs.moment import Moment
from animix.pairs.order import Order
from animix.pairs.painter import Pair, paint_pairs, score_bases
from animix.pairs.press import Press
from animix.pairs.sieve import Sieve, Sifting, Words, hash_pictures
from animix.pairs.subject import Photos, Seeds, cells_of
from animix.progress import Progress, Stages
from animix.version import VERSION
from animix.video.settings import num_cores

MOST_LEFT_OUT = 10_000
"""Latents in a row of which none is kept: then none ever will be."""

SCORED = 128
"""Latents of which the share to keep is taken."""


class DataSet:
    """Pairs in a folder: ``make`` makes those that are missing, and what it is like is told after.

    The same command makes the same files, to the byte, however often it was interrupted; a picture
    that is lost is made again.
    """

    def __init__(
        self,
        moment: Moment,
        subjects: Seeds | Photos,
        folder: Path,
        order: Order,
        critic: Critic | None = None,
        num_threads: int | None = None,
    ) -> None:
        """``num_threads`` encode and write; None: one for each core."""
        if order.count is None and isinstance(subjects, Seeds):
            raise OptionError("how many? give --count, such as --count 20000")
        if isinstance(subjects, Seeds) and (order.count or 0) > len(subjects.numbers):
            raise OptionError(
                f"--count {order.count}: from {subjects.first} up there are {len(subjects.numbers)}"
                " seeds"
            )
        if order.scores and critic is None:
            raise OptionError("--best and --min-score need a discriminator; give --discriminator")
        self.folder = folder
        self.stages = Stages()
        """What was waited for; and in all threads together, how long encoding and writing took."""
        self.work: dict[str, float] = {"encoding": 0.0, "writing": 0.0}
        self.left_out: Counter[str] = Counter()
        """Latents that were looked at and not kept, by the reason."""
        self.num_pairs = self.num_before = 0
        self._moment, self._subjects, self._order = moment, subjects, order
        self._critic = critic if order.scores else None
        self._num_threads = num_threads or num_cores()
        self._count = min(order.count or len(subjects.numbers), len(subjects.numbers))

    @property
    def side(self) -> int:
        """Pixels a side of a picture."""
        return self._order.side or self._moment.film.engine.facts.img_resolution

    def make(self) -> Generator[Progress, None, None]:
        """Make what is missing and yield how many pictures there are, two for each pair.

        Raises OptionError where nothing can be written or the folder is another's, RenderError
        where a picture can't be made. What is finished stays.
        """
        layout = self._order.layout
        manifest = Manifest(self.folder, self._settings(), layout.folders)
        with closing(manifest):
            try:
                sweep(
                    self.folder,
                    layout.folders,
                    self._order.picture_format.suffix,
                    manifest.lines,
                )
                with closing(self._make(manifest)) as steps:
                    yield from steps
            except OSError as exc:
                raise unwritable(self.folder, exc) from exc

    def _settings(self) -> dict[str, Any]:
        return {
            "animix": VERSION,
            **self._moment.settings(),
            **self._subjects.settings(),
            **self._order.settings(),
            "discriminator": self._critic.name if self._critic else None,
        }

    def _make(self, manifest: Manifest) -> Generator[Progress, None, None]:
        started = time.monotonic()
        lost = self._lost(manifest.lines)
        self.num_before = len(manifest.lines) - len(lost)
        press = Press(self.folder, manifest, lost, self._order, self._num_threads, self.work)

        def progress() -> Progress:
            self.num_pairs = len(manifest.lines) - len(lost) + press.num_mended
            total = max(self._count, len(manifest.lines))
            seconds = time.monotonic() - started
            stages = dict(self.stages.seconds)
            return Progress(2 * self.num_pairs, 2 * total, seconds, stages, 2 * self.num_before)

        with closing(press):
            yield progress()
            with closing(self._painted(sorted(lost))) as cells:
                for pairs in cells:
                    press.put([(pair, None) for pair in pairs])
                    press.make_room()
                    yield progress()
            missing = self._count - len(manifest.lines)
            if missing > 0:
                yield from self._fill(manifest, press, missing, progress)
            while press.num_in_hand:
                with self.stages.waiting_for("encoding"):
                    press.collect()
                yield progress()
            press.mend()
        yield progress()

    def _fill(
        self, manifest: Manifest, press: Press, missing: int, progress: Callable[[], Progress]
    ) -> Iterator[Progress]:
        """Paint new pairs until so many are kept or all are looked at."""
        order = self._order
        sieve = order.sieve
        if order.best is not None:
            scores: list[float] = []
            for some in self._first_scores():
                scores += some
                yield progress()
            sieve = Sieve(float(np.quantile(scores, 1 - order.best)), sieve.distinct)
        sifts = sieve != Sieve()
        sifting = Sifting(sieve, [line["hash"] for line in manifest.lines if "hash" in line])
        self.left_out = sifting.left_out
        kept = in_a_row = 0
        with closing(self._painted(self._new(manifest.lines, None if sifts else missing))) as cells:
            while kept < missing:
                with self.stages.waiting_for("painting"):
                    pairs = next(cells, None)
                if pairs is None:
                    break
                hashes = _hashes(pairs) if sieve.distinct is not None else [None] * len(pairs)
                chosen = []
                for pair, words in zip(pairs, hashes, strict=True):
                    if kept < missing and sifting.why_not(pair.score, words) is None:
                        chosen.append((pair, words))
                        kept += 1
                in_a_row = 0 if chosen else in_a_row + len(pairs)
                if in_a_row > MOST_LEFT_OUT:
                    raise RenderError(
                        f"none of {in_a_row} latents in a row was kept, for their "
                        f"{' or '.join(sifting.left_out)}; ask for less"
                    )
                press.put(chosen)
                with self.stages.waiting_for("encoding"):
                    press.make_room()
                yield progress()

    def _painted(self, numbers: Iterator[int] | Sequence[int]) -> Generator[list[Pair], None, None]:
        size = self._moment.film.engine.batch_size
        return paint_pairs(
            self._moment,
            self._subjects,
            cells_of(numbers, size),
            size=self._order.side,
            scorer=self._critic.scorer if self._critic else None,
        )

    def _new(self, lines: Sequence[Line], most: int | None) -> Iterator[int]:
        """The numbers of latents that no line is about, up to so many."""
        known = {self._subjects.number_of(line) for line in lines}
        numbers = self._subjects.numbers
        if isinstance(self._subjects, Seeds):
            # What lies between the seeds that are there was looked at and left out.
            last = max(
                (number for number in known if number is not None), default=numbers.start - 1
            )
            yield from range(last + 1, numbers.stop if most is None else last + 1 + most)
            return
        new = [number for number in numbers if number not in known]
        yield from new[:most]

    def _lost(self, lines: Sequence[Line]) -> dict[int, int]:
        """Numbers of latents whose pictures are gone, and the places of their lines."""
        lost = {}
        for place, line in enumerate(lines):
            number = self._subjects.number_of(line)
            if not is_there(self.folder, line):
                if number is None:
                    raise OptionError(
                        f"{self.folder}: the pictures of {line.get('photo')} are gone, and so is "
                        "what they were made of; put it back, or name another folder"
                    )
                lost[number] = place
        return lost

    def _first_scores(self) -> Iterator[list[float]]:
        """The scores of the first latents, a cell at a time."""
        assert self._critic is not None, "an order for the best has one"
        size = self._moment.film.engine.batch_size
        cells = cells_of(self._subjects.numbers[:SCORED], size)
        return score_bases(self._moment, self._subjects, cells, self._critic.scorer)


def _hashes(pairs: Sequence[Pair]) -> list[Words | None]:
    """The hashes [2] of each pair's pictures."""
    sides = [np.stack([getattr(pair, side) for pair in pairs]) for side in ("a", "b")]
    return list(np.stack([hash_pictures(side) for side in sides], axis=1))
