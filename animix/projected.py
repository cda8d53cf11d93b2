"""A projected photo: the w that paints it again, where it was cut out, and how w was found."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from animix.checkpoints.npy_file import TEXT, read_npz_member
from animix.checkpoints.zip_file import open_zip
from animix.errors import AnimixError, LatentError, OptionError
from animix.photos.crop import Crop
from animix.whole_file import whole_file

MAX_BYTES = 64 << 20
"""Of an array in a file; the largest published w takes 36 KiB."""

LONGEST_NAME = 255
"""Bytes of a file's name that file systems take."""

SUFFIX = ".npz"


@dataclass(frozen=True, eq=False)
class Projected:
    """A w [num_ws, w_dim] and where it comes from; in a timeline its file stands for a seed."""

    w: NDArray[np.float32]
    """[num_ws, w_dim], without truncation."""
    photo: str
    """The photo's file name, without folders."""
    photo_digest: str
    """The SHA-256 of the photo's file."""
    photo_size: tuple[int, int]
    """Width and height in pixels, upright."""
    crop: Crop | None = None
    """What of the upright photo w paints."""
    network: str = ""
    """The network's file name, without folders."""
    network_digest: str = ""
    """The SHA-256 of the network's file."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """How w was found, and how near it came; what JSON can hold."""
    losses: NDArray[np.float32] = field(default_factory=lambda: np.zeros(0, np.float32))
    """[steps]: the loss after each step."""

    def __post_init__(self) -> None:
        if self.w.ndim != 2 or not self.w.size or not np.isfinite(self.w).all():
            raise LatentError(f"w is {list(self.w.shape)}, expected finite [num_ws, w_dim]")
        if min(self.photo_size) < 1:
            raise LatentError(f"the photo's size is {self.photo_size}, expected pixels")
        for name in (self.photo, self.network):
            if not _is_file_name(name):
                raise LatentError(f"{name[:80]!r} is no file name")


def _is_file_name(name: str) -> bool:
    """Whether a name leads beside the file that holds it, and nowhere else."""
    fits = len(name.encode(errors="replace")) <= LONGEST_NAME
    return fits and Path(name).name == name and name != ".." and "\0" not in name


def write_projected(projected: Projected, path: str | Path) -> None:
    """Write a projected photo as a .npz, whole or not at all; the same gives the same bytes.

    Its arrays are ``w``, ``losses``, ``crop`` (if there is one) and ``about``, a text in JSON;
    numpy reads them without pickle.
    """
    path = Path(path)
    if path.suffix.lower() != SUFFIX:
        raise OptionError(f"{path}: a projected photo's name ends in {SUFFIX}")
    about = {
        "photo": projected.photo,
        "photo_digest": projected.photo_digest,
        "photo_size": list(projected.photo_size),
        "network": projected.network,
        "network_digest": projected.network_digest,
        "settings": dict(projected.settings),
    }
    arrays: dict[str, Any] = {
        "w": projected.w.astype(np.float32),
        "losses": projected.losses.astype(np.float32),
        "about": np.array(json.dumps(about, ensure_ascii=False)),
    }
    if projected.crop is not None:
        arrays["crop"] = projected.crop.matrix.astype(np.float64)
    with whole_file(path) as part, part.open("wb") as file:
        np.savez(file, **arrays)


def read_projected(path: str | Path) -> Projected:
    """Read a projected photo that ``write_projected`` wrote; LatentError for any other file."""
    path = Path(path)
    try:
        if not path.is_file():
            raise LatentError("no such file")
        with open_zip(path) as archive:
            names = set(archive.namelist())
            if not {"w.npy", "about.npy"} <= names:
                raise LatentError("is no projected photo (it has no arrays w and about)")
            w = read_npz_member(archive, "w", MAX_BYTES)
            losses = read_npz_member(archive, "losses", MAX_BYTES)
            about = json.loads(str(read_npz_member(archive, "about", MAX_BYTES, TEXT)))
            crop = read_npz_member(archive, "crop", MAX_BYTES) if "crop.npy" in names else None
        width, height = about["photo_size"]
        with np.errstate(over="ignore"):  # what is infinite then is refused
            w = np.ascontiguousarray(w, np.float32)
        return Projected(
            w=w,
            photo=str(about["photo"]),
            photo_digest=str(about["photo_digest"]),
            photo_size=(int(width), int(height)),
            crop=None if crop is None else Crop(np.ascontiguousarray(crop, np.float64)),
            network=str(about["network"]),
            network_digest=str(about["network_digest"]),
            settings=dict(about["settings"]),
            losses=np.ascontiguousarray(losses, np.float32).reshape(-1),
        )
    except AnimixError as exc:
        raise LatentError(f"{path}: {exc}") from exc
    except OSError as exc:
        raise LatentError(f"{path}: can't be read ({exc.strerror or exc})") from exc
    except Exception as exc:  # numpy and JSON raise whatever they meet in a damaged file
        told = (str(exc) or type(exc).__name__).splitlines()[0][:200]
        raise LatentError(f"{path}: can't be read as a projected photo ({told})") from exc
