from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from animix.checkpoints.load import load_network
from animix.errors import BlendError
from animix.networks.network import Network
from animix.networks.recognize import network_of as recognized
from animix.networks.related import correlation, is_related
from animix.networks.stylegan2_layout import read_facts
from tests.tiny import relative_of, tiny_stylegan3, tiny_tensors

DEMO = Path(__file__).parents[1] / "animix" / "demo"


def network_of(tensors) -> Network:
    return Network(read_facts(tensors), tensors)


def tiny_network(**tiny) -> Network:
    return network_of(tiny_tensors(**tiny)[0])


def test_fine_tunes_are_related_to_their_parent_and_each_other():
    names = ("base", "relief-4", "third-4")
    base, relief, third = (load_network(DEMO / f"{name}.safetensors") for name in names)
    for one, other in ((base, relief), (base, third), (relief, third)):
        assert correlation(one, other).min() > 0.9
        assert is_related(one, other)


def test_networks_from_different_starts_are_not_related():
    base, other = tiny_network(seed=0), tiny_network(seed=1)
    values = correlation(base, other)
    assert values.shape == (len(base.layers),)
    assert np.abs(values).max() < 0.3
    assert not is_related(base, other)


def test_stylegan3_tells_its_relatives_too():
    tensors, metadata = tiny_stylegan3()
    base, stranger = recognized(tensors, metadata), recognized(*tiny_stylegan3(seed=1))
    relative = recognized(relative_of(tensors), metadata)
    assert correlation(base, relative).shape == (len(base.layers),)
    assert correlation(base, relative).min() > 0.9 and is_related(base, relative)
    assert not is_related(base, stranger)


def test_correlation_is_numpys():
    base = tiny_network()
    other = network_of(relative_of(dict(base.tensors), 0.8))
    for layer, value in zip(base.layers, correlation(base, other), strict=True):
        name = (
            "synthesis.b4.const" if layer.name == "b4.const" else f"synthesis.{layer.name}.weight"
        )
        a, b = (network.tensors[name].numpy().ravel() for network in (base, other))
        assert value == pytest.approx(np.corrcoef(a, b)[0, 1], abs=1e-6)


def test_a_layer_without_variation_is_like_nothing():
    base = tiny_network()
    name = "synthesis.b4.const"
    flat = base.with_tensors({name: 0 * base.tensors[name]})
    assert correlation(flat, base)[0] == 0
    assert is_related(flat, base)


def test_other_shapes_cannot_be_compared():
    with pytest.raises(BlendError, match="can't be mixed"):
        correlation(tiny_network(), tiny_network(channels=4))
