"""Envelopes: how loud a sound is from moment to moment, in all and in parts.

Measured a hundred times a second whatever the frame rate, and interpolated between: the same moment
has the same value in each film.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from animix.errors import OptionError
from animix.sound.onsets import ONSET_RATE, onsets
from animix.sound.spectrum import RATE, Floats, powers

ENVELOPES = ("rms", "low", "mid", "high", "onset")
"""All of it; below 150 Hz, up to 3 kHz, and above; and what begins."""
ATTACK_SECONDS = 0.02
RELEASE_SECONDS = 0.2

_HOP = RATE // 100
_EDGES_HERTZ = (20.0, 150.0, 3000.0, RATE / 2)
_AROUND = 3 * RATE
"""Samples of a loop that are heard before its start and behind its end."""
_FAINTEST = 0.003
"""Of all of it, the least that a band's loudest moment is taken for: hiss stays faint."""
_SILENT = 1e-4
_DIGITS = 4
"""What nobody sees must not make chunks of a film anew when a sound changes elsewhere."""


@dataclass(frozen=True, eq=False)
class Envelopes:
    """The envelopes of a clip's sound: 0 is silence, and 1 the loudest moment of each.

    >>> halves = Envelopes(np.array([0.0, 0.5, 1.0]), {"low": np.array([0.0, 1.0, 0.0])})
    >>> halves.at("low", np.array([0.25, 0.5, 2.0])).tolist()
    [0.5, 1.0, 0.0]
    """

    seconds: Floats
    """[M], ascending; of a loop the last is its end, where it is as at 0."""
    values: Mapping[str, Floats]
    """For each name in ENVELOPES: [M]."""

    def at(self, name: str, seconds: Floats) -> Floats:
        """The values of an envelope at moments of the clip: [N]."""
        found: Floats = np.interp(seconds, self.seconds, self.values[name])
        return found


def measure(
    samples: Floats,
    *,
    loop: bool,
    attack_seconds: float = ATTACK_SECONDS,
    release_seconds: float = RELEASE_SECONDS,
) -> Envelopes:
    """The envelopes of what is heard in a clip, [N, channels] at 24 kHz; ``loop``: over and over.

    Loudness is the root of a band's power, as in a level meter. It is followed by two one-pole
    filters: within ``attack_seconds`` two thirds of a rise are there, within ``release_seconds``
    two thirds of a fall. Then each envelope is divided by its largest value.
    """
    if not (attack_seconds >= 0 and release_seconds >= 0):
        raise OptionError("attack and release are shorter than nothing: expected 0 s or more")
    count = len(samples)
    around = _AROUND if loop else 0
    heard = np.pad(samples, ((around, around), (0, 0)), "wrap" if loop else "constant")
    inside = slice(around // _HOP, around // _HOP + -(-count // _HOP))
    bands = np.mean([powers(channel, _HOP, _EDGES_HERTZ) for channel in heard.T], axis=0)
    begins = onsets(heard.mean(axis=1)).all
    step = ONSET_RATE * _HOP // RATE
    begins = np.pad(begins, (0, -len(begins) % step)).reshape(-1, step).max(axis=1)
    levels = {"rms": np.sqrt(bands.sum(axis=1))}
    levels |= {name: np.sqrt(bands[:, place]) for place, name in enumerate(("low", "mid", "high"))}
    levels = {name: level[inside] for name, level in {**levels, "onset": begins}.items()}
    loudest = float(levels["rms"].max(initial=0.0))
    values = {}
    for name, level in levels.items():
        value = _followed(level, attack_seconds, release_seconds, loop=loop)
        top = float(value.max(initial=0.0))
        top = top if name == "onset" else max(top, _FAINTEST * loudest)
        value = value / top if top > 0 and loudest > _SILENT else np.zeros_like(value)
        value = np.round(value, _DIGITS)
        values[name] = np.append(value, value[0] if loop else value[-1])
    seconds = np.append(np.arange(len(levels["rms"])) * _HOP, max(count, 1)) / RATE
    return Envelopes(seconds, values)


def _followed(level: Floats, attack: float, release: float, *, loop: bool) -> Floats:
    """A level as it is followed, up and down with time constants in seconds."""
    rise, fall = (
        1.0 if seconds == 0 else 1 - float(np.exp(-_HOP / RATE / seconds))
        for seconds in (attack, release)
    )
    # A loop is followed once round, so that it begins as it ends.
    turns = level.tolist() * (2 if loop else 1)
    value, found = turns[0], []
    for each in turns:
        value += (each - value) * (rise if each > value else fall)
        found.append(value)
    return np.array(found[-len(level) :])
