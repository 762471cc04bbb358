"""Fits of power laws recover what is known, and say what they cannot know."""

from dataclasses import replace
from math import isnan

import numpy as np
import pytest
from sklearn.linear_model import QuantileRegressor

from stages.manifold import samples, simulate
from stages.statistics import bootstrap, power_law
from stages.statistics.bootstrap import Resampling
from stages.statistics.power_law import OK, Law, Request, Sample

RESAMPLING = Resampling(confidence=0.95, resamples=200, seed=0)
WHOLE = Request(0.5, 1, 20)


def sample(seeds: int = 5, **truth: float) -> Sample:
    table = simulate.sweep(
        simulate.Truth(**truth),
        range(1, 21),
        seeds,
        np.random.default_rng(0),
    )
    return samples.sample(table, "validation_loss")


def fit(of: Sample, request: Request = WHOLE) -> Law:
    return power_law.fit(of, [request], RESAMPLING)[request]


def test_an_exact_law_is_found_exactly() -> None:
    exact = sample()
    exact = replace(exact, value=3.0 * exact.parameters**-0.25)
    law = fit(exact)
    assert law.alpha == pytest.approx(0.25, abs=1e-12)
    assert law.amplitude == pytest.approx(3.0)
    assert law.dimension == pytest.approx(16)
    # every resample says the same: that is no interval
    assert law.status == "no interval: no difference between runs"
    assert isnan(law.alpha_low)


def test_a_noisy_law_lies_in_its_interval() -> None:
    law = fit(sample(alpha=0.22))
    assert law.status == OK
    assert law.alpha_low < 0.22 < law.alpha_high
    assert law.alpha_low < law.alpha < law.alpha_high
    assert (law.width_count, law.runs, law.rows) == (20, 100, 100)


def test_the_interval_of_the_dimension_is_that_of_alpha() -> None:
    law = fit(sample())
    assert law.dimension_low == pytest.approx(4 / law.alpha_high)
    assert law.dimension_high == pytest.approx(4 / law.alpha_low)


def test_the_line_is_scikit_learns() -> None:
    data = sample(tilt=0.3)
    for tau in (0.2, 0.5, 0.8):
        law = fit(data, Request(tau, 1, 20))
        oracle = QuantileRegressor(quantile=tau, alpha=0, solver="highs")
        oracle.fit(np.log(data.parameters)[:, None], np.log(data.value))
        assert law.slope == pytest.approx(oracle.coef_[0], abs=1e-6)
        assert np.log(law.amplitude) == pytest.approx(oracle.intercept_, abs=1e-6)


def test_the_interval_is_of_the_resamples_without_the_sample_itself() -> None:
    data, few = sample(), Resampling(confidence=0.5, resamples=4, seed=0)
    slopes = []
    for counts in bootstrap.weights(data.width_of_run, 4, seed=0)[1:]:
        oracle = QuantileRegressor(quantile=0.5, alpha=0, solver="highs")
        rows = np.repeat(np.arange(len(data.run)), counts[data.run])
        oracle.fit(np.log(data.parameters[rows])[:, None], np.log(data.value[rows]))
        slopes.append(-oracle.coef_[0])
    law = power_law.fit(data, [WHOLE], few)[WHOLE]
    assert (law.alpha_low, law.alpha_high) == pytest.approx(
        (np.quantile(slopes, 0.25), np.quantile(slopes, 0.75)), abs=1e-4
    )


def test_alpha_is_the_rate_of_improvement() -> None:
    loss = sample()
    accuracy = replace(loss, value=1 / loss.value, grows=True)
    falling, growing = fit(loss), fit(accuracy)
    assert growing.slope == pytest.approx(-falling.slope, abs=1e-9)
    assert growing.alpha == pytest.approx(falling.alpha, abs=1e-9)
    assert growing.dimension == pytest.approx(falling.dimension)


def test_epochs_of_one_run_are_not_independent() -> None:
    # Each run's row five times over holds nothing new: the interval must not shrink.
    once = sample()
    again = Sample(
        *(np.repeat(values, 5) for values in (once.width, once.parameters, once.value, once.run)),
        grows=False,
    )
    one, five = fit(once), fit(again)
    assert five.rows == 5 * one.rows
    assert (five.alpha_low, five.alpha_high) == pytest.approx((one.alpha_low, one.alpha_high))


