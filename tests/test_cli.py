"""Every command does what it says, and tells mistakes with the right exit code."""

import contextlib
import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import animix
from animix.cli.arguments import film_target
from animix.film import open_film
from animix.timeline.reader import load_timeline
from animix.video.mp4 import count_frames
from tests.tiny import relative_of, tiny_tensors, write_tensors, write_tiny

REEL = """
networks: {faces: faces.safetensors, art: "art-*.safetensors"}
duration: 1s
fps: 10
latents: [3, 17]
blend: {swap: {0%: none, 50%: 8, 100%: none}}
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The current folder, with networks, a good timeline and a bad one."""
    tensors, metadata = tiny_tensors()
    write_tensors(tmp_path / "faces.safetensors", tensors, metadata)
    for number in (1, 2):
        relative = relative_of(tensors, amount=0.05 * number, seed=number)
        write_tensors(tmp_path / f"art-{number}.safetensors", relative, metadata)
    (tmp_path / "reel.yaml").write_text(REEL)
    (tmp_path / "bad.yaml").write_text(REEL.replace("50%: 8", "50%: 8 ease-inn").replace("1s", "1"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_help_and_version_answer_without_torch(run):
    code = "import sys, animix.cli.commands; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
    code, out, _ = run("--help")
    assert code == 0
    assert "render" in out
    assert run("--version")[1] == f"animix {animix.__version__}\n"


def test_help_waits_for_no_large_package():
    program = "import runpy, sys; sys.argv = ['animix', '--help']\n" + (
        "try:\n    runpy.run_module('animix', run_name='__main__')\n"
        "finally:\n    print(*sys.modules, sep='\\n', file=sys.stderr)"
    )
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert "render" in done.stdout
    assert {"animix", "typer"} <= set(done.stderr.split())
    # Seconds would be the machine's; 0.14 on two idle cores, of which Python and typer take 0.1.
    large = {"torch", "numpy", "scipy", "yaml", "PIL", "rich", "importlib.metadata"}
    assert not large & set(done.stderr.split())


def test_render_writes_a_film_and_says_where(folder, run):
    code, out, err = run("render", "reel.yaml", "--device", "cpu")
    assert code == 0
    assert out.startswith("renders/reel.mp4  10 frames, 1 s, 16×16")
    assert re.search(r"\(\d+\.\d fps, cpu; (painting|encoding) took longest\)", out)
    assert "10/10  " in err
    assert count_frames(folder / "renders" / "reel.mp4") == 10


def test_a_bad_timeline_does_not_stop_the_others(folder, run):
    (folder / "next.yaml").write_text(REEL)
    code, out, err = run("render", "reel.yaml", "bad.yaml", "next.yaml", "--output", "out")
    assert code == 2
    assert "bad.yaml:3:11  1 needs a unit" in err
    assert 'unknown ease "ease-inn"' in err
    assert 'did you mean "ease-in"?' in err
    assert "2 mistakes in bad.yaml" in err
    assert out.count("10 frames") == 2
    assert sorted(path.name for path in (folder / "out").glob("[!.]*")) == ["next.mp4", "reel.mp4"]


@pytest.mark.parametrize(("files", "highest"), [([], 1), (["bad.yaml"], 2)])
def test_the_highest_code_of_a_batch_counts(folder, run, files, highest):
    tensors, metadata = tiny_tensors()
    huge = {
        name: 1e30 * tensor if name.startswith("synthesis.") else tensor
        for name, tensor in tensors.items()
    }
    write_tensors(folder / "faces-huge.safetensors", huge, metadata)
    overflow = REEL.replace("faces.saf", "faces-huge.saf")
    (folder / "overflow.yaml").write_text(overflow)
    code, _, err = run("render", *files, "overflow.yaml", "reel.yaml", "--output", "out")
    assert code == highest
    assert "overflow" in err
    assert [path.name for path in (folder / "out").glob("[!.]*")] == ["reel.mp4"]


def test_two_timelines_never_write_the_same_film(folder, run):
    (folder / "sub").mkdir()
    (folder / "sub" / "reel.yaml").write_text(REEL.replace("faces.saf", "../faces.saf"))
    text = (folder / "sub" / "reel.yaml").read_text().replace("art-", "../art-")
    (folder / "sub" / "reel.yaml").write_text(text)
    code, _, err = run("render", "reel.yaml", "sub/reel.yaml", "--quiet")
    assert code == 2
    assert "would replace" in err


MUSIC = (
    REEL.replace("duration: 1s", "duration: 4b")
    + """
audio: {bpm: 120}
markers: {drop: bar 1 beat 2}
sections: {hook: drop..drop + 2b, rest: drop + 2b..end, blink: 1010ms..1020ms}
"""
)


@pytest.mark.parametrize(
    ("section", "name", "frames"),
    [("hook", "reel-frames-5-14.mp4", 10), ("rest", "reel-frames-15-19.mp4", 5)],
)
def test_a_section_alone_is_rendered(folder, run, section, name, frames):
    (folder / "reel.yaml").write_text(MUSIC)
    code, out, _ = run("render", "reel.yaml", "--section", section)
    assert (code, out.split("  ")[0]) == (0, f"renders/{name}")
    assert count_frames(folder / "renders" / name) == frames


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--section", "hok"], '--section "hok": there is no such section; did you mean "hook"?'),
        (["--section", "zzz"], "the sections are hook, rest, blink"),
        (["--section", "hook", "--frames", "1..2"], "both name a part: give one of them"),
    ],
)
def test_a_section_that_is_none_is_an_error(folder, run, options, message):
    (folder / "reel.yaml").write_text(MUSIC)
    code, _, err = run("render", "reel.yaml", *options)
    assert code == 2
    assert message in err


