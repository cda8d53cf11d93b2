"""A GIF and a folder of pictures hold every frame, exactly as long, or are not there at all."""

from __future__ import annotations

import subprocess
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from animix.errors import EncodeError, OptionError
from animix.video import whole_clip
from animix.video.settings import EncoderSettings
from animix.video.whole_clip import WholeClipEncoder

GIF = EncoderSettings(32, 16, Fraction(20), codec="gif", pixel_format="rgb24")
PNG = EncoderSettings(32, 16, Fraction(30), codec="png", pixel_format="rgb24")


def frame(index: int, settings: EncoderSettings = GIF) -> np.ndarray:
    """A frame that no other is like, of few colours."""
    picture = np.zeros((settings.height, settings.width, 3), np.uint8)
    picture[:, : 1 + index % 31] = (255, 128, 0)
    picture[: 1 + index // 31] = (0, 64, 255)
    return picture


def write(path: Path, settings: EncoderSettings, frames: range) -> Path:
    with WholeClipEncoder(path, settings, frames) as film:
        for index in frames:
            film.write(frame(index).reshape(-1))
        assert film.num_frames == len(frames)
    return path


@pytest.mark.parametrize("fps", [10, 20, 25, 50])
@pytest.mark.parametrize("num_frames", [1, 41])
def test_a_gif_shows_each_frame_for_its_exact_time(tmp_path: Path, fps: int, num_frames: int):
    settings = EncoderSettings(32, 16, Fraction(fps), codec="gif", pixel_format="rgb24")
    with Image.open(write(tmp_path / "reel.gif", settings, range(num_frames))) as gif:
        assert (gif.n_frames, gif.size) == (num_frames, (32, 16))
        assert num_frames == 1 or gif.info["loop"] == 0
        for index in range(num_frames):
            gif.seek(index)
            assert num_frames == 1 or gif.info["duration"] == 1000 / fps
            assert (np.asarray(gif.convert("RGB")) == frame(index)).all()
    assert [path.name for path in tmp_path.iterdir()] == ["reel.gif"]


def test_frames_that_are_alike_are_all_there(tmp_path: Path):
    with WholeClipEncoder(tmp_path / "still.gif", GIF, range(20)) as film:
        film.write(np.zeros((20, GIF.frame_bytes), np.uint8))
    told = subprocess.run(
        [whole_clip.find_ffmpeg(), "-i", tmp_path / "still.gif"], capture_output=True
    )
    assert b"Duration: 00:00:01.00" in told.stderr


def test_pictures_are_the_frames_under_their_numbers(tmp_path: Path):
    folder = write(tmp_path / "100% new", PNG, range(7, 12))
    names = [f"frame-{index:06d}.png" for index in range(7, 12)]
    assert sorted(path.name for path in folder.iterdir()) == names
    for index, name in zip(range(7, 12), names, strict=True):
        with Image.open(folder / name) as picture:
            assert (np.asarray(picture) == frame(index)).all()
    assert list(tmp_path.iterdir()) == [folder]


def test_pictures_replace_pictures(tmp_path: Path):
    write(tmp_path / "frames", PNG, range(9))
    folder = write(tmp_path / "frames", PNG, range(2))
    assert len(list(folder.iterdir())) == 2
    assert list(tmp_path.iterdir()) == [folder]


@pytest.mark.parametrize("stranger", ["me.png", "frame-000001.txt", "sub", ""])
def test_pictures_replace_nothing_else(tmp_path: Path, stranger: str):
    folder = tmp_path / "frames"
    if stranger:
        folder.mkdir()
        (folder / "frame-000000.png").touch()
        (folder / stranger).mkdir() if stranger == "sub" else (folder / stranger).touch()
    else:
        folder.write_text("a file")
    with (
        pytest.raises(OptionError, match="is no folder of pictures that others could replace"),
        WholeClipEncoder(folder, PNG, range(2)),
    ):
        pytest.fail("the block was entered")
    assert list(tmp_path.iterdir()) == [folder]


@pytest.mark.parametrize("settings", [GIF, PNG], ids=["gif", "png"])
@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_an_interruption_leaves_what_stood_there(tmp_path: Path, settings, error):
    target = write(tmp_path / "reel", settings, range(2))
    before = sorted(target.rglob("*")) or target.read_bytes()
    with pytest.raises(error), WholeClipEncoder(target, settings, range(9)) as film:
        film.write(frame(0).reshape(-1))
        raise error
    assert (sorted(target.rglob("*")) or target.read_bytes()) == before
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("settings", [GIF, PNG], ids=["gif", "png"])
@pytest.mark.parametrize(
    ("name", "words"),
    [("gif_arguments", "exit code"), ("picture_arguments", "exit code"), ("frames_in", "0 of 3")],
)
def test_a_failure_at_the_end_leaves_nothing(tmp_path, monkeypatch, settings, name, words):
    if name == "frames_in":
        monkeypatch.setattr(whole_clip, "frames_in", lambda *_: 0)
        settings = GIF
    else:
        monkeypatch.setattr(whole_clip, "gif_arguments", lambda *_: ["-i", "nothing"])
        monkeypatch.setattr(whole_clip, "picture_arguments", lambda *_: ["-i", "nothing"])
    with pytest.raises(EncodeError, match=words):
        write(tmp_path / "reel", settings, range(3))
    assert not list(tmp_path.iterdir())


def test_no_frames_are_no_film(tmp_path: Path):
    with (
        pytest.raises(EncodeError, match="no frame was written"),
        WholeClipEncoder(tmp_path / "reel.gif", GIF, range(0)),
    ):
        pass
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("settings", [GIF, PNG], ids=["gif", "png"])
def test_a_place_that_can_not_be_written_is_refused_before_the_first_frame(tmp_path, settings):
    (tmp_path / "file").touch()
    with (
        pytest.raises(OptionError, match="can't be written"),
        WholeClipEncoder(tmp_path / "file" / "reel", settings, range(2)),
    ):
        pytest.fail("the block was entered")
