import os
import re
from fractions import Fraction
from pathlib import Path

import pytest

from animix.errors import TimelineError
from animix.timeline.output import LARGEST_FPS_TERM
from animix.timeline.reader import load_timeline, read_timeline
from animix.video.settings import MAX_RATE_TERM

SMALL = """\
networks: {faces: ffhq.pkl, ukiyoe: ukiyoe.pkl}
duration: 6s
latents: [3, 17, 42]
blend: {swap: {0%: all, 50%: 64, 100%: all}}
"""

LARGE = """\
title: Porcelain
size: 1080x1920
fps: 30
duration: 15s
loop: true
networks:
  faces: ffhq-1024.pkl
  anime: "runs/anime/network-snapshot-*.pkl"    # a training run: its snapshots in order
  marble: [marble-1.pkl, marble-2.pkl]
mapping: anime
latents: {seeds: [11, 42, 7, 85], every: 2s, ease: sine-in-out}
truncation: {start: 0.7, 7.5s: 0.9, end: 0.7}
label: {0s: 1 hold, 5s: 3 hold}
noise: {loop: 5s}
blend:
  - faces
  - anime:
      swap: {0s: none, 50% - 1f: 64 ease-in, 50%: 8 hold, 13s: 8, end: none}
      width: 1.5
      snapshot: {0%: first, 7s: last, end: first}
  - marble:
      take: low
      alpha:
        4..32: 0
        64..256:
          0s: 0 hold
          7s..13s every 1s: 0.8 -> 0.2 expo-out
          end: 0
        512..: 0.35
frame: {fit: cover, zoom: {0s: 1, 7s: 1.12 back-out, end: 1}, pan: {0s: 0, 3s: 0.1 -0.1 linear},
        rotate: 5, background: "#102030"}
output: films/porcelain.mp4
"""

KEYED = """\
networks: {a: [a.pkl, b.pkl]}
duration: 1:30
fps: 30000/1001
blend: {snapshot: {start: 1, end: 2 bezier .2 0 .3 1}}
latents: {0s: 3, 2s: me.npz ease-in, end: 3}
frame: {rotate: {0s..end every 1s: 0 -> 90 spring 0.4}}
"""


def mistakes_of(text, overrides=None, path="reel.yaml"):
    with pytest.raises(TimelineError) as caught:
        read_timeline(text, path, overrides)
    return caught.value.mistakes


def with_key(line):
    return f"networks: {{faces: ffhq.pkl}}\nduration: 6s\n{line}\n"


def test_a_small_timeline_has_the_defaults():
    timeline = read_timeline(SMALL, "films/reel.yaml")
    assert timeline.title == "reel"
    assert (timeline.size, timeline.fps, timeline.duration_seconds) == (None, 30, 6)
    assert (timeline.loop, timeline.num_frames) == ("auto", 180)
    assert timeline.networks["faces"].patterns == ("ffhq.pkl",)
    assert (timeline.mapping, timeline.label, timeline.output.file) == ("faces", None, None)
    assert timeline.truncation.track_at(64).keys[0].value == 0.7
    assert (timeline.noise.kind, timeline.frame.fit) == ("fixed", "blur")
    assert timeline.frame.background == (0, 0, 0)
    framing = (
        timeline.frame.zoom,
        timeline.frame.pan_x,
        timeline.frame.pan_y,
        timeline.frame.rotate,
    )
    assert [track.keys[0].value for track in framing] == [1, 0, 0, 0]
    assert timeline.notes == ()