def test_a_timeline_without_sections_says_how_to_write_one(folder, run):
    code, _, err = run("render", "reel.yaml", "--section", "hook")
    assert code == 2
    assert "the timeline has none; write sections: {hook: 2s..6s}" in err


def test_check_tells_sections_and_still_takes_markers(folder, run):
    (folder / "reel.yaml").write_text(MUSIC.replace(", blink: 1010ms..1020ms", ""))
    code, out, _ = run("check", "reel.yaml")
    assert code == 0
    assert "  section hook: frames 5..14, 0.5 s to 1.5 s\n" in out
    for at, frame in (("drop + 1b", 10), ("bar 1 beat 4", 15), ("3b", 15)):
        code, out, _ = run("still", "reel.yaml", "--at", at)
        assert (code, out.split("  ")[0]) == (0, f"renders/reel-frame-{frame}.png")
    code, _, err = run("still", "reel.yaml", "--at", "dorp")
    assert code == 2
    assert 'did you mean "drop"?' in err


@pytest.mark.parametrize("command", [["check"], ["render", "--section", "blink"]])
def test_a_section_without_a_frame_is_a_mistake_at_its_place(folder, run, command):
    (folder / "reel.yaml").write_text(MUSIC)
    code, _, err = run(*command, "reel.yaml")
    assert code == 2
    assert "reel.yaml:10:64  section blink shows no frame at 10 fps" in err


@pytest.mark.parametrize(
    ("options", "name", "frames"),
    [
        (["--frames", "2..4"], "reel-frames-2-4.mp4", 3),
        (["--draft"], "reel-draft.mp4", 10),
        (["--draft", "--frames", "7"], "reel-frames-7-7-draft.mp4", 1),
        (["--set", "duration=5f"], "reel.mp4", 5),
        (["--set", "fps=20", "--set", "blend.swap=16"], "reel.mp4", 20),
    ],
)
def test_options_change_what_is_rendered(folder, run, options, name, frames):
    assert run("render", "reel.yaml", "--quiet", *options) == (0, "", "")
    assert count_frames(folder / "renders" / name) == frames


OUTPUTS = {
    "a film for a platform": ("{preset: square, size: 32x32}", "reel-square.mp4", "30 frames, 1 s"),
    "a GIF": ("reel.gif", None, "10 frames, 1 s, 16×16"),
    "pictures": ("png", "reel", "10 frames, 1 s, 16×16"),
}


