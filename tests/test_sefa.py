"""SeFa: a network's own directions in W, by its weights alone."""

import numpy as np
import pytest
import torch

import animix
from animix.networks.recognize import network_of
from tests.tiny import tiny_stylegan3, tiny_tensors

NETWORKS = {
    "skip": lambda: tiny_tensors(),
    "resnet": lambda: tiny_tensors(architecture="resnet"),
    "stylegan3": lambda: tiny_stylegan3(),
}


def affines(tensors, but=()):
    names = [name for name in tensors if name.endswith("affine.weight") and name not in but]
    return np.concatenate([tensors[name].double().numpy() for name in names])


@pytest.mark.parametrize("name", NETWORKS)
def test_directions_are_of_length_1_and_at_right_angles_and_of_one_sign(name):
    found = animix.sefa(network_of(*NETWORKS[name]())).numpy()
    assert found.shape == (16, 16)
    assert np.abs(found @ found.T - np.eye(16)).max() < 1e-5
    assert (found[np.arange(16), np.abs(found).argmax(axis=1)] > 0).all()


@pytest.mark.parametrize(
    ("name", "but"),
    [
        ("skip", ("synthesis.b4.torgb.affine.weight", "synthesis.b8.torgb.affine.weight")),
        ("resnet", ()),
        ("stylegan3", ()),
    ],
)
def test_they_are_what_a_singular_value_decomposition_finds(name, but):
    tensors, metadata = NETWORKS[name]()
    rows = affines(tensors, but)
    _, _, expected = np.linalg.svd(rows / np.linalg.norm(rows, axis=1, keepdims=True))
    found = animix.sefa(network_of(tensors, metadata)).numpy()
    assert np.abs((found * expected).sum(axis=1)) == pytest.approx(1, abs=1e-4)


def test_a_layer_that_takes_no_notice_of_w_takes_no_part():
    tensors, metadata = tiny_tensors()
    name = "synthesis.b8.conv0.affine.weight"
    still = {**tensors, name: torch.zeros_like(tensors[name])}
    assert bool(torch.isfinite(animix.sefa(network_of(still, metadata))).all())
