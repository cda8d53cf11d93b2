"""Segments: a film made in pieces, each by its own ffmpeg, several at a time where it helps."""

from __future__ import annotations

import contextlib
import os
import queue
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from types import TracebackType

from animix.errors import AnimixError, EncodeError
from animix.ffmpeg.program import END_SECONDS, POLL_SECONDS, ffmpeg_version, find_ffmpeg
from animix.interruption import uninterrupted
from animix.video.encoder import Encoder, Frames, batch_of, no_frame
from animix.video.ffmpeg import PATIENCE_SECONDS, QUEUE_BYTES
from animix.video.join import Joint
from animix.video.metadata import write_metadata
from animix.video.place import begin, files_of, full_disk, making_room, move, not_moved, remove
from animix.video.probe import frames_in
from animix.video.settings import (
    FAST_PRESETS,
    EncoderSettings,
    arguments,
    is_joined,
    num_cores,
    num_threads,
)
from animix.video.transcoding import Transcoding
from animix.whole_file import part_of

SEGMENT_SECONDS = 4
"""Of the film. Each segment begins with a key frame: at 512 px and 30 frames a second the demo is
0.1 % larger than in one piece, with segments of 96 frames 0.4 %, of 64 1.4 and of 32 3.4 %."""
SHORTEST = 96
FAST_SEGMENT_BYTES = 128 << 20
"""Fast presets compress so little that key frames cost them nothing. What counts is that all
encoders have work: a segment is as much as waits for one, up to so many seconds."""
MOST_SECONDS = 8
SEGMENT_MULTIPLE = 32
"""Segments are whole cells of the engine, whose borders are multiples of up to this."""
MIN_CORES = 8
CORES_OF_ONE = 4
LOSSLESS_FRAMES = 64
"""In a segment that is kept without loss. No film grows with their number: what an interruption
costs is to be little, and to start an ffmpeg to write it and one to read it takes 0.1 s."""
SMALL_FRAME_BYTES = 512 * 512 * 3 // 2
"""x264 shares frames out among threads by rows, of which those up to here have too few."""
MAX_ENCODERS = 8
ALL_QUEUES_BYTES = 1 << 30


@dataclass(frozen=True)
class Segment:
    """Consecutive frames of a film, by their numbers in it, encoded into a file of their own."""

    frames: range
    find: Callable[[range], Path]
    """Where it stands, worked out when it is needed: beside painting, that takes no time."""
    is_whole: bool = False
    """It has been encoded before."""

    @cached_property
    def path(self) -> Path:
        """Where it stands."""
        return self.find(self.frames)


def segment_frames(settings: EncoderSettings) -> int:
    """How many frames a segment has, wherever a render begins and on whatever machine.

    >>> from fractions import Fraction
    >>> segment_frames(EncoderSettings(1024, 1024, Fraction(30)))
    128
    >>> segment_frames(EncoderSettings(1024, 1024, Fraction(30), preset="ultrafast"))
    96
    """
    if not is_joined(settings):
        return LOSSLESS_FRAMES
    if settings.preset in FAST_PRESETS:
        most = float(MOST_SECONDS * settings.fps)
        wanted = min(FAST_SEGMENT_BYTES / settings.frame_bytes, most)
    else:
        wanted = max(float(SEGMENT_SECONDS * settings.fps), SHORTEST)
    return max(1, round(wanted / SEGMENT_MULTIPLE)) * SEGMENT_MULTIPLE


