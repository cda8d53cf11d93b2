"""A comparison: whether networks can be blended with a base, are its relatives, and how far off."""

from __future__ import annotations

import math
import re
import textwrap
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from animix.checkpoints.load import load_network
from animix.checkpoints.runs import find_run
from animix.drift import Drift, Measuring
from animix.errors import BlendError, NetworkError, OptionError
from animix.inspection import architecture_title
from animix.latents import ws_of_seed
from animix.networks.blend import check_blendable, mapping_differences, setting_differences
from animix.networks.network import Network
from animix.networks.related import RELATED
from animix.progress import Progress
from animix.recipe import distinct_names
from animix.sheets import painting_seeds, picture_of
from animix.tables import WIDTH, count, from_all_along, short_path, shown, table
from animix.timeline.reader import DEFAULT_TRUNCATION

MOST_COLUMNS = 9
"""Networks side by side in a table of layers; of more, as many are taken from all along."""


@dataclass(frozen=True)
class Compared:
    """One network beside the base."""

    name: str
    file: str
    kimg: float | None
    """Thousands of pictures that it was trained with, as far as its file tells."""
    refusal: str
    """Why it can't be blended with the base; empty: it can."""
    warnings: tuple[str, ...]
    drift: Drift | None
    """None where it can't be blended."""

    @property
    def blendable(self) -> bool:
        """Whether it can be blended with the base."""
        return not self.refusal

    @property
    def related(self) -> bool:
        """Whether it has an ancestor in common with the base."""
        return self.drift is not None and self.drift.correlation > RELATED

    @property
    def verdict(self) -> str:
        """In a few words."""
        if not self.blendable:
            return "can't be blended"
        return "related" if self.related else "NOT related"

    def as_dict(self) -> dict[str, Any]:
        """Everything, for machines."""
        return {
            **asdict(self),
            "blendable": self.blendable,
            "related": self.related if self.blendable else None,
            "distance": self.drift.distance if self.drift else None,
            "correlation": self.drift.correlation if self.drift else None,
        }


@dataclass(frozen=True)
class Comparison:
    """What ``animix compare`` tells."""

    name: str
    file: str
    architecture: str
    img_resolution: int
    seeds: tuple[int, ...]
    others: tuple[Compared, ...]

    @property
    def measured(self) -> tuple[Compared, ...]:
        """Those that can be blended with the base."""
        return tuple(other for other in self.others if other.drift)

    def as_dict(self) -> dict[str, Any]:
        """Everything, for machines; numbers without measure are null."""
        found = {
            **asdict(self),
            "truncation": DEFAULT_TRUNCATION,
            "others": [other.as_dict() for other in self.others],
        }
        return dict(_finite(found))

    def lines(self) -> list[str]:
        """Everything, for people."""
        told = [f"base: {shown(self.file, 50)}, {self.architecture}, {self.img_resolution} px"]
        for number, other in enumerate(self.others, start=1):
            told += _verdict_lines(number if len(self.others) > 1 else None, other)
        if not self.measured:
            return told
        told += [
            "",
            f"{count(len(self.seeds), 'seed')}, truncation {DEFAULT_TRUNCATION:g}; the base's "
            "mapping and noise in all networks, as in a blend;",
            "moved: the size of the difference, in percent of the base's own size (RMS)",
            "",
        ]
        if len(self.others) == 1:
            return told + _one(self.measured[0])
        return told + _several(self.others)


def _verdict_lines(number: int | None, other: Compared) -> Iterator[str]:
    label = "" if number is None else f"{number}: "
    name = shown(other.file, 50)
    if not other.drift:
        yield f"{label}{name}: can't be blended with the base"
        yield from textwrap.wrap(
            shown(other.refusal, 2000), WIDTH, initial_indent="    ", subsequent_indent="    "
        )
        return
    words = "related to the base" if other.related else "NOT related to the base"
    yield f"{label}{name}: {words} (correlation {other.drift.correlation:.4f})"
    if not other.related:
        yield "    a blend of the two will not look like either; networks mix if one was fine-tuned"
        yield "    from the other or both from a third"
    for warning in other.warnings:
        yield f"    {warning}"


