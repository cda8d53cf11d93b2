"""Audio as a timeline has it: ``song.mp3``, or a map that says which part is heard, and when."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

from animix.errors import Mark, OptionError
from animix.sound.envelopes import ATTACK_SECONDS, RELEASE_SECONDS
from animix.timeline.clock import Clock
from animix.timeline.keyframes import Time
from animix.timeline.misread import Misread, quoted
from animix.timeline.nodes import Broken, ListNode, MapNode, Node, TextNode
from animix.timeline.numbers import parse_number
from animix.timeline.reading import Reading
from animix.timeline.times import names_place, parse_length, parse_time

AUTO = "auto"
"""The tempo that is found in the sound."""
TEMPO_KEYS = ("bpm", "first-beat")
"""They set the timeline's clock, see ``music``."""
AUDIO_KEYS = (
    *("file", "start", "trim", "loop", "fade-in", "fade-out", "loudness", "attack", "release"),
    *TEMPO_KEYS,
)

QUIETEST_LUFS = -50.0
LOUDEST_LUFS = -5.0

BEGINNING = Time(Fraction(0))

_TRIM = "the sound's own time counts from its start, such as 12s or 12s..40s"
_LOUDNESS = "write loudness: -14, as loud as most platforms play"


@dataclass(frozen=True)
class Audio:
    """The sound of a clip: what of a file is heard, from when on, and how loud.

    >>> Audio(Path("song.mp3"), trim=(Fraction(12), Fraction(12)))
    Traceback (most recent call last):
    animix.errors.OptionError: trim is 12 s to 12 s: expected a start, and an end behind it
    """

    path: Path
    start: Time = BEGINNING
    """Where in the clip it begins."""
    trim: tuple[Fraction, Fraction | None] = (Fraction(0), None)
    """The part of the sound that is heard, in seconds of its own; the end is not included, None: to
    the sound's end."""
    loop: bool = False
    """Whether it begins again where it ends; otherwise silence follows."""
    fade_in_seconds: Fraction = Fraction(0)
    """From the moment on at which it begins."""
    fade_out_seconds: Fraction = Fraction(0)
    """Up to where it ends, or the clip."""
    loudness_lufs: float | None = None
    """What all of it in the clip is brought to (EBU R128, integrated); None: as it is."""
    attack_seconds: Fraction = Fraction(str(ATTACK_SECONDS))
    """How fast its envelopes follow it up."""
    release_seconds: Fraction = Fraction(str(RELEASE_SECONDS))
    """How fast they follow it down."""
    marks: tuple[tuple[str, Mark], ...] = ()
    """Where each of its keys stands."""

    def __post_init__(self) -> None:
        first, stop = self.trim
        if first < 0 or (stop is not None and stop <= first):
            part = f"{float(first):g} s" + ("" if stop is None else f" to {float(stop):g} s")
            raise OptionError(f"trim is {part}: expected a start, and an end behind it")
        if min(self.fade_in_seconds, self.fade_out_seconds) < 0:
            raise OptionError("a fade is shorter than nothing: expected seconds, 0 or more")
        lufs = self.loudness_lufs
        if lufs is not None and not QUIETEST_LUFS <= lufs <= LOUDEST_LUFS:
            raise OptionError(
                f"loudness is {lufs:g} LUFS: expected {QUIETEST_LUFS:g} to {LOUDEST_LUFS:g}"
            )

    def mark(self, key: str) -> Mark:
        """Where a key stands, or what is nearest to it."""
        marks = dict(self.marks)
        return marks.get(key) or marks.get("file") or Mark(str(self.path), 0, 0)