def segments_of(frames: range, length: int) -> list[range]:
    """Frames cut at the multiples of a length.

    >>> segments_of(range(90, 200), 96)
    [range(90, 96), range(96, 192), range(192, 200)]
    """
    starts = range(frames.start // length * length, frames.stop, length)
    return [range(max(start, frames.start), min(start + length, frames.stop)) for start in starts]


def num_encoders(settings: EncoderSettings) -> int:
    """How many ffmpeg are fastest on this machine.

    With a fast preset or small frames one does not fill many cores: of 16 at 1024 px one makes 869
    frames a second ultrafast and four make 1,547; medium at 512 px it is 313 and 367.
    """
    if settings.made_by == "libx265":
        return min(num_cores(), MAX_ENCODERS)  # each has one thread
    fills_cores = settings.preset not in FAST_PRESETS and settings.frame_bytes > SMALL_FRAME_BYTES
    if fills_cores or num_cores() < MIN_CORES or not is_joined(settings):
        return 1
    return min(num_cores() // CORES_OF_ONE, MAX_ENCODERS)


def threads_of_each(settings: EncoderSettings) -> int:
    """x264's threads in each of them, whatever the film's length: they decide its bytes."""
    several = num_encoders(settings)
    if several > 1 and settings.preset in FAST_PRESETS:
        return max(1, num_cores() // several)
    return max(1, num_threads(settings) // several)


def encoding_of(settings: EncoderSettings) -> tuple[str, ...]:
    """Everything that decides the bytes of a segment beside its frames."""
    told = arguments(_of_segment(settings), threads_of_each(settings), is_segment=True)
    return *told, ffmpeg_version(find_ffmpeg())


def _of_segment(settings: EncoderSettings) -> EncoderSettings:
    """The film's alone are title and recipe: others are no reason to encode a segment again."""
    return replace(settings, title="", metadata=None)


def make_encoder(
    path: Path, settings: EncoderSettings, segments: Sequence[Segment]
) -> SegmentEncoder:
    """What encodes segments of a film fastest on this machine."""
    return SegmentEncoder(path, settings, segments, num_encoders=num_encoders(settings))


class SegmentEncoder:
    """Writes frames of a film as ``Encoder`` does, with the same promises, segment by segment.

    Segments begin at absolute frame numbers and are closed: no frame refers to one of another. They
    grow where they are to stand, under temporary names, and stay there, whatever becomes of the
    film; a half one never does. It is made of them as soon as they are whole: x264's and x265's are
    joined without encoding anything again, other films are encoded from segments that are kept
    without loss. Frames are taken of those alone that were not whole before. Pictures are numbered
    as the film's frames are; a folder that stood at the path is replaced if it holds such pictures
    alone.
    """

    def __init__(
        self,
        path: Path,
        settings: EncoderSettings,
        segments: Sequence[Segment],
        *,
        num_encoders: int,
        executable: str | None = None,
        patience_seconds: float = PATIENCE_SECONDS,
    ) -> None:
        self.path = path
        self.settings = settings
        self.num_frames = 0
        """Frames taken so far."""
        self._num_encoders = num_encoders
        self._executable = executable
        self._patience_seconds = patience_seconds
        self._target = Path(os.path.realpath(path))
        self._part = part_of(self._target)
        self._segments = tuple(segments)
        self._to_come = deque(segment for segment in segments if not segment.is_whole)
        self._missing_frames = sum(len(segment.frames) for segment in self._to_come)
        self._to_hand_on = deque(segments)
        self._num_handed_on = 0
        self._whole = {segment.frames for segment in segments if segment.is_whole}
        self._running: deque[tuple[Segment, Encoder]] = deque()
        self._to_join: queue.SimpleQueue[Segment | None] = queue.SimpleQueue()
        self._join_error: Exception | None = None
        self._is_over = False
        self._transcoding: Transcoding | None = None
        if not is_joined(settings):
            self._transcoding = Transcoding(
                self._part,
                settings,
                name=str(path),
                first=self._segments[0].frames.start,
                palette=part_of(self._target),
                executable=executable,
                patience_seconds=patience_seconds,
            )
        self._joiner = threading.Thread(target=self._join, name="segments", daemon=True)

    def __enter__(self) -> SegmentEncoder:
        try:
            with uninterrupted():
                with making_room(self.path, self._target, self.settings.container):
                    begin(self._part, self.settings.container)
                self._joiner.start()
                self._hand_on()
                # Now, so that an ffmpeg that does not start is told before the first frame.
                if self._to_come:
                    self._start_next()
        except BaseException:
            with uninterrupted():
                self._abort()
            raise
        return self

    def write(self, frames: Frames) -> None:
        """Takes the next frame or frames, as ``Encoder.write`` does."""
        batch = batch_of(frames, self.settings, self.num_frames)
        if self.num_frames + len(batch) > self._missing_frames:
            raise ValueError(f"more than the {self._missing_frames} frames that were to come")
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

    @property
    def num_waiting(self) -> int:
        """How many frames of whole segments are yet to be encoded; joining takes no time.

        None, if the film can't become whole any more: at its end the error is told.
        """
        if self._transcoding is None or not self._joiner.is_alive():
            return 0
        try:
            self._check()
        except EncodeError:
            return 0
        return self._num_handed_on - self._transcoding.num_frames

    def _start_next(self) -> None:
        segment = self._to_come.popleft()
        first, last = segment.frames[0], segment.frames[-1]
        several = self._num_encoders > 1
        encoder = Encoder(
            segment.path,
            _of_segment(self.settings),
            executable=self._executable,
            patience_seconds=self._patience_seconds,
            threads=threads_of_each(self.settings),
            queue_bytes=ALL_QUEUES_BYTES // self._num_encoders if several else QUEUE_BYTES,
            segment_of=f"{self.path} (frames {first} to {last})",
        )
        with uninterrupted():  # or nobody would know what is to be ended
            self._running.append((segment, encoder.__enter__()))

    def _make_place(self) -> None:
        """Ends with the segments that are done, or with the oldest one if all are at work.

        Where there is one at a time it comes to its end while the next begins.
        """
        while self._running[0][1].has_ended or len(self._running) >= max(2, self._num_encoders):
            self._finish_oldest()
            if not self._running:
                break

    def _finish_oldest(self) -> None:
        segment, encoder = self._running[0]
        encoder.__exit__(None, None, None)
        self._running.popleft()
        self._whole.add(segment.frames)
        self._hand_on()

    def _hand_on(self) -> None:
        """Give the joiner the next segments, up to one that is not whole."""
        while self._to_hand_on and self._to_hand_on[0].frames in self._whole:
            segment = self._to_hand_on.popleft()
            self._num_handed_on += len(segment.frames)
            self._to_join.put(segment)

    def _check(self) -> None:
        """Raises EncodeError if any ffmpeg, or the joining, has failed."""
        with uninterrupted():
            for _, encoder in self._running:
                encoder.check()
            if self._transcoding is not None:
                self._transcoding.check()
        if isinstance(self._join_error, EncodeError):
            raise self._join_error
        if self._join_error is not None:
            raise EncodeError(
                f"{self.path}: its segments can't be joined in {self._target.parent}:"
                f" {self._join_error}"
            ) from self._join_error

    def _finish(self) -> None:
        if self.num_frames == 0 and self._missing_frames == self._num_film_frames:
            raise no_frame(self.path)
        if self.num_frames < self._missing_frames:
            raise ValueError(f"{self.num_frames} of the {self._missing_frames} frames to come came")
        while self._running:
            self._finish_oldest()
        self._to_join.put(None)
        while self._joiner.is_alive():
            self._joiner.join(POLL_SECONDS)
        self._check()
        container = self.settings.container
        try:
            found = frames_in(self._part, container, self._executable or find_ffmpeg())
            if found != self._num_film_frames:
                told = f"{self.path}: ffmpeg left {found} of {self._num_film_frames} frames"
                raise EncodeError(told + full_disk("", self._target.parent))
            for file in files_of(self._part):
                write_metadata(file, container, self.settings.metadata)
            move(self._part, self._target)
        except OSError as exc:
            raise not_moved(self.path, exc) from exc

    @property
    def _num_film_frames(self) -> int:
        return sum(len(segment.frames) for segment in self._segments)

    def _join(self) -> None:
        """The thread that joins segments while others are at work."""
        try:
            with self._transcoding or self._joint() as joint:
                while (segment := self._to_join.get()) is not None:
                    joint.append(segment.path)
                if self._is_over:
                    raise EncodeError("the film was given up")
        except (OSError, ValueError, EncodeError) as exc:
            self._join_error = exc

    def _joint(self) -> Joint:
        return Joint(
            self._part,
            self.settings,
            num_frames=self._num_film_frames,
            num_segments=len(self._segments),
        )

    def _abort(self) -> None:
        """Ends every ffmpeg and removes what is half done; a segment that is whole stays."""
        for segment, encoder in self._running:
            if encoder.num_frames == len(segment.frames) and encoder.has_ended:
                with contextlib.suppress(AnimixError):
                    encoder.finish()
            encoder.abort()
        self._is_over = True
        self._to_join.put(None)
        if self._transcoding is not None:
            self._transcoding.abort()
        if self._joiner.is_alive():
            self._joiner.join(END_SECONDS)
        remove(self._part)
