"""An interrupted render goes on where it was, and an edit costs what it changes."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from animix import chunks, rendering
from animix.chunks import chunk_keys, files_of
from animix.errors import EncodeError, OptionError
from animix.film import open_film
from animix.footage import Footage
from animix.progress import Progress
from animix.rendering import encode
from animix.timeline.reader import load_timeline
from animix.video import segments as segments_module
from animix.video.cache import Cache, kept_in
from animix.video.mp4 import count_frames
from animix.whole_file import part_of
from tests.test_ffmpeg import fake
from tests.tiny import relative_of, tiny_tensors, write_tensors

REEL = """
networks: {faces: faces.safetensors, art: "art-*.safetensors"}
duration: 60f
fps: 10
loop: false
latents: {0f: 3, 40f: 17, 50f: w.npy, end: w.npy}
blend:
  - faces
  - art:
      swap: {0f: none, 10f: 8, 20f: 16, 30f: 16, 40f: 16, 50f: 16, 59f: none}
      snapshot: {0f: 1, 49f: 1, 52f: 2}
"""

KILLS = int(os.environ.get("ANIMIX_KILLS", "2"))


@pytest.fixture
def folder(tmp_path):
    """A base, two snapshots, a projected latent and a timeline."""
    tensors, metadata = tiny_tensors()
    write_tensors(tmp_path / "faces.safetensors", tensors, metadata)
    for number in (1, 2):
        relative = relative_of(tensors, amount=0.05 * number, seed=number)
        write_tensors(tmp_path / f"art-{number}.safetensors", relative, metadata)
    np.save(tmp_path / "w.npy", np.linspace(-1, 1, 16, dtype=np.float32))
    (tmp_path / "reel.yaml").write_text(REEL)
    return tmp_path


@pytest.fixture
def painted(monkeypatch):
    """Chunks of 16 frames, and the numbers of the frames that are painted."""
    numbers: list[int] = []
    cells = Footage.cells

    def counted(self, wanted):
        numbers.extend(number for _, parts in wanted for part in parts for number in part)
        return cells(self, wanted)

    monkeypatch.setattr(Footage, "cells", counted)
    monkeypatch.setattr(rendering, "segment_frames", lambda settings: 16)
    return numbers


def open_reel(folder, text=REEL, **settings):
    (folder / "reel.yaml").write_text(text)
    return open_film(load_timeline(folder / "reel.yaml"), device="cpu", **settings)


def render(film, target, **options):
    """The bytes of the film, and the last step's word of what was done before."""
    *_, last = encode(film, target, **options)
    return content(target), last.done_before


def content(target):
    """The bytes of a film, a file or a folder of pictures."""
    files = sorted(target.iterdir()) if target.is_dir() else [target]
    return b"".join(file.read_bytes() for file in files)


def chunks_of(target):
    return sorted((target.parent / ".animix" / target.name).glob("*.mp4"))


def interrupt(film, target, num_frames=40, **options):
    """Render until so many frames are painted, and the chunks that had all theirs are whole."""
    steps = encode(film, target, **options)
    while next(steps).done < num_frames:
        pass
    time.sleep(0.3)
    steps.close()


# -- Going on --------------------------------------------------------------------------------------


def test_a_finished_film_leaves_nothing_beside_it(folder, painted):
    target = folder / "out" / "reel.mp4"
    render(open_reel(folder), target)
    assert list(target.parent.iterdir()) == [target]
    assert painted == list(range(60))


@pytest.mark.parametrize("frames", [None, range(5, 50)])
def test_an_interrupted_render_goes_on_and_ends_in_the_same_bytes(folder, painted, frames):
    film, target = open_reel(folder), folder / "out" / "reel.mp4"
    whole, _ = render(film, folder / "whole.mp4", frames=frames)
    interrupt(film, target, frames=frames)
    assert not target.exists()
    num_chunks = len(chunks_of(target))
    assert num_chunks >= 1
    assert [path.name for path in target.parent.iterdir()] == [".animix"]
    painted.clear()
    found, num_before = render(film, target, frames=frames)
    assert found == whole
    assert len(painted) == len(frames or range(60)) - num_before
    assert num_before > 0
    assert list(target.parent.iterdir()) == [target]