@pytest.mark.parametrize(("output", "name", "words"), OUTPUTS.values(), ids=OUTPUTS)
def test_outputs_of_all_kinds_are_rendered(folder, run, output, name, words):
    code, out, _ = run("render", "reel.yaml", "--set", f"output={output}", "--device", "cpu")
    assert code == 0
    assert words in out
    assert (folder / "renders" / name if name else folder / "reel.gif").exists()
    code, out, _ = run("render", "reel.yaml", "--set", f"output={output}", "--output", "folder/")
    assert code == (0 if name == "reel" else 2)


def test_check_and_render_refuse_what_a_platform_would_refuse(folder, run):
    for command in ("check", "render"):
        code, out, err = run(command, "reel.yaml", "--set", "output=reels")
        assert (code, out) == (2, "")
        assert "--set output:1:1  reels: the length is 1 s, Instagram Reels takes from 3 to" in err
        assert "write duration: 3s, or choose another preset (Meta" in err
    assert not (folder / "renders").exists()


def test_a_gif_that_is_too_large_is_told(folder, run, monkeypatch):
    monkeypatch.setattr("animix.delivery.size_warning", lambda film, target: "it is too large")
    _, _, err = run("render", "reel.yaml", "--set", "output={preset: gif, size: 16x16}")
    assert "note: it is too large" in err


BOTH = "output=[{file: a.mp4, size: 32x32}, {preset: gif, size: 16x16, fps: 20}]"


def test_several_outputs_are_told_one_by_one(run, folder):
    code, out, _ = run("render", "reel.yaml", "--set", BOTH, "-o", "films")
    assert (code, re.findall(r"^films/(\S+)  (\d+) frames, 1 s, (\S+);", out, re.MULTILINE)) == (
        0,
        [("a.mp4", "10", "32×32"), ("reel.gif", "20", "16×16")],
    )
    assert count_frames(folder / "films" / "a.mp4") == 10
    _, out, _ = run("render", "reel.yaml", "--set", BOTH, "-o", "films", "--json")
    events = [json.loads(line) for line in out.splitlines()]
    made = [(event["file"], event["frames"]) for event in events if event["event"] == "result"]
    assert made == [("films/a.mp4", 10), ("films/reel.gif", 20)]


@pytest.mark.usefixtures("folder")
def test_several_outputs_need_a_folder(run):
    code, _, err = run("render", "reel.yaml", "--set", BOTH, "-o", "reel.mp4")
    assert (code, "--output reel.mp4: for several films, name a folder" in err) == (2, True)
    code, _, err = run("render", "reel.yaml", "--set", "output=[draft, draft]")
    assert (code, "a second output would be written to renders/reel-draft.mp4" in err) == (2, True)


@pytest.mark.usefixtures("folder")
def test_check_tells_all_outputs(run):
    code, out, _ = run("check", "reel.yaml", "--set", BOTH)
    assert code == 0
    assert "reel.gif: gif, 20 frames at 20 fps, 16×16" in out
    assert "a.mp4: h264, 10 frames at 10 fps, 32×32" in out
    told, *_ = run("check", "reel.yaml", "--set", BOTH, "--json")[1].splitlines()
    assert [each["codec"] for each in json.loads(told)["outputs"]] == ["h264", "gif"]
    assert ": h264" not in run("check", "reel.yaml")[1]


def test_presets_are_listed_with_their_sources(run):
    code, out, err = run("presets")
    assert (code, err) == (0, "")
    assert re.search(r"^reels +Instagram Reels +mp4 h264 +1080x1920 +30 +17 +24 Mbps$", out, re.M)
    assert "seconds  from 3 to 900 s" in out
    assert "Meta, Instagram Platform, IG User Media reference" in out
    code, out, _ = run("presets", "--json")
    found = {event["preset"]: event for event in map(json.loads, out.splitlines())}
    assert found["gif"]["numbers"]["fps"]["value"] == "20"
    assert found["gif"]["limits"][0]["high"] == 350
    assert all(number["date"] for each in found.values() for number in each["numbers"].values())
    assert run("presets", "--quiet") == (0, "", "")


