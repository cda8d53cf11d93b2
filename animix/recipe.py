"""A recipe: how networks lie over each other in one blended network, and the network it makes."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from animix.cast import find_networks
from animix.checkpoints.load import load_network
from animix.errors import BlendError, NetworkError, OptionError
from animix.film import open_film
from animix.mix import Overlay, share, stack
from animix.networks.blend import (
    blend,
    check_blendable,
    mapping_differences,
    setting_differences,
    with_mapping,
)
from animix.networks.facts import NetworkFacts
from animix.networks.network import Network
from animix.networks.recognize import network_of
from animix.networks.related import is_related
from animix.pinkney import pinkney_blend
from animix.timeline.arrays import Floats
from animix.timeline.layers import QUANTITIES, TAKES
from animix.timeline.misread import Misread
from animix.timeline.reader import load_timeline

SETTINGS = frozenset(
    (
        *("architecture", "channel_base", "channel_max", "img_channels", "img_resolution"),
        *("num_layers", "num_critical", "first_cutoff", "first_stopband", "last_stopband_rel"),
        *("margin_size", "output_scale", "conv_kernel", "filter_size", "lrelu_upsampling"),
        *("use_radial_filters", "conv_clamp"),
    )
)
"""Metadata that a blend has from its base; how the base was trained is no longer true of it."""

ADDED_UP = ("licence", "license", "data_source", "training_set", "copyright")
"""Metadata that every parent passes on."""

PLUS = " + "
"""Between what several parents pass on."""


@dataclass(frozen=True)
class Laid:
    """How one network lies over those below it, as a layer of a timeline's blend at one moment."""

    swap: float | str = "all"
    """Pixels from 4 to twice the network's own, or all or none."""
    alpha: float = 1.0
    width: float = 1.0
    take: Literal["high", "low"] = "high"

    def __str__(self) -> str:
        swap = self.swap if isinstance(self.swap, str) else f"{self.swap:g}"
        return f"swap {swap}, alpha {self.alpha:g}, width {self.width:g}, take {self.take}"

    def swap_octaves(self, img_resolution: int) -> float:
        """log2 of the swap level; OptionError where these networks have no such level."""
        top = 2.0 * img_resolution
        whole, nothing = (4.0, top) if self.take == "high" else (top, 4.0)
        words = {"all": whole, "none": nothing}
        level = words[self.swap] if isinstance(self.swap, str) else self.swap
        if not 4 <= level <= top:
            raise OptionError(
                f"--swap {level:.10g}: these networks make {img_resolution} px, so it goes from "
                f"4 to {top:g}, and all and none are its ends"
            )
        return float(np.log2(level))


def read_laid(num_overlays: int, **texts: Sequence[str]) -> list[Laid]:
    """The layers that texts describe: for each option none, one for all, or one per overlay.

    >>> [str(laid) for laid in read_laid(2, swap=["32"], alpha=["0.5", "1"])]
    ['swap 32, alpha 0.5, width 1, take high', 'swap 32, alpha 1, width 1, take high']
    """
    columns = {}
    for option, given in texts.items():
        values = [_value(option, text) for text in given]
        if len(values) not in (0, 1, num_overlays):
            lie = "1 network lies" if num_overlays == 1 else f"{num_overlays} networks lie"
            raise OptionError(
                f"--{option} is given {len(values)} times, and {lie} over the base: give it once "
                "for all of them or once for each"
            )
        if values:
            columns[option] = values * num_overlays if len(values) == 1 else values
    for option in ("take", "width"):
        if option in columns and "swap" not in columns:
            raise OptionError(f"--{option} needs a swap level: give --swap as well, such as 32")
    return [
        Laid(**{option: values[number] for option, values in columns.items()})
        for number in range(num_overlays)
    ]


def _value(option: str, text: str) -> Any:
    text = text.strip()
    if option == "take":
        if text not in TAKES:
            raise OptionError(f"--take {text[:40]}: expected {' or '.join(TAKES)}")
        return text
    try:
        return replace(QUANTITIES[option], name=f"--{option}").parse(text)
    except Misread as misread:
        start = "" if misread.message.startswith("--") else f"--{option}: "
        raise OptionError(
            f"{start}{misread.message}; {misread.hint}".removesuffix("; ")
        ) from misread