def _one(other: Compared) -> list[str]:
    """Two tables: layers, and the pictures' bands."""
    drift = other.drift
    assert drift is not None
    layers = table(
        ["layer", "px", "correlation", "weights moved", "activations moved", ""],
        [
            [
                layer.name,
                str(layer.resolution),
                f"{layer.correlation:.4f}",
                _percent(layer.distance),
                _percent(layer.activation),
                _bar(layer.activation, max(one.activation for one in drift.layers)),
            ]
            for layer in drift.layers
        ],
        "<>>>><",
    )
    most = max(band.difference for band in drift.bands)
    bands = table(
        ["pictures", "differ by", "of the base's", ""],
        [
            *(
                [
                    f"{band.resolution} px",
                    f"{band.difference:.3f}",
                    _percent(band.relative),
                    _bar(band.difference, most),
                ]
                for band in drift.bands
            ),
            ["whole", f"{drift.picture.difference:.3f}", _percent(drift.picture.relative), ""],
        ],
        "<>><",
    )
    return [*layers, "", *bands, "", *_mapping_lines(drift)]


def _mapping_lines(drift: Drift) -> Iterator[str]:
    if drift.mapping is None:
        yield "mapping: the two take other inputs, so their w can't be compared"
        return
    yield (
        f"mapping: w moved {_percent(drift.mapping.w)} of their spread, their average "
        f"{_percent(drift.mapping.w_avg)}"
    )


def _several(others: Sequence[Compared]) -> list[str]:
    """A row for each network, then tables of layers and bands with a column for each."""
    measured = [(n, other, other.drift) for n, other in enumerate(others, 1) if other.drift]
    show_kimg = all(other.kimg is not None for _, other, _ in measured)
    told = table(
        ["", "network", "kimg" if show_kimg else "", *("correlation", "weights", "picture", "w")],
        [
            [
                str(number),
                short_path(other.name, 36),
                f"{round(other.kimg, 1):g}" if show_kimg and other.kimg is not None else "",
                f"{drift.correlation:.4f}",
                _percent(drift.distance),
                _percent(drift.picture.relative),
                _percent(drift.mapping.w) if drift.mapping else "–",
            ]
            for number, other, drift in measured
        ],
        "><>>>>>",
    )
    told += ["", "correlation and weights: of the layers, their median; w: of the mappings"]
    chosen = from_all_along(measured, MOST_COLUMNS)
    numbers = [str(number) for number, _, _ in chosen]
    layers = [
        [(layer.name, _percent(layer.distance), _percent(layer.activation)) for layer in d.layers]
        for _, _, d in chosen
    ]
    bands = [
        [(f"{band.resolution} px", f"{band.difference:.3f}") for band in d.bands]
        for _, _, d in chosen
    ]
    for title, columns, value in (
        ("weights moved", layers, 1),
        ("activations moved", layers, 2),
        ("pictures differ by", bands, 1),
    ):
        rows = [
            [column[0][0], *(cell[value] for cell in column)]
            for column in zip(*columns, strict=True)
        ]
        told += ["", *table([title, *numbers], rows, "<" + ">" * len(numbers))]
    return told


def _percent(value: float) -> str:
    """A share of the base's own size, in three digits.

    >>> _percent(0.0712), _percent(1.5), _percent(0.0001), _percent(float("inf"))
    ('7.1%', '150%', '0.0%', '∞')
    """
    if not math.isfinite(value):
        return "∞"
    return f"{100 * value:.0f}%" if value >= 1 else f"{100 * value:.1f}%"


def _bar(value: float, most: float) -> str:
    """A bar; none for what is no more than rounding."""
    if not 5e-4 <= value <= most < math.inf:
        return ""
    return "▪" * round(24 * value / most)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


