"""Values set by resolution: ``4..32: 0, 64: 0.5, 512..: 1``."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator

from animix.timeline.keyframes import Track
from animix.timeline.misread import Misread, quoted
from animix.timeline.nodes import MapNode, Node, TextNode
from animix.timeline.reading import Reading
from animix.timeline.timeline import Band, Bands
from animix.timeline.values import Quantity, read_track

LARGEST_RESOLUTION = 1 << 16

_RESOLUTIONS = re.compile(r"([0-9]{1,12}(?:\.[0-9]{0,12})?)(\.\.([0-9]{1,12})?)?")


def read_bands(
    reading: Reading, node: Node | None, quantity: Quantity, default: Track, unlisted: float
) -> Bands:
    """A value, which may stand for all resolutions or for each range of them.

    A value for all is one band from 0 up.
    """
    if isinstance(node, MapNode):
        kind, node = kind_of(reading, node, quantity.name)
        if kind == "resolutions":
            return Bands(tuple(_bands(reading, node, quantity, default)), unlisted)
    return Bands((Band(0, None, read_track(reading, node, quantity, default)),), unlisted)


def kind_of(
    reading: Reading, node: MapNode, name: str, options: Collection[str] = ()
) -> tuple[str, MapNode]:
    """Which kind of map this is, resolutions, options or times, and the map without odd keys.

    The odd keys of a mixture are noted; among options they stay, to be noted as unknown.
    """
    kinds = [_kind(key.text, options) for key, _ in node.entries]
    usual = max(dict.fromkeys(kinds), key=kinds.count, default="times")
    if usual == "options":
        return usual, node
    kept = []
    for (key, value), kind in zip(node.entries, kinds, strict=True):
        if kind == usual:
            kept.append((key, value))
        else:
            singular = {"resolutions": "a resolution", "options": "an option", "times": "a time"}
            hint = "a time needs a unit, such as 2s" if kind == "resolutions" else ""
            message = f"{quoted(key.text)} is {singular[kind]} among the {usual} of {name}"
            reading.note(key.mark, message, hint)
    whole = node.whole and len(kept) == len(node.entries)
    return usual, MapNode(tuple(kept), node.mark, whole)


def _kind(key: str, options: Collection[str]) -> str:
    if key in options:
        return "options"
    match = _RESOLUTIONS.fullmatch(key)
    return "resolutions" if match and (match[2] or float(match[1]) != 0) else "times"


def _bands(reading: Reading, node: MapNode, quantity: Quantity, default: Track) -> list[Band]:
    """The bands of a map by resolution; those with mistakes are left out."""
    bands: list[Band] = []
    for key, bounds, value in resolution_ranges(reading, node):
        inner = Quantity(
            f"{quantity.name} at {key.text[:40]}", quantity.space, quantity.low, quantity.high
        )
        track = read_track(reading, value, inner, default)
        if bounds is not None:
            bands.append(Band(*bounds, track))
    return bands


def resolution_ranges(
    reading: Reading, node: MapNode
) -> Iterator[tuple[TextNode, tuple[int, int | None] | None, Node]]:
    """The entries of a map by resolution with their bounds, both included; None after a mistake."""
    seen: list[tuple[TextNode, int, int | None]] = []
    for key, value in node.entries:
        bounds = reading.parse(key, _parse_resolutions)
        if bounds is not None:
            low, high = bounds
            for other, its_low, its_high in seen:
                if low <= (its_high or LARGEST_RESOLUTION) and its_low <= (
                    high or LARGEST_RESOLUTION
                ):
                    message = f"{quoted(key.text)} and {quoted(other.text)} overlap"
                    hint = "both ends of a range of resolutions are included"
                    reading.note(key.mark, message, hint)
                    bounds = None
                    break
            else:
                seen.append((key, low, high))
        yield key, bounds, value


def _parse_resolutions(text: str) -> tuple[int, int | None]:
    """The bounds of ``64``, ``4..32`` or ``512..``, both included."""
    match = _RESOLUTIONS.fullmatch(text)
    if match is None:
        raise Misread(f"{quoted(text)} is no resolution", "write 64, 4..32 or 512..")
    low = _resolution(match[1])
    if not match[2]:
        return low, low
    high = _resolution(match[3]) if match[3] else None
    if high is not None and high < low:
        raise Misread(f"{quoted(text)} ends before it starts", f"write {high}..{low}")
    return low, high


def _resolution(text: str) -> int:
    """A power of two that networks have layers for."""
    number = float(text)
    if number > LARGEST_RESOLUTION:
        raise Misread(f"{quoted(text)} is no resolution", f"the largest is {LARGEST_RESOLUTION}")
    below = 1 << max(2, int(number).bit_length() - 1)
    if number < 4 or number != below:
        hint = "write 4" if number < 4 else f"write {below} or {2 * below}"
        raise Misread(f"{quoted(text)} is no resolution: those are powers of two", hint)
    return below
