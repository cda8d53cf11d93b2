"""Chunks: what decides the bytes of some frames of a film, and the key that follows from it."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch

from animix.engine.precision import processor_flags
from animix.film import Film
from animix.schedule import Row
from animix.timeline.seams import edits
from animix.timeline.timeline import Timeline
from animix.video.segments import encoding_of, segment_frames, segments_of
from animix.video.settings import EncoderSettings

KEY_DIGITS = 32
"""Of a key's 64: enough for more chunks than there will ever be."""


def chunk_keys(
    film: Film, encoding: tuple[str, ...], digests: Mapping[Path, str]
) -> Callable[[range], str]:
    """What gives the key of frames of a film: equal keys, equal bytes.

    ``encoding`` is everything that tells how frames are encoded, ``digests`` has the SHA-256 of
    each file in ``files_of(film)``. A key holds what decides the bytes of its frames and nothing
    else: a name, a title or another part of the timeline may change.
    """
    latents = {name: digests[path] for name, path in latent_files(film.timeline).items()}
    networks = [digests[file] for file in film.engine.shelf.files]
    common = _texts(*_of_painting(film), *(digests[file] for file in film.home_files), *encoding)
    if into := film.timeline.frame.into:
        common += _texts(latents[into.file])  # which holds the photo's digest
    footage, places = film.footage, film.view.places

    def key(frames: range) -> str:
        # Pictures are painted in whole cells, and their neighbours there may decide last bits.
        first, last = (footage.cell(int(places[index])) for index in (frames[0], frames[-1]))
        starts = range(first.start, last.stop, footage.engines[0].batch_size)
        rows = [row for start in starts for row in footage.rows(footage.cell(start))]
        found = hashlib.sha256(_texts(common, frames.start, frames.stop))
        mixes = np.stack([row.mix for row in rows])
        for column in np.flatnonzero((mixes != 0).any(axis=(0, 1))).tolist():
            found.update(_texts(networks[column], _slot(film, column)))
            found.update(mixes[..., column].tobytes())
        for row in rows:
            found.update(_of_row(row, latents))
        for index in frames:
            framing = film.schedule.frame.at(index)
            found.update(_texts(int(places[index]) - first.start, *vars(framing).values()))
        return found.hexdigest()[:KEY_DIGITS]

    return key


def film_key(
    film: Film, frames: range, settings: EncoderSettings, digests: Mapping[Path, str]
) -> str:
    """What a film of these frames is made of, sound and title included: equal keys, equal files.

    ``digests`` has the SHA-256 of each file in ``files_of(film)`` and of the soundtrack's.
    """
    key = chunk_keys(film, encoding_of(settings), digests)
    chunks = [key(part) for part in segments_of(frames, segment_frames(settings))]
    sound = film.soundtrack
    heard = () if sound is None else (digests[sound.path], sound.filters(range(sound.clip)))
    return hashlib.sha256(_texts(frames, chunks, settings, heard)).hexdigest()[:KEY_DIGITS]


def files_of(film: Film) -> set[Path]:
    """The files whose content decides a film's frames."""
    latents = latent_files(film.timeline).values()
    return {*film.engine.shelf.files, *film.home_files, *latents}


def latent_files(timeline: Timeline) -> dict[str, Path]:
    """The projected latents and directions that a timeline names, and the photo it shows."""
    names = (key.source for band in timeline.latents for key in band.path.keys)
    directions = (edit.direction for edit in edits(timeline))
    into = [timeline.frame.into.file] if timeline.frame.into else []
    named = (*names, *directions, *into)
    return {name: timeline.path.parent / name for name in named if isinstance(name, str)}


def _of_row(row: Row, latents: Mapping[str, str]) -> bytes:
    """What paints a row's picture but its mix; the content of projected files, not their names."""
    points = [
        (
            [
                (latents[source] if isinstance(source, str) else source, weight)
                for source, weight in point.latents
            ],
            point.space,
            point.indices.start,
        )
        for point in row.points
    ]
    # Not the dataclasses themselves: they tell their names too, which takes as long as all else.
    told = _texts(points, row.labels, *vars(row.noise).values())
    for direction, amounts in row.edits:
        told += _texts(direction.digest) + amounts.tobytes()
    return told + row.psi.tobytes()


def _of_painting(film: Film) -> tuple[object, ...]:
    """What all frames are painted with, and for."""
    engine, plan = film.engine, film.engine.plan
    engines = (engine, *film.more_engines)
    return (
        (torch.__version__, platform.machine(), source_digest()),
        sorted({device_facts(each.device) for each in engines}),
        type(engine).__name__,
        engine.batch_size,
        (plan.dtype, plan.num_slots, plan.num_threads) if plan else torch.float32,
        (film.canvas_size, film.extent, film.stop_resolution, film.schedule.fps),
    )


def _slot(film: Film, column: int) -> int:
    """Where a network lies: the order in which networks are summed decides last bits."""
    plan = film.engine.plan
    return plan.slot_of_column[column] if plan else 0  # without a plan that of the columns


def device_facts(device: torch.device) -> str:
    """What a device is, as far as it decides the last bits of what it works out."""
    if device.type == "cuda":
        about = torch.cuda.get_device_properties(device)
        cudnn = torch.backends.cudnn.version()  # type: ignore[no-untyped-call]  # in torch
        libraries = torch.version.cuda, cudnn, _triton_version()
        return repr((about.name, about.major, about.minor, about.multi_processor_count, libraries))
    if device.type == "cpu":
        # Threads share sums, and the instructions that there are choose among kernels.
        chosen = torch.backends.cpu.get_cpu_capability(), torch.get_num_threads()
        return repr((device.type, chosen, sorted(processor_flags())))
    return repr((device.type, platform.platform()))


def _triton_version() -> str:
    try:
        import triton
    except ImportError:
        return ""
    return str(triton.__version__)


@lru_cache
def source_digest() -> str:
    """The SHA-256 of animix itself, its version included: no other ever passes for this one.

    A number to raise with each change of a kernel would be forgotten once.
    """
    digest = hashlib.sha256()
    folder = Path(__file__).parent
    for file in sorted(folder.rglob("*.py")):
        digest.update(_texts(file.relative_to(folder).as_posix()) + file.read_bytes())
    return digest.hexdigest()


def _texts(*values: object) -> bytes:
    """Values as texts that can't be mistaken for each other; floats to their last digit."""
    return repr(values).encode()
