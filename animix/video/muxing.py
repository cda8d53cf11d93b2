"""Muxing: a silent film and its sound become one file, and no picture is encoded again."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from animix.errors import EncodeError
from animix.ffmpeg.program import find_ffmpeg
from animix.ffmpeg.run import Outcome, Run
from animix.interruption import uninterrupted
from animix.timeline.formats import Container
from animix.video.metadata import write_metadata
from animix.video.place import full_disk, making_room, not_moved
from animix.video.probe import frames_in
from animix.video.settings import EncoderSettings, clocks
from animix.video.soundtrack import Soundtrack
from animix.whole_file import part_of

# No edit list, which YouTube and Reels refuse: times count from 0, and what x264 shows later than
# it decodes has negative offsets instead. ffmpeg's default is an edit list in every film.
_NO_EDIT_LIST = ("-use_editlist", "0", "-movflags", "+faststart+negative_cts_offsets")

# What each container's sound is encoded as. Those that are missing take none.
_SOUND: dict[Container, tuple[str, ...]] = {
    "mp4": (
        *("-c:a", "aac", "-profile:a", "aac_low", "-bsf:a", r"noise=drop=eq(n\,0)"),
        *(*_NO_EDIT_LIST, "-f", "mp4"),
    ),
    "webm": ("-c:a", "libopus", "-f", "webm"),
    "mov": ("-c:a", "pcm_s16le", "-f", "mov"),  # programs that edit take nothing else as surely
}


@contextlib.contextmanager
def with_sound(
    soundtrack: Soundtrack | None, target: Path, settings: EncoderSettings, frames: range
) -> Iterator[Path]:
    """A path to write a silent film to, which becomes ``target`` with its sound after the block.

    The sound is encoded meanwhile. The film at ``target`` is whole or absent: whatever fails, what
    stood there stays, and nothing is left beside it. Without a soundtrack, or where the container
    takes none, it is ``target`` itself.

    Raises OptionError where the path can't be written, EncodeError where ffmpeg is missing, has
    died or hasn't moved for a minute.
    """
    if soundtrack is None or settings.container not in _SOUND:
        yield target
        return
    place = Path(os.path.realpath(target))
    folder = part_of(place)
    sound, film = folder / "sound", folder / place.name
    try:
        with making_room(target, place):
            folder.mkdir()
        arguments = sound_arguments(soundtrack, frames, sound, settings)
        with Run(arguments, growing=sound) as run:
            yield film
            _check(run.wait(), f"{target}: its sound can't be encoded", place.parent)
        add_sound(film, sound, target, settings)
    finally:
        with uninterrupted():
            shutil.rmtree(folder, ignore_errors=True)


def sound_arguments(
    soundtrack: Soundtrack, frames: range, path: Path, settings: EncoderSettings
) -> list[str]:
    """ffmpeg's arguments that encode what is heard during frames, as the container has it.

    An AAC encoder begins with a packet for the 1024 samples before its first, and a player that is
    told nothing plays all of it 21 ms late. That packet is left out. What its neighbour holds of
    the first 21 ms needs it to be exact, so they fade in; everything after them is in its place.
    (Leaving out the sound's first 1024 samples instead makes those 21 ms silent.) A webm tells how
    much of its Opus comes before the first sample, and PCM has nothing before it.
    """
    return [
        *("-loglevel", "error", "-y", *soundtrack.inputs, "-map", "0:a:0"),
        *("-af", soundtrack.filters(soundtrack.samples(frames, settings.fps))),
        *("-map_metadata", "-1", "-map_chapters", "-1", "-b:a", str(settings.audio_bitrate)),
        *_SOUND[settings.container],
        f"file:{path}",
    ]


def add_sound(film: Path, sound: Path, target: Path, settings: EncoderSettings) -> None:
    """Copy the pictures of a film and an encoded sound into one file, whole or absent.

    Both begin at 0, and the clocks are the film's; a moov box comes first, without an edit list.

    Raises EncodeError where ffmpeg fails, with its last words.
    """
    place = Path(os.path.realpath(target))
    part = part_of(place)
    arguments = [
        *("-loglevel", "error", "-y", "-i", f"file:{film}", "-i", f"file:{sound}"),
        *("-map", "0:v:0", "-map", "1:a:0", "-map_metadata", "0", "-c", "copy"),
        *(() if settings.container == "webm" else _NO_EDIT_LIST),
        *clocks(settings),
        *("-f", settings.container, f"file:{part}"),
    ]
    try:
        with Run(arguments, growing=part) as run:
            _check(run.wait(), f"{target}: its sound can't be added", place.parent)
        executable = find_ffmpeg()
        found, wanted = (frames_in(each, settings.container, executable) for each in (part, film))
        if found != wanted:
            raise EncodeError(f"{target}: {found} of {wanted} frames are left beside the sound")
        write_metadata(part, settings.container, settings.metadata)
        part.replace(place)
    except OSError as exc:
        raise not_moved(target, exc) from exc
    finally:
        with uninterrupted(), contextlib.suppress(OSError):
            part.unlink(missing_ok=True)


def _check(outcome: Outcome, what: str, folder: Path) -> None:
    """EncodeError with ffmpeg's words if it failed."""
    if outcome.code:
        words = outcome.words[-8192:] or "(it said nothing)"
        raise EncodeError(f"{what} ({outcome.ending}{full_disk(words, folder)}):\n{words}")
