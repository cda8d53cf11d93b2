"""Expressions: what they compute, when they loop, and that nothing else is ever reached."""

import time
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from animix.errors import TimelineError
from animix.sound.envelopes import ENVELOPES, Envelopes
from animix.timeline.clock import Clock
from animix.timeline.curves import resolve
from animix.timeline.expression import Moments
from animix.timeline.functions import FUNCTIONS, OPERATORS, OSCILLATORS
from animix.timeline.grammar import NAMES, constant_of, parse_expression
from animix.timeline.misread import Misread
from animix.timeline.reader import read_timeline

FPS = Fraction(30)
CLOCK = Clock(FPS)
HEAD = "networks: {faces: a.pkl, anime: b.pkl}\nduration: 6s\nlatents: [3, 17]\n"


SOUND = Envelopes(np.array([0.0, 6.0]), {name: np.array([0.0, 1.0]) for name in ENVELOPES})


def moments(loop=True, fps=FPS, seconds=6):
    return Moments(np.arange(int(seconds * fps)), fps, FPS, Fraction(seconds), loop, SOUND)


def values(text, **how):
    expression, end = parse_expression(text, CLOCK)
    assert end == len(text)
    return expression.apply(moments(**how))


def alpha(lines, loop=True, fps=FPS):
    timeline = read_timeline(HEAD + lines, "reel.yaml")
    track = timeline.blend[1].alpha.bands[0].track
    return resolve(track, timeline.clip(loop)).sample(range(int(6 * fps)), fps)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("=1 + 2*3", 7),
        ("=(1 + 2)*3", 9),
        ("=-2^2", -4),
        ("=2^3^2", 512),
        ("=2^-1", 0.5),
        ("=7 % 3", 1),
        ("=-1 % 3", 2),
        ("=8/2/2", 2),
        ("=5 - 3 - 1", 1),
        ("=1 < 2", 1),
        ("=1 + 1 >= 3", 0),
        ("=2 == 2", 1),
        ("=2 != 2", 0),
        ("=if(1 > 2, 3, 4)", 4),
        ("=if(1, 3, 1/0)", 3),
        ("=min(3, 1, 2) + max(4, 5)", 6),
        ("=clamp(7, 0, 1)", 1),
        ("=mix(2, 4, 0.25)", 2.5),
        ("=abs(-3) + floor(1.9) + round(2.5)", 7),
        ("=sqrt(16) + exp(0) + log(1)", 5),
        ("=sin(0) + cos(0)", 1),
        ("=1500ms + 15f", 2),
        ("=1:30", 90),
        ("=1e3", 1000),
        ("=+1", 1),
    ],
)
def test_arithmetic_is_that_of_school(text, number):
    expression, _ = parse_expression(text, CLOCK)
    assert expression.is_constant
    assert constant_of(expression) == number


def test_names_are_the_time_in_seconds_shares_and_frames():
    assert values("=t").tolist() == pytest.approx((np.arange(180) / 30).tolist())
    assert values("=u").tolist() == pytest.approx((np.arange(180) / 180).tolist())
    assert values("=n", fps=Fraction(60)).tolist() == pytest.approx((np.arange(360) / 2).tolist())


@pytest.mark.parametrize("name", OSCILLATORS)
def test_an_oscillator_is_0_at_0_and_swings_between_its_bounds_each_period(name):
    found = values(f"={name}(2s)")
    assert found[0] == 0
    assert (found.min(), found.max()) == pytest.approx((-1, 1), abs=0.04)
    np.testing.assert_allclose(found[:60], found[60:120], atol=1e-12)


def test_waves_switch_on_their_frame_where_floats_would_be_beside_it():
    found = values("=square(300ms)")
    switches = np.flatnonzero(found == 0)
    np.testing.assert_array_equal(switches, np.arange(0, 180, 9)[: len(switches)])


