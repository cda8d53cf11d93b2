"""Evaluates networks: how far what they paint is from pictures they never saw, and how they blend.

    python -m tools.demo_networks.evaluate base.safetensors --held-out colour-held-out.zip

measures networks one by one; build.py evaluates the whole family, with sheets.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import torch
from torch import Tensor

from animix.checkpoints.load import load_network
from animix.errors import AnimixError
from animix.mix import share
from animix.networks.blend import blend
from animix.networks.network import Network
from animix.whole_file import whole_file
from tools.demo_networks.family import Family
from tools.demo_networks.features import Extract, efficientnet
from tools.demo_networks.frechet import frechet_distance
from tools.demo_networks.pictures import read_pictures
from tools.demo_networks.ranks import chosen_device
from tools.demo_networks.sheet import painted, write_page

FACES = range(4)
"""The seeds that blends are shown with, a row each."""

PSI = 0.7
ALPHAS = tuple(k / 8 for k in range(9))

Tell = Callable[[str], None]


def distances(
    networks: Sequence[Path],
    pictures: Tensor,
    held_out: Tensor,
    extract: Extract,
    device: torch.device,
) -> dict[str, float]:
    """The Fréchet distance of networks at psi 1 from pictures held out, by file.

    ``floor`` is that of as many pictures that were trained on: no network can be expected to come
    nearer. All sets are as large as the smaller of the two given.
    """
    count = min(len(pictures), len(held_out))
    seen = extract(held_out[:count])
    found = {"floor": frechet_distance(extract(pictures[:count]), seen)}
    for path in networks:
        fakes = painted(load_network(path), range(count), 1, device)
        found[path.stem] = frechet_distance(extract(fakes), seen)
    return found


def swaps(base: Network, other: Network) -> Iterator[tuple[str, Tensor]]:
    """Sheets of a base and another network: name and pictures, a row for each of the faces.

    Both ways at every swap level, from nothing to all, and a ramp of alpha.
    """
    resolutions = base.facts.resolutions
    octaves = [*sorted({math.log2(r) for r in resolutions}), math.log2(2 * resolutions[-1])]
    for take in ("high", "low"):
        shares = [
            share(octave, width=1, alpha=1, take=take, resolutions=resolutions)
            for octave in octaves
        ]
        yield f"swap-{take}", _blends([base, other], [[1 - s, s] for s in shares])
    yield "alpha", _blends([base, other], [[1 - alpha, alpha] for alpha in ALPHAS])


def snapshot_ramp(base: Network, run: Sequence[Network]) -> Tensor:
    """Pictures of the base, the snapshots of a run and what lies half-way between them."""
    mixes = []
    for place in range(2 * len(run) + 1):
        row = [0.0] * (len(run) + 1)
        row[place // 2] += 0.5
        row[-(-place // 2)] += 0.5
        mixes.append(row)
    return _blends([base, *run], mixes)


def _blends(networks: Sequence[Network], mixes: Sequence[Sequence[object]]) -> Tensor:
    """The faces painted by each mix [K] or [K, L]: rows of faces, a column for each mix."""
    columns = []
    num_layers = len(networks[0].layers)
    for mix in mixes:
        parts = [torch.as_tensor(part, dtype=torch.float64).expand(num_layers) for part in mix]
        columns.append(painted(blend(networks, torch.stack(parts, dim=1)), FACES, PSI))
    return torch.stack(columns, dim=1).flatten(0, 1)


def evaluate(family: Family, extract: Extract, device: torch.device, tell: Tell = print) -> None:
    """Measure a family and write its sheets, into the folder ``evaluation``; what is there stays.

    ``distances.json`` comes last.
    """
    folder = family.folder / "evaluation"
    measured: dict[str, dict[str, float]] = {}
    base = load_network(family.networks(family.base)[-1]).to(device)
    for member in family.members:
        paths = family.networks(member)
        count = family.plan.held_out
        pictures = read_pictures(family.pictures(member), count)
        held_out = read_pictures(family.pictures(member, held_out=True), count)
        write_page(folder / f"{member.name}-real.png", held_out[:64])
        run = [load_network(path).to(device) for path in paths]
        for path, network in zip(paths, run, strict=True):
            for psi in (0.7, 1.0):
                write_page(folder / f"{path.stem}-psi-{psi}.png", painted(network, range(64), psi))
        if member != family.base:
            for name, sheet in swaps(base, run[-1]):
                write_page(folder / f"{member.name}-{name}.png", sheet, len(sheet) // len(FACES))
            ramp = snapshot_ramp(base, run)
            write_page(folder / f"{member.name}-snapshots.png", ramp, len(ramp) // len(FACES))
        measured[member.name] = distances(paths, pictures, held_out, extract, device)
        tell(_lines(member.name, measured[member.name]))
    with whole_file(folder / "distances.json") as part:
        part.write_text(json.dumps(measured, indent=2) + "\n")


def _lines(name: str, found: dict[str, float]) -> str:
    return "\n".join(f"{name}: {what} {value:.2f}" for what, value in found.items())


def main() -> None:
    parser = argparse.ArgumentParser(description="Measures networks against pictures.")
    parser.add_argument("networks", nargs="+", type=Path)
    parser.add_argument("--pictures", type=Path, help="those it was trained on, for the floor")
    parser.add_argument("--held-out", type=Path, required=True)
    parser.add_argument("--count", type=int, default=5_000)
    parser.add_argument("--device")
    options = parser.parse_args()
    device = chosen_device(options.device)
    try:
        extract = efficientnet(device)
        held_out = read_pictures(options.held_out, options.count)
        pictures = read_pictures(options.pictures or options.held_out, options.count)
        found = distances(options.networks, pictures, held_out, extract, device)
    except AnimixError as exc:
        parser.error(str(exc))
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
