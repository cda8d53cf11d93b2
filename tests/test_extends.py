"""A timeline over a base says only what is different, and mistakes are told where they stand."""

import os
from pathlib import Path

import pytest

from animix.errors import TimelineError
from animix.film import open_film
from animix.timeline.audio import Audio
from animix.timeline.extends import MOST_BASES
from animix.timeline.reader import load_timeline
from animix.timeline.yaml_text import yaml_text
from tests.tiny import relative_of, tiny_tensors, write_tensors

BASE = """\
networks: {faces: a.pkl, anime: b.pkl}
duration: 6s
latents: {seeds: [3, 17], every: 2s}
frame: {zoom: {0%: 1, 50%: 2, 100%: 1}, rotate: 3}
blend: {swap: {0%: none, 50%: 64, 100%: none}, width: 2}
truncation: {4..32: 0.5, 64..: 0.9}
audio: {file: song.mp3, bpm: 120, fade-in: 1s}
markers: {drop: 2s}
output: {file: films/out.mp4, crf: 20}
"""


@pytest.fixture
def write(tmp_path):
    """Writes a file below the folder of the test."""

    def write_it(name, text):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
        return tmp_path / name

    return write_it


def mistakes_of(path, overrides=None):
    with pytest.raises(TimelineError) as caught:
        load_timeline(path, overrides)
    return caught.value.mistakes


def told(path, folder):
    """Each mistake with its place, seen from a folder."""
    return [
        (f"{mistake.mark}".replace(f"{folder}{os.sep}", ""), mistake.message)
        for mistake in mistakes_of(path)
    ]


def lines(timeline):
    """What a document says of each key."""
    return dict(line.split(": ", 1) for line in yaml_text(timeline.document).splitlines())


@pytest.mark.parametrize(
    ("text", "key", "meaning"),
    [
        ("title: Over", "duration", "6s"),
        ("duration: 4s", "duration", "4s"),
        # maps of options and of names merge
        ("frame: {rotate: 5}", "frame", "{zoom: {0%: 1, 50%: 2, 100%: 1}, rotate: 5}"),
        ("frame: {pan: 1 0}", "frame", "{zoom: {0%: 1, 50%: 2, 100%: 1}, rotate: 3, pan: 1 0}"),
        ("networks: {anime: c.pkl}", "networks", "{faces: a.pkl, anime: c.pkl}"),
        ("markers: {outro: drop + 1s}", "markers", "{drop: 2s, outro: drop + 1s}"),
        ("latents: {every: 3s}", "latents", "{seeds: [3, 17], every: 3s}"),
        ("blend: {width: 1}", "blend", "{swap: {0%: none, 50%: 64, 100%: none}, width: 1}"),
        ("audio: {bpm: 90}", "audio", "{file: song.mp3, bpm: 90, fade-in: 1s}"),
        ("output: {crf: 18}", "output", "{file: films/out.mp4, crf: 18}"),
        # keyed maps, resolution maps and lists are replaced
        ("frame: {zoom: {0s: 2}}", "frame", "{zoom: {0s: 2}, rotate: 3}"),
        ("blend: {swap: {0s: 8}}", "blend", "{swap: {0s: 8}, width: 2}"),
        ("latents: {0s: 3, end: 3}", "latents", "{0s: 3, end: 3}"),
        ("latents: {seeds: [9]}", "latents", "{seeds: [9], every: 2s}"),
        ("latents: [9]", "latents", "[9]"),
        ("truncation: {512..: 1}", "truncation", "{512..: 1}"),
        ("blend: [faces, anime: {swap: 8}]", "blend", "[faces, {anime: {swap: 8}}]"),
        ("audio: other.mp3", "audio", "other.mp3"),
        ("output: [reels, x]", "output", "[reels, x]"),
        # null removes
        ("audio: null", "audio", None),
        ("frame: ~", "frame", None),
        ("frame: {zoom: null}", "frame", "{rotate: 3}"),
        ("blend: {swap: null, alpha: 0.5}", "blend", "{width: 2, alpha: 0.5}"),
        ("markers: {drop: null}", "markers", "{}"),
    ],
)
def test_what_a_timeline_says_lies_over_its_base(write, text, key, meaning):
    write("base.yaml", BASE)
    timeline = load_timeline(write("reel.yaml", f"extends: base.yaml\n{text}\n"))
    found = lines(timeline)
    assert found.get(key) == meaning
    assert timeline.bases == (timeline.path.parent / "base.yaml",)


