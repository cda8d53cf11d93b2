"""Tables line up, and what files say does no harm in a terminal."""

import hypothesis
import hypothesis.strategies as st
import pytest

from animix.tables import count_text, short_path, shown, size_text, table


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
    ("number", "text"), [(9999, "9999"), (10_000, "10 k"), (999_400, "999 k"), (1e6, "1.00 M")]
)
def test_counts(number, text):
    assert count_text(number) == text


@pytest.mark.parametrize(
    ("size", "text"),
    [(999, "999 bytes"), (1000, "1 kB"), (999_600, "1000 kB"), (3.64e6, "3.64 MB")],
)
def test_sizes(size, text):
    assert size_text(size) == text