@pytest.mark.parametrize(
    "options",
    [
        ["--frames", "5..99"],
        ["--frames", "x"],
        ["--device", "abacus"],
        ["--gpus", "9999"],
        ["--gpus", "all", "--device", "cpu"],
        ["--memory", "much"],
        ["--memory", "-1GB"],
        ["--memory", "8GB", "--device", "cpu"],
        ["--precision", "double"],
        ["--device", "cpu", "--precision", "float16"],
        ["--output", "film.avi"],
        ["--set", "duration"],
        ["--set", "nonsense.key=3"],
        ["--set", "duration=5"],
        ["--unknown"],
    ],
)
def test_options_that_make_no_sense_end_with_2(folder, run, options):
    code, _, err = run("render", "reel.yaml", *options)
    assert code == 2
    assert err.strip()
    assert "Traceback" not in err
    assert not (folder / "renders").exists()


def test_json_tells_machines_everything(folder, run):
    code, out, err = run("render", "reel.yaml", "bad.yaml", "--json")
    events = [json.loads(line) for line in out.splitlines()]
    assert code == 2
    assert err == ""
    steps = [event for event in events if event["event"] == "progress"]
    assert steps and (steps[-1]["done"], steps[-1]["total"]) == (10, 10)
    result = next(event for event in events if event["event"] == "result")
    assert (result["file"], result["frames"], result["fps"]) == ("renders/reel.mp4", 10, "10")
    error, batch = events[-2:]
    assert batch["event"] == "batch"
    assert (error["event"], error["exit_code"]) == ("error", 2)
    assert [mistake["line"] for mistake in error["mistakes"]] == [3, 6]


@pytest.mark.parametrize("precision", [None, "float32", "bfloat16"])
def test_a_still_is_the_frame_of_the_render(folder, run, precision):
    chosen = ("--precision", precision) if precision else ()
    code, out, _ = run("still", "reel.yaml", "--at", "50%", "--device", "cpu", *chosen)
    assert code == 0
    assert "renders/reel-frame-5.png" in out
    timeline = load_timeline(folder / "reel.yaml")
    film = open_film(timeline, device="cpu", precision=precision)
    assert (np.asarray(Image.open(folder / "renders/reel-frame-5.png")) == film.rgb8(5)).all()


@pytest.mark.parametrize("options", [["--at", "2s"], ["--at", "5"], ["--at", "0", "-o", "a.jpg"]])
def test_a_still_that_can_not_be_fails(folder, run, options):
    code, _, err = run("still", "reel.yaml", *options)
    assert code == 2
    assert err.startswith("error: --")


def test_check_tells_what_will_be_rendered(folder, run):
    code, out, err = run("check", "reel.yaml")
    assert (code, err) == (0, "")
    assert "10 frames, 1 s at 10 fps, 16×16; loops: every track meets itself" in out
    assert "faces: 16 px" in out
    assert "2 snapshots; related to the base" in out


def test_check_finds_all_mistakes(folder, run):
    code, out, err = run("check", "bad.yaml")
    assert (code, out) == (2, "")
    assert "2 mistakes in bad.yaml" in err


def test_check_warns_of_networks_without_a_common_ancestor(folder, run):
    write_tiny(folder / "art-2.safetensors", seed=99)
    code, out, err = run("check", "reel.yaml")
    assert code == 0
    assert "NOT related" in out
    assert "art is no relative of faces" in err


def test_check_notes_networks_that_compute_in_other_ways(folder, run):
    art = animix.load_network(folder / "art-2.safetensors")
    clamped = replace(art, facts=replace(art.facts, conv_clamp=256.0))
    animix.save_network(clamped, folder / "art-2.safetensors")
    code, _, err = run("check", "reel.yaml")
    assert code == 0
    assert "faces and art differ in the clamp of activations: none and ±256" in err


def test_check_writes_the_schedule(folder, run):
    assert run("check", "reel.yaml", "--csv", "reel.csv")[0] == 0
    assert len((folder / "reel.csv").read_text().splitlines()) == 11


def test_check_can_not_write_two_schedules_to_one_file(folder, run):
    (folder / "other.yaml").write_text(REEL)
    code, _, err = run("check", "reel.yaml", "other.yaml", "--csv", "reel.csv")
    assert code == 2
    assert "give one timeline" in err
    assert not (folder / "reel.csv").exists()


