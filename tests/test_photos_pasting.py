"""Pictures go back into the photo that they were cut out of, and leave the rest of it alone."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from animix.chunks import chunk_keys, files_of
from animix.engine.pasting import Scene, crop_on_canvas, paste
from animix.engine.pixels import lay, to_rgb8
from animix.errors import TimelineError
from animix.film import open_film, open_films
from animix.photos.crop import Crop, cut, square
from animix.photos.photo import Photo
from animix.projected import Projected, read_projected, write_projected
from animix.timeline.framing import Framing
from animix.timeline.reader import load_timeline
from animix.whole_file import digest_of
from tests.tiny import relative_of, tiny_tensors, write_tensors


def smooth(height, width, seed=0):
    rng = np.random.default_rng(seed)
    small = Image.fromarray(rng.integers(40, 216, (4, 5, 3), np.uint8))
    return np.array(small.resize((width, height), Image.Resampling.BICUBIC))


def turned(degrees, side, centre):
    angle = np.deg2rad(degrees)
    x, y = side * np.cos(angle), side * np.sin(angle)
    matrix = np.array([[x, -y, 0], [y, x, 0], [0, 0, 1]])
    matrix[:2, 2] = np.array(centre) - matrix[:2, :2] @ [0.5, 0.5]
    return Crop(matrix)


def tensor_of(pixels):
    return torch.from_numpy(np.ascontiguousarray(pixels)).movedim(2, 0).float() / 127.5 - 1


PLACES = {
    "level": square(30, 20, 60),
    "turned": turned(20, 60, (64, 50)),
    "upside down": turned(180, 60, (64, 50)),
    "over the edge": turned(-15, 80, (20, 15)),
    "fractions": square(30.3, 20.7, 55.5),
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("size", [16, 64, 256])
def test_what_was_cut_out_goes_back_unseen(place, size):
    photo = smooth(100, 130)
    scene = Scene(photo, PLACES[place])
    picture = tensor_of(cut(Photo(photo, Path("a")), scene.crop, size))
    found = to_rgb8(paste(picture, scene, (130, 100), Framing()), 0).numpy().astype(int)
    assert np.abs(found - photo).max() <= (8 if size == 16 else 3)


@pytest.mark.parametrize("place", PLACES)
def test_the_rest_of_the_photo_stays_as_it_is(place):
    photo = np.random.default_rng(0).integers(0, 256, (100, 130, 3), np.uint8)
    crop = PLACES[place]
    found = to_rgb8(paste(torch.ones(3, 16, 16), Scene(photo, crop), (130, 100), Framing()), 7)
    rows, columns = np.mgrid[:100, :130] + 0.5
    ones = np.ones_like(rows)
    x, y, _ = np.linalg.inv(crop.matrix) @ np.stack([columns, rows, ones]).reshape(3, -1)
    outside = ((x < 0) | (x > 1) | (y < 0) | (y > 1)).reshape(100, 130)
    deep = (np.minimum(np.minimum(x, 1 - x), np.minimum(y, 1 - y)) > 0.1).reshape(100, 130)
    assert outside.any() and deep.any()
    assert np.array_equal(found.numpy()[outside], photo[outside])
    assert (found.numpy()[deep] == 255).all()


@pytest.mark.parametrize("degrees", [0, 30])
def test_the_edge_is_soft(degrees):
    scene = Scene(np.zeros((200, 200, 3), np.uint8), turned(degrees, 120, (100, 100)))
    canvas = paste(torch.ones(3, 32, 32), scene, (200, 200), Framing())
    steps = (canvas[0, 1:] - canvas[0, :-1]).abs().max(), canvas[0].diff(dim=1).abs().max()
    assert max(steps) < 0.5  # of 2, from black to white


def test_where_the_photo_ends_the_picture_does_too():
    photo = np.zeros((64, 64, 3), np.uint8)
    whole = paste(torch.ones(3, 16, 16), Scene(photo, square(0, 0, 64)), (64, 64), Framing())
    assert (whole > 0.999).all()
    beside = paste(torch.ones(3, 16, 16), Scene(photo, square(0, 0, 40)), (64, 64), Framing())
    assert (beside[:, :30, :30] > 0.999).all()
    assert (beside[:, 40:] == -1).all() and (beside[:, :, 40:] == -1).all()
    assert ((beside[0, :30, 36:40] > -1) & (beside[0, :30, 36:40] < 1)).all()


FRAMINGS = {
    "as it is": ((130, 100), Framing()),
    "smaller": ((64, 64), Framing()),
    "cover": ((200, 80), Framing("cover")),
    "moved": ((160, 160), Framing("contain", zoom=1.4, pan_x=0.1, pan_y=-0.05)),
    "turned": ((160, 160), Framing("contain", rotate=25, pan_x=0.1, background=(255, 0, 0))),
}


@pytest.mark.parametrize("name", FRAMINGS)
def test_the_picture_moves_with_the_photo(name):
    """Pasted and laid at once is as pasted, and then laid."""
    size, framing = FRAMINGS[name]
    photo = smooth(100, 130)
    scene = Scene(photo, turned(10, 50, (64, 50)))
    picture = tensor_of(smooth(50, 50, seed=1))
    expected = lay(paste(picture, scene, (130, 100), Framing()), size, framing)
    found = paste(picture, scene, size, framing)
    assert (found - expected).abs().max() < 0.06
    assert (found - expected).abs().mean() < 0.003


@pytest.mark.parametrize("framing", [Framing(), Framing("contain", zoom=1.3, rotate=8)])
def test_a_large_photo_lies_as_a_small_one(framing):
    """Averaged first, it lies no fraction of a pixel elsewhere."""
    large = smooth(1000, 1304)
    small = np.array(Image.fromarray(large).resize((326, 250), Image.Resampling.LANCZOS))
    picture = tensor_of(smooth(50, 50, seed=1))
    crop = turned(10, 400, (600, 500))
    found = paste(picture, Scene(large, crop), (326, 250), framing)
    crop = Crop(np.diag([1 / 4, 1 / 4, 1]) @ crop.matrix)
    expected = paste(picture, Scene(small, crop), (326, 250), framing)
    assert (found - expected).abs().max() < 0.03


def test_odd_photos_get_their_last_pixels_twice():
    photo = np.random.default_rng(0).integers(0, 256, (31, 41, 3), np.uint8)
    scene = Scene(photo, square(4, 4, 16))
    assert scene.canvas_size == (42, 32)
    found = to_rgb8(paste(torch.zeros(3, 8, 8), scene, scene.canvas_size, Framing()), 0).numpy()
    assert np.array_equal(found[:4, :41], photo[:4])
    assert np.array_equal(found[21:, 41], found[21:, 40])
    assert np.array_equal(found[31], found[30])


def test_what_reaches_beyond_the_photo_stays_off_the_canvas():
    scene = Scene(np.zeros((40, 80, 3), np.uint8), turned(-15, 40, (10, 10)))
    canvas = paste(torch.ones(3, 16, 16), scene, (80, 80), Framing("contain", background=(0, 0, 0)))
    assert (canvas[:, :20] < -0.999).all() and (canvas[:, 60:] < -0.999).all()
    assert (canvas[:, 30] > 0).any()


def test_a_crop_may_lie_off_the_canvas():
    scene = Scene(np.zeros((64, 64, 3), np.uint8), square(0, 0, 20))
    framing = Framing("contain", zoom=4, pan_x=-1)
    assert crop_on_canvas(scene, (64, 64), framing).corners[2, 0] < 0
    assert (paste(torch.ones(3, 8, 8), scene, (64, 64), framing) == -1).all()


# In a timeline

REEL = """\
networks: {faces: faces.safetensors, art: art.safetensors}
duration: 1s
fps: 4
latents: me.npz
blend: [faces, {art: {swap: {0s: none, 1s: all}}}]
frame: {into: me.npz}
"""


@pytest.fixture(scope="module")
def networks(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("networks")
    tensors, metadata = tiny_tensors()
    write_tensors(folder / "faces.safetensors", tensors, metadata)
    write_tensors(folder / "art.safetensors", relative_of(tensors), metadata)
    return folder


@pytest.fixture
def folder(networks, tmp_path):
    for file in networks.iterdir():
        (tmp_path / file.name).symlink_to(file)
    Image.fromarray(smooth(60, 91)).save(tmp_path / "me.png")
    write_me(tmp_path)
    (tmp_path / "reel.yaml").write_text(REEL)
    return tmp_path


def write_me(folder, crop=PLACES["level"], photo="me.png", target="me.npz"):
    w = np.random.default_rng(0).standard_normal((6, 16)).astype(np.float32)
    write_projected(
        Projected(
            w=w,
            photo=photo,
            photo_digest=digest_of(folder / photo),
            photo_size=(91, 60),
            crop=crop,
        ),
        folder / target,
    )


def opened(folder, **settings):
    return open_film(load_timeline(folder / "reel.yaml", settings), device="cpu")


def test_a_film_is_as_large_as_the_photo_and_shows_it_around_the_picture(folder):
    film = opened(folder)
    assert film.canvas_size == (92, 60)
    photo = smooth(60, 91)
    frames = [film.rgb8(index) for index in range(4)]
    for frame in frames:
        assert np.array_equal(frame[:, :30], photo[:, :30])
        assert np.array_equal(frame[:20, :91], photo[:20])
    assert not np.array_equal(frames[0][30:50, 40:80], frames[3][30:50, 40:80])


def test_the_picture_stands_in_its_crop(folder):
    film = opened(folder)
    row = film.schedule.rows(range(1))[0]
    picture = film.pictures([row])[0].clone()
    projected = read_projected(folder / "me.npz")
    scene = Scene(smooth(60, 91), projected.crop)
    expected = paste(picture, scene, (92, 60), Framing())
    assert torch.equal(film.canvas(0), expected)


def test_outputs_have_their_own_size(folder):
    with (folder / "reel.yaml").open("a") as file:
        file.write("output: [{size: 64x48, file: a.mp4}, {size: 48x64, fit: cover, file: b.mp4}]\n")
    films = open_films(load_timeline(folder / "reel.yaml"), device="cpu")
    assert [film.canvas_size for film in films] == [(64, 48), (48, 64)]
    assert [film.rgb8(0).shape for film in films] == [(48, 64, 3), (64, 48, 3)]
    assert opened(folder, size="128x96").canvas_size == (64, 48)


def test_a_part_of_a_film_is_as_the_whole(folder):
    (folder / "reel.yaml").write_text(REEL.replace("{into", "{zoom: {0s: 1, 1s: 2}, into"))
    film = opened(folder)
    whole = [frame.copy() for frame in film.frames(range(4))]
    again = opened(folder)
    for index in (3, 1):
        assert np.array_equal(next(again.frames(range(index, index + 1))), whole[index])


def test_chunks_know_the_photo(folder):
    def key(reel=REEL):
        (folder / "reel.yaml").write_text(reel)
        film = opened(folder)
        digests = {path: digest_of(path) for path in files_of(film)}
        return chunk_keys(film, (), digests)(range(4))

    with_photo = key()
    assert key() == with_photo
    assert key(REEL.replace("frame: {into: me.npz}", "size: 92x60")) != with_photo
    write_me(folder, PLACES["turned"], target="you.npz")
    moved = REEL.replace("{into: me.npz}", "{into: you.npz}")
    assert key(moved) != with_photo
    (folder / "you.npz").rename(folder / "they.npz")
    assert key(moved.replace("you", "they")) == key(moved.replace("you", "they"))
    Image.fromarray(smooth(60, 91, seed=5)).save(folder / "me.png")
    write_me(folder)
    assert key() != with_photo


@pytest.mark.parametrize("where", [".", "projected"])
def test_the_photo_lies_beside_the_file_or_above_it(folder, where):
    (folder / "projected").mkdir()
    (folder / "me.npz").rename(folder / where / "me.npz")
    reel = REEL.replace("me.npz", f"{where}/me.npz")
    (folder / "reel.yaml").write_text(reel)
    assert opened(folder).canvas_size == (92, 60)


def no_photo(folder):
    (folder / "me.png").unlink()


def another_photo(folder):
    Image.fromarray(smooth(60, 91, seed=9)).save(folder / "me.png")


def no_file(folder):
    (folder / "me.npz").rename(folder / "moved.npz")


def no_projection(folder):
    np.savez(folder / "me.npz", w=np.zeros((6, 16), np.float32))


def no_crop(folder):
    write_me(folder, None)


def broken_photo(folder):
    (folder / "me.png").write_bytes((folder / "me.png").read_bytes()[:-400])
    write_me_again(folder)


def write_me_again(folder):
    w = np.zeros((6, 16), np.float32)
    digest = digest_of(folder / "me.png")
    write_projected(Projected(w, "me.png", digest, (91, 60), square(1, 1, 20)), folder / "me.npz")


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (no_photo, "its photo me.png is missing: put it beside the timeline"),
        (another_photo, "is not the photo that was projected"),
        (no_file, "me.npz: no such file"),
        (no_projection, "is no projected photo"),
        (no_crop, "does not tell where in me.png it was cut out"),
        (broken_photo, "me.png: is cut off or damaged"),
    ],
)
def test_what_is_missing_is_told_at_its_place(folder, spoil, told):
    spoil(folder)
    (folder / "reel.yaml").write_text(REEL.replace("latents: me.npz", "latents: 3"))
    with pytest.raises(TimelineError) as error:
        opened(folder)
    (mistake,) = error.value.mistakes
    assert told in mistake.message
    assert (mistake.mark.line, mistake.mark.column) == (6, 15)


@pytest.mark.parametrize(
    "command",
    [
        ("still", "--at", "0s"),
        ("sheet",),
        ("sheet", "--curves"),
        ("seeds", "1..2"),
    ],
    ids=" ".join,
)
def test_no_command_writes_over_the_photo(folder, run, command):
    before = (folder / "me.png").read_bytes()
    name, *options = command
    code, _, error = run(name, folder / "reel.yaml", *options, "-o", folder / "me.png")
    assert code == 2
    assert "me.png is read by this timeline; name another file" in error
    assert (folder / "me.png").read_bytes() == before


def test_a_photo_that_changed_is_told_by_its_own_name(folder):
    (folder / "projected").mkdir()
    (folder / "me.npz").rename(folder / "projected" / "me.npz")
    (folder / "reel.yaml").write_text(REEL.replace("me.npz", "projected/me.npz"))
    # What ``project`` leaves beside the file has the photo's name and isn't the photo.
    Image.fromarray(smooth(20, 40, seed=3)).save(folder / "projected" / "me.png")
    assert opened(folder).canvas_size == (92, 60)
    another_photo(folder)
    with pytest.raises(TimelineError, match=r"\d {2}[^ ]*/me.png: is not the photo") as error:
        opened(folder)
    assert "projected/me.png" not in error.value.mistakes[0].message
    (folder / "me.png").unlink()
    with pytest.raises(TimelineError, match=r"its photo me.png is missing \(.*projected/me.png is"):
        opened(folder)


def test_the_commands_take_it(folder, run):
    code, _, error = run("still", folder / "reel.yaml", "--at", "0s", "-o", folder / "still.png")
    assert code == 0, error
    with Image.open(folder / "still.png") as still:
        assert np.array_equal(np.array(still)[:20, :91], smooth(60, 91)[:20])
    code, _, error = run("render", folder / "reel.yaml", "-o", folder / "film.mp4")
    assert code == 0, error
    code, _, error = run("new", "--from", folder / "film.mp4", "-o", folder / "again.yaml")
    assert code == 0, error
    again = load_timeline(folder / "again.yaml")
    assert (again.frame.into.file, again.size) == ("me.npz", (92, 60))
    code, _, error = run("sheet", folder / "reel.yaml", "-o", folder / "sheet.png")
    assert code == 0, error
    code, _, error = run("check", folder / "reel.yaml")
    assert code == 0, error


def test_a_file_is_seen_from_the_file_that_names_it(folder):
    (folder / "deep").mkdir()
    (folder / "deep" / "child.yaml").write_text("extends: ../reel.yaml\n")
    timeline = load_timeline(folder / "deep" / "child.yaml")
    assert (timeline.path.parent / timeline.frame.into.file).resolve() == folder / "me.npz"
    assert open_film(timeline, device="cpu").canvas_size == (92, 60)


def test_each_cell_of_a_grid_shows_the_photo(folder):
    (folder / "reel.yaml").write_text(f"{REEL}show: [faces, art]\ngrid: 2x1\n")
    film = opened(folder)
    assert film.canvas_size == (184, 60)
    frame = film.rgb8(0).astype(int)
    (folder / "reel.yaml").write_text(REEL)
    alone = opened(folder, size="92x60").rgb8(0).astype(int)
    assert np.abs(frame[:, :92] - alone).max() <= 1
    # Beside its crop the photo is the same in both cells.
    assert np.abs(frame[:14, :92] - frame[:14, 92:]).max() <= 1
    assert np.abs(frame[24:54, 35:85] - frame[24:54, 127:177]).max() > 1
