"""Sheets hold one network on the device, and say so when it is too much for it."""

import weakref

import pytest
import torch

from animix.errors import NetworkError, RenderError
from animix.networks.network import Network
from animix.networks.recognize import network_of
from animix.sheets import NetworkGrid, SeedSheet, painting_seeds, seed_painter, tile_of
from tests.tiny import relative_of, tiny_tensors, write_tensors, write_tiny

CPU = torch.device("cpu")


def family(count):
    tensors, metadata = tiny_tensors()
    return [
        (f"network {seed}", network_of(relative_of(tensors, seed=seed), metadata))
        for seed in range(count)
    ]


def full(*_, **__):
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 8.00 GiB")


def test_a_grid_holds_one_network_on_the_device_at_a_time(monkeypatch):
    living, before, to = weakref.WeakSet(), [], Network.to

    def moved(network, device):
        before.append(len(living))
        network = to(network, device)
        living.add(network)
        return network

    monkeypatch.setattr(Network, "to", moved)
    steps = list(NetworkGrid(family(3), [1, 2], CPU).draw())
    assert [step.done for step in steps] == [1, 2, 3, 4, 5, 6]
    assert before == [0, 0, 0, 0]  # the first one's mapping, then each of the three


@pytest.mark.parametrize("place", ["to", "mapping", "synthesis"])
def test_a_grid_that_the_device_has_no_memory_for_says_so(monkeypatch, place):
    networks = family(2)
    monkeypatch.setattr(Network, place, full)
    with pytest.raises(RenderError, match="cpu: out of memory"):
        list(NetworkGrid(networks, [1], CPU).draw())


@pytest.mark.parametrize("place", ["to", "mapping", "synthesis"])
def test_a_sheet_that_the_device_has_no_memory_for_says_so(tmp_path, monkeypatch, place):
    path = write_tiny(tmp_path / "a.safetensors")
    monkeypatch.setattr(Network, place, full)
    with pytest.raises(RenderError, match="cpu: out of memory"):
        list(SeedSheet(seed_painter(path, device="cpu"), [1]).draw())


@pytest.mark.parametrize(
    ("device", "advice"), [("mps", "try --device cpu"), ("cpu", "a machine with more")]
)
def test_the_advice_is_one_that_a_sheet_can_follow(device, advice):
    message = f"{device}: out of memory; .*{advice}"
    with pytest.raises(RenderError, match=message) as caught, painting_seeds(torch.device(device)):
        full()
    assert "--draft" not in str(caught.value)


def test_errors_that_say_what_to_do_stay_as_they_are():
    with pytest.raises(RenderError, match=r"^bring alpha nearer"), painting_seeds(CPU):
        raise RenderError("bring alpha nearer to 0..1")


def test_a_network_that_overflows_is_named(tmp_path):
    tensors, metadata = tiny_tensors()
    huge = {n: t * (1e30 if n.startswith("synthesis.") else 1) for n, t in tensors.items()}
    grid = NetworkGrid([*family(1), ("big", network_of(huge, metadata))], [1], CPU)
    with pytest.raises(NetworkError, match=r"^big makes no picture: its numbers overflow"):
        list(grid.draw())
    path = write_tensors(tmp_path / "a.safetensors", huge, metadata)
    with pytest.raises(NetworkError, match=r"a\.safetensors makes no picture"):
        seed_painter(path, device="cpu").paint(1)


def test_a_network_of_very_many_classes_is_painted(tmp_path):
    path = write_tiny(tmp_path / "a.safetensors", c_dim=500_000, w_dim=4, img_resolution=4)
    painter = seed_painter(path, device="cpu")
    assert painter.paint(1)[0].shape == (3, 4, 4)
    assert painter.w(1).shape == (4,)


def test_an_extended_picture_is_whole_on_its_tile(tmp_path):
    write_tiny(tmp_path / "a.safetensors")
    (tmp_path / "a.yaml").write_text(
        "networks: {a: a.safetensors}\nduration: 1s\nsize: 32x64\nframe: {fit: extend}\n"
    )
    painter = seed_painter(tmp_path / "a.yaml", device="cpu")
    base, blend = painter.paint(3)
    assert base.shape == blend.shape == (3, 32, 16)
    tile = tile_of(base, 32)
    assert tile.size == (32, 32)
    columns = [
        tile.crop((x, 0, x + 1, 32)).getcolors() == [(32, (255, 255, 255))] for x in range(32)
    ]
    assert columns == [True] * 8 + [False] * 16 + [True] * 8
    list(SeedSheet(painter, [1, 2]).draw())
