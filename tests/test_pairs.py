"""Pairs: the same latents in A and B, each made again to the byte, whatever ended the work."""

import json
import os
import re
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

import animix
from animix.checkpoints.discriminators import load_discriminator
from animix.errors import AnimixError, OptionError, RenderError
from animix.pairs import data_set, press
from animix.pairs.critic import Critic
from animix.pairs.data_set import DataSet
from animix.pairs.layout import Layout
from animix.pairs.moment import moment_of_networks, moment_of_timeline, read_ranges
from animix.pairs.order import Order
from animix.pairs.sieve import Sieve
from animix.pairs.subject import Photos, Seeds
from animix.timeline.reader import load_timeline
from tests.test_discriminator import tiny_discriminator
from tests.tiny import fastly, relative_of, tiny_stylegan3, tiny_tensors, write_tensors, write_tiny

TIMELINE = """
networks: {base: base.safetensors, art: "art-*.safetensors"}
duration: 4s
latents: [7, 8]
truncation: {0%: 0.5, 100%: 0.9}
frame: {zoom: 2}
show: [base, blend]
overlay: mix
blend: [base, {art: {swap: {0%: none, 50%: 8, 100%: none}, snapshot: {0%: 1, 100%: 2}}}]
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A base, two relatives of it and a timeline."""
    place = tmp_path_factory.mktemp("networks")
    tensors, metadata = tiny_tensors()
    write_tensors(place / "base.safetensors", tensors, metadata)
    for number in (1, 2):
        relative = relative_of(tensors, seed=number, amount=0.3)
        write_tensors(place / f"art-{number}.safetensors", relative, metadata)
    (place / "reel.yaml").write_text(TIMELINE)
    return place


def networks(folder, **laid):
    files = [folder / "base.safetensors", folder / "art-1.safetensors"]
    return moment_of_networks(files, read_ranges(1, **laid), device="cpu")


@pytest.fixture(scope="module")
def moment(folder):
    return networks(folder, swap=["8"])


def made(moment, target, order=None, subjects=None, critic=None):
    found = DataSet(moment, subjects or Seeds(), target, order or Order(count=5), critic, 2)
    steps = list(found.make())
    return found, steps


