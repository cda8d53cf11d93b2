"""A walk at any speed ends where it should, and only how speeds compare counts."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from animix.errors import TimelineError
from animix.timeline.instants import even
from animix.timeline.reader import read_timeline
from animix.timeline.speed import travelled


def shares(speed, fps=10, loop="true"):
    head = f"networks: {{a: a.pkl}}\nduration: 4s\nfps: {fps}\nloop: {loop}\n"
    text = f"{head}latents: {{seeds: [1, 2], speed: {speed}}}\n"
    timeline = read_timeline(text, "reel.yaml")
    clip = timeline.clip(timeline.loop is True)
    instants = even(int(clip.end_seconds * fps) + 1, Fraction(fps))
    return travelled(timeline.latents[0].path.speed, clip, instants)


keys = st.lists(st.floats(0, 50).map(lambda n: round(n, 3)), min_size=4, max_size=4).filter(any)


@given(keys, st.sampled_from(["", " linear", " hold", " back-in-out", " steps 3"]))
def test_a_walk_goes_forward_from_its_start_to_its_end(values, ease):
    text = ", ".join(f"{n}s: {value}{ease}" for n, value in enumerate(values))
    found = shares(f"{{{text}}}", loop="false")
    assert found[0] == 0 and found[-1] == pytest.approx(1)
    assert (np.diff(found) >= 0).all()


def test_only_how_speeds_compare_counts():
    one, ten = shares("{0s: 1, 2s: 3 hold, 3s: 0}"), shares("{0s: 10, 2s: 30 hold, 3s: 0}")
    assert ten == pytest.approx(one)


def test_the_way_is_the_integral_of_the_speed():
    found = shares("=1 + sine(4s)")
    t = np.arange(41) / 10
    expected = (t + 4 / (2 * np.pi) * (1 - np.cos(2 * np.pi * t / 4))) / 4
    assert found == pytest.approx(expected, abs=1e-3)


def test_a_speed_below_0_is_told_at_its_place():
    with pytest.raises(TimelineError, match="a walk goes forward or stands still"):
        shares("=0.5 - t")
