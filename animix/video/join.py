"""Joining: segments of one encoding become one MP4, and no frame is encoded again.

The numbers of paragraphs are those of ISO/IEC 14496-12.
"""

from __future__ import annotations

import io
import shutil
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import numpy as np

from animix.timeline.arrays import Integers
from animix.video.mp4 import box, places
from animix.video.settings import EncoderSettings

COPY_BYTES = 1 << 20

NESTED = ("moov", "trak", "edts", "mdia", "minf", "stbl")
"""Boxes on the way to a track's tables that hold others and nothing else."""


@dataclass(frozen=True, eq=False)
class Track:
    """The one track of an MP4, its frames in the order in which they are decoded."""

    start: int
    """Where in the file the frames lie, one after the other."""
    sizes: Integers
    """[N] bytes"""
    shown: Integers
    """[N] when each is shown, counted in frames."""
    delay: int
    """How much later than decoded the first is shown."""
    keys: Integers
    """The numbers of the frames that decoding may start at."""
    ftyp: bytes
    moov: bytes
    description: bytes
    """How the frames are to be decoded (the content of ``stsd``, 8.5.2)."""


class Joint:
    """An MP4 that grows by segments, in order, and is whole when the with-block ends well.

    The table stands at its start, where room is left for it, so that the film is written once and
    while later segments are still being encoded. Frame n is shown at n/fps, whatever the segments'
    own clocks begin with.

    ValueError for what is no segment of this encoding; OSError where the film can't be written.
    """

    def __init__(
        self, path: Path, settings: EncoderSettings, *, num_frames: int, num_segments: int
    ) -> None:
        """The numbers are the most that will come."""
        self._settings = settings
        self._num_frames, self._num_segments = num_frames, num_segments
        self._tracks: list[Track] = []
        self._starts: list[int] = []
        self._file = path.open("wb")

    def __enter__(self) -> Joint:
        return self

    def append(self, path: Path) -> None:
        """Add the frames of a segment."""
        track = read_track(path, self._settings)
        if not self._tracks:
            # A frame's size, how much later it is shown, whether it is a key; a segment's place.
            tables = 16 * self._num_frames + 20 * self._num_segments
            texts = len(self._settings.title.encode()) + _comment_bytes(self._settings)
            self._file.seek(len(track.ftyp) + len(track.moov) + tables + texts + 1024)
        elif track.description != self._tracks[0].description:
            raise ValueError("is encoded in another way than the first segment")
        self._tracks.append(track)
        self._starts.append(self._file.tell())
        with path.open("rb") as segment:
            segment.seek(track.start)
            shutil.copyfileobj(segment, self._file, COPY_BYTES)
        self._file.seek(self._starts[-1] + int(track.sizes.sum()))

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with self._file:
            if error is None:
                self._finish()

    def _finish(self) -> None:
        """Write the table, which is known by now, before the frames."""
        end = self._file.tell()
        self._file.truncate()
        head = box("ftyp", self._tracks[0].ftyp) + box("moov", self._moov())
        data = self._starts[0] - 16
        self._file.seek(0)
        self._file.write(head + struct.pack(">I4s", data - len(head), b"free"))
        self._file.seek(data)
        self._file.write(struct.pack(">I4sQ", 1, b"mdat", end - data))

    def _moov(self) -> bytes:
        """The first segment's description of itself, with the tables of all frames, and a title."""
        counts = [len(track.sizes) for track in self._tracks]
        firsts = np.cumsum([0, *counts[:-1]])
        num_frames, frame_ticks = sum(counts), _frame_ticks(self._settings)
        shown = np.concatenate([t.shown + n for t, n in zip(self._tracks, firsts, strict=True)])
        # Decoded one a frame from 0 on; shown later, by as much as any needs. Of few frames x264
        # delays none, so a segment's own clock may begin elsewhere than the others'.
        needed = int((np.arange(num_frames) - shown).max())
        delay = max(needed, *(track.delay for track in self._tracks))
        if not self._settings.edit_list:
            delay = 0  # frames may be shown before they would be decoded
        later = (shown - np.arange(num_frames) + delay) * frame_ticks
        sizes = np.concatenate([track.sizes for track in self._tracks])
        keys = np.concatenate([t.keys + n for t, n in zip(self._tracks, firsts, strict=True)])
        chunks = [(n + 1, count, 1) for n, count in enumerate(counts)]
        tables = {
            "stsd": self._tracks[0].description,
            "stts": _table([(num_frames, frame_ticks)]),  # 8.6.1.2
            "ctts": _table(_runs(later), version=int(later.min() < 0))
            if later.any()
            else b"",  # 8.6.1.3
            "stss": _table((keys + 1)[:, None]) if len(keys) < num_frames else b"",  # 8.6.2
            "stsc": _table(chunks),  # 8.7.4
            "stsz": struct.pack(">III", 0, 0, num_frames) + sizes.astype(">u4").tobytes(),  # 8.7.3
            "co64": _table(np.array(self._starts)[:, None], ">u8"),  # 8.7.5
        }
        length = num_frames * frame_ticks
        moov = self._tracks[0].moov
        return _rebuilt(
            moov,
            {
                "mvhd": _lasting(_found(moov, "mvhd"), length, 4),
                "tkhd": _lasting(_found(moov, "tkhd"), length, 8),
                "mdhd": _lasting(_found(moov, "mdhd"), length, 4),
                "elst": _edit(length, delay * frame_ticks),
                "udta": _titled(_found(moov, "udta"), self._settings.title),
                "stbl": b"".join(box(name, table) for name, table in tables.items() if table),
            },
        )


