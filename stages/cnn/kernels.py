"""The network's forward and backward pass for many replicas at once, as Triton kernels.

Every kernel runs over a grid (work of one replica, replica). A replica's programs touch nothing
of its neighbours and sum in a fixed order, without atomics, so its result is the same to the bit
alone or beside others.

A convolution is a product of its input's 3x3 windows, gathered as they are read, with a matrix
(9 taps x inputs, outputs). Maps that a window may overlap have a border of zeros, so the address
of an input is that of its row plus that of its place in the window, and nothing is masked. Bias,
pooling and ReLU are part of the convolution; only pooled activations reach memory.

Layouts, each with a leading replica axis, channels last, B images a batch, n the width:

    inputs      B x 34 x 34 x 3     cropped, flipped and scaled; border 1
    hidden1     B x 18 x 18 x n     after conv1, 2x2 pooling, ReLU; border 1
    gradient1   B x 16 x 16 x n     of hidden1
    hidden2     B x 8 x 8 x 2n      after conv2, 2x2 pooling, ReLU
    gradient2   B x 18 x 18 x 2n    of conv2's output before pooling; border 1
    hidden3     B x 6 x 6 x 2n      after conv3, ReLU
    gradient3   B x 10 x 10 x 2n    of conv3's output; border 2
    gradient4   B x 64              of linear1's output
    place1, place2                  the corner 0..3 of the 2x2 window that held the maximum, the
                                    first of equals; 4 where the ReLU stopped it

Weight gradients are partial sums over chunks of the batch, added up by the optimizer's kernel.
The matrix units want powers of two: tiles are padded with zeros, N for n channels, M for 2n.
They compute in TF32 (10-bit mantissa, float32 sums) or, with PRECISION "ieee", in float32.
"""

import triton
import triton.language as tl

INDEX_BITS = tl.constexpr(17)
"""Bits of a draw that hold the image's index; see stages/cnn/draws.py."""
INDEX_MASK = tl.constexpr((1 << 17) - 1)
NONE = tl.constexpr(4)
"""Place of a pooled value that the ReLU stopped."""


@triton.jit
def _valid(step, images, batch):
    """Images in the batch of this step: `batch`, but fewer in the last of an epoch."""
    return tl.minimum(batch, images - tl.load(step) * batch)


@triton.jit
def _draw(draws, step, images, batch, replica, b):
    """The draw of image b of this step's batch; any of them for b beyond the batch."""
    position = tl.minimum(tl.load(step) * batch + b, images - 1)
    return tl.load(draws + replica * images + position)


