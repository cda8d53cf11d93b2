"""A soundtrack is, sample for sample, what the timeline says is heard."""

import os
import re
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from animix.errors import EncodeError, Mark, SoundError, TimelineError
from animix.ffmpeg import run
from animix.timeline.audio import Audio
from animix.timeline.keyframes import Clip, Time
from animix.video.encoder import Encoder
from animix.video.soundtrack import Soundtrack, open_soundtrack
from tests.sounds import decoded, noise, write_wav
from tests.test_ffmpeg import GREY, SMALL, fake

CLIP = Clip(60, Fraction(30), Fraction(2), False)
RATE = 48_000


def seconds(text):
    return Fraction(text)


def opened(path, clip=CLIP, **options) -> Soundtrack:
    marks = tuple((key, Mark("reel.yaml", 3, 7)) for key in ("file", *options))
    soundtrack = open_soundtrack(Audio(path, marks=marks, **options), clip)
    assert soundtrack is not None
    return soundtrack


def heard(soundtrack, frames=None, clip=CLIP):
    samples = soundtrack.samples(frames or range(clip.num_frames), clip.fps)
    return decoded(*soundtrack.inputs, "-af", soundtrack.filters(samples))


def test_no_audio_is_no_soundtrack():
    assert open_soundtrack(None, CLIP) is None


CASES = {
    "cut to the clip": (3.0, {}),
    "followed by silence": (0.7, {}),
    "later": (3.0, {"start": Time(seconds("0.5"))}),
    "relative to the end": (3.0, {"start": Time(seconds("-0.25"), Fraction(1))}),
    "from a place on": (3.0, {"trim": (seconds("1.25"), None)}),
    "a part of it": (3.0, {"trim": (seconds("1.25"), seconds("1.5"))}),
    "over and over": (0.3, {"loop": True}),
    "a part over and over, later": (
        3.0,
        {"loop": True, "trim": (seconds("0.1"), seconds("0.35")), "start": Time(seconds("0.2"))},
    ),
    "longer than the clip, in a loop": (3.0, {"loop": True}),
    "faded": (0.7, {"fade_in_seconds": seconds("0.1"), "fade_out_seconds": seconds("0.2")}),
    "faded at the clip's end": (
        3.0,
        {"fade_out_seconds": seconds("0.5"), "start": Time(seconds("1"))},
    ),
}


