"""State dicts with the published names, saved by torch; other files of torch.save are named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from animix.checkpoints.load import format_of, load_network
from animix.errors import NetworkError
from tests.rosinality_files import write_torch
from tests.tiny import tiny_tensors

GOLDEN = Path(__file__).parent / "golden"

TENSORS, _ = tiny_tensors(img_resolution=8, channels=2, w_dim=4)
AVERAGE = TENSORS["mapping.w_avg"]
LACKING = {name: tensor for name, tensor in TENSORS.items() if name != "mapping.w_avg"}
SAID = {"source_format": "PyTorch state dict"}

CONTENTS = {
    "flat": (TENSORS, SAID),
    "under G_ema": ({"G_ema": TENSORS}, SAID),
    "the average before the last": ({"G": LACKING, "G_ema": TENSORS}, SAID),
    "with other things": ({**TENSORS, "b4.out.weight": torch.ones(2), "step": 3}, SAID),
    "wrapped": ({f"module.{name}": tensor for name, tensor in TENSORS.items()}, SAID),
    "an average beside it": ({"state_dict": LACKING, "latent_avg": AVERAGE}, SAID),
    "an average in it": ({**LACKING, "latent_avg": AVERAGE}, SAID),
    "not the average": (
        {"G": TENSORS},
        {**SAID, "network": "G, the file has no average of it (G_ema)"},
    ),
}


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize("name", CONTENTS)
def test_a_file_gives_the_tensors_that_were_written(tmp_path, name, zipped):
    content, said = CONTENTS[name]
    path = write_torch(tmp_path / "a.pt", content, zipped=zipped)
    network = load_network(path)
    assert set(network.tensors) == set(TENSORS)
    assert all(torch.equal(network.tensors[n], tensor) for n, tensor in TENSORS.items())
    assert network.metadata == said
    assert format_of(path).name == "PyTorch state dict"


@pytest.mark.parametrize("golden", ["sg2-a", "sg2-cond"])
def test_the_published_pictures_come_from_a_state_dict_too(tmp_path, golden):
    published = load_network(GOLDEN / f"{golden}.pkl")
    network = load_network(write_torch(tmp_path / "a.pt", dict(published.tensors)))
    ws = np.load(GOLDEN / f"{golden}.npz")["w"]
    assert torch.equal(network.synthesis(ws), published.synthesis(ws))


def test_a_missing_average_is_estimated_and_said(tmp_path):
    network = load_network(write_torch(tmp_path / "a.pt", LACKING))
    assert network.metadata == {**SAID, "w_avg": "estimated from 10000 latents, seed 0"}
    w = network.mapping(np.random.RandomState(0).randn(10_000, 4))[:, 0]
    expected = w.double().mean(dim=0).float()
    assert torch.allclose(network.tensors["mapping.w_avg"], expected, rtol=1e-5)


REFUSED = {
    "a conditional network without average": (
        {
            name: tensor
            for name, tensor in tiny_tensors(img_resolution=8, channels=2, c_dim=2)[0].items()
            if name != "mapping.w_avg"
        },
        "mapping.w_avg is missing",
    ),
    "one tensor": (torch.ones(18, 4), "it holds one tensor .* goes into latents:"),
    "latents": ({"w": torch.ones(18, 4)}, "it holds latents .* goes into latents:"),
    "a list": ([1, 2], "no state dict, but a list"),
    "no names": ({1: 2}, "a dictionary without names"),
    "nothing": ({}, "a dictionary without names"),
    "something else": (
        {"encoder": {}, "opts": {}, **{f"k{i}": 0 for i in range(9)}},
        "no generator that animix knows, but encoder, opts, k0, k1, k2, k3 …",
    ),
    "a generator that is no dictionary": ({"G_ema": [1]}, "but G_ema"),
    "too many tensors": (
        {**TENSORS, **{f"mapping.x{i}": 0 for i in range(5000)}},
        "more than 4000 tensors",
    ),
    "an unknown tensor": (
        {**TENSORS, "mapping.x": torch.ones(2)},
        "mapping.x is not one of a StyleGAN2 generator",
    ),
    "no tensor": ({**TENSORS, "mapping.w_avg": 3}, "the tensor mapping.w_avg: it is damaged"),
    "a whole module": (
        torch.nn.Linear(2, 2),
        "a whole module saved by torch.save: load it with its own code.* nothing in it was run",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_read_is_named(tmp_path, name):
    content, message = REFUSED[name]
    path = write_torch(tmp_path / "a.pt", content)
    with pytest.raises(NetworkError, match=message):
        load_network(path)
