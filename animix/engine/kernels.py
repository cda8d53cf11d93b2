"""The fast path's kernels, in Triton; twins.py has a plain twin of the same signature for each."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from typing import Any

import torch
import triton
from torch import Tensor

from animix.engine import pixels, programs, stylegan3_programs
from animix.engine.finish import UNCLAMPED, Finish
from animix.engine.resampling import FINE_WIDTH, OUT_WIDTH, Resampling
from animix.engine.stack import BLOCK
from animix.engine.transfer import upload
from animix.networks.extent import Extent


def mix_kernels(stack: Tensor, shares: Tensor, row_of_block: Tensor) -> Tensor:
    """As ``Operations.mix_kernels`` promises."""
    num_slots, num_weights = stack.shape
    out = torch.empty(len(shares), num_weights, dtype=stack.dtype, device=stack.device)
    programs.mix_program[(num_weights // BLOCK, len(shares))](
        stack,
        shares,
        row_of_block,
        out,
        num_weights,
        shares.shape[1],
        K=num_slots,
        BLOCK=BLOCK,
        num_warps=4,
    )
    return out


_TUNED = {32: (64, 2), 64: (128, 4), 128: (64, 2), 256: (4, 2)}
"""By channels: pixels and warps of an epilogue's program, as measured with a torgb on an H100.

