"""Feeds damaged and hostile timelines to the reader: each must end in a schedule or its mistakes.

Run it as ``.venv/bin/python tools/fuzz_timelines.py --minutes 60``. Timelines, examples of the
documents and random structures are changed, and read as ``animix check`` reads them, up to the
schedule; networks and sounds are never opened. Meanwhile nothing may be executed, imported, written
or sent, which an audit hook (PEP 578) sees. It writes what came of the cases to
benchmarks/results/fuzz_timelines.json, each finding to a folder, and fails if there is any. A case
is a function of its number and the seed: ``--case NUMBER`` prints its timeline.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import json
import multiprocessing
import os
import random
import re
import resource
import signal
import sys
import threading
import time
import traceback
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cache
from itertools import count, islice
from multiprocessing.connection import Connection, wait
from pathlib import Path
from types import FrameType

import numpy as np

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))  # for what is beside this file

from animix import demo  # noqa: E402 (needs the path)
from animix.errors import TimelineError  # noqa: E402 (needs the path)
from animix.latents import Direction  # noqa: E402 (needs the path)
from animix.networks.facts import Layer, NetworkFacts  # noqa: E402 (needs the path)
from animix.sampling import make_schedule  # noqa: E402 (needs the path)
from animix.schedule import Column  # noqa: E402 (needs the path)
from animix.timeline.reader import Unread, read_each  # noqa: E402 (needs the path)
from animix.timeline.seams import edits  # noqa: E402 (needs the path)
from animix.timeline.timeline import Timeline  # noqa: E402 (needs the path)
from tools.timeline_mutations import SETTING, changed  # noqa: E402 (needs the path)

SECONDS = 2
"""Of processor time that a case may take: what else the machine does is not its fault."""
HANG_SECONDS = 30
"""After so long the alarm has not been heard: C code is at work."""
BYTES = 1 << 31
"""Of memory, on top of what Python takes."""
LONGEST_MESSAGE = 4000
MOST_VARIANTS = 3
"""Of one timeline that are read: the others differ in nothing but values."""
USUAL = ("schedule", "long", "refused")
MOST_SAMPLES = 200_000
"""Frames times tracks of a clip that is sampled; larger ones are read, which is all that is new."""

WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
HARMLESS = {"builtins.id", "sys._getframe", "object.__getattr__", "array.__new__"}
"""What Python tells an audit hook of without anything leaving the computation."""

FACTS = NetworkFacts(
    kind="stylegan2",
    architecture="skip",
    img_resolution=64,
    z_dim=16,
    c_dim=0,
    w_dim=16,
    num_ws=10,
    layers=tuple(
        Layer(f"b{size}.{name}", size, ())
        for size in (4, 8, 16, 32, 64)
        for name in (("const", "conv1") if size == 4 else ("conv0", "conv1"))
    ),
    num_parameters=1,
)
"""Of networks that every timeline finds where it looks."""


@cache
def sources() -> tuple[str, ...]:
    """The example timelines, one of mistakes, and the examples of the documents."""
    paths = [demo.TIMELINE, *sorted((ROOT / "timelines").glob("*.yaml"))]
    found = [path.read_text(encoding="utf-8") for path in paths]
    found.append((ROOT / "tests" / "mistakes.yaml").read_text(encoding="utf-8"))
    start = "networks: {faces: a.pkl, anime: b.pkl}\nduration: 8s\naudio: {bpm: 120}\n"
    for page in (ROOT / "README.md", ROOT / "docs" / "timeline.md"):
        for block in re.findall(r"```yaml\n(.*?)```", page.read_text("utf-8"), re.DOTALL):
            lines = block.splitlines(keepends=True)
            tracks = [f"blend: {{{line.strip()}}}\n" for line in lines if line[:5] in TRACKS]
            whole = "networks:" in block
            found += [block] if whole else [start + line for line in tracks or [block, *lines]]
    return tuple(found)


@cache
def warm_up() -> None:
    """Have everything imported and read that is needed once."""
    for text in sources():
        _read(text)


TRACKS = ("swap:", "alpha")


def case(seed: int, number: int) -> tuple[str, str]:
    """How a case was made, and its text."""
    return changed(random.Random(f"{seed}/{number}"), sources())


class TooSlow(BaseException):
    """The alarm: no handler of the reader's takes it for an error of its own."""


@dataclass
class Watch:
    """An audit hook, which can't be taken away again; it listens while a case is read."""

    is_on: bool = False
    thread: int = 0
    seen: list[str] = field(default_factory=list)

    def hear(self, event: str, arguments: tuple[object, ...]) -> None:
        """Note what is no plain computation, but that of other threads."""
        if not self.is_on or event in HARMLESS or threading.get_ident() != self.thread:
            return
        # What a timeline extends is read: path, mode and flags.
        if event == "open" and isinstance(flags := arguments[2], int) and not flags & WRITING:
            return
        self.seen.append(f"{event} {arguments!r}"[:200])


