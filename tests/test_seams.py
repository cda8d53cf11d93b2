from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from animix.errors import TimelineError
from animix.timeline.curves import resolve
from animix.timeline.keyframes import Clip, Ease, Keyframe, Time, Track
from animix.timeline.reader import read_timeline
from animix.timeline.seam import seam
from animix.timeline.seams import open_seams
from tests.test_curves import MARK, swap_track
from tests.test_reader import mistakes_of


@pytest.mark.parametrize(
    ("keys", "met"),
    [
        ("{0s: 4, 5s..end every 1s: 64 -> 64}", False),
        ("{0s..end every 6s: 4 -> 64}", False),
        ("{0s..end every 1s: 64 -> 16}", True),
        ("{0s..end every 1s: 64 -> 16, end: 64}", True),
        ("{0s..3s every 1s: 64 -> 16, 5s..end every 1s: 64 -> 8}", False),
        ("{0s: 4 hold, 2s: 16 hold, 4s: 8 hold}", True),
        ("{0s: 4 hold, 2s: 8 hold, 4s: 16 hold}", False),
        ("{0s: 4 hold, 2s: 8 hold, 4s: 16 hold, end: 4}", False),
        ("{0s: 4, 3s: 4 hold}", True),
        ("{2s: 4 hold, end: 64}", False),
        ("{2s: 4, 4s: 64 hold}", True),
        ("{0s: 4, 3s: 64 steps 4}", True),
        ("{0s: 4, 3s: 64 steps 1}", False),
        ("{0s: 4 steps 2, 3s: 64 steps 2}", True),
    ],
)
def test_a_jump_over_the_seam_is_no_larger_than_those_inside(keys, met):
    track, timeline = swap_track(keys)
    clip = Clip(60_000, Fraction(10_000), Fraction(6), loop=True)
    assert (seam(track, timeline.clip(True)) is None) == met
    steps = np.abs(
        np.diff(resolve(track, clip).sample_natural(np.arange(60_001) % 60_000, clip.fps))
    )
    assert (steps[-1] <= steps[:-1].max() + 1e-2) == met


eases = st.sampled_from([None, Ease("linear"), Ease("hold"), Ease("steps", (3.0,)), Ease("hold")])


@settings(deadline=None, max_examples=150)
@given(st.lists(st.tuples(st.integers(0, 10), st.integers(0, 5), eases), min_size=1, max_size=6))
def test_what_meets_itself_makes_its_largest_step_inside_the_clip(keys):
    keys = tuple(
        Keyframe(Time(Fraction(second)), float(value), ease, MARK)
        for second, value, ease in {key[0]: key for key in keys}.values()
    )
    track = Track("alpha", keys, "linear", None, None, MARK)
    clip = Clip(10_000, Fraction(1000), Fraction(10), loop=True)
    steps = np.abs(np.diff(resolve(track, clip).sample(np.arange(10_001) % 10_000, clip.fps)))
    if seam(track, clip) is None:
        assert steps[-1] <= steps[:-1].max() + 0.02


@pytest.mark.parametrize(
    ("keys", "met"),
    [
        ("{0s: 1, 3s: 5 hold}", False),
        ("{0s: 1 hold, 3s: 2 hold, 4s: 9 hold}", True),
        ("{0s: 1, 2s: 9 hold, 3s: 1 hold}", True),
        ("{0s..end every 1s: 0 -> 2}", True),
        ("{0s..end every 6s: 0 -> 2}", False),
    ],
)
def test_classes_switch_at_the_seam_only_if_they_switch_inside(keys, met):
    text = f"{{networks: {{a: a.pkl}}, duration: 6s, label: {keys}}}"
    timeline = read_timeline(text, "reel.yaml")
    assert (seam(timeline.label, timeline.clip(True)) is None) == met


SEAMS = """\
networks: {one: one.pkl, two: two.pkl}
duration: 4s
loop: true
titel: x
blend: {swap: {0s: none, end: all}, alpha: {0s: 0, 3s: 1 hold}, width: {1s: 1, 1000ms: 2}}
truncation: {50%: .5, 2s: .7}
latents: [3, 17 hold]
noise: {loop: 3s}
frame: {zoom: {0s: 1, end: 2}, rotate: {0s: 1, 2s: 3 hold, 3s: 4 linaer}}
label: {0s: 1, end: 2}
"""