At 512 px (64 channels) 64 pixels and 4 warps take 57 µs, 128 and 4 take 38; others win 5 to 15 %.
"""


def epilogue(
    y: Tensor,
    finish: Finish,
    previous: Tensor | None,
    residual: Tensor | None,
    image: Tensor | None,
) -> tuple[Tensor | None, Tensor | None]:
    """As ``Operations.epilogue`` promises."""
    batch, height, width, channels = y.shape
    if finish.folded:
        height, width, channels = 2 * height, 2 * width, channels // 4
    out = raw = None
    if finish.next_style is not None:
        out = y.new_empty(batch, height, width, channels * max(finish.copies, 1))
    if finish.keeps_raw:
        raw = y.new_empty(batch, height, width, channels)
    pixels, num_warps = _TUNED.get(channels, (max(4096 // channels, 4), 4))
    unused = y
    programs.epilogue_program[(triton.cdiv(height * width, pixels), batch)](
        y, finish.demodulation, finish.bias, finish.noise, finish.noise_strength,
        _or(finish.next_style, unused), _or(finish.next_shares, unused),
        _or(finish.rgb_weight, unused), _or(finish.rgb_bias, unused), _or(previous, unused),
        _or(residual, unused), _or(out, unused), _or(raw, unused), _or(image, unused),
        height, width, finish.demodulation.stride(0),
        height * width if len(finish.noise) > 1 else 0,
        C=channels, PIXELS=pixels, COPIES=finish.copies, RGB=finish.rgb_weight is not None,
        PREVIOUS=previous is not None, RESIDUAL=residual is not None, RAW=raw is not None,
        OUT=out is not None, FOLDED=finish.folded, GAIN=finish.gain, CLAMP=finish.clamp,
        RGB_CLAMP=finish.rgb_clamp, num_warps=num_warps,
    )  # fmt: skip
    return out, raw


UNROLLED_ROWS = {32: 8, 64: 8, 128: 8}
"""By channels: rows of the blur that the compiler unrolls. With many channels, where little time
goes, it would take most of a cold start for them."""


def blur_epilogue(t: Tensor, finish: Finish) -> Tensor:
    """As ``Operations.blur_epilogue`` promises."""
    batch, height, width, channels = t.shape
    height, width = height - 1, width - 1
    assert finish.next_style is not None
    out = t.new_empty(batch, height, width, channels * max(finish.copies, 1))
    # 5 to 13 µs a layer faster on an H100 than twice the columns, half the rows or half the warps.
    columns = min(triton.next_power_of_2(width), max(1024 // channels, 4))
    rows = min(height, 8)
    unrolled = min(rows, UNROLLED_ROWS.get(channels, 1))
    programs.blur_epilogue_program[(triton.cdiv(width, columns), triton.cdiv(height, rows), batch)](
        t, finish.demodulation, finish.bias, finish.noise, finish.noise_strength, finish.next_style,
        _or(finish.next_shares, t), out, height, width, finish.demodulation.stride(0),
        height * width if len(finish.noise) > 1 else 0,
        C=channels, COPIES=finish.copies, COLUMNS=columns, ROWS=rows, UNROLLED=unrolled,
        GAIN=finish.gain, CLAMP=finish.clamp, num_warps=4,
    )  # fmt: skip
    return out


FILTERED_CHANNELS = 16
"""Channels of a filtering program: 32 bytes of each pixel, as few as memory gives at a time."""

FILTERED_ROWS = (64, 32, 16, 8)
"""Rows of a filtering program: each starts with some that it makes nothing from."""

FILTERED_PROGRAMS = 264
"""With fewer programs than this a program has fewer rows. An H100 runs so many at a time, two on
each of its processors, for 8 warps with 128 registers are half of one."""


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
    plan, tile, (batch, height, width, channels) = resampling.plan, resampling.tile, y.shape
    out_height, out_width = plan.output.sides(extent)
    out = y.new_empty(batch, out_height, out_width, channels)
    across = triton.cdiv(out_width, tile.out_columns)
    beside = triton.cdiv(channels, FILTERED_CHANNELS) * batch
    rows = FILTERED_ROWS[-1]
    for rows in FILTERED_ROWS:
        if across * beside * triton.cdiv(out_height, rows) >= FILTERED_PROGRAMS:
            break
    stylegan3_programs.filtered_program[(across, triton.cdiv(out_height, rows), beside)](
        y, gain, bias, next_style, out, resampling.across_up, resampling.across_down,
        resampling.up_taps, resampling.down_taps, height, width, out_height, out_width,
        resampling.first, gain.stride(0),
        C=channels, CHANNELS=FILTERED_CHANNELS, IN_WIDTH=tile.in_width, FINE_WIDTH=FINE_WIDTH,
        OUT_WIDTH=OUT_WIDTH, COLUMNS=tile.out_columns, ROWS=rows,
        UP=plan.up.factor, DOWN=plan.down.factor, UP_STEPS=resampling.up_steps,
        DOWN_STEPS=resampling.down_steps, RANK=resampling.rank,
        PERIOD=math.lcm(plan.up.factor, plan.down.factor, 2), PHASE=resampling.phase,
        SLOPE=0.2, CLAMP=clamp or 0.0, CLAMPED=clamp is not None, num_warps=8, maxnreg=128,
    )  # fmt: skip
    return out


def colours(
    x: Tensor, weight: Tensor, bias: Tensor, clamp: float | None, scale: float, image: Tensor
) -> None:
    """As ``Operations.colours`` promises."""
    batch, height, width, channels = x.shape
    filled = triton.next_power_of_2(channels)
    pixels = max(4096 // filled, 4)
    stylegan3_programs.colours_program[(triton.cdiv(height * width, pixels), batch)](
        x, weight, bias, image, height * width, weight.stride(1), scale, C=channels, FILLED=filled,
        PIXELS=pixels, CLAMP=UNCLAMPED if clamp is None else clamp, num_warps=4,
    )  # fmt: skip


def _or(tensor: Tensor | None, unused: Tensor) -> Any:
    return unused if tensor is None else tensor


def yuv420(canvases: Tensor, frames: Sequence[int]) -> Tensor:
    """As ``Operations.yuv420`` promises."""
    batch, _, height, width = canvases.shape
    threshold = pixels.threshold(canvases.device)
    shifts_there = upload(pixels.dither_shifts(frames), canvases.device)
    out = torch.empty(batch, height * width * 3 // 2, dtype=torch.uint8, device=canvases.device)
    programs.yuv420_program[(triton.cdiv(height * width // 4, 512), batch)](
        canvases, threshold, shifts_there, out, height, width, SIDE=len(threshold), PIXELS=512,
        KR=pixels.KR, KG=pixels.KG, KB=pixels.KB, CB=2 - 2 * pixels.KB, CR=2 - 2 * pixels.KR,
        num_warps=4, **_EXACT,
    )  # fmt: skip
    return out


_EXACT = {} if os.environ.get("TRITON_INTERPRET") == "1" else {"enable_fp_fusion": False}
"""Products and sums rounded one by one, as torch does: the same bytes as the plain path's."""
