"""Beats are found in sounds, kept beside them, heard as clicks, and set the tempo of timelines."""

import json
import os
import re
import shutil
import wave
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

import animix
from animix.errors import OptionError, SoundError
from animix.sound import beats_file as kept_beats
from animix.sound.beats import Beats, find_beats
from animix.sound.beats_file import beats_file, beats_of
from animix.sound.clicks import clicks
from animix.timeline.reader import load_timeline, read_timeline
from benchmarks.beats import judged
from benchmarks.grooves import RATE, Groove, render
from benchmarks.grooves import beats_of as known_beats
from tests.sounds import write_wav
from tests.test_reader import mistakes_of

ROCK = Groove("rock", 110, seed=3, first_beat_seconds=0.4, seconds=12)
FOUND = Beats(Fraction(110), Fraction("0.4"), 22, confidence=0.9, has_bars=True)
START = "networks: {faces: a.pkl, art: b.pkl}\nlatents: [3, 17]\nduration: 4bar\n"


def missed(found, groove):
    """By how many seconds beats lie beside those that there are, at most."""
    known = known_beats(groove)
    seconds = np.array([float(found.seconds_of(beat)) for beat in range(found.num_beats)])
    return float(np.abs(seconds[:, None] - known).min(axis=1).max())


@pytest.fixture(scope="module")
def rock(tmp_path_factory):
    """A song of 12 s at 110 beats a minute."""
    folder = tmp_path_factory.mktemp("rock")
    return write_wav(folder / "song.wav", render(ROCK), RATE)


@pytest.fixture
def song(tmp_path, rock):
    """A copy of it, with nothing beside it."""
    path = tmp_path / "song.wav"
    path.write_bytes(rock.read_bytes())
    return path


# -- Found -----------------------------------------------------------------------------------------

GROOVES = [
    ROCK,
    Groove("four on the floor", 128, seed=1, first_beat_seconds=0.37, seconds=12),
    Groove("house", 123.7, seed=2, fade_in_seconds=4, seconds=12),
    Groove("techno", 140, seed=3, noise=0.05, seconds=12),
    Groove("ballad", 66, seed=4, first_beat_seconds=0.8, seconds=16),
    Groove("hip-hop", 92, seed=5, swing=0.25, seconds=12),
    Groove("drum and bass", 174, seed=6, first_beat_seconds=0.15, seconds=12),
    Groove("swing", 121.3, seed=7, seconds=12),
    Groove("waltz", 90, seed=8, seconds=12),
    Groove("rock", 96, seed=9, cut_seconds=2.2, seconds=14),
    Groove("rock", 126, seed=10, jitter_seconds=0.008, seconds=14),
]


@pytest.mark.parametrize("groove", GROOVES, ids=lambda groove: groove.name)
def test_beats_are_found_within_20_ms(groove):
    found = find_beats(render(groove))
    assert float(found.bpm) == pytest.approx(groove.bpm, rel=0.002)
    assert missed(found, groove) < 0.02
    assert found.confidence >= 0.5 and not found.doubt
    assert (found.half_bpm, found.double_bpm) == (found.bpm / 2, found.bpm * 2)


def test_minutes_do_not_drift():
    groove = Groove("house", 117.37, seed=1, seconds=150)
    found = find_beats(render(groove))
    assert float(found.bpm) == pytest.approx(117.37, abs=0.003)
    assert missed(found, groove) < 0.01


def test_whole_tempos_are_whole():
    found = find_beats(render(replace(ROCK, seconds=40)))
    assert found.bpm == 110
    assert find_beats(render(replace(ROCK, bpm=110.4, seconds=40))).bpm != 110


def test_bars_begin_where_kicks_are_and_snares_are_not():
    found = find_beats(render(ROCK))
    assert found.has_bars
    assert float(found.first_beat_seconds) == pytest.approx(0.4, abs=0.02)
    assert not find_beats(render(Groove("waltz", 96, seed=2, seconds=14))).has_bars


def noise(seconds):
    return np.random.default_rng(0).uniform(-0.5, 0.5, int(seconds * RATE))


