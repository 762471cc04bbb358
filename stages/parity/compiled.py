"""What Numba compiles for training on multitask sparse parity on a CPU: see `lookup`.

The order of every addition is written down: the compiler does not change results.
"""
# mypy: ignore-errors
# What is compiled here is typed by its signature, and by LLVM.

import numpy as np

from stages.training.vectors import (
    add,
    compiled,
    dot,
    load32,
    positive,
    repeat32,
    store,
    where,
)

UNITS = 32
"""Hidden units that are worked on at once: a row of the tables."""
GROUP = 6
"""Bits whose sums are tabulated: of 100 bits, the tables of 32 units take 140 kB."""
SUMS = 1 << GROUP


@compiled("void(uint32[:, ::1], int64[::1], int64, uint32[:, ::1])")
def rows(words, task, bits, found):
    """See `lookup.rows`, whose result is `found`."""
    samples, size = words.shape
    terms = found.shape[1]
    for group in range(terms - 1):
        first = group * GROUP
        word, shift = first // 32, np.uint64(first % 32)
        used = np.uint64((1 << min(GROUP, bits - first)) - 1)
        for sample in range(samples):
            value = np.uint64(words[sample, word])
            if word + 1 < size:
                value |= np.uint64(words[sample, word + 1]) << np.uint64(32)
            row = np.uint64(group * SUMS) + (value >> shift & used)
            found[sample, group] = row * np.uint64(UNITS)
    for sample in range(samples):
        found[sample, terms - 1] = ((terms - 1) * SUMS + task[sample]) * UNITS


@compiled("void(float32[:, ::1], float32[:, ::1], float32[:, ::1], float32[::1], int64)")
def _tabulate(tables, tasks, bits, bias, first):
    """Fill the tables of the hidden units from number `first`."""
    task_rows = len(tables) - len(tasks)
    units = min(UNITS, len(bias) - first)
    for unit in range(units):
        for bit in range(len(bits)):
            tables[bit // GROUP * SUMS + (1 << bit % GROUP), unit] = bits[bit, first + unit]
        for task in range(len(tasks)):
            tables[task_rows + task, unit] = tasks[task, first + unit] + bias[first + unit]
    for start in range(0, task_rows, SUMS):
        for value in range(1, SUMS):
            rest = value & (value - 1)
            if rest > 0:
                one, others = (start + value - rest) * UNITS, (start + rest) * UNITS
                total = add(load32(tables, others), load32(tables, one))
                store(tables, (start + value) * UNITS, total)


@compiled("void(float32[:, ::1], float32[:, ::1], float32[:, ::1], int64)")
def _untabulate(tables, tasks, bits, first):
    """Sum the rows of the tables that each bit has a part in; empty the tables."""
    task_rows = len(tables) - len(tasks)
    for start in range(0, task_rows, SUMS):
        for value in range(SUMS - 1, 0, -1):
            rest = value & (value - 1)
            if rest > 0:
                one, others = (start + value - rest) * UNITS, (start + rest) * UNITS
                total = load32(tables, (start + value) * UNITS)
                store(tables, others, add(load32(tables, others), total))
                store(tables, one, add(load32(tables, one), total))
    units = min(UNITS, tasks.shape[1] - first)
    for unit in range(units):
        for bit in range(len(bits)):
            bits[bit, first + unit] = tables[bit // GROUP * SUMS + (1 << bit % GROUP), unit]
        for task in range(len(tasks)):
            tasks[task, first + unit] = tables[task_rows + task, unit]
    for row in range(len(tables)):
        for unit in range(UNITS):
            tables[row, unit] = 0


@compiled(
    "void(uint32[:, ::1], float32[:, ::1], float32[:, ::1], float32[::1], float32[:, ::1],"
    " float32[:, ::1], float32[::1], uint32[:, ::1])"
)
def forward(rows, tasks, bits, bias, output, tables, outputs, active):
    samples, terms = rows.shape
    for block in range(len(active)):
        _tabulate(tables, tasks, bits, bias, block * UNITS)
        weights = load32(output, block * UNITS)
        for sample in range(samples):
            hidden = load32(tables, rows[sample, 0])
            for term in range(1, terms):
                hidden = add(hidden, load32(tables, rows[sample, term]))
            above = positive(hidden)
            active[block, sample] = above
            outputs[sample] += dot(where(above, hidden), weights)


@compiled(
    "void(uint32[:, ::1], float32[::1], uint32[:, ::1], float32[:, ::1],"
    " float32[:, ::1], float32[:, ::1])"
)
def backward(rows, slopes, active, tables, tasks, bits):
    samples, terms = rows.shape
    for block in range(len(active)):
        for sample in range(samples):
            slope = where(active[block, sample], repeat32(slopes[sample]))
            for term in range(terms):
                row = rows[sample, term]
                store(tables, row, add(load32(tables, row), slope))
        _untabulate(tables, tasks, bits, block * UNITS)
