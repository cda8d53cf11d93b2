"""The tool that trains demo networks: its formulas, and training in pieces at a tiny size."""

from __future__ import annotations

import os
import socket
from dataclasses import replace

import numpy as np
import pytest
import torch

from animix.checkpoints.load import load_network
from animix.checkpoints.safetensors import write_safetensors
from animix.errors import NetworkError, OptionError
from animix.mix import share
from animix.networks.blend import blend
from animix.networks.recognize import network_of
from tests.tiny import tiny_tensors
from tools.demo_networks import augment, losses
from tools.demo_networks.convolution import GradientsOfActivations
from tools.demo_networks.discriminator import initial_discriminator, judge
from tools.demo_networks.evaluate import snapshot_ramp, swaps
from tools.demo_networks.frechet import frechet_distance, gaussian_distance
from tools.demo_networks.generator import (
    initial_generator,
    is_learnt,
    map_z,
    noise_of,
    synthesize,
    upsampled,
)
from tools.demo_networks.learner import new_learner
from tools.demo_networks.pictures import (
    encoded,
    files_in,
    make_pictures,
    numbers_of,
    read_pictures,
    taken,
    write_pictures,
)
from tools.demo_networks.ranks import ALONE, Ranks, joined
from tools.demo_networks.recipe import Recipe, frozen
from tools.demo_networks.release import Origin, read_discriminator
from tools.demo_networks.sheet import page
from tools.demo_networks.sizes import Size
from tools.demo_networks.state import load_state, save_state
from tools.demo_networks.train import Training, thousands, train

TINY = Size(img_resolution=16, z_dim=8, w_dim=8, num_mapping_layers=2, channel_max=8)
RECIPE = Recipe(
    total_images=32, batch=4, snapshots=(12,), path_batch=2, r1_interval=2, path_interval=3
)
CPU = torch.device("cpu")
ORIGIN = Origin("faces", "nobody's", "CC0-1.0")


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed=0):
    return torch.randn(shape, generator=rng(seed))


def random_pictures(count=6, side=16):
    numbers = np.random.default_rng(0)
    return [numbers.integers(0, 256, (side, side, 3), dtype=np.uint8) for _ in range(count)]


@pytest.fixture
def pictures(tmp_path):
    path = tmp_path / "pictures.zip"
    write_pictures(path, (encoded(picture, 100) for picture in random_pictures()))
    return path


def training(pictures, out, **changes):
    given = {"size": TINY, "recipe": RECIPE, "origin": ORIGIN} | changes
    return Training(pictures=pictures, out=out, **given)


def test_the_generator_paints_what_animix_paints_from_its_tensors():
    tensors = initial_generator(TINY, rng())
    for name in tensors:
        if name.endswith("noise_strength"):
            tensors[name] = torch.tensor(0.5)
    network, z = network_of(tensors, {}), normal(3, 8)
    ws = network.mapping(z)
    torch.testing.assert_close(map_z(tensors, z), ws[:, 0])
    noise = {
        name.removeprefix("synthesis.").removesuffix(".noise_const"): image
        for name, image in tensors.items()
        if name.endswith("noise_const")
    }
    painted = synthesize(tensors, TINY, ws, noise)
    torch.testing.assert_close(painted, network.synthesis(ws), rtol=1e-4, atol=1e-4)


def test_r1_is_the_squared_gradient_of_a_known_function():
    images = normal(5, 3, 4, 4)
    penalty = losses.gradient_penalty(lambda x: x.square().sum(dim=(1, 2, 3)), images)
    torch.testing.assert_close(penalty, (2 * images).square().sum(dim=(1, 2, 3)).mean())


def test_the_path_length_of_a_linear_generator_is_that_of_its_matrix():
    matrix = normal(3 * 4 * 4, 6)
    ws = normal(2, 1, 6, seed=1).requires_grad_(True)
    images = (ws[:, 0] @ matrix.T).reshape(2, 3, 4, 4)
    directions = normal(2, 3, 4, 4, seed=2)
    expected = (directions.flatten(1) @ matrix).norm(dim=1) / 4
    lengths = losses.path_lengths(images, ws, directions)
    torch.testing.assert_close(lengths, expected)
    penalty = losses.path_penalty(lengths, torch.tensor(1.0))
    torch.testing.assert_close(penalty, (expected - 1).square().mean())


def learnt(tensors):
    """The tensors of a network, and those of them that are learnt."""
    return tensors, [tensors[n].requires_grad_(True) for n in tensors if is_learnt(n)]