@pytest.mark.parametrize("samples", [np.zeros(8 * RATE), noise(3.9), np.zeros(0)])
def test_silence_and_moments_have_no_beats(samples):
    assert find_beats(samples) is None


@pytest.mark.parametrize(
    ("samples", "doubt"),
    [
        (noise(20), "drifts|no clear beat"),
        (render(replace(ROCK, seconds=30, drift=0.06)), "the tempo drifts"),
        (np.sin(np.arange(12 * RATE) / 9), "drifts|no clear beat"),
    ],
    ids=["noise", "drifting", "tone"],
)
def test_what_has_no_constant_tempo_is_in_doubt(samples, doubt):
    found = find_beats(samples)
    assert found.confidence < 0.5
    assert re.search(doubt, found.doubt)


@pytest.mark.parametrize("change", [{"bpm": Fraction(0)}, {"confidence": 2.0}, {"num_beats": -1}])
def test_beats_check_themselves(change):
    with pytest.raises(OptionError, match="no beats"):
        replace(FOUND, **change)


def test_the_benchmark_tells_right_from_double_and_half():
    known = known_beats(ROCK)
    assert judged(ROCK, known) == {"tempo": "right", "bpm": 110.0, "phase_ms": 0.0}
    assert judged(ROCK, known[::2])["tempo"] == "half"
    assert judged(ROCK, np.arange(0, 12, 30 / 110))["tempo"] == "double"
    assert judged(ROCK, known + 0.015)["phase_ms"] == 15.0
    assert judged(ROCK, known[:2])["tempo"] == "none"


# -- Kept ------------------------------------------------------------------------------------------


def test_beats_are_kept_beside_the_sound_and_found_once(song, monkeypatch):
    first = beats_of(song)
    assert first.is_new and not first.why_not_kept
    monkeypatch.setattr(kept_beats, "find_beats", None)  # nobody may look for them again
    assert beats_of(song) == (first.beats, False, "")


def test_another_sound_is_listened_to_anew(song):
    beats_of(song)
    write_wav(song, render(replace(ROCK, bpm=98)), RATE)
    assert beats_of(song).beats.bpm == pytest.approx(98, rel=0.001)
    assert beats_of(song, anew=True).is_new


@pytest.mark.parametrize(
    "change",
    [
        lambda text: "",
        lambda text: "[" * 9000,
        lambda text: text.replace("110.0", '"fast"'),
        lambda text: text.replace("110.0", "-1"),
        lambda text: text.replace("110.0", "1e999"),
        lambda text: text.replace("110.0", "null"),
        lambda text: text.replace('"bpm"', '"tempo"'),
        lambda text: text + " " * 2_000_000,
        lambda text: "7",
    ],
)
def test_a_broken_file_of_beats_is_none(song, change):
    beats_of(song)
    path = beats_file(song)
    text = path.read_text()
    assert "110.0" in text
    path.write_text(change(text))
    assert beats_of(song).is_new
    assert path.read_text() == text


def test_what_can_not_be_kept_is_found_all_the_same(song):
    beats_file(song).mkdir()
    kept = beats_of(song)
    assert kept.beats.bpm == 110
    assert "is no regular file" in kept.why_not_kept


def test_what_is_no_sound_or_has_no_beats_says_so(tmp_path):
    with pytest.raises(SoundError, match=r"none\.wav can't be opened"):
        beats_of(tmp_path / "none.wav")
    with pytest.raises(SoundError, match="is no file"):
        beats_of(tmp_path)
    (tmp_path / "text.wav").write_text("la la la")
    with pytest.raises(SoundError, match=r"text\.wav is no sound that ffmpeg can read"):
        beats_of(tmp_path / "text.wav")
    with pytest.raises(SoundError, match="no beats that can be found: it is shorter than 4 s"):
        beats_of(write_wav(tmp_path / "short.wav", noise(1), RATE))


# -- The command -----------------------------------------------------------------------------------


