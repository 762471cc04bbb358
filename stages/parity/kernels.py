"""Sampling, forward and backward pass of multitask sparse parity for many replicas at once.

Every kernel runs over a grid (work of one, one): of one stream of samples, which the networks of
all widths that see it share, or of one replica, whose stream is `streams`[replica]. A replica's
programs touch nothing of its neighbours and sum in a fixed order, without atomics, so its result
is the same to the bit alone or beside others.

A batch is laid out in slots: its samples by task, each task beginning a new group of GROUP slots
and filling its last one with slots that hold no sample. TILE slots are worked on at once. Of a
group all samples have one task, so the gradient of the task's row of weights is a sum over rows.
Evaluation lays its samples out likewise, each task beginning a new tile. Of a training set the
batch's samples are first chosen in any order, and then sorted into their slots.

The hidden layer is never stored, only where it is above 0. Programs own a block of its units and
go over tiles: the block's weights are read once, and each block adds its share to a logit. With
two logits the loss depends on their difference alone, the contrast, which is all that is computed.
See stages/parity/one.py for the gradient.

Layouts, with S slots; those of a stream, each with a leading stream axis:

    histograms      programs x T        samples of each task in a program of `count` or `choose`,
                                        which `arrange` turns into those in the programs before
    set_ends        T                   samples of the training set up to and including each task
    chosen, ranks   programs x BLOCK    samples of the training set, from 0, or -1; how many of its
                                        task are before it in its program
    samples         S                   which sample of the training set is in a slot
    sample_ends     T                   samples up to and including each task
    group_ends      T                   groups up to and including each task
    group_tasks     S / GROUP           the task of each group
    inputs          S x K               the bits of each sample, as float16
    labels          S                   0 or 1, or NONE in a slot without a sample

and those of a replica, each with a leading replica axis; n the width, blocks of `forward`'s UNITS:

    contrasts       blocks x S          each block's share of a slot's contrast
    active          S x ACTIVE          a bit for each hidden unit, set where it is above 0
    slopes          S                   SCALE times the loss's gradient by the contrast
    group_sums      S / GROUP x n       gradient of the task's weights, from each group

The matrix units want powers of two: T tasks, K bits, and UNITS are padded, with zeros as weights.
One factor of every product is bits, exact in any format. The other is scaled into the range of
float16 and split into PIECES of them, the second what the first leaves over: one keeps 11 bits of
a float's mantissa, as TF32 does at half the speed, and two keep 22 of its 24. Sums are in float32.
"""

import triton
import triton.language as tl

GROUP = tl.constexpr(16)
NONE = tl.constexpr(2)
"""Label of a slot without a sample."""
SCALE, UNSCALE = tl.constexpr(64.0), tl.constexpr(1 / 64)
"""Factor on weights, up to 1,000 of them, and on slopes, which are below 1, in float16."""
BATCH_TASKS, BATCH_BITS, EVALUATION_BITS = tl.constexpr(0), tl.constexpr(1), tl.constexpr(2)
TRAINING_SET_BITS, ORDER = tl.constexpr(3), tl.constexpr(4)
"""Streams of random words; see stages/parity/draws.py."""
QUAD, WORD_BITS = tl.constexpr(4), tl.constexpr(32)
"""Random words that Philox draws at once, and bits of each; also of a word of `active`."""
ROUNDS = tl.constexpr(6)
"""Rounds of the shuffle; see stages/parity/shuffle.py."""
UNSPECIALISED = [
    "width", "total", "total_partials", "offset", "offset_bits", "offset_bias", "offset_output",
    "programs",
]  # fmt: skip
"""Arguments whose multiples of 16 get no kernel of their own: it would be compiled for nothing."""


@triton.jit
def _key(seed, STREAM: tl.constexpr):
    return tl.load(seed).to(tl.uint64) | (STREAM << 32)


@triton.jit
def _at_most(table, value, LOG: tl.constexpr):
    """How many of the first 2^LOG - 1 entries of an ascending table are at most each value."""
    found = (value * 0).to(tl.int32)
    for i in tl.static_range(LOG):
        half = 1 << (LOG - 1 - i)
        entry = tl.load(table + found + (half - 1)).to(value.dtype, bitcast=True)
        found = tl.where(entry <= value, found + half, found)
    return found


