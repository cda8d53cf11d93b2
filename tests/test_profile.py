"""A profile names every step of painting a frame, and its times add up to no more than all."""

from dataclasses import replace

import pytest

from animix.engine import fast_stylegan3
from animix.film import open_film
from animix.profile import profile
from animix.timeline.reader import load_timeline
from tests.tiny import fastly, plainly, relative_of, tiny_stylegan3, tiny_tensors, write_tensors

REEL = """
networks: {faces: faces.safetensors, art: art.safetensors}
duration: 20f
latents: [3, 17]
size: 24x40
blend: [faces, art: {swap: {0%: none, 50%: all, 100%: none}}]
"""

LAYERS = ["b4.conv1", "b8.conv0", "b8.conv1", "b16.conv0", "b16.conv1"]


def open_reel(folder, tensors, metadata, text=REEL):
    write_tensors(folder / "faces.safetensors", tensors, metadata)
    relative = relative_of(tensors, amount=0.1, seed=1)
    write_tensors(folder / "art.safetensors", relative, metadata)
    (folder / "reel.yaml").write_text(text)
    return open_film(load_timeline(folder / "reel.yaml"), device="cpu")


def test_every_step_is_told_in_its_order(tmp_path):
    film = open_reel(tmp_path, *tiny_tensors(img_resolution=16))
    found = profile(film, 13)
    steps = list(found.milliseconds)
    assert [name for name in steps if name.startswith("b")] == LAYERS
    assert {"w", "styles", "mixed weights", "framing", "4:2:0"} <= set(steps)
    assert steps.index("mixed weights") < steps.index("b4.conv1") < steps.index("4:2:0")
    assert all(spent > 0 for spent in found.milliseconds.values())
    assert found.device == "cpu"
    assert 1 <= found.num_frames <= film.engine.batch_size


def test_the_plain_engines_steps_are_told_too(tmp_path):
    film = plainly(open_reel(tmp_path, *tiny_tensors(img_resolution=16)))
    assert set(LAYERS) <= set(profile(film, 0).milliseconds)


def test_stylegan3_is_told_by_its_layers(tmp_path):
    film = open_reel(tmp_path, *tiny_stylegan3(img_resolution=16))
    layers = [layer.name for layer in film.engine.facts.layers]
    assert [name for name in profile(film, 0).milliseconds if name in layers] == layers


def test_the_fast_path_s_steps_are_told_for_stylegan2(tmp_path):
    film = fastly(open_reel(tmp_path, *tiny_tensors(img_resolution=16)))
    steps = list(profile(film, 13).milliseconds)
    assert [name for name in steps if name.startswith("b")] == LAYERS
    assert {"networks", "noise", "w", "styles", "mixed weights", "framing", "4:2:0"} <= set(steps)


@pytest.mark.parametrize("most_numbers", [1 << 26, 1 << 12], ids=["together", "in groups"])
@pytest.mark.parametrize("index", [13, 0], ids=["a mix for each frame", "one mix"])
def test_the_fast_path_s_steps_are_told_for_stylegan3(tmp_path, monkeypatch, index, most_numbers):
    monkeypatch.setattr(fast_stylegan3, "GROUP_NUMBERS", most_numbers)
    text = REEL.replace("swap: {0%: none, 50%: all,", "alpha: {0%: 0, 20%: 0, 50%: 1,")
    text = text.replace("100%: none", "100%: 0")
    film = fastly(open_reel(tmp_path, *tiny_stylegan3(img_resolution=16), text))
    layers = [layer.name for layer in film.engine.facts.layers]
    found = profile(film, index).milliseconds
    assert [name for name in found if name in layers] == layers
    assert {"networks", "w", "styles", "framing", "4:2:0"} <= set(found)
    assert ("mixed weights" in found) == (index == 13)


def test_a_profile_changes_no_frame(tmp_path):
    film = open_reel(tmp_path, *tiny_tensors(img_resolution=16))
    before = film.yuv420(13).tobytes()
    profile(film, 13)
    assert film.yuv420(13).tobytes() == before


def test_several_devices_are_measured_by_their_first(tmp_path):
    film = open_reel(tmp_path, *tiny_tensors(img_resolution=16))
    crew = replace(film, more_engines=(film.engine,))
    assert list(profile(crew, 3).milliseconds) == list(profile(film, 3).milliseconds)


def test_a_whole_cell_is_measured_wherever_it_is_asked_for(tmp_path):
    film = open_reel(tmp_path, *tiny_tensors(img_resolution=16))
    for index in (0, 5, 19):
        assert profile(film, index).num_frames == len(film.cell(index))


def test_an_error_while_painting_is_told_as_ever(tmp_path):
    film = open_reel(tmp_path, *tiny_tensors(img_resolution=16))
    (tmp_path / "art.safetensors").write_bytes(b"gone")
    with pytest.raises(Exception, match=r"art\.safetensors"):
        profile(film, 5)
