"""The path through latent space: seeds and files, in order or at times."""

from __future__ import annotations

import re
from dataclasses import replace

from animix.errors import Mark
from animix.timeline.bands import kind_of
from animix.timeline.eases import parse_ease
from animix.timeline.keyframes import Ease, Keyframe, Repeat
from animix.timeline.misread import Misread, not_yet, quoted
from animix.timeline.nodes import Broken, Mapping, Node, Sequence
from animix.timeline.numbers import parse_whole
from animix.timeline.reading import Reading
from animix.timeline.timeline import LatentKey, Latents
from animix.timeline.times import parse_length
from animix.timeline.values import (
    MOST_KEYS,
    Quantity,
    parse_ease_at,
    refuse_expression,
    rows,
)

LARGEST_SEED = 2**32 - 1

_OPTIONS = ("seeds", "every", "ease", "space", "path")
_LATER = ("speed", "even", "edits")
_SEEDS = "a seed from 0 to 4294967295, or a file (.npz, .npy or .pt)"
_FILE = re.compile(r"(.*?\.(?:npz|npy|pt))(?:\s+(\S.*))?", re.DOTALL)
_RANGE = re.compile(r"([0-9]{1,10})\.\.([0-9]{1,10})")


def read_latents(reading: Reading, node: Node | None, root: Mark) -> Latents:
    """The path, by default through seed 0."""
    mark = root if node is None else node.mark
    latents = Latents((LatentKey(0, mark),), None, None, "w", "spline", mark)
    if node is None or isinstance(node, Broken):
        return latents
    if not isinstance(node, Mapping):
        return replace(latents, keys=_seeds(reading, node, None) or latents.keys)
    kind, node = kind_of(reading, node, "latents", (*_OPTIONS, *_LATER))
    if kind == "options":
        return _with_options(reading, node, latents)
    if kind == "resolutions":
        reading.note(node.mark, not_yet("latents by resolution", are="are").message)
        return latents
    return _at_times(reading, node, latents)


def parse_source(text: str) -> tuple[int | str, Ease | None]:
    """A seed or a file, and an ease after it.

    >>> parse_source("17 ease-in")
    (17, Ease(name='ease-in', numbers=()))
    """
    refuse_expression(text)
    if match := _FILE.fullmatch(text):
        return match[1], parse_ease_at(text, match.start(2)) if match[2] else None
    word, *rest = text.split(maxsplit=1) or [""]
    try:
        seed = parse_whole(word)
    except Misread as misread:
        raise Misread(f"{quoted(word)} is no latent", f"expected {_SEEDS}") from misread
    if not 0 <= seed <= LARGEST_SEED:
        raise Misread(f"{quoted(word)} is no seed", f"expected {_SEEDS}", width=len(word))
    return seed, parse_ease_at(text, text.index(rest[0], len(word))) if rest else None


def _seeds(reading: Reading, node: Node, ease: Ease | None) -> tuple[LatentKey, ...]:
    """The keys of a list, or of a single seed, file or range ``1..20``."""
    keys: list[LatentKey] = []
    items = node.items if isinstance(node, Sequence) else (node,)
    for item in items:
        scalar = reading.scalar(item, "a latent", _SEEDS)
        parsed = None if scalar is None else reading.parse(scalar, _parse_sources)
        for source, own in parsed or ():
            keys.append(LatentKey(source, item.mark, own or ease))
        if len(keys) > MOST_KEYS:
            reading.note(item.mark, f"more than {MOST_KEYS} latents")
            return ()
    if not items:
        reading.note(node.mark, "latents has no seeds")
    return tuple(keys)


def _parse_sources(text: str) -> list[tuple[int | str, Ease | None]]:
    """As ``parse_source``; ``1..20`` are the seeds from 1 to 20."""
    match = _RANGE.fullmatch(text)
    if match is None:
        return [parse_source(text)]
    first, last = int(match[1]), int(match[2])
    if last > LARGEST_SEED or not first <= last < first + MOST_KEYS:
        raise Misread(f"{quoted(text)} is no range of seeds", f"expected {_SEEDS}")
    return [(seed, None) for seed in range(first, last + 1)]


def _with_options(reading: Reading, node: Mapping, latents: Latents) -> Latents:
    """``{seeds: […], every: TIME, ease: …, space: …, path: …}``."""
    found = reading.options(node, "latents", _OPTIONS, _LATER)
    ease = reading.read(found.get("ease"), "ease", "an ease", parse_ease)
    seeds = found.get("seeds")
    if seeds is not None and not isinstance(seeds, Broken):
        latents = replace(latents, keys=_seeds(reading, seeds, ease) or latents.keys)
    every = reading.read(
        found.get("every"), "every", "a length", lambda text: parse_length(text, reading.fps)
    )
    space = reading.choice(found.get("space"), "space", ("w", "z"))
    path = reading.choice(found.get("path"), "path", ("spline", "linear"))
    if space == "z" and path is not None:
        message = "a path in z goes by slerp: path says nothing"
        reading.note(found["path"].mark, message, "leave path out, or set space: w")
    return replace(
        latents,
        every=every,
        space="z" if space == "z" else "w",
        path="linear" if path == "linear" else "spline",
    )


def _at_times(reading: Reading, node: Mapping, latents: Latents) -> Latents:
    """``{0s: 3, 2s: me.npz, end: 3}``."""
    sources: list[LatentKey] = []
    keys: list[Keyframe] = []
    repeats: list[Repeat] = []
    for row in rows(reading, node, "latents"):
        parsed = reading.parse(row.value, parse_source)
        if parsed is None:
            continue
        (source, ease), mark, index = parsed, row.value.mark, float(len(sources))
        sources.append(LatentKey(source, mark, ease))
        if row.until is None:
            keys.append(Keyframe(row.time, index, ease, mark))
        else:
            stop, step = row.until
            repeats.append(Repeat(row.time, stop, step, index, None, ease, mark))
    if not sources:
        return latents
    track = Quantity("latents").track(node.mark, keys, repeats)
    return replace(latents, keys=tuple(sources), track=track)
