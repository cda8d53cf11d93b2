"""animix project: its files, what it says; neither a Ctrl-C nor a second run loses work."""

import json

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

import animix
from animix.cli.report import Report
from animix.film import open_film
from animix.photos import alignment
from animix.photos.crop import Crop, square
from animix.projected import Projected, read_projected, write_projected
from animix.projection.recipe import Recipe
from animix.projection.tuning import TuningRecipe
from tests.test_discriminator import tiny_discriminator
from tests.tiny import write_tiny

STEPS = ("--steps", 6)


@pytest.fixture(autouse=True)
def one_thread():
    """Tiny networks are no work for several: threads that wait for each other take longer."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder with a network, its discriminator and two photos, which is worked in."""
    write_tiny(tmp_path / "base.safetensors")
    save_file(tiny_discriminator(), tmp_path / "base-discriminator.safetensors")
    rng = np.random.default_rng(0)
    for name in ("me", "you"):
        blocks = rng.integers(0, 255, (5, 6, 3), np.uint8)
        Image.fromarray(blocks).resize((60, 50), Image.Resampling.BICUBIC).save(
            tmp_path / f"{name}.png"
        )
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_each_photo_gets_its_files(place, run):
    code, out, err = run("project", "me.png", "you.png", "-n", "base.safetensors", *STEPS)
    assert code == 0, err
    assert "loss " in err
    assert "PSNR" in out
    for name in ("me", "you"):
        found = read_projected(place / "projected" / f"{name}.npz")
        assert (found.photo, found.photo_size, found.w.shape) == (f"{name}.png", (60, 50), (6, 16))
        assert found.crop.matrix.tolist() == [[50, 0, 5], [0, 50, 0], [0, 0, 1]]
        assert found.settings["features"] == "discriminator"
        assert len(found.losses) == found.settings["step"] == 6
        with Image.open(place / "projected" / f"{name}.png") as page:
            assert page.size == (16 + 4 + 16, 16)


def test_a_second_run_leaves_what_is_done(place, run):
    run("project", "me.png", "-n", "base.safetensors", *STEPS)
    before = (place / "projected/me.npz").stat().st_mtime_ns
    code, out, _ = run("project", "me.png", "-n", "base.safetensors", *STEPS)
    assert (code, "was there already" in out) == (0, True)
    assert (place / "projected/me.npz").stat().st_mtime_ns == before


@pytest.mark.parametrize("change", [("--faithful", 1), ("--crop", "0,0,40"), ("--steps", 7)])
def test_another_way_to_look_is_looked_for_again(place, run, change):
    run("project", "me.png", "-n", "base.safetensors", *STEPS)
    before = read_projected(place / "projected/me.npz")
    code, out, _ = run("project", "me.png", "-n", "base.safetensors", *STEPS, *change)
    assert (code, "already" in out) == (0, False)
    assert not np.array_equal(read_projected(place / "projected/me.npz").w, before.w)


def interrupted_after(count):
    def follow(self, title, steps, unit="fps"):
        for step in steps:
            if step.done == count:
                raise KeyboardInterrupt
            yield step

    return follow


def test_ctrl_c_keeps_what_was_found_and_the_same_command_goes_on(place, run, monkeypatch):
    command = ("project", "me.png", "you.png", "-n", "base.safetensors", *STEPS)
    with monkeypatch.context() as patched:
        patched.setattr(Report, "follow", interrupted_after(8))
        code, _, err = run(*command)
        assert code == 130
        assert "the best so far is in projected; the same command goes on" in err
    first = read_projected(place / "projected/me.npz")
    second = read_projected(place / "projected/you.npz")
    assert (first.settings["step"], second.settings["step"]) == (6, 2)
    code, out, _ = run(*command)
    assert (code, out.count("already")) == (0, 1)
    assert np.array_equal(read_projected(place / "projected/me.npz").w, first.w)
    done = read_projected(place / "projected/you.npz")
    assert (done.settings["step"], len(done.losses)) == (6, 6)
    assert np.array_equal(done.losses[:2], second.losses)


def at_once(self, title, steps, unit="fps"):
    raise KeyboardInterrupt


def test_ctrl_c_before_the_first_step_promises_nothing(place, run, monkeypatch):
    monkeypatch.setattr(Report, "follow", at_once)
    code, out, err = run("project", "me.png", "-n", "base.safetensors", *STEPS)
    assert (code, out, err) == (130, "", "interrupted\n")
    assert not list((place / "projected").glob("*"))


