"""The layout of a data set: which files a pair becomes, and what stands in them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from animix.errors import OptionError

LayoutName = Literal["folders", "side-by-side", "train"]
LAYOUTS: tuple[LayoutName, ...] = get_args(LayoutName)


@dataclass(frozen=True)
class Layout:
    """Where the pictures of pairs go, and whether a part of them is put aside for testing.

    ``folders`` is A/ and B/; ``side-by-side`` is pix2pix's, one picture with A on the left, in
    train/ and test/; ``train`` is CycleGAN's trainA/ trainB/ testA/ testB/.
    """

    name: LayoutName = "folders"
    test_share: float = 0.0
    """Of the pairs, for test/ or testA/ and testB/."""

    def __post_init__(self) -> None:
        if self.name not in LAYOUTS:
            raise OptionError(f"--layout {self.name[:40]}: expected one of {', '.join(LAYOUTS)}")
        if not 0 <= self.test_share < 1:
            raise OptionError(f"--test {self.test_share:g}: expected a share from 0 to below 1")
        if self.test_share and self.name == "folders":
            raise OptionError("--test: A/ and B/ have no place for it; give --layout train")

    @property
    def folders(self) -> tuple[str, ...]:
        """All that it has."""
        parts = ("train", "test") if self.test_share else ("train",)
        if self.name == "folders":
            return ("A", "B")
        sides = ("",) if self.name == "side-by-side" else ("A", "B")
        return tuple(part + side for part in parts for side in sides)

    def files(self, name: str, *, is_test: bool = False) -> dict[str, str]:
        """The files of a pair, by what they show: a and b, or ab.

        >>> Layout("train", 0.1).files("000017.png", is_test=True)
        {'a': 'testA/000017.png', 'b': 'testB/000017.png'}
        """
        part = "test" if is_test else "train"
        if self.name == "side-by-side":
            return {"ab": f"{part}/{name}"}
        start = "" if self.name == "folders" else part
        return {"a": f"{start}A/{name}", "b": f"{start}B/{name}"}

    def pictures(self, a: NDArray[np.uint8], b: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], ...]:
        """The pixels of each of the files, from those of both pictures [H, W, 3]."""
        return (np.concatenate([a, b], axis=1),) if self.name == "side-by-side" else (a, b)
