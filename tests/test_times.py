from fractions import Fraction

import pytest

from animix.timeline.clock import Clock
from animix.timeline.keyframes import Time
from animix.timeline.misread import Misread
from animix.timeline.numbers import parse_number, parse_whole
from animix.timeline.times import parse_length, parse_time

FPS = Fraction(30000, 1001)
CLOCK = Clock(FPS)


@pytest.mark.parametrize(
    ("text", "seconds", "end_share"),
    [
        ("2s", 2, 0),
        ("2.5s", Fraction(5, 2), 0),
        (".5s", Fraction(1, 2), 0),
        ("250ms", Fraction(1, 4), 0),
        ("12f", 12 / FPS, 0),
        ("50%", 0, Fraction(1, 2)),
        ("33.3%", 0, Fraction(333, 1000)),
        ("1:30.5", Fraction(181, 2), 0),
        ("00:01:02.5", Fraction(125, 2), 0),
        ("0", 0, 0),
        ("start", 0, 0),
        ("end", 0, 1),
        ("end - 1s", -1, 1),
        ("end-1s", -1, 1),
        ("50% + 2f", 2 / FPS, Fraction(1, 2)),
        ("  1s + 1s - 500ms ", Fraction(3, 2), 0),
        ("0.1s", Fraction(1, 10), 0),
    ],
)
def test_a_time_is_an_exact_fraction(text, seconds, end_share):
    assert parse_time(text, CLOCK) == Time(Fraction(seconds), Fraction(end_share))


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("2", "2 needs a unit", "write 2s (seconds), 2f (frames), 2b (beats) or 2bar"),
        ("2.5", "2.5 needs a unit", "write 2.5s"),
        ("2 s", "2 s has a space in it", "write 2s"),
        ("2m", '"2m": there is no unit "m"', "1:30.5"),
        ("strat", '"strat" is not a time', 'did you mean "start"?'),
        ("endd", '"endd" is not a time', 'did you mean "end"?'),
        ("dropp", '"dropp" is not a time', "times look like"),
        ("2s 12f", '"2s 12f" is not a time', "put + or - between: 2s + 12f"),
        ("1:75", '"1:75" is not a time', "59"),
        ("", '"" is not a time', "times look like"),
        ("+", '"+" is not a time', "times look like"),
        ("1s +", '"1s +" is not a time', "times look like"),
        ("1e3s", "is not a time", "times look like"),
        ("٣s", "is not a time", "times look like"),
        ("4b", "beats and bars need a bpm", "write audio: {bpm: 128}"),
        ("bar 5 beat 3", "beats and bars need a bpm", "write audio: {bpm: 128}"),
        ("end - 1bar", "beats and bars need a bpm", "write audio: {bpm: 128}"),
    ],
)
def test_what_is_no_time_is_refused_with_what_to_write(text, message, hint):
    with pytest.raises(Misread) as caught:
        parse_time(text, CLOCK)
    assert message in caught.value.message
    assert hint in caught.value.hint


def test_the_refused_word_of_a_sum_is_marked():
    with pytest.raises(Misread) as caught:
        parse_time("end - dropp", CLOCK)
    assert (caught.value.offset, caught.value.width) == (6, 5)


@pytest.mark.parametrize(
    "text", ["1e999999999s", "9" * 5000 + "s", "." * 5000, "1:" * 5000, "1s+" * 9999]
)
def test_hostile_times_are_refused(text):
    with pytest.raises(Misread) as caught:
        parse_time(text, CLOCK)
    assert len(caught.value.message) < 200


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("2s", 2), ("1s + 15f", 1 + 15 / FPS), ("1:30", 90), ("1ms", Fraction(1, 1000))],
)
def test_a_length_is_in_seconds(text, seconds):
    assert parse_length(text, CLOCK) == seconds


@pytest.mark.parametrize(
    "text", ["0", "0s", "1s - 2s", "-1s", "50%", "end", "start + 1s", "8bar", "2"]
)
def test_a_length_is_above_zero_and_no_place(text):
    with pytest.raises(Misread):
        parse_length(text, CLOCK)


@pytest.mark.parametrize(
    ("text", "number"),
    [("012", 12), ("-.5", -0.5), ("1e3", 1000), ("+7.", 7), ("0.1", 0.1), ("1000000000", 1e9)],
)
def test_numbers_follow_yaml_1_2(text, number):
    assert parse_number(text) == number


@pytest.mark.parametrize(
    "text",
    [
        *(".inf", "-.inf", ".nan", "inf", "NaN", "Infinity", "1e10", "-1e300", "1e999"),
        *("0x10", "0o7", "1_000", "on", "true", "١", "1,5", "1:30", "--1", ".", ""),
    ],
)
def test_what_is_no_finite_number_is_refused(text):
    with pytest.raises(Misread):
        parse_number(text)


def test_a_number_of_many_digits_is_refused_and_not_repeated_in_full():
    with pytest.raises(Misread, match="too many digits") as caught:
        parse_number("9" * 5000)
    assert len(caught.value.message) < 100


def test_a_percentage_is_told_how_to_be_a_number():
    with pytest.raises(Misread) as caught:
        parse_number("50%")
    assert caught.value.hint == "write 0.5"


def test_whole_numbers_are_exact_and_fractions_refused():
    assert parse_whole("4294967295") == 4294967295
    for text in ("1.5", "1e3", "x", "9" * 30):
        with pytest.raises(Misread):
            parse_whole(text)
