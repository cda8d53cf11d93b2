"""The cast: the networks that a timeline names, found and opened."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from animix.checkpoints.runs import find_run
from animix.errors import Mistake, NetworkError, TimelineError
from animix.networks.blend import check_blendable, mapping_differences, with_mapping
from animix.networks.network import Network
from animix.schedule import Column
from animix.timeline.timeline import Timeline


def find_networks(timeline: Timeline) -> dict[str, list[Path]]:
    """The files of each network that takes part, snapshots in order."""
    runs: dict[str, list[Path]] = {}
    mistakes = []
    for name in dict.fromkeys([*timeline.cast, timeline.mapping]):
        run = timeline.networks[name]
        runs[name] = []
        for pattern in run.patterns:
            files = find_run(pattern, timeline.path.parent)
            runs[name] += files
            if not files:
                folder = (timeline.path.parent / pattern).parent
                wild = (
                    " (wildcards stand in the name only)" if set("*?[") & set(str(folder)) else ""
                )
                mistakes.append(
                    Mistake(run.mark, f"{name}: no file {pattern}", f"looked in {folder}{wild}")
                )
    if mistakes:
        raise TimelineError(mistakes)
    return runs


def open_cast(
    timeline: Timeline,
    columns: Sequence[Column],
    runs: dict[str, list[Path]],
    load: Callable[[Path], Network],
) -> tuple[Network, list[str]]:
    """The base with the clip's mapping, and how other mappings differ; on the CPU.

    Every network is opened once and let go again, so that none is found unfit while rendering.
    """
    mistakes: list[Mistake] = []
    notes: dict[str, None] = {}
    kept: dict[Path, Network] = {}

    def opened(name: str, file: Path, like: Network | None = None) -> Network | None:
        try:
            network = kept[file] if file in kept else load(file)
            if like is not None:
                check_blendable(like, network, (timeline.blend[0].network, name))
            return network
        except NetworkError as error:
            mistakes.append(Mistake(timeline.networks[name].mark, str(error)))
            return None

    base_file, home_file = runs[columns[0].network][-1], runs[timeline.mapping][-1]
    if base := opened(columns[0].network, base_file):
        kept[base_file] = base
    if home := opened(timeline.mapping, home_file, base):
        kept[home_file] = home
    for column in columns:
        network = opened(column.network, runs[column.network][column.snapshot - 1], base)
        for difference in mapping_differences(home, network) if home and network else ():
            note = f"{timeline.mapping} and {column.network} differ in {difference}"
            notes[f"{note}; the first one's mapping is used"] = None
    if base is None or home is None or mistakes:
        raise TimelineError(dict.fromkeys(mistakes))
    return with_mapping(base, home), list(notes)
