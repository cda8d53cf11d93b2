from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pytest
import torch

from animix.engine.pixels import to_yuv420
from animix.errors import EncodeError, OptionError
from animix.ffmpeg.program import find_ffmpeg
from animix.video.encoder import Encoder
from animix.video.settings import EncoderSettings
from tests import mp4

SMALL = EncoderSettings(64, 48, Fraction(30), preset="ultrafast")
GREY = bytes([126]) * SMALL.frame_bytes


def ffmpeg(*arguments: str | Path) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([find_ffmpeg(), *map(str, arguments)], capture_output=True)


def decoded(path: Path, *options: str) -> bytes:
    return ffmpeg("-v", "error", "-i", path, *options, "-f", "rawvideo", "-").stdout


def is_running(encoder: Encoder) -> bool:
    return not encoder.has_ended


@contextlib.contextmanager
def leaves_the_old_film(path: Path) -> Iterator[None]:
    """Nothing changes in the film's folder, and it doesn't take for ever."""
    path.write_bytes(b"the old film")
    start = time.monotonic()
    yield
    assert time.monotonic() - start < 30  # what is stuck here is so for 60 s
    assert path.read_bytes() == b"the old film"
    assert list(path.parent.iterdir()) == [path]


# -- The film --------------------------------------------------------------------------------------

RATES = ["24000/1001", "24", "25", "30", "60", "12.5", "2997/100", "7", "30000/1001"]


@pytest.mark.parametrize("num_frames", [1, 7, 31])
@pytest.mark.parametrize("fps", [Fraction(rate) for rate in RATES], ids=RATES)
def test_a_film_has_each_frame_and_its_exact_length(tmp_path: Path, fps, num_frames):
    path = tmp_path / "film.mp4"
    settings = EncoderSettings(64, 48, fps)
    with Encoder(path, settings) as film:
        for index in range(num_frames):
            film.write(bytes([60 + 3 * index]) * settings.frame_bytes)
    assert film.num_frames == num_frames

    report = ffmpeg("-v", "error", "-i", path, "-f", "framecrc", "-").stdout.decode()
    times = [int(line.split(",")[2]) for line in report.splitlines() if line[0] != "#"]
    assert times == list(range(num_frames))
    assert f"#tb 0: {fps.denominator}/{fps.numerator}" in report

    assert mp4.length_seconds(mp4.box(path, "moov mvhd")) == num_frames / fps
    assert mp4.length_seconds(mp4.box(path, "moov trak mdia mdhd")) == num_frames / fps
    assert mp4.frame_ticks(path) == {settings.timescale / fps}


def test_a_film_starts_playing_before_it_has_loaded(tmp_path: Path):
    with Encoder(tmp_path / "film.mp4", SMALL) as film:
        film.write(GREY)
    names = [name for name, _ in mp4.boxes(film.path.read_bytes())]
    assert names.index("moov") < names.index("mdat")


def test_colour_tags_are_complete(tmp_path: Path):
    with Encoder(tmp_path / "film.mp4", SMALL) as film:
        film.write(GREY)
    assert mp4.colour(film.path) == ("nclx", 1, 1, 1, False)
    stream = tmp_path / "film.h264"  # without the MP4's own tags: what the stream says
    ffmpeg("-i", film.path, "-c", "copy", stream)
    for path in (film.path, stream):
        assert "yuv420p(tv, bt709, progressive)" in ffmpeg("-i", path).stderr.decode()


@pytest.mark.parametrize("title", ["Porcelain: ünï=code; 'quoted'", ""])
def test_players_show_the_title(tmp_path: Path, title: str):
    with Encoder(tmp_path / "film.mp4", replace(SMALL, title=title)) as film:
        film.write(GREY)
    told = ffmpeg("-i", film.path).stderr.decode()
    assert (f": {title}\n" in told) if title else ("    title" not in told)


