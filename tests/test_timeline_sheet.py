"""A sheet shows a clip's stills over the curves of all that moves, on paper and in a terminal."""

import html
import itertools
import json
import re
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from animix import sheets
from animix.film import open_film
from animix.pages import write_page
from animix.score import Line, Score, Strip, moments, open_score, pieces, score_of
from animix.score_lines import MOST_LINES, score_lines
from animix.sheets import FilmTiles
from animix.timeline.reader import load_timeline
from tests.sounds import write_wav
from tests.tiny import relative_of, tiny_tensors, write_tensors

REEL = """\
title: Reel
networks: {faces: faces.safetensors, art: "art-*.safetensors"}
duration: 4bar
fps: 10
loop: false
audio: {file: song.wav, bpm: 240}
markers: {drop: bar 3}
sections: {hook: drop..end}
latents: {seeds: [3, 17], every: 2bar}
truncation: {4..8: 0.5, 16: {0s: 1, end: 0.2}}
blend:
  swap: {0s: 4, drop: 32 hold, end: 8}
  alpha: 0.5
  snapshot: {0s: first, end: last}
frame: {rotate: =10*sine(1bar)}
"""
"""Bars of a second."""


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sheet")
    tensors, metadata = tiny_tensors()
    write_tensors(folder / "faces.safetensors", tensors, metadata)
    for number in (1, 2):
        relative = relative_of(tensors, amount=0.1 * number, seed=number)
        write_tensors(folder / f"art-{number}.safetensors", relative, metadata)
    # Loud in the third second alone.
    loud = np.repeat([0.0, 0.0, 0.5, 0.0], 8000) * np.sin(np.arange(32_000))
    write_wav(folder / "song.wav", loud, 8000)
    (folder / "reel.yaml").write_text(REEL)
    return folder


@pytest.fixture
def folder(files, tmp_path, monkeypatch):
    """The current folder; the networks, the sound and the reel lie in another."""
    for file in files.iterdir():
        (tmp_path / file.name).symlink_to(file)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def score(folder):
    return open_score(load_timeline("reel.yaml"))


def edited(*changes):
    text = REEL
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    Path("edited.yaml").write_text(text)
    return "edited.yaml"


def strip_of(score, name):
    (found,) = (strip for strip in score.strips if strip.name == name)
    return found


def many(count, num_frames=50):
    """A score with so many strips of wild curves."""
    draw = np.random.default_rng(0)
    strips = tuple(
        Strip(f"alpha of network number {n}", (Line("", draw.standard_normal(num_frames)),))
        for n in range(count)
    )
    seconds = np.arange(num_frames) / 10
    return Score("many", "5 s", seconds, Fraction(num_frames, 10), True, strips, ("noise fixed",))


def words_of(path):
    """What an SVG says: words are drawn as shapes, but stand beside them as comments."""
    return [html.unescape(word) for word in re.findall("<!-- (.*?) -->", Path(path).read_text())]


def test_a_score_has_what_moves_and_tells_what_stands_still(score):
    assert [strip.name for strip in score.strips] == [
        "swap of art", "snapshot of art", "latents", "truncation", "rotate",
    ]  # fmt: skip
    assert score.still == (
        "width of art 1", "alpha of art 0.5", "zoom 1", "pan x 0, y 0", "noise fixed",
    )  # fmt: skip
    assert score.told == "4 s, 40 frames at 10 fps, 240 beats a minute"
    assert (score.markers, score.sections) == ((("drop", 2.0),), (("hook", 2.0, 3.9),))


def test_its_curves_are_the_samples_of_the_schedule(score):
    film = open_film(load_timeline("reel.yaml"), device="cpu")
    layer = film.schedule.layers[1]
    (swap,) = strip_of(score, "swap of art").lines
    assert np.allclose(swap.values, 2**layer.swap_octaves)
    assert swap.keys == (0.0, 2.0, 3.9)
    assert [score.value(swap, key) for key in swap.keys] == [4, 32, 8]
    of_film = score_of(film.timeline, film.schedule, film.soundtrack)
    for ours, its in zip(score.strips, of_film.strips, strict=True):
        for one, other in zip(ours.lines, its.lines, strict=True):
            assert (one.name, one.keys) == (other.name, other.keys)
            assert np.array_equal(one.values, other.values)


