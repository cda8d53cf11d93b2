"""The commands for checkpoints do what they say, and tell mistakes with the right exit code."""

import contextlib
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

import animix
from animix.cli.commands import app
from tests.nvidia_files import write_nvidia_pickle
from tests.tiny import relative_of, tiny_tensors, write_tensors, write_tiny

REEL = """
networks: {base: base.safetensors, art: "art-*.safetensors"}
duration: 1s
latents: [3, 17]
blend: {swap: {0%: none, 50%: 8, 100%: none}}
"""


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """The current folder, with a base, two snapshots, a stranger, a pickle and a timeline."""
    tensors, metadata = tiny_tensors()
    write_tensors(tmp_path / "base.safetensors", tensors, metadata)
    for number in (1, 2):
        child = relative_of(tensors, amount=0.05 * number, seed=number)
        write_tensors(tmp_path / f"art-{number}.safetensors", child, metadata)
    write_tiny(tmp_path / "stranger.safetensors", seed=50)
    write_tiny(tmp_path / "big.safetensors", img_resolution=32)
    write_nvidia_pickle(tmp_path / "art.pkl", relative_of(tensors, seed=9))
    (tmp_path / "reel.yaml").write_text(REEL)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def events(*arguments):
    """The exit code, and what a machine is told."""
    told = run(*arguments, "--json")
    assert told.stderr == ""
    return told.exit_code, [json.loads(line) for line in told.stdout.splitlines()]


def result(*arguments):
    code, told = events(*arguments)
    assert code == 0, told
    return [event for event in told if event["event"] == "result"][-1]


def test_inspect_tells_about_each_file():
    told = run("inspect", "base.safetensors", "art.pkl")
    assert told.exit_code == 0
    assert "base.safetensors: StyleGAN2 skip, 16 px, safetensors" in told.stdout
    assert "art.pkl: StyleGAN2 skip, 16 px, NVIDIA PyTorch pickle" in told.stdout
    facts = result("inspect", "art.pkl")
    assert (facts["img_resolution"], facts["num_ws"], facts["conv_clamp"]) == (16, 6, 256)


def test_inspect_goes_on_after_a_bad_file():
    told = run("inspect", "reel.yaml", "base.safetensors", "gone.pkl")
    assert told.exit_code == 2
    assert "base.safetensors: StyleGAN2" in told.stdout
    assert "error: reel.yaml" in told.stderr
    assert "error: gone.pkl: there is no such file" in told.stderr


def test_compare_measures_a_run_and_draws_it():
    told = run("compare", "base.safetensors", "art-*.safetensors", "--seeds", "1..2")
    assert told.exit_code == 0
    assert "2: art-2.safetensors: related to the base" in told.stdout
    assert "4/4" in told.stderr
    facts = result("compare", "base.safetensors", "art-1.safetensors", "--seeds", "1,7")
    assert facts["seeds"] == [1, 7]
    assert facts["others"][0]["related"] is True
    told = run("compare", "base.safetensors", "art-*", "--seeds", "1", "--plot", "a.svg", "-q")
    assert (told.exit_code, told.stdout, told.stderr) == (0, "", "")
    assert Path("a.svg").read_bytes().startswith(b"<?xml")


