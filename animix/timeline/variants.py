"""Variants: one timeline that makes many clips, a value of each list in every combination."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from animix.errors import Mark, Mistake, OptionError, TimelineError
from animix.timeline.misread import quoted, suggestion
from animix.timeline.nodes import Broken, ListNode, MapNode, Node, TextNode

MOST_VARIANTS = 10_000
LONGEST_NAME = 120
"""Bytes of a variant's name: a file's has 255 at most, and others stand beside it."""
LONGEST_VALUE = 32
"""Characters of a value in a name."""

_RANGE = re.compile(r"([0-9]{1,10})\.\.([0-9]{1,10})")
_UNSAFE = re.compile(r"[^\w.+-]+")
_HINT = "write variants: {seed: 1..20, look: [anime, marble]}"


@dataclass(frozen=True)
class Value:
    """What a variant says of one key."""

    key: TextNode
    """A variable's name, or the dotted path of what is set: ``blend.anime.swap``."""
    node: Node
    text: str
    """As it is told and chosen by; of a list or map ``#2``, its place among the values."""


@dataclass(frozen=True)
class Variant:
    """One of the clips that a timeline makes."""

    name: str
    """As file names carry it: ``seed-7-look-anime``, or what the timeline calls it."""
    values: tuple[Value, ...]
    is_named: bool = False
    """Whether the timeline gives it its name."""

    def __str__(self) -> str:
        """As it is told and chosen: ``seed=7 look=anime``."""
        return (
            self.name if self.is_named else " ".join(f"{v.key.text}={v.text}" for v in self.values)
        )


@dataclass(frozen=True)
class Variants:
    """The variants of a timeline, in the order of the file, the last key's values first."""

    every: tuple[Variant, ...]
    mark: Mark
    keys: Mapping[str, TextNode]
    """All keys that any of them has."""


_Row: TypeAlias = "tuple[TextNode | None, tuple[Value, ...]]"
"""The name that a variant is given, if any, and its values."""


def read_variants(node: Node) -> tuple[Variants, list[Mistake]]:
    """The variants that a node describes, whose variables are filled in; none after a mistake.

    A map is every combination of its values, a list has a map for each variant.
    """
    try:
        return _read(node), []
    except _Mistaken as mistaken:
        return Variants((), node.mark, {}), list(mistaken.mistakes)


class _Mistaken(Exception):
    """There are no variants, because of mistakes."""

    def __init__(self, *mistakes: Mistake) -> None:
        super().__init__()
        self.mistakes = mistakes


def _read(node: Node) -> Variants:
    if isinstance(node, Broken):
        raise _Mistaken
    if isinstance(node, MapNode) and node.entries:
        columns = [[Value(key, *one) for one in _values(key, value)] for key, value in node.entries]
        number = math.prod(map(len, columns))
        if number > MOST_VARIANTS:
            told = " × ".join(str(len(column)) for column in columns)
            message = f"{told} are {number} variants: expected at most {MOST_VARIANTS}"
            raise _Mistaken(Mistake(node.mark, message))
        rows: list[_Row] = [(None, row) for row in itertools.product(*columns)]
        keys = [key for key, _ in node.entries]
    elif isinstance(node, ListNode) and node.items:
        if len(node.items) > MOST_VARIANTS:
            message = f"{len(node.items)} variants: expected at most {MOST_VARIANTS}"
            raise _Mistaken(Mistake(node.mark, message))
        rows = [_row(item) for item in node.items]
        keys = [value.key for _, row in rows for value in row]
    else:
        raise _Mistaken(Mistake(node.mark, "variants is a map of lists, or a list of maps", _HINT))
    every = [_variant(name, row) for name, row in rows]
    names: dict[str, Variant] = {}
    for (named, row), variant in zip(rows, every, strict=True):
        # Many systems take Seed and seed for the same file.
        other = names.setdefault(variant.name.casefold(), variant)
        if other is not variant:
            mark = named.mark if named else row[-1].key.mark
            message = f"{variant} and {other} would be the same file, by the name {variant.name}"
            hint = "write a list of maps, and name: in each"
            raise _Mistaken(Mistake(mark, message, hint))
    return Variants(tuple(every), node.mark, _by_text(keys))


def _by_text(keys: Sequence[TextNode]) -> dict[str, TextNode]:
    """Keys by what they say, the first of each."""
    found: dict[str, TextNode] = {}
    for key in keys:
        found.setdefault(key.text, key)
    return found


def _row(node: Node) -> _Row:
    """One variant of a list: its name, if it has one, and its values."""
    if not isinstance(node, MapNode):
        found = (
            [] if isinstance(node, Broken) else [Mistake(node.mark, "a variant is a map", _HINT)]
        )
        raise _Mistaken(*found)
    name = None
    values = []
    for key, value in node.entries:
        if key.text == "name":
            if not isinstance(value, TextNode) or value.is_empty or not _safe(value.text):
                hint = "write name: soft"
                raise _Mistaken(Mistake(value.mark, "a variant's name is a word", hint))
            name = value
            continue
        text = value.text if isinstance(value, TextNode) else "#1"
        values.append(Value(key, value, text))
    if not values:
        raise _Mistaken(Mistake(node.mark, "this variant says nothing", _HINT))
    return name, tuple(values)


