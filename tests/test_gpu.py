"""On CUDA everything is as on the CPU, within float32's rounding, and frames are as pure."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import animix
from animix.engine.fast import FastEngine
from animix.film import open_film, open_films
from animix.networks.recognize import network_of
from animix.rendering import encode, encode_all, jobs_of
from animix.timeline.reader import load_timeline
from animix.video.mp4 import count_frames
from tests.tiny import plainly, relative_of, tiny_stylegan3, tiny_tensors, write_tensors

pytestmark = pytest.mark.gpu

GOLDEN = Path(__file__).parent / "golden"
CUDA = torch.device("cuda")

REEL = """
networks: {faces: faces.safetensors, art: "art-*.safetensors"}
duration: 2s
fps: 10
size: 96x128
latents: [3, 17]
noise: {loop: 1s}
frame: {zoom: {0%: 1, 50%: 1.3, 100%: 1}, rotate: {0%: 0, 50%: 9, 100%: 0}}
blend: {swap: {0%: none, 50%: 8, 100%: none}, snapshot: {0%: first, 50%: last, 100%: first}}
"""


def relative_error(found, expected):
    return float(np.abs(found.cpu().numpy() - expected).max() / np.abs(expected).max())


def coded_pictures(mp4):
    """What a film's mdat box holds: all but its table and its recipe."""
    found = mp4.read_bytes()
    start = found.index(b"mdat")
    return found[start : start - 4 + int.from_bytes(found[start - 4 : start], "big")]


@pytest.fixture
def folder(tmp_path):
    """A folder with a base, a run of forty snapshots and a timeline."""
    tensors, metadata = tiny_tensors(img_resolution=64, channels=64)
    write_tensors(tmp_path / "faces.safetensors", tensors, metadata)
    for number in range(40):
        relative = relative_of(tensors, amount=0.01 * number, seed=number)
        write_tensors(tmp_path / f"art-{number}.safetensors", relative, metadata)
    (tmp_path / "reel.yaml").write_text(REEL)
    return tmp_path


@pytest.mark.parametrize("name", ["sg2-a", "sg2-a-tuned", "sg2-cond"])
def test_golden_networks_give_their_recorded_pictures(name):
    network = animix.load_network(GOLDEN / f"{name}.pkl").to(CUDA)
    recorded = np.load(GOLDEN / f"{name}.npz")
    label = recorded["c"] if network.c_dim else None
    ws = network.mapping(recorded["z"], label)
    assert relative_error(ws, recorded["w"]) < 1e-4
    assert relative_error(network.synthesis(ws), recorded["image"]) < 1e-4
    no_noise = network.synthesis(ws, noise="none")
    assert relative_error(no_noise, recorded["image_no_noise"]) < 1e-4


def test_a_golden_stylegan3_gives_its_recorded_pictures():
    network = animix.load_network(GOLDEN / "sg3-t.pkl").to(CUDA)
    recorded = np.load(GOLDEN / "sg3-t.npz")
    ws = network.mapping(recorded["z"])
    assert relative_error(ws, recorded["w"]) < 1e-4
    assert relative_error(network.synthesis(ws), recorded["image"]) < 1e-4


@pytest.mark.parametrize("settings", [{}, {"conv_kernel": 1, "use_radial_filters": True}])
def test_stylegan3_paints_the_same_within_rounding_and_again_the_same(settings):
    network = network_of(*tiny_stylegan3(img_resolution=64, channels=40, **settings))
    on_cuda = network.to(CUDA)
    ws = network.mapping(np.random.RandomState(1).randn(2, network.z_dim))
    picture = on_cuda.synthesis(ws)
    assert relative_error(picture, network.synthesis(ws).numpy()) < 1e-4
    assert torch.equal(picture, on_cuda.synthesis(ws))