def test_colours_come_back(tmp_path: Path):
    corners = [(r, g, b) for r in (0, 255) for g in (0, 255) for b in (0, 255)]
    others = np.random.default_rng(5).integers(0, 256, (14, 3)).tolist()
    colours = np.array(corners + others)
    with Encoder(tmp_path / "film.mp4", EncoderSettings(32, 32, Fraction(30))) as film:
        for index, colour in enumerate(colours):
            patch = (torch.tensor(colour) / 127.5 - 1)[:, None, None].expand(3, 32, 32)
            film.write(to_yuv420(patch, index).numpy())
    flags = "in_color_matrix=bt709:in_range=tv:flags=accurate_rnd+full_chroma_int"
    rgb = decoded(film.path, "-vf", f"scale={flags}", "-pix_fmt", "rgb24")
    patches = np.frombuffer(rgb, np.uint8).reshape(len(colours), 32 * 32, 3)
    assert np.abs(patches.mean(axis=1) - colours).max() <= 2


def test_several_frames_may_come_at_once(tmp_path: Path):
    levels = np.arange(50, 200, 10, dtype=np.uint8)
    frames = np.repeat(levels[:, None], SMALL.frame_bytes, axis=1)
    with Encoder(tmp_path / "film.mp4", SMALL) as film:
        film.write(frames[:1])
        film.write(frames[1:14])
        film.write(frames[14])
    assert film.num_frames == 15
    planes = np.frombuffer(decoded(film.path), np.uint8).reshape(-1, SMALL.frame_bytes)
    assert np.abs(planes.mean(axis=1) - levels).max() < 1


def test_no_more_waits_for_ffmpeg_than_the_queue_takes(tmp_path: Path):
    settings = EncoderSettings(640, 480, Fraction(30))
    executable = fake(tmp_path, "time.sleep(60)")
    path = tmp_path / "film.mp4"
    limits = {"patience_seconds": 0.2, "queue_bytes": 4_000_000}
    with (
        pytest.raises(EncodeError, match="hasn't moved"),
        Encoder(path, settings, executable=executable, **limits) as film,
    ):
        while True:
            film.write(bytes(settings.frame_bytes))
    # Beside the queue the pipe holds 1 MiB.
    assert 4_000_000 <= film.num_frames * settings.frame_bytes < 6_000_000


def test_frames_are_taken_from_any_layout(tmp_path: Path):
    settings = EncoderSettings(64, 48, Fraction(30))
    frame = np.zeros((settings.frame_bytes, 2), np.uint8)[:, 0]  # every other byte
    with Encoder(tmp_path / "film.mp4", settings) as film:
        for level in range(50, 200, 10):
            frame[:] = level
            film.write(frame)
    planes = np.frombuffer(decoded(film.path), np.uint8).reshape(-1, settings.frame_bytes)
    assert np.abs(planes.mean(axis=1) - range(50, 200, 10)).max() < 1


@pytest.mark.parametrize("name", ["a b'é:%03d.mp4", "-y.mp4", "new/folders/film.mp4", "film"])
def test_a_film_lands_under_any_name(tmp_path: Path, name: str):
    with Encoder(tmp_path / name, SMALL) as film:
        film.write(GREY)
    assert len(decoded(film.path)) == SMALL.frame_bytes
    assert list(film.path.parent.iterdir()) == [film.path]


def test_a_film_replaces_what_a_link_points_to(tmp_path: Path):
    (tmp_path / "films").mkdir()
    target, link = tmp_path / "films" / "film.mp4", tmp_path / "link.mp4"
    link.symlink_to(target)
    with Encoder(link, SMALL) as film:
        film.write(GREY)
    assert link.is_symlink()
    assert len(decoded(target)) == SMALL.frame_bytes


def test_the_film_is_not_there_until_it_is_whole(tmp_path: Path):
    with Encoder(tmp_path / "film.mp4", SMALL) as film:
        film.write(GREY)
        assert not film.path.exists()
    assert film.path.exists()


# -- What is refused -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"width": 63}, "63x48: 4:2:0 video needs an even width"),
        ({"height": 0}, "64x0"),
        ({"fps": Fraction(0)}, "fps is 0: expected a rate above 0"),
        ({"fps": Fraction(-30)}, "fps is -30"),
        ({"fps": Fraction("29.9700001")}, "fps is 299700001/10000000"),
        ({"crf": 52}, "crf is 52: expected 0"),
        ({"crf": -1}, "crf is -1"),
        ({"preset": "fastest"}, 'preset is "fastest": expected one of ultrafast'),
    ],
)
def test_settings_that_can_not_be_encoded_are_refused(changes, words):
    with pytest.raises(OptionError, match=re.escape(words)):
        EncoderSettings(**{"width": 64, "height": 48, "fps": Fraction(30), **changes})


