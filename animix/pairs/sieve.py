"""The sieve: pairs that are left out, for their score or because they are there already."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from animix.errors import OptionError

HASH_SIDE = 32
"""Pixels a side of what is hashed."""
WAVES = 8
"""Cosine waves across and down that a hash knows: 8 · 8 bits."""
HASH_BITS = WAVES * WAVES

Words = NDArray[np.uint64]


@dataclass(frozen=True)
class Sieve:
    """What a pair must be like; None: that is not asked."""

    min_score: float | None = None
    """The least that its base's picture scores."""
    distinct: int | None = None
    """Bits in which the hash of A or that of B differs, at the least, from each pair before."""

    def __post_init__(self) -> None:
        if self.distinct is not None and not 1 <= self.distinct <= HASH_BITS:
            raise OptionError(f"--distinct {self.distinct}: expected 1 to {HASH_BITS} bits")
        if self.min_score is not None and not np.isfinite(self.min_score):
            raise OptionError(f"--min-score {self.min_score}: expected a number")


class Sifting:
    """Looks at pairs one after the other; ``why_not`` says what is wrong with one."""

    def __init__(self, sieve: Sieve, hashes: list[str]) -> None:
        """``hashes`` are those of the pairs that are there, as ``hash_text`` has them."""
        self._sieve = sieve
        self._known = np.zeros((max(1024, 2 * len(hashes)), 2), np.uint64)
        self._count = 0
        for text in hashes:
            self._add(words_of(text))
        self.left_out: Counter[str] = Counter()
        """How many, by what was wrong."""

    def why_not(self, score: float | None, words: Words | None) -> str | None:
        """Why a pair is left out; None: it is kept, and others are compared with it."""
        reason = self._reason(score, words)
        if reason is not None:
            self.left_out[reason] += 1
        elif words is not None:
            self._add(words)
        return reason

    def _reason(self, score: float | None, words: Words | None) -> str | None:
        least, distinct = self._sieve.min_score, self._sieve.distinct
        if least is not None and (score is None or not score >= least):
            return "low score"
        if distinct is not None and words is not None and self._count:
            apart = bits_apart(self._known[: self._count], words).max(axis=1)
            if int(apart.min()) < distinct:
                return "near-duplicate"
        return None

    def _add(self, words: Words) -> None:
        if self._count == len(self._known):
            self._known = np.concatenate([self._known, np.zeros_like(self._known)])
        self._known[self._count] = words
        self._count += 1


def hash_pictures(pictures: NDArray[np.uint8]) -> Words:
    """The perceptual hashes [N] of pictures [N, H, W, 3]: 64 bits that small changes leave alone.

    Of the light of a picture made small the 8 · 8 lowest cosine waves but the mean, each a bit that
    tells whether it is above their median (Zauner 2010, "Implementation and benchmarking of
    perceptual image hash functions", section 3.2.1).

    >>> ramp = np.broadcast_to(np.arange(64, dtype=np.uint8)[:, None, None], (1, 64, 64, 3))
    >>> bits_apart(hash_pictures(ramp), hash_pictures(ramp + 1)).tolist()
    [0]
    """
    light = pictures.astype(np.float64) @ [0.299, 0.587, 0.114]
    _, height, width = light.shape
    small = _mean_of(height) @ light @ _mean_of(width).T
    # The wave of no crest is the mean, of which a hash is to know nothing.
    waves = (_cosines() @ small @ _cosines().T).reshape(len(light), -1)
    # What is flat has waves of nothing but rounding.
    waves[np.abs(waves) < 1e-6] = 0
    bits = waves > np.median(waves, axis=1, keepdims=True)
    words: Words = np.packbits(bits, axis=1).view(">u8")[:, 0].astype(np.uint64)
    return words


def bits_apart(words: Words, others: Words) -> NDArray[np.int64]:
    """The bits in which words [...] differ from others: [...]."""
    differing = np.ascontiguousarray(np.bitwise_xor(words, others))
    counts = _bit_counts()[differing[..., None].view(np.uint16)]
    found: NDArray[np.int64] = counts.sum(axis=-1, dtype=np.int64)
    return found


def hash_text(words: Words) -> str:
    """The hashes of A and B as a manifest has them.

    >>> hash_text(np.array([1, 255], np.uint64)), words_of("00000000000000010" + "0" * 13 + "ff")
    ('000000000000000100000000000000ff', array([  1, 255], dtype=uint64))
    """
    return "".join(f"{int(word):016x}" for word in words)


def words_of(text: str) -> Words:
    """The hashes of A and B from a manifest."""
    return np.array([int(text[:16], 16), int(text[16:32], 16)], np.uint64)


@cache
def _cosines() -> NDArray[np.float64]:
    """The waves of 1 to 8 half turns: [8, 32]."""
    places = (np.arange(HASH_SIDE) + 0.5) / HASH_SIDE
    found: NDArray[np.float64] = np.cos(np.pi * np.arange(1, WAVES + 1)[:, None] * places)
    return found


@cache
def _mean_of(side: int) -> NDArray[np.float64]:
    """Weights [32, side] that make one axis small, by the mean of what falls on each pixel."""
    edges = np.arange(HASH_SIDE + 1) * side / HASH_SIDE
    low, high = edges[:-1, None], edges[1:, None]
    pixels = np.arange(side)
    shares = np.clip(np.minimum(high, pixels + 1) - np.maximum(low, pixels), 0, 1)
    found: NDArray[np.float64] = shares / shares.sum(axis=1, keepdims=True)
    return found


@cache
def _bit_counts() -> NDArray[np.uint8]:
    """The bits that are set in each number of 16."""
    numbers = np.arange(1 << 16, dtype=np.uint16)
    bits = np.unpackbits(numbers.view(np.uint8).reshape(-1, 2), axis=1)
    found: NDArray[np.uint8] = bits.sum(axis=1, dtype=np.uint8)
    return found
