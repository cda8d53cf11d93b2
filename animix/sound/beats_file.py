"""The file beside a sound that keeps its beats: they are found once, and may be looked at."""

from __future__ import annotations

import json
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

from animix.errors import OptionError, SoundError
from animix.sound.beats import SHORTEST_SECONDS, Beats, find_beats
from animix.sound.decoding import check_sound, decode
from animix.sound.spectrum import RATE
from animix.whole_file import digest_of, kept_text, whole_file


class Kept(NamedTuple):
    """The beats of a sound, and how they came."""

    beats: Beats
    is_new: bool
    """Whether they were found just now."""
    why_not_kept: str = ""
    """What is in the way of keeping them; empty where they are kept."""


def beats_file(sound: Path) -> Path:
    """Where the beats of a sound are kept.

    >>> beats_file(Path("films/song.wav")).name
    'song.wav.beats.json'
    """
    return sound.with_name(f"{sound.name}.beats.json")


def beats_of(sound: Path, *, anew: bool = False) -> Kept:
    """The beats of a sound: those kept beside it, unless it has changed since, else found now.

    SoundError where it can't be read or has no beats; EncodeError where there is no ffmpeg.
    """
    check_sound(sound)
    try:
        digest = digest_of(sound)
    except OSError as exc:
        raise SoundError(f"{sound.name} can't be read: {exc.strerror or exc}") from exc
    known = None if anew else _read(beats_file(sound), digest)
    if known is not None:
        return Kept(known, is_new=False)
    samples = decode(sound)
    beats = find_beats(samples)
    if beats is None:
        short = len(samples) < SHORTEST_SECONDS * RATE
        why = f": it is shorter than {SHORTEST_SECONDS:g} s" if short else ""
        raise SoundError(f"{sound.name} has no beats that can be found{why}")
    try:
        with whole_file(beats_file(sound)) as part:
            part.write_text(_text(beats, digest), encoding="utf-8")
    except OptionError as error:
        return Kept(beats, is_new=True, why_not_kept=str(error))
    return Kept(beats, is_new=True)


def facts_of(beats: Beats) -> dict[str, Any]:
    """What is known of beats, for machines."""
    return {
        "bpm": float(beats.bpm),
        "first_beat_seconds": float(beats.first_beat_seconds),
        "num_beats": beats.num_beats,
        "confidence": beats.confidence,
        "has_bars": beats.has_bars,
        "is_steady": beats.is_steady,
    }


def _text(beats: Beats, digest: str) -> str:
    return json.dumps({"sha256": digest, **facts_of(beats)}, indent=2) + "\n"


def _read(path: Path, digest: str) -> Beats | None:
    """The beats in a file if they are those of a sound with this SHA-256."""
    try:
        found = json.loads(kept_text(path))
        if found["sha256"] != digest:
            return None
        beats = Beats(
            # By their digits: what was a decimal number stays one.
            bpm=Fraction(str(found["bpm"])),
            first_beat_seconds=Fraction(str(found["first_beat_seconds"])),
            num_beats=int(found["num_beats"]),
            confidence=float(found["confidence"]),
            has_bars=found["has_bars"] is True,
            is_steady=found["is_steady"] is True,
        )
    except (OSError, ValueError, KeyError, TypeError, RecursionError, OverflowError, OptionError):
        return None  # whatever was written there
    return replace(beats, bpm=beats.bpm.limit_denominator(10**6))
