"""An extent has the square picture in its middle and covers the canvas that it is for."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from animix.errors import NetworkError
from animix.networks.extent import SQUARE, Extent, extent_of

SIDES = st.integers(16, 16_384)


@pytest.mark.parametrize(
    ("canvas_size", "rows", "columns"),
    [
        ((512, 512), 4, 4),
        ((1080, 1920), 8, 4),
        ((1920, 1080), 4, 8),
        ((1080, 1350), 6, 4),
        ((400, 600), 6, 4),
        ((400, 602), 8, 4),
        ((514, 512), 4, 6),
        ((2520, 1080), 4, 10),
        ((640, 160), 4, 16),
    ],
)
def test_a_canvas_is_covered_by_so_many_cells(canvas_size, rows, columns):
    assert extent_of(canvas_size) == Extent(rows, columns)


@given(SIDES, SIDES)
def test_the_square_is_in_the_middle_and_no_cell_is_too_many(width, height):
    extent, side = extent_of((width, height)), min(width, height)
    left, right, top, bottom = extent.added(16)
    assert (left, top) == (right, bottom)
    for cells, length in ((extent.rows, height), (extent.columns, width)):
        assert cells * side >= 4 * length
        assert cells == 4 or (cells - 2) * side < 4 * length


@given(st.integers(4, 20), st.integers(4, 20), st.sampled_from([4, 8, 1024]))
def test_what_is_added_makes_the_sides(rows, columns, resolution):
    extent = Extent(rows, columns)
    left, right, top, bottom = extent.added(resolution)
    assert extent.sides(resolution) == (resolution + top + bottom, resolution + left + right)
    assert 0 <= right - left <= resolution // 4
    assert 0 <= bottom - top <= resolution // 4
    assert extent.area * resolution**2 == pytest.approx(
        extent.sides(resolution)[0] * extent.sides(resolution)[1]
    )


def test_the_square_adds_nothing():
    assert SQUARE.added(64) == (0, 0, 0, 0)
    assert (SQUARE.sides(64), SQUARE.area) == ((64, 64), 1)


@pytest.mark.parametrize(("rows", "columns"), [(3, 4), (4, 0), (-8, 8)])
def test_less_than_the_square_is_no_extent(rows, columns):
    with pytest.raises(NetworkError, match=f"{rows} × {columns} cells: expected 4 or more"):
        Extent(rows, columns)
