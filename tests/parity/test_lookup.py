"""Parity's hidden layer by looking sums up, against the product with the dense input."""

import numpy as np
import pytest

from stages.parity import lookup, tasks
from stages.parity.compiled import UNITS
from stages.parity.draws import Samples

SIZES = [(1, 3, 1), (5, 6, 24), (3, 31, 32), (7, 100, 33), (40, 150, 200)]


def drawn(n: int, n_tasks: int, bits: int) -> Samples:
    random = np.random.default_rng(1)
    words = random.integers(0, 2**32, (n, 4 * -(-bits // tasks.BLOCK)), np.uint32)
    task = random.integers(0, n_tasks, n)
    return Samples(task, words, np.zeros(n, np.uint8))


def dense(samples: Samples, n_tasks: int, bits: int) -> tuple[np.ndarray, np.ndarray]:
    packed = samples.words.view(np.uint8)
    unpacked = np.unpackbits(packed, axis=1, count=bits, bitorder="little")
    return np.eye(n_tasks)[samples.task], unpacked.astype(np.float64)


@pytest.mark.parametrize(("n_tasks", "bits", "width"), SIZES)
def test_both_ways_are_products_with_the_dense_input(n_tasks: int, bits: int, width: int) -> None:
    random = np.random.default_rng(0)
    shapes = ((n_tasks, width), (bits, width), width, width)
    weights = [random.standard_normal(shape).astype(np.float32) for shape in shapes]
    for n in (1, 300):
        samples = drawn(n, n_tasks, bits)
        rows = lookup.rows(samples, bits)
        outputs, active = lookup.forward(rows, *weights)
        of_task, of_bits = dense(samples, n_tasks, bits)
        hidden = of_task @ weights[0] + of_bits @ weights[1] + weights[2]
        np.testing.assert_allclose(outputs, np.maximum(hidden, 0) @ weights[3], atol=1e-3)
        units = np.arange(width)
        above = active[units // UNITS] >> (units % UNITS).astype(np.uint32)[:, None] & 1
        assert np.array_equal(above.T[abs(hidden) > 1e-4], (hidden > 0)[abs(hidden) > 1e-4])

        slopes = random.standard_normal(n).astype(np.float32)
        sums = [np.full((rows, width), np.nan, np.float32) for rows in (n_tasks, bits)]
        lookup.backward(rows, slopes, active, *sums)
        for found, inputs in zip(sums, (of_task, of_bits), strict=True):
            expected = inputs.T @ (slopes[:, None] * above.T)
            np.testing.assert_allclose(found, expected, atol=1e-4)


def test_a_sample_gives_the_same_bits_among_others() -> None:
    random = np.random.default_rng(0)
    shapes = ((7, 100), (90, 100), 100, 100)
    weights = [random.standard_normal(shape).astype(np.float32) for shape in shapes]
    rows = lookup.rows(drawn(50, 7, 90), 90)
    together, active = lookup.forward(rows, *weights)
    alone, active_alone = lookup.forward(rows[31:32], *weights)
    assert alone[0] == together[31]
    assert np.array_equal(active_alone[:, 0], active[:, 31])


def test_weights_that_are_no_numbers_show() -> None:
    weights = [np.zeros(shape, np.float32) for shape in ((2, 40), (8, 40), 40, 40)]
    weights[1][3, 35] = np.nan
    words = np.array([[1 << 3, 0, 0, 0], [1 << 4, 0, 0, 0]], np.uint32)
    rows = lookup.rows(Samples(np.array([1, 1]), words, np.zeros(2, np.uint8)), bits=8)
    outputs, _ = lookup.forward(rows, *weights)
    assert np.isnan(outputs).tolist() == [True, False]
