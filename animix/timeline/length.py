"""Length: how long a clip is, by its timeline or by its sound."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path

from animix.errors import Mark, SoundError
from animix.sound.decoding import seconds_of
from animix.timeline.audio import parse_trim
from animix.timeline.misread import Misread
from animix.timeline.nodes import Broken, MapNode, Node, TextNode
from animix.timeline.reading import Reading
from animix.timeline.times import parse_length, parse_time

MOST_FRAMES = 1_000_000
"""Nine hours at 30 fps."""


def read_length(
    reading: Reading, found: Mapping[str, Node], folder: Path, fps: Fraction, root: Mark
) -> Fraction | None:
    """Seconds, those of the sound if nothing is said; at ``fps`` most frames are shown."""
    node, sound = found.get("duration"), found.get("audio")
    if node is not None:
        duration = reading.read(
            node, "duration", "a length such as 6s", lambda text: parse_length(text, reading.clock)
        )
    elif isinstance(sound, Broken):
        return None
    else:
        try:
            duration = _heard_until(reading, sound, folder)
        except SoundError as error:
            reading.note(mark_of_length(found), str(error), "without it, write duration: 6s")
            return None
        if duration is None or duration <= 0:
            reading.note(root, "duration is missing", "write duration: 6s")
            return None
        reading.notes.append(f"as long as its sound: {float(duration):.6g} s")
    if duration is not None and duration * fps > MOST_FRAMES:
        hours = float(duration / 3600)
        message = f"{hours:.3g} hours are more than {MOST_FRAMES} frames at {float(fps):g} fps"
        reading.note(
            mark_of_length(found), message, "does the duration have the unit that was meant?"
        )
        return None
    return duration


def mark_of_length(found: Mapping[str, Node]) -> Mark:
    """Where the length of a clip comes from: ``duration``, or its sound."""
    node = found.get("duration") or found["audio"]
    if isinstance(node, MapNode):
        files = [value for key, value in node.entries if key.text == "file"]
        node = files[0] if files else node
    return node.mark


def _heard_until(reading: Reading, node: Node | None, folder: Path) -> Fraction | None:
    """When in the clip a sound ends, in seconds; None where that hangs on the clip's own length.

    SoundError where it can't be opened. Mistakes are those that ``read_audio`` notes.
    """
    found = dict[str, Node]({"file": node} if node else {})
    if isinstance(node, MapNode):
        found = {key.text: value for key, value in node.entries}
    texts = {key: value.text for key, value in found.items() if isinstance(value, TextNode)}
    name = texts.get("file", "").strip()
    if not name or texts.get("loop") == "true" or not reading.listens:
        return None
    try:
        start = parse_time(texts.get("start", "0"), reading.clock)
        first, stop = parse_trim(texts.get("trim", "0"), reading.clock)
    except Misread:
        return None
    if start.end_share:
        return None
    there = seconds_of(folder / name)
    return start.seconds + (there if stop is None else min(there, stop)) - first
