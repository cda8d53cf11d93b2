"""Formats that are made from the whole clip at once, a GIF or a folder of pictures."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from types import TracebackType

from animix.errors import EncodeError, OptionError
from animix.ffmpeg.program import find_ffmpeg
from animix.interruption import uninterrupted
from animix.video.ffmpeg import (
    LAST_WORDS_BYTES,
    Encoder,
    Frames,
    full_disk,
    making_room,
    no_frame,
    remedy,
)
from animix.video.metadata import write_metadata
from animix.video.probe import frames_in
from animix.video.settings import EncoderSettings
from animix.whole_file import part_of

_PICTURE = re.compile(r"frame-[0-9]{6,}\.png")


class WholeClipEncoder:
    """Writes a GIF or a folder of PNGs as ``Encoder`` writes a film, with the same promises.

    Frames are kept without loss in a folder beside the path, and encoded once they are all there: a
    GIF's palette is that of the whole clip. Pictures are numbered as the film's frames are. A
    folder that stood at the path is replaced if it holds such pictures alone.
    """

    def __init__(self, path: Path, settings: EncoderSettings, frames: range) -> None:
        self.path = path
        self.settings = settings
        self.frames = frames
        self._target = Path(os.path.realpath(path))
        self._folder = part_of(self._target)
        self._made = self._folder / ("clip.gif" if settings.container == "gif" else "pictures")
        self._lossless = self._folder / "clip.nut"
        self._encoder = Encoder(self._lossless, replace(settings, metadata=None))

    @property
    def num_frames(self) -> int:
        """Frames taken so far."""
        return self._encoder.num_frames

    def __enter__(self) -> WholeClipEncoder:
        try:
            with uninterrupted():
                self._make_room()
                self._encoder.__enter__()
        except BaseException:
            self._clear()
            raise
        return self

    def write(self, frames: Frames) -> None:
        """Takes the next frame or frames, as ``Encoder.write`` does."""
        self._encoder.write(frames)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            if error is None and self.num_frames == 0:
                raise no_frame(self.path)
            self._encoder.__exit__(kind, error, traceback)
            if error is None:
                self._make()
                self._replace()
        finally:
            self._encoder.abort()
            self._clear()

    def _make_room(self) -> None:
        if self.settings.container == "gif":
            with making_room(self.path, self._target):
                self._folder.mkdir()
            return
        if self._target.exists() and not is_of_pictures(self._target):
            raise OptionError(
                f"{self.path}: is no folder of pictures that others could replace; name another"
            )
        try:
            self._made.mkdir(parents=True)
        except OSError as exc:
            raise OptionError(
                f"{self.path}: can't be written: {exc.strerror}; {remedy(exc)}"
            ) from exc

    def _make(self) -> None:
        """Encode the clip from what was kept; EncodeError if that goes wrong."""
        if self.settings.container == "gif":
            run_ffmpeg([*gif_arguments(self._lossless, self._lossless), str(self._made)], self.path)
            found = frames_in(self._made, "gif", find_ffmpeg())
        else:
            # A percent sign in the folder's name would be one of the pattern's.
            pattern = str(self._made).replace("%", "%%") + "/frame-%06d.png"
            run_ffmpeg([*picture_arguments(self._lossless, self.frames.start), pattern], self.path)
            found = sum(1 for _ in self._made.iterdir())
        if found != self.num_frames:
            told = f"{self.path}: ffmpeg left {found} of {self.num_frames} frames"
            raise EncodeError(told + full_disk("", self._target.parent))
        made = sorted(self._made.iterdir()) if self._made.is_dir() else [self._made]
        for path in made:
            write_metadata(path, self.settings.container, self.settings.metadata)

    def _replace(self) -> None:
        try:
            if self._made.is_dir() and self._target.exists():
                # A folder that isn't empty can't be replaced in one step.
                self._target.rename(self._folder / "before")
            self._made.replace(self._target)
        except OSError as exc:
            with contextlib.suppress(OSError):
                (self._folder / "before").rename(self._target)
            raise EncodeError(
                f"{self.path}: what is finished can't be moved here: {exc.strerror};"
                " close what has the old one open and render again"
            ) from exc

    def _clear(self) -> None:
        with uninterrupted():
            shutil.rmtree(self._folder, ignore_errors=True)


def is_of_pictures(folder: Path) -> bool:
    """Whether a folder holds nothing but pictures that a film was rendered to."""
    return folder.is_dir() and all(_PICTURE.fullmatch(path.name) for path in folder.iterdir())


def gif_arguments(*lossless: Path) -> list[str]:
    """ffmpeg's arguments for a GIF, but for the file: palette and pictures are two readings."""
    first, second = lossless
    return [
        *("-i", f"file:{first}", "-i", f"file:{second}"),
        # One palette for all frames, so that nothing flickers. Ordered dither would draw patterns
        # into gradients, where this leaves colours of the palette as they are.
        "-filter_complex",
        "[0:v]palettegen=stats_mode=full[p];[1:v][p]paletteuse=dither=sierra2_4a",
        *("-fps_mode", "passthrough", "-loop", "0", "-f", "gif"),
    ]


def picture_arguments(lossless: Path, first: int) -> list[str]:
    """ffmpeg's arguments for numbered pictures, but for the pattern of their names."""
    return [
        *("-i", f"file:{lossless}"),
        *("-c:v", "png", "-pix_fmt", "rgb24", "-pred", "mixed"),
        *("-fps_mode", "passthrough", "-start_number", str(first), "-f", "image2"),
    ]


def run_ffmpeg(arguments: list[str], path: Path) -> None:
    """Run ffmpeg on files to its end, which an interruption hastens; EncodeError if it fails."""
    command = [find_ffmpeg(), "-nostdin", "-hide_banner", "-loglevel", "error", "-y", *arguments]
    try:
        with subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,
        ) as process:
            try:
                _, words = process.communicate()
            finally:
                process.kill()
    except OSError as exc:
        raise EncodeError(f"{path}: ffmpeg could not be started: {exc.strerror}") from exc
    if process.returncode != 0:
        told = words[-LAST_WORDS_BYTES:].decode(errors="replace").strip() or "(it said nothing)"
        raise EncodeError(
            f"{path}: ffmpeg could not finish (exit code {process.returncode}"
            f"{full_disk(told, path.parent)}):\n{told}"
        )
