"""The setting: the photo that a timeline lays its pictures into, found and opened."""

from __future__ import annotations

from pathlib import Path

from animix.engine.pasting import Scene
from animix.errors import LatentError, Mistake, PhotoError
from animix.photos.photo import Photo, read_photo
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
    file = timeline.path.parent / into.file
    try:
        projected = read_projected(file)
        if projected.crop is None:
            raise LatentError(f"{file}: does not tell where in {projected.photo} it was cut out")
        photo = _open_photo(projected, [file.parent, file.parent.parent, timeline.path.parent])
        return Scene(photo.pixels, projected.crop)
    except (LatentError, PhotoError) as error:
        mistakes.append(Mistake(into.mark, str(error)))
        return None


def _open_photo(projected: Projected, folders: list[Path]) -> Photo:
    """The very photo that was projected, in the first folder that holds it."""
    found = [
        folder / projected.photo
        for folder in dict.fromkeys(folders)
        if (folder / projected.photo).is_file()
    ]
    for path in found:
        if digest_of(path) == projected.photo_digest:
            return read_photo(path)
    if found:
        raise PhotoError(
            f"{found[0]}: is not the photo that was projected: it was changed since, or is another"
        )
    raise PhotoError(f"its photo {projected.photo} is missing: put it into {folders[0].resolve()}")