@triton.jit
def _window(k, channels, columns, DIRECTION: tl.constexpr):
    """Offset of the k-th input of a 3x3 window in a map, forwards (1) or backwards (-1)."""
    tap = k // channels
    offset = DIRECTION * (tap // 3 * columns + tap % 3) * channels + k % channels
    return tl.where(k < 9 * channels, offset, 0)  # padding reads any input and weighs it with 0


@triton.jit
def _corners(cell, columns, COUNT: tl.constexpr):
    """Row and column of every corner of COUNT pooling windows: (4 * COUNT,), corners fastest."""
    corner = tl.arange(0, 4 * COUNT) % 4
    cell = cell + tl.arange(0, 4 * COUNT) // 4
    return 2 * (cell // columns) + corner // 2, 2 * (cell % columns) + corner % 2


@triton.jit
def _pool(value, COUNT: tl.constexpr, CHANNELS: tl.constexpr):
    """Maximum of each window's corners, through the ReLU, and its place."""
    value = tl.reshape(value, (COUNT, 4, CHANNELS))
    best, place = tl.max(value, axis=1, return_indices=True)
    return tl.maximum(best, 0.0), tl.where(best > 0, place, NONE).to(tl.uint8)


@triton.jit
def _matrix(base, rows, columns, row, column):
    """A (rows, columns) matrix in row-major order, padded with zeros."""
    address = base + row[:, None] * columns + column[None, :]
    return tl.load(address, mask=(row < rows)[:, None] & (column < columns)[None, :], other=0.0)


@triton.jit
def _matrix_back(base, inputs, outputs, k, input):
    """The matrix of a convolution's gradient by its input: (9 taps x outputs, inputs)."""
    tap = k // outputs
    address = base + (tap * inputs * outputs + k % outputs)[:, None] + input[None, :] * outputs
    mask = (k < 9 * outputs)[:, None] & (input < inputs)[None, :]
    return tl.load(address, mask=mask, other=0.0)


@triton.jit
def crop(
    pixels, draws, step, inputs, images, batch, low, scale, BLOCK: tl.constexpr,
):  # fmt: skip
    """Crop, flip and scale a batch from uint8 images. Grid (batch * 3072 / BLOCK, replicas)."""
    replica = tl.program_id(1).to(tl.int64)
    b = tl.program_id(0) // (3072 // BLOCK)
    if b < _valid(step, images, batch):
        i = tl.program_id(0) % (3072 // BLOCK) * BLOCK + tl.arange(0, BLOCK)
        y, x, c = i // 96, i % 96 // 3, i % 3
        draw = _draw(draws, step, images, batch, replica, b)
        inputs += (replica * batch + b) * 3468
        target = inputs + ((y + 1) * 34 + x + 1) * 3 + c
        # flip, then crop: the result's (y, x) is (y + dy - 4, x + dx - 4) of the flipped image
        y += (draw >> INDEX_BITS & 15) - 4
        x += (draw >> (INDEX_BITS + 4) & 15) - 4
        inside = (y >= 0) & (y < 32) & (x >= 0) & (x < 32)
        x = tl.where((draw >> (INDEX_BITS + 8) & 1) == 1, 31 - x, x)
        pixels += (draw & INDEX_MASK).to(tl.int64) * 3072
        pixel = tl.load(pixels + y * 96 + x * 3 + c, mask=inside, other=0)
        tl.store(target, low + pixel.to(tl.float32) * scale)


@triton.jit
def conv1_forward(
    step, weights, inputs, hidden1, place1, images, batch, width, total,
    N: tl.constexpr, CELLS: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """Grid (batch * 256 / CELLS, replicas)."""
    replica = tl.program_id(1).to(tl.int64)
    b = tl.program_id(0) // (256 // CELLS)
    if b < _valid(step, images, batch):
        first = tl.program_id(0) % (256 // CELLS) * CELLS
        channel = tl.arange(0, N)
        k = tl.arange(0, 32)
        image = replica * batch + b
        weights += replica * total
        y, x = _corners(first, 16, CELLS)
        window = (y * 34 + x)[:, None] * 3 + _window(k, 3, 34, 1)[None, :]
        w = _matrix(weights, 27, width, k, channel)
        value = tl.dot(tl.load(inputs + image * 3468 + window), w, input_precision=PRECISION)
        value += tl.load(weights + 27 * width + channel, mask=channel < width, other=0.0)[None, :]
        best, place = _pool(value, CELLS, N)
        cell = first + tl.arange(0, CELLS)
        mask = (cell < 256)[:, None] & (channel < width)[None, :]
        at = ((cell // 16 + 1) * 18 + cell % 16 + 1)[:, None] * width + channel[None, :]
        tl.store(hidden1 + image * 324 * width + at, best, mask=mask)
        at = cell[:, None] * width + channel[None, :]
        tl.store(place1 + image * 256 * width + at, place, mask=mask)


@triton.jit
def conv2_forward(
    step, weights, hidden1, hidden2, place2, images, batch, width, total, offset,
    M: tl.constexpr, K: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """Grid (batch, replicas)."""
    replica = tl.program_id(1).to(tl.int64)
    b = tl.program_id(0)
    if b < _valid(step, images, batch):
        channel = tl.arange(0, M)
        channels = 2 * width
        image = replica * batch + b
        weights += replica * total + offset
        hidden1 += image * 324 * width
        y, x = _corners(0, 8, 64)
        value = tl.zeros((256, M), tl.float32)
        for start in range(0, 9 * width, K):
            k = start + tl.arange(0, K)
            window = (y * 18 + x)[:, None] * width + _window(k, width, 18, 1)[None, :]
            w = _matrix(weights, 9 * width, channels, k, channel)
            value = tl.dot(tl.load(hidden1 + window), w, value, input_precision=PRECISION)
        bias = weights + 9 * width * channels + channel
        value += tl.load(bias, mask=channel < channels, other=0.0)[None, :]
        best, place = _pool(value, 64, M)
        cell = tl.arange(0, 64)
        mask = (cell < 64)[:, None] & (channel < channels)[None, :]
        at = cell[:, None] * channels + channel[None, :]
        tl.store(hidden2 + image * 64 * channels + at, best, mask=mask)
        tl.store(place2 + image * 64 * channels + at, place, mask=mask)


@triton.jit
def conv3_forward(
    step, weights, hidden2, hidden3, images, batch, width, total, offset,
    M: tl.constexpr, K: tl.constexpr, ROWS: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """Grid (ceil(batch * 36 / ROWS), replicas)."""
    replica = tl.program_id(1).to(tl.int64)
    rows = _valid(step, images, batch) * 36
    if tl.program_id(0) * ROWS < rows:
        channel = tl.arange(0, M)
        channels = 2 * width
        weights += replica * total + offset
        hidden2 += replica * batch * 64 * channels
        hidden3 += replica * batch * 36 * channels
        row = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
        known = tl.minimum(row, rows - 1)
        corner = known // 36 * 64 + known % 36 // 6 * 8 + known % 6
        value = tl.zeros((ROWS, M), tl.float32)
        for start in range(0, 9 * channels, K):
            k = start + tl.arange(0, K)
            window = corner[:, None] * channels + _window(k, channels, 8, 1)[None, :]
            w = _matrix(weights, 9 * channels, channels, k, channel)
            value = tl.dot(tl.load(hidden2 + window), w, value, input_precision=PRECISION)
        bias = weights + 9 * channels * channels + channel
        value += tl.load(bias, mask=channel < channels, other=0.0)[None, :]
        mask = (row < rows)[:, None] & (channel < channels)[None, :]
        at = row[:, None] * channels + channel[None, :]
        tl.store(hidden3 + at, tl.maximum(value, 0.0), mask=mask)


@triton.jit
def head(
    draws, labels, step, weights, hidden3, gradient4, partials, losses, correct,
    images, batch, width, total, offset1, offset2, total_partials, offset_partials,
    ROWS: tl.constexpr, K: tl.constexpr, TRAIN: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """Both linear layers, the loss, and its gradient down to linear1. Grid (batch / ROWS, R).

    Writes each image's loss (nats) and whether it was classified correctly; when training also
    gradient4, the gradient of linear1's output (batch, 64), and linear2's partial gradients.
    """
    replica = tl.program_id(1).to(tl.int64)
    b = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    valid = _valid(step, images, batch)
    unit = tl.arange(0, 64)
    logit = tl.arange(0, 16)
    inputs = 72 * width
    weights += replica * total
    hidden3 += replica * batch * inputs
    bias = tl.load(weights + offset1 + inputs * 64 + unit)
    z = tl.zeros((ROWS, 64), tl.float32) + bias[None, :]
    for start in range(0, inputs, K):
        k = start + tl.arange(0, K)
        h = _matrix(hidden3, valid, inputs, b, k)
        w = _matrix(weights + offset1, inputs, 64, k, unit)
        z = tl.dot(h, w, z, input_precision=PRECISION)
    activation = tl.maximum(z, 0.0)

    w = _matrix(weights + offset2, 64, 10, unit, logit)
    bias = tl.load(weights + offset2 + 640 + logit, mask=logit < 10, other=float("-inf"))
    z = tl.dot(activation, w, input_precision=PRECISION) + bias[None, :]
    index = _draw(draws, step, images, batch, replica, b) & INDEX_MASK
    label = tl.load(labels + index).to(tl.int32)
    hit = logit[None, :] == label[:, None]
    top = tl.max(z, axis=1)
    exponential = tl.exp(z - top[:, None])
    normaliser = tl.sum(exponential, axis=1)
    loss = tl.log(normaliser) + top - tl.sum(tl.where(hit, z, 0.0), axis=1)
    position = replica * images + tl.load(step) * batch + b
    tl.store(losses + position, loss, mask=b < valid)
    tl.store(correct + position, (tl.argmax(z, axis=1) == label).to(tl.uint8), mask=b < valid)

    if TRAIN:
        gradient = (exponential / normaliser[:, None] - hit.to(tl.float32)) / valid
        gradient = tl.where((b < valid)[:, None], gradient, 0.0)
        partials += replica * total_partials + offset_partials + tl.program_id(0) * 650
        matrix = tl.dot(tl.trans(activation), gradient, input_precision=PRECISION)
        address = partials + unit[:, None] * 10 + logit[None, :]
        tl.store(address, matrix, mask=(logit < 10)[None, :])
        tl.store(partials + 640 + logit, tl.sum(gradient, axis=0), mask=logit < 10)
        g = tl.dot(gradient, tl.trans(w), input_precision=PRECISION)
        g = tl.where(activation > 0, g, 0.0)
        address = gradient4 + (replica * batch + b[:, None]) * 64 + unit[None, :]
        tl.store(address, g, mask=(b < batch)[:, None])


@triton.jit
def linear1_backward(
    step, weights, hidden3, gradient4, gradient3, partials,
    images, batch, width, total, offset, total_partials, offset_partials,
    K: tl.constexpr, ROWS: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """linear1's gradient, whole, and gradient3, through conv3's ReLU. Grid (72n / K, R)."""
    replica = tl.program_id(1).to(tl.int64)
    inputs = 72 * width
    valid = _valid(step, images, batch)
    k = tl.program_id(0) * K + tl.arange(0, K)
    unit = tl.arange(0, 64)
    hidden3 += replica * batch * inputs
    gradient3 += replica * batch * 200 * width
    gradient4 += replica * batch * 64
    partials += replica * total_partials + offset_partials
    pixel = k // (2 * width)
    target = ((pixel // 6 + 2) * 10 + pixel % 6 + 2) * 2 * width + k % (2 * width)
    w = tl.trans(_matrix(weights + replica * total + offset, inputs, 64, k, unit))
    matrix = tl.zeros((K, 64), tl.float32)
    bias = tl.zeros((64,), tl.float32)
    for start in range(0, valid, ROWS):
        b = start + tl.arange(0, ROWS)
        h = _matrix(hidden3, valid, inputs, b, k)
        g = _matrix(gradient4, valid, 64, b, unit)
        matrix = tl.dot(tl.trans(h), g, matrix, input_precision=PRECISION)
        bias += tl.sum(g, axis=0)
        down = tl.where(h > 0, tl.dot(g, w, input_precision=PRECISION), 0.0)
        mask = (b < valid)[:, None] & (k < inputs)[None, :]
        tl.store(gradient3 + b[:, None] * 200 * width + target[None, :], down, mask=mask)
    tl.store(partials + k[:, None] * 64 + unit[None, :], matrix, mask=(k < inputs)[:, None])
    if tl.program_id(0) == 0:
        tl.store(partials + inputs * 64 + unit, bias)


@triton.jit
def conv3_backward_input(
    step, weights, gradient3, place2, gradient2, images, batch, width, total, offset,
    M: tl.constexpr, K: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """Also takes the gradient back through conv2's pooling and ReLU. Grid (batch, replicas)."""
    replica = tl.program_id(1).to(tl.int64)
    b = tl.program_id(0)
    if b < _valid(step, images, batch):
        cell = tl.arange(0, 64)
        y, x = cell // 8, cell % 8
        channel = tl.arange(0, M)
        channels = 2 * width
        image = replica * batch + b
        weights += replica * total + offset
        gradient3 += image * 100 * channels
        value = tl.zeros((64, M), tl.float32)
        for start in range(0, 9 * channels, K):
            k = start + tl.arange(0, K)
            last = ((y + 2) * 10 + x + 2)[:, None] * channels
            window = last + _window(k, channels, 10, -1)[None, :]
            w = _matrix_back(weights, channels, channels, k, channel)
            value = tl.dot(tl.load(gradient3 + window), w, value, input_precision=PRECISION)
        mask = (cell < 64)[:, None] & (channel < channels)[None, :]
        at = image * 64 * channels + cell[:, None] * channels + channel[None, :]
        place = tl.load(place2 + at, mask=mask, other=NONE)
        gradient2 += image * 324 * channels
        for corner in tl.static_range(4):
            pixel = (2 * y + corner // 2 + 1) * 18 + 2 * x + corner % 2 + 1
            at = pixel[:, None] * channels + channel[None, :]
            tl.store(gradient2 + at, tl.where(place == corner, value, 0.0), mask=mask)


@triton.jit
def conv3_backward_weight(
    step, hidden2, gradient3, partials, images, batch, width, total_partials, offset_partials,
    CHUNK: tl.constexpr, M: tl.constexpr, K: tl.constexpr, ROWS: tl.constexpr,
    PRECISION: tl.constexpr,
):  # fmt: skip
    """Grid (chunks, blocks of K of a window's 18n inputs, replicas)."""
    chunk = tl.program_id(0)
    k = tl.program_id(1) * K + tl.arange(0, K)
    replica = tl.program_id(2).to(tl.int64)
    channel = tl.arange(0, M)
    channels = 2 * width
    window = _window(k, channels, 8, 1)
    hidden2 += replica * batch * 64 * channels
    gradient3 += replica * batch * 100 * channels
    matrix = tl.zeros((K, M), tl.float32)
    bias = tl.zeros((M,), tl.float32)
    end = tl.minimum(_valid(step, images, batch), (chunk + 1) * CHUNK) * 36
    for start in range(chunk * CHUNK * 36, end, ROWS):
        row = start + tl.arange(0, ROWS)
        known = tl.minimum(row, end - 1)
        b, y, x = known // 36, known % 36 // 6, known % 6
        at = (b * 64 + y * 8 + x)[None, :] * channels + window[:, None]
        h = tl.load(hidden2 + at)
        at = (b * 100 + (y + 2) * 10 + x + 2)[:, None] * channels + channel[None, :]
        mask = (row < end)[:, None] & (channel < channels)[None, :]
        g = tl.load(gradient3 + at, mask=mask, other=0.0)
        matrix = tl.dot(h, g, matrix, input_precision=PRECISION)
        bias += tl.sum(g, axis=0)
    size = 9 * channels * channels
    partials += replica * total_partials + offset_partials + chunk * (size + channels)
    at = k[:, None] * channels + channel[None, :]
    mask = (k < 9 * channels)[:, None] & (channel < channels)[None, :]
    tl.store(partials + at, matrix, mask=mask)
    if tl.program_id(1) == 0:
        tl.store(partials + size + channel, bias, mask=channel < channels)


@triton.jit
def conv2_backward_input(
    step, weights, gradient2, gradient1, images, batch, width, total, offset,
    N: tl.constexpr, K: tl.constexpr, PIXELS: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """Grid (batch * 256 / PIXELS, replicas)."""
    replica = tl.program_id(1).to(tl.int64)
    b = tl.program_id(0) // (256 // PIXELS)
    if b < _valid(step, images, batch):
        pixel = tl.program_id(0) % (256 // PIXELS) * PIXELS + tl.arange(0, PIXELS)
        input = tl.arange(0, N)
        channels = 2 * width
        image = replica * batch + b
        weights += replica * total + offset
        gradient2 += image * 324 * channels
        value = tl.zeros((PIXELS, N), tl.float32)
        for start in range(0, 9 * channels, K):
            k = start + tl.arange(0, K)
            last = ((pixel // 16 + 2) * 18 + pixel % 16 + 2)[:, None] * channels
            window = last + _window(k, channels, 18, -1)[None, :]
            w = _matrix_back(weights, width, channels, k, input)
            value = tl.dot(tl.load(gradient2 + window), w, value, input_precision=PRECISION)
        at = pixel[:, None] * width + input[None, :]
        mask = (pixel < 256)[:, None] & (input < width)[None, :]
        tl.store(gradient1 + image * 256 * width + at, value, mask=mask)


@triton.jit
def conv2_backward_weight(
    step, hidden1, gradient2, partials, images, batch, width, total_partials, offset_partials,
    CHUNK: tl.constexpr, M: tl.constexpr, K: tl.constexpr, ROWS: tl.constexpr,
    PRECISION: tl.constexpr,
):  # fmt: skip
    """Grid (chunks, blocks of K of a window's 9n inputs, replicas)."""
    chunk = tl.program_id(0)
    k = tl.program_id(1) * K + tl.arange(0, K)
    replica = tl.program_id(2).to(tl.int64)
    channel = tl.arange(0, M)
    channels = 2 * width
    window = _window(k, width, 18, 1)
    hidden1 += replica * batch * 324 * width
    gradient2 += replica * batch * 324 * channels
    matrix = tl.zeros((K, M), tl.float32)
    bias = tl.zeros((M,), tl.float32)
    end = tl.minimum(_valid(step, images, batch), (chunk + 1) * CHUNK) * 256
    for start in range(chunk * CHUNK * 256, end, ROWS):
        row = start + tl.arange(0, ROWS)
        corner = row // 256 * 324 + row % 256 // 16 * 18 + row % 16
        h = tl.load(hidden1 + corner[None, :] * width + window[:, None])
        at = (corner + 19)[:, None] * channels + channel[None, :]
        mask = (row < end)[:, None] & (channel < channels)[None, :]
        g = tl.load(gradient2 + at, mask=mask, other=0.0)
        matrix = tl.dot(h, g, matrix, input_precision=PRECISION)
        bias += tl.sum(g, axis=0)
    size = 9 * width * channels
    partials += replica * total_partials + offset_partials + chunk * (size + channels)
    at = k[:, None] * channels + channel[None, :]
    mask = (k < 9 * width)[:, None] & (channel < channels)[None, :]
    tl.store(partials + at, matrix, mask=mask)
    if tl.program_id(1) == 0:
        tl.store(partials + size + channel, bias, mask=channel < channels)


@triton.jit
def conv1_backward_weight(
    step, inputs, gradient1, place1, partials,
    images, batch, width, total_partials, offset_partials,
    CHUNK: tl.constexpr, N: tl.constexpr, CELLS: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """Also takes the gradient back through pooling and ReLU. Grid (chunks, 256 / CELLS, R)."""
    chunk = tl.program_id(0)
    first = tl.program_id(1) * CELLS
    replica = tl.program_id(2).to(tl.int64)
    channel = tl.arange(0, N)
    k = tl.arange(0, 32)
    y, x = _corners(first, 16, CELLS)
    window = (y * 34 + x)[None, :] * 3 + _window(k, 3, 34, 1)[:, None]
    at = (first + tl.arange(0, CELLS))[:, None] * width + channel[None, :]
    mask = (at >= 0) & (channel < width)[None, :]
    inputs += replica * batch * 3468
    gradient1 += replica * batch * 256 * width
    place1 += replica * batch * 256 * width
    matrix = tl.zeros((32, N), tl.float32)
    bias = tl.zeros((N,), tl.float32)
    end = tl.minimum(_valid(step, images, batch), (chunk + 1) * CHUNK)
    for b in range(chunk * CHUNK, end):
        place = tl.load(place1 + b * 256 * width + at, mask=mask, other=NONE).to(tl.int32)
        g = tl.load(gradient1 + b * 256 * width + at, mask=mask, other=0.0)
        bias += tl.sum(tl.where(place == NONE, 0.0, g), axis=0)
        here = place[:, None, :] == tl.arange(0, 4)[None, :, None]
        g = tl.reshape(tl.where(here, g[:, None, :], 0.0), (4 * CELLS, N))
        h = tl.load(inputs + b * 3468 + window)
        matrix = tl.dot(h, g, matrix, input_precision=PRECISION)
    partials += replica * total_partials + offset_partials
    partials += (chunk * (256 // CELLS) + tl.program_id(1)) * 28 * width
    mask = (k < 27)[:, None] & (channel < width)[None, :]
    tl.store(partials + k[:, None] * width + channel[None, :], matrix, mask=mask)
    tl.store(partials + 27 * width + channel, bias, mask=channel < width)
