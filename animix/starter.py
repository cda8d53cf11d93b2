"""The starter: networks → a commented timeline that already renders."""

from __future__ import annotations

import contextlib
import itertools
import json
import re
import shlex
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from animix.checkpoints.load import load_network
from animix.checkpoints.runs import find_run, path_from, snapshot_order
from animix.errors import BlendError, OptionError
from animix.networks.blend import check_blendable
from animix.networks.network import Network
from animix.networks.related import correlation, is_related
from animix.timeline.reader import read_timeline
from animix.timeline.variables import escaped
from animix.timeline.vocabulary import RESERVED
from animix.whole_file import whole_file

MOST_RELATIVES = 10


@dataclass(frozen=True)
class Run:
    """Files that are snapshots of one training, in order; often a single one."""

    name: str
    files: tuple[Path, ...]


def find_runs(files: Sequence[Path]) -> list[Run]:
    """Group files whose names differ in one number only, and give each group a name.

    >>> [(run.name, len(run.files)) for run in find_runs(
    ...     [Path("ffhq.pkl"), Path("anime-10.pkl"), Path("anime-9.pkl")])]
    [('ffhq', 1), ('anime', 2)]
    """
    groups: dict[tuple[Path, str], list[Path]] = {}
    for file in dict.fromkeys(files):
        # The last number in the name counts the snapshots: network-snapshot-000120.pkl.
        pattern = re.sub(r"\d+(?=\D*$)", "*", file.stem) + file.suffix
        groups.setdefault((file.parent, pattern), []).append(file)
    runs: dict[str, Run] = {}
    for (folder, pattern), members in groups.items():
        members.sort(key=snapshot_order)
        stem = Path(pattern).stem if len(members) > 1 else members[0].stem
        if re.fullmatch(r"network-snapshot-.*", stem):
            stem = folder.resolve().name
        name = _free_name(stem, runs)
        runs[name] = Run(name, tuple(members))
    return list(runs.values())


def write_starter(files: Sequence[Path], output: Path) -> list[str]:
    """Write a timeline for networks to ``output`` and return what the user should know.

    The base is the network that the others descend from: as their metadata says, or else the one
    that all others resemble most. Networks that have nothing in common with it are left out.
    """
    if output.exists():
        raise OptionError(f"{output} exists; name another file with --output")
    runs, networks = open_runs(files)
    base = guess_base(runs, networks)
    notes, family = [], [runs[base]]
    for name, run in runs.items():
        if name == base:
            continue
        if len(family) > MOST_RELATIVES:
            notes.append(f"{name} is left out: a first timeline has {MOST_RELATIVES} at most")
            continue
        try:
            check_blendable(networks[base], networks[name], (base, name))
        except BlendError as error:
            notes.append(f"{name} is left out: {error}")
            continue
        if is_related(networks[base], networks[name]):
            family.append(run)
        else:
            notes.append(f"{name} is left out: it is no relative of {base}")
    text = starter_text(family, networks[base], output)
    read_timeline(text, output)
    with whole_file(output) as part:
        part.write_text(text, encoding="utf-8")
    return notes


def open_runs(files: Sequence[Path]) -> tuple[dict[str, Run], dict[str, Network]]:
    """The runs among files and the last network of each; files that don't mix are no run."""
    runs: dict[str, Run] = {}
    networks: dict[str, Network] = {}
    for run in find_runs(files):
        last = load_network(run.files[-1])
        try:
            for file in run.files[:-1]:
                check_blendable(last, load_network(file))
            parts = {run.name: (run, last)}
        except BlendError:
            parts = {}
            for file in run.files:
                name = _free_name(file.stem, {*runs, *parts})
                parts[name] = Run(name, (file,)), load_network(file)
        for name, (part, network) in parts.items():
            runs[name], networks[name] = part, network
    return runs, networks


def guess_base(runs: Mapping[str, Run], networks: Mapping[str, Network]) -> str:
    """The run that the others were fine-tuned from, as far as can be told.

    What metadata call the parent, if it is among the networks; else the network that all others
    resemble most: children stay close to their parent and drift apart from each other. Two resemble
    each other alike: then the one without snapshots, or with the shorter name.
    """
    names = list(networks)
    parents = Counter(
        parent
        for network in networks.values()
        if (parent := network.metadata.get("parent")) in names
    )
    if parents:
        return parents.most_common(1)[0][0]
    closeness = dict.fromkeys(names, 0.0)
    for one, other in itertools.combinations(names, 2):
        with contextlib.suppress(BlendError):
            check_blendable(networks[one], networks[other])
            alike = float(np.median(correlation(networks[one], networks[other])))
            closeness[one] += alike
            closeness[other] += alike
    return max(names, key=lambda n: (round(closeness[n], 6), -len(runs[n].files), -len(n)))


