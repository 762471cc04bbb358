"""What Numba compiles for training the CNN on a CPU: see `layers`."""
# mypy: ignore-errors
# What is compiled here is typed by its signature.

import numpy as np
from numba import njit

from stages.classification.draws import INDEX_BITS, MAX_IMAGES, PADDING
from stages.training.vectors import (
    compiled,
    load8,
    load16,
    load32,
    multiply_add,
    repeat8,
    repeat32,
    spread8,
    store,
    where_larger,
)

COLOURS = 3
TAPS = 9 * COLOURS
"""Weights of a channel: three rows of three pixels, each of three colours. The bias comes after."""
LANES = 8
"""Channels that are computed at once."""
PATCH = 32
"""Floats of a patch: its taps, a one for the bias, and room to read vectors."""
NONE = 4
"""The winner of four values where none is above 0."""


@compiled("void(uint8[:, :, :, ::1], int32[::1], float32, float32, float32[:, ::1])")
def draw(pixels, draws, scale, low, images):
    """Write images as drawn inside their borders, which stay as they are."""
    size = pixels.shape[1]
    for image in range(len(images)):
        source = draws[image] & (MAX_IMAGES - 1)
        offsets = draws[image] >> INDEX_BITS
        down, right = (offsets & 15) - PADDING, (offsets >> 4 & 15) - PADDING
        flip = offsets >> 8 & 1
        for i in range(size):
            row = i + down
            at = ((i + 1) * (size + 2) + 1) * COLOURS
            for j in range(size):
                column = j + right
                inside = 0 <= row < size and 0 <= column < size
                if flip:
                    column = size - 1 - column
                for colour in range(COLOURS):
                    value = pixels[source, row, column, colour] if inside else 0
                    images[image, at] = value * scale + low
                    at += 1


@njit
def _largest(a, b, c, d):
    """The largest of four vectors or 0, and which it is, the first of equals."""
    zero = repeat8(np.float32(0))
    winner = where_larger(b, a, repeat8(np.float32(1)), zero)
    best = where_larger(b, a, b, a)
    winner = where_larger(c, best, repeat8(np.float32(2)), winner)
    best = where_larger(c, best, c, best)
    winner = where_larger(d, best, repeat8(np.float32(3)), winner)
    best = where_larger(d, best, d, best)
    winner = where_larger(best, zero, winner, repeat8(np.float32(NONE)))
    return where_larger(best, zero, best, zero), winner


@compiled(
    "void(float32[:, ::1], float32[:, :, ::1], float32[:, :, :, ::1], uint8[:, :, :, ::1],"
    " float32[:, ::1])"
)
def first(images, weights, outputs, winners, pair):
    """Convolution, pooling and ReLU of images with borders.

    Two outputs side by side at a time, from 2 x 4 convolutions: as many sums as keep the
    processor's two units busy. `pair` is room for them: (4, channels).
    """
    count, rows, columns, channels = outputs.shape
    line, padded = (2 * columns + 2) * COLOURS, pair.shape[1]
    for image in range(count):
        for i in range(rows):
            for j in range(0, columns, 2):
                corner = image * images.shape[1] + 2 * i * line + 2 * j * COLOURS
                for block in range(len(weights)):
                    weight = block * weights.shape[1] * LANES
                    a0 = load8(weights, weight + TAPS * LANES)
                    a1 = a2 = a3 = b0 = b1 = b2 = b3 = a0
                    for row in range(3):
                        a = corner + row * line
                        b = a + line
                        for _ in range(3 * COLOURS):
                            w = load8(weights, weight)
                            a0 = multiply_add(spread8(images, a), w, a0)
                            a1 = multiply_add(spread8(images, a + COLOURS), w, a1)
                            a2 = multiply_add(spread8(images, a + 2 * COLOURS), w, a2)
                            a3 = multiply_add(spread8(images, a + 3 * COLOURS), w, a3)
                            b0 = multiply_add(spread8(images, b), w, b0)
                            b1 = multiply_add(spread8(images, b + COLOURS), w, b1)
                            b2 = multiply_add(spread8(images, b + 2 * COLOURS), w, b2)
                            b3 = multiply_add(spread8(images, b + 3 * COLOURS), w, b3)
                            weight += LANES
                            a += 1
                            b += 1
                    best, winner = _largest(a0, a1, b0, b1)
                    store(pair, block * LANES, best)
                    store(pair, padded + block * LANES, winner)
                    best, winner = _largest(a2, a3, b2, b3)
                    store(pair, 2 * padded + block * LANES, best)
                    store(pair, 3 * padded + block * LANES, winner)
                for side in range(2):
                    for channel in range(channels):
                        outputs[image, i, j + side, channel] = pair[2 * side, channel]
                    for channel in range(channels):
                        winner = np.uint8(pair[2 * side + 1, channel])
                        winners[image, i, j + side, channel] = winner