def content(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def lines_of(folder):
    return [json.loads(line) for line in (folder / "manifest.jsonl").read_text().splitlines()]


def pixels(path):
    return np.asarray(Image.open(path))


def test_a_and_b_are_the_stills_of_their_seed(folder, moment, run, tmp_path):
    made(moment, tmp_path / "set")
    (tmp_path / "still.yaml").write_text(
        f"networks: {{base: {folder}/base.safetensors, art: {folder}/art-1.safetensors}}\n"
        "duration: 1s\nlatents: [3]\nblend: [base, {art: {swap: 8}}]\n"
    )
    for side, swap in (("A", "none"), ("B", "8")):
        code, _, told = run(
            *("still", tmp_path / "still.yaml", "--at", "0s", "--device", "cpu"),
            *("--set", f"blend.art.swap={swap}", "-o", tmp_path / "still.png"),
        )
        assert code == 0, told
        assert (pixels(tmp_path / "still.png") == pixels(tmp_path / f"set/{side}/000003.png")).all()


def test_of_a_timeline_the_moments_mix_and_truncation_are_taken_and_no_framing(folder, tmp_path):
    moment = moment_of_timeline(load_timeline(folder / "reel.yaml"), "2s", device="cpu")
    made(moment, tmp_path / "set", Order(count=3), Seeds(7))
    first = lines_of(tmp_path / "set")[0]
    assert first["seed"] == 7
    assert first["truncation"] == pytest.approx(0.7, abs=0.01)
    mix = np.array(first["mix"])
    assert mix[:2].tolist() == [[1, 0, 0], [1, 0, 0]]
    assert mix[-1].tolist() == pytest.approx([0, 0.5, 0.5], abs=0.02)
    framing = "frame: {zoom: 2}\nshow: [base, blend]\noverlay: mix\n"
    plain = TIMELINE.replace(framing, "")
    (folder / "plain.yaml").write_text(plain.replace("latents: [7, 8]", "latents: [7]"))
    from animix.film import open_film

    film = open_film(load_timeline(folder / "plain.yaml"), device="cpu")
    still = film.rgb8(film.schedule.frame_at("2s"))
    assert (pixels(tmp_path / "set/B/000007.png") == still).all()
    assert (pixels(tmp_path / "set/A/000007.png") != still).any()


def test_a_line_of_the_manifest_makes_its_pair_again(folder, tmp_path):
    options = {"swap": ["4..16"], "alpha": ["0.5..1"]}
    moment = networks(folder, **options)
    made(moment, tmp_path / "set", Order(count=20))
    lines = lines_of(tmp_path / "set")
    assert len({json.dumps(line["mix"]) for line in lines}) == 20
    line = lines[17]
    # Alone, and as the command of a day later does it, with networks opened anew.
    made(networks(folder, **options), tmp_path / "one", Order(count=1), Seeds(line["seed"]))
    assert lines_of(tmp_path / "one") == [line]
    for side in "ab":
        again = (tmp_path / "one" / line[side]).read_bytes()
        assert again == (tmp_path / "set" / line[side]).read_bytes()


def test_a_pair_is_the_same_whatever_cell_of_a_gpu_it_is_made_in(folder, tmp_path):
    # Where all of a cell have one mix its weights are shared, and that decides the last bits.
    for laid in ({"swap": ["4..16"]}, {"swap": ["8"]}):
        moment = networks(folder, **laid)
        moment = replace(moment, film=fastly(moment.film, batch_size=4))
        target = tmp_path / laid["swap"][0]
        made(moment, target / "set", Order(count=11))
        made(moment, target / "one", Order(count=1), Seeds(6))
        for side in "AB":
            again = (target / "one" / side / "000006.png").read_bytes()
            assert again == (target / "set" / side / "000006.png").read_bytes()


def test_the_mix_and_truncation_of_a_line_are_what_its_pair_was_painted_with(folder, tmp_path):
    files = [folder / "base.safetensors", folder / "art-1.safetensors"]
    ends = read_ranges(1, swap=["4..16"])
    moment = moment_of_networks(files, ends, truncation=(0.4, 1.0), device="cpu")
    made(moment, tmp_path / "set", Order(count=6))
    lines = lines_of(tmp_path / "set")
    drawn = [line["truncation"] for line in lines]
    assert len(set(drawn)) == 6
    assert 0.4 <= min(drawn) < max(drawn) < 1
    line = lines[4]
    mixed = animix.blend([animix.load_network(file) for file in files], np.array(line["mix"]))
    z = np.random.RandomState(line["seed"]).randn(1, mixed.z_dim)
    picture = mixed.synthesis(mixed.mapping(z, truncation_psi=line["truncation"]))[0]
    expected = ((picture.clamp(-1, 1) + 1) * 127.5).permute(1, 2, 0).numpy()
    assert np.abs(pixels(tmp_path / "set" / line["b"]) - expected).mean() < 2


@pytest.mark.parametrize(
    ("layout", "names"),
    [
        (Layout("folders"), ["A/000000.png", "B/000000.png"]),
        (Layout("side-by-side"), ["train/000000.png"]),
        (Layout("train"), ["trainA/000000.png", "trainB/000000.png"]),
    ],
)
def test_each_layout_has_its_files(moment, tmp_path, layout, names):
    made(moment, tmp_path / "set", Order(count=1, layout=layout))
    assert sorted(content(tmp_path / "set")) == sorted([*names, "manifest.jsonl", "pairs.json"])
    if layout.name == "side-by-side":
        made(moment, tmp_path / "apart", Order(count=1))
        both = [pixels(tmp_path / "apart" / f"{side}/000000.png") for side in "AB"]
        assert (pixels(tmp_path / "set" / names[0]) == np.concatenate(both, axis=1)).all()


def test_a_share_is_put_aside_for_testing_and_stays_aside_when_there_are_more(moment, tmp_path):
    layout = Layout("train", 0.3)
    made(moment, tmp_path / "set", Order(count=20, layout=layout))
    before = set(content(tmp_path / "set"))
    aside = sorted(name for name in before if name.startswith("testA/"))
    assert 2 <= len(aside) <= 10
    made(moment, tmp_path / "set", Order(count=30, layout=layout))
    assert before < set(content(tmp_path / "set"))


@pytest.mark.parametrize(("name", "suffix"), [("jpeg", ".jpg"), ("webp", ".webp")])
def test_other_formats_show_the_same(moment, tmp_path, name, suffix):
    from animix.pairs.picture_file import PictureFormat

    # Large, so that colours change slowly: WebP halves their resolution.
    made(moment, tmp_path / "png", Order(count=1, side=128))
    encoded = Order(count=1, side=128, picture_format=PictureFormat(name, 100))
    made(moment, tmp_path / name, encoded)
    there = pixels(tmp_path / name / f"A/000000{suffix}").astype(int)
    assert np.abs(there - pixels(tmp_path / "png/A/000000.png")).mean() < 4


def test_pictures_have_the_size_that_is_asked_for(moment, tmp_path):
    made(moment, tmp_path / "set", Order(count=2, side=24))
    assert pixels(tmp_path / "set/B/000001.png").shape == (24, 24, 3)


def test_progress_counts_pictures(moment, tmp_path):
    _, steps = made(moment, tmp_path / "set")
    assert (steps[0].done, steps[0].total) == (0, 10)
    assert (steps[-1].done, steps[-1].total) == (10, 10)
    found, steps = made(moment, tmp_path / "set", Order(count=8))
    assert (steps[0].done, steps[0].done_before, steps[-1].done) == (10, 10, 16)
    assert (found.num_before, found.num_pairs) == (5, 8)


def test_a_data_set_that_grew_is_the_one_that_was_made_at_once(moment, tmp_path):
    for count in (3, 21, 40):
        made(moment, tmp_path / "grown", Order(count=count))
    made(moment, tmp_path / "once", Order(count=40))
    assert content(tmp_path / "grown") == content(tmp_path / "once")


KILLED = """
import os, signal, sys
from pathlib import Path
from animix.pairs import writers
from animix.cli import commands

whole, left = writers.write_whole, [int(sys.argv.pop(1))]

def write(file, content):
    left[0] -= 1
    if left[0] < 0:
        # In the middle of a picture.
        writers.part_of(file).write_bytes(content[:40])
        os.kill(os.getpid(), signal.SIGKILL)
    whole(file, content)

writers.write_whole = write
commands.main()
"""


def test_after_a_kill_the_same_command_ends_in_the_same_bytes(folder, run, tmp_path):
    command = [
        *("pairs", folder / "base.safetensors", folder / "art-1.safetensors", "--swap", "4..16"),
        *("--count", "30", "--distinct", "3", "--device", "cpu"),
    ]
    (tmp_path / "killed.py").write_text(KILLED)
    target = tmp_path / "set"
    told = [sys.executable, tmp_path / "killed.py", "25", *command, "-o", target]
    root = str(Path(__file__).parent.parent)
    ended = subprocess.run(list(map(str, told)), env={**os.environ, "PYTHONPATH": root})
    assert ended.returncode == -signal.SIGKILL
    with (target / "manifest.jsonl").open("ab") as file:  # a line that was being written
        file.write(b'{"seed": 99, "trunc')
    listed = {
        name
        for line in (target / "manifest.jsonl").read_bytes().split(b"\n")[:-1]
        for name in (json.loads(line)["a"], json.loads(line)["b"])
    }
    assert listed <= set(content(target))  # what the manifest names is there
    assert run(*command, "-o", target)[0] == 0
    assert run(*command, "-o", tmp_path / "whole")[0] == 0
    assert content(target) == content(tmp_path / "whole")
    assert len(content(target)) == 62


def test_an_interrupted_set_has_what_its_manifest_names_and_nothing_else(
    moment, tmp_path, monkeypatch
):
    steps = DataSet(moment, Seeds(), tmp_path / "set", Order(count=200), num_threads=2).make()
    for step in steps:
        if step.done > 20:
            with pytest.raises(KeyboardInterrupt):
                steps.throw(KeyboardInterrupt)
            break
    lines = lines_of(tmp_path / "set")
    assert 10 <= len(lines) < 200
    names = {line[side] for line in lines for side in "ab"}
    assert set(content(tmp_path / "set")) == {*names, "manifest.jsonl", "pairs.json"}
    made(moment, tmp_path / "set", Order(count=40))
    made(moment, tmp_path / "whole", Order(count=max(40, len(lines))))
    assert content(tmp_path / "set") == content(tmp_path / "whole")


def test_lost_and_damaged_pictures_are_made_again(moment, tmp_path):
    made(moment, tmp_path / "set", Order(count=20))
    before = content(tmp_path / "set")
    (tmp_path / "set/A/000004.png").unlink()
    (tmp_path / "set/B/000017.png").write_bytes(b"short")
    found, _ = made(moment, tmp_path / "set", Order(count=20))
    assert (found.num_before, found.num_pairs) == (18, 20)
    assert content(tmp_path / "set") == before


def test_pictures_that_no_line_names_go_and_those_of_others_stay(moment, tmp_path):
    made(moment, tmp_path / "set", Order(count=2))
    before = content(tmp_path / "set")
    (tmp_path / "set/A/000009.png").write_bytes(b"of a killed process")
    made(moment, tmp_path / "set", Order(count=2))
    assert content(tmp_path / "set") == before
    (tmp_path / "set/A/mine.png").write_bytes(b"somebody's")
    made(moment, tmp_path / "set", Order(count=2))
    assert (tmp_path / "set/A/mine.png").exists()


def test_a_full_disk_keeps_what_is_whole_and_says_so(moment, tmp_path, monkeypatch):
    from animix.pairs import writers

    whole = writers.write_whole

    def write(file, content):
        if int(file.stem) >= 10:
            raise OSError(28, "No space left on device")
        whole(file, content)

    monkeypatch.setattr(writers, "write_whole", write)
    with pytest.raises(OptionError, match=r"set can't be written: No space left on device"):
        made(moment, tmp_path / "set", Order(count=40))
    monkeypatch.undo()
    lines = lines_of(tmp_path / "set")
    assert len(lines) == 10
    names = {line[side] for line in lines for side in "ab"}
    assert set(content(tmp_path / "set")) == {*names, "manifest.jsonl", "pairs.json"}
    made(moment, tmp_path / "set", Order(count=40))
    made(moment, tmp_path / "whole", Order(count=40))
    assert content(tmp_path / "set") == content(tmp_path / "whole")


@pytest.mark.parametrize("name", ["A", "A/000001.png"])
def test_what_is_in_the_way_of_a_picture_is_named(moment, tmp_path, name):
    made(moment, tmp_path / "set", Order(count=1))
    place = tmp_path / "set" / name
    if name == "A":
        place.rename(tmp_path / "A")
        place.write_bytes(b"")
    else:
        place.mkdir()
    with pytest.raises(OptionError, match=rf"set/{name} can't be written"):
        made(moment, tmp_path / "set", Order(count=2))


def test_a_folder_that_can_not_be_written_to_is_named_itself(moment, tmp_path, monkeypatch):
    def refused(self):
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "touch", refused)
    with pytest.raises(OptionError, match=r"/set can't be written: Permission denied; name"):
        made(moment, tmp_path / "set", Order(count=1))


