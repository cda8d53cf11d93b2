"""Hearing: the envelopes of what is heard in a clip, with its trim, its fades and its loudness."""

from __future__ import annotations

import numpy as np

from animix.errors import SoundError
from animix.sound.decoding import run_samples
from animix.sound.envelopes import Envelopes, measure
from animix.sound.spectrum import RATE, Floats
from animix.timeline.audio import Audio
from animix.timeline.keyframes import Clip
from animix.video.soundtrack import SAMPLE_RATE, Soundtrack, mistake_of, open_soundtrack


def hear(audio: Audio, clip: Clip) -> Envelopes:
    """The envelopes of a clip's sound; of one that loops they loop as well.

    Raises TimelineError where the sound can't be read.
    """
    soundtrack = open_soundtrack(audio, clip)
    assert soundtrack is not None  # there is an audio
    try:
        return envelopes_of(soundtrack, audio, loop=clip.loop)
    except SoundError as error:
        raise mistake_of(audio, "file", str(error)) from error


def envelopes_of(soundtrack: Soundtrack, audio: Audio, *, loop: bool) -> Envelopes:
    """The envelopes of a soundtrack as it is heard."""
    return measure(
        samples_of(soundtrack),
        loop=loop,
        attack_seconds=float(audio.attack_seconds),
        release_seconds=float(audio.release_seconds),
    )


def samples_of(soundtrack: Soundtrack) -> Floats:
    """The samples of a soundtrack as it is heard in its clip, at 24 kHz: [N, 2] in -1..1."""
    filters = soundtrack.filters(range(soundtrack.clip))
    samples = run_samples(soundtrack.path, ["-af", filters], 2)
    # Converted to another rate it may be a sample longer or shorter than the clip.
    count = max(1, round(soundtrack.clip * RATE / SAMPLE_RATE))
    padded: Floats = np.pad(samples[:count], ((0, max(0, count - len(samples))), (0, 0)))
    return padded
