"""The nodes of a YAML document: texts, maps and lists that know where they stand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeAlias

from animix.errors import Mark


@dataclass(frozen=True)
class TextNode:
    """A text, unread: whether it is a number is for the one who expects a number to say."""

    text: str
    mark: Mark
    plain: bool = True
    """Written without quotes."""
    comment: str = ""
    """The comment that stands where a text was expected."""
    is_filled: bool = False
    """Whether variables stood in it, whose values it has now."""

    @property
    def is_empty(self) -> bool:
        """Whether there is no value: nothing at all, or YAML 1.2's words for it."""
        return self.plain and self.text in ("", "~", "null", "Null", "NULL")

    def part(self, offset: int, width: int | None = None) -> Mark:
        """The mark of a part of the text; the whole text's where it is folded or escaped."""
        mark = self.mark
        column = mark.column + (0 if self.plain else 1)
        if not mark.text.startswith(self.text, column - 1):
            return mark
        rest = max(1, len(self.text) - offset)
        width = rest if width is None else min(width, rest)
        return replace(mark, column=column + offset, width=width)


@dataclass(frozen=True)
class MapNode:
    """Keys and values in the order of the file; no key stands twice."""

    entries: tuple[tuple[TextNode, Node], ...]
    mark: Mark
    whole: bool = True
    """Whether nothing is missing: entries with mistakes are left out."""


@dataclass(frozen=True)
class ListNode:
    """A list."""

    items: tuple[Node, ...]
    mark: Mark


@dataclass(frozen=True)
class Broken:
    """Stands where a mistake has been reported: whoever reads it keeps quiet."""

    mark: Mark


def with_texts(node: Node, change: Callable[[str], str]) -> Node:
    """A node with its values changed, however deep they stand; keys stay."""
    return with_text_nodes(node, lambda text: replace(text, text=change(text.text)))


def with_text_nodes(node: Node, change: Callable[[TextNode], TextNode]) -> Node:
    """As ``with_texts``, for who wants to know where a text stands."""
    if isinstance(node, TextNode):
        return change(node)
    if isinstance(node, ListNode):
        return replace(node, items=tuple(with_text_nodes(item, change) for item in node.items))
    if isinstance(node, MapNode):
        entries = ((key, with_text_nodes(value, change)) for key, value in node.entries)
        return replace(node, entries=tuple(entries))
    return node


Node: TypeAlias = "TextNode | MapNode | ListNode | Broken"
