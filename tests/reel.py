"""A reel whose files lie in a folder that nobody is to hear of, for the tests."""

from __future__ import annotations

from collections import deque
from pathlib import Path
from typing import Any

import numpy as np

from animix.film import Film, open_film
from animix.provenance import parts_of, recipe_of
from animix.rendering import encode
from animix.timeline.reader import load_timeline
from animix.whole_file import digest_of
from tests.sounds import noise, write_wav
from tests.tiny import relative_of, tiny_tensors, write_tensors

REEL = """
# A comment of nobody else's business.
networks: {faces: secret/faces.safetensors, art: "secret/art-*.safetensors", spare: none.pkl}
duration: 20f
fps: 10
latents: {0f: 3, 5f: secret/w.npy smooth, "10f..15f every 5f": 4 -> secret/w.npy, end: 3}
audio: {file: secret/song.wav, loop: true, fade-in: 100ms}
output: secret/out.mp4
blend: [faces, {art: {swap: {0%: none, 50%: 8, 100%: none}, snapshot: {0%: 0, 50%: 2, 100%: 0}}}]
"""


def make_reel(folder: Path) -> Path:
    """Two snapshots over a base, a projected latent and a sound in a folder, and a timeline."""
    tensors, metadata = tiny_tensors()
    (folder / "secret").mkdir()
    write_tensors(folder / "secret" / "faces.safetensors", tensors, metadata)
    for number in (1, 2):
        relative = relative_of(tensors, amount=0.05 * number, seed=number)
        write_tensors(folder / "secret" / f"art-{number}.safetensors", relative, metadata)
    np.save(folder / "secret" / "w.npy", np.linspace(-1, 1, 16, dtype=np.float32))
    write_wav(folder / "secret" / "song.wav", noise(0.7))
    (folder / "reel.yaml").write_text(REEL)
    return folder


def open_reel(folder: Path, text: str = REEL, **options: Any) -> Film:
    """The film of that timeline, or of another text in its place."""
    (folder / "reel.yaml").write_text(text)
    return open_film(load_timeline(folder / "reel.yaml"), device="cpu", **options)


def recipe(film: Film, command: str = "render") -> str:
    """Its recipe, with every file's digest."""
    return recipe_of(film, {path: digest_of(path) for path in parts_of(film)}, command)


def render(film: Film, target: Path, **options: Any) -> bytes:
    """The bytes of the film."""
    deque(encode(film, target, **options), maxlen=0)
    return target.read_bytes()
