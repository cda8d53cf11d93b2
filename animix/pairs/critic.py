"""The critic: what scores pictures, so that those which look false can be left out."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from animix.checkpoints.discriminators import load_discriminator
from animix.errors import OptionError
from animix.film import Film
from animix.networks.discriminator import Discriminator
from animix.pairs.painter import Scorer


@dataclass(frozen=True)
class Critic:
    """Scores the base's pictures: in that domain a discriminator was trained, in no blend's."""

    scorer: Scorer
    name: str
    """Which it is: another one scores otherwise."""


def discriminator_of(film: Film, file: Path | None = None) -> Critic:
    """The discriminator in a file; None: the one that the base's checkpoint carries.

    Its scores are logits, above 0 for what looks real. OptionError where there is none, or one for
    pictures of another size; NetworkError for a file that can't be read.
    """
    chosen = film.home_files[0] if file is None else file
    found = load_discriminator(chosen)
    if found is None:
        raise OptionError(
            f"{chosen} carries no discriminator, and none lies beside it; give --discriminator"
        )
    side = film.engine.facts.img_resolution
    if found.img_resolution != side:
        raise OptionError(
            f"{chosen}: its discriminator takes {found.img_resolution} px, these networks make "
            f"{side}"
        )
    return Critic(found.to(film.engine.device).scores, _digest(found))


def _digest(discriminator: Discriminator) -> str:
    """The SHA-256 of its names and numbers, in whatever file they stand."""
    digest = hashlib.sha256()
    for name, tensor in sorted(discriminator.tensors.items()):
        digest.update(name.encode() + tensor.numpy().tobytes())
    return digest.hexdigest()