@pytest.mark.parametrize("name", ["folder", "file/film.mp4", "x" * 250, "pipe"])
def test_a_path_that_can_not_be_written_is_refused_before_the_first_frame(tmp_path, name):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    os.mkfifo(tmp_path / "pipe")
    with (
        pytest.raises(OptionError, match=f"{name}: .*name another output"),
        Encoder(tmp_path / name, SMALL),
    ):
        pytest.fail("the block was entered")
    assert {path.name for path in tmp_path.iterdir()} == {"folder", "file", "pipe"}


@pytest.mark.parametrize("length", [0, SMALL.frame_bytes - 1, SMALL.frame_bytes * 2])
def test_a_frame_of_another_length_fails(tmp_path: Path, length: int):
    path = tmp_path / "film.mp4"
    with (
        leaves_the_old_film(path),
        pytest.raises(ValueError, match=f"{length} bytes, expected 4608"),
        Encoder(path, SMALL) as film,
    ):
        film.write(bytes(length))


def test_frames_of_another_length_fail(tmp_path: Path):
    with (
        pytest.raises(ValueError, match="frame 1 has 7 bytes"),
        Encoder(tmp_path / "a", SMALL) as a,
    ):
        a.write(GREY)
        a.write(np.zeros((3, 7), np.uint8))


def test_a_film_without_frames_fails(tmp_path: Path):
    path = tmp_path / "film.mp4"
    with (
        leaves_the_old_film(path),
        pytest.raises(EncodeError, match="no frame"),
        Encoder(path, SMALL),
    ):
        pass


def test_a_missing_ffmpeg_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def missing() -> str:
        raise RuntimeError("No ffmpeg exe could be found.")

    monkeypatch.setattr(imageio_ffmpeg, "get_ffmpeg_exe", missing)
    path = tmp_path / "film.mp4"
    with (
        leaves_the_old_film(path),
        pytest.raises(EncodeError, match="no ffmpeg here; reinstall it with pip"),
        Encoder(path, SMALL),
    ):
        pytest.fail("the block was entered")


def test_an_ffmpeg_that_does_not_start_fails(tmp_path: Path):
    path = tmp_path / "film.mp4"
    with (
        leaves_the_old_film(path),
        pytest.raises(EncodeError, match="/nowhere/ffmpeg: ffmpeg could not be started: No such"),
        Encoder(path, SMALL, executable="/nowhere/ffmpeg"),
    ):
        pytest.fail("the block was entered")


# -- Ends before the end ---------------------------------------------------------------------------


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError, SystemExit])
@pytest.mark.parametrize("num_frames", [0, 1, 20])
def test_an_interruption_leaves_the_old_film(tmp_path: Path, error, num_frames):
    path = tmp_path / "film.mp4"
    with leaves_the_old_film(path), pytest.raises(error), Encoder(path, SMALL) as film:
        for _ in range(num_frames):
            film.write(GREY)
        raise error
    assert not is_running(film)


def test_an_interruption_ends_the_wait_for_a_stuck_ffmpeg(tmp_path: Path):
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    path = tmp_path / "films" / "film.mp4"
    path.parent.mkdir()
    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, 0.3)
    try:
        with (
            leaves_the_old_film(path),
            pytest.raises(KeyboardInterrupt),
            Encoder(path, SMALL, executable=fake(tmp_path, "time.sleep(60)")) as film,
        ):
            while True:
                film.write(GREY)
    finally:
        signal.signal(signal.SIGALRM, before)


def fake(folder: Path, program: str) -> str:
    """An ffmpeg that runs a program of our own."""
    path = folder / "ffmpeg"
    lines = ["#!" + sys.executable + " -SE", "import os, sys, time", textwrap.dedent(program)]
    path.write_text("\n".join(lines))
    path.chmod(0o755)
    return str(path)


SAY = "sys.stderr.write({!r}); sys.stderr.flush()\n"
READ_ALL = "while sys.stdin.buffer.read(65536): pass\n"

