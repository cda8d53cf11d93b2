"""The cascade: three small networks that find the faces in a picture, and five points of each.

After Zhang, Zhang, Li and Qiao, "Joint Face Detection and Alignment using Multi-task Cascaded
Convolutional Networks", 2016: one proposes boxes over all places and sizes, one refuses most of
them, one places eyes, nose and mouth. Their weights come inside the package ``mtcnn``.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from animix.errors import OptionError

NAMES = ("pnet", "rnet", "onet")
SIDES = {"pnet": 12, "rnet": 24, "onet": 48}
"""Pixels a side of what each looks at."""

STRIDE = 2
"""Pixels between the boxes that the first one proposes."""

# In order, kernels as [height, width, in, out]; a bias and PReLU's slopes follow each.
_POOLS = {"pnet": (2,), "rnet": (3, 3), "onet": (3, 3, 2)}
"""Sides of the max-poolings, one after each of the first convolutions, all by two."""

_NUM_CONVOLUTIONS = {"pnet": 3, "rnet": 3, "onet": 4}
_NUM_ARRAYS = {"pnet": 13, "rnet": 16, "onet": 21}


@dataclass(frozen=True, eq=False)
class Look:
    """What a network sees in pictures."""

    scores: Tensor
    """How surely each shows a face: [N], the first network's [N, H, W]."""
    offsets: Tensor
    """How far the face's left, top, right and bottom lie from the box's, in its sides: [N, 4]."""
    points: Tensor
    """Left eye, right eye, nose, left and right end of the mouth, in the box's sides: [N, 5, 2]."""


@dataclass(frozen=True, eq=False)
class Stage:
    """One of the cascade's networks."""

    name: str
    arrays: tuple[Tensor, ...]

    def look(self, pictures: Tensor) -> Look:
        """Look at pictures [N, 3, H, W], 0 to 255; of the first network's size or more."""
        arrays = iter(self.arrays)
        x = (pictures - 127.5) / 128
        pools = _POOLS[self.name]
        for number in range(_NUM_CONVOLUTIONS[self.name]):
            kernel = next(arrays).permute(3, 2, 0, 1)
            x = F.prelu(F.conv2d(x, kernel, next(arrays)), next(arrays).flatten())
            if number < len(pools):
                x = F.max_pool2d(x, pools[number], 2, ceil_mode=True)
        if self.name == "pnet":
            heads = [
                F.conv2d(x, next(arrays).permute(3, 2, 0, 1), next(arrays)).movedim(1, -1)
                for _ in range(2)
            ]
            points = x.new_zeros((len(x), 0, 2))
        else:
            # By columns: the weights were first made for pictures that lay so.
            x = x.permute(0, 3, 2, 1).flatten(1)
            x = F.prelu(x @ next(arrays) + next(arrays), next(arrays))
            heads = [
                x @ next(arrays) + next(arrays) for _ in range(3 if self.name == "onet" else 2)
            ]
            points = x.new_zeros((len(x), 0, 2))
            if self.name == "onet":
                points = heads.pop(1).reshape(-1, 2, 5).transpose(1, 2)
        offsets, classes = heads
        return Look(classes.softmax(-1)[..., 1], offsets, points)


@lru_cache(maxsize=1)
def open_cascade() -> tuple[Stage, Stage, Stage]:
    """The three networks; OptionError where the package that holds their weights is missing."""
    try:
        import joblib

        # Looked up, not imported: it would want TensorFlow.
        spec = importlib.util.find_spec("mtcnn")
        folders = spec.submodule_search_locations if spec else None
        if not folders:
            raise ImportError("no package mtcnn")
        folder = Path(folders[0]) / "assets" / "weights"
        stages = [_stage(name, joblib.load(folder / f"{name}.lz4")) for name in NAMES]
    except Exception as exc:  # of a package in another version, whatever joblib meets in its files
        told = (str(exc) or type(exc).__name__).splitlines()[0][:200]
        raise OptionError(
            f"finding faces needs the package mtcnn ({told}): pip install 'animix[align]';"
            " without it, say where the face is with --crop X,Y,SIZE"
        ) from exc
    return stages[0], stages[1], stages[2]


def _stage(name: str, arrays: Sequence[NDArray[Any]]) -> Stage:
    if len(arrays) != _NUM_ARRAYS[name]:
        raise ValueError(f"{name} has {len(arrays)} arrays, expected {_NUM_ARRAYS[name]}")
    return Stage(name, tuple(torch.from_numpy(np.array(a, np.float32)) for a in arrays))
