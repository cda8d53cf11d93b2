"""A network: its tensors, what it is like, and its two halves, mapping and synthesis."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from animix.errors import NetworkError
from animix.networks import stylegan2, stylegan3
from animix.networks.extent import SQUARE, Extent
from animix.networks.facts import Layer, NetworkFacts
from animix.networks.mapping import map_latents, truncated
from animix.networks.precision import full_float32

Array = Tensor | npt.NDArray[np.generic]

NOISES = ("const", "none", "random")

SYNTHESES = {"stylegan2": stylegan2.synthesize, "stylegan3": stylegan3.synthesize}
"""How each kind of network paints."""


@dataclass(frozen=True, eq=False)
class Network:
    """A generator: pictures are ``network.synthesis(network.mapping(z))``.

    A network never changes; one with other weights is made by ``with_tensors``, which shares
    everything else.
    """

    facts: NetworkFacts
    tensors: Mapping[str, Tensor]
    """Full names as in the published checkpoints, ``synthesis.b8.conv0.weight``; float32."""
    metadata: dict[str, str] = field(default_factory=dict)
    """What the file says about itself: licence, parent, …"""

    def __repr__(self) -> str:
        return (
            f"Network({self.facts.kind}, {self.facts.architecture}, {self.img_resolution} px, "
            f"z_dim={self.z_dim}, w_dim={self.w_dim}, c_dim={self.c_dim}, num_ws={self.num_ws})"
        )

    @property
    def img_resolution(self) -> int:
        """Pixels a side of a picture."""
        return self.facts.img_resolution

    @property
    def num_ws(self) -> int:
        """How many w one picture takes."""
        return self.facts.num_ws

    @property
    def z_dim(self) -> int:
        """Numbers in a z."""
        return self.facts.z_dim

    @property
    def w_dim(self) -> int:
        """Numbers in a w."""
        return self.facts.w_dim

    @property
    def c_dim(self) -> int:
        """Numbers in a label; 0: the network takes none."""
        return self.facts.c_dim

    @property
    def layers(self) -> tuple[Layer, ...]:
        """Layers 0 … L−1 in order, each with its name and resolution."""
        return self.facts.layers

    @property
    def device(self) -> torch.device:
        """Where the tensors are, and so where results will be."""
        return self.tensors["mapping.w_avg"].device

    def to(self, device: torch.device | str) -> Network:
        """The network on a device."""
        moved = {name: tensor.to(device) for name, tensor in self.tensors.items()}
        return replace(self, tensors=moved)

    def with_tensors(self, tensors: Mapping[str, Tensor]) -> Network:
        """A network with some tensors replaced by others of the same shape."""
        for name, tensor in tensors.items():
            if name not in self.tensors:
                raise NetworkError(f"this network has no tensor {name}")
            if tensor.shape != self.tensors[name].shape:
                raise NetworkError(
                    f"{name} is {list(tensor.shape)}, expected {list(self.tensors[name].shape)}"
                )
        return replace(self, tensors={**self.tensors, **tensors})

    def mapping(
        self,
        z: Array,
        label: Array | None = None,
        truncation_psi: float = 1,
        truncation_cutoff: int | None = None,
    ) -> Tensor:
        """The ws [N, num_ws, w_dim] of z [N, z_dim] and, if conditional, label [N, c_dim].

        Truncation pulls the first ``truncation_cutoff`` ws (None: all) towards the average w:
        psi 1 leaves them alone, 0 is the average.
        """
        z = self._taken("z", z, (self.z_dim,))
        if self.c_dim and label is None:
            raise NetworkError(
                f"this network is conditional: give it a label [N, {self.c_dim}], for a class "
                "a 1 at its place and 0 elsewhere"
            )
        if label is not None:
            if not self.c_dim:
                raise NetworkError("this network takes no label, but one was given")
            label = self._taken("label", label, (self.c_dim,))
            if len(label) != len(z):
                raise NetworkError(f"{len(z)} z, but {len(label)} labels: expected one for each")
        if not np.isfinite(truncation_psi):
            raise NetworkError(f"truncation_psi is {truncation_psi}, expected a number")
        if truncation_cutoff is not None and not 0 <= truncation_cutoff <= self.num_ws:
            raise NetworkError(
                f"truncation_cutoff is {truncation_cutoff}, expected 0 to {self.num_ws}"
            )
        psi = torch.ones(self.num_ws, device=self.device)
        psi[:truncation_cutoff] = truncation_psi
        with full_float32():
            w = map_latents(self.tensors, z, label)
        return truncated(w[:, None].repeat(1, self.num_ws, 1), self.tensors["mapping.w_avg"], psi)

    def synthesis(
        self,
        ws: Array,
        noise: str = "const",
        seed: int = 0,
        stop_resolution: int | None = None,
        watch: Callable[[str, Tensor], None] | None = None,
        extent: Extent = SQUARE,
    ) -> Tensor:
        """The pictures of ws [N, num_ws, w_dim]: [N, 3, H, W], nominally in [-1, 1].

        ``noise``: ``const`` are the network's fixed noise images, ``random`` new ones, a function
        of ``seed`` and the sample's place in the batch, ``none`` is none; StyleGAN3 has no noise,
        so it makes no difference there. With ``stop_resolution`` a skip generator stops early, at
        a smaller picture. ``watch`` is called with each layer's name, as in ``layers``, and its
        output [N, C, h, w], to be read only.

        With an ``extent`` the picture goes on beyond its borders: H and W are
        ``extent.sides(img_resolution)``, and the middle is the square picture but for what its
        borders made of it.
        """
        ws = self._taken("ws", ws, (self.num_ws, self.w_dim))
        if noise not in NOISES:
            raise NetworkError(f"noise is {noise!r}, expected one of {', '.join(NOISES)}")
        if seed < 0:
            raise NetworkError(f"seed is {seed}, expected 0 or more")
        if stop_resolution is not None:
            self._check_stop(stop_resolution)
        images: dict[str, Tensor] = {}
        if noise == "const":
            images = stylegan2.const_noise(self.facts, self.tensors, extent)
        elif noise == "random":
            draws = [(seed, sample) for sample in range(len(ws))]
            images = stylegan2.random_noise(self.facts, self.tensors, draws, self.device, extent)
        with torch.no_grad(), full_float32():
            synthesize = SYNTHESES[self.facts.kind]
            return synthesize(self.facts, self.tensors, ws, images, stop_resolution, watch, extent)

    def _taken(self, name: str, values: Array, shape: tuple[int, ...]) -> Tensor:
        """An argument [N, *shape] as a float32 tensor on the network's device."""
        expected = f"expected [N, {', '.join(map(str, shape))}]"
        if not isinstance(values, Tensor):
            try:
                # A copy, for torch warns of arrays that are read-only.
                with np.errstate(over="ignore"):
                    values = torch.from_numpy(np.array(values, dtype=np.float32))
            except (TypeError, ValueError) as exc:
                raise NetworkError(f"{name} is no array of numbers, {expected}") from exc
        tensor = values.to(self.device, torch.float32)
        if tensor.ndim != len(shape) + 1 or tuple(tensor.shape[1:]) != shape or not len(tensor):
            raise NetworkError(f"{name} is {list(tensor.shape)}, {expected}")
        if not bool(torch.isfinite(tensor).all()):
            raise NetworkError(f"{name} holds numbers that are infinite or not a number")
        return tensor

    def _check_stop(self, resolution: int) -> None:
        if self.facts.architecture != "skip":
            raise NetworkError(
                "stop_resolution needs a StyleGAN2 skip generator, this one is "
                f"{self.facts.kind} {self.facts.architecture}"
            )
        if resolution not in self.facts.resolutions:
            choices = ", ".join(map(str, sorted(set(self.facts.resolutions))))
            raise NetworkError(f"stop_resolution is {resolution}, expected one of {choices}")