FAKES = {
    "dies at the start": (
        SAY.format("Unknown encoder 'libx264'") + "sys.exit(8)",
        r"stopped taking frames .*exit code 8[^$]*Unknown encoder 'libx264'$",
    ),
    "disk full": (
        "sys.stdin.buffer.read(20000)\n" + SAY.format("No space left on device") + "sys.exit(228)",
        r"frames .*exit code 228; its disk is full, make room[^$]*No space left on device$",
    ),
    "killed": (
        "sys.stdin.buffer.read(20000)\nos.kill(os.getpid(), 9)",
        r"stopped taking frames .*killed by signal 9[^$]*said nothing",
    ),
    "never reads": (
        SAY.format("I sleep") + "time.sleep(60)",
        r"hasn't moved for 0.4 s .*still running[^$]*I sleep$",
    ),
    "closes its input": (
        "os.close(0)\n" + SAY.format("I am full") + "time.sleep(60)",
        r"stopped taking frames .*still running[^$]*I am full$",
    ),
    "never ends": (
        READ_ALL + SAY.format("one moment") + "time.sleep(60)",
        r"hasn't moved for 0.4 s .*still running[^$]*one moment$",
    ),
    "fails at the end": (
        READ_ALL + SAY.format("Error writing trailer") + "sys.exit(1)",
        r"could not finish .*exit code 1[^$]*Error writing trailer$",
    ),
    "writes no film": (READ_ALL, r"left a film of 0 frames after 40 frames \(exit code 0\)"),
    "ends early": ("", r"stopped taking frames .*exit code 0"),
    "has much to say": (
        "for _ in range(4000): sys.stderr.write('word ' * 200)\n"
        + SAY.format("and the last one")
        + "sys.exit(1)",
        r"exit code 1[^$]*and the last one$",
    ),
    "not in UTF-8": (
        "sys.stderr.buffer.write(b'caf\\xe9'); sys.stderr.flush(); sys.exit(1)",
        r"exit code 1[^$]*caf\ufffd$",
    ),
}


@pytest.mark.parametrize(("program", "words"), FAKES.values(), ids=FAKES)
def test_a_broken_ffmpeg_fails_with_its_last_words(tmp_path: Path, program, words):
    path = tmp_path / "films" / "film.mp4"
    path.parent.mkdir()
    executable = fake(tmp_path, program)
    settings = EncoderSettings(320, 240, Fraction(30))  # 40 frames are more than a pipe holds
    with (
        leaves_the_old_film(path),
        pytest.raises(EncodeError, match=words) as caught,
        Encoder(path, settings, executable=executable, patience_seconds=0.4) as film,
    ):
        for _ in range(40):
            film.write(bytes(settings.frame_bytes))
            time.sleep(0.002)
    assert not is_running(film)
    assert len(str(caught.value)) < 9000


def test_a_slow_ffmpeg_is_not_taken_for_a_stuck_one(tmp_path: Path):
    size = EncoderSettings(640, 480, Fraction(30))  # more than a pipe holds
    slow = "while sys.stdin.buffer.read(460800): time.sleep(0.1)\n"
    executable = fake(tmp_path, slow)
    with (
        pytest.raises(EncodeError, match="left a film of 0 frames after 10"),
        Encoder(tmp_path / "film.mp4", size, executable=executable, patience_seconds=0.3) as film,
    ):
        for _ in range(10):
            film.write(bytes(size.frame_bytes))


def test_a_talkative_ffmpeg_does_not_hang(tmp_path: Path):
    talk = "for _ in range(4000): sys.stderr.write('word ' * 200)\n"
    run = f"os.execv({find_ffmpeg()!r}, ['ffmpeg', *sys.argv[1:], '-loglevel', 'debug'])"
    with Encoder(tmp_path / "film.mp4", SMALL, executable=fake(tmp_path, talk + run)) as film:
        for _ in range(300):
            film.write(GREY)
    assert len(decoded(film.path)) == 300 * SMALL.frame_bytes


def test_a_full_disk_ends_the_render_at_once(tmp_path: Path):
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000))\n"
    run = f"os.execv({find_ffmpeg()!r}, ['ffmpeg', *sys.argv[1:]])"
    path = tmp_path / "films" / "film.mp4"
    path.parent.mkdir()
    executable = fake(tmp_path, limit + run)
    noise = np.random.default_rng(0)
    with (
        leaves_the_old_film(path),
        pytest.raises(EncodeError, match=r"stopped taking frames[^$]*File too large"),
        Encoder(path, SMALL, executable=executable) as film,
    ):
        for _ in range(100_000):
            film.write(noise.integers(0, 256, SMALL.frame_bytes, np.uint8))
