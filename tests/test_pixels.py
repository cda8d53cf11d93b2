from __future__ import annotations

import math
import runpy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils._python_dispatch import TorchDispatchMode

from animix.engine import pixels
from animix.engine.pixels import lay, to_bytes, to_rgb8, to_yuv420, to_yuv422p10
from animix.timeline.formats import frame_bytes
from animix.timeline.framing import Framing

ROOT = Path(__file__).parents[1]
FITS = ["blur", "cover", "contain", "stretch", "extend"]


def random_picture(height: int, width: int) -> torch.Tensor:
    return torch.rand(3, height, width, generator=torch.Generator().manual_seed(1)) * 2 - 1


def blob(size: int, x: float = 0, y: float = 0, sigma: float = 3) -> torch.Tensor:
    """A white spot on black, x and y pixels from the middle of a square picture."""
    place = torch.arange(size) + 0.5 - size / 2
    spot = torch.outer(*(torch.exp(-0.5 * ((place - at) / sigma) ** 2) for at in (y, x)))
    return (2 * spot - 1).expand(3, size, size)


def weigh(canvas: torch.Tensor) -> tuple[float, float, float]:
    """Where the light's centre lies, x and y from the canvas's middle, and how much there is."""
    light = (canvas[0].double() + 1) / 2
    height, width = light.shape
    x, y = (torch.arange(side) + 0.5 - side / 2 for side in (width, height))
    total = light.sum()
    return float((light.sum(0) * x).sum() / total), float((light.sum(1) * y).sum() / total), total


# -- Laying: where things lie ----------------------------------------------------------------------


@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize("rotate", [0, 360, -720])
def test_a_picture_of_the_canvas_s_size_stays_bit_for_bit(fit, rotate):
    picture = random_picture(32, 48) * 1.5
    assert torch.equal(lay(picture, (48, 32), Framing(fit, rotate=rotate)), picture)


CONTAIN, COVER = {"fit": "contain"}, {"fit": "cover"}
PLACES = [  # framing; where a picture of 8x8 lies on a canvas of 16x8: left, top, right, bottom
    (CONTAIN, (4, 0, 12, 8)),
    ({"fit": "blur"}, (4, 0, 12, 8)),
    (COVER, (0, 0, 16, 8)),
    ({"fit": "stretch"}, (0, 0, 16, 8)),
    ({"fit": "extend"}, (0, 0, 16, 8)),
    ({"fit": "extend", "zoom": 0.25}, (6, 2, 10, 6)),
    (CONTAIN | {"zoom": 0.5}, (6, 2, 10, 6)),
    ({"fit": "blur", "zoom": 0.5}, (6, 2, 10, 6)),
    (COVER | {"zoom": 0.25}, (6, 2, 10, 6)),
    ({"fit": "stretch", "zoom": 0.5}, (4, 2, 12, 6)),
    (CONTAIN | {"zoom": 3}, (0, 0, 16, 8)),
    (CONTAIN | {"pan_x": 0.25}, (6, 0, 14, 8)),
    (CONTAIN | {"pan_x": -0.75}, (0, 0, 6, 8)),
    (CONTAIN | {"pan_y": 0.25}, (4, 2, 12, 8)),
    (CONTAIN | {"pan_y": -0.25}, (4, 0, 12, 6)),
    (CONTAIN | {"pan_x": 0.25, "zoom": 0.5}, (7, 2, 11, 6)),
    ({"fit": "stretch", "pan_y": 0.25}, (0, 4, 16, 8)),
    (CONTAIN | {"pan_x": 3}, (0, 0, 0, 0)),
    ({"fit": "stretch", "zoom": 0.5, "rotate": 90}, (6, 0, 10, 8)),
]


@pytest.mark.parametrize(("framing", "place"), PLACES, ids=[str(place[0]) for place in PLACES])
def test_the_picture_lies_where_its_framing_says(framing, place):
    canvas = lay(torch.ones(3, 8, 8), (16, 8), Framing(**framing))
    left, top, right, bottom = place
    expected = torch.zeros(8, 16, dtype=torch.bool)
    expected[top:bottom, left:right] = True
    assert torch.equal(canvas[0] > 0.999, expected)
    assert canvas[0][~expected].lt(0.5).all()


@pytest.mark.parametrize(
    ("size", "rows", "columns"), [((4, 8), (0, 8), (2, 6)), ((8, 4), (2, 6), (0, 8))]
)
def test_cover_shows_the_middle(size, rows, columns):
    picture = random_picture(8, 8)
    canvas = lay(picture, size, Framing("cover"))
    assert torch.equal(canvas, picture[:, slice(*rows), slice(*columns)])


