"""Films that are encoded from lossless segments hold every frame, or are not there at all."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from animix.errors import EncodeError, OptionError
from animix.ffmpeg.program import find_ffmpeg
from animix.video.decoder import Decoder
from animix.video.encoder import Encoder
from animix.video.mp4 import is_sealed
from animix.video.segments import Segment, SegmentEncoder, encoding_of, segments_of
from animix.video.settings import EncoderSettings
from tests.test_ffmpeg import FAKES, fake
from tests.threads import ENCODING, threads_named

GIF = EncoderSettings(32, 16, Fraction(20), codec="gif", pixel_format="rgb24")
PNG = EncoderSettings(32, 16, Fraction(30), codec="png", pixel_format="rgb24")
WEBM = EncoderSettings(64, 48, Fraction(30), codec="vp9", preset="ultrafast")
PRORES = EncoderSettings(64, 48, Fraction(30), codec="prores", pixel_format="yuv422p10")
AV1 = EncoderSettings(64, 64, Fraction(30), codec="av1", preset="ultrafast")
ALL = {"gif": GIF, "png": PNG, "webm": WEBM, "prores": PRORES, "av1": AV1}


def frame(index: int, settings: EncoderSettings = GIF) -> np.ndarray:
    """A frame that no other is like, of few colours."""
    picture = np.zeros((settings.height, settings.width, 3), np.uint8)
    picture[:, : 1 + index % 31] = (255, 128, 0)
    picture[: 1 + index // 31] = (0, 64, 255)
    return picture


def noise(num_frames: int, settings: EncoderSettings) -> np.ndarray:
    """Frames of random bytes, of 10 bits where they have so many: [N, bytes]."""
    shape = (num_frames, settings.frame_bytes)
    frames = np.random.default_rng(3).integers(0, 256, shape, np.uint8)
    if settings.pixel_format == "yuv422p10":
        frames[:, 1::2] &= 3
    return frames


def kept(path: Path) -> Path:
    """Where the segments of a film stand in these tests: in a folder of their own."""
    folder = path.parent.with_name(f"{path.parent.name}-chunks")
    folder.mkdir(exist_ok=True)
    return folder


def segmented(
    path: Path, settings: EncoderSettings, frames: range, length: int = 4, **options
) -> SegmentEncoder:
    """An encoder that takes the segments that stand there already for whole ones."""
    folder = kept(path)

    def find(part: range) -> Path:
        return folder / f"{part.start}.mp4"

    parts = segments_of(frames, length)
    segments = [Segment(part, find, find(part).exists()) for part in parts]
    return SegmentEncoder(path, settings, segments, num_encoders=1, **options)


def write(path: Path, settings: EncoderSettings, frames: range) -> Path:
    """A film of frames by ``frame``, in segments that are forgotten."""
    with segmented(path, settings, frames, length=32) as film:
        for index in frames:
            film.write(frame(index).reshape(-1))
        assert film.num_frames == len(frames)
    for segment in kept(path).iterdir():
        segment.unlink()
    return path


def content(path: Path) -> dict[str, bytes]:
    """The bytes of the files that a film is."""
    files = path.iterdir() if path.is_dir() else [path]
    return {file.name: file.read_bytes() for file in files}


# -- Segments --------------------------------------------------------------------------------------


@pytest.mark.parametrize("settings", [GIF, WEBM, PRORES], ids=lambda each: each.pixel_format)
def test_a_segment_keeps_every_bit(tmp_path: Path, settings):
    frames = noise(5, settings)
    with Encoder(tmp_path / "a.mp4", settings, segment_of="film") as segment:
        segment.write(frames)
    assert is_sealed(segment.path, 5)
    assert not is_sealed(segment.path, 6)
    decoder = Decoder(segment.path, settings)
    assert (np.concatenate(list(decoder.batches())) == frames).all()


@pytest.mark.parametrize("fps", ["1/100000", "30000/1001", "1001000"])
def test_a_segment_has_frames_at_any_rate(tmp_path: Path, fps):
    settings = replace(WEBM, fps=Fraction(fps))
    with Encoder(tmp_path / "a.mp4", settings, segment_of="film") as segment:
        segment.write(noise(40, settings))
    found = np.concatenate(list(Decoder(segment.path, settings).batches()))
    assert (found == noise(40, settings)).all()


@pytest.mark.parametrize("change", ["cut", "empty", "another size"])
def test_a_segment_that_can_not_be_read_is_told(tmp_path: Path, change):
    path = tmp_path / "a.mp4"
    with Encoder(path, WEBM, segment_of="film") as segment:
        segment.write(noise(5, WEBM))
    if change == "another size":
        settings = replace(WEBM, width=62)
    else:
        settings = WEBM
        path.write_bytes(path.read_bytes()[: 3000 if change == "cut" else 0])
    with pytest.raises(EncodeError, match=r"a\.mp4: ffmpeg could not read this finished chunk"):
        list(Decoder(path, settings).batches())


def test_what_a_film_is_encoded_as_is_no_reason_to_make_its_segments_again():
    keys = [
        encoding_of(WEBM),
        encoding_of(replace(WEBM, crf=40, title="Porcelain")),
        encoding_of(replace(WEBM, bitrate=100_000)),
        encoding_of(replace(AV1, width=64, height=48)),
    ]
    assert len(set(keys)) == 1
    assert encoding_of(PRORES) != encoding_of(replace(PRORES, codec="av1", pixel_format="yuv420p"))


# -- Films -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("settings", ALL.values(), ids=ALL)
@pytest.mark.parametrize("missing", [[], [0, 8]], ids=str)
def test_a_film_is_the_same_whichever_segments_were_there(tmp_path: Path, settings, missing):
    path = tmp_path / "film"
    frames = noise(10, settings)
    with segmented(path, settings, range(10)) as film:
        film.write(frames)
    first = content(path)
    for start in missing:
        (kept(path) / f"{start}.mp4").unlink()
    with segmented(path, settings, range(10)) as film:
        for start in missing:
            film.write(frames[start : start + 4])
    assert content(path) == first
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("settings", [WEBM, PRORES, AV1], ids=lambda each: each.codec)
def test_a_film_is_what_one_encoder_makes(tmp_path: Path, settings):
    settings = replace(settings, title="Porcelain")
    frames = noise(10, settings)
    with segmented(tmp_path / "film", settings, range(10)) as film:
        film.write(frames)
    with Encoder(tmp_path / "whole", settings) as whole:
        whole.write(frames)
    assert content(film.path)["film"] == content(whole.path)["whole"]


def test_av1_at_a_bitrate_is_the_same_each_time(tmp_path: Path):
    settings = replace(AV1, width=256, height=256, bitrate=300_000)
    for name in ("a", "b"):
        with Encoder(tmp_path / name, settings) as film:
            film.write(noise(24, settings))
    assert content(tmp_path / "a")["a"] == content(tmp_path / "b")["b"]


@pytest.mark.parametrize("fps", [10, 20, 25, 50])
@pytest.mark.parametrize("num_frames", [1, 41])
def test_a_gif_shows_each_frame_for_its_exact_time(tmp_path: Path, fps: int, num_frames: int):
    settings = replace(GIF, fps=Fraction(fps))
    with Image.open(write(tmp_path / "reel.gif", settings, range(num_frames))) as gif:
        assert (gif.n_frames, gif.size) == (num_frames, (32, 16))
        assert num_frames == 1 or gif.info["loop"] == 0
        for index in range(num_frames):
            gif.seek(index)
            assert num_frames == 1 or gif.info["duration"] == 1000 / fps
            assert (np.asarray(gif.convert("RGB")) == frame(index)).all()
    assert [path.name for path in tmp_path.iterdir()] == ["reel.gif"]


def test_frames_that_are_alike_are_all_there(tmp_path: Path):
    with segmented(tmp_path / "still.gif", GIF, range(20)) as film:
        film.write(np.zeros((20, GIF.frame_bytes), np.uint8))
    told = subprocess.run([find_ffmpeg(), "-i", film.path], capture_output=True)
    assert b"Duration: 00:00:01.00" in told.stderr


def test_pictures_are_the_frames_under_their_numbers(tmp_path: Path):
    folder = write(tmp_path / "100% new", PNG, range(7, 12))
    names = [f"frame-{index:06d}.png" for index in range(7, 12)]
    assert sorted(path.name for path in folder.iterdir()) == names
    for index, name in zip(range(7, 12), names, strict=True):
        with Image.open(folder / name) as picture:
            assert (np.asarray(picture) == frame(index)).all()
            assert "srgb" in picture.info
    assert list(tmp_path.iterdir()) == [folder]


def test_pictures_replace_pictures(tmp_path: Path):
    write(tmp_path / "frames", PNG, range(9))
    folder = write(tmp_path / "frames", PNG, range(2))
    assert len(list(folder.iterdir())) == 2
    assert list(tmp_path.iterdir()) == [folder]


def test_frames_that_wait_for_the_encoder_are_counted(tmp_path: Path):
    """One that takes nothing until it is told to."""
    go = tmp_path / "go"
    lines = [
        f"while 'vp9' in ' '.join(sys.argv) and not os.path.exists({str(go)!r}): time.sleep(0.01)",
        f"os.execv({find_ffmpeg()!r}, ['ffmpeg', *sys.argv[1:]])",
    ]
    path = tmp_path / "films" / "film.webm"
    path.parent.mkdir()
    settings = replace(WEBM, width=640, height=640)  # a segment is more than a pipe holds
    executable = fake(tmp_path, "\n".join(lines))
    with segmented(path, settings, range(12), executable=executable) as film:
        film.write(noise(12, settings))
        deadline = time.monotonic() + 20
        while film.num_waiting == 0 and time.monotonic() < deadline:
            time.sleep(0.01)
        assert 4 <= film.num_waiting <= 12
        go.touch()
        while film.num_waiting > 8 and time.monotonic() < deadline:
            time.sleep(0.01)
    assert film.num_waiting == 0
    assert path.exists()


# -- What is refused, and ends before the end ------------------------------------------------------


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
        segmented(folder, PNG, range(2)),
    ):
        pytest.fail("the block was entered")
    assert list(tmp_path.iterdir()) == [folder]


@pytest.mark.parametrize("settings", ALL.values(), ids=ALL)
@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_an_interruption_leaves_what_stood_there(tmp_path: Path, settings, error):
    target = tmp_path / "reel"
    with segmented(target, settings, range(2)) as film:
        film.write(noise(2, settings))
    before, threads = content(target), threads_named(*ENCODING)
    with pytest.raises(error), segmented(target, settings, range(2, 29)) as film:
        film.write(noise(20, settings))
        raise error
    assert content(target) == before
    assert list(tmp_path.iterdir()) == [target]
    assert threads_named(*ENCODING) <= threads


@pytest.mark.parametrize(
    ("settings", "way"),
    [*((WEBM, way) for way in FAKES), (GIF, "disk full"), (GIF, "writes no film"), (PNG, "killed")],
    ids=lambda each: each if isinstance(each, str) else each.codec,
)
def test_a_broken_ffmpeg_fails_with_its_last_words(tmp_path: Path, settings, way):
    """That of the film alone, when all segments are whole."""
    program, words = FAKES[way]
    path = tmp_path / "films" / "film"
    path.parent.mkdir()
    settings = replace(settings, width=320, height=240)  # frames are more than a pipe holds
    for start in (0, 20):
        with Encoder(kept(path) / f"{start}.mp4", settings, segment_of="film") as segment:
            segment.write(np.zeros((20, settings.frame_bytes), np.uint8))
    real = f"os.execv({find_ffmpeg()!r}, ['ffmpeg', *sys.argv[1:]])"
    program = f"if sys.argv[-1] == 'pipe:1': {real}\n{program}"
    executable = fake(tmp_path, program)
    words = words.replace("left a film of 0 frames after 40 frames", "ffmpeg left 0 of 40 frames")
    with (
        pytest.raises(EncodeError, match=words.replace(r" \(exit code 0\)", "")) as caught,
        segmented(path, settings, range(40), 20, executable=executable, patience_seconds=0.4),
    ):
        pass
    assert str(caught.value).startswith(f"{path}: ")


def test_an_ffmpeg_that_is_killed_is_told_at_the_next_frame(tmp_path: Path):
    """That of the film, while it waits for a segment."""
    path = tmp_path / "film.webm"
    frames = noise(20, WEBM)
    with (
        pytest.raises(EncodeError, match=r"film\.webm: ffmpeg stopped .*killed by signal 9"),
        segmented(path, WEBM, range(20)) as film,
    ):
        film.write(frames[:10])
        started = time.monotonic()
        while film._transcoding.num_frames < 4:
            time.sleep(0.01)
        os.kill(film._transcoding._feed._process.pid, signal.SIGKILL)
        while time.monotonic() < started + 30:
            time.sleep(0.1)
            film.write(frames[10:10])
    assert time.monotonic() - started < 20
    assert (kept(path) / "0.mp4").exists()
    assert not list(tmp_path.iterdir())


def test_no_frames_are_no_film(tmp_path: Path):
    with (
        pytest.raises(EncodeError, match="no frame was written"),
        segmented(tmp_path / "reel.gif", GIF, range(3)),
    ):
        pass
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("settings", [GIF, PNG, WEBM], ids=["gif", "png", "webm"])
def test_a_place_that_can_not_be_written_is_refused_before_the_first_frame(tmp_path, settings):
    (tmp_path / "file").touch()
    segments = [Segment(range(2), lambda _: tmp_path / "chunk.mp4")]
    with (
        pytest.raises(OptionError, match="can't be written"),
        SegmentEncoder(tmp_path / "file" / "reel", settings, segments, num_encoders=1),
    ):
        pytest.fail("the block was entered")
