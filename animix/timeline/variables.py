"""Variables: what ``vars`` names, and ``$name`` and ``${name}`` where it is read."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import NoReturn

from animix.errors import Mark, Mistake
from animix.timeline.document import DEEPEST, MOST_CHARACTERS, MOST_NODES
from animix.timeline.misread import quoted, suggestion
from animix.timeline.nodes import Broken, ListNode, MapNode, Node, TextNode
from animix.timeline.reading import MOST_MISTAKES

MOST_VARIABLES = 1000

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_REFERENCE = re.compile(
    r"\$\$(?=[A-Za-z_{])|\$\{(?P<inside>[^{}$]*)(?P<end>\}?)|\$(?P<bare>[A-Za-z_][A-Za-z0-9_]*)"
)
_EXPRESSION = re.compile(r"(?:^|\s)=\S")
_NUMBER_LIKE = re.compile(r"[\w.:%]+")


@dataclass(frozen=True)
class Reference:
    """A variable in a text: ``$name``, ``${name}``, or ``$$``, which is a dollar sign."""

    name: str
    """Empty for the dollar sign."""
    start: int
    stop: int
    is_broken: bool = False
    """Whether braces hold no name, or don't close."""

    def mark(self, node: TextNode) -> Mark:
        """Where it stands in a text."""
        return node.part(self.start, self.stop - self.start)


def references(text: str) -> list[Reference]:
    """The variables in a text, from left to right.

    >>> [found.name for found in references("$look-${seed}x$size, and 5 $")]
    ['look', 'seed', 'size']
    """
    found = []
    for match in _REFERENCE.finditer(text) if "$" in text else ():
        inside = match["inside"]
        name = match["bare"] or (inside or "").strip()
        is_broken = inside is not None and not (match["end"] and NAME.fullmatch(name))
        found.append(Reference(name, match.start(), match.end(), is_broken))
    return found


def escaped(text: str) -> str:
    """A text in which nothing is read as a variable.

    >>> escaped("$look costs 5 $")
    '$$look costs 5 $'
    """
    for found in reversed(references(text)):
        text = f"{text[: found.start]}${text[found.start :]}"
    return text


def names_read(node: Node) -> set[str]:
    """The variables that a node reads, however deep."""
    if isinstance(node, TextNode):
        return {found.name for found in references(node.text) if found.name}
    if isinstance(node, ListNode):
        return set().union(*(names_read(item) for item in node.items))
    if isinstance(node, MapNode):
        pairs = (names_read(key) | names_read(value) for key, value in node.entries)
        return set().union(*pairs)
    return set()


def read_vars(node: Node | None) -> tuple[dict[str, tuple[TextNode, Node]], list[Mistake]]:
    """What ``vars`` gives names to, each with its key, and the mistakes in it."""
    if node is None or isinstance(node, Broken):
        return {}, []
    if not isinstance(node, MapNode):
        message = "vars is a map of names to values"
        return {}, [Mistake(node.mark, message, "write vars: {hi: 0.8}")]
    if len(node.entries) > MOST_VARIABLES:
        message = f"{len(node.entries)} variables: expected at most {MOST_VARIABLES}"
        return {}, [Mistake(node.mark, message)]
    mistakes = [
        Mistake(
            key.mark,
            f"{quoted(key.text)} can't name a variable",
            "a name is a letter or _, then letters, digits and _",
        )
        for key, _ in node.entries
        if not NAME.fullmatch(key.text)
    ]
    return {key.text: (key, value) for key, value in node.entries}, mistakes


@dataclass(frozen=True)
class Values:
    """What variables stand for, and what is known of others."""

    nodes: Mapping[str, Node]
    missing: Mapping[str, str] = field(default_factory=dict)
    """Why a name is known that has no value, for each such name."""
    whole: bool = True
    """Whether these are all; else others are passed over."""


