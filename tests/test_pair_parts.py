"""What pairs are made with: picture files, layouts, hashes, ranges and shares."""

import io
import queue

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image

from animix.errors import OptionError
from animix.pairs.layout import Layout
from animix.pairs.moment import laid_between, read_ranges
from animix.pairs.picture_file import PictureFormat, encode_png
from animix.pairs.sieve import Sieve, Sifting, bits_apart, hash_pictures, hash_text, words_of
from animix.pairs.subject import cells_of, shares_of
from animix.pairs.writers import Sheaf, Writers


@given(arrays.arrays(np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9), st.just(3))))
def test_a_png_holds_just_the_pixels(pixels):
    found = Image.open(io.BytesIO(encode_png(pixels)))
    assert found.mode == "RGB"
    assert (np.asarray(found) == pixels).all()


def test_a_png_of_a_picture_is_no_larger_than_pillows_fastest():
    places = np.arange(256)
    waves = np.sin(places[:, None, None] / [17, 23, 31]) + np.cos(places[None, :, None] / 29)
    noise = np.random.RandomState(0).rand(256, 256, 3)
    pixels = (127 + 60 * waves + noise).astype(np.uint8)
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, format="PNG", compress_level=1)
    assert len(encode_png(pixels)) < 1.02 * len(stream.getvalue())


@pytest.mark.parametrize(
    ("name", "quality", "message"),
    [("gif", None, "--format gif"), ("png", 9, "png loses nothing"), ("jpeg", 0, "--quality 0")],
)
def test_formats_that_there_are_not_are_refused(name, quality, message):
    with pytest.raises(OptionError, match=message):
        PictureFormat(name, quality)


@pytest.mark.parametrize(
    ("name", "share", "message"),
    [("AB", 0, "--layout AB"), ("train", 1, "--test 1"), ("folders", 0.1, "have no place")],
)
def test_layouts_that_there_are_not_are_refused(name, share, message):
    with pytest.raises(OptionError, match=message):
        Layout(name, share)


@pytest.mark.parametrize("name", ["folders", "side-by-side", "train"])
def test_files_of_a_layout_lie_in_its_folders(name):
    for share in (0,) if name == "folders" else (0, 0.5):
        layout = Layout(name, share)
        files = [layout.files("1.png", is_test=aside) for aside in {False, share > 0}]
        assert all(set(one) in ({"a", "b"}, {"ab"}) for one in files)
        places = {name.removesuffix("/1.png") for one in files for name in one.values()}
        assert places == set(layout.folders)


def picture(seed):
    rng = np.random.RandomState(seed)
    small = Image.fromarray(rng.randint(0, 256, (6, 6, 3), dtype=np.uint8))
    return np.asarray(small.resize((64, 64), Image.Resampling.BICUBIC))


def test_a_hash_leaves_small_changes_alone_and_tells_pictures_apart():
    pictures = np.stack([picture(seed) for seed in range(20)])
    hashes = hash_pictures(pictures)
    noise = np.random.RandomState(0).randint(-4, 5, pictures.shape)
    noisy = hash_pictures((pictures + noise).clip(0, 255).astype(np.uint8))
    assert bits_apart(hashes, noisy).max() <= 4
    others = bits_apart(hashes[:, None], hashes[None])[~np.eye(20, dtype=bool)]
    assert others.min() > 8


def test_hashes_are_those_of_each_picture_alone_and_flat_ones_are_alike():
    pictures = np.stack([picture(seed) for seed in range(3)])
    alone = [hash_pictures(one[None])[0] for one in pictures]
    assert hash_pictures(pictures).tolist() == alone
    flat = np.full((2, 40, 40, 3), [[[[9]]], [[[200]]]], np.uint8)
    assert bits_apart(*hash_pictures(flat)) == 0


@given(st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1))
def test_hashes_in_a_manifest_and_their_distance(one, other):
    words = np.array([one, other], np.uint64)
    assert words_of(hash_text(words)).tolist() == [one, other]
    assert bits_apart(words[0], words[1]) == bin(one ^ other).count("1")