def penalties():
    """R1 and path lengths at a tiny size: what is learnt, and the penalty from it."""
    judging, by_judging = learnt(initial_discriminator(TINY, rng()))
    images = normal(4, 3, 16, 16)
    painting, by_painting = learnt(initial_generator(TINY, rng()))
    noise = noise_of(TINY, 2, rng(1))
    ws, directions = normal(2, TINY.num_ws, 8), normal(2, 3, 16, 16)

    def r1():
        return losses.gradient_penalty(lambda x: judge(judging, TINY, x), images)

    def path():
        w = ws.clone().requires_grad_(True)
        painted = synthesize(painting, TINY, w, noise)
        return losses.path_lengths(painted, w, directions).square().mean()

    return {"r1": (r1, by_judging), "path": (path, by_painting)}


@pytest.mark.parametrize("name", ["r1", "path"])
def test_a_regulariser_has_the_gradients_that_torch_finds_by_itself(name):
    penalty, weights = penalties()[name]
    expected = torch.autograd.grad(penalty(), weights, allow_unused=True)
    with GradientsOfActivations():
        found = penalty()
    for one, other in zip(
        torch.autograd.grad(found, weights, allow_unused=True), expected, strict=True
    ):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-5)
    assert any(gradient is not None and gradient.abs().max() > 0 for gradient in expected)


def test_losses_are_cross_entropies():
    fake, real = torch.tensor([0.0, 1.0]), torch.tensor([2.0, -1.0])
    expected = -torch.sigmoid(fake).log().mean()
    torch.testing.assert_close(losses.generator_loss(fake), expected)
    expected = -(1 - torch.sigmoid(fake)).log().mean() - torch.sigmoid(real).log().mean()
    torch.testing.assert_close(losses.discriminator_loss(fake, real), expected)


def test_an_augmentation_of_probability_0_changes_nothing():
    images = normal(4, 3, 16, 16)
    same = augment.augmented(images, torch.tensor(0.0), rng())
    torch.testing.assert_close(same, images, rtol=1e-4, atol=1e-5)


def test_an_augmentation_shifts_by_whole_pixels():
    images = normal(1, 3, 16, 16).mean(dim=1, keepdim=True).repeat(1, 3, 1, 1)  # grey
    changed = augment.augmented(images, torch.tensor(1.0), rng(3))
    assert not torch.allclose(changed, images)
    shifts = [(y, x) for y in range(-2, 3) for x in range(-2, 3)]
    apart = [
        (changed - images.roll(shift, dims=(2, 3)))[:, :, 4:12, 4:12].flatten() for shift in shifts
    ]
    assert min(float(difference.std()) for difference in apart) < 1e-5


@pytest.mark.parametrize(
    ("logit", "expected"), [(1.0, 0.5 + 4 / 500_000), (-1.0, 0.5 - 4 / 500_000)]
)
def test_augmentation_follows_overfitting(logit, expected):
    adapted = augment.adapted(torch.tensor(0.5), torch.full((4,), logit))
    assert float(adapted) == pytest.approx(expected, abs=1e-7)


def test_the_distance_of_gaussians_is_the_closed_form():
    one, spread = torch.tensor([1.0, 2.0]), torch.diag(torch.tensor([4.0, 9.0]))
    other = torch.diag(torch.tensor([1.0, 16.0]))
    # For covariances that commute: ‖μ₁ − μ₂‖² + Σ(σ₁ − σ₂)².
    found = gaussian_distance(one, spread, one + 1, other)
    assert found == pytest.approx(2 + 1 + 1)
    features = normal(50, 4)
    assert frechet_distance(features, features) == pytest.approx(0, abs=1e-6)
    assert frechet_distance(features, features + 2) == pytest.approx(16, abs=1e-5)


def test_stopped_training_goes_on_to_the_same_network(tmp_path, pictures):
    told = []
    whole = training(pictures, tmp_path / "whole")
    assert train(whole, 1, CPU, compiled=False, tell=told.append)
    assert "loss" in told[-1]
    assert "nan" not in told[-1]
    assert "inf" not in told[-1]

    # The same steps with a stop between, as the command makes one.
    parts = tmp_path / "parts"
    learner, _ = new_learner(TINY, RECIPE, CPU)
    shown = read_pictures(pictures)
    for _ in range(5):
        learner.step(shown)
    save_state(learner, parts / "state.pt")
    assert train(training(pictures, parts), 1, CPU, compiled=False, tell=told.append)
    assert "goes on after 20 pictures" in told
    last, judge = (
        training(pictures, parts).last_path,
        training(pictures, parts).discriminator_path,
    )
    assert last.read_bytes() == whole.last_path.read_bytes()
    others = read_discriminator(whole.discriminator_path)
    for name, tensor in read_discriminator(judge).items():
        assert torch.equal(tensor, others[name])
    assert (tmp_path / "whole" / "faces-1.safetensors").exists()

    # Done is done.
    assert train(whole, 1, CPU, compiled=False, tell=told.append)
    assert told[-1].endswith("is there: nothing to do")


