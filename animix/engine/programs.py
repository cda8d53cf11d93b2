"""What runs on the GPU, in Triton's language; kernels.py launches it.

Conditions on a whole row are joined to those on its pixels by ``tl.where``: Triton's interpreter
has no masks made of numbers that stand alone.
"""

import triton
import triton.language as tl

VARYING = (
    *("demodulation", "bias", "noise", "strength"),
    *("next_style", "next_shares", "rgb_weight", "rgb_bias"),
)
"""Slices of one frame begin anywhere: without this each alignment would be compiled anew."""

SIDES = ("height", "width")
"""Compiled once for all sizes: a picture of 4 px is no reason to have the compiler think again."""


@triton.jit
def mix_program(
    stack, shares, row_of_block, out, num_weights, num_rows, K: tl.constexpr, BLOCK: tl.constexpr
):
    """A program has a block of one frame's weights."""
    block, sample = tl.program_id(0), tl.program_id(1)
    row = tl.load(row_of_block + block)
    place = block.to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    total = tl.zeros([BLOCK], tl.float32)
    for k in tl.static_range(K):
        share = tl.load(shares + (sample * num_rows + row) * K + k)
        total += share * tl.load(stack + k * num_weights + place).to(tl.float32)
    tl.store(out + sample.to(tl.int64) * num_weights + place, total.to(out.dtype.element_ty))


@triton.jit
def _seen(plane, row, column, height, width, step, mask):
    within = (row >= 0) & (row < height) & (column >= 0) & (column < width)
    place = (row * width + column) * step
    return tl.load(plane + place, mask=mask & within, other=0.0).to(tl.float32)


@triton.jit
def _twice(plane, row, column, height, width, step, mask):
    """A plane's value where it is made twice as large with the filter 1-3-3-1; zeros around it."""
    i, j = row >> 1, column >> 1
    i2, j2 = i + (row & 1) * 2 - 1, j + (column & 1) * 2 - 1
    near = _seen(plane, i, j, height, width, step, mask)
    beside = _seen(plane, i, j2, height, width, step, mask)
    below = _seen(plane, i2, j, height, width, step, mask)
    across = _seen(plane, i2, j2, height, width, step, mask)
    return 0.5625 * near + 0.1875 * (beside + below) + 0.0625 * across


@triton.jit
def clamped(v, limit):
    """Within ±limit; what is not a number stays so, for an overflow must be told, not painted."""
    v = tl.maximum(v, -limit, propagate_nan=tl.PropagateNan.ALL)
    return tl.minimum(v, limit, propagate_nan=tl.PropagateNan.ALL)


@triton.jit
def _activated(v, noise, strength, demodulation, bias, GAIN: tl.constexpr, CLAMP: tl.constexpr):
    v = v * demodulation + noise * strength + bias
    return clamped(tl.where(v > 0, v, v * 0.2) * GAIN, CLAMP)


@triton.jit
def _store_input(v, out, shares, C: tl.constexpr, COPIES: tl.constexpr, mask):
    """The next convolution's input: once, or once for each network times its share."""
    if COPIES == 0:
        tl.store(out, v.to(out.dtype.element_ty), mask=mask)
    else:
        for k in tl.static_range(COPIES):
            copy = v * tl.load(shares + k)
            tl.store(out + k * C, copy.to(out.dtype.element_ty), mask=mask)


