"""A shuffle of 0, 1, ... of which any place can be asked for alone, the same on every device.

A Feistel network (Luby & Rackoff, 1988) permutes the numbers of just enough bits: either half of a
number is changed in turn by random words that depend on the other half, which can be undone. What
lies beyond the shuffle's size is permuted again until it does not ("cycle walking": Black &
Rogaway, 2002), which leaves a permutation of what is left. The random words are Philox's, of the
counter (half, round, which shuffle, 0). `choose` in stages/parity/kernels.py shuffles
likewise on the GPU.
"""

import numpy as np
import numpy.typing as npt

from stages.base import philox

ROUNDS, LEAST_BITS = 6, 8
"""In 40,000 shuffles of 100 places a bias is seen with four rounds and none with six; with fewer
bits than eight, six are too few."""

Numbers = npt.NDArray[np.int64]


def permuted(key: tuple[int, int], number: int, places: Numbers, size: int) -> Numbers:
    """What lies at some `places` of the shuffle `number` of 0 to `size` - 1; shaped as `places`."""
    chosen = _permuted(key, number, places, bits(size))
    while (beyond := chosen >= size).any():
        chosen[beyond] = _permuted(key, number, chosen[beyond], bits(size))
    return chosen


def bits(size: int) -> int:
    """How long the numbers are that the network permutes for a shuffle of some size."""
    return max(LEAST_BITS, (size - 1).bit_length())


def _permuted(key: tuple[int, int], number: int, values: Numbers, bits: int) -> Numbers:
    split = bits // 2
    low, high = values & ((1 << split) - 1), values >> split
    for i in range(0, ROUNDS, 2):
        low ^= philox.words(key, (high, i, number, 0))[:, 0] & ((1 << split) - 1)
        high ^= philox.words(key, (low, i + 1, number, 0))[:, 0] & ((1 << (bits - split)) - 1)
    return high << split | low