@pytest.mark.parametrize("rotate", [0, 90, 180, 270])
@pytest.mark.parametrize("zoom", [0.3, 0.77])
def test_a_border_between_pixels_is_blended(zoom, rotate):
    framing = Framing("contain", zoom=zoom, rotate=rotate, pan_x=0.013)
    canvas = lay(torch.ones(3, 16, 16), (32, 32), framing)
    assert float((canvas[0] + 1).sum() / 2) == pytest.approx((32 * zoom) ** 2, rel=1e-4)


def test_outside_the_picture_lies_the_background():
    canvas = lay(torch.zeros(3, 4, 4), (8, 4), Framing("contain", background=(255, 51, 0)))
    assert canvas[:, :, 0].T.tolist() == [pytest.approx([1, -0.6, -1])] * 4


def test_behind_a_blurred_fit_lies_the_picture_dark_and_soft_and_still():
    picture = random_picture(64, 64)
    canvases = [
        lay(picture, (128, 64), Framing("blur", **changes))
        for changes in ({"zoom": 0.5}, {"zoom": 0.4}, {"zoom": 0.5, "rotate": 33})
    ]
    outside = canvases[0][:, :, :30]
    assert torch.equal(outside, canvases[1][:, :, :30])
    assert torch.equal(outside, canvases[2][:, :, :30])
    assert outside.mean() < picture.mean() - 0.2
    assert outside.std() < picture.std() / 4


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_a_quarter_turn_goes_clockwise_and_changes_no_pixel(turns):
    picture = random_picture(16, 16)
    canvas = lay(picture, (16, 16), Framing("contain", rotate=90 * turns))
    assert torch.allclose(canvas, torch.rot90(picture, -turns, (1, 2)), atol=1e-4)


# -- Laying: how it moves --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fit", "scale_x", "scale_y"), [("contain", 2, 2), ("cover", 2.5, 2.5), ("stretch", 2.5, 2)]
)
def test_a_slow_zoom_is_even(fit, scale_x, scale_y):
    for zoom in np.geomspace(0.2, 1.3, 40):
        canvas = lay(blob(64, x=10, y=-6), (160, 128), Framing(fit, zoom=zoom))
        x, y, light = weigh(canvas)
        assert (x, y) == pytest.approx((10 * scale_x * zoom, -6 * scale_y * zoom), abs=0.01)
        assert light == pytest.approx(2 * math.pi * 9 * scale_x * scale_y * zoom**2, rel=2e-3)


@pytest.mark.parametrize("rotate", [0, 17])
def test_a_slow_move_is_even(rotate):
    cos, sin = math.cos(math.radians(rotate)), math.sin(math.radians(rotate))
    for pan in np.linspace(-0.1, 0.1, 11):
        framing = Framing("contain", pan_x=pan, pan_y=pan / 2, rotate=rotate)
        x, y, light = weigh(lay(blob(64, x=5), (96, 96), framing))
        expected = (96 * pan + 7.5 * cos, 48 * pan + 7.5 * sin)
        assert (x, y) == pytest.approx(expected, abs=0.01)
        assert light == pytest.approx(2 * math.pi * 9 * 1.5**2, rel=2e-3)


def test_a_slow_turn_is_even():
    for rotate in np.linspace(-30, 400, 43):
        x, y, light = weigh(lay(blob(64, x=12), (64, 64), Framing("contain", rotate=rotate)))
        turned = math.radians(rotate)
        assert (x, y) == pytest.approx((12 * math.cos(turned), 12 * math.sin(turned)), abs=0.01)
        assert light == pytest.approx(2 * math.pi * 9, rel=2e-3)


@pytest.mark.parametrize("pan", [0, 0.004])
def test_a_turn_begins_without_a_jump(pan):
    picture = random_picture(32, 32)
    still, turned = (
        lay(picture, (64, 64), Framing("contain", pan_x=pan, rotate=rotate)) for rotate in (0, 1e-4)
    )
    assert torch.allclose(still, turned, atol=1e-3)


def test_a_ramp_stays_straight():
    picture = torch.linspace(-1, 1, 32).expand(3, 32, 32)
    canvas = lay(picture, (128, 128), Framing("contain"))
    inner = canvas[0, 64, 12:-12]
    assert torch.allclose(inner.diff(), torch.full_like(inner[1:], 2 / 31 / 4), atol=1e-5)


