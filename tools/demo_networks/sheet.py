"""A sheet: many pictures on one page."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from animix.latents import ws_of_seed
from animix.networks.network import Network
from animix.whole_file import whole_file

SEEDS = range(64)
PSI = 0.7
BATCH = 16


def painted(
    network: Network, seeds: range, psi: float, device: torch.device | None = None
) -> Tensor:
    """The pictures of seeds, truncated to psi: uint8 [N, 3, H, W], on the CPU."""
    network = network.to(device or network.device)
    parts = []
    for start in range(0, len(seeds), BATCH):
        ws = torch.cat([ws_of_seed(network, seed, psi) for seed in seeds[start : start + BATCH]])
        parts.append(levels(network.synthesis(ws)))
    return torch.cat(parts)


def levels(images: Tensor) -> Tensor:
    """Pictures in [-1, 1] as uint8, on the CPU."""
    return (images.clamp(-1, 1) * 127.5 + 128).clamp(0, 255).byte().cpu()


def page(pictures: Tensor, columns: int = 8, gap: int = 2) -> Image.Image:
    """Pictures uint8 [N, 3, H, W] in rows."""
    count, _, height, width = pictures.shape
    rows = -(-count // columns)
    shape = (rows * (height + gap) - gap, columns * (width + gap) - gap, 3)
    sheet = np.full(shape, 255, dtype=np.uint8)
    for index, picture in enumerate(pictures.permute(0, 2, 3, 1).numpy()):
        top, left = (index // columns) * (height + gap), (index % columns) * (width + gap)
        sheet[top : top + height, left : left + width] = picture
    return Image.fromarray(sheet)


def write_page(path: Path, pictures: Tensor, columns: int = 8) -> None:
    """Write pictures uint8 [N, 3, H, W] as one page, a PNG."""
    with whole_file(path) as part:
        page(pictures, columns).save(part, "PNG")


def write_sheet(path: Path, network: Network, device: torch.device, psi: float = PSI) -> None:
    """Write 64 seeds of a network as one page, 8×8."""
    write_page(path, painted(network, SEEDS, psi, device))
