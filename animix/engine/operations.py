"""The operations that the engines leave to kernels, or to the kernels' plain twins."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from torch import Tensor

from animix.engine.finish import Finish
from animix.engine.resampling import Resampling
from animix.networks.extent import Extent


class Operations(Protocol):
    """What kernels.py and twins.py both do, with the same numbers but for rounding."""

    def mix_kernels(self, stack: Tensor, shares: Tensor, row_of_block: Tensor) -> Tensor:
        """Mixed weights [B, n] of the stack [K, n] by shares [B, rows, K].

        ``row_of_block`` tells which row of the shares mixes each block of weights.
        """

    def epilogue(
        self,
        y: Tensor,
        finish: Finish,
        previous: Tensor | None,
        residual: Tensor | None,
        image: Tensor | None,
    ) -> tuple[Tensor | None, Tensor | None]:
        """What follows a convolution's y [B, H, W, C]: the next one's input, the raw activations.

        ``image`` [B, 3, H, W] is written: the picture so far, ``previous`` made twice as large and
        added. ``residual`` [B, H/2, W/2, C] is made twice as large and added to the activations.
        """

    def blur_epilogue(self, t: Tensor, finish: Finish) -> Tensor:
        """What follows a transposed convolution's t [B, H+1, W+1, C]: the blur, the next input."""

    def filtered(
        self,
        y: Tensor,
        resampling: Resampling,
        gain: Tensor,
        bias: Tensor,
        next_style: Tensor,
        clamp: float | None,
        extent: Extent,
    ) -> Tensor:
        """StyleGAN3's leaky ReLU between two filters, of a convolution's y [B, h, w, C].

        Before it come gain and bias [B, C], after it the next convolution's style [B, C]; their
        rows may lie apart, all by the same stride.
        """

    def colours(
        self,
        x: Tensor,
        weight: Tensor,
        bias: Tensor,
        clamp: float | None,
        scale: float,
        image: Tensor,
    ) -> None:
        """StyleGAN3's last layer: ``image`` [B, 3, H, W] is written, from x [B, H, W, C].

        Weights are [B, 3, C]; the bias [B, 3] comes before the clamp, the scale after it.
        """

    def yuv420(self, canvases: Tensor, frames: Sequence[int]) -> Tensor:
        """Canvases [B, 3, H, W] as ``pixels.to_yuv420`` makes each: uint8 [B, H · W · 3/2]."""
