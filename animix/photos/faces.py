"""Faces: where they are in a photo, and five points of each."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from animix.photos.cascade import SIDES, STRIDE, Stage, open_cascade
from animix.photos.crop import Crop, cut, square
from animix.photos.photo import Photo

Boxes = NDArray[np.float64]
"""Left, top, right, bottom and score: [N, 5]."""

SMALLEST_FACE = 20
"""Pixels a side; less shows no face that a network could paint again."""
SMALLEST_SHARE = 1 / 25
"""Of the photo's shorter side: smaller faces are somebody in the background."""

PYRAMID_STEP = 0.709
SCORES = {"pnet": 0.6, "rnet": 0.7, "onet": 0.8}
"""How sure a network must be to hand a box on."""
OVERLAPS = {"pnet": 0.7, "rnet": 0.7, "onet": 0.7}
MOST_BOXES = 400
"""That the second network looks at, the surest ones; real faces make some dozens."""

SIDE_OF_FACE = 2.5
"""Of the box in which points are placed well, in distances from eye to eye or to the mouth."""
VIEW_SIZES = (0.85, 1.0, 1.15)
VIEW_SHIFTS = ((0.0, 0.0), (0.06, 0.0), (-0.06, 0.0), (0.0, 0.06), (0.0, -0.06))
ROUNDS = 2
MIRRORED = [1, 0, 2, 4, 3]
"""Whose place each point takes in the mirror."""


@dataclass(frozen=True, eq=False)
class Face:
    """A face in a photo.

    ``points`` [5, 2] in the upright photo's pixels: the eye on the picture's left, the one on its
    right, the nose, the mouth's end on the left, the one on the right.
    """

    points: NDArray[np.float64]
    score: float
    """How surely it is one: 0 to 1."""

    @property
    def eye_to_eye(self) -> NDArray[np.float64]:
        """From the left eye to the right one: [2], in pixels."""
        return np.asarray(self.points[1] - self.points[0])

    @property
    def eye_to_mouth(self) -> NDArray[np.float64]:
        """From the middle of the eyes to the middle of the mouth: [2], in pixels."""
        return np.asarray(self.points[3:5].mean(axis=0) - self.points[:2].mean(axis=0))

    @property
    def side(self) -> float:
        """The larger of the distances from eye to eye and to the mouth: how large a face is."""
        return float(max(np.hypot(*self.eye_to_eye), np.hypot(*self.eye_to_mouth)))


def find_faces(photo: Photo) -> tuple[Face, ...]:
    """The faces in a photo, the largest first; OptionError without the extra ``align``.

    From about a twenty-fifth of the photo's shorter side on, turned by up to some thirty degrees.
    """
    stages = open_cascade()
    smallest = max(SMALLEST_FACE, SMALLEST_SHARE * min(photo.size))
    with torch.inference_mode():
        faces = _found(stages, photo, smallest)
        faces = [_refined(stages[2], photo, face) for face in faces]
    return tuple(sorted(faces, key=lambda face: -face.side))


def _found(stages: tuple[Stage, Stage, Stage], photo: Photo, smallest: float) -> list[Face]:
    """The faces as the cascade sees them, by boxes that lie level."""
    proposer, refuser, placer = stages
    # The networks see no more than this of any face, and patches of a large photo take their time.
    scale = min(1.0, SIDES["rnet"] / smallest)
    width, height = (max(1, round(side * scale)) for side in photo.size)
    image = Image.fromarray(photo.pixels).resize((width, height), Image.Resampling.BOX)
    small = Photo(np.array(image), photo.path)

    boxes = _proposed(proposer, image, smallest * scale)
    for stage in (refuser, placer):
        if not len(boxes):
            return []
        squares = _squared(boxes)
        patches = [square(x, y, right - x) for x, y, right, _, _ in squares]
        look = stage.look(_views(small, patches, SIDES[stage.name]))
        sure = (look.scores > SCORES[stage.name]).numpy()
        points = look.points.double().numpy()[sure]
        squares = squares[sure]
        boxes = _moved(squares, look.offsets.double().numpy()[sure])
        boxes[:, 4] = look.scores.double().numpy()[sure]
        kept = _without_overlaps(boxes, OVERLAPS[stage.name], of_smaller=stage is placer)
        boxes, points, squares = boxes[kept], points[kept], squares[kept]
    ratio = np.array(photo.size) / small.size
    sides = (squares[:, 2] - squares[:, 0])[:, None, None]
    placed = (points * sides + squares[:, None, :2]) * ratio
    return [Face(each, float(box[4])) for each, box in zip(placed, boxes, strict=True)]


