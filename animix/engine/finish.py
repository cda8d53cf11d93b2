"""The finish: what is done to a convolution's result before the next one, batch by batch."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

UNCLAMPED = 3e38


@dataclass(frozen=True)
class Finish:
    """Demodulation, noise, bias, leaky ReLU and clamp; then torgb, and the next layer's style.

    Rows of [B, C] tensors may lie apart, all by the same stride.
    """

    demodulation: Tensor  # [B, C]
    bias: Tensor  # [B, C]
    noise: Tensor  # [1 or B, H, W]
    noise_strength: Tensor  # [B]
    gain: float
    clamp: float
    folded: bool = False
    """Whether the result comes as four phases, [B, H/2, W/2, 4·C]."""
    next_style: Tensor | None = None  # [B, C]; None: no convolution follows
    next_shares: Tensor | None = None  # [B, N]: the next input has N copies, each multiplied
    rgb_weight: Tensor | None = None  # [B, 3, C]
    rgb_bias: Tensor | None = None  # [B, 3]
    rgb_clamp: float = UNCLAMPED
    keeps_raw: bool = False

    @property
    def copies(self) -> int:
        """Copies in the next input; 0: one, without shares."""
        return 0 if self.next_shares is None else self.next_shares.shape[1]
