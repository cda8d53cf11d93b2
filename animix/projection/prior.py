"""The prior on W: how usual a w is among those of a network, for unusual ones blend badly."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from animix.latents import one_hot
from animix.networks.network import Network

SAMPLES = 10_000
"""As many as Karras et al. 2020 (appendix D) take."""
SEED = 0
SLOPE = 0.2
"""Of the leaky ReLU at the mapping's end."""
SMALLEST_VARIANCE = 1e-3
"""Of the largest: directions in which w hardly vary would else count without end."""


@dataclass(frozen=True, eq=False)
class Prior:
    """The spread of a network's own w."""

    mean: Tensor
    """[w_dim]: the mean w, where a search starts."""
    spread: float
    """√E‖w − mean‖²."""
    centre: Tensor
    """[w_dim]: the mean of w with the leaky ReLU taken back."""
    whitening: Tensor
    """[w_dim, w_dim]: from there to numbers of variance 1 that don't depend on each other."""

    def usual(self, ws: Tensor) -> Tensor:
        """The ws [..., w_dim] as numbers that are near to standard normal for w of the mapping.

        The leaky ReLU is taken back, then directions are scaled by their spread: Zhu et al. 2020,
        "Improved StyleGAN Embedding: Where are the Good Latents?" (P-N space).
        """
        before = torch.where(ws < 0, ws / SLOPE, ws)
        return (before - self.centre) @ self.whitening

    def strangeness(self, ws: Tensor) -> Tensor:
        """How unusual ws [N, num_ws, w_dim] are: [N], about 1 for those of seeds, 0 for the mean.

        Layers that differ from each other count besides, for the mapping makes them alike (the
        delta regularisation of Tov et al. 2021, "Designing an Encoder for StyleGAN Image
        Manipulation").
        """
        usual = self.usual(ws)
        apart = usual - usual.mean(dim=1, keepdim=True)
        return usual.square().mean(dim=(1, 2)) + apart.square().mean(dim=(1, 2))


def prior_of(network: Network) -> Prior:
    """The spread of a network's w, from the w of 10 000 z, always the same.

    Of a conditional network every class has its share.
    """
    rng = np.random.RandomState(SEED)
    parts = []
    for start in range(0, SAMPLES, 1000):
        z = rng.randn(1000, network.z_dim)
        label = None
        if network.c_dim:
            label = np.concatenate(
                [one_hot((start + n) % network.c_dim, network.c_dim) for n in range(1000)]
            )
        parts.append(network.mapping(z, label)[:, 0].cpu().double())
    w = torch.cat(parts)
    mean = w.mean(dim=0)
    before = torch.where(w < 0, w / SLOPE, w)
    centre = before.mean(dim=0)
    variances, directions = torch.linalg.eigh((before - centre).T @ (before - centre) / len(w))
    scales = variances.clamp(min=SMALLEST_VARIANCE * float(variances[-1])).rsqrt()
    found = [mean, centre, directions * scales]
    mean, centre, whitening = (each.to(network.device, torch.float32) for each in found)
    spread = float((w - w.mean(dim=0)).square().sum(dim=1).mean().sqrt())
    return Prior(mean, spread, centre, whitening)
