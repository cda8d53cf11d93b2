import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from animix.timeline.eases import EASES, parse_ease, progress
from animix.timeline.keyframes import Ease
from animix.timeline.misread import Misread

NUMBERS = {"steps": (4.0,), "bezier": (0.2, 0.0, 0.3, 1.0)}
LEAVES_0_TO_1 = ("back", "elastic", "spring")


def bezier_twin(u, x1, y1, x2, y2):
    """Plain bisection on the Bernstein form."""

    def bernstein(p1, p2, s):
        return 3 * p1 * s * (1 - s) ** 2 + 3 * p2 * s * s * (1 - s) + s**3

    low, high = np.zeros_like(u), np.ones_like(u)
    for _ in range(60):
        s = (low + high) / 2
        below = bernstein(x1, x2, s) < u
        low, high = np.where(below, s, low), np.where(below, high, s)
    return bernstein(y1, y2, low)


@pytest.mark.parametrize("name", EASES)
def test_every_ease_starts_at_0_and_ends_at_1_exactly(name):
    ends = progress(Ease(name, NUMBERS.get(name, ())), np.array([0.0, 1.0]))
    assert ends.tolist() == [0.0, 1.0]


@pytest.mark.parametrize("name", [e for e in EASES if not e.startswith((*LEAVES_0_TO_1, "bounce"))])
def test_eases_without_a_swing_never_turn_back(name):
    way = progress(Ease(name, NUMBERS.get(name, ())), np.linspace(0, 1, 5001))
    assert np.diff(way).min() >= -1e-12
    assert way.min() >= 0
    assert way.max() <= 1


@pytest.mark.parametrize("family", LEAVES_0_TO_1)
def test_eases_with_a_swing_leave_0_to_1(family):
    name = family if family == "spring" else f"{family}-out"
    assert 1.005 < progress(Ease(name), np.linspace(0, 1, 5001)).max() < 1.5


@pytest.mark.parametrize(
    "family", sorted({e.removesuffix("-in") for e in EASES if e.endswith("-in") and e != "ease-in"})
)
def test_out_is_in_run_backwards_and_in_out_is_both(family):
    u = np.linspace(0, 1, 101)
    into, out, both = (progress(Ease(f"{family}-{way}"), u) for way in ("in", "out", "in-out"))
    np.testing.assert_allclose(out, 1 - into[::-1], atol=1e-12)
    np.testing.assert_allclose(both[:51], into[::2] / 2, atol=1e-12)
    np.testing.assert_allclose(both[50:], 0.5 + out[::2] / 2, atol=1e-12)


@pytest.mark.parametrize(
    ("text", "u", "expected"),
    [
        ("linear", 0.3, 0.3),
        ("hold", 0.999, 0.0),
        ("smooth", 0.25, 0.15625),
        ("quad-in", 0.5, 0.25),
        ("cubic-in", 0.5, 0.125),
        ("quart-out", 0.5, 0.9375),
        ("quint-in", 0.5, 0.03125),
        ("sine-out", 1 / 3, 0.5),
        ("circ-in", 0.6, 0.2),
        ("expo-in", 0.5, 31 / 1023),
        ("bounce-out", 1 / 2.75, 1.0),
        ("back-in", 0.5, 0.25 * (2.70158 / 2 - 1.70158)),
        ("steps 4", 0.2499, 0.0),
        ("steps 4", 0.25, 0.25),
        ("steps 4", 0.99, 0.75),
        ("ease", 0.5, 0.8024033877399112),
        ("ease-in-out", 0.5, 0.5),
        ("bezier 0 0 1 1", 0.37, 0.37),
        ("spring 0", 0.1, 0.1534),
    ],
)
def test_known_values_on_the_way(text, u, expected):
    assert progress(parse_ease(text), np.array([u]))[0] == pytest.approx(expected, abs=2e-4)


@settings(deadline=None, max_examples=60)
@given(
    st.sampled_from([0.0, 0.2, 0.5, 1.0]) | st.floats(0, 1),
    st.floats(-2, 3),
    st.sampled_from([0.0, 0.2, 0.5, 1.0]) | st.floats(0, 1),
    st.floats(-2, 3),
)
def test_bezier_agrees_with_plain_bisection(x1, y1, x2, y2):
    u = np.linspace(0.001, 0.999, 301)
    # Where the curve stands upright y is only known to the cube root of the rounding of x.
    upright = x1 > 0.95 and x2 < 0.05
    twin = bezier_twin(u, x1, y1, x2, y2)
    found = progress(Ease("bezier", (x1, y1, x2, y2)), u)
    np.testing.assert_allclose(found, twin, atol=1e-4 if upright else 1e-7)


def test_a_spring_without_bounce_never_swings_and_more_bounce_swings_more():
    u = np.linspace(0, 1, 2001)
    peaks = [progress(Ease("spring", (bounce,)), u).max() for bounce in (0.0, 0.25, 0.5, 1.0)]
    assert peaks[0] == 1.0
    assert peaks == sorted(peaks)
    assert peaks[-1] > 1.5


def test_a_million_frames_are_quick_and_vectorised():
    assert progress(parse_ease("bezier 1 0 0 1"), np.linspace(0, 1, 100_001)).shape == (100_001,)


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("ease-inn", 'unknown ease "ease-inn"', 'did you mean "ease-in"?'),
        ("Linear", 'unknown ease "Linear"', 'did you mean "linear"?'),
        ("", 'unknown ease ""', "sine-in-out"),
        ("xyz", 'unknown ease "xyz"', "sine-in-out"),
        ("linear 2", 'linear takes nothing after it, found "2"', ""),
        (
            "bezier(.2, 0, .3, 1)",
            'unknown ease "bezier(.2,"',
            "write it with spaces: bezier .2 0 .3 1",
        ),
        ("cubic-bezier(.2,0,.3,1)", "unknown ease", "bezier .2 0 .3 1"),
        ("steps(4)", "unknown ease", "steps 4"),
        ("bezier 1 2 3", "bezier: takes 4 numbers, found 3", "bezier .2 0 .3 1"),
        ("bezier 2 0 0 1", "bezier: its first and third number", ""),
        ("bezier 0 99 0 1", "bezier: its second and fourth number", ""),
        ("bezier 0 .nan 0 1", 'bezier: ".nan" is not a finite number', ""),
        ("steps", "steps: takes 1 numbers, found 0", "steps 4"),
        ("steps 2.5", "steps: takes a whole number from 1 to 10000", ""),
        ("steps 0", "steps: takes a whole number", ""),
        ("steps 1e9", "steps: takes a whole number", ""),
        ("spring 2", "spring: a bounce lies in 0..1", ""),
        ("spring 0.1 0.2", "spring: takes 0 or 1 numbers", ""),
        ("x" * 5000, "unknown ease", ""),
    ],
)
def test_what_is_no_ease_is_refused_with_what_to_write(text, message, hint):
    with pytest.raises(Misread) as caught:
        parse_ease(text)
    assert message in caught.value.message
    assert hint in caught.value.hint
    assert len(str(caught.value)) < 200
