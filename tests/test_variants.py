"""One file makes many clips: all of them, or those that are chosen, each under its own name."""

import json
import re
import time
from pathlib import Path

import pytest
from PIL import Image

import animix
from animix import whole_file
from animix.checkpoints import store
from animix.cli.wanted import check_films
from animix.delivery import film_path
from animix.errors import AnimixError, OptionError, TimelineError
from animix.film import open_film
from animix.restoration import restore
from animix.timeline.reader import load_timeline
from animix.timeline.yaml_text import yaml_text
from animix.video.metadata import SIGN, Metadata, write_metadata
from animix.video.mp4 import count_frames
from tests.tiny import relative_of, tiny_tensors, write_tensors

REEL = """\
networks: {faces: faces.safetensors, art: art.safetensors}
duration: 8f
fps: 10
latents: [$seed, 17]
blend: {swap: {0%: none, 50%: $level, 100%: none}}
variants: {seed: 1..2, level: [8, 16]}
"""

NAMES = [f"reel-seed-{seed}-level-{level}" for seed in (1, 2) for level in (8, 16)]
LABELS = [f"seed={seed} level={level}" for seed in (1, 2) for level in (8, 16)]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The current folder, with two networks and a timeline of four variants."""
    tensors, metadata = tiny_tensors()
    write_tensors(tmp_path / "faces.safetensors", tensors, metadata)
    write_tensors(tmp_path / "art.safetensors", relative_of(tensors), metadata)
    (tmp_path / "reel.yaml").write_text(REEL)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def reel(text):
    """The timeline with a text in place of its variants."""
    Path("reel.yaml").write_text(REEL.replace("variants: {seed: 1..2, level: [8, 16]}", text))
    return "reel.yaml"


def mistakes_of(path, **options):
    with pytest.raises(TimelineError) as caught:
        animix.variants(path, **options)
    return caught.value.mistakes


@pytest.mark.parametrize(
    ("text", "labels", "names"),
    [
        (
            "variants: {seed: [3, 1..2, 40..41], level: 8}",
            [f"seed={seed} level=8" for seed in (3, 1, 2, 40, 41)],
            [f"reel-seed-{seed}-level-8" for seed in (3, 1, 2, 40, 41)],
        ),
        (
            "variants: [{seed: 3, level: 8}, {seed: 4, level: 16, name: The Last One}]",
            ["seed=3 level=8", "The_Last_One"],
            ["reel-seed-3-level-8", "reel-The_Last_One"],
        ),
        (
            "vars: {level: 8}\nvariants: {seed: [3], blend.width: [1, 1.5]}",
            ["seed=3 blend.width=1", "seed=3 blend.width=1.5"],
            ["reel-seed-3-width-1", "reel-seed-3-width-1.5"],
        ),
        (
            "vars: {level: 8, seed: 1}\nvariants: {truncation: [0.5, {0%: 0, 50%: 1, 100%: 0}]}",
            ["truncation=0.5", "truncation=#2"],
            ["reel-truncation-0.5", "reel-truncation-2"],
        ),
        (
            "vars: {level: 8, some: [5, 6]}\nvariants: {seed: $some}",
            ["seed=5", "seed=6"],
            ["reel-seed-5", "reel-seed-6"],
        ),
        (
            "vars: {level: 8}\nvariants: {seed: ['../a b.npz', '1..20', \"3\"]}",
            ["seed=../a b.npz", "seed=1..20", "seed=3"],
            ["reel-seed-a_b.npz", "reel-seed-1..20", "reel-seed-3"],
        ),
    ],
)
def test_there_is_a_timeline_for_each_variant(folder, text, labels, names):
    found = animix.variants(reel(text))
    assert [one.name for one in found] == names
    assert [one.title for one in found] == names
    assert [str(one.variant) for one in found] == labels


def test_each_variant_is_the_timeline_with_its_values(folder):
    found = animix.variants("reel.yaml")
    assert [one.latents[0].path.keys[0].source for one in found] == [1, 1, 2, 2]
    assert [one.blend[1].swap.keys[1].value for one in found] == [8, 16, 8, 16]
    assert all("$" not in yaml_text(one.document) for one in found)
    assert not any("variants" in yaml_text(one.document) for one in found)
    Path("plain.yaml").write_text("networks: {faces: faces.safetensors}\nduration: 1s\n")
    (alone,) = animix.variants("plain.yaml")
    assert (alone.variant, alone.name) == (None, "plain")


@pytest.mark.parametrize(
    ("only", "chosen"),
    [
        (["seed=1"], LABELS[:2]),
        (["seed=1,2"], LABELS),
        (["seed=1..2", "level=16"], [LABELS[1], LABELS[3]]),
        (["seed=1", "seed=2", "level=8"], [LABELS[0], LABELS[2]]),
        ([" seed = 2 "], LABELS[2:]),
        (["seed-1-level-8"], LABELS[:1]),
    ],
)
def test_some_are_chosen(folder, only, chosen):
    assert [str(one.variant) for one in animix.variants("reel.yaml", only=only)] == chosen


@pytest.mark.parametrize(
    ("only", "message"),
    [
        ("seed=7", "no seed is 7; its values are 1, 2"),
        ("level=17", "no level is 17; its values are 8, 16"),
        ("seed=1,7", "no seed is 7"),
        ("seed=", "no seed is ; its values are 1, 2"),
        ("sed=1", 'no variant has sed; did you mean "seed"?'),
        ("colour=1", "no variant has colour; they have seed, level: write --only seed=1"),
        ("calm", "they have seed, level: write --only seed=1"),
    ],
)
def test_what_can_not_be_chosen_is_told_with_what_there_is(folder, only, message):
    with pytest.raises(OptionError) as caught:
        animix.variants("reel.yaml", only=[only])
    assert message in str(caught.value)


def test_named_variants_are_chosen_by_name(folder):
    path = reel("variants: [{name: calm, seed: 3, level: 8}, {name: wild, seed: 4, level: 16}]")
    assert load_timeline(path, only=["wild"]).name == "reel-wild"
    with pytest.raises(OptionError, match='did you mean "calm"'):
        load_timeline(path, only=["clam"])
    with pytest.raises(OptionError, match="no variant has all of this"):
        load_timeline(path, only=["wild", "seed=3"])


def test_one_has_to_be_chosen_where_one_is_meant(folder):
    with pytest.raises(TimelineError) as caught:
        load_timeline("reel.yaml")
    (mistake,) = caught.value.mistakes
    assert (mistake.mark.line, mistake.message) == (6, "here are 4 variants")
    assert mistake.hint == "choose one, such as --only seed=1 --only level=8"
    assert load_timeline("reel.yaml", only=["seed=1", "level=8"]).name == NAMES[0]
    Path("plain.yaml").write_text("networks: {faces: faces.safetensors}\nduration: 1s\n")
    with pytest.raises(OptionError, match="has no variants"):
        load_timeline("plain.yaml", only=["seed=1"])


@pytest.mark.parametrize(
    ("text", "place", "message", "hint"),
    [
        ("variants: 3", "6:11", "variants is a map of lists, or a list of maps", "seed: 1..20"),
        ("variants:", "6:10", "variants is a map of lists, or a list of maps", ""),
        ("variants: {}", "6:11", "variants is a map of lists, or a list of maps", ""),
        ("variants: []", "6:11", "variants is a map of lists, or a list of maps", ""),
        ("variants: [3]", "6:12", "a variant is a map", ""),
        ("variants: [{name: a}]", "6:12", "this variant says nothing", ""),
        ("variants: [{name: '??', seed: 1}]", "6:19", "a variant's name is a word", ""),
        ("variants: {seed: []}", "6:18", '"seed" has no values', ""),
        ("variants: {seed: {a: 1}}", "6:18", "seed has one value, a map", "write seed: [a, b]"),
        ("variants: {seed: 5..1}", "6:18", '"5..1" ends before it starts', ""),
        ("variants: {seed: 1..99999}", "6:18", "is no range of up to 10000 numbers", ""),
        ("variants: {seed: [1..9000, 9001..12000]}", "6:28", "more than 10000 values", ""),
        ("variants: {seed: 1..200, level: 1..51}", "6:11", "200 × 51 are 10200 variants", ""),
        (
            "variants: {seed: [1, 1], level: 8}",
            "6:26",
            "seed=1 level=8 and seed=1 level=8 would",
            "",
        ),
        ("variants: {seed: [a, A], level: 8}", "6:26", "would be the same file", "name: in each"),
        (
            "variants: [{name: a, seed: 1, level: 8}, {name: A, seed: 2, level: 8}]",
            "6:49",
            "A and a would be the same file",
            "",
        ),
        ("variants: {seed: [1], level: [8], sede: [1]}", "6:35", "nothing reads $sede", '"seed"'),
        (
            "variants: {seed: [1], level: [8], swap: [1]}",
            "6:35",
            "nothing reads $swap",
            "write $swap",
        ),
        (
            "variants: [{seed: 1, level: 8}, {seed: 2}]",
            "5:31",
            "there is no $level",
            "seed=2 has no",
        ),
        ("variants: {seed: [$level], level: [8]}", "6:19", "there is no $level", "of another one"),
        ("variants: {seed: 1, level: 8, blend.swap.50%.x: 3}", "6:31", "has no", ""),
        ("variants: {seed: 1..2, level: [8, 5 ease-inn]}", "6:37", "unknown ease", "ease-in"),
    ],
)
def test_a_mistake_is_told_once_at_its_place(folder, text, place, message, hint):
    (mistake,) = mistakes_of(reel(text))
    assert str(mistake.mark) == f"reel.yaml:{place}"
    assert message in mistake.message and hint in mistake.hint


def test_mistakes_of_the_timeline_are_told_beside_those_of_the_variants(folder):
    path = Path(reel("variants: {seed: 3.., level: [8]}\nbled: 3\ntruncation: high"))
    assert {(m.mark.line, m.message.split()[0]) for m in mistakes_of(path)} >= {(7, "unknown")}
    path.write_text(path.read_text().replace("3..,", "[],"))
    assert [m.mark.line for m in mistakes_of(path)] == [6, 7, 8]


def test_the_command_line_can_not_say_what_variants_say(folder):
    path = reel("vars: {level: 8}\nvariants: {seed: 1..2, truncation: [0.5, 0.6]}")
    (mistake,) = mistakes_of(path, overrides={"vars.seed": "3"})
    assert mistake.message == "--set vars.seed: the variants say what it is"
    (mistake,) = mistakes_of(path, overrides={"truncation": "1"})
    assert "--set variants.truncation=… replaces them" in mistake.hint
    found = animix.variants(path, {"variants.seed": "[8]", "vars.level": "16"})
    assert [str(one.variant) for one in found] == ["seed=8 truncation=0.5", "seed=8 truncation=0.6"]


def test_thousands_are_counted_before_any_is_made(folder):
    start = time.process_time()
    path = reel("variants: {seed: 1..10000, level: 8..16}")
    assert "are 90000 variants" in mistakes_of(path)[0].message
    many = reel("vars: {level: 8}\nvariants: {seed: 1..10000}")
    assert load_timeline(many, only=["seed=9999"]).name == "reel-seed-9999"
    assert time.process_time() - start < 20


def rows_of(out):
    """The table: what became of each variant."""
    lines = out.splitlines()
    start = next(n for n, line in enumerate(lines) if line.startswith("timeline  "))
    return dict(re.split(r"  +", line)[:2] for line in lines[start + 1 :])


def test_all_are_rendered_once_with_networks_read_once(folder, run, monkeypatch):
    opened, real = [], store.load_network
    monkeypatch.setattr(store, "load_network", lambda path: opened.append(path.name) or real(path))
    monkeypatch.setattr(whole_file, "SETTLED_NS", 0)
    code, out, _ = run("render", "reel.yaml", "--device", "cpu")
    assert code == 0
    assert rows_of(out) == {f"reel.yaml {label}": "rendered" for label in LABELS}
    assert sorted(opened) == ["art.safetensors", "faces.safetensors"]
    films = {path.stem: path.read_bytes() for path in (folder / "renders").glob("*.mp4")}
    assert sorted(films) == sorted(NAMES) and len(set(films.values())) == 4
    # A second run makes what is missing, and each film alone is the same.
    (folder / "renders" / f"{NAMES[1]}.mp4").unlink()
    code, out, _ = run("render", "reel.yaml", "--device", "cpu", "--json")
    lines = [json.loads(line) for line in out.splitlines()]
    assert [film["result"] for film in lines[-1]["films"]] == [
        "up to date",
        "rendered",
        "up to date",
        "up to date",
    ]
    assert lines[-1]["films"][1]["timeline"] == f"reel.yaml {LABELS[1]}"
    assert {line["timeline"] for line in lines[:-1]} == {f"reel.yaml {label}" for label in LABELS}
    only = ["--only", "seed=2", "--only", "level=8", "--fresh", "--output", "alone.mp4"]
    assert run("render", "reel.yaml", "--device", "cpu", "--quiet", *only) == (0, "", "")
    assert (folder / "alone.mp4").read_bytes() == films[NAMES[2]]


def test_a_bad_one_does_not_stop_the_others_and_is_told_once(folder, run):
    path = reel("variants: {seed: 1..2, level: [8, 5000, 16 ease-inn]}")
    code, out, err = run("render", path, "--device", "cpu")
    assert code == 2
    assert sorted(rows_of(out).values()) == ["failed"] * 4 + ["rendered"] * 2
    assert err.count("unknown ease") == 1
    code, out, err = run("check", path)
    assert code == 2
    assert err.count("unknown ease") == err.count("5000 is above") == 1
    assert "seed=1 level=8: renders/reel-seed-1-level-8.mp4" in out
    code, out, err = run("check", "reel.yaml", "--set", "duration=6")
    assert (code, out) == (2, "") and err.count("6 needs a unit") == 1


def test_check_tells_all(folder, run):
    code, out, _ = run("check", "reel.yaml")
    assert code == 0
    assert out.count("related to the base") == 1
    assert re.findall(r"renders/(.*)\.mp4, 8 frames, 0.8 s at 10 fps, 16×16", out) == NAMES
    lines = [json.loads(line) for line in run("check", "reel.yaml", "--json")[1].splitlines()]
    assert [line["variant"] for line in lines if line["event"] == "result"] == LABELS
    assert run("check", "reel.yaml", "--csv", "a.csv")[0] == 2
    code, _, _ = run("check", "reel.yaml", "--csv", "a.csv", "--only", NAMES[0][5:])
    assert code == 0 and Path("a.csv").exists()


@pytest.mark.parametrize(
    ("output", "films"),
    [
        ("films/out.mp4", [f"films/out-{name[5:]}.mp4" for name in NAMES]),
        (
            "'films/${seed} at ${level}.mp4'",
            [f"films/{s} at {n}.mp4" for s in (1, 2) for n in (8, 16)],
        ),
        ("{preset: png, file: shots}", [f"shots-{name[5:]}" for name in NAMES]),
        ("tiktok", [f"renders/{name}-tiktok.mp4" for name in NAMES]),
    ],
)
def test_names_of_films_carry_the_values(folder, output, films):
    Path("reel.yaml").write_text(f"{REEL}output: {output}\n")
    timelines = animix.variants("reel.yaml")
    check_films(timelines)
    assert [film_path(one) for one in timelines] == [
        folder / film if not film.startswith("renders") else Path(film) for film in films
    ]


def test_two_films_of_one_name_are_a_mistake_before_anything_is_made(folder, run):
    Path("reel.yaml").write_text(f"{REEL}output: 'out-${{seed}}.mp4'\n")
    for command in (["check"], ["render", "--device", "cpu"]):
        code, _, err = run(command[0], "reel.yaml", *command[1:])
        assert code == 2
        assert "seed=1 level=8 and seed=1 level=16 would both be" in err and "reel.yaml:7:9" in err
    assert not list(folder.glob("*.mp4"))
    assert run("render", "reel.yaml", "--only", "level=8", "--quiet")[0] == 0
    assert sorted(path.name for path in folder.glob("*.mp4")) == ["out-1.mp4", "out-2.mp4"]


def test_a_still_is_of_one_variant(folder, run):
    code, _, err = run("still", "reel.yaml", "--at", "50%")
    assert code == 2 and "here are 4 variants" in err and "--only seed=1 --only level=8" in err
    assert run("still", "reel.yaml", "--at", "50%", "--only", "seed=2", "--only", "level=8")[0] == 0
    assert Path(f"renders/{NAMES[2]}-frame-4.png").exists()
    for command in (
        ["seeds", "reel.yaml", "1..2"],
        ["blend", "reel.yaml", "--at", "1f", "-o", "b.safetensors"],
    ):
        assert run(*command)[0] == 2
        assert run(*command, "--only", NAMES[0][5:])[0] == 0


def test_a_sheet_shows_a_still_of_each(folder, run):
    code, out, _ = run(
        "sheet", "reel.yaml", "--variants", "--at", "4f", "--device", "cpu", "--json"
    )
    assert code == 0
    told = json.loads(out.splitlines()[-1])
    assert told["variants"] == LABELS
    sheet = Image.open(told["file"])
    for number, label in enumerate(LABELS):
        only = [f"--only={part}" for part in label.split()]
        assert (
            run("still", "reel.yaml", "--at", "4f", "--device", "cpu", "-o", "a.png", *only)[0] == 0
        )
        still = Image.open("a.png").convert("RGB")
        assert still.size == (16, 16)
        top = 4 + number * (sheet.height - 4) // len(LABELS)
        assert sheet.crop((4, top, 20, top + 16)).tobytes() == still.tobytes(), label
    code, _, err = run("sheet", "reel.yaml")
    assert code == 2 and "4 variants" in err


def test_a_film_gives_back_the_variant_that_it_is(folder, run):
    Path("reel.yaml").write_text(REEL + "title: $$seed ${seed} costs 5 $$each\n")
    only = ["--only", "seed=2", "--only", "level=16", "--device", "cpu", "--quiet"]
    assert run("render", "reel.yaml", *only)[0] == 0
    film = folder / "renders" / f"{NAMES[3]}.mp4"
    assert run("new", "--from", film, "-o", "again.yaml", "--quiet")[0] == 0
    again = load_timeline("again.yaml")
    assert (again.title, again.variant) == ("$seed 2 costs 5 $each", None)
    assert run("render", "again.yaml", "--device", "cpu", "--quiet", "-o", "again.mp4")[0] == 0
    assert count_frames(Path("again.mp4")) == 8
    films = [
        open_film(one, device="cpu")
        for one in (again, load_timeline("reel.yaml", only=["seed=2", "level=16"]))
    ]
    for index in range(8):
        assert films[0].rgb8(index).tobytes() == films[1].rgb8(index).tobytes()


def test_a_recipe_that_would_have_another_file_read_is_refused(folder):
    Image.new("RGB", (4, 4)).save("a.png")
    write_metadata(Path("a.png"), "png", Metadata(f"{SIGN}0.1.0 render\nextends: reel.yaml\n", "x"))
    with pytest.raises(OptionError, match="its recipe extends another timeline"):
        restore(Path("a.png"), Path("again.yaml"))


def test_errors_are_ours():
    with pytest.raises(AnimixError, match="there is no such file"):
        animix.variants("gone.yaml")
