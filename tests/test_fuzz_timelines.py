"""The fuzzer of timelines keeps its own promises, and some hundred of its cases theirs."""

from __future__ import annotations

import ast
import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from animix.errors import Mark, Mistake, TimelineError
from tools import fuzz_timelines
from tools.fuzz_timelines import ROOT, case, outcome_of, sources, watching
from tools.timeline_mutations import MUTATIONS


def test_examples_are_schedules_and_a_file_of_mistakes_is_refused():
    outcomes = [outcome_of(text) for text in sources()]
    assert outcomes.count("schedule") > 30
    assert set(outcomes) == {"schedule", "refused"}


def test_a_case_is_a_function_of_its_number_and_the_seed():
    cases = [case(seed, number) for seed in (0, 1) for number in range(10)]
    assert cases == [case(seed, number) for seed in (0, 1) for number in range(10)]
    assert len({text for _, text in cases}) == 20
    names = " ".join(case(0, number)[0] for number in range(200))
    assert set(names.split()) == {mutation.__name__ for mutation in MUTATIONS}


@pytest.mark.parametrize("first", range(0, 200, 50))
def test_every_case_is_a_schedule_or_its_mistakes(first):
    outcomes = {number: outcome_of(case(2, number)[1]) for number in range(first, first + 50)}
    assert {n: o for n, o in outcomes.items() if o not in ("schedule", "long", "refused")} == {}


CODE = compile("1", "", "exec")
DEEDS = {
    "exec": lambda: exec(CODE),
    "compile": lambda: eval("1"),
    "compile ": lambda: ast.parse("1"),
    "os.system": lambda: os.system("true"),
    "subprocess.Popen": lambda: subprocess.run(["true"], check=True),
    "socket": lambda: socket.socket().close(),
    "open": lambda: Path(os.devnull).open("w").close(),
    "os.mkdir": lambda: (ROOT / "tests").mkdir(exist_ok=True),
}


@pytest.mark.parametrize(("event", "deed"), DEEDS.items(), ids=DEEDS)
def test_whatever_is_executed_or_opened_is_heard(monkeypatch, event, deed):
    monkeypatch.setattr(fuzz_timelines, "_read", lambda text: deed() and "schedule")
    assert outcome_of("").startswith(f"did what no timeline may: {event}")


def test_what_is_extended_may_be_read(monkeypatch):
    read = (ROOT / "README.md").read_text
    monkeypatch.setattr(fuzz_timelines, "_read", lambda text: read("utf-8") and "schedule")
    assert outcome_of("") == "schedule"


def test_nothing_is_heard_afterwards():
    with watching() as seen:
        pass
    assert eval("1 + 1") == 2
    assert seen == []


def raising(error):
    def read(text):
        raise error

    return read


def sleepless(text):
    while True:
        pass


MARK = Mark("reel.yaml", 1, 1, 1, "a")
WRONG = {
    "KeyError at": raising(KeyError("swap")),
    "RecursionError at": raising(RecursionError()),
    "an error without a mistake": lambda text: told([]),
    "a mistake is told twice": lambda text: told([Mistake(MARK, "x"), Mistake(MARK, "x")]),
    "words that nobody reads": lambda text: told([Mistake(MARK, "Traceback (most")]),
    "a place that is not there": lambda text: told([Mistake(Mark("a", 9, 1), "x")]),
    "a column that is not there": lambda text: told([Mistake(Mark("a", 1, 9, 1, "x"), "x")]),
    "took more than 0.1 s, at test_fuzz_timelines.py:": sleepless,
}


def told(mistakes):
    return fuzz_timelines._told_well(TimelineError(mistakes), "one line")


@pytest.mark.parametrize(("words", "read"), WRONG.items(), ids=WRONG)
def test_what_should_not_be_is_told(monkeypatch, words, read):
    monkeypatch.setattr(fuzz_timelines, "SECONDS", 0.1)
    monkeypatch.setattr(fuzz_timelines, "_read", read)
    assert outcome_of("").startswith(words)


def test_the_command_reports_and_prints_a_case(tmp_path, monkeypatch, capsys):
    results, findings = tmp_path / "new" / "fuzz.json", tmp_path / "findings"
    options = ["--minutes", "0.01", "--processes", "1", "--results", str(results)]
    monkeypatch.setattr(sys, "argv", ["fuzz", *options, "--findings", str(findings)])
    fuzz_timelines.main()
    report = json.loads(results.read_text())
    assert report["findings"] == []
    assert not findings.exists()
    monkeypatch.setattr(sys, "argv", ["fuzz", "--case", "3"])
    capsys.readouterr()
    fuzz_timelines.main()
    assert capsys.readouterr().out.endswith(case(0, 3)[1] + "\n")


def hang_die_or_find(results, seed, first, step, end):
    for number in range(first, 3, step):
        results.send((number, "lines", "", 0.0))
        if number == 0:
            time.sleep(60)
        if number == 1:
            os._exit(1)
        results.send((number, "lines", "KeyError", 0.0))


def test_a_case_that_hangs_or_kills_its_worker_is_told_and_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(fuzz_timelines, "HANG_SECONDS", 0.2)
    monkeypatch.setattr(fuzz_timelines, "work", hang_die_or_find)
    report = fuzz_timelines.run(1, seed=0, processes=1, folder=tmp_path / "findings")
    found = {finding["case"]: finding["outcome"] for finding in report["findings"]}
    assert found == {0: "hangs", 1: "the process died", 2: "KeyError"}
    assert report["outcomes"] == {"finding": 3}
    kept = sorted(path.name for path in (tmp_path / "findings").iterdir())
    assert kept == ["case-0-0.yaml", "case-0-1.yaml", "case-0-2.yaml"]