@pytest.mark.parametrize("name", ["blend-swap16", "blend-ramp"])
def test_golden_blends_give_their_recorded_pictures(name):
    networks = [
        animix.load_network(GOLDEN / f"{part}.pkl").to(CUDA) for part in ("sg2-a", "sg2-a-tuned")
    ]
    recorded = np.load(GOLDEN / f"{name}.npz")
    shares = dict(
        zip(recorded["coef_resolutions"].tolist(), recorded["coef"].tolist(), strict=True)
    )
    upper = np.array([shares[layer.resolution] for layer in networks[0].layers])
    mixed = animix.blend(networks, np.stack([1 - upper, upper], axis=1))
    assert relative_error(mixed.synthesis(recorded["w"]), recorded["image"]) < 1e-4


def test_a_frame_is_the_same_whichever_way_it_is_asked(folder):
    timeline = load_timeline(folder / "reel.yaml")
    whole = open_film(timeline, device="cuda")
    pictures = [whole.canvas(index).cpu() for index in range(20)]
    pixels = [whole.yuv420(index).tobytes() for index in range(20)]
    for index in (13, 7, 0):
        alone = open_film(timeline, device="cuda")
        assert torch.equal(alone.canvas(index).cpu(), pictures[index])
        assert alone.yuv420(index).tobytes() == pixels[index]


def test_several_views_and_what_is_drawn_on_them_are_as_on_the_cpu(folder):
    text = REEL.replace("96x128", "480x320")
    text += "show: [faces, blend, art]\ngrid: 3x2\noverlay: [mix, labels]\n"
    (folder / "reel.yaml").write_text(text)
    timeline = load_timeline(folder / "reel.yaml")
    film, on_cpu = open_film(timeline, device="cuda"), plainly(open_film(timeline, device="cpu"))
    frames = [frame.tobytes() for frame in film.frames(range(20))]
    for index in (0, 7, 19):
        assert film.yuv420(index).tobytes() == frames[index]
        found, expected = film.canvas(index).cpu(), on_cpu.canvas(index)
        assert float((found - expected).abs().mean()) < 0.02
        place = film.view.inset.chart.bars
        assert torch.allclose(found[place.pixels], expected[place.pixels], atol=0.02)


@pytest.mark.parametrize("gpus", ["all", "0"])
def test_several_gpus_paint_the_frames_of_one(folder, gpus):
    timeline = load_timeline(folder / "reel.yaml", {"duration": "400f"})
    alone = open_film(timeline, device="cuda:0")
    crew = open_film(timeline, gpus=gpus)
    assert len(crew.more_engines) == (torch.cuda.device_count() - 1 if gpus == "all" else 0)
    for _ in range(2):  # while graphs are captured, and after
        painted = crew.frames(range(5, 390))
        for index, frame in zip(range(5, 390), painted, strict=True):
            if index % 37 == 0:
                assert frame.tobytes() == alone.yuv420(index).tobytes()
    target = folder / "reel.mp4"
    list(encode(crew, target, draft=True))
    assert count_frames(target) == 400


@pytest.mark.parametrize(
    ("options", "is_alike"), [(["--gpus", "all"], True), (["--jobs", "2"], False)]
)
def test_films_of_a_batch_are_made_side_by_side(folder, options, is_alike):
    names = ["a", "b", "c", "d"]
    for seed, name in enumerate(names):
        (folder / f"{name}.yaml").write_text(REEL.replace("[3, 17]", f"[{seed}, 17]"))

    def render(*arguments):
        files = [f"{name}.yaml" for name in names]
        command = [sys.executable, "-m", "animix", "render", *files, *arguments]
        told = subprocess.run(command, cwd=folder, capture_output=True, text=True)
        assert told.returncode == 0, told.stderr
        return told.stdout

    render()
    alone = {name: (folder / "renders" / f"{name}.mp4").read_bytes() for name in names}
    assert render(*options, "--fresh").count("  rendered  ") == 4
    for name in names:
        assert count_frames(folder / "renders" / f"{name}.mp4") == 20
        found = (folder / "renders" / f"{name}.mp4").read_bytes()
        # Films that share a GPU's memory may be painted in smaller cells.
        assert not is_alike or found == alone[name]
    assert render(*options).count("  up to date  ") == 4


