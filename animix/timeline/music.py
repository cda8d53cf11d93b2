"""Music as a timeline has it: its tempo, its markers and its sections, read into a clock."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

from animix.errors import SoundError
from animix.sound.beats import Beats
from animix.sound.beats_file import beats_file, beats_of
from animix.timeline.audio import AUTO, parse_trim, start_seconds
from animix.timeline.clock import BEATS_A_BAR, FASTEST_BPM, SLOWEST_BPM, Clock, Section
from animix.timeline.keyframes import Time
from animix.timeline.misread import Consequence, Misread, quoted
from animix.timeline.names import check_name
from animix.timeline.nodes import Broken, MapNode, Node, TextNode
from animix.timeline.reading import Reading
from animix.timeline.times import LONGEST, names_place, parse_span, parse_time

MOST_NAMES = 1000
"""Markers, and sections."""

_BPM = re.compile(r"[0-9]{1,6}(?:\.[0-9]{1,9})?")
_WORD = re.compile(r"\b[A-Za-z]\w*")
_FIRST_BEAT = "write when in the clip it sounds, such as first-beat: 250ms"


def read_tempo(reading: Reading, audio: Node | None, folder: Path) -> None:
    """Set the clock's tempo by ``bpm`` and ``first-beat``, which stand under audio.

    ``bpm: auto`` is that of the sound, whose file lies relative to ``folder``.
    """
    if isinstance(audio, Broken):
        reading.causes.add("bpm")
    if not isinstance(audio, MapNode):
        return
    found = {key.text: value for key, value in audio.entries}
    clock = reading.clock
    bpm = found.get("bpm")
    if isinstance(bpm, TextNode) and bpm.text == AUTO:
        clock = _heard_tempo(reading, clock, bpm, found, folder)
    elif bpm is not None:
        clock = replace(clock, bpm=reading.read(bpm, "bpm", "a number", _parse_bpm))
    reading.causes |= {"bpm"} if bpm is not None and clock.bpm is None else set()
    first = reading.read(
        found.get("first-beat"), "first-beat", "a time", lambda text: _parse_first(text, clock.fps)
    )
    reading.clock = clock if first is None else replace(clock, first_beat_seconds=first)


def _heard_tempo(
    reading: Reading, clock: Clock, bpm: TextNode, found: Mapping[str, Node], folder: Path
) -> Clock:
    """The clock by the beats of the clip's sound; without a tempo where it has none."""
    file = found.get("file")
    if not isinstance(file, TextNode):
        hint = "write audio: {file: song.mp3, bpm: auto}"
        if not isinstance(file, Broken):
            reading.note(bpm.mark, "bpm: auto is found in a sound: audio has no file", hint)
        return clock
    if not reading.listens:
        reading.note(bpm.mark, "bpm: auto: no sound is opened for this text", "write bpm: 128")
        return clock
    name = reading.words(file, "audio", "a file")
    if name is None:
        return clock
    try:
        beats, is_new, why_not_kept = beats_of(folder / name)
    except SoundError as error:
        reading.note(file.mark, str(error), "without it, write the tempo: bpm: 128")
        return clock
    told = f"{Path(name).name}: {float(beats.bpm):g} beats a minute"
    if is_new:
        place = f"kept in {beats_file(Path(name)).name}"
        kept = f"not kept: {why_not_kept}" if why_not_kept else place
        reading.notes.append(f"{told}, confidence {beats.confidence:g}; {kept}")
    if beats.doubt:
        hint = "listen to it with animix beats --click, or write bpm"
        reading.notes.append(f"{told} may be wrong: {beats.doubt}; {hint}")
    clock = replace(clock, bpm=beats.bpm)
    return replace(clock, first_beat_seconds=_first_beat(beats, clock, found))


def _first_beat(beats: Beats, clock: Clock, found: Mapping[str, Node]) -> Fraction:
    """When the clip's first bar begins: the first one of the sound that is heard in it.

    A start or trim that can't be read counts as 0; that is told where audio is read.
    """
    texts = {key: node.text for key, node in found.items() if isinstance(node, TextNode)}
    start = start_seconds(texts.get("start", "0"), clock) or Fraction(0)
    try:
        left_out = parse_trim(texts.get("trim", "0"), clock)[0]
    except Misread:
        left_out = Fraction(0)
    beat = 60 / beats.bpm
    every = beat * BEATS_A_BAR if beats.has_bars else beat
    # Who cuts on a beat may cut a little behind where it is struck.
    behind = left_out - beats.first_beat_seconds - beat / 8
    first = beats.first_beat_seconds + max(0, math.ceil(behind / every)) * every
    return round(start - left_out + first, 4)


