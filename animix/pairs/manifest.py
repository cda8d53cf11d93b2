"""The manifest of a data set: what its pictures are made of, a line for each pair that is whole.

A folder of pairs has ``pairs.json``, what all have in common, and ``manifest.jsonl``, what each is.
A line is written when its files are; so what it names is there, whatever has ended the work.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePath
from typing import Any, BinaryIO

from animix.errors import OptionError
from animix.pairs.subject import name_of
from animix.tables import count
from animix.timeline.numbers import LARGEST_SEED
from animix.whole_file import ending_of_ours, is_left_over, kept_text, whole_file

SETTINGS = "pairs.json"
LINES = "manifest.jsonl"
AT_WORK = ".at-work-"
SIDES = ("a", "b", "ab")
"""What a file of a pair may show."""

Line = dict[str, Any]
"""A pair: its files by what they show, their sizes, its latent, truncation and mix."""


class Manifest:
    """A folder of pairs that is being made: ``lines`` are there, ``append`` adds one.

    A folder that was begun with the same settings goes on; OptionError where it holds anything
    else, where another process is at work in it, or where nothing can be written.
    """

    def __init__(self, folder: Path, settings: Mapping[str, Any], folders: Sequence[str]) -> None:
        """``folders`` are those of the pictures, which are made."""
        self.folder = folder
        self._file: BinaryIO | None = None
        self._sign: Path | None = None
        try:
            self._open(settings, folders)
        except OSError as exc:
            self.close()
            message = f"{_told(exc, folder)}; name another folder"
            raise OptionError(message) from exc
        except BaseException:
            self.close()
            raise

    def _open(self, settings: Mapping[str, Any], folders: Sequence[str]) -> None:
        folder = self.folder
        if folder.exists() and not folder.is_dir():
            raise OptionError(f"{folder} is a file; name a folder for the pairs")
        folder.mkdir(parents=True, exist_ok=True)
        self._sign = sign_in(folder)
        if (folder / SETTINGS).exists():
            check_same(folder, settings)
        else:
            check_empty(folder)
            with whole_file(folder / SETTINGS) as part:
                part.write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")
        for name in folders:
            (folder / name).mkdir(exist_ok=True)
        self._file = (folder / LINES).open("a+b")
        self.lines, self._length = read_lines(folder / LINES, self._file, folders)
        # What a killed process was writing of a line goes.
        self._file.truncate(self._length)

    def append(self, line: Line) -> None:
        """Note a pair whose files are there; OSError where that can't be written."""
        assert self._file is not None, "it is closed"
        text = json.dumps(line) + "\n"
        try:
            self._file.write(text.encode())
            self._file.flush()
        except OSError:
            with contextlib.suppress(OSError):
                self._file.truncate(self._length)
            raise
        self._length += len(text)
        self.lines.append(line)

    def replace(self, lines: Sequence[Line]) -> None:
        """Put other lines in the place of all."""
        assert self._file is not None, "it is closed"
        with whole_file(self.folder / LINES) as part:
            part.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
        self._file.close()
        self._file = (self.folder / LINES).open("a+b")
        self._length = self._file.seek(0, 2)
        self.lines = list(lines)

    def close(self) -> None:
        """Let others work in the folder."""
        with contextlib.suppress(OSError):
            if self._file is not None:
                self._file.close()
            if self._sign is not None:
                self._sign.unlink(missing_ok=True)
        self._file = self._sign = None


def files_in(line: Line) -> list[str]:
    """The names of a pair's files, relative to the folder."""
    return [line[side] for side in SIDES if side in line]


def is_there(folder: Path, line: Line) -> bool:
    """Whether a pair's files are there, as long as they were when they were written."""
    try:
        sizes = [(folder / name).stat().st_size for name in files_in(line)]
    except OSError:
        return False
    return bool(sizes == line["bytes"])


def sweep(folder: Path, folders: Sequence[str], suffix: str, lines: Sequence[Line]) -> None:
    """Remove what a killed process has left: half files, and pictures that no line names."""
    named = {name for line in lines for name in files_in(line)}
    for name in folders:
        for path in (folder / name).iterdir():
            is_part = path.name.startswith(".") and is_left_over(path.name)
            is_ours = path.suffix == suffix and path.stem.isdecimal()
            if is_part or (is_ours and f"{name}/{path.name}" not in named):
                path.unlink(missing_ok=True)