@pytest.mark.parametrize(
    ("command", "option", "name"),
    [
        (["check", "reel.yaml"], "--csv", "rows.csv"),
        (["still", "reel.yaml", "--at", "0"], "--output", "still.png"),
        (["seeds", "reel.yaml", "1..2"], "--output", "seeds.png"),
        (["render", "reel.yaml"], "--output", "film.mp4"),
        (["new", "faces.safetensors"], "--output", "new.yaml"),
    ],
)
def test_a_place_that_can_not_be_written_fails(folder, run, command, option, name):
    (folder / "file").write_text("no folder")
    code, _, err = run(*command, option, f"file/{name}")
    assert code == 2
    assert name in err
    assert (folder / "file").read_text() == "no folder"


@pytest.mark.parametrize("file", ["faces.safetensors", "reel.yaml"])
def test_seeds_draws_a_numbered_sheet(folder, run, file):
    code, out, _ = run("seeds", file, "1..5")
    assert code == 0
    target = folder / "renders" / f"{Path(file).stem}-seeds.png"
    assert f"{target.relative_to(folder)}  5 seeds" in out
    views = 2 if file.endswith("yaml") else 1
    image = np.asarray(Image.open(target))
    assert image.shape[1] >= 2 * (views * 16)
    assert len(np.unique(image)) > 50


def test_seeds_orders_by_closeness_in_w(folder, run):
    _, out, _ = run("seeds", "faces.safetensors", "1..20", "--like", "7", "--json")
    order = json.loads(out.splitlines()[-1])["seeds"]
    assert order[0] == 7
    assert sorted(order) == list(range(1, 21))
    network = animix.load_network(folder / "faces.safetensors")
    ws = {seed: network.mapping(np.random.RandomState(seed).randn(1, 16))[0, 0] for seed in order}
    distances = [float((ws[seed] - ws[7]).norm()) for seed in order]
    assert distances == sorted(distances)


@pytest.mark.parametrize(
    "arguments",
    [
        ["5..1"],
        ["x"],
        ["1..99999"],
        ["1..4294967296"],
        ["1..5", "--like", "-3"],
        ["1..5", "--at", "20%"],
        ["1..5", "--output", "a.jpg"],
        ["1..5", "--set", "a=1"],
        ["1..5", "--device", "cpu", "--precision", "bfloat16"],
    ],
)
def test_seeds_that_can_not_be_drawn_fail(folder, run, arguments):
    assert run("seeds", "faces.safetensors", *arguments)[0] == 2


def test_new_writes_a_timeline_that_renders(folder, run):
    write_tiny(folder / "stranger.safetensors", seed=50)
    files = ["art-2.safetensors", "faces.safetensors", "art-1.safetensors", "stranger.safetensors"]
    code, _, err = run("new", *files)
    assert code == 0
    assert "stranger is left out: it is no relative" in err
    text = (folder / "timeline.yaml").read_text()
    assert '"art-*.safetensors"' in text
    assert text.index("faces:") < text.index("art:")
    assert "stranger" not in text
    assert run("render", "timeline.yaml", "--quiet", "--frames", "0..2")[0] == 0


def test_new_guesses_the_base_from_metadata(folder, run):
    tensors, metadata = tiny_tensors(seed=5)
    write_tensors(folder / "zebra.safetensors", tensors, metadata)
    child = relative_of(tensors, amount=0.05)
    write_tensors(folder / "ant.safetensors", child, {**metadata, "parent": "zebra"})
    assert run("new", "ant.safetensors", "zebra.safetensors", "-o", "t.yaml")[0] == 0
    assert (folder / "t.yaml").read_text().index("zebra:") < (folder / "t.yaml").read_text().index(
        "ant:"
    )


def test_new_keeps_a_file_that_exists(folder, run):
    code, _, err = run("new", "faces.safetensors", "--output", "reel.yaml")
    assert code == 2
    assert "exists" in err
    assert (folder / "reel.yaml").read_text() == REEL


@pytest.mark.parametrize("command", ["render", "check", "seeds", "new"])
def test_a_missing_file_fails(folder, run, command):
    extra = ["1..3"] if command == "seeds" else []
    code, _, err = run(command, "gone.safetensors", *extra)
    assert code == 2
    assert "gone.safetensors" in err