def test_a_range_of_widths_is_a_fit_to_its_runs() -> None:
    data = sample()
    inside = data.inside(3, 13)
    runs = np.unique(data.run[inside], return_inverse=True)[1]
    part = Sample(data.width[inside], data.parameters[inside], data.value[inside], runs, False)
    request = Request(0.5, 3, 13)
    ranged, alone = fit(data, request), fit(part)
    assert ranged == alone


def test_requests_do_not_depend_on_each_other() -> None:
    data = sample()
    requests = [Request(tau, 1, last) for tau in (0.2, 0.5, 0.8) for last in (13, 20)]
    together = power_law.fit(data, requests, RESAMPLING)
    assert together == {request: fit(data, request) for request in requests}


def nothing(law: Law) -> bool:
    numbers = (law.slope, law.amplitude, law.alpha, law.alpha_low, law.alpha_high)
    return all(map(isnan, [*numbers, law.dimension, law.dimension_low, law.dimension_high]))


def test_two_widths_are_too_few() -> None:
    law = fit(sample(), Request(0.5, 4, 5))
    assert law.status == "too few widths: 2 of at least 3"
    assert nothing(law)
    assert (law.width_count, law.runs) == (2, 10)


def test_no_width_at_all_is_too_few() -> None:
    law = fit(sample(), Request(0.5, 30, 40))
    assert law.status == "too few widths: 0 of at least 3"
    assert nothing(law)


@pytest.mark.parametrize("bad", [0.0, -1.0, np.nan, np.inf])
def test_values_without_a_logarithm_are_counted_and_stop_the_fits_that_they_are_in(
    bad: float,
) -> None:
    data = sample()
    value = data.value.copy()
    value[[7, 11]] = bad
    law = fit(replace(data, value=value))
    assert law.status == "2 of 100 values zero, negative or not finite"
    assert nothing(law)
    elsewhere = Request(0.5, 8, 20)
    assert fit(replace(data, value=value), elsewhere) == fit(data, elsewhere)


def test_a_constant_has_no_exponent() -> None:
    data = sample()
    law = fit(replace(data, value=np.full_like(data.value, 2.3)))
    assert law.status == "all values are equal"
    assert nothing(law)


def test_one_run_per_width_gives_no_interval() -> None:
    law = fit(sample(seeds=1))
    assert law.status == "no interval: one run per width"
    assert law.alpha == pytest.approx(0.22, abs=0.05)
    assert isnan(law.alpha_low)
    assert isnan(law.alpha_high)
    assert isnan(law.dimension_low)
    assert isnan(law.dimension_high)


def test_a_width_with_one_run_is_mentioned() -> None:
    data = sample()
    kept = (data.width > 1) | (np.arange(len(data.width)) == 0)
    runs = np.unique(data.run[kept], return_inverse=True)[1]
    part = Sample(data.width[kept], data.parameters[kept], data.value[kept], runs, False)
    assert fit(part).status == "interval too narrow: one run at 1 of 20 widths"
    assert fit(part, Request(0.5, 2, 20)).status == OK


def test_an_alpha_that_may_be_zero_leaves_the_dimension_open() -> None:
    law = fit(sample(seeds=3, alpha=0.01, spread=0.05))
    assert law.alpha > 0 > law.alpha_low
    assert law.status == "no upper bound on 4/alpha: alpha may be 0"
    assert law.dimension == pytest.approx(4 / law.alpha)
    assert law.dimension_low == pytest.approx(4 / law.alpha_high)
    assert isnan(law.dimension_high)


def test_a_loss_that_grows_has_no_dimension() -> None:
    law = fit(sample(alpha=-0.2))
    assert law.alpha < 0
    assert law.status == "no 4/alpha: alpha is not above 0"
    assert all(map(isnan, (law.dimension, law.dimension_low, law.dimension_high)))


def test_three_widths_are_enough() -> None:
    law = fit(sample(), replace(WHOLE, last=3))
    assert law.width_count == 3
    assert law.alpha > 0
