"""The network's forward and backward pass for many replicas at once, as Triton kernels.

Every kernel runs over a grid (work of one replica, replica). A replica's programs touch nothing
of its neighbours and sum in a fixed order, without atomics, so its result is the same to the bit
alone or beside others.

A convolution is a product of its input's 3x3 windows, gathered as they are read, with a matrix
(9 taps x inputs, outputs). Maps that a window may overlap have a border of zeros, so the address
of an input is that of its row plus that of its place in the window, and nothing is masked.
Channels are padded with zeros to a multiple of four, so four inputs are one 16-byte read. Bias,
pooling and ReLU are part of the convolution; only pooled activations reach memory.

Layouts, each with a leading replica axis, channels last, B images a batch; a the width n and b
twice the width, each rounded up to a multiple of four:

    inputs      B x 34 x 34 x 4     cropped, flipped and scaled; border 1
    hidden1     B x 18 x 18 x a     after conv1, 2x2 pooling, ReLU; border 1
    gradient1   B x 16 x 16 x a     of hidden1
    hidden2     B x 8 x 8 x b       after conv2, 2x2 pooling, ReLU
    gradient2   B x 18 x 18 x b     of conv2's output before pooling; border 1
    hidden3     B x 6 x 6 x 2n      after conv3, ReLU
    gradient3   B x 10 x 10 x b     of conv3's output; border 2
    gradient4   B x 64              of linear1's output
    place1, place2                  the corner 0..3 of the 2x2 window that held the maximum, the
                                    first of equals; 4 where the ReLU stopped it

Weight gradients are partial sums over chunks of the batch, added up by the optimizer's kernel.
The matrix units want powers of two: tiles are padded with zeros, N for n channels, M for 2n.
They compute in TF32 (10-bit mantissa, float32 sums) or, with PRECISION "ieee", in float32.
Tests that are always true (`at >= 0`, `row >= 0`, `cell >= 0`) give a mask its block's shape.
"""

import triton
import triton.language as tl

INDEX_BITS = tl.constexpr(17)
"""Bits of a draw that hold the image's index; see stages/classification/draws.py."""
INDEX_MASK = tl.constexpr((1 << 17) - 1)
SIDE0, SIDE1, SIDE2, SIDE3 = (tl.constexpr(side) for side in (32, 16, 8, 6))
AREA0, AREA1, AREA2, AREA3 = (side * side for side in (SIDE0, SIDE1, SIDE2, SIDE3))
"""Sides and areas of an image and of the maps after conv1, conv2 and conv3, without borders."""
FRAME0, FRAME1, FRAME3 = SIDE0 + 2, SIDE1 + 2, SIDE3 + 4
FRAMED0, FRAMED1, FRAMED3 = (side * side for side in (FRAME0, FRAME1, FRAME3))
"""The same of those that lie in a border: inputs; hidden1 and gradient2; gradient3."""
IMAGE, INPUT = 3 * AREA0, 4 * FRAMED0
"""Values of an image in three colours, and in `inputs`, with a fourth that is 0."""
TAPS, HIDDEN = tl.constexpr(9), tl.constexpr(64)
"""Inputs of a 3x3 window from one channel; outputs of linear1.

What is known when a kernel runs goes left of such a constant: Triton's interpreter takes a product
for a constant where its first factor is one.
"""
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
def _padded(channels):
    """Channels as they lie in memory."""
    return (channels + 3) // 4 * 4


