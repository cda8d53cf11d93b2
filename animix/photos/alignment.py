"""Alignment: which squares of a photo are taken, from faces that are found in it or as told."""

from __future__ import annotations

import numpy as np

from animix.errors import OptionError, PhotoError
from animix.photos.crop import Crop, centre_crop, parse_crop
from animix.photos.faces import Face, find_faces
from animix.photos.photo import Photo
from animix.tables import count

EYE_DISTANCES = 2.0
MOUTH_DISTANCES = 1.8
"""How far the crop's sides lie from its centre, at least, in distances between the eyes, and from
them to the mouth."""
TOWARDS_MOUTH = 0.1
"""Of the way from the eyes to the mouth: where the crop's centre lies."""
LIDS_BELOW_PUPILS = 0.03
"""In distances between the eyes. FFHQ's eyes are the means of six points on the lids, as dlib sees
them, ours are the pupils: over 29 faces in 20 photos its lay lower by 0.029 and 0.035 in the
median, MediaPipe's lids by 0.028 and 0.034. Aside they differed by half of that, and in the mouth
also, which is less than one face differs from another."""


def ffhq_crop(face: Face) -> Crop:
    """The crop of a face as the pictures of FFHQ were cropped.

    Karras, Laine and Aila, "A Style-Based Generator Architecture for Generative Adversarial
    Networks", 2019, with the numbers of the data set: the centre is a tenth of the way from the
    eyes to the mouth; half a side is the larger of 2 distances between the eyes and 1.8 from them
    to the mouth; its direction is the mean of that from eye to eye and the upright of that to the
    mouth.
    """
    across, down = face.eye_to_eye, face.eye_to_mouth
    eyes = face.points[:2].mean(axis=0)
    lower = LIDS_BELOW_PUPILS * np.array([-across[1], across[0]])
    eyes, down = eyes + lower, down - lower
    along = across + np.array([down[1], -down[0]])
    length = float(np.hypot(*along))
    if not length:
        raise PhotoError("this face has no direction: its eyes and mouth lie on one point")
    half = max(EYE_DISTANCES * np.hypot(*across), MOUTH_DISTANCES * np.hypot(*down))
    x, y = along / length * half
    turn = np.array([[x, -y], [y, x]])
    matrix = np.eye(3)
    matrix[:2, :2] = 2 * turn
    matrix[:2, 2] = eyes + TOWARDS_MOUTH * down - turn @ [1, 1]
    return Crop(matrix, "face")


def face_crops(photo: Photo) -> tuple[Crop, ...]:
    """The crop of each face in a photo, the largest first; OptionError without the extra."""
    return tuple(ffhq_crop(face) for face in find_faces(photo))


def crops_of(
    photo: Photo, *, align: bool = False, face: int | None = None, crop: str | None = None
) -> tuple[Crop, ...]:
    """The squares that are taken of a photo, one or more.

    ``crop`` as X,Y,SIZE; otherwise, with ``align``, each face, or the ``face``-th largest one (from
    1 on); otherwise, and where there is no face, the middle. OptionError for what can't be.
    """
    name = photo.path
    if crop is not None:
        if align or face is not None:
            raise OptionError("--crop says where to cut already: leave out --align and --face")
        chosen = parse_crop(crop)
        if (chosen.corners < 0).any() or (chosen.corners > photo.size).any():
            width, height = photo.size
            raise OptionError(
                f"{name}: crop {crop} reaches beyond the photo, which has {width}x{height} pixels"
                " as it stands upright"
            )
        return (chosen,)
    if face is not None and not align:
        raise OptionError(f"--face {face} chooses among the faces that --align finds: add --align")
    if face is not None and face < 1:
        raise OptionError(f"--face {face}: the largest face is 1, the next one 2")
    if not align:
        return (centre_crop(photo),)
    crops = face_crops(photo)
    if face is None:
        return crops or (centre_crop(photo),)
    if face > len(crops):
        found = count(len(crops), "face") if crops else "no face"
        raise OptionError(
            f"{name}: --face {face}, but {found} found in it; choose another, or --crop X,Y,SIZE"
        )
    return (crops[face - 1],)