def test_what_is_too_fine_for_the_canvas_turns_grey():
    checkers = (torch.arange(64)[:, None] + torch.arange(64)).remainder(2).mul(2.0).sub(1)
    canvas = lay(checkers.expand(3, 64, 64), (24, 24), Framing("contain"))
    assert canvas[:, 3:-3, 3:-3].abs().max() < 0.02


@settings(max_examples=60, deadline=None)
@given(
    fit=st.sampled_from(FITS),
    zoom=st.floats(1e-6, 1e4),
    pan_x=st.floats(-9, 9),
    pan_y=st.floats(-9, 9),
    rotate=st.floats(-720, 720),
    width=st.integers(1, 40),
    height=st.integers(1, 40),
)
def test_whatever_the_framing_a_flat_picture_stays_flat(
    fit, zoom, pan_x, pan_y, rotate, width, height
):
    framing = Framing(fit, zoom, pan_x, pan_y, rotate, background=(204, 204, 204))
    canvas = lay(torch.full((3, 9, 16), 0.6), (width, height), framing)
    assert canvas.shape == (3, height, width)
    lowest = 0.6 if fit != "blur" else 1.6 * pixels.BACKDROP_LIGHT - 1
    assert lowest - 1e-4 <= canvas.min()
    assert canvas.max() <= 0.6 + 1e-4