def expected(sound, start=None, trim=(0, None), loop=False, fade_in_seconds=0, fade_out_seconds=0):
    """The same by hand."""
    first = int(trim[0] * RATE)
    part = sound[first : None if trim[1] is None else int(trim[1] * RATE)]
    at = int((start or Time(Fraction(0))).at(CLIP.end_seconds) * RATE)
    if loop:
        part = np.concatenate([part] * (2 * RATE // len(part) + 1))
    part = part[: 2 * RATE - at].copy()
    if num := int(fade_in_seconds * RATE):
        part[:num] *= np.linspace(0, 1, num, endpoint=False)[:, None]
    if num := int(fade_out_seconds * RATE):
        part[-num:] *= np.linspace(1, 0, num, endpoint=False)[:, None]
    whole = np.zeros((2 * RATE, 2))
    whole[at : at + len(part)] = part
    return whole


@pytest.mark.parametrize(("length", "options"), CASES.values(), ids=CASES)
def test_what_is_heard_is_what_was_said_to_the_sample(tmp_path: Path, length, options):
    sound = noise(length)
    found = heard(opened(write_wav(tmp_path / "a.wav", sound), **options))
    assert found.shape == (2 * RATE, 2)
    assert np.abs(found - expected(sound, **options)).max() < 1e-4


@pytest.mark.parametrize("fps", ["30", "30000/1001", "24", "12.5"])
def test_frames_have_the_part_of_the_sound_that_belongs_to_them(tmp_path: Path, fps):
    clip = Clip(40, Fraction(fps), 40 / Fraction(fps), False)
    soundtrack = opened(write_wav(tmp_path / "a.wav", noise(5)), clip)
    whole = heard(soundtrack, clip=clip)
    part = heard(soundtrack, range(7, 19), clip)
    start = int(7 / clip.fps * RATE)
    assert len(whole) == int(40 / clip.fps * RATE)
    assert len(part) == int(12 / clip.fps * RATE)
    assert (part == whole[start : start + len(part)]).all()


@pytest.mark.parametrize("rate", [8000, 22_050, 44_100, 96_000])
def test_other_rates_are_in_their_place_at_48_khz(tmp_path: Path, rate):
    times = np.arange(rate) / rate
    write_wav(tmp_path / "a.wav", 0.5 * np.sin(2 * np.pi * 400 * times), rate)
    found = heard(opened(tmp_path / "a.wav"))[2000:46_000, 0]
    times = np.arange(2000, 46_000) / RATE
    assert np.abs(found - 0.5 * np.sin(2 * np.pi * 400 * times)).max() < 0.01


def test_mono_is_as_loud_in_both_channels_as_it_was(tmp_path: Path):
    sound = noise(2, channels=1)
    found = heard(opened(write_wav(tmp_path / "a.wav", sound)))
    assert np.abs(found - sound).max() < 1e-4


@pytest.mark.parametrize("lufs", [-30.0, -14.0])
def test_the_sound_is_brought_to_a_loudness(tmp_path: Path, lufs):
    path = write_wav(tmp_path / "a.wav", 0.2 * noise(3))
    options = {"start": Time(Fraction(1, 2)), "fade_out_seconds": Fraction(1, 2)}
    soundtrack = opened(path, loudness_lufs=lufs, **options)
    assert soundtrack.notes == ()
    write_wav(tmp_path / "heard.wav", heard(soundtrack))
    again = opened(tmp_path / "heard.wav", loudness_lufs=lufs)
    assert abs(again.gain_db) <= 0.15
    # One gain for every part, also where only a part is rendered.
    part = heard(soundtrack, range(20, 30))
    assert np.abs(part - heard(soundtrack)[32_000:48_000]).max() < 1e-6


def test_no_peak_is_clipped_for_a_loudness(tmp_path: Path):
    sound = 0.001 * noise(2)
    sound[5000:5010] = 0.5
    soundtrack = opened(write_wav(tmp_path / "a.wav", sound), loudness_lufs=-5.0)
    (note,) = soundtrack.notes
    assert re.search(r"a.wav is brought to -\d\d\.\d LUFS, not -5: louder its peaks", note)
    assert 0.5 < np.abs(heard(soundtrack)).max() < 0.9


def test_silence_is_not_made_loud(tmp_path: Path):
    path = write_wav(tmp_path / "a.wav", np.zeros((RATE, 2)))
    soundtrack = opened(path, loudness_lufs=-14.0)
    assert soundtrack.gain_db == 0
    assert soundtrack.notes == ("a.wav is silent here: no gain brings it to -14 LUFS",)


@pytest.mark.parametrize("kind", ["flac", "mp3", "m4a", "ogg", "mka"])
def test_kinds_of_files_that_are_read(tmp_path: Path, kind):
    path = tmp_path / f"a.{kind}"
    sound = np.zeros((RATE, 2))
    sound[24_000:24_480] = 0.5 * np.sin(np.arange(480) / 5)[:, None]
    write_wav(tmp_path / "a.wav", sound)
    decoded("-i", tmp_path / "a.wav", path, "-map", "0:a")
    found = np.abs(heard(opened(path))[:, 0])
    assert abs(np.flatnonzero(found > 0.25)[0] - 24_000) < 48


def test_a_trim_that_ends_after_the_sound_is_told(tmp_path: Path):
    path = write_wav(tmp_path / "a.wav", noise(1))
    soundtrack = opened(path, trim=(Fraction(0), Fraction(3)))
    assert soundtrack.notes == ("a.wav ends at 1 s, before trim does",)
    assert soundtrack.heard == RATE


def test_what_is_heard_is_told(tmp_path: Path):
    path = write_wav(tmp_path / "a.wav", noise(4))
    assert opened(path).told() == "a.wav: 4.00 s long, heard from 0 s to 2 s"
    options = {"trim": (Fraction(1), Fraction(3, 2)), "start": Time(Fraction(1, 4)), "loop": True}
    told = "a.wav: 4.00 s long, heard from 0.25 s to 2 s, from its 1 s on, 0.5 s over and over"
    assert opened(path, **options).told() == told


# -- What is refused -------------------------------------------------------------------------------


def refused(path, clip=CLIP, **options):
    with pytest.raises(TimelineError) as caught:
        opened(path, clip, **options)
    (mistake,) = caught.value.mistakes
    assert (mistake.mark.line, mistake.mark.column) == (3, 7)
    assert "\n" not in mistake.message
    return mistake.message


def test_what_is_no_sound_is_refused_in_one_line(tmp_path: Path):
    (tmp_path / "text.mp3").write_text("no sound, but words")
    (tmp_path / "empty.wav").touch()
    write_wav(tmp_path / "nothing.wav", np.zeros((0, 2)))
    os.mkfifo(tmp_path / "pipe.wav")
    for name, words in {
        "text.mp3": "text.mp3 is no sound that ffmpeg can read: ",
        "empty.wav": "empty.wav is no sound that ffmpeg can read: ",
        "nothing.wav": "nothing.wav ",
        "none.wav": f"none.wav can't be opened in {tmp_path}: No such file",
        "pipe.wav": "pipe.wav is no file",
        "a\0b": "can't be opened",
        "x" * 300: "File name too long",
    }.items():
        assert words in refused(tmp_path / name)
    assert "is no file" in refused(tmp_path)


def test_a_film_without_sound_is_refused(tmp_path: Path):
    with Encoder(tmp_path / "a.mp4", SMALL) as film:
        film.write(GREY)
    assert refused(tmp_path / "a.mp4") == "a.mp4 has no sound in it"


def test_a_playlist_is_not_followed(tmp_path: Path):
    write_wav(tmp_path / "secret.wav", noise(1))
    (tmp_path / "a.wav").write_text("ffconcat version 1.0\nfile secret.wav\n")
    (tmp_path / "b.wav").write_text("#EXTM3U\n#EXTINF:1,\nsecret.wav\n#EXT-X-ENDLIST\n")
    for name in ("a.wav", "b.wav"):
        assert re.search("no sound that|no kind that", refused(tmp_path / name))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"trim": (Fraction(1), None)}, "the sound is 1 s long, and trim begins at 1 s"),
        ({"start": Time(Fraction(2))}, "the sound starts outside the clip"),
        ({"start": Time(Fraction(-1))}, "the sound starts outside the clip"),
        ({"fade_in_seconds": Fraction(2)}, "the fades are longer than the 1 s of sound"),
        (
            {"fade_in_seconds": Fraction(3, 4), "fade_out_seconds": Fraction(3, 4)},
            "the fades are longer than the 1 s of sound",
        ),
    ],
)
def test_what_is_not_heard_is_refused(tmp_path: Path, options, words):
    assert refused(write_wav(tmp_path / "a.wav", noise(1)), **options) == words


def test_a_soundtrack_checks_itself():
    with pytest.raises(SoundError, match="nothing of it is heard"):
        Soundtrack(Path("a.wav"), False, first=0, used=5, start=10, heard=5, clip=10)


FAKES = {
    "dies": ("os.kill(os.getpid(), 9)", TimelineError, "killed by signal 9"),
    "fails": ("sys.stderr.write('Nothing works'); sys.exit(3)", TimelineError, "Nothing works"),
    "hangs": ("time.sleep(60)", EncodeError, "hasn't moved for 0.3 s"),
}


@pytest.mark.parametrize(("program", "kind", "words"), FAKES.values(), ids=FAKES)
def test_a_broken_ffmpeg_is_told(tmp_path: Path, monkeypatch, program, kind, words):
    executable = fake(tmp_path, program)
    monkeypatch.setattr(run, "find_ffmpeg", lambda: executable)
    monkeypatch.setattr(run, "PATIENCE_SECONDS", 0.3)
    with pytest.raises(kind, match=words):
        opened(write_wav(tmp_path / "a.wav", noise(1)))