def test_what_can_not_be_blended_is_an_answer():
    facts = result("compare", "base.safetensors", "big.safetensors", "stranger.safetensors")
    big, stranger = facts["others"]
    assert (big["blendable"], big["related"]) == (False, None)
    assert "32 px" in big["refusal"]
    assert (stranger["blendable"], stranger["related"]) == (True, False)
    told = run("compare", "base.safetensors", "big.safetensors", "--plot", "a.svg")
    assert told.exit_code == 0
    assert "a.svg is not drawn" in told.stderr
    assert not Path("a.svg").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["base.safetensors"], "Missing argument"),
        (["base.safetensors", "gone-*.pkl"], "gone-*.pkl: there is no such file"),
        (["gone.pkl", "base.safetensors"], "gone.pkl: there is no such file"),
        (["base.safetensors", "reel.yaml"], "reel.yaml"),
        (["base.safetensors", "art-1.safetensors", "--seeds", "3..1"], "expected seeds"),
        (["base.safetensors", "art-1.safetensors", "--plot", "a.pdf"], ".svg or .png"),
        (["base.safetensors", "art-1.safetensors", "--device", "abacus"], "abacus"),
        (["base.safetensors", "link.svg", "--plot", "link.svg"], "is read by this command"),
        (
            ["base.safetensors", "art-1.safetensors", "--plot", "reel.yaml/a.svg"],
            "can't be written",
        ),
        (["base.safetensors", "art-1.safetensors", "--seeds", "1..9999"], "the most at a time"),
    ],
)
def test_compare_without_sense_ends_with_2(arguments, message):
    Path("link.svg").symlink_to("art-1.safetensors")
    told = run("compare", *arguments)
    assert told.exit_code == 2
    assert message in told.stderr
    assert not isinstance(told.exception, Exception)


def test_a_plot_that_can_not_be_written_is_told_before_anything_is_measured(monkeypatch):
    monkeypatch.setattr("animix.comparison.load_network", None)
    told = run("compare", "base.safetensors", "art-1.safetensors", "--plot", "reel.yaml/a.svg")
    assert told.exit_code == 2
    assert "reel.yaml/a.svg can't be written" in told.stderr


def test_compare_goes_on_after_a_bad_file():
    Path("art-1.safetensors").write_bytes(b"broken")
    code, told = events("compare", "base.safetensors", "art-*.safetensors", "--seeds", "1")
    assert code == 2
    (error,) = (event for event in told if event["event"] == "error")
    assert error["subject"] == "art-1.safetensors"
    (found,) = (event for event in told if event["event"] == "result")
    assert [other["name"] for other in found["others"]] == ["art-2"]


@pytest.mark.parametrize("place", ["/dev/full", None])
@pytest.mark.parametrize("options", [[], ["--json"]])
@pytest.mark.parametrize("command", [["inspect"], ["compare", "base.safetensors"]])
def test_what_can_not_be_told_is_an_error(monkeypatch, capsys, place, options, command):
    arguments = [*command, "art-1.safetensors", *options]
    with contextlib.ExitStack() as stack:
        # The file is full for good: what is left in its buffer goes to where tell() leads it.
        stdout = stack.enter_context(Path(place).open("w")) if place else None
        monkeypatch.setattr("sys.stdout", stdout)
        assert app(arguments, standalone_mode=False) == 1
    assert "results told there are lost" in capsys.readouterr().err


def test_pace_is_told_in_what_is_counted():
    told = run("compare", "base.safetensors", "art-*.safetensors", "--seeds", "1..2").stderr
    assert "seeds/s" in told
    assert "fps" not in told


def test_what_a_file_says_steers_no_terminal():
    tensors, metadata = tiny_tensors()
    tensors["synthesis.\x1b[31mred\nline"] = torch.zeros(1)
    write_tensors(Path("evil.safetensors"), tensors, metadata)
    told = run("inspect", "evil.safetensors")
    assert told.exit_code == 2
    assert "error: evil.safetensors" in told.stderr
    assert "\x1b" not in told.stderr
    assert len(told.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ["inspect", "base.safetensors"],
        ["compare", "base.safetensors", "art-1.safetensors", "--seeds", "1"],
        ["convert", "art.pkl", "-o", "a.safetensors"],
        ["blend", "base.safetensors", "art-1.safetensors", "--swap", "8", "-o", "b.safetensors"],
        ["check", "reel.yaml"],
        ["seeds", "reel.yaml", "1"],
        ["new", "base.safetensors", "art-1.safetensors"],
    ],
)
def test_whether_a_file_may_be_read_is_known_when_it_is(monkeypatch, arguments):
    # Asked beforehand, as typer does, one such file would stop a batch, in words of its own. Root,
    # as whom this may run, may read any file, so the one who would be asked says no.
    monkeypatch.setattr("os.access", lambda *_, **__: False)
    assert run(*arguments).exit_code == 0


