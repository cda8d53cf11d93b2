"""The files that a timeline names: where they stand in its document."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path, PurePath

from animix.timeline.latent_path import with_latent_file
from animix.timeline.nodes import ListNode, MapNode, Node, TextNode, with_text_nodes

Change = Callable[[TextNode], TextNode]


def relocated(root: MapNode, folders: Mapping[str, Path]) -> MapNode:
    """The document with every path seen from the timeline's folder.

    What stands in other files is relative to them: ``folders`` leads from the timeline's folder to
    theirs, by their names in marks.
    """

    def path(node: TextNode) -> TextNode:
        return replace(node, text=_below(folders.get(node.mark.file), node.text))

    def latent(node: TextNode) -> TextNode:
        folder = folders.get(node.mark.file)
        return replace(node, text=with_latent_file(node.text, lambda name: _below(folder, name)))

    changes: Mapping[str, Callable[[Node], Node]] = {
        "networks": lambda node: with_text_nodes(node, path),
        "latents": lambda node: with_text_nodes(node, latent),
        "audio": lambda node: with_file(node, path),
        "output": lambda node: with_output_files(node, path),
        "frame": lambda node: with_into(node, path),
    }
    entries = (
        (key, changes[key.text](value) if key.text in changes else value)
        for key, value in root.entries
    )
    return replace(root, entries=tuple(entries))


def _below(folder: Path | None, name: str) -> str:
    """A path that starts in a folder, unless it starts elsewhere by itself."""
    if folder is None or not name.strip() or name.startswith("~") or PurePath(name).is_absolute():
        return name
    return str(folder / name)


def with_file(node: Node, change: Change) -> Node:
    """A text, or the ``file`` of a map, changed."""
    if isinstance(node, TextNode):
        return change(node)
    if not isinstance(node, MapNode):
        return node
    entries = (
        (key, change(value) if key.text == "file" and isinstance(value, TextNode) else value)
        for key, value in node.entries
    )
    return replace(node, entries=tuple(entries))


def with_into(frame: Node, change: Change) -> Node:
    """What a timeline says of its frame, with the projected photo's file changed."""
    if not isinstance(frame, MapNode):
        return frame
    entries = (
        (key, with_text_nodes(value, change) if key.text == "into" else value)
        for key, value in frame.entries
    )
    return replace(frame, entries=tuple(entries))


def with_output_files(node: Node, change: Change) -> Node:
    """What a timeline says of its outputs, with their files changed."""
    if isinstance(node, ListNode):
        items = tuple(with_output_files(item, change) for item in node.items)
        return replace(node, items=items)
    if isinstance(node, TextNode) and not set("./") & set(node.text):
        return node  # a preset
    return with_file(node, change)


def with_name_added(root: MapNode, name: str) -> MapNode:
    """The document with a name added to those of its films, unless variables make their names."""

    def named(node: TextNode) -> TextNode:
        path = PurePath(node.text)
        if node.is_filled or node.is_empty or not path.name:
            return node
        return replace(node, text=str(path.with_name(f"{path.stem}-{name}{path.suffix}")))

    entries = (
        (key, with_output_files(value, named) if key.text == "output" else value)
        for key, value in root.entries
    )
    return replace(root, entries=tuple(entries))
