"""The subjects of pairs: the latents that go through both networks, seeds or projected photos."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from animix.errors import LatentError, OptionError
from animix.latents import load_latent
from animix.networks.facts import NetworkFacts
from animix.timeline.numbers import LARGEST_SEED

TAG = 0x70616972
"""Sets what is drawn for a latent apart from all else that is drawn from its seed."""
TEST_TAG = 0x74657374

SUFFIXES = (".npz", ".npy", ".pt")


@dataclass(frozen=True, eq=False)
class Subject:
    """A latent: its number in the run, what it is painted from, and the name of its files."""

    number: int
    """Of all latents; those of one cell, ``number`` // cell, are painted together."""
    source: int | str
    """A seed, or the name of a projected file."""
    name: str
    """Without suffix: ``000017``."""
    identity: int
    """What is drawn for it follows from this: the seed, or the file's content."""
    w: NDArray[np.float32] | None = None
    """[num_ws, w_dim] of a projected file."""

    def __str__(self) -> str:
        return f"seed {self.source}" if self.w is None else str(self.source)

    def told(self) -> dict[str, object]:
        """How a manifest names it."""
        if self.w is None:
            return {"seed": self.source}
        return {"photo": self.source, "sha256": hashlib.sha256(self.w.tobytes()).hexdigest()}


@dataclass(frozen=True)
class Seeds:
    """Seeds in order, from the first up."""

    first: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.first <= LARGEST_SEED:
            raise OptionError(f"--first-seed {self.first}: expected 0 to {LARGEST_SEED}")

    @property
    def numbers(self) -> range:
        """Those of all that there are."""
        return range(self.first, LARGEST_SEED + 1)

    def cell(self, start: int, size: int) -> range:
        """The numbers of a cell, those before the first of all too."""
        return range(start, min(start + size, LARGEST_SEED + 1))

    def at(self, number: int) -> Subject:
        """The one of this number, which is the seed itself."""
        return Subject(number, number, name_of(number), number)

    def number_of(self, line: dict[str, object]) -> int | None:
        """The number of the one that a manifest's line is about; None: of none."""
        seed = line.get("seed")
        return seed if isinstance(seed, int) else None

    def settings(self) -> dict[str, object]:
        """What of them has to stay the same where a data set goes on."""
        return {"first_seed": self.first}


def name_of(seed: int) -> str:
    """The name of a seed's files, without suffix.

    >>> name_of(17)
    '000017'
    """
    return f"{seed:06d}"


class Photos:
    """Projected photos: every file of latents in a folder, in the order of their names."""

    def __init__(self, folder: Path, facts: NetworkFacts) -> None:
        """OptionError where there are none, LatentError for the first that can't be used."""
        try:
            found = sorted(p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES)
        except OSError as exc:
            raise OptionError(f"--photos {folder}: {exc.strerror}") from exc
        if not found:
            raise OptionError(
                f"--photos {folder}: holds no projected photos ({', '.join(SUFFIXES)}); make some "
                "with animix project"
            )
        names: dict[str, Path] = {}
        for path in found:
            other = names.setdefault(path.stem.casefold(), path)
            if other is not path:
                raise OptionError(
                    f"--photos {folder}: {other.name} and {path.name} would be pictures of one "
                    "name; rename one"
                )
        self._subjects = [_photo(n, path, facts) for n, path in enumerate(found)]
        self._numbers = {s.source: s.number for s in self._subjects}

    @property
    def numbers(self) -> range:
        """Those of all that there are."""
        return range(len(self._subjects))

    def cell(self, start: int, size: int) -> range:
        """The numbers of a cell."""
        return range(start, min(start + size, len(self._subjects)))

    def at(self, number: int) -> Subject:
        """The one of this number, by the order of names."""
        return self._subjects[number]

    def number_of(self, line: dict[str, object]) -> int | None:
        """The number of the one that a manifest's line is about; None: of none that is there."""
        name = line.get("photo")
        number = self._numbers.get(name) if isinstance(name, str) else None
        if number is not None and self._subjects[number].told()["sha256"] != line.get("sha256"):
            raise LatentError(
                f"{name} is another than it was when its pair was made; name another folder"
            )
        return number

    def settings(self) -> dict[str, object]:
        """What of them has to stay the same where a data set goes on; more may come."""
        return {"photos": True}


def _photo(number: int, path: Path, facts: NetworkFacts) -> Subject:
    w = load_latent(path, facts)
    digest = hashlib.sha256(w.tobytes()).digest()
    return Subject(number, path.name, path.stem, int.from_bytes(digest[:8], "big"), w)


def shares_of(identity: int, count: int, tag: int = TAG) -> list[float]:
    """Numbers in [0, 1) that belong to a latent, the same wherever and whenever it is painted.

    >>> shares_of(17, 2) == shares_of(17, 3)[:2]
    True
    """
    drawn = np.random.SeedSequence((identity, tag)).generate_state(count, np.uint64)
    found: Sequence[float] = (drawn / 2.0**64).tolist()
    return list(found)


def is_test(subject: Subject, share: float) -> bool:
    """Whether a latent is one of those for testing, of which there is about such a share."""
    return share > 0 and shares_of(subject.identity, 1, TEST_TAG)[0] < share


def cells_of(numbers: Iterable[int], size: int) -> Iterator[list[int]]:
    """Numbers in ascending order, those that are painted together.

    >>> list(cells_of([2, 3, 4, 9], 4))
    [[2, 3], [4], [9]]
    """
    cell: list[int] = []
    for number in numbers:
        if cell and number // size != cell[0] // size:
            yield cell
            cell = []
        cell.append(number)
    if cell:
        yield cell
