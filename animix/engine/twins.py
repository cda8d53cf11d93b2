"""Plain torch twins of the kernels: the same signatures and, but for rounding, the same numbers."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import conv2d, conv_transpose2d, leaky_relu

from animix.engine import pixels
from animix.engine.finish import UNCLAMPED, Finish
from animix.engine.resampling import Resampling
from animix.engine.stack import BLOCK
from animix.networks import stylegan3
from animix.networks.extent import Extent


def mix_kernels(stack: Tensor, shares: Tensor, row_of_block: Tensor) -> Tensor:
    """As ``Operations.mix_kernels`` promises."""
    of_block = shares[:, row_of_block.long()]  # [B, blocks, K]
    blocks = stack.float().view(len(stack), -1, BLOCK)
    return torch.einsum("bnk,knm->bnm", of_block, blocks).flatten(1).to(stack.dtype)


def epilogue(
    y: Tensor,
    finish: Finish,
    previous: Tensor | None,
    residual: Tensor | None,
    image: Tensor | None,
) -> tuple[Tensor | None, Tensor | None]:
    """As ``Operations.epilogue`` promises."""
    y = _unfolded(y) if finish.folded else y
    channels = y.shape[3]
    v = _activated(y.float(), finish)
    if residual is not None:
        v = v + _twice(residual.float().permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
    if finish.rgb_weight is not None and finish.rgb_bias is not None:
        assert image is not None
        picture = torch.einsum("bhwc,bdc->bdhw", v, finish.rgb_weight[..., :channels])
        picture = picture + finish.rgb_bias[:, :, None, None]
        picture = picture.clamp(-finish.rgb_clamp, finish.rgb_clamp)
        image.copy_(picture if previous is None else picture + _twice(previous))
    raw = v.to(y.dtype) if finish.keeps_raw else None
    return (None if finish.next_style is None else _next_input(v, finish, y.dtype)), raw


def blur_epilogue(t: Tensor, finish: Finish) -> Tensor:
    """As ``Operations.blur_epilogue`` promises."""
    channels = t.shape[3]
    blurred = conv2d(
        t.float().permute(0, 3, 1, 2), 4 * _taps(t, channels), padding=1, groups=channels
    )
    return _next_input(_activated(blurred.permute(0, 2, 3, 1), finish), finish, t.dtype)


def _unfolded(y: Tensor) -> Tensor:
    """The phases [B, h, w, 4·C] as one picture [B, 2h, 2w, C]."""
    batch, height, width, channels = y.shape
    phases = y.view(batch, height, width, 2, 2, channels // 4)  # …, row, column, C
    return phases.permute(0, 1, 3, 2, 4, 5).flatten(3, 4).flatten(1, 2)


def _activated(y: Tensor, finish: Finish) -> Tensor:
    channels = y.shape[3]
    noise = finish.noise.float() * finish.noise_strength[:, None, None]
    v = y * finish.demodulation[:, None, None, :channels] + noise[..., None]
    v = leaky_relu(v + finish.bias[:, None, None, :channels], 0.2) * finish.gain
    return v.clamp(-finish.clamp, finish.clamp)


def _next_input(v: Tensor, finish: Finish, dtype: torch.dtype) -> Tensor:
    assert finish.next_style is not None
    v = v * finish.next_style[:, None, None, : v.shape[3]]
    if finish.next_shares is not None:
        v = (v[..., None, :] * finish.next_shares[:, None, None, :, None]).flatten(3)
    return v.to(dtype)


def _twice(x: Tensor) -> Tensor:
    """The x [B, C, h, w] twice as large, zeros between its values smoothed by 1-3-3-1."""
    channels = x.shape[1]
    return conv_transpose2d(x, 4 * _taps(x, channels), stride=2, padding=1, groups=channels)


def _taps(like: Tensor, channels: int) -> Tensor:
    row = torch.tensor([1.0, 3.0, 3.0, 1.0], device=like.device) / 8
    return torch.outer(row, row).expand(channels, 1, 4, 4)


def filtered(
    y: Tensor,
    resampling: Resampling,
    gain: Tensor,
    bias: Tensor,
    next_style: Tensor,
    clamp: float | None,
    extent: Extent,
) -> Tensor:
    """As ``Operations.filtered`` promises."""
    channels = y.shape[3]
    x = y.float() * gain[:, None, None, :channels] + bias[:, None, None, :channels]
    v = stylegan3.filtered(
        x.permute(0, 3, 1, 2),
        resampling.plan,
        resampling.up,
        resampling.down,
        extent,
        slope=0.2,
        clamp=clamp,
    )
    v = v.permute(0, 2, 3, 1) * next_style[:, None, None, :channels]
    return v.to(y.dtype).contiguous()


def colours(
    x: Tensor, weight: Tensor, bias: Tensor, clamp: float | None, scale: float, image: Tensor
) -> None:
    """As ``Operations.colours`` promises."""
    limit = UNCLAMPED if clamp is None else clamp
    picture = torch.einsum("bhwc,bdc->bdhw", x.float(), weight[..., : x.shape[3]])
    picture = picture + bias[:, :, None, None]
    image.copy_(picture.clamp(-limit, limit) * scale)


def yuv420(canvases: Tensor, frames: Sequence[int]) -> Tensor:
    """As ``Operations.yuv420`` promises."""
    pairs = zip(canvases, frames, strict=True)
    return torch.stack([pixels.to_yuv420(canvas, frame) for canvas, frame in pairs])
