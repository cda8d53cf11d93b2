from fractions import Fraction

import pytest

from animix.errors import TimelineError
from animix.timeline.keyframes import Ease, Time
from animix.timeline.reader import read_timeline

HEAD = "networks: {faces: ffhq.pkl, anime: anime.pkl}\nduration: 6s\nfps: 30\n"


def layer(tracks):
    return read_timeline(f"{HEAD}blend: {tracks}\n", "reel.yaml").blend[1]


def mistake(text):
    with pytest.raises(TimelineError) as caught:
        read_timeline(HEAD + text, "reel.yaml")
    assert len(caught.value.mistakes) == 1, str(caught.value)
    found = caught.value.mistakes[0]
    return found.mark.column, found.message, found.hint


def test_a_constant_is_one_key():
    swap = layer("{swap: 64}").swap
    assert swap.is_constant
    assert [key.value for key in swap.keys] == [64]
    assert (swap.name, swap.space, swap.low) == ("swap of anime", "octaves", 4)


def test_keys_carry_time_value_ease_and_place():
    swap = layer("{swap: {0s: none, 50% + 2f: 64 bezier .2 0 .3 1, end: '8 hold'}}").swap
    assert [key.time for key in swap.keys] == [
        Time(Fraction(0)),
        Time(Fraction(1, 15), Fraction(1, 2)),
        Time(Fraction(0), Fraction(1)),
    ]
    assert [key.value for key in swap.keys] == ["none", 64, 8]
    eases = [None, Ease("bezier", (0.2, 0, 0.3, 1)), Ease("hold")]
    assert [key.ease for key in swap.keys] == eases
    assert [(key.mark.line, key.mark.column) for key in swap.keys] == [(4, 20), (4, 36), (4, 62)]


def test_repeated_keys_keep_their_range():
    alpha = layer("{alpha: {0s: 0, 1s..end - 1s every 500ms: 0.8 -> 0.2 expo-out}}").alpha
    (run,) = alpha.bands[0].track.repeats
    assert (run.start, run.stop) == (Time(Fraction(1)), Time(Fraction(-1), Fraction(1)))
    assert (run.step_seconds, run.value, run.arrival) == (Fraction(1, 2), 0.8, 0.2)
    assert run.ease == Ease("expo-out")
    assert [value for value, _ in alpha.bands[0].track.values()] == [0, 0.8, 0.2]


def test_bare_numbers_and_ranges_of_them_are_resolutions():
    alpha = layer("{alpha: {4..32: 0, 64: {0s: 0, 2s: 1}, 512..: 0.35}}").alpha
    assert [(band.low, band.high) for band in alpha.bands] == [(4, 32), (64, 64), (512, None)]
    assert alpha.unlisted == 0
    assert len(alpha.track_at(64).keys) == 2
    assert alpha.track_at(16).keys[0].value == 0
    assert alpha.track_at(128) is None
    assert alpha.track_at(1024).name == "alpha of anime at 512.."


def test_truncation_at_unlisted_resolutions_is_1_and_without_a_map_holds_for_all():
    timeline = read_timeline(HEAD + "truncation: {4..32: 0.5}", "reel.yaml")
    assert timeline.truncation.unlisted == 1
    everywhere = read_timeline(HEAD + "truncation: 0.5", "reel.yaml").truncation
    assert everywhere.track_at(4).keys[0].value == everywhere.track_at(1024).keys[0].value == 0.5


def test_0_is_a_time_and_no_resolution():
    alpha = layer("{alpha: {0: 0, 2s: 1}}").alpha
    assert len(alpha.bands[0].track.keys) == 2


def test_pan_sets_two_tracks_with_the_same_times_and_eases():
    frame = read_timeline(HEAD + "frame: {pan: {0s: 0, 2s: 0.1 -.2 linear}}", "reel.yaml").frame
    assert [key.value for key in frame.pan_x.keys] == [0, 0.1]
    assert [key.value for key in frame.pan_y.keys] == [0, -0.2]
    assert frame.pan_y.keys[1].ease == Ease("linear")
    constant = read_timeline(HEAD + "frame: {pan: 1 2}", "reel.yaml").frame
    assert (constant.pan_x.keys[0].value, constant.pan_y.keys[0].value) == (1, 2)


