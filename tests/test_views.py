"""A timeline says what stands side by side in a frame and what is drawn on it, or is put right."""

from __future__ import annotations

import pytest

from animix.errors import TimelineError
from animix.timeline.grid import BLEND, Grid, Panel
from animix.timeline.reader import read_timeline

START = """\
networks: {faces: a.pkl, anime: b.pkl, other: c.pkl}
blend: [faces, anime]
duration: 6s
latents: [3, 17, 42]
"""


def read(text: str, latents: str = "[3, 17, 42]"):
    return read_timeline(START.replace("[3, 17, 42]", latents) + text, "reel.yaml")


def told(grid: Grid) -> list[str]:
    """Its rows in words: what is seen of which path."""
    cells = [f"{panel.network or BLEND}{panel.path or ''}" for panel in grid.panels]
    return [
        " ".join(cells[row * grid.columns : (row + 1) * grid.columns]) for row in range(grid.rows)
    ]


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("", ["blend"]),
        ("show: blend", ["blend"]),
        ("show: anime", ["anime"]),
        ("show: [faces, blend, anime]", ["faces blend anime"]),
        ("show: [faces, other]\nsize: 64x32", ["faces other"]),
        ("show: [faces, other]\nsize: 32x64", ["faces", "other"]),
        ("show: [faces, other]\noutput: reels", ["faces", "other"]),
        ("grid: 3x2", ["blend blend1 blend2", "blend3 blend4 blend5"]),
        ("grid: 3 × 1", ["blend blend1 blend2"]),
        ("show: anime\ngrid: 2x1", ["anime anime1"]),
        ("show: [faces, blend]\ngrid: 2x2", ["faces blend", "faces1 blend1"]),
        ("show: [faces, blend]\ngrid: 4x1", ["faces blend faces1 blend1"]),
        ("show: [faces, blend, anime]\ngrid: 1x3", ["faces", "blend", "anime"]),
        (
            "show: [faces, blend, anime]\ngrid: 2x3",
            ["faces faces1", "blend blend1", "anime anime1"],
        ),
    ],
)
def test_views_fill_the_cells_path_by_path(text, rows):
    assert told(read(text).grid) == rows


def test_without_show_and_grid_a_frame_is_the_blend():
    timeline = read("")
    assert timeline.grid == Grid()
    assert timeline.grid.panels == (Panel(),)
    assert timeline.overlay == ()


def test_a_network_that_is_shown_takes_part():
    assert read("").cast == ("faces", "anime")
    assert read("show: [faces, blend, other]").cast == ("faces", "anime", "other")


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        ("mix", ("mix",)),
        ("labels", ("labels",)),
        ("[mix, labels]", ("mix", "labels")),
        ("none", ()),
        ("[]", ()),
    ],
)
def test_an_overlay_is_one_thing_or_several(text, kinds):
    assert read(f"overlay: {text}").overlay == kinds


MISTAKES = [
    ("show: [faces, blendd]", 15, 'unknown view "blendd"', 'did you mean "blend"?'),
    ("show: marble", 7, 'unknown view "marble"', "write blend or a network: faces, anime, other"),
    ("show: []", 7, "show has no views", "write show: [faces, blend]"),
    ("show: [faces, anime, faces]", 22, "faces is shown twice", "name each view once"),
    ("show: [faces, [blend]]", 15, "a view is blend or a network's name, found a list", ""),
    ("show: {faces: 1}", 7, "a view is blend or a network's name, found a map", ""),
    ("grid: 3*2", 7, '"3*2" is no grid', "write COLUMNSxROWS, such as 3x2"),
    ("grid: 6", 7, '"6" is no grid', "write COLUMNSxROWS, such as 3x2"),
    ("grid: 0x2", 7, "a grid of 0x2 has no cells", "expected 1x1 or more"),
    ("grid: 9x8", 7, "a grid of 72 cells", "expected up to 64"),
    ("grid: [3, 2]", 7, "grid is COLUMNSxROWS, found a list", ""),
    (
        "show: [faces, blend]\ngrid: 3x1",
        7,
        "a grid of 3x1 is not filled evenly by 2 views",
        "each path is seen in all of them: write grid: 2x2",
    ),
    (
        "size: 64x64\ngrid: 8x8",
        7,
        "cells of 8x8 pixels",
        "expected 16 a side or more: fewer cells, or a larger size",
    ),
    (
        "size: 48x24\nshow: [faces, blend, anime, other]",
        7,
        "cells of 12x24 pixels",
        "expected 16 a side or more: fewer cells, or a larger size",
    ),
    (
        "size: 960x96\ngrid: 1x2\nframe: {fit: extend}",
        14,
        "fit: extend reaches 4:1, but a cell of 960x48 is longer",
        "choose sides of up to 192 pixels beside 48, or another fit",
    ),
    ("overlay: mixx", 10, 'unknown overlay "mixx"', 'did you mean "mix"?'),
    ("overlay: [mix, none]", 16, 'unknown overlay "none"', "overlay is mix or labels"),
    ("overlay: [mix, mix]", 16, "mix is drawn twice", "name it once"),
    (
        "show: [faces, anime]\noverlay: mix",
        10,
        "the mix is drawn on the blend, which show leaves out",
        "add blend to show, or leave mix out",
    ),
]


@pytest.mark.parametrize(("text", "column", "message", "hint"), MISTAKES)
def test_a_mistake_is_told_once_where_it_stands(text, column, message, hint):
    with pytest.raises(TimelineError) as caught:
        read(text)
    (mistake,) = caught.value.mistakes
    assert (mistake.mark.column, mistake.message, mistake.hint) == (column, message, hint)
    assert mistake.mark.line == 4 + len(text.splitlines())


def test_nothing_follows_from_a_view_that_can_not_be_read():
    with pytest.raises(TimelineError) as caught:
        read("show: [faces, blendd]\ngrid: 3x1\noverlay: mix")
    assert [mistake.message for mistake in caught.value.mistakes] == ['unknown view "blendd"']


def test_paths_of_files_alone_are_no_more_than_files():
    with pytest.raises(TimelineError, match="3 paths, and the latents are 2 files and no seed"):
        read("grid: 3x1", latents="[a.npy, b.npy]")
    assert read("grid: 2x1", latents="[a.npy, b.npy]").grid.num_paths == 2
    assert read("grid: 3x1", latents="[a.npy, 5]").grid.num_paths == 3


@pytest.mark.parametrize("word", ["mix", "labels", "show", "grid", "overlay", "blend"])
def test_no_network_is_named_with_one_of_its_words(word):
    with pytest.raises(TimelineError, match=f'"{word}" can\'t name a network'):
        read_timeline(f"{{networks: {{{word}: a.pkl}}, duration: 1s}}", "reel.yaml")
