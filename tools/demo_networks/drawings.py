"""Drawings: the pictures that the demo networks learn from, each a function of (domain, number).

DiceBear's “Lorelei” by Lisa Wischofsky and “Notionists” by Zoish, both CC0 1.0, drawn in random
colours, and what filters of ours make of them. A number gives the same face in every domain of
Lorelei, so a fine-tune has only its surface to learn, or only its shape.
"""

from __future__ import annotations

import colorsys
import functools
import io
import json
import random
import re
from collections.abc import Callable
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch.nn.functional import grid_sample

Picture = NDArray[np.uint8]
"""[size, size, 3]."""
Plane = NDArray[np.float64]
"""[size, size], 0 … 1 unless said otherwise."""

LORELEI = "DiceBear 'Lorelei' by Lisa Wischofsky (CC0 1.0)"
NOTIONISTS = "DiceBear 'Notionists' by Zoish (CC0 1.0)"

LORELEI_CROP = (0.16, 0.10, 0.72)  # left, top and side as shares of the frame: the head fills it
NOTIONISTS_CROP = (0.22, 0.10, 0.52)

SKINS = ["ffdbb4", "edb98a", "d08b5b", "ae5d29", "8d5524", "f2d3b1", "9e5622", "ffe0bd", "c68e7a"]

OVERSAMPLING = 2
"""Drawn so much larger and made smaller: ink is crisp, and does not flicker."""

TUNED_AT = 128
"""Widths below are in pixels of a picture of so many."""


@dataclass(frozen=True)
class Domain:
    """A look: how it is drawn, and whose drawings it is made from."""

    draw: Callable[[int, int], Picture]
    """From a number and a size in pixels."""
    source: str


def colour(number: int, size: int) -> Picture:
    """Lorelei in random colours of hair and skin, on a background of two hues."""
    rng = random.Random(number)
    return _composed(_lorelei(rng, number, size), _background(rng, size))


def neon(number: int, size: int) -> Picture:
    """The same drawing as glowing tubes of two hues on near-black."""
    from scipy.ndimage import gaussian_filter, gaussian_gradient_magnitude

    unit = size / TUNED_AT
    rng = random.Random(number + 7)
    grey, alpha = _ink(number, size)
    # Smooth tubes, 2 to 3 pixels wide at 128: an edge filter's dashes of one can't be learnt.
    slope = gaussian_gradient_magnitude(grey * alpha + (1 - alpha), 0.8 * unit) * unit
    tube = np.clip(slope * 3.5 - 0.15, 0, 1)
    near, far = gaussian_filter(tube, 1.2 * unit), gaussian_filter(tube, 5 * unit)
    hue = rng.random()
    first = np.array(colorsys.hsv_to_rgb(hue, 0.85, 1))
    last = np.array(colorsys.hsv_to_rgb((hue + 0.35) % 1, 0.9, 1))
    down = np.linspace(0, 1, size)[:, None, None]
    light = first * (1 - down) + last * down
    hair = ((1 - grey) * alpha)[..., None]
    picture = np.array([0.03, 0.02, 0.08]) + light * (0.9 * near + 1.5 * far)[..., None]
    picture += 0.45 * tube[..., None] ** 2 + light[::-1] * hair * 0.22
    return _picture(picture)


