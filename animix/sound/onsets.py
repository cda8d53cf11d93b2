"""Onsets: how much begins to sound at each moment, in three bands."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from animix.sound.spectrum import RATE, Floats, powers

HOP = 120
ONSET_RATE = RATE // HOP
"""Moments a second."""

_LOW_EDGES = (30.0, 60.0, 100.0, 150.0)
_HIGHER_EDGES = np.geomspace(200, 11_000, 21)
_EDGES = (*_LOW_EDGES, *_HIGHER_EDGES.tolist())
_NUM_LOW, _NUM_HIGH = 3, 9
_RISE = 3  # moments
_NEAR_SECONDS = 2.0

EARLY = 2.0
"""Moments by which a window hears what comes into it before its middle does, on average."""


class Onsets(NamedTuple):
    """How much begins at each moment, [N], 200 a second; 0 on average and 1 by deviation."""

    low: Floats
    """Below 150 Hz: kicks and basses."""
    mid: Floats
    """Up to 1.8 kHz: snares, voices, chords."""
    high: Floats
    """Hats."""

    @property
    def drums(self) -> Floats:
        """What beats are made of, without hats, which are twice as many."""
        return self.low + self.mid

    @property
    def all(self) -> Floats:
        """Of all bands, the highest counting half."""
        return self.drums + 0.5 * self.high


def onsets(samples: Floats) -> Onsets:
    """The onsets of a sound in mono at 24 kHz: [N].

    Spectral flux: by how much the logarithm of each band grows, without what it falls by (Bello et
    al., A Tutorial on Onset Detection in Music Signals, 2005).
    """
    loud = np.sqrt(powers(samples, HOP, _EDGES))
    top = float(np.quantile(loud.max(axis=1), 0.98)) if len(loud) else 0.0
    levels = np.log1p(300 * loud / (top or 1.0))
    flux = np.zeros_like(levels)
    flux[_RISE:] = np.maximum(0, levels[_RISE:] - levels[:-_RISE])
    flux[:-1] = flux[1:]  # about the middle of the rise
    first_high = flux.shape[1] - _NUM_HIGH
    bands = (flux[:, :_NUM_LOW], flux[:, _NUM_LOW:first_high], flux[:, first_high:])
    return Onsets(*(_standing_out(band.mean(axis=1)) for band in bands))


def seconds_of(moments: Floats) -> Floats:
    """When moments are, in seconds of the sound."""
    found: Floats = (moments + EARLY) / ONSET_RATE
    return found


def _standing_out(flux: Floats) -> Floats:
    """Flux above what is usual around it."""
    kernel = np.array([0.25, 0.75, 1.0, 0.75, 0.25])
    smooth = np.convolve(flux, kernel / kernel.sum(), "same")
    near = 2 * int(_NEAR_SECONDS * ONSET_RATE / 2) + 1
    usual = np.convolve(smooth, np.full(near, 1 / near), "same")[: len(smooth)]
    above: Floats = np.maximum(0, smooth - usual)
    spread = float(above.std())
    return above / spread if spread > 1e-9 else np.zeros_like(above)
