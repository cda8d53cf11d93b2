"""Full float32 holds for all threads, from the first that enters to the last that leaves."""

import threading

import pytest
import torch

from animix.networks.precision import full_float32


def settings():
    return torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32


@pytest.fixture
def careless():
    """A program that has allowed torch to round."""
    before = settings()
    torch.set_float32_matmul_precision("medium")
    torch.backends.cudnn.allow_tf32 = True
    yield settings()
    torch.set_float32_matmul_precision(before[0])
    torch.backends.cudnn.allow_tf32 = before[1]


def test_the_setting_is_made_and_taken_back(careless):
    with full_float32():
        assert settings() == ("highest", False)
        with full_float32():
            pass
        assert settings() == ("highest", False)
    assert settings() == careless


def test_it_is_taken_back_after_an_error(careless):
    with pytest.raises(ZeroDivisionError), full_float32():
        raise ZeroDivisionError
    assert settings() == careless


def test_a_thread_that_leaves_does_not_take_it_from_another(careless):
    entered, leave = threading.Event(), threading.Event()

    def stay():
        with full_float32():
            entered.set()
            leave.wait(5)

    thread = threading.Thread(target=stay)
    with full_float32():
        thread.start()
        entered.wait(5)
    assert settings() == ("highest", False)
    leave.set()
    thread.join()
    assert settings() == careless
