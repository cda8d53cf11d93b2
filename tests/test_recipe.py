"""A recipe makes the network that a timeline shows at one moment."""

from dataclasses import replace

import numpy as np
import pytest
import torch

import animix
from animix.errors import AnimixError, BlendError, OptionError
from animix.film import open_film
from animix.recipe import Laid, blend_by_pinkney, blend_files, blend_moment, mix_of, read_laid
from animix.timeline.reader import load_timeline
from tests.tiny import (
    plainly,
    relative_of,
    tiny_stylegan3,
    tiny_tensors,
    write_tensors,
    write_tiny,
)

REEL = """
networks: {faces: "faces-*.safetensors", art: "art-*.safetensors", ink: ink.safetensors}
duration: 1s
fps: 10
latents: [3, 17]
blend:
  - faces: {snapshot: {0s: 1, end: 2}}
  - art: {swap: {0s: none, 50%: 8, end: all}, snapshot: {0s: first, end: last}}
  - ink: {alpha: {0s: 0, end: 1}}
mapping: ink
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    tensors, metadata = tiny_tensors()
    for number, name in enumerate(["faces-1", "faces-2", "art-1", "art-2", "ink"]):
        child = relative_of(tensors, amount=0.1, seed=number)
        said = {**metadata, "licence": "CC0" if number else "CC-BY", "domain": name}
        write_tensors(tmp_path / f"{name}.safetensors", child, said)
    (tmp_path / "reel.yaml").write_text(REEL)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def files(folder, *names):
    return [folder / f"{name}.safetensors" for name in names]


@pytest.mark.parametrize("at", ["0s", "0.3s", "50%", "end"])
def test_the_blend_of_a_moment_paints_that_frame_bit_for_bit(folder, at):
    blended = blend_moment(folder / "reel.yaml", at)
    film = plainly(open_film(load_timeline(folder / "reel.yaml"), device="cpu"))
    row = film.schedule.row(film.schedule.frame_at(at))
    picture = blended.network.synthesis(film.engine.ws(row)[None])[0]
    assert torch.equal(picture, film.pictures([row])[0])
    home = animix.load_network(folder / "ink.safetensors")
    z = np.random.RandomState(5).randn(1, home.z_dim)
    assert torch.equal(blended.network.mapping(z), home.mapping(z))


@pytest.mark.parametrize(
    ("laid", "tracks"),
    [
        (Laid(), "{}"),
        (Laid(swap=8.0), "{swap: 8}"),
        (Laid(swap=11.3, alpha=0.7, width=2.5), "{swap: 11.3, alpha: 0.7, width: 2.5}"),
        (Laid(swap="all", take="low"), "{swap: all, take: low}"),
        (Laid(swap="none", take="low"), "{swap: none, take: low}"),
        (Laid(swap=8.0, alpha=-0.5, take="low"), "{swap: 8, alpha: -0.5, take: low}"),
    ],
)
def test_options_mean_what_they_mean_in_a_timeline(folder, laid, tracks):
    layers = "[faces, art]" if tracks == "{}" else f"[faces, art: {tracks}]"
    (folder / "one.yaml").write_text(
        "networks: {faces: faces-1.safetensors, art: art-1.safetensors}\n"
        f"duration: 1s\nlatents: [3]\nblend: {layers}\n"
    )
    film = open_film(load_timeline(folder / "one.yaml"), device="cpu")
    assert (mix_of([laid], film.engine.facts) == film.schedule.mix(0)).all()
    blended = blend_files(files(folder, "faces-1", "art-1"), [laid])
    moment = blend_moment(folder / "one.yaml", "0s")
    for name, tensor in moment.network.tensors.items():
        assert torch.equal(blended.network.tensors[name], tensor), name


def test_overlays_are_stacked_in_order(folder):
    paths = files(folder, "faces-1", "art-1", "ink")
    laid = [Laid(alpha=0.5), Laid(swap=16.0)]
    blended = blend_files(paths, laid)
    networks = [animix.load_network(path) for path in paths]
    upper = np.array([layer.resolution >= 16 for layer in networks[0].layers])[:, None]
    mix = np.where(upper, [0.0, 0.0, 1.0], [0.5, 0.5, 0.0])
    expected = animix.blend(networks, mix)
    for name, tensor in expected.tensors.items():
        assert torch.equal(blended.network.tensors[name], tensor), name


def test_a_blend_says_what_it_is(folder):
    metadata = blend_files(files(folder, "faces-1", "art-1"), [Laid(swap=8.0)]).network.metadata
    assert metadata["parent"] == "faces-1, art-1"
    assert metadata["blend"] == "art-1 over faces-1: swap 8, alpha 1, width 1, take high"
    assert metadata["mix"] == "b4.const to b4.conv1: 1 0; b8.conv0 to b16.conv1: 0 1"
    assert metadata["licence"] == "CC-BY + CC0"
    assert metadata["conv_clamp"] == "none"
    assert "domain" not in metadata
    moment = blend_moment(folder / "reel.yaml", "0.5s").network.metadata
    assert moment["blend"] == "reel.yaml at 0.5 s, with the mapping of ink"
    soft = blend_by_pinkney(files(folder, "faces-1", "art-1"), 8, 0, 1.5).network.metadata
    assert soft["blend"] == "art-1 over faces-1 by Pinkney's rule: 8 px, level 0, width 1.5"


def test_a_blend_of_stylegan3_keeps_its_settings(folder):
    tensors, metadata = tiny_stylegan3(margin_size=3, first_cutoff=1.5)
    for name, child in (("a", tensors), ("b", relative_of(tensors))):
        write_tensors(folder / f"{name}.safetensors", child, metadata)
    blended = blend_files(files(folder, "a", "b"), [Laid(alpha=0.3)]).network
    animix.save_network(blended, folder / "c.safetensors")
    found = animix.load_network(folder / "c.safetensors")
    ws = blended.mapping(np.random.RandomState(1).randn(1, blended.z_dim))
    assert torch.equal(found.synthesis(ws), blended.synthesis(ws))
    assert found.facts.plan == blended.facts.plan


def test_networks_without_a_common_ancestor_are_noted(folder):
    write_tiny(folder / "stranger.safetensors", seed=77, num_mapping_layers=3)
    blended = blend_files(files(folder, "faces-1", "stranger"), [Laid()])
    told = "\n".join(blended.notes)
    assert "stranger is no relative of faces-1" in told
    assert "mapping layers: 2 and 3" in told
    assert blend_files(files(folder, "faces-1", "art-1"), [Laid()]).notes == ()


@pytest.mark.parametrize(
    ("clamp", "taps", "told"),
    [
        ("256", None, "faces-1 and odd differ in the clamp of activations: none and ±256; "),
        ("none", [1.0, 2.0, 2.0, 1.0], "faces-1 and odd differ in the filter that resamples; "),
        ("none", [1.0, 3.0, 3.0, 1.0], None),
    ],
)
def test_networks_that_compute_in_other_ways_are_noted(folder, clamp, taps, told):
    tensors, metadata = tiny_tensors()
    if taps:
        tensors["synthesis.b4.resample_filter"] = torch.tensor(taps) / sum(taps)
    write_tensors(folder / "odd.safetensors", tensors, {**metadata, "conv_clamp": clamp})
    notes = blend_files(files(folder, "faces-1", "odd"), [Laid()]).notes
    assert notes == ((f"{told}the first one's is used",) if told else ())


def test_a_moment_has_the_mapping_of_its_timeline_and_says_no_other(folder):
    deep, metadata = tiny_tensors(num_mapping_layers=4)
    write_tensors(folder / "ink.safetensors", relative_of(deep), metadata)
    blended = blend_moment(folder / "reel.yaml", "0.5s")
    mappings = [note for note in blended.notes if "mapping" in note]
    assert mappings
    assert all(note.startswith("ink and ") for note in mappings)
    animix.save_network(blended.network, folder / "new.safetensors")
    found = animix.load_network(folder / "new.safetensors")
    assert found.facts == blended.network.facts
    assert {parent.facts.num_parameters for _, parent in blended.parents} == {
        found.facts.num_parameters
    }


def test_a_blend_of_blends_names_each_licence_once(folder):
    mixed = blend_files(files(folder, "faces-1", "art-1"), [Laid(alpha=0.5)]).network
    animix.save_network(mixed, folder / "mixed.safetensors")
    again = blend_files(files(folder, "faces-1", "mixed", "ink"), [Laid(alpha=0.5)] * 2).network
    assert again.metadata["licence"] == "CC-BY + CC0"


def test_the_same_file_twice_has_two_names(folder):
    blended = blend_files(files(folder, "ink", "ink"), [Laid()])
    path = str(folder / "ink.safetensors")
    assert [name for name, _ in blended.parents] == [path, f"{path} (2)"]


def test_a_blend_whose_magnitudes_vanish_is_refused(folder):
    tensors, metadata = tiny_stylegan3()
    for name, factor in (("a", 1), ("b", 0.5)):
        child = {n: t * factor if "magnitude" in n else t for n, t in tensors.items()}
        child = {n: t.abs() + 0.1 if "magnitude" in n else t for n, t in child.items()}
        write_tensors(folder / f"{name}.safetensors", child, metadata)
    with pytest.raises(BlendError, match=r"nearer to 0"):
        blend_files(files(folder, "a", "b"), [Laid(alpha=1e4)])


def test_a_blend_that_could_not_be_read_again_is_refused_whatever_made_it(folder):
    low = animix.load_network(folder / "faces-1.safetensors")
    broken = low.with_tensors({"synthesis.b8.conv0.bias": torch.full((8,), torch.inf)})
    with (
        pytest.MonkeyPatch.context() as patch,
        pytest.raises(BlendError, match=r"overflow or vanish .* alpha nearer to 0"),
    ):
        patch.setattr("animix.recipe.pinkney_blend", lambda *_: broken)
        blend_by_pinkney(files(folder, "faces-1", "art-1"), 8)


def test_a_blend_that_overflows_is_refused(folder):
    for name in ("faces-1", "art-1"):
        network = animix.load_network(folder / f"{name}.safetensors")
        huge = {n: 1e30 * t for n, t in network.tensors.items() if n.startswith("synthesis.")}
        animix.save_network(network.with_tensors(huge), folder / f"{name}.safetensors")
    with pytest.raises(BlendError, match="nearer to 0"):
        blend_files(files(folder, "faces-1", "art-1"), [Laid(alpha=1e9)])


def test_networks_that_do_not_fit_are_named(folder):
    write_tiny(folder / "big.safetensors", img_resolution=32)
    for blend in (
        lambda paths: blend_files(paths, [Laid()]),
        lambda paths: blend_by_pinkney(paths, 8),
    ):
        with pytest.raises(BlendError, match=r"faces-1 and big can't be mixed"):
            blend(files(folder, "faces-1", "big"))


def test_an_option_counts_for_all_or_for_one_overlay_each():
    assert read_laid(2) == [Laid(), Laid()]
    assert read_laid(2, swap=["32"]) == [Laid(swap=32.0)] * 2
    assert read_laid(1, swap=[" 32 "]) == [Laid(swap=32.0)]
    laid = read_laid(2, swap=["45.5", "none"], take=["low"], width=["2"])
    assert laid == [
        Laid(swap=45.5, take="low", width=2.0),
        replace(laid[0], swap="none"),
    ]


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ({"swap": ["8", "8", "8"]}, "--swap is given 3 times, and 2 networks lie over the base"),
        ({"swap": ["3"]}, "--swap can't be 3: the least is 4"),
        ({"swap": ["al"]}, 'did you mean "all"'),
        ({"alpha": ["nan"]}, "--alpha"),
        ({"alpha": ["50%"]}, "write 0.5"),
        ({"width": ["0"]}, "--width can't be 0"),
        ({"take": ["up"]}, "--take up: expected high or low"),
        ({"take": ["low"], "alpha": ["1"]}, "--take needs a swap level"),
        ({"width": ["3"]}, "--width needs a swap level"),
    ],
)
def test_values_that_are_none_are_refused(texts, message):
    with pytest.raises(OptionError, match=message):
        read_laid(2, **texts)


def test_levels_that_the_networks_do_not_have_are_refused(folder):
    with pytest.raises(OptionError, match="goes from 4 to 32"):
        blend_files(files(folder, "faces-1", "art-1"), [Laid(swap=33.0)])


@pytest.mark.parametrize("at", ["2s", "soon"])
def test_a_moment_outside_the_clip_is_refused(folder, at):
    with pytest.raises(AnimixError, match="--at"):
        blend_moment(folder / "reel.yaml", at)