def test_paths_stay_relative_to_the_file_that_they_stand_in(write, tmp_path):
    base = BASE.replace("a.pkl", "nets/a.pkl").replace("[3, 17]", "[3, me.npz, $face]")
    write("one/deep/base.yaml", base + "vars: {face: you.npz, folder: films}\n")
    write(
        "one/middle.yaml", "extends: deep/base.yaml\nnetworks: {anime: [c.pkl, ~/d.pkl, /e.pkl]}\n"
    )
    over = "extends: ../one/middle.yaml\nlatents: {every: 1s}\nvars: {face: she.npz}\n"
    timeline = load_timeline(write("two/reel.yaml", over))
    deep = Path("../one/deep")
    assert timeline.networks["faces"].patterns == (str(deep / "nets/a.pkl"),)
    assert timeline.networks["anime"].patterns == ("../one/c.pkl", "~/d.pkl", "/e.pkl")
    assert [key.source for key in timeline.latents[0].path.keys] == [
        3,
        str(deep / "me.npz"),
        "she.npz",
    ]
    assert isinstance(timeline.audio, Audio)
    assert timeline.audio.path == tmp_path / "two" / deep / "song.mp3"
    assert timeline.output.file == tmp_path / "two" / deep / "films/out.mp4"
    assert [path.name for path in timeline.bases] == ["middle.yaml", "base.yaml"]


def test_latents_with_times_and_outputs_in_a_list_are_seen_from_the_base(write):
    write(
        "base/base.yaml",
        "networks: {a: a.pkl}\nduration: 6s\noutput: [reels, a.webm, {file: b.mp4}]\n"
        "latents: {0s..6s every 2s: me.npz -> 3 ease-in}\n",
    )
    timeline = load_timeline(write("reel.yaml", "extends: base/base.yaml\n"))
    assert lines(timeline)["output"] == "[reels, base/a.webm, {file: base/b.mp4}]"
    assert {key.source for key in timeline.latents[0].path.keys} == {"base/me.npz", 3}


def test_the_base_reads_the_variables_of_the_upper_file(write):
    write("base.yaml", BASE + "vars: {psi: 0.5, way: ease-in}\n")
    over = "extends: base.yaml\nvars: {psi: 0.9}\ntruncation: {0s: $psi $way, end: $psi}\n"
    assert lines(load_timeline(write("reel.yaml", over)))["truncation"] == (
        "{0s: 0.9 ease-in, end: 0.9}"
    )
    (mistake,) = mistakes_of(write("reel.yaml", over.replace("{psi", "{way: null, psi")))
    assert (mistake.mark.line, mistake.message) == (3, "there is no $way")


def test_what_is_not_there_can_not_be_removed(write, tmp_path):
    write("base.yaml", BASE)
    over = "extends: base.yaml\nframe: {zom: null}\nnoise: null\ntitle:\naudio: ~\n"
    assert told(write("reel.yaml", over), tmp_path) == [
        ("reel.yaml:2:9", "frame has no zom that could be removed"),
        ("reel.yaml:3:1", "the base has no noise that could be removed"),
        ("reel.yaml:4:7", "title has no value"),
    ]
    assert mistakes_of(tmp_path / "reel.yaml")[0].hint == 'did you mean "zoom"?'


