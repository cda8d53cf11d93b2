"""A text that can't be read, before anyone knows where in a file it stands."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class Misread(ValueError):
    """A word or number could not be read; ``offset`` and ``width`` say which part of the text.

    The reader, which knows where the text stands in its file, turns it into a Mistake.
    """

    def __init__(
        self, message: str, hint: str = "", offset: int = 0, width: int | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.offset = offset
        self.width = width


class Consequence(Misread):
    """A text that can't be read because of something elsewhere in the file, its ``cause``.

    Of all the consequences of a cause one is told, and none where the cause itself was.
    """

    def __init__(self, cause: str, message: str, hint: str = "") -> None:
        super().__init__(message, hint)
        self.cause = cause


def not_yet(what: str) -> str:
    """What to say of a word of the language whose turn has not come.

    >>> not_yet("audio")
    'audio: planned but not available yet'
    """
    return f"{what}: planned but not available yet"


def quoted(text: str, limit: int = 40) -> str:
    """A found text as messages show it: in quotes, on one line, cut where it is endless.

    >>> quoted("ease-inn")
    '"ease-inn"'
    """
    text = " ".join(text[: 4 * limit].split())
    return f'"{text}"' if len(text) <= limit else f'"{text[:limit]}…"'


def suggestion(word: str, known: Iterable[str]) -> str:
    """A hint with the known word nearest to a mistyped one; empty if none is near.

    >>> suggestion("ease-inn", ["linear", "ease-in"])
    'did you mean "ease-in"?'
    >>> suggestion("h246", ["h265", "h264"])
    'did you mean "h264"?'
    """
    if len(word) > 40:  # difflib's time grows with the square of the length
        return ""
    spellings = {name.lower(): name for name in known}
    near = difflib.get_close_matches(word.lower(), spellings, n=3, cutoff=0.6)
    # Two letters that have changed places are the likelier slip.
    near.sort(key=lambda name: sorted(name) != sorted(word.lower()))
    return f'did you mean "{spellings[near[0]]}"?' if near else ""
