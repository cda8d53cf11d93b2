"""Transcoding: a film is encoded from segments that were kept without loss, in order."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from animix.errors import EncodeError
from animix.video.decoder import Decoder
from animix.video.ffmpeg import PATIENCE_SECONDS, Feed
from animix.video.place import PICTURE_NAME, remove
from animix.video.settings import LOG, EncoderSettings, arguments, raw_input


@dataclass(frozen=True)
class Pass:
    """One reading of all frames."""

    arguments: Sequence[str]
    """ffmpeg's, all of them."""
    growing: Path
    """What it writes."""


class Transcoding:
    """A film that grows by lossless segments and is whole when the with-block ends well.

    What ``Joint`` is for segments that are joined as they are. The first pass goes on while later
    segments are still being made; a GIF, whose palette is that of the whole clip, has a second. It
    may be given up at any time, from any thread.

    EncodeError where ffmpeg fails, with its last words.
    """

    def __init__(
        self,
        part: Path,
        settings: EncoderSettings,
        *,
        name: str,
        first: int,
        palette: Path,
        executable: str | None = None,
        patience_seconds: float = PATIENCE_SECONDS,
    ) -> None:
        """``name`` is the film's in errors, ``first`` the number of its first frame.

        ``palette`` is where a GIF's may stand meanwhile.
        """
        self.num_frames = 0
        """Frames that the first pass has taken."""
        self._settings = settings
        self._name = name
        self._executable = executable
        self._patience_seconds = patience_seconds
        self._palette = palette
        self._passes = _passes(part, self._palette, settings, first)
        self._paths: list[Path] = []
        self._lock = threading.Lock()
        self._is_given_up = False
        self._feed: Feed | None = None
        self._decoder: Decoder | None = None

    def __enter__(self) -> Transcoding:
        self._begin(self._passes[0])
        return self

    def append(self, path: Path) -> None:
        """Add the frames of a segment."""
        self._paths.append(path)
        self._read(path)
        self.num_frames = self._feeding.num_frames

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            if error is None:
                self._feeding.finish()
                for each in self._passes[1:]:
                    self._begin(each)
                    for path in self._paths:
                        self._read(path)
                    self._feeding.finish()
        finally:
            self.abort()  # after a good end there is nothing left to do

    def check(self) -> None:
        """Raises EncodeError if ffmpeg has failed."""
        if self._feed is not None and not self._is_given_up:
            self._feed.check()

    def abort(self) -> None:
        """Ends every ffmpeg and removes what only the passes need."""
        with self._lock:  # nothing is started any more
            self._is_given_up = True
        if self._decoder is not None:
            self._decoder.abort()
        if self._feed is not None:
            self._feed.abort()
        remove(self._palette)

    @property
    def _feeding(self) -> Feed:
        assert self._feed is not None
        return self._feed

    def _begin(self, each: Pass) -> None:
        feed = Feed(
            each.arguments,
            growing=each.growing,
            name=self._name,
            executable=self._executable,
            patience_seconds=self._patience_seconds,
        )
        with self._starting():
            feed.start()
            self._feed = feed

    def _read(self, path: Path) -> None:
        """Give a segment's frames to ffmpeg."""
        with self._starting():
            decoder = self._decoder = Decoder(path, self._settings, executable=self._executable)
        try:
            for batch in decoder.batches():
                self._feeding.write(batch)
        finally:
            decoder.abort()

    @contextlib.contextmanager
    def _starting(self) -> Iterator[None]:
        """A block that starts an ffmpeg, unless nobody would end it any more."""
        with self._lock:
            if self._is_given_up:
                raise EncodeError(f"{self._name}: was given up")
            yield


def _passes(part: Path, palette: Path, settings: EncoderSettings, first: int) -> list[Pass]:
    """What a film of each format takes."""
    if settings.container == "gif":
        return [
            Pass(palette_arguments(settings, palette), palette),
            Pass(gif_arguments(settings, palette, part), part),
        ]
    if settings.container == "png":
        return [Pass(picture_arguments(settings, part, first), part)]
    return [Pass([*arguments(settings, None, is_segment=False), f"file:{part}"], part)]


def palette_arguments(settings: EncoderSettings, palette: Path) -> list[str]:
    """ffmpeg's arguments for a palette that suits all frames, so that nothing flickers."""
    return [
        *(*LOG, *raw_input(settings), "-vf", "palettegen=stats_mode=full"),
        *("-c:v", "png", "-f", "image2pipe", f"file:{palette}"),
    ]


def gif_arguments(settings: EncoderSettings, palette: Path, part: Path) -> list[str]:
    """ffmpeg's arguments for a GIF of a palette's colours."""
    return [
        *(*LOG, *raw_input(settings), "-f", "png_pipe", "-i", f"file:{palette}"),
        # Ordered dither would draw patterns into gradients, where this leaves colours of the
        # palette as they are.
        *("-filter_complex", "[0:v][1:v]paletteuse=dither=sierra2_4a"),
        *("-fps_mode", "passthrough", "-loop", "0", "-f", "gif", f"file:{part}"),
    ]


def picture_arguments(settings: EncoderSettings, part: Path, first: int) -> list[str]:
    """ffmpeg's arguments for pictures in a folder, numbered as the film's frames are."""
    # A percent sign in the folder's name would be one of the pattern's.
    folder = str(part).replace("%", "%%")
    return [
        *(*LOG, *raw_input(settings), "-c:v", "png", "-pix_fmt", "rgb24", "-pred", "mixed"),
        *("-fps_mode", "passthrough", "-start_number", str(first), "-f", "image2"),
        f"{folder}/{PICTURE_NAME}",
    ]
