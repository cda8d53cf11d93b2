"""Segments: a film encoded by several ffmpeg at a time, each on consecutive frames of its own."""

from __future__ import annotations

import os
import queue
import shutil
import threading
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from animix.errors import EncodeError
from animix.interruption import uninterrupted
from animix.video.ffmpeg import (
    END_SECONDS,
    POLL_SECONDS,
    Encoder,
    Frames,
    batch_of,
    making_room,
    no_frame,
)
from animix.video.join import Joint
from animix.video.mp4 import count_frames
from animix.video.settings import FAST_PRESETS, EncoderSettings, num_cores
from animix.video.whole_clip import WholeClipEncoder

SEGMENT_BYTES = 128 << 20
"""Frames of a segment: a second or two's worth, so that starting an ffmpeg is little beside it."""
SEGMENT_MULTIPLE = 32
"""Segments are whole cells of the engine, whose borders are multiples of up to this."""
MIN_CORES = 8
CORES_OF_ONE = 4
MAX_ENCODERS = 8
ALL_QUEUES_BYTES = 1 << 30


@dataclass(frozen=True)
class Segment:
    """Consecutive frames of a film, by their numbers in it, encoded into a file of their own."""

    frames: range
    path: Path


def segment_frames(settings: EncoderSettings) -> int:
    """How many frames a segment has: a function of their size alone, wherever a render begins.

    >>> from fractions import Fraction
    >>> segment_frames(EncoderSettings(1024, 1024, Fraction(30)))
    96
    """
    multiples = round(SEGMENT_BYTES / settings.frame_bytes / SEGMENT_MULTIPLE)
    return max(1, multiples) * SEGMENT_MULTIPLE