@pytest.mark.parametrize("lost", [[0], [1], [3], [0, 2], [1, 2], [0, 1, 2, 3]], ids=str)
def test_any_chunks_may_be_missing(folder, painted, lost):
    film, target = open_reel(folder), folder / "reel.mp4"
    whole, _ = render(film, target, keep_cache=True)
    starts = {chunk.name: None for chunk in chunks_of(target)}
    key = chunk_keys(film, encoding(film), digests(film))
    for number in lost:
        part = range(16 * number, min(16 * number + 16, 60))
        (path,) = [path for path in chunks_of(target) if path.stem == key(part)]
        path.unlink()
    painted.clear()
    assert render(film, target, keep_cache=True)[0] == whole
    expected = [n for number in lost for n in range(16 * number, min(16 * number + 16, 60))]
    assert painted == expected
    assert {chunk.name: None for chunk in chunks_of(target)} == starts


def encoding(film):
    width, height = film.canvas_size
    settings = rendering.EncoderSettings(width, height, film.schedule.fps)
    return segments_module.encoding_of(settings)


def digests(film):
    with Cache(film.timeline.path.parent / "digests" / "x.mp4") as cache:
        return cache.digests(files_of(film))


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, RuntimeError])
def test_an_error_while_painting_keeps_finished_chunks(folder, painted, monkeypatch, error):
    film, target = open_reel(folder), folder / "reel.mp4"
    whole, _ = render(film, folder / "whole.mp4")
    paint = Footage._pictures

    def failing(self, engine, cell, wanted):
        if wanted.start >= 48:
            time.sleep(0.3)
            raise error
        return paint(self, engine, cell, wanted)

    with monkeypatch.context() as patch:
        patch.setattr(Footage, "_pictures", failing)
        with pytest.raises(error):
            list(encode(film, target))
    num_whole = len(chunks_of(target))
    assert num_whole >= 1
    assert render(film, target) == (whole, 16 * num_whole)


@pytest.mark.parametrize(
    ("program", "words"),
    [
        ("sys.exit('No space left on device')", "No space left"),
        ("import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (900, 900))", "too large"),
        ("os.kill(os.getpid(), 9)", "killed by signal 9"),
    ],
)
def test_a_dead_ffmpeg_loses_no_finished_chunk(folder, painted, monkeypatch, program, words):
    """The fourth one dies."""
    film, target = open_reel(folder), folder / "reel.mp4"
    whole, _ = render(film, folder / "whole.mp4")
    real = segments_module.find_ffmpeg()
    (folder / "bin").mkdir()
    count = "n = len(os.listdir({0!r})); open({0!r} + f'/{{n}}', 'w')".format(str(folder / "bin"))
    run = f"os.execv({real!r}, ['ffmpeg', *sys.argv[1:]])"
    failing = fake(folder, f"{count}\nif n >= 3:\n    {program}\n{run}")
    with monkeypatch.context() as patch:
        patch.setattr("animix.video.ffmpeg.find_ffmpeg", lambda: failing)
        started = time.monotonic()
        with pytest.raises(EncodeError, match=words):
            list(encode(film, target))
        assert time.monotonic() - started < 15
    assert len(chunks_of(target)) == 3
    assert render(film, target) == (whole, 48)