def test_other_settings_are_refused_and_say_what_differs(moment, folder, tmp_path):
    made(moment, tmp_path / "set", Order(count=1))
    with pytest.raises(OptionError, match=r"other settings \(layout: folders, now train\)"):
        made(moment, tmp_path / "set", Order(count=1, layout=Layout("train")))
    with pytest.raises(OptionError, match=r"other settings \(other swap, alpha"):
        made(networks(folder, swap=["16"]), tmp_path / "set", Order(count=1))
    with pytest.raises(OptionError, match="first_seed: 0, now 5"):
        made(moment, tmp_path / "set", Order(count=1), Seeds(5))


def test_two_at_a_time_are_refused(moment, tmp_path):
    steps = DataSet(moment, Seeds(), tmp_path / "set", Order(count=3)).make()
    next(steps)
    with pytest.raises(OptionError, match="another process is making pairs here"):
        made(moment, tmp_path / "set", Order(count=3))
    steps.close()
    made(moment, tmp_path / "set", Order(count=3))


def test_a_folder_with_something_else_in_it_is_refused(moment, tmp_path):
    (tmp_path / "holiday.jpg").write_bytes(b"")
    with pytest.raises(OptionError, match=r"is not empty \(it holds holiday\.jpg\)"):
        made(moment, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["holiday.jpg"]


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (b"nonsense", "Expecting value"),
        (b"\xff", "utf-8"),
        (b"null", "no object"),
        (b"[" * 100_000, "recursion"),
        ({"seed": -1}, "neither a seed nor a photo"),
        ({"seed": 2**40}, "neither a seed nor a photo"),
        ({"seed": True}, "neither a seed nor a photo"),
        ({"seed": None}, "neither a seed nor a photo"),
        ({"seed": None, "photo": "me.npz"}, "its pictures are not its own"),
        ({"seed": 4}, "its pictures are not its own"),
        ({"a": "C/000001.png"}, "its pictures are not its own"),
        ({"a": "../000001.png"}, "its pictures are not its own"),
        ({"a": 5}, "its pictures are not its own"),
        ({"seed": None, "photo": "\0.npz", "a": "A/\0.png", "b": "B/\0.png"}, "not its own"),
        ({"seed": None, "photo": "\ud800.npz", "a": "A/\ud800.png"}, "surrogates"),
        ({"ab": "A/000001.png"}, "neither a and b nor ab"),
        ({"bytes": [1]}, "no bytes of 2 files"),
        ({"bytes": [1, "x"]}, "no bytes of 2 files"),
        ({"bytes": None}, "no bytes of 2 files"),
        ({"hash": 5}, "its hash is none"),
        ({"seed": 0, "a": "A/000000.png", "b": "B/000000.png"}, "it is there already"),
    ],
)
def test_a_manifest_that_is_damaged_is_refused(moment, tmp_path, damage, told):
    made(moment, tmp_path / "set", Order(count=2))
    file = tmp_path / "set/manifest.jsonl"
    first, second = lines_of(tmp_path / "set")
    line = json.dumps({**second, **damage}) if isinstance(damage, dict) else None
    file.write_bytes(b"%s\n%s\n" % (json.dumps(first).encode(), line.encode() if line else damage))
    before = content(tmp_path / "set")
    with pytest.raises(OptionError, match=rf"manifest\.jsonl:2: is no line .*{told}"):
        made(moment, tmp_path / "set", Order(count=3))
    assert content(tmp_path / "set") == before