def _proposed(stage: Stage, image: Image.Image, smallest: float) -> Boxes:
    """The boxes that the first network proposes, in the image's pixels."""
    side = SIDES["pnet"]
    found = [np.zeros((0, 5))]
    scale = side / smallest
    while min(image.size) * scale >= side:
        width, height = (math.ceil(length * scale) for length in image.size)
        level = image.resize((width, height), Image.Resampling.BILINEAR)
        look = stage.look(_tensor([np.array(level)]))
        rows, columns = (look.scores[0] > SCORES["pnet"]).nonzero(as_tuple=True)
        if len(rows):
            corners = torch.stack([columns, rows], dim=1).double().numpy() * STRIDE
            scores = look.scores[0, rows, columns].double().numpy()[:, None]
            boxes = np.concatenate([corners, corners + side, scores], axis=1)
            boxes[:, [0, 2]] *= image.size[0] / width
            boxes[:, [1, 3]] *= image.size[1] / height
            boxes = boxes[np.argsort(-boxes[:, 4], kind="stable")[: 4 * MOST_BOXES]]
            offsets = look.offsets[0, rows, columns].double().numpy()
            order = np.argsort(-scores[:, 0], kind="stable")[: 4 * MOST_BOXES]
            found.append(_apart(_moved(boxes, offsets[order]), 0.5))
        scale *= PYRAMID_STEP
    return _apart(np.concatenate(found), OVERLAPS["pnet"])[:MOST_BOXES]


def _apart(boxes: Boxes, most: float) -> Boxes:
    return boxes[_without_overlaps(boxes, most)]


def _moved(boxes: Boxes, offsets: NDArray[np.float64]) -> Boxes:
    """Boxes moved by offsets [N, 4] of their corners, in their sides."""
    sides = boxes[:, 2:4] - boxes[:, :2]
    corners = boxes[:, :4] + offsets * np.concatenate([sides, sides], axis=1)
    return np.concatenate([corners, boxes[:, 4:]], axis=1)


def _squared(boxes: Boxes) -> Boxes:
    """The squares about the same centres whose sides are the boxes' longer ones."""
    centres = (boxes[:, :2] + boxes[:, 2:4]) / 2
    half = (boxes[:, 2:4] - boxes[:, :2]).max(axis=1, keepdims=True).clip(1) / 2
    return np.concatenate([centres - half, centres + half, boxes[:, 4:]], axis=1)


def _without_overlaps(boxes: Boxes, most: float, of_smaller: bool = False) -> list[int]:
    """The boxes that share no more than ``most`` of their area with a surer one that stays.

    Of the area of both, or that of the smaller one, in which a face may lie whole.
    """
    order = np.argsort(-boxes[:, 4], kind="stable")
    areas = (boxes[:, 2:4] - boxes[:, :2]).clip(0).prod(axis=1)
    kept = []
    while len(order):
        first, order = order[0], order[1:]
        kept.append(int(first))
        low = np.maximum(boxes[first, :2], boxes[order, :2])
        high = np.minimum(boxes[first, 2:4], boxes[order, 2:4])
        shared = (high - low).clip(0).prod(axis=1)
        if of_smaller:
            whole = np.minimum(areas[first], areas[order])
        else:
            whole = areas[first] + areas[order] - shared
        order = order[shared <= most * whole]
    return kept


def _refined(stage: Stage, photo: Photo, face: Face) -> Face:
    """The face with its points placed again, in views of it that stand upright.

    One look errs by some hundredths of the distance between the eyes, and otherwise for each box:
    the mean of looks from a little nearer, farther, aside and in the mirror errs by half of that.
    """
    for _ in range(ROUNDS):
        x, y = face.eye_to_mouth
        along = face.eye_to_eye + np.array([y, -x])
        if not (length := float(np.hypot(*along))):
            return face
        x, y = along / length * face.side * SIDE_OF_FACE
        turn = np.array([[x, -y], [y, x]])
        centre = face.points.mean(axis=0)
        views = []
        for size, shift in itertools.product(VIEW_SIZES, VIEW_SHIFTS):
            matrix = np.eye(3)
            matrix[:2, :2] = turn * size
            matrix[:2, 2] = centre + turn @ shift - matrix[:2, :2] @ [0.5, 0.5]
            views.append(Crop(matrix))
        pictures = _views(photo, views, SIDES[stage.name])
        points = stage.look(pictures).points.double().numpy()
        mirrored = stage.look(pictures.flip(3)).points.double().numpy()[:, MIRRORED]
        mirrored[..., 0] = 1 - mirrored[..., 0]
        mean = (points + mirrored) / 2
        places = [
            each @ view.matrix[:2, :2].T + view.matrix[:2, 2]
            for each, view in zip(mean, views, strict=True)
        ]
        face = Face(np.mean(places, axis=0), face.score)
    return face


def _views(photo: Photo, crops: list[Crop], size: int) -> Tensor:
    return _tensor([cut(photo, crop, size) for crop in crops])


def _tensor(pictures: list[NDArray[np.uint8]]) -> Tensor:
    """Pictures [H, W, 3] as a network takes them: [N, 3, H, W], 0 to 255."""
    return torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).float()
