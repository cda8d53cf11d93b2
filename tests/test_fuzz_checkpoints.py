"""The fuzzer's own promises, and some hundred of its cases."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time

import pytest

from tests.memory import little_memory
from tools import fuzz_checkpoints
from tools.fuzz_checkpoints import MUTATIONS, ROOT, case, outcome_of, sources


def test_every_source_is_a_network(tmp_path):
    assert {source.name.rpartition(".")[2] for source in sources()} == {"pkl", "pt", "safetensors"}
    for source in sources():
        assert outcome_of(source.content, tmp_path / source.name) == "network", source.name


def test_a_case_is_a_function_of_its_number_and_the_seed():
    contents = [case(seed, number) for seed in (0, 1) for number in range(10)]
    assert contents == [case(seed, number) for seed in (0, 1) for number in range(10)]
    assert len({content for _, content in contents}) == 20
    assert {case(0, number)[0].split()[1] for number in range(50)} == {
        mutation.__name__ for mutation in MUTATIONS
    }


def test_what_is_no_error_of_ours_is_told(tmp_path, monkeypatch):
    def fail(path):
        raise KeyError("b4")

    monkeypatch.setattr(fuzz_checkpoints, "load_network", fail)
    assert outcome_of(b"", tmp_path / "case") == "KeyError: 'b4'"


@pytest.mark.parametrize("first", range(0, 300, 50))
def test_every_case_is_a_network_or_an_error_of_ours(tmp_path, first):
    with little_memory():
        outcomes = {
            number: outcome_of(case(1, number)[1], tmp_path / "case")
            for number in range(first, first + 50)
        }
    assert {n: o for n, o in outcomes.items() if o not in ("network", "refused")} == {}


def test_the_command_counts_and_keeps(tmp_path, monkeypatch):
    results, kept = tmp_path / "new" / "fuzz.json", tmp_path / "kept"
    command = [ROOT / "tools" / "fuzz_checkpoints.py", "--cases", "6", "--processes", "1"]
    subprocess.run([sys.executable, *command, "--results", results], check=True)
    report = json.loads(results.read_text())
    assert (sum(report["outcomes"].values()), report["failures"]) == (6, [])
    monkeypatch.setattr(sys, "argv", ["fuzz_checkpoints", "--keep", "3", str(kept)])
    fuzz_checkpoints.main()
    assert kept.read_bytes() == case(0, 3)[1]


def hang_or_die(results, seed, numbers):
    results.send(None)
    if numbers[0] == 0:
        time.sleep(60)
    os._exit(1)


def test_a_case_that_hangs_or_kills_its_worker_is_told(monkeypatch):
    monkeypatch.setattr(fuzz_checkpoints, "SECONDS", 0.2)
    monkeypatch.setattr(fuzz_checkpoints, "work", hang_or_die)
    report = fuzz_checkpoints.run(cases=2, seed=0, processes=2)
    told = {failure["case"]: failure["outcome"] for failure in report["failures"]}
    assert told == {0: "hung", 1: "the process died"}
    assert report["outcomes"] == {"failed": 2}
