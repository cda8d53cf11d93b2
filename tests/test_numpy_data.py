"""Arrays in pickles come back as they were, without NumPy's own unpickling."""

from __future__ import annotations

import io
import pickle
from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from animix.checkpoints.numpy_data import NUMPY, array_of, is_array
from animix.checkpoints.pickle_data import Name, Record, read_pickle
from animix.checkpoints.pickle_tape import read_span
from animix.errors import NetworkError


def read_back(array, protocol=4, max_bytes=1 << 20):
    file = io.BytesIO(pickle.dumps(array, protocol))
    record = read_pickle(file, NUMPY)
    assert is_array(record)
    return array_of(record, partial(read_span, file), max_bytes)


@given(
    npst.arrays(
        st.sampled_from(["<f2", ">f4", "<f8", ">i2", "<i8", "u1", "i1", "?"]),
        npst.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=5),
    ),
    st.permutations(range(4)),
    st.integers(2, 5),
)
def test_arrays_of_any_layout_come_back(array, order, protocol):
    turned = array.transpose([axis for axis in order if axis < array.ndim])
    found = read_back(turned, protocol)
    assert found.dtype.isnative
    assert found.shape == turned.shape
    assert np.array_equal(found, turned, equal_nan=found.dtype.kind == "f")


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("number", [np.float32(0.1), np.int64(-3), np.bool_(True), np.float16(2)])
def test_single_numbers_come_back(number, protocol):
    found = read_back(number, protocol)
    assert found.shape == ()
    assert found[()] == number


def test_a_long_array_is_read_from_the_file():
    array = np.arange(5000, dtype=np.float32).reshape(50, 100)
    assert np.array_equal(read_back(array), array)


def test_an_array_larger_than_allowed_is_refused():
    with pytest.raises(NetworkError, match="more bytes than the file has left"):
        read_back(np.zeros(100, np.float32), max_bytes=399)


DTYPE = Record("numpy.dtype", ("f4", False, True), (3, "<", None))
ARRAY = Name("numpy.ndarray")


def array_record(shape=(2,), dtype=DTYPE, data=bytes(8), fortran=False):
    call = "numpy.core.multiarray._reconstruct"
    return Record(call, (ARRAY, (0,), b"b"), (1, shape, dtype, fortran, data))


def with_dtype(kind, state=(3, "<")):
    return array_record(dtype=Record("numpy.dtype", (kind, False, True), state))


HOSTILE = {
    "no record": 3,
    "another record": Record("os.system", ("true",)),
    "no state": Record("numpy.core.multiarray._reconstruct", ()),
    "a short state": Record("numpy.core.multiarray._reconstruct", (), (1, (2,))),
    "objects": with_dtype("O8"),
    "texts": with_dtype("U2"),
    "complex numbers": with_dtype("c8"),
    "fields": with_dtype("V8"),
    "a dtype that is a list": with_dtype(["f4"]),
    "a strange byte order": with_dtype("f4", (3, "?")),
    "no dtype": array_record(dtype=None),
    "a list of objects": array_record(data=[1.0, 2.0]),
    "too few bytes": array_record(data=bytes(7)),
    "too many bytes": array_record(data=bytes(9)),
    "a negative size": array_record(shape=(-2,)),
    "a size that is true": array_record(shape=(True, 2)),
    "a large size": array_record(shape=(1 << 62, 1 << 62)),
    "a size of texts": array_record(shape=("2",)),
    "a shape that is a number": array_record(shape=2),
    "many dimensions": array_record(shape=(1,) * 40 + (2,)),
    "a shape turned round that is a number": array_record(shape=2, fortran=True),
    "axes that are none": Record(
        "numpy._core.numeric._frombuffer", (bytes(8), DTYPE, (1, 2), "K", (0, 0))
    ),
    "an unknown order": Record("numpy._core.numeric._frombuffer", (bytes(8), DTYPE, (2,), [])),
    "a scalar without bytes": Record("numpy.core.multiarray.scalar", (DTYPE,)),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_what_is_no_array_of_real_numbers_is_refused(name):
    with pytest.raises(NetworkError, match=r"damaged|more bytes"):
        array_of(HOSTILE[name], bytes, 1 << 20)


def test_the_hostile_arrays_are_readable_without_what_makes_them_hostile():
    assert array_of(array_record(), bytes, 8).tolist() == [0, 0]