@pytest.mark.parametrize("architecture", ["skip", "resnet", "orig"])
@pytest.mark.parametrize("noise", ["fixed", "none", "random", "{loop: 1s}"])
def test_the_fast_engine_paints_as_the_plain_one(folder, architecture, noise):
    tensors, metadata = tiny_tensors(img_resolution=64, channels=64, architecture=architecture)
    write_tensors(folder / "faces.safetensors", tensors, metadata)
    for number in range(40):
        relative = relative_of(tensors, amount=0.01 * number, seed=number)
        write_tensors(folder / f"art-{number}.safetensors", relative, metadata)
    text = (folder / "reel.yaml").read_text().replace("{loop: 1s}", noise)
    (folder / "reel.yaml").write_text(text)
    film = open_film(load_timeline(folder / "reel.yaml"), device="cuda")
    assert isinstance(film.engine, FastEngine)
    for index in (0, 5, 10, 19):
        expected = plainly(film).canvas(index).cpu().numpy()
        assert relative_error(film.canvas(index), expected) < 1e-2


@pytest.mark.parametrize("kind", ["stylegan2", "stylegan3"])
def test_the_fast_engine_takes_paths_by_resolution_and_edits(folder, kind):
    make = {"stylegan2": tiny_tensors, "stylegan3": tiny_stylegan3}[kind]
    tensors, metadata = make(img_resolution=64, channels=64)
    write_tensors(folder / "faces.safetensors", tensors, metadata)
    relative = relative_of(tensors, amount=0.1, seed=1)
    write_tensors(folder / "art-1.safetensors", relative, metadata)
    np.save(folder / "smile.npy", np.linspace(-1, 1, 16, dtype=np.float32))
    (folder / "reel.yaml").write_text(
        "networks: {faces: faces.safetensors, art: art-1.safetensors}\nduration: 2s\nfps: 10\n"
        "blend: {swap: 16}\nlatents:\n"
        "  4..16: {seeds: [3, 17], even: true, edits: [{direction: sefa 1, amount: =sine(2s)}]}\n"
        "  32..: {seeds: [5, 9], edits: [{direction: smile.npy, amount: {32: 2}}]}\n"
    )
    timeline = load_timeline(folder / "reel.yaml")
    film = open_film(timeline, device="cuda")
    assert isinstance(film.engine, FastEngine)
    for index in (0, 5, 10, 19):
        expected = plainly(film).canvas(index).cpu().numpy()
        assert relative_error(film.canvas(index), expected) < 1e-2
    again = open_film(timeline, device="cuda")
    for kept in (folder / ".animix").glob("even-*.json"):
        kept.unlink()
    anew = open_film(timeline, device="cuda")
    for index in (3, 12):
        frames = {each.yuv420(index).tobytes() for each in (film, again, anew)}
        assert len(frames) == 1


@pytest.mark.parametrize("settings", [{}, {"conv_kernel": 1, "use_radial_filters": True}])
@pytest.mark.parametrize("blend", ["{swap: {0%: none, 50%: 8, 100%: none}}", "{swap: 16}"])
def test_the_fast_engine_paints_stylegan3_as_the_plain_one(folder, blend, settings):
    tensors, metadata = tiny_stylegan3(img_resolution=64, channels=64, **settings)
    write_tensors(folder / "faces.safetensors", tensors, metadata)
    for number in range(3):
        relative = relative_of(tensors, amount=0.1, seed=number + 1)
        write_tensors(folder / f"art-{number}.safetensors", relative, metadata)
    (folder / "reel.yaml").write_text(
        "networks: {faces: faces.safetensors, art: art-1.safetensors}\nduration: 2s\nfps: 10\n"
        f"latents: [3, 17]\nblend: [faces, art: {blend}]\n"
    )
    timeline = load_timeline(folder / "reel.yaml")
    film = open_film(timeline, device="cuda")
    assert isinstance(film.engine, FastEngine)
    for index in (0, 5, 10, 19):
        expected = plainly(film).canvas(index).cpu().numpy()
        assert relative_error(film.canvas(index), expected) < 1e-2
    pictures = [film.yuv420(index).tobytes() for index in range(20)]
    alone = open_film(timeline, device="cuda")
    assert [alone.yuv420(index).tobytes() for index in (13, 7, 0)] == [
        pictures[index] for index in (13, 7, 0)
    ]


