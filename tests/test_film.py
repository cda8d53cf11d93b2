"""A film is a pure function of timeline, networks and time, whichever way it is asked."""

import contextlib
import itertools
import threading
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

import animix
from animix import progress, rendering
from animix.delivery import film_path
from animix.engine.device import painting
from animix.engine.noise import noise_circle
from animix.errors import EncodeError, OptionError, RenderError, TimelineError
from animix.film import open_film
from animix.footage import Footage
from animix.networks.blend import with_mapping
from animix.rendering import encode
from animix.summary import summarize
from animix.timeline.reader import load_timeline
from animix.video import muxing
from animix.video.mp4 import count_frames
from tests.sounds import decoded, noise, write_wav
from tests.threads import ENCODING, threads_named
from tests.tiny import plainly, relative_of, tiny_tensors, write_tensors, write_tiny

TIMELINE = """
networks: {faces: faces.safetensors, art: "art-*.safetensors"}
duration: 2s
fps: 10
latents: [3, 17]
blend: {swap: {0%: none, 50%: 8, 100%: none}, snapshot: {0%: first, 50%: last, 100%: first}}
"""


@pytest.fixture
def folder(tmp_path):
    """A folder with a base, a run of three snapshots and a timeline."""
    tensors, metadata = tiny_tensors()
    write_tensors(tmp_path / "faces.safetensors", tensors, metadata)
    for number in (1, 2, 10):
        relative = relative_of(tensors, amount=0.02 * number, seed=number)
        write_tensors(tmp_path / f"art-{number}.safetensors", relative, metadata)
    (tmp_path / "reel.yaml").write_text(TIMELINE)
    return tmp_path


def write_timeline(folder, text):
    (folder / "reel.yaml").write_text(TIMELINE + text)
    return folder / "reel.yaml"


def open_reel(folder, text="", **settings):
    return open_film(load_timeline(write_timeline(folder, text)), device="cpu", **settings)


class Recorder:
    """Stands where ffmpeg does and keeps the bytes of every frame."""

    num_waiting = 0

    def __init__(self, path, settings, frames):
        self.settings, self.frames = settings, []
        Recorder.last = self

    def __enter__(self):
        return self

    def __exit__(self, *_):
        return None

    def write(self, cell):
        self.frames += [bytes(frame) for frame in cell]


@pytest.mark.parametrize("slow", ["painting", "encoding"])
def test_the_slowest_stage_is_told(folder, monkeypatch, slow):
    film = open_reel(folder)
    paint, write = type(film.engine).pictures, Recorder.write
    clock = SimpleNamespace(seconds=0.0, monotonic=lambda: clock.seconds)

    def pictures(self, rows, chosen):
        clock.seconds += 5 if slow == "painting" else 1
        return paint(self, rows, chosen)

    def written(self, frame):
        clock.seconds += 2
        return write(self, frame)

    # By a clock of its own: real ones tell the machine's other work, too.
    monkeypatch.setattr(progress, "time", clock)
    monkeypatch.setattr(type(film.engine), "pictures", pictures)
    monkeypatch.setattr(Recorder, "write", written)
    monkeypatch.setattr(rendering, "make_encoder", Recorder)
    *_, last = encode(film, folder / "reel.mp4", frames=range(3))
    assert (last.done, last.slowest_stage) == (3, slow)
    num_cells = len({film.cell(index).start for index in range(3)})
    assert last.stage_seconds["encoding"] == 2 * num_cells
    assert last.stage_seconds["painting"] == (5 if slow == "painting" else 1) * num_cells


NOISES = ["fixed", "none", "random", "{loop: 1s}"]