@pytest.mark.parametrize("change", ["cut", "flipped", "emptied", "another"])
def test_a_chunk_that_is_not_whole_is_never_taken_for_one(folder, painted, change):
    film, target = open_reel(folder), folder / "reel.mp4"
    whole, _ = render(film, target, keep_cache=True)
    first, second, *_ = chunks_of(target)
    content = bytearray(first.read_bytes())
    if change == "cut":
        content = content[:-1]
    if change == "flipped":
        content[len(content) // 2] ^= 1
    if change == "emptied":
        content = bytearray(len(content))
    if change == "another":
        lengths = {len(chunk.read_bytes()) for chunk in chunks_of(target)}
        assert len(lengths) > 1
        content = bytearray(b"not an mp4")
    first.write_bytes(content)
    painted.clear()
    assert render(film, target)[0] == whole
    assert len(painted) in (12, 16)
    assert second.exists() is False


def test_the_time_left_is_that_of_what_is_to_be_rendered():
    progress = Progress(150, 200, 10.0, done_before=100)
    assert progress.per_second == 5
    assert progress.eta_seconds == 10


# -- Every format ----------------------------------------------------------------------------------

FORMATS = {
    "gif": "{preset: gif, fps: 10}",
    "png": "png",
    "webm": "webm",
    "prores": "prores",
    "h265": "{codec: h265}",
    "av1": "{codec: av1, size: 64x64}",
}


def of_format(name, more=""):
    return REEL + f"output: {FORMATS[name]}\n" + more


@pytest.mark.parametrize("name", FORMATS)
def test_an_interrupted_film_of_any_format_goes_on(folder, painted, name):
    film, target = open_reel(folder, of_format(name)), folder / "out" / "reel"
    whole, _ = render(film, folder / "whole", frames=range(5, 60))
    interrupt(film, target, frames=range(5, 60))
    assert not target.exists()
    assert [path.name for path in target.parent.iterdir()] == [".animix"]
    assert len(chunks_of(target)) >= 1
    painted.clear()
    found, num_before = render(film, target, frames=range(5, 60))
    assert found == whole
    assert num_before > 0
    assert painted == list(range(5 + num_before, 60))
    assert list(target.parent.iterdir()) == [target]


QUALITY = {
    "crf": ("output: {codec: av1, crf: 18}", "output: {codec: av1, crf: 30}"),
    "codec": ("output: {codec: vp9}", "output: {codec: av1}"),
}


@pytest.mark.parametrize(("before", "after"), QUALITY.values(), ids=QUALITY)
def test_another_encoding_of_the_same_pictures_paints_none(folder, painted, before, after):
    text = REEL + "size: 64x64\n"
    target = folder / "reel"
    first, _ = render(open_reel(folder, text + before), target, keep_cache=True)
    painted.clear()
    film = open_reel(folder, text + after)
    found, num_before = render(film, target, keep_cache=True)
    assert (painted, num_before) == ([], 60)
    assert found == render(film, folder / "again")[0] != first


def test_another_pixel_format_is_painted_again(folder, painted):
    target = folder / "reel.mp4"
    render(open_reel(folder, of_format("h265")), target, keep_cache=True)
    painted.clear()
    text = REEL + "output: {codec: h265, pixel-format: yuv422p10}\n"
    render(open_reel(folder, text), target, keep_cache=True)
    assert len(painted) == 60


@pytest.mark.parametrize("name", ["gif", "png"])
def test_an_edit_of_any_format_renders_what_it_changes(folder, painted, name):
    target = folder / "reel"
    render(open_reel(folder, of_format(name)), target, keep_cache=True)
    painted.clear()
    film = open_reel(folder, of_format(name).replace("59f: none", "59f: 4"))
    assert render(film, target, keep_cache=True)[1] == 48
    assert painted == list(range(48, 60))
    assert content(target) == render(film, folder / "again")[0]
    painted.clear()
    render(film, target, fresh=True)
    assert painted == list(range(60))
    assert not (folder / ".animix").exists()


@pytest.mark.parametrize("change", ["cut", "flipped", "emptied"])
def test_a_lossless_chunk_that_is_not_whole_is_rendered_again(folder, painted, change):
    film, target = open_reel(folder, of_format("gif")), folder / "reel.gif"
    whole, _ = render(film, target, keep_cache=True)
    chunk = chunks_of(target)[0]
    found = bytearray(chunk.read_bytes())
    if change == "flipped":
        found[len(found) // 2] ^= 1
    chunk.write_bytes({"cut": found[:-1], "flipped": found, "emptied": bytes(len(found))}[change])
    painted.clear()
    assert render(film, target)[0] == whole
    assert len(painted) in (12, 16)


@pytest.mark.parametrize("name", ["gif", "webm"])
def test_a_dead_ffmpeg_of_the_film_loses_no_chunk(folder, painted, monkeypatch, name):
    film, target = open_reel(folder, of_format(name)), folder / "reel"
    whole, _ = render(film, folder / "whole")
    real = segments_module.find_ffmpeg()
    # That which encodes the film neither keeps frames without loss nor reads them.
    program = (
        "if 'ffvhuff' not in sys.argv and sys.argv[-1] != 'pipe:1':\n"
        "    sys.stdin.buffer.read(16 * 16 * 16)\n"  # of the first chunk
        "    sys.exit('No space left on device')\n"
        f"os.execv({real!r}, ['ffmpeg', *sys.argv[1:]])"
    )
    failing = fake(folder, program)
    with monkeypatch.context() as patch:
        patch.setattr("animix.video.ffmpeg.find_ffmpeg", lambda: failing)
        with pytest.raises(EncodeError, match=r"reel: ffmpeg stopped[^$]*No space left on device"):
            list(encode(film, target))
    assert not target.exists()
    num_whole = len(chunks_of(target))
    assert num_whole >= 1
    assert render(film, target) == (whole, min(60, 16 * num_whole))


def test_frames_that_wait_for_their_encoder_are_told(folder, painted, monkeypatch):
    film = open_reel(folder, of_format("webm"))
    waiting = iter([40, 8])
    monkeypatch.setattr(
        segments_module.SegmentEncoder, "num_waiting", property(lambda _: next(waiting, 0))
    )
    *_, before, last = encode(film, folder / "reel.webm")
    assert (before.done, before.to_encode) == (59, 8)
    assert (last.done, last.to_encode) == (60, 0)


def test_two_renders_of_a_film_of_lossless_chunks_do_no_harm(folder, painted):
    film, target = open_reel(folder, of_format("gif")), folder / "reel"
    whole, _ = render(film, folder / "whole")
    slow = encode(film, target)
    while next(slow).done < 20:
        pass
    assert render(film, target)[0] == whole
    assert kept_in(folder)[0].is_in_use
    for _ in slow:
        pass
    assert content(target) == whole
    assert not (folder / ".animix").exists()


# -- What a key holds ------------------------------------------------------------------------------


EDITS = {
    "the outro's swap": (("59f: none", "59f: 4"), [3]),
    "the outro's network": (("52f: 2}", "55f: 2}"), [3]),
    "a title": (("fps: 10", "fps: 10\ntitle: Porcelain"), []),
    "a name": (("faces", "people"), []),
    "a key of latents in the middle": (("40f: 17", "40f: 18"), [0, 1, 2, 3]),
    "the first swap": (("10f: 8", "10f: 4"), [0, 1]),
    "truncation": (("fps: 10", "fps: 10\ntruncation: 0.5"), [0, 1, 2, 3]),
    "noise": (("fps: 10", "fps: 10\nnoise: none"), [0, 1, 2, 3]),
    "the size": (("fps: 10", "fps: 10\nsize: 24x24"), [0, 1, 2, 3]),
    "the speed": (("fps: 10", "fps: 12"), [0, 1, 2, 3]),
}


@pytest.mark.parametrize(("edit", "expected"), EDITS.values(), ids=EDITS)
def test_an_edit_renders_what_it_changes(folder, painted, edit, expected):
    target = folder / "reel.mp4"
    render(open_reel(folder), target, keep_cache=True)
    painted.clear()
    old, new = edit
    text = REEL.replace(old, new)
    if old == "faces":
        text = text.replace("people.safetensors", "faces.safetensors")
    film = open_reel(folder, text)
    found, _ = render(film, target, keep_cache=True)
    assert sorted({number // 16 for number in painted}) == expected
    assert found == render(film, folder / "again.mp4")[0]
    assert len(chunks_of(target)) == 4


def test_another_network_of_the_same_name_is_noticed(folder, painted):
    target = folder / "reel.mp4"
    render(open_reel(folder), target, keep_cache=True)
    tensors, metadata = tiny_tensors()
    path = folder / "art-2.safetensors"
    about = path.stat()
    write_tensors(path, relative_of(tensors, amount=0.3, seed=9), metadata)
    os.utime(path, ns=(about.st_atime_ns, about.st_mtime_ns))
    assert (path.stat().st_size, path.stat().st_mtime_ns) == (about.st_size, about.st_mtime_ns)
    painted.clear()
    film = open_reel(folder)
    assert render(film, target, keep_cache=True)[0] == render(film, folder / "new.mp4")[0]
    assert painted[0] == 48  # the first chunk that it takes part in


def test_another_latent_of_the_same_name_is_noticed(folder, painted):
    target = folder / "reel.mp4"
    render(open_reel(folder), target, keep_cache=True)
    np.save(folder / "w.npy", np.linspace(1, -1, 16, dtype=np.float32))
    painted.clear()
    render(open_reel(folder), target)
    assert painted


EDIT = "{seeds: [3, 17], edits: [{direction: w.npy, amount: {0f: 0, 47f: 0, 59f: 1}}]}"
STYLED = REEL.replace(
    "latents: {0f: 3, 40f: 17, 50f: w.npy, end: w.npy}", f"latents: {{4: {EDIT}, 8..: [5]}}"
)
STYLE_CHANGES = {
    "nothing": (STYLED, []),
    "an amount at the end": (STYLED.replace("59f: 1}", "59f: 2}"), [3]),
    "the seed of a range": (STYLED.replace("[5]", "[6]"), [0, 1, 2, 3]),
    "where a range begins": (
        STYLED.replace("{4: ", "{4..8: ").replace("8..: [5]", "16..: [5]"),
        [0, 1, 2, 3],
    ),
    "the direction": (STYLED.replace("w.npy", "sefa 1"), [0, 1, 2, 3]),
}


@pytest.mark.parametrize("name", STYLE_CHANGES)
def test_a_key_holds_paths_by_resolution_and_edits(folder, name):
    text, expected = STYLE_CHANGES[name]
    keys = []
    for each in (STYLED, text):
        film = open_reel(folder, each)
        key = chunk_keys(film, encoding(film), digests(film))
        keys.append([key(range(start, min(start + 16, 60))) for start in range(0, 60, 16)])
    assert [n for n, pair in enumerate(zip(*keys, strict=True)) if pair[0] != pair[1]] == expected


def test_another_direction_of_the_same_name_is_noticed(folder):
    film = open_reel(folder, STYLED)
    before = chunk_keys(film, encoding(film), digests(film))(range(16))
    np.save(folder / "w.npy", np.linspace(1, -1, 16, dtype=np.float32) ** 3)
    film = open_reel(folder, STYLED)
    assert chunk_keys(film, encoding(film), digests(film))(range(16)) != before


def test_a_key_tells_drafts_precisions_sizes_and_versions_apart(folder, monkeypatch):
    def key(film):
        return chunk_keys(film, encoding(film), digests(film))(range(16))

    text = REEL.replace("fps: 10", "fps: 10\nsize: 32x32")
    small = REEL.replace("fps: 10", "fps: 10\nsize: 16x16")
    found = [
        key(open_reel(folder, text)),
        key(open_reel(folder, text, draft=True)),
        key(open_reel(folder, small, precision="float32")),
        key(open_reel(folder, small, precision="bfloat16")),
    ]
    for module, name, value in [
        (chunks.torch, "__version__", "99"),
        (chunks, "source_digest", lambda: "another"),
        (chunks, "device_facts", lambda device: "another"),
        (segments_module, "num_threads", lambda settings: 99),
        (segments_module, "ffmpeg_version", lambda executable: "99"),
    ]:
        with monkeypatch.context() as patch:
            film = open_reel(folder, small, precision="float32")
            patch.setattr(module, name, value)
            found.append(key(film))
    assert len(set(found)) == len(found)
    assert key(open_reel(folder, small, precision="float32")) == found[2]


# -- Options ---------------------------------------------------------------------------------------


def test_fresh_renders_everything(folder, painted):
    film, target = open_reel(folder), folder / "reel.mp4"
    whole, _ = render(film, target, keep_cache=True)
    painted.clear()
    assert render(film, target, fresh=True) == (whole, 0)
    assert painted == list(range(60))
    assert not (folder / ".animix").exists()


def test_kept_chunks_are_those_of_the_film(folder, painted):
    target = folder / "reel.mp4"
    whole, _ = render(open_reel(folder), target, keep_cache=True)
    render(open_reel(folder, REEL.replace("59f: none", "59f: 4")), target, keep_cache=True)
    assert len(chunks_of(target)) == 4
    painted.clear()
    assert render(open_reel(folder), target, keep_cache=True) == (whole, 48)
    painted.clear()
    assert render(open_reel(folder), target, keep_cache=True) == (whole, 60)
    assert painted == []


# -- Several at once, and what others left ---------------------------------------------------------


def test_two_renders_of_one_film_do_no_harm(folder, painted):
    film, target = open_reel(folder), folder / "reel.mp4"
    whole, _ = render(film, folder / "whole.mp4")
    slow = encode(film, target)
    while next(slow).done < 20:
        pass
    assert render(film, target)[0] == whole
    assert kept_in(folder)[0].is_in_use
    for _ in slow:
        pass
    assert target.read_bytes() == whole
    assert not (folder / ".animix").exists()


def test_two_renders_that_begin_together_do_no_harm(folder, painted):
    target = folder / "reel.mp4"
    whole, _ = render(open_reel(folder), folder / "whole.mp4")
    films = [open_reel(folder) for _ in range(2)]
    threads = [threading.Thread(target=render, args=(film, target)) for film in films]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert target.read_bytes() == whole
    assert not list(folder.glob(".*"))


def dead_process():
    """The number of a process that is gone."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_what_killed_processes_left_is_removed(folder, painted):
    film, target = open_reel(folder), folder / "reel.mp4"
    inside = folder / ".animix" / "reel.mp4"
    inside.mkdir(parents=True)
    gone = f"{dead_process()}-abcdef-0"
    left = [
        folder / f".reel.mp4.part-{gone}",
        folder / f".reel.mp4.part-{os.getpid()}-abcdef-0",  # of our number, in a container
        inside / f".0123.mp4.part-{gone}",
        inside / f"user-{gone}",
    ]
    alive = [folder / f".reel.mp4.part-{os.getppid()}-abcdef-0", part_of(target)]
    others = [folder / f".other.mp4.part-{gone}", folder / ".hidden"]
    for path in (*left, *alive, *others):
        path.write_bytes(b"half")
    left.append(folder / f".reel.mp4.part-{gone[:-1]}1")  # a film that waited for its sound
    left[-1].mkdir()
    (left[-1] / "reel.mp4").write_bytes(b"silent")
    render(film, target)
    assert not any(path.exists() for path in left)
    assert all(path.exists() for path in (*alive, *others))
    assert not (folder / ".animix").exists()


def test_a_cache_that_can_not_be_written_is_told(folder, painted):
    film, target = open_reel(folder), folder / "reel.mp4"
    (folder / ".animix").write_text("no folder")
    with pytest.raises(
        OptionError,
        match=r"finished chunks, which are kept in .*reel\.mp4 until .* can.t be written",
    ):
        list(encode(film, target))
    assert not target.exists()
    assert (folder / ".animix").read_text() == "no folder"


# -- Processes that are killed ---------------------------------------------------------------------


def start(folder, *arguments, reel="long.yaml"):
    command = [sys.executable, "-m", "animix", "render", reel, *arguments]
    return subprocess.Popen(
        command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
    )


def test_a_render_that_is_killed_again_and_again_ends_in_the_same_bytes(folder):
    """With ANIMIX_KILLS=20 as often as that."""
    text = REEL.replace("fps: 10", "fps: 4").replace("duration: 60f", "duration: 400f")
    (folder / "long.yaml").write_text(text)  # a draft's chunks have 32 frames
    started = time.monotonic()
    process = start(folder, "--draft", "-o", "whole.mp4")
    _, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    seconds = time.monotonic() - started
    target = folder / "reel.mp4"
    target.write_bytes(b"an earlier film")
    moments = random.Random(7)
    for _ in range(KILLS):
        process = start(folder, "--draft", "-o", "reel.mp4")
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(moments.uniform(0.5, 0.9) * seconds)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        # It may have been quicker.
        assert target.read_bytes() in (b"an earlier film", (folder / "whole.mp4").read_bytes())
        target.write_bytes(b"an earlier film")
    process = start(folder, "--draft", "-o", "reel.mp4")
    _, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert target.read_bytes() == (folder / "whole.mp4").read_bytes()
    assert count_frames(target) == 400
    names = {path.name for path in folder.glob("*reel*")} | {
        path.name for path in folder.glob(".*")
    }
    assert names == {"reel.yaml", "reel.mp4"}
    shutil.rmtree(folder)


def test_films_of_all_formats_that_are_killed_end_in_the_same_bytes(folder):
    """One command writes them all. With ANIMIX_KILLS=20 killed as often as that."""
    text = REEL.replace("duration: 60f", "duration: 130f").replace(
        "fps: 10", "fps: 10\nsize: 64x64"
    )
    outputs = [
        "{file: out/a.gif}",
        "{preset: png, file: out/b}",
        "{file: out/c.webm}",
        "{file: out/d.mov}",
        "{codec: h265, file: out/e.mp4}",
        "{codec: av1, file: out/f.mp4}",
    ]
    (folder / "all.yaml").write_text(f"{text}output: [{', '.join(outputs)}]\n")
    out = folder / "out"

    def contents():
        return {path.name: content(path) for path in out.iterdir() if path.name[0] != "."}

    started = time.monotonic()
    process = start(folder, reel="all.yaml")
    _, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    seconds = time.monotonic() - started
    whole = contents()
    assert len(whole) == 6
    shutil.rmtree(out)
    moments = random.Random(5)
    for _ in range(KILLS):
        process = start(folder, reel="all.yaml")
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(moments.uniform(0.4, 0.95) * seconds)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert not out.exists() or contents().items() <= whole.items()
    process = start(folder, reel="all.yaml")
    _, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    assert contents() == whole
    assert {path.name for path in out.iterdir()} == set(whole)
