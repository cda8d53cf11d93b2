"""The inspection of a checkpoint: what it is, what it is made of and where it came from."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from animix.checkpoints.load import format_of, load_network
from animix.networks.facts import Layer, NetworkFacts
from animix.networks.network import Network
from animix.networks.shapes import mapping_depth
from animix.tables import WIDTH, count, count_text, short_path, shown, size_text, table

TOLD = frozenset(
    (
        *("architecture", "img_resolution", "img_channels", "z_dim", "c_dim", "w_dim"),
        *("mapping_layers", "mapping_num_layers", "num_layers", "conv_clamp", "source_format"),
    )
)
"""Metadata that repeat what the tensors themselves tell, or that stands at another place."""

ORIGIN = (
    *("domain", "parent", "blend", "mix", "data_source", "training_set", "licence", "license"),
    *("images_seen_finetune", "images_seen_total", "converted_from", "w_avg"),
)
"""Metadata that most want to know, in the order in which they are told."""

BAR = 20
"""Letters of the longest bar."""


@dataclass(frozen=True)
class ResolutionParts:
    """All layers of one resolution; for StyleGAN3 of one sampling rate."""

    resolution: int
    layers: tuple[str, ...]
    channels: tuple[int, ...]
    """What each layer puts out."""
    num_parameters: int


@dataclass(frozen=True)
class Inspection:
    """What ``animix inspect`` tells of a checkpoint."""

    file: str
    format: str
    size_bytes: int
    architecture: str
    """As people call it: StyleGAN2 skip, StyleGAN3-T."""
    img_resolution: int
    z_dim: int
    w_dim: int
    c_dim: int
    num_ws: int
    num_layers: int
    mapping_depth: int
    num_parameters: int
    num_mapping_parameters: int
    num_noise_layers: int
    """Layers that add noise images."""
    conv_clamp: float | None
    parts: tuple[ResolutionParts, ...]
    metadata: dict[str, str]

    def as_dict(self) -> dict[str, Any]:
        """Everything, for machines."""
        return asdict(self)

    def lines(self) -> list[str]:
        """Everything, for people."""
        rows = [
            ("mapping", f"{count(self.mapping_depth, 'layer')}, {self._labels()}"),
            ("synthesis", f"{count(self.num_layers, 'layer')}, {self.num_ws} ws"),
            ("noise", self._noise()),
            (
                "clamp",
                "none" if self.conv_clamp is None else f"activations to ±{self.conv_clamp:g}",
            ),
            (
                "parameters",
                f"{count_text(self.num_parameters)}, of them "
                f"{count_text(self.num_mapping_parameters)} in the mapping",
            ),
        ]
        title = f"{self.architecture}, {self.img_resolution} px, {self.format}"
        size = size_text(self.size_bytes)
        return [
            f"{short_path(self.file, WIDTH - len(title) - len(size) - 4)}: {title}, {size}",
            *(f"  {name:10}  {text}" for name, text in rows),
            "",
            *(f"  {line}" for line in self._table()),
            *self._origin(),
        ]

    def _labels(self) -> str:
        label = f" and a label of {self.c_dim}" if self.c_dim else ""
        return f"z of {self.z_dim}{label} to w of {self.w_dim}"

    def _noise(self) -> str:
        if not self.num_noise_layers:
            return "none"
        if self.num_noise_layers == 1:
            return "a fixed image in 1 layer"
        return f"a fixed image in each of {self.num_noise_layers} layers"

    def _table(self) -> list[str]:
        most = max(part.num_parameters for part in self.parts)
        rows = [
            [
                str(part.resolution),
                ", ".join(_short(layer) for layer in part.layers),
                _range(part.channels),
                count_text(part.num_parameters),
            ]
            for part in self.parts
        ]
        unit = "px" if self.architecture.startswith("StyleGAN2") else "rate"
        lines = table([unit, "layers", "channels", "parameters"], rows, "><>>")
        bars = ["", *("▪" * round(BAR * part.num_parameters / most) for part in self.parts)]
        return [f"{line}  {bar}".rstrip() for line, bar in zip(lines, bars, strict=True)]

    def _origin(self) -> list[str]:
        order = [name for name in ORIGIN if name in self.metadata]
        order += sorted(self.metadata.keys() - {*ORIGIN, *TOLD})
        if not order:
            return ["", "  The file says nothing of where it came from."]
        names = {name: shown(name, 30) for name in order}
        wide = max(map(len, names.values()))
        room = WIDTH - wide - 4
        return [
            "",
            *(f"  {names[name]:{wide}}  {shown(self.metadata[name], room)}" for name in order),
        ]


def inspect_checkpoint(path: str | Path) -> Inspection:
    """Open a checkpoint and tell all that is known of it; NetworkError where it can't be read."""
    path = Path(path)
    network = load_network(path)
    return inspection_of(network, str(path), format_of(path).name, path.stat().st_size)