@pytest.mark.parametrize("settings", [{}, {"conv_kernel": 1, "use_radial_filters": True}])
@pytest.mark.parametrize("blend", ["{swap: {0%: none, 50%: 8, 100%: none}}", "{swap: 16}"])
@pytest.mark.parametrize("size", ["90x160", "160x90", "64x256"])
def test_the_fast_engine_extends_stylegan3_as_the_plain_one(folder, size, blend, settings):
    tensors, metadata = tiny_stylegan3(img_resolution=64, channels=64, **settings)
    write_tensors(folder / "faces.safetensors", tensors, metadata)
    relative = relative_of(tensors, amount=0.1)
    write_tensors(folder / "art-1.safetensors", relative, metadata)
    (folder / "reel.yaml").write_text(
        "networks: {faces: faces.safetensors, art: art-1.safetensors}\nduration: 2s\nfps: 10\n"
        f"size: {size}\nframe: {{fit: extend}}\nlatents: [3, 17]\nblend: [faces, art: {blend}]\n"
    )
    timeline = load_timeline(folder / "reel.yaml")
    film = open_film(timeline, device="cuda")
    assert isinstance(film.engine, FastEngine)
    for index in (0, 5, 19):
        expected = plainly(film).canvas(index).cpu().numpy()
        assert relative_error(film.canvas(index), expected) < 1e-2
    frame = film.yuv420(13).tobytes()
    assert open_film(timeline, device="cuda").yuv420(13).tobytes() == frame


@pytest.mark.parametrize("architecture", ["skip", "resnet", "orig"])
@pytest.mark.parametrize("size", ["90x160", "160x90", "64x256"])
def test_the_fast_engine_extends_as_the_plain_one(folder, architecture, size):
    tensors, metadata = tiny_tensors(img_resolution=64, channels=64, architecture=architecture)
    write_tensors(folder / "faces.safetensors", tensors, metadata)
    for number in range(40):
        relative = relative_of(tensors, amount=0.01 * number, seed=number)
        write_tensors(folder / f"art-{number}.safetensors", relative, metadata)
    text = (folder / "reel.yaml").read_text().replace("96x128", size)
    (folder / "reel.yaml").write_text(text.replace("frame: {", "frame: {fit: extend, "))
    film = open_film(load_timeline(folder / "reel.yaml"), device="cuda")
    assert isinstance(film.engine, FastEngine)
    for index in (0, 5, 19):
        expected = plainly(film).canvas(index).cpu().numpy()
        assert relative_error(film.canvas(index), expected) < 1e-2


def test_the_cpu_paints_the_same_within_rounding(folder):
    timeline = load_timeline(folder / "reel.yaml")
    on_cuda, on_cpu = open_film(timeline, device="cuda"), plainly(open_film(timeline, device="cpu"))
    for index in (0, 5, 10):
        expected = on_cpu.canvas(index).numpy()
        assert relative_error(plainly(on_cuda).canvas(index), expected) < 1e-4
        levels = plainly(on_cuda).yuv420(index).astype(int) - on_cpu.yuv420(index)
        assert np.abs(levels).max() <= 1
        levels = on_cuda.yuv420(index).astype(int) - on_cpu.yuv420(index)
        assert np.abs(levels).max() <= 2


