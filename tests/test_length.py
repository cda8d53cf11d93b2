"""A clip is as long as its timeline says, or as its sound is heard."""

from fractions import Fraction

import pytest

from animix.errors import TimelineError
from animix.film import open_film
from animix.restoration import restore
from animix.timeline.reader import load_timeline, read_timeline
from tests.reel import REEL, make_reel, open_reel, render
from tests.sounds import noise, write_wav

SECONDS = Fraction(29_999, 16_000)
SILENT = "{networks: {faces: a.pkl}, audio: AUDIO}"


@pytest.fixture
def folder(tmp_path):
    write_wav(tmp_path / "song.wav", noise(float(SECONDS), 16_000), 16_000)
    (tmp_path / "words.wav").write_text("la la la")
    return tmp_path


def read(folder, audio):
    return read_timeline(SILENT.replace("AUDIO", audio), folder / "reel.yaml")


def test_without_a_duration_a_clip_ends_with_its_sound(folder):
    timeline = read(folder, "song.wav")
    assert timeline.duration_seconds == SECONDS
    assert timeline.num_frames == round(SECONDS * 30)
    assert timeline.notes == ("as long as its sound: 1.87494 s",)


@pytest.mark.parametrize(
    ("options", "seconds"),
    [
        ("", SECONDS),
        (", start: 1s", 1 + SECONDS),
        (", start: 4b, bpm: 120", 2 + SECONDS),
        (", trim: 0.5s", SECONDS - Fraction(1, 2)),
        (", trim: 0.5s..1s, start: 1s", Fraction(3, 2)),
        (", trim: 0.5s..99s", SECONDS - Fraction(1, 2)),
    ],
)
def test_what_is_heard_of_it_counts(folder, options, seconds):
    assert read(folder, f"{{file: song.wav{options}}}").duration_seconds == seconds


@pytest.mark.parametrize(
    ("audio", "message"),
    [
        ("{file: song.wav, loop: true}", "duration is missing"),
        ("{file: song.wav, start: 50%}", "duration is missing"),
        ("{file: song.wav, trim: 2s}", "duration is missing"),
        ("{bpm: 120}", "duration is missing"),
        ("gone.wav", "gone.wav can't be opened"),
        ("words.wav", "words.wav is no sound that ffmpeg can read"),
        ("{file: words.wav, fade-in: 1s}", "words.wav is no sound that ffmpeg can read"),
    ],
)
def test_what_has_no_end_of_its_own_needs_a_duration(folder, audio, message):
    with pytest.raises(TimelineError) as caught:
        read(folder, audio)
    (mistake,) = caught.value.mistakes
    assert message in mistake.message
    assert "write duration: 6s" in mistake.hint


def test_a_sound_too_long_for_the_frame_rate_is_told_at_its_name(folder):
    text = SILENT.replace("AUDIO", "{file: song.wav, start: 20000s}")[:-1] + ", fps: 60}"
    with pytest.raises(TimelineError, match="more than 1000000 frames at 60 fps") as caught:
        read_timeline(text, folder / "reel.yaml")
    assert caught.value.mistakes[0].mark.column == text.index("song.wav") + 1


def test_the_recipe_says_how_long_it_was(tmp_path):
    folder = make_reel(tmp_path)
    kept = [line for line in REEL.splitlines() if not line.startswith(("duration:", "latents:"))]
    film = open_reel(folder, "\n".join(kept).replace("loop: true, ", ""))
    assert film.schedule.num_frames == 7
    before = folder / "before.mp4"
    data = render(film, before)
    output = folder / "again.yaml"
    restore(before, output, sorted((folder / "secret").iterdir()))
    again = open_film(load_timeline(output), device="cpu")
    assert again.schedule.num_frames == film.schedule.num_frames
    assert render(again, folder / "after.mp4") == data