def test_ctrl_c_does_not_cost_what_another_recipe_has_found(place, run, monkeypatch):
    command = ("project", "me.png", "-n", "base.safetensors")
    assert run(*command, *STEPS)[0] == 0
    before = {path.name: path.read_bytes() for path in (place / "projected").iterdir()}
    with monkeypatch.context() as patched:
        patched.setattr(Report, "follow", interrupted_after(2))
        assert run(*command, "--steps", 9) == (130, "", "interrupted\n")
    assert {path.name: path.read_bytes() for path in (place / "projected").iterdir()} == before
    assert run(*command, "--steps", 9)[0] == 0
    assert read_projected(place / "projected/me.npz").settings["step"] == 9


def test_ctrl_c_while_tuning_keeps_the_network_that_was_tuned_for_longest(place, run, monkeypatch):
    tuned = place / "projected/me-tuned.safetensors"
    command = ("project", "me.png", "-n", "base.safetensors", *STEPS, "--tune", "--tuning-steps")
    for interruption, steps in ((6 + 3, "3"), (2, "3"), (4, "4")):
        with monkeypatch.context() as patched:
            patched.setattr(Report, "follow", interrupted_after(interruption))
            code, _, err = run(*command, 9)
        assert code == 130
        assert "goes on from there, but begins a tuning anew" in err
        assert animix.load_network(tuned).metadata["tuning_steps"] == steps
        assert read_projected(place / "projected/me.npz").settings["step"] == 6
    # One that is through replaces any.
    assert run(*command, 2)[0] == 0
    assert animix.load_network(tuned).metadata["tuning_steps"] == "2"


def test_a_tuned_network_is_a_snapshot_that_a_timeline_slides_into(place, run):
    tuned = place / "projected/me-tuned.safetensors"
    command = ("project", "me.png", "-n", "base.safetensors", *STEPS, "--tune", "--tuning-steps", 5)
    code, out, err = run(*command)
    assert (code, str(tuned.relative_to(place)) in out) == (0, True), err
    network, base = animix.load_network(tuned), animix.load_network("base.safetensors")
    assert network.metadata["parent"] == "base"
    assert network.metadata["tuned_to"] == "me.png"
    assert not torch.equal(
        network.tensors["synthesis.b8.conv0.weight"], base.tensors["synthesis.b8.conv0.weight"]
    )
    (place / "reel.yaml").write_text(
        "networks: {base: base.safetensors, me: projected/me-tuned.safetensors}\n"
        "duration: 1s\nfps: 4\nlatents: {seeds: [projected/me.npz, 7]}\n"
        "blend: [base, me: {snapshot: {0s: 0, end: 1}}]\n"
    )
    film = open_film(animix.load_timeline(place / "reel.yaml"), device="cpu")
    assert film.rgb8(0).tobytes() != film.rgb8(film.schedule.num_frames - 1).tobytes()
    before = tuned.stat().st_mtime_ns
    code, out, _ = run(*command)
    assert (code, "already" in out, tuned.stat().st_mtime_ns) == (0, True, before)
    with Image.open(place / "projected/me.png") as page:
        assert page.size == (16 * 3 + 8, 16)


def test_results_are_told_to_machines(place, run):
    code, out, _ = run("project", "me.png", "-n", "base.safetensors", *STEPS, "--json")
    events = [json.loads(line) for line in out.splitlines()]
    result = events[-1]
    assert (code, result["event"], result["file"]) == (0, "result", "projected/me.npz")
    assert result["psnr"] > 0
    assert events[0]["told"].startswith("loss")


def broken(place):
    (place / "broken.png").write_bytes((place / "me.png").read_bytes()[:200])


def two_of_a_name(place):
    (place / "folder").mkdir()
    (place / "folder/me.png").write_bytes((place / "me.png").read_bytes())


def in_the_way(place):
    (place / "projected").mkdir()
    np.savez(place / "projected/me.npz", w=np.ones(16))


def of_another_photo(place):
    write_projected(
        Projected(np.zeros((6, 16), np.float32), "me.jpg", "0" * 64, (60, 50)),
        place / "projected/me.npz",
    )


def a_picture_of_mine(place):
    (place / "projected").mkdir()
    (place / "me.png").rename(place / "me.jpg")
    (place / "you.png").rename(place / "projected/me.png")


def a_snapshot_of_mine(place):
    animix.project("me.png", "base.safetensors", recipe=Recipe(steps=6))
    (place / "projected/me-tuned.safetensors").write_bytes(b"\x40")


def a_file(place):
    (place / "projected").write_text("")