def test_a_large_timeline_is_read_whole():
    timeline = read_timeline(LARGE, "/films/reel.yaml")
    assert (timeline.title, timeline.size, timeline.loop) == ("Porcelain", (1080, 1920), True)
    assert timeline.networks["anime"].patterns == ("runs/anime/network-snapshot-*.pkl",)
    assert timeline.networks["marble"].patterns == ("marble-1.pkl", "marble-2.pkl")
    assert timeline.mapping == "anime"
    assert [layer.network for layer in timeline.blend] == ["faces", "anime", "marble"]
    assert timeline.blend[2].take == "low"
    assert (timeline.noise.kind, timeline.noise.period_seconds) == ("loop", 5)
    assert timeline.frame.background == (16, 32, 48)
    assert timeline.output.file == Path("/films/films/porcelain.mp4")
    assert [key.value for key in timeline.label.keys] == [1, 3]


@pytest.mark.parametrize(
    ("line", "attribute", "expected"),
    [
        ("fps: 29.97", "fps", Fraction(2997, 100)),
        ("fps: 30000/1001", "fps", Fraction(30000, 1001)),
        ("fps: 1000", "fps", Fraction(1000)),
        ("size: 1080 x 1920", "size", (1080, 1920)),
        ("size: 641x361", "size", (642, 362)),
        ("loop: false", "loop", False),
        ("loop: auto", "loop", "auto"),
        ("title: 'on: #1'", "title", "on: #1"),
        ("title: 012", "title", "012"),
    ],
)
def test_single_keys(line, attribute, expected):
    assert getattr(read_timeline(with_key(line), "reel.yaml"), attribute) == expected


def test_an_odd_size_is_rounded_up_and_the_user_told():
    (note,) = read_timeline(with_key("size: 641x361"), "reel.yaml").notes
    assert note.startswith("size 641x361 is rounded up to 642x362")


@pytest.mark.parametrize(
    ("duration", "fps", "num_frames"),
    [
        ("8.3s", "30", 249),
        ("1f", "30", 1),
        ("1ms", "30", 1),
        ("10.01s", "30", 300),
        ("5s", "29.97", 150),
    ],
)
def test_frames_are_counted_exactly_halves_up(duration, fps, num_frames):
    text = f"{{networks: {{a: a.pkl}}, duration: {duration}, fps: {fps}}}"
    assert read_timeline(text, "reel.yaml").num_frames == num_frames


