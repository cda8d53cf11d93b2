"""Extends: a timeline that says only what is different from another one, its base."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from animix.errors import Mistake
from animix.tables import short_path
from animix.timeline.audio import AUDIO_KEYS
from animix.timeline.document import parse_document
from animix.timeline.latent_path import LATENT_KEYS
from animix.timeline.layers import LAYER_KEYS
from animix.timeline.misread import Misread, quoted, suggestion
from animix.timeline.nodes import Broken, MapNode, Node, TextNode
from animix.timeline.output import OUTPUT_KEYS
from animix.timeline.source import source_text

LONGEST_NAME = 200
"""Of a file, as a mistake tells it."""
MOST_BASES = 20
"""One above the other."""

OPTIONS: Mapping[str, Collection[str] | None] = {
    **dict.fromkeys(("networks", "markers", "sections", "vars", "variants", "frame")),
    "audio": AUDIO_KEYS,
    "output": OUTPUT_KEYS,
    "latents": LATENT_KEYS,
    "blend": LAYER_KEYS,
}
"""Keys whose maps merge, if they have no others than these keys; None: whatever they have."""


@dataclass(frozen=True)
class Extended:
    """A document with what its bases say where it is silent."""

    root: Node
    mistakes: tuple[Mistake, ...] = ()
    bases: Mapping[str, Path] = field(default_factory=dict)
    """The files that were read, by their names in marks."""
    whole: bool = True
    """Whether all bases could be read."""


def with_bases(root: Node, path: Path) -> Extended:
    """The document of the timeline at ``path``, and under it the timeline that it extends.

    Maps of options and of names merge. Keyed maps, resolution maps and lists are replaced as a
    whole, and ``null`` removes what the base says. A base is looked for beside the file that names
    it, and may have one itself.
    """
    return _extended(root, path, (path,))


def _extended(root: Node, path: Path, chain: tuple[Path, ...]) -> Extended:
    """As ``with_bases``; ``chain`` leads from the timeline to this file."""
    if not isinstance(root, MapNode):
        return Extended(root)
    named = next((value for key, value in root.entries if key.text == "extends"), None)
    own = replace(root, entries=tuple(e for e in root.entries if e[0].text != "extends"))
    if named is None:
        return Extended(own)
    if isinstance(named, Broken):
        return Extended(own, whole=False)
    base = None
    try:
        base = _base(named, path, chain)
        text = source_text(base)
    except Misread as misread:
        told = f"{short_path(str(base), LONGEST_NAME)}: " if base else ""
        mistake = Mistake(named.mark, told + misread.message, misread.hint)
        return Extended(own, (mistake,), whole=False)
    below, mistakes = parse_document(text, str(base))
    extended = _extended(below, base, (*chain, base))
    mistakes += extended.mistakes
    if not isinstance(extended.root, MapNode):
        if not isinstance(extended.root, Broken):
            mistakes.append(Mistake(extended.root.mark, "a timeline is a map of keys"))
        return Extended(own, tuple(mistakes), {str(base): base}, whole=False)
    bases = {str(base): base, **extended.bases}
    merging = _Merging()
    root = merging.merged(extended.root, own)
    mistakes += merging.mistakes if extended.whole else []
    return Extended(root, tuple(mistakes), bases, extended.whole)


def _base(node: Node, path: Path, chain: tuple[Path, ...]) -> Path:
    """The file that a timeline at ``path`` extends; Misread where that can't be."""
    if not isinstance(node, TextNode) or node.is_empty or not node.text.strip():
        raise Misread("extends is the file of another timeline", "write extends: base.yaml")
    if "$" in node.text:
        hint = "it is read before vars are; write its name"
        raise Misread("no variable can stand in extends", hint)
    try:
        base = path.parent / Path(node.text).expanduser()
        place = os.path.realpath(base)
    except (OSError, ValueError, RuntimeError) as error:
        raise Misread(f"{quoted(node.text)} is no file's name: {error}") from error
    places = [os.path.realpath(file) for file in chain]
    if place in places:
        circle = [*chain[places.index(place) :], base]
        told = " → ".join(file.name for file in circle)
        hint = "let one of them stand on its own"
        raise Misread(f"the files extend each other in a circle: {told}", hint)
    if len(chain) > MOST_BASES:
        raise Misread(f"extends leads through more than {MOST_BASES} files")
    return base


class _Merging:
    """Holds the mistakes that are found while timelines merge."""

    def __init__(self) -> None:
        self.mistakes: list[Mistake] = []

    def merged(self, base: MapNode, over: MapNode) -> MapNode:
        """A whole timeline over its base."""
        found = {key.text: value for key, value in base.entries}
        entries = []
        for key, value in over.entries:
            below = found.get(key.text)
            if key.text in OPTIONS and isinstance(value, MapNode) and isinstance(below, MapNode):
                options = OPTIONS[key.text]
                if options is None or (_has_only(value, options) and _has_only(below, options)):
                    value = self.laid(below, value, key.text)
            entries.append((key, value))
        return self.laid(base, replace(over, entries=tuple(entries)), "the base")

    def laid(self, base: MapNode, over: MapNode, name: str) -> MapNode:
        """The keys of both in the order of the base, the upper one's values, without its nulls.

        A key without any value is no ``null``: it stays, and is told later.
        """
        entries = {key.text: (key, value) for key, value in base.entries}
        for key, value in over.entries:
            if not (isinstance(value, TextNode) and value.is_empty and value.text):
                entries[key.text] = key, value
            elif key.text in entries:
                del entries[key.text]
            else:
                message = f"{name} has no {key.text[:40]} that could be removed"
                hint = suggestion(key.text, entries)
                self.mistakes.append(Mistake(key.mark, message, hint))
        return MapNode(tuple(entries.values()), over.mark, base.whole and over.whole)


def _has_only(node: MapNode, options: Collection[str]) -> bool:
    return all(key.text in options for key, _ in node.entries)
