"""Tables line up, and what files say does no harm in a terminal."""

import hypothesis
import hypothesis.strategies as st
import pytest

from animix.tables import count_text, from_all_along, short_path, shown, size_text, table


def test_columns_line_up():
    lines = table(["a", "number"], [["long name", "1"], ["b", "1000000"]], "<>")
    assert lines == ["a           number", "long name        1", "b          1000000"]


def test_rows_of_another_length_are_an_error():
    with pytest.raises(ValueError, match="zip"):
        table(["a", "b"], [["1"]], "<>")


@hypothesis.given(st.text(), st.integers(2, 40))
def test_texts_fit_and_are_printable(text, limit):
    for told in (shown(text, limit), short_path(text, limit)):
        assert len(told) <= limit
        assert told.isprintable()


def test_a_path_is_known_by_its_end():
    assert short_path("runs/" * 1000 + "a.pkl", 10) == "…uns/a.pkl"
    assert short_path("a.pkl", 10) == "a.pkl"


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (9999, "9999"),
        (10_000, "10 k"),
        (999_400, "999 k"),
        (999_999, "1.00 M"),
        (1e6, "1.00 M"),
        (1e9, "1000.00 M"),
    ],
)
def test_counts(number, text):
    assert count_text(number) == text


@pytest.mark.parametrize(
    ("size", "text"),
    [
        *[(0, "0 bytes"), (1, "1 byte"), (999, "999 bytes"), (1000, "1 kB"), (99_960, "100 kB")],
        *[(999_400, "999 kB"), (999_600, "1 MB"), (3.64e6, "3.64 MB"), (999_999_999, "1 GB")],
        *[(4.2e9, "4.2 GB"), (10**13, "10000 GB")],
    ],
)
def test_sizes(size, text):
    assert size_text(size) == text


@hypothesis.given(st.lists(st.integers()), st.integers(2, 20))
def test_some_from_all_along_have_both_ends(items, most):
    chosen = from_all_along(items, most)
    assert len(chosen) == min(len(items), most)
    assert chosen[:1] == items[:1] and chosen[-1:] == items[-1:]
