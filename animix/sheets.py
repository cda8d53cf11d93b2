"""Sheets: numbered pictures on one page, to find seeds and to see networks side by side."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from animix.checkpoints.load import load_network
from animix.engine.device import choose_device, painting
from animix.engine.pixels import lay, to_rgb8
from animix.errors import OptionError
from animix.film import open_film
from animix.latents import z_of_seed
from animix.networks.network import Network
from animix.progress import Progress
from animix.schedule import Row
from animix.timeline.framing import Framing
from animix.timeline.reader import DEFAULT_TRUNCATION, load_timeline

LABEL_HEIGHT = 18
GAP = 4
LABEL_SIZE = 13


@dataclass(frozen=True)
class SeedPainter:
    """Paints seeds: of a network one picture each, of a timeline's moment base and blend."""

    device: torch.device
    img_resolution: int
    num_views: int
    w: Callable[[int], Tensor]
    """Where a seed lies in W, before truncation: [w_dim]."""
    paint: Callable[[int], list[Tensor]]
    """A seed's pictures [3, h, w], from left to right."""


def seed_painter(
    file: Path,
    *,
    at: str | None = None,
    overrides: Mapping[str, str] | None = None,
    device: str | None = None,
) -> SeedPainter:
    """The painter for a network, or for a timeline at one moment (None: its middle)."""
    if file.suffix.lower() in (".yaml", ".yml"):
        return _of_timeline(file, at or "50%", overrides or {}, device)
    if overrides or at is not None:
        raise OptionError(f"--set and --at are for timelines, but {file} is read as a network")
    network = load_network(file).to(choose_device(device))
    label = np.eye(network.c_dim, dtype=np.float32)[:1] if network.c_dim else None

    def mapped(seed: int, psi: float) -> Tensor:
        return network.mapping(z_of_seed(seed, network.z_dim), label, truncation_psi=psi)

    return SeedPainter(
        device=network.device,
        img_resolution=network.img_resolution,
        num_views=1,
        w=lambda seed: mapped(seed, 1)[0, 0],
        paint=lambda seed: [network.synthesis(mapped(seed, DEFAULT_TRUNCATION))[0]],
    )


def _of_timeline(
    file: Path, at: str, overrides: Mapping[str, str], device: str | None
) -> SeedPainter:
    film = open_film(load_timeline(file, overrides), device=device)
    blended = film.schedule.row(film.schedule.frame_at(at))
    base = replace(blended, mix=film.schedule.mix(blended.index, num_overlays=0))

    def at_seed(row: Row, seed: int) -> Row:
        return replace(row, latents=((seed, 1.0),), space="w")

    untruncated = replace(base, psi=np.ones_like(base.psi))
    return SeedPainter(
        device=film.engine.device,
        img_resolution=film.engine.facts.img_resolution,
        num_views=2,
        w=lambda seed: film.engine.ws(at_seed(untruncated, seed))[0],
        paint=lambda seed: [film.engine.picture(at_seed(row, seed)) for row in (base, blended)],
    )


def by_closeness(painter: SeedPainter, seeds: Sequence[int], like: int) -> list[int]:
    """Seeds ordered by their distance from another in W, the closest first."""
    with painting(painter.device):
        favourite = painter.w(like)
        distances = torch.stack([(painter.w(seed) - favourite).norm() for seed in seeds])
    return [seeds[place] for place in torch.argsort(distances, stable=True).tolist()]


class SeedSheet:
    """A page of numbered tiles: ``draw`` fills it, ``image`` shows what is drawn so far."""

    def __init__(self, painter: SeedPainter, seeds: Sequence[int]) -> None:
        self.seeds = tuple(seeds)
        self._painter = painter
        self._tile = min(painter.img_resolution, 256 if len(seeds) <= 60 else 128)
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
        font = ImageFont.load_default(LABEL_SIZE)
        for place, seed in enumerate(self.seeds):
            row, column = divmod(place, self._columns)
            left, top = GAP + column * self._cell[0], GAP + row * self._cell[1]
            with painting(self._painter.device):
                for view, picture in enumerate(self._painter.paint(seed)):
                    place_of_view = (left + view * self._tile, top)
                    self.image.paste(tile_of(picture, self._tile), place_of_view)
            pen.text((left + 2, top + self._tile + 1), str(seed), fill="black", font=font)
            yield Progress(place + 1, len(self.seeds), time.monotonic() - started)


class NetworkGrid:
    """A page with a row for each seed and a column for each network, named at the top.

    All columns show the same w, which is the first network's; so their mappings have to be alike.
    """

    def __init__(
        self,
        networks: Sequence[tuple[str, Network]],
        seeds: Sequence[int],
        device: torch.device,
    ) -> None:
        self._networks = [(name, network.to(device)) for name, network in networks]
        self._seeds = tuple(seeds)
        self._device = device
        self._tile = min(networks[0][1].img_resolution, 256)
        # Names need some room even over tiny pictures.
        self._cell = max(self._tile, 96) + GAP
        self._font = ImageFont.load_default(LABEL_SIZE)
        self._margin = 2 * GAP + math.ceil(max(self._font.getlength(str(s)) for s in seeds))
        size = (
            self._margin + len(networks) * self._cell,
            LABEL_HEIGHT + len(seeds) * (self._tile + GAP) + 2 * GAP,
        )
        self.image = Image.new("RGB", size, "white")

    def draw(self) -> Iterator[Progress]:
        """Paint picture after picture and yield how far it is."""
        started = time.monotonic()
        pen = ImageDraw.Draw(self.image)
        total = len(self._seeds) * len(self._networks)
        (_, first), *_ = self._networks
        label = np.eye(first.c_dim, dtype=np.float32)[:1] if first.c_dim else None
        for column, (name, _) in enumerate(self._networks):
            left = self._margin + column * self._cell
            text = _fitting(name, self._font, self._cell - GAP)
            pen.text((left, GAP // 2), text, "black", self._font)
        for row, seed in enumerate(self._seeds):
            top = LABEL_HEIGHT + GAP + row * (self._tile + GAP)
            middle = top + (self._tile - LABEL_SIZE) // 2
            pen.text((GAP, middle), str(seed), "black", self._font)
            with painting(self._device):
                z = z_of_seed(seed, first.z_dim)
                ws = first.mapping(z, label, truncation_psi=DEFAULT_TRUNCATION)
            for column, (_, network) in enumerate(self._networks):
                with painting(self._device):
                    tile = tile_of(network.synthesis(ws)[0], self._tile)
                self.image.paste(tile, (self._margin + column * self._cell, top))
                done = row * len(self._networks) + column + 1
                yield Progress(done, total, time.monotonic() - started)


def tile_of(picture: Tensor, side: int) -> Image.Image:
    """A picture [3, h, w] in [-1, 1] as a square of ``side`` pixels."""
    laid = lay(picture, (side, side), Framing(fit="stretch"))
    return Image.fromarray(to_rgb8(laid, 0).cpu().numpy())


def _fitting(text: str, font: ImageFont.ImageFont | ImageFont.FreeTypeFont, width: int) -> str:
    """A text cut in its middle where it is too wide: both ends of a file's name tell it apart."""
    if font.getlength(text) <= width:
        return text
    for kept in range(len(text) - 1, 1, -1):
        cut = f"{text[: kept // 2]}…{text[len(text) - (kept - kept // 2) :]}"
        if font.getlength(cut) <= width:
            return cut
    return "…"
