"""A film with sound: in sync to its end, no edit list, whole or absent."""

import contextlib
import signal
import threading
import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pytest

from animix.errors import EncodeError, OptionError
from animix.ffmpeg import run
from animix.timeline.audio import Audio
from animix.timeline.keyframes import Clip
from animix.video import muxing
from animix.video.encoder import Encoder
from animix.video.mp4 import count_frames
from animix.video.muxing import add_sound, with_sound
from animix.video.settings import EncoderSettings
from animix.video.soundtrack import Soundtrack, open_soundtrack
from tests import mp4
from tests.sounds import decoded, noise, write_wav
from tests.test_ffmpeg import RATES, fake, ffmpeg
from tests.test_ffmpeg import decoded as decoded_pictures

SETTINGS = EncoderSettings(64, 48, Fraction(30), preset="ultrafast", title="Porcelain")
GREY = bytes([126]) * SETTINGS.frame_bytes


def soundtrack_of(path: Path, num_frames: int, fps: Fraction = Fraction(30)) -> Soundtrack:
    clip = Clip(num_frames, fps, num_frames / fps, False)
    soundtrack = open_soundtrack(Audio(path), clip)
    assert soundtrack is not None
    return soundtrack


def write_film(target, soundtrack, settings=SETTINGS, num_frames=30, frame=GREY) -> Path:
    with (
        with_sound(soundtrack, target, settings, range(num_frames)) as silent,
        Encoder(silent, settings) as film,
    ):
        for _ in range(num_frames):
            film.write(frame)
    return target


@pytest.fixture
def song(tmp_path: Path) -> Path:
    (tmp_path / "sounds").mkdir()
    return write_wav(tmp_path / "sounds" / "song.wav", noise(2))


def tracks(path: Path) -> list[dict[str, bytes]]:
    moov = mp4.boxes(mp4.box(path, "moov"))
    return [dict(mp4.boxes(content)) for name, content in moov if name == "trak"]


