"""Feeds damaged and hostile checkpoints to the readers: each must end in a Network or NetworkError.

Run it as ``.venv/bin/python tools/fuzz_checkpoints.py --cases 100000``; it writes what came of the
cases to benchmarks/results/fuzz.json and fails if one hung, crashed or raised anything else. A case
is a function of its number and the seed: ``--keep NUMBER FILE`` writes its file.
"""

from __future__ import annotations

import argparse
import collections
import io
import json
import multiprocessing
import os
import pickletools
import random
import resource
import sys
import tempfile
import time
import warnings
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from itertools import pairwise
from multiprocessing.connection import Connection, wait
from pathlib import Path

import torch

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))  # for the tests' writers of small files

from animix.checkpoints.load import load_network  # noqa: E402 (needs the path)
from animix.errors import NetworkError  # noqa: E402
from tests.nvidia_files import write_nvidia_pickle  # noqa: E402
from tests.rosinality_files import state_dict, training_file  # noqa: E402
from tests.tiny import tiny_tensors, write_tiny  # noqa: E402

SMALL = {"img_resolution": 8, "channels": 2, "w_dim": 4}

SECONDS = 10
"""More than any case may take, on a machine that does other things as well."""

START_SECONDS = 60
"""How long a worker may take until it begins: it imports torch."""

BYTES = 1 << 30
"""How much memory a worker may take beyond what it begins with."""

LONG = 1024
"""Bytes of a literal that are probably numbers of a tensor: only its beginning is of interest."""

OPCODES = [opcode.code.encode("latin-1") for opcode in pickletools.opcodes]

NUMBERS = [0, 1, 2, 255, 256, 65535, (1 << 31) - 1, 1 << 31, (1 << 32) - 1, (1 << 63) - 1]
"""Counts and indices at the edges of what they are stored in."""


@dataclass(frozen=True)
class Source:
    """A good file, and where its bytes say something about its structure."""

    name: str
    content: bytes
    telling: list[int] = field(repr=False)
    """Offsets; a byte in the middle of a tensor only changes a number."""
    pickle: bytes
    """The pickle that it is or, in a zip archive, that it has."""
    opcodes: list[tuple[int, int]] = field(repr=False)
    """Where each instruction of the pickle begins and ends."""


