"""The state of training as a file: all that a learner needs to go on as if it had never stopped."""

from __future__ import annotations

import zipfile
from dataclasses import asdict
from pathlib import Path

import torch
from torch import Tensor

from animix.errors import OptionError
from animix.whole_file import whole_file
from tools.demo_networks.learner import Learner
from tools.demo_networks.ranks import ALONE, Ranks
from tools.demo_networks.recipe import Recipe
from tools.demo_networks.sizes import Size

VERSION = 1


def save_state(learner: Learner, path: Path) -> None:
    """Write all that a learner is, whole or not at all: five numbers of 4 bytes for each it learns.

    Two generators, a discriminator and the second moments of Adam; the first ones are nothing.
    """
    state = {
        "version": VERSION,
        "size": asdict(learner.size),
        "images": learner.images,
        "steps": learner.steps,
        "mean_path": learner.mean_path,
        "probability": learner.probability,
        "generator": {name: t.detach() for name, t in learner.generator.items()},
        "average": learner.average,
        "discriminator": {name: t.detach() for name, t in learner.discriminator.items()},
        "adam_g": _moments(learner.adam_g, learner.learnt_g),
        "adam_d": _moments(learner.adam_d, learner.learnt_d),
    }
    with whole_file(path) as part:
        torch.save(_on_cpu(state), part)


def load_state(
    path: Path, size: Size, recipe: Recipe, device: torch.device, ranks: Ranks = ALONE
) -> Learner:
    """The learner that was saved, to go on by a recipe.

    OptionError for a file that is none of ours, or of a network of another size.
    """
    try:
        state = torch.load(path, map_location=device, weights_only=True)
        if state["version"] != VERSION:
            raise OptionError(f"{path} is of another version of this tool")
        if state["size"] != asdict(size):
            raise OptionError(f"{path} is of a network of {state['size']}, expected {asdict(size)}")
        parts = ("generator", "average", "discriminator", "images", "steps")
        progress = {name: state[name] for name in (*parts, "mean_path", "probability")}
        learner = Learner(size, recipe, **progress, ranks=ranks)
        _restore(learner.adam_g, learner.learnt_g, state["adam_g"])
        _restore(learner.adam_d, learner.learnt_d, state["adam_d"])
    except OptionError:
        raise
    except (OSError, KeyError, TypeError, RuntimeError, EOFError, zipfile.BadZipFile) as exc:
        raise OptionError(f"{path}: it can't be read as a state of training ({exc})") from exc
    return learner


def _moments(adam: torch.optim.Adam, learnt: dict[str, Tensor]) -> dict[str, dict[str, Tensor]]:
    """What Adam remembers of each tensor but for its first moment: β₁ = 0 overwrites that."""
    return {
        name: {"step": adam.state[tensor]["step"], "exp_avg_sq": adam.state[tensor]["exp_avg_sq"]}
        for name, tensor in learnt.items()
        if tensor in adam.state
    }


def _restore(
    adam: torch.optim.Adam, learnt: dict[str, Tensor], moments: dict[str, dict[str, Tensor]]
) -> None:
    for name, tensor in learnt.items():
        if name in moments:
            adam.state[tensor] = {**moments[name], "exp_avg": torch.zeros_like(tensor)}


def _on_cpu(value: object) -> object:
    if isinstance(value, Tensor):
        return value.detach().cpu()
    if isinstance(value, dict):
        return {key: _on_cpu(held) for key, held in value.items()}
    return value
