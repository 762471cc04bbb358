"""The hidden layer of multitask sparse parity on a CPU, without a multiplication.

The layer's input is one task and some bits, so its product with the weights is a sum of rows. Six
bits at a time, all 64 sums that they can make are tabulated: of 100 bits a sample then adds 17 rows
of tables in place of 100, and one for its task. The gradient is the transpose: a sample adds its
slope to those same rows of empty tables, and in the end each row goes to the bits that it stands
for. Both take 32 hidden units at a time, whose tables lie in a core's cache.
"""

import numpy as np
import numpy.typing as npt

from stages.parity import compiled
from stages.parity.compiled import GROUP, SUMS, UNITS
from stages.parity.draws import Samples
from stages.training.vectors import LINE

Floats = npt.NDArray[np.float32]
Words = npt.NDArray[np.uint32]


def rows(samples: Samples, bits: int) -> Words:
    """Where in the tables the rows begin that each sample adds: (n, groups of bits + 1)."""
    found = np.empty((len(samples.task), -(-bits // GROUP) + 1), np.uint32)
    compiled.rows(samples.words, samples.task, bits, found)
    return found


def forward(
    rows: Words, tasks: Floats, bits: Floats, bias: Floats, output: Floats
) -> tuple[Floats, Words]:
    """What the hidden layer gives the output, and which of its units are above 0.

    Args:
        rows: the samples', from `rows`.
        tasks, bits, bias: the layer's weights, (tasks, width), (bits, width) and (width,).
        output: the output's weights, (width,).

    Returns:
        A sum for each sample, (n,), and the units, 32 to a word, (words, n).
    """
    blocks = -(-len(bias) // UNITS)
    padded = np.zeros((blocks, UNITS), np.float32)
    padded.reshape(-1)[: len(bias)] = output
    outputs = np.zeros(len(rows), np.float32)
    active = np.empty((blocks, len(rows)), np.uint32)
    tables = _tables(rows, len(tasks))
    compiled.forward(rows, tasks, bits, bias, padded, tables, outputs, active)
    return outputs, active


def backward(rows: Words, slopes: Floats, active: Words, tasks: Floats, bits: Floats) -> None:
    """For each task or bit and each hidden unit, sum the slopes of the samples that have both.

    Args:
        rows, active: the samples', from `rows` and `forward`.
        slopes: what each sample counts, (n,).
        tasks, bits: where the sums go, (tasks, width) and (bits, width).
    """
    compiled.backward(rows, slopes, active, _tables(rows, len(tasks)), tasks, bits)


def _tables(rows: Words, tasks: int) -> Floats:
    """Rows of 0 that begin where cache lines do."""
    size = (rows.shape[1] - 1) * SUMS + tasks
    memory = np.zeros((size + 1) * UNITS, np.float32)
    first = -memory.ctypes.data % LINE // memory.itemsize
    return memory[first : first + size * UNITS].reshape(size, UNITS)
