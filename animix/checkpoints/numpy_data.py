"""Builds arrays and numbers from what a pickle says of them, without NumPy's own unpickling."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from animix.checkpoints.pickle_data import Record
from animix.checkpoints.pickle_tape import Span
from animix.errors import NetworkError

_ROOMS = ("numpy.core", "numpy._core")
"""NumPy 1 and NumPy 2."""

RECONSTRUCT = tuple(f"{room}.multiarray._reconstruct" for room in _ROOMS)
SCALAR = tuple(f"{room}.multiarray.scalar" for room in _ROOMS)
FROM_BUFFER = tuple(f"{room}.numeric._frombuffer" for room in _ROOMS)
DTYPE = "numpy.dtype"

NUMPY = (*RECONSTRUCT, *SCALAR, *FROM_BUFFER, DTYPE, "numpy.ndarray")
"""The names that a pickle with arrays in it uses."""

MAX_DIMENSIONS = 8

Array = npt.NDArray[Any]
Raw = Callable[[bytes | Span], bytes | bytearray]
"""Gives the bytes of a literal, which may have been left in the file."""


def is_array(found: object) -> bool:
    """Whether a part of a pickle is an array or one of NumPy's numbers."""
    return isinstance(found, Record) and found.name in (*RECONSTRUCT, *SCALAR, *FROM_BUFFER)


def array_of(record: object, raw: Raw, max_bytes: int) -> Array:
    """The array of a record, in this machine's byte order; a single number has the shape ().

    NetworkError for what is no array of real numbers or bools, is damaged, or takes more than
    ``max_bytes``.
    """
    try:
        shape, dtype, axes, data = _parts(record)
        if not isinstance(shape, tuple) or len(shape) > MAX_DIMENSIONS:
            raise ValueError("not a shape")
        if not all(type(size) is int and 0 <= size < 1 << 40 for size in shape):
            raise ValueError("a size that is no count")
        if not isinstance(data, (bytes, Span)):
            raise ValueError("no bytes")
        nbytes = math.prod(shape) * dtype.itemsize
        if nbytes > max_bytes:
            raise NetworkError("it takes more bytes than the file has left for it")
        found = raw(data)
        if len(found) != nbytes:
            raise ValueError("another size than the shape's")
        # frombuffer refuses to make an array of nothing.
        flat = np.frombuffer(found, dtype) if nbytes else np.zeros(0, dtype)
        array = flat.reshape(shape)
        if axes is not None:
            array = array.transpose(axes)
        return array.astype(dtype.newbyteorder("="), copy=False)
    except (ValueError, TypeError, IndexError, AttributeError, KeyError) as exc:
        raise NetworkError("it is damaged, or no array of real numbers") from exc


def _parts(record: object) -> tuple[Any, np.dtype[Any], Any, Any]:
    """The shape as stored, the dtype, the stored axes in their order (None: as stored), bytes."""
    if not isinstance(record, Record):
        raise ValueError("not an array")
    if record.name in SCALAR:
        dtype, data = record.args
        return (), _dtype(dtype), None, data
    axes: list[Any] = []
    if record.name in RECONSTRUCT:
        if not isinstance(record.state, tuple):
            raise ValueError("an array without content")
        shape, dtype, fortran, data = record.state[-4:]  # before them there may be a version
        order = "F" if fortran else "C"
    elif record.name in FROM_BUFFER:
        data, dtype, shape, order, *axes = record.args
    else:
        raise ValueError("not an array")
    if order == "F":  # the last axis is the outermost
        return shape[::-1], _dtype(dtype), range(len(shape))[::-1], data
    if order == "K":  # any other order of axes, which NumPy 2 tells
        (order_of_axes,) = axes
        return shape, _dtype(dtype), order_of_axes, data
    if order != "C":
        raise ValueError("not an order")
    return shape, _dtype(dtype), None, data


def _dtype(record: object) -> np.dtype[Any]:
    if not isinstance(record, Record) or record.name != DTYPE or not record.args:
        raise ValueError("not a dtype")
    kind = re.fullmatch(r"[<>|=]?(f[248]|[iu][1248]|b1)", record.args[0])
    if not kind:
        raise ValueError("not a dtype of real numbers")
    # The state is (version, byte order, …).
    order = record.state[1] if isinstance(record.state, tuple) else "="
    if order not in ("<", ">", "|", "="):
        raise ValueError("not a byte order")
    return np.dtype(kind[1] if order == "|" else f"{order}{kind[1]}")