def inspection_of(network: Network, file: str, format_name: str, size_bytes: int) -> Inspection:
    """All that is known of a network which came from a file."""
    names = network.tensors
    mapping = [name for name in names if name.startswith("mapping.") and name != "mapping.w_avg"]
    return Inspection(
        file=file,
        format=format_name,
        size_bytes=size_bytes,
        architecture=architecture_title(network.facts),
        img_resolution=network.img_resolution,
        z_dim=network.z_dim,
        w_dim=network.w_dim,
        c_dim=network.c_dim,
        num_ws=network.num_ws,
        num_layers=len(network.layers),
        mapping_depth=mapping_depth(names),
        num_parameters=network.facts.num_parameters,
        num_mapping_parameters=sum(names[name].numel() for name in mapping),
        num_noise_layers=sum(name.endswith(".noise_const") for name in names),
        conv_clamp=network.facts.conv_clamp,
        parts=tuple(_parts(network)),
        metadata=dict(network.metadata),
    )


def architecture_title(facts: NetworkFacts) -> str:
    """The architecture as people call it.

    >>> architecture_title(NetworkFacts("stylegan2", "skip", 128, 64, 0, 64, 12, (), 0))
    'StyleGAN2 skip'
    >>> architecture_title(NetworkFacts("stylegan3", "config-t", 128, 64, 0, 64, 16, (), 0))
    'StyleGAN3-T'
    """
    name = facts.kind.replace("stylegan", "StyleGAN")
    kind, config, letter = facts.architecture.partition("config-")
    return f"{name}-{letter.upper()}" if config else f"{name} {kind}"


def _parts(network: Network) -> list[ResolutionParts]:
    parts = []
    for resolution in dict.fromkeys(network.facts.resolutions):
        layers = [layer for layer in network.layers if layer.resolution == resolution]
        parts.append(
            ResolutionParts(
                resolution=resolution,
                layers=tuple(layer.name for layer in layers),
                channels=tuple(_channels(network, layer) for layer in layers),
                num_parameters=sum(
                    network.tensors[name].numel() for layer in layers for name in layer.tensors
                ),
            )
        )
    return parts


def _channels(network: Network, layer: Layer) -> int:
    """How many feature maps a layer puts out."""
    name = f"synthesis.{layer.name}"
    tensor = network.tensors.get(name)
    return (network.tensors[f"{name}.weight"] if tensor is None else tensor).shape[0]


def _short(layer: str) -> str:
    """A layer's name without what its resolution says.

    >>> _short("b64.conv1"), _short("L3_52_512")
    ('conv1', 'L3')
    """
    return layer.rpartition(".")[2].partition("_")[0]


def _range(channels: tuple[int, ...]) -> str:
    """Numbers of channels: one where all layers have the same.

    >>> _range((64, 64)), _range((81, 51, 32))
    ('64', '81 … 32')
    """
    first, last = channels[0], channels[-1]
    return str(first) if len(set(channels)) == 1 else f"{first} … {last}"
