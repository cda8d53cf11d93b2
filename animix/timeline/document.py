"""A YAML document as nodes that know where they stand, read from the parser's events.

Events instead of ``yaml.load``: no tag is ever resolved, no alias is expanded behind our back, two
equal keys are seen, and values stay text, so that no YAML 1.1 rule reads ``on`` or ``1:30``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import NoReturn

import yaml

from animix.errors import Mark, Mistake
from animix.timeline import surprises
from animix.timeline.misread import quoted
from animix.timeline.nodes import Broken, ListNode, MapNode, Node, TextNode
from animix.timeline.reading import MOST_MISTAKES

MOST_CHARACTERS = 1 << 20
MOST_NODES = 100_000
"""Nodes of a document with its aliases written out: a billion laughs end here."""
DEEPEST = 40
MOST_LEFT_OUT = 20
"""Keys whose values are no YAML, and are left out to read the others."""

_LINE_BREAK = re.compile("\r\n|[\r\n\x85\u2028\u2029]")  # what YAML counts as lines
_COMMENT = re.compile(r"\s*(#.*)")
# Lines of ### or #--- are how comments are dressed, and #word is how values are cut.
_CUT = re.compile(r"[ \t]+(#(?![\s#]|[-=*]{2})\S+)")
# A key without a colon is one all the same.
_OUTERMOST = re.compile(r"(?=[\w\"'.$])([\w-]*)")
_NOT_PRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml's parser is ten times as fast


def parse_document(text: str, file: str) -> tuple[Node, list[Mistake]]:
    """The root node of a YAML text and the mistakes found in it; ``file`` is its name in marks.

    Where a value is no YAML that is noted, it is Broken, and the other outermost keys are read.
    Refuses tags, several documents, texts of more than a mebibyte, nesting below 40 levels, and
    aliases that expand to more than 100 000 nodes. The root is Broken where nothing can be read.
    """
    builder = _Builder(text, file)
    try:
        root = builder.build()
    except _Refused:
        root = Broken(Mark(file, 0, 0))
    return root, builder.mistakes


class _Refused(Exception):
    """The document can't be read on; the mistake stands in the list."""


@dataclass
class _Open:
    """A list or map that has begun and not yet ended."""

    mark: Mark
    is_map: bool
    flow: bool
    anchor: str | None
    children: list[Node] = field(default_factory=list)  # of a map: key, value, key, value
    num_nodes: int = 1
    depth: int = 1