@pytest.mark.parametrize("noise", NOISES)
def test_a_frame_is_the_same_from_the_film_from_a_range_and_from_a_still(
    folder, monkeypatch, noise
):
    monkeypatch.setattr(rendering, "make_encoder", Recorder)
    text = f"noise: {noise}\nsize: 24x40\nframe: {{zoom: {{0%: 1, 50%: 1.3, 100%: 1}}}}\n"
    whole = open_reel(folder, text)
    pictures = [whole.canvas(index) for index in range(20)]
    list(encode(open_reel(folder, text), folder / "reel.mp4"))
    film_bytes = Recorder.last.frames
    assert len(film_bytes) == 20
    # Backwards, each from a film of its own: nothing of one frame reaches another.
    for index in (13, 7, 0):
        alone = open_reel(folder, text)
        list(encode(alone, folder / "reel.mp4", frames=range(index, index + 1)))
        assert Recorder.last.frames == [film_bytes[index]]
        assert torch.equal(alone.canvas(index), pictures[index])
    index = whole.schedule.frame_at("1.3s")
    still = open_reel(folder, text)
    assert torch.equal(still.canvas(index), pictures[13])
    assert (still.rgb8(index) == whole.rgb8(13)).all()


def test_cells_are_frames_that_are_painted_together(folder):
    film = plainly(open_reel(folder))
    cells = list(film.cells(range(3, 9)))
    assert [len(cell) for cell in cells] == [1] * 6
    assert (np.concatenate(cells) == list(film.frames(range(3, 9)))).all()
    film.engine.batch_size = 4
    cells = list(film.cells(range(3, 9)))
    assert [len(cell) for cell in cells] == [1, 4, 1]
    assert (np.concatenate(cells) == list(film.frames(range(3, 9)))).all()


def open_crew(folder, text="", num_devices=3, batch_size=1):
    """A film with several engines, each a device of its own for all that the film knows."""
    films = [plainly(open_reel(folder, text)) for _ in range(num_devices)]
    for film in films:
        film.engine.batch_size = batch_size
    return replace(films[0], more_engines=tuple(film.engine for film in films[1:]))


@pytest.mark.parametrize(("num_devices", "batch_size"), [(2, 1), (3, 4)])
@pytest.mark.parametrize("noise", ["random", "{loop: 1s}"])
def test_several_devices_paint_the_same_frames_in_order(folder, noise, num_devices, batch_size):
    text = f"noise: {noise}\nsize: 24x40\nframe: {{zoom: {{0%: 1, 50%: 1.3, 100%: 1}}}}\n"
    crew = open_crew(folder, text, num_devices, batch_size)
    alone = list(plainly(open_reel(folder, text)).frames(range(20)))
    assert (np.stack(list(crew.frames(range(20)))) == alone).all()
    assert (np.stack(list(crew.frames(range(3, 18)))) == alone[3:18]).all()
    assert list(crew.frames(range(3, 3))) == []
    assert not threads_named("crew")


def test_every_device_has_a_part_of_the_work(folder):
    crew = open_crew(folder)
    painted = {id(engine): 0 for engine in (crew.engine, *crew.more_engines)}
    paint = type(crew.engine).pictures
    changed = threading.Condition()

    def all_have_as_many(number):
        return min(painted.values()) >= min(number, 4)

    def pictures(self, rows, chosen):
        with changed:  # up to four of each: how long a picture takes decides nothing
            assert changed.wait_for(lambda: all_have_as_many(painted[id(self)]), timeout=60)
        picture = paint(self, rows, chosen)
        with changed:
            painted[id(self)] += len(rows)
            changed.notify_all()
        return picture

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(crew.engine), "pictures", pictures)
        list(crew.cells(range(20)))
    assert sum(painted.values()) == 20
    assert min(painted.values()) >= 4


def test_an_error_on_one_device_ends_them_all(folder):
    tensors, metadata = tiny_tensors()
    huge = {name: 1e30 * tensor for name, tensor in tensors.items()}
    write_tensors(folder / "art-3.safetensors", huge, metadata)
    crew = open_crew(folder)
    target = folder / "reel.mp4"
    with pytest.raises(RenderError, match=r"frame \d+: this mix makes no picture"):
        list(encode(crew, target))
    assert not target.exists()
    assert not threads_named("crew")


