"""Judges: whose features a projection compares pictures by, as a user names them."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import torch

from animix.checkpoints.discriminators import load_discriminator
from animix.errors import NetworkError, OptionError
from animix.networks.network import Network
from animix.projection.efficientnet import efficientnet_features
from animix.projection.features import Features, discriminator_features
from animix.projection.vgg import read_vgg

AUTO = "auto"
NAMES = ("auto", "discriminator", "efficientnet", "pixels")

_WITHOUT = (
    "{network} carries no discriminator, so pictures are compared by pixels and edges alone; "
    "better: pip install 'animix[features]', or name a VGG16 or LPIPS file with --features"
)


def choose_features(
    wanted: str, path: Path, network: Network, device: torch.device
) -> tuple[Features | None, str]:
    """The features to compare by, None for pixels and edges alone, and what is to be told of it.

    ``auto``: those of the discriminator that the checkpoint ``path`` carries, else EfficientNet's
    if it is installed, else none. ``wanted`` may also be a file: a VGG16, an LPIPS or a
    discriminator.
    """
    if wanted in (AUTO, "discriminator"):
        if found := load_discriminator(path):
            if found.img_resolution == network.img_resolution:
                return discriminator_features(found.to(device)), ""
            raise NetworkError(
                f"{path}: its discriminator takes pictures of {found.img_resolution} px, the "
                f"generator paints {network.img_resolution}"
            )
        if wanted != AUTO:
            raise OptionError(
                f"{path} carries no discriminator, and none lies beside it; take --features auto"
            )
    if wanted == "pixels":
        return None, ""
    installed = find_spec("efficientnet_lite_pytorch") is not None
    if wanted == "efficientnet" or (wanted == AUTO and installed):
        return efficientnet_features(device), ""
    if wanted == AUTO:
        return None, _WITHOUT.format(network=path)
    file = Path(wanted)
    if not file.exists():
        raise OptionError(
            f'--features "{wanted[:200]}": expected one of {", ".join(NAMES)}, or a file of VGG16, '
            "LPIPS or a discriminator"
        )
    try:
        return read_vgg(file, device), ""
    except NetworkError as not_vgg:
        try:
            found = load_discriminator(file)
        except NetworkError:
            found = None
        if found is None or found.img_resolution != network.img_resolution:
            raise not_vgg
        told = f"--features {file} is no VGG16: its discriminator compares pictures"
        return discriminator_features(found.to(device)), told
