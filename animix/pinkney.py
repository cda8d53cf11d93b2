"""The rule of Pinkney's ``blend_models.py``, by which most published blends were made.

Pinkney and Adler 2020, "Resolution Dependent GAN Interpolation for Controllable Image Synthesis
Between Domains"; https://github.com/justinpinkney/stylegan2, written anew from what it computes.
"""

from __future__ import annotations

import math
import re

import torch

from animix.errors import OptionError
from animix.networks.blend import check_blendable
from animix.networks.network import Network

_TENSOR = re.compile(r"synthesis\.b(\d+)\.(const|conv0|conv1|torgb)(?:\.|$)")
_UNTRAINED = ("noise_const", "resample_filter")
_LARGEST = 1024


def position(tensor: str) -> int | None:
    """The place of a tensor in the order of half blocks; None for what the rule never touches.

    2 · (log2 r − 2) at resolution r for the constant and the up-convolution, one more for the
    second convolution and torgb. Mapping, w_avg and noise images have none, and neither has the
    convolution at 4 px: the rule looks for names that TensorFlow's network does not give it.

    >>> position("synthesis.b4.const"), position("synthesis.b8.conv1.weight")
    (0, 3)
    >>> position("synthesis.b4.conv1.weight"), position("mapping.fc0.weight")
    (None, None)
    """
    match = _TENSOR.match(tensor)
    if match is None or tensor.endswith(_UNTRAINED):
        return None
    resolution, part = int(match[1]), match[2]
    if (resolution, part) == (4, "conv1") or resolution > _LARGEST:
        return None
    return 2 * (resolution.bit_length() - 3) + (part in ("conv1", "torgb"))


def pinkney_share(x: float, width: float | None) -> float:
    """The high network's share ``x`` half blocks above the one where the rule is centred.

    Without a width (or with 0) it is 1 where x > 1: the rule keeps the low network up to and
    including the resolution that it is given. With a width it is 1 / (1 + exp(−x / width)).

    >>> pinkney_share(1, None), pinkney_share(2, None), pinkney_share(0, 1.0)
    (0.0, 1.0, 0.5)
    """
    if not width:
        return float(x > 1)
    exponent = -x / width
    # Beyond that, exp overflows and the share is 0 to the last bit.
    return 1 / (1 + math.exp(exponent)) if exponent < 700 else 0.0


def pinkney_shares(
    network: Network, resolution: int, level: int = 0, width: float | None = None
) -> dict[str, float]:
    """The high network's share in each tensor that the rule mixes.

    ``level`` says at which half of the resolution's block the rule is centred: 0 or 1. OptionError
    where the network has no such half block.
    """
    if network.facts.kind != "stylegan2":
        raise OptionError("the rule pinkney is for StyleGAN2; other networks blend by swap level")
    positions = {name: place for name in network.tensors if (place := position(name)) is not None}
    wanted = 2 * (math.log2(resolution) - 2) + level if resolution > 0 else None
    if level not in (0, 1) or wanted not in positions.values():
        known = ", ".join(str(r) for r in sorted(set(network.facts.resolutions)) if r <= _LARGEST)
        raise OptionError(
            f"the rule pinkney finds nothing at resolution {resolution}, level {level}; this "
            f"network has the resolutions {known} with the levels 0 and 1"
        )
    assert wanted is not None
    return {name: pinkney_share(place - wanted, width) for name, place in positions.items()}


@torch.no_grad()
def pinkney_blend(
    low: Network,
    high: Network,
    resolution: int,
    level: int = 0,
    width: float | None = None,
) -> Network:
    """The network that ``blend_models.py`` makes of two: y · high + (1 − y) · low in each tensor.

    Whatever the rule does not touch is the low network's. BlendError: networks of other shapes.
    """
    if width is not None and not 0 <= width < math.inf:
        raise OptionError(
            f"--blend-width {width:g}: expected a number above 0, or 0 for a hard edge"
        )
    check_blendable(low, high, ("the low network", "the high network"))
    mixed = {}
    for name, share in pinkney_shares(low, resolution, level, width).items():
        if share != 0:
            above = high.tensors[name].to(low.device)
            mixed[name] = above if share == 1 else above * share + low.tensors[name] * (1 - share)
    return low.with_tensors(mixed)
