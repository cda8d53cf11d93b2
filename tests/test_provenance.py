"""A film carries a timeline that renders it again, and nothing of where its files lay."""

from __future__ import annotations

import shutil

import pytest

from animix.chunks import chunk_keys, files_of
from animix.film import open_film
from animix.provenance import (
    DIGEST_DIGITS,
    metadata_of,
    render_command,
    still_metadata,
    without_target,
)
from animix.rendering import encode
from animix.timeline.document import parse_document
from animix.timeline.reader import load_timeline, read_timeline
from animix.timeline.yaml_text import yaml_text
from animix.version import VERSION
from animix.video.metadata import read_recipe
from animix.whole_file import digest_of
from benchmarks import grooves
from tests import mp4
from tests.reel import REEL, make_reel, open_reel, recipe, render
from tests.sounds import write_wav


@pytest.fixture
def folder(tmp_path):
    return make_reel(tmp_path)


def test_a_recipe_tells_everything_and_no_folder(folder):
    found = recipe(open_reel(folder))
    digests = [
        f'# sha256 {digest_of(folder / "secret" / name)[:DIGEST_DIGITS]} "{name}"'
        for name in ("faces", "art-1", "art-2")
        for name in [f"{name}.safetensors"]
    ]
    assert found.splitlines() == [
        f"# animix {VERSION} render",
        *digests,
        f'# sha256 {digest_of(folder / "secret" / "w.npy")[:DIGEST_DIGITS]} "w.npy"',
        f'# sha256 {digest_of(folder / "secret" / "song.wav")[:DIGEST_DIGITS]} "song.wav"',
        "title: reel",
        "size: 16x16",
        "fps: 10",
        "duration: 20f",
        "loop: true",
        "networks: {faces: faces.safetensors, art: [art-1.safetensors, art-2.safetensors]}",
        "blend: [faces, {art: {swap: {0%: none, 50%: 8, 100%: none}, snapshot: {0%: 0, 50%: 2,"
        " 100%: 0}}}]",
        "mapping: faces",
        'latents: {0f: 3, 5f: w.npy smooth, "10f..15f every 5f": 4 -> w.npy, end: 3}',
        "truncation: 0.7",
        "noise: fixed",
        "audio: {file: song.wav, loop: true, fade-in: 100ms}",
        "output: {codec: h264, crf: 17, pixel-format: yuv420p}",
    ]
    assert "secret" not in found and str(folder) not in found


@pytest.mark.parametrize(
    "text",
    [
        REEL,
        "{networks: {a: secret/faces.safetensors}, duration: 1s}",
        "{networks: {aa: secret/faces.safetensors, bb: secret/art-1.safetensors}, duration: 1s,"
        " fps: 29.97, size: 33x20, title: 'a: “b”', latents: 1..4, blend: {alpha: 0.5}}",
        "{networks: {aa: secret/faces.safetensors, bb: 'secret/art-*.safetensors'}, duration: 1s,"
        " mapping: bb, blend: [aa], latents: [secret/w.npy], audio: secret/song.wav,"
        " loop: false, noise: random}",
        "{networks: {aa: secret/faces.safetensors, bb: secret/art-1.safetensors}, duration: 2b,"
        " audio: {bpm: 140, first-beat: 100ms}, markers: {drop: 1b}, sections: {hook: drop..end},"
        " blend: {alpha: {0s: 0, drop: 1, end: 0}}}",
        "{networks: {aa: secret/faces.safetensors}, duration: 1s, latents: {4: {seeds: [1, 2],"
        " speed: {0s: 1, 50%: 0, end: 1}, edits: [{direction: secret/w.npy, amount: 2}]}, 8..: [7,"
        " secret/w.npy]}}",
        "{networks: {aa: secret/faces.safetensors}, duration: 1bar, output: reel.gif, fps: 10,"
        " audio: {file: secret/song.wav, bpm: 140}}",
    ],
)
def test_the_recipe_beside_its_files_gives_the_same_frames_and_the_same_recipe(folder, text):
    film = open_reel(folder, text)
    found = recipe(film)
    for file in (folder / "secret").iterdir():
        shutil.copy(file, folder)
    (folder / "again.yaml").write_text(found)
    again = open_film(load_timeline(folder / "again.yaml"), device="cpu")
    assert recipe(again) == found
    assert (again.canvas_size, again.schedule.fps) == (film.canvas_size, film.schedule.fps)
    keys = [
        chunk_keys(each, (), {path: digest_of(path) for path in files_of(each)})
        for each in (film, again)
    ]
    frames = range(film.schedule.num_frames)
    assert keys[0](frames) == keys[1](frames)


def test_what_the_command_line_replaced_stands_in_it(folder):
    timeline = load_timeline(folder / "reel.yaml", {"blend.art.swap": "16", "title": "Other"})
    found = recipe(open_film(timeline, device="cpu"))
    assert "{art: {swap: 16, snapshot" in found and "title: Other\n" in found


