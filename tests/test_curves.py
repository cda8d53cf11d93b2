from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from animix.errors import Mark, TimelineError
from animix.timeline.curves import resolve
from animix.timeline.keyframes import Clip, Keyframe, Repeat, Time, Track
from animix.timeline.reader import read_timeline
from animix.timeline.seam import seam

MARK = Mark("reel.yaml", 1, 1)
WORDS = {"all": 4.0, "none": 256.0}


def numbers(track):
    """The track with its words read as numbers."""
    return track.with_values(lambda value: WORDS.get(value, value))


def swap_track(keys):
    """The swap of a timeline of 6 seconds at 30 fps, written as in a file."""
    text = f"{{networks: {{a: a.pkl, top: b.pkl}}, duration: 6s, blend: {{swap: {keys}}}}}"
    timeline = read_timeline(text, "reel.yaml")
    return timeline.blend[1].swap, timeline


def sampled(keys, loop=True):
    track, timeline = swap_track(keys)
    clip = timeline.clip(loop)
    return resolve(numbers(track), clip).sample(np.arange(clip.num_frames), clip.fps)


def alpha_track(pairs, repeats=()):
    keys = tuple(Keyframe(Time(Fraction(t)), float(v), None, MARK) for t, v in pairs)
    return Track("alpha", keys, "linear", None, None, MARK, tuple(repeats))


@pytest.mark.parametrize("value", ["16", "48", "4", "700.123", "all", "none"])
@pytest.mark.parametrize("loop", [True, False])
def test_a_constant_comes_back_exactly(value, loop):
    expected = WORDS.get(value) or float(value)
    assert set(sampled(value, loop).tolist()) == {expected}
    assert set(sampled(f"{{0s: {value}, 2s: {value}, end: {value}}}", loop).tolist()) == {expected}


@pytest.mark.parametrize("loop", [True, False])
def test_a_key_gives_its_value_at_its_frame_exactly(loop):
    values = sampled("{0s: 17, 1s: 33.3 ease-in, 2s: 5 hold, 3s: 99 back-out, 4s: 17}", loop)
    assert values[[0, 30, 60, 90, 120]].tolist() == [17, 33.3, 5, 99, 17]
    assert set(values[60:90].tolist()) == {5}


def test_natural_values_of_powers_of_two_are_exact():
    track, timeline = swap_track("{0s: 16, 3s: 64, end: 16}")
    natural = resolve(track, timeline.clip(True)).sample_natural([0, 90], timeline.fps)
    assert natural.tolist() == [4.0, 6.0]


def test_swap_moves_in_octaves():
    values = sampled("{0s: 4 linear, 2s: 64 linear, 4s: 4}")
    np.testing.assert_allclose(values[:61:15], [4, 8, 16, 32, 64])


def test_zoom_moves_in_its_logarithm():
    text = "{networks: {a: a.pkl}, duration: 4s, frame: {zoom: {0s: 1 linear, 2s: 9, end: 1}}}"
    timeline = read_timeline(text, "reel.yaml")
    curve = resolve(timeline.frame.zoom, timeline.clip(True))
    assert curve.sample([30], timeline.fps)[0] == pytest.approx(3)


@pytest.mark.parametrize(
    "fps", [Fraction(30), Fraction(30000, 1001), Fraction(24000, 1001), Fraction(2997, 100)]
)
def test_hold_switches_on_the_first_frame_at_or_after_its_key(fps):
    for frame in [*range(1, 40), 12345, 999_983]:
        keys = (
            Keyframe(Time(Fraction(0)), 1.0, None, MARK),
            Keyframe(Time(frame / fps), 2.0, None, MARK),
            Keyframe(Time((frame + Fraction(1, 1000)) / fps), 3.0, None, MARK),
        )
        track = Track("alpha", keys, "linear", None, None, MARK)
        clip = Clip(10**6, fps, 10**6 / fps, loop=False)
        values = resolve(track, clip).sample([frame, frame + 1], fps)
        assert values.tolist() == [2.0, 3.0]