def test_resolutions_that_move_apart_are_lines_of_one_strip(score):
    low, high = strip_of(score, "truncation").lines
    assert (low.name, high.name) == ("4..8", "16")
    assert (np.ptp(low.values), high.values[0], high.values[-1]) == (0, 1, 0.2)


def test_latents_are_shares_of_their_seeds(score):
    latents = strip_of(score, "latents")
    assert [line.name for line in latents.lines] == ["3", "17"]
    assert np.allclose(sum(line.values for line in latents.lines), 1)
    assert [line.values[20] for line in latents.lines] == [0, 1]


def test_the_sound_is_loud_where_it_is_heard_so(score):
    loud = np.abs(score.peaks).max(axis=1)
    second = len(loud) // 4
    assert loud[2 * second + 5 : 3 * second - 5].min() > 0.2
    assert loud[: 2 * second - 20].max() < 0.01
    assert open_score(load_timeline(edited(("file: song.wav, ", "")))).peaks is None


def test_classes_edits_and_latents_by_resolution_are_told(folder):
    tensors, metadata = tiny_tensors(c_dim=3)
    write_tensors(Path("classes.safetensors"), tensors, metadata)
    Path("classes.yaml").write_text("""\
networks: {faces: classes.safetensors}
duration: 3s
label: {0s: 0, 1s: 2, end: 0}
latents:
  4..8: {seeds: [1, 2], space: z, edits: [{direction: sefa 1, amount: {0s: 0, 50%: 3, end: 0}}]}
  16: 7
blend: [faces]
""")
    score = open_score(load_timeline("classes.yaml"))
    lines = {strip.name: [line.name for line in strip.lines] for strip in score.strips}
    assert lines == {"latents at 4..8": ["1", "2"], "edit sefa 1": [""], "label": ["0", "2"]}
    assert "latents at 16 7" in score.still
    assert strip_of(score, "edit sefa 1").high == 3


def test_an_even_walk_is_told_as_what_it_is_not(folder):
    file = edited(("seeds: [3, 17], every: 2bar", "seeds: [3, 17], even: true"))
    (note,) = open_score(load_timeline(file)).notes
    assert "even" in note


def test_a_score_needs_the_networks_that_give_it_its_sizes_alone(folder):
    (folder / "art-2.safetensors").unlink()
    (folder / "art-2.safetensors").write_text("no network")
    (snapshots,) = strip_of(open_score(load_timeline("reel.yaml")), "snapshot of art").lines
    assert (snapshots.values[0], snapshots.values[-1]) == (1, 2)


@pytest.mark.parametrize(
    ("seconds", "place"),
    [(0.0, ""), (0.5, "bar 1"), (1.5, "bar 2"), (1.75, "bar 2 beat 2"), (1.8, "")],
)
def test_a_time_is_told_in_bars(folder, seconds, place):
    changed = load_timeline(edited(("bpm: 240", "bpm: 240, first-beat: 500ms")))
    assert open_score(changed).place(seconds) == place


positive = st.fractions(min_value=Fraction(1, 50), max_value=20, max_denominator=100)


@given(duration=positive, step=positive, first=st.fractions(-5, 5, max_denominator=100))
def test_moments_are_a_step_apart_through_the_whole_clip(duration, step, first):
    found = moments(duration, step, first)
    assert all(after - before == step for before, after in itertools.pairwise(found))
    assert all(0 <= each < duration for each in found)
    assert found == [0] or (found[0] < step and found[-1] + step >= duration)
    assert found == [0] or (found[0] - first) % step == 0