@pytest.mark.parametrize(
    ("line", "column", "message", "hint"),
    [
        ("fps: 0", 6, "frames per second: expected 0.1 to 1000", "29.97"),
        ("fps: 0.05", 6, "frames per second: expected 0.1 to 1000", "29.97"),
        ("fps: 29.9700001", 6, "expected a ratio of numbers up to 1001000", "29.97"),
        ("fps: 1001", 6, "frames per second", "29.97"),
        ("fps: 30/0", 6, "frames per second", "29.97"),
        ("fps: .nan", 6, '".nan" is no number of frames per second', ""),
        ("fps: {0s: 1}", 6, "fps is a number, found a map", ""),
        ("fps:", 5, "fps has no value", ""),
        ("size: 1080", 7, '"1080" is no size', "WIDTHxHEIGHT"),
        ("size: 8x1080", 7, "a side of 8 pixels", ""),
        ("size: 99999x1080", 7, "a side of 99999 pixels", ""),
        ("loop: on", 7, 'unknown loop "on"', 'did you mean "true"?'),
        ("mapping: face", 10, 'unknown network "face"', 'did you mean "faces"?'),
        ("noise: const", 8, 'unknown noise "const"', "fixed, none or random"),
        ("noise: {loop: 0s}", 15, "no length above 0", ""),
        ("noise: {lop: 4s}", 9, 'unknown key "lop"', 'did you mean "loop"?'),
        ("noise: {}", 8, "noise has no loop", "{loop: 4s}"),
        ("frame: blur", 8, "frame is a map of keys", "zoom"),
        ("frame: {fit: blurr}", 14, 'unknown fit "blurr"', 'did you mean "blur"?'),
        (
            "size: 400x98\nframe: {fit: extend}",
            14,
            "fit: extend reaches 4:1, but 400x98 is longer",
            "sides of up to 392 pixels beside 98",
        ),
        ("frame: {fit: Extend}", 14, 'unknown fit "Extend"', 'did you mean "extend"?'),
        ("frame: {speed: 2}", 9, 'unknown key "speed"', "frame has fit"),
        ("speed: 2", 1, 'unknown key "speed"', ""),
        ("into: me.npz", 1, 'unknown key "into"', ""),
        ("title: Foo #1", 12, 'a # starts a comment: the value ends at "Foo"', '"Foo #1"'),
        ("truncation: 0.7 #0.9", 17, "a # starts a comment", '"0.7 #0.9"'),
        ("truncation: $calm", 13, "there is no $calm", "write vars: {calm: VALUE}"),
        ("title: '${name} in motion'", 9, "there is no $name", ""),
        ("frame: {zoom: {0s: $a, 1s: 1}}", 20, "there is no $a", ""),
        ("mapping: $base", 10, "there is no $base", ""),
        ("fps: =30", 6, "no expression can stand here", "where a value may"),
        ("frame: {fit: =x}", 14, "no expression can stand here", "where a value may"),
        ("frame: {into: me.png}", 15, '"me.png" is no projected photo', "write into: me.npz"),
        ("frame: {into: [me.npz]}", 15, "into is a projected photo's .npz, found a list", ""),
        ("frame: {into: a.npz, fit: stretch}", 27, "fit: stretch does not go with into", "cover"),
        ("frame: {into: a.npz, fit: extend}", 27, "fit: extend does not go with into", "cover"),
        (
            "frame: {into: a.npz}\noutput: {preset: reels, fit: stretch}",
            18,
            "fit: stretch does not go with into",
            "cover",
        ),
        ("frame: {background: redd}", 21, 'unknown colour "redd"', 'did you mean "red"?'),
        ("frame: {background: '#12345'}", 22, 'unknown colour "#12345"', "#102030"),
        ("frame:\n  background: #102030", 14, "a # starts a comment", 'in quotes: "#102030"'),
        ("bpm: 128", 1, 'unknown key "bpm"', "write audio: {bpm: 128}"),
        ("variants: {seed: 1..20}", 12, "nothing reads $seed", ""),
        ("extends: base.yaml", 10, "base.yaml: there is no such file", ""),
        ("nettworks: {}", 1, 'unknown key "nettworks"', 'did you mean "networks"?'),
        ("zzzzz: 1", 1, 'unknown key "zzzzz"', "a timeline has title, size"),
        ("title: ' '", 8, "title has no value", "expected a text"),
        ('title: "a\\0b"', 8, "the character U+0000 can't stand in a value", ""),
        ("latents: {seeds: [' ']}", 19, "a latent has no value", ""),
        ("title: [a]", 8, "title is a text, found a list", ""),
    ],
)
def test_what_a_key_cannot_be_is_a_mistake_with_its_column(line, column, message, hint):
    (found,) = mistakes_of(with_key(line))
    assert found.mark.column == column
    assert message in found.message
    assert hint in found.hint


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        ("duration: 6s", "reel.yaml", "networks is missing"),
        ("networks: {a: a.pkl}", "reel.yaml", "duration is missing"),
        ("networks: {a: a.pkl}\nduration: 6", "reel.yaml:2:11", "6 needs a unit"),
        ("networks: {a: a.pkl}\nduration: 8bar", "reel.yaml:2:11", "beats and bars need a bpm"),
        ("networks: {a: a.pkl}\nduration: 100%", "reel.yaml:2:11", "is a place in the clip"),
        ("networks: {a: a.pkl}\nduration: 999999999999s", "reel.yaml:2:11", "2.78e+08 hours"),
        ("networks: {a: a.pkl}\nduration: 200:00:00", "reel.yaml:2:11", "200 hours are more than"),
        ("networks: a.pkl\nduration: 6s", "reel.yaml:1:11", "networks is a map of names"),
        ("networks: {}\nduration: 6s", "reel.yaml:1:11", "networks has no names"),
        ("networks: {a: []}\nduration: 6s", "reel.yaml:1:15", "a has no files"),
        ("networks: {a: {b: c}}\nduration: 6s", "reel.yaml:1:15", "found a map"),
        ("networks: {a: }\nduration: 6s", "reel.yaml:1:15", "a has no value"),
        ("networks: {2x: a.pkl}\nduration: 6s", "reel.yaml:1:12", '"2x" can\'t name a network'),
        ("networks: {a-b: a.pkl}\nduration: 6s", "reel.yaml:1:12", '"a-b" can\'t name'),
        ("networks: {end: a.pkl}\nduration: 6s", "reel.yaml:1:12", "a word of this language"),
        ("networks: {swap: a.pkl}\nduration: 6s", "reel.yaml:1:12", "a word of this language"),
        ("[1, 2]", "reel.yaml:1:1", "a timeline is a map of keys"),
        ("just a text", "reel.yaml:1:1", "a timeline is a map of keys"),
        ("", "reel.yaml", "is empty"),
    ],
)
def test_what_a_timeline_cannot_do_without(text, place, message):
    (found,) = mistakes_of(text)
    assert str(found.mark) == place
    assert message in found.message