def read_markers(reading: Reading, node: Node | None) -> None:
    """Set the clock's markers. Each may count from others, in any order."""
    nodes = _names(reading, node, "marker", "markers: {drop: bar 5}")
    times: dict[str, Time | None] = dict.fromkeys(nodes)
    reading.clock = replace(reading.clock, markers=times)
    # One without a time has its mistake where it stands, not where others count from it.
    reading.causes |= {f"marker {name}" for name in nodes}
    for name in _in_order(reading, nodes):
        told = f"marker {name[:40]}"
        time = reading.read(
            nodes[name], told, "a time", lambda text: parse_time(text, reading.clock)
        )
        if time is not None and _lies_inside(reading, nodes[name], told, time):
            times[name] = time


def read_sections(reading: Reading, node: Node | None) -> None:
    """Set the clock's sections, ``FROM..TO``."""
    sections: dict[str, Section | None] = {}
    markers = reading.clock.markers
    for name, value in _names(reading, node, "section", "sections: {hook: 2s..6s}").items():
        told = f"section {name[:40]}"
        if name in markers:
            reading.note(value.mark, f"{told}: a marker has this name", "choose another")
        span = reading.read(value, told, "FROM..TO", lambda text: parse_span(text, reading.clock))
        sections[name] = None
        if span is None or not all(_lies_inside(reading, value, told, time) for time in span):
            continue
        start, stop = span
        if reading.duration is not None and stop.at(reading.duration) <= start.at(reading.duration):
            reading.note(value.mark, f"{told} ends before it starts", "write FROM..TO")
            continue
        sections[name] = Section(name, start, stop, value.mark)
    reading.clock = replace(reading.clock, sections=sections)
    reading.causes |= {f"section {name}" for name in sections}


def _names(reading: Reading, node: Node | None, kind: str, example: str) -> dict[str, Node]:
    """The entries of a map of names."""
    if node is None or isinstance(node, Broken):
        return {}
    if not isinstance(node, MapNode):
        reading.note(node.mark, f"{kind}s is a map of names", f"write {example}")
        return {}
    if len(node.entries) > MOST_NAMES:
        reading.note(node.mark, f"{len(node.entries)} {kind}s: expected at most {MOST_NAMES}")
        return {}
    for key, _ in node.entries:
        check_name(reading, key, kind)
    return {key.text: value for key, value in node.entries}


def _in_order(reading: Reading, nodes: dict[str, Node]) -> list[str]:
    """The names of markers, each after those that it counts from; those in circles are noted."""
    needed = {name: _needed(node, nodes) for name, node in nodes.items()}
    while True:
        try:
            order = list(TopologicalSorter(needed).static_order())
        except CycleError as error:
            circle = error.args[1][:0:-1]  # each needs the one behind it, the last the first
            first = min(range(len(circle)), key=lambda place: list(nodes).index(circle[place]))
            circle = circle[first:] + circle[:first]
            told = " → ".join([*circle[:5], "…"] if len(circle) > 5 else [*circle, circle[0]])
            message = f"markers count from each other in a circle: {told}"
            reading.note(nodes[circle[0]].mark, message, "give one of them a time of its own")
            for name in circle:
                nodes.pop(name)
                needed.pop(name)
        else:
            return [name for name in order if name in nodes]


def _needed(node: Node, known: dict[str, Node]) -> list[str]:
    """The markers that a marker's time names."""
    text = node.text[:LONGEST] if isinstance(node, TextNode) else ""
    return [word for word in _WORD.findall(text) if word in known]


def _lies_inside(reading: Reading, node: Node, name: str, time: Time) -> bool:
    """Whether a place lies in the clip; if not, that is noted."""
    if (end := reading.duration) is None or 0 <= time.at(end) <= end:
        return True
    where = "before the start" if time.at(end) < 0 else "after the end"
    reading.note(node.mark, f"{name} lies {where} of the clip", f"the duration is {float(end):g}s")
    return False


def _parse_bpm(text: str) -> Fraction:
    """Beats a minute, exactly as written."""
    if not _BPM.fullmatch(text):
        raise Misread(f"{quoted(text)} is no number of beats a minute", "write bpm: 128")
    bpm = Fraction(text)
    if not SLOWEST_BPM <= bpm <= FASTEST_BPM:
        raise Misread(
            f"{quoted(text)} beats a minute: expected {SLOWEST_BPM} to {FASTEST_BPM}",
            "write bpm: 128",
        )
    return bpm


def _parse_first(text: str, fps: Fraction) -> Fraction:
    """When the first beat sounds, in seconds of the clip, also before it."""
    try:
        time = parse_time(text, Clock(fps))
    except Consequence as misread:
        message = f"{quoted(text)}: beats are counted from the first beat"
        raise Misread(message, _FIRST_BEAT) from misread
    if names_place(text):
        raise Misread(f"{quoted(text)} is no time in seconds", _FIRST_BEAT)
    return time.seconds
