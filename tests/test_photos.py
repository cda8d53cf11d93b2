import io
import os
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageCms

from animix.errors import OptionError, PhotoError
from animix.photos.crop import Crop, centre_crop, cut, parse_crop, square
from animix.photos.photo import MOST_PIXELS, Photo, read_photo


def picture(height=24, width=32, seed=0):
    """Smooth colours, so that what resamples them well is near to them."""
    rng = np.random.default_rng(seed)
    small = Image.fromarray(rng.integers(0, 256, (4, 5, 3), np.uint8))
    return np.array(small.resize((width, height), Image.Resampling.BICUBIC))


def photo_of(pixels):
    return Photo(np.ascontiguousarray(pixels), None)


def saved(tmp_path, pixels, name, **how):
    path = tmp_path / name
    (pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)).save(path, **how)
    return path


def exif_of(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


AS_TAKEN = {
    1: lambda p: p,
    2: lambda p: p[:, ::-1],
    3: lambda p: p[::-1, ::-1],
    4: lambda p: p[::-1],
    5: lambda p: p.transpose(1, 0, 2),
    6: lambda p: p.transpose(1, 0, 2)[::-1],
    7: lambda p: p.transpose(1, 0, 2)[::-1, ::-1],
    8: lambda p: p.transpose(1, 0, 2)[:, ::-1],
}
"""How a camera stores an upright picture [H, W, 3] for each orientation of EXIF."""


@pytest.mark.parametrize("orientation", AS_TAKEN)
@pytest.mark.parametrize("ending", ["png", "tif", "webp"])
def test_exif_turns_a_photo_upright(tmp_path, orientation, ending):
    pixels = picture()
    stored = np.ascontiguousarray(AS_TAKEN[orientation](pixels))
    how = {"lossless": True} if ending == "webp" else {}
    path = saved(tmp_path, stored, f"a.{ending}", exif=exif_of(orientation), **how)
    photo = read_photo(path)
    assert np.array_equal(photo.pixels, pixels)
    assert photo.size == (32, 24)
    assert photo.notes == ()


def test_damaged_exif_leaves_a_photo_as_it_lies(tmp_path):
    path = saved(tmp_path, picture(), "a.jpg", exif=b"Exif\0\0MM\0\x2a\xff\xff\xff\xff\0\0")
    assert read_photo(path).size == (32, 24)


def grey16(pixels):
    return Image.fromarray(pixels[..., 0].astype(np.uint16) * 257)


def palette_with_a_hole(pixels):
    image = Image.fromarray(pixels).quantize(16)
    image.info["transparency"] = image.getpixel((0, 0))
    return image


def with_alpha(mode):
    def make(pixels):
        image = Image.fromarray(pixels).convert(mode)
        alpha = np.full(pixels.shape[:2], 255, np.uint8)
        alpha[:4, :4], alpha[4, 4] = 0, 128
        image.putalpha(Image.fromarray(alpha))
        return image

    return make


KINDS = {
    "grey.png": (
        lambda p: Image.fromarray(p).convert("L"),
        lambda p: Image.fromarray(p).convert("L"),
    ),
    "one-bit.png": (
        lambda p: Image.fromarray(p).convert("1"),
        lambda p: Image.fromarray(p).convert("1"),
    ),
    "grey16.png": (grey16, lambda p: Image.fromarray(p[..., 0])),
    "grey16.tif": (grey16, lambda p: Image.fromarray(p[..., 0])),
    "grey16.pgm": (grey16, lambda p: Image.fromarray(p[..., 0])),
    "palette.png": (
        lambda p: Image.fromarray(p).quantize(16),
        lambda p: Image.fromarray(p).quantize(16),
    ),
    "still.gif": (
        lambda p: Image.fromarray(p).quantize(16),
        lambda p: Image.fromarray(p).quantize(16),
    ),
    "cmyk.tif": (
        lambda p: Image.fromarray(p).convert("CMYK"),
        lambda p: Image.fromarray(p),
    ),
    "colours.bmp": (Image.fromarray, Image.fromarray),
    "colours.ppm": (Image.fromarray, Image.fromarray),
}


@pytest.mark.parametrize("name", KINDS)
def test_every_common_kind_of_picture_becomes_rgb(tmp_path, name):
    make, expected = KINDS[name]
    photo = read_photo(saved(tmp_path, make(picture()), name))
    assert np.array_equal(photo.pixels, np.array(expected(picture()).convert("RGB")))
    assert photo.notes == ()


def test_a_cmyk_jpeg_keeps_its_colours(tmp_path):
    image = Image.fromarray(picture()).convert("CMYK")
    photo = read_photo(saved(tmp_path, image, "a.jpg", quality=100, subsampling=0))
    assert np.abs(photo.pixels.astype(int) - picture()).max() <= 8


@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_transparency_lies_over_white(tmp_path, mode):
    photo = read_photo(saved(tmp_path, with_alpha(mode)(picture()), "a.png"))
    colours = np.array(Image.fromarray(picture()).convert(mode).convert("RGB")).astype(float)
    assert (photo.pixels[:4, :4] == 255).all()
    assert photo.pixels[4, 4] == pytest.approx((colours[4, 4] * 128 + 255 * 127) / 255, abs=1)
    assert np.array_equal(photo.pixels[8:], colours[8:])
    assert photo.notes == ("what is transparent lies over white",)


def test_a_palette_may_have_a_transparent_colour(tmp_path):
    image = palette_with_a_hole(picture())
    photo = read_photo(saved(tmp_path, image, "a.png", transparency=image.info["transparency"]))
    hole = np.array(image) == image.info["transparency"]
    assert (photo.pixels[hole] == 255).all()
    assert np.array_equal(photo.pixels[~hole], np.array(image.convert("RGB"))[~hole])


def test_an_opaque_alpha_is_no_news(tmp_path):
    assert (
        read_photo(saved(tmp_path, Image.fromarray(picture()).convert("RGBA"), "a.png")).notes == ()
    )


def test_16_bits_of_colour_become_8(tmp_path):
    """Pillow writes no such PNG, so it is put together here."""
    pixels = picture()
    rows = (pixels.astype(">u2") * 257).reshape(24, -1)
    data = zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows))
    header = struct.pack(">IIBBBBB", 32, 24, 16, 2, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", data), (b"IEND", b"")]
    (tmp_path / "a.png").write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + b"".join(
            struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
            for name, body in chunks
        )
    )
    assert np.array_equal(read_photo(tmp_path / "a.png").pixels, pixels)


