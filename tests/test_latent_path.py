from fractions import Fraction

import pytest

from animix.errors import TimelineError
from animix.timeline.keyframes import Ease
from animix.timeline.reader import read_timeline

MOST = 2**32 - 1
HEAD = "networks: {faces: ffhq.pkl}\nduration: 6s\n"


def latents(text):
    return read_timeline(f"{HEAD}latents: {text}\n", "reel.yaml").latents[0].path


def sources(text):
    return [key.source for key in latents(text).keys]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[3, 17, 42]", [3, 17, 42]),
        ("3", [3]),
        ("[3, a.npz, 'my b.npy', c.pt, 4294967295]", [3, "a.npz", "my b.npy", "c.pt", MOST]),
        ("{seeds: [11, 42]}", [11, 42]),
        ("{seeds: 7}", [7]),
        ("[1..4, 9]", [1, 2, 3, 4, 9]),
        ("[012]", [12]),
        ("{every: 2s}", [0]),
    ],
)  # fmt: skip
def test_seeds_and_files_in_order(text, expected):
    assert sources(text) == expected
    assert latents(text).track is None


def test_without_latents_the_path_stands_at_seed_0():
    path = read_timeline(HEAD, "reel.yaml").latents[0].path
    assert ([key.source for key in path.keys], path.every, path.space, path.path) == (
        [0],
        None,
        "w",
        "spline",
    )


def test_options_of_a_list():
    path = latents("{seeds: [1, 2 hold], every: 1.5s, ease: sine-in-out, path: linear}")
    assert path.every == Fraction(3, 2)
    assert [key.ease for key in path.keys] == [Ease("sine-in-out"), Ease("hold")]
    assert (path.space, path.path) == ("w", "linear")
    assert latents("{seeds: [1], space: z}").space == "z"


def test_latents_at_times_are_indices_into_the_keys():
    path = latents("{0s: 3, 2s: 'my face.npz ease-in', end: 3, 3s..5s every 1s: 8}")
    assert [key.source for key in path.keys] == [3, "my face.npz", 3, 8]
    assert [key.value for key in path.track.keys] == [0, 1, 2]
    assert path.track.keys[1].ease == path.keys[1].ease == Ease("ease-in")
    assert path.track.repeats[0].value == 3


def test_latents_with_an_arrow_go_from_one_to_the_other_each_time():
    path = latents("{0s..4s every 2s: 3 -> me.npz ease-in, 5s: 8}")
    assert [key.source for key in path.keys] == [3, "me.npz", 8]
    (run,) = path.track.repeats
    assert (run.value, run.arrival, run.ease) == (0, 1, Ease("ease-in"))


def test_seeds_at_times_stand_beside_options():
    path = latents("{seeds: {0s: 3, 2s: 17 hold, end: 3}, path: linear}")
    assert ([key.source for key in path.keys], path.path) == ([3, 17, 3], "linear")
    assert [key.value for key in path.track.keys] == [0, 1, 2]


def test_speed_and_even():
    path = latents("{seeds: [3, 17], speed: {0s: 1, 3s: 0, end: 1}, even: true}")
    assert [key.value for key in path.speed.keys] == [1, 0, 1]
    assert path.even
    assert (latents("[3, 17]").speed, latents("{seeds: 3, even: false}").even) == (None, False)


def test_edits_have_a_direction_and_an_amount_that_may_be_by_resolution():
    path = latents(
        "{seeds: 3, edits: [{direction: a.npy, amount: {4..8: {0s: 0, end: 2}, 32..: 1}},"
        " {direction: sefa 12, amount: =sine(2s)}]}"
    )
    first, second = path.edits
    assert (first.direction, second.direction) == ("a.npy", 12)
    assert first.amount.track_at(16) is None and first.amount.unlisted == 0
    assert [key.value for key in first.amount.track_at(8).keys] == [0, 2]
    assert first.amount.track_at(64).keys[0].value == 1
    assert any(second.amount.track_at(1024).expressions())


def test_latents_by_resolution_are_paths_in_the_order_of_their_resolutions():
    text = "{64..: {seeds: [8, me.npz], every: 2s}, 4..16: [3, 17], 32: {0s: 5, end: 6}}"
    bands = read_timeline(f"{HEAD}latents: {text}\n", "reel.yaml").latents
    assert [(band.low, band.high) for band in bands] == [(4, 16), (32, 32), (64, None)]
    assert [[key.source for key in band.path.keys] for band in bands] == [
        [3, 17],
        [5, 6],
        [8, "me.npz"],
    ]
    assert bands[2].path.every == 2