@triton.jit
def _matrix(base, rows, columns, row, column):
    """A (rows, columns) matrix in row-major order, padded with zeros."""
    address = base + row[:, None] * columns + column[None, :]
    return tl.load(address, mask=(row < rows)[:, None] & (column < columns)[None, :], other=0.0)


@triton.jit
def _packed(on, ROWS: tl.constexpr, UNITS: tl.constexpr):
    """A (ROWS, UNITS) matrix of zeros and ones as words: (ROWS, UNITS / WORD_BITS)."""
    on = tl.reshape(on.to(tl.int32), (ROWS, UNITS // WORD_BITS, WORD_BITS))
    return tl.sum(on << tl.arange(0, WORD_BITS)[None, None, :], axis=2)


@triton.jit
def _word(UNITS: tl.constexpr):
    """Which words of `active` hold a program's block of units."""
    return tl.program_id(0) * (UNITS // WORD_BITS) + tl.arange(0, UNITS // WORD_BITS)


@triton.jit
def _split(value):
    """A float32 value as the sum of two float16 numbers."""
    first = value.to(tl.float16)
    return first, (value - first.to(tl.float32)).to(tl.float16)


@triton.jit
def _output(weights, width, unit, LOGITS: tl.constexpr):
    """What each hidden unit adds to the contrast; `weights` are the output layer's."""
    weight = tl.load(weights + (LOGITS - 1) * width + unit, mask=unit < width, other=0.0)
    if LOGITS == 2:
        weight -= tl.load(weights + unit, mask=unit < width, other=0.0)
    return weight


@triton.jit
def _contrast(weights, contrasts, width, slots, slot, LOGITS: tl.constexpr, BLOCKS: tl.constexpr):
    """The contrast of some slots: the output's bias and each block's share, in order."""
    bias = tl.load(weights + LOGITS * width + LOGITS - 1)
    if LOGITS == 2:
        bias -= tl.load(weights + LOGITS * width)
    contrast = bias + tl.load(contrasts + slot)
    for block in tl.static_range(1, BLOCKS):
        contrast += tl.load(contrasts + block * slots + slot)
    return contrast


@triton.jit
def _draw(
    inputs, labels, masks, key, slot, valid, sample, step, last, task,
    WORDS: tl.constexpr, K: tl.constexpr,
):  # fmt: skip
    """Draw the bits of some slots and label them. The counter is (sample, step, block, last)."""
    folded = sample * 0
    bit = tl.arange(0, WORD_BITS)
    inputs += (slot * K)[:, None] + bit[None, :]
    masks += task * WORDS
    for block in tl.static_range(WORDS // QUAD):
        drawn = tl.philox(key, sample, step, block, last)
        for i in tl.static_range(QUAD):
            word = drawn[i].to(tl.int32, bitcast=True)
            folded ^= word & tl.load(masks + QUAD * block + i)
            if (QUAD * block + i) * WORD_BITS < K:
                ones = (word[:, None] >> bit[None, :] & 1).to(tl.float16)
                tl.store(inputs + (QUAD * block + i) * WORD_BITS, ones)
    folded ^= folded >> 16
    folded ^= folded >> 8
    folded ^= folded >> 4
    folded ^= folded >> 2
    folded ^= folded >> 1
    tl.store(labels + slot, tl.where(valid, folded & 1, NONE).to(tl.int8))


@triton.jit
def count(
    seeds, step, thresholds, histograms, batch, tasks,
    LOG: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Draw the batch's tasks, and count each. Grid (batch / (QUAD * BLOCK), streams)."""
    stream = tl.program_id(1).to(tl.int64)
    quad = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    key = _key(seeds + stream, BATCH_TASKS)
    drawn = tl.philox(key, quad, tl.load(step), 0, 0)
    total = tl.zeros((1 << LOG,), tl.int32)
    for i in tl.static_range(QUAD):
        task = tl.minimum(_at_most(thresholds, drawn[i], LOG), tasks - 1)
        total += tl.histogram(task, 1 << LOG, mask=quad * QUAD + i < batch)
    place = stream * tl.num_programs(0) + tl.program_id(0)
    tl.store(histograms + (place << LOG) + tl.arange(0, 1 << LOG), total)


@triton.jit
def _permuted(key, number, value, bits):
    """Where the Feistel network of `bits` bits takes each value in shuffle `number`."""
    split = bits // 2
    low = value & ((1 << split) - 1)
    high = value >> split
    for i in tl.static_range(0, ROUNDS, 2):
        word, _, _, _ = tl.philox(key, high, i, number, 0)
        low ^= word.to(tl.int32, bitcast=True) & ((1 << split) - 1)
        word, _, _, _ = tl.philox(key, low, i + 1, number, 0)
        high ^= word.to(tl.int32, bitcast=True) & ((1 << (bits - split)) - 1)
    return (high << split) | low


@triton.jit
def choose(
    seeds, step, sizes, lengths, set_ends, histograms, chosen, ranks, batch, tasks,
    LOG: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Choose the batch from the training set, and count its tasks. Grid (programs, streams).

    See stages/parity/shuffle.py for the shuffle.
    """
    stream = tl.program_id(1).to(tl.int64)
    size = tl.load(sizes + stream)
    batch = tl.minimum(batch, size)
    batches = (size + batch - 1) // batch
    done = tl.load(step)
    i = tl.arange(0, BLOCK)
    place = tl.program_id(0) * BLOCK + i
    first = (done % batches) * batch
    valid = (place < batch) & (first + place < size)
    key = _key(seeds + stream, ORDER)
    length = tl.load(lengths + stream)
    sample = _permuted(key, done // batches, tl.minimum(first + place, size - 1), length)
    while tl.max(sample, axis=0) >= size:
        again = _permuted(key, done // batches, sample, length)
        sample = tl.where(sample >= size, again, sample)
    task = tl.minimum(_at_most(set_ends + (stream << LOG), sample, LOG), tasks - 1)
    before = (task[:, None] == task[None, :]) & valid[None, :] & (i[None, :] < i[:, None])
    program = stream * tl.num_programs(0) + tl.program_id(0)
    tl.store(chosen + program * BLOCK + i, tl.where(valid, sample, -1))
    tl.store(ranks + program * BLOCK + i, tl.sum(before.to(tl.int32), axis=1))
    total = tl.histogram(task, 1 << LOG, mask=valid)
    tl.store(histograms + (program << LOG) + tl.arange(0, 1 << LOG), total)


@triton.jit(do_not_specialize=UNSPECIALISED)
def arrange(
    histograms, sample_ends, group_ends, programs, LOG: tl.constexpr, ROWS: tl.constexpr
):  # fmt: skip
    """Where each task's samples and groups end, and those of each program. Grid (1, streams)."""
    stream = tl.program_id(1).to(tl.int64)
    task = tl.arange(0, 1 << LOG)
    samples = tl.zeros((1 << LOG,), tl.int32)
    for first in range(0, programs, ROWS):
        program = first + tl.arange(0, ROWS)
        at = histograms + ((stream * programs + program)[:, None] << LOG) + task[None, :]
        mask = (program < programs)[:, None]
        counted = tl.load(at, mask=mask, other=0)
        tl.store(at, samples[None, :] + tl.cumsum(counted, axis=0) - counted, mask=mask)
        samples += tl.sum(counted, axis=0)
    groups = (samples + GROUP - 1) // GROUP
    tl.store(sample_ends + (stream << LOG) + task, tl.cumsum(samples))
    tl.store(group_ends + (stream << LOG) + task, tl.cumsum(groups))


@triton.jit
def sort(
    set_ends, histograms, chosen, ranks, group_ends, samples, slots, tasks,
    LOG: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Bring the samples that were chosen into their slots. Grid (programs, streams)."""
    stream = tl.program_id(1).to(tl.int64)
    program = stream * tl.num_programs(0) + tl.program_id(0)
    at = program * BLOCK + tl.arange(0, BLOCK)
    sample = tl.load(chosen + at)
    task = tl.minimum(_at_most(set_ends + (stream << LOG), sample, LOG), tasks - 1)
    first = tl.load(group_ends + (stream << LOG) + task - 1, mask=task > 0, other=0) * GROUP
    slot = first + tl.load(histograms + (program << LOG) + task) + tl.load(ranks + at)
    tl.store(samples + stream * slots + slot, sample, mask=sample >= 0)


@triton.jit
def draw_batch(
    seeds, step, masks, sample_ends, group_ends, group_tasks, inputs, labels, set_ends, samples,
    slots, tasks, LOG: tl.constexpr, TILE: tl.constexpr, WORDS: tl.constexpr, K: tl.constexpr,
    LIMITED: tl.constexpr,
):  # fmt: skip
    """Draw the batch's bits, and label them. Grid (tiles, streams).

    `set_ends` and `samples` are those of a training set, and unused without one.
    """
    stream = tl.program_id(1).to(tl.int64)
    sample_ends += stream << LOG
    group_ends += stream << LOG
    groups = tl.load(group_ends + tasks - 1)
    if tl.program_id(0) * (TILE // GROUP) < groups:
        slot = tl.program_id(0) * TILE + tl.arange(0, TILE)
        group = slot // GROUP
        task = tl.minimum(_at_most(group_ends, group, LOG), tasks - 1)
        first = tl.load(sample_ends + task - 1, mask=task > 0, other=0)
        first_group = tl.load(group_ends + task - 1, mask=task > 0, other=0)
        sample = first + slot - first_group * GROUP
        valid = (group < groups) & (sample < tl.load(sample_ends + task))
        group_tasks += stream * (slots // GROUP)
        tl.store(group_tasks + group, task, mask=slot % GROUP == 0)
        inputs += stream * slots * K
        labels += stream * slots
        masks += stream * tasks * WORDS
        if LIMITED:
            key = _key(seeds + stream, TRAINING_SET_BITS)
            first = tl.load(set_ends + (stream << LOG) + task - 1, mask=task > 0, other=0)
            sample = tl.load(samples + stream * slots + slot, mask=valid, other=0) - first
            _draw(inputs, labels, masks, key, slot, valid, sample, 0, task, task, WORDS, K)
        else:
            key = _key(seeds + stream, BATCH_BITS)
            done = tl.load(step)
            _draw(inputs, labels, masks, key, slot, valid, sample, done, 0, task, WORDS, K)


@triton.jit
def draw_evaluation(
    seeds, step, masks, inputs, labels, slots, tasks, per_task,
    TILE: tl.constexpr, WORDS: tl.constexpr, K: tl.constexpr,
):  # fmt: skip
    """Draw and label the samples that the tasks are evaluated on. Grid (tiles, streams)."""
    stream = tl.program_id(1).to(tl.int64)
    slot = tl.program_id(0) * TILE + tl.arange(0, TILE)
    task = slot // (slots // tasks)
    sample = slot % (slots // tasks)
    _draw(
        inputs + stream * slots * K, labels + stream * slots,
        masks + stream * tasks * WORDS, _key(seeds + stream, EVALUATION_BITS),
        slot, sample < per_task, sample, tl.load(step), task, task, WORDS, K,
    )  # fmt: skip


@triton.jit(do_not_specialize=UNSPECIALISED)
def forward(
    streams, weights, inputs, group_tasks, group_ends, contrasts, active,
    slots, tasks, bits, width, total, TRAIN: tl.constexpr, LOG: tl.constexpr,
    TILE: tl.constexpr, UNITS: tl.constexpr, ACTIVE: tl.constexpr, K: tl.constexpr,
    LOGITS: tl.constexpr, PIECES: tl.constexpr,
):  # fmt: skip
    """The contrast of every slot. Grid (blocks of units, shares of the tiles, replicas)."""
    replica = tl.program_id(2).to(tl.int64)
    stream = tl.load(streams + replica).to(tl.int64)
    unit = tl.program_id(0) * UNITS + tl.arange(0, UNITS)
    weights += replica * total
    inputs += stream * slots * K
    contrasts += (replica * tl.num_programs(0) + tl.program_id(0)) * slots
    active += replica * slots * ACTIVE
    matrix = _matrix(weights + tasks * width, bits, width, tl.arange(0, K), unit)
    first, second = _split(matrix * SCALE)
    bias = tl.load(weights + (tasks + bits) * width + unit, mask=unit < width, other=0.0)
    output = _output(weights + (tasks + bits + 1) * width, width, unit, LOGITS)
    tiles = slots // TILE
    if TRAIN:
        group_tasks += stream * (slots // GROUP)
        groups = tl.load(group_ends + (stream << LOG) + tasks - 1)
        tiles = (groups + TILE // GROUP - 1) // (TILE // GROUP)
    for tile in range(tl.program_id(1), tiles, tl.num_programs(1)):
        slot = tile * TILE + tl.arange(0, TILE)
        group = tile * (TILE // GROUP) + tl.arange(0, TILE // GROUP)
        task = tl.load(group_tasks + group) if TRAIN else group * GROUP // (slots // tasks)
        row = weights + task[:, None] * width + unit[None, :]
        row = tl.load(row, mask=(unit < width)[None, :], other=0.0) + bias[None, :]
        ones = tl.load(inputs + (slot * K)[:, None] + tl.arange(0, K)[None, :])
        sums = tl.dot(ones, first)
        if PIECES == 2:
            sums = tl.dot(ones, second, sums)
        hidden = tl.reshape(sums * UNSCALE, (TILE // GROUP, GROUP, UNITS)) + row[:, None, :]
        hidden = tl.reshape(hidden, (TILE, UNITS))
        share = tl.sum(tl.maximum(hidden, 0.0) * output[None, :], axis=1)
        tl.store(contrasts + slot, share)
        if TRAIN:
            at = slot[:, None] * ACTIVE + _word(UNITS)[None, :]
            tl.store(active + at, _packed(hidden > 0, TILE, UNITS))


@triton.jit(do_not_specialize=UNSPECIALISED)
def slope(
    streams, weights, labels, contrasts, group_ends, slopes,
    slots, tasks, width, total, offset,
    LOG: tl.constexpr, BLOCK: tl.constexpr, LOGITS: tl.constexpr, BLOCKS: tl.constexpr,
):  # fmt: skip
    """The gradient of every sample's loss by its contrast. Grid (slots / BLOCK, replicas)."""
    replica = tl.program_id(1).to(tl.int64)
    stream = tl.load(streams + replica).to(tl.int64)
    used = tl.load(group_ends + (stream << LOG) + tasks - 1) * GROUP
    slot = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    if tl.program_id(0) * BLOCK < used:
        slot = tl.minimum(slot, slots - 1)
        label = tl.load(labels + stream * slots + slot)
        contrast = _contrast(
            weights + replica * total + offset, contrasts + replica * BLOCKS * slots,
            width, slots, slot, LOGITS, BLOCKS,
        )  # fmt: skip
        value = (tl.sigmoid(contrast) - label) * SCALE
        empty = (label == NONE) | (slot >= used)
        tl.store(slopes + replica * slots + slot, tl.where(empty, 0.0, value))


@triton.jit
def _share_of_slope(sample_ends, tasks):
    """What turns a slope in float16 into its share of the mean loss's gradient."""
    return (1.0 / tl.load(sample_ends + tasks - 1)) * UNSCALE


@triton.jit
def _store_output_gradient(partials, width, unit, gradient, LOGITS: tl.constexpr):
    """Store the gradient of the output's weights; with two logits, those have opposite ones."""
    tl.store(partials + (LOGITS - 1) * width + unit, gradient, mask=unit < width)
    if LOGITS == 2:
        tl.store(partials + unit, -gradient, mask=unit < width)


@triton.jit(do_not_specialize=UNSPECIALISED)
def backward_bits(
    streams, weights, inputs, slopes, sample_ends, group_ends, active, partials,
    slots, tasks, bits, width, total, total_partials, offset_bits, offset_output,
    LOG: tl.constexpr, TILE: tl.constexpr, UNITS: tl.constexpr, ACTIVE: tl.constexpr,
    K: tl.constexpr, LOGITS: tl.constexpr, PIECES: tl.constexpr,
):  # fmt: skip
    """The gradient of the bits' weights, and what the bits add to that of the output's.

    Grid (blocks of units, shares of the tiles, replicas). Units are the rows of the product, and
    bits its columns: what is made from `active` then stays in registers.
    """
    replica = tl.program_id(2).to(tl.int64)
    stream = tl.load(streams + replica).to(tl.int64)
    unit = tl.program_id(0) * UNITS + tl.arange(0, UNITS)
    weights += replica * total
    inputs += stream * slots * K
    slopes += replica * slots
    active += replica * slots * ACTIVE
    groups = tl.load(group_ends + (stream << LOG) + tasks - 1)
    product = tl.zeros((UNITS, K), tl.float32)
    tiles = (groups + TILE // GROUP - 1) // (TILE // GROUP)
    for tile in range(tl.program_id(1), tiles, tl.num_programs(1)):
        slot = tile * TILE + tl.arange(0, TILE)
        first, second = _split(tl.load(slopes + slot))
        word = tl.load(active + _word(UNITS)[:, None] + (slot * ACTIVE)[None, :])
        on = word[:, None, :] >> tl.arange(0, WORD_BITS)[None, :, None] & 1
        on = tl.reshape(on, (UNITS, TILE)) != 0
        ones = tl.load(inputs + (slot * K)[:, None] + tl.arange(0, K)[None, :])
        zero = tl.zeros((UNITS, TILE), tl.float16)
        product = tl.dot(tl.where(on, first[None, :], zero), ones, product)
        if PIECES == 2:
            product = tl.dot(tl.where(on, second[None, :], zero), ones, product)

    product *= _share_of_slope(sample_ends + (stream << LOG), tasks)
    bit = tl.arange(0, K)
    at = unit[:, None] + bit[None, :] * width
    mask = (unit < width)[:, None] & (bit < bits)[None, :]
    matrix = tl.load(weights + tasks * width + at, mask=mask, other=0.0)
    output_gradient = tl.sum(product * matrix, axis=1)
    output = _output(weights + (tasks + bits + 1) * width, width, unit, LOGITS)
    partials += replica * total_partials
    target = partials + offset_bits + tl.program_id(1) * bits * width
    tl.store(target + at, product * output[:, None], mask=mask)
    target = partials + offset_output + tl.program_id(1) * (width + 1) * LOGITS
    _store_output_gradient(target, width, unit, output_gradient, LOGITS)


@triton.jit(do_not_specialize=UNSPECIALISED)
def backward_tasks(
    streams, weights, slopes, group_tasks, sample_ends, group_ends, active, group_sums, partials,
    slots, tasks, bits, width, total, total_partials, offset_bias, offset_output, chunk,
    LOG: tl.constexpr, TILE: tl.constexpr, UNITS: tl.constexpr, ACTIVE: tl.constexpr,
    LOGITS: tl.constexpr,
):  # fmt: skip
    """The gradients of the tasks' weights, by group, and of the biases; the rest of the output's.

    Grid (blocks of units, shares of the tiles, replicas). Of the output's partial gradients those
    from `chunk` on are its own.
    """
    replica = tl.program_id(2).to(tl.int64)
    stream = tl.load(streams + replica).to(tl.int64)
    unit = tl.program_id(0) * UNITS + tl.arange(0, UNITS)
    inside = unit < width
    weights += replica * total
    slopes += replica * slots
    active += replica * slots * ACTIVE
    group_tasks += stream * (slots // GROUP)
    group_sums += replica * (slots // GROUP) * width
    bias = tl.load(weights + (tasks + bits) * width + unit, mask=inside, other=0.0)
    output = _output(weights + (tasks + bits + 1) * width, width, unit, LOGITS)
    groups = tl.load(group_ends + (stream << LOG) + tasks - 1)
    share = _share_of_slope(sample_ends + (stream << LOG), tasks)
    bias_gradient = tl.zeros((UNITS,), tl.float32)
    output_gradient = tl.zeros((UNITS,), tl.float32)
    slot_sums = tl.zeros((TILE,), tl.float32)
    tiles = (groups + TILE // GROUP - 1) // (TILE // GROUP)
    for tile in range(tl.program_id(1), tiles, tl.num_programs(1)):
        group = tile * (TILE // GROUP) + tl.arange(0, TILE // GROUP)
        slot = tile * TILE + tl.arange(0, TILE)
        value = tl.load(slopes + slot)
        slot_sums += value
        value = tl.reshape(value, (TILE // GROUP, GROUP))
        word = tl.load(active + (slot * ACTIVE)[:, None] + _word(UNITS)[None, :])
        on = word[:, :, None] >> tl.arange(0, WORD_BITS)[None, None, :] & 1
        on = tl.reshape(on, (TILE // GROUP, GROUP, UNITS)) != 0
        sums = tl.sum(tl.where(on, share * value[:, :, None], 0.0), axis=1)
        row = weights + tl.load(group_tasks + group)[:, None] * width + unit[None, :]
        row = tl.load(row, mask=inside[None, :], other=0.0) + bias[None, :]
        output_gradient += tl.sum(sums * row, axis=0)
        sums *= output[None, :]
        bias_gradient += tl.sum(sums, axis=0)
        tl.store(group_sums + group[:, None] * width + unit[None, :], sums, mask=inside[None, :])

    partials += replica * total_partials
    target = partials + offset_bias + tl.program_id(1) * width
    tl.store(target + unit, bias_gradient, mask=inside)
    target = partials + offset_output + (chunk + tl.program_id(1)) * (width + 1) * LOGITS
    _store_output_gradient(target, width, unit, output_gradient, LOGITS)
    if tl.program_id(0) == 0:
        output_bias_gradient = share * tl.sum(slot_sums)
        tl.store(target + LOGITS * width + LOGITS - 1, output_bias_gradient)
        if LOGITS == 2:
            tl.store(target + LOGITS * width, -output_bias_gradient)


@triton.jit(do_not_specialize=UNSPECIALISED)
def sum_tasks(
    streams, group_ends, group_sums, partials, slots, width, total_partials, offset,
    LOG: tl.constexpr, ROWS: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """The gradient of the tasks' weights, from their groups. Grid (blocks, tasks, replicas)."""
    replica = tl.program_id(2).to(tl.int64)
    stream = tl.load(streams + replica)
    task = tl.program_id(1)
    unit = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    group_ends += (stream << LOG) + task
    first = tl.load(group_ends - 1, mask=task > 0, other=0)
    end = tl.load(group_ends)
    group_sums += replica * (slots // GROUP) * width
    gradient = tl.zeros((ROWS, BLOCK), tl.float32)
    for start in range(first, end, ROWS):
        gradient += _matrix(group_sums, end, width, start + tl.arange(0, ROWS), unit)
    partials += replica * total_partials + offset + task * width
    tl.store(partials + unit, tl.sum(gradient, axis=0), mask=unit < width)


@triton.jit(do_not_specialize=UNSPECIALISED)
def score(
    streams, weights, step, labels, contrasts, losses, accuracies,
    slots, tasks, per_task, width, total, offset, every, evaluations,
    BLOCK: tl.constexpr, LOGITS: tl.constexpr, BLOCKS: tl.constexpr,
):  # fmt: skip
    """Mean loss (nats) and accuracy of each task. Grid (tasks, replicas)."""
    replica = tl.program_id(1).to(tl.int64)
    task = tl.program_id(0)
    labels += tl.load(streams + replica).to(tl.int64) * slots
    contrasts += replica * BLOCKS * slots
    loss = tl.zeros((BLOCK,), tl.float32)
    correct = tl.zeros((BLOCK,), tl.int32)
    for start in range(0, per_task, BLOCK):
        sample = start + tl.arange(0, BLOCK)
        valid = sample < per_task
        slot = task * (slots // tasks) + tl.where(valid, sample, 0)
        label = tl.load(labels + slot)
        contrast = _contrast(
            weights + replica * total + offset, contrasts, width, slots, slot, LOGITS, BLOCKS
        )
        small = tl.exp(-tl.abs(contrast))
        # log(1 + small), also where 1 + small would round to 1
        soft = tl.where(small < 1e-3, small - 0.5 * small * small, tl.log(1 + small))
        loss += tl.where(valid, tl.maximum(contrast, 0.0) - label * contrast + soft, 0.0)
        correct += (valid & ((contrast > 0) == (label == 1))).to(tl.int32)
    target = (replica * evaluations + tl.load(step) // every - 1) * tasks + task
    tl.store(losses + target, tl.sum(loss) / per_task)
    tl.store(accuracies + target, tl.sum(correct).to(tl.float32) / per_task)
