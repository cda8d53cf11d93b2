"""The average w that a checkpoint lacks is estimated, near the true one and always the same."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from animix.checkpoints import w_avg
from animix.checkpoints.w_avg import network_with_w_avg
from animix.errors import NetworkError
from tests.tiny import tiny_tensors


def lacking(**tiny):
    tensors, _ = tiny_tensors(**({"img_resolution": 4, "channels": 2} | tiny))
    del tensors["mapping.w_avg"]
    return tensors


def test_the_estimate_lies_near_the_mean_of_other_latents():
    network = network_with_w_avg(lacking(), {})
    w = network.mapping(np.random.RandomState(7).randn(100_000, 16))[:, 0]
    error = (network.tensors["mapping.w_avg"] - w.mean(dim=0)).abs() / w.std(dim=0)
    assert error.max() < 0.04


@pytest.mark.parametrize("batch", [100, 2500])
def test_the_estimate_does_not_depend_on_the_batches(monkeypatch, batch):
    tensors = lacking()
    expected = network_with_w_avg(tensors, {}).tensors["mapping.w_avg"]
    monkeypatch.setattr(w_avg, "BATCH", batch)
    found = network_with_w_avg(tensors, {}).tensors["mapping.w_avg"]
    assert torch.allclose(found, expected, rtol=1e-6, atol=0)


def test_an_average_that_is_there_stays():
    tensors, _ = tiny_tensors(img_resolution=4, channels=2)
    network = network_with_w_avg(tensors, {"a": "b"})
    assert torch.equal(network.tensors["mapping.w_avg"], tensors["mapping.w_avg"])
    assert network.metadata == {"a": "b"}


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        (lacking(c_dim=2), "mapping.w_avg is missing"),
        (lacking(z_dim=5000), "too large to estimate"),
        (lacking(w_dim=1449, z_dim=1449), "too large to estimate"),
        (lacking(num_mapping_layers=65), "its mapping has 65 layers, expected at most 64"),
        ({}, "no generator"),
        ({"mapping.fc0.weight": torch.tensor(1.0)}, "no generator"),
    ],
)
def test_what_has_no_estimate_is_refused(tensors, message):
    with pytest.raises(NetworkError, match=message):
        network_with_w_avg(tensors, {})
