"""Exact distances to the nearest neighbours, within all points and within blocks of them at once.

All pairs are compared, as in a dozen coordinates or more a tree has to look at most of them too.
The products behind the distances are taken once, in single precision, for blocks of every size;
only the few candidates that rounding leaves are measured exactly. 10,000 points of 64 coordinates,
with blocks of three more sizes, take 0.3 s of one core, where scikit-learn's brute force takes 0.7.
"""

from collections.abc import Mapping
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from stages.base.workers import Apply

Floats = NDArray[np.float64]
Singles = NDArray[np.float32]
Indices = NDArray[np.int64]

_ROWS = 256  # points compared with all others at a time
_LANES = 512  # the fewest columns that are searched for their least value together
_CACHED = 2**15  # numbers of the pairs measured exactly at a time, to stay in the processor's cache
_FAR = np.float32(1e30)
"""Stands for the squared distance of a point to itself; points are scaled to 1."""


def log_distances(
    points: Floats, asked: Mapping[int, int], apply: Apply = map
) -> dict[int, Floats]:
    """Logs of the exact distances to the nearest neighbours in the same block, in rising order.

    Of `points` (m, p), distinct, each of n blocks has m // n that follow one another; the few that
    remain are in none. `asked` says by the number of blocks how many neighbours, fewer than a block
    has points. `apply` is how to map a function over independent pieces of the work.

    Returns:
        By number of blocks, (blocks, points of a block, neighbours). Memory: two copies of the
        points in single precision, and 256 rows of distances for every piece under way.
    """
    found = _by_product(points, asked, apply)
    with np.errstate(divide="ignore"):
        logs = {n: np.log(rows[: len(rows) // n * n]) for n, rows in found.items()}
    return {n: rows.reshape(n, -1, rows.shape[1]) for n, rows in logs.items()}


def _by_product(points: Floats, asked: Mapping[int, int], apply: Apply) -> dict[int, Floats]:
    m, p = points.shape
    squares = np.einsum("ij,ij->i", points, points)
    left = np.ones((m, p + 1), np.float32)
    right = np.empty((m, p + 1), np.float32)  # left @ right.T: |y|^2 - 2 x.y
    left[:, :p] = points
    np.multiply(left[:, :p], -2, out=right[:, :p])
    right[:, p] = squares
    rounding = 2 * 3 * (p + 8) * 2.0**-24
    found = {n: np.empty((m, neighbours)) for n, neighbours in asked.items()}

    def compare(ends: tuple[int, int]) -> None:
        """Fill in rows of `found` that share their block, of whatever size."""
        start, stop = ends
        rows = np.arange(start, stop)
        partial = left[start:stop] @ right.T
        partial[rows - start, rows] = _FAR
        for n, neighbours in asked.items():
            samples = m // n
            first = start // samples * samples
            if first + samples > m:
                continue  # in no block
            inside = partial[:, first : first + samples]
            last = _bound(inside, neighbours).astype(np.float64)
            reach = np.sqrt(squares[rows]) + np.sqrt(np.maximum(last + squares[rows], 0))
            bound = (last + rounding * reach**2).astype(np.float32)
            row, column = np.divmod(np.flatnonzero(inside <= bound[:, None]), samples)
            exact = _squared_distances(points, start + row, first + column)
            found[n][start:stop] = np.sqrt(_least(exact, row, len(rows), neighbours))

    edges = {edge for n in asked for edge in range(0, m, m // n)}
    for _ in apply(compare, pairwise(sorted({*range(0, m, _ROWS), *edges, m}))):
        pass  # runs them, and raises what they raise
    return found


def _bound(values: Singles, neighbours: int) -> Singles:
    """What at least so many values of each row are not above, (rows,), without sorting them.

    The minima of disjoint sets of columns; the columns left over would lower it by little.
    """
    rows, columns = values.shape
    lanes = columns // max(1, columns // max(_LANES, 16 * neighbours))
    minima = values[:, : columns // lanes * lanes].reshape(rows, -1, lanes).min(axis=1)
    return np.partition(minima, neighbours - 1, axis=1)[:, neighbours - 1]


def _squared_distances(points: Floats, one: Indices, other: Indices) -> Floats:
    """Squared distances of pairs of points, summed coordinate by coordinate, (pairs,)."""
    squared = np.empty(len(one))
    step = max(1, _CACHED // points.shape[1])
    for start in range(0, len(one), step):
        pairs = slice(start, start + step)
        difference = points.take(one[pairs], axis=0)
        difference -= points.take(other[pairs], axis=0)
        np.einsum("ij,ij->i", difference, difference, out=squared[pairs])
    return squared


def _least(values: Floats, row: Indices, rows: int, kept: int) -> Floats:
    """The least values of each row, (rows, kept), in rising order; `row` rises."""
    each = np.bincount(row, minlength=rows)
    table = np.full((rows, each.max()), np.inf)
    table[np.arange(each.max()) < each[:, None]] = values
    table.sort(axis=1)
    return table[:, :kept]
