"""A film of segments is the film that one encoder makes, with the same promises."""

from __future__ import annotations

import os
import re
import signal
import time
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from animix.errors import EncodeError, OptionError
from animix.ffmpeg.program import find_ffmpeg
from animix.video import segments as segments_module
from animix.video import settings as settings_module
from animix.video.encoder import Encoder
from animix.video.mp4 import count_frames
from animix.video.segments import (
    Segment,
    SegmentEncoder,
    encoding_of,
    num_encoders,
    segment_frames,
    segments_of,
    threads_of_each,
)
from animix.video.settings import EncoderSettings
from tests import mp4
from tests.test_ffmpeg import FAKES, decoded, fake, ffmpeg, leaves_the_old_film
from tests.threads import ENCODING, threads_named

SMALL = EncoderSettings(64, 48, Fraction(30), preset="ultrafast")


def grey(num_frames: int, settings: EncoderSettings = SMALL) -> np.ndarray:
    """Frames of one level each, no two neighbours the same: [N, bytes]."""
    levels = 60 + 5 * (np.arange(num_frames) % 32)
    return np.repeat(levels.astype(np.uint8)[:, None], settings.frame_bytes, axis=1)


def chunks(path: Path) -> Path:
    """Where the segments of a film stand in these tests: in a folder of their own."""
    return path.parent.with_name(f"{path.parent.name}-chunks")


def segmented(
    path: Path, frames: range, settings: EncoderSettings = SMALL, length: int = 8, **options
):
    """An encoder that takes the segments that stand there already for whole ones."""
    folder = chunks(path)
    folder.mkdir(exist_ok=True)

    def find(part: range) -> Path:
        return folder / f"{part.start}.mp4"

    parts = segments_of(frames, length)
    segments = [Segment(part, find, find(part).exists()) for part in parts]
    return SegmentEncoder(path, settings, segments, **{"num_encoders": 3, **options})


def finished(path: Path) -> set[str]:
    """The segments of a film that are whole, and nothing else stands beside them."""
    return {place.name for place in chunks(path).iterdir()}


# -- The film --------------------------------------------------------------------------------------


@pytest.mark.parametrize("preset", ["ultrafast", "superfast"])
@pytest.mark.parametrize("fps", [Fraction(24), Fraction(30000, 1001), Fraction(60)], ids=str)
@pytest.mark.parametrize("frames", [range(40), range(7, 34), range(3, 4)], ids=str)
def test_a_film_of_segments_has_each_frame_at_its_time(tmp_path: Path, preset, fps, frames):
    path = tmp_path / "film.mp4"
    settings = EncoderSettings(64, 48, fps, preset=preset)
    written = grey(len(frames), settings)
    with segmented(path, frames, settings) as film:
        for start in range(0, len(frames), 5):  # across the segments' borders
            film.write(written[start : start + 5])
    assert film.num_frames == count_frames(path) == len(frames)
    assert list(tmp_path.iterdir()) == [path]

    report = ffmpeg("-v", "error", "-i", path, "-f", "framecrc", "-").stdout.decode()
    lines = [line.split(",") for line in report.splitlines() if line[0] != "#"]
    assert [int(line[2]) for line in lines] == list(range(len(frames)))
    assert f"#tb 0: {fps.denominator}/{fps.numerator}" in report
    planes = np.frombuffer(decoded(path), np.uint8).reshape(-1, settings.frame_bytes)
    assert np.abs(planes.mean(axis=1) - written.mean(axis=1)).max() < 1

    for header in ("mvhd", "trak mdia mdhd"):
        assert mp4.length_seconds(mp4.box(path, f"moov {header}")) == len(frames) / fps
    assert mp4.frame_ticks(path) == {settings.timescale / fps}


@pytest.mark.parametrize(
    "made",
    [{"preset": "ultrafast"}, {"preset": "superfast"}, {"codec": "h265", "preset": "medium"}],
    ids=str,
)
def test_a_joined_film_says_what_one_from_one_piece_says(tmp_path: Path, made):
    settings = replace(SMALL, **made, title="Porcelain: ünï=code")
    with segmented(tmp_path / "joined.mp4", range(20), settings) as joined:
        joined.write(grey(20))
    with Encoder(tmp_path / "whole.mp4", settings) as whole:
        whole.write(grey(20))
    names = [name for name, _ in mp4.boxes(joined.path.read_bytes())]
    assert names.index("moov") < names.index("mdat")
    assert mp4.colour(joined.path) == mp4.colour(whole.path) == ("nclx", 1, 1, 1, False)
    same = [
        "moov trak edts elst",
        "moov trak mdia mdhd",
        "moov trak tkhd",
        "moov mvhd",
        "moov udta",
    ]
    for box in same:
        assert mp4.box(joined.path, box) == mp4.box(whole.path, box)
    told = [ffmpeg("-i", film.path).stderr.decode() for film in (joined, whole)]
    assert all("yuv420p(tv, bt709, progressive)" in text for text in told)
    assert all(": Porcelain: ünï=code\n" in text for text in told)
    # Every segment begins with a frame that decoding may start at.
    keys = np.frombuffer(mp4.box(joined.path, "moov trak mdia minf stbl stss")[8:], ">u4")
    assert {1, 9, 17} <= set(keys.tolist())