@compiled(
    "void(float32[:, ::1], float32[:, :, :, ::1], uint8[:, :, :, ::1], float32[:, ::1],"
    " float32[:, ::1], float32[:, ::1])"
)
def first_backward(images, slopes, winners, patches, sums, gradient):
    """Add to the gradient of the taps and the bias: (channels, PATCH).

    An output's slope goes to the patch that won. `patches`, (4, at least 2 PATCH), is room for
    those that compete, and `sums`, (channels, PATCH) zeros, for one image's gradient.
    """
    count, rows, columns, channels = slopes.shape
    line, room = (2 * columns + 2) * COLOURS, patches.shape[1]
    for image in range(count):
        for i in range(rows):
            for j in range(columns):
                corner = image * images.shape[1] + 2 * i * line + 2 * j * COLOURS
                for place in range(4):
                    pixel = corner + place // 2 * line + place % 2 * COLOURS
                    for row in range(3):  # each is longer than a row of taps, the next covers that
                        at = place * room + row * 3 * COLOURS
                        store(patches, at, load16(images, pixel + row * line))
                    patches[place, TAPS] = 1
                for channel in range(channels):
                    winner = winners[image, i, j, channel]
                    slope = slopes[image, i, j, channel]
                    if winner == NONE:
                        winner, slope = np.uint8(0), np.float32(0)
                    patch = load32(patches, winner * room)
                    total = multiply_add(repeat32(slope), patch, load32(sums, channel * PATCH))
                    store(sums, channel * PATCH, total)
        for channel in range(channels):
            for tap in range(PATCH):
                gradient[channel, tap] += sums[channel, tap]
                sums[channel, tap] = 0


@compiled("void(float32[:, :, :, ::1], float32[:, :, :, ::1], uint8[:, :, :, ::1])")
def pool(inputs, outputs, winners):
    """Pooling and ReLU."""
    images, rows, columns, channels = outputs.shape
    for image in range(images):
        for i in range(rows):
            for j in range(columns):
                for channel in range(channels):
                    best, winner = inputs[image, 2 * i, 2 * j, channel], 0
                    value = inputs[image, 2 * i, 2 * j + 1, channel]
                    if value > best:
                        best, winner = value, 1
                    value = inputs[image, 2 * i + 1, 2 * j, channel]
                    if value > best:
                        best, winner = value, 2
                    value = inputs[image, 2 * i + 1, 2 * j + 1, channel]
                    if value > best:
                        best, winner = value, 3
                    if best <= 0:
                        best, winner = np.float32(0), NONE
                    outputs[image, i, j, channel] = best
                    winners[image, i, j, channel] = winner


@compiled("void(float32[:, :, :, ::1], uint8[:, :, :, ::1], float32[:, :, :, ::1])")
def pool_backward(slopes, winners, inputs):
    """The slope of each input: the output's where it won, else 0."""
    images, rows, columns, channels = inputs.shape
    for image in range(images):
        for i in range(rows):
            for j in range(columns):
                place = i % 2 * 2 + j % 2
                slope, winner = slopes[image, i // 2, j // 2], winners[image, i // 2, j // 2]
                for channel in range(channels):
                    mine = winner[channel] == place
                    inputs[image, i, j, channel] = slope[channel] if mine else 0
