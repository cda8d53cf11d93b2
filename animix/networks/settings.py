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
    value = _number(text)
    if not 0 < value < math.inf:
        raise _misfit(name, text, "a number or none")
    return value


def number(settings: Settings, name: str) -> float:
    """A setting of the file's that is a number.

    >>> number({"output_scale": "0.5"}, "output_scale")
    0.5
    """
    value = _number(settings[name])
    if not math.isfinite(value):
        raise _misfit(name, settings[name], "a number")
    return value


def whole(settings: Settings, name: str) -> int:
    """A setting of the file's that is a whole number.

    >>> whole({"num_layers": "14"}, "num_layers")
    14
    """
    value = number(settings, name)
    if value != int(value):
        raise _misfit(name, settings[name], "a whole number")
    return int(value)


def truth(settings: Settings, name: str) -> bool:
    """A setting of the file's that is ``true`` or ``false``.

    >>> truth({"use_radial_filters": "True"}, "use_radial_filters")
    True
    """
    text = settings[name]
    if text.lower() not in ("true", "false"):
        raise _misfit(name, text, "true or false")
    return text.lower() == "true"


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def _misfit(name: str, text: str, expected: str) -> NetworkError:
    return NetworkError(f"the metadata {name} is {text[:40]!r}, expected {expected}")
