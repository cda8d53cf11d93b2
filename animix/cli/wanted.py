"""What a command works on: timelines, and each variant of those that have several."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from animix.cli.arguments import parse_settings
from animix.delivery import film_path
from animix.errors import AnimixError, Mark, Mistake, OptionError, TimelineError, unusable
from animix.timeline.reader import load_each
from animix.timeline.timeline import Timeline


@dataclass(frozen=True, eq=False)
class Wanted:
    """A timeline, or one variant of it, that is to be worked on."""

    file: Path
    variant: str
    """As it is told: ``seed=7 look=anime``; empty for a timeline without variants."""
    timeline: Timeline | AnimixError
    """Or why there is none."""

    def __str__(self) -> str:
        return f"{self.file} {self.variant}".rstrip()

    def opened(self) -> Timeline:
        """The timeline; its error, if it has none."""
        if isinstance(self.timeline, AnimixError):
            raise self.timeline
        return self.timeline


class SameMistakes(OptionError):
    """A variant has mistakes that were told of another one."""


def wanted(
    files: Sequence[Path], settings: Sequence[str] | None, only: Sequence[str] | None
) -> list[Wanted]:
    """Everything that stands in files, each once; mistakes that variants share are told once."""
    found: list[Wanted] = []
    for file in dict.fromkeys(files):
        try:
            found += _variants(file, parse_settings(settings), only or ())
        except AnimixError as error:
            found.append(Wanted(file, "", error))
        except OSError as error:  # of a path that nobody looked at before
            found.append(Wanted(file, "", unusable(error, str(file))))
    return found


def _variants(file: Path, overrides: dict[str, str], only: Sequence[str]) -> list[Wanted]:
    """The variants of a file that are wanted, or the file itself."""
    told: dict[Mistake, str] = {}
    found: list[Wanted] = []
    for one in load_each(file, overrides, only):
        variant = str(one.variant or "")
        if isinstance(one, Timeline):
            found.append(Wanted(file, variant, one))
            continue
        new = [mistake for mistake in one.error.mistakes if mistake not in told]
        error: AnimixError = TimelineError(new)
        if not new:
            error = SameMistakes(f"has the mistakes of {told[one.error.mistakes[0]]}")
        told |= dict.fromkeys(new, variant)
        found.append(Wanted(file, variant, error))
    if len(found) > 1 and not any(isinstance(one.timeline, Timeline) for one in found):
        return [Wanted(file, "", TimelineError(told))]
    check_films([one.timeline for one in found if isinstance(one.timeline, Timeline)])
    return found


def check_films(timelines: Sequence[Timeline]) -> None:
    """Refuse variants whose films would be one file; TimelineError at the output that says so."""
    places: dict[str, Timeline] = {}
    for timeline in timelines:
        for output in timeline.outputs:
            path = film_path(timeline, output=output)
            # Many systems take A.mp4 and a.mp4 for the same file.
            other = places.setdefault(os.path.realpath(path).casefold(), timeline)
            if other.variant != timeline.variant:
                mark = output.mark or Mark(str(timeline.path), 0, 0)
                message = f"{other.variant} and {timeline.variant} would both be {path}"
                values = timeline.variant.values if timeline.variant else ()
                keys = [f"${{{value.key.text}}}" for value in values]
                hint = f"let the file's name have {' and '.join(keys)}, or no variable"
                raise TimelineError([Mistake(mark, message, hint)])
