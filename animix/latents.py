"""Seeds and projected files → keys on a path through latent space → what each frame is made of."""

from __future__ import annotations

import hashlib
import warnings
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

# Named here, it is loaded here: numpy does so at its first use, in the first frame, and a Ctrl-C
# that comes meanwhile is lost in its C code.
from numpy.random import RandomState
from numpy.typing import NDArray

from animix.checkpoints.npy_file import read_npy, read_npz_member
from animix.checkpoints.pickle_data import Record
from animix.checkpoints.zip_file import open_zip
from animix.errors import LatentError
from animix.timeline.arrays import Floats, Integers

if TYPE_CHECKING:
    from torch import Tensor

    from animix.networks.facts import NetworkFacts
    from animix.networks.network import Network


MAX_BYTES = 64 << 20
"""The largest latent of a published network, [18, 512], takes 36 KiB."""


STANDSTILL = 1e-4
"""Of the mean step of an even walk: what one takes at the least that changes nothing."""


def z_of_seed(seed: int, z_dim: int) -> Floats:
    """The z that everybody's scripts give a seed: [1, z_dim].

    >>> z_of_seed(42, 3).round(4)
    array([[ 0.4967, -0.1383,  0.6477]])
    """
    # The published generator scripts draw from RandomState, so favourites keep their face here.
    return RandomState(seed).randn(1, z_dim)


def one_hot(label: int, c_dim: int) -> NDArray[np.float32]:
    """The label of a class as networks take it, a 1 at its place: [1, c_dim].

    >>> one_hot(1, 3)
    array([[0., 1., 0.]], dtype=float32)
    """
    # Not a row of np.eye, whose square of c_dim takes a terabyte where a file claims 500 000.
    found = np.zeros((1, c_dim), np.float32)
    found[0, label] = 1
    return found


def ws_of_seed(network: Network, seed: int, truncation_psi: float = 1) -> Tensor:
    """The ws [1, num_ws, w_dim] of a seed; a conditional network is given its first class."""
    label = one_hot(0, network.c_dim) if network.c_dim else None
    return network.mapping(z_of_seed(seed, network.z_dim), label, truncation_psi=truncation_psi)


@dataclass(frozen=True)
class KeyPath:
    """A path as up to four keys for every frame and their weights, which sum to 1."""

    keys: Integers
    """[N, 4] indices of keys; one that repeats is one key."""
    weights: Floats
    """[N, 4]"""

    def at(self, frame: int) -> tuple[tuple[int, float], ...]:
        """The keys of a frame that have a weight, each once, in order of their number.

        A path that stands still has one entry for all frames.
        """
        frame %= len(self.keys)
        total: dict[int, float] = {}
        for key, weight in zip(
            self.keys[frame].tolist(), self.weights[frame].tolist(), strict=True
        ):
            total[key] = total.get(key, 0.0) + weight
        return tuple((key, weight) for key, weight in sorted(total.items()) if weight != 0)


