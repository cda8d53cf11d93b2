"""The walk along the latents: seeds in order become keys at times."""

from __future__ import annotations

import math

from animix.timeline.keyframes import Clip, Keyframe, Time, Track
from animix.timeline.timeline import Latents


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
