"""A comparison tells who can be blended, who is related, and how far they have moved."""

import json
import math
import weakref
from pathlib import Path

import pytest
import torch

from animix.checkpoints.load import load_network
from animix.comparison import Compared, Comparing, find_others, trained_kimg
from animix.errors import NetworkError, OptionError, RenderError
from animix.networks.network import Network
from animix.networks.recognize import network_of
from animix.tables import WIDTH
from tests.tiny import relative_of, tiny_stylegan3, tiny_tensors, write_tensors, write_tiny


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A base, a run of snapshots that goes away from it, and networks that don't fit."""
    tensors, metadata = tiny_tensors()
    write_tensors(tmp_path / "base.safetensors", tensors, metadata)
    for number in (1, 2, 10):
        child = relative_of(tensors, amount=0.02 * number)
        write_tensors(
            tmp_path / f"run-{number}.safetensors",
            child,
            {**metadata, "images_seen_finetune": str(1000 * number)},
        )
    write_tiny(tmp_path / "stranger.safetensors", seed=50, num_mapping_layers=3, c_dim=2)
    write_tiny(tmp_path / "big.safetensors", img_resolution=32)
    write_tiny(tmp_path / "narrow.safetensors", channels=4)
    write_tiny(tmp_path / "resnet.safetensors", architecture="resnet")
    write_tensors(tmp_path / "third.safetensors", *tiny_stylegan3())
    monkeypatch.chdir(tmp_path)
    return tmp_path


def compare(*names, seeds=(1,)):
    files = find_others([f"{name}.safetensors" for name in names])
    comparing = Comparing(Path("base.safetensors"), files, seeds, torch.device("cpu"))
    steps = list(comparing.measure())
    assert [step.done for step in steps][-1] == steps[-1].total == len(files) * len(seeds)
    return comparing.comparison


def test_a_run_goes_away_from_its_base_in_the_order_of_training(folder):
    comparison = compare("run-*", seeds=(1, 2, 3))
    assert [other.name for other in comparison.others] == ["run-1", "run-2", "run-10"]
    assert [other.kimg for other in comparison.others] == [1, 2, 10]
    distances = [other.drift.distance for other in comparison.others]
    assert distances == sorted(distances)
    assert all(other.related for other in comparison.others)
    lines = comparison.lines()
    assert "1: run-1.safetensors: related to the base (correlation 0." in "\n".join(lines)
    assert any(line.startswith("3  run-10") for line in lines)
    assert any(line.startswith("b16.conv1") for line in lines)
    assert any(line.startswith("16 px") for line in lines)


def test_progress_is_told_for_every_seed(folder):
    files = [Path("run-1.safetensors"), Path("big.safetensors"), Path("run-2.safetensors")]
    comparing = Comparing(Path("base.safetensors"), files, (5, 6), torch.device("cpu"))
    assert [step.done for step in comparing.measure()] == [1, 2, 4, 5, 6]


def test_one_other_network_is_in_memory_at_a_time(folder, monkeypatch):
    living, most = weakref.WeakSet(), []

    def load(path):
        most.append(len(living))
        network = load_network(path)
        living.add(network)
        return network

    monkeypatch.setattr("animix.comparison.load_network", load)
    compare("run-*", "stranger", "big")
    # Before a network is read there is the base alone, which .to() has made a new one of.
    assert max(most) <= 1
    assert len(most) == 6


def test_the_same_comparison_has_the_same_numbers(folder):
    assert compare("run-1", "stranger") == compare("run-1", "stranger")


def test_one_network_is_told_layer_by_layer(folder):
    lines = compare("run-10").lines()
    assert "run-10.safetensors: related to the base" in lines[1]
    assert sum(line.startswith("b") and ".conv" in line for line in lines) == 5
    assert any(line.startswith("whole") for line in lines)
    assert lines[-1].startswith("mapping: w moved")


@pytest.mark.parametrize(
    ("clamp", "taps", "told"),
    [
        ("256", None, "the clamp of activations: none and ±256; a blend uses the base's"),
        ("none", [1.0, 2.0, 2.0, 1.0], "the filter that resamples; a blend uses the base's"),
        ("none", [1.0, 3.0, 3.0, 1.0], None),
    ],
)
def test_networks_that_compute_in_other_ways_are_warned_of(folder, clamp, taps, told):
    tensors, metadata = tiny_tensors()
    if taps:
        tensors["synthesis.b4.resample_filter"] = torch.tensor(taps) / sum(taps)
    write_tensors(folder / "odd.safetensors", tensors, {**metadata, "conv_clamp": clamp})
    comparison = compare("odd")
    assert comparison.others[0].warnings == ((told,) if told else ())
    assert not told or f"    {told}" in comparison.lines()


@pytest.mark.parametrize("calls", [0, 1])
def test_a_device_without_memory_ends_it_with_a_reason(folder, monkeypatch, calls):
    to = Network.to

    def full(network, device):
        nonlocal calls
        calls -= 1
        if calls < 0:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 8.00 GiB")
        return to(network, device)

    monkeypatch.setattr(Network, "to", full)
    with pytest.raises(RenderError, match="cpu: out of memory; use a machine with more"):
        compare("run-1")