@given(st.integers(1, 200))
def test_lines_of_time_hold_all_moments_in_order(count):
    found = list(pieces(count))
    assert [place for part in found for place in part] == list(range(count))
    assert max(map(len, found)) <= 12
    assert all(len(part) == len(found[0]) for part in found[:-1])


@pytest.mark.parametrize("plain", [False, True])
@pytest.mark.parametrize("width", [40, 100, 240])
@pytest.mark.parametrize("count", [0, 1, 9, 40])
def test_a_terminal_gets_a_hundred_lines_of_its_width(count, width, plain):
    lines = score_lines(many(count), width, plain=plain)
    assert len(lines) <= MOST_LINES
    assert max(map(len, lines)) <= max(width, 60)
    assert not plain or "".join(lines).isascii()
    named = sum("alpha of" in line or "number" in line[:24] for line in lines)
    assert named == count or "output" in "".join(lines)


def test_lines_rise_where_the_curve_does():
    values = np.arange(50.0)
    rising = Strip("swap", (Line("", values),))
    lines = score_lines(
        Score("a", "", values / 10, Fraction(5), False, (rising,), ()), 100, plain=True
    )
    (first,) = (number for number, line in enumerate(lines) if line.startswith("swap"))
    starts = [len(line[33:]) - len(line[33:].lstrip()) for line in lines[first : first + 4]]
    assert starts == sorted(starts, reverse=True) and starts[-1] == 0
    assert [lines[first].split()[1], lines[first + 3].split()[0]] == ["49", "0"]


def test_the_terminal_tells_bars_sections_seeds_and_the_sound(score):
    text = "\n".join(score_lines(score, 100))
    for part in (
        "bar │1 ",
        "s │0 ",
        "│3 ",
        "hook ─",
        "│drop",
        "sound",
        "│17 ─",
        "swap of art",
        "still: width",
    ):
        assert part in text, part
    assert "█" in text and "⣀" in text


@pytest.mark.parametrize("suffix", [".svg", ".png"])
def test_a_page_is_drawn_the_same_every_time(score, suffix):
    stills = [Image.new("RGB", (16, 16), (60 * n, 0, 0)) for n in range(4)]
    for name in "ab":
        write_page(score, [0.0, 1.0, 2.0, 3.0], stills, Path(name + suffix))
    assert Path("a" + suffix).read_bytes() == Path("b" + suffix).read_bytes()
    if suffix == ".svg":
        words = words_of("a.svg")
        for word in ("Reel", "bar 4", "3 s", "drop", "hook", "sound", "swap of art", "17", "4..8"):
            assert word in words, word
        assert Path("a.svg").read_text().count("<image ") == 4


def test_a_long_page_breaks_into_lines_of_time(score):
    with_stills = [Image.new("RGB", (9, 16))] * 13
    times = [number * 4 / 13 for number in range(13)]
    write_page(score, times, with_stills, Path("long.svg"))
    assert words_of("long.svg").count("swap of art") == 2
    write_page(score, times[:12], with_stills[:12], Path("short.svg"))
    assert words_of("short.svg").count("swap of art") == 1


def test_stills_are_frames_of_the_render(folder):
    film = open_film(load_timeline("reel.yaml"), device="cpu")
    tiles = FilmTiles(film, [0, 20])
    told = [(step.done, step.total) for step in tiles.draw()]
    assert told == [(1, 2), (2, 2)]
    for still, frame in zip(tiles.stills, (0, 20), strict=True):
        assert np.array_equal(np.asarray(still), film.rgb8(frame))


@pytest.mark.parametrize(
    ("options", "frames"),
    [
        ([], [0, 10, 20, 30]),
        (["--every", "2bar"], [0, 20]),
        (["--every", "20f", "--set", "output={fps: 20}"], [0, 20, 40, 60]),
        (["--every", "1.5s", "-o", "a.svg"], [0, 15, 30]),
    ],
)
def test_the_command_draws_a_still_a_bar_or_as_asked(folder, run, options, frames):
    code, out, _ = run("sheet", "reel.yaml", "--device", "cpu", "--json", *options)
    told = json.loads(out.splitlines()[-1])
    assert (code, told["frames"]) == (0, frames)
    assert told["file"] == ("a.svg" if "-o" in options else "renders/reel-sheet.png")
    assert Path(told["file"]).stat().st_size > 10_000
    assert told["curves"][0] == {"name": "swap of art", "low": 4.0, "high": 32.0}