def fill(node: Node, values: Values) -> tuple[Node, list[Mistake]]:
    """The node with every variable replaced by its value, and what went wrong.

    A text that is ``$name`` alone becomes the value, of whatever kind. Inside a text, and in a key,
    the value has to be a text; in an expression it is put in brackets where it needs them.
    """
    filling = _Filling(values)
    try:
        return filling.filled(node, 1).node, filling.mistakes
    except _Refused:
        return Broken(node.mark), filling.mistakes


class _Refused(Exception):
    """Filling in goes on for ever, or nearly; the mistake stands in the list."""


@dataclass(frozen=True)
class _Sized:
    """A node and how large it is."""

    node: Node
    num_nodes: int = 1
    num_characters: int = 0
    height: int = 1


class _Filling:
    """Holds the values that are filled in themselves, and how much has been put in."""

    def __init__(self, values: Values) -> None:
        self.values = values
        self.mistakes: list[Mistake] = []
        self.ready: dict[str, _Sized] = {}
        self.opened: list[str] = []
        self.num_nodes = 0
        self.num_characters = 0

    def filled(self, node: Node, depth: int) -> _Sized:
        """A node at some depth; the same one where it reads no variable."""
        if depth > DEEPEST:
            self.refuse(node.mark, f"is nested more than {DEEPEST} levels deep")
        if isinstance(node, TextNode):
            found = references(node.text)
            if not found:
                return _Sized(node, num_characters=len(node.text))
            one = found[0]
            if one.name and (one.start, one.stop) == (0, len(node.text)):
                return self.whole(node, one, depth)
            return self.text(node, found, depth)
        if isinstance(node, ListNode):
            items = [self.filled(item, depth + 1) for item in node.items]
            new: Node = node
            if any(a.node is not b for a, b in zip(items, node.items, strict=True)):
                new = replace(node, items=tuple(item.node for item in items))
            return _sum(new, items)
        if isinstance(node, MapNode):
            return self.map(node, depth)
        return _Sized(node)

    def map(self, node: MapNode, depth: int) -> _Sized:
        """A map, with variables in its keys as well."""
        entries: dict[str, tuple[TextNode, Node]] = {}
        sizes: list[_Sized] = []
        is_new, is_whole = False, node.whole
        for key, value in node.entries:
            found = references(key.text)
            told: Node = self.text(key, found, depth).node if found else key
            size = self.filled(value, depth + 1)
            sizes.append(size)
            is_new |= told is not key or size.node is not value
            if not isinstance(told, TextNode):
                is_whole = False
            elif told.text in entries:
                message = f"the key {quoted(told.text)} stands here twice"
                line = entries[told.text][0].mark.line
                self.note(key.mark, message, f"the other stands in line {line}")
            else:
                entries[told.text] = told, size.node
        if not is_new:
            return _sum(node, sizes)
        return _sum(MapNode(tuple(entries.values()), node.mark, is_whole), sizes)

    def whole(self, place: TextNode, found: Reference, depth: int) -> _Sized:
        """What a text becomes that is a variable and nothing else."""
        size = self.value(place, found, depth)
        if depth + size.height > DEEPEST:
            self.refuse(place.mark, f"is nested more than {DEEPEST} levels deep")
        self.count(place, size.num_nodes, size.num_characters)
        if isinstance(size.node, TextNode):
            mark = replace(size.node.mark, read_at=place.mark)
            return replace(size, node=replace(size.node, mark=mark, is_filled=True))
        return size

    def text(self, node: TextNode, found: list[Reference], depth: int) -> _Sized:
        """A text with variables inside."""
        expression = _EXPRESSION.search(node.text)
        pieces: list[str] = []
        end = 0
        for one in found:
            pieces.append(node.text[end : one.start])
            end = one.stop
            if not one.name and not one.is_broken:
                pieces.append("$")
                continue
            value = self.value(node, one, depth).node
            if isinstance(value, (MapNode, ListNode)):
                kind = "a list" if isinstance(value, ListNode) else "a map"
                message = f"${one.name} is {kind}: it can't stand inside a text"
                self.note(one.mark(node), message, f"${one.name} alone takes its place")
            if not isinstance(value, TextNode):
                return _Sized(Broken(node.mark))
            is_inside = expression is not None and expression.start() < one.start
            pieces.append(_in_brackets(value.text) if is_inside else value.text)
            self.count(node, 1, len(value.text))
        text = "".join([*pieces, node.text[end:]])
        return _Sized(replace(node, text=text, is_filled=True), num_characters=len(text))

    def value(self, place: TextNode, found: Reference, depth: int) -> _Sized:
        """The value of a variable, with the variables that it reads itself."""
        name = found.name
        if name in self.ready:
            return self.ready[name]
        if found.is_broken:
            written = place.text[found.start : found.stop]
            self.note(found.mark(place), f"{quoted(written)} names no variable", 'write "${name}"')
            return _Sized(Broken(place.mark))
        if name not in self.values.nodes:
            if self.values.whole:
                self.note(found.mark(place), f"there is no ${name[:40]}", self.hint(name))
            return _Sized(Broken(place.mark))
        if name in self.opened:
            circle = self.opened[self.opened.index(name) :]
            told = " → ".join([*circle[:5], "…"] if len(circle) > 5 else [*circle, name])
            message = f"variables read each other in a circle: {told}"
            self.note(found.mark(place), message, "give one of them a value of its own")
            self.ready |= {one: _Sized(Broken(place.mark)) for one in circle}
            return self.ready[name]
        if len(self.opened) >= DEEPEST:
            message = f"variables read each other more than {DEEPEST} deep"
            self.refuse(found.mark(place), message)
        self.opened.append(name)
        size = self.filled(self.values.nodes[name], depth)
        self.opened.pop()
        return self.ready.setdefault(name, size)

    def hint(self, name: str) -> str:
        """What to say of a name that nothing stands for."""
        if name in self.values.missing:
            return self.values.missing[name]
        known = list(self.values.nodes)
        if near := suggestion(name, known):
            return near.replace('"', '"$', 1)
        if known:
            return f"there are {', '.join(f'${one}' for one in known)}"[:200]
        return f"write vars: {{{name[:40]}: VALUE}}; a dollar sign before letters is $$"

    def count(self, place: TextNode, num_nodes: int, num_characters: int) -> None:
        """Count what is put in, and refuse what is too much."""
        self.num_nodes += num_nodes
        self.num_characters += num_characters
        if self.num_nodes > MOST_NODES:
            self.refuse(place.mark, f"variables make more than {MOST_NODES} values of this")
        if self.num_characters > MOST_CHARACTERS:
            self.refuse(place.mark, "variables make more than a mebibyte of this")

    def note(self, mark: Mark, message: str, hint: str = "") -> None:
        """Note a mistake; too many end the filling in."""
        self.mistakes.append(Mistake(mark, message, hint))
        if len(self.mistakes) >= MOST_MISTAKES:
            raise _Refused

    def refuse(self, mark: Mark, message: str) -> NoReturn:
        """Note a mistake and fill in no more."""
        self.note(mark, message)
        raise _Refused


def _sum(node: Node, parts: Collection[_Sized]) -> _Sized:
    return _Sized(
        node,
        1 + sum(part.num_nodes for part in parts),
        sum(part.num_characters for part in parts),
        1 + max((part.height for part in parts), default=0),
    )


def _in_brackets(text: str) -> str:
    """A value as it stands in an expression: numbers and words as they are, sums in brackets."""
    inner = text.strip().removeprefix("=")
    is_computed = inner != text.strip() or inner[:1] in ("+", "-", "(", ".") or inner[:1].isdigit()
    return f"({inner})" if is_computed and not _NUMBER_LIKE.fullmatch(inner) else text


def unread(
    variables: Mapping[str, tuple[TextNode, Node]], read: Collection[str], known: Collection[str]
) -> Iterator[str]:
    """Says which variables nobody reads, of those that don't stand in the files ``known``."""
    for name, (key, _) in variables.items():
        if name not in read and key.mark.file not in known:
            yield f"vars: nothing reads ${name}"
