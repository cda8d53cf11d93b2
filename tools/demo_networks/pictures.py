"""Pictures: a set of them as one file, a zip of numbered WebP pictures, and how one is made.

    python -m tools.demo_networks.pictures colour --count 20000 --out colour.zip
    python -m tools.demo_networks.pictures --images photographs --out photographs.zip

Even numbers are for training, odd ones are held out (--held-out) to measure what was learnt.
"""

from __future__ import annotations

import argparse
import functools
import io
import multiprocessing
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from animix.errors import OptionError
from animix.whole_file import whole_file
from tools.demo_networks.drawings import DOMAINS

LOSSLESS = 100


def numbers_of(count: int, held_out: bool) -> range:
    """The numbers of so many pictures of one half.

    >>> list(numbers_of(3, held_out=True))
    [1, 3, 5]
    """
    return range(int(held_out), 2 * count, 2)


def drawn(domain: str, size: int, quality: int, number: int) -> bytes:
    """A drawing as a WebP picture."""
    return encoded(DOMAINS[domain].draw(number, size), quality)


def taken(size: int, quality: int, path: Path) -> bytes:
    """Somebody's own picture, its middle square, as a WebP picture.

    OptionError names a file that holds no picture.
    """
    try:
        with Image.open(path) as opened:
            # Cameras turn pictures by a note beside them.
            upright = ImageOps.exif_transpose(opened).convert("RGB")
            square = ImageOps.fit(upright, (size, size), Image.Resampling.LANCZOS)
    except (OSError, UnidentifiedImageError, Image.DecompressionBombError) as exc:
        raise OptionError(f"{path}: it can't be read as a picture ({exc})") from exc
    return encoded(np.asarray(square), quality)


def encoded(picture: NDArray[np.uint8], quality: int) -> bytes:
    """A picture [H, W, 3] as WebP, lossless at 100."""
    target = io.BytesIO()
    image = Image.fromarray(picture)
    image.save(target, "WEBP", lossless=quality >= LOSSLESS, quality=min(quality, 99))
    return target.getvalue()


def files_in(folder: Path, held_out: bool) -> list[Path]:
    """One half of the pictures in a folder and the folders in it, in the order of their names."""
    if not folder.is_dir():
        raise OptionError(f"{folder} is no folder; expected one with pictures")
    known = set(Image.registered_extensions())
    found = sorted(path for path in folder.rglob("*") if path.suffix.lower() in known)
    half = found[int(held_out) :: 2]
    if not half:
        raise OptionError(f"{folder} holds {len(found)} pictures, expected at least two")
    return half


def write_pictures(path: Path, pictures: Iterable[bytes]) -> int:
    """Write WebP pictures as one file, which is whole or absent; how many."""
    count = 0
    with whole_file(path) as part, zipfile.ZipFile(part, "w") as archive:
        for count, picture in enumerate(pictures, start=1):
            # A fixed date: the same pictures give the same file.
            name = zipfile.ZipInfo(f"{count - 1:06}.webp", (1980, 1, 1, 0, 0, 0))
            archive.writestr(name, picture)
    return count


def read_pictures(path: Path, count: int | None = None) -> Tensor:
    """The pictures of a file, at most ``count``: uint8 [P, 3, H, W], on the CPU.

    OptionError for a file that is none of ours, or a folder's picture of another size.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            stored = [archive.read(name) for name in sorted(archive.namelist())[:count]]
        with ThreadPoolExecutor() as pool:
            arrays = list(pool.map(_decoded, stored))
    except (OSError, zipfile.BadZipFile, UnidentifiedImageError) as exc:
        raise OptionError(f"{path}: it can't be read as a file of pictures ({exc})") from exc
    if not arrays or len({array.shape for array in arrays}) > 1:
        raise OptionError(f"{path} holds no pictures, or pictures of several sizes")
    return torch.from_numpy(np.stack(arrays)).permute(0, 3, 1, 2).contiguous()


def _decoded(stored: bytes) -> NDArray[np.uint8]:
    return np.asarray(Image.open(io.BytesIO(stored)).convert("RGB"))


def make_pictures(
    out: Path,
    *,
    size: int,
    domain: str | None = None,
    images: Path | None = None,
    count: int = 20_000,
    held_out: bool = False,
    quality: int = LOSSLESS,
) -> int:
    """Write the pictures of a domain, or those of a folder, as one file; how many.

    On all cores: a core draws 7 to 15 pictures of 256 px a second.
    """
    if (domain is None) == (images is None):
        raise OptionError(f"name one domain ({', '.join(DOMAINS)}) or a folder with --images")
    if domain is not None:
        if domain not in DOMAINS:
            raise OptionError(f"{domain!r} is no domain, expected one of {', '.join(DOMAINS)}")
        make = functools.partial(drawn, domain, size, quality)
        work: Sequence[object] = numbers_of(count, held_out)
    else:
        assert images is not None
        make = functools.partial(taken, size, quality)
        work = files_in(images, held_out)
    return write_pictures(out, _in_parallel(make, work))


def _in_parallel(make: functools.partial[bytes], work: Sequence[object]) -> Iterator[bytes]:
    # spawn: torch's threads do not survive a fork.
    # One thread each: there is a process for every core.
    with multiprocessing.get_context("spawn").Pool(None, torch.set_num_threads, (1,)) as pool:
        yield from pool.imap(make, work, chunksize=16)


def main() -> None:
    parser = argparse.ArgumentParser(description="Makes a file of pictures to train from.")
    parser.add_argument("domain", nargs="?", help=", ".join(DOMAINS))
    parser.add_argument("--images", type=Path, metavar="DIR", help="your own pictures instead")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--size", type=int, default=256, help="pixels a side (256)")
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument("--held-out", action="store_true", help="the other half")
    parser.add_argument("--quality", type=int, default=LOSSLESS, help="of WebP; 100: lossless")
    options = parser.parse_args()
    try:
        count = make_pictures(**vars(options))
    except OptionError as exc:
        parser.error(str(exc))
    print(f"{options.out}: {count:,} pictures, {options.out.stat().st_size / 2**20:.1f} MB")


if __name__ == "__main__":
    main()