def test_a_failed_encoder_ends_all_devices(folder, monkeypatch):
    def failing(self, frame):
        raise EncodeError("no space")

    crew = open_crew(folder)
    monkeypatch.setattr(Recorder, "write", failing)
    monkeypatch.setattr(rendering, "make_encoder", Recorder)
    with pytest.raises(EncodeError, match="no space") as caught:
        list(encode(crew, folder / "reel.mp4"))
    assert not threads_named("crew")
    assert caught.value.__traceback__  # it holds what the threads hang on, and they are gone


@pytest.mark.parametrize("num_taken", [1, 7])
def test_an_abandoned_render_on_several_devices_leaves_nothing(folder, num_taken):
    crew = open_crew(folder)
    with contextlib.closing(encode(crew, folder / "reel.mp4")) as steps:
        for _ in range(num_taken):
            next(steps)
    assert not list(folder.glob("*reel.mp4*"))
    assert not threads_named("crew")


@pytest.mark.parametrize("loop", ["auto", "true"])
def test_a_closed_loop_is_closed_on_its_frames(folder, loop):
    film = open_reel(folder, f"loop: {loop}\nnoise: {{loop: 2s}}\n")
    assert film.schedule.clip.loop
    frames = [film.canvas(index) for index in range(film.schedule.num_frames)]
    steps = [
        float((frames[(n + 1) % len(frames)] - frame).abs().mean())
        for n, frame in enumerate(frames)
    ]
    assert steps[-1] <= max(steps[:-1])


def test_an_open_clip_jumps_at_its_seam(folder):
    film = open_reel(folder, "loop: false\n")
    frames = [film.canvas(index) for index in range(film.schedule.num_frames)]
    steps = [float((b - a).abs().mean()) for a, b in itertools.pairwise(frames)]
    assert float((frames[0] - frames[-1]).abs().mean()) > max(steps)


def test_a_frame_is_the_blend_that_the_public_names_give(folder):
    film = open_reel(folder, precision="float32")
    row = film.schedule.row(5)
    names = ["faces", "art-1", "art-2", "art-10"]
    networks = [animix.load_network(folder / f"{name}.safetensors") for name in names]
    mixed = animix.blend(networks, row.mix)
    ws = sum(
        weight * mixed.mapping(np.random.RandomState(seed).randn(1, 16), truncation_psi=0.7)
        for seed, weight in row.points[0].latents
    )
    expected = mixed.synthesis(ws)[0]
    assert torch.allclose(film.canvas(5), expected, rtol=0, atol=1e-5)


def test_only_networks_in_use_are_kept(folder):
    tensors, metadata = tiny_tensors()
    for number in range(40):
        relative = relative_of(tensors, amount=0.01 * number, seed=number)
        write_tensors(folder / f"art-{number}.safetensors", relative, metadata)
    film = plainly(open_reel(folder))
    most = 0
    for index in range(film.schedule.num_frames):
        film.canvas(index)
        most = max(most, len(film.engine.shelf))
    assert most == 3  # the base and two neighbours among forty snapshots


def test_a_snapshot_slide_starts_at_what_lies_below(folder):
    film = open_reel(folder)
    (folder / "slide.yaml").write_text(
        TIMELINE.split("blend:")[0] + "blend: {snapshot: {0%: 0, 50%: last, 100%: 0}}\n"
    )
    slide = open_film(load_timeline(folder / "slide.yaml"), device="cpu")
    assert torch.equal(slide.canvas(0), film.canvas(0))
    assert not torch.equal(slide.canvas(10), film.canvas(0))


def test_looped_noise_keeps_its_power(folder):
    network = animix.load_network(folder / "faces.safetensors")
    circle = noise_circle(network)
    assert len(circle) == 5
    for fixed, other in circle.values():
        for angle in np.linspace(0, 2 * np.pi, 9):
            image = float(np.cos(angle)) * fixed + float(np.sin(angle)) * other
            assert float(image.norm()) == pytest.approx(float(fixed.norm()), rel=1e-5)


