"""Evenness: how long paths through latent space are in pictures, measured once and kept."""

from __future__ import annotations

import hashlib
import json
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import avg_pool2d

from animix.engine.device import painting
from animix.engine.ws import Ws
from animix.errors import OptionError
from animix.networks.network import Network
from animix.progress import Follow, Progress
from animix.sampling import make_schedule, w_indices
from animix.schedule import Row, Schedule
from animix.timeline.arrays import Floats
from animix.timeline.grid import Grid
from animix.timeline.instants import Instants
from animix.timeline.timeline import Latents, Timeline
from animix.timeline.walk import shifted, walk
from animix.video.cache import FOLDER, digests_of, tag
from animix.whole_file import kept_text, whole_file

METRIC = "1"
"""To be raised with whatever changes a length."""

STILLS = 32
"""From one key to the next."""
MOST_STILLS = 8192
"""Of one path, as long as there are four from key to key."""
SIZES = (128, 64, 32, 16)
"""Pixels a side at which pictures are compared, as far as they have them."""
CHROMA = 0.5
"""Of a difference in chroma beside one in lightness: Lab tells saturated colours too far apart.

Chosen by CIEDE2000, the judge of benchmarks/even.py, on other seeds than it judges: of the steps 98
to 100 % were within 15 % of their median, 96 % with all of the chroma, 55 to 79 % with RMS instead
of means, 43 to 61 % with RMS in sRGB.
"""
BATCH_PIXELS = 1 << 20
"""Of pictures that are painted together."""
MOST_TOGETHER = 16
DIGITS = 7
"""Of a length: what another device rounds otherwise, or the same one after an update, is less."""


def open_lengths(
    timeline: Timeline,
    plain: Schedule,
    home: Network,
    home_files: Sequence[Path],
    projected: Mapping[str, NDArray[np.float32]],
    device: torch.device,
    follow: Follow = iter,
) -> dict[int, Floats]:
    """The lengths of each path that is to be even, by its number, as ``latents.moments_at`` has it.

    Those of a grid's further paths are counted on.

    They are those of the pictures that ``home`` makes, the base with the clip's mapping, with fixed
    noise and without edits, the other paths standing where they start. What was measured before is
    read from a file beside the timeline. ``plain`` is the timeline's schedule without lengths.
    """
    lengths: dict[int, Floats] = {}
    missing: dict[int, tuple[list[Row], Path]] = {}
    for path in range(timeline.grid.num_paths):
        latents = shifted(timeline.latents, path)
        for number, band in enumerate(latents):
            if band.path.even and len(band.path.keys) > 1:
                rows = _rows(replace(timeline, latents=latents, grid=Grid()), plain, number)
                digest = _digest(rows, home_files, projected)
                file = timeline.path.parent / FOLDER / f"even-{digest}.json"
                place = path * len(latents) + number
                found = _kept(file, len(rows))
                if found is None:
                    missing[place] = rows, file
                else:
                    lengths[place] = found
    if missing:
        with painting(device):
            deque(follow(_measure_all(home.to(device), missing, projected, lengths)), maxlen=0)
    return lengths


def _measure_all(
    home: Network,
    missing: Mapping[int, tuple[Sequence[Row], Path]],
    projected: Mapping[str, NDArray[np.float32]],
    lengths: dict[int, Floats],
) -> Iterator[Progress]:
    """Measure paths one after the other, as one work; each is kept as soon as it is measured.

    Of a path it is told how long the way is up to each of its rows, the whole of it being 1, or 0
    if all are alike.
    """
    total = sum(len(rows) for rows, _ in missing.values())
    done, started = 0, time.monotonic()
    for place, (rows, file) in missing.items():
        steps: list[Floats] = []
        for num_painted in measure(home, rows, projected, steps):
            yield Progress(done + num_painted, total, time.monotonic() - started)
        done += len(rows)
        # The first picture is compared with itself.
        way = np.cumsum(np.concatenate(steps))
        lengths[place] = np.round(way / way[-1], DIGITS) if way[-1] > 0 else way
        _keep(file, lengths[place])