class Comparing:
    """Compares networks with a base: ``measure`` does it, ``comparison`` tells what was found.

    The base and one other are in memory at a time. The same files, seeds and device give the same
    numbers. A base that can't be used ends it with a NetworkError; others are left out.
    """

    def __init__(
        self, base: Path, others: Sequence[Path], seeds: Sequence[int], device: torch.device
    ) -> None:
        self._file, self._files = base, tuple(others)
        self._seeds = tuple(seeds)
        self._device = device
        self._compared: list[Compared] = []
        self.failed: list[tuple[Path, NetworkError]] = []
        """Files that can't be read or used, and why."""
        self._base: Network | None = None

    def measure(self) -> Iterator[Progress]:
        """Compare one network after the other and yield after each seed."""
        started = time.monotonic()
        total = len(self._files) * len(self._seeds)
        opened = load_network(self._file)
        with painting_seeds(self._device):
            base = opened.to(self._device)
            picture_of(str(self._file), base, ws_of_seed(base, self._seeds[0], DEFAULT_TRUNCATION))
        self._base = base
        names = distinct_names(self._files)
        for number, (name, file) in enumerate(zip(names, self._files, strict=True)):
            before = number * len(self._seeds)
            try:
                for seeds in self._compare(self._base, name, file):
                    yield Progress(before + seeds, total, time.monotonic() - started)
            except NetworkError as error:
                self.failed.append((file, error))
                yield Progress(before + len(self._seeds), total, time.monotonic() - started)

    def _compare(self, base: Network, name: str, file: Path) -> Iterator[int]:
        """Compare one network, and yield after each seed how many are done."""
        other = load_network(file)
        refusal, drift = "", None
        try:
            check_blendable(base, other, ("the base", f'"{file.name}"'))
        except BlendError as error:
            refusal = str(error)
        else:
            with painting_seeds(self._device):
                measuring = Measuring(base, other.to(self._device))
            for done, seed in enumerate(self._seeds, start=1):
                try:
                    with painting_seeds(self._device):
                        measuring.add_seed(seed)
                except NetworkError as error:
                    raise NetworkError(f"{file}: {error}") from error
                if done < len(self._seeds):
                    yield done
            with painting_seeds(self._device):
                drift = measuring.drift()
        self._compared.append(
            Compared(
                name=name,
                file=str(file),
                kimg=trained_kimg(file, other),
                refusal=refusal,
                warnings=() if refusal else tuple(_warnings(base, other)),
                drift=drift,
            )
        )
        # The last step is told when the network is compared.
        yield len(self._seeds)

    @property
    def comparison(self) -> Comparison:
        """What was found so far."""
        if self._base is None:
            raise OptionError("nothing has been measured yet")
        return Comparison(
            name=self._file.stem,
            file=str(self._file),
            architecture=architecture_title(self._base.facts),
            img_resolution=self._base.img_resolution,
            seeds=self._seeds,
            others=tuple(self._compared),
        )


def _warnings(base: Network, other: Network) -> Iterator[str]:
    for difference in mapping_differences(base, other):
        yield f"{difference}; a blend uses one of the two mappings"
    for difference in setting_differences(base, other):
        yield f"{difference}; a blend uses the base's"


def find_others(patterns: Sequence[str]) -> list[Path]:
    """The files that paths and globs name, runs of snapshots in the order of their training."""
    files: dict[Path, None] = {}
    for pattern in patterns:
        found = find_run(pattern, Path())
        if not found:
            raise OptionError(f"{pattern}: there is no such file")
        files |= dict.fromkeys(found)
    return list(files)


def trained_kimg(file: Path, network: Network) -> float | None:
    """Thousands of pictures of a network's training, from its metadata or its name.

    The names of NVIDIA's snapshots count them: ``network-snapshot-000120.pkl``.
    """
    seen = network.metadata.get("images_seen_finetune", "")
    if re.fullmatch(r"[0-9]{1,15}", seen):
        return int(seen) / 1000
    match = re.search(r"network-snapshot-([0-9]{1,9})", file.name)
    return float(match[1]) if match else None
