"""What runs on the GPU for StyleGAN3 alone, in Triton's language; kernels.py launches it."""

import triton
import triton.language as tl

from animix.engine.programs import clamped

VARYING = ("gain", "bias", "next_style", "weight")
"""Slices of one frame begin anywhere: without this each alignment would be compiled anew."""


@triton.jit
def _row(y, row, column, channel, height, width, C: tl.constexpr):
    """A row's numbers [columns, channels], and which of them lie in the picture."""
    inside = tl.where((row >= 0) & (row < height), (column >= 0) & (column < width), False)
    seen = inside[:, None] & (channel < C)[None, :]
    place = (row * width + column)[:, None] * C + channel[None, :]
    return tl.load(y + place, mask=seen, other=0.0), seen


@triton.jit(do_not_specialize_on_alignment=VARYING)
def filtered_program(
    y, gain, bias, next_style, out, across_up, across_down, up_taps, down_taps,
    height, width, out_height, out_width, first, stride,
    C: tl.constexpr, CHANNELS: tl.constexpr, IN_WIDTH: tl.constexpr, FINE_WIDTH: tl.constexpr,
    OUT_WIDTH: tl.constexpr, COLUMNS: tl.constexpr, ROWS: tl.constexpr,
    UP: tl.constexpr, DOWN: tl.constexpr, UP_STEPS: tl.constexpr, DOWN_STEPS: tl.constexpr,
    RANK: tl.constexpr, PERIOD: tl.constexpr, PHASE: tl.constexpr,
    SLOPE: tl.constexpr, CLAMP: tl.constexpr, CLAMPED: tl.constexpr,
):  # fmt: skip
    """A program has some columns of some rows of some channels, and goes down row by row.

    The rows that a fine row is made from are held, and so are the sums of the rows that it is part
    of. Two fine rows at a time, side by side as channels, pass through the matrices.
    """
    BLOCKS: tl.constexpr = (C + CHANNELS - 1) // CHANNELS
    # A batch may have more than 2³¹ numbers, a frame has not: only its start takes 64 bits.
    frame = (tl.program_id(2) // BLOCKS).to(tl.int64)
    channel = (tl.program_id(2) % BLOCKS) * CHANNELS + tl.arange(0, CHANNELS)
    known = channel < C
    of_channel = frame * stride + channel
    gains = tl.load(gain + of_channel, mask=known, other=0.0)[None, :]
    biases = tl.load(bias + of_channel, mask=known, other=0.0)[None, :]
    styles = tl.load(next_style + of_channel, mask=known, other=0.0)[None, :]
    y += frame * height * width * C
    out += frame * out_height * out_width * C

    first_out = tl.program_id(1) * ROWS
    column = tl.program_id(0) * (COLUMNS * DOWN // UP) + first + tl.arange(0, IN_WIDTH)
    fine_column = tl.arange(0, FINE_WIDTH)
    out_column = tl.arange(0, OUT_WIDTH)
    up_place = fine_column[:, None] * IN_WIDTH + tl.arange(0, IN_WIDTH)[None, :]
    up_matrix = tl.load(across_up + up_place)
    down_place = out_column[:, None] * FINE_WIDTH + fine_column[None, :]
    down_matrices = ()
    for rank in tl.static_range(RANK):
        down_matrix = tl.load(across_down + rank * OUT_WIDTH * FINE_WIDTH + down_place)
        down_matrices = down_matrices + (down_matrix,)
    result_column = tl.program_id(0) * COLUMNS + out_column
    stored = tl.where(out_column < COLUMNS, result_column < out_width, False)

    # What was there before the first fine row: where it begins a phase, the next row comes with it.
    row = first_out * DOWN // UP + first
    if PHASE > 0:
        row += 1
    held = ()
    for n in tl.static_range(UP_STEPS):
        earlier, was_seen = _row(y, row - 1 + n, column, channel, height, width, C)
        earlier = tl.where(was_seen, earlier.to(tl.float32) * gains + biases, 0.0)
        held = held + (earlier,)
    row += UP_STEPS - 1
    ahead, seen = _row(y, row, column, channel, height, width, C)
    sums = ()
    for _ in tl.static_range(DOWN_STEPS):
        sums = sums + (tl.zeros([OUT_WIDTH, CHANNELS], tl.float32),)

    PERIODS: tl.constexpr = (DOWN * (ROWS - 1 + DOWN_STEPS) + PERIOD - 1) // PERIOD
    for period in range(PERIODS):
        for pair in tl.static_range(PERIOD // 2):
            both = ()
            for n in tl.static_range(2):
                if (PHASE + pair * 2 + n) % UP == 0:
                    ahead = tl.where(seen, ahead.to(tl.float32) * gains + biases, 0.0)
                    held = held[1:] + (ahead,)
                    row += 1
                    ahead, seen = _row(y, row, column, channel, height, width, C)
                x = held[0] * up_taps[((PHASE + pair * 2 + n) % UP) * UP_STEPS]
                for step in tl.static_range(1, UP_STEPS):
                    x += held[step] * up_taps[((PHASE + pair * 2 + n) % UP) * UP_STEPS + step]
                both = both + (x.to(y.dtype.element_ty),)
            wide = tl.join(both[0], both[1]).reshape(IN_WIDTH, 2 * CHANNELS)
            fine = tl.dot(up_matrix, wide, out_dtype=tl.float32)
            fine = tl.maximum(fine, fine * SLOPE).to(y.dtype.element_ty)
            if CLAMPED:  # in 16 bits, two numbers at a time
                clamp = tl.full([1, 1], CLAMP, y.dtype.element_ty)
                fine = clamped(fine, clamp)
            parts = ()
            for rank in tl.static_range(RANK):
                part = tl.dot(down_matrices[rank], fine, out_dtype=tl.float32)
                parts = parts + (part.reshape(OUT_WIDTH, CHANNELS, 2).split(),)
            for n in tl.static_range(2):
                if (pair * 2 + n) % DOWN == 0:
                    sums = sums[1:] + (tl.zeros([OUT_WIDTH, CHANNELS], tl.float32),)
                for rank in tl.static_range(RANK):
                    added = ()
                    for step in tl.static_range(DOWN_STEPS):
                        tap = down_taps[
                            (rank * DOWN_STEPS + DOWN_STEPS - 1 - step) * DOWN
                            + (pair * 2 + n) % DOWN
                        ]
                        added = added + (sums[step] + parts[rank][n] * tap,)
                    sums = added
                if (pair * 2 + n) % DOWN == DOWN - 1:
                    index = (period * PERIOD + pair * 2 + n) // DOWN - (DOWN_STEPS - 1)
                    out_row = first_out + index
                    whole = (index >= 0) & (index < ROWS) & (out_row < out_height)
                    place = (out_row * out_width + result_column)[:, None] * C + channel[None, :]
                    tl.store(
                        out + place,
                        (sums[0] * styles).to(out.dtype.element_ty),
                        mask=tl.where(whole, stored[:, None] & known[None, :], False),
                    )


@triton.jit(do_not_specialize_on_alignment=VARYING)
def colours_program(
    x, weight, bias, image, count, stride, scale,
    C: tl.constexpr, FILLED: tl.constexpr, PIXELS: tl.constexpr, CLAMP: tl.constexpr,
):  # fmt: skip
    """A program has some pixels of a frame, with all their channels."""
    frame = tl.program_id(1).to(tl.int64)
    pixel = tl.program_id(0) * PIXELS + tl.arange(0, PIXELS)
    channel = tl.arange(0, FILLED)
    inside = pixel < count
    seen = inside[:, None] & (channel < C)[None, :]
    place = pixel[:, None] * C + channel[None, :]
    v = tl.load(x + frame * count * C + place, mask=seen, other=0.0).to(tl.float32)
    for colour in tl.static_range(3):
        plane = frame * 3 + colour
        weights = tl.load(weight + plane * stride + channel, mask=channel < C, other=0.0)
        value = tl.sum(v * weights[None, :], 1) + tl.load(bias + plane)
        value = clamped(value, CLAMP) * scale
        tl.store(image + plane * count + pixel, value, mask=inside)
