"""The spectrum of a sound as it goes by: how much of it sounds between given frequencies."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float64]

RATE = 24_000
"""Samples a second of what is analysed: up to 12 kHz, which is where drums and voices are."""
WINDOW = 1024
"""Samples that a spectrum is taken of, 43 ms: less, and 60 Hz could not be told from 30."""
SPECTRA = 512
"""That are worked out at a time."""


def powers(samples: Floats, hop: int, edges_hertz: Sequence[float]) -> Floats:
    """The power between each two edges about every ``hop``-th sample: [N, bands].

    Spectra of a Hann window about the sample; of a full sine the power is 1/2. What lies before the
    sound and behind it is silence.
    """
    window = np.hanning(WINDOW + 1)[:-1].astype(np.float32)
    hertz = np.fft.rfftfreq(WINDOW, 1 / RATE)[:, None]
    edges = np.asarray(edges_hertz)
    # A product with zeros and ones is faster than sums of slices.
    inside = ((hertz >= edges[:-1]) & (hertz < edges[1:])).astype(np.float32)
    padded = np.pad(samples.astype(np.float32), (WINDOW // 2, WINDOW))
    frames = np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[: len(samples) : hop]
    found = np.empty((len(frames), len(edges) - 1))
    for first in range(0, len(frames), SPECTRA):
        spectra = np.fft.rfft(frames[first : first + SPECTRA] * window)
        found[first : first + SPECTRA] = (spectra.real**2 + spectra.imag**2) @ inside
    found *= 2 / (WINDOW * float((window**2).sum()))
    return found
