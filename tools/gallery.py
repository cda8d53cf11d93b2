"""Renders the gallery of the README: timelines as small moving pictures, in docs/gallery."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from PIL import Image

import animix
from animix.film import open_film

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "docs" / "gallery"

SIZES = {
    "grid": (768, 512),
    "sweep": (256, 256),
    "stack": (256, 256),
    "snapshots": (256, 256),
    "loop": (256, 256),
    "reel": (216, 384),
}
"""The timelines, each with its picture's width and height."""
FPS = 15
QUALITIES = (75, 65, 55, 45)
"""The best of these with which the gallery fits is taken."""
BUDGET = 6_000_000
"""Bytes, of all pictures together: a page that everybody loads."""


def frames_of(name: str) -> list[Image.Image]:
    """All frames of a timeline, at the gallery's size and rate."""
    width, height = SIZES[name]
    output = f"{{preset: png, size: {width}x{height}, fps: {FPS}}}"
    film = open_film(animix.load_timeline(ROOT / "timelines" / f"{name}.yaml", {"output": output}))
    frames = film.frames(range(film.schedule.num_frames))
    return [Image.fromarray(np.reshape(frame, (height, width, 3))) for frame in frames]


def webp(frames: list[Image.Image], quality: int) -> bytes:
    """An animated WebP that plays for ever."""
    file = io.BytesIO()
    # Times are whole milliseconds: rounding each frame's end keeps them from adding up.
    ends = [round(1000 * number / FPS) for number in range(len(frames) + 1)]
    frames[0].save(
        file,
        "WEBP",
        save_all=True,
        append_images=frames[1:],
        duration=np.diff(ends).tolist(),
        loop=0,
        quality=quality,
        method=4,
    )
    return file.getvalue()


def gallery() -> dict[str, bytes]:
    """The pictures by name, at the best quality with which they keep to the budget."""
    films = {name: frames_of(name) for name in SIZES}
    for quality in QUALITIES:
        pictures = {name: webp(frames, quality) for name, frames in films.items()}
        total = sum(map(len, pictures.values()))
        print(f"quality {quality}: {total:,} bytes")
        if total <= BUDGET:
            return pictures
    sizes = ", ".join(f"{name} {len(data):,}" for name, data in pictures.items())
    raise SystemExit(
        f"the gallery takes {total:,} bytes even at quality {quality}, but may take {BUDGET:,} "
        f"({sizes}): shorten a timeline, or lower FPS or SIZES"
    )


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    for name, data in gallery().items():
        target = FOLDER / f"{name}.webp"
        target.write_bytes(data)
        print(f"{target}  {len(data):,} bytes")


if __name__ == "__main__":
    main()