def starter_text(family: Sequence[Run], base: Network, output: Path) -> str:
    """The YAML of a starter timeline: the base, then each relative in its own part of the clip."""
    base_run, *others = family
    folder, shown = output.parent, shlex.quote(str(output))
    middle = max(8, base.img_resolution // 8)
    seconds = 6 * max(1, len(others))
    lines = [
        "# A first timeline. Look at it, change it, look again:",
        f"#   animix check {shown}",
        f"#   animix still {shown} --at 50%",
        f"#   animix render {shown} --draft",
        "",
        "networks:  # the first is the base; a run of snapshots is one network",
        *(f"  {run.name}: {_paths(run, folder)}" for run in family),
        "",
        f"duration: {seconds}s",
        "# size: 1080x1920  # the picture's own size unless you say otherwise",
        "",
        f"# Find faces that you like with: animix seeds {shown} 1..60",
        "latents: [3, 17, 42]",
        "truncation: 0.7  # lower is calmer, 1 is everything the network knows",
    ]
    if base.c_dim:
        lines += [f"label: 0  # a class from 0 to {base.c_dim - 1}; it may be keyframed"]
    lines += ["", "blend:  # from the bottom up"]
    if others or len(base_run.files) == 1:
        lines += [f"  - {base_run.name}"]
    else:
        lines += [
            f"  - {base_run.name}:",
            "      # How far its training had come: 1, first … last, or anything in between.",
            f"      snapshot: {_ramp({0: 'first', 50: 'last', 100: 'first'})}",
        ]
    for number, run in enumerate(others):
        start, stop = 100 * number // len(others), 100 * (number + 1) // len(others)
        half = (start + stop) // 2
        swap = {0: "none", start: "none", half: middle, stop: "none", 100: "none"}
        lines += [
            f"  - {run.name}:",
            "      # The resolution from which this network takes over: none is nothing of it,",
            f"      # all is the whole of it, {middle} its textures on the shapes from below.",
            f"      swap: {_ramp(swap)}",
        ]
        if len(run.files) > 1:
            lines += [
                "      # How far its training had come: 1, first … last, or anything in between.",
                f"      snapshot: {_ramp({start: 'first', half: 'last', stop: 'first'})}",
            ]
    return "\n".join(lines) + "\n"


def _ramp(keys: Mapping[int, object]) -> str:
    return "{" + ", ".join(f"{percent}%: {value}" for percent, value in keys.items()) + "}"


def _paths(run: Run, folder: Path) -> str:
    """A run as a timeline names it: a file, a glob if that finds just these, or a list."""
    files = [path_from(folder, file) for file in run.files]
    if len(files) == 1:
        return _quoted(files[0])
    glob = re.sub(r"\d+(?=\D*$)", "*", Path(files[0]).stem) + Path(files[0]).suffix
    pattern = str(Path(files[0]).parent / glob)
    found = [file.resolve() for file in find_run(pattern, folder)]
    if found == [file.resolve() for file in run.files]:
        return _quoted(pattern)
    return "[" + ", ".join(map(_quoted, files)) + "]"


def _quoted(path: str) -> str:
    """A path that a timeline reads as it is, whatever stands in it.

    >>> _quoted("$runs/a.pkl")
    '"$$runs/a.pkl"'
    """
    return json.dumps(escaped(path), ensure_ascii=False)


def _free_name(stem: str, taken: Collection[str]) -> str:
    """A name that the language allows and that no other run has."""
    name = re.sub(r"\W+|_+", "_", stem, flags=re.ASCII).strip("_")
    name = re.sub(r"_?\d+$", "", name) or name
    if not re.match(r"[A-Za-z]", name) or name in RESERVED:
        name = f"net_{name}"
    numbered = name
    for number in itertools.count(2):
        if numbered not in taken:
            break
        numbered = f"{name}_{number}"
    return numbered
