"""Cells lie evenly on their canvas, and each path of a grid has latents of its own."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from animix.timeline.framing import FITS
from animix.timeline.grid import BLEND, LARGEST_OWN_SIDE, Grid, Panel, Place, grid_of
from animix.timeline.reader import read_timeline
from animix.timeline.walk import shifted

SIDES = st.integers(8, 600).map(lambda side: 2 * side)


@given(st.integers(1, 8), st.integers(1, 8), SIDES, SIDES, st.sampled_from(FITS))
def test_cells_lie_on_the_canvas_side_by_side(columns, rows, width, height, fit):
    grid = grid_of([BLEND], columns, rows)
    places = grid.places((width, height), fit)
    covered = set()
    for place in places:
        assert all(side % 2 == 0 for side in vars(place).values())
        assert min(place.width, place.height) >= 2
        assert place.left + place.width <= width and place.top + place.height <= height
        spans = (place.left, place.left + place.width), (place.top, place.top + place.height)
        covered.add(spans)
    assert len(covered) == columns * rows
    area = sum(place.width * place.height for place in places)
    (left, _), (top, _) = min(covered)
    (_, right), (_, bottom) = max(covered)
    assert area == (right - left) * (bottom - top)
    if columns * rows == 1 or fit not in ("blur", "contain"):
        assert area == width * height
    else:
        assert len({(place.width, place.height) for place in places}) == 1
        # Not further from the middle than evenness asks for.
        assert abs(left - (width - right)) <= 2 and abs(top - (height - bottom)) <= 2


@given(
    st.integers(1, 6), st.integers(1, 6), st.integers(16, 9000), st.integers(16, 9000), SIDES, SIDES
)
def test_cells_keep_the_shape_of_a_photo(columns, rows, wide, high, width, height):
    grid = grid_of([BLEND], columns, rows)
    own = grid.size_of_cells((wide, high))
    for size in (own, (width, height)):
        for place in grid.places(size, "blur", (wide, high)):
            assert place.left + place.width <= size[0] and place.top + place.height <= size[1]
            if columns * rows > 1:
                # Sides are even.
                assert abs(place.width * high - place.height * wide) <= 2 * max(wide, high)
    if columns * rows > 1:
        assert max(own) <= LARGEST_OWN_SIDE
        assert own[0] // columns <= wide and own[1] // rows <= high


@given(st.integers(1, 6), st.integers(1, 8), st.integers(1, 8))
def test_each_path_is_seen_in_each_view_once(count, columns, rows):
    shown = [BLEND, *"abcde"][:count]
    grid = grid_of(shown, columns, rows)
    if grid is None:
        steps = [(columns, count), (rows, count)]
        assert columns * rows % count or all(a % b and b % a for a, b in steps)
        return
    paths = columns * rows // count
    expected = {(name, path): 1 for name in shown for path in range(paths)}
    assert Counter((panel.network or BLEND, panel.path) for panel in grid.panels) == expected
    assert grid.num_paths == paths and grid.shown == tuple(shown)


def test_a_grid_has_as_many_panels_as_cells():
    with pytest.raises(ValueError, match="1 panels in 2 × 1 cells"):
        Grid(2, 1, (Panel(),))


@pytest.mark.parametrize(
    ("columns", "rows", "side", "expected"),
    [(1, 1, 8192, (8192, 8192)), (3, 2, 256, (768, 512)), (8, 2, 1024, (4096, 1024))],
)
def test_a_canvas_is_as_large_as_its_pictures_up_to_a_size(columns, rows, side, expected):
    assert grid_of([BLEND], columns, rows).own_size(side) == expected


def test_one_panel_has_the_whole_canvas():
    assert Grid().places((100, 60), "blur") == (Place(0, 0, 100, 60),)


# -- Paths -----------------------------------------------------------------------------------------


def sources(latents: str, path: int) -> list[list[int | str]]:
    text = f"{{networks: {{a: a.pkl}}, duration: 6s, latents: {latents}}}"
    bands = shifted(read_timeline(text, "reel.yaml").latents, path)
    return [[key.source for key in band.path.keys] for band in bands]


@pytest.mark.parametrize(
    ("latents", "path", "expected"),
    [
        ("[3, 17, 42]", 0, [[3, 17, 42]]),
        ("[3, 17, 42]", 1, [[17, 42, 3]]),
        ("[3, 17, 42]", 3, [[1003, 1017, 1042]]),
        ("[3, 17, 42]", 7, [[2017, 2042, 2003]]),
        ("5", 2, [[2005]]),
        ("{seeds: [3, 17, 3, 42]}", 1, [[17, 42, 17, 3]]),
        ("{0s: 3, 2s: 17, end: 3}", 1, [[17, 3, 17]]),
        ("[3, me.npy]", 1, [["me.npy", 3]]),
        ("[3, me.npy]", 2, [[1003, "me.npy"]]),
        ("[4294967295]", 1, [[999]]),
        ("{4..16: [3, 17], 32..: [8, 9, 10]}", 1, [[17, 3], [9, 10, 8]]),
    ],
)
def test_a_further_path_begins_further_down_the_list(latents, path, expected):
    assert sources(latents, path) == expected


@given(st.lists(st.integers(0, 900), min_size=1, max_size=8), st.integers(0, 20))
def test_equal_latents_stay_equal_and_others_do_not_become_so(seeds, path):
    ((*found,),) = sources(str(seeds), path)
    assert [found.index(each) for each in found] == [seeds.index(each) for each in seeds]


@given(st.lists(st.integers(0, 900), min_size=1, max_size=6, unique=True))
def test_paths_of_distinct_seeds_are_never_at_the_same_one(seeds):
    paths = [sources(str(seeds), path)[0] for path in range(2 * len(seeds))]
    for visited in zip(*paths, strict=True):
        assert len(set(visited)) == len(visited)
