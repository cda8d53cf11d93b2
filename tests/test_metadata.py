"""Every container carries a recipe and XMP; pictures stay, and nothing hostile hangs."""

from __future__ import annotations

import io
import os
import random
import struct
import subprocess
import time
import zlib
from xml.etree import ElementTree

import pytest
from PIL import Image

from animix.errors import EncodeError, OptionError
from animix.ffmpeg.program import find_ffmpeg
from animix.video import (
    gif_metadata,
    insertion,
    mp4_metadata,
    png_metadata,
    webm_metadata,
)
from animix.video.metadata import CONTAINERS, SOURCE_TYPE, Metadata, read_recipe, write_metadata
from animix.video.mp4 import box, places
from tests import mp4

TITLE = "title: “Ünïcode” = # \\ ; \n"
RECIPE = f"# animix 0.1.0 render\n{TITLE * 5}"
LONG_RECIPE = f"# animix 0.1.0 render\n{TITLE * 4000}"
METADATA = Metadata(RECIPE, 'animix 0.1.0 & "more"')

FILES = {
    "first.mp4": ("-c:v", "libx264", "-movflags", "+faststart", "-metadata", "title=Reel"),
    "last.mp4": ("-c:v", "libx264", "-bf", "0"),
    "bare.mp4": ("-c:v", "libx264", "-bitexact", "-fflags", "+bitexact", "-movflags", "faststart"),
    "hevc.mp4": ("-c:v", "libx265", "-x265-params", "log-level=none", "-movflags", "+faststart"),
    "sound.mp4": ("-c:v", "libx264", "-c:a", "aac", "-movflags", "+faststart"),
    "prores.mov": ("-c:v", "prores_ks", "-movflags", "+faststart"),
    "vp9.webm": ("-c:v", "libvpx-vp9", "-deadline", "realtime", "-metadata", "title=Reel"),
    "bare.webm": (
        "-c:v",
        "libvpx-vp9",
        "-deadline",
        "realtime",
        "-bitexact",
        "-fflags",
        "bitexact",
    ),
    "once.gif": ("-loop", "-1"),
    "loop.gif": ("-loop", "0"),
    "one.png": ("-frames:v", "1"),
}