@pytest.mark.parametrize("num_encoders", [1, 3])
@pytest.mark.parametrize(
    "missing", [[], [0], [16], [32], [0, 8, 32], [8, 24], [0, 8, 16, 24, 32]], ids=str
)
def test_only_frames_of_missing_segments_are_wanted(tmp_path: Path, missing, num_encoders):
    path = tmp_path / "film.mp4"
    written = grey(40)
    with segmented(path, range(40), num_encoders=num_encoders) as film:
        film.write(written)
    first = path.read_bytes()
    for start in missing:
        (chunks(path) / f"{start}.mp4").unlink()
    with segmented(path, range(40), num_encoders=num_encoders) as film:
        for start in missing:
            film.write(written[start : start + 8])
    assert path.read_bytes() == first
    assert finished(path) == {f"{start}.mp4" for start in range(0, 40, 8)}


def test_another_title_is_no_reason_to_encode_again(tmp_path: Path):
    path = tmp_path / "film.mp4"
    for title in ("Porcelain", "ünï=code; 'quoted'", ""):
        settings = replace(SMALL, title=title)
        with segmented(path, range(20), settings) as film:
            if title == "Porcelain":
                film.write(grey(20))
        told = ffmpeg("-i", path).stderr.decode()
        assert re.findall(r"^ +title +: (.*)$", told, re.MULTILINE) == [title] * bool(title)
        assert encoding_of(settings) == encoding_of(SMALL)


@pytest.mark.parametrize("num_cores", [1, 2, 16])
def test_x265_has_one_thread_and_several_segments(monkeypatch, num_cores):
    monkeypatch.setattr(segments_module, "num_cores", lambda: num_cores)
    settings = EncoderSettings(1080, 1920, Fraction(30), codec="h265")
    assert "pools=none:frame-threads=1" in " ".join(encoding_of(settings))
    assert num_encoders(settings) == min(num_cores, 8)


@pytest.mark.parametrize("num_cores", [1, 2, 7, 8, 16, 64, 200])
@pytest.mark.parametrize("preset", ["ultrafast", "medium"])
def test_the_number_of_threads_is_told(monkeypatch, num_cores, preset):
    for module in (segments_module, settings_module):
        monkeypatch.setattr(module, "num_cores", lambda: num_cores)
    told = encoding_of(replace(SMALL, preset=preset))
    assert 1 <= int(told[told.index("-threads") + 1]) <= 128


@pytest.mark.parametrize("preset", ["ultrafast", "medium"])
@pytest.mark.parametrize("fps", [1, 10, 30, 120])
def test_segments_are_whole_cells_at_absolute_places(preset, fps):
    for side in (64, 256, 512, 1024, 4096):
        length = segment_frames(EncoderSettings(side, side, Fraction(fps), preset=preset))
        assert length % 32 == 0
        assert length > 0
        parts = segments_of(range(45, 45 + 3 * length), length)
        assert [frame for part in parts for frame in part] == list(range(45, 45 + 3 * length))
        assert all(part.start % length == 0 for part in parts[1:])


@pytest.mark.parametrize(
    ("preset", "side", "num_cores", "expected"),
    [
        ("ultrafast", 1024, 16, 4),
        ("superfast", 1024, 8, 2),
        ("ultrafast", 1024, 4, 1),
        ("ultrafast", 1024, 64, 8),
        ("veryfast", 1024, 16, 1),
        ("medium", 1024, 64, 1),
        ("medium", 512, 16, 4),
        ("medium", 512, 4, 1),
        ("medium", 514, 16, 1),
    ],
)
def test_several_encoders_work_where_one_does_not_fill_the_cores(
    monkeypatch, preset, side, num_cores, expected
):
    for module in (segments_module, settings_module):
        monkeypatch.setattr(module, "num_cores", lambda: num_cores)
    settings = EncoderSettings(side, side, Fraction(30), preset=preset)
    assert num_encoders(settings) == expected
    assert threads_of_each(settings) * expected <= num_cores * 3 // 2


# -- What is refused, and ends before the end ------------------------------------------------------


def test_more_frames_than_were_to_come_fail(tmp_path: Path):
    path = tmp_path / "film.mp4"
    with (
        leaves_the_old_film(path),
        pytest.raises(ValueError, match="more than the 20 frames"),
        segmented(path, range(20)) as film,
    ):
        film.write(grey(21))


def test_fewer_frames_than_were_to_come_fail(tmp_path: Path):
    path = tmp_path / "film.mp4"
    with (
        leaves_the_old_film(path),
        pytest.raises(ValueError, match="11 of the 20 frames"),
        segmented(path, range(20)) as film,
    ):
        film.write(grey(11))
    assert finished(path) <= {"0.mp4"}


def test_a_film_without_frames_fails(tmp_path: Path):
    path = tmp_path / "film.mp4"
    with (
        leaves_the_old_film(path),
        pytest.raises(EncodeError, match="no frame"),
        segmented(path, range(20)),
    ):
        pass


