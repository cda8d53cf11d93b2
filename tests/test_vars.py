"""Variables stand for what they say, wherever they are read, and are never a way to do harm."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from animix.timeline.document import parse_document
from animix.timeline.nodes import TextNode
from animix.timeline.reader import read_timeline
from animix.timeline.variables import Values, escaped, fill, references
from animix.timeline.yaml_text import yaml_text
from tests.test_reader import mistakes_of

START = "networks: {faces: a.pkl, anime: b.pkl}\nduration: 6s\n"
VARS = (
    "vars: {hi: 0.8, low: -0.1, sum: 1 + 2, wave: =0.1*sine(2s), pace: 2s, way: ease-in,"
    " look: anime, seeds: [3, 17], layer: {swap: 64, take: low},"
    " mix: '$look and ${hi}', wide: 1080, at: 50%}\n"
)


def document(line):
    """What a line means, as YAML, without the lines before it."""
    timeline = read_timeline(START + VARS + line, "reel.yaml")
    text = yaml_text(timeline.document)
    return text.removeprefix(START)


@pytest.mark.parametrize(
    ("line", "meaning"),
    [
        ("truncation: $hi", "truncation: 0.8\n"),
        ("truncation: ${hi}", "truncation: 0.8\n"),
        ('truncation: "$hi"', "truncation: 0.8\n"),
        ("latents: $seeds", "latents: [3, 17]\n"),
        ("blend: $layer", "blend: {swap: 64, take: low}\n"),
        ("blend: [faces, $look]", "blend: [faces, anime]\n"),
        ("blend: [faces, {$look: $layer}]", "blend: [faces, {anime: {swap: 64, take: low}}]\n"),
        ("title: by ${look}, $hi", 'title: "by anime, 0.8"\n'),
        ("title: take${pace}x$wide", "title: take2sx1080\n"),
        ("title: $look$look", "title: animeanime\n"),
        ("title: $mix", 'title: "anime and 0.8"\n'),
        ("title: it costs $$five, or 5 $, or $5", 'title: "it costs $five, or 5 $, or $5"\n'),
        ("size: ${wide}x1920", "size: 1080x1920\n"),
        ("mapping: $look", "mapping: anime\n"),
        (
            "truncation: {0s: $hi $way, $at: 1, end: $hi}",
            "truncation: {0s: 0.8 ease-in, 50%: 1, end: 0.8}\n",
        ),
        (
            "truncation: {0s..6s every $pace: 1 -> $hi}",
            "truncation: {0s..6s every 2s: 1 -> 0.8}\n",
        ),
        ("frame: {rotate: =$low*2}", 'frame: {rotate: "=(-0.1)*2"}\n'),
        ("frame: {rotate: =2*$sum}", 'frame: {rotate: "=2*(1 + 2)"}\n'),
        ("frame: {rotate: =1 + $wave}", 'frame: {rotate: "=1 + (0.1*sine(2s))"}\n'),
        ("frame: {rotate: $wave}", 'frame: {rotate: "=0.1*sine(2s)"}\n'),
        ("frame: {rotate: =sine($pace)}", 'frame: {rotate: "=sine(2s)"}\n'),
        (
            "frame: {rotate: {0s: =1/3 $way, end: 0}}",
            'frame: {rotate: {0s: "=1/3 ease-in", end: 0}}\n',
        ),
        ("frame: {pan: $low $low}", "frame: {pan: -0.1 -0.1}\n"),
    ],
)
def test_a_variable_stands_for_its_value(line, meaning):
    assert document(line) == meaning


@pytest.mark.parametrize(
    ("lines", "place", "message", "hint"),
    [
        ("truncation: $sums", "4:13", "there is no $sums", 'did you mean "$sum"?'),
        ("truncation: $zzzzz", "4:13", "there is no $zzzzz", "there are $hi, $low"),
        ("title: so ${lok} it is", "4:11", "there is no $lok", 'did you mean "$look"?'),
        ("title: a ${lo ok}", "4:10", '"${lo ok}" names no variable', 'write "${name}"'),
        ("title: a ${look", "4:10", '"${look" names no variable', 'write "${name}"'),
        (
            "title: a $layer",
            "4:10",
            "$layer is a map: it can't stand inside a text",
            "$layer alone",
        ),
        ("title: a $seeds", "4:10", "$seeds is a list: it can't", ""),
        ("blend: {$layer: 3}", "4:9", "$layer is a map: it can't stand inside a text", ""),
        (
            "frame: {zoom: {0s: 1, 2s: 2, $pace: 3}}",
            "4:30",
            'the key "2s" stands here twice',
            "line 4",
        ),
        ("truncation: $look", "3:91", '"anime" is not a number', ""),
        ("truncation: {0s: 1 $look, end: 1}", "4:18", 'unknown ease "anime"', ""),
        (
            "latents: {seeds: ${hi}}",
            "4:10",
            "is not closed with }",
            "write $hi, or put all of it in",
        ),
    ],
)
def test_a_mistake_stands_where_its_text_stands(lines, place, message, hint):
    (mistake,) = mistakes_of(START + VARS + lines)
    assert str(mistake.mark) == f"reel.yaml:{place}"
    assert message in mistake.message and hint in mistake.hint


def test_a_value_that_does_not_fit_says_where_it_is_read():
    (mistake,) = mistakes_of(START + "vars: {psi: high}\ntruncation: $psi\n")
    assert str(mistake).startswith('reel.yaml:3:13  "high" is not a number')
    assert "(read at reel.yaml:4:13)" in str(mistake)
    # Read twice, it is told once.
    assert len(mistakes_of(START + "vars: {psi: high}\ntruncation: {0s: $psi, end: $psi}\n")) == 1


@pytest.mark.parametrize(
    ("lines", "place", "message"),
    [
        ("vars: [3]", "3:7", "vars is a map of names to values"),
        ("vars:", "3:6", "vars is a map of names to values"),
        ("vars: {a b: 3}", "3:8", '"a b" can\'t name a variable'),
        ("vars: {a: $a}\ntitle: $a", "3:11", "in a circle: a → a"),
        ("vars: {a: $b, b: $c, c: x$a}\ntitle: $a", "3:26", "in a circle: a → b → c → a"),
        ("vars: {a: }\ntitle: $a", "3:11", "title has no value"),
    ],
)
def test_vars_that_are_none_are_mistakes(lines, place, message):
    (mistake,) = mistakes_of(f"{START}{lines}\n")
    assert str(mistake.mark) == f"reel.yaml:{place}"
    assert message in mistake.message


def test_all_mistakes_are_found_in_one_run():
    text = f"{START}vars: {{hi: 0.8}}\ntitle: $a\ntruncation: $b\nlatents: [x]\nbled: $hi\n"
    assert [mistake.mark.line for mistake in mistakes_of(text)] == [4, 5, 6, 7]


def test_the_command_line_sets_them():
    text = f"{START}vars: {{psi: 0.8}}\ntruncation: $psi\n"
    timeline = read_timeline(text, "reel.yaml", {"vars.psi": "0.5", "title": "psi $psi"})
    assert timeline.truncation.track_at(64).keys[0].value == 0.5
    assert timeline.title == "psi 0.5"
    (mistake,) = mistakes_of(text, {"vars.psi": "high"})
    assert str(mistake.mark) == "--set vars.psi:1:1"


def test_of_one_that_nobody_reads_there_is_a_note():
    timeline = read_timeline(f"{START}vars: {{a: 1, b: $a, c: 2}}\ntitle: $b\n", "reel.yaml")
    assert timeline.notes == ("vars: nothing reads $c",)


def many(value, of_them):
    """Thirty variables, each of several of the one before."""
    lines = [f"  a{number}: {of_them(f'$a{number - 1}')}\n" for number in range(1, 30)]
    return f"vars:\n  a0: {value}\n{''.join(lines)}title: $a29\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (many("lol", lambda name: name * 10), "more than a mebibyte"),
        (many("[1]", lambda name: f"[{', '.join([name] * 9)}]"), "more than 100000 values"),
        (many("1", lambda name: f"{{x: {{y: {name}}}}}"), "more than 40 levels deep"),
        (many("1", lambda name: "[" * 30 + name + "]" * 30), "more than 40 levels deep"),
        ("vars: {a: ''}\ntitle: " + "${a}" * 200_000 + "\n", "more than 100000 values"),
        ("vars: {a: " + "x" * 500_000 + "}\ntitle: " + "$a" * 5000 + "\n", "more than a mebibyte"),
        ("title: " + "$a" * 20_000 + "\n", "there is no $a"),
        ("title: " + "${" * 20_000 + "\n", "names no variable"),
        (
            "vars:\n" + "".join(f"  a{n}: $a{n - 1}\n" for n in range(900)) + "title: $a899\n",
            "more than 40 deep",
        ),
        ("vars:\n" + "".join(f"  a{n}: 1\n" for n in range(1001)), "1001 variables"),
    ],
)
def test_what_grows_without_end_is_refused_at_once(text, message):
    start = time.process_time()
    assert any(message in mistake.message for mistake in mistakes_of(START + text))
    assert time.process_time() - start < 20


@given(st.text(alphabet="$a{}bx ="))
def test_an_escaped_text_stands_for_itself(text):
    mark = parse_document("a", "reel.yaml")[0].mark
    node, mistakes = fill(TextNode(escaped(text), mark), Values({}))
    assert (node.text, mistakes) == (text, [])


@given(st.dictionaries(st.sampled_from("abcd"), st.text(alphabet="$abcd{} =+1", max_size=12)))
def test_filling_in_always_ends_in_a_text_or_a_mistake(values):
    mark = parse_document("a", "reel.yaml")[0].mark
    nodes = {name: TextNode(text, mark) for name, text in values.items()}
    node, mistakes = fill(TextNode("$a ${b}$c$d", mark), Values(nodes))
    assert isinstance(node, TextNode) != bool(mistakes)


def test_names_are_found_from_left_to_right():
    found = references("$a-${b}$c $$d ${e")
    assert [one.name for one in found] == ["a", "b", "c", "", "e"]
    assert [one.is_broken for one in found] == [False] * 4 + [True]
