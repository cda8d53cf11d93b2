"""Decoding: the samples of a sound in whatever file ffmpeg reads, or why there are none."""

from __future__ import annotations

import re
import stat
from collections.abc import Sequence
from fractions import Fraction
from functools import lru_cache
from pathlib import Path

import numpy as np

from animix.errors import SoundError
from animix.ffmpeg.run import Outcome, Run
from animix.sound.spectrum import RATE, Floats
from animix.whole_file import state_of

FORMATS = (
    *("wav", "w64", "aiff", "caf", "au", "mp3", "flac", "ogg", "aac", "ac3", "eac3"),
    *("wv", "tta", "ape", "asf", "mov", "matroska", "avi"),
)
"""ffmpeg's names of what is read. Playlists are not among them: they name further files."""

COUNTED_RATE = 48_000
LONGEST_SECONDS = 900
"""Of a sound that is decoded whole."""

_PREFIX = re.compile(r"^(?:\[[^\]]*\] )?(?:Error opening input: )?(?:file:.*: )?")


def decode(path: Path) -> Floats:
    """The samples of a sound, mixed down to mono at 24 kHz: [N], of more than 15 minutes the first.

    SoundError for what is no sound, EncodeError where there is no ffmpeg.
    """
    check_sound(path)
    return run_samples(path, ["-ac", "1", "-t", str(LONGEST_SECONDS)], 1)[:, 0]


def run_samples(path: Path, options: Sequence[str], channels: int, rate: int = RATE) -> Floats:
    """The samples of a sound that ffmpeg makes of it with options: [N, channels] in -1..1."""
    written = ["-ar", str(rate), "-f", "s16le", "-c:a", "pcm_s16le", "pipe:1"]
    arguments = [*inputs_of(path), "-map", "0:a:0", *options, *written]
    outcome = run_ffmpeg(arguments, keep=True)
    if outcome.code or not outcome.num_bytes:
        raise refusal(path, outcome)
    whole = len(outcome.data) // (2 * channels) * 2 * channels
    samples: Floats = np.frombuffer(outcome.data[:whole], "<i2").astype(np.float64) / 32768
    return samples.reshape(-1, channels)


def seconds_of(path: Path) -> Fraction:
    """How long a sound is: its samples, counted, at 48 kHz.

    SoundError for what is no sound, EncodeError where there is no ffmpeg.
    """
    check_sound(path)
    return _seconds(path, state_of(path))


@lru_cache
def _seconds(path: Path, state: str) -> Fraction:
    # Not what the file says of itself: of an mp3 that is a guess. ``state`` is its content's.
    written = ["-ac", "1", "-ar", str(COUNTED_RATE), "-f", "s16le", "-c:a", "pcm_s16le", "pipe:1"]
    outcome = run_ffmpeg([*inputs_of(path), "-map", "0:a:0", *written])
    if outcome.code or not outcome.num_bytes:
        raise refusal(path, outcome)
    return Fraction(outcome.num_bytes // 2, COUNTED_RATE)


def check_sound(path: Path) -> None:
    """SoundError where there is no file to read."""
    name = path.name
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError) as exc:
        reason = getattr(exc, "strerror", None) or exc
        raise SoundError(f"{name} can't be opened in {path.parent}: {reason}") from exc
    if not stat.S_ISREG(mode):
        raise SoundError(f"{name} is no file")


def inputs_of(path: Path) -> list[str]:
    """ffmpeg's arguments that open a sound, and nothing that it may name in turn."""
    return [
        *("-protocol_whitelist", "file", "-format_whitelist", ",".join(FORMATS)),
        *("-i", f"file:{path}"),
    ]


def run_ffmpeg(arguments: Sequence[str], *, keep: bool = False) -> Outcome:
    """What ffmpeg does of its own, to its end."""
    with Run(arguments, keep=keep) as run:
        return run.wait()


def refusal(path: Path, outcome: Outcome) -> SoundError:
    """The error that says in one line why a sound can't be used."""
    return SoundError(f"{path.name} {_reason(outcome)}")


def _reason(outcome: Outcome) -> str:
    words = outcome.words
    if "not on whitelist" in words:
        return f"is of no kind that is read: {', '.join(FORMATS)}"
    if "matches no streams" in words:
        return "has no sound in it"
    if not outcome.code:
        return "is empty, there is no sample in it"
    for line in reversed(words.splitlines()):
        # ffmpeg ends with what follows from the reason.
        reason = _PREFIX.sub("", line).strip()
        if reason and not reason.startswith(("Error opening ", "Conversion failed")):
            return f"is no sound that ffmpeg can read: {reason[:200]}"
    return f"is no sound that ffmpeg can read ({outcome.ending})"
