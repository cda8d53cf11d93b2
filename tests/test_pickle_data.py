from __future__ import annotations

import io
import os
import pickle
from collections import OrderedDict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from animix.checkpoints.pickle_data import Record, read_pickle
from animix.checkpoints.pickle_tape import MAX_LITERAL, Span, Tape, read_span
from animix.errors import NetworkError

LONG = bytes(range(256)) * 8
plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**64) + 1, 2**64 - 1)
    | st.floats(allow_nan=False)
    | st.text(max_size=50)
    | st.binary(max_size=50),
    lambda inner: st.lists(inner) | st.tuples(inner, inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(value=plain, protocol=st.integers(0, 5), before=st.binary(max_size=40))
def test_data_is_read_as_pythons_reader_does(value, protocol, before):
    content = pickle.dumps(value, protocol)
    if protocol == 0 and any(b"\\" in line for line in content.splitlines()):
        content = pickle.dumps(value, 1)  # escapes of texts in quotes are not read
    file = io.BytesIO(before + content + b"behind")
    file.seek(len(before))
    assert read_pickle(file) == value
    assert file.read() == b"behind"


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_long_bytes_are_left_in_the_file(protocol):
    content = b"before" + pickle.dumps([b"short", LONG, LONG[::-1]], protocol)
    file = io.BytesIO(content)
    file.seek(6)
    short, *spans = read_pickle(file)
    assert short == b"short"
    assert all(isinstance(span, Span) for span in spans)
    assert [read_span(file, span) for span in spans] == [LONG, LONG[::-1]]
    if protocol > 2:
        assert content[spans[0].start :][: spans[0].size] == LONG


def test_short_bytes_are_their_own_span():
    assert read_span(io.BytesIO(), b"short") == b"short"


def test_how_much_is_left_can_be_chosen():
    file = io.BytesIO(pickle.dumps(b"x" * 65))
    assert read_pickle(file, max_bytes=64) == Span(start=file.getvalue().index(b"x"), size=65)


def test_long_texts_are_left_in_the_file():
    text = "ü" * MAX_LITERAL
    file = io.BytesIO(pickle.dumps([text, "ü"]))
    span, short = read_pickle(file)
    assert short == "ü"
    assert span.utf8
    assert read_span(file, span) == text.encode("latin-1")


def test_text_that_stands_for_no_bytes_is_refused():
    file = io.BytesIO(pickle.dumps("€" * MAX_LITERAL))
    with pytest.raises(NetworkError, match="text where it should have bytes"):
        read_span(file, read_pickle(file))


@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_half_a_letter_is_replaced_so_that_messages_can_be_printed(protocol):
    text = read_pickle(io.BytesIO(pickle.dumps("a\ud800b", protocol)))
    assert (text[0], text[-1]) == ("a", "b")
    assert text.encode()


def test_a_file_that_shrank_is_told():
    with pytest.raises(NetworkError, match="cut short while it was read"):
        read_span(io.BytesIO(b"abc"), Span(1, 3))


@pytest.mark.parametrize("opcode", [b"B\xff\xff\xff\x7f", b"\x8e" + b"\xff" * 8, b"X\0\x10\0\0"])
def test_a_length_that_lies_is_refused(opcode):
    with pytest.raises(NetworkError, match="damaged or cut short"):
        read_pickle(io.BytesIO(opcode + b"x."))


def test_pickles_behind_each_other_are_read_from_one_tape():
    file = io.BytesIO(pickle.dumps(1) + pickle.dumps(LONG) + pickle.dumps("three"))
    tape = Tape(file)
    values = [read_pickle(tape) for _ in range(3)]
    assert (values[0], read_span(file, values[1]), values[2]) == (1, LONG, "three")
    assert tape.place == len(file.getvalue())


def test_texts_without_end_are_refused():
    word = b"X" + (1000).to_bytes(4, "little") + b"x" * 1000
    with pytest.raises(NetworkError, match="more texts than any network needs"):
        read_pickle(io.BytesIO(word * 20_000))


class Called:
    """Something that, unpickled, makes a call."""

    def __reduce__(self):
        return os.getenv, ("HOME",)


@pytest.mark.parametrize(
    "program",
    [
        b"cos\nsystem\n(S'true'\ntR.",
        b"(S'true'\nios\nsystem\n.",
        b"(cos\nsystem\nS'true'\no.",
        b"c__builtin__\neval\n(S'1'\ntR.",
        b"\x80\x04\x8c\x08builtins\x8c\x04exec\x93\x8c\x04pass\x85R.",
        b"\x80\x02\x82\x01.",
    ],
)
def test_every_way_to_call_something_is_refused(program):
    with pytest.raises(NetworkError, match="which no network needs"):
        read_pickle(io.BytesIO(program))


def test_calls_become_records():
    data = read_pickle(io.BytesIO(pickle.dumps(Called())), ["os.getenv"])
    assert isinstance(data, Record)
    assert (data.name, data.args) == ("os.getenv", ("HOME",))


@pytest.mark.parametrize(
    "value",
    [
        {"a": [1, 2.5, None, True, "é", b"x"], 3: (), "t": (1, (2, 3, 4, 5))},
        [(1 << 64) - 1, -1, 255, 65535, 1 << 31],
        "x" * 300,
        b"x\xff" * 300,
        b"",
        list(range(2000)),
    ],
)
@pytest.mark.parametrize("protocol", [1, 2, 3, 4, 5])
def test_plain_data_is_read_as_pythons_reader_does(value, protocol):
    assert read_pickle(io.BytesIO(pickle.dumps(value, protocol))) == value


def test_sets_and_ordered_dictionaries_become_plain():
    data = pickle.dumps([{1}, frozenset({2}), OrderedDict(a=1)])
    assert read_pickle(io.BytesIO(data)) == [[1], [2], {"a": 1}]


@pytest.mark.parametrize(
    "program",
    [
        b"\x80\x04.",
        b"\x80\x04NN.",
        b"\x80\x04t.",
        b"\x80\x04h\x05.",
        b"\x80\x04K\x01K\x02a.",
        b"\x80\x04K\x01)R.",
        b"\x80\x04}K\x01",
        b"\x80\x04\x8e" + b"\xff" * 8 + b"x.",
        b"\x80\x04\x8e" + b"\xff" * 7 + b"\x00x.",
    ],
)
def test_damaged_programs_end_in_an_error(program):
    with pytest.raises(NetworkError, match="the pickle is damaged or cut short"):
        read_pickle(io.BytesIO(program))


def test_a_key_nested_deeply_in_itself_is_refused_at_once():
    # Hashing this tuple, as a dictionary would, takes 2 to the power of 80 steps.
    tuples = b")q\x00" + b"h\x00\x86q\x00" * 80
    with pytest.raises(NetworkError, match="damaged"):
        read_pickle(io.BytesIO(b"\x80\x04}" + tuples + b"Ns."))
