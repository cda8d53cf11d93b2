"""The key audio says which part of which sound is heard when, or why it can't."""

from fractions import Fraction
from pathlib import Path

import pytest

from animix.errors import OptionError
from animix.timeline.audio import Audio
from animix.timeline.keyframes import Time
from animix.timeline.reader import read_timeline
from tests.test_reader import mistakes_of, with_key


def audio_of(text):
    return read_timeline(with_key(f"audio: {text}"), "films/reel.yaml").audio


def test_a_timeline_is_silent_unless_it_names_a_sound():
    assert read_timeline(with_key("title: x"), "reel.yaml").audio is None


def test_a_tempo_alone_makes_no_sound():
    assert audio_of("{bpm: 128, first-beat: 250ms}") is None


def test_a_sound_lies_beside_the_timeline_and_has_defaults():
    short, long = audio_of("song.mp3"), audio_of("{file: song.mp3}")
    for audio in (short, long):
        assert audio.path == Path("films/song.mp3")
        assert audio.start == Time(Fraction(0))
        assert audio.trim == (0, None)
        assert (audio.loop, audio.loudness_lufs) == (False, None)
        assert (audio.fade_in_seconds, audio.fade_out_seconds) == (0, 0)
    assert short.mark("trim").column == 8
    assert long.mark("trim").column == 15


@pytest.mark.parametrize(
    ("option", "attribute", "expected"),
    [
        ("start: 2s", "start", Time(Fraction(2))),
        ("start: end - 1s", "start", Time(Fraction(-1), Fraction(1))),
        ("start: 50%", "start", Time(Fraction(0), Fraction(1, 2))),
        ("trim: 12s", "trim", (12, None)),
        ("trim: 12s..40s", "trim", (12, 40)),
        ("trim: 0..1:30.5", "trim", (0, Fraction(181, 2))),
        ("trim: 1s + 15f .. 2s", "trim", (Fraction(3, 2), 2)),
        ("loop: true", "loop", True),
        ("fade-in: 250ms", "fade_in_seconds", Fraction(1, 4)),
        ("fade-out: 1.5s", "fade_out_seconds", Fraction(3, 2)),
        ("bpm: 120, start: bar 2", "start", Time(Fraction(2))),
        ("bpm: 120, first-beat: 1s, start: bar 2", "start", Time(Fraction(3))),
        ("bpm: 120, first-beat: 1s, trim: 4b..4bar", "trim", (2, 8)),
        ("bpm: 120, first-beat: 1s, fade-in: 1b", "fade_in_seconds", Fraction(1, 2)),
        ("loudness: -14", "loudness_lufs", -14),
        ("loudness: -23 LUFS", "loudness_lufs", -23),
    ],
)
def test_options(option, attribute, expected):
    assert getattr(audio_of(f"{{file: song.mp3, {option}}}"), attribute) == expected


@pytest.mark.parametrize(
    ("text", "column", "message", "hint"),
    [
        ("", 7, "audio has no value", "expected the name of a sound, such as song.mp3"),
        ('""', 8, "audio has no value", "expected the name of a sound, such as song.mp3"),
        ("{file: }", 15, "file has no value", "expected the name of a sound, such as song.mp3"),
        ("[a.mp3, b.mp3]", 8, "audio is one sound, found a list", "song.mp3"),
        ("{}", 8, "audio has no file", "{file: song.mp3}"),
        ("{trim: 2s}", 8, "audio has no file", ""),
        ("{file: x, trm: 2s}", 18, 'unknown key "trm"', 'did you mean "trim"?'),
        ("{bpm: 128, loop: true}", 8, "audio has no file", ""),
        ("{file: x, start: 2}", 25, "2 needs a unit", "write 2s"),
        ("{file: x, start: -1s}", 25, "the sound starts before the clip", "trim"),
        ("{file: x, start: 6s}", 25, "after the end of the clip", "the duration is 6s"),
        ("{file: x, start: end}", 25, "after the end of the clip", "the duration is 6s"),
        ("{file: x, start: bar 2}", 25, "beats and bars need a bpm", "bpm: 128"),
        ("{file: x, trim: 50%}", 24, '"50%" is a place in the clip, not in the sound', "12s"),
        ("{file: x, trim: 1s..end}", 28, '"end" is a place in the clip', "12s..40s"),
        ("{file: x, trim: 2s..1s}", 24, '"2s..1s" ends before it starts', "12s..40s"),
        ("{file: x, trim: 2s..2s}", 24, "ends before it starts", ""),
        ("{file: x, trim: 2s..}", 28, "is not a time", ""),
        ("{file: x, trim: 1s..3}", 28, "3 needs a unit", ""),
        ("{file: x, trim: -1s}", 24, '"-1s" lies before the sound', ""),
        ("{file: x, fade-in: 0s}", 27, "no length above 0", ""),
        ("{file: x, fade-out: 50%}", 28, '"50%" is a place in the clip, not a length', ""),
        ("{file: x, loudness: loud}", 28, '"loud" is no loudness', "-14"),
        ("{file: x, loudness: 14}", 28, "a loudness of 14 LUFS: expected -50 to -5", "-14"),
        ("{file: x, loop: auto}", 24, 'unknown loop "auto"', "true or false"),
        ("$song", 8, "there is no $song", ""),
    ],
)
def test_mistakes_stand_at_their_place(text, column, message, hint):
    (found,) = mistakes_of(with_key(f"audio: {text}"))
    assert (found.mark.line, found.mark.column) == (3, column)
    assert message in found.message
    assert hint in found.hint


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"trim": (Fraction(-1), None)}, "trim is -1 s: expected"),
        ({"trim": (Fraction(2), Fraction(1))}, "trim is 2 s to 1 s"),
        ({"fade_in_seconds": Fraction(-1)}, "a fade is shorter than nothing"),
        ({"loudness_lufs": 0.0}, "loudness is 0 LUFS: expected -50 to -5"),
    ],
)
def test_audio_checks_itself(values, words):
    with pytest.raises(OptionError, match=words):
        Audio(Path("x.wav"), **values)
