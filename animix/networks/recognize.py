"""Recognises a network by its tensors: which architecture they are, and what it is like."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from torch import Tensor

from animix.errors import NetworkError
from animix.networks import stylegan2_layout, stylegan3_layout
from animix.networks.facts import NetworkFacts
from animix.networks.network import Network
from animix.networks.settings import Settings

Tensors = Mapping[str, Tensor]


@dataclass(frozen=True)
class Architecture:
    """A kind of network: how its tensors' names tell, and how its facts are read."""

    name: str
    detect: Callable[[Tensors], bool]
    read_facts: Callable[[Tensors, Settings], NetworkFacts]


ARCHITECTURES = (
    Architecture("StyleGAN2", stylegan2_layout.is_stylegan2, stylegan2_layout.read_facts),
    Architecture("StyleGAN3", stylegan3_layout.is_stylegan3, stylegan3_layout.read_facts),
)


def network_of(tensors: Tensors, settings: Settings) -> Network:
    """The network that float32 ``tensors`` with the published names are.

    ``settings`` are the texts of its metadata: what shapes do not tell (``conv_clamp``,
    ``margin_size``) is read from there. NetworkError says what no architecture or not the one
    recognised allows.
    """
    for architecture in ARCHITECTURES:
        if architecture.detect(tensors):
            return Network(architecture.read_facts(tensors, settings), tensors, dict(settings))
    names = ", ".join(architecture.name for architecture in ARCHITECTURES)
    raise NetworkError(f"it holds no generator of an architecture that animix knows ({names})")
