"""The bootstrap over runs: strata are kept, and variances come out unbiased."""

import numpy as np
import pytest

from stages.statistics import bootstrap


def test_first_comes_the_sample_itself() -> None:
    for strata in ([1, 1, 2, 2], [1, 1, 1, 2, 2], [1, 2]):
        drawn = bootstrap.weights(strata, 50, seed=0)
        assert drawn.shape == (51, len(strata))
        assert len(set(drawn[0])) == 1


def test_every_stratum_keeps_its_share() -> None:
    strata = np.repeat([1, 2, 3], [4, 4, 4])
    drawn = bootstrap.weights(strata, 200, seed=0)[1:]
    for stratum in (1, 2, 3):
        assert (drawn[:, strata == stratum].sum(axis=1) == 3).all()


def test_strata_of_unequal_size_keep_their_weight() -> None:
    strata = np.repeat([1, 2, 3], [1, 2, 5])
    drawn = bootstrap.weights(strata, 200, seed=0)
    for stratum, size in ((1, 1), (2, 2), (3, 5)):
        shares = drawn[:, strata == stratum].sum(axis=1) / drawn[0, 0]
        np.testing.assert_allclose(shares, size, rtol=1e-3)


@pytest.mark.parametrize("size", [2, 3, 10])
def test_the_variance_of_a_mean_is_unbiased(size: int) -> None:
    # Of (m - 1) draws, the variance of the mean is exactly s^2 / m; of m it would be less.
    values = np.random.default_rng(1).normal(size=size)
    drawn = bootstrap.weights(np.ones(size, int), 20_000, seed=2)[1:]
    means = drawn @ values / drawn.sum(axis=1)
    expected = values.var(ddof=1) / size
    error = np.sqrt(np.var((means - means.mean()) ** 2) / len(means))
    assert abs(means.var() - expected) < 5 * error


def test_another_stratum_changes_no_draws() -> None:
    few = bootstrap.weights(np.repeat([1, 2], 3), 100, seed=0)
    more = bootstrap.weights(np.repeat([1, 2, 7], [3, 3, 3]), 100, seed=0)
    np.testing.assert_array_equal(few, more[:, :6])


def test_strata_are_drawn_independently() -> None:
    drawn = bootstrap.weights(np.repeat([1, 2], 5), 4000, seed=0)[1:]
    correlation = np.corrcoef(drawn[:, 0], drawn[:, 5])[0, 1]
    assert abs(correlation) < 4 / np.sqrt(4000)


def test_the_seed_decides() -> None:
    strata = np.repeat([1, 2], 5)
    first, second = (bootstrap.weights(strata, 100, seed=s) for s in (0, 1))
    assert (first != second).any()
    np.testing.assert_array_equal(first, bootstrap.weights(strata, 100, seed=0))


def test_the_interval_leaves_out_the_same_share_at_both_ends() -> None:
    low, high = bootstrap.interval(np.arange(1001), 0.95)
    assert (low, high) == pytest.approx((25, 975))
