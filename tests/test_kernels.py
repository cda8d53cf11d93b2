"""Each Triton kernel does what its plain twin does: here in Triton's interpreter, or on a GPU.

Buffers that a kernel leaves untouched would hold what is not a number, and every test would see it.
"""

from dataclasses import replace

import pytest
import torch

from animix.engine import twins
from animix.engine.finish import Finish
from animix.engine.resampling import make_resampling
from animix.engine.stack import BLOCK
from animix.networks.extent import SQUARE, Extent
from animix.networks.stylegan3 import layer_filters
from animix.networks.stylegan3_plan import Specification, make_plan

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


def test_what_is_not_a_number_is_not_clamped_away():
    finish = make_finish(1, 4, 4, clamp=1.0, **rgb(1))
    y = normal(1, 4, 4, CHANNELS)
    y[0, 1, 2] = torch.nan
    image = torch.zeros(1, 3, 4, 4, device=DEVICE)
    out, _ = kernels.epilogue(y, finish, None, None, image)
    assert out[0, 1, 2].isnan().all() and out.isnan().sum() == CHANNELS
    assert image[0, :, 1, 2].isnan().all() and image.isnan().sum() == 3


HIGH, WIDE = Extent(rows=9), Extent(columns=9)

LAYERS = {
    "up 2, down 2": ({"img_resolution": 16}, 0, 0.7, SQUARE),
    "without a clamp": ({"img_resolution": 16}, 3, None, SQUARE),
    "radial, up 4": ({"img_resolution": 32, "use_radial_filters": True}, 2, 0.7, SQUARE),
    "1×1 kernel": ({"img_resolution": 16, "conv_kernel": 1}, 0, 0.7, SQUARE),
    "no filters": ({"img_resolution": 16, "lrelu_upsampling": 1}, 0, 0.7, SQUARE),
    "up alone": ({"img_resolution": 32, "lrelu_upsampling": 1}, 2, None, SQUARE),
    "up 8, down 4": (
        {"img_resolution": 32, "lrelu_upsampling": 4, "filter_size": 3}, 2, 0.7, SQUARE
    ),
    "high": ({"img_resolution": 16}, 2, 0.7, HIGH),
    "high, radial": ({"img_resolution": 16, "use_radial_filters": True}, 1, 0.7, HIGH),
    "wide, two tiles across": ({"img_resolution": 32, "filter_size": 2}, 3, 0.7, WIDE),
    "both": ({"img_resolution": 16, "conv_kernel": 1}, 0, None, Extent(5, 10)),
}  # fmt: skip
"""What a network is constructed with, the number of its layer, the clamp and the extent."""


def make_filtered(settings, number, extent):
    """A convolution's result, how its layer filters it, and the rows of gain, bias and style."""
    # TensorFloat-32 is what a GPU makes of products of 32 bits: there 16 bits are compared.
    dtype = torch.float16 if DEVICE.type == "cuda" else torch.float32
    plan = make_plan(Specification(num_layers=4, num_critical=1, margin_size=2, **settings))
    source = plan.layers[number - 1].output if number else plan.input
    layer = plan.layers[number]
    height, width = (side + layer.kernel - 1 for side in source.sides(extent))
    filters = layer_filters({"synthesis.input.freqs": normal(1)}, "L", layer)
    resampling = make_resampling(layer, *filters, dtype, DEVICE)
    y = normal(1, height, width, 24).to(dtype)
    rows = [normal(1, 40, seed=seed) for seed in (1, 2, 3)]
    for row in rows:
        row[:, 24:] = torch.nan
    return y, resampling, rows


@pytest.mark.parametrize(
    ("settings", "number", "clamp", "extent"), LAYERS.values(), ids=LAYERS.keys()
)
def test_filters_are_their_twins(settings, number, clamp, extent):
    y, resampling, rows = make_filtered(settings, number, extent)
    found = kernels.filtered(y, resampling, *rows, clamp, extent)
    expected = twins.filtered(y, resampling, *rows, clamp, extent)
    assert found.shape == (1, *resampling.plan.output.sides(extent), 24)
    error = (found.float() - expected.float()).norm() / expected.float().norm()
    assert error < (2e-3 if DEVICE.type == "cuda" else 2e-4)


@pytest.mark.parametrize("name", ["up 2, down 2", "radial, up 4", "high"])
def test_what_is_not_a_number_is_not_clamped_away_between_filters(name):
    settings, number, clamp, extent = LAYERS[name]
    y, resampling, rows = make_filtered(settings, number, extent)
    y[0, y.shape[1] // 2, y.shape[2] // 2, 3] = torch.nan
    found = kernels.filtered(y, resampling, *rows, clamp, extent).isnan()
    reached = twins.filtered(y, resampling, *rows, clamp, extent).isnan()
    # A product with a whole matrix takes it further than the taps do, but to no other channel.
    assert reached.any() and found[reached].all()
    assert not found[..., [c for c in range(24) if c != 3]].any()


@pytest.mark.parametrize("clamp", [None, 0.7])
def test_what_is_not_a_number_is_not_clamped_away_among_colours(clamp):
    x, weight, bias = normal(1, 7, 7, 8), normal(1, 3, 8, seed=1), normal(1, 3, seed=2)
    x[0, 1, 2, 3] = torch.nan
    image = torch.zeros(1, 3, 7, 7, device=DEVICE)
    kernels.colours(x, weight, bias, clamp, 0.25, image)
    assert image[0, :, 1, 2].isnan().all() and image.isnan().sum() == 3


@pytest.mark.parametrize("clamp", [None, 0.7])
@pytest.mark.parametrize(("sides", "channels"), [((7, 7), 8), ((70, 40), 24)])
def test_colours_are_their_twins(sides, channels, clamp):
    x, bias = normal(2, *sides, channels), normal(2, 3, seed=2)
    weight = normal(2, 3, WIDEST + channels, seed=1)
    weight[..., channels:] = torch.nan
    images = [torch.full((2, 3, *sides), torch.nan, device=DEVICE) for _ in range(2)]
    kernels.colours(x, weight, bias, clamp, 0.25, images[0])
    twins.colours(x, weight, bias, clamp, 0.25, images[1])
    assert_close(*images)
