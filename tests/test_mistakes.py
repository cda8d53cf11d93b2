"""A timeline with dozens of mistakes: one run tells each once, at its place, with its cure."""

from pathlib import Path

import pytest

from animix.errors import TimelineError
from animix.timeline.document import MOST_LEFT_OUT, parse_document
from animix.timeline.nodes import Broken, MapNode
from animix.timeline.reader import load_timeline, read_timeline

FILE = Path(__file__).parent / "mistakes.yaml"

MISTAKES = [
    # line, column and width of what is marked, the message, the hint
    (2, 13, "#1", 'a # starts a comment: the value ends at "Reel"', 'quote the value: "Reel #1"'),
    (7, 3, "end", '"end" can\'t name a network: it is a word of this language', "such as end_1"),
    (8, 9, "!glob clay-*.pkl", 'tags such as "!glob" are not read', "leave it out"),
    (10, 1, "duration", 'the key "duration" stands here twice', "the other stands in line 9"),
    (11, 1, "f", "a space is missing after fps:", "write fps: 24"),
    (12, 7, "1080", '"1080" is no size', "write WIDTHxHEIGHT, such as 1080x1920"),
    (13, 7, "yes", 'unknown loop "yes"', 'did you mean "true"?'),
    (14, 1, "bpm", 'unknown key "bpm"', "it stands under audio: write audio: {bpm: 128}"),
    (15, 1, "traunction", 'unknown key "traunction"', 'did you mean "truncation"?'),
    (16, 28, "drp", '"drp" is not a time', 'did you mean "drop"?'),
    (17, 24, "intro", '"intro" is not a time', 'did you mean "outro"?'),
    (18, 38, "2", "2 needs a unit", "write 2s (seconds), 2f (frames), 2b (beats) or 2bar"),
    (19, 26, "16..64", '"16..64" and "4..32" overlap', "both ends of a range of resolutions"),
    (20, 8, "{", "what is opened here with { is not closed with }", "} at the end"),
    (21, 15, "50%", '"50%" is a place in the clip, not a length', "lengths look like 2s"),
    (22, 10, "face", 'unknown network "face"', 'did you mean "faces"?'),
    (24, 8, "cotain", 'unknown fit "cotain"', 'did you mean "contain"?'),
    (25, 10, "0s:1", 'a space is missing after "0s:"', "write 0s: 1"),
    (26, 8, "0.1", "pan takes 2 numbers, found 1", "write pan: 0.1 0"),
    (27, 25, "ease-inn", 'unknown ease "ease-inn"', 'did you mean "ease-in"?'),
    (28, 15, "navi", 'unknown colour "navi"', 'did you mean "navy"?'),
    (31, 34, "48px", '"48px" is not a number', "swap of anime is a number, all or none"),
    (32, 5, "marbel", 'unknown network "marbel"', 'did you mean "marble"?'),
    (33, 35, "10s", '"10s" lies after the end of the clip', "the duration is 8s"),
    (34, 37, "0f", "two keys of alpha of marble at 4..64 at one instant", "in line 34"),
    (35, 28, "32..64", '"32..64" is a resolution among the times', "a time needs a unit"),
    (36, 26, "1 bezier(.2, 0, .3, 1)", "a comma inside {…} split this", "1 bezier .2 0 .3 1"),
    (37, 31, "sinus", 'unknown name "sinus" in an expression', 'did you mean "sin"?'),
    (38, 20, "hihg", 'unknown take "hihg"', 'did you mean "high"?'),
    (39, 37, "+", "a value is missing at the end of the expression", ""),
    (40, 28, "4s", '"4s" has no value', "write 4s: VALUE"),
    (41, 31, "12s..8s", '"12s..8s" ends before it starts', "such as 12s or 12s..40s"),
    (41, 40, "fade_in", 'unknown key "fade_in"', 'did you mean "fade-in"?'),
    (41, 66, "0", "a loudness of 0 LUFS: expected -50 to -5", "write loudness: -14"),
    (42, 10, "rels", 'unknown output preset "rels"', 'did you mean "reels"?'),
    (
        42,
        16,
        "reel.avi",
        '"reel.avi" names no kind of film',
        "that ends in .mp4, .webm, .mov, .gif",
    ),
    (42, 45, "20", "gif has no crf: its quality is fixed", "leave crf out"),
    (42, 71, "h246", 'unknown codec "h246"', 'did you mean "h264"?'),
]


