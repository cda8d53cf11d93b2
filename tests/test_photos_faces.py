"""Faces are found where they are, and cropped as those of FFHQ were."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from animix.errors import OptionError, PhotoError
from animix.photos import alignment, cascade
from animix.photos.alignment import crops_of, face_crops, ffhq_crop
from animix.photos.crop import Crop, cut
from animix.photos.faces import Face, find_faces
from animix.photos.photo import Photo, read_photo

ASTRONAUT = Path(__file__).with_name("astronaut.jpg")
"""Eileen Collins by NASA, in the public domain; from scikit-image 0.26, data/astronaut.png."""

REFERENCES = {
    # The means of six points on the lids of each eye, and the ends of the mouth.
    "dlib 20.0.1, 68 points": [
        [203.92, 101.92],
        [247.0, 104.17],
        [201.13, 139.88],
        [245.88, 141.38],
    ],
    # Of 16 points on the lids.
    "MediaPipe 0.10.14": [[204.3, 102.3], [246.4, 104.6], [201.8, 139.2], [245.0, 141.0]],
}
"""Where others see her eyes and mouth, in the picture's pixels; the first are what FFHQ used."""

FOUND = [[204.24, 100.68], [246.99, 103.17], [224.22, 128.39], [201.57, 139.41], [245.44, 141.45]]
"""Where ours sees them: pupils, nose and mouth."""

with_weights = pytest.mark.skipif(
    importlib.util.find_spec("mtcnn") is None, reason="animix[align] is not installed"
)


def face_of(points):
    return Face(np.array(points, np.float64), 1.0)


def template_places(eyes_and_mouth):
    """Where the formula puts eyes and mouth, [4, 2] in [0, 1], and the distance of the eyes there.

    In complex numbers, and from lids.
    """
    left, right, mouth_left, mouth_right = (complex(*point) for point in eyes_and_mouth)
    eyes, mouth = (left + right) / 2, (mouth_left + mouth_right) / 2
    across, down = right - left, mouth - eyes
    along = across - 1j * down
    x = along / abs(along) * max(2 * abs(across), 1.8 * abs(down))
    centre = eyes + 0.1 * down
    places = [0.5 + 0.5j + (p - centre) / (2 * x) for p in (left, right, mouth_left, mouth_right)]
    return np.array([[p.real, p.imag] for p in places]), abs(across / (2 * x))


def off_template(crop, reference):
    """How far from their places in FFHQ's template a crop shows points, in eyes' distances: [4]."""
    expected, eye_distance = template_places(reference)
    points = np.concatenate([np.array(reference), np.ones((4, 1))], axis=1)
    found = np.linalg.solve(crop.matrix, points.T)[:2].T
    return np.hypot(*(found - expected).T) / eye_distance


@pytest.mark.parametrize("who", REFERENCES)
def test_the_astronaut_is_where_ffhq_would_have_her(who):
    assert off_template(ffhq_crop(face_of(FOUND)), REFERENCES[who]).max() < 0.02


@with_weights
@pytest.mark.parametrize("who", REFERENCES)
def test_the_astronaut_is_found_where_ffhq_would_have_her(who):
    (crop,) = face_crops(read_photo(ASTRONAUT))
    assert off_template(crop, REFERENCES[who]).max() < 0.02


@with_weights
def test_the_astronaut_is_found_as_recorded():
    (face,) = find_faces(read_photo(ASTRONAUT))
    assert face.score > 0.9
    assert np.abs(face.points - FOUND).max() < 0.2