def test_click_and_flash_are_together_at_the_start_in_the_middle_and_at_the_end_of_ten_minutes(
    tmp_path: Path,
):
    fps, num_frames, rate = Fraction(10), 6000, 44_100
    settings = EncoderSettings(64, 64, fps, preset="ultrafast", crf=40)
    flashes = [0, 1, 2999, 3000, 5998, 5999]
    sound = np.zeros((600 * rate, 1))
    click = np.random.default_rng(0).uniform(-0.9, 0.9, rate // 20)[:, None]  # 50 ms
    for flash in flashes:
        sound[flash * rate // 10 :][: len(click)] = click
    soundtrack = soundtrack_of(write_wav(tmp_path / "clicks.wav", sound, rate), num_frames, fps)
    dark = np.full((num_frames, settings.frame_bytes), 128, np.uint8)
    dark[:, : 64 * 64] = 16
    dark[flashes, : 64 * 64] = 235
    path = tmp_path / "film.mp4"
    with (
        with_sound(soundtrack, path, settings, range(num_frames)) as silent,
        Encoder(silent, settings) as film,
    ):
        film.write(dark)

    planes = np.frombuffer(decoded_pictures(path), np.uint8).reshape(num_frames, -1)
    assert np.flatnonzero(planes[:, : 64 * 64].mean(axis=1) > 120).tolist() == flashes
    heard = np.abs(decoded("-i", path)[:, 0])
    assert len(heard) == 600 * 48_000
    places = np.flatnonzero(heard > 0.2)
    starts = places[np.diff(places, prepend=-48_000) > 2000] / 48_000
    ends = places[np.diff(places, append=10**9) > 2000] / 48_000
    assert len(starts) == len(flashes)
    for flash, start, end in zip(flashes, starts, ends, strict=True):
        # AAC may be heard some milliseconds ahead of noise, and the very first fades in; where a
        # click ends is exact.
        assert abs(start - flash / 10) < (0.015 if flash == 0 else 0.006)
        assert abs(end - (flash / 10 + 0.05)) < 0.001


@pytest.mark.parametrize("fps", [Fraction(rate) for rate in RATES], ids=RATES)
def test_a_film_with_sound_has_each_frame_its_exact_length_and_no_edit_list(
    tmp_path: Path, song: Path, fps
):
    settings = EncoderSettings(64, 48, fps, title="Porcelain")  # with B-frames
    path = tmp_path / "film.mp4"
    pictures = [bytes([60 + 3 * index]) * settings.frame_bytes for index in range(31)]
    silent = tmp_path / "silent.mp4"
    with Encoder(silent, settings) as film:
        for picture in pictures:
            film.write(picture)
    with with_sound(soundtrack_of(song, 31, fps), path, settings, range(31)) as place:
        place.write_bytes(silent.read_bytes())

    report = ffmpeg("-v", "error", "-i", path, "-map", "0:v", "-f", "framecrc", "-").stdout.decode()
    before = ffmpeg("-v", "error", "-i", silent, "-f", "framecrc", "-").stdout.decode()
    assert report == before  # the same pictures at the same times
    times = [int(line.split(",")[2]) for line in report.splitlines() if line[0] != "#"]
    assert times == list(range(31))

    names = [name for name, _ in mp4.boxes(path.read_bytes())]
    assert names.index("moov") < names.index("mdat")
    assert mp4.length_seconds(mp4.box(path, "moov mvhd")) == 31 / fps
    video, audio = tracks(path)
    assert "edts" not in video
    assert "edts" not in audio
    lengths = [mp4.length_seconds(dict(mp4.boxes(t["mdia"]))["mdhd"]) for t in (video, audio)]
    assert lengths[0] == 31 / fps
    assert 0 <= 31 / fps - lengths[1] < Fraction(1, 48_000)
    packets = ffmpeg("-v", "error", "-i", path, "-c", "copy", "-f", "framecrc", "-").stdout.decode()
    first = next(line.split(",")[2].strip() for line in packets.splitlines() if line[:2] == "1,")
    assert first == "0"


def test_tags_and_title_stay_and_the_sound_is_aac_lc_at_48_khz(tmp_path: Path, song: Path):
    decoded("-i", song, "-metadata", "title=a song", tmp_path / "sounds" / "song.mp3")
    path = write_film(tmp_path / "film.mp4", soundtrack_of(tmp_path / "sounds" / "song.mp3", 30))
    told = ffmpeg("-i", path).stderr.decode()
    assert "Audio: aac (LC)" in told
    assert "48000 Hz, stereo" in told
    assert "yuv420p(tv, bt709, progressive)" in told
    assert ": Porcelain\n" in told
    assert "a song" not in told
    video, _ = tracks(path)
    assert b"colrnclx\0\1\0\1\0\1" in video["mdia"]


def test_what_is_heard_is_the_soundtrack(tmp_path: Path):
    times = np.arange(2 * 48_000) / 48_000
    sound = 0.4 * np.sin(2 * np.pi * 330 * times) * np.sin(2 * np.pi * 3 * times)
    song = write_wav(tmp_path / "song.wav", sound)
    path = write_film(tmp_path / "film.mp4", soundtrack_of(song, 60), num_frames=60)
    heard = decoded("-i", path)
    assert heard.shape == (2 * 48_000, 2)
    assert np.abs(heard[1024:] - sound[1024:, None]).max() < 0.02


def test_without_a_soundtrack_nothing_changes(tmp_path: Path):
    with with_sound(None, tmp_path / "film.mp4", SETTINGS, range(3)) as place:
        assert place == tmp_path / "film.mp4"
    assert list(tmp_path.iterdir()) == []


def test_a_link_to_a_film_stays_one(tmp_path: Path, song: Path):
    (tmp_path / "films").mkdir()
    (tmp_path / "link.mp4").symlink_to(tmp_path / "films" / "film.mp4")
    write_film(tmp_path / "link.mp4", soundtrack_of(song, 30))
    assert (tmp_path / "link.mp4").is_symlink()
    assert [path.name for path in (tmp_path / "films").iterdir()] == ["film.mp4"]
    assert count_frames(tmp_path / "films" / "film.mp4") == 30


# -- Ends before the end ---------------------------------------------------------------------------


@contextlib.contextmanager
def leaves_the_old_film(path: Path) -> Iterator[None]:
    path.parent.mkdir()
    path.write_bytes(b"the old film")
    start = time.monotonic()
    yield
    assert time.monotonic() - start < 15
    assert path.read_bytes() == b"the old film"
    assert list(path.parent.iterdir()) == [path]
    assert not [t for t in threading.enumerate() if t.name.startswith("ffmpeg")]


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, RuntimeError])
def test_an_interruption_leaves_the_old_film(tmp_path: Path, song: Path, error):
    soundtrack = soundtrack_of(song, 30)
    path = tmp_path / "films" / "film.mp4"
    with (
        leaves_the_old_film(path),
        pytest.raises(error),
        with_sound(soundtrack, path, SETTINGS, range(30)) as silent,
        Encoder(silent, SETTINGS) as film,
    ):
        film.write(GREY)
        raise error


