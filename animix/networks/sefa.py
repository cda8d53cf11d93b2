"""SeFa: the directions in W that a network's layers react to most, found in its weights alone."""

from __future__ import annotations

import torch
from torch import Tensor

from animix.networks.network import Network


def sefa(network: Network) -> Tensor:
    """The directions of a network in W, those that it reacts to most first: [w_dim, w_dim].

    Rows of length 1, at right angles to each other: the eigenvectors of AᵀA in the order of their
    eigenvalues, where A has the affine layers of all w indices below each other, each row brought
    to length 1 (Shen and Zhou 2021, equation 8). Of the two signs of each it is the one with which
    its largest number is positive.
    """
    names = [f"synthesis.{layer.name}" for layer in network.layers]
    # StyleGAN2's last w index feeds this alone; the other torgb share theirs with a convolution.
    names.append(f"synthesis.b{network.img_resolution}.torgb")
    weights = [
        # On the CPU, for not every device has float64, or the same eigenvectors.
        network.tensors[f"{name}.affine.weight"].detach().cpu().double()
        for name in names
        if f"{name}.affine.weight" in network.tensors
    ]
    rows = torch.cat(weights)
    lengths = rows.norm(dim=1, keepdim=True)
    rows = rows / torch.where(lengths > 0, lengths, 1.0)
    _, found = torch.linalg.eigh(rows.T @ rows)
    directions = found.T.flip(0)
    largest = directions.gather(1, directions.abs().argmax(dim=1, keepdim=True))
    signed: Tensor = (directions * largest.sign()).float()
    return signed