def test_a_fine_tune_blends_with_its_base(tmp_path, pictures):
    short = replace(RECIPE, total_images=8, snapshots=())
    base = training(pictures, tmp_path / "base", recipe=short)
    train(base, 1, CPU, compiled=False, tell=lambda _: None)
    tune = training(
        pictures,
        tmp_path / "tune",
        recipe=replace(short, snapshots=(4,), freeze="mapping,4", freeze_d=1),
        origin=replace(ORIGIN, domain="other"),
        parent=base.last_path,
        parent_discriminator=base.discriminator_path,
    )
    told = []
    train(tune, 1, CPU, compiled=False, tell=told.append)
    assert not [line for line in told if line.startswith("new")]

    first, last = (load_network(path) for path in (base.last_path, tune.last_path))
    wanted = {"parent": "faces", "images_seen_finetune": "8", "images_seen_total": "16"}
    wanted |= {"licence": "CC0-1.0", "data_source": "nobody's", "domain": "other"}
    assert wanted.items() <= last.metadata.items()
    for name, tensor in first.tensors.items():
        if frozen("mapping,4", name):
            assert torch.equal(tensor, last.tensors[name])
    assert not torch.equal(
        first.tensors["synthesis.b16.conv1.weight"], last.tensors["synthesis.b16.conv1.weight"]
    )
    ramp = share(3, width=1, alpha=1, take="high", resolutions=first.facts.resolutions)
    ws = first.mapping(normal(2, 8))
    half_way = blend([first, last], np.stack([1 - ramp, ramp], axis=1)).synthesis(ws)
    assert bool(torch.isfinite(half_way).all())

    sheets = dict(swaps(first, last))
    assert {name: len(sheet) for name, sheet in sheets.items()} == {
        "swap-high": 16,
        "swap-low": 16,
        "alpha": 36,
    }
    # All of the other network, from the first layer on, is alpha 1.
    assert torch.equal(sheets["swap-high"][0], sheets["alpha"][8])
    assert snapshot_ramp(first, [last]).shape == (12, 3, 16, 16)


def test_a_network_of_half_the_size_is_a_start_that_paints_the_same_enlarged():
    small = initial_generator(replace(TINY, img_resolution=8), rng(1))
    learner, fresh = new_learner(TINY, RECIPE, CPU, small)
    assert {name.split(".")[1] for name in fresh} == {"b16"}
    ws = normal(2, 1, 8).repeat(1, TINY.num_ws, 1)
    noise = {
        f"b{r}.{conv}": torch.zeros(1, 1, r, r) for r in (4, 8, 16) for conv in ("conv0", "conv1")
    }
    with torch.no_grad():
        large = synthesize(learner.average, TINY, ws, noise)
        alone = synthesize(small, replace(TINY, img_resolution=8), ws[:, :4], noise)
    torch.testing.assert_close(large, upsampled(alone))


def learn_as_rank(rank, port, pictures, folder):
    names = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": 2, "MASTER_PORT": port}
    os.environ |= {name: str(value) for name, value in names.items()} | {"MASTER_ADDR": "127.0.0.1"}
    with joined("cpu") as (ranks, device):
        learner, _ = new_learner(TINY, RECIPE, device, ranks=ranks)
        shown = read_pictures(pictures)
        for _ in range(4):
            learner.step(shown)
        assert ranks.any(rank == 1, device)
        assert not ranks.any(False, device)
        learner.ranks = ALONE
        save_state(learner, folder / f"{rank}.pt")


def test_ranks_that_see_other_pictures_learn_the_same_network(tmp_path, pictures):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    torch.multiprocessing.spawn(learn_as_rank, (port, pictures, tmp_path), nprocs=2)
    first, second = (load_state(tmp_path / f"{n}.pt", TINY, RECIPE, CPU) for n in range(2))
    assert first.images == 16
    for name, tensor in first.average.items():
        assert torch.equal(tensor, second.average[name])
    assert torch.equal(first.probability, second.probability)
    assert torch.equal(first.mean_path, second.mean_path)
    alone, _ = new_learner(TINY, RECIPE, CPU)
    for _ in range(4):
        alone.step(read_pictures(pictures))
    assert not torch.equal(alone.average["synthesis.b4.const"], first.average["synthesis.b4.const"])


def test_a_batch_that_ranks_cannot_share_is_refused():
    with pytest.raises(OptionError, match="a batch of 4 can't be shared by 3 processes"):
        new_learner(TINY, RECIPE, CPU, ranks=Ranks(0, 3))


