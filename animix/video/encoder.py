"""Frames to a film: one file, encoded by one ffmpeg, whole or absent."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from animix.errors import EncodeError
from animix.ffmpeg.program import find_ffmpeg
from animix.interruption import uninterrupted
from animix.video.ffmpeg import PATIENCE_SECONDS, QUEUE_BYTES, Feed
from animix.video.metadata import write_metadata
from animix.video.mp4 import seal
from animix.video.place import making_room, not_moved
from animix.video.probe import frames_in
from animix.video.settings import EncoderSettings, arguments
from animix.whole_file import part_of

Frames = bytes | bytearray | memoryview | NDArray[np.uint8]


class Encoder:
    """Writes a film with ffmpeg: whole at its path when the with-block ends, or not at all.

    Frames wait in a queue, so that the caller works on the next ones meanwhile. The film
    grows beside its path under a temporary name and moves into place once ffmpeg has ended well and
    every frame is in it. An error or an interruption in the block ends ffmpeg and removes what it
    wrote; a film that stood at the path before stays.

    Raises OptionError on entering where the path can't be written; EncodeError on entering, from
    ``write`` or at the block's end when ffmpeg is missing, has died or hasn't moved for
    ``patience_seconds``::

        with Encoder(Path("grey.mp4"), EncoderSettings(64, 64, Fraction(30))) as film:
            film.write(bytes([126]) * film.settings.frame_bytes)
    """

    def __init__(
        self,
        path: Path,
        settings: EncoderSettings,
        *,
        executable: str | None = None,
        patience_seconds: float = PATIENCE_SECONDS,
        threads: int | None = None,
        queue_bytes: int = QUEUE_BYTES,
        segment_of: str = "",
    ) -> None:
        """``threads`` are x264's, None: as many as suit one ffmpeg.

        A segment is told as one of its film, and sealed, so that half of it is never taken for it.
        """
        self.path = path
        self.settings = settings
        self._name = segment_of or str(path)
        self._executable = executable
        self._is_segment = bool(segment_of)
        self._target = Path(os.path.realpath(path))  # behind a link, so that the link stays
        self._part = part_of(self._target)
        self._feed = Feed(
            [
                *arguments(settings, threads, is_segment=self._is_segment),
                f"file:{self._part}",
            ],
            growing=self._part,
            name=self._name,
            executable=executable,
            patience_seconds=patience_seconds,
            queue_bytes=queue_bytes,
        )

    @property
    def num_frames(self) -> int:
        """Frames taken so far."""
        return self._feed.num_frames

    def __enter__(self) -> Encoder:
        try:
            with uninterrupted():
                with making_room(self.path, self._target):
                    self._part.write_bytes(b"")
                self._feed.start()
        except BaseException:  # an interruption too must leave nothing behind
            with uninterrupted():
                self.abort()
            raise
        return self

    def write(self, frames: Frames) -> None:
        """Takes the next frame, ``settings.frame_bytes`` bytes, or [N, bytes].

        They are not copied: nobody may change them afterwards. Waits while the queue is full.
        Raises EncodeError if ffmpeg is dead or stuck.
        """
        self._feed.write(batch_of(frames, self.settings, self.num_frames))

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            if error is None:
                self.finish()
        finally:
            with uninterrupted():
                self.abort()  # after a good end there is nothing left to do

    def end(self) -> None:
        """There are no more frames: ffmpeg comes to its end while the caller goes on."""
        self._feed.end()

    def check(self) -> None:
        """Raises EncodeError if ffmpeg has failed."""
        self._feed.check()

    @property
    def has_ended(self) -> bool:
        """Whether ffmpeg has."""
        return self._feed.has_ended

    def finish(self) -> None:
        """Waits for ffmpeg's end and moves the film into its place."""
        if self.num_frames == 0:
            raise no_frame(self.path)
        self._feed.finish()
        try:
            # An exit code of 0 is ffmpeg's word; the film's own table is the proof.
            container = "mp4" if self._is_segment else self.settings.container
            found = frames_in(self._part, container, self._executable or find_ffmpeg())
            if found != self.num_frames:
                raise self._feed.failure(f"left a film of {found} frames")
            if self._is_segment:
                seal(self._part)
            else:
                write_metadata(self._part, container, self.settings.metadata)
            self._part.replace(self._target)
        except OSError as exc:
            raise not_moved(self._name, exc) from exc

    def abort(self) -> None:
        """Ends ffmpeg and removes what it wrote."""
        self._feed.abort()
        with contextlib.suppress(OSError):
            self._part.unlink(missing_ok=True)


def batch_of(frames: Frames, settings: EncoderSettings, first: int) -> NDArray[np.uint8]:
    """Frames as they lie in memory one after the other: [N, frame_bytes]; ``first`` is told."""
    if not isinstance(frames, np.ndarray):
        frames = np.frombuffer(frames, np.uint8)
    batch = np.ascontiguousarray(np.atleast_2d(frames))
    if batch.shape[1:] != (settings.frame_bytes,):
        raise ValueError(
            f"frame {first} has {batch.shape[-1]} bytes, expected"
            f" {settings.frame_bytes}: all planes of {settings.pixel_format}"
        )
    return batch


def no_frame(path: Path) -> EncodeError:
    """The error of a film that nothing was written to."""
    return EncodeError(f"{path}: no frame was written, so there is no film")