def test_another_frame_rate_samples_the_same_curve():
    track, timeline = swap_track("{0s: 4, 2s: 64 expo-out, 4s: 16}")
    curve = resolve(track, timeline.clip(True))
    assert curve.sample([7], Fraction(30)) == curve.sample([14], Fraction(60))
    instant = Fraction(7, 30)
    assert curve.sample([instant.numerator], Fraction(instant.denominator)) == curve.sample(
        [7], Fraction(30)
    )


def test_chunks_are_slices_of_the_whole():
    track, timeline = swap_track(
        "{0s: 4, 1.37s: 64 expo-out, 4s: 16 spring, 5s..end every 0.3s: 8 -> 4}"
    )
    clip = timeline.clip(True)
    curve = resolve(track, clip)
    whole = curve.sample(np.arange(180), clip.fps)
    chunks = [curve.sample(np.arange(n, n + 12), clip.fps) for n in range(0, 180, 12)]
    assert np.array_equal(whole, np.concatenate(chunks))


key_lists = st.lists(
    st.tuples(st.integers(0, 99), st.floats(-50, 50)),
    min_size=1,
    max_size=8,
    unique_by=lambda k: k[0],
)


@settings(deadline=None, max_examples=150)
@given(key_lists, st.booleans())
def test_the_default_curve_never_overshoots_its_keys(pairs, loop):
    clip = Clip(1000, Fraction(10), Fraction(100), loop)
    curve = resolve(alpha_track(pairs), clip)
    values = curve.sample(np.arange(1000), clip.fps)
    keys = sorted(pairs)
    if loop:
        keys = [(keys[-1][0] - 100, keys[-1][1]), *keys, (keys[0][0] + 100, keys[0][1])]
    for (t0, v0), (t1, v1) in pairwise(keys):
        between = values[max(0, 10 * t0) : max(0, 10 * t1)]
        if len(between):
            assert between.min() >= min(v0, v1) - 1e-9
            assert between.max() <= max(v0, v1) + 1e-9
            assert np.all(np.diff(between) * np.sign(v1 - v0) >= -1e-9)


@settings(deadline=None, max_examples=100)
@given(key_lists)
def test_the_default_curve_is_smooth_also_through_the_seam(pairs):
    clip = Clip(100_000, Fraction(1000), Fraction(100), loop=True)
    curve = resolve(alpha_track(pairs), clip)
    values = curve.sample(np.arange(100_000), clip.fps)
    slopes = np.diff(np.append(values, values[0]))
    bends = np.diff(np.append(slopes, slopes[0]))
    # A corner would bend by as much as the slope itself; a cubic bends by its second derivative.
    assert np.abs(bends).max() <= 100 * 12 / 1000**2 + 1e-9


def test_keys_are_sorted_by_time_whatever_their_order():
    assert np.array_equal(
        sampled("{end - 1s: 64, 0s: 4, 50%: 16}"), sampled("{0s: 4, 3s: 16, 5s: 64}")
    )


def test_without_a_loop_the_ends_hold_and_end_is_the_last_frame():
    values = sampled("{1s: 4, end: 64}", loop=False)
    assert set(values[:31].tolist()) == {4}
    assert values[-1] == 64
    held = sampled("{0s: 4, 2s: 64}", loop=False)
    assert set(held[60:].tolist()) == {64}


def test_in_a_loop_the_way_leads_through_the_seam_to_the_first_key():
    values = sampled("{1s: 4 linear, 5s: 64 linear}")
    np.testing.assert_allclose(values[[0, 30, 150, 165]], [16, 4, 64, 32])


def test_a_key_at_the_end_of_a_loop_is_a_key_at_0():
    assert np.array_equal(sampled("{2s: 4, end: 64}"), sampled("{2s: 4, 0s: 64}"))
    assert sampled("{end: 64}").tolist() == [64] * 180


def test_the_default_curve_is_flat_beside_another_ease():
    values = sampled("{0s: 4 linear, 2s: 16, 4s: 64, end: 64}", loop=False)
    assert values[61] / 16 < 1.005  # flat where linear ends
    through = sampled("{0s: 4, 2s: 16, 4s: 64, end: 64}", loop=False)
    assert through[61] / 16 > 1.01


