"""Sheets: numbered pictures on one page, to find the seeds that one wants."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from animix.engine.device import choose_device, exact
from animix.engine.pixels import lay, to_rgb8
from animix.errors import OptionError
from animix.film import open_film
from animix.latents import z_of_seed
from animix.networks.load import load_network
from animix.networks.network import Network
from animix.progress import Progress
from animix.timeline.framing import Framing
from animix.timeline.reader import load_timeline

MAX_SEEDS = 2000
LABEL_HEIGHT = 18
GAP = 4


@dataclass(frozen=True)
class SeedPainter:
    """Paints seeds: of a network one picture each, of a timeline's moment base and blend."""

    network: Network
    """Whose mapping decides where a seed lies in W."""
    label: NDArray[np.float32] | None
    """[1, c_dim] for conditional networks."""
    num_views: int
    paint: Callable[[int], list[Tensor]]
    """A seed's pictures [3, h, w], from left to right."""

    def w(self, seeds: Sequence[int]) -> Tensor:
        """The w of seeds: [N, w_dim]."""
        zs = np.concatenate([z_of_seed(seed, self.network.z_dim) for seed in seeds])
        label = None if self.label is None else np.repeat(self.label, len(seeds), axis=0)
        with exact(self.network.device):
            return self.network.mapping(zs, label)[:, 0]


def seed_painter(
    file: Path,
    *,
    at: str = "50%",
    overrides: Mapping[str, str] | None = None,
    device: str | None = None,
) -> SeedPainter:
    """The painter for a network, or for a timeline at one moment."""
    if file.suffix.lower() in (".yaml", ".yml"):
        return _of_timeline(file, at, overrides or {}, device)
    if overrides:
        raise OptionError(f"--set changes a timeline, but {file} is read as a network")
    network = load_network(file).to(choose_device(device))
    label = np.eye(network.c_dim, dtype=np.float32)[:1] if network.c_dim else None

    def paint(seed: int) -> list[Tensor]:
        ws = network.mapping(z_of_seed(seed, network.z_dim), label, truncation_psi=0.7)
        return [network.synthesis(ws)[0]]

    return SeedPainter(network, label, 1, paint)


def _of_timeline(
    file: Path, at: str, overrides: Mapping[str, str], device: str | None
) -> SeedPainter:
    film = open_film(load_timeline(file, overrides), device=device)
    blended = film.schedule.row(film.schedule.frame_at(at))
    base = replace(blended, mix=film.schedule.mix(blended.index, num_overlays=0))
    label = None
    if blended.labels:
        label = np.zeros((1, film.engine.home.c_dim), np.float32)
        label[0, [number for number, _ in blended.labels]] = [share for _, share in blended.labels]

    def paint(seed: int) -> list[Tensor]:
        return [
            film.engine.picture(replace(row, latents=((seed, 1.0),))) for row in (base, blended)
        ]

    return SeedPainter(film.engine.home, label, 2, paint)


def parse_seeds(text: str) -> list[int]:
    """Seeds as a user writes them, ranges with both ends.

    >>> parse_seeds("1..4"), parse_seeds("7,42,3..5")
    ([1, 2, 3, 4], [7, 42, 3, 4, 5])
    """
    seeds: list[int] = []
    for part in text.split(","):
        match = re.fullmatch(r"\s*(\d{1,10})(?:\s*\.\.\s*(\d{1,10}))?\s*", part)
        if not match:
            raise OptionError(f'"{text}" is not a range of seeds; expected 1..200 or 3,17,42')
        first, last = int(match[1]), int(match[2] or match[1])
        if last < first or last >= 2**32:
            raise OptionError(f'"{part}": seeds go up, from 0 to 4294967295')
        if len(seeds) + last - first >= MAX_SEEDS:
            raise OptionError(f'"{text}" is more than {MAX_SEEDS} seeds, the most for one sheet')
        seeds += range(first, last + 1)
    return list(dict.fromkeys(seeds))


def by_closeness(painter: SeedPainter, seeds: Sequence[int], like: int) -> list[int]:
    """Seeds ordered by their distance from another in W, the closest first."""
    if not 0 <= like < 2**32:
        raise OptionError(f"--like {like}: a seed is a whole number from 0 to 4294967295")
    distances = (painter.w(seeds) - painter.w([like])).norm(dim=1)
    return [seeds[place] for place in torch.argsort(distances, stable=True).tolist()]


class SeedSheet:
    """A page of numbered tiles: ``draw`` fills it, ``image`` shows what is drawn so far."""

    def __init__(self, painter: SeedPainter, seeds: Sequence[int]) -> None:
        self.seeds = tuple(seeds)
        self._painter = painter
        self._tile = min(painter.network.img_resolution, 256 if len(seeds) <= 60 else 128)
        self._cell = (painter.num_views * self._tile + GAP, self._tile + LABEL_HEIGHT + GAP)
        # About as wide as high, whatever the shape of a cell.
        self._columns = max(1, round(math.sqrt(len(seeds) * self._cell[1] / self._cell[0])))
        rows = math.ceil(len(seeds) / self._columns)
        size = (self._columns * self._cell[0] + GAP, rows * self._cell[1] + GAP)
        self.image = Image.new("RGB", size, "white")

    def draw(self) -> Iterator[Progress]:
        """Paint tile after tile and yield how far it is."""
        started = time.monotonic()
        pen = ImageDraw.Draw(self.image)
        font = ImageFont.load_default(13)
        for place, seed in enumerate(self.seeds):
            row, column = divmod(place, self._columns)
            left, top = GAP + column * self._cell[0], GAP + row * self._cell[1]
            with exact(self._painter.network.device):
                for view, picture in enumerate(self._painter.paint(seed)):
                    laid = lay(picture, (self._tile, self._tile), Framing(fit="stretch"))
                    tile = Image.fromarray(to_rgb8(laid, 0).cpu().numpy())
                    self.image.paste(tile, (left + view * self._tile, top))
            pen.text((left + 2, top + self._tile + 1), str(seed), fill="black", font=font)
            yield Progress(place + 1, len(self.seeds), time.monotonic() - started)
