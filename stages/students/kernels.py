"""Samples, and the forward and backward pass of students, for many side by side.

A student's programs touch nothing of its neighbours and sum in a fixed order, without atomics, so
its result is the same to the bit alone or beside others. Students of one width lie by teacher, then
seed. Their samples are those of their teacher: `inputs` (teachers, samples, SEEN) and `targets`
(teachers, samples).

The matrix units want powers of two: UNITS and SEEN_POWER are the width and SEEN, padded with zeros
as weights. A program goes over tiles of a batch; what it adds up is one of the partial gradients
that Adam's kernel sums, of the weights into and out of the OWN units of the first hidden layer that
are its own. In float64 a multiprocessor cannot hold the second layer of wide students at once: OWN
is less than UNITS there, and a program reads the other units' weights again for every tile.
"""

import triton
import triton.language as tl


@triton.jit(do_not_specialize=["count", "batch", "dimension"])
def draw(
    inputs, done, count, batch, dimension,
    STREAM: tl.constexpr, SEEN: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Draw a teacher's next `count` samples. Grid (blocks, teachers).

    See stages/students/draws.py, whose integers these are.
    """
    teacher = tl.program_id(1).to(tl.int64)
    number = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    step = tl.load(done) + number // batch
    key = teacher.to(tl.uint64) | (STREAM << 32)
    inputs += (teacher * count + number) * SEEN
    for block in tl.static_range((SEEN + 3) // 4):
        words = tl.philox(key, number % batch, step, block, dimension)
        for i in tl.static_range(4):
            if 4 * block + i < SEEN:
                high = (words[i].to(tl.uint32, bitcast=True) >> 8).to(tl.float32)
                value = high * (1 / (1 << 24)) - 0.5
                tl.store(
                    inputs + (4 * block + i), value.to(inputs.dtype.element_ty), mask=number < count
                )


@triton.jit
def _matrix(base, rows, columns, row, column):
    """A (rows, columns) matrix in row-major order, padded with zeros."""
    address = base + row[:, None] * columns + column[None, :]
    return tl.load(address, mask=(row < rows)[:, None] & (column < columns)[None, :], other=0.0)


@triton.jit
def _product(left, right):
    return tl.dot(left, right, input_precision="ieee", out_dtype=left.dtype)


@triton.jit
def _power(base, EXPONENT: tl.constexpr):
    """base ** EXPONENT of a base that is at least 0, but 0 where the base is 0."""
    return tl.where(base > 0, tl.exp2(tl.log2(tl.maximum(base, 1e-37)) * EXPONENT), 0.0)


@triton.jit(do_not_specialize=["samples", "first", "batch", "width", "total", "total_partials"])
def differentiate(
    weights, inputs, targets, partials,
    samples, first, batch, seeds, width, total, total_partials,
    SEEN: tl.constexpr, SEEN_POWER: tl.constexpr, UNITS: tl.constexpr, OWN: tl.constexpr,
    TILE: tl.constexpr, OUTPUTS: tl.constexpr, EXPONENT: tl.constexpr,
):  # fmt: skip
    """Partial gradients of the mean loss of `batch` samples from number `first`.

    Grid (shares, UNITS / OWN, students of a width). See `compiled.train` for what is computed.
    """
    student = tl.program_id(2).to(tl.int64)
    share = tl.program_id(0)
    real = weights.dtype.element_ty
    teacher = student // seeds
    inputs += (teacher * samples + first) * SEEN
    targets += teacher * samples + first
    weights += student * total
    unit = tl.arange(0, UNITS)
    own = tl.program_id(1) * OWN + tl.arange(0, OWN)
    entry = tl.arange(0, SEEN_POWER)
    there = unit < width

    at_bias1 = SEEN * width
    at2 = at_bias1 + width
    at_bias2 = at2 + width * width
    at3 = at_bias2 + width
    last = at3 + (OUTPUTS - 1) * width
    at_bias3 = last + width
    own_weights2 = _matrix(weights + at2, width, width, own, unit)
    bias2 = tl.load(weights + at_bias2 + unit, mask=there, other=0.0)
    weights3 = tl.load(weights + last + unit, mask=there, other=0.0)
    bias3 = tl.load(weights + at_bias3 + (OUTPUTS - 1))
    if OUTPUTS == 2:
        weights3 -= tl.load(weights + at3 + unit, mask=there, other=0.0)
        bias3 -= tl.load(weights + at_bias3)

    slopes1 = tl.zeros((SEEN_POWER, OWN), real)
    slopes2 = tl.zeros((OWN, UNITS), real)
    slopes_bias1 = tl.zeros((OWN,), real)
    slopes_bias2 = tl.zeros((UNITS,), real)
    slopes3 = tl.zeros((UNITS,), real)
    slopes_bias3 = tl.zeros((TILE,), real)
    for start in range(share * TILE, batch, tl.num_programs(0) * TILE):
        sample = start + tl.arange(0, TILE)
        x = _matrix(inputs, batch, SEEN, sample, entry)
        target = tl.load(targets + sample, mask=sample < batch, other=0.0)
        before2 = tl.zeros((TILE, UNITS), real) + bias2[None, :]
        hidden1 = tl.zeros((TILE, OWN), real)
        for block in range(0, UNITS, OWN):
            some = (own + block + OWN) % UNITS  # the last are its own, which it keeps
            weights1 = _matrix(weights, SEEN, width, entry, some)
            bias1 = tl.load(weights + at_bias1 + some, mask=some < width, other=0.0)
            weights2 = _matrix(weights + at2, width, width, some, unit)
            hidden1 = tl.maximum(_product(x, weights1) + bias1[None, :], 0.0)
            before2 += _product(hidden1, weights2)
        hidden2 = tl.maximum(before2, 0.0)
        contrast = tl.sum(hidden2 * weights3[None, :], axis=1) + bias3

        if OUTPUTS == 2:
            slope = 1 / (1 + tl.exp(-contrast)) - target
        else:
            error = contrast - target
            if EXPONENT == 2:
                slope = 2 * error
            else:
                slope = EXPONENT * _power(tl.abs(error), EXPONENT - 1)
                slope = tl.where(error > 0, slope, tl.where(error < 0, -slope, 0.0))
        slope = tl.where(sample < batch, slope / batch, 0.0)

        slopes3 += tl.sum(hidden2 * slope[:, None], axis=0)
        slopes_bias3 += slope
        errors2 = tl.where(before2 > 0, slope[:, None] * weights3[None, :], 0.0)
        slopes_bias2 += tl.sum(errors2, axis=0)
        slopes2 += _product(tl.trans(hidden1), errors2)
        errors1 = _product(errors2, tl.trans(own_weights2))
        errors1 = tl.where(hidden1 > 0, errors1, 0.0)
        slopes_bias1 += tl.sum(errors1, axis=0)
        slopes1 += _product(tl.trans(x), errors1)

    partials += student * total_partials + share * total
    owned = own < width
    place = entry[:, None] * width + own[None, :]
    tl.store(partials + place, slopes1, mask=(entry < SEEN)[:, None] & owned[None, :])
    tl.store(partials + at_bias1 + own, slopes_bias1, mask=owned)
    place = own[:, None] * width + unit[None, :]
    tl.store(partials + at2 + place, slopes2, mask=owned[:, None] & there[None, :])
    if tl.program_id(1) == 0:
        tl.store(partials + at_bias2 + unit, slopes_bias2, mask=there)
        tl.store(partials + last + unit, slopes3, mask=there)
        slope3 = tl.sum(slopes_bias3, axis=0)
        tl.store(partials + at_bias3 + (OUTPUTS - 1), slope3)
        if OUTPUTS == 2:
            tl.store(partials + at3 + unit, -slopes3, mask=there)
            tl.store(partials + at_bias3, -slope3)