def test_noise_is_the_same_for_a_seed_at_any_rate_and_closes_in_a_loop():
    slow, fast = values("=noise(1s, 7)"), values("=noise(1s, 7)", fps=Fraction(60))
    np.testing.assert_allclose(slow, fast[::2], atol=1e-12)
    assert np.abs(slow - values("=noise(1s, 8)")).max() > 0.1
    assert np.abs(slow).max() <= 1
    assert abs(slow[-1] - slow[0]) < 0.01
    open_ended = values("=noise(1s, 7)", loop=False, seconds=12)
    assert np.abs(open_ended[:180] - open_ended[180:]).max() > 0.1


def test_a_key_that_is_computed_is_blended_like_one_that_is_not():
    plain, computed = (
        alpha(f"blend: {{alpha: {{0s: 0, 2s: {text}, end: 0}}}}\n") for text in ("0.5", "=1/2")
    )
    np.testing.assert_array_equal(plain, computed)
    moving = alpha("blend: {alpha: {0s: 0 linear, 2s: =1 + sine(2s) hold, 4s: 0, end: 0}}\n")
    wave = 1 + values("=sine(2s)")
    np.testing.assert_allclose(moving[:60], np.arange(60) / 60 * wave[:60], atol=1e-12)
    np.testing.assert_allclose(moving[60:120], wave[60:120], atol=1e-12)


def test_what_rides_on_keys_adds_to_them_until_it_ends():
    keys = alpha("blend: {alpha: {0s: 0, 3s: 1, end: 0}}\n")
    text = "blend: {alpha: {0s: 0, 1s: =key + 0.1*sine(1s), 3s: 1, 4s: =key, end: 0}}\n"
    ridden, wave = alpha(text), 0.1 * values("=sine(1s)")
    wave[:30] = wave[120:] = 0
    np.testing.assert_allclose(ridden, keys + wave, atol=1e-12)


def test_what_rides_may_begin_where_a_key_stands():
    both = alpha("blend: {alpha: {start: =2*key, 0s: 0.5, 3s: 1, end: 0.5}}\n")
    np.testing.assert_allclose(both, 2 * alpha("blend: {alpha: {0s: 0.5, 3s: 1, end: 0.5}}\n"))


def test_a_value_out_of_range_is_clamped_as_an_ease_that_overshoots_is():
    timeline = read_timeline(HEAD + "frame: {zoom: =-1 + t}\n", "reel.yaml")
    found = resolve(timeline.frame.zoom, timeline.clip(False)).sample([0, 90], FPS)
    np.testing.assert_allclose(found, [0.001, 2])


@pytest.mark.parametrize(
    ("text", "column", "message", "hint"),
    [
        ("=1 + sine(4s)", 21, "sine returns every 4 s, which does not divide", "3s or 6s;"),
        ("=noise(5s)", 17, "noise returns every 5 s", "3s or 6s;"),
        ("=tri(9s)", 17, "tri returns every 9 s", "that do: 6s;"),
        ("=t", 17, "alpha of anime is 6 at the end but 0 at the start", ""),
        ("{0s: =t, 3s: 0}", 22, "alpha of anime is 6 at the end", ""),
        ("{start: =key + u, 0s: 1, 3s: 0}", 25, "alpha of anime is 2 at the end", ""),
    ],
)
def test_in_a_loop_what_does_not_come_round_is_a_mistake(text, column, message, hint):
    with pytest.raises(TimelineError) as caught:
        alpha(f"blend: {{alpha: {text}}}\nloop: true\n")
    assert caught.value.mistakes[0].mark.column == column
    assert message in caught.value.mistakes[0].message
    assert hint in caught.value.mistakes[0].hint


@pytest.mark.parametrize("text", ["=sine(1.5s)", "=t % 2s", "=cos(2*3.14159265358979*u)", "=n*0"])
def test_in_a_loop_what_comes_round_is_none(text):
    alpha(f"blend: {{alpha: {text}}}\nloop: true\n")