@pytest.mark.parametrize(
    ("options", "frames", "expected"),
    [
        ({}, range(20), "render"),
        ({"draft": True}, range(2, 5), "render --frames 2..4 --draft"),
        ({"precision": "bfloat16"}, range(20), "render --precision bfloat16"),
        ({"precision": "float32"}, range(20), "render --precision float32"),
    ],
)
def test_the_command_says_what_the_timeline_does_not(
    folder, monkeypatch, options, frames, expected
):
    film = open_reel(folder, **options)
    # A device chooses by its flags: here always the other one.
    monkeypatch.setattr(
        "animix.provenance.choose_precision",
        lambda device: None if "precision" in options else film.engine.plan.dtype,
    )
    draft = options.get("draft", False)
    assert render_command(film, frames, draft=draft) == expected
    assert "size: 16x16\n" in recipe(film)  # a draft's too


def test_two_files_of_one_name_are_told_apart_and_one_of_two_places_is_not(folder):
    for name, source in (("x", "faces"), ("y", "art-1"), ("z", "faces")):
        (folder / name).mkdir()
        shutil.copy(folder / "secret" / f"{source}.safetensors", folder / name / "net.safetensors")
    text = (
        "{networks: {one: x/net.safetensors, two: y/net.safetensors, three: z/net.safetensors},"
        " duration: 1s, blend: [one, two, three]}"
    )
    found = recipe(open_reel(folder, text))
    assert (
        "{one: net.safetensors, two: net (2).safetensors, three: net.safetensors}"
        in found.replace('"', "")
    )
    assert found.count("# sha256") == 2


def test_a_tempo_that_was_found_in_the_sound_is_told(folder):
    song = folder / "secret" / "song.wav"
    groove = grooves.Groove("rock", 110, seed=3, first_beat_seconds=0.4, seconds=8)
    write_wav(song, grooves.render(groove), grooves.RATE)
    text = REEL.replace("fade-in: 100ms", "fade-in: 100ms, bpm: auto")
    found = recipe(open_reel(folder, text))
    again = read_timeline(found, folder / "again.yaml", listen=False)
    film = open_reel(folder, text)
    assert again.clock.bpm == film.timeline.clock.bpm == 110
    assert again.clock.first_beat_seconds == film.timeline.clock.first_beat_seconds > 0.3
    assert "auto" not in found and recipe(film) == found


def test_a_timeline_that_is_too_long_is_left_out(folder, monkeypatch):
    monkeypatch.setattr("animix.provenance.MOST_CHARACTERS", 100)
    found = recipe(open_reel(folder))
    assert found.endswith("characters.\n") and "networks" not in found


def test_a_still_knows_the_files_that_it_shows(folder):
    found = still_metadata(open_reel(folder), 0).recipe
    assert found.startswith(f"# animix {VERSION} still --at 0f")
    assert '"faces.safetensors"' in found and '"art-2.safetensors"' not in found
    assert "art: [art-1.safetensors, art-2.safetensors]" in found
    assert '"art-2.safetensors"' in still_metadata(open_reel(folder), 10).recipe


# -- In the film -----------------------------------------------------------------------------------


@pytest.mark.parametrize("audio", [True, False])
def test_a_film_carries_it_whether_it_has_sound_or_not(folder, audio):
    text = REEL if audio else REEL.replace("audio:", "# audio:")
    film = open_reel(folder, text)
    data = render(film, folder / "out" / "reel.mp4")
    assert read_recipe(folder / "out" / "reel.mp4") == recipe(film)
    assert b"trainedAlgorithmicMedia" in data and b"secret" not in data
    assert data.count(b"# animix") == data.count(b"<?xpacket begin") == 1
    assert data.index(b"moov") < data.index(b"mdat")


@pytest.mark.parametrize("audio", [True, False])
def test_without_a_recipe_nothing_of_it_is_there_and_the_frames_are_the_same(folder, audio):
    text = REEL if audio else REEL.replace("audio:", "# audio:")
    film = open_reel(folder, text)
    data = render(film, folder / "reel.mp4", recipe=False)
    for word in (b"animix", b"xpacket", b"iptc", b"safetensors", b"secret"):
        assert word not in data
    told = render(film, folder / "told.mp4")
    pictures = [dict(mp4.boxes(each))["mdat"] for each in (data, told)]
    assert len(told) > len(data) and pictures[0] == pictures[1]


def test_another_title_or_no_recipe_renders_nothing_again(folder):
    film = open_reel(folder)
    target = folder / "reel.mp4"
    render(film, target, keep_cache=True)
    for text, options in ((REEL, {"recipe": False}), (f"title: Other\n{REEL}", {})):
        *_, last = encode(open_reel(folder, text), target, keep_cache=True, **options)
        assert last.done_before == 20
    assert "title: Other\n" in read_recipe(target)


@pytest.mark.parametrize(
    ("output", "kept"),
    [
        ("out.mp4", None),
        ("a/b", None),
        ("{file: out.mp4}", None),
        ("{file: a/out.mp4, crf: 20}", "output: {crf: 20}"),
        ("tiktok", "output: tiktok"),
    ],
)
def test_where_a_film_goes_is_left_out_and_what_it_is_stays(output, kept):
    document, _ = parse_document(f"{{fps: 30, output: {output}}}", "reel.yaml")
    assert yaml_text(without_target(document)).splitlines() == [
        "fps: 30",
        *([kept] if kept else []),
    ]


def test_the_timeline_keeps_its_document(folder):
    timeline = read_timeline("{networks: {a: x.pkl}, duration: 1s}", "reel.yaml")
    assert [key.text for key, _ in timeline.document.entries] == ["networks", "duration"]
    film = open_reel(folder)
    assert metadata_of(film, {}, "render").tool == f"animix {VERSION}"
