from __future__ import annotations

import pytest
import torch

from animix.checkpoints.load import load_network
from animix.checkpoints.nvidia_rewrite import write_like
from animix.errors import NetworkError, OptionError
from tests.nvidia_files import read_with_python, write_nvidia_pickle
from tests.test_nvidia_pickle import BIAS, GOLDEN, small_tensors, tensor_of
from tests.tiny import relative_of


def other_than(network):
    """A network with other numbers in each tensor that is not a filter."""
    moved = relative_of(dict(network.tensors))
    return network.with_tensors({n: t for n, t in moved.items() if "filter" not in n})


def same_tensors(one, other):
    assert set(one) == set(other)
    return all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("stem", ["sg2-a", "sg2-cond", "sg3-t"])
def test_the_copy_is_the_network_and_else_the_original(tmp_path, stem):
    original, copy = GOLDEN / f"{stem}.pkl", tmp_path / "new" / "copy.pkl"
    network = other_than(load_network(original))
    write_like(network, original, copy)
    found = load_network(copy)
    assert same_tensors(found.tensors, network.tensors)
    assert found.facts == network.facts
    write_like(load_network(original), copy, back := tmp_path / "back.pkl")
    assert back.read_bytes() == original.read_bytes()


@pytest.mark.parametrize("protocol", [3, 4, 5])
def test_only_the_tensors_of_the_average_change(tmp_path, protocol):
    tensors = small_tensors()
    tensors[BIAS] = torch.tensor([1.0, 9, 2, 9])[::2]
    others = {"G": small_tensors(seed=7), "D": small_tensors(seed=8)}
    original, copy = tmp_path / "a.pkl", tmp_path / "b.pkl"
    write_nvidia_pickle(original, tensors, others=others, protocol=protocol)
    changed = load_network(original).with_tensors({BIAS: torch.tensor([-5.0, -6.0])})
    write_like(changed, original, copy)
    before, after = original.read_bytes(), copy.read_bytes()
    assert len(before) == len(after)
    places = [i for i in range(len(before)) if before[i] != after[i]]
    # The two numbers lie eight bytes apart, and the 9 between them stays.
    assert 0 < max(places) - min(places) < 12
    assert same_tensors(read_with_python(copy), dict(changed.tensors))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_the_precision_in_the_file_is_kept(tmp_path, dtype):
    original, copy = tmp_path / "a.pkl", tmp_path / "b.pkl"
    write_nvidia_pickle(original, {name: t.to(dtype) for name, t in small_tensors().items()})
    network = other_than(load_network(original))
    write_like(network, original, copy)
    stored = read_with_python(copy)
    assert all(torch.equal(stored[n], t.to(dtype)) for n, t in network.tensors.items())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"tensors": small_tensors(channels=4)},
            r"b4\.const is 4×4×4 in it, 2×4×4 in the network to write",
        ),
        (
            {"tensors": small_tensors(img_resolution=16)},
            r"it has the tensor synthesis\.b16\.conv0\.affine\.bias, which the network .* lacks",
        ),
        (
            {"tensors": small_tensors(img_resolution=4)},
            r"it has no tensor synthesis\.b8\.conv0\.affine\.bias, which the network",
        ),
        ({"conv_clamp": 64}, r"other settings .*\(conv_clamp 64.0 and 256.0\)"),
        ({"protocol": 2}, "tensor .*: it has its bytes as text .*, expected bytes"),
        (
            {"replaced": dict.fromkeys((BIAS, "synthesis.b8.conv1.bias"), torch.ones(2))},
            "shares its numbers with another tensor",
        ),
        (
            {"tensors": {n: t.half() for n, t in small_tensors().items()}},
            "numbers that torch.float16",
        ),
    ],
)
def test_a_file_that_can_not_hold_the_network_is_refused(tmp_path, change, message):
    original, copy = tmp_path / "a.pkl", tmp_path / "b.pkl"
    write_nvidia_pickle(original, small_tensors())
    network = load_network(original)
    network = network.with_tensors({BIAS: torch.tensor([1e9, -1e9])})
    write_nvidia_pickle(original, **({"tensors": small_tensors()} | change))
    with pytest.raises(NetworkError, match=rf"a\.pkl: .*{message}"):
        write_like(network, original, copy)
    assert not copy.exists()


def test_places_that_can_not_be_written_or_read_are_told(tmp_path):
    original = write_nvidia_pickle(tmp_path / "a.pkl", small_tensors())
    network = load_network(original)
    before = original.read_bytes()
    link = tmp_path / "link.pkl"
    link.symlink_to(original)
    for same in (original, link):
        with pytest.raises(OptionError, match="is the original itself"):
            write_like(network, original, same)
    with pytest.raises(OptionError, match="can't be written"):
        write_like(network, original, original / "b.pkl")
    with pytest.raises(NetworkError, match=r"missing\.pkl: there is no such file"):
        write_like(network, tmp_path / "missing.pkl", tmp_path / "b.pkl")
    hostile = write_nvidia_pickle(
        tmp_path / "c.pkl", small_tensors(), replaced={BIAS: tensor_of(b"")}
    )
    with pytest.raises(NetworkError, match=f"tensor {BIAS}: "):
        write_like(network, hostile, tmp_path / "b.pkl")
    assert original.read_bytes() == before