@pytest.mark.parametrize(
    "arguments",
    [
        ["check", "reel.yaml", "--csv", "reel.yaml"],
        ["check", "reel.yaml", "--csv", "faces.safetensors"],
        ["render", "film.mp4", "--output", "film.mp4"],
        ["render", "reel.yaml", "--set", "networks.faces=film.mp4", "--output", "link.mp4"],
    ],
)
def test_what_is_read_is_never_written_over(folder, run, arguments):
    (folder / "film.mp4").write_text(REEL)
    if "--set" in arguments:
        (folder / "film.mp4").write_bytes((folder / "faces.safetensors").read_bytes())
        (folder / "link.mp4").symlink_to("film.mp4")
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    code, _, err = run(*arguments)
    assert code == 2
    assert "is read by this timeline" in err
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


@pytest.mark.parametrize(("stream", "code"), [("stdout", 1), ("stderr", 0)])
def test_a_line_that_can_not_be_told_does_not_cost_the_film(folder, stream, code):
    with Path("/dev/full").open("w") as full:
        streams = {"stderr": subprocess.PIPE, stream: full}
        process = start(folder, "render", "reel.yaml", text=True, **streams)
        _, err = process.communicate(timeout=30)
    assert process.returncode == code
    assert code == 0 or err.endswith("results told there are lost, files that stand are not\n")
    assert count_frames(folder / "renders" / "reel.mp4") == 10


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["render", "--help"],
        ["--version"],
        ["presets"],
        ["presets", "--json"],
        ["schema"],
        ["cache", "."],
        ["check", "reel.yaml"],
        ["check", "reel.yaml", "--json"],
        ["still", "reel.yaml", "--at", "0s"],
        ["render", "reel.yaml", "next.yaml"],
        ["render", "reel.yaml", "next.yaml", "--json"],
    ],
)
def test_every_command_says_that_its_results_were_lost(folder, run, monkeypatch, arguments):
    (folder / "next.yaml").write_text(REEL)
    with Path("/dev/full").open("w") as full:
        monkeypatch.setattr("sys.stdout", full)
        code, _, err = run(*arguments)
    assert code == 1
    assert "Traceback" not in err
    assert re.search(r"error: stdout.* (No space left on device|are lost)", err)


def test_what_is_told_to_nobody_is_not_lost(folder, run, monkeypatch):
    with Path("/dev/full").open("w") as full:
        monkeypatch.setattr("sys.stdout", full)
        assert run("check", "reel.yaml", "--quiet")[0] == 0


PLACES = {
    "reels.mp4": "is no file that a film could replace",
    "reel.yaml/sub/film.mp4": "Not a directory",
    "{preset: png, file: stills}": "is no folder of pictures that others could replace",
    "{preset: png, file: reel.yaml}": "is no folder of pictures that others could replace",
    f"{'long' * 100}.mp4": "File name too long",
}


@pytest.mark.parametrize(("output", "words"), PLACES.items())
def test_check_tells_what_render_would_of_a_place(folder, run, output, words):
    (folder / "reels.mp4").mkdir()
    (folder / "stills").mkdir()
    (folder / "stills" / "kept").touch()
    (folder / "reel.yaml").write_text(f"{REEL}output: [{output}, fine/a.gif, {{file: fine/b.mp4}}]")
    before = sorted(folder.rglob("*"))
    code, _, err = run("check", "reel.yaml")
    assert code == 2
    assert words in err
    assert re.search(r"reel.yaml:7:\d+  .*name another output\n\n1 mistake", err, re.DOTALL)
    assert run("render", "reel.yaml", "--set", f"output={output}")[0] == 2
    assert sorted(folder.rglob("*")) == before


def test_check_tells_of_a_folder_that_can_not_be_written_to(folder, run, monkeypatch):
    def refused(path, *_, **__):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "touch", refused)  # root may write anywhere
    code, _, err = run("check", "reel.yaml")
    assert code == 2
    assert "renders/reel.mp4: can't be written: Permission denied" in err


def test_new_from_a_film_that_is_not_there_is_about_the_film(folder, run):
    code, out, _ = run("new", "--from", "nope.mp4", "--json")
    assert code == 2
    assert json.loads(out)["subject"] == "nope.mp4"


