"""The vectors in W that a timeline asks for: projected files, and the directions of its edits."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from animix.errors import LatentError, Mistake
from animix.latents import Direction, load_direction, load_latent
from animix.networks.facts import NetworkFacts
from animix.networks.network import Network
from animix.networks.sefa import sefa
from animix.timeline.edits import told
from animix.timeline.seams import edits
from animix.timeline.timeline import Timeline


def open_latents(
    timeline: Timeline, facts: NetworkFacts, mistakes: list[Mistake]
) -> dict[str, NDArray[np.float32]]:
    """The w of each projected file of a timeline; those that can't be used become mistakes."""
    projected = {}
    for key in (key for band in timeline.latents for key in band.path.keys):
        if isinstance(key.source, str):
            try:
                projected[key.source] = load_latent(timeline.path.parent / key.source, facts)
            except LatentError as error:
                mistakes.append(Mistake(key.mark, str(error)))
    return projected


def open_directions(
    timeline: Timeline, home: Network, mistakes: list[Mistake]
) -> dict[int | str, Direction]:
    """Each direction of a timeline's edits; those that can't be used become mistakes."""
    directions: dict[int | str, Direction] = {}
    own = None
    for edit in edits(timeline):
        name = told(edit.direction)
        if isinstance(edit.direction, str):
            file = timeline.path.parent / edit.direction
            try:
                directions[edit.direction] = load_direction(file, name, home.facts)
            except LatentError as error:
                mistakes.append(Mistake(edit.mark, str(error)))
        elif edit.direction <= home.w_dim:
            own = sefa(home).numpy() if own is None else own
            everywhere = np.broadcast_to(own[edit.direction - 1], (home.num_ws, home.w_dim))
            directions[edit.direction] = Direction(name, everywhere.copy())
    return directions
