"""The mixing rule holds for every size, width and take."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from animix.mix import Overlay, first_layer, share, snapshot_weights, stack
from animix.networks.stylegan3_plan import Specification, make_plan


def stylegan2_resolutions(img_resolution):
    return [2**k for k in range(2, int(math.log2(img_resolution)) + 1) for _ in range(2)]


def stylegan3_resolutions(img_resolution, **settings):
    """The input layer's sampling rate, then the other layers'."""
    plan = make_plan(Specification(img_resolution, **settings))
    return [signal.sampling_rate for signal in (plan.input, *(each.output for each in plan.layers))]


STYLEGAN3_RESOLUTIONS = {
    256: [16, 16, 16, 16, 32, 32, 64, 64, 128, 128, 128, 256, 256, 256, 256, 256],
    1024: [16, 16, 16, 32, 32, 64, 128, 128, 256, 256, 512, 1024, 1024, 1024, 1024, 1024],
}

any_architecture = st.one_of(
    st.builds(lambda k: stylegan2_resolutions(2**k), st.integers(3, 10)),
    st.sampled_from(list(STYLEGAN3_RESOLUTIONS.values())),
    st.builds(
        lambda k, layers, critical: stylegan3_resolutions(
            2**k, num_layers=layers, num_critical=critical
        ),
        st.integers(4, 10),
        st.integers(8, 20),
        st.integers(1, 4),
    ),
)
any_width = st.floats(1e-6, 40)
any_take = st.sampled_from(["high", "low"])


def ends(resolutions, take):
    """Swap levels (octaves) at which the upper network has everything and nothing."""
    whole, nothing = 2.0, math.log2(2 * resolutions[-1])
    return (whole, nothing) if take == "high" else (nothing, whole)


@given(any_architecture, any_width, any_take)
def test_all_is_the_whole_network_and_none_nothing_of_it(resolutions, width, take):
    whole, nothing = ends(resolutions, take)
    settings = {"width": width, "alpha": 1.0, "take": take, "resolutions": resolutions}
    assert (share(whole, **settings) == 1).all()
    assert (share(nothing, **settings) == 0).all()


@given(any_architecture, st.floats(1e-6, 1), any_take, st.data())
def test_a_swap_at_a_resolution_is_hard_for_widths_up_to_one(resolutions, width, take, data):
    resolution = data.draw(st.sampled_from(sorted(set(resolutions))))
    got = share(math.log2(resolution), width=width, alpha=1.0, take=take, resolutions=resolutions)
    high = np.asarray(resolutions) >= resolution
    assert (got == (high if take == "high" else ~high)).all()


@given(any_architecture, st.floats(0.05, 40), any_take, st.floats(0, 1))
def test_the_share_moves_continuously_with_the_swap_level(resolutions, width, take, place):
    low, high = 2.0, math.log2(2 * resolutions[-1])
    swap = low + place * (high - low)
    step = 1e-6
    settings = {"width": width, "alpha": 1.0, "take": take, "resolutions": resolutions}
    moved = np.abs(share(min(swap + step, high), **settings) - share(swap, **settings)).max()
    # first(R) gains all layers in one octave at most.
    steepest = len(resolutions) * (len(resolutions) - 1 + width) / len(resolutions) / width
    assert moved <= steepest * step + 2e-9


@given(any_architecture, any_width, any_take, st.floats(0, 1), st.floats(-1, 2))
def test_alpha_scales_the_share_and_may_extrapolate(resolutions, width, take, place, alpha):
    swap = 2 + place * (math.log2(2 * resolutions[-1]) - 2)
    settings = {"width": width, "take": take, "resolutions": resolutions}
    whole = share(swap, alpha=1.0, **settings)
    assert share(swap, alpha=alpha, **settings) == pytest.approx(alpha * whole)


def test_between_two_resolutions_a_swap_lies_between_their_layers():
    resolutions = stylegan2_resolutions(64)
    assert first_layer(4.0, resolutions) == 4
    assert first_layer(4.5, resolutions) == 5
    assert first_layer(7.0, resolutions) == len(resolutions)


@pytest.mark.parametrize("img_resolution", STYLEGAN3_RESOLUTIONS)
def test_stylegan3_is_mixed_by_sampling_rates(img_resolution):
    assert stylegan3_resolutions(img_resolution) == STYLEGAN3_RESOLUTIONS[img_resolution]


@pytest.mark.parametrize(
    ("swap", "first"), [(4, 0), (8, 0), (16, 0), (32, 4), (64, 6), (128, 8), (256, 11), (512, 16)]
)
def test_a_swap_below_stylegan3s_first_rate_is_the_whole_network(swap, first):
    assert first_layer(math.log2(swap), STYLEGAN3_RESOLUTIONS[256]) == first


@st.composite
def stacks(draw):
    resolutions = draw(any_architecture)
    overlays, columns = [], 0
    for number in range(draw(st.integers(1, 5))):
        snapshots = draw(st.integers(1, 4))
        overlays.append(
            Overlay(
                share=share(
                    draw(st.floats(2, math.log2(2 * resolutions[-1]))),
                    width=draw(any_width),
                    alpha=draw(st.floats(-0.5, 1.5)),
                    take=draw(any_take),
                    resolutions=resolutions,
                ),
                columns=tuple(range(columns, columns + snapshots)),
                position=draw(st.floats(1 if number == 0 else 0, snapshots)),
            )
        )
        columns += snapshots
    return overlays, columns


@given(stacks())
def test_rows_sum_to_one_for_any_number_of_stacked_networks(drawn):
    overlays, num_networks = drawn
    assert stack(overlays, num_networks).sum(1) == pytest.approx(1, abs=1e-9)


@given(stacks())
def test_a_sheet_without_a_share_changes_nothing(drawn):
    overlays, num_networks = drawn
    length = len(overlays[0].share)
    nothing = Overlay(np.zeros(length), (num_networks,), 1)
    with_it = stack([*overlays, nothing], num_networks + 1)
    assert (with_it[:, :num_networks] == stack(overlays, num_networks)).all()
    assert (with_it[:, num_networks] == 0).all()


@given(stacks())
def test_a_whole_sheet_hides_what_lies_below(drawn):
    overlays, num_networks = drawn
    whole = Overlay(np.ones(len(overlays[0].share)), (num_networks,), 1)
    mix = stack([*overlays, whole], num_networks + 1)
    assert (mix[:, :num_networks] == 0).all()
    assert (mix[:, num_networks] == 1).all()


def test_snapshot_zero_is_what_lies_below():
    base = Overlay(np.ones(4), (0,), 1)
    over = Overlay(np.full(4, 0.7), (1, 2, 3), 0)
    assert (stack([base, over], 4) == [[1, 0, 0, 0]] * 4).all()


@pytest.mark.parametrize(
    ("position", "weights"),
    [
        (0, [1, 0, 0, 0]),
        (0.25, [0.75, 0.25, 0, 0]),
        (1, [0, 1, 0, 0]),
        (2.5, [0, 0, 0.5, 0.5]),
        (3, [0, 0, 0, 1]),
    ],
)
def test_between_two_snapshots_both_take_part(position, weights):
    assert snapshot_weights(position, 3) == pytest.approx(weights)


@pytest.mark.parametrize(("position", "columns"), [(-0.1, (0,)), (1.1, (0,)), (3, (0, 1))])
def test_a_snapshot_outside_its_run_fails(position, columns):
    with pytest.raises(ValueError, match="position"):
        Overlay(np.ones(2), columns, position)


def test_a_base_below_its_first_snapshot_fails():
    with pytest.raises(ValueError, match="nothing lies below the base"):
        stack([Overlay(np.ones(2), (0, 1), 0.5)], 2)