@triton.jit
def _window(k, padded, columns, DIRECTION: tl.constexpr):
    """Offset of the k-th input of a 3x3 window in a map, forwards (1) or backwards (-1)."""
    tap = k // padded
    offset = DIRECTION * (tap // 3 * columns + tap % 3) * padded + k % padded
    offset = tl.where(k < padded * TAPS, offset, 0)  # beyond: reads any input, and weighs it with 0
    return tl.max_contiguous(tl.multiple_of(offset, 4), 4)


@triton.jit
def _weights(base, inputs, outputs, k, output):
    """The matrix of a convolution: (9 taps x padded inputs, outputs), from (9, inputs, outputs)."""
    tap, input = k // _padded(inputs), k % _padded(inputs)
    address = base + ((tap * inputs + input) * outputs)[:, None] + output[None, :]
    mask = ((tap < TAPS) & (input < inputs))[:, None] & (output < outputs)[None, :]
    return tl.load(address, mask=mask, other=0.0)


@triton.jit
def _weights_back(base, inputs, outputs, k, input):
    """The matrix of its gradient by its input: (9 taps x padded outputs, inputs)."""
    tap, output = k // _padded(outputs), k % _padded(outputs)
    address = base + (tap * inputs * outputs + output)[:, None] + (input * outputs)[None, :]
    mask = ((tap < TAPS) & (output < outputs))[:, None] & (input < inputs)[None, :]
    return tl.load(address, mask=mask, other=0.0)


@triton.jit
def _store_gradient(partials, inputs, outputs, k, output, matrix, bias, block):
    """Store a block of rows of a convolution's weight gradient and, with the first, its bias's."""
    tap, input = k // _padded(inputs), k % _padded(inputs)
    address = partials + ((tap * inputs + input) * outputs)[:, None] + output[None, :]
    mask = ((tap < TAPS) & (input < inputs))[:, None] & (output < outputs)[None, :]
    tl.store(address, matrix, mask=mask)
    if block == 0:
        tl.store(partials + inputs * TAPS * outputs + output, bias, mask=output < outputs)


@triton.jit
def _pool(corner0, corner1, corner2, corner3):
    """Maximum of each pooling window's corners, through the ReLU, and its place."""
    top = tl.maximum(corner0, corner1)
    bottom = tl.maximum(corner2, corner3)
    best = tl.maximum(top, bottom)
    place = tl.where(top >= bottom, tl.where(corner0 >= corner1, 0, 1), 3)
    place = tl.where((place == 3) & (corner2 >= corner3), 2, place)
    return tl.maximum(best, 0.0), tl.where(best > 0, place, NONE).to(tl.uint8)


@triton.jit
def _matrix(base, rows, columns, row, column):
    """A (rows, columns) matrix in row-major order, padded with zeros."""
    address = base + row[:, None] * columns + column[None, :]
    return tl.load(address, mask=(row < rows)[:, None] & (column < columns)[None, :], other=0.0)


@triton.jit
def crop(
    pixels, draws, step, inputs, images, batch, low, scale, BLOCK: tl.constexpr,
):  # fmt: skip
    """Crop, flip and scale a batch from uint8 images. Grid (batch * IMAGE / BLOCK, replicas)."""
    replica = tl.program_id(1).to(tl.int64)
    b = tl.program_id(0) // (IMAGE // BLOCK)
    if b < _valid(step, images, batch):
        i = tl.program_id(0) % (IMAGE // BLOCK) * BLOCK + tl.arange(0, BLOCK)
        y, x, c = i // (SIDE0 * 3), i % (SIDE0 * 3) // 3, i % 3
        draw = _draw(draws, step, images, batch, replica, b)
        inputs += (replica * batch + b) * INPUT
        target = inputs + ((y + 1) * FRAME0 + x + 1) * 4 + c
        # flip, then crop: the result's (y, x) is (y + dy - 4, x + dx - 4) of the flipped image
        y += (draw >> INDEX_BITS & 15) - 4
        x += (draw >> (INDEX_BITS + 4) & 15) - 4
        inside = (y >= 0) & (y < SIDE0) & (x >= 0) & (x < SIDE0)
        x = tl.where((draw >> (INDEX_BITS + 8) & 1) == 1, SIDE0 - 1 - x, x)
        pixels += (draw & INDEX_MASK).to(tl.int64) * IMAGE
        pixel = tl.load(pixels + y * (SIDE0 * 3) + x * 3 + c, mask=inside, other=0)
        tl.store(target, low + pixel.to(tl.float32) * scale)


@triton.jit
def conv1_forward(
    step, weights, inputs, hidden1, place1, images, batch, width, total,
    N: tl.constexpr, CELLS: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """Grid (batch * AREA1 / CELLS, replicas)."""
    replica = tl.program_id(1).to(tl.int64)
    b = tl.program_id(0) // (AREA1 // CELLS)
    if b < _valid(step, images, batch):
        first = tl.program_id(0) % (AREA1 // CELLS) * CELLS
        channel = tl.arange(0, N)
        padded = _padded(width)
        image = replica * batch + b
        weights += replica * total
        inputs += image * INPUT
        cell = first + tl.arange(0, CELLS)
        pixel = cell // SIDE1 * (2 * FRAME0) + cell % SIDE1 * 2
        bias = tl.load(weights + width * (3 * TAPS) + channel, mask=channel < width, other=0.0)
        value0 = tl.zeros((CELLS, N), tl.float32) + bias[None, :]
        value1, value2, value3 = value0, value0, value0
        for start in tl.static_range(0, 4 * TAPS, 16):
            k = start + tl.arange(0, 16)
            at = inputs + (pixel * 4)[:, None] + _window(k, 4, FRAME0, 1)[None, :]
            w = _weights(weights, 3, width, k, channel)
            value0 = tl.dot(tl.load(at), w, value0, input_precision=PRECISION)
            value1 = tl.dot(tl.load(at + 4), w, value1, input_precision=PRECISION)
            value2 = tl.dot(tl.load(at + 4 * FRAME0), w, value2, input_precision=PRECISION)
            value3 = tl.dot(tl.load(at + 4 * (FRAME0 + 1)), w, value3, input_precision=PRECISION)
        best, place = _pool(value0, value1, value2, value3)
        mask = (cell < AREA1)[:, None] & (channel < width)[None, :]
        at = ((cell // SIDE1 + 1) * FRAME1 + cell % SIDE1 + 1)[:, None] * padded + channel[None, :]
        tl.store(hidden1 + image * FRAMED1 * padded + at, best, mask=mask)
        at = cell[:, None] * padded + channel[None, :]
        tl.store(place1 + image * AREA1 * padded + at, place, mask=mask)


@triton.jit
def conv2_forward(
    step, weights, hidden1, hidden2, place2, images, batch, width, total, offset,
    M: tl.constexpr, K: tl.constexpr, CELLS: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """Grid (batch * AREA2 / CELLS, replicas)."""
    replica = tl.program_id(1).to(tl.int64)
    b = tl.program_id(0) // (AREA2 // CELLS)
    if b < _valid(step, images, batch):
        first = tl.program_id(0) % (AREA2 // CELLS) * CELLS
        channel = tl.arange(0, M)
        channels = 2 * width
        inputs, padded = _padded(width), _padded(channels)
        image = replica * batch + b
        weights += replica * total + offset
        hidden1 += image * FRAMED1 * inputs
        cell = first + tl.arange(0, CELLS)
        pixel = cell // SIDE2 * (2 * FRAME1) + cell % SIDE2 * 2
        bias = weights + width * TAPS * channels + channel
        bias = tl.load(bias, mask=channel < channels, other=0.0)
        value0 = tl.zeros((CELLS, M), tl.float32) + bias[None, :]
        value1, value2, value3 = value0, value0, value0
        for start in range(0, inputs * TAPS, K):
            k = start + tl.arange(0, K)
            at = hidden1 + (pixel * inputs)[:, None] + _window(k, inputs, FRAME1, 1)[None, :]
            w = _weights(weights, width, channels, k, channel)
            value0 = tl.dot(tl.load(at), w, value0, input_precision=PRECISION)
            value1 = tl.dot(tl.load(at + inputs), w, value1, input_precision=PRECISION)
            value2 = tl.dot(tl.load(at + inputs * FRAME1), w, value2, input_precision=PRECISION)
            at += inputs * (FRAME1 + 1)
            value3 = tl.dot(tl.load(at), w, value3, input_precision=PRECISION)
        best, place = _pool(value0, value1, value2, value3)
        at = cell[:, None] * padded + channel[None, :]
        mask = (at >= 0) & (channel < channels)[None, :]
        tl.store(hidden2 + image * AREA2 * padded + at, best, mask=mask)
        tl.store(place2 + image * AREA2 * padded + at, place, mask=mask)


@triton.jit
def conv3_forward(
    step, weights, hidden2, hidden3, images, batch, width, total, offset,
    M: tl.constexpr, K: tl.constexpr, ROWS: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """Grid (ceil(batch * AREA3 / ROWS), replicas)."""
    replica = tl.program_id(1).to(tl.int64)
    rows = _valid(step, images, batch) * AREA3
    if tl.program_id(0) * ROWS < rows:
        channel = tl.arange(0, M)
        channels = 2 * width
        inputs = _padded(channels)
        weights += replica * total + offset
        hidden2 += replica * batch * AREA2 * inputs
        hidden3 += replica * batch * AREA3 * channels
        row = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
        known = tl.minimum(row, rows - 1)
        corner = known // AREA3 * AREA2 + known % AREA3 // SIDE3 * SIDE2 + known % SIDE3
        value = tl.zeros((ROWS, M), tl.float32)
        for start in range(0, inputs * TAPS, K):
            k = start + tl.arange(0, K)
            window = (corner * inputs)[:, None] + _window(k, inputs, SIDE2, 1)[None, :]
            w = _weights(weights, channels, channels, k, channel)
            value = tl.dot(tl.load(hidden2 + window), w, value, input_precision=PRECISION)
        bias = weights + channels * TAPS * channels + channel
        value += tl.load(bias, mask=channel < channels, other=0.0)[None, :]
        mask = (row < rows)[:, None] & (channel < channels)[None, :]
        at = row[:, None] * channels + channel[None, :]
        tl.store(hidden3 + at, tl.maximum(value, 0.0), mask=mask)


@triton.jit
def head(
    draws, labels, soft, step, weights, hidden3, gradient4, partials, losses, correct,
    images, batch, width, total, offset1, offset2, total_partials, offset_partials,
    CLASSES: tl.constexpr, LOGITS: tl.constexpr, ROWS: tl.constexpr, K: tl.constexpr,
    TRAIN: tl.constexpr, SOFT: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """Both linear layers, the loss, and its gradient down to linear1. Grid (batch / ROWS, R).

    The loss is cross-entropy or, where labels are SOFT, the divergence from `soft`, (images,
    CLASSES) probabilities; both are those of `stages.classification.splits.mean_loss`.
    Writes each image's loss (nats) and whether it was classified correctly; when training also
    gradient4, the gradient of linear1's output (batch, 64), and linear2's partial gradients.
    """
    replica = tl.program_id(1).to(tl.int64)
    b = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    valid = _valid(step, images, batch)
    unit = tl.arange(0, HIDDEN)
    logit = tl.arange(0, LOGITS)
    inputs = width * (2 * AREA3)
    weights += replica * total
    hidden3 += replica * batch * inputs
    bias = tl.load(weights + offset1 + inputs * HIDDEN + unit)
    z = tl.zeros((ROWS, HIDDEN), tl.float32) + bias[None, :]
    for start in range(0, inputs, K):
        k = start + tl.arange(0, K)
        h = _matrix(hidden3, valid, inputs, b, k)
        w = _matrix(weights + offset1, inputs, HIDDEN, k, unit)
        z = tl.dot(h, w, z, input_precision=PRECISION)
    activation = tl.maximum(z, 0.0)

    w = _matrix(weights + offset2, HIDDEN, CLASSES, unit, logit)
    bias = weights + offset2 + HIDDEN * CLASSES + logit
    bias = tl.load(bias, mask=logit < CLASSES, other=float("-inf"))
    z = tl.dot(activation, w, input_precision=PRECISION) + bias[None, :]
    index = _draw(draws, step, images, batch, replica, b) & INDEX_MASK
    label = tl.load(labels + index).to(tl.int32)
    top = tl.max(z, axis=1)
    exponential = tl.exp(z - top[:, None])
    normaliser = tl.sum(exponential, axis=1)
    if SOFT:
        address = soft + index[:, None] * CLASSES + logit[None, :]
        known = (b < valid)[:, None] & (logit < CLASSES)[None, :]
        target = tl.load(address, mask=known, other=0.0)
        said = z - top[:, None] - tl.log(normaliser)[:, None]
        far = tl.log(tl.where(target > 0, target, 1.0)) - tl.where(target > 0, said, 0.0)
        loss = tl.sum(target * far, axis=1)
    else:
        hit = logit[None, :] == label[:, None]
        target = hit.to(tl.float32)
        loss = tl.log(normaliser) + top - tl.sum(tl.where(hit, z, 0.0), axis=1)
    position = replica * images + tl.load(step) * batch + b
    tl.store(losses + position, loss, mask=b < valid)
    tl.store(correct + position, (tl.argmax(z, axis=1) == label).to(tl.uint8), mask=b < valid)

    if TRAIN:
        gradient = (exponential / normaliser[:, None] - target) / valid
        gradient = tl.where((b < valid)[:, None], gradient, 0.0)
        partials += (
            replica * total_partials + offset_partials + tl.program_id(0) * (HIDDEN + 1) * CLASSES
        )
        matrix = tl.dot(tl.trans(activation), gradient, input_precision=PRECISION)
        address = partials + unit[:, None] * CLASSES + logit[None, :]
        tl.store(address, matrix, mask=(logit < CLASSES)[None, :])
        partials += HIDDEN * CLASSES + logit
        tl.store(partials, tl.sum(gradient, axis=0), mask=logit < CLASSES)
        g = tl.dot(gradient, tl.trans(w), input_precision=PRECISION)
        g = tl.where(activation > 0, g, 0.0)
        address = gradient4 + (replica * batch + b[:, None]) * HIDDEN + unit[None, :]
        tl.store(address, g, mask=(b < batch)[:, None])


@triton.jit
def linear1_backward(
    step, weights, hidden3, gradient4, gradient3, partials,
    images, batch, width, total, offset, total_partials, offset_partials,
    K: tl.constexpr, ROWS: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """linear1's gradient, whole, and gradient3, through conv3's ReLU. Grid (inputs / K, R)."""
    replica = tl.program_id(1).to(tl.int64)
    inputs = width * (2 * AREA3)
    valid = _valid(step, images, batch)
    k = tl.program_id(0) * K + tl.arange(0, K)
    unit = tl.arange(0, HIDDEN)
    hidden3 += replica * batch * inputs
    padded = _padded(2 * width)
    gradient3 += replica * batch * FRAMED3 * padded
    gradient4 += replica * batch * HIDDEN
    partials += replica * total_partials + offset_partials
    pixel = k // (2 * width)
    target = ((pixel // SIDE3 + 2) * FRAME3 + pixel % SIDE3 + 2) * padded + k % (2 * width)
    w = tl.trans(_matrix(weights + replica * total + offset, inputs, HIDDEN, k, unit))
    matrix = tl.zeros((K, HIDDEN), tl.float32)
    bias = tl.zeros((HIDDEN,), tl.float32)
    for start in range(0, valid, ROWS):
        b = start + tl.arange(0, ROWS)
        h = _matrix(hidden3, valid, inputs, b, k)
        g = _matrix(gradient4, valid, HIDDEN, b, unit)
        matrix = tl.dot(tl.trans(h), g, matrix, input_precision=PRECISION)
        bias += tl.sum(g, axis=0)
        down = tl.where(h > 0, tl.dot(g, w, input_precision=PRECISION), 0.0)
        mask = (b < valid)[:, None] & (k < inputs)[None, :]
        tl.store(gradient3 + b[:, None] * FRAMED3 * padded + target[None, :], down, mask=mask)
    tl.store(partials + k[:, None] * HIDDEN + unit[None, :], matrix, mask=(k < inputs)[:, None])
    if tl.program_id(0) == 0:
        tl.store(partials + inputs * HIDDEN + unit, bias)


@triton.jit
def conv3_backward_input(
    step, weights, gradient3, place2, gradient2, images, batch, width, total, offset,
    M: tl.constexpr, K: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """Also takes the gradient back through conv2's pooling and ReLU. Grid (batch, replicas)."""
    replica = tl.program_id(1).to(tl.int64)
    b = tl.program_id(0)
    if b < _valid(step, images, batch):
        cell = tl.arange(0, AREA2)
        y, x = cell // SIDE2, cell % SIDE2
        channel = tl.arange(0, M)
        channels = 2 * width
        padded = _padded(channels)
        image = replica * batch + b
        weights += replica * total + offset
        gradient3 += image * FRAMED3 * padded
        value = tl.zeros((AREA2, M), tl.float32)
        for start in range(0, padded * TAPS, K):
            k = start + tl.arange(0, K)
            last = (((y + 2) * FRAME3 + x + 2) * padded)[:, None]
            w = _weights_back(weights, channels, channels, k, channel)
            g = tl.load(gradient3 + last + _window(k, padded, FRAME3, -1)[None, :])
            value = tl.dot(g, w, value, input_precision=PRECISION)
        at = cell[:, None] * padded + channel[None, :]
        mask = (at >= 0) & (channel < channels)[None, :]
        place = tl.load(place2 + image * AREA2 * padded + at, mask=mask, other=NONE)
        gradient2 += image * FRAMED1 * padded
        for corner in tl.static_range(4):
            pixel = (2 * y + corner // 2 + 1) * FRAME1 + 2 * x + corner % 2 + 1
            at = (pixel * padded)[:, None] + channel[None, :]
            tl.store(gradient2 + at, tl.where(place == corner, value, 0.0), mask=mask)


@triton.jit
def conv3_backward_weight(
    step, hidden2, gradient3, partials, images, batch, width, total_partials, offset_partials,
    CHUNK: tl.constexpr, M: tl.constexpr, K: tl.constexpr, ROWS: tl.constexpr,
    PRECISION: tl.constexpr,
):  # fmt: skip
    """Grid (chunks, blocks of K of a window's inputs, replicas)."""
    chunk = tl.program_id(0)
    k = tl.program_id(1) * K + tl.arange(0, K)
    replica = tl.program_id(2).to(tl.int64)
    channel = tl.arange(0, M)
    channels = 2 * width
    padded = _padded(channels)
    window = _window(k, padded, SIDE2, 1)
    hidden2 += replica * batch * AREA2 * padded
    gradient3 += replica * batch * FRAMED3 * padded
    matrix = tl.zeros((K, M), tl.float32)
    bias = tl.zeros((M,), tl.float32)
    end = tl.minimum(_valid(step, images, batch), (chunk + 1) * CHUNK) * AREA3
    for start in range(chunk * CHUNK * AREA3, end, ROWS):
        row = start + tl.arange(0, ROWS)
        known = tl.minimum(row, end - 1)
        b, y, x = known // AREA3, known % AREA3 // SIDE3, known % SIDE3
        h = tl.load(hidden2 + ((b * AREA2 + y * SIDE2 + x) * padded)[:, None] + window[None, :])
        at = ((b * FRAMED3 + (y + 2) * FRAME3 + x + 2) * padded)[:, None] + channel[None, :]
        mask = (row < end)[:, None] & (channel < padded)[None, :]
        g = tl.load(gradient3 + at, mask=mask, other=0.0)
        matrix = tl.dot(tl.trans(h), g, matrix, input_precision=PRECISION)
        bias += tl.sum(g, axis=0)
    size = channels * TAPS * channels + channels
    partials += replica * total_partials + offset_partials + chunk * size
    _store_gradient(partials, channels, channels, k, channel, matrix, bias, tl.program_id(1))


@triton.jit
def conv2_backward_input(
    step, weights, gradient2, gradient1, images, batch, width, total, offset,
    N: tl.constexpr, K: tl.constexpr, PIXELS: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """Grid (batch * AREA1 / PIXELS, replicas)."""
    replica = tl.program_id(1).to(tl.int64)
    b = tl.program_id(0) // (AREA1 // PIXELS)
    if b < _valid(step, images, batch):
        pixel = tl.program_id(0) % (AREA1 // PIXELS) * PIXELS + tl.arange(0, PIXELS)
        input = tl.arange(0, N)
        channels = 2 * width
        inputs, padded = _padded(width), _padded(channels)
        image = replica * batch + b
        weights += replica * total + offset
        gradient2 += image * FRAMED1 * padded
        value = tl.zeros((PIXELS, N), tl.float32)
        for start in range(0, padded * TAPS, K):
            k = start + tl.arange(0, K)
            last = (((pixel // SIDE1 + 2) * FRAME1 + pixel % SIDE1 + 2) * padded)[:, None]
            w = _weights_back(weights, width, channels, k, input)
            g = tl.load(gradient2 + last + _window(k, padded, FRAME1, -1)[None, :])
            value = tl.dot(g, w, value, input_precision=PRECISION)
        at = pixel[:, None] * inputs + input[None, :]
        mask = (at >= 0) & (input < width)[None, :]
        tl.store(gradient1 + image * AREA1 * inputs + at, value, mask=mask)


@triton.jit
def conv2_backward_weight(
    step, hidden1, gradient2, partials, images, batch, width, total_partials, offset_partials,
    CHUNK: tl.constexpr, M: tl.constexpr, K: tl.constexpr, ROWS: tl.constexpr,
    PRECISION: tl.constexpr,
):  # fmt: skip
    """Grid (chunks, blocks of K of a window's inputs, replicas)."""
    chunk = tl.program_id(0)
    k = tl.program_id(1) * K + tl.arange(0, K)
    replica = tl.program_id(2).to(tl.int64)
    channel = tl.arange(0, M)
    channels = 2 * width
    inputs, padded = _padded(width), _padded(channels)
    window = _window(k, inputs, FRAME1, 1)
    hidden1 += replica * batch * FRAMED1 * inputs
    gradient2 += replica * batch * FRAMED1 * padded
    matrix = tl.zeros((K, M), tl.float32)
    bias = tl.zeros((M,), tl.float32)
    end = tl.minimum(_valid(step, images, batch), (chunk + 1) * CHUNK) * AREA1
    for start in range(chunk * CHUNK * AREA1, end, ROWS):
        row = start + tl.arange(0, ROWS)
        corner = row // AREA1 * FRAMED1 + row % AREA1 // SIDE1 * FRAME1 + row % SIDE1
        h = tl.load(hidden1 + (corner * inputs)[:, None] + window[None, :])
        at = ((corner + (FRAME1 + 1)) * padded)[:, None] + channel[None, :]
        mask = (row >= 0)[:, None] & (channel < padded)[None, :]
        g = tl.load(gradient2 + at, mask=mask, other=0.0)
        matrix = tl.dot(tl.trans(h), g, matrix, input_precision=PRECISION)
        bias += tl.sum(g, axis=0)
    size = width * TAPS * channels + channels
    partials += replica * total_partials + offset_partials + chunk * size
    _store_gradient(partials, width, channels, k, channel, matrix, bias, tl.program_id(1))


@triton.jit
def conv1_backward_weight(
    step, inputs, gradient1, place1, partials,
    images, batch, width, total_partials, offset_partials,
    CHUNK: tl.constexpr, N: tl.constexpr, K: tl.constexpr, CELLS: tl.constexpr,
    PRECISION: tl.constexpr,
):  # fmt: skip
    """Also takes the gradient back through pooling and ReLU.

    Grid (chunks, blocks of K of a window's inputs, replicas).
    """
    chunk = tl.program_id(0)
    k = tl.program_id(1) * K + tl.arange(0, K)
    replica = tl.program_id(2).to(tl.int64)
    channel = tl.arange(0, N)
    padded = _padded(width)
    window = _window(k, 4, FRAME0, 1)
    inputs += replica * batch * INPUT
    gradient1 += replica * batch * AREA1 * padded
    place1 += replica * batch * AREA1 * padded
    matrix = tl.zeros((K, N), tl.float32)
    bias = tl.zeros((N,), tl.float32)
    end = tl.minimum(_valid(step, images, batch), (chunk + 1) * CHUNK) * AREA1
    for start in range(chunk * CHUNK * AREA1, end, CELLS):
        cell = start + tl.arange(0, CELLS)
        at = (cell * padded)[:, None] + channel[None, :]
        mask = (cell >= 0)[:, None] & (channel < padded)[None, :]
        place = tl.load(place1 + at, mask=mask, other=NONE)
        g = tl.load(gradient1 + at, mask=mask, other=0.0)
        bias += tl.sum(tl.where(place == NONE, 0.0, g), axis=0)
        pixel = cell // AREA1 * FRAMED0 + cell % AREA1 // SIDE1 * (2 * FRAME0) + cell % SIDE1 * 2
        for corner in tl.static_range(4):
            at = ((pixel + corner // 2 * FRAME0 + corner % 2) * 4)[:, None] + window[None, :]
            part = tl.where(place == corner, g, 0.0)
            matrix = tl.dot(tl.trans(tl.load(inputs + at)), part, matrix, input_precision=PRECISION)
    partials += replica * total_partials + offset_partials + chunk * (3 * TAPS + 1) * width
    _store_gradient(partials, 3, width, k, channel, matrix, bias, tl.program_id(1))
