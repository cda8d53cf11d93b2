"""Draws docs/eases.svg from the table of eases; a test says when it is out of date."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from animix.timeline.eases import EASES, parse_ease, progress

PAGE = Path(__file__).parent.parent / "docs" / "eases.svg"

EXAMPLES = {
    "steps": ("steps 4",),
    "bezier": ("bezier .2 0 .3 1",),
    "spring": ("spring", "spring 0.6"),
}
"""What stands for an ease that takes numbers."""

COLUMNS = 8
TILE = 112
"""Pixels from one drawing to the next."""
PLOT = 52
"""Pixels that 0 to 1 takes, either way: overshoots stand out of it."""
POINTS = 121


def eases_page() -> str:
    """The drawing of all eases, in the table's order: time to the right, progress upwards."""
    texts = [text for name in EASES for text in EXAMPLES.get(name, (name,))]
    rows = -(-len(texts) // COLUMNS)
    size = f'width="{COLUMNS * TILE}" height="{rows * TILE}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" font-size="11">',
        "<title>The eases of animix: time to the right, progress upwards</title>",
        # A light ground of its own: pages are dark or light.
        '<rect width="100%" height="100%" rx="6" fill="#fafafa"/>',
    ]
    for number, text in enumerate(texts):
        row, column = divmod(number, COLUMNS)
        parts.append(_tile(text, column * TILE, row * TILE))
    return "\n".join([*parts, "</svg>", ""])


def _tile(text: str, x: int, y: int) -> str:
    u = np.linspace(0.0, 1.0, POINTS)
    left, bottom = x + (TILE - PLOT) // 2, y + 26 + PLOT
    along, up = left + PLOT * u, bottom - PLOT * progress(parse_ease(text), u)
    points = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(along, up, strict=True))
    frame = f'<rect x="{left}" y="{bottom - PLOT}" width="{PLOT}" height="{PLOT}" fill="none"'
    return "\n".join(
        [
            f'{frame} stroke="#d0d0d0"/>',
            f'<polyline points="{points}" fill="none" stroke="#c2255c" stroke-width="2"/>',
            f'<text x="{x + TILE // 2}" y="{bottom + 26}" text-anchor="middle" fill="#333">'
            f"{text}</text>",
        ]
    )


if __name__ == "__main__":
    PAGE.write_text(eases_page(), encoding="utf-8")