def mix_of(laid: Sequence[Laid], facts: NetworkFacts) -> Floats:
    """The mix [L, K] of a base and what is laid over it, as a timeline has it at one moment."""
    resolutions = facts.resolutions
    overlays = [Overlay(np.ones(len(resolutions)), (0,), 1)]
    for column, one in enumerate(laid, start=1):
        upper = share(
            one.swap_octaves(facts.img_resolution),
            width=one.width,
            alpha=one.alpha,
            take=one.take,
            resolutions=resolutions,
        )
        overlays.append(Overlay(upper, (column,), 1))
    return stack(overlays, len(overlays))


@dataclass(frozen=True, eq=False)
class Blended:
    """A blended network, and those that it was made of."""

    network: Network
    parents: tuple[tuple[str, Network], ...]
    """Name and network, the base first; all with the blend's mapping, w_avg and noise images."""
    files: tuple[Path, ...]
    """What was read."""
    notes: tuple[str, ...]


def blend_files(files: Sequence[Path], laid: Sequence[Laid]) -> Blended:
    """The blend of checkpoints, the first of which is the base."""
    parents = open_parents(files)
    (base_name, base), *others = parents
    for name, other in others:
        check_blendable(base, other, (base_name, name))
    networks = [network for _, network in parents]
    mix = mix_of(laid, networks[0].facts)
    below, words = base_name, []
    for (name, _), one in zip(others, laid, strict=True):
        words.append(f"{name} over {below}: {one}")
        below = "that"
    return _blended(blend(networks, mix), parents, "; ".join(words), mix, files)


def blend_by_pinkney(
    files: Sequence[Path], resolution: int, level: int = 0, width: float | None = None
) -> Blended:
    """The blend that ``blend_models.py`` makes of the low and the high of two checkpoints."""
    parents = open_parents(files)
    (low_name, low), (high_name, high) = parents
    check_blendable(low, high, (low_name, high_name))
    network = pinkney_blend(low, high, resolution, level, width)
    soft = f"width {width:g}" if width else "hard"
    words = f"{high_name} over {low_name} by Pinkney's rule: {resolution} px, level {level}, {soft}"
    return _blended(network, parents, words, None, files)


def blend_moment(
    file: Path, at: str, overrides: Mapping[str, str] | None = None, only: Sequence[str] = ()
) -> Blended:
    """The blend that a timeline shows at a time, with its mapping, w_avg and noise images."""
    timeline = load_timeline(file, overrides, only)
    film = open_film(timeline, device="cpu")
    schedule, runs = film.schedule, find_networks(timeline)
    index = schedule.frame_at(at)
    mix = schedule.mix(index)
    used = np.flatnonzero((mix != 0).any(axis=0)).tolist()
    names = [column.network for column in schedule.columns]
    # Filters are the base's last snapshot's, as in the film, though it may have no share here.
    base_number = names.count(names[0]) - 1
    base = load_network(runs[names[0]][base_number])
    home = with_mapping(base, load_network(runs[timeline.mapping][-1]))
    networks = film.engine.shelf.take(used)
    # Mixed in the order of the film, so that rounding is the same.
    mixed = blend([home, *networks], np.insert(mix[:, used], 0, 0, axis=1))
    others = [number for number in used if number != base_number]
    parents = [(str(schedule.columns[base_number]), base)]
    parents += [(str(schedule.columns[number]), networks[used.index(number)]) for number in others]
    words = (
        f"{timeline.name}{file.suffix} at {float(index / schedule.fps):g} s, with the mapping of "
        f"{timeline.mapping}"
    )
    blended = _blended(mixed, parents, words, mix[:, [base_number, *others]], film.files, home)
    return replace(blended, notes=tuple(dict.fromkeys((*film.notes, *blended.notes))))


def open_parents(files: Sequence[Path]) -> list[tuple[str, Network]]:
    """Networks with names that tell them apart."""
    return [
        (name, load_network(file)) for name, file in zip(distinct_names(files), files, strict=True)
    ]


