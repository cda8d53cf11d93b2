"""Normal fields: normal, independent of each other, and functions of their keys alone."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from animix.networks.normal_field import _uniform, normal_fields

CPU = torch.device("cpu")


@pytest.mark.parametrize("key", [(0,), (0, 0, 0), (1, 2, 3), (2**32 - 1, 17, 5)])
def test_fields_are_normal_and_white(key):
    field = normal_fields([key], (256, 256), CPU)[0].double().numpy()
    assert stats.kstest(field.ravel(), "norm").pvalue > 1e-3
    spectrum = np.abs(np.fft.fft2(field)) ** 2 / field.size
    # Of white noise each power is exponential, so the largest of 65536 is about ln 65536 = 11.
    assert spectrum.max() < 20
    assert abs(spectrum.std() - 1) < 0.05


@pytest.mark.parametrize("one, other", [((0,), (1,)), ((1, 2), (2, 1)), ((3, 0, 0), (3, 0, 1))])
def test_fields_of_different_keys_have_nothing_in_common(one, other):
    fields = normal_fields([one, other], (256, 256), CPU).double().flatten(1)
    # The mean of 256² products of independent normals deviates by 1/256.
    assert abs((fields[0] * fields[1]).mean() * 256) < 4
    assert abs((fields[0].square() * fields[1].square()).mean() - 1) * 256 < 10


@given(
    st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=4, unique=True),
    st.tuples(st.integers(1, 9), st.integers(1, 9)),
)
def test_a_field_is_the_same_whichever_others_are_made_with_it(seeds, shape):
    together = normal_fields([(seed, 1) for seed in seeds], shape, CPU)
    assert together.shape == (len(seeds), *shape)
    assert torch.isfinite(together).all()
    for field, seed in zip(together, seeds, strict=True):
        assert torch.equal(field, normal_fields([(seed, 1)], shape, CPU)[0])


def test_uniform_numbers_lie_strictly_between_0_and_1():
    extremes = torch.tensor([0, 1, -1, 2**31 - 1, -(2**31)], dtype=torch.int32)
    numbers = _uniform(extremes)
    assert 0 < numbers.min() == 2.0**-24
    assert 1 > numbers.max() == 1 - 2.0**-24
    assert numbers[3:].tolist() == [0.5 - 2.0**-24, 0.5 + 2.0**-24]


def test_the_middle_of_a_field_is_no_function_of_a_neighbouring_key():
    """Keys are hashed, not added to counters: no field is another one shifted."""
    fields = normal_fields([(n,) for n in range(20)], (8, 8), CPU)
    values = fields.flatten().numpy()
    assert len(np.unique(values)) > 0.99 * values.size
