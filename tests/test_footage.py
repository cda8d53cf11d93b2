"""Several outputs are made of the same pictures, each painted once, and are what each is alone."""

from __future__ import annotations

import contextlib
from collections import deque
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

import animix
from animix import rendering
from animix.chunks import chunk_keys, files_of
from animix.delivery import check_outputs, check_places, notes_of
from animix.errors import EncodeError, OptionError, TimelineError
from animix.film import Film, open_film, open_films
from animix.rendering import encode_all, jobs_of
from animix.timeline.instants import Instants, even, union_of
from animix.timeline.reader import load_timeline
from animix.video.mp4 import count_frames
from animix.video.settings import EncoderSettings
from tests.tiny import fastly, plainly, relative_of, tiny_tensors, write_tensors

REEL = """\
networks: {faces: faces.safetensors, art: art.safetensors}
duration: 1s
latents: [3, 17]
noise: random
frame: {zoom: {0%: 1, 50%: 1.3, 100%: 1}}
blend: [faces, {art: {swap: {0%: all, 50%: 8, 100%: all}}}]
output:
"""
ROWS = ("mix", "points", "psi", "noise", "time_seconds", "labels")


@pytest.fixture(scope="module")
def networks(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("networks")
    tensors, metadata = tiny_tensors()
    write_tensors(folder / "faces.safetensors", tensors, metadata)
    write_tensors(folder / "art.safetensors", relative_of(tensors), metadata)
    return folder


@pytest.fixture
def folder(networks: Path, tmp_path: Path) -> Path:
    for file in networks.iterdir():
        (tmp_path / file.name).symlink_to(file)
    return tmp_path


def opened(folder: Path, *outputs: str, **settings: str) -> list[Film]:
    (folder / "reel.yaml").write_text(REEL.replace("output:\n", f"output: [{', '.join(outputs)}]"))
    return open_films(load_timeline(folder / "reel.yaml", settings), device="cpu")


def bytes_of(film: Film) -> list[bytes]:
    return [frame.tobytes() for frame in film.frames(range(film.schedule.num_frames))]


def together(films: list[Film]) -> list[list[bytes]]:
    """The bytes of all frames of films that are painted side by side."""
    found: list[list[bytes]] = [[] for _ in films]
    everything = [(film.view, [range(film.schedule.num_frames)]) for film in films]
    for cell in films[0].footage.cells(everything):
        for frames, part in zip(found, cell, strict=True):
            frames += [frame.tobytes() for frame in part]
    return found


@pytest.fixture
def painted(monkeypatch: pytest.MonkeyPatch) -> list[Fraction]:
    """The times of the pictures that are painted."""
    times: list[Fraction] = []
    pictures = animix.footage.Footage._pictures

    def counted(self, engine, cell, wanted, panel):
        times.extend(self.schedule.instants.seconds(place) for place in wanted)
        return pictures(self, engine, cell, wanted, panel)

    monkeypatch.setattr(animix.footage.Footage, "_pictures", counted)
    return times


MIXED = (
    "{file: a.mp4, size: 24x40, fps: 30}",
    "{file: b.mov, size: 32x32, fps: 24, fit: cover}",
    "{file: c.gif, size: 16x16, fps: 20}",
    "{file: d.mp4, size: 24x40, fps: 60, codec: h265}",
)


@pytest.mark.parametrize("engine", [plainly, fastly, lambda film: film])
def test_every_film_is_what_it_is_alone_and_each_picture_is_painted_once(folder, painted, engine):
    films = opened(folder, *MIXED)
    first = engine(films[0])
    films = [replace(film, engine=first.engine) for film in films]
    shown = together(films)
    # 30 and 20 fall on the frames of 60; of 24 every other does.
    times = {Fraction(n, fps) for fps in (60, 24) for n in range(fps)}
    assert len(times) == 60 + 24 - 12
    assert sorted(times) == painted
    assert [len(frames) for frames in shown] == [30, 24, 20, 60]
    for output, frames in zip(MIXED, shown, strict=True):
        (alone,) = opened(folder, output, fps="30")
        assert bytes_of(engine(alone)) == frames


def test_several_devices_paint_several_outputs(folder: Path):
    films = opened(folder, *MIXED)
    one, other = (plainly(opened(folder, *MIXED)[0]).engine for _ in range(2))
    alone = together([replace(film, engine=one) for film in films])
    assert together([replace(f, engine=one, more_engines=(other,)) for f in films]) == alone


def test_frames_of_one_canvas_and_format_are_made_once(folder, monkeypatch):
    made: list[int] = []
    pixels = animix.footage._pixels

    def counted(engine, canvases, view, frames):
        made.extend(frames)
        return pixels(engine, canvases, view, frames)

    monkeypatch.setattr(animix.footage, "_pixels", counted)
    films = opened(folder, "{file: a.mp4, size: 24x40}", "{file: b.webm, size: 24x40}", "gif")
    a, b, _ = together(films)
    assert a == b
    assert sorted(made) == sorted([*range(30), *range(20)])


@pytest.mark.parametrize("loop", ["true", "false"])
def test_a_picture_is_that_of_its_time_at_any_rate(folder: Path, loop: str):
    latents = "{0%: 3, 50%: 17, 100%: 3}"
    films = opened(folder, *MIXED, loop=loop, fps="30", latents=latents)
    rows = {row.time_seconds: row for row in films[0].schedule.rows(range(30))}
    for film in films[1:]:
        all_rows = film.schedule.rows(range(film.schedule.num_frames))
        shared = [row for row in all_rows if row.time_seconds in rows]
        assert len(shared) >= 6
        for row in shared:
            for name in ROWS:
                same = getattr(row, name) == getattr(rows[row.time_seconds], name)
                assert np.all(same), name


def test_what_networks_paint_otherwise_is_painted_apart(folder: Path):
    films = opened(
        folder,
        "{file: a.mp4, size: 32x64, fit: extend}",
        "{file: b.mp4, size: 32x64, fit: cover}",
        "{file: c.mp4, size: 64x128, fit: extend}",
        "{preset: draft, file: d.mp4, size: 32x32}",
    )
    assert [film.output.file.name for film in films] == ["a.mp4", "b.mp4", "c.mp4", "d.mp4"]
    assert [film.canvas_size for film in films] == [(32, 64), (32, 64), (64, 128), (16, 16)]
    engines = [id(film.engine) for film in films]
    assert engines[0] == engines[2]
    assert len(set(engines)) == 3
    assert films[0].extent != films[1].extent


def test_a_still_is_the_first_output_s_frame(folder: Path):
    films = opened(folder, *MIXED)
    film = open_film(films[0].timeline, device="cpu")
    assert (film.rgb8(13) == films[0].rgb8(13)).all()
    assert film.canvas_size == (24, 40)


# -- Files -----------------------------------------------------------------------------------------


def render(films: list[Film], folder: Path, frames: range | None = None, **options) -> list[Path]:
    jobs = [replace(job, target=folder / job.target.name) for job in jobs_of(films, frames)]
    with contextlib.closing(encode_all(jobs, **options)) as steps:
        deque(steps, maxlen=0)
    return [job.target for job in jobs]


def test_every_output_is_written_with_its_own_size_rate_and_format(folder: Path, tmp_path: Path):
    paths = render(opened(folder, *MIXED, "{preset: png, size: 16x16}"), tmp_path / "out")
    assert [path.name for path in paths] == ["a.mp4", "b.mov", "c.gif", "d.mp4", "reel"]
    assert [count_frames(path) for path in (paths[0], paths[1], paths[3])] == [30, 24, 60]
    assert len(list(paths[4].iterdir())) == 30
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(
        path.name for path in paths
    )


def test_frames_of_the_first_are_the_same_moments_of_the_others(folder: Path, tmp_path: Path):
    films = opened(folder, *MIXED)
    frames = [job.frames for job in jobs_of(films, range(6, 15))]
    assert frames == [range(6, 15), range(5, 12), range(4, 10), range(12, 30)]
    paths = render(films[:2], tmp_path / "out", range(6, 15))
    assert [path.name for path in paths] == ["a-frames-6-14.mp4", "b-frames-5-11.mov"]
    with pytest.raises(OptionError, match="at 20 fps no frame is shown during frames 2 to 2"):
        jobs_of(films, range(2, 3))


def test_chunks_of_each_output_resume(folder, tmp_path, monkeypatch, painted):
    monkeypatch.setattr(rendering, "segment_frames", lambda settings: 16)
    outputs = ("{file: a.mp4, size: 24x40}", "{file: b.mp4, size: 16x16, fps: 60}")
    whole = [path.read_bytes() for path in render(opened(folder, *outputs), tmp_path / "whole")]
    films, place = opened(folder, *outputs), tmp_path / "out"
    paths = render(films, place, keep_cache=True)
    chunks = [sorted((place / ".animix" / path.name).glob("*.mp4")) for path in paths]
    assert [len(each) for each in chunks] == [2, 4]
    chunks[1][0].unlink()
    painted.clear()
    for path in paths:
        path.unlink()
    paths = render(films, place)
    assert [path.read_bytes() for path in paths] == whole
    # Those of the lost chunk alone, a quarter of the second film.
    assert len(painted) in (12, 16)
    assert not (place / ".animix").exists()


def test_several_outputs_are_whole_or_absent(folder: Path, tmp_path: Path):
    jobs = jobs_of(opened(folder, *MIXED))
    jobs = [replace(job, target=tmp_path / "out" / job.target.name) for job in jobs]
    with contextlib.closing(encode_all(jobs)) as steps:
        assert next(steps).total == 30 + 24 + 20 + 60
    assert [path.name for path in (tmp_path / "out").iterdir() if path.name != ".animix"] == []


def test_a_chunk_s_key_knows_its_own_output_alone(folder: Path):
    def keys(*outputs: str) -> list[str]:
        films = opened(folder, *outputs)
        digests = {file: "digest" for film in films for file in files_of(film)}
        return [chunk_keys(film, ("x264",), digests)(range(3, 9)) for film in films]

    small, large = "{file: a.mp4, size: 24x40}", "{file: b.mp4, size: 32x40}"
    assert len({*keys(small, large)}) == 2
    contained = "{file: b.mp4, size: 24x40, fit: contain}"
    assert keys(small, contained)[0] != keys(small, contained)[1]


def test_an_output_that_fails_at_its_end_costs_no_other(folder, tmp_path, monkeypatch):
    class Failing:
        num_waiting = 0

        def __init__(self, *_: object) -> None:
            pass

        def __enter__(self):
            return self

        def __exit__(self, *_: object) -> None:
            raise EncodeError("no space for the last words")

        def write(self, frames: object) -> None:
            pass

    make = rendering.make_encoder

    def made(path: Path, settings: EncoderSettings, segments: object):
        return Failing() if path.name == "a.mov" else make(path, settings, segments)

    monkeypatch.setattr(rendering, "make_encoder", made)
    films = opened(folder, "{file: a.mov, size: 24x40}", "{file: b.mp4, size: 16x16}")
    with pytest.raises(EncodeError, match="last words"):
        render(films, tmp_path / "out")
    assert count_frames(tmp_path / "out" / "b.mp4") == 30
    assert not (tmp_path / "out" / "a.mov").exists()


@pytest.mark.parametrize("dying", [["a.mov"], ["c.mp4"], ["a.mov", "b.mp4"], ["a.mov", "c.mp4"]])
def test_an_output_whose_encoder_dies_costs_no_other(folder, tmp_path, monkeypatch, dying):
    make = rendering.make_encoder

    def made(path: Path, settings: EncoderSettings, segments: object):
        encoder = make(path, settings, segments)
        if path.name in dying:
            monkeypatch.setattr(encoder, "write", die)
        return encoder

    def die(_: object) -> None:
        raise EncodeError(f"{tmp_path}/.a.mov.part-1-abcdef-2/clip.nut: ffmpeg died")

    monkeypatch.setattr(rendering, "make_encoder", made)
    sizes = {"a.mov": "24x40", "b.mp4": "16x16", "c.mp4": "32x32"}
    films = opened(folder, *(f"{{file: {name}, size: {sizes[name]}}}" for name in sizes))
    with pytest.raises(EncodeError) as caught:
        render(films, tmp_path / "out")
    assert str(caught.value) == f"{tmp_path}/a.mov: ffmpeg died"  # by the name that was asked for
    whole = sorted(path.name for path in (tmp_path / "out").iterdir() if path.name != ".animix")
    assert whole == sorted({*sizes} - {*dying})
    assert all(count_frames(tmp_path / "out" / name) == 30 for name in whole if name != "a.mov")


def test_when_every_encoder_has_died_nothing_more_is_painted(
    folder, tmp_path, monkeypatch, painted
):
    def die(*_: object) -> None:
        raise EncodeError("ffmpeg died")

    monkeypatch.setattr("animix.video.segments.SegmentEncoder.write", die)
    films = opened(folder, "{file: a.mp4, size: 24x40}", "{file: b.mp4, size: 16x16}")
    jobs = jobs_of(films)
    out = tmp_path / "out"
    steps = encode_all([replace(job, target=out / job.target.name) for job in jobs])
    with pytest.raises(EncodeError, match="died"):
        deque(steps, maxlen=0)
    assert list(out.iterdir()) == []
    assert len(painted) < 30


def test_what_any_platform_refuses_is_told_of_all(folder: Path):
    films = opened(folder, "reels", "{preset: tiktok, size: 64x64}")
    with pytest.raises(TimelineError) as caught:
        check_outputs(films)
    told = " ".join(mistake.message for mistake in caught.value.mistakes)
    assert "reels: the length is 1 s" in told
    assert "tiktok: the width is 64 pixels" in told


def test_outputs_that_would_replace_each_other_are_refused(folder: Path):
    films = opened(folder, "reels", "{preset: reels, crf: 12}", "gif", "{file: reel.webm}")
    with pytest.raises(
        TimelineError, match=r"reel.yaml:7:[^$]*reel-reels\.mp4[^$]*file: of its own"
    ) as caught:
        check_places(films[0].timeline)
    assert len(caught.value.mistakes) == 1
    check_places(opened(folder, "reels", "{preset: reels, file: fine.mp4, crf: 12}")[0].timeline)


def test_from_python_a_folder_takes_all(folder: Path, tmp_path: Path):
    opened(folder, "{file: a.mp4, size: 24x40}", "{file: c.gif, size: 16x16, fps: 20}")
    timeline = animix.load_timeline(folder / "reel.yaml")
    first = animix.render(timeline, tmp_path / "out", device="cpu")
    assert first == tmp_path / "out" / "a.mp4"
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.mp4", "c.gif"]


# -- Instants --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "rates", [("30", "24"), ("30", "30000/1001"), ("60", "50", "20"), ("29.97", "1/10")]
)
def test_a_union_has_every_instant_once_and_in_order(rates):
    each = [even(40, Fraction(rate)) for rate in rates]
    union = union_of(each)
    seconds = [union.seconds(index) for index in range(len(union))]
    assert seconds == sorted({i.seconds(n) for i in each for n in range(len(i))})
    for instants in each:
        places = union.places(instants)
        assert [seconds[place] for place in places] == [instants.seconds(n) for n in range(40)]


