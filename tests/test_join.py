"""Joined segments are one film, and what is no segment of it is refused."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest

from animix.video.encoder import Encoder
from animix.video.join import Joint, read_track
from animix.video.mp4 import count_frames
from animix.video.settings import EncoderSettings
from tests import mp4

SMALL = EncoderSettings(64, 48, Fraction(30), preset="superfast")


def segment(path: Path, num_frames: int, settings: EncoderSettings = SMALL) -> Path:
    with Encoder(path, settings, segment_of="film.mp4") as film:
        for index in range(num_frames):
            film.write(bytes([60 + 3 * index]) * settings.frame_bytes)
    return path


@pytest.mark.parametrize("num_frames", [1, 2, 3, 9])
def test_the_track_of_a_segment_is_read(tmp_path: Path, num_frames: int):
    track = read_track(segment(tmp_path / "a.mp4", num_frames), SMALL)
    assert sorted(track.shown) == list(range(num_frames))
    assert len(track.sizes) == num_frames
    assert track.keys.tolist() == [0]


@pytest.mark.parametrize("counts", [[1], [1, 1], [9, 1, 2], [2, 3, 30]])
def test_segments_of_any_lengths_are_joined(tmp_path: Path, counts: list[int]):
    path = tmp_path / "film.mp4"
    with Joint(path, SMALL, num_frames=sum(counts), num_segments=len(counts)) as joint:
        for number, count in enumerate(counts):
            joint.append(segment(tmp_path / f"{number}.mp4", count))
    assert count_frames(path) == sum(counts)
    track = read_track(path, SMALL)
    assert sorted(track.shown) == list(range(sum(counts)))
    assert track.keys.tolist() == [sum(counts[:number]) for number in range(len(counts))]


def test_a_film_of_more_ticks_than_32_bits_count_has_its_length(tmp_path: Path):
    settings = replace(SMALL, fps=Fraction(1, 100_000), preset="ultrafast")
    path = tmp_path / "film.mp4"
    with Joint(path, settings, num_frames=4, num_segments=4) as joint:
        for number in range(4):
            joint.append(segment(tmp_path / f"{number}.mp4", 1, settings))
    for header in ("mvhd", "trak mdia mdhd"):
        assert mp4.length_seconds(mp4.box(path, f"moov {header}")) == 400_000
    assert mp4.box(path, "moov trak edts elst")[0] == 1


def whole(path: Path) -> bytes:
    return segment(path.with_name("whole.mp4"), 9).read_bytes()


STRANGERS = {
    "empty": (lambda path: b"", "has no ftyp"),
    "text": (lambda path: b"no film at all, but a text", "has no ftyp"),
    "cut off": (lambda path: whole(path)[:-400], "has no whole"),
    "other frame rate": (
        lambda path: segment(
            path.with_name("b.mp4"), 9, replace(SMALL, fps=Fraction(25))
        ).read_bytes(),
        "counts 12800 ticks a second, expected 15360",
    ),
    "frames missing": (
        lambda path: whole(path).replace(b"mdat", b"free").replace(b"free", b"mdat", 1),
        "bytes for frames of",
    ),
}


@pytest.mark.parametrize(("content", "words"), STRANGERS.values(), ids=STRANGERS)
def test_what_is_no_segment_is_refused(tmp_path: Path, content, words):
    path = tmp_path / "a.mp4"
    path.write_bytes(content(path))
    with (
        pytest.raises(ValueError, match=words),
        Joint(tmp_path / "film.mp4", SMALL, num_frames=9, num_segments=1) as joint,
    ):
        joint.append(path)


def test_a_segment_of_another_encoding_is_refused(tmp_path: Path):
    first = segment(tmp_path / "a.mp4", 3)
    other = segment(tmp_path / "b.mp4", 3, replace(SMALL, width=48, height=64))
    with (
        pytest.raises(ValueError, match="another way than the first"),
        Joint(tmp_path / "film.mp4", SMALL, num_frames=6, num_segments=2) as joint,
    ):
        joint.append(first)
        joint.append(other)


@pytest.mark.parametrize("counts", [[9], [9, 1, 2], [2, 30]])
def test_a_film_without_an_edit_list_starts_at_0_when_joined_too(tmp_path: Path, counts: list[int]):
    settings = replace(SMALL, gop_frames=15, edit_list=False)
    path = tmp_path / "film.mp4"
    with Joint(path, settings, num_frames=sum(counts), num_segments=len(counts)) as joint:
        for number, count in enumerate(counts):
            joint.append(segment(tmp_path / f"{number}.mp4", count, settings))
    assert "edts" not in dict(mp4.boxes(mp4.box(path, "moov trak")))
    track = read_track(path, settings)
    assert (track.delay, sorted(track.shown)) == (0, list(range(sum(counts))))
