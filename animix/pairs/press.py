"""The press: pairs are written by several threads, and noted in the order in which they came."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from animix.interruption import uninterrupted
from animix.pairs.manifest import Line, Manifest
from animix.pairs.order import Order
from animix.pairs.painter import Pair
from animix.pairs.sieve import Words, hash_text
from animix.pairs.subject import is_test
from animix.pairs.writers import Sheaf, Writers, Written, remove_all

WAITING_BYTES = 256 << 20
"""Of painted pictures that wait for their encoding, but for a pair for each thread."""


class Press:
    """Has pairs written, and notes them in the order in which they came."""

    def __init__(
        self,
        folder: Path,
        manifest: Manifest,
        lost: dict[int, int],
        order: Order,
        num_threads: int,
        work: dict[str, float],
    ) -> None:
        self._folder, self._manifest, self._lost = folder, manifest, lost
        self._order, self._work = order, work
        self._least = 2 * num_threads
        self._writers = Writers(order.picture_format, num_threads)
        self._given: dict[int, tuple[Sheaf, Line, int | None]] = {}
        self._done: dict[int, Written] = {}
        self._next = self._count = 0
        self._waiting_bytes = 0
        self._mended: dict[int, Line] = {}

    @property
    def num_in_hand(self) -> int:
        """Pairs that are not noted yet."""
        return len(self._given)

    @property
    def num_mended(self) -> int:
        """Pairs whose lost pictures are there again."""
        return len(self._mended)

    def put(self, pairs: Sequence[tuple[Pair, Words | None]]) -> None:
        """Have pairs written, with the hashes of their pictures if they have any."""
        for pair, words in pairs:
            files, line = self._line(pair, words)
            paths = tuple(self._folder / name for name in files.values())
            sheaf = Sheaf(self._count, paths, self._order.layout.pictures(pair.a, pair.b))
            self._given[sheaf.number] = sheaf, line, self._lost.get(pair.subject.number)
            self._waiting_bytes += sheaf.num_bytes
            self._count += 1
            self._writers.give(sheaf)

    def make_room(self) -> None:
        """Wait until few pairs are in hand."""
        while self._waiting_bytes > WAITING_BYTES and len(self._given) > self._least:
            self.collect()
        while (written := self._writers.take(wait=False)) is not None:
            self._note(written)

    def collect(self) -> None:
        """Wait for a pair that is written, and note all that can be."""
        written = self._writers.take()
        assert written is not None, "it was waited for"
        self._note(written)

    def mend(self) -> None:
        """Note what is another size than it was, as another version of a library may make it."""
        lines = list(self._manifest.lines)
        for place, line in self._mended.items():
            # What was seen of it when it was chosen stays.
            lines[place] = {**lines[place], "bytes": line["bytes"]}
        if lines != self._manifest.lines:
            self._manifest.replace(lines)

    def close(self) -> None:
        """End the writing; what is whole and in its turn is noted, the rest goes."""
        with uninterrupted():
            try:
                for written in self._writers.close():
                    if written.error is None:
                        self._done[written.number] = written
                self._note_in_turn()
            finally:
                for sheaf, _, place in self._given.values():
                    if place is None:
                        remove_all(sheaf.files)

    def _line(self, pair: Pair, words: Words | None) -> tuple[dict[str, str], Line]:
        subject, order = pair.subject, self._order
        name = subject.name + order.picture_format.suffix
        files = order.layout.files(name, is_test=is_test(subject, order.layout.test_share))
        psi = pair.base.psi.tolist()
        line: Line = {
            **subject.told(),
            "truncation": None if subject.w is not None else psi[0] if len({*psi}) == 1 else psi,
            "mix": pair.blended.mix.tolist(),
            **files,
        }
        if words is not None:
            line["hash"] = hash_text(words)
        if pair.score is not None:
            line["score"] = pair.score
        return files, line

    def _note(self, written: Written) -> None:
        if written.error is not None:
            raise written.error
        self._done[written.number] = written
        self._work["encoding"] += written.encoding_seconds
        self._work["writing"] += written.writing_seconds
        self._note_in_turn()

    def _note_in_turn(self) -> None:
        # Noted and yet in hand, a pair would be noted twice.
        with uninterrupted():
            self._note_all()

    def _note_all(self) -> None:
        while (written := self._done.get(self._next)) is not None:
            sheaf, line, place = self._given[self._next]
            line["bytes"] = list(written.num_bytes)
            if place is None:
                self._manifest.append(line)
            else:
                self._mended[place] = line
            del self._given[self._next], self._done[self._next]
            self._waiting_bytes -= sheaf.num_bytes
            self._next += 1
