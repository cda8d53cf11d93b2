"""The ws of frames: seeds through the mapping network, remembered; projected files as they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from animix.engine.transfer import upload
from animix.latents import Direction, one_hot, z_of_seed
from animix.networks.mapping import map_latents
from animix.networks.network import Network
from animix.networks.precision import full_float32
from animix.schedule import PathPoint, Row

Labels: TypeAlias = "tuple[tuple[int, float], ...]"
"""Classes and their weights."""

_REMEMBERED = 256
"""Seeds whose w is kept; a path visits a few of them over and over."""


class Ws:
    """The ws of rows, in any order; ``projected`` has the w [num_ws, w_dim] of each latent file."""

    def __init__(self, network: Network, projected: Mapping[str, NDArray[np.float32]]) -> None:
        self.network = network
        self._projected = {
            name: torch.from_numpy(w).to(network.device) for name, w in projected.items()
        }
        self._added: dict[str, Tensor] = {}
        self._of_seed: dict[tuple[int, int | None], Tensor] = {}
        self._directions: dict[str, Tensor] = {}

    def add(self, projected: Mapping[str, NDArray[np.float32]]) -> None:
        """Let rows name further latent files, until others are added."""
        self._added = {name: upload(w, self.network.device) for name, w in projected.items()}

    def of_rows(self, rows: Sequence[Row]) -> Tensor:
        """The ws of rows, seeds truncated and edits added: [N, num_ws, w_dim]."""
        psi = np.array([row.psi for row in rows], dtype=np.float32)[..., None]  # [N, num_ws, 1]
        labels = [row.labels for row in rows]
        parts = [
            self._of_points(points, labels, psi[:, _ruled_by(points[0])])
            for points in zip(*(row.points for row in rows), strict=True)
        ]
        ws = parts[0] if len(parts) == 1 else torch.cat(parts, dim=1)
        for edits in zip(*(row.edits for row in rows), strict=True):
            direction = edits[0][0]
            amounts = np.stack([amounts for _, amounts in edits])[..., None]
            ws = ws + self._tensor(amounts) * self._direction(direction)
        return ws

    def _of_points(
        self,
        points: Sequence[PathPoint],
        all_labels: Sequence[Labels],
        psi: NDArray[np.float32],
    ) -> Tensor:
        """The ws of points on one path, for the w indices that it rules: [N, indices, w_dim]."""
        count = len(points)
        if points[0].space == "z":
            return self._truncated(self._of_z(points, all_labels), np.ones(count), psi)
        seeds: dict[tuple[int, int | None], NDArray[np.float64]] = {}
        files: dict[str, NDArray[np.float64]] = {}
        for n, (point, labels) in enumerate(zip(points, all_labels, strict=True)):
            for source, weight in point.latents:
                if isinstance(source, str):
                    files.setdefault(source, np.zeros(count))[n] += weight
                    continue
                for label, share in labels or ((None, 1.0),):
                    seeds.setdefault((source, label), np.zeros(count))[n] += weight * share
        ws = torch.zeros(1, device=self.network.device)
        if seeds:
            weights = np.stack(list(seeds.values()), axis=1)  # [N, seeds]
            w = self._weighed(weights, [self._mapped(*seed) for seed in seeds])
            ws = self._truncated(w[:, None], weights.sum(axis=1), psi)
        if files:
            weights = np.stack(list(files.values()), axis=1)
            ruled = _ruled_by(points[0])
            ws = ws + self._weighed(weights, [self._of_file(name)[ruled] for name in files])
        return ws

    def _of_z(self, points: Sequence[PathPoint], all_labels: Sequence[Labels]) -> Tensor:
        """The w of latents that are weighed before the mapping network: [N, 1, w_dim]."""
        count = len(points)
        z = np.zeros((count, self.network.z_dim))
        for n, point in enumerate(points):
            for source, weight in point.latents:
                assert isinstance(source, int), "the schedule lets no projected file into z"
                z[n] += weight * z_of_seed(source, self.network.z_dim)[0]
        if not self.network.c_dim:
            return self.network.mapping(z)[:, :1]
        classes = sorted({label for labels in all_labels for label, _ in labels})
        shares = np.array(
            [[dict(labels).get(label, 0.0) for label in classes] for labels in all_labels]
        )
        mapped = torch.stack(
            [
                self.network.mapping(z, one_hot(label, self.network.c_dim).repeat(count, 0))[:, 0]
                for label in classes
            ]
        )
        return torch.einsum("nc,cnd->nd", self._tensor(shares), mapped)[:, None]

    def _of_file(self, name: str) -> Tensor:
        """The w of a latent file: [num_ws, w_dim]."""
        return self._added[name] if name in self._added else self._projected[name]

    def _direction(self, direction: Direction) -> Tensor:
        """The vectors of a direction where the network is: [num_ws, w_dim]."""
        if direction.digest not in self._directions:
            there = torch.from_numpy(direction.vectors).to(self.network.device)
            self._directions[direction.digest] = there
        return self._directions[direction.digest]

    def _mapped(self, seed: int, label: int | None) -> Tensor:
        """The w of a seed: [w_dim]."""
        if (seed, label) not in self._of_seed:
            if len(self._of_seed) >= _REMEMBERED:
                self._of_seed.clear()
            z = self._tensor(z_of_seed(seed, self.network.z_dim))
            at_class = None
            if label is not None:
                at_class = self._tensor(one_hot(label, self.network.c_dim))
            # As the network's own ``mapping``, which looks whether z is finite, and so waits for
            # all that the device has yet to paint.
            with full_float32():
                w = map_latents(self.network.tensors, z, at_class)
            self._of_seed[seed, label] = w[0]
        return self._of_seed[seed, label]

    def _weighed(self, weights: NDArray[np.float64], parts: Sequence[Tensor]) -> Tensor:
        """Sums [N, …] of parts by weights [N, parts]."""
        weighed: Tensor = torch.tensordot(self._tensor(weights), torch.stack(list(parts)), dims=1)
        return weighed

    def _truncated(self, w: Tensor, total: NDArray[np.float64], psi: NDArray[np.float32]) -> Tensor:
        """The ws of sums w [N, 1, w_dim] of mapped latents, whose weights' totals are [N].

        Σ weight · (w_avg + psi · (w − w_avg)), as ``truncated`` has it for one (Karras et al. 2019,
        appendix B).
        """
        w_avg = self.network.tensors["mapping.w_avg"]
        return w * self._tensor(psi) + w_avg * self._tensor(total[:, None, None] * (1 - psi))

    def _tensor(self, values: NDArray[np.floating]) -> Tensor:
        return upload(values.astype(np.float32), self.network.device)


def _ruled_by(point: PathPoint) -> slice:
    return slice(point.indices.start, point.indices.stop)
