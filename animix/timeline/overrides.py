"""Overrides: values that the command line puts into a timeline, ``--set blend.anime.swap=64``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from animix.errors import Mark, Mistake
from animix.timeline.document import parse_document
from animix.timeline.misread import quoted
from animix.timeline.nodes import Broken, ListNode, MapNode, Node, TextNode

DEEPEST = 20


class Lost(Exception):
    """There is no such place in the document; the message says why."""


def override(root: Node, overrides: Mapping[str, str]) -> tuple[Node, list[Mistake]]:
    """The document with each dotted path set to its value, a YAML text; and what went wrong.

    A path leads through the keys of maps, and through lists by a layer's name or by an index that
    counts from 0. The last key of a path, and maps on its way, are made where they don't exist.
    """
    mistakes: list[Mistake] = []
    for path, text in overrides.items():
        file = f"--set {path}"
        if not text.strip():
            hint = f"write --set {quoted(path)[1:-1]}=VALUE"
            mistakes.append(Mistake(Mark(file, 0, 0), "the value is empty", hint))
            continue
        value, found = parse_document(text, file)
        mistakes += found
        mark = Mark(file, 1, 1, max(1, len(text)), text)
        steps = path.split(".")
        if isinstance(value, Broken):
            continue
        if not all(steps) or len(steps) > DEEPEST:
            hint = "write the keys that lead to it, with dots between: blend.anime.swap"
            mistakes.append(Mistake(mark, f"{quoted(path)} is no path to a value", hint))
            continue
        try:
            root = put(root, steps, value, mark)
        except Lost as lost:
            mistakes.append(Mistake(mark, str(lost)))
    return root, mistakes


def put(node: Node, steps: list[str], value: Node, mark: Mark) -> Node:
    """The node with a value put in at the end of the steps; Lost where that can't be.

    ``mark`` is where keys stand that are made.
    """
    if not steps:
        return value
    step, *rest = steps
    if isinstance(node, Broken):
        return node
    if isinstance(node, TextNode):
        raise Lost(f"{quoted(node.text)} has no {quoted(step)} to set in it")
    if isinstance(node, ListNode):
        index = _index(node, step)
        items = list(node.items)
        layer = items[index]
        if step.isdecimal():
            items[index] = put(layer, rest, value, mark)
        elif isinstance(layer, TextNode) and rest:  # "- anime" becomes "- anime: {…}"
            inner = put(MapNode((), mark), rest, value, mark)
            items[index] = MapNode(((layer, inner),), layer.mark)
        else:
            items[index] = put(layer, steps, value, mark) if rest else value
        return replace(node, items=tuple(items))
    entries = list(node.entries)
    for place, (key, inner) in enumerate(entries):
        if key.text == step:
            entries[place] = key, put(inner, rest, value, mark)
            return replace(node, entries=tuple(entries))
    key = TextNode(step, mark)
    entries.append((key, put(MapNode((), mark), rest, value, mark)))
    return replace(node, entries=tuple(entries))


def _index(node: ListNode, step: str) -> int:
    """Which item of a list a step means."""
    if step.isdecimal() and len(step) < 10:
        if int(step) < len(node.items):
            return int(step)
        raise Lost(f"the list has {len(node.items)} items, counted from 0: there is no {step}")
    for index, item in enumerate(node.items):
        keys = [item] if isinstance(item, TextNode) else []
        if isinstance(item, MapNode):
            keys = [key for key, _ in item.entries]
        if any(key.text == step for key in keys):
            return index
    raise Lost(f"the list has no {quoted(step)}: give a layer's name, or an index from 0")
