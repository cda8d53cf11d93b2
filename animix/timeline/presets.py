"""Presets: what platforms and programs take, each number with its source."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, get_args

import yaml

from animix.timeline.formats import CODECS, Codec, CodecFacts

DATA = Path(__file__).with_name("presets.yaml")

Quantity = Literal[
    "seconds", "fps", "width", "height", "aspect", "frames", "pixels", "bitrate", "bytes"
]
"""Of a film: ``aspect`` is width over height, ``pixels`` are those of all frames together,
``bitrate`` is in bits a second."""
QUANTITIES: tuple[Quantity, ...] = get_args(Quantity)

_UNITS: dict[Quantity, str] = {
    "seconds": " s",
    "fps": " fps",
    "width": " pixels",
    "height": " pixels",
    "frames": " frames",
    "pixels": " pixels",
    "bitrate": " bits a second",
    "bytes": " bytes",
}
_NAMES: dict[Quantity, str] = {
    "seconds": "the length is",
    "fps": "the rate is",
    "width": "the width is",
    "height": "the height is",
    "aspect": "width over height is",
    "frames": "the length is",
    "pixels": "all frames together are",
    "bitrate": "the bitrate is",
    "bytes": "the file has",
}


@dataclass(frozen=True)
class Source:
    """Where a number stands."""

    title: str
    url: str
    date: str
    """The month in which it was read there: 2026-09."""

    def __post_init__(self) -> None:
        if not (self.title and self.url and self.date):
            raise ValueError(f"source {self.title!r} needs a title, an address and a date")

    def __str__(self) -> str:
        return f"{self.title}, {self.date}"


@dataclass(frozen=True)
class Limit:
    """What a platform refuses: anything below ``low`` or above ``high``; None: no bound there."""

    quantity: Quantity
    low: Fraction | None
    high: Fraction | None
    source: Source

    def __post_init__(self) -> None:
        if self.quantity not in QUANTITIES:
            raise ValueError(f"{self.quantity!r} is none of {', '.join(QUANTITIES)}")
        if self.low is None and self.high is None:
            raise ValueError(f"the limit of {self.quantity} has no bound")
        if self.low is not None and self.high is not None and self.low > self.high:
            raise ValueError(f"{self.quantity} from {self.low} to {self.high} is nothing at all")

    def allows(self, value: Fraction) -> bool:
        """Whether a film with so much of the quantity is taken."""
        return (self.low is None or value >= self.low) and (self.high is None or value <= self.high)

    @property
    def words(self) -> str:
        """The bounds as people say them.

        >>> limit = preset("reels").limit("seconds")
        >>> limit.words
        'from 3 to 900 s'
        """
        unit = _UNITS.get(self.quantity, "")
        if self.low is None:
            return f"at most {number(self.high)}{unit}"
        if self.high is None:
            return f"at least {number(self.low)}{unit}"
        return f"from {number(self.low)} to {number(self.high)}{unit}"


@dataclass(frozen=True)
class Preset:
    """What is written for a platform or a program, and what it refuses. None: as the clip has it.

    ``sources`` has the source of each number that is given, by the name of its field.
    """

    name: str
    about: str
    codec: Codec
    size: tuple[int, int] | None = None
    """Width and height in pixels."""
    widest: int | None = None
    """Wider clips are scaled down to this width."""
    fps: Fraction | None = None
    crf: int | None = None
    max_bitrate: int | None = None
    """Bits a second."""
    gop_seconds: Fraction | None = None
    """Length of the closed groups of pictures."""
    edit_list: bool | None = None
    """False: times start at 0 without one."""
    audio_bitrate: int | None = None
    """Bits a second."""
    is_draft: bool = False
    limits: tuple[Limit, ...] = ()
    sources: Mapping[str, Source] = field(default_factory=dict)

    def __post_init__(self) -> None:
        facts = CODECS[self.codec]
        for name in NUMBERS:
            if (getattr(self, name) is None) != (name not in self.sources):
                raise ValueError(f"preset {self.name}: {name} needs a value and a source")
        if self.size is not None and any(side < 2 or side % 2 for side in self.size):
            raise ValueError(f"preset {self.name}: size {self.size} is not even")
        if self.crf is not None and (facts.crf is None or self.crf > facts.worst_crf):
            raise ValueError(f"preset {self.name}: {self.codec} takes no crf of {self.crf}")
        shape = {"width": self.size[0], "height": self.size[1]} if self.size else {}
        wanted = {**shape, "fps": self.fps, "bitrate": self.max_bitrate}
        for limit in self.limits:
            value = wanted.get(limit.quantity)
            if value is not None and not limit.allows(Fraction(value)):
                raise ValueError(f"preset {self.name} breaks its own limit of {limit.quantity}")

    @property
    def platform(self) -> str:
        """Who takes it, or refuses."""
        return self.about.split(",")[0]

    @property
    def facts(self) -> CodecFacts:
        """What its codec is like."""
        return CODECS[self.codec]

    def limit(self, quantity: Quantity) -> Limit | None:
        """The bounds of a quantity, None where the platform names none."""
        return next((limit for limit in self.limits if limit.quantity == quantity), None)


NUMBERS = (
    *("size", "widest", "fps", "crf", "max_bitrate"),
    *("gop_seconds", "edit_list", "audio_bitrate"),
)
"""The fields of a preset that have a source."""


@dataclass(frozen=True)
class Refusal:
    """What a platform would refuse of a film, and what to do about it."""

    message: str
    hint: str


def refusals(
    preset: Preset, *, size: tuple[int, int], fps: Fraction, num_frames: int, bitrate: int | None
) -> list[Refusal]:
    """All that a preset's platform would refuse of a film as it is planned.

    >>> reels = preset("reels")
    >>> plan = {"size": (1080, 1920), "fps": Fraction(30), "num_frames": 60, "bitrate": None}
    >>> [refusal.message for refusal in refusals(reels, **plan)]
    ['reels: the length is 2 s, Instagram Reels takes from 3 to 900 s']
    """
    width, height = size
    values: dict[Quantity, Fraction | None] = {
        "seconds": num_frames / fps,
        "fps": fps,
        "width": Fraction(width),
        "height": Fraction(height),
        "aspect": Fraction(width, height),
        "frames": Fraction(num_frames),
        "pixels": Fraction(width * height * num_frames),
        "bitrate": None if bitrate is None else Fraction(bitrate),
        "bytes": None if bitrate is None else bitrate * num_frames / fps / 8,
    }
    found = []
    for limit in preset.limits:
        value = values.get(limit.quantity)
        if value is None or limit.allows(value):
            continue
        told = f"{number(value)}{_UNITS.get(limit.quantity, '')}"
        found.append(
            Refusal(
                f"{preset.name}: {_NAMES[limit.quantity]} {told}, "
                f"{preset.platform} takes {limit.words}",
                f"{_advice(preset, limit, size, fps, num_frames)} ({limit.source})",
            )
        )
    return found


def _advice(
    preset: Preset, limit: Limit, size: tuple[int, int], fps: Fraction, num_frames: int
) -> str:
    """What to do about a limit that a film breaks."""
    seconds = num_frames / fps
    if limit.quantity == "seconds":
        bound = limit.low if limit.low is not None and seconds < limit.low else limit.high
        return f"write duration: {number(bound)}s, or choose another preset"
    if limit.quantity == "frames" and limit.high is not None:
        slower = [rate for rate in (10, 20, 25) if rate < fps and rate * seconds <= limit.high]
        if slower:
            return f"fps: {slower[-1]} gives {number(slower[-1] * seconds)}"
        return "write a shorter duration"
    if limit.quantity == "pixels":
        return "write a smaller size, fewer fps or a shorter duration"
    if limit.quantity == "fps":
        return f"write fps: {number(preset.fps or Fraction(30))}"
    if limit.quantity in ("bitrate", "bytes"):
        return "write a smaller bitrate"
    usual = preset.size
    return f"write size: {usual[0]}x{usual[1]}" if usual else "write a smaller size"


def number(value: Fraction | int | None) -> str:
    """A number as people write it: with as few digits as tell it, whole ones in thousands.

    >>> number(Fraction(30)), number(Fraction(30000, 1001)), number(300_000_000)
    ('30', '29.97', '300,000,000')
    """
    if value is None:
        return "any"
    if value == int(value):
        return f"{int(value):,}"
    return f"{float(value):.4g}"


def preset(name: str) -> Preset:
    """The preset of a name; KeyError for any other."""
    return presets()[name]


@lru_cache(maxsize=1)
def presets() -> dict[str, Preset]:
    """All presets by name, in the order of their file."""
    data = yaml.safe_load(DATA.read_text(encoding="utf-8"))
    sources = {name: Source(**entry) for name, entry in data["sources"].items()}
    return {name: _preset(name, entry, sources) for name, entry in data["presets"].items()}


def _preset(name: str, entry: dict[str, Any], sources: Mapping[str, Source]) -> Preset:
    """A preset from its entry in the file."""
    numbers = {
        key.replace("-", "_"): value
        for key, value in entry.items()
        if key not in ("about", "codec", "is-draft", "limits")
    }
    values = {key: value["value"] for key, value in numbers.items()}
    if "size" in values:
        width, height = values["size"].split("x")
        values["size"] = (int(width), int(height))
    for key in ("fps", "gop_seconds"):
        values[key] = _fraction(values.get(key))
    return Preset(
        name=name,
        about=entry["about"],
        codec=entry["codec"],
        is_draft=entry.get("is-draft", False),
        limits=tuple(
            Limit(
                quantity,
                low=_fraction(limit.get("low")),
                high=_fraction(limit.get("high")),
                source=sources[limit["source"]],
            )
            for quantity, limit in entry.get("limits", {}).items()
        ),
        sources={key: sources[value["source"]] for key, value in numbers.items()},
        **values,
    )


def _fraction(value: object) -> Fraction | None:
    return None if value is None else Fraction(str(value))