def ffmpeg(*arguments):
    command = [find_ffmpeg(), "-nostdin", "-hide_banner", "-v", "warning", "-y", *arguments]
    done = subprocess.run(list(map(str, command)), capture_output=True, check=True)
    assert not done.stderr, done.stderr
    return done.stdout.decode()


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A file of each kind, as ffmpeg makes it."""
    folder = tmp_path_factory.mktemp("made")
    for name, options in FILES.items():
        sound = ("-f", "lavfi", "-i", "sine=duration=0.5") if name.startswith("sound") else ()
        source = ("-f", "lavfi", "-i", "testsrc=size=32x32:rate=20:duration=0.5", *sound)
        command = [find_ffmpeg(), "-v", "error", *source, *options, folder / name]
        subprocess.run(list(map(str, command)), check=True, stdin=subprocess.DEVNULL)
    return folder


@pytest.fixture
def copy(made, tmp_path):
    """A copy of such a file, to write to."""

    def copied(name):
        path = tmp_path / name
        path.write_bytes((made / name).read_bytes())
        return path

    return copied


def container_of(path):
    return path.suffix[1:]


# -- Writing and reading ---------------------------------------------------------------------------


@pytest.mark.parametrize("recipe", [RECIPE, LONG_RECIPE], ids=["short", "long"])
@pytest.mark.parametrize("name", FILES)
def test_a_recipe_is_read_again_and_every_frame_and_sample_stays(copy, name, recipe):
    path = copy(name)
    before = ffmpeg("-i", path, "-f", "framemd5", "-")
    write_metadata(path, container_of(path), Metadata(recipe, "animix 0.1.0"))
    assert read_recipe(path) == recipe
    assert ffmpeg("-i", path, "-f", "framemd5", "-") == before


@pytest.mark.parametrize("name", FILES)
def test_the_same_metadata_make_the_same_bytes_and_the_xmp_says_how_it_was_made(copy, name):
    path = copy(name)
    write_metadata(path, container_of(path), METADATA)
    first = path.read_bytes()
    path = copy(name)
    write_metadata(path, container_of(path), METADATA)
    assert path.read_bytes() == first
    start, end = first.index(b"<?xpacket begin"), first.index(b'<?xpacket end="r"?>')
    (description,) = ElementTree.fromstring(first[start:end].split(b"?>", 1)[1])[0]
    iptc = "{http://iptc.org/std/Iptc4xmpExt/2008-02-29/}DigitalSourceType"
    assert description.get(iptc) == SOURCE_TYPE
    assert description.get("{http://ns.adobe.com/xap/1.0/}CreatorTool") == METADATA.tool


@pytest.mark.parametrize("name", [name for name in FILES if not name.endswith(".png")])
def test_players_show_the_recipe_as_the_comment_and_keep_the_title(copy, name):
    path = copy(name)
    write_metadata(path, container_of(path), METADATA)
    told = ffmpeg("-v", "error", "-i", path, "-f", "ffmetadata", "-")
    shown = "".join(rf"\{letter}" if letter in "=;#\\\n" else letter for letter in RECIPE)
    assert f"comment={shown}\n" in told.replace("COMMENT=", "comment=")
    assert ("title=Reel" in told) == ("title=Reel" in FILES[name])


def test_a_viewer_of_pictures_finds_both_texts_in_a_png(copy):
    path = copy("one.png")
    write_metadata(path, "png", METADATA)
    with Image.open(path) as image:
        image.load()
        assert image.info["Comment"] == RECIPE
        assert image.info["XML:com.adobe.xmp"].encode() == METADATA.xmp


def test_a_gif_repeats_as_before_and_its_xmp_is_where_readers_look(copy):
    path = copy("loop.gif")
    write_metadata(path, "gif", METADATA)
    data = path.read_bytes()
    assert data.index(b"NETSCAPE2.0") < data.index(b"\x21\xfe") < data.index(b"XMP DataXMP")
    with Image.open(path) as image:
        assert (image.info["loop"], image.n_frames) == (0, 10)


@pytest.mark.parametrize("name", ["first.mp4", "hevc.mp4", "sound.mp4", "prores.mov"])
def test_the_table_of_a_film_stays_first_and_xmp_comes_last(copy, name):
    path = copy(name)
    write_metadata(path, container_of(path), METADATA)
    names = [name for name, _ in mp4.boxes(path.read_bytes())]
    assert names.index("moov") < names.index("mdat") and names[-1] == "uuid"
    assert mp4.box(path, "uuid") == mp4_metadata.XMP + METADATA.xmp


def test_room_behind_the_table_is_used_and_nothing_is_moved(copy):
    def frames():
        with path.open("rb") as file:
            return next(start for name, start, _ in places(file) if name == "mdat")

    path = copy("first.mp4")
    write_metadata(path, "mp4", Metadata(LONG_RECIPE, "animix"))
    moved = frames()
    before = ffmpeg("-i", path, "-f", "framemd5", "-")
    # A shorter comment leaves room, down to less than a box takes; a longer one grows into it.
    for recipe in (LONG_RECIPE[:-9], RECIPE, LONG_RECIPE[:-30], LONG_RECIPE[:-9]):
        write_metadata(path, "mp4", Metadata(recipe, "animix"))
        assert (read_recipe(path), frames()) == (recipe, moved)
    assert ffmpeg("-i", path, "-f", "framemd5", "-") == before


def test_a_table_that_shrinks_by_less_than_a_box_gets_one_behind_it(copy):
    path = copy("last.mp4")
    write_metadata(path, "mp4", METADATA)
    length = path.stat().st_size
    with path.open("r+b") as file:
        mp4_metadata.write(file, RECIPE[:-3], b"")
    assert read_recipe(path) == RECIPE[:-3]
    assert path.stat().st_size == length + 5 + len(box("uuid", mp4_metadata.XMP))
    ffmpeg("-i", path, "-f", "framemd5", "-")


def test_chunks_beyond_four_gibibytes_are_not_lost():
    stco = box("stco", struct.pack(">III", 0, 1, 2**32 - 8))
    for name in ("stbl", "minf", "mdia", "trak"):
        stco = box(name, stco)
    with pytest.raises(ValueError, match="too far behind"):
        mp4_metadata._moved(stco, 0, 16)
    moved = mp4_metadata._moved(stco, 0, 4)
    assert moved.endswith(struct.pack(">I", 2**32 - 4))


@pytest.mark.parametrize("at", [0, 1, 7, 20])
@pytest.mark.parametrize("length", [1, 3, 40])
def test_bytes_are_put_into_the_middle(monkeypatch, at, length):
    monkeypatch.setattr(insertion, "BLOCK_BYTES", 4)
    data, new = bytes(range(20)), bytes(range(100, 100 + length))
    file = io.BytesIO(data)
    insertion.insert(file, at, new)
    assert file.getvalue() == data[:at] + new + data[at:]


def test_without_metadata_a_file_is_not_touched(copy):
    path = copy("one.png")
    before = path.read_bytes()
    write_metadata(path, "png", None)
    assert path.read_bytes() == before


@pytest.mark.parametrize("container", CONTAINERS)
def test_a_file_of_another_kind_is_refused_and_stays(tmp_path, container):
    path = tmp_path / f"text.{container}"
    path.write_bytes(b"this is a text, and a long one")
    with pytest.raises(EncodeError, match="no metadata can be put into it"):
        write_metadata(path, container, METADATA)
    assert path.read_bytes() == b"this is a text, and a long one"


# -- What is not there -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", FILES)
def test_a_file_without_a_recipe_is_told_what_was_looked_for(made, name):
    with pytest.raises(OptionError, match=r'has no recipe: no comment .* begins with "# animix"'):
        read_recipe(made / name)


@pytest.mark.parametrize("name", ["first.mp4", "vp9.webm", "loop.gif", "one.png"])
def test_the_comments_of_others_are_no_recipes(copy, name):
    path = copy(name)
    write_metadata(path, container_of(path), Metadata("made with love", "me"))
    with pytest.raises(OptionError, match="has no recipe"):
        read_recipe(path)


def test_what_is_no_such_file_is_named(tmp_path):
    (tmp_path / "reel.yaml").write_text("title: x")
    os.mkfifo(tmp_path / "pipe.mp4")
    for name, words in {
        "reel.yaml": "is none of mp4, mov, webm, gif, png",
        "pipe.mp4": "is no file",
        ".": "is no file",
        "none.mp4": "No such file",
    }.items():
        with pytest.raises(OptionError, match=words):
            read_recipe(tmp_path / name)


# -- Hostile files ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FILES)
def test_a_damaged_file_gives_its_recipe_or_an_error_of_ours(copy, name):
    path = copy(name)
    write_metadata(path, container_of(path), METADATA)
    whole = path.read_bytes()
    draw = random.Random(name)
    # Where the structure is: the pictures' own bytes are nobody's here.
    places_hit = [*range(200), *(len(whole) - 1 - n for n in range(200))]
    for _ in range(150):
        data = bytearray(whole)
        for _ in range(draw.randint(1, 4)):
            data[draw.choice(places_hit)] = draw.randrange(256)
        path.write_bytes(data[: draw.choice([len(data), draw.randrange(len(data))])])
        try:
            read_recipe(path)
        except OptionError:
            continue


def nested_mp4(content):
    for name in ("ilst", "meta", "udta", "moov"):
        content = box(name, (b"\0" * 4 if name == "meta" else b"") + content)
    return box("ftyp", b"isom") + content


def element(name, content):
    return webm_metadata._element(name, content)


WEBM = element(webm_metadata.EBML, b"")
SIMPLE = element(webm_metadata.SIMPLE_TAG, element(webm_metadata.TAG_NAME, b"COMMENT"))
IHDR = png_metadata._chunk(b"IHDR", b"\0" * 13)
GIF = b"GIF89a" + b"\0" * 7
HOSTILE = {
    "boxes.mp4": box("ftyp", b"isom") + box("free", b"") * 200_000,
    "comments.mp4": nested_mp4(box("©cmt", box("data", b"x" * 999_999)) * 6),
    "negative.mp4": box("ftyp", b"isom") + struct.pack(">I4sQ", 1, b"moov", 3),
    "endless.mp4": box("ftyp", b"isom") + struct.pack(">I4s", 0x7FFFFFFF, b"moov"),
    "elements.webm": WEBM + element(webm_metadata.SEGMENT, element(b"\xec", b"") * 200_000),
    "tags.webm": WEBM
    + element(webm_metadata.SEGMENT, element(webm_metadata.TAGS, b"\0" * 2_000_000) * 3),
    "simple.webm": WEBM
    + element(
        webm_metadata.SEGMENT,
        element(webm_metadata.TAGS, element(webm_metadata.TAG, SIMPLE * 150_000)),
    ),
    "long.webm": WEBM + webm_metadata.SEGMENT + b"\0" * 12,
    "chunks.png": png_metadata.SIGNATURE + IHDR + png_metadata._chunk(b"tEXt", b"") * 20_000,
    "texts.png": png_metadata.SIGNATURE + IHDR + png_metadata._chunk(b"iTXt", b"x" * 999_999) * 6,
    "short.png": png_metadata.SIGNATURE + IHDR,
    "blocks.gif": GIF + b"\x21\xfe" + b"\x01x" * 200_000,
    "extensions.gif": GIF + (b"\x21\xfe" + b"\xff" + b"x" * 255 + b"\0") * 150_000,
    "half.gif": GIF + b"\x21",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_is_refused_at_once(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(HOSTILE[name])
    started = time.process_time()
    with pytest.raises(OptionError, match=r"is damaged|has no recipe"):
        read_recipe(path)
    assert time.process_time() - started < 10


def test_a_table_of_contents_keeps_its_checksum():
    crc = webm_metadata.CRC + b"\x84" + b"\0" * 4
    head = element(webm_metadata.SEEK_HEAD, crc)
    inside = head + element(webm_metadata.VOID, b"\0" * 60)
    segment = webm_metadata.SEGMENT + webm_metadata._size(len(inside), 8) + inside
    file = io.BytesIO(WEBM + segment)
    webm_metadata.write(file, RECIPE, b"<x/>")
    start, stop = webm_metadata._segment(file)
    name, first, last = next(webm_metadata._elements(file, start, stop, [9]))
    entries = file.getvalue()[first:last]
    assert name == webm_metadata.SEEK_HEAD and webm_metadata.TAGS in entries
    assert entries[2:6] == struct.pack("<I", zlib.crc32(entries[6:]))
    assert list(webm_metadata.comments(file)) == [RECIPE]


def test_a_gif_with_a_palette_has_its_extensions_behind_it():
    file = io.BytesIO(b"GIF89a" + b"\0" * 4 + b"\x80\0\0" + b"rgbRGB" + b"\x3b")
    gif_metadata.write(file, RECIPE, b"<x/>")
    assert file.getvalue()[13:21] == b"rgbRGB\x21\xfe" and file.getvalue().endswith(b"\x3b")
    assert list(gif_metadata.comments(file)) == [RECIPE]
