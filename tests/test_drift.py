"""Drift is measured as its formulas say."""

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest
import torch
from torch.overrides import TorchFunctionMode

from animix.drift import Measuring, bands_of
from animix.latents import z_of_seed
from animix.networks.blend import with_mapping
from animix.networks.recognize import network_of
from animix.timeline.reader import DEFAULT_TRUNCATION
from tests.tiny import relative_of, tiny_stylegan3, tiny_tensors

MAKERS = {"StyleGAN2": tiny_tensors, "StyleGAN3": tiny_stylegan3}


def family(kind="StyleGAN2", amount=0.1, **tiny):
    tensors, metadata = MAKERS[kind](**tiny)
    return network_of(tensors, metadata), network_of(relative_of(tensors, amount), metadata)


def drift_of(base, other, seeds=(1, 2)):
    measuring = Measuring(base, other)
    for seed in seeds:
        measuring.add_seed(seed)
    return measuring.drift()


@pytest.mark.parametrize("kind", MAKERS)
def test_a_network_has_not_moved_from_itself(kind):
    base, _ = family(kind)
    drift = drift_of(base, base)
    assert [layer.distance for layer in drift.layers] == [0] * len(base.layers)
    assert [layer.activation for layer in drift.layers] == [0] * len(base.layers)
    assert drift.correlation == pytest.approx(1)
    assert (drift.picture.difference, drift.picture.relative) == (0, 0)
    assert (drift.mapping.w, drift.mapping.w_avg) == (0, 0)


@pytest.mark.parametrize("kind", MAKERS)
def test_the_measures_are_their_formulas(kind):
    base, other = family(kind)
    moved = {"mapping.w_avg": other.tensors["mapping.w_avg"] + 0.25}
    other = other.with_tensors(moved)
    drift = drift_of(base, other, seeds=[4, 9])

    layer = base.layers[2]
    a, b = (torch.cat([n.tensors[t].flatten() for t in layer.tensors]) for n in (base, other))
    assert drift.layers[2].distance == pytest.approx(float((b - a).norm() / a.norm()), rel=1e-5)

    seen, pictures = {}, []
    for network in (base, with_mapping(other, base)):
        for seed in (4, 9):
            z = z_of_seed(seed, base.z_dim)
            ws = base.mapping(z, truncation_psi=DEFAULT_TRUNCATION)

            def watch(name, x):
                seen.setdefault(name, []).append(x.clone())

            pictures.append(network.synthesis(ws, watch=watch).clamp(-1, 1))
    for found in drift.layers:
        mine, theirs = torch.cat(seen[found.name][:2]), torch.cat(seen[found.name][2:])
        expected = float((theirs - mine).norm() / mine.norm())
        assert found.activation == pytest.approx(expected, rel=1e-4)
    mine, theirs = torch.cat(pictures[:2]), torch.cat(pictures[2:])
    rms = float((theirs - mine).square().mean().sqrt())
    assert drift.picture.difference == pytest.approx(rms, rel=1e-4)
    assert drift.picture.relative == pytest.approx(
        rms / float(mine.square().mean().sqrt()), rel=1e-4
    )
    squares = sum(band.difference**2 for band in drift.bands)
    assert squares == pytest.approx(rms**2, rel=1e-4)

    zs = np.concatenate([z_of_seed(seed, base.z_dim) for seed in (4, 9)])
    mine, theirs = (network.mapping(zs)[:, 0] for network in (base, other))
    spread = (mine - base.tensors["mapping.w_avg"]).norm()
    assert drift.mapping.w == pytest.approx(float((theirs - mine).norm() / spread), rel=1e-4)
    away = 0.25 * base.w_dim**0.5 / (float(spread) / 2**0.5)
    assert drift.mapping.w_avg == pytest.approx(away, rel=1e-4)


def test_a_change_shows_from_its_layer_up():
    base, _ = family(img_resolution=32)
    changed = {
        name: tensor * 1.5 for name, tensor in base.tensors.items() if ".b16.conv0.weight" in name
    }
    changed["synthesis.b16.conv0.bias"] = base.tensors["synthesis.b16.conv0.bias"] + 1
    drift = drift_of(base, base.with_tensors(changed))
    moved = [layer.name for layer in drift.layers if layer.activation > 0]
    assert moved == ["b16.conv0", "b16.conv1", "b32.conv0", "b32.conv1"]
    assert [layer.name for layer in drift.layers if layer.distance > 0] == ["b16.conv0"]
    assert drift.mapping.w == 0


def test_another_mapping_is_not_counted_and_another_z_is_not_measured():
    base, _ = family()
    tensors = {n: t for n, t in base.tensors.items() if n.startswith("synthesis.")}
    others, metadata = tiny_tensors(seed=5, z_dim=4, num_mapping_layers=3)
    tensors |= {n: t for n, t in others.items() if n.startswith("mapping.")}
    drift = drift_of(base, network_of(tensors, metadata))
    assert drift.mapping is None
    assert drift.picture.difference == 0


def test_more_tuning_is_more_drift_and_the_same_twice():
    base, near = family(amount=0.05)
    _, far = family(amount=0.5)
    one, two = drift_of(base, near), drift_of(base, far)
    assert one.distance < two.distance
    assert one.correlation > two.correlation
    assert one.picture.difference < two.picture.difference
    assert drift_of(base, near) == one


def test_conditional_networks_are_measured_with_their_first_class():
    base, other = family(c_dim=3)
    assert drift_of(base, other).mapping.w > 0


@hypothesis.given(st.sampled_from([1, 2, 4, 6, 8, 12, 32, 48]), st.integers(0, 99))
def test_bands_add_up_and_are_orthogonal(side, seed):
    rng = np.random.default_rng(seed)
    picture = torch.from_numpy(rng.standard_normal((1, 3, side, side)))
    bands = bands_of(picture)
    whole = torch.zeros_like(picture)
    for resolution, band in bands:
        assert band.shape[-1] == resolution
        whole += band.repeat_interleave(side // resolution, -1).repeat_interleave(
            side // resolution, -2
        )
    assert torch.allclose(whole, picture)
    squares = sum(float(band.square().mean()) for _, band in bands)
    assert squares == pytest.approx(float(picture.square().mean()))


class NoFloat64(TorchFunctionMode):
    """Fails where a device would have to make float64 numbers, which not every device can."""

    def __init__(self):
        super().__init__()
        self.on_the_cpu = []

    def __torch_function__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        if func is torch.Tensor.cpu:
            result = result.detach()  # another one, though it was there already
            self.on_the_cpu.append(result)
        elif isinstance(result, torch.Tensor) and result.dtype == torch.float64:
            assert any(arg is known for arg in args for known in self.on_the_cpu), func
            self.on_the_cpu.append(result)
        return result


@pytest.mark.parametrize("kind", MAKERS)
def test_no_device_has_to_have_float64(kind):
    base, other = family(kind)
    expected = drift_of(base, other)
    with NoFloat64():
        assert drift_of(base, other) == expected
        with pytest.raises(AssertionError):
            base.tensors["mapping.w_avg"].double()


def test_networks_of_very_many_classes_are_measured():
    base, other = family(c_dim=500_000, w_dim=4, img_resolution=4)
    assert drift_of(base, other, seeds=[1]).mapping.w > 0
