"""Beats, bars, markers and sections lie where musicians expect them, or say why they can't."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from animix.errors import OptionError
from animix.timeline.clock import Clock
from animix.timeline.curves import resolve
from animix.timeline.keyframes import Time
from animix.timeline.misread import Misread
from animix.timeline.reader import read_timeline
from animix.timeline.times import parse_length, parse_span, parse_time
from tests.test_reader import mistakes_of

FPS = Fraction(30)
CLOCK = Clock(
    FPS,
    bpm=Fraction(120),
    first_beat_seconds=Fraction(1),
    markers={"drop": Time(Fraction(9)), "outro": Time(Fraction(-2), Fraction(1))},
)


def timeline(*lines, bpm=120, fps=30, duration="8bar"):
    head = f"networks: {{faces: a.pkl, art: b.pkl}}\nfps: {fps}\nduration: {duration}\n"
    audio = f"audio: {{bpm: {bpm}}}\n" if bpm else ""
    return head + audio + "\n".join(lines) + "\n"


@pytest.mark.parametrize(
    ("text", "seconds", "end_share"),
    [
        ("4b", 3, 0),
        ("4beats", 3, 0),
        ("1beat", Fraction(3, 2), 0),
        ("0b", 1, 0),
        ("-1b", Fraction(1, 2), 0),
        ("1bar", 3, 0),
        ("2bars", 5, 0),
        ("1bar + 2b", 4, 0),
        ("2b + 250ms", Fraction(9, 4), 0),
        ("start + 2b", 1, 0),
        ("2s + 2b", 3, 0),
        ("end - 1bar", -2, 1),
        ("1b + end", Fraction(1, 2), 1),
        ("bar 1", 1, 0),
        ("bar 5", 9, 0),
        ("bar 5 beat 3", 10, 0),
        ("bar 5 beat 1", 9, 0),
        ("bar 1 beat 2.5", Fraction(7, 4), 0),
        ("bar 5 - 1b", Fraction(17, 2), 0),
        ("bar 5 beat 3 + 1f", 10 + Fraction(1, 30), 0),
        ("drop", 9, 0),
        ("drop - 1b", Fraction(17, 2), 0),
        ("drop + 2bar - 1f", 13 - Fraction(1, 30), 0),
        ("outro", -2, 1),
        ("outro + 50%", -2, Fraction(3, 2)),
    ],
)
def test_beats_and_bars_are_places_from_the_first_beat_and_lengths_in_sums(
    text, seconds, end_share
):
    assert parse_time(text, CLOCK) == Time(Fraction(seconds), Fraction(end_share))


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("4b", 2), ("1bar", 2), ("8bars", 16), ("1bar - 1b", Fraction(3, 2)), ("1b + 250ms", 0.75)],
)
def test_as_lengths_they_know_of_no_first_beat(text, seconds):
    assert parse_length(text, CLOCK) == seconds


@pytest.mark.parametrize("text", ["bar 5", "drop", "drop + 1b", "bar 5 - bar 4", "1b - 1b", "-1b"])
def test_a_place_is_no_length(text):
    with pytest.raises(Misread):
        parse_length(text, CLOCK)


@pytest.mark.parametrize(
    ("text", "offset", "message", "hint"),
    [
        ("bar 0", 0, "bars are counted from 1", "bar 1"),
        ("bar 1.5", 0, "a bar's number is whole", "write bar 1 beat 3"),
        ("bar 2 beat 0", 0, "counted from 1 to 4", ""),
        ("bar 2 beat 6", 0, "counted from 1 to 4", "write bar 3 beat 2"),
        ("1s + bar 2 beat 5", 5, "counted from 1 to 4", "write bar 3 beat 1"),
        ("bar", 0, '"bar" has no number', "bar 5 beat 3"),
        ("bar 5 beat", 6, "is not a time", "bar 5 beat 3"),
        ("bar5", 0, '"bar5" is not a time', "write bar 5"),
        ("2 beats", 0, "2 beats has a space in it", "write 2beats"),
        ("end - 2 bar", 6, "2 bar has a space in it", "write 2bar"),
        ("50 %", 0, "50 % has a space in it", "write 50%"),
        ("dropp", 0, '"dropp" is not a time', 'did you mean "drop"?'),
        ("drop + outro", 7, '"outro" is a place', "lengths look like"),
        ("end - drop", 6, '"drop" is a place', "lengths look like"),
        ("2q", 0, 'there is no unit "q"', "4b, bar 5 beat 3"),
    ],
)
def test_what_is_no_musical_time_is_refused_at_its_place(text, offset, message, hint):
    with pytest.raises(Misread) as caught:
        parse_time(text, CLOCK)
    assert message in caught.value.message
    assert hint in caught.value.hint
    assert caught.value.offset == offset


@given(bar=st.integers(1, 999), beat=st.integers(1, 4), bpm=st.integers(1, 1000))
def test_a_place_by_bar_is_the_place_by_beats(bar, beat, bpm):
    clock = Clock(FPS, bpm=Fraction(bpm), first_beat_seconds=Fraction(1, 3))
    beats = 4 * (bar - 1) + beat - 1
    assert parse_time(f"bar {bar} beat {beat}", clock) == parse_time(f"{beats}b", clock)


@pytest.mark.parametrize("text", ["bar " * 49, "bar 5 beat " * 18, "bar 5 " + "+ 1b" * 48])
def test_hostile_places_cost_nothing(text):
    with pytest.raises(Misread) as caught:
        parse_length(text, CLOCK)
    assert len(caught.value.message) < 200


WORDS = ["bar", "beat", "b", "5", "0", "2.5", "+", "-", " ", "drop", "hook", "end", "%", "s", ".."]


@given(words=st.lists(st.sampled_from(WORDS), max_size=12))
def test_any_words_are_a_time_or_misread(words):
    text = "".join(words)
    for parse in (parse_time, parse_length, parse_span):
        try:
            found = parse(text, CLOCK)
        except Misread as misread:
            assert misread.message
            assert 0 <= misread.offset <= len(text)
        else:
            assert found


def test_a_clock_has_a_tempo_that_people_can_play():
    with pytest.raises(OptionError, match="expected 1 to 1000"):
        Clock(FPS, bpm=Fraction(0))


def test_eight_bars_at_128_are_fifteen_seconds():
    found = read_timeline(timeline(bpm=128), "reel.yaml")
    assert (found.duration_seconds, found.num_frames) == (15, 450)


KEYS = (
    "markers: {drop: bar 3 beat 2}",
    "blend: {swap: {0s: 4, 1bar: 8, drop - 1b: 16 ease-in, drop: 64, "
    "bar 5..bar 7 every 1b: 8 -> 32 quad-out, bar 8: 4}}",
)


@pytest.mark.parametrize("bpm", [96, 120, 128, "140.5"])
def test_a_value_is_the_same_at_the_same_second_at_24_and_60_fps(bpm):
    at_12_a_second = []
    for fps in (24, 60):
        found = read_timeline(timeline(*KEYS, bpm=bpm, fps=fps), "reel.yaml")
        curve = resolve(found.blend[1].swap, found.clip(loop=False))
        frames = range(0, found.num_frames - 1, fps // 12)
        at_12_a_second.append(curve.sample(frames, found.fps).tolist())
    slow, fast = at_12_a_second
    assert len(slow) > 150
    assert fast[: len(slow)] == pytest.approx(slow[: len(fast)], rel=1e-12)
    assert len(set(slow)) > 50


@pytest.mark.parametrize("bpm", [96, 120, 140])
def test_keys_move_with_the_tempo(bpm):
    found = read_timeline(timeline(*KEYS, bpm=bpm), "reel.yaml")
    seconds = [key.time.seconds for key in found.blend[1].swap.keys]
    beat = Fraction(60, bpm)
    assert seconds == [0, 4 * beat, 8 * beat, 9 * beat, 28 * beat]
    (run,) = found.blend[1].swap.repeats
    assert (run.start.seconds, run.stop.seconds, run.step_seconds) == (16 * beat, 24 * beat, beat)


@pytest.mark.parametrize(
    "line",
    [
        "latents: {seeds: [1, 2], every: 2bar}",
        "noise: {loop: 4bar}",
        "truncation: {bar 1: 0.7, bar 3: 0.9, end: 0.7}",
        "truncation: {4..32: {bar 1: 0.7, 4b: 0.9, end: 0.7}}",
        "latents: {bar 1: 3, bar 5: 4, end: 3}",
        "latents: {start..bar 5 every 1bar: 1 -> 2, end: 1}",
        "frame: {zoom: {0s: 1, bar 9: 1}}",
    ],
)
def test_wherever_a_time_may_stand_beats_and_bars_may(line):
    assert read_timeline(timeline(line), "reel.yaml")


def test_markers_count_from_others_in_any_order():
    found = read_timeline(
        timeline("markers: {outro: drop + 2bar, drop: build + 4b, build: bar 2, close: end - 1b}"),
        "reel.yaml",
    )
    markers = found.clock.markers
    assert markers["build"] == Time(Fraction(2))
    assert markers["drop"] == Time(Fraction(4))
    assert markers["outro"] == Time(Fraction(8))
    assert markers["close"] == Time(Fraction(-1, 2), Fraction(1))


def test_a_section_goes_from_place_to_place_and_repeats_keys():
    lines = ("markers: {drop: bar 3}", "sections: {hook: drop..end - 1bar}")
    found = read_timeline(
        timeline(*lines, "truncation: {0s: 1, hook every 1b: 1 -> 0.5, end: 1}"), "reel.yaml"
    )
    section = found.clock.sections["hook"]
    assert (section.start, section.stop) == (Time(Fraction(4)), Time(Fraction(-2), Fraction(1)))
    (run,) = found.truncation.bands[0].track.repeats
    assert (run.start, run.stop) == (section.start, section.stop)
    assert parse_span("hook", found.clock) == parse_span("drop..end - 1bar", found.clock)


@pytest.mark.parametrize(
    ("lines", "place", "message", "hint"),
    [
        (["markers: 2s"], "5:10", "markers is a map of names", "markers: {drop: bar 5}"),
        (["markers: {2x: 2s}"], "5:11", '"2x" can\'t name a marker', "a letter"),
        (["markers: {bar: 2s}"], "5:11", "a word of this language", "bar_1"),
        (["markers: {drop: 2}"], "5:17", "2 needs a unit", "2b (beats)"),
        (["markers: {drop: bar 50}"], "5:17", "marker drop lies after the end", "duration is 16s"),
        (["markers: {drop: 1b - 3b}"], "5:17", "marker drop lies before the start", ""),
        (["markers: {drop: }"], "5:17", "marker drop has no value", ""),
        (["markers: {drop: [2s]}"], "5:17", "marker drop is a time, found a list", ""),
        (["markers: {drop: drop + 1b}"], "5:17", "in a circle: drop → drop", "of its own"),
        (
            ["markers: {va: vc + 1b, vb: va, vc: vb - 1b, vd: va}"],
            "5:15",
            "in a circle: va → vc → vb → va",
            "of its own",
        ),
        (
            ["markers: {drop: 2s}", "truncation: {dorp - 1b: 1, end: 1}"],
            "6:14",
            '"dorp" is not a time',
            'did you mean "drop"?',
        ),
        (["sections: [a]"], "5:11", "sections is a map of names", "sections: {hook: 2s..6s}"),
        (["sections: {hook: 2s}"], "5:18", '"2s" is no part of the clip', "FROM..TO"),
        (["sections: {hook: 6s..2s}"], "5:18", "section hook ends before it starts", ""),
        (["sections: {hook: 2s..2s}"], "5:18", "section hook ends before it starts", ""),
        (["sections: {hook: 2s..40s}"], "5:18", "section hook lies after the end", "16s"),
        (["sections: {hook: 2s..dropp}"], "5:22", '"dropp" is not a time', "markers"),
        (["sections: {end: 2s..4s}"], "5:12", "a word of this language", ""),
        (["markers: {a: 2s}", "sections: {a: 2s..4s}"], "6:15", "a marker has this name", ""),
        (
            ["sections: {hook: 2s..4s}", "truncation: {hook: 1, end: 1}"],
            "6:14",
            '"hook" is a section, not a place',
            "hook every 1s",
        ),
        (
            ["sections: {hook: 2s..4s}", "truncation: {0s: 1, hok every 1b: 1, end: 1}"],
            "6:21",
            '"hok" is no part of the clip',
            'did you mean "hook"?',
        ),
        (["bpm: 120"], "5:1", 'unknown key "bpm"', "write audio: {bpm: 128}"),
        (["first-beat: 1s"], "5:1", 'unknown key "first-beat"', "under audio"),
    ],
)
def test_one_mistake_is_told_once_at_its_place(lines, place, message, hint):
    (found,) = mistakes_of(timeline(*lines))
    assert str(found.mark) == f"reel.yaml:{place}"
    assert message in found.message
    assert hint in found.hint


USES = ("markers: {drop: bar 3}", "truncation: {drop - 1b: 1, 2bar: 1, end: 1}")


@pytest.mark.parametrize(
    ("audio", "place", "message", "hint"),
    [
        ("title: x", "4:17", "beats and bars need a bpm", "write audio: {bpm: 128}"),
        ("audio: song.wav", "4:17", "beats and bars need a bpm", "write audio: {bpm: 128}"),
        ("audio: {bpm: auto}", "3:14", "is found in a sound: audio has no file", "bpm: auto}"),
        ("audio: {bpm: fast}", "3:14", "is no number of beats a minute", "bpm: 128"),
        ("audio: {bpm: 0}", "3:14", "beats a minute: expected 1 to 1000", ""),
        ("audio: {bpm: 1e3}", "3:14", "is no number of beats a minute", ""),
        ("audio: {bpm: }", "3:14", "bpm has no value", ""),
        ("audio: {bpm: 120, first-beat: 1b}", "3:31", "are counted from the first beat", "250ms"),
        ("audio: {bpm: 120, first-beat: bar 1}", "3:31", "counted from the first beat", "250ms"),
        ("audio: {bpm: 120, first-beat: end}", "3:31", '"end" is no time in seconds', "250ms"),
        ("audio: {bpm: 120, first-beat: 2}", "3:31", "2 needs a unit", "2s"),
    ],
)
def test_a_tempo_that_is_missing_or_wrong_is_told_once_however_often_it_is_used(
    audio, place, message, hint
):
    head = f"networks: {{faces: a.pkl, art: b.pkl}}\nduration: 16s\n{audio}\n"
    (found,) = mistakes_of(head + "\n".join(USES))
    assert str(found.mark) == f"reel.yaml:{place}"
    assert message in found.message
    assert hint in found.hint


def test_too_many_markers_are_one_mistake():
    many = ", ".join(f"m{number}: 1s" for number in range(1001))
    (found,) = mistakes_of(timeline(f"markers: {{{many}}}"))
    assert "1001 markers: expected at most 1000" in found.message


def test_a_long_chain_of_markers_is_no_trouble():
    chain = ", ".join(f"m{number}: m{number + 1}" for number in range(999))
    found = read_timeline(timeline(f"markers: {{{chain}, m999: bar 2}}"), "reel.yaml")
    assert found.clock.markers["m0"] == Time(Fraction(2))


AT_140 = (
    "loop: true",
    "noise: {loop: 4bar}",
    "latents: {seeds: [3, 17, 42, 8], every: 2bar}",
    "truncation: {bar 1: 1, bar 5..bar 9 every 1b: 1 -> 0.5, bar 9: 1}",
    "blend: {swap: {start..end every 1bar: 8 -> 32, end: 8}, alpha: {0s: 1, 16b: 0, bar 9: 1}}",
)


@pytest.mark.parametrize("line", AT_140[1:])
@pytest.mark.parametrize("fps", [24, 30, 60])
def test_bars_that_are_no_whole_number_of_frames_loop(line, fps):
    found = read_timeline(timeline(AT_140[0], line, bpm=140, fps=fps), "reel.yaml")
    assert found.duration_seconds == Fraction(96, 7)
    assert (found.duration_seconds * found.fps).denominator != 1


def test_noise_that_has_not_come_round_with_the_bars_does_not():
    (found,) = mistakes_of(timeline("loop: true", "noise: {loop: 3bar}", bpm=140))
    assert "seam: the noise returns every 5.14286 s" in found.message