MANY_MISTAKES = """\
titel: Reel
size: 10x20
fps: 0
duration: 6s
loop: yes
networks: {faces: ffhq.pkl, 2x: b.pkl, anime: a.pkl}
latents: {seeds: [1, -2, x.png, 5 ease-inn], every: 50%, spaec: w}
truncation: {4..32: 0.7, 16..64: 1, 48: 2, 2s: 1}
blend:
  - faces: {swap: 64, snapshot: 0}
  - anmie: {swap: 64}
  - anime:
      swap: {0s: 2, 3: 64, 50%: al, strat: 8, bar 0: 4, 9s: 4}
      alpha: =0.35 + sinee(2s)
      width: {0s: 0, 2s: .nan, 2000ms: 1}
      take: hihg
noise: const
frame: {background: redd, zoom: {0s: 1 bezier(.2, 0, .3, 1), 2s: 1}, pan: {0s:0}}
audio: {file: x.wav, bpm: 120bpm}
fps: 30
"""
EXPECTED = [
    ("1:1", 'unknown key "titel"', 'did you mean "title"?'),
    ("2:7", "a side of 10 pixels", ""),
    ("3:6", "frames per second", "29.97"),
    ("5:7", 'unknown loop "yes"', "true"),
    ("6:29", '"2x" can\'t name a network', "a letter"),
    ("7:22", '"-2" is no seed', ""),
    ("7:26", '"x.png" is no latent', ".npz"),
    ("7:35", 'unknown ease "ease-inn"', 'did you mean "ease-in"?'),
    ("7:53", '"50%" is a place in the clip', ""),
    ("7:58", 'unknown key "spaec"', 'did you mean "space"?'),
    ("8:26", "overlap", ""),
    ("8:37", '"48" is no resolution', "write 32 or 64"),
    ("8:44", '"2s" is a time among the resolutions', ""),
    ("10:13", "faces is the base", ""),
    ("10:33", "snapshot of faces can't be 0", ""),
    ("11:5", 'unknown network "anmie"', 'did you mean "anime"?'),
    ("13:18", "swap of anime can't be 2", ""),
    ("13:21", "3 needs a unit", "write 3s"),
    ("13:33", '"al" is not a number', 'did you mean "all"?'),
    ("13:37", '"strat" is not a time', 'did you mean "start"?'),
    ("13:47", "bars are counted from 1", "start"),
    ("13:57", '"9s" lies after the end', ""),
    ("14:22", 'unknown name "sinee"', 'did you mean "sine"?'),
    ("15:19", "width of anime can't be 0", ""),
    ("15:26", '".nan" is not a finite number', ""),
    ("15:32", "two keys of width of anime at one instant", "line 15"),
    ("16:13", 'unknown take "hihg"', 'did you mean "high"?'),
    ("17:8", 'unknown noise "const"', ""),
    ("18:21", 'unknown colour "redd"', 'did you mean "red"?'),
    ("18:38", "a comma inside {…} split this value", "bezier .2 0 .3 1"),
    ("18:76", 'a space is missing after "0s:"', "write 0s: 0"),
    ("19:27", "no number of beats a minute", "write bpm: 128"),
    ("20:1", 'the key "fps" stands here twice', "line 3"),
]