def test_a_frame_does_not_depend_on_what_a_program_allows_torch(folder):
    expected = open_reel(folder).canvas(5)
    before = torch.get_float32_matmul_precision()
    try:
        torch.set_float32_matmul_precision("medium")
        found = open_reel(folder).canvas(5)
        assert torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_float32_matmul_precision(before)
    assert torch.equal(found, expected)


def test_memory_that_is_not_there_ends_the_render_with_a_reason(folder):
    film = open_reel(folder)
    with pytest.raises(RenderError, match="out of memory"), painting(film.engine.device):
        torch.empty(1 << 50)


def test_projected_latents_are_used_as_they_are(folder):
    network = animix.load_network(folder / "faces.safetensors")
    w = network.mapping(np.random.RandomState(3).randn(1, 16))
    np.savez(folder / "me.npz", w=w.numpy())
    (folder / "me.yaml").write_text(
        "networks: {faces: faces.safetensors}\nduration: 1s\nlatents: [me.npz]\n"
    )
    film = open_film(load_timeline(folder / "me.yaml"), device="cpu", precision="float32")
    assert torch.allclose(film.canvas(0), network.synthesis(w)[0], atol=1e-5)


def test_paths_by_resolution_and_edits_are_what_the_public_names_give(folder):
    network = animix.load_network(folder / "faces.safetensors")
    low, high = (
        network.mapping(np.random.RandomState(seed).randn(1, 16), truncation_psi=0.7)
        for seed in (3, 17)
    )
    smile = np.random.default_rng(0).normal(size=16)
    np.save(folder / "smile.npy", smile)
    (folder / "me.yaml").write_text(
        "networks: {faces: faces.safetensors}\nduration: 1s\nlatents:\n"
        "  4..8: {seeds: 3, edits: [{direction: sefa 2, amount: {8: 1.5}}]}\n"
        "  16..: {seeds: 17, edits: [{direction: smile.npy, amount: -2}]}\n"
    )
    film = open_film(load_timeline(folder / "me.yaml"), device="cpu", precision="float32")
    # conv1 of 4 px; both of 8 px; both of 16 px and the last torgb.
    ws = torch.cat([low[:, :3], high[:, 3:]], dim=1)
    ws[:, 1:3] += 1.5 * animix.sefa(network)[1]
    ws[:, 3:] -= 2 * torch.from_numpy(smile / np.linalg.norm(smile)).float()
    assert torch.allclose(film.canvas(0), network.synthesis(ws)[0], atol=1e-5)
    assert folder / "smile.npy" in film.files


@pytest.mark.parametrize(
    ("latents", "message"),
    [
        ("{seeds: 3, edits: [{direction: none.npy, amount: 1}]}", "no such file"),
        ("{seeds: 3, edits: [{direction: sefa 17, amount: 1}]}", "this network has 16 directions"),
        ("{4: [3], 8: [5]}", "latents has no path for 16"),
    ],
)
def test_latents_that_these_networks_can_not_have_are_mistakes(folder, latents, message):
    text = f"networks: {{faces: faces.safetensors}}\nduration: 1s\nlatents: {latents}\n"
    (folder / "me.yaml").write_text(text)
    with pytest.raises(TimelineError, match=message):
        open_film(load_timeline(folder / "me.yaml"), device="cpu")


def test_mapping_may_come_from_another_network(folder):
    own, other = open_reel(folder), open_reel(folder, "mapping: art\n")
    assert not torch.equal(own.canvas(0), other.canvas(0))


def test_the_base_gives_filters_and_clamp_whatever_maps(folder):
    tensors, metadata = tiny_tensors()
    tensors["synthesis.b4.resample_filter"] = torch.full((2, 2), 0.25)
    write_tensors(folder / "art-9.safetensors", tensors, {**metadata, "conv_clamp": "0.5"})
    film = open_reel(folder, "mapping: art\n", precision="float32")
    assert film.engine.facts.conv_clamp is None
    expected = with_mapping(
        animix.load_network(folder / "faces.safetensors"),
        animix.load_network(folder / "art-9.safetensors"),
    ).synthesis(film.engine.ws(film.schedule.row(0))[None])[0]
    assert torch.allclose(film.canvas(0), expected, atol=1e-5)


