"""The modules of a network in one of NVIDIA's pickles, as data: names, states, stored tensors.

Such a file holds, for each module of a network, one call of ``torch_utils.persistence`` with the
module's Python source, its class name and its state; the state holds its parameters, buffers and
submodules. The source is left in the file.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO

from animix.checkpoints.bounds import MAX_ENTRIES, MAX_NAME
from animix.checkpoints.numpy_data import NUMPY
from animix.checkpoints.pickle_data import TORCH_MAGIC, Record, UnknownName, read_pickle
from animix.checkpoints.torch_file import PARAMETERS, TENSOR, without_parameter
from animix.errors import NetworkError

MODULE = "torch_utils.persistence._reconstruct_persistent_obj"
STORAGE = "torch.storage._load_from_bytes"
ALLOWED = (MODULE, *PARAMETERS, TENSOR, STORAGE, *NUMPY, "torch.Size", "torch.device")

KINDS = ("_modules", "_parameters", "_buffers")
"""What a module holds."""

MAX_BYTES = 64
"""Bytes that are read where they stand: NumPy's numbers take 16, the smallest storage some 300."""

RENDERED = "animix renders StyleGAN2 and StyleGAN3 networks"

STRANGE_NAMES = (
    ("dnnlib.tflib.", "it is a TensorFlow-era StyleGAN pickle, expected one of PyTorch"),
    ("torch.nn.modules.sparse.Embedding", f"it is a StyleGAN-XL network of classes; {RENDERED}"),
    ("pg_modules.", f"it is a StyleGAN-XL or Projected GAN snapshot; {RENDERED}"),
    ("training.volumetric_rendering.", f"it is an EG3D network, which paints in 3D; {RENDERED}"),
)
"""What it means that a pickle names a class whose name begins so."""

STRANGE_CLASSES = {
    "SuperresGenerator": "StyleGAN-XL",
    "TriPlaneGenerator": "EG3D",
    "GeneratorDMTETMesh": "GET3D",
    "Discriminator": "a discriminator",
}
"""What a network of a class is that is no generator of ours."""

STRANGE_PARTS = {
    "mapping.embed_proj": "StyleGAN-XL",
    "backbone.synthesis": "EG3D",
    "synthesis.fg_nerf": "StyleNeRF",
}
"""What a network is that has such a module."""


@dataclass(frozen=True)
class Module:
    """One module: its class, and its attributes with parameters, buffers and submodules."""

    class_name: str
    state: Mapping[str, Any]


@dataclass(frozen=True)
class Snapshot:
    """One network of a pickle, and what stands beside it."""

    name: str
    """``G_ema`` or ``G``; empty if the file holds nothing else."""
    modules: Mapping[str, Module]
    """By path (``synthesis.b4``; the network's own is empty)."""
    beside: Mapping[str, object]

    def stored(self) -> Iterator[tuple[str, object]]:
        """The full name of each parameter and buffer, and the record of its tensor."""
        for path, module in self.modules.items():
            for name, value in _entries(path, module.state, "_parameters"):
                record = without_parameter(value)
                if record is not value:
                    yield name, record
                elif value is not None:
                    raise NetworkError(f"the pickle's parameter {name} is damaged")
            for name, value in _entries(path, module.state, "_buffers"):
                if value is not None:
                    yield name, value


def read_snapshot(file: BinaryIO) -> Snapshot:
    """The averaged generator of a pickle, or whichever it has; no tensor is read.

    NetworkError says what the pickle holds if that is no generator of StyleGAN2 or 3.
    """
    try:
        content = read_pickle(file, ALLOWED, max_bytes=MAX_BYTES)
    except UnknownName as exc:
        for start, meaning in STRANGE_NAMES:
            if exc.name.startswith(start):
                raise NetworkError(meaning) from exc
        raise
    if content == TORCH_MAGIC:
        raise NetworkError("it is a PyTorch .pt file, expected an NVIDIA pickle")
    name, network = "", content
    beside = content if isinstance(content, dict) else {}
    if isinstance(content, dict):
        name = "G" if content.get("G_ema") is None else "G_ema"
        network = content.get(name)
    if not isinstance(network, Record) or network.name != MODULE:
        raise NetworkError(f"the pickle holds no network G_ema, but {_described(content)}")
    snapshot = Snapshot(name, dict(_modules(network)), beside)
    _check_known(snapshot)
    return snapshot


