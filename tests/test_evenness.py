"""Even paths: pictures change at an even rate, by lengths that are measured once."""

import json
import shutil

import numpy as np
import pytest
import torch

from animix import evenness
from animix.evenness import distances, lab, scales
from animix.film import open_film
from animix.timeline.reader import load_timeline
from tests.tiny import tiny_tensors, write_tensors


@pytest.fixture
def folder(tmp_path, monkeypatch):
    tensors, metadata = tiny_tensors()
    for name in tensors:
        if ".torgb.weight" in name:  # within what a picture shows
            tensors[name] = tensors[name] * 0.2
    write_tensors(tmp_path / "faces.safetensors", tensors, metadata)
    write_tensors(tmp_path / "labels.safetensors", *tiny_tensors(c_dim=2))
    np.save(tmp_path / "w.npy", np.linspace(-1, 1, 16, dtype=np.float32))
    monkeypatch.setattr(evenness, "STILLS", 24)
    return tmp_path


@pytest.fixture
def paintings(monkeypatch):
    """How often a path was measured."""
    found = []
    real = evenness.measure

    def counted(*arguments):
        found.append(arguments)
        return real(*arguments)

    monkeypatch.setattr(evenness, "measure", counted)
    return found


def open_walk(folder, latents, more="", network="faces"):
    (folder / "walk.yaml").write_text(
        f"networks: {{a: {network}.safetensors}}\nduration: 4s\nfps: 10\n"
        f"latents: {latents}\n{more}\n"
    )
    return open_film(load_timeline(folder / "walk.yaml"), device="cpu", precision="float32")


def steps(film):
    """How far each frame is from the one before, as paths are measured.

    benchmarks/even.py judges by other metrics, on networks that have learned something.
    """
    count = film.schedule.num_frames
    pictures = [film.pictures([film.schedule.row(n)])[0] for n in range(count)]
    return distances(scales(torch.stack(pictures)))


def spread(values):
    return float(values.std() / values.mean())


def points(film):
    return [row.points for row in film.schedule.rows(range(film.schedule.num_frames))]


PATHS = {
    "a spline": ("[1, 2, 3]", "", ""),
    "straight": ("[1, 2, 3]", ", path: linear", ""),
    "in z": ("[1, 2, 3]", ", space: z", ""),
    "open": ("[1, 2, 3]", "", "loop: false"),
    "through a file": ("[1, w.npy, 3]", "", "truncation: {4..8: 0.5}"),
}


@pytest.mark.parametrize("name", PATHS)
def test_pictures_change_more_evenly(folder, name):
    seeds, options, more = PATHS[name]
    plain = steps(open_walk(folder, f"{{seeds: {seeds}{options}}}", more))
    even = steps(open_walk(folder, f"{{seeds: {seeds}{options}, even: true}}", more))
    assert spread(even) < 0.15 < spread(plain)


def test_speed_is_relative_in_pictures(folder):
    film = open_walk(folder, "{seeds: [1, 2], even: true, speed: {0s: 3 hold, 2s: 1 hold}}")
    found = steps(film)
    assert found[:19].mean() / found[20:].mean() == pytest.approx(3, rel=0.25)


def test_lengths_are_measured_once_and_give_the_same_rows(folder, paintings):
    first = points(open_walk(folder, "{seeds: [1, 2], even: true}"))
    (kept,) = (folder / ".animix").glob("even-*.json")
    assert points(open_walk(folder, "{seeds: [1, 2], even: true, speed: 2}", "title: x")) == first
    assert len(paintings) == 1
    kept.unlink()
    assert points(open_walk(folder, "{seeds: [1, 2], even: true}")) == first
    assert len(paintings) == 2


def test_measuring_tells_how_far_it_is_until_lengths_are_kept(folder, run):
    open_walk(folder, "{seeds: [1, 2, 3], even: true}")
    (kept,) = (folder / ".animix").glob("even-*.json")
    kept.unlink()
    for times_told in (1, 0):
        code, _, err = run("check", folder / "walk.yaml")
        assert code == 0
        assert err.count("measuring the path  73/73") == times_told


def test_paths_of_a_grid_are_measured_as_one_work(folder, paintings, run):
    (folder / "walk.yaml").write_text(
        "networks: {a: faces.safetensors}\nduration: 1s\nfps: 10\ngrid: 2x1\n"
        "latents: {seeds: [1, 2], even: true}\n"
    )
    code, _, err = run("check", folder / "walk.yaml")
    assert code == 0
    assert len(paintings) == 2
    assert err.count("measuring the path  98/98") == 1
    assert "49/49" not in err