def test_instants_that_no_number_holds_are_refused():
    rates = [Fraction(1000999, 1001), Fraction(999983, 1000), Fraction(999979, 999)]
    with pytest.raises(OverflowError):
        union_of([even(40, rate) for rate in rates])
    with pytest.raises(ValueError, match="at least one"):
        Instants(np.arange(0), Fraction(30))


def test_a_loop_that_is_no_whole_number_of_frames_is_told(folder: Path):
    notes = notes_of(opened(folder, *MIXED, duration="1.1s", fps="30"))
    (note,) = [note for note in notes if "loop" in note]
    assert note == (
        f"{folder / 'b.mov'}: at 24 fps the loop of 1.1 s is 16.7 ms shorter: it has no whole "
        "number of frames"
    )
    assert not any("loop" in note for note in notes_of(opened(folder, *MIXED)))
    slow = notes_of(opened(folder, "{file: a.mp4, fps: 0.1}", duration="6s", fps="30"))
    assert "at 0.1 fps the loop of 6 s is 4 s longer: it has no whole number of frames" in slow


def test_a_note_names_the_outputs_that_it_is_about(folder: Path):
    outputs = [
        f"{{file: {name}.mp4, fps: 24, size: {size}}}"
        for name, size in (("a", "32x32"), ("b", "32x32"), ("c", "256x256"))
    ]
    films = opened(folder, *outputs, duration="1.1s", fps="30", overlay="labels")
    seam, labels = notes_of(films)
    # What is so of all is of none in particular.
    assert seam.startswith("at 24 fps the loop")
    assert labels.startswith(f"{folder / 'a.mp4'}, {folder / 'b.mp4'}: overlay: labels can't be")
    assert notes_of(films[:1]) == [seam, labels.split(": ", 1)[1]]
    assert notes_of(films[2:]) == [seam]
    elsewhere = notes_of(films, [Path("x.mp4"), Path("y.mp4"), Path("z.mp4")])[1]
    assert elsewhere.startswith("x.mp4, y.mp4: overlay: labels can't be")
