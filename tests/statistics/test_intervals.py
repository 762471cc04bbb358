"""Intervals by known distributions are SciPy's."""

import pytest
from scipy import stats

from stages.statistics.intervals import clopper_pearson, student_margin


@pytest.mark.parametrize(("held", "of"), [(0, 30), (1, 30), (17, 30), (29, 30), (30, 30), (1, 1)])
@pytest.mark.parametrize("confidence", [0.8, 0.95])
def test_the_interval_of_a_share_is_the_exact_one(held: int, of: int, confidence: float) -> None:
    expected = stats.binomtest(held, of).proportion_ci(confidence, method="exact")
    assert clopper_pearson(held, of, confidence) == pytest.approx((expected.low, expected.high))


@pytest.mark.parametrize("freedom", [1, 4, 2.5])
def test_a_margin_is_students(freedom: float) -> None:
    expected = stats.t.interval(0.9, freedom, scale=0.3)[1]
    assert student_margin(0.3, freedom, 0.9) == pytest.approx(expected)
