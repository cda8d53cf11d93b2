"""Makes the blue-noise texture that animix dithers with: python tools/blue_noise.py.

Void-and-cluster, R. Ulichney, "The void-and-cluster method for dither array generation", 1993.
Every threshold of the texture is a pattern of evenly spread points, so what rounding adds lies in
the high frequencies, where the eye sees least. Takes a second; makes the same file each time.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

SIZE = 64
SIGMA = 1.5  # pixels; Ulichney's choice
SEED = 1993
TARGET = Path(__file__).parents[1] / "animix" / "engine" / "blue_noise.npy"


def ranks(size: int = SIZE, sigma: float = SIGMA, seed: int = SEED) -> NDArray[np.uint16]:
    """The order in which void-and-cluster sets a tile's pixels: [size, size], 0 … size² − 1."""
    distance = np.minimum(np.arange(size), size - np.arange(size))  # on a torus: the tile repeats
    gauss = np.exp(-(distance**2) / (2 * sigma**2))
    influence = np.outer(gauss, gauss)

    def influence_of(pixel: int) -> NDArray[np.float64]:
        return np.roll(influence, divmod(pixel, size), axis=(0, 1))

    def crowding(points: NDArray[np.bool_]) -> NDArray[np.float64]:
        total = np.zeros((size, size))
        for pixel in np.flatnonzero(points):
            total += influence_of(int(pixel))
        return total

    def tightest_cluster(points: NDArray[np.bool_], energy: NDArray[np.float64]) -> int:
        return int(np.argmax(np.where(points, energy, -np.inf)))

    def largest_void(points: NDArray[np.bool_], energy: NDArray[np.float64]) -> int:
        return int(np.argmin(np.where(points, np.inf, energy)))

    # Scattered points, spread out until moving the most crowded one brings it back to its place.
    points = np.zeros((size, size), dtype=bool)
    points.flat[np.random.default_rng(seed).permutation(size * size)[: size * size // 10]] = True
    energy = crowding(points)
    while True:
        crowded = tightest_cluster(points, energy)
        points.flat[crowded] = False
        energy -= influence_of(crowded)
        void = largest_void(points, energy)
        points.flat[void] = True
        energy += influence_of(void)
        if void == crowded:
            break

    order = np.zeros((size, size), dtype=np.uint16)
    first = points.copy()
    energy = crowding(first)
    for rank in reversed(range(int(points.sum()))):
        crowded = tightest_cluster(first, energy)
        first.flat[crowded] = False
        energy -= influence_of(crowded)
        order.flat[crowded] = rank
    # Ulichney's third phase looks for the tightest cluster of the unset pixels. Their energy is a
    # constant less that of the set ones, so that is the largest void again: one loop does both.
    energy = crowding(points)
    for rank in range(int(points.sum()), size * size):
        void = largest_void(points, energy)
        points.flat[void] = True
        energy += influence_of(void)
        order.flat[void] = rank
    return order


if __name__ == "__main__":
    np.save(TARGET, ranks())
    print(f"wrote {TARGET}")