@with_weights
def test_exif_does_not_change_the_crop(tmp_path):
    upright = read_photo(ASTRONAUT)
    as_stored = {
        2: lambda p: p[:, ::-1],
        3: lambda p: p[::-1, ::-1],
        4: lambda p: p[::-1],
        5: lambda p: p.transpose(1, 0, 2),
        6: lambda p: p.transpose(1, 0, 2)[::-1],
        7: lambda p: p.transpose(1, 0, 2)[::-1, ::-1],
        8: lambda p: p.transpose(1, 0, 2)[:, ::-1],
    }
    (expected,) = face_crops(upright)
    for orientation, store in as_stored.items():
        exif = Image.Exif()
        exif[0x0112] = orientation
        path = tmp_path / f"{orientation}.png"
        stored = Image.fromarray(np.ascontiguousarray(store(upright.pixels)))
        stored.save(path, exif=exif, compress_level=1)
        (crop,) = face_crops(read_photo(path))
        assert np.array_equal(crop.matrix, expected.matrix)
    # As JPEG, what is turned is encoded in other blocks.
    stored.save(tmp_path / "a.jpg", exif=exif, quality=90)
    (crop,) = face_crops(read_photo(tmp_path / "a.jpg"))
    assert np.abs(crop.corners - expected.corners).max() < 0.02 * 43


@with_weights
@pytest.mark.parametrize("degrees", [-25, 10])
@pytest.mark.parametrize("scale", [0.4, 1.5])
def test_a_face_is_found_turned_and_at_any_size(degrees, scale):
    size = round(512 * scale)
    image = Image.fromarray(read_photo(ASTRONAUT).pixels).resize(
        (size, size), Image.Resampling.LANCZOS
    )
    turned = image.rotate(degrees, Image.Resampling.BICUBIC)
    (face,) = find_faces(Photo(np.array(turned), ASTRONAUT))
    angle = np.deg2rad(degrees)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    expected = (np.array(FOUND) - 256) @ turn.T + 256
    assert np.abs(face.points / (size / 512) - expected).max() < 0.03 * 43


@with_weights
def test_faces_come_by_size():
    one = read_photo(ASTRONAUT).pixels[:256, 100:356]
    larger = np.array(Image.fromarray(one).resize((380, 380), Image.Resampling.BICUBIC))
    page = np.full((380, 660, 3), 128, np.uint8)
    page[60:316, :256], page[:, 270:650] = one, larger
    faces = find_faces(Photo(page, ASTRONAUT))
    assert [bool(face.points[0, 0] > 260) for face in faces] == [True, False]
    photo = Photo(page, ASTRONAUT)
    crops = crops_of(photo, align=True)
    assert [crop.of for crop in crops] == ["face", "face"]
    (second,) = crops_of(photo, align=True, face=2)
    assert np.array_equal(second.matrix, crops[1].matrix)
    with pytest.raises(OptionError, match="--face 3, but 2 faces found"):
        crops_of(photo, align=True, face=3)


@with_weights
def test_what_shows_no_face_has_none():
    rng = np.random.default_rng(0)
    noise = Photo(rng.integers(0, 256, (200, 300, 3), np.uint8), ASTRONAUT)
    flat = Photo(np.full((64, 64, 3), 200, np.uint8), ASTRONAUT)
    thin = Photo(np.full((16, 900, 3), 200, np.uint8), ASTRONAUT)
    assert [find_faces(photo) for photo in (noise, flat, thin)] == [(), (), ()]


# The formula


def faces_at_random(number=20):
    rng = np.random.default_rng(0)
    for _ in range(number):
        points = np.array([[-1.0, 0], [1, 0], [0, 1], [-0.8, 2], [0.8, 2]])
        points += rng.normal(0, 0.1, points.shape)
        angle, size = rng.uniform(-3, 3), rng.uniform(20, 200)
        turn = size * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        yield face_of(points @ turn.T + rng.uniform(0, 500, 2))


def test_the_crop_is_the_formula_of_ffhq(monkeypatch):
    monkeypatch.setattr(alignment, "LIDS_BELOW_PUPILS", 0)
    for face in faces_at_random():
        assert off_template(ffhq_crop(face), face.points[[0, 1, 3, 4]]).max() < 1e-9


def test_pupils_are_taken_for_lids_that_lie_lower():
    for face in faces_at_random():
        across = face.eye_to_eye
        lids = face.points[[0, 1, 3, 4]].copy()
        lids[:2] += 0.03 * np.array([-across[1], across[0]])
        assert off_template(ffhq_crop(face), lids).max() < 1e-9


