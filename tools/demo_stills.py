"""Draws docs/demo.png: stills of the demo at five moments, with what its timeline says there."""

from __future__ import annotations

from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

import animix
from animix import demo
from animix.film import open_film

TARGET = Path(__file__).parent.parent / "docs" / "demo.png"

MOMENTS = {
    "0s": "faces alone",
    "1s": "swap at 45 px",
    "2s": "swap at 8 px",
    "6s": "third, alpha 1",
    "10.5s": "last snapshot",
}

SIDE = 256
CAPTION = 24


def main() -> None:
    film = open_film(animix.load_timeline(demo.TIMELINE))
    page = Image.new("RGB", (len(MOMENTS) * SIDE, SIDE + CAPTION), "white")
    pen, font = ImageDraw.Draw(page), ImageFont.load_default(15)
    for place, (moment, caption) in enumerate(MOMENTS.items()):
        still = Image.fromarray(film.rgb8(film.schedule.frame_at(moment)))
        page.paste(still.resize((SIDE, SIDE), Image.Resampling.LANCZOS), (place * SIDE, 0))
        pen.text((place * SIDE + 6, SIDE + 2), f"{moment}  {caption}", fill="black", font=font)
    page.save(TARGET, optimize=True)
    print(TARGET)


if __name__ == "__main__":
    main()
