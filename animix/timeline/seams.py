"""Seams: whether everything in a clip meets itself where the clip would begin again."""

from __future__ import annotations

from collections.abc import Iterator

from animix.errors import Mistake, TimelineError
from animix.timeline.curves import resolve
from animix.timeline.keyframes import Clip, Track, Value
from animix.timeline.seam import MEND, seam
from animix.timeline.timeline import Edit, Latents, Noise, Timeline
from animix.timeline.walk import walk


def tracks(timeline: Timeline) -> Iterator[Track]:
    """Every track of a timeline but those of walks, in the order of its parts."""
    for layer in timeline.blend:
        yield from (band.track for band in layer.alpha.bands)
        yield from (layer.swap, layer.width, layer.snapshot)
    yield from (band.track for band in timeline.truncation.bands)
    for edit in edits(timeline):
        yield from (band.track for band in edit.amount.bands)
    if timeline.label:
        yield timeline.label
    frame = timeline.frame
    yield from (frame.zoom, frame.pan_x, frame.pan_y, frame.rotate)


def edits(timeline: Timeline) -> Iterator[Edit]:
    """The edits of all paths."""
    for band in timeline.latents:
        yield from band.path.edits


def speeds(timeline: Timeline) -> Iterator[Track]:
    """How fast walks go, where that is said: it need not meet itself at a seam."""
    for band in timeline.latents:
        if band.path.speed is not None:
            yield band.path.speed


def open_seams(timeline: Timeline, clip: Clip) -> list[Mistake]:
    """What does not meet itself if the clip is a loop, as far as it is known.

    Words such as all and last are known once they are numbers, and the sound once it is listened
    to; a track whose keys don't fit into the clip is left to ``misplaced_keys``.
    """
    mistakes = []
    for track in tracks(timeline):
        if any(isinstance(value, str) for value, _ in track.values()):
            continue
        turning = [m for each in track.expressions() for m in each.open_periods(clip.end_seconds)]
        mistakes += turning
        unheard = clip.sound is None and any(each.hears for each in track.expressions())
        try:
            found = None if turning or unheard else seam(track, clip)
        except TimelineError:
            continue
        if found:
            mistakes.append(found.mistake)
    for band in timeline.latents:
        mistakes += _latent_seam(band.path, clip)
    mistakes += _noise_seam(timeline.noise, clip)
    return mistakes


def misplaced_keys(timeline: Timeline, clip: Clip) -> list[Mistake]:
    """Keys that meet at one instant of a clip, or lie outside it."""
    mistakes: list[Mistake] = []
    walks = (walk(band.path, clip) for band in timeline.latents)
    for track in (*tracks(timeline), *walks, *speeds(timeline)):
        try:
            # Where keys stand doesn't depend on their values, so any number does for a word.
            resolve(track.with_values(lambda value: 4.0 if isinstance(value, str) else value), clip)
        except TimelineError as error:
            mistakes += error.mistakes
    return mistakes


def certain_mistakes(timeline: Timeline) -> list[Mistake]:
    """What is wrong with a timeline's loop and keys whatever its networks are like.

    With ``loop: auto`` what is wrong whether the clip loops or not.
    """
    looped = misplaced_keys(timeline, timeline.clip(True))
    if timeline.loop is True:
        return [*looped, *open_seams(timeline, timeline.clip(True))]
    ended = misplaced_keys(timeline, timeline.clip(False))
    if timeline.loop is False:
        return ended
    places = {mistake.mark for mistake in looped}
    return [mistake for mistake in ended if mistake.mark in places]


def _latent_seam(latents: Latents, clip: Clip) -> Iterator[Mistake]:
    """The mistake of latents that end at another place than they start."""
    # Two keys with the same seed are one place, so places are compared, not numbers of keys.
    first = {key.source: float(number) for number, key in reversed([*enumerate(latents.keys)])}
    places = walk(latents, clip).with_values(lambda n: first[latents.keys[_place(n)].source])
    try:
        found = seam(places, clip)
    except TimelineError:
        return
    if found:
        end, start = (latents.keys[int(number)].source for number in (found.end, found.start))
        message = f"seam: the latents are at {end} at the end but at {start} at the start"
        yield Mistake(found.mark, message, MEND)


def _place(value: Value) -> int:
    """The number of a latent key; those are never computed."""
    return int(value) if isinstance(value, float) else 0


def _noise_seam(noise: Noise, clip: Clip) -> Iterator[Mistake]:
    """The mistake of noise that has not come round when the clip ends."""
    period = noise.period_seconds
    # So many bars may be no whole number of frames: then the seam is a part of a frame off.
    ends = (clip.end_seconds, clip.duration_seconds)
    if period and noise.mark and all((end / period).denominator != 1 for end in ends):
        message = (
            f"seam: the noise returns every {float(period):g} s, which does not divide the "
            f"{float(clip.end_seconds):g} s of the clip"
        )
        hint = "make it a whole number of turns, or set loop: false"
        yield Mistake(noise.mark, message, hint)