def test_a_draft_is_half_as_large_and_much_like_the_film(folder):
    film, draft = open_reel(folder, "size: 64x64\n"), open_reel(folder, "size: 64x64\n", draft=True)
    assert draft.canvas_size == (32, 32)
    large = torch.nn.functional.avg_pool2d(film.canvas(3)[None], 2)[0].flatten()
    small = draft.canvas(3).flatten()
    assert float(torch.corrcoef(torch.stack([large, small]))[0, 1]) > 0.5


@pytest.mark.parametrize("architecture", ["skip", "resnet", "orig"])
def test_every_output_architecture_renders_and_drafts(folder, architecture):
    for seed, name in enumerate(("one", "two")):
        write_tiny(folder / f"{name}.safetensors", architecture=architecture, seed=seed)
    (folder / "two.yaml").write_text(
        "networks: {one: one.safetensors, two: two.safetensors}\nduration: 3f\nblend: {swap: 8}\n"
    )
    timeline = load_timeline(folder / "two.yaml")
    for draft in (False, True):
        target = animix.render(timeline, folder / f"{draft}.mp4", device="cpu", draft=draft)
        assert count_frames(target) == 3


def test_conditional_networks_mix_classes(folder):
    write_tiny(folder / "classes.safetensors", c_dim=3)
    (folder / "classes.yaml").write_text(
        "networks: {one: classes.safetensors}\nduration: 2s\nlabel: {0s: 0, 1s: 2, end: 0}\n"
    )
    film = open_film(load_timeline(folder / "classes.yaml"), device="cpu")
    assert not torch.equal(film.canvas(0), film.canvas(30))


def test_a_film_is_encoded_whole(folder):
    timeline = load_timeline(folder / "reel.yaml")
    target = animix.render(timeline, folder / "out" / "reel.mp4", device="cpu")
    assert count_frames(target) == 20


EXTENDED = (
    "noise: {loop: 1s}\nsize: 24x40\nframe: {fit: extend, rotate: {0%: 0, 50%: 9, 100%: 0}}\n"
)


def test_an_extended_frame_is_the_same_from_a_range_and_alone(folder):
    whole = [frame.tobytes() for frame in open_reel(folder, EXTENDED).frames(range(20))]
    part = [frame.tobytes() for frame in open_reel(folder, EXTENDED).frames(range(7, 9))]
    assert part == whole[7:9]
    for index in (13, 0):
        assert open_reel(folder, EXTENDED).yuv420(index).tobytes() == whole[index]


def test_an_extended_picture_of_the_canvas_s_shape_lies_as_it_is(folder):
    film = open_reel(folder, "size: 32x16\nframe: {fit: extend}\n")
    (picture,) = film.pictures([film.schedule.row(5)])
    assert picture.shape == (3, 16, 32)
    assert torch.equal(film.canvas(5), picture)


@pytest.mark.parametrize("size", ["", "size: 16x16\n", "size: 40x40\n"])
def test_a_square_canvas_shows_the_square_picture_bit_for_bit(folder, size):
    extended = open_reel(folder, size + "frame: {fit: extend}\n").canvas(5)
    assert torch.equal(extended, open_reel(folder, size + "frame: {fit: cover}\n").canvas(5))


def test_an_extended_canvas_is_painted_to_its_borders(folder):
    film = open_reel(folder, "size: 48x16\nframe: {fit: extend, background: red}\n")
    assert film.engine.pictures([film.schedule.row(0)]).shape[2:] == (16, 48)
    red = film.canvas(0).new_tensor([1, -1, -1])[:, None, None]
    assert ((film.canvas(0) - red).abs().amax(0) > 1e-3).all()