@cache
def watch() -> Watch:
    """The one of this process."""
    found = Watch()
    sys.addaudithook(found.hear)
    return found


@contextlib.contextmanager
def watching() -> Iterator[list[str]]:
    """What is executed, imported or written in the block; TooSlow where it takes too long."""

    def ring(number: int, frame: FrameType | None) -> None:
        raise TooSlow

    hook = watch()
    hook.seen = []
    hook.thread = threading.get_ident()
    before = signal.signal(signal.SIGPROF, ring)
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    hook.is_on = True
    try:
        yield hook.seen
    finally:
        hook.is_on = False
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def outcome_of(text: str) -> str:
    """``schedule``, ``long`` (read, not sampled), ``refused``, or what should not have been."""
    warm_up()
    try:
        with watching() as seen, warnings.catch_warnings():
            warnings.simplefilter("error")  # numpy's would stand on a user's screen
            outcome = _read(text)
    except TooSlow as error:
        return f"took more than {SECONDS} s, at {_place(error)}"
    except Exception as error:  # this is what is looked for
        return f"{type(error).__name__} at {_place(error)}: {error}"[:300]
    return f"did what no timeline may: {seen[0]}" if seen else outcome


def _place(error: BaseException) -> str:
    """Where an error was raised, not counting this file."""
    frames = traceback.extract_tb(error.__traceback__)
    frame = [frame for frame in frames if frame.filename != __file__][-1:] or frames[-1:]
    return f"{Path(frame[0].filename).name}:{frame[0].lineno}"


def _read(text: str) -> str:
    """The outcome of a timeline; of variants that of the first few, the worst of them."""
    settings = dict(SETTING.findall(text))
    try:
        found = [*islice(read_each(text, "reel.yaml", settings, listen=False), MOST_VARIANTS)]
    except TimelineError as error:
        return _told_well(error, text)
    outcomes = {
        _told_well(each.error, text) if isinstance(each, Unread) else _sampled(each, text)
        for each in found
    }
    return max(outcomes, key=lambda outcome: (outcome not in USUAL, outcome))


