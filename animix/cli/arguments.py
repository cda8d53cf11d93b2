"""Arguments: what users write on a command line, as values."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from animix.errors import OptionError
from animix.timeline.misread import quoted, suggestion
from animix.timeline.numbers import LARGEST_SEED

if TYPE_CHECKING:  # numpy comes with it, which ``animix --help`` does not wait for
    from animix.timeline.clock import Clock, Section

MAX_SEEDS = 2000
"""Seeds on one sheet."""

_UNITS = {"MB": 10**6, "MiB": 2**20, "GB": 10**9, "GiB": 2**30}
"""Bytes of each unit of memory."""

_RANGE = re.compile(r"\s*([0-9]{1,10})(?:\s*\.\.\s*([0-9]{1,10}))?\s*")


def parse_range(text: str, largest: int) -> range | None:
    """Numbers ``A..B``, both included, or a single one; None where a text is none of them.

    >>> parse_range("3..5", largest=9), parse_range("7", largest=9), parse_range("5..3", largest=9)
    (range(3, 6), range(7, 8), None)
    """
    match = _RANGE.fullmatch(text)
    if not match:
        return None
    first, last = int(match[1]), int(match[2] or match[1])
    return range(first, last + 1) if first <= last <= largest else None


def parse_whole(option: str, text: str) -> int:
    """The whole number that an option is given."""
    if not re.fullmatch(r"\s*-?[0-9]{1,9}\s*", text):
        raise OptionError(f'{option} "{text[:40]}": expected a whole number')
    return int(text)


def parse_number(option: str, text: str) -> float:
    """The number that an option is given."""
    try:
        return float(text)
    except ValueError as exc:
        raise OptionError(f'{option} "{text[:40]}": expected a number') from exc


def parse_frames(text: str, num_frames: int) -> range:
    """The frame numbers of ``--frames``."""
    frames = parse_range(text, num_frames - 1)
    if frames is None:
        raise OptionError(
            f'--frames "{text}": expected A..B or one number; this clip has frames 0 to '
            f"{num_frames - 1}"
        )
    return frames


def parse_section(text: str, clock: Clock) -> Section:
    """The section that ``--section`` names."""
    section = clock.sections.get(text.strip())
    if section is None:
        known = ", ".join(clock.sections)
        hint = suggestion(text, clock.sections) or f"the sections are {known}"
        if not known:
            hint = "the timeline has none; write sections: {hook: 2s..6s}"
        raise OptionError(f"--section {quoted(text)}: there is no such section; {hint[:200]}")
    return section


def parse_seeds(text: str) -> list[int]:
    """Seeds as a list of ranges and numbers, each once.

    >>> parse_seeds("7,42,3..5")
    [7, 42, 3, 4, 5]
    """
    seeds: dict[int, None] = {}
    for part in text.split(","):
        found = parse_range(part, LARGEST_SEED)
        if found is None:
            raise OptionError(
                f'"{text}": expected seeds such as 1..200 or 3,17,42, from 0 to {LARGEST_SEED}'
            )
        if len(seeds) + len(found) > MAX_SEEDS:
            raise OptionError(f'"{text}" is more than {MAX_SEEDS} seeds, the most at a time')
        seeds |= dict.fromkeys(found)
    return list(seeds)


def parse_memory(text: str) -> int:
    """The bytes of ``--memory``.

    >>> parse_memory("8GB"), parse_memory("1.5 GiB"), parse_memory("800MB")
    (8000000000, 1610612736, 800000000)
    """
    match = re.fullmatch(r"\s*([0-9]{1,9}(?:\.[0-9]{1,9})?)\s*(MB|MiB|GB|GiB)\s*", text)
    if not match:
        raise OptionError(f'--memory "{text[:40]}": expected a size such as 8GB, 6.5GB or 800MB')
    return int(float(match[1]) * _UNITS[match[2]])


def parse_settings(settings: Sequence[str] | None) -> dict[str, str]:
    """The texts of ``--set`` as a dictionary.

    >>> parse_settings(["blend.swap=64", "title=a = b"])
    {'blend.swap': '64', 'title': 'a = b'}
    """
    overrides = {}
    for setting in settings or ():
        key, equals, value = setting.partition("=")
        if not (key.strip() and equals):
            raise OptionError(f'--set "{setting}": expected KEY=VALUE, such as blend.swap=64')
        overrides[key.strip()] = value
    return overrides


FILM_SUFFIXES = (".mp4", ".webm", ".mov", ".gif")


def film_target(output: Path | None, planned: Path, *, batch: bool) -> Path:
    """Where a film goes: ``planned``, or what --output says; for a ``batch`` that is a folder."""
    if output is None:
        return planned
    from animix.video.place import is_of_pictures

    if not batch and not planned.suffix and is_of_pictures(output):
        return output  # as the same command made it before
    if batch or output.is_dir():
        if output.suffix and not output.is_dir():
            raise OptionError(f"--output {output}: for several films, name a folder")
        return output / planned.name
    if not planned.suffix:  # a folder of pictures
        return output
    if output.suffix.lower() in FILM_SUFFIXES and output.suffix.lower() != planned.suffix:
        message = f"--output {output}: this timeline's film ends in {planned.suffix}"
        raise OptionError(f"{message}; for another format write --set output={output}")
    return with_suffix(output, planned.suffix)


def film_targets(output: Path | None, planned: Sequence[Path], *, batch: bool) -> list[Path]:
    """Where the films of a timeline go, as ``film_target`` has it: each to a file of its own."""
    several = batch or len(planned) > 1
    targets = [film_target(output, each, batch=several) for each in planned]
    if len(set(map(os.path.realpath, targets))) < len(targets):
        names = ", ".join(map(str, targets))
        raise OptionError(f"two outputs would be one file of {names}: give them names that differ")
    return targets


def with_suffix(output: Path, suffix: str, option: str = "--output") -> Path:
    """A path from an option if its name ends as it must."""
    if output.suffix.lower() != suffix:
        raise OptionError(f"{option} {output}: expected a name that ends in {suffix}")
    return output