def read_discriminator(file: BinaryIO) -> Snapshot | None:
    """The discriminator of a training snapshot; None where the file has none."""
    content = read_pickle(file, ALLOWED, max_bytes=MAX_BYTES)
    network = content.get("D") if isinstance(content, dict) else None
    if not isinstance(network, Record) or network.name != MODULE:
        return None
    return Snapshot("D", dict(_modules(network)), {})


def _check_known(snapshot: Snapshot) -> None:
    """Raise NetworkError for a network that tells by its classes and parts that it is another."""
    root = snapshot.modules[""]
    found = STRANGE_CLASSES.get(root.class_name)
    for part, meaning in STRANGE_PARTS.items():
        if part in snapshot.modules:
            found = meaning
    if found:
        raise NetworkError(f"it is {found} (its class is {root.class_name[:40]}); {RENDERED}")
    parts = [path for path in snapshot.modules if path and "." not in path]
    if parts and not {"mapping", "synthesis"} & set(parts):
        raise NetworkError(
            f"it is a {root.class_name[:40] or 'network'} with the parts "
            f"{', '.join(part[:40] for part in sorted(parts)[:8])}, "
            f"expected mapping and synthesis; {RENDERED}"
        )


def _described(content: object) -> str:
    """What a pickle holds; never by repr, which need not end for hostile data."""
    if isinstance(content, dict):
        keys = ", ".join(key[:40] for key in list(content)[:8] if isinstance(key, str))
        return f"a dictionary with the keys {keys}" if keys else "a dictionary without names"
    return f"a {content.name if isinstance(content, Record) else type(content).__name__}"


def _modules(root: Record) -> Iterator[tuple[str, Module]]:
    """Each module with its path."""
    waiting: list[tuple[str, object]] = [("", root)]
    seen: set[int] = set()
    left = MAX_ENTRIES
    while waiting:
        path, found = waiting.pop()
        if id(found) in seen:
            raise NetworkError(f"the module {path} occurs more than once in the pickle")
        seen.add(id(found))
        yield path, (module := _module(path, found))
        # Modules can share one long list of entries, so it is their sum that is bounded.
        held = [module.state.get(kind) for kind in KINDS]
        left -= sum(len(entries) for entries in held if isinstance(entries, dict))
        if left < 0:
            raise NetworkError(f"the pickle's network has more than {MAX_ENTRIES} parts")
        for name, child in _entries(path, module.state, "_modules"):
            if child is not None:
                waiting.append((name, child))


def _module(path: str, found: object) -> Module:
    if isinstance(found, Record) and found.name == MODULE and len(found.args) == 1:
        meta = found.args[0]
        if isinstance(meta, dict) and isinstance(state := meta.get("state"), dict):
            class_name = meta.get("class_name")
            return Module(class_name if isinstance(class_name, str) else "", state)
    raise NetworkError(f"the pickle's module {path or 'G_ema'} has no state")


def _entries(path: str, state: Mapping[str, Any], kind: str) -> list[tuple[str, Any]]:
    """One kind of what a module holds, under full names."""
    entries = state.get(kind, {})
    if not isinstance(entries, dict) or not all(isinstance(name, str) for name in entries):
        raise NetworkError(f"{kind} of the pickle's module {path or 'G_ema'} is damaged")
    if any(len(path) + len(name) >= MAX_NAME for name in entries):
        raise NetworkError(f"the pickle's module {path or 'G_ema'} has a name without end")
    return [(f"{path}.{name}".lstrip("."), entry) for name, entry in entries.items()]
