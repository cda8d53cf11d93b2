"""A reading in progress: the mistakes found so far, and what later lines need from earlier ones."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TypeVar

from animix.errors import Mark, Mistake
from animix.timeline.misread import Misread, not_yet, quoted, suggestion
from animix.timeline.nodes import Broken, Mapping, Node, Scalar, Sequence

MOST_MISTAKES = 100
"""Then reading stops: nobody mends a hundred mistakes without reading again."""

Value = TypeVar("Value")


class TooManyMistakes(Exception):
    """The list of mistakes is full."""


@dataclass
class Reading:
    """What is known while a timeline is read.

    Every reader takes it first. A reader that finds a mistake notes it, gives back a default and
    goes on, so that one run finds all mistakes. What is Broken was noted before and is passed by.
    """

    fps: Fraction = Fraction(30)
    duration: Fraction | None = None
    """Seconds; None where it could not be read, and then nothing is measured against it."""
    mistakes: list[Mistake] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def note(self, mark: Mark, message: str, hint: str = "") -> None:
        """Note a mistake; the same place is not complained about twice in the same words."""
        mistake = Mistake(mark, message, hint)
        if mistake not in self.mistakes:  # an alias brings the same text here many times
            self.mistakes.append(mistake)
        if len(self.mistakes) >= MOST_MISTAKES:
            raise TooManyMistakes

    def scalar(self, node: Node, name: str, expected: str) -> Scalar | None:
        """The node if it is a text; ``name`` says of what, ``expected`` what it should say."""
        if isinstance(node, Broken):
            return None
        if not isinstance(node, Scalar):
            found = "a list" if isinstance(node, Sequence) else "a map"
            self.note(node.mark, f"{name} is {expected}, found {found}")
            return None
        if node.is_empty or not node.text.strip():
            self.empty(node, name)
            return None
        return node

    def empty(self, node: Scalar, name: str) -> None:
        """Note that a value is missing."""
        if node.comment:
            comment = quoted(node.comment.split()[0])
            self.note(
                node.mark,
                f"{name} has no value: a # starts a comment",
                f"if it belongs to the value, put it in quotes: {comment}",
            )
        else:
            self.note(node.mark, f"{name} has no value")

    def parse(self, scalar: Scalar, parser: Callable[[str], Value]) -> Value | None:
        """What a parser makes of a text; None where it can't be read."""
        try:
            return parser(scalar.text)
        except Misread as misread:
            mark = scalar.part(misread.offset, misread.width)
            self.note(mark, misread.message, misread.hint)
            return None

    def read(
        self, node: Node | None, name: str, expected: str, parser: Callable[[str], Value]
    ) -> Value | None:
        """What a parser makes of a node's text; None where there is none or it can't be read."""
        scalar = None if node is None else self.scalar(node, name, expected)
        return None if scalar is None else self.parse(scalar, parser)

    def options(
        self, node: Mapping, name: str, known: Collection[str], later: Collection[str] = ()
    ) -> dict[str, Node]:
        """The values of a map's known keys; ``later`` are keys whose turn has not come."""
        found: dict[str, Node] = {}
        for key, value in node.entries:
            if key.text in known:
                found[key.text] = value
            elif key.text in later:
                self.note(key.mark, not_yet(key.text).message)
            else:
                hint = suggestion(key.text, known) or f"{name} has {', '.join(known)}"
                self.note(key.mark, f"unknown key {quoted(key.text)}", hint)
        return found

    def choice(self, node: Node | None, name: str, words: tuple[str, ...]) -> str | None:
        """One word of several."""

        def parser(text: str) -> str:
            if text not in words:
                one_of = f"{name} is {', '.join(words[:-1])} or {words[-1]}"
                raise Misread(f"unknown {name} {quoted(text)}", suggestion(text, words) or one_of)
            return text

        return self.read(node, name, f"one of {', '.join(words)}", parser)
