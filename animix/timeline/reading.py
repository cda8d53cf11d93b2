"""A reading in progress: the mistakes found so far, and what later lines need from earlier ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from types import MappingProxyType
from typing import TypeVar

from animix.errors import Mark, Mistake
from animix.timeline.clock import Clock
from animix.timeline.misread import Consequence, Misread, not_yet, quoted, suggestion
from animix.timeline.nodes import Broken, ListNode, MapNode, Node, TextNode

MOST_MISTAKES = 100
"""Then reading stops: nobody mends a hundred mistakes without reading again."""

_YAML_1_1 = {"yes": "true", "on": "true", "no": "false", "off": "false"}
"""What older YAML reads as truth values."""

Value = TypeVar("Value")
Word = TypeVar("Word", bound=str)


class TooManyMistakes(Exception):
    """Reading on is of no use: the list of mistakes is full, or the timeline too large."""


@dataclass
class Reading:
    """What is known while a timeline is read.

    Every reader takes it first. A reader that finds a mistake notes it, gives back a default and
    goes on, so that one run finds all mistakes. What is Broken was noted before and is passed by.
    """

    clock: Clock = field(default_factory=lambda: Clock(Fraction(30)))
    duration: Fraction | None = None
    """Seconds; None where it could not be read, and then nothing is measured against it."""
    mistakes: list[Mistake] = field(default_factory=list)
    num_noted: int = 0
    """Grows with every mistake: what was read while it grew is not what the file means."""
    num_keys: int = 0
    """Of all tracks so far, repetitions counted."""
    notes: list[str] = field(default_factory=list)
    listens: bool = True
    """Whether sounds may be opened, as ``bpm: auto`` asks for."""
    causes: set[str] = field(default_factory=set)
    """Those of which no further consequence is told."""

    def note(self, mark: Mark, message: str, hint: str = "") -> None:
        """Note a mistake; the same place is not complained about twice in the same words."""
        self.num_noted += 1
        mistake = Mistake(mark, message, hint)
        if mistake not in self.mistakes:  # an alias brings the same text here many times
            self.mistakes.append(mistake)
        if len(self.mistakes) >= MOST_MISTAKES:
            raise TooManyMistakes

    def not_yet(self, mark: Mark, what: str) -> None:
        """Note a word of the language whose turn has not come."""
        self.note(mark, not_yet(what))

    def text(self, node: Node, name: str, expected: str) -> TextNode | None:
        """The node if it is a text; ``name`` says of what, ``expected`` what it should say."""
        if isinstance(node, Broken):
            return None
        if not isinstance(node, TextNode):
            found = "a list" if isinstance(node, ListNode) else "a map"
            self.note(node.mark, f"{name} is {expected}, found {found}")
            return None
        if node.is_empty or not node.text.strip():
            self.empty(node, name, f"expected {expected}")
            return None
        return node

    def empty(self, node: TextNode, name: str, hint: str = "") -> None:
        """Note that a value is missing."""
        if node.comment:
            comment = quoted(node.comment.split()[0])
            self.note(
                node.mark,
                f"{name} has no value: a # starts a comment",
                f"if it belongs to the value, put it in quotes: {comment}",
            )
        else:
            self.note(node.mark, f"{name} has no value", hint)

    def parse(self, node: TextNode, parser: Callable[[str], Value]) -> Value | None:
        """What a parser makes of a text; None where it can't be read."""
        if node.text.startswith("="):
            hint = "expressions stand where a value may have keyframes"
            self.note(node.mark, "no expression can stand here", hint)
            return None
        return self.parse_value(node, parser)

    def parse_value(self, node: TextNode, parser: Callable[[str], Value]) -> Value | None:
        """As ``parse``, for a text that may be an expression."""
        try:
            return parser(node.text)
        except Misread as misread:
            if isinstance(misread, Consequence):
                if misread.cause in self.causes:
                    self.num_noted += 1
                    return None
                self.causes.add(misread.cause)
            mark = node.part(misread.offset, misread.width)
            self.note(mark, misread.message, misread.hint)
            return None

    def read(
        self, node: Node | None, name: str, expected: str, parser: Callable[[str], Value]
    ) -> Value | None:
        """What a parser makes of a node's text; None where there is none or it can't be read."""
        text = None if node is None else self.text(node, name, expected)
        return None if text is None else self.parse(text, parser)

    def words(self, node: Node | None, name: str, expected: str) -> str | None:
        """A text that may say anything, such as a title or the name of a file."""
        text = None if node is None else self.text(node, name, expected)
        return None if text is None else text.text

    def options(
        self,
        node: MapNode,
        name: str,
        known: Sequence[str],
        later: Sequence[str] = (),
        elsewhere: Mapping[str, str] = MappingProxyType({}),
    ) -> dict[str, Node]:
        """The values of a map's known keys; ``later`` are keys whose turn has not come.

        ``elsewhere`` says of keys that stand in other maps in which.
        """
        found: dict[str, Node] = {}
        for key, value in node.entries:
            if key.text in known:
                found[key.text] = value
            elif key.text in later:
                self.not_yet(key.mark, key.text)
            else:
                hint = elsewhere.get(key.text) or suggestion(key.text, (*known, *later))
                hint = hint or f"{name} has {', '.join(known)}"
                self.note(key.mark, f"unknown key {quoted(key.text)}", hint)
        return found

    def choice(
        self,
        node: Node | None,
        name: str,
        words: tuple[Word, ...],
        default: Word,
        later: tuple[str, ...] = (),
    ) -> Word:
        """One word of several; ``later`` are words whose turn has not come."""

        def parser(text: str) -> Word:
            for word in words:
                if text == word:
                    return word
            if text in later:
                raise Misread(not_yet(f"{name}: {text}"))
            one_of = f"{name} is {', '.join(words[:-1])} or {words[-1]}"
            meant = _YAML_1_1.get(text.lower(), text)
            hint = suggestion(meant, (*words, *later)) or one_of
            raise Misread(f"unknown {name} {quoted(text)}", hint)

        found = self.read(node, name, f"one of {', '.join(words)}", parser)
        return default if found is None else found