def test_the_command_tells_and_keeps_beats(run, song):
    code, out, _ = run("beats", song)
    assert code == 0
    assert "110 beats a minute (half 55, double 220), first beat at 0.40" in out
    assert "22 beats, bars told apart, confidence" in out
    assert beats_file(song).exists()
    code, out, _ = run("beats", song, "--json")
    told = json.loads(out)
    assert (told["bpm"], told["half_bpm"], told["double_bpm"]) == (110, 55, 220)
    assert (told["num_beats"], told["has_bars"], told["file"]) == (22, True, str(song))


def test_the_command_writes_clicks_to_listen_to(run, song):
    target = song.with_name("clicks.wav")
    code, out, _ = run("beats", song, "--click", target)
    assert code == 0 and "22 clicks" in out
    with wave.open(str(target)) as file:
        assert (file.getnchannels(), file.getframerate()) == (2, 48_000)
        assert file.getnframes() == pytest.approx(12 * 48_000, abs=2)


def test_the_command_tells_a_doubt(run, tmp_path):
    path = write_wav(tmp_path / "sea.wav", noise(12), RATE)
    code, _, err = run("beats", path)
    assert code == 0 and "sea.wav: this may be wrong: " in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["none.wav"], "none.wav can't be opened"),
        (["song.wav", "--click", "clicks.mp3"], "expected a name that ends in .wav"),
        (["song.wav", "--click", "song.wav"], "is read by this command"),
        (["song.wav", "song.wav", "--click", "clicks.wav"], "--click writes one sound"),
    ],
)
def test_what_the_command_refuses(run, song, monkeypatch, arguments, message):
    monkeypatch.chdir(song.parent)
    code, _, err = run("beats", *arguments)
    assert code == 2 and message in err


def test_clicks_are_on_beats_and_higher_where_bars_begin():
    found = clicks(FOUND, 48_000 * 4)
    places = [round(float(FOUND.seconds_of(beat)) * 48_000) for beat in range(5)]
    quiet = np.delete(found, np.concatenate([np.arange(place, place + 1440) for place in places]))
    assert abs(quiet[: places[4]]).max() < 0.01
    spectra = [np.abs(np.fft.rfft(found[place : place + 1440])) for place in places]
    hertz = [int(np.argmax(spectrum)) * 48_000 / 1440 for spectrum in spectra]
    assert hertz == pytest.approx([1500, 1000, 1000, 1000, 1500], abs=40)
    plain = clicks(replace(FOUND, has_bars=False), 48_000)
    assert np.abs(plain).max() < np.abs(found).max()


# -- In timelines ----------------------------------------------------------------------------------


def timeline(song, audio):
    path = song.with_name("reel.yaml")
    path.write_text(START + f"audio: {audio}\n")
    return load_timeline(path)


@pytest.mark.parametrize(
    ("audio", "first"),
    [
        ("{file: song.wav, bpm: auto}", 0.4),
        ("{file: song.wav, bpm: auto, start: 1s}", 1.4),
        # 0.5 s are behind the first beat: bar 2 begins 4 beats later.
        ("{file: song.wav, bpm: auto, trim: 500ms}", 0.4 + 240 / 110 - 0.5),
        ("{file: song.wav, bpm: auto, trim: 410ms}", -0.01),
        ("{file: song.wav, bpm: auto, trim: 1bar, start: 2s}", 2.4),
        ("{file: song.wav, bpm: auto, first-beat: 250ms}", 0.25),
        ("{file: song.wav, bpm: auto, first-beat: 1s, start: bar 2}", 1),
    ],
)
def test_the_tempo_and_the_first_beat_are_those_of_the_sound(song, audio, first):
    found = timeline(song, audio)
    assert found.clock.bpm == 110
    assert float(found.clock.first_beat_seconds) == pytest.approx(first, abs=0.02)
    assert float(found.duration_seconds) == pytest.approx(16 * 60 / 110)


def test_one_line_says_that_it_was_listened_to(song):
    audio = "{file: song.wav, bpm: auto}"
    (note,) = timeline(song, audio).notes
    assert note.startswith("song.wav: 110 beats a minute, confidence ")
    assert note.endswith("; kept in song.wav.beats.json")
    assert timeline(song, audio).notes == ()


