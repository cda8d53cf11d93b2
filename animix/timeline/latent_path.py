"""The path through latent space, or one by resolution: seeds and files, in order or at times."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from itertools import pairwise
from typing import Literal

from animix.errors import Mark
from animix.timeline.bands import kind_of, resolution_ranges
from animix.timeline.eases import parse_ease
from animix.timeline.edits import read_edits
from animix.timeline.keyframes import Ease, Keyframe, Repeat, Track
from animix.timeline.misread import Misread, quoted
from animix.timeline.nodes import Broken, ListNode, MapNode, Node
from animix.timeline.numbers import LARGEST_SEED, parse_whole
from animix.timeline.reading import Reading
from animix.timeline.rows import MOST_KEYS, rows
from animix.timeline.timeline import LatentBand, LatentKey, Latents
from animix.timeline.times import parse_length
from animix.timeline.values import Quantity, parse_ease_at, read_track

LATENT_KEYS = ("seeds", "every", "ease", "space", "path", "speed", "even", "edits")
SPACES: tuple[Literal["w", "z"], ...] = ("w", "z")
PATHS: tuple[Literal["spline", "linear"], ...] = ("spline", "linear")
_SEEDS = "a seed from 0 to 4294967295, or a file (.npz, .npy or .pt)"
_FILE = re.compile(r"(.*?\.(?:npz|npy|pt))(?:\s+(\S.*))?", re.DOTALL)
_RANGE = re.compile(r"([0-9]{1,10})\.\.([0-9]{1,10})")


def read_latents(reading: Reading, node: Node | None, root: Mark) -> tuple[LatentBand, ...]:
    """The path, by default through seed 0, or one for each range of resolutions."""
    if isinstance(node, MapNode):
        kind, node = kind_of(reading, node, "latents", LATENT_KEYS)
        if kind == "resolutions":
            return _by_resolution(reading, node)
        return (LatentBand(0, None, _of_map(reading, node, kind)),)
    return (LatentBand(0, None, _read_path(reading, node, root)),)


def _read_path(reading: Reading, node: Node | None, root: Mark) -> Latents:
    """One path."""
    if isinstance(node, MapNode):
        kind, node = kind_of(reading, node, "latents", LATENT_KEYS)
        if kind != "resolutions":
            return _of_map(reading, node, kind)
        hint = "resolutions stand outside: latents: {4..32: [3, 17], 64..: [8, 9]}"
        reading.note(node.mark, "resolutions inside resolutions", hint)
    path = _default_path(root if node is None else node.mark)
    if node is None or isinstance(node, (Broken, MapNode)):
        return path
    return replace(path, keys=_seeds(reading, node, None) or path.keys)


def _default_path(mark: Mark) -> Latents:
    return Latents((LatentKey(0, mark),), None, None, "w", "spline", mark)


def _of_map(reading: Reading, node: MapNode, kind: str) -> Latents:
    path = _default_path(node.mark)
    if kind == "options":
        return _with_options(reading, node, path)
    return _at_times(reading, node, path)


def _by_resolution(reading: Reading, node: MapNode) -> tuple[LatentBand, ...]:
    """``{4..32: [3, 17], 64..: {seeds: [8, 9], every: 2s}}``: no gap between one and the next."""
    noted = reading.num_noted
    bands = []
    for key, bounds, value in resolution_ranges(reading, node):
        path = _read_path(reading, value, key.mark)
        if bounds is not None:
            bands.append((LatentBand(*bounds, path), key))
    if reading.num_noted == noted and node.whole:
        bands.sort(key=lambda each: each[0].low)
        for (below, _), (above, key) in pairwise(bands):
            if below.high is not None and above.low > 2 * below.high:
                first, last = 2 * below.high, above.low // 2
                missing = f"{first}" if first == last else f"{first}..{last}"
                message = f"latents has no path for {missing}"
                reading.note(key.mark, message, "each resolution has one: leave no gap")
    return tuple(band for band, _ in bands) or (LatentBand(0, None, _default_path(node.mark)),)


def parse_source(text: str) -> tuple[int | str, Ease | None]:
    """A seed or a file, and an ease after it.

    >>> parse_source("17 ease-in")
    (17, Ease(name='ease-in', numbers=()))
    """
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


def renamed(text: str, names: Mapping[str, str]) -> str:
    """A latent as a timeline has it, ``A -> B ease`` too, with other names for its files.

    >>> renamed("me/a.npz -> 3 ease-in", {"me/a.npz": "a.npz"})
    'a.npz -> 3 ease-in'
    """
    if (match := _FILE.fullmatch(text.strip())) and match[1] in names:
        return " ".join(filter(None, (names[match[1]], match[2])))
    return with_latent_file(text, lambda name: names.get(name, name))


def with_latent_file(text: str, change: Callable[[str], str]) -> str:
    """As ``renamed``, with a change for the name of every file."""
    if "->" in text:
        return " -> ".join(with_latent_file(part.strip(), change) for part in text.split("->", 1))
    if match := _FILE.fullmatch(text.strip()):
        return " ".join(filter(None, (change(match[1]), match[2])))
    return text


def _parse_stop(text: str, repeated: bool) -> tuple[tuple[int | str, ...], Ease | None]:
    """As ``parse_source``, and where it is repeated also the two of ``A -> B [ease]``."""
    before, arrow, after = text.partition("->")
    if not arrow:
        source, ease = parse_source(text)
        return (source,), ease
    if not repeated:
        hint = "write 0s..end every 1s: A -> B"
        raise Misread('"->" stands only in keys with "every"', hint, len(before), 2)
    first, early = parse_source(before.strip())
    if early is not None:
        raise Misread("an ease stands behind both: A -> B ease", width=len(before.rstrip()))
    if not after.strip():
        raise Misread('a latent is missing after "->"', offset=len(before), width=2)
    skipped = len(text) - len(after.lstrip())
    try:
        second, ease = parse_source(after.strip())
    except Misread as misread:
        misread.offset += skipped
        raise
    return (first, second), ease


def _seeds(reading: Reading, node: Node, ease: Ease | None) -> tuple[LatentKey, ...]:
    """The keys of a list, or of a single seed, file or range ``1..20``; none after a mistake."""
    noted = reading.num_noted
    keys: list[LatentKey] = []
    items = node.items if isinstance(node, ListNode) else (node,)
    for item in items:
        parsed = reading.read(item, "a latent", _SEEDS, _parse_sources)
        for source, own in parsed or ():
            keys.append(LatentKey(source, item.mark, own or ease))
        if len(keys) > MOST_KEYS:
            reading.note(item.mark, f"more than {MOST_KEYS} latents")
            return ()
    if not items:
        reading.note(node.mark, "latents has no seeds")
    if reading.num_noted > noted or any(isinstance(item, Broken) for item in items):
        return ()
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


def _with_options(reading: Reading, node: MapNode, latents: Latents) -> Latents:
    """``{seeds: […], every: TIME, ease: …, space: …, path: …, speed: …, even: …, edits: […]}``."""
    noted = reading.num_noted
    found = reading.options(node, "latents", LATENT_KEYS)
    ease = reading.read(found.get("ease"), "ease", "an ease", parse_ease)
    seeds = found.get("seeds")
    if isinstance(seeds, MapNode):
        latents = _keyed(reading, seeds, latents)
    elif seeds is not None and not isinstance(seeds, Broken):
        latents = replace(latents, keys=_seeds(reading, seeds, ease) or latents.keys)
    every = reading.read(
        found.get("every"), "every", "a length", lambda text: parse_length(text, reading.clock)
    )
    if every is not None and reading.duration and reading.duration / every > MOST_KEYS:
        visits = f"{float(reading.duration / every):.3g} visits"
        message = f"{visits} in {float(reading.duration):g} s: expected at most {MOST_KEYS}"
        reading.note(found["every"].mark, message)
    space = reading.choice(found.get("space"), "space", SPACES, "w")
    path = reading.choice(found.get("path"), "path", PATHS, "spline")
    if space == "z" and "path" in found:
        message = "a path in z goes by slerp: path says nothing"
        reading.note(found["path"].mark, message, "leave path out, or set space: w")
    speed = _speed(reading, found.get("speed"))
    even = reading.choice(found.get("even"), "even", ("true", "false"), "false") == "true"
    _check_pace(reading, found, is_keyed=isinstance(seeds, MapNode), even=even)
    edits = read_edits(reading, found.get("edits"))
    if even:
        _check_eases(reading, latents, found.get("ease"))
    if reading.num_noted > noted or not node.whole:
        return latents
    return replace(
        latents, every=every, space=space, path=path, speed=speed, even=even, edits=edits
    )


def _keyed(reading: Reading, node: MapNode, latents: Latents) -> Latents:
    """Seeds at times, beside other options."""
    kind, node = kind_of(reading, node, "seeds")
    if kind != "times":
        message = "seeds is a list, or a map of times to seeds"
        reading.note(node.mark, message, "write seeds: {0s: 3, 2s: 17, end: 3}")
        return latents
    return _at_times(reading, node, latents)


def _speed(reading: Reading, node: Node | None) -> Track | None:
    """How fast the walk goes, if that is said."""
    if node is None or isinstance(node, Broken):
        return None
    quantity = Quantity("speed", low=0)
    track = read_track(reading, node, quantity, quantity.constant(1.0, node.mark))
    if track.is_constant and track.keys[0].value == 0:
        reading.note(node.mark, "speed is 0 all the time", "write a single seed to stand still")
    return track


def _check_pace(reading: Reading, found: Mapping[str, Node], *, is_keyed: bool, even: bool) -> None:
    """Note what sets the times of seeds beside what decides them."""
    for key in ("speed", "even"):
        if key not in found or (key == "even" and not even):
            continue
        if "every" in found or is_keyed:
            times = "every" if "every" in found else "the seeds"
            message = f"{times} and {key} both say when seeds are reached"
            reading.note(found[key].mark, message, f"leave {key} out, or list the seeds alone")
    for key in ("every", "ease"):
        if is_keyed and key in found:
            message = f"the seeds have their times: {key} says nothing"
            reading.note(found[key].mark, message, f"leave {key} out, or list the seeds alone")


def _check_eases(reading: Reading, latents: Latents, option: Node | None) -> None:
    """Note eases on an even path."""
    hint = "leave it out, or even; speed rules an even path"
    eased = (key.mark for key in latents.keys if key.ease is not None)
    mark = option.mark if option is not None else next(eased, None)
    if mark is not None:
        reading.note(mark, "an even path has no ease", hint)


def _at_times(reading: Reading, node: MapNode, latents: Latents) -> Latents:
    """``{0s: 3, 2s: me.npz, end: 3}``."""
    noted = reading.num_noted
    sources: list[LatentKey] = []
    keys: list[Keyframe] = []
    repeats: list[Repeat] = []
    for row in rows(reading, node, "latents"):
        parser = partial(_parse_stop, repeated=row.until is not None)
        parsed = reading.parse(row.value, parser)
        if parsed is None:
            continue
        (found, ease), mark, index = parsed, row.value.mark, float(len(sources))
        sources += (LatentKey(source, mark, ease) for source in found)
        if row.until is None:
            keys.append(Keyframe(row.time, index, ease, mark))
        else:
            arrival = index + 1 if len(found) > 1 else None
            repeats.append(Repeat(row.time, *row.until, index, arrival, ease, mark))
    if reading.num_noted > noted or not node.whole:
        return latents
    track = Quantity("latents", "names").track(node.mark, keys, repeats)
    return replace(latents, keys=tuple(sources), track=track)
