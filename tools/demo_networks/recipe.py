"""A recipe: the numbers that say how a network is trained."""

from __future__ import annotations

import re
from dataclasses import dataclass

from animix.errors import OptionError


@dataclass(frozen=True)
class Recipe:
    """How a network is trained.

    The defaults are those of Karras et al. 2020 but for what measurements of ours speak against,
    see the README.
    """

    total_images: int = 1_300_000
    """Pictures shown before it is done."""
    batch: int = 64
    learning_rate: float = 0.0025
    decay: float = 0.25
    """The learning rate falls linearly to a fiftieth over this last share of the pictures."""
    gamma: float = 24.0
    gamma_end: float = 8.0
    """R1's weight falls from gamma to this over the first 40 % of the pictures."""
    r1_interval: int = 16
    path_weight: float = 2.0
    path_interval: int = 8
    path_batch: int = 32
    mixing: float = 0.6
    """The probability that a picture is painted from two w."""
    average_images: int = 15_000
    """The moving average of the weights forgets half within so many pictures, …"""
    average_ramp: float = 0.05
    """… and at the beginning within this share of those that were shown."""
    augment: bool = True
    mirror: bool = False
    freeze: str = ""
    """What the generator keeps of its start: ``mapping`` and resolutions, ``mapping,4..16``."""
    freeze_d: int = 0
    """So many blocks of the discriminator, from the pictures on, stay as they are (Mo et al. 2020,
    "Freeze the Discriminator")."""
    snapshots: tuple[int, ...] = ()
    """After so many pictures the network is kept; and at the end."""
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("total_images", "batch", "r1_interval", "path_interval", "path_batch"):
            if getattr(self, name) < 1:
                raise OptionError(f"{name} is {getattr(self, name)}, expected 1 or more")
        frozen(self.freeze, "")
        outside = [n for n in self.snapshots if not 0 < n < self.total_images]
        if outside:
            raise OptionError(
                f"a snapshot after {outside[0]:,} pictures, expected between 0 and all "
                f"{self.total_images:,}"
            )

    def gamma_at(self, images: int) -> float:
        """R1's weight after so many pictures."""
        share = min(images / (0.4 * self.total_images), 1)
        return self.gamma + share * (self.gamma_end - self.gamma)

    def learning_rate_at(self, images: int) -> float:
        """The learning rate after so many pictures.

        >>> Recipe(total_images=1000, learning_rate=0.002).learning_rate_at(500)
        0.002
        """
        left = (1 - images / self.total_images) / self.decay if self.decay else 1.0
        return self.learning_rate * min(max(left, 0.02), 1.0)

    def keep_at(self, images: int) -> float:
        """How much of the moving average stays in a step after so many pictures."""
        half_life = min(self.average_images, self.average_ramp * (images + self.batch))
        return float(0.5 ** (self.batch / half_life))


def frozen(text: str, tensor: str) -> bool:
    """Whether a generator's tensor keeps its values, by the ``freeze`` of a recipe.

    >>> frozen("mapping,4..16", "synthesis.b8.conv0.weight")
    True
    >>> frozen("mapping", "synthesis.b4.const")
    False
    """
    found = re.match(r"synthesis\.b(\d+)\.", tensor)
    resolution = int(found[1]) if found else None
    for part in filter(None, text.split(",")):
        span = re.fullmatch(r"(\d+)(?:\.\.(\d+))?", part)
        if part != "mapping" and span is None:
            raise OptionError(
                f"--freeze has {part!r}, expected mapping, a resolution or a span such as 4..16"
            )
        if span is None:
            if tensor.startswith("mapping."):
                return True
        elif resolution is not None and int(span[1]) <= resolution <= int(span[2] or span[1]):
            return True
    return False


FINE_TUNE = Recipe(
    total_images=250_000,
    learning_rate=0.001,
    gamma=8.0,
    average_ramp=0.08,
    snapshots=(6_000, 25_000, 90_000),
)
"""From a base: the discriminator has learnt what a picture is, and moving slower tears less."""