def read_audio(reading: Reading, node: Node | None, folder: Path) -> Audio | None:
    """The sound of a clip; None where there is none. Its file lies relative to ``folder``."""
    if node is None or isinstance(node, Broken):
        return None
    if isinstance(node, ListNode):
        reading.note(node.mark, "audio is one sound, found a list", "write audio: song.mp3")
        return None
    noted = reading.num_noted
    found: dict[str, Node] = {"file": node}
    if isinstance(node, MapNode):
        found = reading.options(node, "audio", AUDIO_KEYS)
        if found and not set(found) - set(TEMPO_KEYS):
            return None
        if "file" not in found and reading.num_noted == noted:
            reading.note(node.mark, "audio has no file", "write audio: {file: song.mp3}")
    told = "file" if isinstance(node, MapNode) else "audio"
    name = reading.words(found.get("file"), told, "the name of a sound, such as song.mp3")
    clock = reading.clock
    start = reading.read(
        found.get("start"), "start", "a time", lambda text: parse_time(text, clock)
    )
    trim = reading.read(found.get("trim"), "trim", "a time", lambda text: parse_trim(text, clock))
    lengths = {
        key: reading.read(found.get(key), key, "a length", lambda text: parse_length(text, clock))
        for key in ("fade-in", "fade-out", "attack", "release")
    }
    loudness = reading.read(found.get("loudness"), "loudness", "a number", _parse_loudness)
    loop = reading.choice(found.get("loop"), "loop", ("true", "false"), "false") == "true"
    if start is not None:
        _check_start(reading, start, found["start"].mark)
        _check_place(reading, found)
    if name is None or reading.num_noted > noted:
        return None
    audio = Audio(
        folder / name,
        loop=loop,
        fade_in_seconds=lengths["fade-in"] or Fraction(0),
        fade_out_seconds=lengths["fade-out"] or Fraction(0),
        loudness_lufs=loudness,
        attack_seconds=lengths["attack"] or Audio.attack_seconds,
        release_seconds=lengths["release"] or Audio.release_seconds,
        marks=tuple((key, value.mark) for key, value in found.items()),
    )
    return replace(audio, start=start or audio.start, trim=trim or audio.trim)


def _check_start(reading: Reading, start: Time, mark: Mark) -> None:
    """Note a start that lies outside the clip."""
    if reading.duration is None:
        return
    seconds = start.at(reading.duration)
    if seconds < 0:
        hint = "to leave out its beginning, write trim"
        reading.note(mark, "the sound starts before the clip", hint)
    elif seconds >= reading.duration:
        hint = f"the duration is {float(reading.duration):g}s"
        reading.note(mark, "the sound starts after the end of the clip", hint)


def _check_place(reading: Reading, found: Mapping[str, Node]) -> None:
    """Note a start from which the first beat can't follow, as it does with ``bpm: auto``."""
    bpm, start = found.get("bpm"), found["start"]
    if not (isinstance(bpm, TextNode) and bpm.text == AUTO and isinstance(start, TextNode)):
        return
    if "first-beat" not in found and start_seconds(start.text, reading.clock) is None:
        message = "with bpm: auto the first beat follows from where the sound starts"
        reading.note(start.mark, message, "write start in seconds, or first-beat")


def start_seconds(text: str, clock: Clock) -> Fraction | None:
    """When a sound starts, where that hangs neither on the first beat nor on where the clip ends.

    >>> clock = Clock(Fraction(30), bpm=Fraction(120))
    >>> start_seconds("1.5s", clock), start_seconds("bar 2", clock), start_seconds("50%", clock)
    (Fraction(3, 2), None, None)
    """
    try:
        times = [
            parse_time(text, replace(clock, first_beat_seconds=Fraction(first), markers={}))
            for first in (0, 1)
        ]
    except Misread:
        return None
    return times[0].seconds if times[0] == times[1] and not times[0].end_share else None


def parse_trim(text: str, clock: Clock) -> tuple[Fraction, Fraction | None]:
    """The part of a sound: ``12s`` is from there on, ``12s..40s`` half-open."""
    first, dots, last = text.partition("..")
    start = _parse_instant(first, clock, 0)
    if not dots:
        return start, None
    stop = _parse_instant(last, clock, len(first) + len(dots))
    if stop <= start:
        raise Misread(f"{quoted(text)} ends before it starts", _TRIM)
    return start, stop


def _parse_instant(text: str, clock: Clock, offset: int) -> Fraction:
    """An instant of the sound, in seconds from its start."""
    try:
        # Beats are lengths here: the first beat is a place in the clip.
        time = parse_time(text, replace(clock, first_beat_seconds=Fraction(0)))
    except Misread as misread:
        misread.offset += offset
        misread.width = len(text) if misread.width is None else misread.width
        raise
    if names_place(text):
        message = f"{quoted(text)} is a place in the clip, not in the sound"
        raise Misread(message, _TRIM, offset, len(text))
    if time.seconds < 0:
        raise Misread(f"{quoted(text)} lies before the sound", _TRIM, offset, len(text))
    return time.seconds


def _parse_loudness(text: str) -> float:
    """LUFS, with the unit or without."""
    try:
        lufs = parse_number(text.removesuffix("LUFS").strip())
    except Misread as misread:
        raise Misread(f"{quoted(text)} is no loudness", _LOUDNESS) from misread
    if not QUIETEST_LUFS <= lufs <= LOUDEST_LUFS:
        expected = f"expected {QUIETEST_LUFS:g} to {LOUDEST_LUFS:g}"
        raise Misread(f"a loudness of {lufs:g} LUFS: {expected}", _LOUDNESS)
    return lufs