@pytest.mark.parametrize("count", [2**32, 10**30])
def test_more_pairs_than_there_are_seeds_are_refused(moment, tmp_path, count):
    with pytest.raises(OptionError, match=f"--count {count}: from 1 up there are 4294967295 seeds"):
        made(moment, tmp_path / "set", Order(count=count), Seeds(1))
    assert not (tmp_path / "set").exists()


def test_projected_photos_go_through_as_they_are(folder, moment, tmp_path):
    facts = moment.film.engine.facts
    photos = tmp_path / "photos"
    photos.mkdir()
    for number, name in enumerate(("anna.npz", "ben.npy")):
        w = np.random.RandomState(number).randn(facts.num_ws, facts.w_dim).astype(np.float32)
        if name.endswith("npz"):
            np.savez(photos / name, w=w)
        else:
            np.save(photos / name, w)
    target = tmp_path / "set"
    made(moment, target, Order(), Photos(photos, facts))
    lines = lines_of(target)
    assert [(line["photo"], line["truncation"]) for line in lines] == [
        ("anna.npz", None),
        ("ben.npy", None),
    ]
    base = animix.load_network(folder / "base.safetensors")
    picture = base.synthesis(torch.from_numpy(np.load(photos / "ben.npy"))[None])[0]
    expected = ((picture.clamp(-1, 1) + 1) * 127.5).permute(1, 2, 0).numpy()
    assert np.abs(pixels(target / "A/ben.png") - expected).mean() < 2
    # More photos are made when they come; one that has changed is refused.
    np.save(photos / "abe.npy", w)
    made(moment, target, Order(), Photos(photos, facts))
    assert [line["photo"] for line in lines_of(target)] == ["anna.npz", "ben.npy", "abe.npy"]
    np.save(photos / "ben.npy", 2 * w)
    with pytest.raises(AnimixError, match=r"ben\.npy is another than it was"):
        made(moment, target, Order(), Photos(photos, facts))