def relief(number: int, size: int) -> Picture:
    """The same drawing embossed in gold, copper, blue or pink enamel, lit from above."""
    from scipy.ndimage import gaussian_filter

    unit = size / TUNED_AT
    rng = np.random.default_rng(number)
    grey, alpha = _ink(number, size)
    grain = gaussian_filter(rng.normal(0, 1, (TUNED_AT, TUNED_AT)), 1.2) * 0.35
    height = gaussian_filter(alpha, 7 * unit) * 30 + gaussian_filter(alpha, 2.5 * unit) * 9
    height += gaussian_filter(grey * alpha, 0.8 * unit) * 4 + _enlarged(grain, size)
    dy, dx = np.gradient(height, 1 / unit)
    normal = np.stack([-dx, -dy, np.full_like(dx, 1.6)], axis=-1)
    normal /= np.linalg.norm(normal, axis=-1, keepdims=True)
    turn = rng.uniform(3.4, 4.6)
    light = _unit([np.cos(turn), np.sin(turn), 0.75])
    matt = np.clip(normal @ light, 0, 1)[..., None]
    glint = np.clip(normal @ _unit(light + np.array([0, 0, 1])), 0, 1)[..., None] ** 28
    hue = float(rng.choice([0.11, 0.11, 0.06, 0.55, 0.93]))
    metal = np.array(colorsys.hsv_to_rgb(hue, 0.72, 0.95))
    ground = np.array(colorsys.hsv_to_rgb((hue + 0.5) % 1, 0.55, 0.22))
    inside = gaussian_filter(alpha, 0.7 * unit)[..., None]
    figure = metal * (0.18 + 0.95 * matt) + 0.9 * glint
    return _picture(figure * inside + (ground * (0.5 + 0.8 * matt) + 0.15 * glint) * (1 - inside))


def goblin(number: int, size: int) -> Picture:
    """The same drawing with huge eyes, a swollen skull, a pointed chin and green or blue skin."""
    rng = random.Random(number)
    large = size * OVERSAMPLING
    skin = _hex(0.22 + 0.4 * rng.random(), rng.uniform(0.3, 0.6), rng.uniform(0.6, 0.9))
    frame = _lorelei(rng, number, large, skin, crop=(0, 0, 1))
    picture = Image.fromarray(_composed(_swollen(frame, large), _background(rng, large)))
    return np.asarray(picture.resize((size, size), Image.Resampling.LANCZOS))


def notion(number: int, size: int) -> Picture:
    """Notionists in two colours: another hand, other heads, other hair."""
    rng = random.Random(number + 5)
    options = {
        "inkColor": [_hex(rng.random(), 0.8, 0.3)],
        "paperColor": [_hex(rng.random(), 0.12, 1)],
        "gestureProbability": 0,
    }
    figure = _drawn("notionists", number, options, size, NOTIONISTS_CROP)
    ground = Image.new("RGBA", (size, size), _hex(rng.random(), 0.35, 0.95))
    return _composed(figure, ground)


DOMAINS = {
    "colour": Domain(colour, f"{LORELEI}, drawn in colour"),
    "neon": Domain(neon, f"{LORELEI}, drawn as neon tubes"),
    "relief": Domain(relief, f"{LORELEI}, drawn as embossed metal"),
    "goblin": Domain(goblin, f"{LORELEI}, drawn in colour and swollen"),
    "notion": Domain(notion, f"{NOTIONISTS}, drawn in two colours"),
}


def _lorelei(
    rng: random.Random,
    number: int,
    size: int,
    skin: str | None = None,
    crop: tuple[float, float, float] = LORELEI_CROP,
) -> Image.Image:
    hair = _hex(rng.random(), rng.uniform(0.5, 0.95), rng.uniform(0.3, 0.95))
    chosen = "#" + rng.choice(SKINS)
    options = {
        "skinColor": [skin or chosen],
        "hairColor": [hair],
        "glassesColor": [_hex(rng.random(), 0.8, 0.45)],
        "earringsColor": ["#ffd700"],
        "mouthColor": ["#8b1a2b"],
        "hairAccessoriesColor": ["#ff3b7f"],
    }
    return _drawn("lorelei", number, options, size, crop)


def _ink(number: int, size: int) -> tuple[Plane, Plane]:
    """Lorelei in black and white, and where the figure is."""
    figure = _drawn("lorelei", number, {}, size, LORELEI_CROP)
    page = Image.new("RGBA", figure.size, "white")
    page.alpha_composite(figure)
    return np.asarray(page.convert("L")) / 255, np.asarray(figure.getchannel("A")) / 255


