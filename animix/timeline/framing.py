"""Framing: how the picture lies on the canvas at one instant."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

from animix.errors import OptionError

Fit = Literal["blur", "cover", "contain", "stretch", "extend"]
FITS: tuple[Fit, ...] = get_args(Fit)


@dataclass(frozen=True)
class Framing:
    """Where the picture lies on the canvas in one frame.

    ``zoom`` multiplies the size that ``fit`` gives the picture, about the canvas's centre. What the
    picture leaves free shows ``background``; with ``blur`` a blurred copy of the picture instead.
    With ``extend`` the picture was painted for the canvas and covers it.
    """

    fit: Fit = "blur"
    zoom: float = 1.0
    pan_x: float = 0.0
    """Widths of the picture as it lies on the canvas; positive moves it to the right."""
    pan_y: float = 0.0
    """Widths of the picture as it lies on the canvas; positive moves it down."""
    rotate: float = 0.0
    """Degrees about the picture's own centre; positive turns clockwise."""
    background: tuple[int, int, int] = (0, 0, 0)
    """RGB, 0..255."""

    def __post_init__(self) -> None:
        if self.fit not in FITS:
            raise OptionError(f'fit is "{self.fit}": expected one of {", ".join(FITS)}')
        if not (math.isfinite(self.zoom) and self.zoom > 0):
            raise OptionError(
                f"zoom is {self.zoom}: expected a number above 0, 1 is the fit's size"
            )
        for name in ("pan_x", "pan_y", "rotate"):
            if not math.isfinite(getattr(self, name)):
                raise OptionError(f"{name} is {getattr(self, name)}: expected a finite number")
        red_green_blue = tuple(self.background)
        if len(red_green_blue) != 3 or not all(0 <= level <= 255 for level in red_green_blue):
            raise OptionError(
                f"background is {self.background}: expected red, green and blue, each 0 to 255"
            )