def test_near_duplicates_are_left_out_also_when_it_goes_on(folder, tmp_path):
    files = [folder / "base.safetensors", folder / "art-1.safetensors"]
    narrow = moment_of_networks(files, read_ranges(1), truncation=(0.2, 0.2), device="cpu")
    order = Order(count=12, sieve=Sieve(distinct=6))
    found, _ = made(narrow, tmp_path / "once", order)
    assert found.left_out["near-duplicate"] > 0
    for count in (3, 12):
        made(narrow, tmp_path / "twice", Order(count=count, sieve=Sieve(distinct=6)))
    assert content(tmp_path / "once") == content(tmp_path / "twice")


def brightness(pictures):
    return pictures.mean(dim=(1, 2, 3))


def test_pictures_that_score_low_are_left_out(moment, tmp_path):
    critic = Critic(brightness, "brightness")
    order = Order(count=8, sieve=Sieve(min_score=0.0))
    found, _ = made(moment, tmp_path / "set", order, critic=critic)
    scores = [line["score"] for line in lines_of(tmp_path / "set")]
    assert min(scores) >= 0
    assert found.left_out["low score"] > 0
    for line in lines_of(tmp_path / "set"):
        assert pixels(tmp_path / "set" / line["a"]).mean() > 100


def test_the_best_share_is_kept(moment, tmp_path, monkeypatch):
    monkeypatch.setattr(data_set, "SCORED", 40)
    critic = Critic(brightness, "brightness")
    found, _ = made(moment, tmp_path / "set", Order(count=20, best=0.5), critic=critic)
    assert 8 <= found.left_out["low score"] <= 60
    made(moment, tmp_path / "twice", Order(count=7, best=0.5), critic=critic)
    made(moment, tmp_path / "twice", Order(count=20, best=0.5), critic=critic)
    assert content(tmp_path / "set") == content(tmp_path / "twice")


