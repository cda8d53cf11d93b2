"""Devices are chosen by name, GPUs by number, and what isn't there is told."""

from types import SimpleNamespace

import pytest
import torch

from animix.engine import device as device_module
from animix.engine.device import choose_gpus, limit_memory, memory_of_film
from animix.errors import OptionError


@pytest.fixture
def four_gpus(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda number: "H100")


@pytest.mark.parametrize(
    ("text", "numbers"),
    [("all", [0, 1, 2, 3]), ("0,1", [0, 1]), ("2", [2]), (" 3, 0 ", [3, 0]), ("1,1", [1])],
)
def test_gpus_are_chosen_by_number(four_gpus, text, numbers):
    assert choose_gpus(text) == tuple(torch.device("cuda", number) for number in numbers)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("4", "there is no GPU 4 here; they are numbered 0 to 3"),
        ("0,99999999999", "there is no GPU"),
        ("", "expected all, or numbers such as 0,1"),
        ("0,", "expected all"),
        ("-1", "expected all"),
        ("cuda:1", "expected all"),
        ("two", "expected all"),
    ],
)
def test_gpus_that_are_not_there_are_refused(four_gpus, text, words):
    with pytest.raises(OptionError, match=f"--gpus.*{words}"):
        choose_gpus(text)


def test_what_is_no_number_is_told_where_there_is_no_gpu_too(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(OptionError, match='--gpus "foo": expected all, or numbers such as 0,1'):
        choose_gpus("foo")


@pytest.mark.parametrize("text", ["all", "0", "0,1"])
def test_without_cuda_there_are_no_gpus(monkeypatch, text):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(OptionError, match="no CUDA device here"):
        choose_gpus(text)


def test_gpus_of_several_kinds_are_refused(four_gpus, monkeypatch):
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda number: "AB"[number // 3])
    assert len(choose_gpus("0,1,2")) == 3
    with pytest.raises(OptionError, match="expected GPUs of one kind, but 2 is a A, 3 is a B"):
        choose_gpus("all")


@pytest.mark.parametrize(
    ("asked", "fraction"), [(None, 1.0), (40_700_000_000, 0.5), (10**12, 1.0), (1, 0.0)]
)
def test_a_limit_holds_for_its_film_alone(monkeypatch, asked, fraction):
    card = SimpleNamespace(total_memory=80_000_000_000)
    told = []
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: card)
    monkeypatch.setattr(
        torch.cuda, "set_per_process_memory_fraction", lambda share, device: told.append(share)
    )
    limit_memory(torch.device("cuda", 0), asked)
    assert told == [pytest.approx(fraction)]


@pytest.mark.parametrize(
    ("num_gpus", "asked", "films_at_a_time", "expected"),
    [
        (1, None, 1, None),
        (1, 30, 1, 30),
        (2, None, 1, 70),
        (1, None, 2, 40),
        (1, 30, 3, 10),
        (1, 1000, 2, 40),
        (2, None, 2, 35),
    ],
)
def test_films_share_the_memory_of_a_gpu(monkeypatch, num_gpus, asked, films_at_a_time, expected):
    monkeypatch.setattr(device_module, "memory_of", lambda device: (80, 70)[device.index])
    gpus = [torch.device("cuda", number) for number in range(num_gpus)]
    assert memory_of_film(gpus, asked, films_at_a_time) == expected


def test_films_on_a_processor_share_no_memory():
    assert memory_of_film([torch.device("cpu")], None, 3) is None