@pytest.mark.parametrize(
    ("text", "column", "message", "hint"),
    [
        ("[3, -2]", 14, '"-2" is no seed', "0 to 4294967295"),
        ("[4294967296]", 11, '"4294967296" is no seed', "0 to 4294967295"),
        ("[1.5]", 11, '"1.5" is no latent', "a seed from 0"),
        ("[me.png]", 11, '"me.png" is no latent', ".npz, .npy or .pt"),
        ("[.nan]", 11, '".nan" is no latent', ""),
        ("[3 ease-inn]", 13, 'unknown ease "ease-inn"', 'did you mean "ease-in"?'),
        ("[[3]]", 11, "found a list", ""),
        ("[]", 10, "latents has no seeds", ""),
        ("[9..1]", 11, '"9..1" is no range of seeds', ""),
        ("[0..4294967295]", 11, "is no range of seeds", ""),
        ("=3", 10, "no expression can stand here", ""),
        ("{seeds: [3], spaec: w}", 23, 'unknown key "spaec"', 'did you mean "space"?'),
        ("{seeds: [3], every: 50%}", 30, '"50%" is a place in the clip', "lengths look"),
        ("{seeds: [3], every: 2}", 30, "2 needs a unit", "write 2s"),
        ("{seeds: [3], space: z, path: spline}", 39, "a path in z goes by slerp", "leave path out"),
        ("{seeds: [3], ease: foo}", 29, 'unknown ease "foo"', ""),
        ("{seeds: [3], speed: -2}", 30, "speed can't be -2: the least is 0", ""),
        ("{seeds: [3, 4], speed: 0}", 33, "speed is 0 all the time", "a single seed"),
        ("{seeds: [3], speed: 1, every: 1s}", 30, "every and speed both say when", "leave speed"),
        ("{seeds: {0s: 3, end: 4}, speed: 1}", 42, "the seeds and speed both say when", ""),
        ("{seeds: [3], even: true, every: 1s}", 29, "every and even both say when", "leave even"),
        ("{seeds: [3], even: maybe}", 29, 'unknown even "maybe"', "true or false"),
        ("{seeds: [3, 4], even: true, ease: sine-in}", 44, "an even path has no ease", ""),
        ("{seeds: [3, 4 hold], even: true}", 22, "an even path has no ease", ""),
        ("{seeds: {0s: 3, end: 4}, every: 1s}", 42, "have their times: every says nothing", ""),
        ("{seeds: {4..8: 3}}", 18, "seeds is a list, or a map of times", "write seeds: {0s: 3"),
        ("{seeds: [3], edits: smile.npy}", 30, "edits is a list of directions", "write - {dir"),
        ("{seeds: [3], edits: [smile.npy]}", 31, "an edit is a direction and an amount", ""),
        ("{seeds: 3, edits: [{amount: 1}]}", 29, "this edit has no direction", ""),
        ("{seeds: 3, edits: [{direction: sefa 1}]}", 29, "this edit has no amount", ""),
        (
            "{seeds: 3, edits: [{direction: sefa, amount: 1}]}",
            41,
            "sefa needs the number",
            "sefa 3",
        ),
        (
            "{seeds: 3, edits: [{direction: sefa 0, amount: 1}]}",
            41,
            '"sefa 0" is no dire',
            "from 1",
        ),
        ("{seeds: 3, edits: [{direction: a.png, amount: 1}]}", 41, '"a.png" is no direction', ""),
        ("{seeds: 3, edits: [{direction: a.npy, amout: 1, amount: 1}]}", 48, "unknown key", ""),
        ("{0s: 3, 2s: 4, space: z}", 25, '"space" is an option among the times', ""),
        ("{4..32: 3, 128..: 4}", 21, "latents has no path for 64", "leave no gap"),
        ("{4..32: 3, 32..: 4}", 21, '"32.." and "4..32" overlap', "both ends"),
        ("{4..32: 3, 64..: {4..8: 5}}", 27, "resolutions inside resolutions", "stand outside"),
        ("{4..32: 3, 64..: {seeds: [x]}}", 36, '"x" is no latent', ""),
        ("{0s: 3 -> 4}", 17, '"->" stands only in keys with "every"', "write 0s..end every"),
        ("{0s..end every 1s: 3 -> x}", 34, '"x" is no latent', ""),
        ("{0s..end every 1s: 3 linear -> 4}", 29, "an ease stands behind both", ""),
        ("{0s..end every 1s: 3 ->}", 31, "a latent is missing", ""),
        ("{seeds: [1, 2], every: 0.001ms}", 33, "6e+06 visits in 6 s", ""),
        ("{0s: 3, 2: 4}", 18, '"2" is a resolution among the times', "needs a unit"),
    ],
)
def test_what_is_no_path_is_a_mistake_with_its_column(text, column, message, hint):
    with pytest.raises(TimelineError) as caught:
        latents(text)
    (found,) = caught.value.mistakes
    assert (found.mark.line, found.mark.column) == (3, column)
    assert message in found.message
    assert hint in found.hint