def test_the_bases_own_discriminator_scores(folder, run, tmp_path, monkeypatch):
    monkeypatch.setattr(data_set, "SCORED", 32)
    tensors, metadata = load_file(folder / "base.safetensors"), {"conv_clamp": "none"}
    base = write_tensors(tmp_path / "base.safetensors", tensors, metadata)
    beside = write_tensors(tmp_path / "base-discriminator.safetensors", tiny_discriminator(), {})
    command = ["pairs", base, folder / "art-1.safetensors", "--best", "0.4", "--device", "cpu"]
    for count in (2, 9):
        code, _, told = run(*command, "--count", count, "-o", tmp_path / "grown")
        assert code == 0, told
    assert "low score" in told
    run(*command, "--count", 9, "-o", tmp_path / "once")
    assert content(tmp_path / "grown") == content(tmp_path / "once")
    line = lines_of(tmp_path / "once")[-1]
    network = animix.load_network(base)
    z = np.random.RandomState(line["seed"]).randn(1, network.z_dim)
    picture = network.synthesis(network.mapping(z, truncation_psi=0.7))
    score = float(load_discriminator(beside).scores(picture))
    assert line["score"] == pytest.approx(score, rel=0.05)
    write_tensors(beside, tiny_discriminator(32), {})
    code, _, told = run(*command, "--count", 1, "-o", tmp_path / "other")
    assert (code, told.count("\n")) == (2, 1)
    assert "its discriminator takes 32 px, these networks make 16" in told


