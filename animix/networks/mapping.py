"""The mapping network, which StyleGAN2 and StyleGAN3 share: z and label to w, and truncation."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn.functional import leaky_relu, linear

LR_MULTIPLIER = 0.01
"""The mapping layers learn a hundred times slower, so their weights are stored that much larger."""


def fully_connected(x: Tensor, weight: Tensor, bias: Tensor, lr_multiplier: float = 1) -> Tensor:
    """The layer with equalised learning rate (Karras et al. 2018, section 4.1): [N, out].

    The stored ``weight`` [out, in] has unit variance and is scaled by 1/√in when it is used: x is
    scaled instead, which is as good and far smaller.
    """
    return linear(x * (lr_multiplier / weight.shape[1] ** 0.5), weight, bias * lr_multiplier)


def normalized(x: Tensor) -> Tensor:
    """Scale each row of x [N, C] to a second moment of 1 (Karras et al. 2018, section 4.2)."""
    return x * (x.square().mean(dim=1, keepdim=True) + 1e-8).rsqrt()


@torch.no_grad()
def map_latents(tensors: Mapping[str, Tensor], z: Tensor, label: Tensor | None) -> Tensor:
    """The w [N, w_dim] of z [N, z_dim] and, in a conditional network, label [N, c_dim].

    Karras et al. 2019, section 2; the label's embedding stands after z (Karras et al. 2020b).
    """
    # A purely conditional network has a z_dim of 0, and the mean of no numbers is not a number.
    parts = [normalized(z)] if z.shape[1] else []
    if label is not None:
        embedding = fully_connected(
            label, tensors["mapping.embed.weight"], tensors["mapping.embed.bias"]
        )
        parts.append(normalized(embedding))
    x = torch.cat(parts, dim=1)
    depth = 0
    while f"mapping.fc{depth}.weight" in tensors:
        weight, bias = tensors[f"mapping.fc{depth}.weight"], tensors[f"mapping.fc{depth}.bias"]
        x = leaky_relu(fully_connected(x, weight, bias, LR_MULTIPLIER), 0.2) * 2**0.5
        depth += 1
    return x


@torch.no_grad()
def truncated(ws: Tensor, w_avg: Tensor, psi: Tensor) -> Tensor:
    """The ws [N, num_ws, w_dim] pulled towards w_avg [w_dim], each by its psi [num_ws].

    The truncation trick in W: w_avg + psi · (w − w_avg) (Karras et al. 2019, appendix B). A psi of
    1 leaves a w exactly as it is.
    """
    psi = psi[:, None]
    return torch.where(psi == 1, ws, w_avg + psi * (ws - w_avg))
