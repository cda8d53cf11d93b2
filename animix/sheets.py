"""Sheets: numbered pictures on one page, to find seeds and to see networks side by side."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from animix.checkpoints.load import load_network
from animix.checkpoints.store import Store
from animix.engine.device import choose_device, painting
from animix.engine.pixels import lay, to_rgb8
from animix.errors import NetworkError, OptionError
from animix.film import Film, open_film
from animix.latents import ws_of_seed
from animix.lettering import fitting
from animix.networks.network import Network
from animix.progress import Progress
from animix.schedule import PathPoint, Row
from animix.timeline.framing import Framing
from animix.timeline.reader import DEFAULT_TRUNCATION, is_timeline, load_timeline
from animix.timeline.timeline import Timeline

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
    files: tuple[Path, ...]
    """What is read for them."""


def seed_painter(
    file: Path,
    *,
    at: str | None = None,
    overrides: Mapping[str, str] | None = None,
    only: Sequence[str] = (),
    device: str | None = None,
    precision: str | None = None,
) -> SeedPainter:
    """The painter for a network, or for a timeline at one moment (None: its middle)."""
    if is_timeline(file):
        timeline = load_timeline(file, overrides, only)
        return _of_timeline(timeline, at or "50%", device, precision)
    if overrides or only or at is not None:
        message = f"--set, --only and --at are for timelines, but {file} is read as a network"
        raise OptionError(message)
    if precision not in (None, "float32"):
        raise OptionError(f"--precision {precision}: a network's seeds are painted in float32")
    chosen = choose_device(device)
    opened = load_network(file)
    with painting_seeds(chosen):
        network = opened.to(chosen)
    return SeedPainter(
        device=chosen,
        img_resolution=network.img_resolution,
        num_views=1,
        w=lambda seed: ws_of_seed(network, seed)[0, 0],
        paint=lambda seed: [
            picture_of(str(file), network, ws_of_seed(network, seed, DEFAULT_TRUNCATION))
        ],
        files=(file,),
    )


def _of_timeline(
    timeline: Timeline, at: str, device: str | None, precision: str | None
) -> SeedPainter:
    with painting_seeds(choose_device(device)):
        film = open_film(timeline, device=device, precision=precision)
    blended = film.schedule.row(film.schedule.frame_at(at))
    base = replace(blended, mix=film.schedule.mix(blended.index, num_overlays=0))

    everywhere = range(film.schedule.facts.num_ws)

    def at_seed(row: Row, seed: int) -> Row:
        return replace(row, points=(PathPoint(everywhere, ((seed, 1.0),), "w"),))

    untruncated = replace(base, psi=np.ones_like(base.psi), edits=())
    return SeedPainter(
        device=film.engine.device,
        img_resolution=film.engine.facts.img_resolution,
        num_views=2,
        w=lambda seed: film.engine.ws(at_seed(untruncated, seed))[0],
        paint=lambda seed: list(film.pictures([at_seed(row, seed) for row in (base, blended)])),
        files=film.files,
    )


def painting_seeds(device: torch.device) -> AbstractContextManager[None]:
    """As ``painting``, with advice for pictures that can't be made smaller."""
    on_cpu = device.type == "cpu"
    return painting(device, "use a machine with more" if on_cpu else "try --device cpu")


def picture_of(name: str, network: Network, ws: Tensor) -> Tensor:
    """The picture [3, h, w] of ws [1, num_ws, w_dim]; NetworkError where numbers overflow."""
    picture = network.synthesis(ws)[0] if bool(torch.isfinite(ws).all()) else ws
    if not bool(torch.isfinite(picture).all()):
        raise NetworkError(f"{name} makes no picture: its numbers overflow")
    return picture


def by_closeness(painter: SeedPainter, seeds: Sequence[int], like: int) -> list[int]:
    """Seeds ordered by their distance from another in W, the closest first."""
    with painting_seeds(painter.device):
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
            with painting_seeds(self._painter.device):
                for view, picture in enumerate(self._painter.paint(seed)):
                    place_of_view = (left + view * self._tile, top)
                    self.image.paste(tile_of(picture, self._tile), place_of_view)
            pen.text((left + 2, top + self._tile + 1), str(seed), fill="black", font=font)
            yield Progress(place + 1, len(self.seeds), time.monotonic() - started)


