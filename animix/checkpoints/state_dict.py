"""Reads state dicts that torch.save wrote, of networks with the published (NVIDIA's) names.

A flat one, or one under ``G_ema``; ``latent_avg`` beside it serves where ``mapping.w_avg`` is
missing. Also tells what other files of torch.save hold.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from animix.checkpoints.bounds import MAX_ENTRIES, MAX_NAME, Room
from animix.checkpoints.numpy_data import NUMPY
from animix.checkpoints.pickle_data import Record
from animix.checkpoints.torch_file import PARAMETER, TENSOR, TorchFile, open_torch_file
from animix.checkpoints.w_avg import W_AVG, network_with_w_avg
from animix.errors import NetworkError
from animix.networks.network import Network

BESIDE = ("argparse.Namespace", "pathlib.Path", "pathlib.PosixPath", "torch.device", "torch.Size")
"""Names of what is saved beside weights: options of a training."""

ALLOWED = (*BESIDE, *NUMPY)

PLACES = ("G_ema", "g_ema", "state_dict", "G", "g")
"""Under which key of a file a generator's tensors stand, the best one first."""


def read_state_dict(path: Path) -> Network:
    """Read ``mapping.…`` and ``synthesis.…``; what shapes do not tell is as published."""
    with open_torch_file(path, ALLOWED) as file:
        place, found = find_records(file.content, ("synthesis.b4.const", "synthesis.input.freqs"))
        names = [name for name in found if name.startswith(("mapping.", "synthesis."))]
        tensors = float32_tensors(file, {name: found[name] for name in names}, Room.of(path))
        if W_AVG not in tensors and (average := read_latent_avg(file)) is not None:
            tensors[W_AVG] = average
    settings = {}
    if place in ("G", "g"):
        settings["network"] = f"{place}, the file has no average of it ({place}_ema)"
    return network_with_w_avg(tensors, settings)


def find_records(content: object, known: tuple[str, ...]) -> tuple[str, dict[str, Any]]:
    """The records of a generator's tensors by name, and under which key of the file they stand.

    The generator is where a name ends with one of those ``known``. What wrappers put before each
    name (``module.``, ``decoder.``) is taken off. NetworkError says what the file holds instead.
    """
    if not isinstance(content, dict):
        raise NetworkError(_described(content))
    for place in (*PLACES, ""):
        entries = content.get(place) if place else content
        if not isinstance(entries, dict):
            continue
        names = [name for name in entries if isinstance(name, str) and len(name) <= MAX_NAME]
        for end in known:
            if prefixes := [name[: -len(end)] for name in names if name.endswith(end)]:
                if len(prefixes) > 1:
                    raise NetworkError(f"it holds {len(prefixes)} tensors {end}, expected one")
                cut = len(prefixes[0])
                found = {n[cut:]: entries[n] for n in names if n.startswith(prefixes[0])}
                return place, found
    raise NetworkError(_described(content))


def float32_tensors(file: TorchFile, records: Mapping[str, Any], room: Room) -> dict[str, Tensor]:
    """The tensors of records, float32, if they take no more than there is room for."""
    if len(records) > MAX_ENTRIES:
        raise NetworkError(f"the file's network has more than {MAX_ENTRIES} tensors")
    tensors = {}
    for name, record in records.items():
        try:
            stored = file.tensor(record)
        except NetworkError as exc:
            raise NetworkError(f"the tensor {name}: {exc}") from exc
        if not stored.is_floating_point():
            raise NetworkError(f"{name} holds {stored.dtype} numbers, expected floating point")
        room.take(4 * stored.numel())
        tensors[name] = stored.to(torch.float32).contiguous()
    return tensors


def read_latent_avg(file: TorchFile) -> Tensor | None:
    """The average w [w_dim] under ``latent_avg``, stored once or once for each layer."""
    record = file.content.get("latent_avg") if isinstance(file.content, dict) else None
    if record is None:
        return None
    try:
        rows = file.tensor(record)
        if not rows.is_floating_point() or rows.ndim not in (1, 2) or not rows.numel():
            raise NetworkError("it is no list of numbers")
    except NetworkError as exc:
        raise NetworkError(f"latent_avg: {exc}") from exc
    rows = rows.to(torch.float32).reshape(-1, rows.shape[-1])
    if not torch.allclose(rows, rows[:1].expand_as(rows)):
        raise NetworkError("latent_avg differs from layer to layer, expected one w for all")
    return rows[0].clone()


def _described(content: object) -> str:
    """What a file holds that is no generator; never by repr, which need not end."""
    if isinstance(content, Record) and content.name in (TENSOR, PARAMETER):
        return "it holds one tensor and no network; a file of latents goes into latents:"
    if not isinstance(content, dict):
        return f"the PyTorch file holds no state dict, but a {type(content).__name__}"
    keys = [key[:40] for key in content if isinstance(key, str)]
    if {"w", "latent", "latents"} & set(keys[:8]):
        return "it holds latents and no network; a file of latents goes into latents:"
    if len(keys) < len(content) or not keys:
        return "the PyTorch file holds a dictionary without names, expected a state dict"
    return (
        f"the PyTorch file holds no generator that animix knows, but {', '.join(keys[:6])}"
        f"{' …' if len(keys) > 6 else ''}"
    )