def test_of_paths_those_that_were_measured_are_kept_whatever_comes(folder, paintings, monkeypatch):
    measure = evenness.measure

    def second_fails(*arguments):
        if len(paintings) == 1:
            raise KeyboardInterrupt
        return measure(*arguments)

    monkeypatch.setattr(evenness, "measure", second_fails)
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            open_walk(folder, "{seeds: [1, 2], even: true}", "grid: 2x1")
    assert len(list((folder / ".animix").glob("even-*.json"))) == len(paintings) == 1


@pytest.mark.parametrize(
    "change",
    [
        ("[1, 2]", "[1, 3]"),
        ("even", "space: z, even"),
        ("faces", "labels"),
        ("loop", "truncation: 0.5\nloop"),
        ("loop: true", "loop: false"),
    ],
)
def test_another_path_is_measured_anew(folder, paintings, change):
    texts = ["{seeds: [1, 2], even: true}", "loop: true\nlabel: 0", "faces"]
    open_walk(folder, texts[0], "loop: true", texts[2])
    latents, more, network = (text.replace(*change) for text in texts)
    open_walk(
        folder, latents, more if network == "labels" else more.replace("label: 0", ""), network
    )
    assert len(paintings) == 2


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", "[0, 1]", '["x"]', "null", "[" * 10_000, "1e999", "[0, NaN]"]
)
def test_a_file_that_has_no_lengths_is_written_again(folder, paintings, text):
    expected = points(open_walk(folder, "{seeds: [1, 2], even: true}"))
    (kept,) = (folder / ".animix").glob("even-*.json")
    good = kept.read_text()
    for bad in (text, json.dumps([1 - n for n in json.loads(good)])):
        kept.write_text(bad)
        assert points(open_walk(folder, "{seeds: [1, 2], even: true}")) == expected
        assert kept.read_text() == good


def test_where_nothing_can_be_kept_it_is_measured_each_time(folder, paintings):
    (folder / ".animix").write_text("in the way")
    expected = points(open_walk(folder, "{seeds: [1, 2], even: true}"))
    assert points(open_walk(folder, "{seeds: [1, 2], even: true}")) == expected
    assert len(paintings) == 2


@pytest.mark.parametrize("seeds", ["[4]", "[4, 4]", "[1, 4, 4]"])
def test_places_that_are_one_divide_nothing_by_zero(folder, seeds, recwarn):
    film = open_walk(folder, f"{{seeds: {seeds}, even: true}}")
    found = steps(film)
    assert np.isfinite(found).all()
    if seeds == "[1, 4, 4]":
        assert spread(found) < 0.3  # no time is spent on the way from 4 to 4
    assert not recwarn.list


def test_a_range_of_resolutions_is_even_by_itself(folder):
    low, high = "{seeds: [1, 2, 3], even: true}", "[7, 8]"
    mixed = points(open_walk(folder, f"{{4..8: {low}, 16..: {high}}}"))
    plain = points(open_walk(folder, f"{{4..8: [1, 2, 3], 16..: {high}}}"))
    assert [each[1] for each in mixed] == [each[1] for each in plain]
    assert [each[0] for each in mixed] != [each[0] for each in plain]


def test_edits_blends_and_noise_do_not_change_the_walk(folder):
    shutil.copy(folder / "faces.safetensors", folder / "art.safetensors")
    expected = points(open_walk(folder, "{seeds: [1, 2], even: true}"))
    latents = "{seeds: [1, 2], even: true, edits: [{direction: sefa 1, amount: =sine(4s)}]}"
    assert points(open_walk(folder, latents, "noise: random")) == expected


@pytest.mark.parametrize(
    ("rgb", "expected"),
    [
        ((1, 1, 1), (100, 0, 0)),
        ((-1, -1, -1), (0, 0, 0)),
        ((1, -1, -1), (53.24, 80.09, 67.20)),
        ((-1, -1, 1), (32.30, 79.19, -107.86)),
        ((5, 5, 5), (100, 0, 0)),
    ],
)
def test_colours_have_their_places_in_lab(rgb, expected):
    found = lab(torch.tensor(rgb, dtype=torch.float32).reshape(1, 3, 1, 1)).flatten()
    assert found.numpy() == pytest.approx(expected, abs=0.02)


def test_the_distance_of_pictures_is_that_of_their_colours_at_each_size():
    grey = torch.zeros(1, 3, 32, 32)
    pictures = torch.cat([grey, grey, grey + 0.2])
    same, other = distances(scales(pictures))
    light = lab(grey + 0.2)[0, 0, 0, 0] - lab(grey)[0, 0, 0, 0]
    assert same == 0
    assert other == pytest.approx(2 * float(light), rel=1e-3)  # at 32 and 16 px
