"""The errors that animix raises, each with a message for the person who can mend it.

AnimixError                    base of all; ``exit_code`` is what the command ends with
├── TimelineError              a timeline that can't be read, with every mistake in it
├── NetworkError               a checkpoint that can't be read or used
│   └── BlendError             networks that can't be mixed with each other
├── LatentError                a latent file that can't be used
├── PhotoError                 a photo that can't be used
├── SoundError                 a sound that can't be used
├── OptionError                an argument or option that can't be taken
└── RenderError                a render that failed on its way (exit code 1)
    └── EncodeError            ffmpeg could not be started, died or refused
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field


class AnimixError(Exception):
    """Base of every error that animix raises on purpose."""

    exit_code = 2


@dataclass(frozen=True)
class Mark:
    """A place in a text: 1-based line and column, the width marked, and the line's text.

    Line 0 means the file as a whole.
    """

    file: str
    line: int
    column: int
    width: int = 1
    text: str = ""
    read_at: Mark | None = field(default=None, compare=False)
    """Where a variable brings it to, if one does."""

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}" if self.line else self.file


@dataclass(frozen=True)
class Mistake:
    """One thing wrong in a timeline: where, what, and what to write instead.

    >>> mark = Mark("reel.yaml", 3, 7, width=8, text="swap: {0s: 64 ease-inn}")
    >>> print(Mistake(Mark("reel.yaml", 6, 11), "2 needs a unit", "write 2s (seconds)"))
    reel.yaml:6:11  2 needs a unit
          | write 2s (seconds)
    """

    mark: Mark
    message: str
    hint: str = ""

    def __str__(self) -> str:
        read_at = f" (read at {self.mark.read_at})" if self.mark.read_at else ""
        lines = [f"{self.mark}  {self.message}{read_at}"]
        gutter = f"{self.mark.line:5d}"
        if self.mark.text:
            # A caret under column 300 helps nobody: long lines are cut around the place.
            first = max(0, self.mark.column - 1 - 60)
            shown = self.mark.text[first : first + 100].replace("\t", " ")
            indent = self.mark.column - 1 - first
            width = max(1, min(self.mark.width, len(shown) - indent))
            lines.append(f"{gutter} | {shown}")
            lines.append(f"      | {' ' * indent}{'^' * width} {self.hint}".rstrip())
        elif self.hint:
            lines.append(f"      | {self.hint}")
        return "\n".join(lines)


class TimelineError(AnimixError):
    """A timeline can't be read; ``mistakes`` holds everything that is wrong, in file order."""

    def __init__(self, mistakes: Iterable[Mistake]) -> None:
        self.mistakes = tuple(
            sorted(mistakes, key=lambda m: (m.mark.file, m.mark.line, m.mark.column))
        )
        super().__init__("\n\n".join(str(mistake) for mistake in self.mistakes))


class NetworkError(AnimixError):
    """A checkpoint can't be read or used."""


class BlendError(NetworkError):
    """Networks can't be mixed with each other."""


class LatentError(AnimixError):
    """A latent file can't be used."""


class PhotoError(AnimixError):
    """A photo can't be used."""


class SoundError(AnimixError):
    """A sound can't be used."""


class OptionError(AnimixError):
    """An argument or option can't be taken."""


def unusable(error: OSError, place: str) -> OptionError:
    """The error for a path that can't be used; ``place``: what it was needed for, if it is unnamed.

    >>> str(unusable(FileNotFoundError(2, "No such file or directory", "a.npy"), "reel.yaml"))
    'a.npy: No such file or directory'
    """
    return OptionError(f"{error.filename or place}: {error.strerror or error}")


class RenderError(AnimixError):
    """A render failed on its way."""

    exit_code = 1


class EncodeError(RenderError):
    """ffmpeg could not be started, died or refused; the message ends with its last words."""