def test_an_extended_draft_has_the_shape_of_the_film(folder):
    text = "size: 64x128\nframe: {fit: extend}\n"
    film, draft = open_reel(folder, text), open_reel(folder, text, draft=True)
    assert (film.extent, draft.canvas_size) == (draft.extent, (32, 64))
    assert draft.engine.pictures([draft.schedule.row(0)]).shape[2:] == (16, 8)


def test_check_tells_what_is_painted(folder):
    (line, *_) = summarize(open_reel(folder, "size: 90x160\nframe: {fit: extend}\n"))[0].lines()
    assert "90×160 (extended: painted as 16×32);" in line
    summary, _ = summarize(open_reel(folder, "size: 90x160\n"))
    assert (summary.painted_width, summary.painted_height) == (16, 16)
    assert "extended" not in summary.lines()[0]


def test_an_abandoned_render_leaves_no_file_and_no_thread(folder):
    film, target = open_reel(folder), folder / "reel.mp4"
    before = threads_named(*ENCODING, "networks")
    with contextlib.closing(encode(film, target)) as steps:
        next(steps)
    assert not target.exists()
    assert not list(folder.glob(".*"))
    assert threads_named(*ENCODING, "networks") <= before


def test_an_interrupted_render_keeps_the_film_that_was_there(folder, monkeypatch):
    film, target = open_reel(folder), folder / "reel.mp4"
    target.write_bytes(b"an earlier film")

    def interrupted(self, *_):
        raise KeyboardInterrupt

    monkeypatch.setattr(Footage, "_pictures", interrupted)
    with pytest.raises(KeyboardInterrupt):
        list(encode(film, target))
    assert target.read_bytes() == b"an earlier film"
    assert not list(folder.glob(".*"))


def test_networks_of_other_shapes_fail_before_rendering(folder):
    write_tiny(folder / "art-99.safetensors", img_resolution=32)
    with pytest.raises(TimelineError, match=r"reel.yaml:2:.*faces.*16 px.*art.*32 px") as caught:
        open_reel(folder)
    assert len(caught.value.mistakes) == 1


def test_a_mix_that_overflows_fails_instead_of_painting_noise(folder):
    tensors, metadata = tiny_tensors()
    huge = {name: 1e30 * tensor for name, tensor in tensors.items()}
    write_tensors(folder / "art-3.safetensors", huge, metadata)
    film = open_reel(folder)
    assert film.canvas(0).isfinite().all()
    with pytest.raises(RenderError, match="frame 8: this mix makes no picture"):
        film.canvas(8)


def test_networks_and_latents_that_can_not_be_read_are_all_told_with_their_lines(folder):
    (folder / "art-1.safetensors").write_bytes(b"<html>")
    (folder / "faces.safetensors").write_bytes(b"")
    with pytest.raises(TimelineError) as caught:
        open_reel(folder)
    assert ["empty" in str(m) or "web page" in str(m) for m in caught.value.mistakes] == [True] * 2


def test_latents_that_are_not_there_are_all_told_with_their_lines(folder):
    text = "networks: {a: faces.safetensors}\nduration: 1s\nlabel: 0\n"
    (folder / "me.yaml").write_text(text + "latents: [gone.npz, 3, lost.pt]\n")
    with pytest.raises(TimelineError) as caught:
        open_film(load_timeline(folder / "me.yaml"), device="cpu")
    assert [mistake.mark.line for mistake in caught.value.mistakes] == [3, 4, 4]


def test_missing_networks_are_all_told_with_their_lines(folder):
    (folder / "lost.yaml").write_text(
        'networks:\n  a: gone.pkl\n  two: "none-*.pkl"\nduration: 1s\n'
    )
    with pytest.raises(TimelineError) as caught:
        open_film(load_timeline(folder / "lost.yaml"), device="cpu")
    assert [mistake.mark.line for mistake in caught.value.mistakes] == [2, 3]


@pytest.mark.parametrize("device", ["tpu", "cuda:99", "meta", "nonsense"])
def test_a_device_that_is_not_at_hand_fails(folder, device):
    with pytest.raises(OptionError, match=r"device|run on"):
        open_film(load_timeline(folder / "reel.yaml"), device=device)


