"""Envelopes follow a clip's sound as it is heard, at any frame rate, and drive expressions."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from animix.chunks import chunk_keys, files_of
from animix.errors import OptionError, TimelineError
from animix.film import open_film
from animix.sound.envelopes import ENVELOPES, Envelopes, measure
from animix.sound.spectrum import RATE, powers
from animix.timeline.audio import Audio
from animix.timeline.keyframes import Clip, Time
from animix.timeline.reader import load_timeline, read_timeline
from animix.video.hearing import hear
from animix.whole_file import digest_of
from tests.sounds import noise, write_wav
from tests.test_schedule import schedule_of
from tests.tiny import relative_of, tiny_tensors, write_tensors

SECOND = np.arange(RATE) / RATE
CLIP = Clip(40, Fraction(10), Fraction(4), loop=False)


def tone(hertz, seconds=1.0, level=0.5):
    return level * np.sin(2 * np.pi * hertz * np.arange(int(seconds * RATE)) / RATE)


def blips(seconds=4.0, every=1.0, hertz=80):
    """A drum each second, from half a second on."""
    samples = np.zeros(int(seconds * RATE))
    drum = 0.8 * np.sin(2 * np.pi * hertz * SECOND[:4800]) * np.exp(-20 * SECOND[:4800])
    for start in np.arange(0.5, seconds - 0.2, every):
        place = int(start * RATE)
        samples[place : place + len(drum)] += drum
    return samples


def envelopes(samples, loop=False, **lengths):
    return measure(np.atleast_2d(samples.T).T, loop=loop, **lengths)


# -- Measured --------------------------------------------------------------------------------------


def test_a_power_is_that_of_its_band():
    found = powers(tone(1000), 240, (20, 150, 3000, 12_000))[10:-10]
    assert found[:, 1] == pytest.approx(0.5 * 0.5**2, rel=0.01)
    assert found[:, [0, 2]].max() < 1e-4 * 0.125


@pytest.mark.parametrize(("hertz", "band"), [(60, "low"), (800, "mid"), (6000, "high")])
def test_a_tone_is_in_one_band(hertz, band):
    found = envelopes(tone(hertz, 2))
    middle = np.array([1.0])
    for name in ("low", "mid", "high"):
        value = found.at(name, middle)[0]
        assert value > 0.95 if name == band else value < 0.6
    assert found.at("rms", middle)[0] > 0.95


def test_a_band_in_which_there_is_hiss_alone_stays_low():
    soft = tone(80, 2) * np.hanning(2 * RATE)  # what begins at once is a click
    quiet = soft + 1e-5 * np.random.default_rng(0).standard_normal(2 * RATE)
    assert envelopes(quiet).values["high"].max() < 0.1


def test_each_reaches_1_where_it_is_loudest():
    samples = np.concatenate([tone(80, 1, 0.1), tone(80, 1, 0.4)])
    found = envelopes(samples)
    assert found.at("low", np.array([0.7, 1.7])).tolist() == pytest.approx([0.25, 1], abs=0.03)
    for name in ("rms", "low", "onset"):
        assert (found.values[name].min() >= 0, found.values[name].max()) == (True, 1)


def test_silence_is_0():
    for samples in (np.zeros(RATE), np.zeros(1), np.full(RATE, 1e-6)):
        assert not any(values.any() for values in envelopes(samples).values.values())


def test_onsets_are_where_something_begins():
    found = envelopes(blips())
    moments = np.arange(0, 4, 0.01)
    value = found.at("onset", moments)
    peaks = moments[1:-1][(value[1:-1] > value[:-2]) & (value[1:-1] >= value[2:])]
    assert peaks[value[1:-1][np.isin(moments[1:-1], peaks)] > 0.5] == pytest.approx(
        [0.5, 1.5, 2.5, 3.5], abs=0.035
    )
    assert found.at("onset", np.array([0.45, 1.45]))[1] < 0.15


def test_attack_and_release_say_how_fast_it_is_followed():
    samples = np.concatenate([np.zeros(RATE), tone(500), np.zeros(RATE)])
    fast = envelopes(samples, attack_seconds=0, release_seconds=0)
    slow = envelopes(samples, attack_seconds=0.3, release_seconds=0.5)
    after = np.array([1.1, 2.1])
    assert fast.at("rms", after).tolist() == pytest.approx([1, 0], abs=0.01)
    rising, falling = slow.at("rms", after)
    assert rising == pytest.approx((1 - np.exp(-0.1 / 0.3)) / (1 - np.exp(-1 / 0.3)), abs=0.05)
    assert falling == pytest.approx(np.exp(-0.1 / 0.5), abs=0.05)
    with pytest.raises(OptionError, match="0 s or more"):
        envelopes(samples, attack_seconds=-1)


@settings(max_examples=25)
@given(st.integers(0, 99), st.floats(0.2, 1.2))
def test_a_loop_ends_as_it_begins(seed, seconds):
    samples = np.random.default_rng(seed).uniform(-1, 1, int(seconds * RATE))
    samples *= np.linspace(0, 1, len(samples))
    found = envelopes(samples, loop=True)
    ends = np.array([0.0, len(samples) / RATE])
    for name in ENVELOPES:
        assert np.diff(found.at(name, ends)) == 0
        assert found.values[name].min() >= 0 and found.values[name].max() <= 1
    # Loud before the seam: the fall goes on behind it.
    assert found.at("rms", ends)[0] > 0.3 > envelopes(samples).at("rms", ends)[0]


def test_two_rounds_of_a_loop_are_twice_one():
    once = envelopes(blips(2), loop=True)
    twice = envelopes(np.tile(blips(2), 2), loop=True)
    moments = np.arange(0, 2, 0.013)
    for name in ENVELOPES:
        assert twice.at(name, moments + 2) == pytest.approx(once.at(name, moments), abs=2e-4)


# -- As it is heard --------------------------------------------------------------------------------


def heard(tmp_path, clip=CLIP, **options):
    path = write_wav(tmp_path / "song.wav", blips(), RATE)
    return hear(Audio(path, **options), clip)


def low(found, *seconds):
    return [round(float(value), 2) for value in found.at("low", np.array(seconds))]


def test_start_trim_and_loop_move_it(tmp_path):
    # A drum at 0.5 s, 1.5 s, …
    assert low(heard(tmp_path), 0.4, 0.54)[1] > 0.9 > 0.1 > low(heard(tmp_path), 0.4)[0]
    later = heard(tmp_path, start=Time(Fraction(1, 4)))
    assert low(later, 0.79)[0] > 0.9 > low(later, 0.54)[0]
    cut = heard(tmp_path, trim=(Fraction(1, 4), Fraction(1)))
    assert low(cut, 0.29)[0] > 0.9
    assert low(cut, 1.9, 3.0) == [0, 0]  # silence follows
    again = heard(tmp_path, trim=(Fraction(1, 4), Fraction(1)), loop=True)
    assert low(again, 0.29 + 0.75, 0.29 + 1.5) == pytest.approx(low(again, 0.29) * 2, abs=0.05)


def test_fades_are_heard_and_loudness_is_relative(tmp_path):
    faded = heard(tmp_path, fade_in_seconds=Fraction(4))
    first, last = low(faded, 0.54, 3.54)
    assert last > 0.9 and first == pytest.approx(0.5 / 3.5, abs=0.06)
    louder = heard(tmp_path, loudness_lufs=-30.0)
    moments = np.arange(0, 4, 0.05)
    plain = heard(tmp_path).at("low", moments)
    assert louder.at("low", moments) == pytest.approx(plain, abs=0.01)


def test_a_sound_that_can_not_be_read_is_a_mistake(tmp_path):
    (tmp_path / "song.wav").write_text("la")
    with pytest.raises(TimelineError, match="is no sound that ffmpeg can read"):
        hear(Audio(tmp_path / "song.wav"), CLIP)


# -- In expressions --------------------------------------------------------------------------------

TWO = "networks: {a: a.pkl, top: top.pkl}\nduration: 4s\nlatents: [3, 17]\n"


@pytest.fixture
def song(tmp_path, monkeypatch):
    """Drums, in the folder in which timelines are."""
    monkeypatch.chdir(tmp_path)
    return write_wav(tmp_path / "song.wav", blips(), RATE)


def alphas(text, fps=30):
    schedule = schedule_of(f"{TWO}fps: {fps}\n{text}")
    return schedule, schedule.layers[1].alpha[0]


def test_the_same_second_has_the_same_value_at_any_rate(song):
    text = "audio: song.wav\nblend: {alpha: =0.2 + 0.8*low}\n"
    found = {fps: alphas(text, fps)[1] for fps in (24, 60)}
    assert np.array_equal(found[24][::2], found[60][::5])
    assert found[60].max() > 0.95
    assert found[60].min() == pytest.approx(0.2, abs=0.01)


def test_two_outputs_of_one_clip_agree(song):
    text = "audio: song.wav\noutput: [{file: a.mp4, fps: 24}, {file: b.mp4, fps: 60}]\n"
    schedule = schedule_of(f"{TWO}{text}blend: {{alpha: =low}}\n")
    slow, fast = (schedule.film(Fraction(fps), "blur").layers[1].alpha[0] for fps in (24, 60))
    assert np.array_equal(slow[::2], fast[::5])


def test_a_clip_with_a_sound_loops_and_its_envelopes_meet(song):
    schedule, values = alphas("audio: song.wav\nloop: true\nblend: {alpha: =rms}\n")
    assert schedule.clip.loop
    assert abs(values[0] - values[-1]) < 0.05
    assert alphas("audio: song.wav\nblend: {alpha: =rms}\n")[0].clip.loop


def test_envelopes_stand_at_keys_and_ride_on_them(song):
    _, values = alphas("audio: song.wav\nblend: {alpha: {0s: 0.5, 2s: =low hold, end: 0.5}}\n")
    assert values[0] == 0.5
    assert values[76] > 0.9 > 0.1 > values[74]
    _, values = alphas("audio: song.wav\nblend: {alpha: {start: =key + low, 0s: 1, end: 1}}\n")
    assert values[16] > 1.9 > 1.1 > values[14]


def test_the_sound_drives_a_walk(song):
    text = "audio: song.wav\nlatents: {seeds: [3, 17], path: linear, speed: =0.1 + low}\n"
    head = "networks: {a: a.pkl}\nduration: 4s\nloop: false\nfps: 30\n"
    schedule = schedule_of(head + text)
    places = [dict(schedule.row(n).points[0].latents).get(17, 0.0) for n in range(120)]
    steps = np.diff(places)
    assert (places[0], places[-1]) == (0, pytest.approx(1))
    assert steps.min() >= 0 and steps.max() > 4 * np.median(steps)


def test_attack_and_release_are_options_of_audio(song):
    text = "blend: {alpha: =low}\n"
    _, short = alphas("audio: {file: song.wav, release: 20ms}\n" + text)
    _, long = alphas("audio: {file: song.wav, release: 1s}\n" + text)
    assert short[26] < 0.02 < 0.3 < long[26]


@pytest.mark.parametrize("audio", ["title: x", "audio: {bpm: 120}"])
@pytest.mark.parametrize("name", ENVELOPES)
def test_without_a_sound_its_names_are_mistakes_where_they_stand(audio, name):
    text = f"{TWO}{audio}\nblend: {{alpha: '=0.2 + {name}'}}\n"
    with pytest.raises(TimelineError) as caught:
        read_timeline(text, "reel.yaml")
    (mistake,) = caught.value.mistakes
    assert str(mistake.mark) == "reel.yaml:5:24"
    assert mistake.mark.width == len(name)
    assert f"{name} is of the clip's sound" in mistake.message
    assert mistake.hint == "write audio: song.mp3"


@pytest.mark.parametrize("audio", ["audio: {fil: song.wav}", "audio: {file: a.wav, fade-in: 1}"])
def test_a_sound_that_can_not_be_read_is_not_told_as_missing(audio):
    with pytest.raises(TimelineError) as caught:
        read_timeline(f"{TWO}{audio}\nblend: {{alpha: =low}}\n", "reel.yaml")
    (mistake,) = caught.value.mistakes
    assert mistake.mark.line == 4


def test_a_missing_sound_is_told_once(song):
    song.unlink()
    with pytest.raises(TimelineError) as caught:
        alphas("audio: song.wav\nblend: {alpha: =low, width: =1 + low}\n")
    (mistake,) = caught.value.mistakes
    assert "song.wav can't be opened" in mistake.message


def test_nothing_is_listened_to_that_no_track_asks_for(song):
    song.unlink()
    schedule, _ = alphas("audio: song.wav\nblend: {alpha: 0.5}\n")
    assert schedule.clip.sound is None


def test_seams_are_not_judged_before_the_sound_is_known():
    text = f"{TWO}audio: song.wav\nloop: true\nblend: {{alpha: =low}}\n"
    assert read_timeline(text, "reel.yaml").loop is True


# -- In chunks -------------------------------------------------------------------------------------


def test_another_sound_of_that_name_changes_the_chunks_in_which_it_differs(tmp_path):
    tensors, metadata = tiny_tensors()
    write_tensors(tmp_path / "a.safetensors", tensors, metadata)
    write_tensors(tmp_path / "top.safetensors", relative_of(tensors, amount=0.05), metadata)
    text = (
        "networks: {a: a.safetensors, top: top.safetensors}\nfps: 8\nduration: 4s\nloop: false\n"
        "audio: song.wav\nlatents: [3]\nblend: {alpha: =low}\n"
    )
    (tmp_path / "reel.yaml").write_text(text)

    def keys(samples):
        write_wav(tmp_path / "song.wav", samples, RATE)
        film = open_film(load_timeline(tmp_path / "reel.yaml"), device="cpu")
        key = chunk_keys(film, (), {path: digest_of(path) for path in files_of(film)})
        return [key(range(first, first + 8)) for first in range(0, 32, 8)]

    plain = blips()
    other = plain.copy()
    other[3 * RATE :] = 0  # the last drum falls silent
    before, after = keys(plain), keys(other)
    assert before[:2] == after[:2]
    assert before[3] != after[3]
    assert keys(plain) == before


def test_one_moment_is_one_number_and_is_inside_the_envelope():
    found = Envelopes(np.array([0.0, 1.0]), {"rms": np.array([0.25, 0.75])})
    assert found.at("rms", np.array([-1.0, 0.5, 9.0])).tolist() == [0.25, 0.5, 0.75]


def test_noise_is_as_loud_all_along():
    found = envelopes(noise(2, RATE, 2))
    assert found.at("rms", np.arange(0.3, 1.9, 0.05)).min() > 0.8
