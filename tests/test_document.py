import pytest

from animix.timeline import document
from animix.timeline.document import parse_document
from animix.timeline.nodes import Broken, ListNode, MapNode, TextNode

LAUGHS = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join(['*' + before] * 10)}]\n"
    for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)


SPLIT = 'split this value into "bezier(.2", "0", ".3" and "1)"'


@pytest.fixture(params=["libyaml", "pure Python"], autouse=True)
def parser(request, monkeypatch):
    """libyaml is not built everywhere: all promises hold for both parsers."""
    if request.param == "pure Python":
        monkeypatch.setattr(document, "_Loader", document.yaml.SafeLoader)


def mistakes_of(text):
    return parse_document(text, "reel.yaml")[1]


def plain(node):
    """A node as plain Python."""
    if isinstance(node, MapNode):
        return {key.text: plain(value) for key, value in node.entries}
    if isinstance(node, ListNode):
        return [plain(item) for item in node.items]
    return node.text if isinstance(node, TextNode) else node


def value_of(node, key):
    """The value of a key of a map."""
    return next(value for name, value in node.entries if name.text == key)


def test_scalars_stay_text_whatever_yaml_1_1_would_read():
    text = "{a: on, b: 012, c: 1:30, d: 0x10, e: 2024-01-01, f: 1_000, g: no, h: .5}"
    root, mistakes = parse_document(text, "reel.yaml")
    assert not mistakes
    assert list(plain(root).values()) == [
        "on",
        "012",
        "1:30",
        "0x10",
        "2024-01-01",
        "1_000",
        "no",
        ".5",
    ]


def test_nodes_know_where_they_stand():
    root, _ = parse_document("\ufeffé: {swap: '64 ease-in'}\nb:\n  - x\n", "reel.yaml")
    (_, inner), (_, items) = root.entries
    scalar = value_of(inner, "swap")
    assert str(scalar.mark) == "reel.yaml:1:11"
    assert scalar.mark.width == len("'64 ease-in'")
    assert scalar.mark.text == "é: {swap: '64 ease-in'}"
    ease = scalar.part(3, 7)
    assert ease.text[ease.column - 1 :][: ease.width] == "ease-in"
    assert str(items.items[0].mark) == "reel.yaml:3:5"


def test_a_part_of_a_folded_text_is_the_whole():
    root, _ = parse_document("a: 64\n   ease-in\n", "reel.yaml")
    scalar = value_of(root, "a")
    assert scalar.text == "64 ease-in"
    assert scalar.part(3, 7) == scalar.mark


def test_anchors_and_aliases_work():
    root, mistakes = parse_document("a: &keys {0s: 1}\nb: *keys\nc: [&x 1, *x]\n", "reel.yaml")
    assert not mistakes
    assert plain(root) == {"a": {"0s": "1"}, "b": {"0s": "1"}, "c": ["1", "1"]}


@pytest.mark.parametrize("word", ["", "~", "null"])
def test_what_yaml_calls_null_is_empty(word):
    assert value_of(parse_document(f"a: {word}\nb: 1", "reel.yaml")[0], "a").is_empty
    assert not value_of(parse_document("a: 'null'", "reel.yaml")[0], "a").is_empty


def test_a_comment_in_the_place_of_a_value_is_remembered():
    root, _ = parse_document("background: #102030\nb: 1 # one\nc: # note\n  d\n", "reel.yaml")
    assert value_of(root, "background").comment == "#102030"
    assert value_of(root, "b").comment == ""
    assert value_of(root, "c").text == "d"


