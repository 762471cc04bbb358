"""The tasks of multitask sparse parity: how often each is drawn, and the bits that decide it.

Michaud et al. (2023), section 3. Task i, counted from 1, is drawn with a frequency
p_i ~ i^-(alpha + 1); its label is the parity of k fixed bits. Bits are packed 32 to a word, the
first in the lowest place; a sample has four words for every 128 bits or part of them.
"""

from functools import reduce

import numpy as np
import numpy.typing as npt

BLOCK = 128
"""Bits that one draw of the random numbers gives: four words."""

Words = npt.NDArray[np.uint32]


def frequencies(tasks: int, alpha: float) -> npt.NDArray[np.float64]:
    """p_i of every task, falling. (tasks,)."""
    rates = np.arange(1, tasks + 1, dtype=np.float64) ** -(alpha + 1)
    frequencies: npt.NDArray[np.float64] = rates / rates.sum()
    return frequencies


def thresholds(tasks: int, alpha: float) -> Words:
    """Where, among all random words, one task ends and the next begins. (tasks - 1,).

    A word draws the task (from 0) whose number is how many thresholds are at most that word.
    """
    ends = np.cumsum(frequencies(tasks, alpha))[:-1]
    return np.minimum(np.round(ends * 2.0**32), 2.0**32 - 1).astype(np.uint32)


def subsets(tasks: int, bits: int, size: int, seed: int) -> npt.NDArray[np.int64]:
    """The bits, from 0, that decide each task, ascending: (tasks, size), no two rows the same.

    Each is drawn from all subsets of that size that no earlier task has.

    Raises:
        ValueError: there are not that many subsets. (`ParityConfiguration` allows no such case.)
    """
    generator = np.random.Generator(np.random.Philox(np.random.SeedSequence(seed)))
    drawn: dict[tuple[int, ...], None] = {}
    for _ in range(1000 * tasks):
        if len(drawn) == tasks:
            return np.array(list(drawn))
        drawn[tuple(sorted(generator.choice(bits, size, replace=False).tolist()))] = None
    raise ValueError(f"{tasks} different subsets of {size} of {bits} bits were not found")


def masks(subsets: npt.NDArray[np.int64], bits: int) -> Words:
    """The subsets as words whose ones are the bits that count: (tasks, words of a sample)."""
    packed = np.zeros((len(subsets), 4 * -(-bits // BLOCK)), np.uint32)
    rows = np.arange(len(subsets))[:, None]
    np.bitwise_or.at(
        packed, (rows, subsets // 32), np.uint32(1) << (subsets % 32).astype(np.uint32)
    )
    return packed


def labels(words: Words, masks: Words) -> npt.NDArray[np.uint8]:
    """The parity of the bits that count, 0 or 1: (n,) of words and masks (n, words)."""
    # column by column: a reduction along rows this short takes eight times as long
    folded = reduce(np.bitwise_xor, (words & masks).T)
    parity: npt.NDArray[np.uint8] = np.bitwise_count(folded) & np.uint8(1)
    return parity