def test_gpus_and_a_device_are_one_too_many(folder):
    with pytest.raises(OptionError, match="--device and --gpus"):
        open_film(load_timeline(folder / "reel.yaml"), device="cpu", gpus="all")


def test_drafts_and_ranges_get_names_of_their_own(folder):
    timeline = load_timeline(folder / "reel.yaml")
    names = {
        film_path(timeline),
        film_path(timeline, draft=True),
        film_path(timeline, range(3, 6)),
        film_path(timeline, range(3, 6), draft=True),
    }
    assert len(names) == 4
    assert {str(name.parent) for name in names} == {"renders"}


def test_a_film_carries_its_sound_and_a_range_of_frames_its_part(folder):
    times = np.arange(3 * 48_000) / 48_000
    sound = 0.5 * np.sin(2 * np.pi * (200 + 300 * times) * times)  # at no two places alike
    write_wav(folder / "song.wav", sound)
    text = "audio: {file: song.wav, trim: 500ms}\nloop: false\n"
    film = open_reel(folder, text)
    target = folder / "out" / "reel.mp4"
    for frames, start in ((None, 0.5), (range(5, 15), 1.0)):
        *_, last = encode(film, target, frames=frames)
        heard = decoded("-i", target)
        assert (last.done, len(heard)) == (last.total, last.total * 4800)
        assert count_frames(target) == last.total
        place = round(start * 48_000)
        part = sound[place + 1024 : place + len(heard)]
        assert np.abs(heard[1024:] - part[:, None]).max() < 0.03
    assert list(target.parent.iterdir()) == [target]
    assert folder / "song.wav" in film.files
    assert summarize(film)[0].lines()[-1] == (
        "  song.wav: 3.00 s long, heard from 0 s to 2 s, from its 0.5 s on"
    )


def test_a_render_that_is_given_up_leaves_no_sound_behind(folder):
    write_wav(folder / "song.wav", noise(3))
    film = open_reel(folder, "audio: song.wav\n")
    target = folder / "out" / "reel.mp4"
    steps = encode(film, target)
    next(steps)
    steps.close()
    assert [path.name for path in target.parent.iterdir()] in ([], [".animix"])


def test_a_sound_that_fails_costs_no_chunk(folder, monkeypatch):
    write_wav(folder / "song.wav", noise(3))
    film = open_reel(folder, "audio: song.wav\n")
    target = folder / "out" / "reel.mp4"

    def failing(*_):
        raise EncodeError("its sound can't be added")

    with monkeypatch.context() as patch, pytest.raises(EncodeError, match="can't be added"):
        patch.setattr(muxing, "add_sound", failing)
        list(encode(film, target))
    assert not target.exists()
    (last,) = encode(film, target)  # nothing is left to paint
    assert (last.done, last.done_before) == (20, 20)
    assert len(decoded("-i", target)) == 2 * 48_000
    assert list(target.parent.iterdir()) == [target]


def test_a_sound_that_is_not_there_is_a_mistake_at_its_place_like_a_latent_that_is_not(folder):
    text = TIMELINE.replace("[3, 17]", "[3, no.npz]") + "audio: {file: no.mp3, loudness: -14}\n"
    (folder / "reel.yaml").write_text(text)
    with pytest.raises(TimelineError) as caught:
        open_film(load_timeline(folder / "reel.yaml"), device="cpu")
    latent, sound = caught.value.mistakes
    assert "no.npz" in latent.message
    assert (sound.mark.line, sound.mark.column) == (7, 15)
    assert f"no.mp3 can't be opened in {folder}: No such file" in sound.message


def test_what_is_said_of_a_sound_is_a_note(folder):
    write_wav(folder / "song.wav", np.zeros((48_000, 2)))
    film = open_reel(folder, "audio: {file: song.wav, loudness: -14}\n")
    assert "song.wav is silent here: no gain brings it to -14 LUFS" in film.notes
