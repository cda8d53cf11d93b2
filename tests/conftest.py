"""Marked tests, and nothing random that leaks from one test into the next."""

import os
import sys

import hypothesis
import numpy as np
import pytest
import torch

if not torch.cuda.is_available():
    # Triton reads it when it is imported: without a GPU its kernels run in its interpreter.
    os.environ["TRITON_INTERPRET"] = "1"

hypothesis.settings.register_profile("animix", deadline=None, derandomize=True)
hypothesis.settings.load_profile("animix")


def pytest_collection_modifyitems(items):
    # A machine that is meant to test the GPU must not pass by skipping.
    if torch.cuda.is_available() or os.environ.get("ANIMIX_REQUIRE_GPU"):
        return
    for item in items:
        if item.get_closest_marker("gpu"):
            item.add_marker(pytest.mark.skip(reason="no CUDA here"))


@pytest.fixture(autouse=True)
def same_global_random_state():
    """animix draws from generators of its own: a test that moves the global one fails."""
    before = torch.random.get_rng_state(), np.random.get_state()[1]  # noqa: NPY002 (the global one)
    yield
    assert torch.equal(before[0], torch.random.get_rng_state())
    assert (before[1] == np.random.get_state()[1]).all()  # noqa: NPY002


@pytest.fixture
def run(capsys, monkeypatch):
    """Runs a command line in this process: exit code, stdout, stderr."""
    from animix.cli import commands  # not at the top: what it imports reads TRITON_INTERPRET

    def run_it(*arguments):
        monkeypatch.setattr(sys, "argv", ["animix", *map(str, arguments)])
        with pytest.raises(SystemExit) as caught:
            commands.main()
        told = capsys.readouterr()
        return caught.value.code, told.out, told.err

    return run_it