class VariantSheet:
    """A page with a still of each variant, as it lies on its canvas, and what tells it apart.

    Networks that variants share are read once; one film is open at a time.
    """

    def __init__(
        self,
        timelines: Sequence[Timeline],
        at: str = "50%",
        *,
        device: str | None = None,
        precision: str | None = None,
    ) -> None:
        self._timelines = tuple(timelines)
        self._at = at
        self._device = device
        self._precision = precision
        self._side = 256 if len(timelines) <= 60 else 128
        self._tiles: list[Image.Image] = []

    def draw(self) -> Iterator[Progress]:
        """Paint still after still and yield how far it is."""
        started = time.monotonic()
        store = Store()
        for number, timeline in enumerate(self._timelines, start=1):
            self._tiles.append(self._still(timeline, store))
            yield Progress(number, len(self._timelines), time.monotonic() - started)

    def _still(self, timeline: Timeline, store: Store) -> Image.Image:
        with painting_seeds(choose_device(self._device)):
            film = open_film(timeline, device=self._device, precision=self._precision, store=store)
            still = Image.fromarray(film.rgb8(film.schedule.frame_at(self._at)))
        still.thumbnail((self._side, self._side), Image.Resampling.LANCZOS)
        return still

    @property
    def image(self) -> Image.Image:
        """What is painted so far, each over its name."""
        # Names need some room even below tiny pictures.
        width = max([96, *(tile.width for tile in self._tiles)]) + GAP
        height = max([1, *(tile.height for tile in self._tiles)]) + LABEL_HEIGHT + GAP
        columns = max(1, round(math.sqrt(len(self._tiles) * height / width)))
        rows = math.ceil(len(self._tiles) / columns)
        image = Image.new("RGB", (columns * width + GAP, rows * height + GAP), "white")
        pen = ImageDraw.Draw(image)
        font = ImageFont.load_default(LABEL_SIZE)
        for place, (tile, timeline) in enumerate(zip(self._tiles, self._timelines, strict=False)):
            row, column = divmod(place, columns)
            left, top = GAP + column * width, GAP + row * height
            image.paste(tile, (left, top))
            label = fitting(str(timeline.variant or timeline.name), LABEL_SIZE, width - GAP)
            pen.text((left, top + height - LABEL_HEIGHT - GAP + 1), label, fill="black", font=font)
        return image


class FilmTiles:
    """Small stills of a film, painted as a render paints them, one at a time."""

    def __init__(self, film: Film, frames: Sequence[int], side: int = 288) -> None:
        self._film = film
        self._frames = tuple(frames)
        self._side = side
        self.stills: list[Image.Image] = []

    def draw(self) -> Iterator[Progress]:
        """Paint still after still and yield how far it is."""
        started = time.monotonic()
        for number, frame in enumerate(self._frames, start=1):
            with painting_seeds(self._film.engine.device):
                still = Image.fromarray(self._film.rgb8(frame))
            still.thumbnail((self._side, self._side), Image.Resampling.LANCZOS)
            self.stills.append(still)
            yield Progress(number, len(self._frames), time.monotonic() - started)


class NetworkGrid:
    """A page with a row for each seed and a column for each network, named at the top.

    All columns show the same w, which is the first network's; so their mappings have to be alike.
    One network is on the device at a time.
    """

    def __init__(
        self,
        networks: Sequence[tuple[str, Network]],
        seeds: Sequence[int],
        device: torch.device,
    ) -> None:
        self._networks = tuple(networks)
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
        """Paint picture after picture, a network's after the other's, and yield how far it is."""
        started = time.monotonic()
        pen = ImageDraw.Draw(self.image)
        total = len(self._seeds) * len(self._networks)
        tops = [LABEL_HEIGHT + GAP + row * (self._tile + GAP) for row in range(len(self._seeds))]
        for top, seed in zip(tops, self._seeds, strict=True):
            middle = top + (self._tile - LABEL_SIZE) // 2
            pen.text((GAP, middle), str(seed), "black", self._font)
        ws = self._map()
        for column, (name, network) in enumerate(self._networks):
            left = self._margin + column * self._cell
            text = fitting(name, LABEL_SIZE, self._cell - GAP)
            pen.text((left, GAP // 2), text, "black", self._font)
            for row, tile in enumerate(self._tiles(name, network, ws)):
                self.image.paste(tile, (left, tops[row]))
                done = column * len(self._seeds) + row + 1
                yield Progress(done, total, time.monotonic() - started)

    def _map(self) -> list[Tensor]:
        """The ws of each seed, by the first network's mapping."""
        (_, first), *_ = self._networks
        with painting_seeds(self._device):
            network = first.to(self._device)
            return [ws_of_seed(network, seed, DEFAULT_TRUNCATION) for seed in self._seeds]

    def _tiles(self, name: str, network: Network, ws: Sequence[Tensor]) -> Iterator[Image.Image]:
        """The network's pictures; it leaves the device after them."""
        with painting_seeds(self._device):
            moved = network.to(self._device)
        for one in ws:
            with painting_seeds(self._device):
                tile = tile_of(picture_of(name, moved, one), self._tile)
            yield tile


def tile_of(picture: Tensor, side: int) -> Image.Image:
    """A picture [3, h, w] in [-1, 1], whole on a white square of ``side`` pixels."""
    laid = lay(picture, (side, side), Framing(fit="contain", background=(255, 255, 255)))
    return Image.fromarray(to_rgb8(laid, 0).cpu().numpy())