def read_track(path: Path, settings: EncoderSettings) -> Track:
    """The track of a segment as ffmpeg writes it; ValueError for anything else."""
    with path.open("rb") as file:
        found = {name: (start, size) for name, start, size in places(file)}
        contents = {}
        for name in ("ftyp", "moov", "mdat"):
            if name not in found:
                raise ValueError(f"has no {name}")
            file.seek(found[name][0])
            contents[name] = b"" if name == "mdat" else file.read(found[name][1])
    moov = contents["moov"]
    for name in ("mdhd", "stsd", "stts", "stsz"):
        if len(_found(moov, name)) < 12:
            raise ValueError(f"has no whole {name}")
    timescale = int.from_bytes(_found(moov, "mdhd")[12:16], "big")
    if timescale != settings.timescale:
        raise ValueError(f"counts {timescale} ticks a second, expected {settings.timescale}")
    size, num_frames = struct.unpack_from(">II", _found(moov, "stsz"), 4)
    sizes = _entries(_found(moov, "stsz"), first=12)
    sizes = np.full(num_frames, size) if size else sizes
    if sizes.sum() != found["mdat"][1]:
        raise ValueError(f"holds {found['mdat'][1]} bytes for frames of {sizes.sum()}")

    steps = _entries(_found(moov, "stts")).reshape(-1, 2)
    decoded = np.cumsum([0, *np.repeat(steps[:, 1], steps[:, 0])])[:-1]
    delays = _entries(_found(moov, "ctts"), ">i4").reshape(-1, 2)
    later = np.repeat(delays[:, 1], delays[:, 0]) if len(delays) else 0
    edit = _entries(_found(moov, "elst"))
    delay = int(edit[1]) if len(edit) else 0
    ticks = decoded + later - delay
    frame_ticks = _frame_ticks(settings)
    shown, rest = np.divmod(ticks, frame_ticks)
    if rest.any() or sorted(shown) != list(range(num_frames)):
        raise ValueError(f"shows its frames at ticks {ticks[:8].tolist()}… of its clock")
    keys = _found(moov, "stss")
    return Track(
        start=found["mdat"][0],
        sizes=sizes,
        shown=shown,
        delay=delay // frame_ticks,
        keys=_entries(keys) - 1 if keys else np.arange(num_frames),
        ftyp=contents["ftyp"],
        moov=moov,
        description=_without_bitrate(_found(moov, "stsd")),
    )