def test_all_mistakes_of_a_file_are_told_in_one_run():
    with pytest.raises(TimelineError) as caught:
        load_timeline(FILE)
    lines = FILE.read_text(encoding="utf-8").splitlines()
    told = caught.value.mistakes
    assert [(m.mark.line, m.mark.column) for m in told] == [row[:2] for row in MISTAKES]
    for mistake, (line, column, marked, message, hint) in zip(told, MISTAKES, strict=True):
        assert mistake.mark.file == str(FILE)
        assert mistake.mark.text == lines[line - 1]
        assert mistake.mark.text[column - 1 :][: mistake.mark.width] == marked
        assert message in mistake.message
        assert hint in mistake.hint


def test_check_tells_them_all(run):
    code, out, err = run("check", FILE)
    assert (code, out) == (2, "")
    assert err.endswith(f"{len(MISTAKES)} mistakes in {FILE}\n")
    for line, column, *_ in MISTAKES:
        assert f"{FILE}:{line}:{column}  " in err


GOOD = """networks: {faces: ffhq.pkl, anime: anime.pkl}
duration: 6s
latents: [3, 17]
size: 64x64
fps: 25
noise: fixed
"""


def test_what_is_good_has_no_mistake():
    assert read_timeline(GOOD, "reel.yaml").num_frames == 150


@pytest.mark.parametrize(
    ("line", "spoilt", "message"),
    [
        (1, "networks: {faces: ffhq.pkl, anime: *.pkl}", "a leading * makes an alias"),
        (1, "networks:\n\tfaces: ffhq.pkl", "a tab stands where YAML wants spaces"),
        (2, "duration 6s", "a key needs a colon and a space after it"),
        (2, "duration:6s", "a space is missing after duration:"),
        (3, "latents: [3, 17", "opened here with [ is not closed"),
        (3, "latents: [3, #17]", "opened here with [ is not closed"),
        (3, "latents:\n  - 3\n 17", "indented unlike its neighbours"),
        (4, 'size: "64x64', "a quote is opened here and never closed"),
        (5, "fps: @25", "a value can't start with"),
        (5, "fps: 25 loop: true", "a second key stands in the value of the first"),
        (6, "noise: {loop: 4s", "opened here with { is not closed"),
        (6, "noise: `fixed`", "a value can't start with"),
    ],
)  # fmt: skip
def test_what_is_no_yaml_hides_no_other_mistake(line, spoilt, message):
    lines = GOOD.splitlines()
    lines[line - 1] = spoilt
    text = "\n".join(["title: [a]", *lines, "frame: {fit: cotain}"])
    with pytest.raises(TimelineError) as caught:
        read_timeline(text, "reel.yaml")
    first, found, last = caught.value.mistakes
    assert "title is a text" in first.message
    assert message in found.message
    assert found.mark.line in (line + 1, line + 2, line + 3)
    assert found.mark.text in text.splitlines()
    assert last.hint == 'did you mean "contain"?'


def test_what_is_left_out_is_broken_and_its_anchors_are_not_missed():
    root, mistakes = parse_document("a: &x [1\nb: *x\nc: {d: *x}\ne: 1\n", "reel.yaml")
    assert len(mistakes) == 1
    assert isinstance(root, MapNode)
    kinds = {key.text: isinstance(value, Broken) for key, value in root.entries}
    assert kinds == {"a": True, "b": True, "c": False, "e": False}


def test_very_many_lines_that_are_no_yaml_end_the_reading():
    _, mistakes = parse_document("a: [1\n" * 50_000, "reel.yaml")
    assert len(mistakes) == MOST_LEFT_OUT + 1
