"""What a network is like, without its tensors: sizes and layers. No torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from animix.networks.stylegan3_plan import Plan


def show_shape(shape: Sequence[int]) -> str:
    """Write a tensor's shape as people do.

    >>> show_shape([64, 128, 3, 3]), show_shape([])
    ('64×128×3×3', 'one number')
    """
    return "×".join(map(str, shape)) or "one number"


@dataclass(frozen=True)
class Layer:
    """One layer of a synthesis network, the unit that mixing works on."""

    name: str
    """As in the checkpoint: ``b4.const``, ``b8.conv0``, …; ``input``, ``L0_36_512``, …"""
    resolution: int
    """Pixels a side; for StyleGAN3 the sampling rate."""
    tensors: tuple[str, ...]
    """Full names of the tensors that go with this layer, ``synthesis.`` included."""


@dataclass(frozen=True)
class NetworkFacts:
    """The sizes of a network and its layers 0 … L−1 in order."""

    kind: str
    """``stylegan2`` or ``stylegan3``."""
    architecture: str
    """How pictures leave StyleGAN2's blocks: ``skip``, ``resnet`` or ``orig``; StyleGAN3's
    ``config-t`` (translation) or ``config-r`` (and rotation, by radial filters)."""
    img_resolution: int
    z_dim: int
    c_dim: int
    w_dim: int
    num_ws: int
    layers: tuple[Layer, ...]
    num_parameters: int
    conv_clamp: float | None = None
    """Activations are clamped to this magnitude (made for float16); None: not at all."""
    plan: Plan | None = None
    """The rates, sizes and filters of StyleGAN3's layers; None for other kinds."""

    @cached_property
    def resolutions(self) -> tuple[int, ...]:
        """The resolution of each layer, in order: [L]."""
        return tuple(layer.resolution for layer in self.layers)

    @property
    def ws_resolutions(self) -> tuple[int, ...]:
        """The resolution that each w index belongs to: [num_ws].

        Index i belongs to the convolution that it feeds, in StyleGAN3 to its layer; StyleGAN2's
        last index feeds only the last torgb and belongs to the last resolution.
        """
        convolutions = [
            layer.resolution for layer in self.layers if not layer.name.endswith("const")
        ]
        return (*convolutions, self.img_resolution)[: self.num_ws]