def distinct_names(files: Sequence[Path]) -> list[str]:
    """The shortest names that tell files apart: the stem, the path, or the path and a number.

    >>> distinct_names([Path("a/faces.pkl"), Path("a/ink.pkl"), Path("b/ink.pkl")])
    ['faces', 'a/ink.pkl', 'b/ink.pkl']
    >>> distinct_names([Path("ink.pkl"), Path("ink.pkl")])
    ['ink.pkl', 'ink.pkl (2)']
    """
    stems = Counter(file.stem for file in files)
    names: list[str] = []
    seen: Counter[Path] = Counter()
    for file in files:
        seen[file] += 1
        name = str(file) if stems[file.stem] > 1 else file.stem
        names.append(name if seen[file] == 1 else f"{name} ({seen[file]})")
    return names


def _blended(
    network: Network,
    parents: Sequence[tuple[str, Network]],
    words: str,
    mix: Floats | None,
    files: Sequence[Path],
    home: Network | None = None,
) -> Blended:
    """A blend that says what it is; ``home`` gave its mapping, if not the first parent.

    BlendError where its numbers overflow or vanish: no file of it could be read again.
    """
    metadata = blended_metadata(parents, words, mix)
    try:
        network_of(network.tensors, metadata)
    except NetworkError as error:
        raise BlendError(
            f"this mix makes no network, its numbers overflow or vanish ({error}); bring alpha "
            "nearer to 0..1"
        ) from error
    notes = list(kinship_notes(parents))
    if home is None:
        notes += mapping_notes(parents)
        home = parents[0][1]
    return Blended(
        network=replace(network, metadata=metadata),
        parents=tuple((name, with_mapping(parent, home)) for name, parent in parents),
        files=tuple(files),
        notes=tuple(notes),
    )


def blended_metadata(
    parents: Sequence[tuple[str, Network]], words: str, mix: Floats | None
) -> dict[str, str]:
    """What a blended network says of itself: its parents, how they were mixed, their licences."""
    (_, base), *_ = parents
    metadata = {name: text for name, text in base.metadata.items() if name in SETTINGS}
    metadata["parent"] = ", ".join(name for name, _ in parents)
    metadata["blend"] = words
    if mix is not None:
        metadata["mix"] = mix_words(mix, [layer.name for layer in base.layers])
    for key in ADDED_UP:
        texts = [network.metadata.get(key, "") for _, network in parents]
        # A parent that is a blend itself has several already.
        parts = [part for text in texts for part in text.split(PLUS)]
        if distinct := list(dict.fromkeys(filter(None, parts))):
            metadata[key] = PLUS.join(distinct)
    return metadata


def mix_words(mix: Floats, layers: Sequence[str]) -> str:
    """A mix [L, K] in words: the shares of the networks, from layer to layer where they change.

    >>> mix_words(np.array([[1, 0], [1, 0], [0.5, 0.5]]), ["b4.const", "b4.conv1", "b8.conv0"])
    'b4.const to b4.conv1: 1 0; b8.conv0: 0.5 0.5'
    """
    rows = [" ".join(f"{share:.6g}" for share in row) for row in mix]
    words = []
    for row, places in itertools.groupby(range(len(rows)), key=rows.__getitem__):
        first, *rest = places
        span = f"{layers[first]} to {layers[rest[-1]]}" if rest else layers[first]
        words.append(f"{span}: {row}")
    return "; ".join(words)


def kinship_notes(parents: Sequence[tuple[str, Network]]) -> Iterator[str]:
    """What the user should know of networks that blend, but not well or not as expected."""
    (base_name, base), *others = parents
    for name, network in others:
        if not is_related(base, network):
            yield (
                f"{name} is no relative of {base_name}: their blend will not look like either; "
                "networks mix if one was fine-tuned from the other or both from a third"
            )
        for difference in setting_differences(base, network):
            yield f"{base_name} and {name} differ in {difference}; the first one's is used"


def mapping_notes(parents: Sequence[tuple[str, Network]]) -> Iterator[str]:
    """How mappings differ from the base's, where that is the blend's."""
    (base_name, base), *others = parents
    for name, network in others:
        for difference in mapping_differences(base, network):
            yield f"{base_name} and {name} differ in {difference}; the first one's mapping is used"
