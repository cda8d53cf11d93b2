"""Renders videos from StyleGAN networks that are re-blended for every frame.

>>> import animix
>>> timeline = animix.load_timeline("reel.yaml")           # doctest: +SKIP
>>> animix.render(timeline, "reel.mp4")                    # doctest: +SKIP
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from animix.version import VERSION

if TYPE_CHECKING:
    from animix.checkpoints.load import load_network
    from animix.checkpoints.save import save_network
    from animix.networks.blend import blend
    from animix.networks.sefa import sefa
    from animix.projected import read_projected
    from animix.projection.project import project
    from animix.rendering import render
    from animix.timeline.reader import load_timeline, variants

__version__ = VERSION

__all__ = [
    "__version__",
    "blend",
    "load_network",
    "load_timeline",
    "project",
    "read_projected",
    "render",
    "save_network",
    "sefa",
    "variants",
]

_HOMES = {
    "blend": "animix.networks.blend",
    "load_network": "animix.checkpoints.load",
    "load_timeline": "animix.timeline.reader",
    "project": "animix.projection.project",
    "read_projected": "animix.projected",
    "render": "animix.rendering",
    "save_network": "animix.checkpoints.save",
    "sefa": "animix.networks.sefa",
    "variants": "animix.timeline.reader",
}


def __getattr__(name: str) -> Any:
    # Looked up when first used: importing torch takes a second, and `animix --help` needs none.
    if name not in _HOMES:
        raise AttributeError(f"module 'animix' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