def test_inspect_takes_globs():
    told = run("inspect", "art-*.safetensors", "gone-*.pkl")
    assert told.exit_code == 2
    assert [told.stdout.count(f"art-{n}.safetensors: StyleGAN2") for n in (1, 2)] == [1, 1]
    assert "gone-*.pkl" in told.stderr


def test_an_interrupted_grid_leaves_no_network(folder, monkeypatch):
    def press(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("animix.sheets.tile_of", press)
    told = run("blend", *TWO, "--swap", "8", "-o", "b.safetensors", "--grid", "g.png")
    assert told.exit_code == 130
    assert not {"b.safetensors", "g.png"} & {path.name for path in folder.iterdir()}


def test_convert_keeps_the_network():
    facts = result("convert", "art.pkl", "-o", "new/art.safetensors")
    assert (facts["format"], facts["file"]) == ("safetensors", "new/art.safetensors")
    before, after = map(animix.load_network, ("art.pkl", "new/art.safetensors"))
    assert all(torch.equal(t, after.tensors[name]) for name, t in before.tensors.items())
    assert after.facts.conv_clamp == 256
    assert after.metadata["converted_from"] == "NVIDIA PyTorch pickle"
    assert facts["metadata"] == after.metadata


def test_convert_to_a_pt_notes_what_is_left_out():
    network = tiny_tensors(channels=512, img_resolution=8, w_dim=8)[0]
    write_tensors(Path("wide.safetensors"), network, {"conv_clamp": "256"})
    told = run("convert", "wide.safetensors", "-o", "wide.pt")
    assert told.exit_code == 0
    assert "note: wide.pt has no clamp (here ±256)" in told.stderr
    assert "rosinality .pt" in told.stdout


def test_convert_writes_a_pickle_like_its_owners():
    tensors = animix.load_network("art-1.safetensors").tensors
    write_nvidia_pickle(Path("mine.pkl"), relative_of(dict(tensors)))
    assert run("convert", "mine.pkl", "--like", "art.pkl", "-o", "new.pkl").exit_code == 0
    before, after = map(animix.load_network, ("mine.pkl", "new.pkl"))
    assert all(torch.equal(t, after.tensors[name]) for name, t in before.tensors.items())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["art.pkl"], "Missing option"),
        (["art.pkl", "-o", "art.onnx"], "expected a name that ends in"),
        (["art.pkl", "-o", "art.pkl"], "--like ORIGINAL.pkl"),
        (["art.pkl", "-o", "new.pkl"], "--like ORIGINAL.pkl"),
        (["art.pkl", "-o", "new.pkl", "--like", "new.pkl"], "is the original itself"),
        (["art.pkl", "-o", "new.pt", "--like", "art.pkl"], "ends in .pkl"),
        (["art.pkl", "-o", "reel.yaml/a.safetensors"], "can't be written"),
        (["base.safetensors", "-o", "base.safetensors"], "is read by this command"),
        (["base.safetensors", "-o", "same.safetensors"], "is read by this command"),
        (["gone.pkl", "-o", "a.safetensors"], "no such file"),
        (["reel.yaml", "-o", "a.safetensors"], "reel.yaml"),
    ],
)
def test_convert_without_sense_ends_with_2(folder, arguments, message):
    Path("same.safetensors").symlink_to("base.safetensors")
    before = {path: path.read_bytes() for path in folder.iterdir()}
    told = run("convert", *arguments)
    assert told.exit_code == 2
    assert message in told.stderr
    assert {path: path.read_bytes() for path in folder.iterdir()} == before


def test_blend_writes_the_layer_swap():
    facts = result(
        "blend", "base.safetensors", "art-1.safetensors", "--swap", "8", "-o", "b.safetensors"
    )
    assert facts["metadata"]["parent"] == "base, art-1"
    base, art, found = map(
        animix.load_network, ("base.safetensors", "art-1.safetensors", "b.safetensors")
    )
    for layer in base.layers:
        parent = art if layer.resolution >= 8 else base
        for name in layer.tensors:
            assert torch.equal(found.tensors[name], parent.tensors[name]), name
    assert torch.equal(found.tensors["mapping.fc0.weight"], base.tensors["mapping.fc0.weight"])


