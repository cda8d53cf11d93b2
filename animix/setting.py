"""The setting: the photo that a timeline lays its pictures into, found and opened."""

from __future__ import annotations

from pathlib import Path

from animix.engine.pasting import Scene
from animix.errors import LatentError, Mistake, PhotoError
from animix.photos.photo import read_photo
from animix.projected import Projected, read_projected
from animix.timeline.timeline import Timeline
from animix.whole_file import digest_of


def open_scene(timeline: Timeline, mistakes: list[Mistake]) -> Scene | None:
    """The photo that a timeline's pictures go into, None without ``into``.

    Where it can't be had, that becomes a mistake.
    """
    into = timeline.frame.into
    if into is None:
        return None
    try:
        projected = read_projected(timeline.path.parent / into.file)
        if projected.crop is None:
            raise LatentError(
                f"{into.file}: does not tell where in {projected.photo} it was cut out"
            )
        return Scene(read_photo(_found(projected, timeline)).pixels, projected.crop)
    except (LatentError, PhotoError) as error:
        mistakes.append(Mistake(into.mark, str(error)))
        return None


def photo_file(timeline: Timeline) -> Path | None:
    """The file of that photo, None where there is none, or it can't be had."""
    if timeline.frame.into is None:
        return None
    try:
        return _found(read_projected(timeline.path.parent / timeline.frame.into.file), timeline)
    except (LatentError, PhotoError):
        return None


def _found(projected: Projected, timeline: Timeline) -> Path:
    """The very photo that was projected, in the first folder that holds it."""
    assert timeline.frame.into is not None
    file = timeline.path.parent / timeline.frame.into.file
    others = []
    for folder in dict.fromkeys([file.parent, file.parent.parent, timeline.path.parent]):
        path = folder / projected.photo
        if path.is_file():
            if digest_of(path) == projected.photo_digest:
                return path
            others.append(path)
    # Beside the file lies what ``project`` shows it by, which may have the photo's name.
    changed = next((path for path in others if path != file.with_suffix(".png")), None)
    if changed is not None:
        raise PhotoError(
            f"{changed}: is not the photo that was projected: it was changed since, or is another; "
            "put the original back, or project this one"
        )
    told = f"its photo {projected.photo} is missing"
    if others:
        told += f" ({others[0]} is not the photo that was projected)"
    raise PhotoError(f"{told}: put it beside the timeline")