def test_ctrl_c_while_torch_is_imported_is_an_interruption(folder):
    process = start(folder, "render", "reel.yaml", stderr=subprocess.PIPE, text=True)
    maps = Path(f"/proc/{process.pid}/maps")
    if maps.exists():  # elsewhere any moment must do
        wait_for(lambda: "libtorch" in maps.read_text())
    else:
        time.sleep(1)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert (process.returncode, err.strip()) == (130, "interrupted")


def test_several_films_do_not_fit_into_one_file(folder, run):
    code, _, err = run("render", "reel.yaml", "bad.yaml", "--output", "film.mp4")
    assert code == 2
    assert "name a folder" in err


def test_new_prints_a_command_that_can_be_pasted(folder, run):
    code, out, _ = run("new", "faces.safetensors", "--output", "my reel.yaml")
    assert code == 0
    assert "animix render 'my reel.yaml'" in out
    assert "animix check 'my reel.yaml'" in (folder / "my reel.yaml").read_text()


def test_new_splits_files_that_can_not_be_one_run(folder, run):
    write_tiny(folder / "big-16.safetensors", img_resolution=16, seed=3)
    write_tiny(folder / "big-32.safetensors", img_resolution=32, seed=3)
    code, _, err = run("new", "big-16.safetensors", "big-32.safetensors")
    assert code == 0
    assert "left out" in err
    assert run("check", "timeline.yaml")[0] == 0


def start(folder, *arguments, **settings):
    command = [sys.executable, "-m", "animix", *arguments]
    return subprocess.Popen(command, cwd=folder, start_new_session=True, **settings)


def wait_for(condition, seconds=30):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.05)


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_an_interruption_leaves_no_half_film(folder, number, code):
    (folder / "long.yaml").write_text(REEL.replace("1s", "500s"))
    process = start(folder, "render", "long.yaml", stderr=subprocess.PIPE, text=True)
    wait_for(lambda: (folder / "renders").exists() and any((folder / "renders").iterdir()))
    process.send_signal(number)
    _, err = process.communicate(timeout=20)
    assert process.returncode == code, err
    assert "Traceback" not in err
    if number == signal.SIGINT:
        assert err.rstrip().endswith("interrupted")
    # Nothing but chunks, if any was finished so soon.
    assert {path.name for path in (folder / "renders").iterdir()} <= {".animix"}
    assert not list((folder / "renders").rglob("*part*"))
    assert not list((folder / "renders").rglob("user*"))


def test_an_interrupted_render_says_what_it_goes_on_from(folder, run):
    (folder / "long.yaml").write_text(REEL.replace("1s", "16s").replace("fps: 10", "fps: 20"))
    process = start(folder, "render", "long.yaml", stderr=subprocess.PIPE, text=True)
    wait_for(
        lambda: list((folder / "renders").rglob("[0-9a-f]*.mp4")) or process.poll() is not None
    )
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=20)
    if process.returncode:  # it may have been quicker
        code, out, err = run("render", "long.yaml")
        assert code == 0
        assert re.search(r"note: (96|192|288) of 320 frames were rendered before", err)
        assert "320 frames, 16 s" in out
    assert [path.name for path in (folder / "renders").iterdir()] == ["long.mp4"]
    assert run("render", "long.yaml", "--keep-cache", "--quiet") == (0, "", "")
    code, out, _ = run("render", "long.yaml", "--json")
    assert json.loads(out.splitlines()[-1])["frames_before"] == 320
    assert json.loads(out.splitlines()[0])["text"] == "320 of 320 frames were rendered before"
    assert "all of it was rendered before" in json.loads(out.splitlines()[-1])["text"]
    assert [path.name for path in (folder / "renders").iterdir()] == ["long.mp4"]


@pytest.mark.parametrize("options", [["--keep-cache"], ["--fresh"]])
def test_chunks_stay_when_they_are_asked_for(folder, run, options):
    assert run("render", "reel.yaml", "--quiet", *options)[0] == 0
    found = [path.name for path in (folder / "renders").iterdir()]
    assert sorted(found) == ([".animix"] if "--keep-cache" in options else []) + ["reel.mp4"]