def _boxes(data: bytes) -> list[tuple[str, bytes]]:
    found = places(io.BytesIO(data))
    return [(name, data[start : start + size]) for name, start, size in found]


def _found(data: bytes, wanted: str) -> bytes:
    """The content of the first box of that name, however deep; empty where there is none."""
    for name, content in _boxes(data):
        if name == wanted:
            return content
        if name in NESTED and (deeper := _found(content, wanted)):
            return deeper
    return b""


def _rebuilt(data: bytes, new: dict[str, bytes]) -> bytes:
    """Boxes, with new contents for some."""
    parts = []
    for name, content in _boxes(data):
        if name not in new and name in NESTED:
            content = _rebuilt(content, new)
        parts.append(box(name, new.get(name, content)))
    return b"".join(parts)


def _lasting(header: bytes, duration: int, num_between: int) -> bytes:
    """A header (8.2.2, 8.3.2, 8.4.2) with another duration, ``num_between`` bytes after its dates.

    Where 32 bits don't hold it the header becomes one of version 1.
    """
    at = 12 + num_between
    if duration < 1 << 32:
        return header[:at] + struct.pack(">I", duration) + header[at + 4 :]
    dates = struct.pack(">QQ", *struct.unpack_from(">II", header, 4))
    start = b"\1" + header[1:4] + dates + header[12:at]
    return start + struct.pack(">Q", duration) + header[at + 4 :]


def _edit(duration: int, start: int) -> bytes:
    """An edit list (8.6.6) of one edit: play the track from ``start`` on."""
    if duration < 1 << 32:
        return struct.pack(">IIIiI", 0, 1, duration, start, 1 << 16)
    return struct.pack(">IIQqI", 1 << 24, 1, duration, start, 1 << 16)


def _titled(about: bytes, title: str) -> bytes:
    """What a film says of itself (8.10.1, in the form that iTunes gave it), with a title first."""
    if not title:
        return about
    meta = _found(about, "meta")
    text = box("data", struct.pack(">II", 1, 0) + title.encode())  # 1: in UTF-8
    entries = box("©nam", text) + _found(meta[4:], "ilst")
    return box("meta", meta[:4] + _rebuilt(meta[4:], {"ilst": entries}))


def _table(
    entries: Sequence[tuple[int, ...]] | Integers, kind: str = ">u4", version: int = 0
) -> bytes:
    """A table of numbers: version and flags, how many entries, the entries."""
    return (
        struct.pack(">II", version << 24, len(entries)) + np.asarray(entries).astype(kind).tobytes()
    )


def _entries(table: bytes, kind: str = ">u4", first: int = 8) -> Integers:
    return np.frombuffer(table[first:], kind).astype(np.int64)


def _runs(values: Integers) -> Integers:
    """Runs of equal values: [runs, 2], how many and which."""
    starts = np.flatnonzero(np.diff(values, prepend=values[0] - 1))
    return np.stack([np.diff(starts, append=len(values)), values[starts]], axis=1)


def _without_bitrate(description: bytes) -> bytes:
    """The content of an stsd box with one entry, without ``btrt``, which tells of one segment."""
    ((name, entry),) = _boxes(description[8:])
    # A visual entry's own numbers take 78 bytes (12.1.3), then boxes follow.
    kept = [box(name, content) for name, content in _boxes(entry[78:]) if name != "btrt"]
    return description[:8] + box(name, entry[:78] + b"".join(kept))


def _comment_bytes(settings: EncoderSettings) -> int:
    """The room that the film's recipe will take in the table."""
    return len(settings.metadata.recipe.encode()) if settings.metadata else 0


def _frame_ticks(settings: EncoderSettings) -> int:
    return int(settings.timescale / settings.fps)