def test_blend_takes_an_option_for_each_overlay():
    arguments = ["base.safetensors", "art-1.safetensors", "art-2.safetensors"]
    facts = result(
        "blend", *arguments, "--swap=8", "--swap=16", "--alpha=0.5", "-o", "b.safetensors"
    )
    assert facts["metadata"]["mix"] == (
        "b4.const to b4.conv1: 1 0 0; b8.conv0 to b8.conv1: 0.5 0.5 0; "
        "b16.conv0 to b16.conv1: 0.25 0.25 0.5"
    )


def test_blend_by_the_rule_of_old():
    arguments = ["base.safetensors", "art-1.safetensors", "--rule", "pinkney", "--resolution", "4"]
    assert run("blend", *arguments, "-o", "b.safetensors").exit_code == 0
    base, art, found = map(
        animix.load_network, ("base.safetensors", "art-1.safetensors", "b.safetensors")
    )
    for name, parent in (("b4.conv1.weight", base), ("b8.conv0.weight", art)):
        assert torch.equal(found.tensors[f"synthesis.{name}"], parent.tensors[f"synthesis.{name}"])


def test_blend_writes_the_moment_of_a_timeline_and_draws_it():
    told = run("blend", "reel.yaml", "--at", "50%", "-o", "b.safetensors", "--grid", "g.png")
    assert told.exit_code == 0
    assert "g.png  4 seeds: base, blend, art-2" in told.stdout
    assert "reel.yaml at 0.5 s" in animix.load_network("b.safetensors").metadata["blend"]
    with Image.open("g.png") as drawn:
        image = np.asarray(drawn)
    assert len(np.unique(image)) > 50


def test_a_grid_needs_no_network_to_be_written(folder):
    arguments = ["base.safetensors", "art-1.safetensors", "--alpha", "1", "--grid", "g.png"]
    facts = result("blend", *arguments, "--seeds", "1,4294967295", "--device", "cpu")
    assert facts["networks"] == ["base", "blend", "art-1"]
    assert facts["seeds"] == [1, 4294967295]
    with Image.open("g.png") as drawn:
        image = np.asarray(drawn)
    # With alpha 1 the blend is the other one, and neither is the base.
    margin = image.shape[1] - 3 * 100
    columns = [image[22:38, margin + 100 * c : margin + 100 * c + 16] for c in range(3)]
    assert (columns[1] == columns[2]).all()
    assert (columns[0] != columns[1]).any()


def test_blend_notes_what_is_no_relative():
    told = run(
        "blend", "base.safetensors", "stranger.safetensors", "--alpha=0.5", "--grid", "g.png"
    )
    assert told.exit_code == 0
    assert "note: stranger is no relative of base" in told.stderr


