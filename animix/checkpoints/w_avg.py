"""The average w, the centre of truncation, for checkpoints that do not store it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from animix.errors import NetworkError
from animix.networks.mapping import map_latents
from animix.networks.network import Network
from animix.networks.precision import full_float32
from animix.networks.recognize import network_of
from animix.networks.settings import Settings
from animix.networks.shapes import mapping_depth

W_AVG = "mapping.w_avg"

SAMPLES = 10_000
BATCH = 1000
SEED = 0

MAX_WIDTH = 1024
"""Numbers that a mapping layer takes or gives, twice as many as published ones."""

MAX_MAPPING = 4 << 20
"""Numbers in all mapping layers, twice as many as eight layers of 512 have. On 2 cores the estimate
takes those 0.6 seconds; all that is let through below 10, numbers too small for float32 included,
with which processors are slow."""


def network_with_w_avg(tensors: Mapping[str, Tensor], settings: Settings) -> Network:
    """The network of the tensors; a w_avg that is missing is estimated, and the metadata says so.

    The estimate is the mean of the w of 10 000 z, always the same: those of
    ``numpy.random.RandomState(0)``. It lies within about a hundredth of w's spread of the true one.
    """
    last = tensors.get(f"mapping.fc{mapping_depth(tensors) - 1}.weight")
    # The mean over a conditional network's labels depends on how frequent each is: unknown here.
    if W_AVG in tensors or last is None or "mapping.embed.weight" in tensors:
        return network_of(tensors, settings)
    # The mapping is used only after the network's shapes have been checked.
    unknown = torch.zeros(last.shape[:1])
    network = network_of({**tensors, W_AVG: unknown}, settings)
    network = network.with_tensors({W_AVG: _estimate(network)})
    said = {"w_avg": f"estimated from {SAMPLES} latents, seed {SEED}"}
    return replace(network, metadata={**network.metadata, **said})


def _estimate(network: Network) -> Tensor:
    layers = [t for name, t in network.tensors.items() if name.startswith("mapping.fc")]
    widest = max(max(layer.shape) for layer in layers)
    if widest > MAX_WIDTH or sum(layer.numel() for layer in layers) > MAX_MAPPING:
        raise NetworkError("the average w is missing, and the mapping is too large to estimate it")
    rng = np.random.RandomState(SEED)
    total = np.zeros(network.w_dim)
    for _ in range(SAMPLES // BATCH):
        z = torch.from_numpy(rng.randn(BATCH, network.z_dim).astype(np.float32))
        with full_float32():
            w = map_latents(network.tensors, z, None)
        total += w.double().numpy().sum(axis=0)
    return torch.from_numpy((total / SAMPLES).astype(np.float32))
