"""The operations that the engines leave to kernels, or to the kernels' plain twins."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from torch import Tensor

from animix.engine.finish import Finish


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

    def yuv420(self, canvases: Tensor, frames: Sequence[int]) -> Tensor:
        """Canvases [B, 3, H, W] as ``pixels.to_yuv420`` makes each: uint8 [B, H · W · 3/2]."""
