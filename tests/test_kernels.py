"""Each Triton kernel does what its plain twin does: here in Triton's interpreter, or on a GPU.

Buffers that a kernel leaves untouched would hold what is not a number, and every test would see it.
"""

from dataclasses import replace

import pytest
import torch

from animix.engine import twins
from animix.engine.finish import Finish
from animix.engine.stack import BLOCK

triton = pytest.importorskip("triton", reason="Triton is for Linux")

from animix.engine import kernels  # noqa: E402 (only where Triton is)

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
CHANNELS = 8
WIDEST = 16
"""Rows of styles are as wide as the widest layer; what lies behind a layer's own is not read."""


@pytest.fixture(autouse=True)
def poisoned_memory(monkeypatch):
    """New memory holds what is not a number, so that nothing unwritten passes for a result."""
    monkeypatch.setattr(torch.utils.deterministic, "fill_uninitialized_memory", True)
    torch.use_deterministic_algorithms(True, warn_only=True)
    yield
    torch.use_deterministic_algorithms(False)


def normal(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator).to(DEVICE)


def make_finish(batch, height, width, **changes):
    def row(seed):
        values = normal(batch, WIDEST, seed=seed)
        values[:, CHANNELS:] = torch.nan
        return values

    finish = Finish(
        demodulation=row(1),
        bias=row(2),
        noise=normal(1, height, width, seed=3),
        noise_strength=normal(batch, seed=4),
        gain=2**0.5,
        clamp=1.5,
        next_style=row(5),
    )
    return replace(finish, **changes)


def rgb(batch):
    weight = normal(batch, 3, WIDEST, seed=6)
    weight[..., CHANNELS:] = torch.nan
    return {"rgb_weight": weight, "rgb_bias": normal(batch, 3, seed=7), "rgb_clamp": 2.0}


FINISHES = {
    "a next input": lambda batch, *sides: {},
    "side by side inputs": lambda batch, *sides: {"next_shares": normal(batch, 3, seed=8)},
    "noise of its own": lambda batch, *sides: {"noise": normal(batch, *sides, seed=9)},
    "a picture": lambda batch, *sides: rgb(batch),
    "the last picture": lambda batch, *sides: {**rgb(batch), "next_style": None},
    "raw activations": lambda batch, *sides: {"keeps_raw": True, "gain": 1.0},
}


def assert_close(found, expected):
    assert (found is None) == (expected is None)
    if found is not None:
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


SIDES = [(8, 8), (16, 8), (6, 10)]


@pytest.mark.parametrize("sides", SIDES, ids=str)
@pytest.mark.parametrize("previous", [False, True], ids=["", "over a smaller picture"])
@pytest.mark.parametrize("residual", [False, True], ids=["", "over a residual path"])
@pytest.mark.parametrize("changes", FINISHES.values(), ids=FINISHES.keys())
def test_an_epilogue_is_its_twin(changes, residual, previous, sides):
    batch, halves = 2, [side // 2 for side in sides]
    y = normal(batch, *sides, CHANNELS)
    finish = make_finish(batch, *sides, **changes(batch, *sides))
    beside = normal(batch, *halves, CHANNELS, seed=10) if residual else None
    smaller = normal(batch, 3, *halves, seed=11) if previous else None
    images = [torch.full((batch, 3, *sides), torch.nan, device=DEVICE) for _ in range(2)]
    if finish.rgb_weight is None:
        images, smaller = [None, None], None
    found = kernels.epilogue(y, finish, smaller, beside, images[0])
    expected = twins.epilogue(y, finish, smaller, beside, images[1])
    for one, other in zip((*found, images[0]), (*expected, images[1]), strict=True):
        assert_close(one, other)


@pytest.mark.parametrize("sides", SIDES, ids=str)
def test_an_epilogue_puts_folded_phases_in_their_places(sides):
    y = normal(2, *(side // 2 for side in sides), 4 * CHANNELS)
    finish = make_finish(2, *sides, folded=True)
    found, _ = kernels.epilogue(y, finish, None, None, None)
    expected, _ = twins.epilogue(y, finish, None, None, None)
    assert_close(found, expected)


@pytest.mark.parametrize("sides", [(4, 4), (8, 8), (32, 32), (32, 16), (12, 24), (6, 10)], ids=str)
@pytest.mark.parametrize("name", ["a next input", "side by side inputs", "noise of its own"])
def test_a_blur_epilogue_is_its_twin(sides, name):
    t = normal(2, *(side + 1 for side in sides), CHANNELS)
    finish = make_finish(2, *sides, **FINISHES[name](2, *sides))
    assert_close(kernels.blur_epilogue(t, finish), twins.blur_epilogue(t, finish))


@pytest.mark.parametrize("num_networks", [1, 2, 5])
def test_mixed_kernels_are_their_twins(num_networks):
    stack = normal(num_networks, 3 * BLOCK)
    shares = normal(2, 4, num_networks, seed=1)
    rows = torch.tensor([2, 0, 3], dtype=torch.int32, device=DEVICE)
    assert_close(kernels.mix_kernels(stack, shares, rows), twins.mix_kernels(stack, shares, rows))


@pytest.mark.parametrize("size", [(2, 2), (34, 70), (64, 128)])
def test_frames_have_the_same_bytes_as_the_plain_path(size):
    canvases = 0.8 * normal(3, 3, *size)
    frames = [0, 7, 123456]
    assert torch.equal(kernels.yuv420(canvases, frames), twins.yuv420(canvases, frames))