def test_a_turned_and_scaled_face_has_a_turned_and_scaled_crop():
    face = face_of(FOUND)
    corners = ffhq_crop(face).corners
    turn = 1.7 * np.array([[0.8, -0.6], [0.6, 0.8]])
    found = ffhq_crop(face_of(face.points @ turn.T + [5, -9])).corners
    assert found == pytest.approx(corners @ turn.T + [5, -9])


def test_a_face_in_one_point_is_told():
    with pytest.raises(PhotoError, match="no direction"):
        ffhq_crop(face_of(np.ones((5, 2))))


def test_a_cut_shows_the_face_upright_in_the_middle():
    photo = read_photo(ASTRONAUT)
    crop = ffhq_crop(face_of(FOUND))
    picture = cut(photo, crop, 256)
    assert picture.shape == (256, 256, 3)
    # The dark of her pupils, where the template has eyes: the eyes' row is at 0.47.
    at = np.linalg.solve(crop.matrix, np.array([*FOUND[0], 1]))[:2] * 256
    column, row = at.round().astype(int)
    assert picture[row - 2 : row + 3, column - 2 : column + 3].mean() < 90
    assert 0.44 < at[1] / 256 < 0.5


# What is taken of a photo


def photo_of(width=640, height=480):
    return Photo(np.zeros((height, width, 3), np.uint8), Path("me.jpg"))


@pytest.fixture
def seen(monkeypatch):
    """The faces that are found in any photo, to be changed by a test."""
    faces = [face_of(FOUND), face_of(np.array(FOUND) / 2)]
    monkeypatch.setattr(alignment, "find_faces", lambda photo: tuple(faces))
    return faces


def test_without_align_the_middle_is_taken(seen):
    (crop,) = crops_of(photo_of())
    assert crop.of == "centre"
    assert crop.corners[0].tolist() == [80, 0]


def test_with_align_all_faces_are_taken_or_one(seen):
    assert [crop.of for crop in crops_of(photo_of(), align=True)] == ["face", "face"]
    (crop,) = crops_of(photo_of(), align=True, face=2)
    assert np.array_equal(crop.matrix, ffhq_crop(seen[1]).matrix)


def test_without_a_face_the_middle_is_taken(seen):
    seen.clear()
    (crop,) = crops_of(photo_of(), align=True)
    assert crop.of == "centre"
    with pytest.raises(OptionError, match=r"me\.jpg: --face 1, but no face found"):
        crops_of(photo_of(), align=True, face=1)


def test_a_crop_is_taken_as_told(seen):
    (crop,) = crops_of(photo_of(), crop="140,80,400")
    assert crop.corners[[0, 2]].tolist() == [[140, 80], [540, 480]]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"crop": "300,0,400"}, "has 640x480 pixels as it stands upright"),
        ({"crop": "0,100,400"}, "reaches beyond the photo"),
        ({"crop": "here"}, "expected X,Y,SIZE"),
        ({"crop": "0,0,64", "align": True}, "leave out --align"),
        ({"crop": "0,0,64", "face": 1}, "leave out --align and --face"),
        ({"face": 1}, "add --align"),
        ({"align": True, "face": 0}, "the largest face is 1"),
        ({"align": True, "face": 3}, "2 faces found"),
    ],
)
def test_what_can_not_be_taken_is_told(seen, options, told):
    with pytest.raises(OptionError, match=told) as error:
        crops_of(photo_of(), **options)
    assert "\n" not in str(error.value)


def test_without_the_weights_the_way_out_is_told(monkeypatch):
    monkeypatch.setattr(cascade.importlib.util, "find_spec", lambda name: None)
    cascade.open_cascade.cache_clear()
    with pytest.raises(OptionError, match=r"pip install 'animix\[align\]'.*--crop X,Y,SIZE"):
        crops_of(photo_of(), align=True)
    cascade.open_cascade.cache_clear()


def test_a_crop_tells_what_it_is_of():
    assert Crop(np.eye(3)).of == "square"