def test_what_overshoots_is_clamped_for_swap_and_not_for_alpha():
    assert sampled("{0s: 64 back-in, 3s: 4 back-out, end: 64}").min() == 4
    text = (
        "{networks: {a: a.pkl, top: b.pkl}, duration: 4s, blend: {alpha: {0s: 0 back-in, 2s: 1}}}"
    )
    timeline = read_timeline(text, "reel.yaml")
    curve = resolve(timeline.blend[1].alpha.bands[0].track, timeline.clip(True))
    assert curve.sample(np.arange(120), timeline.fps).min() < -0.05


def test_natural_values_are_clamped_too():
    track, timeline = swap_track("{0s: 64 back-in, 3s: 4 back-out, end: 64}")
    curve = resolve(track, timeline.clip(True))
    assert curve.sample_natural(np.arange(180), timeline.fps).min() == 2


def test_each_repetition_starts_at_a_and_reaches_b_just_before_the_next():
    values = sampled("{1s..3s every 1s: 64 -> 16 linear, 5s: 4}", loop=False)
    assert values[[30, 60]].tolist() == [64, 64]
    np.testing.assert_allclose(np.log2(values[[59, 89]]), 4 + 2 / 30)
    assert values[90] == 16
    assert values[150] == 4
    assert np.all(np.diff(values[90:151]) <= 0)


def test_without_an_arrow_the_ease_leads_to_the_next_repetition_and_the_range_is_half_open():
    values = sampled("{0s..2s every 1s: 64 hold, 2s: 4 hold}", loop=False)
    assert set(values[:60].tolist()) == {64}
    assert set(values[60:].tolist()) == {4}


def test_a_last_repetition_that_is_cut_short_reaches_b_where_the_range_stops():
    values = sampled("{0s..2.5s every 1s: 64 -> 16 linear}", loop=False)
    assert values[60] == 64
    np.testing.assert_allclose(np.log2(values[74]), 4 + 2 / 15)
    assert values[75] == 16


def test_a_key_where_the_range_stops_is_reached_with_b():
    values = sampled("{0s..2s every 1s: 64 -> 16 linear, 2s: 128}", loop=False)
    assert values[60] == 128
    np.testing.assert_allclose(np.log2(values[59]), 4 + 2 / 30)


def test_one_range_may_begin_where_another_stops():
    values = sampled(
        "{0s..2s every 1s: 64 -> 16 linear, 2s..4s every 1s: 128 -> 4 linear}", loop=False
    )
    assert values[[60, 90, 120]].tolist() == [128, 128, 4]
    np.testing.assert_allclose(np.log2(values[59]), 4 + 2 / 30)


def test_repetitions_up_to_the_end_of_a_loop_jump_at_the_seam_and_are_no_mistake():
    track, timeline = swap_track("{0s..end every 1s: 64 -> 16 linear}")
    clip = timeline.clip(True)
    assert seam(track, clip) is None
    values = resolve(track, clip).sample(np.arange(180), clip.fps)
    assert values[0] == 64
    np.testing.assert_allclose(np.log2(values[179]), 4 + 2 / 30)


def test_repetitions_depend_on_where_the_clip_ends():
    keys = "{0s..end every 1f: 64 -> 16}"
    assert set(sampled(keys, loop=True).tolist()) == {64}
    assert sampled(keys, loop=False)[-1] == 16  # the last frame is the end, and not another start


@pytest.mark.parametrize(
    ("keys", "met"),
    [
        ("16", True),
        ("{0s: 16, end: 16}", True),
        ("{0s: all, end: all}", True),
        ("{0s: 16, 100%: 17}", False),
        ("{start: none, 2s: 4, end: 128}", False),
        ("{0s: 16, 6s: 17}", False),
        ("{1s: 16, end: 64}", True),
        ("{end: 64}", True),
        ("{0s: 4, 3s: 64 hold}", False),
        ("{0s: 4, 3s..end every 1s: 64 -> 16}", True),
        ("{0s: 4, 3s..end every 1s: 64 -> 16, end: 16}", False),
    ],
)
def test_the_seam_is_found_where_a_track_does_not_meet_itself(keys, met):
    track, timeline = swap_track(keys)
    assert (seam(numbers(track), timeline.clip(True)) is None) == met