def _drawn(
    style: str,
    number: int,
    options: dict[str, Any],
    size: int,
    crop: tuple[float, float, float],
) -> Image.Image:
    """A style's drawing, cropped, RGBA [size, size]."""
    import resvg_py
    from dicebear import Avatar

    left, top, side = crop
    svg = Avatar(_style(style), {"seed": f"a{number}", "size": size, **options}).to_string()
    # Only what is kept is drawn: a view into the frame, whose sides are equal.
    frame = re.search(r'viewBox="0 0 (\d+) ', svg)
    assert frame is not None
    unit = int(frame[1])
    view = f'viewBox="{left * unit} {top * unit} {side * unit} {side * unit}"'
    svg = re.sub(r'viewBox="[^"]*"', view, svg, count=1)
    large = size * OVERSAMPLING
    png = bytes(resvg_py.svg_to_bytes(svg_string=svg, width=large, height=large))
    picture = Image.open(io.BytesIO(png)).convert("RGBA")
    return picture.resize((size, size), Image.Resampling.LANCZOS)


@functools.cache
def _style(name: str) -> Any:
    from dicebear import Style

    return Style(json.loads(files("dicebear_styles").joinpath(f"{name}.json").read_text("utf-8")))


@functools.cache
def _swelling(size: int) -> torch.Tensor:
    """Where each pixel comes from in the frame, in units of grid_sample: [1, size, size, 2].

    The middle, where the eyes are, becomes large, and the jaw narrow.
    """
    y, x = np.mgrid[0:size, 0:size] / size
    middle_y, middle_x, radius = 0.44, 0.60, 0.52
    narrow = 1 + 0.9 * np.clip(y - 0.55, 0, 1)
    dy, dx = y - middle_y, (x - middle_x) * narrow
    distance = np.hypot(dy, dx) / radius
    pull = np.where(distance < 1, 0.42 + 0.58 * np.clip(distance, 0, 1) ** 1.2, 1)
    left, top, side = LORELEI_CROP
    places = np.stack([left + side * (middle_x + dx * pull), top + side * (middle_y + dy * pull)])
    return torch.from_numpy(2 * places - 1).permute(1, 2, 0)[None].float()


def _swollen(frame: Image.Image, size: int) -> Image.Image:
    """A figure in its whole frame, swollen and cropped: RGBA [size, size]."""
    # Alpha goes ahead of the colours, or transparent black would darken every edge.
    planes = torch.from_numpy(np.array(frame)).permute(2, 0, 1)[None].float() / 255
    planes[:, :3] *= planes[:, 3:]
    moved = grid_sample(planes, _swelling(size), padding_mode="border", align_corners=False)
    moved[:, :3] /= moved[:, 3:].clamp(min=1e-6)
    levels = (moved[0].clamp(0, 1) * 255 + 0.5).byte().permute(1, 2, 0)
    return Image.fromarray(levels.numpy())


def _background(rng: random.Random, size: int) -> Image.Image:
    hue = rng.random()
    top = np.array(colorsys.hsv_to_rgb(hue, 0.55, 0.95))
    bottom = np.array(colorsys.hsv_to_rgb((hue + 0.12) % 1, 0.65, 0.75))
    down = np.linspace(0, 1, size)[:, None, None]
    picture = _picture((top * (1 - down) + bottom * down) * np.ones((size, size, 1)))
    return Image.fromarray(picture).convert("RGBA")


def _composed(figure: Image.Image, ground: Image.Image) -> Picture:
    ground.alpha_composite(figure)
    return np.asarray(ground.convert("RGB"))


def _picture(values: NDArray[np.float64]) -> Picture:
    return (np.clip(values, 0, 1) * 255 + 0.5).astype(np.uint8)


def _enlarged(plane: Plane, size: int) -> Plane:
    image = Image.fromarray(plane.astype(np.float32))
    return np.asarray(image.resize((size, size), Image.Resampling.BICUBIC), dtype=np.float64)


def _unit(vector: Any) -> NDArray[np.float64]:
    values = np.asarray(vector, dtype=np.float64)
    return values / np.linalg.norm(values)


def _hex(hue: float, saturation: float, value: float) -> str:
    red, green, blue = (round(255 * c) for c in colorsys.hsv_to_rgb(hue % 1, saturation, value))
    return f"#{red:02x}{green:02x}{blue:02x}"
