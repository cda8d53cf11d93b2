"""A search: the ws of a batch of photos, found step by step, first in W, then in W+."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from animix.errors import RenderError
from animix.networks.network import SYNTHESES, Network
from animix.networks.normal_field import normal_fields
from animix.networks.precision import full_float32
from animix.progress import Progress
from animix.projection.distance import Distance
from animix.projection.noise import const_noise, correlation, normalise
from animix.projection.prior import Prior
from animix.projection.recipe import Recipe

NOISE_WEIGHT = 1e5
"""Of the noise's correlation (Karras et al. 2020, appendix D)."""


@dataclass(frozen=True, eq=False)
class Start:
    """Where a search goes on that was interrupted."""

    ws: Tensor
    """[N, num_ws, w_dim]"""
    step: int
    losses: NDArray[np.float32]
    """[N, step]"""


def paint(network: Network, ws: Tensor, noise: Mapping[str, Tensor]) -> Tensor:
    """The pictures [N, 3, H, W] of ws, with gradients by whatever asks for them."""
    return SYNTHESES[network.facts.kind](network.facts, network.tensors, ws, noise)


@dataclass(eq=False)
class Search:
    """The ws of photos: ``steps`` finds them, and ``ws`` are the best at any time."""

    network: Network
    distance: Distance
    """From as many photos as are looked for."""
    prior: Prior
    recipe: Recipe
    count: int
    start: Start | None = None
    ws: Tensor = field(init=False)
    """[N, num_ws, w_dim]: for each photo what came nearest so far."""
    step: int = field(init=False, default=0)
    """So many are done."""

    def __post_init__(self) -> None:
        start = self.start
        mean = self.prior.mean.expand(self.count, self.network.num_ws, -1).clone()
        self.ws = mean if start is None else start.ws.to(self.network.device)
        self.step = 0 if start is None else start.step
        before = np.zeros((self.count, 0)) if start is None else start.losses
        self._losses = [torch.from_numpy(column).float() for column in np.asarray(before).T]
        self.noise = const_noise(self.network, self.count)
        self._least = torch.full((self.count,), torch.inf, device=self.network.device)

    @property
    def losses(self) -> NDArray[np.float32]:
        """The loss of each photo after each step: [N, steps]."""
        if not self._losses:
            return np.zeros((self.count, 0), np.float32)
        return torch.stack([each.cpu() for each in self._losses], dim=1).numpy()

    def steps(self) -> Iterator[Progress]:
        """Look, and say how far it is after each step; a KeyboardInterrupt leaves the best found.

        RenderError where the loss is no number any more.
        """
        recipe, started, before = self.recipe, time.monotonic(), self.step
        for first, last, rows in (
            (0, recipe.steps_in_w, 1),
            (recipe.steps_in_w, recipe.steps, self.network.num_ws),
        ):
            if self.step >= last:
                continue
            # What came near in W is where each layer goes its own way from.
            found = self.ws[:, :rows].clone().requires_grad_(True)
            learnt = [found]
            if recipe.noise == "regularised":
                learnt += [image.requires_grad_(True) for image in self.noise.values()]
            adam = torch.optim.Adam(learnt, lr=recipe.learning_rate)
            for step in range(max(first, self.step), last):
                loss = self._move(adam, found, step)
                yield Progress(
                    step + 1,
                    recipe.steps,
                    time.monotonic() - started,
                    done_before=before,
                    told=f"loss {loss:.4f}",
                )

    def _move(self, adam: torch.optim.Adam, found: Tensor, step: int) -> float:
        """Take one step; the mean loss."""
        recipe, num_ws = self.recipe, self.network.num_ws
        for group in adam.param_groups:
            group["lr"] = recipe.learning_rate_at(step)
        wandering = recipe.wandering_at(step) * self.prior.spread
        pushed = found
        if wandering:
            # One push for all photos, so that a photo's way does not depend on its company.
            key = [(recipe.seed, step)]
            push = normal_fields(key, (1, found.shape[2]), self.network.device)
            pushed = found + wandering * push
        ws = pushed.expand(-1, num_ws, -1)
        with full_float32():
            loss = self.distance(paint(self.network, ws, self.noise))
            if recipe.prior_weight:
                loss = loss + recipe.prior_weight * self.prior.strangeness(ws)
            total = loss.sum()
            if recipe.noise == "regularised" and self.noise:
                total = total + NOISE_WEIGHT * correlation(self.noise).sum()
            adam.zero_grad(set_to_none=True)
            total.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        unpushed = found.detach().expand(-1, num_ws, -1)
        self._keep(unpushed, loss.detach(), exact=not wandering)
        adam.step()
        if recipe.noise == "regularised":
            normalise({name: image.data for name, image in self.noise.items()})
        mean = float(loss.detach().mean())
        if not np.isfinite(mean):
            raise RenderError(
                f"the loss is no number after {step} steps: a smaller learning rate may help"
            )
        self._losses.append(loss.detach())
        self.step = step + 1
        return mean

    def _keep(self, ws: Tensor, loss: Tensor, *, exact: bool) -> None:
        """Remember what is nearer than all before; while w is pushed about, what came last."""
        nearer = (loss < self._least) if exact else torch.ones_like(loss, dtype=torch.bool)
        self.ws = torch.where(nearer[:, None, None], ws, self.ws)
        if exact:
            self._least = torch.where(nearer, loss, self._least)