def test_memory_that_runs_out_while_painting_ends_it_with_a_reason(folder, monkeypatch):
    monkeypatch.setattr("animix.drift.Measuring.add_seed", lambda *_: torch.empty(1 << 50))
    with pytest.raises(RenderError, match="out of memory"):
        compare("run-1")


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("big", "pictures of 32 px"),
        ("narrow", "different numbers of channels"),
        ("resnet", "the architecture resnet"),
        ("third", "stylegan3"),
    ],
)
def test_a_refusal_is_an_answer_with_its_reason(folder, name, reason):
    comparison = compare(name)
    (other,) = comparison.others
    assert not other.blendable
    assert reason in other.refusal
    text = " ".join(" ".join(comparison.lines()).split())
    assert f"{name}.safetensors: can't be blended with the base" in text
    assert reason in text
    assert other.as_dict()["blendable"] is False
    assert other.as_dict()["related"] is None


def test_a_stranger_is_called_one_and_other_mappings_are_named(folder):
    comparison = compare("stranger")
    (other,) = comparison.others
    assert other.blendable
    assert not other.related
    text = "\n".join(comparison.lines())
    assert "NOT related to the base" in text
    assert "mapping layers: 2 and 3" in text
    assert "numbers in a label: 0 and 2" in text
    assert other.drift.mapping is None


def test_lines_fit_whatever_is_compared(folder):
    for number in range(11, 25):
        name = f"run-{number}-{'long-' * 20}.safetensors"
        Path(name).write_bytes(Path("run-1.safetensors").read_bytes())
    for names in (["run-*", "big"], ["run-1"], ["third"], ["stranger", "narrow"]):
        assert max(map(len, compare(*names).lines())) <= WIDTH


def test_machines_get_numbers_that_json_knows(folder):
    constant, metadata = tiny_tensors()
    constant["synthesis.b4.const"] = torch.zeros_like(constant["synthesis.b4.const"])
    write_tensors(folder / "base.safetensors", constant, metadata)
    comparison = compare("run-1", "big")
    assert comparison.others[0].drift.layers[0].distance == math.inf
    told = json.loads(json.dumps(comparison.as_dict(), allow_nan=False))
    first, second = told["others"]
    assert first["drift"]["layers"][0]["distance"] is None
    assert (first["blendable"], second["blendable"]) == (True, False)
    assert first["drift"]["bands"][0]["resolution"] == 4
    assert told["truncation"] == 0.7
    assert "∞" in "\n".join(comparison.lines())


def test_files_that_are_not_there_are_errors(folder):
    with pytest.raises(OptionError, match=r"gone-\*\.safetensors: there is no such file"):
        find_others(["gone-*.safetensors"])


def test_a_bad_file_does_not_stop_the_others(folder):
    (folder / "run-1.safetensors").write_bytes(b"broken")
    files = find_others(["run-*.safetensors"])
    comparing = Comparing(Path("base.safetensors"), files, (1, 2), torch.device("cpu"))
    assert [step.done for step in comparing.measure()] == [2, 3, 4, 5, 6]
    assert [other.name for other in comparing.comparison.others] == ["run-2", "run-10"]
    ((file, error),) = comparing.failed
    assert file.name == "run-1.safetensors"
    assert "run-1.safetensors" in str(error)


def test_a_network_that_overflows_is_named(folder):
    tensors, metadata = tiny_tensors()
    for part in ("synthesis.", "mapping."):
        huge = {n: t * (1e30 if n.startswith(part) else 1) for n, t in tensors.items()}
        write_tensors(folder / f"{part}safetensors", huge, metadata)
    files = find_others(["synthesis.safetensors", "run-1.safetensors"])
    comparing = Comparing(Path("base.safetensors"), files, (1,), torch.device("cpu"))
    list(comparing.measure())
    assert [other.name for other in comparing.comparison.others] == ["run-1"]
    ((_, error),) = comparing.failed
    assert str(error) == "synthesis.safetensors: it makes no picture: its numbers overflow"
    for name in ("synthesis.safetensors", "mapping.safetensors"):
        comparing = Comparing(Path(name), files, (1,), torch.device("cpu"))
        with pytest.raises(NetworkError, match=f"^{name} makes no picture: its numbers overflow"):
            list(comparing.measure())


def test_a_refusal_names_the_file_that_is_refused(folder):
    (folder / "other").mkdir()
    write_tiny(folder / "other" / "base.safetensors", img_resolution=32)
    assert (
        'the base and "base.safetensors" can\'t be mixed' in compare("other/base").others[0].refusal
    )


def test_nothing_is_told_before_it_is_measured():
    comparing = Comparing(Path("a"), [Path("b")], (1,), torch.device("cpu"))
    with pytest.raises(OptionError, match="nothing has been measured"):
        _ = comparing.comparison


def test_only_what_can_be_blended_is_related():
    assert not Compared("a", "a", None, "other shapes", (), None).related


@pytest.mark.parametrize(
    ("name", "metadata", "kimg"),
    [
        ("network-snapshot-000120.pkl", {}, 120),
        ("network-snapshot-000120.pkl", {"images_seen_finetune": "2048"}, 2.048),
        ("network-snapshot-000120.pkl", {"images_seen_finetune": "many"}, 120),
        ("anime-3.pkl", {}, None),
    ],
)
def test_training_is_told_by_metadata_or_name(name, metadata, kimg):
    network = network_of(tiny_tensors()[0], metadata)
    assert trained_kimg(Path(name), network) == kimg
