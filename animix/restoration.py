"""Restoration: the timeline in a finished film or still, written back to a file that renders it.

What stands in a film is somebody's text: it is read as a timeline is, nothing in it is executed,
and it names no file but those that lie where the new timeline, the demo or the user has them.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath, PureWindowsPath

from animix import demo
from animix.checkpoints.runs import path_from
from animix.chunks import latent_files
from animix.errors import OptionError
from animix.provenance import DIGEST_DIGITS, literal, with_audio_file, without_target
from animix.timeline.document import parse_document
from animix.timeline.files import with_into
from animix.timeline.latent_path import renamed
from animix.timeline.nodes import MapNode, Node, TextNode, with_texts
from animix.timeline.reader import read_timeline
from animix.timeline.timeline import Timeline
from animix.timeline.yaml_text import yaml_text
from animix.video.metadata import SIGN, read_recipe
from animix.whole_file import digest_of, whole_file

_COMMAND = re.compile(
    rf"{SIGN}([0-9A-Za-z.+-]{{1,40}}) ((?:render|still)"
    r"(?: --frames [0-9]{1,9}\.\.[0-9]{1,9}| --at [0-9]{1,9}f| --draft"
    r"| --precision (?:float32|float16|bfloat16))*)"
)
_DIGEST = re.compile(rf'# sha256 ([0-9a-f]{{{DIGEST_DIGITS}}}) "([^"\\]+)"')


@dataclass(frozen=True)
class Restored:
    """What was written, for whom it is to be told."""

    command: str
    """What renders the film again."""
    notes: tuple[str, ...]
    """Where that will not be the same."""


def restore(source: Path, output: Path, files: Sequence[Path] = ()) -> Restored:
    """Write the timeline that a film or a still carries to ``output``.

    Its files are looked for, by name and content, among ``files``, beside ``output`` and in the
    demo; what is missing or differs is told in a comment. OptionError where there is no recipe or
    a file stands at ``output``, TimelineError for a recipe that is no timeline.
    """
    if output.exists():
        raise OptionError(f"{output} exists; name another file with --output")
    for file in files:
        if not file.is_file():
            raise OptionError(f"{file}: there is no such file to take for the film's")
    recipe = read_recipe(source)
    version, command, digests = _read_head(recipe)
    _refuse_bases(recipe, source)
    timeline = read_timeline(recipe, source, listen=False)
    search = Search(files, output.parent)
    places, notes = {}, []
    for name in _names(timeline):
        if not _is_bare(name):
            raise OptionError(
                f"{source}: its recipe names {name[:80]!r}; a recipe of animix's names files "
                "without folders, so this one is not taken"
            )
        path, note = search.find(name, digests.get(name))
        notes += [note] if note else []
        if path is not None:
            places[name] = path_from(output.parent, path)
    verb, *options = command.split(" ", 1)
    again = " ".join(["animix", verb, shlex.quote(str(output)), *options])
    head = [
        f"The timeline of {source.name}, which animix {version} made. The same again:",
        f"  {again}",
        *notes,
    ]
    comments = [f"# {_printable(line)}" for line in head]
    text = "\n".join([*comments, "", yaml_text(literal(_with_places(timeline.document, places)))])
    read_timeline(text, output, listen=False)
    with whole_file(output) as part:
        part.write_text(text, encoding="utf-8")
    return Restored(again, tuple(notes))


def _refuse_bases(recipe: str, source: Path) -> None:
    """Refuse a recipe that would have another file read."""
    root, _ = parse_document(recipe, str(source))
    if isinstance(root, MapNode) and "extends" in dict(_entries(root)):
        raise OptionError(
            f"{source}: its recipe extends another timeline; a recipe of animix's is whole, so "
            "this one is not taken"
        )


class Search:
    """Looks for the files of a recipe: among those given, in the timeline's folder, in the demo."""

    def __init__(self, files: Sequence[Path], folder: Path) -> None:
        self._files = files
        self._folder = folder
        self._digests: dict[Path, str] = {}

    def find(self, name: str, digest: str | None) -> tuple[Path | None, str]:
        """A file of that name and content, else of that name; and what is to be said of it."""
        named = [file for file in self._files if file.name == name]
        named += [self._folder / name, demo.FOLDER / name]
        named = [file for file in named if file.is_file()]
        if digest is None:
            return (named[0], "") if named else (None, self._missing(name))
        for file in dict.fromkeys([*named, *self._files]):
            if self._digest(file) == digest:
                return file, ""
        if not named:
            return None, self._missing(name)
        return named[0], (
            f"{name} is not the file that was rendered: {named[0]} has the SHA-256 "
            f"{self._digest(named[0])}, not {digest}; frames will differ"
        )

    def _digest(self, file: Path) -> str:
        if file not in self._digests:
            self._digests[file] = digest_of(file)[:DIGEST_DIGITS]
        return self._digests[file]

    def _missing(self, name: str) -> str:
        return (
            f"{name} is neither in {self._folder.resolve()} nor among the files given; put it "
            "there, or write its path below"
        )


def _read_head(recipe: str) -> tuple[str, str, dict[str, str]]:
    """The version and the command that made it, and the digest of each file by its name."""
    first, *lines = recipe.splitlines()
    made = _COMMAND.fullmatch(first)
    version, command = (made[1], made[2]) if made else ("of an unknown version", "render")
    found = (_DIGEST.fullmatch(line) for line in lines)
    return version, command, {match[2]: match[1] for match in found if match}


def _names(timeline: Timeline) -> list[str]:
    """The files that a timeline names, as it names them."""
    names = [pattern for run in timeline.networks.values() for pattern in run.patterns]
    names += latent_files(timeline)
    audio = dict(_entries(timeline.document)).get("audio")
    if isinstance(audio, MapNode):
        audio = dict(_entries(audio)).get("file")
    if isinstance(audio, TextNode):
        names.append(audio.text)
    return list(dict.fromkeys(names))


def _is_bare(name: str) -> bool:
    """Whether a name leads into no other folder, on any system."""
    pure = PurePosixPath(name).name, PureWindowsPath(name).name
    return pure == (name, name) and name != ".." and not name.startswith("~")


def _entries(node: MapNode) -> Iterator[tuple[str, Node]]:
    return ((key.text, value) for key, value in node.entries)


def _with_places(root: MapNode, places: Mapping[str, str]) -> MapNode:
    """The document with its files where they lie now; where films go is for its user to say."""
    changes: dict[str, Callable[[Node], Node]] = {
        "networks": lambda node: with_texts(node, lambda text: places.get(text, text)),
        "latents": lambda node: with_texts(node, lambda text: renamed(text, places)),
        "audio": lambda node: with_audio_file(node, lambda text: places.get(text, text)),
        "frame": lambda node: with_into(
            node, lambda text: replace(text, text=places.get(text.text, text.text))
        ),
    }
    entries = (
        (key, changes[key.text](value) if key.text in changes else value)
        for key, value in root.entries
    )
    return without_target(replace(root, entries=tuple(entries)))


def _printable(text: str) -> str:
    """A text for a comment: one line, without what a terminal would obey."""
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in text)
