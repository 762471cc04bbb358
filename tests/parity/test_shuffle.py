"""The shuffle by which a pass goes through its training set, asked for place by place."""

import numpy as np
import pytest
from scipy import stats

from stages.parity import shuffle

KEY = (7, 4)


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 31, 32, 33, 1000, 4097, 100_000])
def test_it_is_a_permutation(size: int) -> None:
    chosen = shuffle.permuted(KEY, 3, np.arange(size), size)
    assert np.array_equal(np.sort(chosen), np.arange(size))


def test_a_place_can_be_asked_for_alone() -> None:
    whole = shuffle.permuted(KEY, 3, np.arange(1000), 1000)
    some = np.array([0, 999, 17, 17])
    assert np.array_equal(shuffle.permuted(KEY, 3, some, 1000), whole[some])
    assert np.array_equal(some, [0, 999, 17, 17])


@pytest.fixture(scope="module")
def shuffles() -> np.ndarray:
    """200 shuffles of 100 places."""
    return np.stack([shuffle.permuted(KEY, i, np.arange(100), 100) for i in range(200)])


def test_everything_comes_to_every_place_as_often(shuffles: np.ndarray) -> None:
    counts = np.stack([np.bincount(place, minlength=100) for place in shuffles.T])
    # rows and columns of the counts are bound to sum to 200
    score = ((counts - 2) ** 2 / 2).sum() * 99 / 100
    assert 0.001 < stats.chi2.sf(score, 99**2) < 0.999


def test_places_do_not_depend_on_each_other(shuffles: np.ndarray) -> None:
    ranks = [stats.spearmanr(shuffles[:, i], shuffles[:, i + 1]).statistic for i in range(99)]
    score = (np.array(ranks) + 1 / 99) * np.sqrt(200)  # no number is at two places
    assert stats.kstest(score, "norm").pvalue > 0.001


def test_shuffles_differ_by_number_and_by_key() -> None:
    places = np.arange(1000)
    first = shuffle.permuted(KEY, 0, places, 1000)
    for other in (
        shuffle.permuted(KEY, 1, places, 1000),
        shuffle.permuted((8, 4), 0, places, 1000),
    ):
        assert (first == other).sum() < 10


def test_the_order_is_the_one_that_parts_were_trained_in() -> None:
    assert shuffle.permuted(KEY, 3, np.arange(12), 12).tolist() == [
        2,
        10,
        7,
        5,
        8,
        0,
        6,
        11,
        4,
        1,
        3,
        9,
    ]
    assert shuffle.permuted(KEY, 4, np.arange(6), 100_000).tolist() == [
        *[33107, 56798, 31979, 13496, 75997, 44003]
    ]