def test_a_pair_is_a_duplicate_if_both_of_its_pictures_are():
    sifting = Sifting(Sieve(distinct=4), [])
    assert sifting.why_not(None, np.array([0, 0], np.uint64)) is None
    assert sifting.why_not(None, np.array([7, 1], np.uint64)) == "near-duplicate"
    assert sifting.why_not(None, np.array([15, 1], np.uint64)) is None
    assert sifting.why_not(None, np.array([15, 1], np.uint64)) == "near-duplicate"
    assert sifting.left_out == {"near-duplicate": 2}


def test_thousands_of_hashes_are_known():
    sifting = Sifting(Sieve(distinct=1), [f"{n:016x}{n:016x}" for n in range(3000)])
    assert sifting.why_not(None, np.array([2999, 2999], np.uint64)) == "near-duplicate"
    for n in range(3000, 5000):
        assert sifting.why_not(None, np.array([n, n], np.uint64)) is None
    assert sifting.why_not(None, np.array([3001, 3001], np.uint64)) == "near-duplicate"


def test_a_score_that_is_no_number_is_low():
    sifting = Sifting(Sieve(min_score=0.5), [])
    assert sifting.why_not(float("nan"), None) == "low score"
    assert sifting.why_not(0.5, None) is None


def test_ranges_are_gone_through_in_octaves_and_ends_are_exact():
    [(low, high)] = read_ranges(1, swap=["4..64"], alpha=["0..1"], width=["2"])
    assert laid_between(low, high, [0.5, 0.25, 0.9], 32).swap == pytest.approx(16)
    assert laid_between(low, high, [0.5, 0.25, 0.9], 32).alpha == 0.25
    assert laid_between(low, high, [0.5, 0.25, 0.9], 32).width == 2
    [(low, high)] = read_ranges(1, swap=["none..16"])
    assert laid_between(low, high, [0, 0, 0], 32).swap == 64
    assert read_ranges(2) == [(low_of, low_of) for low_of, _ in read_ranges(2)]


@given(st.integers(0, 2**64 - 1))
def test_shares_belong_to_their_latent(identity):
    shares = shares_of(identity, 4)
    assert all(0 <= share < 1 for share in shares)
    assert shares_of(identity, 2) == shares[:2]
    assert shares_of(identity, 2, tag=1) != shares[:2]


@given(st.lists(st.integers(0, 60), unique=True).map(sorted), st.integers(1, 9))
def test_cells_keep_numbers_in_order_and_never_reach_over(numbers, size):
    cells = list(cells_of(numbers, size))
    assert [number for cell in cells for number in cell] == numbers
    assert all(len({number // size for number in cell}) == 1 for cell in cells)


def test_writers_tell_what_went_wrong_and_end(tmp_path):
    writers = Writers(PictureFormat(), 2)
    pixels = np.zeros((4, 4, 3), np.uint8)
    writers.give(Sheaf(0, (tmp_path / "none" / "a.png",), (pixels,)))
    writers.give(Sheaf(1, (tmp_path / "b.png",), (pixels,)))
    told = {written.number: written for written in (writers.take(), writers.take())}
    assert isinstance(told[0].error, FileNotFoundError)
    assert told[1].num_bytes == ((tmp_path / "b.png").stat().st_size,)
    assert writers.take(wait=False) is None
    assert writers.close() == []
    assert [path.name for path in tmp_path.iterdir()] == ["b.png"]


def test_writers_that_are_closed_leave_what_is_not_begun(tmp_path, monkeypatch):
    from animix.pairs import writers as module

    begun, goes_on = queue.SimpleQueue(), queue.SimpleQueue()

    def slowly(sheaf, picture_format):
        begun.put(sheaf.number)
        goes_on.get()
        return module.Written(sheaf.number)

    monkeypatch.setattr(module, "write_sheaf", slowly)
    writers = Writers(PictureFormat(), 1)
    for number in range(5):
        writers.give(Sheaf(number, (), ()))
    begun.get()
    writers._is_over.set()
    goes_on.put(None)
    assert [written.number for written in writers.close()] == [0]
    assert begun.empty()