@pytest.mark.parametrize(
    ("text", "column", "message"),
    [
        ("=2 + 1/(t - 1s)", 21, "a division by zero at 1 s"),
        ("=t % (n*0)", 17, "a division by zero at 0 s"),
        ("=sqrt(1s - t)", 17, "a root of a negative number at 1.03333 s"),
        ("=log(t)", 17, "a logarithm of what is not above 0 at 0 s"),
        ("=exp(1000*t)", 17, "this is too large"),
        ("=t^0.5 + (-t - 1)^0.5", 26, "this is not a number at 0 s"),
    ],
)
def test_a_value_that_is_none_is_a_mistake_with_its_moment(text, column, message):
    with pytest.raises(TimelineError) as caught:
        alpha(f"blend: {{alpha: {text}}}\nloop: false\n", loop=False)
    (mistake,) = caught.value.mistakes
    assert mistake.mark.column == column
    assert message in mistake.message


HOSTILE = [
    "=__import__(1)",
    "=().__class__",
    "=t.__class__.__mro__",
    "=open(1)",
    "=9^9^9^9^9",
    "=99999999999^99999999999",
    "=" + "(" * 400,
    "=" + "-" * 900 + "1",
    "=" + "2^" * 400 + "2",
    "=" + "abs(" * 200,
    "=" + "1+" * 450 + "1",
    "=" + "9" * 900,
    "=" + "a" * 900,
    "=" + "1" * 1_000_000,
    "=1e999",
    "=nan",
    "=inf",
    "='a'*9",
    "=[1][0]",
    "=lambda: 1",
    "=t if t else t",
    "=1;2",
    "=t:=1",
    "=sine(0.0000000001ms)",
    "=noise(1s, 1e308)",
    "=noise(1s, -1)",
    "=min()",
    "=min(" + ",".join("1" * 30) + ")",
]


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: text[:20])
def test_a_hostile_expression_is_refused_in_milliseconds(text):
    with pytest.raises(TimelineError):  # once before: what is refused first imports nothing more
        read_timeline(HEAD + f"blend:\n  alpha: {text}\n", "reel.yaml")
    start = time.process_time()
    with pytest.raises((Misread, AssertionError)):
        expression, end = parse_expression(text, CLOCK)
        assert end == len(text)
        constant_of(expression)
    assert time.process_time() - start < 0.2


PIECES = st.sampled_from(
    (
        *(*NAMES, *"+-*/%^(),.=<> ", "==", "->", "**", "1", "2s", "0", "9", "1e9", "12f", "1b"),
        *("50%", "__class__", "eval", "import os", "lambda", "[0]", "'a'", "\x00", "é", "key.t"),
        *("$x", "1:30", "(t)"),
    )
)


@settings(max_examples=400, deadline=None)
@given(st.one_of(st.lists(PIECES, max_size=30).map("".join), st.text(max_size=60)))
def test_no_name_outside_the_tables_is_ever_reached(text):
    known = {"number", *NAMES, *OPERATORS, *FUNCTIONS}
    try:
        expression, _ = parse_expression("=" + text, CLOCK)
    except Misread as misread:
        assert 0 <= misread.offset <= len(text) + 1
        return
    assert {part.name for part in expression.term.walk()} <= known
    try:
        found = expression.apply(moments(), key=np.ones(180))
    except TimelineError:
        return
    assert np.isfinite(found).all()


def test_beats_and_bars_inside_an_expression_follow_the_tempo():
    clock = Clock(FPS, bpm=Fraction(120), first_beat_seconds=Fraction(1))
    shown = Moments(np.arange(0, 150, 15), FPS, FPS, Fraction(5), loop=False)

    def computed(text):
        expression, _ = parse_expression(text, clock)
        return expression.apply(shown).tolist()

    assert computed("=beat") == [-2, -1, 0, 1, 2, 3, 4, 5, 6, 7]
    assert computed("=bar * 4") == computed("=beat")
    assert computed("=0 + 1bar") == [2.0] * 10
    assert computed("=sine(4b)") == computed("=sine(2s)")


@pytest.mark.parametrize("text", ["=beat", "=bar", "=sine(1bar)", "=2b"])
def test_beats_without_a_tempo_are_refused(text):
    with pytest.raises(Misread, match="need a bpm"):
        parse_expression(text, CLOCK)