class _Builder:
    """Holds what the events have built so far."""

    def __init__(self, text: str, file: str) -> None:
        self.file = file
        self.text = text.removeprefix("\ufeff")
        self.lines: list[str] = []
        self.mistakes: list[Mistake] = []
        self.stack: list[_Open] = []
        self.anchors: dict[str, tuple[Node, int, int]] = {}  # node, number of nodes, depth
        self.num_nodes = 0
        self.root: Node | None = None
        self.unread: list[Mistake] = []
        """What is no YAML, and ``left_out`` for it: the lines of those keys."""
        self.left_out: set[int] = set()
        self.kept_lines: list[str] = []

    def build(self) -> Node:
        """The root node; raises _Refused after a mistake that leaves none."""
        if len(self.text) > MOST_CHARACTERS:
            self.refuse(
                Mark(self.file, 0, 0), "is larger than a mebibyte, too large for a timeline"
            )
        if found := _NOT_PRINTABLE.search(self.text):
            before = _LINE_BREAK.split(self.text[: found.start()])
            mark = Mark(self.file, len(before), len(before[-1]) + 1)
            self.refuse(mark, f"the character U+{ord(found[0]):04X} can't stand in a text file")
        self.lines = _LINE_BREAK.split(self.text)
        while not self.has_read(self.text if not self.left_out else "\n".join(self.kept_lines)):
            pass
        if self.root is None or (isinstance(self.root, TextNode) and self.root.is_empty):
            hint = "a small one: networks: {faces: ffhq.pkl}, duration: 6s, latents: [3, 17]"
            self.refuse(Mark(self.file, 0, 0), "is empty", hint)
        return self.root

    def has_read(self, text: str) -> bool:
        """Whether all events could be taken; what stood in their way is noted and left out."""
        self.mistakes = list(self.unread)
        self.stack, self.anchors, self.num_nodes, self.root = [], {}, 0, None
        events = iter(yaml.parse(text, Loader=_Loader))
        while True:
            try:
                event = next(events)
            except StopIteration:
                return True
            except yaml.YAMLError as error:
                opened = [opened.mark for opened in self.stack if opened.flow]
                (line, column), message, hint = surprises.cleaned(error, self.lines, opened[-1:])
                self.leave_out(line, Mistake(self.mark(line, column), message, hint))
                return False
            self.take(event)

    def leave_out(self, line: int, mistake: Mistake) -> None:
        """Note what is no YAML, and read on without the outermost key that its line belongs to.

        So the mistakes of the others are found in the same run.
        """
        starts = [n for n, text in enumerate(self.lines) if _OUTERMOST.match(text)]
        start = max((n for n in starts if n <= line), default=None)
        if start in self.left_out:  # the first mistake may have been there already
            raise _Refused
        self.mistakes.append(mistake)
        self.unread.append(mistake)
        if start is None or len(self.left_out) >= MOST_LEFT_OUT:
            raise _Refused
        self.kept_lines = self.kept_lines or list(self.lines)
        stop = min((n for n in starts if n > start), default=len(self.lines))
        key = _OUTERMOST.match(self.lines[start])
        self.kept_lines[start:stop] = [""] * (stop - start)
        self.kept_lines[start] = f"{key[1]}: …" if key and key[1] else ""
        self.left_out.add(start)

    def mark(self, line: int, column: int, width: int = 1) -> Mark:
        """A mark from YAML's lines and columns, which count from 0."""
        text = self.lines[line] if line < len(self.lines) else ""
        return Mark(self.file, line + 1, column + 1, width, text)

    def report(self, mark: Mark, message: str, hint: str = "") -> None:
        """Note a mistake; too many end the reading."""
        self.mistakes.append(Mistake(mark, message, hint))
        if len(self.mistakes) >= MOST_MISTAKES:
            raise _Refused

    def refuse(self, mark: Mark, message: str, hint: str = "") -> NoReturn:
        """Note a mistake and read no further."""
        self.mistakes.append(Mistake(mark, message, hint))
        raise _Refused

    def take(self, event: yaml.Event) -> None:
        """Build on with one event of the parser."""
        if isinstance(event, yaml.DocumentStartEvent) and self.root is not None:
            mark = self.mark_of(event)
            self.refuse(mark, "a second document begins here", "a timeline is one document")
        if tag := getattr(event, "tag", None):
            mark = self.mark_of(event)
            self.report(mark, f"tags such as {quoted(tag)} are not read", "leave it out")
        if isinstance(event, yaml.ScalarEvent):
            text = self.text_node(event)
            self.count(1, text.mark)
            self.add(text, event.anchor)
        elif isinstance(event, (yaml.MappingStartEvent, yaml.SequenceStartEvent)):
            is_map = isinstance(event, yaml.MappingStartEvent)
            mark, flow = self.mark_of(event), bool(event.flow_style)
            self.stack.append(_Open(mark, is_map, flow, event.anchor))
            self.count(1, mark)
            if len(self.stack) > DEEPEST:
                self.refuse(mark, f"is nested more than {DEEPEST} levels deep")
        elif isinstance(event, (yaml.MappingEndEvent, yaml.SequenceEndEvent)):
            closed = self.stack.pop()
            node = self.map_node(closed) if closed.is_map else self.list_node(closed)
            self.add(node, closed.anchor, closed.num_nodes, closed.depth)
        elif isinstance(event, yaml.AliasEvent):
            self.alias(event)

    def add(self, node: Node, anchor: str | None, num_nodes: int = 1, depth: int = 1) -> None:
        """Put a finished node into what is open."""
        if anchor is not None:
            self.anchors[anchor] = node, num_nodes, depth
        if not self.stack:
            self.root = node
            return
        parent = self.stack[-1]
        parent.children.append(node)
        parent.num_nodes += num_nodes
        parent.depth = max(parent.depth, depth + 1)

    def count(self, num_nodes: int, mark: Mark) -> None:
        """Count nodes, and refuse a document that has too many."""
        self.num_nodes += num_nodes
        if self.num_nodes > MOST_NODES:
            self.refuse(mark, f"more than {MOST_NODES} values, too many for a timeline")

    def alias(self, event: yaml.AliasEvent) -> None:
        """Put in what an alias stands for."""
        name, mark = str(event.anchor), self.mark_of(event)
        if name in self.anchors:
            node, num_nodes, depth = self.anchors[name]
            if len(self.stack) + depth > DEEPEST:
                self.refuse(mark, f"is nested more than {DEEPEST} levels deep")
            self.count(num_nodes, mark)
            self.add(node, None, num_nodes, depth)
        elif any(name == opened.anchor for opened in self.stack):
            self.refuse(mark, f"{quoted(f'*{name}')} stands inside what it is a name for")
        else:
            if not self.left_out:  # it may be called so in there
                hint = f"a leading * makes an alias in YAML; for a text write {quoted(f'*{name}')}"
                self.report(mark, f"no anchor is called {quoted(f'&{name}')}", hint)
            self.add(Broken(mark), None)

    def text_node(self, event: yaml.ScalarEvent) -> TextNode | Broken:
        """A text with its mark, and what YAML may have hidden behind a ``#``."""
        mark, text = self.mark_of(event), str(event.value)
        if mark.column > 1 and mark.line - 1 in self.left_out:
            return Broken(mark)
        if found := _NOT_PRINTABLE.search(text):
            self.report(mark, f"the character U+{ord(found[0]):04X} can't stand in a value")
            return Broken(mark)
        comment = ""
        if not text:
            found = _COMMENT.match(mark.text, mark.column - 1)
            comment = found[1] if found else ""
        elif not event.style:
            self.check_cut(event, text)
        return TextNode(text, mark, not event.style, comment)

    def check_cut(self, event: yaml.ScalarEvent, text: str) -> None:
        """Report a ``#word`` behind a value that reads on as if it belonged to it."""
        line, column = surprises.place(event.end_mark)
        behind = self.lines[line] if line < len(self.lines) else ""
        if found := _CUT.match(behind, column):
            mark = self.mark(line, found.start(1), len(found[1]))
            message = f"a # starts a comment: the value ends at {quoted(text.split()[-1])}"
            whole = quoted(f"{text} {found[1]}", limit=60)
            hint = f"a comment needs a space, # {found[1][1:20]}; else quote the value: {whole}"
            self.report(mark, message, hint)

    def map_node(self, closed: _Open) -> MapNode | Broken:
        """A finished map, its keys checked; Broken where no key is left of it."""
        pairs = list(zip(closed.children[::2], closed.children[1::2], strict=True))
        num_written = len(pairs)
        if closed.flow:
            mistakes, pairs = surprises.split_values(pairs)
            for mistake in mistakes:
                self.report(mistake.mark, mistake.message, mistake.hint)
        entries: dict[str, tuple[TextNode, Node]] = {}
        for key, value in pairs:
            if not isinstance(key, TextNode):
                if not isinstance(key, Broken):
                    self.report(key.mark, "a key is a word, a time or a number, not a list or map")
            elif key.text in entries:
                hint = f"the other stands in line {entries[key.text][0].mark.line}"
                self.report(key.mark, f"the key {quoted(key.text)} stands here twice", hint)
            else:
                entries[key.text] = key, value
        whole = len(entries) == num_written
        whole = whole and not any(isinstance(value, Broken) for _, value in entries.values())
        if not entries and closed.children:
            return Broken(closed.mark)
        return MapNode(tuple(entries.values()), closed.mark, whole)

    def list_node(self, closed: _Open) -> ListNode:
        """A finished list."""
        items = list(closed.children)
        if closed.flow:
            mistakes, items = surprises.split_items(items)
            for mistake in mistakes:
                self.report(mistake.mark, mistake.message, mistake.hint)
        return ListNode(tuple(items), closed.mark)

    def mark_of(self, event: yaml.Event) -> Mark:
        """Where an event stands, as wide as it is in its first line."""
        (line, column), (end_line, end_column) = (
            surprises.place(mark) for mark in (event.start_mark, event.end_mark)
        )
        return self.mark(line, column, max(1, end_column - column) if end_line == line else 1)
