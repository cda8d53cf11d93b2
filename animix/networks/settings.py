"""Settings: what a checkpoint says in texts beside its tensors, for what shapes do not tell."""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType

from animix.errors import NetworkError

Settings = Mapping[str, str]

NO_SETTINGS: Settings = MappingProxyType({})


def positive(settings: Settings, name: str, default: float | None) -> float | None:
    """A setting that is a positive number or ``none``; ``default`` where the file is silent.

    >>> positive({"conv_clamp": "256"}, "conv_clamp", None)
    256.0
    """
    text = settings.get(name)
    if text is None:
        return default
    if text.lower() == "none":
        return None
    try:
        value = float(text)
    except ValueError:
        value = 0
    if not 0 < value < math.inf:
        raise NetworkError(f"the metadata {name} is {text[:40]!r}, expected a number or none")
    return value