def source_of(name: str, content: bytes) -> Source:
    """Look into a file of any format."""
    pickle, start = b"", 0
    if content[:2] == b"PK":
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            member = next(name for name in archive.namelist() if name.endswith("data.pkl"))
            pickle = archive.read(member)
        start = content.index(pickle)
    elif content[:1] == b"\x80":
        pickle = content
    starts: list[int] = []
    tape, end = io.BytesIO(pickle), 0
    # The old format of torch has several behind each other.
    while pickle[end : end + 1] == b"\x80":
        starts += [place for _, _, place in pickletools.genops(tape)]
        end = tape.tell()
    opcodes = list(pairwise([*starts, end]))
    telling: list[int] = []
    for first, behind in opcodes:
        # A long literal is a file of torch's own, which says in its first bytes what it is.
        telling += range(start + first, start + min(behind, first + LONG // 2))
    if content[8:9] == b"{":
        telling += range(8 + int.from_bytes(content[:8], "little"))
    telling += range(max(0, len(content) - LONG), len(content))
    return Source(name, content, telling, pickle[:end], opcodes)


@cache
def sources() -> tuple[Source, ...]:
    """The golden files and small ones of every format."""
    found = [source_of(path.name, path.read_bytes()) for path in sorted(golden())]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_tiny(folder / "tiny.safetensors", **SMALL)
        tensors = tiny_tensors(**SMALL)[0]
        for protocol in (2, 3, 5):
            write_nvidia_pickle(
                folder / f"protocol-{protocol}.pkl",
                tensors,
                others={"G": tensors} if protocol == 3 else {},
                protocol=protocol,
            )
        state = state_dict(tensors)
        torch.save(training_file(state), folder / "rosinality-training.pt")
        converted = {"g_ema": state, "latent_avg": tensors["mapping.w_avg"]}
        torch.save(converted, folder / "rosinality.pt")
        content = {"G_ema": tensors}
        torch.save(content, folder / "state-dict.pt")
        torch.save(content, folder / "old-torch.pt", _use_new_zipfile_serialization=False)
        found += [source_of(path.name, path.read_bytes()) for path in sorted(folder.iterdir())]
    return tuple(found)


def golden() -> Iterator[Path]:
    return (ROOT / "tests" / "golden").glob("*.pkl")


# Mutations: from a source to the bytes of a case.


def flipped(draw: random.Random, source: Source) -> bytes:
    """A few bytes changed."""
    content = bytearray(source.content)
    for _ in range(draw.choice([1, 1, 2, 4, 16])):
        anywhere = not source.telling or draw.random() < 0.1
        place = draw.randrange(len(content)) if anywhere else draw.choice(source.telling)
        content[place] = draw.choice([draw.randrange(256), content[place] ^ 1, 0, 255])
    return bytes(content)


def cut(draw: random.Random, source: Source) -> bytes:
    """The end, or a piece, gone."""
    start = draw.choice(source.telling)
    return source.content[:start] + draw.choice(
        [b"", source.content[start + draw.randrange(1, 99) :]]
    )


def spliced(draw: random.Random, source: Source) -> bytes:
    """A piece of this or another file in the middle."""
    other = draw.choice([source, draw.choice(sources())])
    start = draw.choice(other.telling)
    piece = other.content[start : start + draw.choice([1, 4, 16, 64, 256])]
    place = draw.choice(source.telling)
    behind = place + draw.choice([0, len(piece)])
    return source.content[:place] + piece + source.content[behind:]


def rewritten(draw: random.Random, source: Source) -> bytes:
    """Instructions of the pickle left out, doubled, exchanged, replaced, or with other numbers."""
    if not source.opcodes:
        return flipped(draw, source)
    pieces = [source.pickle[first:behind] for first, behind in source.opcodes]
    for _ in range(draw.choice([1, 1, 2, 3])):
        place, other = draw.randrange(len(pieces)), draw.randrange(len(pieces))
        action = draw.randrange(6)
        if action == 0:
            pieces[place] = b""
        elif action == 1:
            pieces[place] *= draw.choice([2, 2, 100])
        elif action == 2:
            pieces[place], pieces[other] = pieces[other], pieces[place]
        elif action == 3:
            pieces[place] = pieces[other]
        elif action == 4:
            pieces[place] = draw.choice(OPCODES) + pieces[place][1:]
        else:
            number = draw.choice(NUMBERS).to_bytes(8, "little")
            size = len(pieces[place]) - 1
            pieces[place] = pieces[place][:1] + number[:size] + pieces[place][1 + 8 :]
    changed = b"".join(pieces)
    if source.content[:2] != b"PK":
        return changed + source.content[len(source.pickle) :]
    # Written anew, for a wrong checksum would end every case at the door.
    archive = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(source.content)) as old, zipfile.ZipFile(archive, "w") as new:
        for name in old.namelist():
            new.writestr(name, changed if name.endswith("data.pkl") else old.read(name))
    return archive.getvalue()


MUTATIONS = (flipped, cut, spliced, rewritten, rewritten)


def case(seed: int, number: int) -> tuple[str, bytes]:
    """What a case is called (its source and mutation) and its bytes."""
    draw = random.Random(f"{seed}/{number}")
    source, mutation = draw.choice(sources()), draw.choice(MUTATIONS)
    return f"{source.name} {mutation.__name__}", mutation(draw, source)


def outcome_of(content: bytes, path: Path) -> str:
    """``network``, ``refused``, or what else the reader raised."""
    path.write_bytes(content)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # numpy's would stand on a user's screen
            load_network(path)
    except NetworkError as exc:
        return "refused" if str(exc).startswith(str(path)) else f"an error without path: {exc}"
    except Exception as exc:  # this is what is looked for
        return f"{type(exc).__name__}: {exc}"[:300]
    return "network"


# Workers: they may hang or die without harm.


def work(results: Connection, seed: int, numbers: range) -> None:
    """Tell when it begins (None), then each case's outcome as (number, name, outcome, seconds)."""
    torch.set_num_threads(1)
    sources()
    results.send(None)
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + BYTES
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    with tempfile.TemporaryDirectory() as folder:
        for number in numbers:
            name, content = case(seed, number)
            start = time.perf_counter()
            outcome = outcome_of(content, Path(folder) / "case")
            results.send((number, name, outcome, time.perf_counter() - start))


@dataclass
class Worker:
    """A process at work on some cases, and which of them come next."""

    seed: int
    numbers: range
    results: Connection = field(init=False)
    process: multiprocessing.process.BaseProcess = field(init=False)
    heard: float = field(init=False)

    def __post_init__(self) -> None:
        self.start()

    def start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self.results, sending = context.Pipe(duplex=False)
        self.process = context.Process(target=work, args=(sending, self.seed, self.numbers))
        self.process.start()
        sending.close()
        self.heard = time.monotonic() + START_SECONDS

    def stop(self) -> None:
        self.process.kill()
        self.process.join()
        self.results.close()


def run(cases: int, seed: int, processes: int) -> dict[str, object]:
    """The counts of all outcomes, and every failure."""
    outcomes: collections.Counter[str] = collections.Counter()
    kinds: dict[str, collections.Counter[str]] = {}
    failures: list[dict[str, object]] = []
    slowest = 0.0
    start = time.monotonic()

    def count(number: int, name: str, outcome: str) -> None:
        usual = outcome in ("network", "refused")
        kinds.setdefault(name, collections.Counter())[outcome if usual else "failed"] += 1
        outcomes[outcome if usual else "failed"] += 1
        if not usual:
            failures.append({"case": number, "name": name, "outcome": outcome})
            print(f"case {number} ({name}): {outcome}", flush=True)

    workers = [Worker(seed, range(first, cases, processes)) for first in range(processes)]
    while workers:
        ready = wait([worker.results for worker in workers], timeout=1)
        for worker in list(workers):
            ended = ""
            if worker.results in ready:
                try:
                    told = worker.results.recv()
                except EOFError:
                    ended = "the process died"
                else:
                    worker.heard = time.monotonic()
                    if told:
                        number, name, outcome, seconds = told
                        count(number, name, outcome)
                        slowest = max(slowest, seconds)
                        worker.numbers = worker.numbers[1:]
            elif time.monotonic() - worker.heard > SECONDS:
                ended = "hung"
            if ended and worker.numbers:
                number = worker.numbers[0]
                count(number, case(seed, number)[0], ended)
                worker.numbers = worker.numbers[1:]
            if ended or not worker.numbers:
                worker.stop()
                workers.remove(worker)
                if worker.numbers:
                    worker.start()
                    workers.append(worker)
    return {
        "cases": cases,
        "seed": seed,
        "outcomes": dict(sorted(outcomes.items())),
        "failures": failures[:100],
        "slowest_case_seconds": round(slowest, 3),
        "elapsed_seconds": round(time.monotonic() - start, 1),
        "kinds": {name: dict(sorted(kinds[name].items())) for name in sorted(kinds)},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--keep", nargs=2, metavar=("NUMBER", "FILE"), help="write one case's file")
    parser.add_argument(
        "--results", type=Path, default=ROOT / "benchmarks" / "results" / "fuzz.json"
    )
    arguments = parser.parse_args()
    if arguments.keep:
        number, path = arguments.keep
        name, content = case(arguments.seed, int(number))
        Path(path).write_bytes(content)
        print(name)
        return
    report = run(arguments.cases, arguments.seed, arguments.processes)
    arguments.results.parent.mkdir(parents=True, exist_ok=True)
    arguments.results.write_text(json.dumps(report, indent=2) + "\n")
    print(f"{report['outcomes']} in {report['elapsed_seconds']} s: {arguments.results}")
    if report["failures"]:
        sys.exit(1)


if __name__ == "__main__":
    main()