@pytest.mark.parametrize("name", ["folder", "file/film.mp4", "x" * 250, "pipe"])
def test_a_path_that_can_not_be_written_is_refused_before_the_first_frame(tmp_path, name):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    os.mkfifo(tmp_path / "pipe")
    with (
        pytest.raises(OptionError, match=f"{name}: .*name another output"),
        segmented(tmp_path / name, range(20)),
    ):
        pytest.fail("the block was entered")
    assert {path.name for path in tmp_path.iterdir()} - {"file-chunks"} == {
        "folder",
        "file",
        "pipe",
    }
    assert not list(tmp_path.glob("*/*"))


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError, SystemExit])
@pytest.mark.parametrize("num_frames", [0, 1, 30])
def test_an_interruption_leaves_the_old_film(tmp_path: Path, error, num_frames):
    path = tmp_path / "film.mp4"
    before = threads_named(*ENCODING)
    with leaves_the_old_film(path), pytest.raises(error), segmented(path, range(40)) as film:
        for frame in grey(num_frames):
            film.write(frame)
        raise error
    assert all(encoder.has_ended for _, encoder in film._running)
    assert threads_named(*ENCODING) <= before
    assert finished(path) <= {"0.mp4", "8.mp4", "16.mp4"}


def test_an_interruption_ends_the_wait_for_stuck_encoders(tmp_path: Path):
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    path = tmp_path / "films" / "film.mp4"
    path.parent.mkdir()
    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, 0.5)
    executable = fake(tmp_path, "time.sleep(60)")
    try:
        with (
            leaves_the_old_film(path),
            pytest.raises(KeyboardInterrupt),
            segmented(path, range(80), executable=executable) as film,
        ):
            film.write(grey(80))
    finally:
        signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize(("program", "words"), FAKES.values(), ids=FAKES)
def test_a_broken_ffmpeg_fails_with_its_last_words(tmp_path: Path, program, words):
    path = tmp_path / "films" / "film.mp4"
    path.parent.mkdir()
    settings = EncoderSettings(320, 240, Fraction(30), preset="ultrafast")
    options = {"executable": fake(tmp_path, program), "patience_seconds": 0.4, "length": 40}
    with (
        leaves_the_old_film(path),
        pytest.raises(EncodeError, match=words) as caught,
        segmented(path, range(40), settings, **options) as film,
    ):
        for frame in grey(40, settings):
            film.write(frame)
            time.sleep(0.002)
    assert str(caught.value).startswith(f"{path} (frames 0 to 39): ffmpeg")
    assert all(encoder.has_ended for _, encoder in film._running)


@pytest.mark.parametrize("number", [0, 2, 4])
def test_any_encoder_that_dies_ends_them_all(tmp_path: Path, number):
    """The one of frames 8·number … dies, the others are real."""
    lines = [
        f"if '/.{8 * number}.mp4' in sys.argv[-1]: sys.exit('No space left on device')",
        f"os.execv({find_ffmpeg()!r}, ['ffmpeg', *sys.argv[1:]])",
    ]
    path = tmp_path / "films" / "film.mp4"
    path.parent.mkdir()
    words = rf"frames {8 * number} to {8 * number + 7}[^$]*No space left on device$"
    with (
        leaves_the_old_film(path),
        pytest.raises(EncodeError, match=words),
        segmented(path, range(40), executable=fake(tmp_path, "\n".join(lines))) as film,
    ):
        film.write(grey(40))
    assert f"{8 * number}.mp4" not in finished(path)
    assert all(name.startswith(tuple("0123456789")) for name in finished(path))


def test_a_failure_is_told_while_other_segments_are_written(tmp_path: Path):
    lines = [
        "if '/.0.mp4' in sys.argv[-1]: sys.exit(1)",
        "while sys.stdin.buffer.read(65536): pass",
        "time.sleep(60)",
    ]
    path = tmp_path / "films" / "film.mp4"
    path.parent.mkdir()
    with (
        leaves_the_old_film(path),
        pytest.raises(EncodeError, match="frames 0 to 7"),
        segmented(path, range(1000), executable=fake(tmp_path, "\n".join(lines))) as film,
    ):
        film.write(grey(9))
        while film.num_frames < 16:  # the second segment alone never ends
            time.sleep(0.2)
            film.write(grey(1))


def test_segments_that_can_not_be_joined_fail(tmp_path: Path):
    """Films of the right number of frames, but of another size each."""
    lines = [
        "sizes = [index for index, word in enumerate(sys.argv) if word == '-video_size']",
        "wide = '/.8.mp4' in sys.argv[-1]",
        "if wide: sys.argv[sizes[0] + 1] = '48x64'",
        f"os.execv({find_ffmpeg()!r}, ['ffmpeg', *sys.argv[1:]])",
    ]
    path = tmp_path / "films" / "film.mp4"
    path.parent.mkdir()
    with (
        leaves_the_old_film(path),
        pytest.raises(EncodeError, match=r"can't be joined in .*films: .*another way"),
        segmented(path, range(40), executable=fake(tmp_path, "\n".join(lines))) as film,
    ):
        film.write(grey(40))
