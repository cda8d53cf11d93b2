"""Columns are as high as shares, captions say what is seen, and no other pixel changes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from animix.film import Film, open_film
from animix.inset import inset_of
from animix.lettering import shape_of
from animix.palette import NETWORK_COLOURS, colours_of, tint_of
from animix.timeline.grid import Place
from animix.timeline.reader import load_timeline
from tests.tiny import relative_of, tiny_stylegan3, tiny_tensors, write_tensors

REEL = """\
networks: {faces: faces.safetensors, art: "art-*.safetensors", marble: marble.safetensors}
duration: 20f
fps: 10
latents: [3, 17]
size: 256x256
blend:
  - faces
  - art: {swap: {0%: none, 50%: 8, 100%: none}, snapshot: {0%: 1, 50%: 2, 100%: 1}}
  - marble: {alpha: {0%: 0, 50%: 0.75 linear, 100%: 0}}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("networks")
    tensors, metadata = tiny_tensors()
    write_tensors(folder / "faces.safetensors", tensors, metadata)
    for number, name in enumerate(("art-1", "art-2", "marble")):
        relative = relative_of(tensors, seed=number)
        write_tensors(folder / f"{name}.safetensors", relative, metadata)
    return folder


def opened(folder: Path, text: str, reel: str = REEL) -> Film:
    (folder / "reel.yaml").write_text(reel + text)
    return open_film(load_timeline(folder / "reel.yaml"), device="cpu")


def part(canvas: Tensor, place: Place) -> Tensor:
    rows = slice(place.top, place.top + place.height)
    return canvas[..., rows, place.left : place.left + place.width]


def without(canvas: Tensor, places: list[Place]) -> Tensor:
    """A canvas with holes."""
    left = canvas.clone()
    for place in places:
        part(left, place).zero_()
    return left


# -- The chart -------------------------------------------------------------------------------------