def test_a_state_of_another_size_or_none_is_refused(tmp_path):
    learner, _ = new_learner(TINY, RECIPE, CPU)
    path = tmp_path / "state.pt"
    save_state(learner, path)
    with pytest.raises(OptionError, match="is of a network of"):
        load_state(path, replace(TINY, w_dim=16), RECIPE, CPU)
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(OptionError, match="can't be read as a state of training"):
        load_state(path, TINY, RECIPE, CPU)


def test_pictures_of_another_size_are_refused(tmp_path, pictures):
    wrong = training(pictures, tmp_path / "out", size=replace(TINY, img_resolution=8))
    with pytest.raises(OptionError, match=r"holds pictures of 16 px, expected 8"):
        train(wrong, 1, CPU, compiled=False, tell=lambda _: None)


def test_pictures_are_read_as_they_were_written(tmp_path, pictures):
    read = read_pictures(pictures)
    assert read.dtype == torch.uint8
    assert (read.permute(0, 2, 3, 1).numpy() == np.stack(random_pictures())).all()
    assert len(read_pictures(pictures, 2)) == 2
    again = tmp_path / "again.zip"
    write_pictures(again, (encoded(picture, 100) for picture in random_pictures()))
    assert again.read_bytes() == pictures.read_bytes()
    again.write_text("no zip")
    with pytest.raises(OptionError, match="can't be read as a file of pictures"):
        read_pictures(again)


def test_ones_own_pictures_are_cropped_square_and_halved(tmp_path):
    from PIL import Image

    for number in range(4):
        Image.new("RGB", (40, 20 + number), (number, 0, 0)).save(tmp_path / f"{number}.png")
    (tmp_path / "notes.txt").write_text("no picture")
    seen, held_out = (files_in(tmp_path, half) for half in (False, True))
    assert [path.stem for path in seen + held_out] == ["0", "2", "1", "3"]
    write_pictures(tmp_path / "own.zip", [taken(8, 100, path) for path in seen])
    assert read_pictures(tmp_path / "own.zip")[:, 0, 0, 0].tolist() == [0, 2]
    (tmp_path / "0.png").write_bytes(b"broken")
    with pytest.raises(OptionError, match=r"0\.png: it can't be read as a picture"):
        taken(8, 100, tmp_path / "0.png")
    with pytest.raises(OptionError, match="is no folder"):
        files_in(tmp_path / "absent", False)


def test_the_halves_of_a_domain_have_no_number_in_common():
    assert not {*numbers_of(50, held_out=False)} & {*numbers_of(50, held_out=True)}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "name one domain"),
        ({"domain": "oil"}, "'oil' is no domain, expected one of colour"),
    ],
)
def test_pictures_of_nothing_are_refused(tmp_path, given, message):
    with pytest.raises(OptionError, match=message):
        make_pictures(tmp_path / "a.zip", size=16, **given)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"batch": 0}, "batch is 0, expected 1 or more"),
        ({"snapshots": (32,)}, "a snapshot after 32 pictures"),
        ({"freeze": "b8"}, "--freeze has 'b8'"),
    ],
)
def test_a_recipe_checks_itself(changes, message):
    with pytest.raises(OptionError, match=message):
        replace(RECIPE, **changes)


def test_a_size_is_a_power_of_2():
    with pytest.raises(OptionError, match="the size is 100 px"):
        Size(img_resolution=100)


def test_r1_and_the_learning_rate_fall():
    recipe = Recipe(total_images=1000, gamma=12, gamma_end=4, learning_rate=0.01, decay=0.25)
    assert [recipe.gamma_at(n) for n in (0, 200, 400, 1000)] == pytest.approx([12, 8, 4, 4])
    rates = [recipe.learning_rate_at(n) for n in (0, 750, 875, 1000)]
    assert rates == pytest.approx([0.01, 0.01, 0.005, 0.0002])


def test_snapshots_are_given_in_thousands():
    assert thousands("4,16.5") == (4000, 16500)


def test_a_page_holds_pictures_in_rows():
    assert page(torch.zeros(6, 3, 8, 8, dtype=torch.uint8), columns=4, gap=2).size == (38, 18)


def test_a_network_is_written_in_half_the_bytes(tmp_path):
    tensors, metadata = tiny_tensors()
    network = network_of(tensors, metadata)
    write_safetensors(network, tmp_path / "half.safetensors", half=True)
    read = load_network(tmp_path / "half.safetensors")
    for name, tensor in network.tensors.items():
        assert torch.equal(read.tensors[name], tensor.half().float())
    tensors["synthesis.b4.const"][0, 0, 0] = 1e6
    with pytest.raises(NetworkError, match=r"synthesis\.b4\.const holds numbers too large"):
        write_safetensors(network_of(tensors, metadata), tmp_path / "b.safetensors", half=True)
