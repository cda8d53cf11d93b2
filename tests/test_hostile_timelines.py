"""Timelines that were made to break the reader, and thousands that chance made."""

import random
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from animix.errors import TimelineError
from animix.timeline.curves import resolve
from animix.timeline.reader import read_timeline
from animix.timeline.seam import seam
from animix.timeline.seams import tracks
from animix.timeline.walk import walk
from tests.test_reader import KEYED, LARGE, SMALL, mistakes_of, with_key

PATIENCE_SECONDS = 20
"""Of processor time: what is refused at once takes under two, what runs away takes minutes."""


def test_a_hundred_mistakes_are_enough():
    text = with_key("blend: {snapshot: {" + ", ".join(f"{n}: 1" for n in range(1, 5000)) + "}}")
    start = time.process_time()
    assert len(mistakes_of(text)) == 100
    assert time.process_time() - start < PATIENCE_SECONDS


DEEP = "{x: " * 1000
HUGE = "9" * 5000
NUMBERS = (".nan", ".inf", "-.inf", "nan", "1e999", HUGE, "0x7f", "1e10")
PLACES = (
    *("fps: {}", "duration: {}s", "size: {}x{}", "latents: [{}]", "latents: {{every: {}s}}"),
    *("truncation: {}", "truncation: {{0s: {}, 1s: 1}}", "truncation: {{4..{}: 1}}"),
    *("label: {}", "noise: {{loop: {}s}}", "frame: {{zoom: {}}}", "frame: {{pan: {} 0}}"),
    *("frame: {{rotate: {}}}", "blend: {{snapshot: {}}}", "blend: {{snapshot: {{{}s: 1}}}}"),
    *("frame: {{zoom: 1 steps {}}}", "frame: {{zoom: {{0s: 1 bezier {} 0 0 1, 1s: 1}}}}"),
    "frame: {{zoom: {{0s..{}s every 1s: 1}}}}",
)


@pytest.mark.parametrize("place", PLACES)
def test_no_number_is_taken_that_is_not_finite_and_in_bounds(place):
    for number in NUMBERS:
        line = place.format(*[number] * place.count("{}"))
        text = f"networks: {{a: a.pkl}}\n{'' if 'duration' in line else 'duration: 6s'}\n{line}\n"
        with pytest.raises(TimelineError) as caught:
            read_timeline(text, "reel.yaml")
        assert len(str(caught.value)) < 3000


EVERY = "{{0s..end every {}ms: 1 -> 2}}"
MANY_KEYS = "networks: {a: a.pkl, top: b.pkl}\nduration: 19s\nblend:\n- a\n" + "".join(
    f"- top: {{alpha: {EVERY.format(1)}, width: {EVERY.format(1)}}}\n" for _ in range(60)
)
MANY_SAMPLES = "networks: {a: a.pkl, top: b.pkl}\nduration: 9:15:00\nblend:\n- a\n" + "".join(
    "- top: {width: {0s: 1, 1s: 2}}\n" for _ in range(60)
)


