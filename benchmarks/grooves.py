"""Grooves: drums, bass and pads of many kinds, drawn by numpy from seeds, whose beats are known."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

RATE = 24_000
SECONDS = 30.0

Sound = NDArray[np.float64]

PATTERNS = {
    # steps of a bar, - softly: k kick, s snare, h hat, o open hat, b bass, c chord, r rim, e pick
    "four on the floor": {
        "k": "x...x...x...x...",
        "o": "..x...x...x...x.",
        "b": "..x...x...x...x.",
    },
    "house": {
        "k": "x...x...x...x...",
        "s": "....x.......x...",
        "h": "x.x.x.x.x.x.x.x.",
        "c": "x..x..x...x..x..",
    },
    "techno": {"k": "x...x...x...x...", "h": "xxxxxxxxxxxxxxxx", "r": "...x..x....x..x."},
    "rock": {
        "k": "x.....x.x.......",
        "s": "....x.......x...",
        "h": "x.x.x.x.x.x.x.x.",
        "b": "x.x.x.x.x.x.x.x.",
    },
    "ballad": {
        "k": "x.......x.......",
        "s": "....x.......x...",
        "h": "x.x.x.x.x.x.x.x.",
        "c": "x...............",
    },
    "hip-hop": {
        "k": "x......x..x.....",
        "s": "....x.......x...",
        "h": "x.x.x.x.x.x.xxx.",
        "b": "x......x..x.....",
    },
    "half-time": {
        "k": "x.....x.........",
        "s": "........x.......",
        "h": "x.x.x.x.x.x.x.x.",
        "b": "x...........x...",
    },
    "breakbeat": {"k": "x.x.......xx....", "s": "....x..-.-..x..-", "h": "x.x.x.x.x.x.x.x."},
    "drum and bass": {
        "k": "x.........x.....",
        "s": "....x.......x...",
        "h": "x.x.x.x.x.x.x.x.",
        "b": "x.....x...x.....",
    },
    "swing": {"k": "x.....x.....", "s": "...x.....x..", "h": "x..x.xx..x.x", "b": "x..x..x..x.."},
    "shuffle": {"k": "x....xx....x", "s": "...x.....x..", "h": "x.xx.xx.xx.x"},
    "reggae": {
        "k": "........x.......",
        "s": "........x.......",
        "c": "....x.......x...",
        "h": "x.x.x.x.x.x.x.x.",
        "b": "x..x..x.x.......",
    },
    "latin": {
        "k": "x..x..x.x..x..x.",
        "r": "x..x..x...x.x...",
        "h": "x.x.x.x.x.x.x.x.",
        "b": "...x..x....x..x.",
    },
    "syncopated": {
        "k": "x..x......x..x..",
        "s": "....x.......x..x",
        "h": "x.xxx.xxx.xxx.xx",
        "b": "x..x..x...x..x..",
    },
    "sixteenths": {"k": "x.........x.....", "s": "....x.......x...", "h": "xxxxxxxxxxxxxxxx"},
    "pads and a kick": {"k": "x...x...x...x...", "c": "x..............."},
    "picked": {"e": "x.x.x.x.x.x.x.x.", "c": "x.......x......."},
    "waltz": {"k": "x...........", "s": "....x...x...", "c": "x...........", "h": "x.x.x.x.x.x."},
}
"""For each kind what sounds on which of 16 steps a bar; of 12 in triplets, or in a waltz."""

BEATS_A_BAR = {"waltz": 3}


@dataclass(frozen=True)
class Groove:
    """A groove as it is asked for."""

    kind: str
    bpm: float
    seed: int
    first_beat_seconds: float = 0.0
    swing: float = 0.0
    """By how much of itself each second step of 16 comes late."""
    jitter_seconds: float = 0.0
    noise: float = 0.0
    """White noise below all of it, of full scale."""
    fade_in_seconds: float = 0.0
    seconds: float = SECONDS
    drift: float = 0.0
    """By how much of itself the tempo grows to the end."""
    cut_seconds: float = 0.0
    """What is cut off its beginning, wherever in a bar that is."""

    @property
    def name(self) -> str:
        """What is special about it, in words."""
        told = [self.kind, f"{self.bpm:g}"]
        told += [f"first beat at {self.first_beat_seconds:g} s"] if self.first_beat_seconds else []
        told += [f"swung by {self.swing:g}"] if self.swing else []
        told += [f"{1000 * self.jitter_seconds:g} ms of jitter"] if self.jitter_seconds else []
        told += [f"noise at {self.noise:g}"] if self.noise else []
        told += [f"faded in for {self.fade_in_seconds:g} s"] if self.fade_in_seconds else []
        told += [f"drifting by {self.drift:g}"] if self.drift else []
        told += [f"cut at {self.cut_seconds:g} s"] if self.cut_seconds else []
        return ", ".join(told)

    @property
    def beat_seconds(self) -> float:
        """Of one beat, at the start."""
        return 60 / self.bpm

    @property
    def beats_a_bar(self) -> int:
        """Three in a waltz."""
        return BEATS_A_BAR.get(self.kind, 4)


def _g(kind: str, bpm: float, **how: float) -> Groove:
    return Groove(kind, bpm, seed=0, **how)  # type: ignore[arg-type]  # no seed among them


_PLAIN = (
    _g("four on the floor", 120),
    _g("four on the floor", 128, first_beat_seconds=0.37),
    _g("four on the floor", 140, noise=0.05),
    _g("house", 124),
    _g("house", 118, first_beat_seconds=1.21),
    _g("house", 126, fade_in_seconds=8),
    _g("techno", 132),
    _g("techno", 145, first_beat_seconds=0.2),
    _g("rock", 100),
    _g("rock", 126, jitter_seconds=0.008),
    _g("rock", 160, first_beat_seconds=0.5),
    _g("rock", 88, noise=0.03, jitter_seconds=0.005),
    _g("ballad", 60),
    _g("ballad", 66, first_beat_seconds=0.8),
    _g("ballad", 72),
    _g("hip-hop", 84),
    _g("hip-hop", 92, swing=0.25),
    _g("hip-hop", 76, first_beat_seconds=0.31),
    _g("half-time", 140),
    _g("half-time", 150, first_beat_seconds=0.4),
    _g("breakbeat", 110),
    _g("breakbeat", 136, first_beat_seconds=0.66),
    _g("drum and bass", 170),
    _g("drum and bass", 174, first_beat_seconds=0.15),
    _g("drum and bass", 180, noise=0.03),
    _g("swing", 120),
    _g("swing", 152, first_beat_seconds=0.45),
    _g("shuffle", 96),
    _g("shuffle", 112, jitter_seconds=0.006),
    _g("reggae", 72),
    _g("reggae", 80, first_beat_seconds=0.9),
    _g("latin", 100),
    _g("latin", 116, first_beat_seconds=0.27),
    _g("syncopated", 104),
    _g("syncopated", 95, swing=0.2),
    _g("sixteenths", 84),
    _g("sixteenths", 72, first_beat_seconds=0.6),
    _g("sixteenths", 90, noise=0.05),
    _g("pads and a kick", 122, first_beat_seconds=0.33),
    _g("pads and a kick", 98),
    _g("picked", 108),
    _g("picked", 78, first_beat_seconds=0.5),
    _g("waltz", 90),
    _g("waltz", 150, first_beat_seconds=0.35),
    _g("house", 121, cut_seconds=3.3),
    _g("rock", 108, cut_seconds=2.2),
    _g("hip-hop", 88, cut_seconds=5.9),
    _g("drum and bass", 168, cut_seconds=1.3),
)


def grooves(seed: int) -> tuple[Groove, ...]:
    """All kinds; with seed 0 at round tempos, else up to 4 % off them and with other drums."""
    random = np.random.default_rng(1000 + seed)
    found = []
    for number, groove in enumerate(_PLAIN):
        bpm, first = groove.bpm, groove.first_beat_seconds
        if seed:
            bpm = round(bpm * float(random.uniform(0.96, 1.04)), 2)
            first = round(float(random.uniform(0, 1.5)), 3)
        found.append(replace(groove, bpm=bpm, first_beat_seconds=first, seed=100 * seed + number))
    return tuple(found)


def render(groove: Groove) -> Sound:
    """The samples of a groove, in -1..1: [N] at 24 kHz."""
    random = np.random.default_rng(groove.seed)
    kit = _kit(random)
    sound = np.zeros(int(groove.seconds * RATE) + 4 * RATE)
    pattern = PATTERNS[groove.kind]
    roots = random.choice([45.0, 49.0, 52.0, 55.0, 58.3, 61.7], 4)
    steps = len(next(iter(pattern.values())))
    per_beat = steps // groove.beats_a_bar
    bar = 0
    while True:
        start = bar * groove.beats_a_bar
        if _seconds(groove, start) >= groove.seconds:
            break
        for voice, line in pattern.items():
            for step, mark in enumerate(line):
                if mark == ".":
                    continue
                late = groove.swing if step % 2 and per_beat == 4 else 0.0
                seconds = _seconds(groove, start + (step + late) / per_beat)
                seconds += float(random.normal(0, groove.jitter_seconds))
                level = float(random.uniform(0.75, 1.0)) * (1.0 if step % per_beat == 0 else 0.8)
                level *= 0.35 if mark == "-" else 1.0
                _add(sound, seconds, level * _voice(voice, kit, roots[bar % 4], groove, random))
        bar += 1
    sound = sound[round(groove.cut_seconds * RATE) : int(groove.seconds * RATE)]
    sound *= 0.7 / np.abs(sound).max()
    if groove.noise:
        sound += groove.noise * random.uniform(-1, 1, len(sound))
    if groove.fade_in_seconds:
        sound *= np.minimum(1, np.arange(len(sound)) / (groove.fade_in_seconds * RATE))
    return sound


def beats_of(groove: Groove) -> Sound:
    """When each of its beats sounds, in seconds of its samples; the first begins a bar."""
    every = np.arange(int(2 * groove.seconds * groove.bpm / 60))
    seconds = np.array([_seconds(groove, beat) for beat in every]) - groove.cut_seconds
    return seconds[seconds < groove.seconds - groove.cut_seconds]


def _seconds(groove: Groove, beat: float) -> float:
    plain = beat * groove.beat_seconds
    # A tempo that grows evenly with the beats.
    return groove.first_beat_seconds + plain * (1 - groove.drift * plain / (2 * groove.seconds))


def _kit(random: np.random.Generator) -> dict[str, Sound]:
    """Drums of one kit."""
    times = np.arange(RATE) / RATE
    low, fall = random.uniform(42, 58), random.uniform(20, 40)
    hertz = low + random.uniform(80, 140) * np.exp(-times * fall)
    kick = np.sin(2 * np.pi * np.cumsum(hertz) / RATE) * np.exp(-times * random.uniform(7, 12))
    noise = random.standard_normal(RATE)
    tone = np.sin(2 * np.pi * random.uniform(170, 230) * times) * np.exp(-times * 22)
    snare = 0.5 * noise * np.exp(-times * random.uniform(14, 24)) + 0.5 * tone
    bright = np.diff(random.standard_normal(RATE + 1))
    hat = 0.22 * bright * np.exp(-times * random.uniform(50, 80))
    wide = 0.2 * bright * np.exp(-times * random.uniform(10, 16))
    rim = np.sin(2 * np.pi * random.uniform(700, 1100) * times) * np.exp(-times * 60)
    return {"k": kick, "s": 0.8 * snare, "h": hat, "o": wide, "r": 0.4 * rim}


def _voice(
    voice: str, kit: dict[str, Sound], root: float, groove: Groove, random: np.random.Generator
) -> Sound:
    if voice in kit:
        return kit[voice]
    if voice == "b":
        times = np.arange(int(0.4 * RATE)) / RATE
        saw = sum(np.sin(2 * np.pi * root * n * times) / n for n in (1, 2, 3, 4))
        return 0.4 * saw * np.exp(-times * 5) * np.minimum(1, times / 0.005)
    chord = root * np.array([4.0, 5.0, 6.0, 8.0])
    if voice == "e":
        times = np.arange(int(0.8 * RATE)) / RATE
        hertz = float(random.choice(chord))
        tones = sum(np.sin(2 * np.pi * hertz * n * times) / n for n in (1, 2, 3))
        return 0.5 * tones * np.exp(-times * 4) * np.minimum(1, times / 0.003)
    is_long = PATTERNS[groove.kind]["c"].count("x") < 3
    times = np.arange(int((groove.beat_seconds * 4 if is_long else 0.25) * RATE)) / RATE
    slow = 0.25 * groove.beat_seconds if is_long else 0.004
    shape = np.minimum(1, times / slow) * np.minimum(1, (times[-1] - times) / 0.05)
    return 0.09 * shape * sum(np.sin(2 * np.pi * hertz * times) for hertz in chord)


def _add(sound: Sound, seconds: float, part: Sound) -> None:
    start = round(seconds * RATE)
    if start < 0:
        part, start = part[-start:], 0
    part = part[: max(0, len(sound) - start)]
    sound[start : start + len(part)] += part