def measure(
    home: Network,
    rows: Sequence[Row],
    projected: Mapping[str, NDArray[np.float32]],
    steps: list[Floats],
) -> Iterator[int]:
    """Put the steps from each picture to the next into a list, the first one's from itself.

    Yields how many are painted.
    """
    batch = max(1, min(MOST_TOGETHER, BATCH_PIXELS // home.img_resolution**2))
    ws_of = Ws(home, projected)
    before: list[Tensor] = []
    for start in range(0, len(rows), batch):
        # A picture's last bits may depend on how many are painted with it.
        part = [*rows[start : start + batch]]
        filled = [*part, *[part[-1]] * (batch - len(part))]
        sizes = scales(home.synthesis(ws_of.of_rows(filled))[: len(part)])
        before = before or [size[:1] for size in sizes]
        joined = [torch.cat(pair) for pair in zip(before, sizes, strict=True)]
        steps.append(distances(joined))
        before = [size[-1:] for size in sizes]
        yield start + len(part)


def scales(pictures: Tensor) -> list[Tensor]:
    """Pictures [N, 3, H, W] in Lab with half its chroma, at each of ``SIZES`` that they have."""
    shown = lab(pictures)
    shown[:, 1:] *= CHROMA
    side = shown.shape[-1]
    factors = [side // size for size in SIZES if size <= side] or [1]
    return [avg_pool2d(shown, factor) for factor in factors]


def distances(sizes: Sequence[Tensor]) -> Floats:
    """How far each picture is from the one before it: [N − 1].

    The mean difference of colours over the picture, summed over all sizes: what changes all over
    counts at each of them, and grain at the largest alone.
    """
    total = torch.zeros(len(sizes[0]) - 1, device=sizes[0].device)
    for pictures in sizes:
        total += (pictures[1:] - pictures[:-1]).square().sum(1).sqrt().mean((1, 2))
    # Where numbers overflow there is no picture, which is told when the film comes there.
    return np.asarray(total.nan_to_num(0, 0, 0).cpu().double().numpy())


def lab(pictures: Tensor) -> Tensor:
    """CIE L*a*b* of sRGB pictures [N, 3, H, W] in [-1, 1], white D65: L* from 0 to 100.

    IEC 61966-2-1 for sRGB, CIE 15 for L*a*b*.
    """
    coded = (pictures.clamp(-1, 1) + 1) / 2
    light = torch.where(coded <= 0.04045, coded / 12.92, ((coded + 0.055) / 1.055) ** 2.4)
    matrix = torch.tensor(_XYZ, device=pictures.device)
    # By hand: a product of matrices could be rounded to TF32 where a program allows that.
    xyz = torch.stack([(row[:, None, None] * light).sum(1) for row in matrix])
    f = torch.where(xyz > (6 / 29) ** 3, xyz.clamp_min(1e-9) ** (1 / 3), xyz * _SLOPE + 4 / 29)
    return torch.stack([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])], dim=1)


_XYZ = (
    (0.433953, 0.376219, 0.189828),
    (0.212673, 0.715152, 0.072175),
    (0.017756, 0.109469, 0.872775),
)
"""X, Y and Z of linear sRGB, each as a share of white's."""
_SLOPE = (29 / 6) ** 2 / 3


def _rows(timeline: Timeline, plain: Schedule, number: int) -> list[Row]:
    """The rows of the stills of a path, from its start to its end at even times."""

    def unhurried(path: Latents) -> Latents:
        return replace(path, speed=None, edits=())

    bands = [replace(band, path=unhurried(band.path)) for band in timeline.latents]
    clip = plain.clip
    spans = len(walk(timeline.latents[number].path, clip).keys) - (0 if clip.loop else 1)
    count = spans * max(4, min(STILLS, MOST_STILLS // spans))
    schedule = make_schedule(
        replace(timeline, latents=tuple(bands)),
        plain.facts,
        plain.columns,
        instants=Instants(np.arange(count + 1), Fraction(count) / clip.end_seconds),
    )
    rows = schedule.rows(range(count + 1))
    ruled = w_indices(timeline.latents[number], plain.facts)
    return [
        replace(
            row,
            points=tuple(
                moved if moved.indices == ruled else point
                for moved, point in zip(row.points, rows[0].points, strict=True)
            ),
        )
        for row in rows
    ]


def _digest(
    rows: Sequence[Row], home_files: Sequence[Path], projected: Mapping[str, NDArray[np.float32]]
) -> str:
    """What decides the lengths, whatever the files are called."""
    contents = digests_of(home_files)
    found = hashlib.sha256(repr((METRIC, [contents[file] for file in home_files])).encode())
    named = {name: hashlib.sha256(w.tobytes()).hexdigest() for name, w in projected.items()}
    for row in rows:
        points = [
            (
                [
                    (named[source] if isinstance(source, str) else source, weight)
                    for source, weight in point.latents
                ],
                point.space,
                point.indices.start,
            )
            for point in row.points
        ]
        found.update(repr((points, row.labels)).encode() + row.psi.tobytes())
    return found.hexdigest()[:32]


def _kept(file: Path, count: int) -> Floats | None:
    """The lengths in a file; None where there are none of so many moments."""
    try:
        found = np.array(json.loads(kept_text(file)), np.float64)
    except (OSError, ValueError, TypeError, OverflowError, RecursionError):
        return None
    if found.shape != (count,) or not np.isfinite(found).all() or found[0] != 0:
        return None
    return found if (np.diff(found) >= 0).all() else None


def _keep(file: Path, lengths: Floats) -> None:
    """Keep lengths in a file; where that can't be written they are measured again next time."""
    with suppress(OptionError, OSError):
        with whole_file(file) as part:
            part.write_text(json.dumps(lengths.tolist()), encoding="utf-8")
        tag(file.parent)
