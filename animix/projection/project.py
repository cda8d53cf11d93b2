"""Projecting from Python: photos in, what was found out, and the files that a timeline takes."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from animix.checkpoints.load import load_network
from animix.engine.device import choose_device
from animix.errors import OptionError
from animix.photos.alignment import crops_of
from animix.photos.photo import read_photo
from animix.progress import Follow
from animix.projected import Projected
from animix.projection.judges import AUTO, choose_features
from animix.projection.projecting import Projecting, Task, tasks_of
from animix.projection.recipe import Recipe
from animix.projection.tuning import TuningRecipe

FOLDER = Path("projected")


def project(
    photos: str | Path | Sequence[str | Path],
    network: str | Path,
    folder: str | Path = FOLDER,
    *,
    recipe: Recipe | None = None,
    features: str = AUTO,
    align: bool = False,
    face: int | None = None,
    crop: str | None = None,
    tuning: TuningRecipe | None = None,
    batch: int | None = None,
    device: str | None = None,
    follow: Follow = iter,
) -> list[Projected]:
    """Find the w that paints photos, and write them into a folder.

    It is what the command ``animix project`` does: see docs/projection.md. What is painted of a
    photo is ``crop`` (X,Y,SIZE in pixels of it, upright), with ``align`` each face in it, or the
    ``face``-th largest, and else the largest square in the middle. ``follow`` is given how far it
    is, step by step, and passes it on. PhotoError, NetworkError or OptionError before anything is
    done.
    """
    given = [photos] if isinstance(photos, (str, Path)) else list(photos)
    if not given:
        raise OptionError("there is no photo to project")
    chosen, network, folder = choose_device(device), Path(network), Path(folder)
    opened = load_network(network).to(chosen)
    judging, _ = choose_features(features, network, opened, chosen)
    tasks: list[Task] = []
    for path in given:
        photo = read_photo(path)
        crops = crops_of(photo, align=align, face=face, crop=crop)
        tasks += tasks_of(photo, crops, opened, folder)
    projecting = Projecting(network, opened, tasks, judging, recipe or Recipe(), tuning, batch)
    with closing(projecting.steps()) as steps:
        deque(follow(steps), maxlen=0)
    return [result.projected for result in projecting.results]