@triton.jit(do_not_specialize=SIDES, do_not_specialize_on_alignment=VARYING)
def epilogue_program(
    y, demodulation, bias, noise, strength, next_style, next_shares, rgb_weight, rgb_bias,
    previous, residual, out, raw, image, height, width, stride, noise_stride,
    C: tl.constexpr, PIXELS: tl.constexpr, COPIES: tl.constexpr, RGB: tl.constexpr,
    PREVIOUS: tl.constexpr, RESIDUAL: tl.constexpr, RAW: tl.constexpr, OUT: tl.constexpr,
    FOLDED: tl.constexpr, GAIN: tl.constexpr, CLAMP: tl.constexpr, RGB_CLAMP: tl.constexpr,
):  # fmt: skip
    """A program has some pixels of a frame, with all their channels."""
    # A batch may have more than 2³¹ numbers, a frame has not: only its start takes 64 bits.
    frame = tl.program_id(1).to(tl.int64)
    half_height, half_width = height // 2, width // 2
    count = height * width
    WIDE: tl.constexpr = C * max(COPIES, 1)
    pixel = tl.program_id(0) * PIXELS + tl.arange(0, PIXELS)
    channel = tl.arange(0, C)
    inside = pixel < count
    row = pixel // width
    column = pixel - row * width
    place = pixel[:, None] * C + channel[None, :]
    source = place
    if FOLDED:
        phase = (row & 1) * 2 + (column & 1)
        cell = (row >> 1) * half_width + (column >> 1)
        source = (cell * 4 + phase)[:, None] * C + channel[None, :]
    of_channel = frame * stride + channel
    v = tl.load(y + frame * count * C + source, mask=inside[:, None], other=0.0).to(tl.float32)
    grain = tl.load(noise + frame * noise_stride + pixel, mask=inside, other=0.0).to(tl.float32)
    v = _activated(
        v, grain[:, None], tl.load(strength + frame),
        tl.load(demodulation + of_channel)[None, :], tl.load(bias + of_channel)[None, :],
        GAIN, CLAMP,
    )  # fmt: skip
    if RESIDUAL:
        small = residual + frame * (count // 4) * C + channel[None, :]
        v += _twice(
            small, row[:, None], column[:, None], half_height, half_width, C, inside[:, None]
        )
    if RGB:
        for colour in tl.static_range(3):
            plane = frame * 3 + colour
            weight = tl.load(rgb_weight + plane * stride + channel)
            value = tl.sum(v * weight[None, :], 1) + tl.load(rgb_bias + plane)
            value = clamped(value, RGB_CLAMP)
            if PREVIOUS:
                smaller = previous + plane * (count // 4)
                value += _twice(smaller, row, column, half_height, half_width, 1, inside)
            tl.store(image + plane * count + pixel, value, mask=inside)
    if RAW:
        tl.store(raw + frame * count * C + place, v.to(raw.dtype.element_ty), mask=inside[:, None])
    if OUT:
        v = v * tl.load(next_style + of_channel)[None, :]
        wide = pixel[:, None] * WIDE + channel[None, :]
        start = out + frame * count * WIDE
        _store_input(v, start + wide, next_shares + frame * COPIES, C, COPIES, inside[:, None])


@triton.jit
def _along(t, row, column, channel, height, width, C: tl.constexpr):
    """A row of t filtered along itself by 1-3-3-1: zeros lie around it."""
    here = tl.zeros([column.shape[0], C], tl.float32)
    for q in tl.static_range(4):
        x = column + q - 1
        tap = 0.25 if q == 0 or q == 3 else 0.75
        seen = tl.where((row >= 0) & (row < height), (x >= 0) & (x < width), False)[:, None]
        place = (row * width + x)[:, None] * C + channel[None, :]
        here += tap * tl.load(t + place, mask=seen, other=0.0).to(tl.float32)
    return here


@triton.jit(do_not_specialize=SIDES, do_not_specialize_on_alignment=VARYING)
def blur_epilogue_program(
    t, demodulation, bias, noise, strength, next_style, next_shares, out,
    height, width, stride, noise_stride, C: tl.constexpr, COPIES: tl.constexpr,
    COLUMNS: tl.constexpr, ROWS: tl.constexpr, UNROLLED: tl.constexpr, GAIN: tl.constexpr,
    CLAMP: tl.constexpr,
):  # fmt: skip
    """A program has some columns of some rows: each row of t is filtered along itself once."""
    frame = tl.program_id(2).to(tl.int64)
    t_height, t_width = height + 1, width + 1
    WIDE: tl.constexpr = C * max(COPIES, 1)
    column = tl.program_id(0) * COLUMNS + tl.arange(0, COLUMNS)
    first_row = tl.program_id(1) * ROWS
    channel = tl.arange(0, C)
    of_channel = frame * stride + channel
    demodulations = tl.load(demodulation + of_channel)[None, :]
    biases = tl.load(bias + of_channel)[None, :]
    styles = tl.load(next_style + of_channel)[None, :]
    noise_strength = tl.load(strength + frame)
    shares = next_shares + frame * COPIES
    t_frame = t + frame * t_height * t_width * C
    out_frame = out + frame * height * width * WIDE
    above3 = _along(t_frame, first_row - 1, column, channel, t_height, t_width, C)
    above2 = _along(t_frame, first_row, column, channel, t_height, t_width, C)
    above1 = _along(t_frame, first_row + 1, column, channel, t_height, t_width, C)
    for start in range(0, ROWS, UNROLLED):
        for r in tl.static_range(UNROLLED):
            y = first_row + start + r
            here = _along(t_frame, y + 2, column, channel, t_height, t_width, C)
            inside = tl.where(y < height, column < width, False)
            pixel = y * width + column
            grain = tl.load(noise + frame * noise_stride + pixel, mask=inside, other=0.0)
            v = 0.25 * (above3 + here) + 0.75 * (above2 + above1)
            v = _activated(
                v, grain.to(tl.float32)[:, None], noise_strength, demodulations, biases,
                GAIN, CLAMP,
            )  # fmt: skip
            wide = pixel[:, None] * WIDE + channel[None, :]
            _store_input(v * styles, out_frame + wide, shares, C, COPIES, inside[:, None])
            above3 = above2
            above2 = above1
            above1 = here


@triton.jit
def _level(level, threshold, row, column, shift_row, shift_column, SIDE: tl.constexpr, mask):
    """A level rounded up or down by the blue-noise texture, shifted as Tensor.roll does."""
    i = (row - shift_row + SIDE) % SIDE
    j = (column - shift_column + SIDE) % SIDE
    return (level + tl.load(threshold + i * SIDE + j, mask=mask, other=0.0)).to(tl.uint8)


@triton.jit
def _rgb(canvas, row, column, width, count, mask):
    place = row * width + column
    red = tl.load(canvas + place, mask=mask, other=0.0)
    green = tl.load(canvas + count + place, mask=mask, other=0.0)
    blue = tl.load(canvas + 2 * count + place, mask=mask, other=0.0)
    red = (tl.minimum(tl.maximum(red, -1.0), 1.0) + 1) * 0.5
    green = (tl.minimum(tl.maximum(green, -1.0), 1.0) + 1) * 0.5
    blue = (tl.minimum(tl.maximum(blue, -1.0), 1.0) + 1) * 0.5
    return red, green, blue


@triton.jit
def yuv420_program(
    canvases, threshold, shifts, out, height, width,
    SIDE: tl.constexpr, PIXELS: tl.constexpr, KR: tl.constexpr, KG: tl.constexpr, KB: tl.constexpr,
    CB: tl.constexpr, CR: tl.constexpr,
):  # fmt: skip
    """A program has some chroma samples, each with the four pixels of its square."""
    frame = tl.program_id(1).to(tl.int64)
    sample = tl.program_id(0) * PIXELS + tl.arange(0, PIXELS)
    half_width = width // 2
    count = height * width
    inside = sample < count // 4
    row, column = sample // half_width, sample % half_width
    canvas = canvases + frame * 3 * count
    bytes_ = out + frame * (count + count // 2)
    shift = shifts + frame * 6
    luma_down, luma_along = tl.load(shift), tl.load(shift + 1)

    # Columns 2j − 1, 2j and 2j + 1, averaged over two rows; the first stands for the one before it.
    left = tl.maximum(2 * column - 1, 0)
    red = tl.zeros([PIXELS], tl.float32)
    green = red
    blue = red
    for q in tl.static_range(3):
        x = left if q == 0 else 2 * column + q - 1
        above = _rgb(canvas, 2 * row, x, width, count, inside)
        below = _rgb(canvas, 2 * row + 1, x, width, count, inside)
        share = 2.0 if q == 1 else 1.0
        red += share * ((above[0] + below[0]) * 0.5)
        green += share * ((above[1] + below[1]) * 0.5)
        blue += share * ((above[2] + below[2]) * 0.5)
        if q > 0:
            luma = 16 + 219 * (KR * above[0] + KG * above[1] + KB * above[2])
            level = _level(luma, threshold, 2 * row, x, luma_down, luma_along, SIDE, inside)
            tl.store(bytes_ + 2 * row * width + x, level, mask=inside)
            luma = 16 + 219 * (KR * below[0] + KG * below[1] + KB * below[2])
            level = _level(luma, threshold, 2 * row + 1, x, luma_down, luma_along, SIDE, inside)
            tl.store(bytes_ + (2 * row + 1) * width + x, level, mask=inside)
    red *= 0.25
    green *= 0.25
    blue *= 0.25
    luma = KR * red + KG * green + KB * blue
    # Divided, not multiplied by the inverse: the plain twin's rounding.
    level = _level(
        128 + 224 * (blue - luma) / CB, threshold, row, column,
        tl.load(shift + 2), tl.load(shift + 3), SIDE, inside,
    )  # fmt: skip
    tl.store(bytes_ + count + sample, level, mask=inside)
    level = _level(
        128 + 224 * (red - luma) / CR, threshold, row, column,
        tl.load(shift + 4), tl.load(shift + 5), SIDE, inside,
    )  # fmt: skip
    tl.store(bytes_ + count + count // 4 + sample, level, mask=inside)
