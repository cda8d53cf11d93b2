"""The walk along the latents: seeds in order become keys at times, and other seeds other walks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from animix.timeline.keyframes import Clip, Keyframe, Time, Track
from animix.timeline.numbers import LARGEST_SEED
from animix.timeline.timeline import LatentBand, Latents

ROUND_SEEDS = 1000
"""What seeds grow by each time that paths have gone through all of a list."""


def walk(latents: Latents, clip: Clip) -> Track:
    """The track of a latent path in a clip; its values are indices into ``latents.keys``."""
    if latents.track is not None:
        return latents.track
    count, end = len(latents.keys), clip.end_seconds
    if latents.every is None:
        # In a loop the way from the last seed leads back to the first.
        steps = count if clip.loop else max(1, count - 1)
        times = [end * number / steps for number in range(count)]
    else:
        # Without a loop one key more: the way to it is begun and not finished.
        last = min(end, clip.duration_seconds) if clip.loop else end
        num_keys = math.ceil(last / latents.every) + (0 if clip.loop else 1)
        times = [latents.every * number for number in range(max(1, num_keys))]
    keys = [
        Keyframe(
            Time(time),
            float(number % count),
            latents.keys[number % count].ease,
            latents.keys[number % count].mark,
        )
        for number, time in enumerate(times if end else times[:1])
    ]
    return Track("latents", tuple(keys), "names", None, None, latents.mark)


def shifted(latents: Sequence[LatentBand], path: int) -> tuple[LatentBand, ...]:
    """The latents of another path of a grid, the timeline's own being path 0.

    Each latent is replaced by the one that stands ``path`` places later in its list, equal ones by
    equal ones, so that what closes or holds still does. Seeds grow with each time round the list.
    """
    return tuple(replace(band, path=_shifted(band.path, path)) for band in latents)


def _shifted(latents: Latents, path: int) -> Latents:
    sources = list(dict.fromkeys(key.source for key in latents.keys))
    rounds = path // len(sources)

    def later(source: int | str) -> int | str:
        found = sources[(sources.index(source) + path) % len(sources)]
        if isinstance(found, str):
            return found
        return (found + rounds * ROUND_SEEDS) % (LARGEST_SEED + 1)

    known = {source: later(source) for source in sources}
    keys = (replace(key, source=known[key.source]) for key in latents.keys)
    return replace(latents, keys=tuple(keys))