def test_the_first_page_counts(tmp_path):
    pages = [Image.fromarray(picture(seed=seed)) for seed in range(3)]
    path = saved(tmp_path, pages[0], "a.tif", save_all=True, append_images=pages[1:])
    assert np.array_equal(read_photo(path).pixels, picture())
    path = saved(tmp_path, pages[0], "a.mpo", save_all=True, append_images=pages[1:])
    assert read_photo(path).size == (32, 24)


def test_colours_are_turned_into_srgb(tmp_path):
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    plain = read_photo(saved(tmp_path, picture(), "a.png", icc_profile=srgb))
    assert np.array_equal(plain.pixels, picture())
    assert plain.notes == ()
    for bad in (lab, b"no profile at all"):
        told = read_photo(saved(tmp_path, picture(), "b.png", icc_profile=bad))
        assert np.array_equal(told.pixels, picture())
        assert "colour profile" in told.notes[0]


def swapped_profile():
    """A profile that takes red for blue and blue for red: nothing is as easily seen."""
    data = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    num_tags = struct.unpack(">I", data[128:132])[0]
    for number in range(num_tags):
        at = 132 + 12 * number
        name = bytes(data[at : at + 4])
        if name in (b"rXYZ", b"bXYZ"):
            data[at : at + 4] = b"bXYZ" if name == b"rXYZ" else b"rXYZ"
        if name == b"desc":
            first, size = struct.unpack(">II", data[at + 4 : at + 12])
            text = data[first : first + size].replace(b"\0s\0R\0G\0B", b"\0n\0o\0n\0e")
            data[first : first + size] = text
    return bytes(data)


def test_another_profile_changes_the_numbers(tmp_path):
    photo = read_photo(saved(tmp_path, picture(), "a.png", icc_profile=swapped_profile()))
    assert photo.notes == ()
    assert np.abs(photo.pixels.astype(int) - picture()[..., ::-1]).max() <= 2


def animation(path):
    frames = [Image.fromarray(picture(seed=seed)) for seed in range(3)]
    frames[0].save(path, save_all=True, append_images=frames[1:])


def cut_off(path):
    Image.fromarray(picture(256, 256)).save(path)
    path.write_bytes(path.read_bytes()[:-1500])


