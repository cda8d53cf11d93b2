"""Each cell of a frame is what a render of that network on that path is, bit for bit."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

import animix
from animix.checkpoints.load import load_network
from animix.chunks import chunk_keys, files_of
from animix.errors import TimelineError
from animix.film import Film, open_film, open_films
from animix.rendering import encode
from animix.timeline.reader import load_timeline
from tests.tiny import fastly, plainly, relative_of, tiny_tensors, write_tensors

REEL = """\
networks: {faces: faces.safetensors, art: "art-*.safetensors", spare: spare.safetensors}
duration: 20f
fps: 10
latents: [3, 17, 42]
noise: random
mapping: faces
"""
BLEND = """\
blend:
  - faces
  - art: {swap: {0%: all, 50%: 8, 100%: all}, snapshot: {0%: 0, 50%: 2, 100%: 0}}
"""
FRAMES = (0, 10)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("networks")
    tensors, metadata = tiny_tensors()
    write_tensors(folder / "faces.safetensors", tensors, metadata)
    for number in (1, 2):
        relative = relative_of(tensors, seed=number)
        write_tensors(folder / f"art-{number}.safetensors", relative, metadata)
    write_tensors(folder / "spare.safetensors", relative_of(tensors, seed=3), metadata)
    return folder


def opened(folder: Path, text: str = "", blend: str = BLEND, latents: str = "") -> Film:
    reel = REEL.replace("[3, 17, 42]", latents) if latents else REEL
    (folder / "reel.yaml").write_text(reel + blend + text)
    return open_film(load_timeline(folder / "reel.yaml"), device="cpu")


def alone(folder: Path, network: str, snapshot: str = "last") -> Film:
    """A network's own film, with the mapping of the others."""
    return opened(folder, blend=f"blend: [{network}: {{snapshot: {snapshot}}}]\n")


def cells_of(canvas: Tensor, columns: int, rows: int) -> list[Tensor]:
    """The cells of a canvas without borders, row by row."""
    return [cell for row in canvas.chunk(rows, dim=1) for cell in row.chunk(columns, dim=2)]


ENGINES = [lambda film: film, plainly, fastly]


@pytest.mark.parametrize("engine", ENGINES)
def test_each_view_is_what_it_is_alone_in_a_frame(folder, engine):
    shown = engine(opened(folder, "show: [faces, blend, art]\n"))
    assert shown.canvas_size == (48, 16)
    others = [engine(opened(folder, f"show: {view}\n")) for view in ("faces", "blend", "art")]
    for index in FRAMES:
        cells = cells_of(shown.canvas(index), 3, 1)
        for cell, other in zip(cells, others, strict=True):
            assert torch.equal(cell, other.canvas(index))
        # At the start nothing is laid over the base.
        assert len({cell.numpy().tobytes() for cell in cells}) == (2 if index == 0 else 3)


@pytest.mark.parametrize("engine", ENGINES[:2])
def test_each_view_is_what_a_render_of_that_network_is(folder, engine):
    shown = engine(opened(folder, "show: [faces, art, spare]\n"))
    others = [
        engine(alone(folder, "faces")),
        # Where it isn't in the mix yet, it is at its first snapshot.
        engine(alone(folder, "art", "{0%: 1, 25%: 1, 50%: 2, 75%: 1, 100%: 1}")),
        engine(alone(folder, "spare")),
    ]
    for index in (0, 10):
        for cell, other in zip(cells_of(shown.canvas(index), 3, 1), others, strict=True):
            if engine is plainly:
                assert torch.equal(cell, other.canvas(index))
            # Framewise all networks of a film are worked on at once, which rounds otherwise.
            assert torch.allclose(cell, other.canvas(index), rtol=0, atol=1e-5)


@pytest.mark.parametrize("engine", ENGINES)
def test_each_path_is_what_a_render_of_its_seeds_is(folder, engine):
    shown = engine(opened(folder, "grid: 2x2\n"))
    assert shown.canvas_size == (32, 32)
    paths = ("[3, 17, 42]", "[17, 42, 3]", "[42, 3, 17]", "[1003, 1017, 1042]")
    others = [engine(opened(folder, latents=latents)) for latents in paths]
    for index in FRAMES:
        cells = cells_of(shown.canvas(index), 2, 2)
        assert len({cell.numpy().tobytes() for cell in cells}) == 4
        for cell, other in zip(cells, others, strict=True):
            assert torch.equal(cell, other.canvas(index))