def _sampled(timeline: Timeline, text: str) -> str:
    try:
        names = dict.fromkeys(layer.network for layer in timeline.blend)
        columns = [Column(name, number, 3) for name in names for number in (1, 2, 3)]
        moving = 10 + 6 * len(timeline.blend)
        rates = {output.fps or timeline.fps for output in timeline.outputs}
        frames = sum(timeline.clip(False).num_frames_at(rate) for rate in rates)
        if frames * moving > MOST_SAMPLES:
            return "long"
        facts = FACTS if timeline.label is None else replace(FACTS, c_dim=10)
        directions = {
            edit.direction: Direction("any", np.ones((FACTS.num_ws, FACTS.w_dim), np.float32))
            for edit in edits(timeline)
            if isinstance(edit.direction, str) or edit.direction <= FACTS.w_dim
        }
        schedule = make_schedule(timeline, facts, columns, directions)
    except TimelineError as error:
        return _told_well(error, text)
    last = schedule.num_frames - 1
    for row in map(schedule.row, (0, last // 3, last // 2, last)):
        told = (row.framing.zoom, row.framing.pan_x, row.framing.pan_y, row.framing.rotate)
        weights = [weight for point in row.points for _, weight in point.latents]
        amounts = [amount for _, amount in row.edits]
        every = (row.mix, row.psi, told, weights, *amounts)
        if not all(np.isfinite(values).all() for values in every):
            return f"a value of frame {row.index} that is no number"
    return "schedule"


def _told_well(error: TimelineError, text: str) -> str:
    """``refused`` if every mistake stands once, at a place that is there, in words for people."""
    if not error.mistakes:
        return "an error without a mistake"
    if len(set(error.mistakes)) < len(error.mistakes):
        return f"a mistake is told twice: {error.mistakes[0]}"
    num_lines = len(re.split("\r\n|[\r\n\x85\u2028\u2029]", text))
    for mistake in error.mistakes:
        told = f"{mistake.message} {mistake.hint}"
        if len(str(mistake)) > LONGEST_MESSAGE or "Traceback" in told or "\n" in told:
            return f"words that nobody reads: {told[:200]}"
        if not 0 <= mistake.mark.line <= num_lines:
            return f"a place that is not there: {mistake.mark}"
        if mistake.mark.text and mistake.mark.column > len(mistake.mark.text) + 1:
            return f"a column that is not there: {mistake.mark}"
    return "refused"


# Workers: they may hang or die without harm.


def work(results: Connection, seed: int, first: int, step: int, end: float) -> None:
    """Tell each case's outcome as (number, name, outcome, seconds) until the time is over."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + BYTES
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    warm_up()
    for number in count(first, step):
        if time.time() > end:
            break
        name, text = case(seed, number)
        started = time.perf_counter()
        results.send((number, name, "", 0.0))
        results.send((number, name, outcome_of(text), time.perf_counter() - started))
    results.close()


class Worker:
    """A process at work on every so-manieth case from a first one on."""

    def __init__(self, seed: int, first: int, step: int, end: float) -> None:
        self.seed, self.step, self.end = seed, step, end
        self.number, self.name = first, "none yet"
        self.start(first)

    def start(self, first: int) -> None:
        """Begin at a case."""
        context = multiprocessing.get_context("spawn")
        self.results, sending = context.Pipe(duplex=False)
        arguments = (sending, self.seed, first, self.step, self.end)
        self.process = context.Process(target=work, args=arguments)
        self.process.start()
        sending.close()
        self.heard = time.monotonic()
        self.is_reading = False

    def stop(self) -> None:
        """End it, wherever it is."""
        self.process.kill()
        self.process.join()
        self.results.close()


class Tally:
    """What has come of the cases so far; findings are written to a folder as they come."""

    def __init__(self, seed: int, folder: Path) -> None:
        self.seed, self.folder = seed, folder
        self.outcomes: collections.Counter[str] = collections.Counter()
        self.kinds: dict[str, collections.Counter[str]] = {}
        self.findings: list[dict[str, object]] = []
        self.slowest = (0.0, -1)

    def add(self, number: int, name: str, outcome: str, seconds: float) -> None:
        """Count a case."""
        usual = outcome in USUAL
        told = outcome if usual else "finding"
        self.outcomes[told] += 1
        self.kinds.setdefault(name, collections.Counter())[told] += 1
        self.slowest = max(self.slowest, (seconds, number))
        if usual:
            return
        self.findings.append({"case": number, "name": name, "outcome": outcome})
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / f"case-{self.seed}-{number}.yaml"
        path.write_text(case(self.seed, number)[1], encoding="utf-8", errors="replace")
        print(f"case {number} ({name}): {outcome}\n  {path}", flush=True)

    def report(self, minutes: float) -> dict[str, object]:
        """Everything, for a file."""
        return {
            "minutes": minutes,
            "seed": self.seed,
            "cases": sum(self.outcomes.values()),
            "outcomes": dict(sorted(self.outcomes.items())),
            "findings": self.findings[:100],
            "slowest_case": {"case": self.slowest[1], "seconds": round(self.slowest[0], 3)},
            "kinds": {name: dict(sorted(self.kinds[name].items())) for name in sorted(self.kinds)},
        }


def run(minutes: float, seed: int, processes: int, folder: Path) -> dict[str, object]:
    """Read cases for so many minutes."""
    end = time.time() + 60 * minutes
    warm_up()  # what fails here would fail in every worker
    tally = Tally(seed, folder)
    workers = [Worker(seed, first, processes, end) for first in range(processes)]
    told = time.monotonic()
    while workers:
        ready = wait([worker.results for worker in workers], timeout=1)
        for worker in list(workers):
            ended = ""
            if worker.results in ready:
                try:
                    number, name, outcome, seconds = worker.results.recv()
                except EOFError:
                    worker.process.join()
                    ended = "the process died" if worker.process.exitcode else "done"
                else:
                    worker.number, worker.name = number, name
                    worker.heard, worker.is_reading = time.monotonic(), not outcome
                    if outcome:
                        tally.add(number, name, outcome, seconds)
            elif worker.is_reading and time.monotonic() - worker.heard > HANG_SECONDS:
                ended = "hangs"
            if ended:
                worker.stop()
                workers.remove(worker)
            if ended and ended != "done":
                tally.add(worker.number, worker.name, ended, float(HANG_SECONDS))
                worker.start(worker.number + worker.step)
                workers.append(worker)
        if time.monotonic() > told + 30:
            told = time.monotonic()
            left = max(0.0, end - time.time()) / 60
            print(f"{dict(tally.outcomes)}, {left:.1f} minutes left", flush=True)
    return tally.report(minutes)


def main() -> None:
    """Read cases, tell findings as they come, and write the report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--case", type=int, metavar="NUMBER", help="print one case's timeline")
    parser.add_argument("--findings", type=Path, default=Path("fuzz-findings"), metavar="FOLDER")
    default = ROOT / "benchmarks" / "results" / "fuzz_timelines.json"
    parser.add_argument("--results", type=Path, default=default)
    arguments = parser.parse_args()
    if arguments.case is not None:
        name, text = case(arguments.seed, arguments.case)
        print(f"# {name}: {outcome_of(text)}\n{text}")
        return
    report = run(arguments.minutes, arguments.seed, arguments.processes, arguments.findings)
    arguments.results.parent.mkdir(parents=True, exist_ok=True)
    arguments.results.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    print(f"{report['outcomes']}: {arguments.results}")
    if report["findings"]:
        sys.exit(1)


if __name__ == "__main__":
    main()