TWO = ["base.safetensors", "art-1.safetensors"]
GRID = ["--grid", "g.png"]
RULE = ["--rule", "pinkney"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([*TWO, "--swap", "8"], "where to?"),
        ([*TWO, *GRID], "how?"),
        ([*TWO, "--swap", "8", "-o", "b.safetensors", "--seeds", "1"], "--seeds is for pictures"),
        ([*TWO, "--swap", "8", "-o", "b.safetensors", "--device", "cpu"], "--device is for pic"),
        ([*TWO, "--swap", "8", "--grid", "reel.yaml/g.png", "-o", "b.pt"], "can't be written"),
        ([*TWO, "--take", "low", *GRID], "--take needs a swap level"),
        ([*TWO, "--swap", "1e9", *GRID], "--swap 1000000000: "),
        (["base.safetensors", "art-*.safetensors", "--swap", "8", *GRID], "networks by name"),
        ([*TWO, *RULE, "--resolution", "8", "--blend-width", "-1", *GRID], "--blend-width -1: "),
        (
            [*TWO, "--swap", "8", "--grid", "g.jpg"],
            "--grid g.jpg: expected a name that ends in .png",
        ),
        ([*TWO, "--swap", "8", "-o", "b.onnx"], "b.onnx: expected a name"),
        ([*TWO, "--swap", "8", "-o", "base.safetensors"], "is read by this command"),
        ([*TWO, "--swap", "8", *GRID, "--like", "art.pkl"], "--like is for a network"),
        ([*TWO, "--swap", "8", "-o", "art.pkl", "--like", "art.pkl"], "is the original itself"),
        ([*TWO, "--swap", "99", *GRID], "goes from 4 to 32"),
        ([*TWO, "--swap", "8", "--swap", "8", *GRID], "--swap is given 2 times"),
        ([*TWO, "--take", "up", *GRID], "--take up"),
        ([*TWO, "--swap", "8", *GRID, "--seeds", "x"], "expected seeds"),
        ([*TWO, "--swap", "8", "--at", "1s", *GRID], "--at is for timelines"),
        ([*TWO, "--swap", "8", "--set", "fps=3", *GRID], "--set is for timelines"),
        ([*TWO, "--resolution", "8", "--swap", "8", *GRID], "--resolution is for --rule pinkney"),
        ([*TWO, *RULE, "--swap", "8", *GRID], "two ways to say it"),
        ([*TWO, *RULE, *GRID], "needs --resolution"),
        ([*TWO, *RULE, "--resolution", "64", *GRID], "finds nothing at resolution 64"),
        (
            [*TWO, *RULE, "--resolution", "abc", *GRID],
            '--resolution "abc": expected a whole number',
        ),
        (
            [*TWO, *RULE, "--resolution=8", "--level=x", *GRID],
            '--level "x": expected a whole number',
        ),
        (
            [*TWO, *RULE, "--resolution=8", "--blend-width=x", *GRID],
            '--blend-width "x": expected a',
        ),
        (
            [*TWO, *RULE, "--resolution=8", "--blend-width=nan", *GRID],
            "--blend-width nan: expected",
        ),
        ([*TWO, "art-2.safetensors", *RULE, "--resolution", "8", *GRID], "two networks"),
        ([*TWO, "--rule", "other", *GRID], "expected pinkney"),
        (["base.safetensors", "--swap", "8", *GRID], "alone is no blend"),
        (
            ["base.safetensors", "big.safetensors", "--swap", "8", *GRID],
            "base and big can't be mixed",
        ),
        (["base.safetensors", "gone.pkl", "--swap", "8", *GRID], "gone.pkl: there is no such file"),
        (["reel.yaml", *GRID], "when?"),
        (["reel.yaml", "--at", "9s", *GRID], "lies outside the clip"),
        (["reel.yaml", "--at", "0s", "--swap", "8", *GRID], "leave out --swap"),
        (["reel.yaml", "base.safetensors", "--at", "0s", *GRID], "leave out base.safetensors"),
        (["reel.yaml", "--at", "0s", "-o", "art-2.safetensors"], "is read by this command"),
    ],
)
def test_blend_without_sense_ends_with_2(folder, arguments, message):
    before = {path: path.read_bytes() for path in folder.iterdir()}
    told = run("blend", *arguments)
    assert told.exit_code == 2
    assert message in told.stderr
    assert {path: path.read_bytes() for path in folder.iterdir()} == before


@pytest.mark.parametrize(
    "arguments",
    [
        ["inspect", "base.safetensors"],
        ["compare", *TWO, "--seeds", "1"],
        ["convert", "art.pkl", "-o", "a.safetensors"],
        ["blend", *TWO, "--swap", "8", "-o", "a.safetensors"],
    ],
)
def test_quiet_commands_tell_errors_only(arguments):
    told = run(*arguments, "-q")
    assert (told.exit_code, told.stdout, told.stderr) == (0, "", "")


def test_an_interruption_ends_with_130(monkeypatch):
    def press(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("animix.drift.Measuring.add_seed", press)
    told = run("compare", *TWO)
    assert told.exit_code == 130
    assert "interrupted" in told.stderr