@pytest.mark.parametrize(
    ("text", "column", "message", "hint"),
    [
        ("blend: {swap: {2: 64, end: 4}}", 16, "2 needs a unit", "write 2s (seconds), 2f"),
        ("blend: {swap: {0s: 64 ease-inn}}", 23, 'unknown ease "ease-inn"', 'mean "ease-in"?'),
        ("blend: {swap: al}", 15, '"al" is not a number', 'did you mean "all"?'),
        ("blend: {swap: 2}", 15, "swap of anime can't be 2: the least is 4", ""),
        ("blend: {swap: .nan}", 15, '".nan" is not a finite number', ""),
        ("blend: {swap: {0s: .inf}}", 20, '".inf" is not a finite number', ""),
        ("blend: {width: 0}", 16, "width of anime can't be 0: the least is 0.000001", ""),
        ("blend: {alpha: 50%}", 16, '"50%" is not a number', "write 0.5"),
        ("blend: {alpha: 1e10}", 16, '"1e10" is too large', ""),
        ("blend: {snapshot: -1}", 19, "snapshot of anime can't be -1", ""),
        ("blend: {swap: 64 linear}", 15, "an ease leads from key to key", "{0s:"),
        ("blend: {swap: {0s: 4 -> 8}}", 22, '"->" stands only in keys with "every"', "every"),
        ("blend: {swap: {0s..end every 1s: 4 ->}}", 36, 'a value is missing after "->"', ""),
        ("blend: {alpha: =0.5 + sinee(1s)}", 23, 'unknown name "sinee"', 'did you mean "sine"?'),
        ("blend: {alpha: =sine(2)}", 22, '"2" needs a unit', "write 2s (seconds)"),
        ("blend: {alpha: =sine(t)}", 22, "the period of sine can't change", "sine(2s)"),
        ("blend: {alpha: =sine(0s)}", 22, "no length above 0", ""),
        ("blend: {alpha: =t.real}", 18, 'unexpected "." in an expression', ""),
        ("blend: {alpha: =2**3}", 18, 'there is no "**"', "write ^"),
        ("blend: {alpha: =50%}", 19, 'a value is missing after "%"', "write 0.5"),
        ("blend: {alpha: =(1 + 2}", 17, "this bracket is not closed", ""),
        (
            "blend: {alpha: =low}",
            17,
            "low is of the clip's sound, and this timeline has none",
            "write audio: song.mp3",
        ),
        ("blend: {alpha: =sine + 1}", 17, "sine needs brackets", "sine(2s)"),
        ("blend: {alpha: =t(1)}", 17, "t takes no brackets", ""),
        ("blend: {alpha: =1/0}", 17, "a division by zero", "keep it away from 0"),
        ("blend: {alpha: =9^9^9}", 17, "this is too large", ""),
        ("blend: {alpha: =key}", 17, "key is the value of the other keys", "start: =key"),
        ("blend: {alpha: {0s: 1, 2s: =key*2 linear}}", 29, "what rides on key begins", "=key"),
        ("blend: {alpha: {0s: =t linaer, end: 1}}", 24, 'ease "linaer"', 'mean "linear"?'),
        ("blend: {alpha: =max(t, 1)}", 16, "a comma inside", 'in quotes: "=max(t, 1)"'),
        ("blend: {swap: =3}", 15, "swap of anime can't be 3: the least is 4", ""),
        ("label: =t", 8, "label counts", "write keys"),
        ("frame: {pan: =0.1*t}", 14, "pan takes 2 numbers, found 1", ""),
        ("blend: {alpha: {=2s: 1}}", 17, "no expression can stand here", "may have keyframes"),
        ("blend: {swap: [4, 8]}", 15, "found a list", ""),
        ("blend: {swap: {0s: [4]}}", 20, "found a list", ""),
        ("blend: {swap: {}}", 15, "swap of anime has no keys", ""),
        ("blend: {swap: }", 15, "swap of anime has no value", ""),
        ("blend: {swap: {7s: 4}}", 16, '"7s" lies after the end of the clip', "6s"),
        ("blend: {swap: {end + 1f: 4}}", 16, "lies after the end of the clip", ""),
        ("blend: {swap: {start - 1f: 4}}", 16, "lies before the start of the clip", ""),
        ("blend: {swap: {end - 7s: 4}}", 16, "lies before the start of the clip", ""),
        ("blend: {swap: {0s: 4, 0: 8}}", 23, "two keys of swap of anime at one instant", "line 4"),
        ("blend: {swap: {2s..1s every 1s: 4}}", 16, "ends before it starts", ""),
        ("blend: {swap: {0s..9s every 1s: 4}}", 16, "lies after the end of the clip", ""),
        ("blend: {swap: {0s..end every 5: 4}}", 30, "5 needs a unit", "write 5s"),
        ("blend: {swap: {0s..end every 0s: 4}}", 30, "no length above 0", ""),
        ("blend: {swap: {0s..end every 1b: 4}}", 30, "beats and bars need a bpm", ""),
        ("blend: {swap: {0s..endd every 1s: 4}}", 20, '"endd" is not a time', '"end"?'),
        ("blend: {swap: {0s..end: 4}}", 16, '"0s..end" is not a time', "every"),
        ("blend: {swap: {4..32: 4}}", 16, "are resolutions, and times are expected", ""),
        ("blend: {swap: {0s..end every .01ms: 4}}", 16, "more than 20000 keys", ""),
        ("blend: {swap: {dropp: 4}}", 16, '"dropp" is not a time', "times look like"),
        ("blend: {alpha: {4..32: 0, 2s: 1, 64: 0}}", 27, '"2s" is a time among the resolut', ""),
        ("blend: {alpha: {0s: 0, 2s: 1, 64: 0}}", 31, '"64" is a resolution among the', "unit"),
        ("blend: {alpha: {4..32: 0, 16..64: 1}}", 27, '"16..64" and "4..32" overlap', ""),
        ("blend: {alpha: {4..: 0, 1024: 1}}", 25, '"1024" and "4.." overlap', ""),
        ("blend: {alpha: {48: 0}}", 17, '"48" is no resolution', "write 32 or 64"),
        ("blend: {alpha: {2..8: 0}}", 17, '"2" is no resolution', "write 4"),
        ("blend: {alpha: {32..4: 0}}", 17, '"32..4" ends before it starts', "write 4..32"),
        ("blend: {alpha: {1048576: 0}}", 17, '"1048576" is no resolution', "65536"),
        ("blend: {alpha: {0s: {4..32: 0}}}", 21, "found a map", "resolutions stand outside"),
        ("frame: {zoom: 0}", 15, "zoom can't be 0: the least is 0.001", ""),
        ("frame: {zoom: 1e6}", 15, "zoom can't be 1e6: the most is 1000", ""),
        ("frame: {pan: 1}", 14, "pan takes 2 numbers, found 1", "write pan: 0.1 0"),
        ("frame: {pan: 1 2 3}", 18, 'unknown ease "3"', ""),
        ("frame: {rotate: x}", 17, '"x" is not a number', ""),
        ("label: 1.5", 8, '"1.5" is not a whole number', ""),
        ("label: -1", 8, "label can't be -1: the least is 0", ""),
        ("truncation: {0s: 1, 2s: nan}", 25, '"nan" is not a finite number', ""),
    ],
)
def test_what_is_no_value_is_a_mistake_with_its_column(text, column, message, hint):
    found = mistake(text)
    assert (found[0], message in found[1], hint in found[2]) == (column, True, True), found


def test_a_key_at_exactly_the_duration_is_no_mistake():
    assert len(layer("{swap: {0s: 4, 6s: 8}}").swap.keys) == 2


def test_a_mistake_in_one_key_leaves_no_second_mistake():
    found = mistake("blend: {swap: {0s: bezier(.2, 0, .3, 1), 2s: 4}}")
    assert "a comma inside" in found[1]
