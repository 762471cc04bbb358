"""What Numba compiles for training on multitask sparse parity: see stages/parity/lookup.py.

Machine code is kept in `__pycache__`, made anew when this file changes or the processor is another
kind. The order of every addition is written down, so it does not change results.
"""
# mypy: ignore-errors
# What is compiled here is typed by its signature, and by LLVM.

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic, models, register_model

UNITS = 32
"""Hidden units that are worked on at once: 4 registers of 8 floats, or 2 of 16."""
GROUP = 6
"""Bits whose sums are tabulated: of 100 bits, the tables of 32 units take 140 kB."""
SUMS = 1 << GROUP


# A row of a table is one LLVM vector: from loops over its elements, LLVM makes code three to six
# times slower, which stores each partial sum.
class _Row(types.Type):
    def __init__(self):
        super().__init__(f"{UNITS} floats")


_ROW = _Row()
_VECTOR = ir.VectorType(ir.FloatType(), UNITS)
_BITS = ir.VectorType(ir.IntType(1), UNITS)
_ZEROS = ir.Constant(_VECTOR, None)


@register_model(_Row)
class _Model(models.PrimitiveModel):
    def __init__(self, manager, row):
        super().__init__(manager, row, _VECTOR)


def _pointer(context, builder, kind, array, row):
    data = context.make_array(kind)(context, builder, array).data
    first = builder.mul(row, ir.Constant(row.type, UNITS))
    return builder.bitcast(builder.gep(data, [first]), _VECTOR.as_pointer())


@intrinsic
def _load(typing, table, row):
    """Row number `row` of a table of rows."""

    def code(context, builder, signature, arguments):
        return builder.load(_pointer(context, builder, signature.args[0], *arguments), align=4)

    return _ROW(table, types.uintp), code


@intrinsic
def _store(typing, table, row, value):
    def code(context, builder, signature, arguments):
        pointer = _pointer(context, builder, signature.args[0], *arguments[:2])
        builder.store(arguments[2], pointer, align=4)
        return context.get_dummy_value()

    return types.void(table, types.uintp, _ROW), code


@intrinsic
def _add(typing, a, b):
    def code(context, builder, signature, arguments):
        return builder.fadd(*arguments)

    return _ROW(_ROW, _ROW), code


@intrinsic
def _positive(typing, row):
    """Which elements are above 0 or no numbers, one bit each."""

    def code(context, builder, signature, arguments):
        positive = builder.fcmp_unordered(">", arguments[0], _ZEROS)
        return builder.bitcast(positive, ir.IntType(UNITS))

    return types.uint32(_ROW), code


@intrinsic
def _where(typing, active, row):
    """The row where `active` has ones, and else 0."""

    def code(context, builder, signature, arguments):
        return builder.select(builder.bitcast(arguments[0], _BITS), arguments[1], _ZEROS)

    return _ROW(types.uint32, _ROW), code


@intrinsic
def _repeated(typing, value):
    def code(context, builder, signature, arguments):
        index = ir.IntType(32)
        first = builder.insert_element(_ZEROS, arguments[0], index(0))
        return builder.shuffle_vector(first, _ZEROS, ir.Constant(ir.VectorType(index, UNITS), None))

    return _ROW(types.float32), code


@intrinsic
def _dot(typing, a, b):
    """The sum of the products, halves added until one is left."""

    def code(context, builder, signature, arguments):
        row = builder.fmul(*arguments)
        index = ir.IntType(32)
        size = UNITS
        while size > 1:
            size //= 2
            low, high = (
                ir.Constant(ir.VectorType(index, size), list(range(first, first + size)))
                for first in (0, size)
            )
            row = builder.fadd(
                builder.shuffle_vector(row, row, low), builder.shuffle_vector(row, row, high)
            )
        return builder.extract_element(row, index(0))

    return types.float32(_ROW, _ROW), code


def _compiled(signature):
    return njit(signature, nogil=True, cache=True)


@_compiled("void(uint32[:, ::1], int64[::1], int64, uint32[:, ::1])")
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
            found[sample, group] = np.uint64(group * SUMS) + (value >> shift & used)
    for sample in range(samples):
        found[sample, terms - 1] = (terms - 1) * SUMS + task[sample]


@_compiled("void(float32[:, ::1], float32[:, ::1], float32[:, ::1], float32[::1], int64)")
def _tabulate(tables, tasks, bits, bias, first):
    """Fill the tables of the hidden units from number `first`."""
    of_tasks = len(tables) - len(tasks)
    units = min(UNITS, len(bias) - first)
    for unit in range(units):
        for bit in range(len(bits)):
            tables[bit // GROUP * SUMS + (1 << bit % GROUP), unit] = bits[bit, first + unit]
        for task in range(len(tasks)):
            tables[of_tasks + task, unit] = tasks[task, first + unit] + bias[first + unit]
    for start in range(0, of_tasks, SUMS):
        for value in range(1, SUMS):
            rest = value & (value - 1)
            if rest > 0:
                low = start + value - rest
                total = _add(_load(tables, start + rest), _load(tables, low))
                _store(tables, start + value, total)


@_compiled("void(float32[:, ::1], float32[:, ::1], float32[:, ::1], int64)")
def _untabulate(tables, tasks, bits, first):
    """Sum the rows of the tables that each bit has a part in; empty the tables."""
    of_tasks = len(tables) - len(tasks)
    for start in range(0, of_tasks, SUMS):
        for value in range(SUMS - 1, 0, -1):
            rest = value & (value - 1)
            if rest > 0:
                low = start + value - rest
                total = _load(tables, start + value)
                _store(tables, start + rest, _add(_load(tables, start + rest), total))
                _store(tables, low, _add(_load(tables, low), total))
    units = min(UNITS, tasks.shape[1] - first)
    for unit in range(units):
        for bit in range(len(bits)):
            bits[bit, first + unit] = tables[bit // GROUP * SUMS + (1 << bit % GROUP), unit]
        for task in range(len(tasks)):
            tasks[task, first + unit] = tables[of_tasks + task, unit]
    for row in range(len(tables)):
        for unit in range(UNITS):
            tables[row, unit] = 0


@_compiled(
    "void(uint32[:, ::1], float32[:, ::1], float32[:, ::1], float32[::1], float32[:, ::1],"
    " float32[:, ::1], float32[::1], uint32[:, ::1])"
)
def forward(rows, tasks, bits, bias, output, tables, outputs, active):
    samples, terms = rows.shape
    for block in range(len(active)):
        _tabulate(tables, tasks, bits, bias, block * UNITS)
        weights = _load(output, block)
        for sample in range(samples):
            hidden = _load(tables, rows[sample, 0])
            for term in range(1, terms):
                hidden = _add(hidden, _load(tables, rows[sample, term]))
            positive = _positive(hidden)
            active[block, sample] = positive
            outputs[sample] += _dot(_where(positive, hidden), weights)


@_compiled(
    "void(uint32[:, ::1], float32[::1], uint32[:, ::1], float32[:, ::1],"
    " float32[:, ::1], float32[:, ::1])"
)
def backward(rows, slopes, active, tables, tasks, bits):
    samples, terms = rows.shape
    for block in range(len(active)):
        for sample in range(samples):
            slope = _where(active[block, sample], _repeated(slopes[sample]))
            for term in range(terms):
                row = rows[sample, term]
                _store(tables, row, _add(_load(tables, row), slope))
        _untabulate(tables, tasks, bits, block * UNITS)