@pytest.mark.parametrize(
    ("text", "place", "message", "hint"),
    [
        ("", "", "is empty", "networks:"),
        ("# only a comment", "", "is empty", ""),
        ("a: 1\nb: 2\na: 3", "3:1", 'the key "a" stands here twice', "line 1"),
        ("a: {b: 1, b: 2}", "1:11", 'the key "b" stands here twice', "line 1"),
        ("a: 1\n---\nb: 2", "2:1", "a second document begins here", ""),
        ("a: !!python/object:os.system x", "1:4", "tags such as", "leave it out"),
        ("a: !x [1]", "1:4", 'tags such as "!x" are not read', ""),
        ("a: !<tag:yaml.org,2002:int> 3", "1:4", "tags such as", ""),
        ("? [1, 2]\n: 3", "1:3", "a key is a word", ""),
        ("{a: 1}: 3", "1:1", "a key is a word", ""),
        ("a: {0s: bezier(.2, 0, .3, 1)}", "1:9", SPLIT, "bezier .2 0 .3 1"),
        ("a: {x: =clamp(t, 0, 1), y: 2}", "1:8", "a comma inside {…} split", "in quotes"),
        ("a: {x: =clamp(t, 0, 1)}", "1:8", "a comma inside", "in quotes: \"=clamp(t, 0, 1)\""),
        ("a: Foo #1", "1:8", 'the value ends at "Foo"', '"Foo #1"'),
        ("a: [1, 2 #x\n  , 3]", "1:10", 'the value ends at "2"', "# x"),
        ("b: 1\na: {b: [3, #17]}\n", "2:8", "[ is not closed with ]", '"#17"'),
        ("b: 1\na: [3, #17]\n", "2:4", "[ is not closed with ]", '"#17"'),
        ("a: [1, rgb(1, 2, 3), 4]", "1:8", "a comma inside […] split", "in quotes"),
        ("a: {0s:4}", "1:5", 'a space is missing after "0s:"', "write 0s: 4"),
        ("a: {0s: 1, 2s:4}", "1:12", 'a space is missing after "2s:"', "write 2s: 4"),
        ("a: 1\nfps:30\nb: 2", "2:1", "a space is missing after fps:", "write fps: 30"),
        ("a: {b}", "1:5", '"b" has no value', "write b: VALUE"),
        ("a: {b\n\n  c}", "1:5", '"b c" has no value', "write b c: VALUE"),
        ("a: *.pkl", "1:4", "a leading * makes an alias", 'put it in quotes: "*.pkl"'),
        ("a: {n: *.pkl}", "1:8", "a leading * makes an alias", 'put it in quotes: "*.pkl"'),
        ("a: *keys", "1:4", 'no anchor is called "&keys"', '"*keys"'),
        ("a: *" + "k" * 999, "1:4", f'no anchor is called "&{"k" * 39}…"', ""),
        ("a: &a [*a]", "1:8", '"*a" stands inside what it is a name for', ""),
        ("a: &a {b: {c: *a}}", "1:15", '"*a" stands inside what it is a name for', ""),
        ("a: @x", "1:4", 'a value can\'t start with "@"', "in quotes"),
        ("a: %x", "1:4", 'a value can\'t start with "%"', "in quotes"),
        ("a: `x`", "1:4", 'a value can\'t start with "`"', "in quotes"),
        ("a:\n\tb: 1", "2:1", "a tab stands where YAML wants spaces", "indent with spaces"),
        ("a: 4 b: 1", "1:7", "a second key stands in the value of the first", "one key a line"),
        ("a: [red, #fff]\nb: 1", "1:4", "[ is not closed with ]", 'comment; write "#fff"'),
        ("a: [1, 2\nb: 3", "1:4", "opened here with [ is not closed", "comma"),
        ("a: {b: 1", "1:4", "opened here with { is not closed", "}"),
        ('a: "x\nb: 1', "1:4", "a quote is opened here and never closed", ""),
        ("a:\n  - 1\n b: 2", "3:2", "indented unlike its neighbours", ""),
        ("%nonsense\na: 1", "", "", ""),
        ("a\0b: 1", "1:2", "the character U+0000", ""),
        ("a: 1\nb: \x1b[31m", "2:4", "the character U+001B", ""),
        ("a: \ud800", "1:4", "the character U+D800", ""),
        ('a: "x\\0y"', "1:4", "the character U+0000", ""),
        ("[" * 1000, "1:41", "nested more than 40 levels", ""),
        ("{a: " * 1000, "1:161", "nested more than 40 levels", ""),
        ("- " * 1000, "1:81", "nested more than 40 levels", ""),
        ("\n".join(" " * n + "a:" for n in range(1000)), "41:41", "nested more than 40 levels", ""),
        (LAUGHS, "5:", "more than 100000 values", ""),
        ("[" + "x," * 200_000 + "]", "1:200000", "more than 100000 values", ""),
        ("a: " + "x" * (1 << 20), "", "is larger than a mebibyte", ""),
    ],
)  # fmt: skip
def test_what_yaml_would_misunderstand_is_a_mistake_with_its_place(text, place, message, hint):
    mistakes = mistakes_of(text)
    assert len(mistakes) == 1, [str(mistake) for mistake in mistakes]
    assert str(mistakes[0].mark).startswith(f"reel.yaml:{place}".rstrip(":"))
    assert message in mistakes[0].message
    assert hint in mistakes[0].hint
    assert len(str(mistakes[0])) < 600


def test_aliases_that_nest_too_deep_are_refused():
    nested = "a: &a " + "[" * 30 + "x" + "]" * 30 + "\nb: " + "[" * 15 + "*a" + "]" * 15
    assert "nested more than 40 levels" in mistakes_of(nested)[0].message


def test_several_mistakes_are_found_and_the_rest_is_read():
    root, mistakes = parse_document("a: {0s:4, 1s: 5}\nb: 1\nb: 2\nc: *x\n", "reel.yaml")
    assert sorted(mistake.mark.line for mistake in mistakes) == [1, 3, 4]
    assert plain(value_of(root, "a")) == {"1s": "5"}
    assert plain(value_of(root, "b")) == "1"
    assert isinstance(value_of(root, "c"), Broken)


def test_a_hundred_mistakes_end_the_reading():
    text = "".join(f"k{n}: *x{n}\n" for n in range(5000))
    assert len(mistakes_of(text)) == 100


def test_brackets_in_lists_that_balance_are_no_mistake():
    root, mistakes = parse_document("a: [f (1), 'g(1', 2]", "reel.yaml")
    assert not mistakes
    assert plain(root) == {"a": ["f (1)", "g(1", "2"]}