def test_mistakes_are_told_in_the_file_where_they_stand(write, tmp_path):
    base = BASE.replace("50%: 64", "50%: 64 ease-inn").replace("duration: 6s", "duration: $long")
    write("bases/base.yaml", base + "bled: 3\n")
    over = "extends: bases/base.yaml\nvars: {long: 6}\ntruncation: high\nframe: {zom: 2}\n"
    assert told(write("reel.yaml", over), tmp_path) == [
        ("bases/base.yaml:5:34", 'unknown ease "ease-inn"'),
        ("bases/base.yaml:10:1", 'unknown key "bled"'),
        ("reel.yaml:2:14", "6 needs a unit"),
        ("reel.yaml:3:13", '"high" is not a number'),
        ("reel.yaml:4:9", 'unknown key "zom"'),
    ]
    text = str(mistakes_of(tmp_path / "reel.yaml")[0])
    assert "blend: {swap: {0%: none, 50%: 64 ease-inn" in text and "^^^^^^^^ did you mean" in text


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("extends: gone.yaml", "gone.yaml: there is no such file"),
        (f"extends: {'x' * 5000}.yaml", f"{'x' * 100}.yaml: can't be read: File name too long"),
        ("extends: .", "is a folder, expected a timeline in YAML"),
        ("extends: latin.yaml", "is no UTF-8 text"),
        ("extends: /dev/null", "is no regular file"),
        ("extends: [base.yaml]", "extends is the file of another timeline"),
        ("extends: ''", "extends is the file of another timeline"),
        ("extends: $base", "no variable can stand in extends"),
        ("extends: reel.yaml", "in a circle: reel.yaml → reel.yaml"),
        ("extends: ./two.yaml", "in a circle: reel.yaml → two.yaml → three.yaml → reel.yaml"),
        ("extends: list.yaml", "a timeline is a map of keys"),
        ("extends: broken.yaml", "is not closed with ]"),
    ],
)
def test_a_base_that_is_none_is_one_mistake_and_others_are_told(write, tmp_path, name, message):
    write("two.yaml", "extends: three.yaml\n")
    write("three.yaml", "extends: reel.yaml\n")
    write("list.yaml", "[3]\n")
    write("broken.yaml", "[3\n")
    (tmp_path / "latin.yaml").write_bytes(b"title: \xe9\n")
    found = mistakes_of(write("reel.yaml", f"{name}\ntruncation: high\ntitle: $unknown\n"))
    (mistake,) = (mistake for mistake in found if mistake.message != '"high" is not a number')
    assert message in mistake.message and mistake.mark.line == 1
    assert len(found) == 2


def test_bases_may_lie_over_each_other_but_not_for_ever(write):
    write("0.yaml", BASE)
    for number in range(1, MOST_BASES + 2):
        write(f"{number}.yaml", f"extends: {number - 1}.yaml\ntitle: '{number}'\n")
    timeline = load_timeline(write("reel.yaml", f"extends: {MOST_BASES - 1}.yaml\n"))
    assert (timeline.title, len(timeline.bases)) == (str(MOST_BASES - 1), MOST_BASES)
    (mistake,) = mistakes_of(write("reel.yaml", f"extends: {MOST_BASES + 1}.yaml\n"))
    assert f"more than {MOST_BASES} files" in mistake.message


def test_the_command_line_has_the_last_word(write):
    write("base.yaml", BASE)
    write("other.yaml", BASE.replace("6s", "9s"))
    reel = write("reel.yaml", "extends: base.yaml\n")
    overrides = {"extends": "other.yaml", "frame.rotate": "7", "frame.zoom": "2"}
    found = lines(load_timeline(reel, overrides))
    assert (found["duration"], found["frame"]) == ("9s", "{zoom: 2, rotate: 7}")


def test_the_film_is_that_of_the_whole_timeline_and_keeps_its_base(write, tmp_path):
    tensors, metadata = tiny_tensors()
    (tmp_path / "nets").mkdir()
    write_tensors(tmp_path / "nets" / "a.safetensors", tensors, metadata)
    write_tensors(tmp_path / "nets" / "b.safetensors", relative_of(tensors), metadata)
    base = "networks: {one: a.safetensors, two: b.safetensors}\nduration: 8f\nlatents: [3, 4]\n"
    write("nets/base.yaml", base)
    reel = write(
        "reel.yaml", "extends: nets/base.yaml\nblend: {swap: {0%: none, 50%: 8, 100%: none}}\n"
    )
    whole = "blend: {swap: {0%: none, 50%: 8, 100%: none}}\n"
    paths = [reel, write("nets/whole.yaml", base + whole)]
    films = [open_film(load_timeline(path), device="cpu") for path in paths]
    assert films[0].rgb8(4).tobytes() == films[1].rgb8(4).tobytes()
    assert tmp_path / "nets" / "base.yaml" in films[0].files