def test_forty_snapshots_take_the_memory_of_few(folder):
    few = (folder / "reel.yaml").read_text().replace("art-*", "art-[0-5]")
    (folder / "few.yaml").write_text(few)

    def peak_bytes(name):
        film = open_film(load_timeline(folder / name), device="cuda")
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        list(film.frames(range(20)))
        return torch.cuda.max_memory_allocated() - before

    peak_bytes("few.yaml")  # cuDNN's own workspace is counted from here on
    assert peak_bytes("reel.yaml") < 1.5 * peak_bytes("few.yaml")


def test_nothing_is_read_that_was_not_written(folder):
    timeline = load_timeline(folder / "reel.yaml")
    clean = [open_film(timeline, device="cuda").canvas(index).cpu() for index in (0, 5, 10)]
    film = open_film(timeline, device="cuda")
    rows = [film.schedule.row(index) for index in range(20)]
    # Numbers that are none, in every buffer of the graphs and in whatever memory is given out next.
    poison = [replace(row, psi=np.full_like(row.psi, np.nan)) for row in rows]
    torch.full((2**28,), float("nan"), device="cuda")
    with torch.inference_mode():
        assert film.engine.pictures(poison).isnan().all()
    for index, expected in zip((0, 5, 10), clean, strict=True):
        assert torch.equal(film.canvas(index).cpu(), expected)


def test_ten_thousand_frames_leak_nothing_and_end_as_ten_do(folder):
    text = (folder / "reel.yaml").read_text().replace("duration: 2s", "duration: 10000f")
    (folder / "long.yaml").write_text(text.replace("art-*", "art-[0-3]"))
    film = open_film(load_timeline(folder / "long.yaml"), device="cuda")
    taken = []
    for index, frame in enumerate(film.frames(range(10_000))):
        if index % 1000 == 999:
            taken.append(torch.cuda.memory_allocated())
        last = frame.tobytes()
    assert max(taken[1:]) <= taken[0] * 1.01
    again = open_film(load_timeline(folder / "long.yaml"), device="cuda")
    assert last == list(again.frames(range(9_990, 10_000)))[-1].tobytes()


@pytest.mark.parametrize(("memory", "code"), [("2GB", 0), ("1GB", 2)])
def test_a_memory_limit_is_kept_to_or_refused(folder, memory, code):
    # In a process of its own: what libraries have taken for other films counts, too.
    command = [sys.executable, "-m", "animix", "render", "reel.yaml", "--memory", memory]
    told = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert told.returncode == code, told.stderr
    assert "Traceback" not in told.stderr
    assert ("--memory" in told.stderr) == (code == 2)


def test_a_film_is_encoded_from_cuda(folder):
    film = open_film(load_timeline(folder / "reel.yaml"))
    assert film.engine.device.type == "cuda"
    target = folder / "reel.mp4"
    list(encode(film, target, frames=range(3, 10)))
    assert count_frames(target) == 7


def test_outputs_of_one_timeline_are_those_of_films_alone(folder):
    sizes = ("64x64", "96x128")
    outputs = [f"{{file: {size}.mp4, size: {size}}}" for size in sizes]
    both = {"duration": "90f", "output": f"[{', '.join(outputs)}]"}
    films = open_films(load_timeline(folder / "reel.yaml", both), device="cuda")
    list(encode_all(jobs_of(films)))
    for size, output in zip(sizes, outputs, strict=True):
        found = coded_pictures(folder / f"{size}.mp4")
        alone = {"duration": "90f", "output": output}
        (film,) = open_films(load_timeline(folder / "reel.yaml", alone), device="cuda")
        list(encode_all(jobs_of([film]), fresh=True, recipe=False))
        assert count_frames(folder / f"{size}.mp4") == 90
        assert coded_pictures(folder / f"{size}.mp4") == found
