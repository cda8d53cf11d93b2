from __future__ import annotations

import os
import pickle

import pytest
import torch

from animix.checkpoints.load import load_network
from animix.checkpoints.nvidia_rewrite import write_like
from animix.checkpoints.save import check_target
from animix.errors import NetworkError, OptionError
from animix.networks.recognize import network_of
from animix.networks.stylegan3_plan import Specification
from tests.nvidia_files import read_with_python, write_nvidia_pickle
from tests.rosinality_files import state_dict
from tests.test_nvidia_pickle import BIAS, GOLDEN, small_tensors, tensor_of
from tests.tiny import relative_of, tiny_stylegan3

SPECIFICATION = Specification(16, num_layers=4, num_critical=1, margin_size=2)
"""Of ``tiny_stylegan3``."""


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
        ({"conv_clamp": 64}, "its conv_clamp is 64.0, 256.0 in the network to write; take the"),
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


FILTER = torch.tensor([1.0, 3, 3, 1]) / 8
SQUARE = torch.outer(FILTER, FILTER)
OTHER = torch.outer(torch.tensor([0.1, 0.4, 0.4, 0.1]), torch.tensor([0.1, 0.4, 0.4, 0.1]))
BLOCKS = ("synthesis.b4", "synthesis.b8", "synthesis.b8.conv0")


def filtered(tensors, kernel, blocks=BLOCKS):
    return tensors | {f"{block}.resample_filter": kernel.clone() for block in blocks}


@pytest.mark.parametrize(
    ("kernel", "own", "expected"),
    [
        (SQUARE, None, SQUARE),
        (FILTER, None, FILTER),
        (OTHER, OTHER, OTHER),
        (SQUARE, OTHER, OTHER),
        (OTHER, None, SQUARE),
    ],
)
def test_a_network_of_another_format_is_written_with_a_filter_in_each_layer(
    tmp_path, kernel, own, expected
):
    tensors = small_tensors(seed=3)
    original, copy = tmp_path / "a.pkl", tmp_path / "b.pkl"
    write_nvidia_pickle(original, filtered(small_tensors(), kernel))
    network = network_of(
        tensors if own is None else filtered(tensors, own, BLOCKS[:1]), {"conv_clamp": "256"}
    )
    write_like(network, original, copy)
    assert same_tensors(read_with_python(copy), filtered(tensors, expected))
    ws = network.mapping(torch.ones(1, network.z_dim))
    picture = load_network(copy).synthesis(ws)
    assert torch.allclose(picture, network.synthesis(ws), atol=1e-5)


def test_a_network_from_rosinality_is_written_like_an_original_without_a_clamp(tmp_path):
    tensors, source = small_tensors(seed=3), tmp_path / "a.pt"
    torch.save({"g_ema": state_dict(tensors), "latent_avg": tensors["mapping.w_avg"]}, source)
    network = load_network(source)
    original, copy = tmp_path / "a.pkl", tmp_path / "b.pkl"
    write_nvidia_pickle(original, filtered(small_tensors(), SQUARE), conv_clamp=None)
    write_like(network, original, copy)
    assert same_tensors(read_with_python(copy), filtered(tensors, SQUARE))


def test_a_filter_that_the_file_has_no_place_for_is_refused(tmp_path):
    original = tmp_path / "a.pkl"
    write_nvidia_pickle(original, filtered(small_tensors(), torch.full((2,), 0.5)))
    network = network_of(small_tensors(), {"conv_clamp": "256"})
    with pytest.raises(NetworkError, match=r"resample_filter is 2 in it, 4×4 in the network"):
        write_like(network, original, tmp_path / "b.pkl")


def test_a_filter_that_shares_its_numbers_with_a_bias_is_refused(tmp_path):
    original, row = tmp_path / "a.pkl", torch.tensor([0.5, 0.5])
    shared = dict.fromkeys((BIAS, *(f"{block}.resample_filter" for block in BLOCKS[1:])), row)
    write_nvidia_pickle(original, filtered(small_tensors(), row), replaced=shared)
    tensors = filtered(small_tensors(), row, BLOCKS[:1])
    network = network_of(tensors | {BIAS: torch.tensor([3.0, 4.0])}, {"conv_clamp": "256"})
    with pytest.raises(NetworkError, match="shares its numbers with another tensor"):
        write_like(network, original, tmp_path / "b.pkl")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\x89PNG\r\n\x1a\n", "it is a PNG picture; .*like is one of NVIDIA's PyTorch pickles"),
        (b"hello", "no checkpoint that animix knows .*like is one of NVIDIA's PyTorch pickles"),
        ((GOLDEN / "tf-a.pkl").read_bytes(), "is TensorFlow pickle, expected NVIDIA's PyTorch"),
        ((GOLDEN / "sg2-a.pkl").read_bytes()[:9999], "it has 9,999 bytes, .* fetch it again"),
        (pickle.dumps([1, 2]), "no network G_ema, but a list"),
    ],
)
def test_an_original_is_called_what_it_is(tmp_path, content, message):
    network, original = network_of(small_tensors(), {}), tmp_path / "a.pkl"
    original.write_bytes(content)
    with pytest.raises(NetworkError, match=rf"a\.pkl: .*{message}"):
        write_like(network, original, tmp_path / "b.pkl")


def test_an_original_that_can_not_serve_is_told_before_there_is_a_network(tmp_path):
    os.mkfifo(tmp_path / "pipe.pkl")
    for name, message in (
        (tmp_path / "pipe.pkl", "it is a pipe or a device"),
        (tmp_path, "it is a folder"),
        (GOLDEN / "tf-a.pkl", "its format is TensorFlow pickle"),
    ):
        with pytest.raises(NetworkError, match=message):
            check_target(tmp_path / "b.pkl", like=name)


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


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"first_cutoff": 2.2}, "its layers have other sampling rates, cutoffs, filters or"),
        ({"output_scale": 0.5}, "or another output_scale than those of the network to write"),
        ({"use_radial_filters": True}, "its architecture is config-r, config-t in the network"),
        ({"conv_clamp": 64}, "its conv_clamp is 64.0, 256.0 in the network"),
    ],
)
def test_the_setting_that_differs_is_named(tmp_path, settings, message):
    tensors, metadata = tiny_stylegan3()
    network = network_of(tensors, metadata)
    clamp = settings.pop("conv_clamp", 256)
    known = {name: getattr(SPECIFICATION, name) for name in ("num_critical", "margin_size")}
    states = {"synthesis": {"_init_kwargs": known | settings}}
    original = write_nvidia_pickle(tmp_path / "a.pkl", tensors, states=states, conv_clamp=clamp)
    with pytest.raises(NetworkError, match=rf"a\.pkl: .*{message}"):
        write_like(network, original, tmp_path / "b.pkl")