@pytest.mark.parametrize(
    "text",
    [
        "a: &a [x,x,x,x,x,x,x,x,x]\n"
        + "".join(
            f"b{n}: &b{n} [{', '.join([f'*b{n - 1}' if n else '*a'] * 9)}]\n" for n in range(9)
        ),
        with_key("duration: 33333333s").replace("duration: 6s\n", ""),
        with_key("frame: {zoom: {0s..end every 0.001ms: 1}}"),
        with_key("frame: {zoom: {" + ", ".join(f"{n}ms: 1" for n in range(6000)) + ", 7s: 1}}"),
        with_key("frame: {zoom: {" + ", ".join(f"{n / 10}ms: 1" for n in range(25_000)) + "}}"),
        with_key("frame: {zoom: {1e999999999s: 1}}"),
        with_key("latents: {seeds: [1, 2], every: 0.000000001s}"),
        with_key("blend: [" + "faces, " * 1000 + "]"),
        MANY_KEYS,
        MANY_SAMPLES,
        with_key(f"frame: {DEEP}"),
        with_key("frame:" + "".join("\n" + " " * n + "x:" for n in range(1, 1000))),
        with_key("title: !!python/object/apply:os.system [ls]"),
        with_key("latents: [" + "0..9999, " * 10_000 + "]"),
        with_key("zoom: " + "a" * 1_000_000),
        "? " * 100_000,
        "- " * 100_000,
        "{" * 1_000_000,
        "&a " * 10_000,
        "{" + "a," * 300_000 + "}",
        "{" + "a: ," * 200_000 + "}",
        "{" + "a: 1," * 200_000 + "}",
        with_key(f"frame: {{zoom: {{'1s +{' ' * 900_000}': 1}}}}"),
        with_key(f"frame:\n  zoom:\n    ? '{'.' * 400_000} every {' ' * 400_000}'\n    : 1"),
        with_key(f"latents: ['{'x.npz ' * 100_000}', '{' ' * 100_000}']"),
        with_key(f"frame: {{zoom: '{'1 ' * 400_000}'}}"),
        "a: |\n" + " x\n" * 300_000 + "b",
    ],
    ids=range(27),
)
def test_hostile_timelines_are_refused_at_once(text):
    start = time.process_time()  # what else the machine does is not the timeline's fault
    mistakes_of(text)
    assert time.process_time() - start < PATIENCE_SECONDS


def test_too_many_keys_are_told_once():
    (found,) = mistakes_of(MANY_KEYS)
    assert "all tracks together have more than 100000 keys" in found.message


WORDS = {"all": 4.0, "none": 256.0, "first": 1.0, "last": 3.0}
TOKENS = (
    *("{", "}", "[", "]", ",", ":", "-", "#", "'", '"', "*", "&", "!", "|", ">", "?", "~", "@"),
    *("%", "`", "=", "<<", "..", "...", "---", "->", "every", "end", "start", "all", "0", "1"),
    *("9", "e", "s", "f", "b", "4..", "128", "1e9", "-1", ".nan", "ease", "hold", "null", "é"),
    *(" ", "\n", "\t", "\0", "\x85", "\u2028", "\ufeff"),
)


def mutated(text, seed):
    """A text with a few random edits."""
    rng = random.Random(seed)
    for _ in range(rng.choice([1, 1, 1, 2, 3, 8])):
        place = rng.randrange(len(text) + 1)
        kind = rng.random()
        if kind < 0.5:
            text = text[:place] + rng.choice(TOKENS) + rng.choice(["", " "]) + text[place:]
        elif kind < 0.75:
            text = text[:place] + text[place + rng.choice([1, 1, 2, 5, 20]) :]
        elif kind < 0.9:
            start = rng.randrange(len(text) + 1)
            text = text[:place] + text[start : start + rng.randrange(30)] + text[place:]
        else:
            text = (
                text[:place]
                + chr(rng.choice([128, 0x11000]) * rng.randrange(10) // 9)
                + text[place:]
            )
    return text


@settings(deadline=None, max_examples=400)
@given(st.sampled_from([SMALL, LARGE, KEYED]), st.integers(0, 2**32))
def test_whatever_is_typed_is_a_timeline_that_can_be_sampled_or_a_timeline_error(text, seed):
    try:
        timeline = read_timeline(mutated(text, seed), "reel.yaml")
        for loop in (True, False):
            clip = timeline.clip(loop)
            for track in (*tracks(timeline), *(walk(band.path, clip) for band in timeline.latents)):
                frames = np.unique(np.linspace(0, clip.num_frames - 1, 20).astype(np.int64))
                numbers = track.with_values(lambda value: WORDS.get(value, value))
                seam(numbers, clip)
                curve = resolve(numbers, clip)
                assert np.isfinite(curve.sample(frames, clip.fps)).all()
                assert np.isfinite(curve.progress(frames, clip.fps).share).all()
    except TimelineError as error:
        assert error.mistakes
        assert str(error)