def test_an_interruption_ends_the_wait_for_the_sound(tmp_path: Path, song: Path, monkeypatch):
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    soundtrack = soundtrack_of(song, 30)
    executable = fake(tmp_path, "time.sleep(60)")
    monkeypatch.setattr(run, "find_ffmpeg", lambda: executable)
    path = tmp_path / "films" / "film.mp4"
    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, 0.5)
    try:
        with leaves_the_old_film(path), pytest.raises(KeyboardInterrupt):
            write_film(path, soundtrack)
    finally:
        signal.signal(signal.SIGALRM, before)


FAKES = {
    "killed": ("os.kill(os.getpid(), 9)", "sound can't be encoded .killed by signal 9[^$]*nothing"),
    "disk full": (
        "sys.stderr.write('No space left on device'); sys.exit(228)",
        r"can't be encoded \(exit code 228; its disk is full, make room[^$]*space left on device$",
    ),
    "hangs": ("time.sleep(60)", "ffmpeg hasn't moved for 0.3 s"),
    "talks": (
        "for _ in range(4000): sys.stderr.write('word ' * 200)\nsys.exit(1)",
        "exit code 1[^$]*word$",
    ),
}


@pytest.mark.parametrize(("program", "words"), FAKES.values(), ids=FAKES)
def test_a_broken_ffmpeg_leaves_the_old_film(tmp_path: Path, song, monkeypatch, program, words):
    soundtrack = soundtrack_of(song, 30)
    executable = fake(tmp_path, program)
    monkeypatch.setattr(run, "find_ffmpeg", lambda: executable)
    monkeypatch.setattr(run, "PATIENCE_SECONDS", 0.3)
    path = tmp_path / "films" / "film.mp4"
    with leaves_the_old_film(path), pytest.raises(EncodeError, match=words) as caught:
        write_film(path, soundtrack)
    assert len(str(caught.value)) < 9000


def test_a_film_that_loses_frames_on_the_way_is_refused(tmp_path: Path, song: Path, monkeypatch):
    soundtrack = soundtrack_of(song, 30)
    counts = iter([29, 30])
    monkeypatch.setattr(muxing, "frames_in", lambda *_: next(counts))
    path = tmp_path / "films" / "film.mp4"
    with leaves_the_old_film(path), pytest.raises(EncodeError, match="29 of 30 frames"):
        write_film(path, soundtrack)


def test_what_is_no_film_gets_no_sound(tmp_path: Path, song: Path):
    path = tmp_path / "films" / "film.mp4"
    (tmp_path / "text.mp4").write_text("no film")
    with leaves_the_old_film(path), pytest.raises(EncodeError, match="sound can't be added"):
        add_sound(tmp_path / "text.mp4", song, path, SETTINGS)


@pytest.mark.parametrize("name", ["folder", "file/film.mp4", "x" * 250])
def test_a_path_that_can_not_be_written_is_refused_first(tmp_path: Path, song: Path, name):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    soundtrack = soundtrack_of(song, 30)
    with (
        pytest.raises(OptionError, match=f"{name}: .*name another output"),
        with_sound(soundtrack, tmp_path / name, SETTINGS, range(30)),
    ):
        pytest.fail("the block was entered")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder", "sounds"]


def test_a_missing_ffmpeg_is_told(tmp_path: Path, song: Path, monkeypatch):
    def missing() -> str:
        raise RuntimeError("No ffmpeg exe could be found.")

    soundtrack = soundtrack_of(song, 30)
    monkeypatch.setattr(imageio_ffmpeg, "get_ffmpeg_exe", missing)
    path = tmp_path / "films" / "film.mp4"
    with leaves_the_old_film(path), pytest.raises(EncodeError, match="no ffmpeg here"):
        write_film(path, soundtrack)
