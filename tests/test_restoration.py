"""A timeline comes back out of a film, renders the same frames, and is trusted in nothing."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections import deque
from pathlib import Path

import pytest
from PIL import Image

from animix.errors import OptionError, TimelineError
from animix.ffmpeg.program import find_ffmpeg
from animix.film import open_film
from animix.rendering import encode
from animix.restoration import restore
from animix.timeline.reader import load_timeline, variants
from animix.video.metadata import Metadata, write_metadata
from tests.reel import REEL, make_reel, open_reel, recipe, render

EXAMPLES = [*sorted(Path("timelines").glob("*.yaml")), Path("animix/demo/demo.yaml")]


@pytest.fixture
def folder(tmp_path):
    return make_reel(tmp_path)


def picture_with(path, text):
    """A PNG that carries a text as its recipe."""
    Image.new("RGB", (2, 2)).save(path)
    write_metadata(path, "png", Metadata(text, "animix"))
    return path


def framemd5(path):
    command = [find_ffmpeg(), "-v", "error", "-i", str(path), "-f", "framemd5", "-"]
    return subprocess.run(command, capture_output=True, check=True).stdout


def test_a_strangers_recipe_has_no_sound_opened(folder):
    text = REEL.replace("secret/", "").replace("fade-in: 100ms", "bpm: auto")
    before = picture_with(folder / "before.png", f"# animix 0.1.0 render\n{text}")
    shutil.copy(folder / "secret" / "song.wav", folder / "song.wav")
    with pytest.raises(TimelineError, match="no sound is opened for this text"):
        restore(before, folder / "again.yaml")
    assert not list(folder.glob("*.beats.json"))


# -- Back and again --------------------------------------------------------------------------------


@pytest.mark.parametrize("audio", [True, False])
@pytest.mark.parametrize("options", [{}, {"draft": True, "frames": range(3, 17)}], ids=str)
def test_what_comes_back_renders_the_same_film(folder, audio, options):
    text = REEL if audio else REEL.replace("audio:", "# audio:")
    draft = options.get("draft", False)
    before = folder / "before.mp4"
    data = render(open_reel(folder, text, draft=draft), before, **options)
    output = folder / "elsewhere" / "again.yaml"
    restored = restore(before, output, sorted((folder / "secret").iterdir()))
    assert restored.notes == ()
    expected = f"animix render {output}" + (" --frames 3..16 --draft" if draft else "")
    assert restored.command == expected
    assert f"\n#   {expected}\n" in output.read_text(encoding="utf-8")
    film = open_film(load_timeline(output), device="cpu", draft=draft)
    after = folder / "after.mp4"
    assert render(film, after, **options) == data
    assert framemd5(after) == framemd5(before)


@pytest.mark.parametrize(
    "output",
    [
        *("webm", "prores", "gif", "png", "draft", "out.webm"),
        "{codec: h265, fps: 5, size: 32x48, fit: contain}",
        "{preset: square, size: 64x64, bitrate: 812.5k}",
    ],
)
def test_every_kind_of_film_carries_its_recipe_and_shows_the_same_again(folder, output):
    text = REEL.replace("output: secret/out.mp4", f"output: {output}")
    film = open_reel(folder, text)
    before = folder / f"before{film.output.suffix}"
    deque(encode(film, before), maxlen=0)
    source = sorted(before.iterdir())[3] if before.is_dir() else before
    assert b"secret" not in source.read_bytes()
    again = folder / "secret" / "again.yaml"
    restore(source, again)
    film = open_film(load_timeline(again), device="cpu")
    after = folder / f"after{film.output.suffix}"
    deque(encode(film, after), maxlen=0)
    if before.is_dir():
        pictures = [sorted(each.iterdir()) for each in (before, after)]
        assert [each.read_bytes() for each in pictures[0]] == [
            each.read_bytes() for each in pictures[1]
        ]
    else:
        assert framemd5(after) == framemd5(before)


@pytest.mark.parametrize(
    "outputs", ["[{fps: 20}]", "[{fps: 20}, {file: a.mp4, fps: 24}]", "[{fps: 24}, {fps: 24}]"]
)
@pytest.mark.parametrize("fps", ["", "fps: 10\n"], ids=["no fps", "10 fps"])
def test_each_of_several_outputs_comes_back_with_its_own_pictures(folder, fps, outputs):
    text = REEL.replace("fps: 10\n", fps)
    text = text.replace("output: secret/out.mp4", f"output: {outputs}") + "loop: false\n"
    for number, film in enumerate(open_reel(folder, text).versions):
        source = picture_with(folder / f"{number}.png", recipe(film))
        again = folder / "secret" / f"{number}.yaml"
        restore(source, again)
        alone = open_film(load_timeline(again), device="cpu")
        assert alone.schedule.clip == film.schedule.clip
        frames = range(film.schedule.num_frames)
        assert [*map(bytes, alone.frames(frames))] == [*map(bytes, film.frames(frames))]


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_every_example_comes_back_with_the_demo_s_networks(path, tmp_path):
    film = open_film(variants(path)[0], device="cpu")
    source = picture_with(tmp_path / "still.png", recipe(film))
    beside = [each for each in sorted(path.parent.iterdir()) if each.suffix in (".wav", ".npz")]
    restored = restore(source, tmp_path / "again.yaml", beside)
    assert restored.notes == ()
    again = open_film(load_timeline(tmp_path / "again.yaml"), device="cpu")
    assert recipe(again) == recipe(film)


# -- Where the files are ---------------------------------------------------------------------------


@pytest.fixture
def source(folder):
    """A picture with the reel's recipe."""
    return picture_with(folder / "still.png", recipe(open_reel(folder)))


