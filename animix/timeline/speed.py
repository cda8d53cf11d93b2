"""Speed: how far on its way a walk has come, where it goes now faster and now slower."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from animix.errors import Mistake, TimelineError
from animix.timeline.arrays import Floats
from animix.timeline.curves import resolve
from animix.timeline.instants import Instants
from animix.timeline.keyframes import Clip, Track

STEPS_PER_FRAME = 4
"""Of the sum that stands for the integral: the curve is as good as straight in between."""


def travelled(speed: Track, clip: Clip, instants: Instants) -> Floats:
    """The share of the way that lies behind a walk at each instant: [N], 0 … 1.

    It is the integral of the speed up to there, divided by that up to the clip's end, so a walk
    ends where it should whatever its speed; only how speeds compare counts. TimelineError where it
    goes backwards or nowhere.
    """
    count = int(clip.end_seconds * clip.fps) * STEPS_PER_FRAME
    rate = clip.fps * STEPS_PER_FRAME
    speeds = resolve(replace(speed, low=None), clip).sample(np.arange(count + 1), rate)
    expression = next(speed.expressions(), None)
    if expression is not None and (slowest := float(speeds.min())) < 0:
        mark = expression.mark(expression.term)
        seconds = float(int(speeds.argmin()) / rate)
        message = f"speed is {slowest:.3g} at {seconds:.6g} s: a walk goes forward or stands still"
        raise TimelineError([Mistake(mark, message, "write max(0, …)")])
    # What keys do not say an ease may: back and elastic overshoot, as they do on any track.
    speeds = np.maximum(speeds, 0)
    way = np.concatenate([[0.0], np.cumsum((speeds[1:] + speeds[:-1]) / 2)])
    if way[-1] <= 0:
        hint = "write a single seed to stand still"
        raise TimelineError([Mistake(speed.mark, "speed is 0 all the time", hint)])
    places = instants.numbers * float(rate / instants.rate)
    found: Floats = np.interp(places, np.arange(count + 1), way / way[-1])
    return found