def test_seams_and_keys_that_meet_are_found_with_all_other_mistakes():
    found = {mistake.mark.line: [] for mistake in mistakes_of(SEAMS)}
    for mistake in mistakes_of(SEAMS):
        found[mistake.mark.line].append(mistake.message)
    assert {line: len(messages) for line, messages in found.items()} == {
        4: 1, 5: 2, 6: 1, 7: 1, 8: 1, 9: 2, 10: 1
    }  # fmt: skip
    assert "seam: alpha of two is 1 at the end but 0" in found[5][0]
    assert "two keys of width of two" in found[5][1]
    assert "two keys of truncation at one instant (2s)" in found[6][0]
    assert "seam: the latents are at 17 at the end but at 3" in found[7][0]
    assert "seam: the noise" in found[8][0]
    assert "seam: zoom is 2" in found[9][0]
    assert 'unknown ease "linaer"' in found[9][1]
    assert found[10][0] == "seam: label is 2 at the end but 1 at the start"


@pytest.mark.parametrize(
    ("keys", "loop", "num_mistakes"),
    [
        ("{50%: .5, 2s: .7}", "auto", 0),
        ("{50%: .5, 2s: .7}", "false", 0),
        ("{50%: .5, 2s: .7}", "true", 1),
        ("{50%: .5, end - 50%: .7}", "auto", 1),
        ("{0s..2s every 1s: .5, 1s: .7}", "auto", 1),
        ("{0s: 1, end: .5}", "auto", 0),
        ("{0s: 1, end: .5}", "true", 1),
    ],
)
def test_with_loop_auto_only_what_is_wrong_either_way_is_a_mistake_of_the_file(
    keys, loop, num_mistakes
):
    text = f"networks: {{a: a.pkl}}\nduration: 4s\nloop: {loop}\ntruncation: {keys}\n"
    if num_mistakes:
        assert len(mistakes_of(text)) == num_mistakes
    else:
        read_timeline(text, "reel.yaml")


@pytest.mark.parametrize(
    ("latents", "met"),
    [
        ("[3, 17, 42]", True),
        ("[3, 17 hold]", False),
        ("[3, 17 hold, 3]", True),
        ("{seeds: [3, 17, 42], ease: hold}", True),
        ("{seeds: [3, 17], every: 1.5s}", True),
        ("{0s: 3, end: 17}", False),
        ("{0s: 3, 2s: 17, end: 3}", True),
        ("{0s: 3, 2s: 17 hold}", False),
        ("{0s: me.npz, 2s: 17 hold, 3s: me.npz hold}", True),
        ("{0s..end every 1s: 3 -> 17}", True),
        ("{0s..end every 6s: 3 -> 17}", False),
    ],
)
def test_latents_meet_themselves_as_places_not_as_keys(latents, met):
    text = f"networks: {{a: a.pkl}}\nduration: 6s\nlatents: {latents}\n"
    timeline = read_timeline(text, "reel.yaml")
    assert bool(open_seams(timeline, timeline.clip(True))) != met


def test_a_word_is_left_until_the_networks_are_known():
    text = "networks: {a: a.pkl, top: b.pkl}\nduration: 6s\nloop: true\n"
    timeline = read_timeline(text + "blend: {swap: {0s: none, end: all}}\n", "reel.yaml")
    assert open_seams(timeline, timeline.clip(True)) == []


@pytest.mark.parametrize(
    ("tracks", "words"),
    [
        ("blend: {swap: =u}", None),
        ("frame: {zoom: =-1 - u}", None),
        ("blend: {swap: {0s: =0*t, 3s: 32, end: 8}}", "swap of top is 8 at the end but 4 at"),
        ("blend: {swap: =16 - 30*u}", "swap of top is 4 at the end but 16 at"),
        (
            "blend: {swap: {start: =key * 2^(0.5*sine(1s)), 0s: =t, 50%: 32, end: 8}}",
            "swap of top is 8 at the end but 4 at",
        ),
        ("frame: {zoom: {0s: =t, 3s: 2, end: 1}}", "zoom is 1 at the end but 0.001 at"),
    ],
)
@pytest.mark.parametrize("loop", ["auto", "true"])
def test_what_is_computed_beyond_its_range_is_clamped_at_the_seam_too(tracks, words, loop):
    """Octaves of nothing and of less are no numbers."""
    text = f"networks: {{a: a.pkl, top: b.pkl}}\nduration: 6s\nloop: {loop}\n{tracks}\n"
    with np.errstate(all="raise"):
        try:
            timeline = read_timeline(text, "reel.yaml")
        except TimelineError as error:
            assert words
            found = error.mistakes
        else:
            found = open_seams(timeline, timeline.clip(True))
    assert len(found) == (words is not None)
    assert all(words in mistake.message for mistake in found)
