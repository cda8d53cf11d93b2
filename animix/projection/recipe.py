"""A recipe: how long a projection looks, in which order, and what it weighs against what."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from typing import Any

from animix.errors import OptionError
from animix.projection.distance import Weights

MAX_STEPS = 100_000
NOISES = ("fixed", "regularised")

STRONGEST_PRIOR, WEAKEST_PRIOR = 0.5, 5e-4
"""What one unit of strangeness costs at faithful 0 and just below 1."""


@dataclass(frozen=True)
class Recipe:
    """How a w is looked for; OptionError for numbers that can't be."""

    steps: int = 500
    """In all."""
    share_in_w: float = 0.4
    """Of them so many look for one w for all layers; then each layer goes its own way."""
    faithful: float = 0.5
    """0: among the pictures that the network knows best; 1: as near to the photo as it can."""
    noise: str = "fixed"
    """``regularised``: noise images are found beside w (and then let go: a timeline has the
    network's own)."""
    learning_rate: float = 0.1
    weights: Weights = field(default_factory=Weights)
    seed: int = 0

    def __post_init__(self) -> None:
        if not 1 <= self.steps <= MAX_STEPS:
            raise OptionError(f"{self.steps} steps: expected 1 to {MAX_STEPS}")
        for name, value in (("faithful", self.faithful), ("share_in_w", self.share_in_w)):
            if not 0 <= value <= 1:  # NaN is not either
                raise OptionError(f"{name} is {value}, expected 0 to 1")
        if not 0 < self.learning_rate < math.inf:
            raise OptionError(f"the learning rate is {self.learning_rate}, expected a number > 0")
        if self.noise not in NOISES:
            raise OptionError(f"noise is {self.noise!r}, expected one of {', '.join(NOISES)}")

    @property
    def steps_in_w(self) -> int:
        """How many steps look for one w for all layers."""
        return round(self.steps * self.share_in_w)

    @property
    def prior_weight(self) -> float:
        """What one unit of strangeness costs: falling by equal factors, and nothing at 1.

        >>> [float(f"{Recipe(faithful=f).prior_weight:.2g}") for f in (0, 0.5, 1)]
        [0.5, 0.016, 0.0]
        """
        if self.faithful == 1:
            return 0.0
        return STRONGEST_PRIOR * math.pow(WEAKEST_PRIOR / STRONGEST_PRIOR, self.faithful)

    def learning_rate_at(self, step: int) -> float:
        """Karras et al. 2020, appendix D: up in the first 5 % of steps, down in the last 25 %."""
        done = step / self.steps
        falling = min(1.0, (1 - done) / 0.25)
        return self.learning_rate * min(1.0, done / 0.05 + 1e-2) * _smooth(falling)

    def wandering_at(self, step: int) -> float:
        """How far w is pushed about at a step, in spreads of W; none in the last quarter in W.

        Karras et al. 2020, appendix D: it keeps the search from the nearest poor valley.
        """
        if step >= self.steps_in_w:
            return 0.0
        return 0.05 * max(0.0, 1 - step / self.steps_in_w / 0.75) ** 2

    def as_dict(self) -> dict[str, Any]:
        """What a projected file says of it."""
        return asdict(self)


def _smooth(share: float) -> float:
    return 0.5 - 0.5 * math.cos(math.pi * share)
