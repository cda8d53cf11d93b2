"""Low-pass filters with a Kaiser window, as StyleGAN3's layers use: separable or radial."""

from __future__ import annotations

import functools

import numpy as np
import torch
from torch import Tensor

ENTRIES_REMEMBERED = 256
"""Designed filters that are kept; a network has about thirty."""


@functools.lru_cache(maxsize=ENTRIES_REMEMBERED)
def lowpass(
    taps: int, cutoff: float, width: float, sampling_rate: float, *, radial: bool = False
) -> Tensor:
    """The filter with its cutoff and transition width in cycles per picture: [T], radial [T, T].

    A sinc, in the radial case a jinc, under a Kaiser window that suits the transition width
    (Karras et al. 2021, section 3.2 and appendix C); the taps sum to 1. On the CPU, float32; one
    tensor serves all who ask for the same filter, so nobody may write into it.

    >>> lowpass(4, cutoff=2, width=4, sampling_rate=16)
    tensor([0.2230, 0.2770, 0.2770, 0.2230])
    """
    places = (np.arange(taps) - (taps - 1) / 2) / sampling_rate
    window = np.kaiser(taps, kaiser_beta(taps, width / (sampling_rate / 2)))
    if radial:
        # The plane's ideal low-pass is J1(2π·cutoff·r) / (π·r), which tends to the cutoff at 0.
        radius = np.hypot(*np.meshgrid(places, places))
        angle = torch.from_numpy(2 * np.pi * cutoff * radius)
        bessel = torch.special.bessel_j1(angle).numpy()
        middle = np.full_like(radius, cutoff)
        kernel = np.divide(bessel, np.pi * radius, out=middle, where=radius > 0)
        kernel *= np.outer(window, window)
    else:
        kernel = np.sinc(2 * cutoff * places) * window
    return torch.from_numpy((kernel / kernel.sum()).astype(np.float32))


def kaiser_beta(taps: int, width: float) -> float:
    """The window's shape for a transition ``width`` as a share of the Nyquist frequency.

    Kaiser's empirical formulas (Kaiser 1974): first the attenuation in decibels that so many taps
    reach, then the beta that gives it.
    """
    attenuation = 2.285 * (taps - 1) * np.pi * width + 7.95
    if attenuation > 50:
        return float(0.1102 * (attenuation - 8.7))
    if attenuation > 21:
        return float(0.5842 * (attenuation - 21) ** 0.4 + 0.07886 * (attenuation - 21))
    return 0.0