@pytest.mark.parametrize(
    "latents",
    [
        "{seeds: [3, 17], space: z}",
        "{seeds: [3, 17], even: true}",
        "{4..8: [3, 17], 16..: {seeds: [5, 6], speed: {0%: 1, 50%: 3, 100%: 1}}}",
        "{0s: 3, 1s: 17 hold, end: 3}",
    ],
)
def test_a_further_path_goes_as_paths_of_its_kind_do(folder, latents):
    other = latents.replace("3", "x").replace("17", "3").replace("x", "17").replace("17: 1", "3: 1")
    other = other.replace("5, 6", "6, 5").replace("50%: 17", "50%: 3")
    shown = opened(folder, "grid: 2x1\n", latents=latents)
    expected = [opened(folder, latents=each) for each in (latents, other)]
    for index in FRAMES:
        for cell, film in zip(cells_of(shown.canvas(index), 2, 1), expected, strict=True):
            assert torch.equal(cell, film.canvas(index))


def test_each_picture_is_painted_once_for_all_outputs(folder, monkeypatch):
    painted: list[tuple[int, int]] = []
    pictures = animix.footage.Footage._pictures

    def counted(self, engine, cell, wanted, panel):
        number = self.schedule.grid.panels.index(panel)
        painted.extend((number, place) for place in wanted)
        return pictures(self, engine, cell, wanted, panel)

    monkeypatch.setattr(animix.footage.Footage, "_pictures", counted)
    outputs = "output: [{file: a.mp4}, {file: b.mp4, size: 48x64, fit: cover}]\n"
    (folder / "two.yaml").write_text(REEL + BLEND + outputs + "show: [faces, blend]\ngrid: 2x2\n")
    films = open_films(load_timeline(folder / "two.yaml"), device="cpu")
    wanted = [(film.view, [range(20)]) for film in films]
    shown = [frames for cell in films[0].footage.cells(wanted) for frames in cell]
    assert sum(map(len, shown)) == 40
    assert sorted(painted) == [(panel, place) for panel in range(4) for place in range(20)]
    alone = [b"".join(frame.tobytes() for frame in film.frames(range(20))) for film in films]
    assert alone == [b"".join(frames.tobytes() for frames in shown[n::2]) for n in (0, 1)]


def test_networks_are_read_once_for_all_views(folder, monkeypatch):
    film = plainly(opened(folder, "show: [faces, blend, art, spare]\ngrid: 4x2\n"))
    read: list[int] = []
    kind = type(film.engine.shelf)
    monkeypatch.setattr(
        kind, "_read", lambda self, n: read.append(n) or load_network(self.files[n])
    )
    assert len(list(film.frames(range(20)))) == 20
    # The run goes to its second snapshot and back: the first one leaves and is read again.
    assert sorted(read) == [0, 1, 1, 2, 3]


def test_a_network_that_is_shown_is_looked_for_before_it_is_in_the_mix(folder):
    assert opened(folder, "show: [blend, art]\n").painted.columns_in(range(1)) == [0, 1]
    assert opened(folder).painted.columns_in(range(1)) == [0]


# -- On the canvas ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fit", "top", "size"),
    [
        ("contain", 12, "40x40"),
        ("blur", 12, "40x40"),
        ("cover", 0, "40x64"),
        ("stretch", 0, "40x64"),
    ],
)
def test_cells_lie_on_the_canvas_as_fit_says(folder, fit, top, size):
    frame = f"frame: {{fit: {fit}}}\n"
    film = opened(folder, f"show: [faces, art]\ngrid: 2x1\nsize: 80x64\n{frame}")
    for left, view in ((0, "faces"), (40, "art")):
        alone = opened(folder, f"show: {view}\nsize: {size}\n{frame}")
        cell = film.canvas(0)[:, top : 64 - top, left : left + 40]
        assert torch.equal(cell, alone.canvas(0))


def test_what_a_grid_leaves_free_is_background_or_a_blur(folder):
    text = 'show: [faces, art]\nsize: 64x64\ngrid: 2x1\nframe: {{fit: {}, background: "#ff0000"}}\n'
    plain = opened(folder, text.format("contain")).canvas(0)
    red = torch.tensor([1.0, -1, -1])[:, None, None]
    assert (plain[:, :16] == red).all() and (plain[:, 48:] == red).all()
    blurred = opened(folder, text.format("blur")).canvas(0)
    assert torch.equal(blurred[:, 16:48], plain[:, 16:48])
    strip = blurred[:, :16]
    assert strip.std() < 0.7 * plain[:, 16:48].std()
    assert (strip[:, 1:] - strip[:, :-1]).abs().max() < 0.1


