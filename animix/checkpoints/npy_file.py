"""Arrays in NumPy's own file format, read when their header has been found to tell the truth."""

from __future__ import annotations

import io
import math
import os
import zipfile
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from animix.checkpoints.zip_file import read_member
from animix.errors import LatentError

NUMBERS = "fiu"
TEXT = "U"

_HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


def read_npy(file: BinaryIO, kinds: str = NUMBERS) -> NDArray[Any]:
    """The array of a .npy file, of a dtype of these ``kinds``; LatentError for any other."""
    version = np.lib.format.read_magic(file)
    if version not in _HEADERS:
        raise LatentError("is a .npy file of an unknown version")
    shape, _, dtype = _HEADERS[version](file)
    if dtype.kind not in kinds:
        expected = "text" if kinds == TEXT else "floating-point numbers or integers"
        raise LatentError(f"holds {dtype.name} values, expected {expected}")
    start = file.tell()
    # A product of sizes may be 0 although one of them is astronomical; numpy takes that well.
    if math.prod(shape) * dtype.itemsize > file.seek(0, os.SEEK_END) - start:
        raise LatentError("can't be read as a latent (it is cut short)")
    file.seek(0)
    return np.lib.format.read_array(file, allow_pickle=False)


def read_npz_member(
    archive: zipfile.ZipFile, name: str, max_bytes: int, kinds: str = NUMBERS
) -> NDArray[Any]:
    """An array of a .npz archive; KeyError if there is none of that name."""
    # A small archive can unpack to any size.
    usual = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
    return read_npy(io.BytesIO(read_member(archive, f"{name}.npy", max_bytes, usual)), kinds)
