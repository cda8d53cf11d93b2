"""The YAML text of nodes: what ``document`` reads again as the same nodes."""

from __future__ import annotations

import json
import re
from typing import TypeGuard

from animix.timeline.nodes import Broken, ListNode, MapNode, Node, TextNode

WIDTH = 100
"""Of a line, where texts allow it: what fits stands in one, with brackets, as people write it."""

_PLAIN = re.compile(r"-?[A-Za-z0-9_.][A-Za-z0-9_.%+/×-]*(?: [A-Za-z0-9_.%+/×>-]+)*")
_NOT_PRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_ESCAPED = {"\x85": r"\N", "\xa0": r"\_", "\u2028": r"\L", "\u2029": r"\P", "\ufeff": r"\uFEFF"}
"""What YAML takes for the end of a line, and what nobody sees."""


def yaml_text(root: MapNode) -> str:
    """The text of a document, one key a line.

    >>> from animix.timeline.document import parse_document
    >>> root, _ = parse_document("{size: 64x64, latents: [3, 17], title: 'a: b'}", "reel.yaml")
    >>> print(yaml_text(root), end="")
    size: 64x64
    latents: [3, 17]
    title: "a: b"
    """
    return "".join(f"{line}\n" for line in _lines(root))


def quoted_text(text: str) -> str:
    """A text in double quotes, in one line; characters that no YAML may hold become U+FFFD.

    >>> print(quoted_text('say "ah"'))
    "say \\"ah\\""
    """
    quoted = json.dumps(_NOT_PRINTABLE.sub("\ufffd", text), ensure_ascii=False)
    return quoted.translate({ord(character): code for character, code in _ESCAPED.items()})


def _lines(node: MapNode | ListNode, indent: int = 0) -> list[str]:
    """The lines of a map or a list, a key or an item in each, or in several where it is long."""
    lines = []
    before = " " * indent
    if isinstance(node, MapNode):
        for key, value in node.entries:
            head, flow = f"{before}{_scalar(key)}:", _flow(value)
            if _is_broken_up(value, len(head) + 1 + len(flow)):
                lines += [head, *_lines(value, indent + 2)]
            else:
                lines.append(f"{head} {flow}")
        return lines
    for item in node.items:
        if isinstance(item, MapNode) and item.entries:  # a layer of a blend reads better so
            first, *rest = _lines(item, indent + 2)
            lines += [f"{before}- {first[indent + 2 :]}", *rest]
        else:
            lines.append(f"{before}- {_flow(item)}")
    return lines


def _is_broken_up(node: Node, width: int) -> TypeGuard[MapNode | ListNode]:
    """Whether a node takes several lines; what is empty or a text has but one."""
    if isinstance(node, MapNode):
        return width > WIDTH and bool(node.entries)
    return isinstance(node, ListNode) and width > WIDTH and bool(node.items)


def _flow(node: Node) -> str:
    """A node in one line."""
    if isinstance(node, MapNode):
        return "{" + ", ".join(f"{_scalar(k)}: {_flow(value)}" for k, value in node.entries) + "}"
    if isinstance(node, ListNode):
        return "[" + ", ".join(map(_flow, node.items)) + "]"
    if isinstance(node, Broken):
        raise ValueError(f"{node.mark} is no value")
    return _scalar(node)


def _scalar(node: TextNode) -> str:
    """A text; in quotes if it was, or if YAML would read it otherwise."""
    if node.is_empty:
        return "null"
    return node.text if node.plain and _PLAIN.fullmatch(node.text) else quoted_text(node.text)