def test_zoom_stays_in_its_cell(folder):
    frame = "frame: {zoom: 1.5, pan: 0.1 0, rotate: 5}\n"
    zoomed = cells_of(opened(folder, f"show: [faces, art]\n{frame}").canvas(3), 2, 1)
    for cell, view in zip(zoomed, ("faces", "art"), strict=True):
        assert torch.equal(cell, opened(folder, f"show: {view}\n{frame}").canvas(3))


def test_an_extended_cell_is_painted_to_its_borders(folder):
    frame = "frame: {fit: extend}\n"
    film = opened(folder, f"show: [faces, art]\ngrid: 1x2\nsize: 32x32\n{frame}")
    assert (film.extent.rows, film.extent.columns) == (4, 8)
    upper = opened(folder, f"show: faces\nsize: 32x16\n{frame}")
    assert torch.equal(cells_of(film.canvas(0), 1, 2)[0], upper.canvas(0))


# -- The same frames, however asked for ------------------------------------------------------------

GRID = "show: [faces, blend]\ngrid: 2x2\nsize: 320x288\noverlay: [mix, labels]\n"


@pytest.mark.parametrize("engine", ENGINES[::2])
def test_a_frame_is_the_same_alone_and_among_others(folder, engine):
    film = engine(opened(folder, GRID))
    frames = [frame.tobytes() for frame in film.frames(range(5))]
    assert len(set(frames)) == 5
    for index in (0, 4):
        assert film.yuv420(index).tobytes() == frames[index]
    assert [frame.tobytes() for frame in film.frames(range(2, 4))] == frames[2:4]


def keys(film: Film) -> list[str]:
    digests = {path: path.name for path in files_of(film)}
    key = chunk_keys(film, (), digests)
    return [key(range(start, start + 4)) for start in range(0, 20, 4)]