def test_files_beside_the_timeline_are_taken(folder, source):
    restored = restore(source, folder / "secret" / "again.yaml")
    text = (folder / "secret" / "again.yaml").read_text()
    assert restored.notes == () and "art: [art-1.safetensors, art-2.safetensors]" in text


def test_a_missing_file_is_told_in_the_timeline_and_by_name(folder, source):
    shutil.move(folder / "secret" / "w.npy", folder / "w.npy")
    output = folder / "secret" / "again.yaml"
    (note,) = restore(source, output).notes
    assert note.startswith(f"w.npy is neither in {folder / 'secret'} nor among the files given")
    assert f"# {note}\n" in output.read_text()


def test_another_file_of_that_name_is_taken_with_a_warning(folder, source):
    secret = folder / "secret"
    shutil.copy(secret / "art-1.safetensors", secret / "art-2.safetensors")
    (note,) = restore(source, secret / "again.yaml").notes
    assert note.startswith("art-2.safetensors is not the file that was rendered")
    assert f"# {note}\n" in (secret / "again.yaml").read_text()
    load_timeline(secret / "again.yaml")


def test_a_file_that_was_renamed_is_found_by_its_content(folder, source):
    secret = folder / "secret"
    shutil.move(secret / "faces.safetensors", folder / "moved.bin")
    assert restore(source, secret / "again.yaml", [folder / "moved.bin"]).notes == ()
    assert "faces: ../moved.bin" in (secret / "again.yaml").read_text()


def test_what_is_given_has_to_be_there(folder, source):
    with pytest.raises(OptionError, match=r"none\.pkl: there is no such file"):
        restore(source, folder / "again.yaml", [folder / "none.pkl"])


def test_a_timeline_that_stands_there_stays(folder, source):
    with pytest.raises(OptionError, match="exists; name another file"):
        restore(source, folder / "reel.yaml")
    assert (folder / "reel.yaml").read_text() == REEL


# -- Whom nobody trusts ----------------------------------------------------------------------------

HEAD = "# animix 0.1.0 render\n"
GOOD = "networks: {faces: base.safetensors}\nduration: 1s\n"


@pytest.mark.parametrize("name", ["/etc/passwd", "../x.pkl", "a/b.pkl", "~/x", "..", "C:x", r"a\b"])
@pytest.mark.parametrize(
    "text",
    [
        "networks: {{faces: '{}'}}\nduration: 1s",
        "networks: {{faces: base.safetensors, more: [x.pkl, '{}']}}\nduration: 1s",
        GOOD.replace("{", "{{").replace("}", "}}") + "audio: '{}'",
        GOOD.replace("{", "{{").replace("}", "}}") + "audio: {{file: '{}'}}",
        GOOD.replace("{", "{{").replace("}", "}}") + "latents: [3, '{}.npy']",
        GOOD.replace("{", "{{").replace("}", "}}") + "latents: {{0s: '{}.npz ease', end: 3}}",
    ],
)
def test_a_recipe_that_names_a_folder_is_not_taken(tmp_path, text, name):
    if name == ".." and "{}.np" in text:
        name = "../w"
    source = picture_with(tmp_path / "still.png", HEAD + text.format(name))
    with pytest.raises(OptionError, match=r"its recipe names .* without folders"):
        restore(source, tmp_path / "again.yaml")
    assert not (tmp_path / "again.yaml").exists()


