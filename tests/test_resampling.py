"""A layer's filters, cut into tiles and taken apart, do what they do whole."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from animix.engine.resampling import (
    FINE_WIDTH,
    MAX_RANK,
    TOLERANCE,
    make_resampling,
    separated,
    why_not,
)
from animix.networks.lowpass import lowpass
from animix.networks.stylegan3 import filtered
from animix.networks.stylegan3_plan import (
    FilterPlan,
    LayerPlan,
    Signal,
    Specification,
    make_plan,
)


def layer_plan(up, up_taps, down, down_taps, size, crop, radial=False):
    return LayerPlan(
        output=Signal(size, 64, 16, 8),
        kernel=3,
        up=FilterPlan(up, up_taps, 16, 16, 128),
        down=FilterPlan(down, down_taps, 20, 20, 128, radial),
        fine_size=(size - 1) * down + down_taps,
        crop=crop,
    )


def input_size(plan):
    """The pixels of the smallest input that the plan can be cut from."""
    return max(-(-(plan.crop + plan.fine_size - plan.up.taps) // plan.up.factor) + 1, 1)


def by_tiles(resampling, x, slope):
    """What the kernel does, in the same order, for x [r, r] in float64."""
    plan, tile = resampling.plan, resampling.tile
    up, down, size = plan.up.factor, plan.down.factor, plan.output.size
    up_taps = np.array(resampling.up_taps).reshape(up, -1)
    down_taps = np.array(resampling.down_taps).reshape(resampling.rank, -1)
    across_up = resampling.across_up.double().numpy()
    across_down = resampling.across_down.double().numpy()
    reach = 8 * FINE_WIDTH
    around = np.pad(x, reach)
    out = np.zeros((size, size))
    for start in range(0, size, tile.out_columns):
        first = start * down // up + resampling.first + reach
        columns = around[:, first : first + tile.in_width]
        fine_rows = []
        for fine_row in range((size - 1) * down + down_taps.shape[1]):
            index = (resampling.phase + fine_row) // up + resampling.first + reach
            taps = up_taps[(resampling.phase + fine_row) % up]
            fine_rows.append(across_up @ (taps @ columns[index : index + len(taps)]))
        fine = np.stack(fine_rows)
        fine = np.where(fine > 0, fine, fine * slope)
        for row in range(size):
            parts = down_taps @ fine[row * down : row * down + down_taps.shape[1]]
            total = sum(m @ part for m, part in zip(across_down, parts, strict=True))
            width = min(tile.out_columns, size - start)
            out[row, start : start + width] = total[:width]
    return out


@settings(max_examples=40)
@given(
    up=st.sampled_from([1, 2, 4]),
    down=st.sampled_from([1, 2, 4]),
    up_taps=st.integers(1, 30),
    down_taps=st.integers(1, 30),
    size=st.integers(1, 70),
    crop=st.integers(0, 40),
    seed=st.integers(0, 99),
)
def test_tiles_are_filtered_as_the_whole_is(up, down, up_taps, down_taps, size, crop, seed):
    up_taps, down_taps = (
        1 if factor == 1 else min(taps, 8 * factor)
        for factor, taps in ((up, up_taps), (down, down_taps))
    )
    plan = layer_plan(up, up_taps, down, down_taps, size, crop)
    rng = np.random.default_rng(seed)  # filters of any shape, as a file may have them
    filters = [
        None if part.taps == 1 else torch.from_numpy(rng.standard_normal(part.taps))
        for part in (plan.up, plan.down)
    ]
    assert why_not(plan, filters[1]) is None
    x = rng.standard_normal((input_size(plan), input_size(plan)))
    resampling = make_resampling(plan, *filters, torch.float64, torch.device("cpu"))
    if plan.up.taps == 1:
        filters[0] = torch.ones(1, dtype=torch.float64)
    expected = filtered(
        torch.from_numpy(x.copy())[None, None], plan, *filters, slope=0.2, clamp=None
    )
    np.testing.assert_allclose(by_tiles(resampling, x, 0.2), expected[0, 0], rtol=0, atol=1e-9)


@pytest.mark.parametrize("img_resolution", [128, 256, 1024])
def test_radial_filters_are_sums_of_few_separable_ones(img_resolution):
    spec = Specification(img_resolution, conv_kernel=1, use_radial_filters=True)
    radial = [layer.down for layer in make_plan(spec).layers if layer.down.radial]
    assert radial
    for plan in radial:
        taps = lowpass(plan.taps, plan.cutoff, plan.width, plan.sampling_rate, radial=True)
        pairs = separated(taps.double().numpy())
        rest = taps.numpy() - sum(np.outer(column, row) for column, row in pairs)
        assert np.linalg.norm(rest) <= TOLERANCE * np.linalg.norm(taps)
        assert len(pairs) <= MAX_RANK


def test_a_separable_filter_stays_as_it_is():
    taps = np.array([1.0, 2.0, 4.0])
    ((column, row),) = separated(taps)
    assert (column == taps).all() and (row == taps).all()
    assert len(separated(np.outer(taps, taps))) == 1


def test_unusual_filters_are_refused():
    assert "13 taps" in why_not(layer_plan(1, 13, 2, 12, 16, 0), None)
    assert "factor of 16" in why_not(layer_plan(2, 12, 16, 16, 16, 0), None)
    noise = torch.from_numpy(np.random.default_rng(0).standard_normal((12, 12)))
    assert "radial" in why_not(layer_plan(2, 12, 2, 12, 16, 0, radial=True), noise)