CHANGES = {
    "what is shown": ("[faces, blend]", "[blend, faces]"),
    "another network": ("[faces, blend]", "[art, blend]"),
    "the grid": ("2x2", "4x1"),
    "what is drawn": ("[mix, labels]", "mix"),
    "nothing is drawn": ("[mix, labels]", "none"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_a_frame_shows_is_in_the_keys_of_its_chunks(folder, change):
    before = keys(opened(folder, GRID))
    assert keys(opened(folder, GRID)) == before
    after = keys(opened(folder, GRID.replace(*CHANGES[change])))
    assert not set(before) & set(after)


def test_a_name_is_in_the_keys_where_it_is_drawn(folder):
    def renamed(text: str) -> list[str]:
        (folder / "renamed.yaml").write_text((REEL + BLEND + text).replace("faces", "people"))
        (folder / "people.safetensors").unlink(missing_ok=True)
        (folder / "people.safetensors").symlink_to(folder / "faces.safetensors")
        film = open_film(load_timeline(folder / "renamed.yaml"), device="cpu")
        digests = {path: path.name.replace("people", "faces") for path in files_of(film)}
        key = chunk_keys(film, (), digests)
        return [key(range(start, start + 4)) for start in range(0, 20, 4)]

    plain = GRID.replace("[mix, labels]", "none")
    assert renamed(plain) == keys(opened(folder, plain))
    assert not set(renamed(GRID)) & set(keys(opened(folder, GRID)))


def test_a_network_that_is_only_shown_has_to_fit(folder):
    write_tensors(folder / "large.safetensors", *tiny_tensors(img_resolution=32))
    text = REEL.replace("spare.safetensors", "large.safetensors") + BLEND
    (folder / "large.yaml").write_text(text + "show: [blend, spare]\n")
    with pytest.raises(TimelineError, match="spare"):
        open_film(load_timeline(folder / "large.yaml"), device="cpu")


def test_a_draft_of_a_grid_is_half_of_it(folder):
    (folder / "reel.yaml").write_text(REEL + BLEND + GRID)
    film = open_film(load_timeline(folder / "reel.yaml"), device="cpu", draft=True)
    assert film.canvas_size == (160, 144)
    assert np.isfinite(film.canvas(0).numpy()).all()


# -- In commands -----------------------------------------------------------------------------------


@pytest.fixture
def reel(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A timeline with its networks in the current folder."""
    for file in folder.glob("*.safetensors"):
        (tmp_path / file.name).symlink_to(file)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "reel.yaml").write_text(REEL + BLEND + GRID)
    return tmp_path / "reel.yaml"


def test_a_render_goes_on_where_the_same_was_drawn(reel):
    def done_before(text: str) -> int:
        reel.write_text(REEL + BLEND + text)
        film = open_film(load_timeline(reel), device="cpu")
        *_, last = encode(film, reel.with_name("reel.mp4"), keep_cache=True)
        return last.done_before

    assert done_before(GRID) == 0
    assert done_before(GRID + "title: Another\n") == 20
    assert done_before(GRID.replace("[mix, labels]", "labels")) == 0


def test_check_tells_what_is_seen(run, reel):
    code, out, _ = run("check", reel)
    assert code == 0
    assert "320×288" in out
    assert "  grid 2x2: faces, blend; 2 paths\n  overlay: mix, labels\n" in out
    code, out, _ = run("check", reel, "--json")
    told = json.loads(out.splitlines()[0])
    assert (told["grid"], told["shown"], told["num_paths"]) == ("2x2", ["faces", "blend"], 2)
    reel.write_text(REEL + BLEND)
    assert "grid" not in run("check", reel)[1]


def test_a_still_shows_the_frame_of_the_film(run, reel):
    code, _, _ = run("still", reel, "--at", "10f", "-o", "still.png", "--device", "cpu")
    assert code == 0
    film = open_film(load_timeline(reel), device="cpu")
    with Image.open("still.png") as still:
        assert (np.asarray(still) == film.rgb8(10)).all()


def test_a_sheet_shows_whole_frames(run, reel):
    code, out, _ = run("sheet", reel, "--variants", "-o", "page.png", "--device", "cpu")
    assert code == 0, out
    with Image.open("page.png") as page:
        assert page.width >= 256


def test_a_film_carries_them_in_its_recipe(run, reel):
    assert run("render", reel, "-o", "reel.mp4", "--device", "cpu")[0] == 0
    code, _, err = run("new", "--from", "reel.mp4", "-o", "again.yaml")
    assert code == 0, err
    again = load_timeline("again.yaml")
    assert again.grid.panels == load_timeline(reel).grid.panels
    assert again.overlay == ("mix", "labels")
    films = [open_film(load_timeline(name), device="cpu") for name in ("reel.yaml", "again.yaml")]
    assert films[0].yuv420(3).tobytes() == films[1].yuv420(3).tobytes()


def test_a_recipe_tells_the_grid_that_another_size_would_change(run, reel):
    reel.write_text(REEL + BLEND + "show: [faces, spare]\n")
    sizes = "output=[{file: a.mp4, size: 32x64}, {file: b.mp4, size: 64x32}]"
    assert run("render", reel, "--set", sizes, "--device", "cpu")[0] == 0
    assert run("new", "--from", "b.mp4", "-o", "again.yaml")[0] == 0
    grid = load_timeline("again.yaml").grid
    assert (grid.columns, grid.rows, grid.shown) == (1, 2, ("faces", "spare"))


def test_the_csv_tells_all_paths_and_who_is_alone(run, reel):
    reel.write_text(REEL + BLEND + "show: [blend, art]\ngrid: 2x2\n")
    assert run("check", reel, "--csv", "rows.csv")[0] == 0
    with Path("rows.csv").open(encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert (rows[0]["latents"], rows[0]["latents of path 2"]) == ("1*3", "1*17")
    assert (rows[0]["alone art"], rows[10]["alone art"]) == ("1*art-1", "1*art-2")
    reel.write_text(REEL + BLEND)
    assert run("check", reel, "--csv", "rows.csv")[0] == 0
    assert "path" not in Path("rows.csv").read_text(encoding="utf-8").splitlines()[0]


def test_a_mistake_is_underlined(run, reel):
    reel.write_text(REEL + BLEND + "show: [faces, blind]\n")
    code, _, err = run("check", reel)
    assert code == 2
    assert 'reel.yaml:10:15  unknown view "blind"' in err
    assert 'did you mean "blend"?' in err