def test_a_seam_is_worded_with_its_jump():
    track, timeline = swap_track("{0s: 128, 2s: 4, end: none}")
    found = seam(numbers(track), timeline.clip(False))
    assert (found.end, found.start) == (256, 128)
    assert str(found.mistake.message) == (
        "seam: swap of top is 256 at the end but 128 at the start (a jump of one octave)"
    )
    assert found.mistake.mark.column == track.keys[-1].mark.column
    assert found.mistake.hint == "make the two equal, or set loop: false"


@pytest.mark.parametrize("duration", [Fraction("10.01"), Fraction("10.02")])
def test_keys_between_the_last_frame_and_the_duration_lie_at_the_seam(duration):
    """10.01 s at 30 fps are 300.3 frames, 10.02 s are 300.6: 300 and 301 frames."""
    clip = Clip(300 if duration < Fraction("10.015") else 301, Fraction(30), duration, loop=True)
    track = alpha_track([(0, 1), (5, 2), (duration, 1)])
    assert seam(track, clip) is None
    assert len(resolve(track, clip).times) == 2
    assert seam(alpha_track([(0, 1), (duration, 3)]), clip) is not None


@pytest.mark.parametrize(
    ("keys", "loop"),
    [
        ("{3s: 4, 50%: 8}", True),
        ("{1s: 4, 1000ms: 8}", True),
        ("{end: 4, 6s: 8}", True),
        ("{0s..2s every 1s: 4, 1s: 8}", False),
        ("{5s: 4, end - 30f: 8}", True),
    ],
)
def test_two_keys_at_one_instant_are_a_mistake(keys, loop):
    with pytest.raises(TimelineError, match="two keys"):
        sampled(keys, loop)


def test_the_last_frame_and_the_duration_are_two_instants_without_a_loop():
    assert sampled("{end: 4, 6s: 8}", loop=False)[-1] == 4


def test_a_key_that_the_end_puts_before_the_start_is_a_mistake():
    with pytest.raises(TimelineError, match="before the start"):
        sampled("{end - 6s: 4, 3s: 8}", loop=False)
    assert sampled("{end - 6s: 4, 3s: 8}", loop=True)[0] == 4


def test_a_range_without_a_frame_in_it_is_a_mistake():
    run = Repeat(
        Time(Fraction(5)), Time(Fraction(0), Fraction(1)), Fraction(1), 1.0, None, None, MARK
    )
    clip = Clip(2, Fraction(1), Fraction(2), loop=False)
    with pytest.raises(TimelineError, match="no key inside the clip"):
        resolve(alpha_track([], [run]), clip)


def test_progress_is_for_values_that_are_no_numbers():
    text = """{networks: {a: a.pkl}, duration: 6s,
               latents: {1s: 3, 2s: 17 hold, 3s: me.npz smooth, 5s: 3 quad-in}}"""
    timeline = read_timeline(text, "reel.yaml")
    curve = resolve(timeline.latents[0].path.track, timeline.clip(True))
    before, after, share = curve.progress([0, 15, 30, 45, 89, 105, 150, 165], timeline.fps)
    assert before.tolist() == [3, 3, 0, 0, 1, 2, 3, 3]
    assert after.tolist() == [0, 0, 1, 1, 2, 3, 0, 0]
    np.testing.assert_allclose(share, [0.25, 0.5625, 0, 0.5, 0, 0.15625, 0, 0.0625])
    assert [timeline.latents[0].path.keys[int(v)].source for v in curve.values] == [
        3,
        17,
        "me.npz",
        3,
    ]


def test_progress_stands_still_before_the_first_and_after_the_last_key_without_a_loop():
    curve = resolve(alpha_track([(1, 0), (3, 1)]), Clip(50, Fraction(10), Fraction(5), loop=False))
    before, after, share = curve.progress([0, 9, 10, 20, 30, 49], Fraction(10))
    assert before.tolist() == [0, 0, 0, 0, 1, 1]
    assert after.tolist() == [0, 0, 1, 1, 1, 1]
    assert share.tolist() == [0, 0, 0, 0.5, 0, 0]
