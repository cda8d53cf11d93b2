"""Projects photos: reads and crops them, looks for their w, and writes what was found."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from animix.checkpoints.safetensors import read_tensors, write_safetensors
from animix.errors import LatentError, NetworkError, OptionError, RenderError
from animix.interruption import uninterrupted
from animix.networks.network import Network
from animix.photos.crop import Crop, cut
from animix.photos.photo import Photo
from animix.progress import Progress
from animix.projected import Projected, read_projected, write_projected
from animix.projection.distance import Distance
from animix.projection.features import Features
from animix.projection.prior import prior_of
from animix.projection.recipe import Recipe
from animix.projection.search import Search, Start
from animix.projection.tuning import Tuning, TuningRecipe
from animix.whole_file import digest_of, whole_file

BATCH_ON_GPU = 8

GAP = 4
"""Pixels between the pictures of a comparison."""


@dataclass(frozen=True, eq=False)
class Task:
    """One square of a photo, and where what is found of it goes."""

    photo: Path
    digest: str
    size: tuple[int, int]
    crop: Crop
    pixels: NDArray[np.uint8]
    """[img_resolution, img_resolution, 3]"""
    target: Path

    @property
    def comparison(self) -> Path:
        """Where the photo and what was found stand side by side."""
        return self.target.with_suffix(".png")

    @property
    def snapshot(self) -> Path:
        """Where the network that is tuned around it goes."""
        return self.target.with_name(f"{self.target.stem}-tuned.safetensors")


@dataclass(frozen=True)
class Result:
    """What became of one photo."""

    task: Task
    projected: Projected
    snapshot: Path | None = None
    was_there: bool = False
    """It had been found before, by the same recipe."""


@dataclass(eq=False)
class Projecting:
    """Photos on their way into a network: ``steps`` projects, ``results`` are what came of it.

    Files are whole or absent. What was begun goes on; what stands there already, of the same photo,
    crop, network and recipe, is left as it is. Of another recipe it is replaced when this one is
    through.
    """

    network_file: Path
    network: Network
    """On the device that it is to work on."""
    tasks: Sequence[Task]
    features: Features | None
    recipe: Recipe
    tuning: TuningRecipe | None = None
    batch: int | None = None
    """Photos at a time; None: 1 on a CPU, where more are no faster, and else 8."""
    results: list[Result] = field(init=False, default_factory=list)
    """In the order of the tasks, when all is done."""
    begun: set[Path] = field(init=False, default_factory=set)
    """Files that hold what was found by this recipe, in part or as a whole."""

    def __post_init__(self) -> None:
        if self.batch is None:
            self.batch = 1 if self.network.device.type == "cpu" else BATCH_ON_GPU
        if self.batch < 1:
            raise OptionError(f"a batch of {self.batch}: expected at least 1")
        targets = [task.target for task in self.tasks]
        for task in self.tasks:
            if targets.count(task.target) > 1:
                raise OptionError(f"two photos would be one file {task.target}: rename one of them")
        self._network_digest = digest_of(self.network_file)
        self._prior = prior_of(self.network)

    def steps(self) -> Generator[Progress, None, None]:
        """Project all, and say how far it is after each step of a photo.

        Closed or interrupted, it has written the best that was found so far. RenderError where the
        device's memory does not suffice, or a loss is no number any more.
        """
        started, done = time.monotonic(), 0
        found = {task.target: self._found(task) for task in self.tasks}
        self.begun |= {target for target, each in found.items() if each is not None}
        there = {target for target, each in found.items() if _step(each) == self.recipe.steps}
        waiting = [task for task in self.tasks if task.target not in there]
        tuned = [task for task in self.tasks if not self._is_tuned(task, found[task.target])]
        tuning_steps = self.tuning.steps if self.tuning else 0
        left = [self.recipe.steps - _step(found[task.target]) for task in waiting]
        total = sum(left) + tuning_steps * len(tuned)

        def counted(step: Progress) -> Progress:
            seconds = time.monotonic() - started
            return Progress(done, total, seconds, told=step.told)

        try:
            for tasks in self._batches(waiting, found):
                search = self._search(tasks, [found[task.target] for task in tasks])
                begun = search.step
                try:
                    for step in search.steps():
                        done += len(tasks)
                        yield counted(step)
                finally:
                    # A Ctrl-C, too, leaves what was found: the same command goes on from there.
                    with uninterrupted():
                        if search.step > begun:
                            found |= self._write(tasks, search)
            for task in tuned:
                tuning = self._tuning(task, found[task.target])
                try:
                    for step in tuning.steps():
                        done += 1
                        yield counted(step)
                finally:
                    with uninterrupted():
                        self._write_snapshot(task, tuning)
        except torch.OutOfMemoryError as exc:
            raise RenderError(
                f"{self.network.device} ran out of memory: take a --batch of fewer photos"
            ) from exc
        for task in self.tasks:
            projected = found[task.target]
            assert projected is not None
            snapshot = task.snapshot if self.tuning else None
            was_there = task.target in there and task not in tuned
            self.results.append(Result(task, projected, snapshot, was_there))

    def _batches(
        self, waiting: Sequence[Task], found: Mapping[Path, Projected | None]
    ) -> Iterator[list[Task]]:
        """Photos that are looked for together: those that are equally far."""

        def step(task: Task) -> int:
            return _step(found[task.target])

        for _, group in groupby(sorted(waiting, key=step), key=step):
            equal = list(group)
            size = self.batch or 1
            for start in range(0, len(equal), size):
                yield equal[start : start + size]

    def _search(self, tasks: Sequence[Task], begun: Sequence[Projected | None]) -> Search:
        targets = torch.cat([self._picture(task) for task in tasks])
        distance = Distance(targets, self.features, self.recipe.weights)
        start = None
        if step := _step(begun[0]):
            known = [each for each in begun if each is not None]
            start = Start(
                torch.from_numpy(np.stack([each.w for each in known])),
                step,
                np.stack([each.losses for each in known]),
            )
        return Search(self.network, distance, self._prior, self.recipe, len(tasks), start)

    def _picture(self, task: Task) -> Tensor:
        """What is to be painted: [1, 3, H, W] in [-1, 1]."""
        pixels = torch.from_numpy(task.pixels).to(self.network.device)
        return pixels.permute(2, 0, 1)[None].float() / 127.5 - 1

    def _found(self, task: Task) -> Projected | None:
        """What was found before of the same photo in the same way, wholly or in part."""
        if not task.target.exists():
            for path in (task.comparison, task.snapshot):
                if path.exists():
                    raise OptionError(
                        f"{path} is there already, and no {task.target.name} that it belongs to: "
                        "name another folder with --output"
                    )
            return None
        try:
            found = read_projected(task.target)
        except LatentError as exc:
            raise OptionError(
                f"{exc}; it stands where the result goes: name another folder with --output"
            ) from exc
        if found.photo_digest != task.digest:
            raise OptionError(
                f"{task.target} was found of another photo, or of {found.photo} before it changed: "
                "name another folder with --output"
            )
        same = (
            found.network_digest == self._network_digest
            and found.crop is not None
            and np.array_equal(found.crop.matrix, task.crop.matrix)
            and found.w.shape == (self.network.num_ws, self.network.w_dim)
            and {name: found.settings.get(name) for name in self._settings} == self._settings
            and len(found.losses) == _step(found)
        )
        return found if same else None

    @property
    def _settings(self) -> dict[str, Any]:
        """What decides what is found, as JSON has it."""
        settings = {
            "recipe": self.recipe.as_dict(),
            "features": self.features.name if self.features else "none",
        }
        plain: dict[str, Any] = json.loads(json.dumps(settings))
        return plain

    def _write(self, tasks: Sequence[Task], search: Search) -> dict[Path, Projected]:
        """Write what a search has found so far, and pictures of it.

        Cut short, it doesn't cost what another recipe has found.
        """
        found = {}
        painted = self.network.synthesis(search.ws)
        strangeness = self._prior.strangeness(search.ws)
        for index, task in enumerate(tasks):
            losses = search.losses[index]
            settings = {
                **self._settings,
                "step": search.step,
                "psnr": round(psnr(painted[index], self._picture(task)[0]), 3),
                "strangeness": round(float(strangeness[index]), 3),
            }
            found[task.target] = Projected(
                w=search.ws[index].detach().cpu().numpy(),
                photo=task.photo.name,
                photo_digest=task.digest,
                photo_size=task.size,
                crop=task.crop,
                network=self.network_file.name,
                network_digest=self._network_digest,
                settings=settings,
                losses=losses,
            )
            if search.step == self.recipe.steps or not _is_through(task.target):
                write_projected(found[task.target], task.target)
                _write_comparison(task, [_pixels(painted[index])])
                self.begun.add(task.target)
        return found

    def _is_tuned(self, task: Task, projected: Projected | None) -> bool:
        """Whether nothing is left to tune."""
        if self.tuning is None:
            return True
        if projected is None or _step(projected) < self.recipe.steps:
            return False
        if not task.snapshot.exists():
            return False
        there, wanted = _said_by(task.snapshot), self._tuned(projected, self.tuning.steps)
        return {name: there.get(name) for name in wanted} == wanted

    def _tuned(self, projected: Projected, steps: int) -> dict[str, str]:
        """What a snapshot says of its tuning."""
        return {
            "parent": self.network_file.stem,
            "tuned_to": projected.photo,
            "tuned_to_w": hashlib.sha256(projected.w.tobytes()).hexdigest(),
            "tuning_steps": str(steps),
        }

    def _tuning(self, task: Task, projected: Projected | None) -> Tuning:
        assert projected is not None and self.tuning is not None
        self._pivot = projected
        pivot = torch.from_numpy(projected.w)[None].to(self.network.device)
        distance = Distance(self._picture(task), self.features, self.recipe.weights)
        return Tuning(self.network, pivot, distance, self.tuning)

    def _write_snapshot(self, task: Task, tuning: Tuning) -> None:
        """Write the network that was tuned, and what it paints beside the photo.

        Cut short, it doesn't cost one that was tuned for longer.
        """
        if not tuning.losses:
            return
        said = self._tuned(self._pivot, len(tuning.losses))
        if len(tuning.losses) < tuning.recipe.steps and task.snapshot.exists():
            there = _said_by(task.snapshot)
            steps = there.get("tuning_steps", "")
            is_longer = steps.isdecimal() and int(steps[:9]) >= len(tuning.losses)
            if is_longer and there.get("tuned_to_w") == said["tuned_to_w"]:
                return
        metadata = {**tuning.network.metadata, **said}
        write_safetensors(replace(tuning.network, metadata=metadata), task.snapshot)
        painted = [network.synthesis(tuning.pivot)[0] for network in (self.network, tuning.network)]
        _write_comparison(task, [_pixels(each) for each in painted])


def _step(projected: Projected | None) -> int:
    """How many steps have been taken of what was begun."""
    step = 0 if projected is None else projected.settings.get("step", 0)
    return step if isinstance(step, int) else 0


def _said_by(snapshot: Path) -> dict[str, str]:
    """The metadata of a snapshot that stands where another may go."""
    try:
        return read_tensors(snapshot, "nothing but the metadata")[1]
    except NetworkError as exc:
        raise OptionError(
            f"{snapshot}: {exc}; it stands where the network goes: name another folder with "
            "--output"
        ) from exc


def _is_through(target: Path) -> bool:
    """Whether a file holds what a recipe has found when it was through."""
    try:
        found = read_projected(target)
    except LatentError:
        return False
    recipe = found.settings.get("recipe")
    return isinstance(recipe, dict) and recipe.get("steps") == _step(found)


def tasks_of(photo: Photo, crops: Sequence[Crop], network: Network, folder: Path) -> list[Task]:
    """The tasks of painting crops of a photo: ``me.npz``, of further ones ``me-2.npz``, …"""
    digest, stem = digest_of(photo.path), photo.path.stem
    return [
        Task(
            photo=photo.path,
            digest=digest,
            size=photo.size,
            crop=crop,
            pixels=cut(photo, crop, network.img_resolution),
            target=folder / f"{stem}{f'-{number}' if number > 1 else ''}.npz",
        )
        for number, crop in enumerate(crops, start=1)
    ]


def psnr(one: Tensor, other: Tensor) -> float:
    """The peak signal-to-noise ratio of pictures in [-1, 1], in dB; what lies beyond is clipped."""
    error = (one.clamp(-1, 1) - other.clamp(-1, 1)).square().mean() / 4
    return float(-10 * torch.log10(error.clamp(min=1e-12)))


def _pixels(picture: Tensor) -> NDArray[np.uint8]:
    """A picture [3, H, W] in [-1, 1] as uint8 [H, W, 3]."""
    levels = (picture.clamp(-1, 1) * 127.5 + 128).clamp(0, 255).to(torch.uint8)
    return levels.permute(1, 2, 0).cpu().numpy()


def _write_comparison(task: Task, found: Sequence[NDArray[np.uint8]]) -> None:
    """Write the photo's crop and what paints it side by side, as a PNG."""
    pictures = [task.pixels, *found]
    side = len(task.pixels)
    page = Image.new("RGB", (len(pictures) * (side + GAP) - GAP, side), "white")
    for index, picture in enumerate(pictures):
        page.paste(Image.fromarray(picture), (index * (side + GAP), 0))
    with whole_file(task.comparison) as part:
        page.save(part, format="PNG")
