"""Sizes: how large a network is, and so which tensors it has."""

from __future__ import annotations

from dataclasses import dataclass

from animix.errors import OptionError


@dataclass(frozen=True)
class Size:
    """The numbers that a generator and its discriminator are made from."""

    img_resolution: int = 256
    z_dim: int = 128
    w_dim: int = 128
    num_mapping_layers: int = 4
    channel_base: int = 8192
    """A layer of r px has this over r channels, …"""
    channel_max: int = 128
    """… but no more than these."""

    def __post_init__(self) -> None:
        resolution = self.img_resolution
        if resolution < 8 or resolution & (resolution - 1):
            raise OptionError(f"the size is {resolution} px, expected a power of 2 from 8 up")

    @property
    def resolutions(self) -> tuple[int, ...]:
        """The resolutions of the blocks.

        >>> Size(img_resolution=32).resolutions
        (4, 8, 16, 32)
        """
        return tuple(2**k for k in range(2, self.img_resolution.bit_length()))

    @property
    def num_ws(self) -> int:
        """How many w one picture takes."""
        return 2 * len(self.resolutions)

    def channels(self, resolution: int) -> int:
        """The channels of a block."""
        return min(self.channel_base // resolution, self.channel_max)


# 1.8 million numbers to learn and 0.2 million of noise, 3.8 MB in float16: a base and eleven
# snapshots take 46 MB.
FULL = Size()

SMALL = Size(img_resolution=32, z_dim=64, w_dim=64, channel_base=1024, channel_max=32)
"""Trains on a CPU: to see that every step works, not to be looked at."""

SIZES = {"full": FULL, "small": SMALL}
