"""Edits: directions in W along which a path is pushed, by keyframed amounts."""

from __future__ import annotations

import re

from animix.timeline.bands import read_bands
from animix.timeline.misread import Misread, quoted
from animix.timeline.nodes import Broken, ListNode, MapNode, Node
from animix.timeline.numbers import parse_whole
from animix.timeline.reading import Reading
from animix.timeline.timeline import Edit
from animix.timeline.values import Quantity

EDIT_KEYS = ("direction", "amount")
SEFA = "sefa"
MOST_EDITS = 64
MOST_DIRECTIONS = 1 << 16
"""No network has a w of so many numbers, and so no more directions of its own."""

_WRITE = "write - {direction: sefa 3, amount: {0s: 0, 2s: 3, end: 0}}"
_SEFA = re.compile(rf"{SEFA}(?:\s+(\S.*))?", re.DOTALL)
_FILE = re.compile(r".*\.(?:npz|npy|pt)", re.DOTALL)


def read_edits(reading: Reading, node: Node | None) -> tuple[Edit, ...]:
    """The edits of a path; those with mistakes are left out."""
    if node is None or isinstance(node, Broken):
        return ()
    if not isinstance(node, ListNode):
        reading.note(node.mark, "edits is a list of directions and amounts", _WRITE)
        return ()
    if len(node.items) > MOST_EDITS:
        reading.note(node.items[MOST_EDITS].mark, f"more than {MOST_EDITS} edits")
        return ()
    found = (_edit(reading, item) for item in node.items)
    return tuple(edit for edit in found if edit is not None)


def parse_direction(text: str) -> int | str:
    """The number of a network's own direction, or a file.

    >>> parse_direction("sefa 3"), parse_direction("smile.npy")
    (3, 'smile.npy')
    """
    if match := _SEFA.fullmatch(text):
        hint = f"they are counted from 1: {SEFA} 3"
        if match[1] is None:
            raise Misread(f"{SEFA} needs the number of a direction", hint)
        number = parse_whole(match[1])
        if not 1 <= number <= MOST_DIRECTIONS:
            raise Misread(f"{quoted(text)} is no direction", hint)
        return number
    if _FILE.fullmatch(text):
        return text
    hint = f"expected a file (.npz, .npy or .pt), or {SEFA} with a number"
    raise Misread(f"{quoted(text)} is no direction", hint)


def told(direction: int | str) -> str:
    """A direction as a timeline writes it."""
    return f"{SEFA} {direction}" if isinstance(direction, int) else direction


def _edit(reading: Reading, node: Node) -> Edit | None:
    if not isinstance(node, MapNode):
        if not isinstance(node, Broken):
            reading.note(node.mark, "an edit is a direction and an amount", _WRITE)
        return None
    found = reading.options(node, "an edit", EDIT_KEYS)
    for key in EDIT_KEYS:
        if key not in found and node.whole:
            reading.note(node.mark, f"this edit has no {key}", _WRITE)
    direction = reading.read(found.get("direction"), "direction", "a file", parse_direction)
    name = "amount" if direction is None else f"amount of {told(direction)}"
    amount = Quantity(name)
    default = amount.constant(0.0, node.mark)
    bands = read_bands(reading, found.get("amount"), amount, default, unlisted=0.0)
    return None if direction is None else Edit(direction, bands, node.mark)