def test_where_nothing_is_left_to_render_no_pace_is_told(folder, run):
    (folder / "next.yaml").write_text(REEL)
    assert run("render", "reel.yaml", "--quiet", "--keep-cache")[0] == 0
    (folder / "renders" / "reel.mp4").unlink()
    code, out, err = run("render", "reel.yaml", "--keep-cache")
    assert code == 0
    assert "put together in" in out and "all of it was rendered before" in out
    assert "fps" not in out + err
    (folder / "renders" / "reel.mp4").unlink()
    code, out, _ = run("render", "reel.yaml", "next.yaml", "--json")
    made, _ = json.loads(out.splitlines()[-1])["films"]
    assert (made["result"], made["per_second"]) == ("rendered", None)


def test_a_name_never_breaks_its_line(folder, run):
    name = "two\nlines"
    (folder / f"{name}.yaml").write_text(REEL)
    code, out, err = run("render", f"{name}.yaml", "-o", "a\x1b[31m.mp4", "--set", "duration=2f")
    assert (code, out.count("\n")) == (0, 1)
    assert out.startswith("a\\x1b[31m.mp4  2 frames")
    assert "two\\nlines.yaml  2/2" in err
    _, out, _ = run("render", f"{name}.yaml", "reel.yaml")
    assert len(out.splitlines()) == 2 + 3
    _, out, _ = run("render", f"{name}.yaml", "--json")
    assert json.loads(out.splitlines()[-1])["file"] == f"renders/{name}.mp4"
    _, out, _ = run("check", f"{name}.yaml")
    assert out.startswith("two\\nlines.yaml: 10 frames")
    (folder / "reel.yaml").write_text(REEL.replace("faces.safetensors", r'"\e[31mnone.pkl"'))
    _, _, err = run("check", "reel.yaml")
    assert "none.pkl" in err and "\x1b" not in err


def test_a_name_that_is_no_text_is_told_all_the_same(folder):
    command = [sys.executable, "-m", "animix", "render", "reel.yaml", "--set", "duration=2f", "-o"]
    ended = subprocess.run(
        [*map(os.fsencode, command), b"a\xff.mp4"], cwd=folder, capture_output=True, check=False
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.startswith(b"a\\udcff.mp4  2 frames")


@pytest.mark.parametrize(
    "arguments",
    [
        ["render", "reel.yaml"],
        ["still", "reel.yaml"],
        ["new", "faces.safetensors"],
        ["project", "me.png", "-n", "faces.safetensors"],
        ["pairs", "faces.safetensors", "art-1.safetensors", "--count", 1],
    ],
)
def test_an_output_without_a_name_is_refused(folder, run, arguments):
    before = set(folder.rglob("*"))
    code, out, err = run(*arguments, "-o", "")
    assert (code, out) == (2, "")
    assert "'--output' / '-o': the name is empty" in err
    assert set(folder.rglob("*")) == before


def test_a_terminal_gets_a_bar_with_frames_per_second_and_eta(folder):
    leader, follower = pty.openpty()
    process = start(folder, "render", "reel.yaml", stderr=follower)
    os.close(follower)
    told = b""
    with contextlib.suppress(OSError):  # the terminal is gone when the process is
        while chunk := os.read(leader, 4096):
            told += chunk
    assert process.wait(20) == 0
    assert b"fps" in told
    assert b"left" in told


def test_a_reader_that_leaves_early_is_no_error(folder):
    command = f"'{sys.executable}' -m animix check reel.yaml reel.yaml reel.yaml | head -c 5"
    ended = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize("no_recipe", [True, False])
def test_the_demo_takes_no_recipe_along_if_asked(run, monkeypatch, no_recipe):
    asked = []

    def render(files, **options):
        asked.append((files, options["no_recipe"]))

    monkeypatch.setattr("animix.cli.render_command.render", render)
    assert run("demo", *(["--no-recipe"] if no_recipe else []))[0] == 0
    assert asked == [([animix.demo.TIMELINE], no_recipe)]


def test_pictures_are_rendered_again_to_their_place(tmp_path):
    planned, pictures, films = Path("renders/reel"), tmp_path / "pictures", tmp_path / "films"
    for file in (pictures / "frame-000000.png", films / "other.mp4"):
        file.parent.mkdir()
        file.touch()
    assert film_target(pictures, planned, batch=False) == pictures
    assert film_target(films, planned, batch=False) == films / "reel"
    assert film_target(pictures, Path("renders/reel.mp4"), batch=False) == pictures / "reel.mp4"