def test_all_mistakes_of_a_file_are_found_in_one_run_and_nothing_else():
    found = mistakes_of(MANY_MISTAKES)
    places = [str(mistake.mark).removeprefix("reel.yaml:") for mistake in found]
    assert places == [place for place, _, _ in EXPECTED]
    for mistake, (_, message, hint) in zip(found, EXPECTED, strict=True):
        assert message in mistake.message
        assert hint in mistake.hint


def test_a_mistake_reads_like_a_compilers():
    text = SMALL.replace("50%: 64", "50%: 64 ease-inn")
    (found,) = mistakes_of(text)
    assert str(found).splitlines() == [
        'reel.yaml:4:33  unknown ease "ease-inn"',
        "    4 | blend: {swap: {0%: all, 50%: 64 ease-inn, 100%: all}}",
        '      |                                 ^^^^^^^^ did you mean "ease-in"?',
    ]


def test_a_frame_rate_that_is_read_is_one_that_can_be_written():
    assert LARGEST_FPS_TERM == MAX_RATE_TERM


@pytest.mark.parametrize(
    ("blend", "mapping"),
    [("[two, one]", "two"), ("[one, two]", "one"), ("{swap: 64}", "one")],
)
def test_the_mapping_is_that_of_the_base_unless_it_is_named(blend, mapping):
    text = f"networks: {{one: a.pkl, two: b.pkl}}\nduration: 6s\nblend: {blend}\n"
    assert read_timeline(text, "reel.yaml").mapping == mapping
    assert read_timeline(text + "mapping: two\n", "reel.yaml").mapping == "two"


@pytest.mark.parametrize("line", ["a: 1  # note", "a: 1 ### note", "a: 1 #----", "a: '1' #note"])
def test_what_is_dressed_as_a_comment_is_one(line):
    assert read_timeline(with_key(line.replace("a:", "truncation:")), "reel.yaml").num_frames == 180


@pytest.fixture
def reel(tmp_path):
    def write(content):
        path = tmp_path / "reel.yaml"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


def test_a_file_is_loaded_and_its_outputs_lie_beside_it(reel):
    path = reel(SMALL + "output: out/film.mp4\n")
    timeline = load_timeline(str(path), {"fps": "25"})
    assert timeline.path == path
    assert timeline.output.file == path.parent / "out" / "film.mp4"
    assert timeline.num_frames == 150


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"\xff\xfe\x00", "no UTF-8 text"),
        ("networks: {}".encode("utf-16"), "no UTF-8 text"),
        (b"\x80\x02}q\x00.", "no UTF-8 text"),
        (b"a: 1\0", "U+0000"),
        (b"#" * (1 << 20) + b"\n", "larger than a mebibyte"),
        (b"blend: {swap: {" + b"0s: 1, " * 1_000_000, "larger than a mebibyte"),
    ],
)
def test_files_that_are_no_timelines_are_refused(reel, content, message):
    with pytest.raises(TimelineError, match=re.escape(message)):
        load_timeline(reel(content))


def test_paths_that_are_no_files_are_refused_and_not_opened(tmp_path):
    os.mkfifo(tmp_path / "pipe.yaml")
    places = {"pipe.yaml": "no regular file", "": "a folder", "none.yaml": "no such file"}
    places |= {"a\0b": "can't be read", "x" * 5000: "can't be read"}
    for name, message in places.items():
        with pytest.raises(TimelineError, match=message):
            load_timeline(tmp_path / name)