def test_check_tells_the_tempo(run, song):
    demo = Path(animix.__file__).parent / "demo"
    text = f"networks: {{faces: '{demo}/base.safetensors'}}\nduration: 2bar\nlatents: [3, 17]\n"
    path = song.with_name("reel.yaml")
    path.write_text(text + "audio: {file: song.wav, bpm: auto, start: 1s}\n")
    code, out, err = run("check", path)
    assert code == 0 and "note: song.wav: 110 beats a minute" in err
    assert "\n  110 beats a minute, bar 1 at 1.40" in out
    _, out, _ = run("check", path, "--json", "--set", "audio.bpm=128", "--set", "duration=4s")
    told = json.loads(out.splitlines()[0])
    assert (told["bpm"], told["first_beat_seconds"]) == (128, 0)


def test_what_was_kept_sets_the_tempo(song):
    beats_of(song)
    path = beats_file(song)
    path.write_text(path.read_text().replace("110.0", "55.0"))  # as a musician would correct it
    assert timeline(song, "{file: song.wav, bpm: auto}").clock.bpm == 55


def test_a_tempo_by_hand_wins_and_listens_to_nothing(song):
    found = timeline(song, "{file: song.wav, bpm: 128}")
    assert (found.clock.bpm, found.clock.first_beat_seconds) == (128, 0)
    assert not beats_file(song).exists()


def test_a_doubtful_tempo_is_told(tmp_path):
    sea = write_wav(tmp_path / "sea.wav", noise(12), RATE)
    _, doubt = timeline(sea, "{file: sea.wav, bpm: auto}").notes
    assert "may be wrong: " in doubt
    assert "animix beats --click, or write bpm" in doubt


@pytest.mark.parametrize(
    ("audio", "place", "message", "hint"),
    [
        ("{bpm: auto}", "4:14", "audio has no file", "{file: song.mp3, bpm: auto}"),
        ("{file: none.wav, bpm: auto}", "4:15", "none.wav can't be opened", "bpm: 128"),
        ("{file: tone.wav, bpm: auto}", "4:15", "no beats that can be found", "bpm: 128"),
        ("{file: song.wav, bpm: auto, start: bar 2}", "4:43", "first beat follows", "first-beat"),
        ("{file: song.wav, bpm: auto, start: 50%}", "4:43", "first beat follows", "in seconds"),
        ("{file: song.wav, bpm: automatic}", "4:30", "no number of beats", "bpm: 128"),
    ],
)
def test_a_tempo_that_can_not_be_found_is_told_once(song, audio, place, message, hint):
    write_wav(song.with_name("tone.wav"), np.zeros(6 * RATE), RATE)
    (found,) = mistakes_of(START + f"audio: {audio}\n", path=song.with_name("reel.yaml"))
    assert str(found.mark).endswith(f"reel.yaml:{place}")
    assert message in found.message
    assert hint in found.hint


def test_no_sound_is_opened_for_a_strangers_text(song):
    text = START + f"audio: {{file: '{song}', bpm: auto}}\n"
    with pytest.raises(Exception, match="no sound is opened for this text"):
        read_timeline(text, song.with_name("reel.yaml"), listen=False)
    assert not beats_file(song).exists()


@pytest.mark.parametrize("make", [os.mkfifo, lambda path: path.symlink_to("/dev/zero")])
def test_what_never_ends_beside_a_sound_is_not_read(rock, tmp_path, make):
    sound = Path(shutil.copy(rock, tmp_path))
    make(beats_file(sound))
    assert beats_of(sound).is_new


def test_a_first_beat_beyond_the_sound_is_not_believed(rock, tmp_path):
    sound = Path(shutil.copy(rock, tmp_path))
    beats = beats_of(sound).beats
    kept = json.loads(beats_file(sound).read_text())
    beats_file(sound).write_text(json.dumps(kept | {"first_beat_seconds": 1e9}))
    assert beats_of(sound) == (beats, True, "")
