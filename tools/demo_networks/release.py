"""Release: what was learnt, written as files that animix reads and that a fine-tune starts from."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from animix.checkpoints.load import load_network
from animix.checkpoints.safetensors import write_safetensors
from animix.networks.network import Network
from animix.networks.recognize import network_of
from animix.whole_file import whole_file
from tools.demo_networks.learner import Learner

LICENCE = "CC0-1.0"


@dataclass(frozen=True)
class Origin:
    """Where a network comes from, as its metadata say."""

    domain: str
    data_source: str
    licence: str
    parent: str = "none"
    parent_images: int = 0
    """Pictures that the parent has seen."""

    def metadata(self, images: int) -> dict[str, str]:
        """The metadata of a network that has seen so many pictures since its start."""
        return {
            "domain": self.domain,
            "parent": self.parent,
            "images_seen_finetune": str(images if self.parent != "none" else 0),
            "images_seen_total": str(images + self.parent_images),
            "licence": self.licence,
            "data_source": self.data_source,
        }


def network_from(learner: Learner, origin: Origin) -> Network:
    """The moving average as a network of animix."""
    tensors = {name: t.detach().cpu().clone() for name, t in learner.average.items()}
    metadata = {
        **origin.metadata(learner.images),
        "mapping_layers": str(learner.size.num_mapping_layers),
        "channel_base": str(learner.size.channel_base),
        "channel_max": str(learner.size.channel_max),
        "conv_clamp": "none",
    }
    return network_of(tensors, metadata)


def write_network(network: Network, path: Path) -> None:
    """Write a network through animix, its numbers rounded to float16 and stored as such."""
    write_safetensors(network, path, half=True)


def write_discriminator(learner: Learner, origin: Origin, path: Path) -> None:
    """Write the discriminator, which a fine-tune starts from, in float16."""
    tensors = {name: t.detach().cpu().half() for name, t in learner.discriminator.items()}
    with whole_file(path) as part:
        save_file(tensors, part, origin.metadata(learner.images))


def read_discriminator(path: Path) -> dict[str, Tensor]:
    """A discriminator's tensors, float32, on the CPU."""
    return {name: tensor.to(torch.float32) for name, tensor in load_file(path).items()}


def descended(origin: Origin, parent: Path) -> tuple[Network, Origin]:
    """The parent network, and an origin that names it."""
    network = load_network(parent)
    seen = network.metadata.get("images_seen_total", "0")
    images = int(seen) if seen.isdigit() else 0
    return network, replace(origin, parent=parent.stem, parent_images=images)
