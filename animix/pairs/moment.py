"""The moment that pairs show: one mix of networks, and the base that it is a blend of."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import astuple, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from animix.checkpoints.store import Store
from animix.errors import OptionError
from animix.film import Film, open_film
from animix.networks.blend import check_blendable
from animix.networks.network import Network
from animix.pairs.subject import Subject, shares_of
from animix.recipe import Laid, distinct_names, kinship_notes, mapping_notes, mix_of, read_laid
from animix.schedule import PathPoint, Row
from animix.timeline.arrays import Floats
from animix.timeline.grid import Grid
from animix.timeline.reader import DEFAULT_TRUNCATION, read_timeline
from animix.timeline.timeline import LatentBand, LatentKey, Timeline
from animix.timeline.variables import escaped
from animix.whole_file import digest_of

Range = tuple[float, float]

RANGE = ".."


@dataclass(frozen=True, eq=False)
class Moment:
    """A film of one moment, through which any latents go: as ``base`` and as ``blended`` row."""

    film: Film
    base: Row
    blended: Row
    notes: tuple[str, ...]
    """What the user should know."""
    laid: tuple[tuple[Laid, Laid], ...] = ()
    """The ends between which each network over the base is laid; empty: as ``blended`` has it."""
    truncation: Range | None = None
    """The ends of psi; None: as the rows have it."""

    def rows(self, subject: Subject) -> tuple[Row, Row]:
        """What paints a latent with the base and with the blend; both get the same w."""
        everywhere = range(self.film.painted.facts.num_ws)
        point = PathPoint(everywhere, ((subject.source, 1.0),), "w")
        shares = shares_of(subject.identity, 1 + 3 * len(self.laid))
        psi, mix = self.base.psi, self.blended.mix
        if self.truncation is not None:
            psi = np.full(len(psi), between(*self.truncation, shares[0]))
        if any(low != high for low, high in self.laid):
            mix = self._mix(shares[1:])
        base = replace(self.base, points=(point,), psi=psi)
        return base, replace(self.blended, points=(point,), psi=psi, mix=mix)

    def _mix(self, shares: Sequence[float]) -> Floats:
        facts = self.film.painted.facts
        laid = [
            laid_between(low, high, shares[3 * number :], facts.img_resolution)
            for number, (low, high) in enumerate(self.laid)
        ]
        return mix_of(laid, facts)

    def settings(self) -> dict[str, Any]:
        """All that decides its pictures beside their latents; what JSON can hold."""
        film, row = self.film, self.blended
        used = np.flatnonzero(((row.mix != 0) | (self.base.mix != 0)).any(axis=0)).tolist()
        if self.laid:
            used = list(range(row.mix.shape[1]))
        columns, files = film.painted.columns, film.engine.shelf.files
        plan = film.engine.plan
        return {
            "networks": [
                {
                    "column": number,
                    "name": str(columns[number]),
                    "file": files[number].name,
                    "sha256": digest_of(files[number]),
                }
                for number in used
            ],
            "mapping": digest_of(film.home_files[1]),
            "mix": None if self.laid else row.mix.tolist(),
            "swap, alpha, width, take": [[astuple(low), astuple(high)] for low, high in self.laid],
            "truncation": list(self.truncation) if self.truncation else row.psi.tolist(),
            "edits": [[edit.digest, amounts.tolist()] for edit, amounts in row.edits],
            "labels": [list(label) for label in row.labels],
            "noise": [row.noise.kind, row.noise.seed, row.noise.turn],
            "frame": row.index,
            "device": film.engine.device.type,
            "precision": str(plan.dtype if plan else "float32").removeprefix("torch."),
        }


def moment_of_timeline(
    timeline: Timeline, at: str, truncation: Range | None = None, **options: Any
) -> Moment:
    """The moment of a timeline at a time such as ``2s``: its mix, truncation, edits and noise.

    Latents, canvas and framing are not its own; ``options`` are those of ``open_film``.
    """
    film = open_film(_bare(timeline), **options)
    blended = film.schedule.row(film.schedule.frame_at(at))
    base = replace(blended, mix=film.schedule.mix(blended.index, num_overlays=0))
    return Moment(film, base, blended, film.notes, truncation=truncation)


def moment_of_networks(
    files: Sequence[Path],
    laid: Sequence[tuple[Laid, Laid]],
    truncation: Range | None = None,
    **options: Any,
) -> Moment:
    """A mix of checkpoints, the first of which is the base, each laid between two ends.

    Raises NetworkError for a file that can't be used, and BlendError for networks that can't be
    mixed.
    """
    store = Store()
    parents = [
        (name, store.load(file)) for name, file in zip(distinct_names(files), files, strict=True)
    ]
    (base_name, base), *others = parents
    for name, other in others:
        check_blendable(base, other, (base_name, name))
    timeline = read_timeline(_timeline_text(files, base), Path("pairs.yaml"))
    film = open_film(_bare(timeline), store=store, **options)
    for ends in laid:
        for one in ends:
            one.swap_octaves(base.img_resolution)  # a level that these networks have
    row = film.schedule.row(0)
    base_row = replace(row, mix=film.schedule.mix(0, num_overlays=0))
    psi = truncation or (DEFAULT_TRUNCATION, DEFAULT_TRUNCATION)
    notes = (*kinship_notes(parents), *mapping_notes(parents), *film.engine.notes)
    moment = Moment(film, base_row, row, tuple(dict.fromkeys(notes)), tuple(laid), psi)
    # With the mix at its one end, for whoever looks at the row itself.
    return replace(moment, blended=replace(row, mix=moment._mix([0.0] * 3 * len(laid))))


def _timeline_text(files: Sequence[Path], base: Network) -> str:
    """A timeline of one frame that has the networks and nothing else."""
    names = ["base", *(f"over{number}" for number in range(1, len(files)))]
    networks = [
        f"  {name}: {json.dumps(escaped(str(file.resolve())), ensure_ascii=False)}"
        for name, file in zip(names, files, strict=True)
    ]
    lines = ["networks:", *networks, "duration: 1f", f"blend: [{', '.join(names)}]"]
    return "\n".join([*lines, *(["label: 0"] if base.c_dim else [])]) + "\n"


def _bare(timeline: Timeline) -> Timeline:
    """A timeline without what pairs have not from it: latents, canvas, framing, drafts."""

    def one_seed(band: LatentBand) -> LatentBand:
        key = LatentKey(0, band.path.mark)
        path = replace(band.path, keys=(key,), every=None, track=None, speed=None, even=False)
        return replace(band, path=path)

    output = replace(timeline.output, preset=None, size=None, fit="cover")
    return replace(
        timeline,
        size=None,
        latents=tuple(map(one_seed, timeline.latents)),
        frame=replace(timeline.frame, fit="cover", into=None),
        grid=Grid(),
        overlay=(),
        outputs=(output,),
    )


def read_ranges(num_overlays: int, **texts: Sequence[str]) -> list[tuple[Laid, Laid]]:
    """The ends between which networks are laid, from texts such as ``32`` and ``16..64``.

    >>> [(low, high)] = read_ranges(1, swap=["16..64"], alpha=["0.5"])
    >>> low.swap, high.swap, low.alpha, high.alpha
    (16.0, 64.0, 0.5, 0.5)
    """
    ends = []
    for place in (0, -1):
        one_end = {
            name: [text.split(RANGE)[place] for text in given] for name, given in texts.items()
        }
        ends.append(read_laid(num_overlays, **one_end))
    for name, given in texts.items():
        for text in given:
            if text.count(RANGE) > 1 or (name == "take" and RANGE in text):
                raise OptionError(f"--{name} {text[:40]}: expected one value, or two as in 16..64")
    return list(zip(*ends, strict=True))


def laid_between(low: Laid, high: Laid, shares: Sequence[float], img_resolution: int) -> Laid:
    """A layer between two ends, by shares of the way: of swap in octaves, alpha and width."""
    swap = low.swap
    if low.swap != high.swap:
        octaves = low.swap_octaves(img_resolution), high.swap_octaves(img_resolution)
        swap = min(2 ** between(*octaves, shares[0]), 2.0 * img_resolution)
    return Laid(
        swap=swap,
        alpha=between(low.alpha, high.alpha, shares[1]),
        width=between(low.width, high.width, shares[2]),
        take=low.take,
    )


def between(low: float, high: float, share: float) -> float:
    """A value between two, and just the one where both are.

    >>> between(0.7, 0.7, 0.3), between(0.5, 1.0, 0.5)
    (0.7, 0.75)
    """
    return low if low == high else low + (high - low) * share


def parse_range(option: str, text: str) -> Range:
    """Two numbers, or one that is both: ``0.5..1`` or ``0.7``.

    >>> parse_range("--truncation", "0.5..1"), parse_range("--truncation", "0.7")
    ((0.5, 1.0), (0.7, 0.7))
    """
    parts = text.split(RANGE)
    try:
        values = [float(part) for part in parts]
        if len(values) > 2 or not np.isfinite(values).all():
            raise ValueError
    except ValueError as exc:
        raise OptionError(f"{option} {text[:40]}: expected a number, or two as in 0.5..1") from exc
    return values[0], values[-1]