def test_a_filter_that_nothing_passes_ends(moment, tmp_path, monkeypatch):
    monkeypatch.setattr(data_set, "MOST_LEFT_OUT", 50)
    order = Order(count=8, sieve=Sieve(min_score=1e9))
    with pytest.raises(RenderError, match=r"none of \d+ latents in a row was kept.*low score"):
        made(moment, tmp_path / "set", order, critic=Critic(brightness, "brightness"))


def test_scores_need_something_that_scores(moment, tmp_path):
    with pytest.raises(OptionError, match="need a discriminator"):
        DataSet(moment, Seeds(), tmp_path, Order(count=1, best=0.5))


def test_little_waits_for_its_encoding(moment, tmp_path, monkeypatch):
    monkeypatch.setattr(press, "WAITING_BYTES", 0)
    made(moment, tmp_path / "set", Order(count=40))
    assert len(lines_of(tmp_path / "set")) == 40


def test_numbers_that_overflow_are_told_with_their_seed(folder, tmp_path):
    with pytest.raises(RenderError, match=r"seed \d+: this mix makes no picture"):
        files = [folder / "base.safetensors", folder / "art-1.safetensors"]
        moment = moment_of_networks(files, read_ranges(1), truncation=(1e38, 1e38), device="cpu")
        made(moment, tmp_path / "set", Order(count=2))


def test_stylegan3_has_pairs_too(tmp_path):
    tensors, metadata = tiny_stylegan3()
    base = write_tensors(tmp_path / "a.safetensors", tensors, metadata)
    other = write_tensors(tmp_path / "b.safetensors", relative_of(tensors), metadata)
    moment = moment_of_networks([base, other], read_ranges(1, swap=["8"]), device="cpu")
    made(moment, tmp_path / "set", Order(count=2))
    assert len(lines_of(tmp_path / "set")) == 2


def test_conditional_networks_show_their_first_class(tmp_path):
    tensors, metadata = tiny_tensors(c_dim=3)
    base = write_tensors(tmp_path / "a.safetensors", tensors, metadata)
    other = write_tensors(tmp_path / "b.safetensors", relative_of(tensors), metadata)
    moment = moment_of_networks([base, other], read_ranges(1), device="cpu")
    assert moment.blended.labels == ((0, 1.0),)


def test_the_command_makes_pairs_and_goes_on(folder, run, tmp_path):
    command = ["pairs", folder / "reel.yaml", "--at", "2s", "--device", "cpu", "--json"]
    code, out, _ = run(*command, "--count", "3", "-o", tmp_path / "set")
    told = json.loads(out.splitlines()[-1])
    assert (code, told["pairs"], told["pairs_before"]) == (0, 3, 0)
    code, out, _ = run(*command, "--count", "4", "-o", tmp_path / "set")
    told = json.loads(out.splitlines()[-1])
    assert (code, told["pairs"], told["pairs_before"]) == (0, 4, 3)
    code, out, _ = run(*command[:-1], "--count", "4", "-o", tmp_path / "set")
    assert (code, out) == (0, f"{tmp_path}/set  4 pairs, 16×16; all were there\n")