@pytest.mark.parametrize("index", [0, 3, 7, 10])
def test_columns_are_as_high_as_shares(folder, index):
    film = opened(folder, "overlay: mix\n")
    chart = film.view.inset.chart
    bars = part(film.canvas(index), chart.bars)
    shares = chart.shares(range(index, index + 1))[0]
    mix = film.schedule.mix(index)
    assert chart.resolutions == [4, 8, 16]
    assert shares == pytest.approx(mix.reshape(3, 2, -1).mean(1))
    colours = colours_of(film.schedule.columns)
    for number in range(3):
        column = bars[:, :, number * (bars.shape[2] + 1) // 3 + 1]
        found = np.zeros(4)
        for place, each in enumerate(film.schedule.columns):
            tint = torch.tensor(tint_of(each, colours[each.network])) / 127.5 - 1
            found[place] = float((column - tint[:, None]).abs().amax(0).lt(1e-5).sum())
        # Where two meet a pixel shows both, at either end of each.
        assert np.abs(found - shares[number] * chart.bars.height).max() <= 2
        whole = (column.mean(1) + 1) / 2
        tints = [tint_of(each, colours[each.network]) for each in film.schedule.columns]
        expected = shares[number] @ np.array(tints) / 255
        assert whole.tolist() == pytest.approx(expected.tolist(), abs=1e-4)


def test_the_base_is_at_the_bottom(folder):
    film = opened(folder, "overlay: mix\n")
    bars = part(film.canvas(10), film.view.inset.chart.bars)
    base = torch.tensor(NETWORK_COLOURS[0]) / 127.5 - 1
    assert torch.allclose(bars[:, -1, 0], base)
    assert not torch.allclose(bars[:, 0, 0], base)


@pytest.mark.parametrize("alpha", ["-2", "3", "1e9"])
def test_what_is_extrapolated_is_drawn_as_all_or_nothing(folder, alpha):
    film = opened(folder, "overlay: mix\n", REEL.replace("0.75 linear", alpha))
    shares = film.view.inset.chart.shares(range(20))
    assert shares.min() >= 0 and shares.sum(2) == pytest.approx(1)
    assert shares[10, 0].tolist() == ([1, 0, 0, 0] if alpha == "-2" else [0, 0, 0, 1])


def test_stylegan3_has_a_column_for_each_sampling_rate(tmp_path):
    tensors, metadata = tiny_stylegan3()
    write_tensors(tmp_path / "faces.safetensors", tensors, metadata)
    write_tensors(tmp_path / "art.safetensors", relative_of(tensors), metadata)
    reel = (
        "networks: {faces: faces.safetensors, art: art.safetensors}\nduration: 3f\nsize: 256x256\n"
    )
    film = opened(tmp_path, "blend: {alpha: 0.5}\noverlay: mix\n", reel)
    resolutions = film.schedule.facts.resolutions
    assert film.view.inset.chart.resolutions == sorted(set(resolutions))
    assert film.view.inset.chart.shares(range(1)) == pytest.approx(0.5)


# -- Where it is drawn -----------------------------------------------------------------------------


@pytest.mark.parametrize("overlay", ["mix", "labels", "[mix, labels]"])
@pytest.mark.parametrize("size", ["256x256", "1080x608", "360x640"])
def test_only_its_corners_change(folder, overlay, size):
    reel = REEL.replace("256x256", size)
    film, bare = opened(folder, f"overlay: {overlay}\n", reel), opened(folder, "", reel)
    inset = film.view.inset
    places = [caption.place for caption in inset.captions]
    places += [inset.chart.place] if inset.chart else []
    drawn, plain = film.canvas(7), bare.canvas(7)
    assert torch.equal(without(drawn, places), without(plain, places))
    width, height = film.canvas_size
    for place in places:
        assert not torch.equal(part(drawn, place), part(plain, place))
        assert place.left >= 0 and place.left + place.width <= width
        assert place.top >= 0 and place.top + place.height <= height
        # In the upper left or the lower right quarter, or little more.
        assert min(place.left, width - place.left - place.width) < 0.05 * width
        assert place.width * place.height < 0.2 * width * height


@pytest.mark.parametrize("light", [-1.0, 1.0])
def test_it_is_read_on_dark_and_on_light(folder, light):
    film = opened(folder, "overlay: [mix, labels]\n")
    canvases = torch.full((1, 3, 256, 256), light)
    film.view.inset.draw(canvases, range(7, 8))
    (caption,) = film.view.inset.captions
    plate = (part(canvases[0], caption.place) + 1) / 2
    linear = torch.where(plate <= 0.04045, plate / 12.92, ((plate + 0.055) / 1.055) ** 2.4)
    luminance = (linear * torch.tensor([0.2126, 0.7152, 0.0722])[:, None, None]).sum(0)
    behind, letters = luminance.flatten().quantile(0.3), luminance.quantile(0.99)
    # WCAG 2.2, 1.4.3: 4.5 to 1 for texts.
    assert (letters + 0.05) / (behind + 0.05) > 4.5


def test_it_grows_with_the_canvas(folder):
    letters = {}
    for size in ("256x256", "540x540", "1080x1080", "1080x1920"):
        film = opened(folder, "overlay: labels\n", REEL.replace("256x256", size))
        letters[size] = film.view.inset.captions[0].letters
    assert list(letters.values()) == [10, 14, 27, 27]


def test_each_output_has_it_at_its_own_size(folder):
    text = "overlay: mix\noutput: [{file: a.mp4, size: 1080x1080}, {file: b.mp4}]\n"
    charts = [film.view.inset.chart for film in opened(folder, text).versions]
    assert [chart.letters for chart in charts] == [27, 10]
    assert charts[0].bars.height > 2 * charts[1].bars.height


# -- Captions --------------------------------------------------------------------------------------


def told(film: Film, index: int) -> list[list[str]]:
    """The lines of each caption."""
    return [
        [
            " ".join(filter(None, [line.name, *(f"{d.word} {d.text(index)}" for d in line.dials)]))
            for line in caption.lines
        ]
        for caption in film.view.inset.captions
    ]


@pytest.mark.parametrize(
    ("index", "lines"),
    [
        (0, ["faces", "art swap none snapshot 1.0", "marble alpha 0.00"]),
        (10, ["faces", "art swap 8 snapshot 2.0", "marble alpha 0.75"]),
    ],
)
def test_a_caption_names_networks_and_tells_what_moves(folder, index, lines):
    assert told(opened(folder, "overlay: labels\n"), index) == [lines]


@pytest.mark.parametrize(
    ("blend", "lines"),
    [
        ("[faces, marble]", ["faces", "marble"]),
        ("[faces, marble: {swap: 8}]", ["faces", "marble swap 8"]),
        ("[faces, marble: {swap: all, take: low}]", ["faces", "marble"]),
        ("[faces, marble: {swap: none, take: low}]", ["faces", "marble swap none"]),
        ("[faces, marble: {alpha: {4..8: 0.3}}]", ["faces", "marble"]),
        ("[faces, marble: {alpha: -0.5}]", ["faces", "marble alpha -0.50"]),
        ("[art: {snapshot: 1.5}, faces]", ["art snapshot 1.5", "faces"]),
        ("[art, faces]", ["art", "faces"]),
    ],
)
def test_what_goes_without_saying_is_not_said(folder, blend, lines):
    reel = REEL[: REEL.index("blend:")]
    assert told(opened(folder, f"blend: {blend}\noverlay: labels\n", reel), 3) == [lines]


def test_views_and_seeds_are_named_where_they_begin(folder):
    text = "show: [faces, blend, art]\ngrid: 3x2\nsize: 960x640\noverlay: labels\n"
    film = opened(folder, text, REEL.replace("size: 256x256\n", ""))
    # Where it isn't in the mix yet, art is at its first snapshot.
    first = ["faces", "art swap none snapshot 1.0", "marble alpha 0.00"]
    assert told(film, 0) == [["faces", "seed 3"], first, ["art snapshot 1.0"], ["seed 17"]]
    assert told(film, 9)[0] == ["faces", "seed 17"]
    cells = film.schedule.grid.places(film.canvas_size, "blur")
    for caption, number in zip(film.view.inset.captions, (0, 1, 2, 3), strict=True):
        assert caption.cell == cells[number]
    film = opened(folder, text.replace("labels", "mix"), REEL.replace("size: 256x256\n", ""))
    assert film.view.inset.chart.cell == cells[1]


def test_each_value_is_drawn_once(folder):
    reel = REEL.replace("{0%: none, 50%: 8, 100%: none}", "8")
    reel = reel.replace("{0%: 1, 50%: 2, 100%: 1}", "2").replace(
        "{0%: 0, 50%: 0.75 linear, 100%: 0}", "{0%: 0.1 hold, 50%: 0.9 hold, 100%: 0.1}"
    )
    film = opened(folder, "overlay: labels\n", reel)
    shape_of.cache_clear()
    assert len(list(film.frames(range(20)))) == 20
    # A swap that stands still, and two alphas.
    assert shape_of.cache_info().misses == 3


@pytest.mark.parametrize(
    ("text", "notes"),
    [
        ("size: 800x800\ngrid: 8x8", ["the mix", "values in labels"]),
        ("size: 64x64\ngrid: 2x2\n", ["the mix", "labels"]),
        ("size: 512x512\ngrid: 2x2", []),
    ],
)
def test_what_can_not_be_read_is_left_out_and_told(folder, text, notes):
    film = opened(folder, f"{text}\noverlay: [mix, labels]\n", REEL.replace("size: 256x256\n", ""))
    found = [note for note in film.own_notes if note.startswith("overlay")]
    assert [note.split(" can't")[0] for note in found] == [f"overlay: {each}" for each in notes]
    assert torch.isfinite(film.canvas(0)).all()


def test_a_name_is_cut_before_a_value_is_left_out(folder):
    name = "network_snapshot_000120_marbled"
    film = opened(folder, "overlay: labels\n", REEL.replace("marble:", f"{name}:"))
    (caption,) = film.view.inset.captions
    assert "…" in caption.lines[2].name and caption.lines[2].name.endswith("led")
    assert [[dial.word for dial in line.dials] for line in caption.lines] == [
        [],
        ["swap", "snapshot"],
        ["alpha"],
    ]
    assert film.own_notes == ()


def test_values_that_are_left_out_are_told(folder):
    reel = REEL.replace("size: 256x256\n", "size: 128x128\n")
    film = opened(folder, "overlay: labels\n", reel)
    (caption,) = film.view.inset.captions
    assert not any(line.dials for line in caption.lines)
    (note,) = film.own_notes
    assert note.startswith("overlay: values in labels can't be read in cells of 128×128 pixels")


@pytest.mark.parametrize("side", [96, 112, 128, 160, 256, 512])
@pytest.mark.parametrize("name", ["marble", "network_snapshot_000120"])
def test_the_chart_and_labels_never_lie_on_each_other(folder, side, name):
    reel = REEL.replace("size: 256x256", f"size: {side}x{side}").replace("marble:", f"{name}:")
    film = opened(folder, "overlay: [mix, labels]\n", reel)
    inset = film.view.inset
    covered = np.zeros((side, side), int)
    for piece in (*inset.captions, *([inset.chart] if inset.chart else [])):
        covered[piece.place.pixels] += 1
    assert covered.max() <= 1
    told = any("labels can't be read" in note for note in inset.notes)
    assert told or len(inset.captions) == 1


def test_a_long_name_is_cut(folder):
    name = "a" * 200
    film = opened(folder, "overlay: labels\n", REEL.replace("marble:", f"{name}:"))
    (caption,) = film.view.inset.captions
    assert "…" in caption.lines[2].name
    assert caption.place.width < 256
    film = opened(folder, "overlay: mix\n", REEL.replace("marble:", f"{name}:"))
    assert film.view.inset.chart.place.width < 256


def test_without_an_overlay_nothing_is_drawn(folder):
    film = opened(folder, "")
    assert film.view.inset is None
    assert inset_of(film.schedule, (256, 256), (), ()) is None


def test_a_picture_that_several_films_show_is_drawn_on_once_for_each(tmp_path):
    tensors, metadata = tiny_tensors(img_resolution=128, channels=4)
    write_tensors(tmp_path / "faces.safetensors", tensors, metadata)
    text = "{networks: {faces: faces.safetensors}, duration: 4f, fps: 4, overlay: [mix, labels], "
    outputs = ("{file: a.mp4}", "{file: b.mp4, fps: 2}")
    both = opened(tmp_path, f"output: [{', '.join(outputs)}]}}", text).versions
    assert both[0].canvas_size == (128, 128) and both[0].view.inset.chart is not None
    wanted = [(film.view, [range(film.schedule.num_frames)]) for film in both]
    cells = list(both[0].footage.cells(wanted))
    for number, output in enumerate(outputs):
        alone = opened(tmp_path, f"output: {output}}}", text)
        expected = [frame.tobytes() for frame in alone.frames(range(alone.schedule.num_frames))]
        assert [frame.tobytes() for cell in cells for frame in cell[number]] == expected


def test_a_still_tells_what_it_leaves_out(folder, run):
    (folder / "small.yaml").write_text(
        REEL.replace("256x256", "32x32") + "overlay: [mix, labels]\n"
    )
    still = folder / "still.png"
    code, _, error = run("still", folder / "small.yaml", "--at", "0", "-o", still)
    assert code == 0
    assert "overlay: the mix can't be read in cells of 32×32 pixels; left out" in error
