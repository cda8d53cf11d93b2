"""Precision follows the device and the processor's flags, unless it is named."""

import subprocess
import sys

import pytest
import torch

from animix.engine import precision as precision_module
from animix.engine.precision import choose_precision, flags_of, processor_flags, speeds_up_bfloat16
from animix.errors import OptionError

CPU, MPS, CUDA = (torch.device(name) for name in ("cpu", "mps", "cuda"))


@pytest.fixture
def flags(monkeypatch):
    """Sets what the processor is said to have."""

    def say(*names, has_library=True):
        monkeypatch.setattr(precision_module, "processor_flags", lambda: frozenset(names))
        monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: has_library)

    return say


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("sse", "avx512_bf16"), torch.bfloat16),
        (("amx_tile", "amx_bf16"), torch.bfloat16),
        (("asimd", "bf16", "i8mm"), torch.bfloat16),
        (("sse", "avx2", "avx512f", "avx512_vnni"), torch.float32),
        ((), torch.float32),
    ],
)
def test_a_processor_paints_in_what_its_flags_speed_up(flags, names, expected):
    flags(*names)
    assert choose_precision(CPU) == expected
    assert choose_precision(CPU, "float32") == torch.float32
    assert choose_precision(CPU, "bfloat16") == torch.bfloat16
    flags(*names, has_library=False)
    assert choose_precision(CPU) == torch.float32


def test_gpus_have_a_precision_of_their_own(flags):
    flags("avx512_bf16")
    assert [choose_precision(device) for device in (CUDA, MPS)] == [torch.float16, torch.float32]
    assert choose_precision(CUDA, "float32") == torch.float32
    assert choose_precision(MPS, "float16") == torch.float16


@pytest.mark.parametrize(
    ("device", "name", "advice"),
    [
        (CPU, "float16", "take float32 or bfloat16"),
        (MPS, "bfloat16", "take float32 or float16"),
        (CUDA, "bfloat16", "take float16 or float32"),
        (CPU, "fp16", "expected one of float32, bfloat16, float16"),
        (CPU, "", "expected one of"),
    ],
)
def test_what_a_device_is_no_good_at_is_refused_with_what_it_is_good_at(device, name, advice):
    with pytest.raises(OptionError, match=advice):
        choose_precision(device, name)


def test_flags_are_those_that_every_core_has():
    cores = ["processor\t: 0", "Features\t: fp bf16 i8mm", "processor\t: 1", "Features\t: fp i8mm"]
    assert flags_of(cores) == {"fp", "i8mm"}
    assert flags_of(["processor : 0", "model name : x", "", ":"]) == frozenset()


@pytest.fixture
def elsewhere(monkeypatch):
    """Makes the system one that tells its flags in another way, or not at all."""
    processor_flags.cache_clear()
    yield monkeypatch
    monkeypatch.undo()
    processor_flags.cache_clear()


@pytest.mark.parametrize(("told", "expected"), [("1\n", {"bf16"}), ("0\n", set()), ("", set())])
def test_a_mac_tells_it_by_a_command(elsewhere, told, expected):
    elsewhere.setattr(sys, "platform", "darwin")
    answer = subprocess.CompletedProcess([], 0, stdout=told)
    elsewhere.setattr(subprocess, "run", lambda *_, **__: answer)
    assert processor_flags() == expected


@pytest.mark.parametrize("error", [FileNotFoundError(), subprocess.TimeoutExpired("sysctl", 5)])
def test_flags_that_can_not_be_read_are_none(elsewhere, error):
    def fail(*_, **__):
        raise error

    elsewhere.setattr(sys, "platform", "darwin")
    elsewhere.setattr(subprocess, "run", fail)
    assert processor_flags() == frozenset()
    processor_flags.cache_clear()
    elsewhere.setattr(sys, "platform", "linux")
    elsewhere.setattr(precision_module.Path, "read_text", lambda *_, **__: fail(OSError()))
    if isinstance(error, OSError):
        assert processor_flags() == frozenset()
        assert not speeds_up_bfloat16()