class OnlyFloat32(TorchDispatchMode):
    """Fails where a device would have to make float64 numbers, which not every device can."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        for tensor in result if isinstance(result, (tuple, list)) else [result]:
            if isinstance(tensor, torch.Tensor):
                assert not (tensor.is_meta and tensor.dtype == torch.float64), func
        return result


@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize("rotate", [0, 10])
def test_everything_happens_on_the_picture_s_device(fit, rotate):
    picture = torch.empty(3, 16, 16, dtype=torch.float16, device="meta")
    with OnlyFloat32():
        canvas = lay(picture, (64, 32), Framing(fit, zoom=0.7, rotate=rotate))
        assert (canvas.shape, canvas.dtype) == ((3, 32, 64), torch.float32)
        for made in (canvas, to_yuv420(canvas, 0), to_rgb8(canvas, 0)):
            assert made.is_meta


# -- Pixel formats ---------------------------------------------------------------------------------


def planes(yuv: torch.Tensor, height: int, width: int) -> list[torch.Tensor]:
    luma, blue, red = yuv.split([height * width, height * width // 4, height * width // 4])
    half = (height // 2, width // 2)
    return [luma.view(height, width), blue.view(half), red.view(half)]


def flat(red: float, green: float, blue: float, size: int = 128) -> torch.Tensor:
    return torch.tensor([red, green, blue])[:, None, None].expand(3, size, size)


COLOURS = {  # RGB in [-1, 1]; Y, Cb, Cr as tables of BT.709 give them, rounded
    "white": ((1, 1, 1), (235, 128, 128)),
    "black": ((-1, -1, -1), (16, 128, 128)),
    "grey": ((0, 0, 0), (126, 128, 128)),
    "red": ((1, -1, -1), (63, 102, 240)),
    "green": ((-1, 1, -1), (173, 42, 26)),
    "blue": ((-1, -1, 1), (32, 240, 118)),
    "yellow": ((1, 1, -1), (219, 16, 138)),
    "cyan": ((-1, 1, 1), (188, 154, 16)),
    "magenta": ((1, -1, 1), (78, 214, 230)),
    "brighter than white": ((1.7, 9, math.inf), (235, 128, 128)),
    "darker than black": ((-1.7, -9, -math.inf), (16, 128, 128)),
}


@pytest.mark.parametrize(("rgb", "yuv"), COLOURS.values(), ids=COLOURS)
def test_colours_have_their_bt709_levels(rgb, yuv):
    made = planes(to_yuv420(flat(*rgb), frame_index=7), 128, 128)
    means = [float(plane.double().mean()) for plane in made]
    assert means == pytest.approx(yuv, abs=0.51)
    for plane, mean in zip(made, means, strict=True):
        assert plane.min() >= math.floor(mean) and plane.max() <= math.ceil(mean)


@pytest.mark.parametrize("frame_index", [0, 1, 1234567])
def test_whole_levels_stay_as_they_are(frame_index):
    for level in range(16, 236):
        grey = (level - 16) / 219 * 2 - 1
        luma, blue, red = planes(to_yuv420(flat(grey, grey, grey, 64), frame_index), 64, 64)
        assert luma.eq(level).all() and blue.eq(128).all() and red.eq(128).all()
    levels = torch.arange(256).float()[:, None].expand(3, 256, 64)
    assert torch.equal(to_rgb8(levels / 127.5 - 1, frame_index)[..., 1], levels[1].byte())


@pytest.mark.parametrize(
    ("column", "shares"),
    [
        (0, {0: 3 / 4}),
        (1, {0: 1 / 4, 1: 1 / 4}),
        (2, {1: 1 / 2}),
        (3, {1: 1 / 4, 2: 1 / 4}),
        (6, {3: 1 / 2}),
        (7, {3: 1 / 4}),
    ],
)
def test_chroma_sits_on_the_even_columns(column, shares):
    canvas = torch.full((3, 4096, 8), -1.0)
    canvas[0, :, column] = 1  # a red line
    _, _, red = planes(to_yuv420(canvas, 0), 4096, 8)
    expected = [128 + 112 * shares.get(place, 0) for place in range(4)]
    assert red.double().mean(0).tolist() == pytest.approx(expected, abs=0.05)


@pytest.mark.parametrize("row", [0, 1, 4, 5, 7])
def test_chroma_sits_midway_between_two_rows(row):
    canvas = torch.full((3, 8, 4096), -1.0)
    canvas[0, row] = 1
    _, _, red = planes(to_yuv420(canvas, 0), 8, 4096)
    expected = [128 + 56 * (place == row // 2) for place in range(4)]
    assert red.double().mean(1).tolist() == pytest.approx(expected, abs=0.05)


@pytest.mark.parametrize("size", [(63, 64), (64, 63), (1, 1)])
def test_an_odd_canvas_has_no_420(size):
    height, width = size
    with pytest.raises(ValueError, match=f"canvas is {width}x{height}: 4:2:0 needs an even"):
        to_yuv420(torch.zeros(3, height, width), 0)


def planes10(yuv: torch.Tensor, height: int, width: int) -> list[torch.Tensor]:
    levels = torch.from_numpy(yuv.numpy().view("<i2").copy())
    luma, blue, red = levels.split([height * width, height * width // 2, height * width // 2])
    return [luma.view(height, width), *(each.view(height, width // 2) for each in (blue, red))]


@pytest.mark.parametrize(("rgb", "yuv"), COLOURS.values(), ids=COLOURS)
def test_colours_have_four_times_their_levels_in_10_bits(rgb, yuv):
    made = planes10(to_yuv422p10(flat(*rgb), frame_index=7), 128, 128)
    means = [float(plane.double().mean()) for plane in made]
    assert means == pytest.approx([4 * level for level in yuv], abs=2.04)
    for plane, mean in zip(made, means, strict=True):
        assert plane.min() >= math.floor(mean) and plane.max() <= math.ceil(mean)


def test_whole_levels_of_10_bits_stay_as_they_are():
    for level in range(64, 941, 7):
        grey = (level - 64) / 876 * 2 - 1
        luma, blue, red = planes10(to_yuv422p10(flat(grey, grey, grey, 64), 3), 64, 64)
        assert luma.eq(level).all() and blue.eq(512).all() and red.eq(512).all()


def test_chroma_of_422_has_every_row_and_the_even_columns():
    canvas = torch.full((3, 8, 4096), -1.0)
    canvas[0, 5] = 1
    _, _, red = planes10(to_yuv422p10(canvas, 0), 8, 4096)
    expected = [512 + 448 * (place == 5) for place in range(8)]
    assert red.double().mean(1).tolist() == pytest.approx(expected, abs=0.2)
    _, _, red = planes10(to_yuv422p10(canvas.transpose(1, 2).contiguous(), 0), 4096, 8)
    shares = {2: 1 / 4, 3: 1 / 4}  # of column 5, midway between two
    expected = [512 + 448 * shares.get(place, 0) for place in range(4)]
    assert red.double().mean(0).tolist() == pytest.approx(expected, abs=0.2)


def test_ten_bits_are_dithered_by_frame():
    canvas = random_picture(64, 64)
    first = to_yuv422p10(canvas, 5)
    assert not torch.equal(first, to_yuv422p10(canvas, 6))
    assert torch.equal(first, to_yuv422p10(canvas, 5))
    luma, _, _ = planes10(to_yuv422p10(flat(0.2341, 0.2341, 0.2341), 5), 128, 128)
    assert float(luma.double().mean()) == pytest.approx(64 + 876 * 1.2341 / 2, abs=0.01)


def test_an_odd_width_has_no_422():
    with pytest.raises(ValueError, match="canvas is 63x64: 4:2:2 needs an even width"):
        to_yuv422p10(torch.zeros(3, 64, 63), 0)


@pytest.mark.parametrize(
    ("pixel_format", "alone"),
    [
        ("yuv420p", to_yuv420),
        ("yuv422p10", to_yuv422p10),
        ("rgb24", lambda canvas, index: to_rgb8(canvas, index).flatten()),
    ],
)
def test_the_frames_of_an_output_are_those_of_its_pixel_format(pixel_format, alone):
    canvases = torch.stack([random_picture(16, 8), random_picture(16, 8).flip(1)])
    made = to_bytes(canvases, range(3, 5), pixel_format)
    assert made.shape == (2, frame_bytes(pixel_format, 8, 16))
    for frame, canvas, index in zip(made, canvases, range(3, 5), strict=True):
        assert torch.equal(frame, alone(canvas, index))


# -- Dither ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("part", [0.01, 0.25, 0.5, 0.77, 0.99])
def test_dither_keeps_the_mean_in_each_frame_and_at_each_pixel(part):
    canvas = flat(*[(100 + part) / 127.5 - 1] * 3, size=64)
    frames = torch.stack([to_rgb8(canvas, index) for index in range(128)]).double()
    assert (frames.mean(dim=(1, 2, 3)) - 100 - part).abs().max() < 0.005
    each_pixel = frames.mean(dim=0)
    assert each_pixel.sub(100 + part).abs().max() < 0.2
    assert set(frames.unique().tolist()) == {100, 101}


def test_a_gentle_ramp_has_no_bands():
    ramp = torch.linspace(100, 104, 512, dtype=torch.float64)
    canvas = (ramp / 127.5 - 1).float().expand(3, 64, 512)

    def error(levels: torch.Tensor) -> float:
        """The largest error that is left where the eye averages, in levels."""
        return float((levels.double() - ramp).unfold(1, 16, 16).mean(dim=(0, 2)).abs().max())

    assert error(to_rgb8(canvas, 3)[..., 0]) < 0.02
    assert error(ramp.round().expand(64, 512)) > 0.3  # what the test would see without


def test_dither_is_the_frame_s_own_and_always_the_same():
    canvas = random_picture(64, 64)
    first = to_yuv420(canvas, 5)
    assert not torch.equal(first, to_yuv420(canvas, 6))
    assert torch.equal(first, to_yuv420(canvas, 5))
    red, green, _ = to_rgb8(flat(0.001, 0.001, 0.001), 5).unbind(-1)
    assert not torch.equal(red, green)


def low_frequency_share(ranks: np.ndarray) -> float:
    """The mean power of the waves longer than 6 pixels, as a share of the mean power of all."""
    power = np.abs(np.fft.fft2(ranks / ranks.size - 0.5)) ** 2
    frequency = np.fft.fftfreq(len(ranks))
    low = np.hypot(frequency[:, None], frequency) < 1 / 6
    return float(power[low].mean() / power.mean())


def shipped_ranks() -> np.ndarray:
    return np.load(ROOT / "animix" / "engine" / "blue_noise.npy")


def made_ranks() -> np.ndarray:
    return runpy.run_path(str(ROOT / "tools" / "blue_noise.py"))["ranks"](size=32)


@pytest.mark.parametrize(("ranks", "size"), [(shipped_ranks, 64), (made_ranks, 32)])
def test_the_texture_is_blue_noise(ranks, size):
    texture = ranks()
    assert (texture.dtype, texture.shape) == (np.uint16, (size, size))
    assert np.array_equal(np.sort(texture.flat), np.arange(size**2))
    assert low_frequency_share(texture) < 0.03
    white = np.random.default_rng(0).permutation(size**2).reshape(size, size)
    assert low_frequency_share(white) > 0.7  # what the test would see otherwise


@pytest.mark.parametrize("side", [24, 48, 96])
def test_a_turn_begins_without_a_jump_in_sharpness(side):
    picture = torch.rand(3, 96, 96, generator=torch.Generator().manual_seed(0)) * 2 - 1
    framing = Framing("cover", zoom=1.5)
    straight = lay(picture, (side, side), framing)
    barely = lay(picture, (side, side), replace(framing, rotate=0.001))
    assert float((straight - barely).abs().max()) < 2e-3