def nothing(place):
    pass


@pytest.mark.parametrize(
    ("prepare", "arguments", "told"),
    [
        (nothing, ["none.png"], "none.png: no such file"),
        (broken, ["broken.png"], "broken.png: is"),
        (nothing, ["base.safetensors"], "no picture"),
        (nothing, ["me.png", "--steps", 0], "0 steps: expected 1"),
        (nothing, ["me.png", "--faithful", "nan"], "faithful is nan"),
        (nothing, ["me.png", "--noise", "loud"], "fixed, regularised"),
        (nothing, ["me.png", "--crop", "1,2"], "expected X,Y,SIZE"),
        (nothing, ["me.png", "--crop", "20,20,50"], "reaches beyond the photo"),
        (nothing, ["me.png", "--face", 2], "--align"),
        (nothing, ["me.png", "--features", "vgg.pth"], "vgg.pth"),
        (nothing, ["me.png", "--batch", 0], "batch of 0"),
        (nothing, ["me.png", "--tune", "--tuning-steps", 0], "0 steps of tuning"),
        (nothing, ["me.png", "--device", "abacus"], "abacus"),
        (nothing, ["me.png", "-n", "nope.pkl"], "no such file"),
        (nothing, ["me.png", "-o", "."], "is read by this command"),
        (two_of_a_name, ["me.png", "folder/me.png"], "two photos would be one file"),
        (in_the_way, ["me.png"], "name another folder"),
        (of_another_photo, ["me.png"], "me.npz was found of another photo, or of me.jpg before"),
        (a_picture_of_mine, ["me.jpg"], "projected/me.png is there already, and no me.npz"),
        (a_snapshot_of_mine, ["me.png", "--tune"], "me-tuned.safetensors: the safetensors"),
        (nothing, ["me.png", "--tuning-steps", 3], "--tuning-steps 3: add --tune"),
        (a_file, ["me.png"], "name a folder"),
    ],
)
def test_what_can_not_be_is_told_in_a_sentence(place, run, prepare, arguments, told):
    prepare(place)
    before = {path: path.read_bytes() for path in place.rglob("*") if path.is_file()}
    code, _, err = run("project", "-n", "base.safetensors", *STEPS, *arguments)
    assert code == 2
    assert told in err
    assert "Traceback" not in err
    assert {path: path.read_bytes() for path in place.rglob("*") if path.is_file()} == before


def test_a_photo_that_can_not_be_read_costs_no_other(place, run):
    code, out, err = run("project", "none.png", "me.png", "-n", "base.safetensors", *STEPS)
    assert code == 2
    assert "none.png" in err
    assert "me.npz" in out


def test_each_face_of_a_photo_gets_a_file(place, run, monkeypatch):
    faces = (Crop(square(5, 0, 40).matrix, "face"), Crop(square(0, 0, 20).matrix, "face"))
    monkeypatch.setattr(alignment, "face_crops", lambda photo: faces)
    code, _, err = run("project", "me.png", "-n", "base.safetensors", *STEPS, "--align")
    assert code == 0, err
    sides = [read_projected(f"projected/{name}.npz").crop.side for name in ("me", "me-2")]
    assert sides == [40, 20]


def test_a_photo_without_a_face_is_painted_from_its_middle(place, run, monkeypatch):
    monkeypatch.setattr(alignment, "face_crops", lambda photo: ())
    code, _, err = run("project", "me.png", "-n", "base.safetensors", *STEPS, "--align")
    assert (code, "no face was found" in err) == (0, True)


def test_from_python_it_is_the_same(place):
    seen = []

    def follow(steps):
        for step in steps:
            seen.append(step.done)
            yield step

    found = animix.project(
        "me.png",
        "base.safetensors",
        "out",
        recipe=Recipe(steps=4),
        crop="1,2,40",
        tuning=TuningRecipe(steps=2),
        follow=follow,
    )
    assert seen == [1, 2, 3, 4, 5, 6]
    assert found[0].crop.side == 40
    assert np.array_equal(animix.read_projected("out/me.npz").w, found[0].w)
    assert (place / "out/me-tuned.safetensors").exists()


def test_an_interruption_in_python_keeps_what_was_found(place):
    def impatient(steps):
        for step in steps:
            if step.done == 3:
                raise KeyboardInterrupt
            yield step

    with pytest.raises(KeyboardInterrupt):
        animix.project(["me.png"], "base.safetensors", recipe=Recipe(steps=6), follow=impatient)
    assert read_projected("projected/me.npz").settings["step"] == 3