BASE, ART = "{folder}/base.safetensors", "{folder}/art-1.safetensors"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([BASE, ART], "how many? give --count"),
        ([BASE, ART, "--count", "0"], "--count 0: expected 1 or more"),
        ([BASE, ART, "--count", "-3"], "--count -3: expected 1 or more"),
        ([BASE, "--count", "1"], "alone has no pairs"),
        ([BASE, ART, ART, "--count", "1"], "how? give --swap 32"),
        ([BASE, ART, "--count", "1", "--layout", "pix2pix"], "--layout pix2pix: expected one of"),
        ([BASE, ART, "--count", "1", "--format", "gif"], "--format gif: expected one of png"),
        ([BASE, ART, "--count", "1", "--quality", "90"], "--quality: png loses nothing"),
        ([BASE, ART, "--count", "1", "--test", "0.1"], "A/ and B/ have no place"),
        ([BASE, ART, "--count", "1", "--size", "0"], "--size 0: expected 4 to 8192"),
        ([BASE, ART, "--count", "1", "--swap", "9..x"], "--swap"),
        ([BASE, ART, "--count", "1", "--swap", "4..8..16"], "--swap 4..8..16: expected one value"),
        ([BASE, ART, "--count", "1", "--swap", "99"], "these networks make 16 px"),
        ([BASE, ART, "--count", "1", "--truncation", "a"], "--truncation a: expected a number"),
        ([BASE, ART, "--count", "1", "--truncation", "nan"], "--truncation nan: expected a number"),
        ([BASE, ART, "--count", "1", "--at", "2s"], "--at is for timelines"),
        ([BASE, ART, "--count", "1", "--first-seed", "-1"], "--first-seed -1: expected 0 to"),
        ([BASE, ART, "--count", "1", "--best", "2"], "--best 2: expected a share"),
        ([BASE, ART, "--count", "1", "--best", "0.5"], "carries no discriminator"),
        ([BASE, ART, "--count", "1", "--discriminator", BASE], "is for --best and --min-score"),
        ([BASE, ART, "--count", "1", "--distinct", "65"], "--distinct 65: expected 1 to 64"),
        ([BASE, "{folder}/none.pkl", "--count", "1"], "none.pkl"),
        ([BASE, "{folder}/big.safetensors", "--count", "1"], "can't be mixed"),
        ([BASE, ART, "--photos", "{folder}/none"], "none: No such file or directory"),
        ([BASE, ART, "--photos", "{folder}/empty"], "holds no projected photos"),
        ([BASE, ART, "--photos", "{folder}/bad"], "needs a w of"),
        ([BASE, ART, "--photos", "{folder}/empty", "--truncation", "1"], "is for seeds"),
        (["{folder}/reel.yaml", "--count", "1"], "when? give --at"),
        (["{folder}/reel.yaml", "--count", "1", "--at", "9s"], "--at 9s lies outside the clip"),
        (["{folder}/reel.yaml", "--count", "1", "--at", "1s", "--swap", "8"], "leave out --swap"),
    ],
)
def test_what_cant_be_done_is_told_in_one_line(folder, run, tmp_path, arguments, message):
    write_tiny(folder / "big.safetensors", img_resolution=32)
    for name in ("empty", "bad"):
        (folder / name).mkdir(exist_ok=True)
    np.save(folder / "bad" / "w.npy", np.zeros(3))
    arguments = [argument.format(folder=folder) for argument in arguments]
    code, out, told = run("pairs", *arguments, "-o", tmp_path / "set", "--device", "cpu")
    assert (code, out) == (2, "")
    assert message in told
    assert told.startswith("error: ")
    assert told.count("\n") == 1
    assert not (tmp_path / "set").exists()


def test_a_file_in_the_folders_place_is_refused(folder, run, tmp_path):
    (tmp_path / "set").write_text("mine")
    files = [folder / "base.safetensors", folder / "art-1.safetensors"]
    code, _, told = run("pairs", *files, "--count", "1", "-o", tmp_path / "set")
    assert (code, told) == (2, f"error: {tmp_path}/set is a file; name a folder for the pairs\n")
    assert (tmp_path / "set").read_text() == "mine"


def test_the_page_of_pairs_names_options_that_there_are(run):
    page = (Path(__file__).parent.parent / "docs" / "pairs.md").read_text(encoding="utf-8")
    _, told, _ = run("pairs", "--help")
    known = {*re.findall(r"--[a-z][a-z-]+", told), "--dataroot", "--dataset_mode"}
    options = set(re.findall(r"--[a-z][a-z_-]+", page))
    assert {"--count", "--layout", "--distinct", "--photos"} <= options <= known