def spline(
    key_times: Floats,
    segments: Integers,
    progress: Floats,
    rests: NDArray[np.bool_],
    *,
    period: float | None,
) -> KeyPath:
    """Catmull–Rom weights of the four keys around each frame: a key moves only the spans near it.

    ``segments`` [N] is the number of the key that a frame has passed last, ``progress`` [N] how
    far it is to the next, 0..1. ``rests`` [keys] marks keys where the path stands still. With a
    ``period`` the path is closed and leads from the last key through the seam to the first;
    without, it rests at its ends (Catmull and Rom 1974, for keys at unequal times).

    >>> path = spline(np.arange(4.0), np.array([1]), np.array([0.5]), np.zeros(4, bool), period=4)
    >>> path.at(0)
    ((0, -0.0625), (1, 0.5625), (2, 0.5625), (3, -0.0625))
    """
    num_keys = len(key_times)

    def key(number: Integers) -> Integers:
        return number % num_keys if period is not None else np.clip(number, 0, num_keys - 1)

    def time(number: Integers) -> Floats:
        turns = 0.0 if period is None else (number // num_keys) * period
        return np.asarray(key_times[key(number)] + turns)

    def tangent(number: Integers) -> Floats:
        """1 / (time between the neighbours of a key), 0 where the path rests."""
        still = rests[key(number)]
        if period is None:
            still = still | (number <= 0) | (number >= num_keys - 1)
        return np.where(still, 0.0, 1 / np.where(still, 1.0, time(number + 1) - time(number - 1)))

    a, b = segments, segments + 1
    span = time(b) - time(a)
    p, p2, p3 = progress, progress**2, progress**3
    at_a = (p3 - 2 * p2 + p) * span * tangent(a)
    at_b = (p3 - p2) * span * tangent(b)
    weights = np.stack([-at_a, 2 * p3 - 3 * p2 + 1 - at_b, 3 * p2 - 2 * p3 + at_a, at_b], axis=1)
    return KeyPath(np.stack([key(a - 1), key(a), key(b), key(b + 1)], axis=1), weights)


def straight(before: Integers, after: Integers, progress: Floats) -> KeyPath:
    """Weights of the two keys around each frame, 1 − progress and progress."""
    nothing = np.zeros_like(progress)
    return KeyPath(
        np.stack([before, before, after, after], axis=1),
        np.stack([nothing, 1 - progress, progress, nothing], axis=1),
    )


def slerp(path: KeyPath, zs: Floats) -> KeyPath:
    """A straight path's weights turned into those of spherical steps between ``zs`` [keys, z_dim].

    A straight mean of two z has about 0.7 of their length, which the mapping network has never
    seen; on the sphere the length is kept (Shoemake 1985; White 2016).
    """
    unit = zs / np.linalg.norm(zs, axis=1, keepdims=True)
    left, right, p = path.keys[:, 1], path.keys[:, 2], path.weights[:, 2]
    angle = np.arccos(np.clip((unit[left] * unit[right]).sum(1), -1, 1))
    sine = np.sin(angle)
    apart = sine > 1e-6
    safe = np.where(apart, sine, 1.0)
    weights = path.weights.copy()
    weights[:, 1] = np.where(apart, np.sin((1 - p) * angle) / safe, 1 - p)
    weights[:, 2] = np.where(apart, np.sin(p * angle) / safe, p)
    return KeyPath(path.keys, weights)


def moments_at(lengths: Floats, shares: Floats) -> Floats:
    """Where on a walk shares of its length lie: [N], 0 … 1.

    ``lengths`` [M] is how long it is up to each of M moments, the first and last being its ends and
    all equally far apart. Between them it is monotone and smooth (Fritsch and Butland 1984).

    >>> moments_at(np.array([0.0, 3.0, 4.0]), np.array([0.0, 0.75, 1.0]))
    array([0. , 0.5, 1. ])
    """
    steps = np.diff(lengths)
    if not lengths[-1] > 0:
        return shares
    # A walk that stands still for a while is there in no time, but in some order.
    steps = np.maximum(steps, STANDSTILL * steps.mean())
    x = np.concatenate([[0.0], np.cumsum(steps)])
    x /= x[-1]
    spans, secants = np.diff(x), 1 / (len(steps) * np.diff(x))
    before, after, left, right = secants[:-1], secants[1:], spans[:-1], spans[1:]
    inner = 3 * (left + right) / ((left + 2 * right) / before + (2 * left + right) / after)
    slopes = np.concatenate([secants[:1], inner, secants[-1:]])
    at = np.clip(np.searchsorted(x, shares, side="right") - 1, 0, len(steps) - 1)
    u = np.clip((shares - x[at]) / spans[at], 0, 1)
    found: Floats = (
        (at + u * u * (3 - 2 * u)) / len(steps)
        + spans[at] * slopes[at] * (u * (1 - u) ** 2)
        - spans[at] * slopes[at + 1] * (u * u * (1 - u))
    )
    return found


def load_latent(path: str | Path, facts: NetworkFacts) -> NDArray[np.float32]:
    """The w of a projected file for a network: [num_ws, w_dim]; LatentError if it has none.

    The file is a .npz with ``w``, a .npy, or a .pt with a tensor, with a dictionary that has it
    as ``w`` or ``latent``, or with such dictionaries by picture. A single w is repeated for every
    layer; of several the first is taken.
    """
    path = Path(path)
    read = _READERS.get(path.suffix.lower())
    if read is None:
        raise LatentError(f"{path}: is no latent; expected a .npz, .npy or .pt file")
    try:
        if not path.is_file():
            raise LatentError("no such file")
        if path.stat().st_size > MAX_BYTES:
            raise LatentError(f"is larger than {MAX_BYTES >> 20} MiB: not a latent")
        with warnings.catch_warnings():
            # Python's and numpy's parsers of a .npy header warn of what they find odd in it.
            warnings.simplefilter("ignore")
            w = read(path)
    except LatentError as exc:
        raise LatentError(f"{path}: {exc}") from exc
    except Exception as exc:  # numpy and its header's parser raise whatever they meet
        raise LatentError(f"{path}: can't be read as a latent ({_first_line(exc)})") from exc
    shape = w.shape
    while w.ndim > 2 or (w.ndim == 2 and w.shape[0] == 1):
        if len(w) == 0:
            break
        w = w[0]
    if w.shape == (facts.w_dim,):
        w = np.broadcast_to(w, (facts.num_ws, facts.w_dim))
    if w.shape != (facts.num_ws, facts.w_dim):
        raise LatentError(
            f"{path}: holds {list(shape)}; this network needs a w of [{facts.w_dim}] or "
            f"[{facts.num_ws}, {facts.w_dim}]: it was projected with another network"
        )
    with np.errstate(over="ignore"):
        w = np.array(w, np.float32, order="C")
    if not np.isfinite(w).all():
        raise LatentError(f"{path}: holds values that are not finite numbers of float32's range")
    return w


@dataclass(frozen=True, eq=False)
class Direction:
    """A direction in W, or in W+ where w indices differ."""

    name: str
    """As a timeline writes it."""
    vectors: NDArray[np.float32]
    """[num_ws, w_dim]; the longest has length 1."""

    @cached_property
    def digest(self) -> str:
        """The SHA-256 of its numbers."""
        return hashlib.sha256(self.vectors.tobytes()).hexdigest()


def load_direction(path: str | Path, name: str, facts: NetworkFacts) -> Direction:
    """The direction in a file such as ``load_latent`` reads; LatentError if it has none."""
    vectors = load_latent(path, facts).astype(np.float64)
    longest = float(np.linalg.norm(vectors, axis=1).max())
    if longest == 0:
        raise LatentError(f"{path}: is 0 everywhere, and so leads nowhere")
    return Direction(name, (vectors / longest).astype(np.float32))


def _first_line(exc: BaseException) -> str:
    return (str(exc).strip() or type(exc).__name__).splitlines()[0][:200]


def _read_npz(path: Path) -> NDArray[Any]:
    with open_zip(path) as archive:
        try:
            return read_npz_member(archive, "w", MAX_BYTES)
        except KeyError as exc:
            raise LatentError(_NOTHING) from exc


def _read_npy(path: Path) -> NDArray[Any]:
    with path.open("rb") as file:
        return read_npy(file)


def _read_pt(path: Path) -> NDArray[Any]:
    # Only this format needs torch.
    from animix.checkpoints.torch_file import open_torch_file

    with open_torch_file(path) as file:
        found = file.content
        if isinstance(found, dict) and not {"w", "latent"} & found.keys():
            # What a projector writes for several pictures: by their names.
            found = next(iter(found.values()), None)
        if isinstance(found, dict):
            found = found.get("w", found.get("latent"))
        if not isinstance(found, Record):
            raise LatentError(_NOTHING)
        tensor = file.tensor(found)
    # numpy has no bfloat16.
    return (tensor.float() if tensor.is_floating_point() else tensor).numpy()


_NOTHING = "holds no array named `w`; expected one of [num_ws, w_dim] or [w_dim]"

_READERS = {".npz": _read_npz, ".npy": _read_npy, ".pt": _read_pt}