def test_long_clips_get_longer_steps_and_that_is_told(folder, run):
    file = edited(
        ("duration: 4bar", "duration: 61s"), ("bpm: 240", "loop: true"),
        ("markers: {drop: bar 3}\n", ""),
        ("sections: {hook: drop..end}\n", ""), ("every: 2bar", "every: 2s"), ("drop:", "2s:"),
        ("1bar", "1s"),
    )  # fmt: skip
    code, _, err = run("sheet", file, "--curves", "-o", "a.png")
    assert code == 0 and "a step is 2 s" in err


def test_curves_alone_paint_nothing(folder, run, monkeypatch):
    monkeypatch.setattr("animix.film.make_engine", None)
    code, out, _ = run("sheet", "reel.yaml", "--curves")
    assert code == 0 and out.startswith("Reel: 4 s, 40 frames")
    assert run("sheet", "reel.yaml", "--curves", "-o", "a.svg")[0] == 0
    assert "<image " not in Path("a.svg").read_text() and "rotate" in words_of("a.svg")


def test_a_terminal_without_those_letters_gets_plain_ones(folder, run, monkeypatch):
    monkeypatch.setattr("animix.cli.sheet_command.letters_fit", lambda stream: False)
    code, out, _ = run("sheet", "reel.yaml", "--curves")
    assert code == 0 and out.isascii() and "swap of art" in out


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--every", "2"], "--every: 2 needs a unit"),
        (["--every", "50%"], "is a place in the clip"),
        (["--every", "50ms"], "80 steps are too many for a page of up to 60; take 0.0667s or more"),
        (["--every", "1s", "--curves"], "--every is for pages"),
        (["--at", "1s"], "--at is for --variants"),
        (["--variants", "--curves"], "not for --variants"),
        (["-o", "a.pdf"], "expected a name that ends in .svg or .png"),
        (["-o", "reel.yaml/a.png"], "reel.yaml"),
        (["--set", "blend.swap=9000"], "9000 is above 32"),
        (["--set", "duration=no"], "duration"),
    ],
)
def test_what_can_not_be_drawn_is_told_before_anything_is_painted(folder, run, options, told):
    before = sorted(folder.iterdir())
    code, _, err = run("sheet", "reel.yaml", "--device", "cpu", *options)
    assert code == 2 and told in err
    assert sorted(folder.iterdir()) == before


def test_ctrl_c_leaves_no_page(folder, run, monkeypatch):
    def press(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(sheets.FilmTiles, "draw", press)
    assert run("sheet", "reel.yaml", "--device", "cpu", "-o", "a.png")[0] == 130
    assert not Path("a.png").exists()


def test_without_matplotlib_the_terminal_is_named(folder, run, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    code, _, err = run("sheet", "reel.yaml")
    assert code == 2 and "pip install 'animix[plot]'" in err and "--curves" in err
    assert run("sheet", "reel.yaml", "--curves")[0] == 0


def test_the_curves_in_the_documents_are_those_of_the_command(run, monkeypatch):
    root = Path(__file__).parents[1]
    monkeypatch.chdir(root)
    monkeypatch.setenv("COLUMNS", "100")
    page = (root / "docs" / "timeline.md").read_text(encoding="utf-8")
    (shown,) = re.findall(r"\n\$ (animix sheet .*?--curves)\n(.*?)```", page, re.DOTALL)
    code, out, _ = run(*shown[0].split()[1:])
    # How loud ffmpeg makes a sound is not the same in all of its versions.
    ours, theirs = (
        [line for line in text.splitlines() if not line.startswith("sound")]
        for text in (out, shown[1])
    )
    assert code == 0 and ours == theirs
