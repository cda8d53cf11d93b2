"""A batch makes what is missing, each film as it would be alone, and says what became of all."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import torch

from animix import batch as batch_module
from animix import whole_file
from animix.batch import (
    Advanced,
    Begun,
    Commission,
    Ended,
    Place,
    expected_frames,
    make_films,
    places_for,
)
from animix.checkpoints import load, store
from animix.checkpoints.store import Store
from animix.engine.precision import speeds_up_bfloat16
from animix.errors import OptionError, RenderError
from animix.film import open_film, open_films
from animix.profile import Profile
from animix.rendering import Job, encode_all
from animix.timeline.reader import load_timeline
from animix.video.mp4 import count_frames
from tests.sounds import noise, write_wav
from tests.threads import ENCODING, threads_named
from tests.tiny import relative_of, tiny_tensors, write_tensors

REEL = """
networks: {faces: faces.safetensors, art: "art-*.safetensors"}
duration: 20f
fps: 10
latents: [SEED, 17]
blend: {swap: {0%: none, 50%: 8, 100%: none}}
"""

ANOTHER_PRECISION = "float32" if speeds_up_bfloat16() else "bfloat16"

NAMES = ("one", "two", "three")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The current folder, with networks, three good timelines and a bad one."""
    tensors, metadata = tiny_tensors()
    write_tensors(tmp_path / "faces.safetensors", tensors, metadata)
    for number in (1, 2):
        relative = relative_of(tensors, amount=0.05 * number, seed=number)
        write_tensors(tmp_path / f"art-{number}.safetensors", relative, metadata)
    for seed, name in enumerate(NAMES):
        (tmp_path / f"{name}.yaml").write_text(REEL.replace("SEED", str(seed)))
    (tmp_path / "bad.yaml").write_text(REEL.replace("20f", "20").replace("SEED", "x"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def run(run):
    """Runs `animix render` in this process: exit code, stdout, stderr."""
    return lambda *arguments: run("render", *arguments, "--device", "cpu")


GOOD = [f"{name}.yaml" for name in NAMES]


def rows_of(out):
    """The table: timeline to its result and the rest of its line."""
    lines = out.splitlines()
    start = next(n for n, line in enumerate(lines) if line.startswith("timeline  "))
    cells = [re.split(r"  +", f"{line}  ", maxsplit=2) for line in lines[start + 1 :]]
    return {timeline: (result, rest.strip()) for timeline, result, rest in cells}


def results_of(out):
    return {timeline: result for timeline, (result, _) in rows_of(out).items()}


def films_in(folder):
    return {path.stem: path.read_bytes() for path in (folder / "renders").glob("[!.]*")}


@pytest.mark.parametrize("jobs", [[], ["--jobs", "2"], ["--jobs", "9"]])
def test_films_are_those_of_renders_one_by_one(folder, run, jobs):
    for name in GOOD:
        assert run(name, "--quiet") == (0, "", "")
    alone = films_in(folder)
    code, out, _ = run(*GOOD, "--fresh", *jobs)
    assert code == 0
    assert results_of(out) == dict.fromkeys(GOOD, "rendered")
    assert films_in(folder) == alone
    assert len(set(alone.values())) == 3
    # What was made side by side is what would be made one by one.
    assert results_of(run(*GOOD)[1]) == dict.fromkeys(GOOD, "up to date")


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_a_bad_timeline_is_told_at_its_place_and_in_the_table(folder, run, jobs):
    code, out, err = run("one.yaml", "bad.yaml", "gone.yaml", "two.yaml", "--jobs", jobs)
    assert code == 2
    assert err.count("bad.yaml:3:11  20 needs a unit") == 1
    assert "gone.yaml" in err
    rows = rows_of(out)
    assert results_of(out) == {
        "one.yaml": "rendered",
        "bad.yaml": "failed",
        "gone.yaml": "failed",
        "two.yaml": "rendered",
    }
    assert "bad.yaml:3:11 20 needs a unit" in rows["bad.yaml"][1]
    assert "(and 1 more mistake)" in rows["bad.yaml"][1]
    assert re.fullmatch(r"\d+\.\d +\d+\.\d +[\d.]+ kB  renders/two.mp4", rows["two.yaml"][1])
    assert set(films_in(folder)) == {"one", "two"}


def test_only_what_is_missing_is_made_again(folder, run):
    assert run(*GOOD, "--quiet")[0] == 0
    before = films_in(folder)
    (folder / "renders" / "one.mp4").unlink()
    (folder / "two.yaml").write_text(REEL.replace("SEED", "99"))
    code, out, _ = run(*GOOD)
    assert code == 0
    expected = dict(zip(GOOD, ("rendered", "rendered", "up to date"), strict=True))
    assert results_of(out) == expected
    after = films_in(folder)
    assert (after["one"], after["three"]) == (before["one"], before["three"])
    assert after["two"] != before["two"]


def as_networks_change(folder):
    tensors, metadata = tiny_tensors(seed=0)
    relative = relative_of(tensors, amount=0.3, seed=8)
    write_tensors(folder / "art-1.safetensors", relative, metadata)
    write_tensors(folder / "art-2.safetensors", relative, metadata)


@pytest.mark.parametrize(
    ("change", "options"),
    [
        (lambda folder: None, ["--fresh"]),
        (lambda folder: None, ["--precision", ANOTHER_PRECISION]),
        (lambda folder: None, ["--set", "title=Another"]),
        (lambda folder: None, ["--set", "fps=11"]),
        (as_networks_change, []),
        (lambda folder: (folder / "renders/one.mp4").write_bytes(b"another film"), []),
        (lambda folder: (folder / "renders/.animix/one.mp4.json").unlink(), []),
    ],
    ids=["fresh", "precision", "title", "fps", "networks", "film", "record"],
)
def test_what_would_become_another_film_is_made_again(folder, run, change, options):
    assert run("one.yaml", "two.yaml", "--quiet")[0] == 0
    change(folder)
    code, out, _ = run("one.yaml", "two.yaml", *options)
    assert code == 0
    assert results_of(out)["one.yaml"] == "rendered"


def test_another_sound_is_another_film(folder, run):
    for name in ("one", "two"):
        write_wav(folder / f"{name}.wav", noise(2))
        text = REEL.replace("SEED", "5") + f"audio: {{file: {name}.wav}}\n"
        (folder / f"{name}.yaml").write_text(text)
    assert run("one.yaml", "two.yaml", "--quiet")[0] == 0
    write_wav(folder / "one.wav", noise(2, seed=1))
    expected = {"one.yaml": "rendered", "two.yaml": "up to date"}
    assert results_of(run("one.yaml", "two.yaml")[1]) == expected
    code, out, _ = run("one.yaml", "two.yaml", "--set", "audio.fade-in=1s")
    assert (code, set(results_of(out).values())) == (0, {"rendered"})


def test_drafts_and_ranges_are_films_of_their_own(folder, run):
    for options in ([], ["--draft"], ["--frames", "3..9"]):
        assert set(results_of(run(*GOOD, *options)[1]).values()) == {"rendered"}
    for options in ([], ["--draft"], ["--frames", "3..9"]):
        assert set(results_of(run(*GOOD, *options)[1]).values()) == {"up to date"}
    assert count_frames(folder / "renders" / "one-frames-3-9.mp4") == 7


def test_one_timeline_alone_is_rendered_as_ever(folder, run):
    for _ in range(2):
        code, out, _ = run("one.yaml")
        assert code == 0
        assert out.startswith("renders/one.mp4  20 frames, 2 s") and "up to date" not in out
    assert [path.name for path in (folder / "renders").iterdir()] == ["one.mp4"]


@pytest.mark.parametrize("jobs", ["1", "3"])
def test_networks_are_read_once(folder, run, monkeypatch, jobs):
    read, load_one = [], load.load_network

    def counted(path):
        read.append(path.name)
        return load_one(path)

    monkeypatch.setattr(whole_file, "SETTLED_NS", 0)
    monkeypatch.setattr(store, "load_network", counted)
    monkeypatch.setattr("animix.film.load_network", None)
    monkeypatch.setattr("animix.engine.shelf.load_network", None)
    assert run(*GOOD, "--quiet", "--jobs", jobs)[0] == 0
    assert sorted(read) == ["art-1.safetensors", "art-2.safetensors", "faces.safetensors"]


@pytest.mark.parametrize("options", [{}, {"precision": "bfloat16"}, {"draft": True}])
def test_films_leave_networks_as_they_are(folder, options):
    shared = Store()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(whole_file, "SETTLED_NS", 0)
        film = open_film(load_timeline("one.yaml"), device="cpu", store=shared, **options)
        for _ in film.cells(range(20)):
            pass
        for name in ("faces", "art-1", "art-2"):
            kept = shared.load(folder / f"{name}.safetensors")
            there = load.load_network(folder / f"{name}.safetensors")
            for tensor in there.tensors:
                assert torch.equal(kept.tensors[tensor], there.tensors[tensor])


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_json_names_the_timeline_of_each_event(folder, run, jobs):
    (folder / "two.yaml").write_text(REEL.replace("SEED", "3") + "size: 31x32\n")
    code, out, err = run(*GOOD, "bad.yaml", "--json", "--jobs", jobs)
    assert (code, err) == (2, "")
    *events, batch = [json.loads(line) for line in out.splitlines()]
    assert {event["event"] for event in events} >= {"progress", "result", "error", "note"}
    assert {event["timeline"] for event in events} == {*GOOD, "bad.yaml"}
    for name in GOOD:
        own = [event for event in events if event["timeline"] == name]
        steps = [event for event in own if event["event"] == "progress"]
        assert (steps[-1]["done"], steps[-1]["total"]) == (20, 20)
        assert own[-1]["event"] == "result"
        assert own[-1]["file"] == f"renders/{name[:-5]}.mp4"
    assert batch["event"] == "batch"
    told = {row["timeline"]: (row["result"], row["exit_code"]) for row in batch["films"]}
    assert told == {**dict.fromkeys(GOOD, ("rendered", 0)), "bad.yaml": ("failed", 2)}
    assert batch["films"][0]["bytes"] == (folder / "renders/one.mp4").stat().st_size


def test_notes_of_a_batch_name_their_timeline(folder, run):
    (folder / "two.yaml").write_text(REEL.replace("SEED", "3") + "size: 31x32\n")
    _, _, err = run(*GOOD)
    assert [line for line in err.splitlines() if line.startswith("note: ")]
    assert all(line.startswith("note: two.yaml: ") for line in err.splitlines() if "note" in line)


def test_several_at_a_time_have_one_progress(folder, run):
    _, _, err = run(*GOOD, "bad.yaml", "--jobs", "2")
    steps = re.findall(r"^4 timelines  (\d+)/(\d+)  ", err, re.MULTILINE)
    assert steps[-1] == ("60", "60")
    assert "one.yaml  " not in err


def test_a_quiet_batch_tells_errors_only(folder, run):
    code, out, err = run("one.yaml", "bad.yaml", "--quiet", "--jobs", "2")
    assert (code, out) == (2, "")
    assert "2 mistakes in bad.yaml" in err


def test_the_same_timeline_twice_is_one(folder, run):
    code, out, _ = run("one.yaml", "one.yaml", "two.yaml", "--jobs", "3")
    assert code == 0
    assert list(results_of(out)) == ["one.yaml", "two.yaml"]


@pytest.mark.parametrize("jobs", ["1", "3"])
def test_two_timelines_never_write_the_same_film(folder, run, jobs):
    (folder / "two.yaml").write_text(REEL.replace("SEED", "3") + "output: renders/one.mp4\n")
    code, out, err = run(*GOOD, "--jobs", jobs)
    assert code == 2
    assert "error: two.yaml: would replace" in err
    assert list(results_of(out).values()) == ["rendered", "failed", "rendered"]


def test_what_is_read_is_never_written_over(folder, run):
    (folder / "renders").mkdir()
    (folder / "faces.safetensors").rename(folder / "renders" / "two.mp4")
    text = REEL.replace("SEED", "3").replace("faces.safetensors", "renders/two.mp4")
    before = (folder / "renders" / "two.mp4").read_bytes()
    for name in GOOD:
        (folder / name).write_text(text)
    code, out, err = run(*GOOD)
    assert code == 2
    assert "two.yaml: renders/two.mp4 is read by this timeline" in err
    assert results_of(out)["three.yaml"] == "rendered"
    assert (folder / "renders" / "two.mp4").read_bytes() == before


@pytest.mark.parametrize(
    "options",
    [
        ["--jobs", "0"],
        ["--jobs", "many"],
        ["--jobs", "2", "--profile"],
        ["--gpus", "99"],
        ["--jobs", "2", "--memory", "8GB"],
        ["--output", "film.mp4"],
    ],
)
def test_options_that_make_no_sense_end_with_2(folder, run, options):
    code, _, err = run(*GOOD, *options)
    assert code == 2
    assert err.strip() and "Traceback" not in err
    assert not (folder / "renders").exists()


def test_a_profile_is_told_of_each_film(folder, run, monkeypatch):
    found = Profile("cpu", 8, {"w": 1.0})
    monkeypatch.setattr("animix.profile.profile", lambda film, frame: found)
    code, out, _ = run("one.yaml", "two.yaml", "--profile")
    assert code == 0
    assert out.count("painting a frame on cpu") == 2
    assert out.count("opening ") == 2


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_an_interrupted_batch_ends_with_its_table_and_goes_on(folder, run, jobs):
    for name in ("two.yaml", "three.yaml"):
        (folder / name).write_text((folder / name).read_text().replace("20f", "400f"))
    command = [sys.executable, "-m", "animix", "render", *GOOD, "--jobs", jobs]
    process = subprocess.Popen(
        [*command, "--device", "cpu"],
        cwd=folder,
        start_new_session=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 30
    renders = folder / "renders"
    # The first is made, and of the second there is a chunk.
    while not (
        (renders / ".animix/one.mp4.json").exists()
        and list(renders.glob(".animix/two.mp4/[0-9a-f]*.mp4"))
    ):
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=20)
    assert process.returncode == 130, err
    assert "Traceback" not in err
    results = results_of(out)
    assert (results["one.yaml"], results["two.yaml"]) == ("rendered", "interrupted")
    assert results["three.yaml"] in ("not begun", "interrupted")
    assert not list(renders.rglob("*part*")) and not list(renders.rglob("user*"))
    code, out, err = run(*GOOD)
    assert code == 0
    assert results_of(out) == dict(zip(GOOD, ("up to date", "rendered", "rendered"), strict=True))
    assert re.search(r"note: two.yaml: \d+ of 400 frames were rendered before", err)


@pytest.mark.parametrize("goes", ["to the terminal", "elsewhere"])
def test_lines_stand_above_the_bar_or_go_elsewhere(folder, goes):
    leader, follower = pty.openpty()
    command = [sys.executable, "-m", "animix", "render", *GOOD, "--jobs", "2", "--device", "cpu"]
    with (folder / "out").open("w") as file:
        stdout = follower if goes == "to the terminal" else file
        process = subprocess.Popen(command, cwd=folder, stdout=stdout, stderr=follower)
    os.close(follower)
    told = b""
    with contextlib.suppress(OSError):  # the terminal is gone when the process is
        while chunk := os.read(leader, 4096):
            told += chunk
    os.close(leader)
    assert process.wait(20) == 0
    text = told.decode()
    assert "3 timelines" in text and "left" in text
    out = text if goes == "to the terminal" else (folder / "out").read_text()
    for name in NAMES:
        assert out.count(f"renders/{name}.mp4  20 frames, 2 s, 16×16") == 1
    assert out.count("timeline  ") == 1
    assert ("renders/one.mp4" in text) == (goes == "to the terminal")


# The core, without the command.


def commission(name):
    timeline = load_timeline(f"{name}.yaml")
    target = timeline.path.parent / f"{name}.mp4"
    return Commission(timeline, (target,), timeline.num_frames)


def open_one(wanted, place):
    films = open_films(wanted.timeline, device=place.device)
    return [Job(film, target) for film, target in zip(films, wanted.targets, strict=True)]


def made(commissions, num_places=1, **options):
    places = (Place("cpu"),) * num_places
    return make_films(commissions, open_one, places, **options)


def test_events_tell_of_each_film_from_its_beginning_to_its_end(folder):
    events = list(made([commission("one"), RenderError("unread"), commission("two")]))
    kinds = [(event.number, type(event)) for event in events]
    assert kinds[0] == (0, Begun)
    assert (0, Advanced) in kinds and (2, Begun) in kinds
    ended = [event for event in events if isinstance(event, Ended)]
    assert [(event.number, *(film.result for film in event.made)) for event in ended] == [
        (0, "rendered"),
        (1,),
        (2, "rendered"),
    ]
    assert str(ended[1].error) == "unread"
    (again,) = made([commission("one")])
    assert [film.result for film in again.made] == ["up to date"]


@pytest.mark.parametrize("num_places", [1, 2])
def test_closing_ends_what_is_at_work(folder, num_places):
    (folder / "one.yaml").write_text(REEL.replace("SEED", "3").replace("20f", "9000f"))
    (folder / "two.yaml").write_text(REEL.replace("SEED", "4").replace("20f", "9000f"))
    films = made([commission("one"), commission("two")], num_places)
    with contextlib.closing(films):
        assert isinstance(next(films), Begun)
    assert not threads_named("crew", *ENCODING)
    assert not list(folder.glob("*.mp4"))


def test_films_are_opened_one_after_the_other(folder, monkeypatch):
    opening, most, lock = [0], [0], threading.Lock()

    def careful(wanted, place):
        with lock:
            opening[0] += 1
            most[0] = max(most[0], opening[0])
        film = open_one(wanted, place)
        time.sleep(0.02)
        with lock:
            opening[0] -= 1
        return film

    places = (Place("cpu"),) * 3
    list(make_films([commission(name) for name in NAMES], careful, places))
    assert most == [1]


def test_an_error_holds_no_film(folder, monkeypatch):
    def failing(*arguments, **options):
        yield from encode_all(*arguments, **options)
        raise RenderError("too late") from ValueError("for a reason")

    monkeypatch.setattr(batch_module, "encode_all", failing)
    ended = list(made([commission("one")]))[-1]
    assert (ended.made, str(ended.error)) == ((), "too late")
    assert ended.error.__traceback__ is ended.error.__cause__ is ended.error.__context__ is None


def test_a_path_that_nobody_looked_at_is_an_error_of_its_film(folder):
    def failing(wanted, place):
        raise PermissionError(13, "Permission denied", "w.npy")

    (ended,) = make_films([commission("one")], failing, (Place("cpu"),))
    assert isinstance(ended.error, OptionError)
    assert str(ended.error) == "w.npy: Permission denied"


def test_films_that_wait_to_be_opened_are_not_when_all_is_over(folder):
    opened = []

    def slow(wanted, place):
        opened.append(wanted)
        time.sleep(0.3)
        return open_one(wanted, place)

    places = (Place("cpu"),) * 3
    with contextlib.closing(
        make_films([commission(name) for name in NAMES], slow, places)
    ) as films:
        next(films)
    # The second may have been about to be opened, the third waits behind it.
    assert len(opened) < 3


@pytest.mark.parametrize(
    ("num_films", "jobs", "gpus", "dealt", "at_a_time"),
    [
        (5, None, 2, ["0", "1"], 1),
        (2, None, 4, ["0,2", "1,3"], 1),
        (3, None, 1, ["0"], 1),
        (5, 1, 2, ["0,1"], 1),
        (5, 2, 4, ["0,2", "1,3"], 1),
        (5, 3, 2, ["0", "1", "0"], 2),
        (2, 9, 1, ["0", "0"], 2),
    ],
)
def test_films_are_dealt_to_gpus(monkeypatch, num_films, jobs, gpus, dealt, at_a_time):
    devices = tuple(torch.device("cuda", number) for number in range(gpus))
    monkeypatch.setattr(batch_module, "choose_gpus", lambda text: devices)
    places = places_for(num_films, jobs=jobs, gpus="all")
    assert [place.gpus for place in places] == dealt
    assert {place.films_at_a_time for place in places} == {at_a_time}


@pytest.mark.parametrize(("jobs", "num_places"), [(None, 1), (1, 1), (2, 2), (7, 3)])
def test_elsewhere_one_film_is_made_at_a_time(jobs, num_places):
    places = places_for(3, jobs=jobs, device="cpu")
    assert places == (Place("cpu", films_at_a_time=num_places),) * num_places


# Several outputs of a timeline.

OUTPUTS = "output: [{file: NAME.mp4}, {file: NAME.gif, fps: 20}]\n"


@pytest.fixture
def outputs(folder):
    """The folder, in which two timelines have two outputs each."""
    for seed, name in enumerate(("one", "two")):
        text = REEL.replace("SEED", str(seed)) + OUTPUTS.replace("NAME", f"renders/{name}")
        (folder / f"{name}.yaml").write_text(text)
    return folder


def lines_of(out):
    """The table: timeline, result and the rest of each line."""
    lines = out.splitlines()
    start = next(n for n, line in enumerate(lines) if line.startswith("timeline  "))
    return [tuple(re.split(r"  +", line, maxsplit=2)[:2]) for line in lines[start + 1 :]]


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_films_of_several_outputs_are_those_of_renders_one_by_one(outputs, run, jobs):
    for name in ("one.yaml", "two.yaml"):
        assert run(name, "--quiet")[0] == 0
    alone = {path.name: path.read_bytes() for path in (outputs / "renders").glob("[!.]*")}
    code, out, _ = run("one.yaml", "two.yaml", "--jobs", jobs)
    assert code == 0
    expected = [("one.yaml",) * 2, ("two.yaml",) * 2]
    assert lines_of(out) == [(name, "rendered") for pair in expected for name in pair]
    found = {path.name: path.read_bytes() for path in (outputs / "renders").glob("[!.]*")}
    assert found == alone
    assert set(found) == {"one.mp4", "one.gif", "two.mp4", "two.gif"}
    again = lines_of(run("one.yaml", "two.yaml")[1])
    assert again == [(name, "up to date") for pair in expected for name in pair]


def test_of_several_outputs_only_what_is_missing_is_made(outputs, run):
    assert run("one.yaml", "two.yaml", "--quiet")[0] == 0
    renders = outputs / "renders"
    before = {path.name: path.read_bytes() for path in renders.glob("[!.]*")}
    (renders / "one.gif").unlink()
    code, out, _ = run("one.yaml", "two.yaml", "--json")
    assert code == 0
    *events, batch = [json.loads(line) for line in out.splitlines()]
    told = {Path(row["file"]).name: row["result"] for row in batch["films"]}
    assert told == {
        "one.mp4": "up to date",
        "one.gif": "rendered",
        "two.mp4": "up to date",
        "two.gif": "up to date",
    }
    results = {Path(event["file"]).name: event for event in events if event["event"] == "result"}
    assert results["one.gif"]["frames"] == 40
    assert results["one.mp4"]["up_to_date"]
    assert {path.name: path.read_bytes() for path in renders.glob("[!.]*")} == before


def test_outputs_of_two_timelines_never_write_the_same_film(outputs, run):
    text = REEL.replace("SEED", "7") + "output: [{file: renders/one.gif}, {file: x.mp4}]\n"
    (outputs / "two.yaml").write_text(text)
    code, out, err = run("one.yaml", "two.yaml", "three.yaml")
    assert code == 2
    assert re.search("error: two.yaml: would replace .*/renders/one.gif, which one.yaml is", err)
    expected = [("one.yaml", "rendered")] * 2 + [("two.yaml", "failed"), ("three.yaml", "rendered")]
    assert lines_of(out) == expected
    assert not (outputs / "x.mp4").exists()


@pytest.mark.parametrize("files", [["one.yaml"], ["one.yaml", "two.yaml"]])
def test_outputs_of_one_name_are_not_put_into_one_folder(outputs, run, files):
    text = REEL.replace("SEED", "7") + "output: [{file: a/x.mp4}, {file: b/x.mp4}]\n"
    (outputs / "one.yaml").write_text(text)
    code, _, err = run(*files, "--output", "folder")
    assert code == 2
    assert "two outputs would be one file of folder/x.mp4, folder/x.mp4" in err
    assert not (outputs / "folder/x.mp4").exists()


def test_a_range_of_frames_is_of_the_first_output(outputs, run):
    code, out, _ = run("one.yaml", "two.yaml", "--frames", "4..9")
    assert code == 0
    assert [line[1] for line in lines_of(out)] == ["rendered"] * 4
    assert count_frames(outputs / "renders/one-frames-4-9.mp4") == 6
    assert (outputs / "renders/one-frames-8-19.gif").exists()
    assert [line[1] for line in lines_of(run("one.yaml", "two.yaml", "--frames", "4..9")[1])] == [
        "up to date"
    ] * 4


def test_a_film_with_its_recipe_is_another_film(folder, run):
    assert run("one.yaml", "two.yaml", "--quiet")[0] == 0
    code, out, _ = run("one.yaml", "two.yaml", "--no-recipe")
    assert (code, set(results_of(out).values())) == (0, {"rendered"})
    bare = films_in(folder)
    code, out, _ = run("one.yaml", "two.yaml", "--no-recipe")
    assert (code, set(results_of(out).values())) == (0, {"up to date"})
    assert run("one.yaml", "two.yaml", "--quiet")[0] == 0
    assert all(len(film) > len(bare[name]) for name, film in films_in(folder).items())


def test_frames_are_expected_before_films_are_open(outputs):
    timeline = load_timeline("one.yaml")
    assert expected_frames(timeline) == 20 + 40
    assert expected_frames(timeline, range(4, 10)) == 6 + 12
