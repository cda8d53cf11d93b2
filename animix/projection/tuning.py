"""Pivotal tuning: a network is moved a little until the w that was found paints the photo itself.

Roich et al. 2021, "Pivotal Tuning for Latent-based Editing of Real Images".
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from animix.errors import OptionError, RenderError
from animix.latents import z_of_seed
from animix.networks.network import Network
from animix.networks.normal_field import normal_fields
from animix.networks.precision import full_float32
from animix.progress import Progress
from animix.projection.distance import Distance
from animix.projection.noise import const_noise
from animix.projection.search import paint

LEARNING_RATE = 3e-4
REACH = 30.0
"""How far from the pivot the network's own pictures are held, in the length of w's difference."""
FIXED = ("noise_const", "_filter", "freqs", "phases", "transform", "magnitude_ema")
"""Ends of names of what is not moved: buffers."""


@dataclass(frozen=True)
class TuningRecipe:
    """How far a network is moved; OptionError for numbers that can't be."""

    steps: int = 200
    locality: float = 0.1
    """How much it costs that pictures of other w change; 0: they may."""

    def __post_init__(self) -> None:
        if not 1 <= self.steps <= 100_000:
            raise OptionError(f"{self.steps} steps of tuning: expected 1 to 100000")


@dataclass(eq=False)
class Tuning:
    """A network around a pivot: ``steps`` moves it, ``network`` is the best at any time."""

    parent: Network
    pivot: Tensor
    """[1, num_ws, w_dim]: stays as it is."""
    distance: Distance
    """From the one photo."""
    recipe: TuningRecipe
    network: Network = field(init=False)
    losses: list[float] = field(init=False, default_factory=list)

    def __post_init__(self) -> None:
        self.network = self.parent
        self._learnt = {
            name: tensor.clone().requires_grad_(True)
            for name, tensor in self.parent.tensors.items()
            if name.startswith("synthesis.") and not name.endswith(FIXED)
        }
        self._least = float("inf")

    def steps(self) -> Iterator[Progress]:
        """Move the network, and say how far it is after each step.

        A KeyboardInterrupt leaves the best found. RenderError where the loss is no number any more.
        """
        started = time.monotonic()
        adam = torch.optim.Adam(list(self._learnt.values()), lr=LEARNING_RATE)
        noise = const_noise(self.parent, 1)
        for step in range(self.recipe.steps):
            moved = self.parent.with_tensors(self._learnt)
            with full_float32():
                loss = self.distance(paint(moved, self.pivot, noise)).sum()
                total = loss
                if self.recipe.locality:
                    total = total + self.recipe.locality * self._change(moved, noise, step)
                adam.zero_grad(set_to_none=True)
                total.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
            value = float(loss.detach())
            if not np.isfinite(value):
                raise RenderError(f"tuning went astray after {step} steps: the loss is no number")
            self._keep(value)
            self.losses.append(value)
            adam.step()
            seconds = time.monotonic() - started
            yield Progress(step + 1, self.recipe.steps, seconds, told=f"loss {value:.4f}")

    def _keep(self, loss: float) -> None:
        if loss < self._least:
            self._least = loss
            kept = {name: tensor.detach().clone() for name, tensor in self._learnt.items()}
            self.network = self.parent.with_tensors(kept)

    def _change(self, moved: Network, noise: dict[str, Tensor], step: int) -> Tensor:
        """How much the picture of a w near the pivot, towards a seed's, is another than before.

        The locality regularisation (section 3.3): what is learnt is to stay around the pivot.
        """
        parent = self.parent
        if parent.c_dim:
            directions = normal_fields([(0, step)], (1, parent.w_dim), parent.device)
        else:
            w = parent.mapping(z_of_seed(step, parent.z_dim))[:, 0]
            directions = (w - self.pivot.mean(dim=1))[:, None]
        length = directions.norm(dim=2, keepdim=True).clamp(min=1e-8)
        near = self.pivot + directions * (length.clamp(max=REACH) / length)
        with torch.no_grad():
            before = paint(parent, near, noise)
        return (paint(moved, near, noise) - before).square().mean()