def too_large(path):
    """The header of a picture that nobody wants to decode, and nothing after it."""
    buffer = io.BytesIO()
    Image.new("1", (16, 16)).save(buffer, "BMP")
    data = bytearray(buffer.getvalue())
    data[18:26] = struct.pack("<ii", 20_000, 10_000)
    path.write_bytes(data)


REFUSED = {
    "none.jpg": (lambda path: None, "no such file"),
    "folder.jpg": (lambda path: path.mkdir(), "is a folder"),
    "empty.jpg": (lambda path: path.write_bytes(b""), "is empty"),
    "text.jpg": (lambda path: path.write_text("dear diary " * 9), "no picture that can be read"),
    "vector.eps": (
        lambda path: path.write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n"),
        "no picture that can be read",
    ),
    "dot.png": (lambda path: Image.new("RGB", (1, 1)).save(path), "1x1 pixels, expected at least"),
    "line.png": (lambda path: Image.new("RGB", (900, 2)).save(path), "900x2 pixels"),
    "moving.gif": (animation, "an animation of 3 frames"),
    "moving.webp": (animation, "an animation of 3 frames"),
    "moving.png": (animation, "an animation of"),
    "cut-off.jpg": (cut_off, "cut off or damaged"),
    "cut-off.png": (cut_off, "cut off or damaged"),
    "numbers.tif": (
        lambda path: Image.fromarray(np.ones((20, 20), np.float32)).save(path),
        "its numbers can't be shown",
    ),
    "integers.tif": (
        lambda path: Image.fromarray(np.full((20, 20), 70_000, np.int32)).save(path),
        "its numbers can't be shown as they are (I)",
    ),
    "lab.tif": (lambda path: Image.new("LAB", (20, 20)).save(path), "its numbers can't be shown"),
    "large.bmp": (too_large, "up to 128 million pixels"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_photo_is_refused_in_one_sentence(tmp_path, name):
    make, told = REFUSED[name]
    make(tmp_path / name)
    with pytest.raises(PhotoError) as error:
        read_photo(tmp_path / name)
    text = str(error.value)
    assert text.startswith(f"{tmp_path / name}: ")
    assert told in text
    assert "\n" not in text


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("ending", ["jpg", "png", "gif", "webp", "tif"])
def test_damage_is_read_or_refused(tmp_path, ending, seed):
    path = saved(tmp_path, picture(), f"a.{ending}", exif=exif_of(6)) if ending != "gif" else None
    path = path or saved(tmp_path, picture(), f"a.{ending}")
    data = bytearray(path.read_bytes())
    rng = np.random.default_rng(seed)
    for place in rng.integers(0, len(data), 3):
        data[place] = rng.integers(256)
    path.write_bytes(data)
    try:
        assert read_photo(path).pixels.ndim == 3
    except PhotoError as error:
        assert "\n" not in str(error)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes among its files")
def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "a.jpg")
    with pytest.raises(PhotoError, match="no regular file"):
        read_photo(tmp_path / "a.jpg")


def test_a_file_of_several_million_pixels_is_read(tmp_path):
    path = saved(tmp_path, Image.new("RGB", (4000, 3000), (9, 8, 7)), "a.png", compress_level=1)
    photo = read_photo(path)
    assert photo.size == (4000, 3000)
    assert photo.size[0] * photo.size[1] < MOST_PIXELS
    assert photo.pixels[-1, -1].tolist() == [9, 8, 7]


# Crops


def turned(degrees, side, centre):
    angle = np.deg2rad(degrees)
    x, y = side * np.cos(angle), side * np.sin(angle)
    matrix = np.array([[x, -y, 0], [y, x, 0], [0, 0, 1]])
    matrix[:2, 2] = np.array(centre) - matrix[:2, :2] @ [0.5, 0.5]
    return Crop(matrix)


@pytest.mark.parametrize(
    ("matrix", "told"),
    [
        (np.eye(2), "finite"),
        (np.full((3, 3), np.nan), "finite"),
        (np.diag([0.0, 0, 1]), "turns"),
        (np.diag([1.0, 2, 1]), "turns"),
        (np.diag([1.0, -1, 1]), "turns"),
        (np.diag([1.0, 1, 2]), "0 0 1"),
    ],
)
def test_a_crop_is_a_similarity(matrix, told):
    with pytest.raises(ValueError, match=told):
        Crop(matrix)


@pytest.mark.parametrize("size", [(40, 24), (24, 40), (31, 24), (24, 24)])
def test_the_centre_crop_is_the_largest_square_in_the_middle(size):
    photo = photo_of(picture(size[1], size[0]))
    crop = centre_crop(photo)
    assert crop.side == min(size)
    assert crop.corners.mean(axis=0) == pytest.approx([size[0] / 2, size[1] / 2])


def test_a_crop_can_be_written():
    assert parse_crop("10,20,64").corners.tolist() == square(10, 20, 64).corners.tolist()
    assert parse_crop(" 1.5 , 0,100.25 ").corners[2].tolist() == [101.75, 100.25]


@pytest.mark.parametrize(
    "text",
    ["", "10,20", "10,20,64,1", "-1,0,64", "a,b,c", "1e3,0,64", "nan,0,64", "0,0,15", "٣,0,64"],
)
def test_what_is_no_crop_is_told(text):
    with pytest.raises(OptionError, match=r"^crop .*expected"):
        parse_crop(text)


def test_a_cut_at_its_own_size_is_the_photo():
    photo = photo_of(picture(40, 50))
    assert np.array_equal(cut(photo, square(7, 3, 32), 32), photo.pixels[3:35, 7:39])


@pytest.mark.parametrize(("degrees", "quarters"), [(90, 1), (180, 2), (270, 3)])
def test_a_quarter_turn_is_exact(degrees, quarters):
    photo = photo_of(picture(40, 40))
    crop = turned(degrees, 32, (20, 20))
    # Turning the crop clockwise turns what it shows counter-clockwise.
    expected = np.rot90(photo.pixels[4:36, 4:36], quarters)
    assert np.abs(cut(photo, crop, 32).astype(int) - expected).max() <= 1


def test_what_is_beyond_the_photo_is_its_mirror_image():
    photo = photo_of(picture(30, 20))
    mirrored = np.pad(photo.pixels, [(40, 40), (40, 40), (0, 0)], mode="symmetric")
    assert np.array_equal(cut(photo, square(-25, -12, 60), 60), mirrored[28:88, 15:75])
    # A turned one reads the same.
    found = cut(photo, turned(90, 60, (5, 18)), 60).astype(int)
    assert np.abs(found - np.rot90(mirrored[28:88, 15:75])).max() <= 1


@pytest.mark.parametrize("degrees", [0, 1e-3, 30])
@pytest.mark.parametrize("side", [64, 100, 257, 1000])
def test_a_cut_is_antialiased(degrees, side):
    """Stripes of one pixel become grey in a smaller picture, never broader stripes."""
    stripes = np.zeros((1100, 1100, 3), np.uint8)
    stripes[:, ::2] = 255
    found = cut(photo_of(stripes), turned(degrees, side, (550, 550)), 32).astype(int)
    assert np.abs(found[4:-4, 4:-4] - 127).max() <= 8


def blob(height, width, x, y, radius):
    rows, columns = np.mgrid[:height, :width] + 0.5
    value = np.exp(-((rows - y) ** 2 + (columns - x) ** 2) / (2 * radius**2))
    return np.repeat((255 * value).round().astype(np.uint8)[..., None], 3, axis=2)


@pytest.mark.parametrize("degrees", [0, 17, -40, 133])
@pytest.mark.parametrize(("side", "size"), [(60, 64), (200, 64), (433, 50), (90, 200)])
def test_a_point_of_the_photo_lies_where_the_crop_says(degrees, side, size):
    at = np.array([301.3, 288.8])
    photo = photo_of(blob(600, 640, *at, side / 20))
    crop = turned(degrees, side, (310, 285))
    weight = cut(photo, crop, size)[..., 0].astype(float)
    rows, columns = np.mgrid[:size, :size] + 0.5
    found = np.array([(columns * weight).sum(), (rows * weight).sum()]) / weight.sum() / size
    expected = np.linalg.solve(crop.matrix, [*at, 1])[:2]
    assert found == pytest.approx(expected, abs=0.1 / size)


def test_a_crop_is_as_it_is_in_every_orientation(tmp_path):
    crop = parse_crop("3,2,20")
    cuts = []
    for orientation, store in AS_TAKEN.items():
        stored = np.ascontiguousarray(store(picture()))
        path = saved(tmp_path, stored, f"{orientation}.png", exif=exif_of(orientation))
        cuts.append(cut(read_photo(path), crop, 16))
    assert all(np.array_equal(each, cuts[0]) for each in cuts)