def segments_of(frames: range, length: int) -> list[range]:
    """Frames cut at the multiples of a length.

    >>> segments_of(range(90, 200), 96)
    [range(90, 96), range(96, 192), range(192, 200)]
    """
    starts = range(frames.start // length * length, frames.stop, length)
    return [range(max(start, frames.start), min(start + length, frames.stop)) for start in starts]


def make_encoder(
    path: Path, settings: EncoderSettings, frames: range
) -> Encoder | SegmentEncoder | WholeClipEncoder:
    """What encodes frames of a film fastest on this machine: one ffmpeg, or several of x264.

    With a fast preset one ffmpeg does not fill many cores (at 1024 px on 16 of them one makes 869
    frames a second and four make 1,547); with the others it does.
    """
    if settings.container in ("gif", "png"):
        return WholeClipEncoder(path, settings, frames)
    if settings.made_by != "libx264":
        return Encoder(path, settings)
    num_segments = len(segments_of(frames, segment_frames(settings)))
    num_encoders = min(num_cores() // CORES_OF_ONE, MAX_ENCODERS, num_segments)
    if settings.preset not in FAST_PRESETS or num_cores() < MIN_CORES or num_encoders < 2:
        return Encoder(path, settings)
    return SegmentEncoder(path, settings, frames, num_encoders=num_encoders)


class SegmentEncoder:
    """Writes frames of a film as ``Encoder`` does, with the same promises, by several ffmpeg.

    Segments begin at absolute frame numbers and are closed: no frame refers to one of another. They
    grow in a folder beside the film and are joined there, without being encoded again, as soon as
    they are whole.
    """

    def __init__(
        self,
        path: Path,
        settings: EncoderSettings,
        frames: range,
        *,
        num_encoders: int,
        length: int | None = None,
        executable: str | None = None,
        patience_seconds: float = 60,
    ) -> None:
        """``length`` is that of a segment in frames; None: as ``segment_frames`` has it."""
        self.path = path
        self.settings = settings
        self.frames = frames
        self.num_frames = 0
        """Frames taken so far."""
        self._num_encoders = num_encoders
        self._executable = executable
        self._patience_seconds = patience_seconds
        self._target = Path(os.path.realpath(path))
        self._folder = self._target.with_name(f".{self._target.name}.segments-{os.getpid()}")
        self._part = self._folder / "film.mp4"
        self._to_come = deque(
            Segment(part, self._folder / f"{part.start}.mp4")
            for part in segments_of(frames, length or segment_frames(settings))
        )
        self._num_segments = len(self._to_come)
        self._running: deque[tuple[Segment, Encoder]] = deque()
        self._to_join: queue.SimpleQueue[Segment | None] = queue.SimpleQueue()
        self._join_error: Exception | None = None
        self._is_over = False
        self._joiner = threading.Thread(target=self._join, name="segments", daemon=True)

    def __enter__(self) -> SegmentEncoder:
        try:
            with uninterrupted():
                with making_room(self.path, self._target):
                    self._folder.mkdir(exist_ok=True)
                self._joiner.start()
                # Now, so that an ffmpeg that does not start is told before the first frame.
                self._start_next()
        except BaseException:
            with uninterrupted():
                self._abort()
            raise
        return self

    def write(self, frames: Frames) -> None:
        """Takes the next frame or frames, as ``Encoder.write`` does."""
        batch = batch_of(frames, self.settings, self.num_frames)
        if self.num_frames + len(batch) > len(self.frames):
            raise ValueError(f"more than the {len(self.frames)} frames that were to come")
        self._check()
        while len(batch):
            segment, encoder = self._running[-1]
            if encoder.num_frames == len(segment.frames):
                self._make_place()
                self._start_next()
                continue
            room = len(segment.frames) - encoder.num_frames
            encoder.write(batch[:room])
            self.num_frames += len(batch[:room])
            batch = batch[room:]
            if encoder.num_frames == len(segment.frames):
                encoder.end()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            if error is None:
                self._finish()
        finally:
            with uninterrupted():
                self._abort()  # after a good end there is nothing left to do

    def _start_next(self) -> None:
        segment = self._to_come.popleft()
        first, last = segment.frames[0], segment.frames[-1]
        encoder = Encoder(
            segment.path,
            self.settings,
            executable=self._executable,
            patience_seconds=self._patience_seconds,
            threads=max(1, num_cores() // self._num_encoders),
            queue_bytes=ALL_QUEUES_BYTES // self._num_encoders,
            segment_of=f"{self.path} (frames {first} to {last})",
        )
        with uninterrupted():  # or nobody would know what is to be ended
            self._running.append((segment, encoder.__enter__()))

    def _make_place(self) -> None:
        """Ends with the segments that are done, or with the oldest one if all are at work."""
        while self._running[0][1].has_ended or len(self._running) == self._num_encoders:
            self._finish_oldest()
            if not self._running:
                break

    def _finish_oldest(self) -> None:
        segment, encoder = self._running[0]
        encoder.__exit__(None, None, None)
        self._running.popleft()
        self._to_join.put(segment)

    def _check(self) -> None:
        """Raises EncodeError if any ffmpeg, or the joining, has failed."""
        with uninterrupted():
            for _, encoder in self._running:
                encoder.check()
        if self._join_error is not None:
            raise EncodeError(
                f"{self.path}: its segments can't be joined in {self._folder.parent}:"
                f" {self._join_error}"
            ) from self._join_error

    def _finish(self) -> None:
        if self.num_frames == 0:
            raise no_frame(self.path)
        while self._running:
            self._finish_oldest()
        self._to_join.put(None)
        while self._joiner.is_alive():
            self._joiner.join(POLL_SECONDS)
        self._check()
        try:
            if (found := count_frames(self._part)) != self.num_frames:
                raise EncodeError(f"{self.path}: {found} of {self.num_frames} frames were joined")
            self._part.replace(self._target)
        except OSError as exc:
            raise EncodeError(
                f"{self.path}: the finished film can't be moved here: {exc.strerror};"
                " close what has the old one open and render again"
            ) from exc

    def _join(self) -> None:
        """The thread that joins segments while others are at work."""
        try:
            joint = Joint(
                self._part,
                self.settings,
                num_frames=len(self.frames),
                num_segments=self._num_segments,
            )
            with joint:
                while (segment := self._to_join.get()) is not None:
                    joint.append(segment.path)
                    segment.path.unlink()
                if self._is_over:
                    raise EncodeError("the film was given up")
        except (OSError, ValueError, EncodeError) as exc:
            self._join_error = exc

    def _abort(self) -> None:
        """Ends every ffmpeg and removes what they wrote."""
        for _, encoder in self._running:
            encoder.abort()
        self._is_over = True
        self._to_join.put(None)
        if self._joiner.is_alive():
            self._joiner.join(END_SECONDS)
        shutil.rmtree(self._folder, ignore_errors=True)
