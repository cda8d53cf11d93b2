from fractions import Fraction

import pytest

from animix.errors import TimelineError
from animix.timeline.reader import read_timeline

TEXT = """
networks: {faces: ffhq.pkl, anime: anime.pkl}
duration: 6s
latents: [3, 17]
truncation: {0s: 0.7, 50%: 0.9}
blend:
  - faces
  - anime: {swap: {0s: 64, 2s: 4}}
"""


def overridden(text=TEXT, **overrides):
    paths = {path.replace("__", "."): value for path, value in overrides.items()}
    return read_timeline(text, "reel.yaml", paths)


def test_a_value_is_replaced():
    assert overridden(duration="4s").duration_seconds == 4
    assert overridden(blend__anime__swap="16").blend[1].swap.keys[0].value == 16


def test_a_value_is_added_with_the_maps_on_its_way():
    assert overridden(frame__zoom="{0s: 1, 2s: 2}").frame.zoom.keys[1].value == 2
    assert overridden(fps="30000/1001").fps == Fraction(30000, 1001)
    short = "{networks: {a: a.pkl, top: b.pkl}, duration: 6s}"
    assert overridden(short, blend__swap="64").blend[1].swap.keys[0].value == 64


def test_lists_are_entered_by_name_or_index():
    assert overridden(latents__1="5").latents[0].path.keys[1].source == 5
    assert overridden(blend__1__anime__width="2").blend[1].width.keys[0].value == 2
    assert overridden(blend__faces__snapshot="first").blend[0].snapshot.keys[0].value == "first"
    assert [layer.network for layer in overridden(blend__anime="faces").blend] == ["faces"] * 2


def test_keys_of_maps_of_times_can_be_set():
    timeline = read_timeline(TEXT, "reel.yaml", {"truncation.50%": "0.8"})
    assert [key.value for key in timeline.truncation.bands[0].track.keys] == [0.7, 0.8]


def test_several_overrides_all_hold():
    timeline = overridden(frame__zoom="2", frame__fit="cover")
    assert (timeline.frame.fit, timeline.frame.zoom.keys[0].value) == ("cover", 2)


@pytest.mark.parametrize(
    ("path", "value", "place", "message"),
    [
        ("duration", "4", "1:1", "4 needs a unit"),
        ("blend.anime.swap", "{0s: 64 ease-inn}", "1:9", 'unknown ease "ease-inn"'),
        ("frame.zoom", "{0s:1}", "1:2", 'a space is missing after "0s:"'),
        ("nonsense", "1", "1:1", 'unknown key "nonsense"'),
        ("frame.zom", "1", "1:1", 'unknown key "zom"'),
        ("duration.x", "1", "1:1", '"6s" has no "x" to set in it'),
        ("latents.2", "1", "1:1", "the list has 2 items, counted from 0: there is no 2"),
        ("latents.every", "1s", "1:1", 'the list has no "every"'),
        ("blend.marble.swap", "1", "1:1", 'the list has no "marble"'),
        ("blend..swap", "1", "1:1", '"blend..swap" is no path to a value'),
        ("", "1", "1:1", '"" is no path to a value'),
        (".".join("a" * 5000), "1", "1:1", "is no path to a value"),
        ("latents." + "9" * 5000, "1", "1:1", "the list has no"),
        ("fps", "", "", "is empty"),
        ("fps", "[" * 1000, "1:41", "nested more than 40 levels deep"),
        ("title", "a\0b", "1:2", "the character U+0000"),
    ],
)
def test_a_mistake_names_the_override(path, value, place, message):
    with pytest.raises(TimelineError) as caught:
        read_timeline(TEXT, "reel.yaml", {path: value})
    (found,) = caught.value.mistakes
    assert str(found.mark) == f"--set {path}" + (f":{place}" if place else "")
    assert message in found.message


def test_mistakes_of_file_and_overrides_are_reported_together():
    with pytest.raises(TimelineError) as caught:
        overridden(TEXT + "frame: {fit: blurr}\n", fps="0", nonsense="1")
    assert len(caught.value.mistakes) == 3


def test_a_value_that_is_nothing_is_told_by_its_key():
    with pytest.raises(TimelineError, match="--set output  the value is empty"):
        read_timeline(TEXT, "reel.yaml", {"output": " "})