def _values(key: TextNode, node: Node) -> list[tuple[Node, str]]:
    """The values of one key and the texts that they go by."""
    items = node.items if isinstance(node, ListNode) else (node,)
    found: list[tuple[Node, str]] = []
    for item in items:
        if isinstance(item, Broken):
            raise _Mistaken
        if isinstance(item, MapNode) and not isinstance(node, ListNode):
            hint = f"write {key.text[:40]}: [a, b]"
            raise _Mistaken(Mistake(item.mark, f"{key.text[:40]} has one value, a map", hint))
        if not isinstance(item, TextNode):
            found.append((item, f"#{len(found) + 1}"))
            continue
        match = _RANGE.fullmatch(item.text) if item.plain else None
        if match is None:
            found.append((item, item.text))
            continue
        first, last = int(match[1]), int(match[2])
        if last < first:
            message = f"{quoted(item.text)} ends before it starts"
            raise _Mistaken(Mistake(item.mark, message, f"write {last}..{first}"))
        if last >= first + MOST_VARIANTS:
            message = f"{quoted(item.text)} is no range of up to {MOST_VARIANTS} numbers"
            raise _Mistaken(Mistake(item.mark, message, "write 1..20"))
        found += [(replace(item, text=str(n)), str(n)) for n in range(first, last + 1)]
        if len(found) > MOST_VARIANTS:
            raise _Mistaken(Mistake(item.mark, f"more than {MOST_VARIANTS} values"))
    if not found:
        raise _Mistaken(Mistake(node.mark, f"{quoted(key.text)} has no values", _HINT))
    return found


def _variant(named: TextNode | None, row: tuple[Value, ...]) -> Variant:
    parts = [(value.key.text.rpartition(".")[2], value.text) for value in row]
    name = "-".join(f"{_safe(key)}-{_safe(text)}" for key, text in parts)
    if named is not None:
        name = _safe(named.text)
    if len(name.encode()) > LONGEST_NAME:
        mark = named.mark if named else row[0].key.mark
        hint = "write a list of maps, and name: in each"
        raise _Mistaken(Mistake(mark, f"{quoted(name)} is too long for a file's name", hint))
    return Variant(name, row, named is not None)


def _safe(text: str) -> str:
    """A text in a file's name, on any system.

    >>> _safe("me/a: b.npz"), _safe("-0.5"), _safe("??")
    ('me_a_b.npz', '-0.5', '')
    """
    return _UNSAFE.sub("_", text[:LONGEST_VALUE]).strip("_. ")


def chosen(variants: Variants, only: Sequence[str]) -> list[Variant]:
    """The variants that ``--only`` names: ``seed=7``, ``seed=7,8``, ``seed=1..5``, or a name.

    Of one key any of its values will do, and of several keys all have to fit. OptionError where
    there is no such key, value, name or combination.
    """
    wanted: dict[str, set[str]] = {}
    names: set[str] = set()
    for text in only:
        key, equals, values = (part.strip() for part in text.partition("="))
        if equals:
            wanted.setdefault(key, set()).update(_wanted(variants, key, values))
        elif any(variant.name == key for variant in variants.every):
            names.add(key)
        else:
            known = [variant.name for variant in variants.every]
            named = any(variant.is_named for variant in variants.every)
            told = f"the variants are {_list(known)}" if named else _keys_told(variants)
            hint = suggestion(key, known) or told
            raise OptionError(f"--only {quoted(text)}: no variant is called so; {hint}")
    found = [
        variant
        for variant in variants.every
        if (not names or variant.name in names) and _fits(variant, wanted)
    ]
    if not found:
        told = " ".join(f"--only {quoted(text)}" for text in only)
        raise OptionError(f"{told}: no variant has all of this")
    return found


def _fits(variant: Variant, wanted: Mapping[str, Collection[str]]) -> bool:
    texts = {value.key.text: value.text for value in variant.values}
    return all(texts.get(key) in values for key, values in wanted.items())


def _wanted(variants: Variants, key: str, text: str) -> set[str]:
    """The values that are asked for of a key."""
    if key not in variants.keys:
        told = suggestion(key, variants.keys) or _keys_told(variants)
        raise OptionError(f"--only {quoted(f'{key}={text}')}: no variant has {key[:40]}; {told}")
    known = dict.fromkeys(
        value.text
        for variant in variants.every
        for value in variant.values
        if value.key.text == key
    )
    if text in known:
        return {text}
    wanted: set[str] = set()
    for part in map(str.strip, text.split(",")):
        match = _RANGE.fullmatch(part)
        inside = {
            one
            for one in known
            if match and one.isdecimal() and int(match[1]) <= int(one) <= int(match[2])
        }
        if part in known:
            inside = {part}
        if not inside:
            near = suggestion(part, known) or f"its values are {_list(known)}"
            raise OptionError(
                f"--only {quoted(f'{key}={text}')}: no {key[:40]} is {part[:40]}; {near}"
            )
        wanted |= inside
    return wanted


def _keys_told(variants: Variants) -> str:
    first = variants.every[0].values[0]
    return f"they have {_list(variants.keys)}: write --only {first.key.text}={first.text}"


def _list(words: Collection[str]) -> str:
    """Words for a message, not too many.

    >>> _list("abcdefghijkl")
    'a, b, c, d, e, f, g, h, … l'
    """
    told = [quoted(word)[1:-1] for word in words]
    if len(told) <= 10:
        return ", ".join(told)
    return f"{', '.join(told[:8])}, … {told[-1]}"


def choose_one(variants: Variants, only: Sequence[str]) -> Variant:
    """The one variant that is meant; TimelineError where there are several of them."""
    found = chosen(variants, only)
    if len(found) > 1:
        hint = f"choose one, such as --only {found[0]}" if found[0].is_named else ""
        if not hint:
            words = [f"--only {value.key.text}={value.text}" for value in found[0].values]
            hint = f"choose one, such as {' '.join(words)}"
        raise TimelineError([Mistake(variants.mark, f"here are {len(found)} variants", hint)])
    return found[0]