def test_where_a_film_goes_is_not_for_the_recipe_to_say(tmp_path):
    source = picture_with(tmp_path / "still.png", HEAD + GOOD + "output: /etc/reel.mp4")
    restore(source, tmp_path / "again.yaml")
    assert load_timeline(tmp_path / "again.yaml").output.file is None


def test_comments_and_commands_of_the_recipe_are_not_copied(tmp_path):
    head = "# animix 0.1.0 render; rm -rf ~\n# a comment\n#   animix render --evil\n"
    source = picture_with(tmp_path / "still.png", head + GOOD)
    output = tmp_path / "again.yaml"
    assert restore(source, output).command == f"animix render {output}"
    assert not any(word in output.read_text() for word in ("rm -rf", "a comment", "evil"))


HOSTILE = {
    "empty": HEAD,
    "no timeline": f"{HEAD}[1, 2]",
    "tags": f"{HEAD}networks: !!python/object/apply:os.system [ls]",
    "bomb": HEAD + "a: &a [x]\n" + "".join(f"b{n}: &b{n} [*a, *a]\n" for n in range(9)),
    "laughs": f"{HEAD}a0: &a0 [x, x]\n"
    + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 9)),
    "deep": HEAD + "[" * 5000,
    "long": HEAD + "x" * 2_000_000,
    "escape": f"{HEAD}title: \x1b[2J",
    "digests": HEAD + '# sha256 00000000000000000000000000000000 "x"\n' * 50_000,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_recipe_is_refused_at_once_and_leaves_nothing(tmp_path, name):
    source = picture_with(tmp_path / "still.png", HOSTILE[name])
    started = time.process_time()
    with pytest.raises(TimelineError) as caught:
        restore(source, tmp_path / "again.yaml")
    assert time.process_time() - started < 20
    assert "still.png" in str(caught.value) and "\x1b" not in str(caught.value)
    assert list(tmp_path.iterdir()) == [source]


# -- On the command line ---------------------------------------------------------------------------


def test_a_still_goes_round(folder, run, monkeypatch):
    monkeypatch.chdir(folder / "secret")
    assert run("still", "../reel.yaml", "--at", "50%", "-o", "one.png")[0] == 0
    code, out, err = run("new", "--from", "one.png", "-o", "again.yaml")
    assert (code, out) == (0, "again.yaml  try: animix still again.yaml --at 10f\n"), err
    assert run("still", "again.yaml", "--at", "10f", "-o", "two.png")[0] == 0
    assert Path("one.png").read_bytes() == Path("two.png").read_bytes()


def test_no_recipe_leaves_it_out_of_films_and_stills(folder, run, monkeypatch):
    monkeypatch.chdir(folder)
    assert run("render", "reel.yaml", "--no-recipe", "-o", "reel.mp4")[0] == 0
    assert run("still", "reel.yaml", "--at", "0", "--no-recipe", "-o", "one.png")[0] == 0
    for name in ("reel.mp4", "one.png"):
        assert b"animix" not in Path(name).read_bytes()
        code, _, err = run("new", "--from", name, "-o", "again.yaml")
        assert code == 2 and f"error: {name}: has no recipe" in err


def test_new_wants_networks_or_a_film(folder, run, monkeypatch):
    monkeypatch.chdir(folder)
    code, _, err = run("new", "-o", "again.yaml")
    assert code == 2 and "name networks, or a film with --from" in err


def test_a_note_is_told(folder, run, source, monkeypatch):
    monkeypatch.chdir(folder)
    code, _, err = run("new", "--from", source, "-o", "again.yaml")
    assert code == 0 and "faces.safetensors is neither in" in err