def sign_in(folder: Path) -> Path:
    """A hidden file that says that this process is at work; OptionError where another is."""
    for path in folder.glob(f"{AT_WORK}*"):
        if not is_left_over(path.name):
            raise OptionError(f"{folder}: another process is making pairs here; wait for it")
        path.unlink(missing_ok=True)
    sign = folder / f"{AT_WORK}{ending_of_ours()}"
    sign.touch()
    return sign


def check_empty(folder: Path) -> None:
    """Refuse a folder with anything in it that somebody may need."""
    found = sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))
    if found:
        raise OptionError(
            f"{folder} is not empty (it holds {found[0]}) and no folder of pairs; name another"
        )


def check_same(folder: Path, settings: Mapping[str, Any]) -> None:
    """Refuse to go on with other settings than a folder was begun with."""
    try:
        found = json.loads(kept_text(folder / SETTINGS))
        if not isinstance(found, dict):
            raise ValueError("is no object")
    except ValueError as exc:
        raise OptionError(
            f"{folder / SETTINGS} can't be read ({exc}); name another folder"
        ) from exc
    wanted = json.loads(json.dumps(settings))
    other = [name for name in {**found, **wanted} if found.get(name) != wanted.get(name)]
    if other:
        told = ", ".join(_change(name, found.get(name), wanted.get(name)) for name in other[:3])
        raise OptionError(
            f"{folder} was begun with other settings ({told}); name another folder, or give the "
            "same command to go on"
        )


def _change(name: str, before: Any, now: Any) -> str:
    """How a setting differs, where that is short.

    >>> _change("layout", "folders", "train"), _change("mix", [[1.0, 0.0]] * 9, None)
    ('layout: folders, now train', 'other mix')
    """
    if any(isinstance(value, (list, dict)) for value in (before, now)):
        return f"other {name}"
    words = ["none" if value is None else str(value)[:40] for value in (before, now)]
    return f"{name}: {words[0]}, now {words[1]}"


def read_lines(path: Path, file: BinaryIO, folders: Sequence[str]) -> tuple[list[Line], int]:
    """The whole lines of a manifest, and the length of all of them in bytes."""
    file.seek(0)
    content = file.read()
    length = content.rfind(b"\n") + 1
    lines: list[Line] = []
    names: set[str] = set()
    for number, text in enumerate(content[:length].splitlines(), start=1):
        try:
            line = json.loads(text)
            check_line(line, folders)
            if not names.isdisjoint(files_in(line)):
                raise ValueError("it is there already")
        except (ValueError, RecursionError) as exc:
            raise OptionError(
                f"{path}:{number}: is no line of a manifest ({exc}); name another folder"
            ) from exc
        lines.append(line)
        names.update(files_in(line))
    return lines, length


def check_line(line: Any, folders: Sequence[str]) -> None:
    """Refuse what is no pair in these folders; ValueError says why."""
    if not isinstance(line, dict):
        raise ValueError("it is no object")
    seed, photo = line.get("seed"), line.get("photo")
    if type(seed) is int and 0 <= seed <= LARGEST_SEED:
        stem = name_of(seed)
    elif seed is None and isinstance(photo, str):
        stem = PurePath(photo).stem
    else:
        raise ValueError("it has neither a seed nor a photo")
    if [side for side in SIDES if side in line] not in (["a", "b"], ["ab"]):
        raise ValueError("it names neither a and b nor ab")
    names, sizes = files_in(line), line.get("bytes")
    if not all(_is_picture(name, folders, stem) for name in names):
        raise ValueError("its pictures are not its own")
    if not isinstance(sizes, list) or [type(size) for size in sizes] != [int] * len(names):
        raise ValueError(f"it has no bytes of {count(len(names), 'file')}")
    if not re.fullmatch("[0-9a-f]{32}", str(line.get("hash", "0" * 32))):
        raise ValueError("its hash is none")


def _is_picture(name: Any, folders: Sequence[str], stem: str) -> bool:
    """Whether a name is one that a pair's picture may have: ``A/000017.png``."""
    folder, _, file = name.partition("/") if isinstance(name, str) else ("", "", "")
    # What no folder can hold can't be looked for either: what isn't encoded is a ValueError.
    return folder in folders and PurePath(file).stem == stem and b"\0" not in os.fsencode(file)


def unwritable(folder: Path, error: OSError) -> OptionError:
    """The error for a folder that can't be written; what is done stays."""
    return OptionError(
        f"{_told(error, folder)}; what is finished stays, and the same command goes on"
    )


def _told(error: OSError, folder: Path) -> str:
    """What can't be written: the file if there is one that is meant to be seen."""
    file = Path(error.filename2 or error.filename or folder)
    place = folder if file.name.startswith(".") else file
    return f"{place} can't be written: {error.strerror or error}"
