"""A document written out is read again as the same document."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from animix.errors import Mark
from animix.timeline.document import parse_document
from animix.timeline.nodes import Broken, ListNode, MapNode, TextNode, with_texts
from animix.timeline.reader import variants
from animix.timeline.yaml_text import WIDTH, quoted_text, yaml_text

EXAMPLES = [*sorted(Path("timelines").glob("*.yaml")), Path("animix/demo/demo.yaml")]
NOWHERE = Mark("", 0, 0)


def meaning(node):
    """A document without its marks; what is empty is None."""
    if isinstance(node, TextNode):
        return None if node.is_empty else node.text
    if isinstance(node, ListNode):
        return [meaning(item) for item in node.items]
    return {key.text: meaning(value) for key, value in node.entries}


def nodes(value):
    """The nodes of texts, lists and maps."""
    if isinstance(value, str):
        node = TextNode(value, NOWHERE)
        return TextNode(value, NOWHERE, plain=not node.is_empty)
    if isinstance(value, list):
        return ListNode(tuple(map(nodes, value)), NOWHERE)
    entries = ((TextNode(key, NOWHERE), nodes(inner)) for key, inner in value.items())
    return MapNode(tuple(entries), NOWHERE)


def read_again(root):
    text = yaml_text(root)
    found, mistakes = parse_document(text, "again.yaml")
    assert not mistakes, (text, mistakes)
    return found


PRINTABLE = st.characters(
    exclude_categories=["Cs", "Cc", "Cn", "Co"], include_characters="\t\n\r\x85\u2028"
).filter(lambda letter: letter not in "\ufeff\ufffe\uffff")
WORDS = st.sampled_from(
    [
        *("none", "null", "~", "", "-", "---", "...", "1:30.5", "end - 1s", "8 -> 64 quad-out"),
        *("a: b", "a #b", "*x", "[", "{a}", "=t", "0", "#fff", "'", '"', "a,b", "!x", "?", "? a"),
        *("true", "|", "%", "%x", ">", "- a", "@", "`", "&a", "a -> b"),
    ]
)
TEXTS = st.one_of(WORDS, st.text(PRINTABLE, max_size=12))
KEYS = TEXTS.filter(lambda text: text not in ("", "~", "null"))


@given(
    st.dictionaries(
        KEYS,
        st.recursive(
            TEXTS,
            lambda inner: st.one_of(
                st.lists(inner, max_size=4), st.dictionaries(KEYS, inner, max_size=4)
            ),
            max_leaves=12,
        ),
        min_size=1,
        max_size=5,
    )
)
def test_any_document_is_read_again_as_it_was(value):
    assert meaning(read_again(nodes(value))) == value


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_every_example_is_read_again_as_it_was_in_lines_that_fit(path):
    document = variants(path)[0].document
    assert meaning(read_again(document)) == meaning(document)
    assert max(map(len, yaml_text(document).splitlines())) <= WIDTH


def test_what_is_empty_stays_empty_and_a_text_that_looks_so_a_text():
    root, _ = parse_document("{a: ~, b: null, c: 'null', d: ''}", "reel.yaml")
    assert meaning(read_again(root)) == {"a": None, "b": None, "c": "null", "d": ""}


@pytest.mark.parametrize("letter", ["\x00", "\x1b", "\x7f", "\x9b", "\ud800", "\ufffe"])
def test_a_letter_that_no_yaml_may_hold_is_replaced(letter):
    assert quoted_text(f"a{letter}b") == '"a\ufffdb"'


def test_a_mistake_is_not_written():
    broken = MapNode(((TextNode("a", NOWHERE), Broken(Mark("reel.yaml", 3, 1))),), NOWHERE)
    with pytest.raises(ValueError, match=r"reel\.yaml:3:1"):
        yaml_text(broken)


def test_values_are_changed_wherever_they_stand_and_keys_are_not():
    root = nodes({"a": ["a", {"a": "a"}], "b": "b"})
    changed = with_texts(root, lambda text: text.replace("a", "x"))
    assert meaning(changed) == {"a": ["x", {"a": "x"}], "b": "b"}
