"""The vocabulary: the keys and words of the language, and those whose turn has not come."""

from __future__ import annotations

from typing import Literal

from animix.timeline.audio import AUDIO_KEYS
from animix.timeline.eases import EASES
from animix.timeline.edits import EDIT_KEYS, SEFA
from animix.timeline.framing import FITS
from animix.timeline.grammar import NAMES
from animix.timeline.latent_path import LATENT_KEYS, PATHS, SPACES
from animix.timeline.layers import LAYER_KEYS, TAKES
from animix.timeline.output import OUTPUT_KEYS
from animix.timeline.times import MUSICAL, PLACES, UNITS

KEYS = (
    *("title", "size", "fps", "duration", "loop", "networks", "blend", "mapping"),
    *("latents", "truncation", "label", "noise", "frame", "audio", "markers", "sections"),
    "output",
)
REUSE_KEYS = ("extends", "vars", "variants")
"""Keys of a file that its timeline doesn't have: what they say is put in before it is read."""
LATER_KEYS = ("show", "grid", "overlay", "shutter", "pace", "where")
ELSEWHERE = {
    "bpm": "it stands under audio: write audio: {bpm: 128}",
    "first-beat": "it stands under audio: write audio: {bpm: 128, first-beat: 250ms}",
}
"""Keys that many look for at the top of a timeline, and where they stand."""
FRAME_KEYS = ("fit", "zoom", "pan", "rotate", "background", "into")
NOISES: tuple[Literal["fixed", "none", "random"], ...] = ("fixed", "none", "random")

RESERVED = frozenset(
    (
        *(*KEYS, *REUSE_KEYS, *LATER_KEYS, *FRAME_KEYS, *OUTPUT_KEYS),
        *(*LATENT_KEYS, *EDIT_KEYS, SEFA, *SPACES, *PATHS),
        *(*LAYER_KEYS, *TAKES, *NOISES, *FITS, *AUDIO_KEYS),
        *(*EASES, *PLACES, *UNITS, *MUSICAL, *NAMES),
        *("every", "all", "none", "first", "last", "true", "false", "auto", "null", "seed", "set"),
    )
)
"""Words of the language, which name no network, marker or section."""
