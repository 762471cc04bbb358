"""Exponents of the mean loss: recovered from the simulated model, with intervals that cover."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from stages.parity.tasks import frequencies
from stages.quanta import coverage as parity_coverage
from stages.quanta import exponents as parity_exponents
from stages.quanta import simulate as simulate_parity
from stages.quanta import theory as quanta
from stages.quanta.simulate import Truth
from stages.statistics.bootstrap import Resampling
from tests.helpers.frozen import FROZEN

P = FROZEN
FEW = Resampling(0.95, 200, 0)
MANY_TASKS = 200_000


@pytest.mark.parametrize(("alpha", "slope"), [(0.1, 0.279), (0.4, 0.460), (0.8, 0.761)])
def test_finitely_many_tasks_steepen_the_sum(alpha: float, slope: float) -> None:
    assert quanta.finite_slope(frequencies(500, alpha), 1, 40) == pytest.approx(slope, abs=5.1e-4)
    for resource in ("S", "D"):
        few = quanta.finite(resource, alpha, frequencies(500, alpha), 1, 40)
        assert few == pytest.approx(slope / (1 + alpha), abs=1e-3)


def test_a_sum_over_very_many_tasks_has_the_exponent_of_theory() -> None:
    rates = frequencies(MANY_TASKS, 0.8)
    assert quanta.finite_slope(rates, 100, 1000) == pytest.approx(0.8, abs=0.01)
    left = quanta.unlearned(rates)
    assert left[0] == pytest.approx(1)
    assert left[-1] == 0
    assert left[3] == pytest.approx(1 - rates[:3].sum())
    assert np.isnan(quanta.finite_slope(frequencies(1, 0.4), 1, 40))
    assert np.isnan(quanta.finite_slope(frequencies(2, 0.4), 1, 40))


def test_known_exponents_are_recovered() -> None:
    # With so many tasks learned of so many more, the simulated laws are theory's.
    alpha = 0.8
    rng = np.random.default_rng(0)
    truth = Truth(
        frequencies(20_000, alpha), time=1.0, scatter=0.05, noise=0.01, needed=10, luck=0.05
    )
    widths = np.repeat(np.geomspace(200, 5000, 8), 3)
    losses = simulate_parity.final_losses(truth, simulate_parity.by_width(truth, widths), rng)
    found = parity_exponents.by_parameters(widths, losses, FEW)
    assert found.value == pytest.approx(quanta.theory("N", alpha), abs=0.03)

    samples = np.repeat(np.geomspace(3e3, 3e5, 8), 3)
    share = simulate_parity.by_samples(truth, samples, rng)
    losses = simulate_parity.final_losses(truth, share, rng)
    found = parity_exponents.by_samples(samples, losses, 0.9, FEW)
    assert found.value == pytest.approx(quanta.theory("D", alpha), abs=0.03)

    steps = np.geomspace(300, 10_000, 30)
    curves = simulate_parity.curves(truth, steps, 3, rng)
    found = parity_exponents.by_steps(steps, curves, 300, 9999, FEW)
    assert found.value == pytest.approx(quanta.theory("S", alpha), abs=0.03)


def test_the_fits_are_least_squares_as_stated() -> None:
    rng = np.random.default_rng(1)
    sizes = np.repeat([10.0, 30.0, 100.0, 300.0], 3)
    losses = sizes**-0.3 * np.exp(0.05 * rng.normal(size=12))
    found = parity_exponents.by_parameters(sizes, losses, FEW)
    slope, intercept = np.polyfit(np.log(sizes), np.log(losses), 1)
    assert found.value == pytest.approx(-slope)
    assert found.loss == pytest.approx(np.exp(intercept + slope * np.log(10)))
    assert (found.first, found.last, found.sizes, found.runs) == (10, 300, 4, 12)
    assert found.low < found.value < found.high

    steps = np.arange(100.0, 20_001, 100)
    curves = steps**-0.3 * np.exp(0.02 * rng.normal(size=(3, len(steps))))
    found = parity_exponents.by_steps(steps, curves, 500, 14_500, FEW)
    inside = (steps >= 500) & (steps <= 14_500)
    slope = np.polyfit(np.log(np.tile(steps[inside], 3)), np.log(curves[:, inside].ravel()), 1)[0]
    assert found.value == pytest.approx(-slope)
    assert (found.first, found.last, found.sizes, found.runs) == (500, 14_500, 141, 3)


def test_intervals_are_students_with_the_stated_degrees_of_freedom() -> None:
    many = Resampling(0.95, 20_000, 0)
    steps = np.arange(100.0, 5001, 100)
    slopes = np.array([0.2, 0.3, 0.35])
    found = parity_exponents.by_steps(steps, steps ** -slopes[:, None], 500, 4000, many)
    low, high = stats.t.interval(0.95, 2, slopes.mean(), stats.sem(slopes))
    assert (found.low, found.high) == pytest.approx((low, high), rel=0.02)

    sizes = np.repeat([10.0, 30.0, 100.0], 3)
    losses = sizes**-0.3 * np.exp(np.tile([-0.01, 0.0, 0.01], 3))  # their means lie on a line
    found = parity_exponents.by_parameters(sizes, losses, many)
    x = np.log(sizes) - np.log(sizes).mean()
    error = 0.01 / np.sqrt(x @ x)  # 0.01 is the standard deviation within each size
    low, high = stats.t.interval(0.95, 9 - 3, 0.3, error)
    assert (found.low, found.high) == pytest.approx((low, high), rel=0.02)


def test_alpha_d_starts_at_the_first_size_with_a_low_loss() -> None:
    sizes = np.repeat([1e4, 3e4, 1e5, 3e5, 1e6], 2)
    losses = np.repeat([1.0, 0.99, 0.8, 0.97, 0.3], 2) * np.tile([1.01, 0.99], 5)
    found = parity_exponents.by_samples(sizes, losses, 0.95, FEW)
    kept = sizes >= 1e5  # the size after it stays, although its loss is high
    expected = np.polyfit(np.log(sizes[kept]), np.log(losses[kept]), 1)[0]
    assert found.value == pytest.approx(-expected)
    assert (found.first, found.sizes, found.runs) == (1e5, 3, 6)


def test_an_exponent_that_cannot_be_had_says_why() -> None:
    none = np.empty(0)
    two = np.array([10.0, 10, 30, 30])
    three = np.array([10.0, 30, 100])
    steps = np.arange(100.0, 2501, 100)
    curve = steps[None] ** -0.3
    by_steps = parity_exponents.by_steps
    for found, status in [
        (parity_exponents.by_parameters(none, none, FEW), "no runs on fresh samples"),
        (parity_exponents.by_samples(none, none, 0.95, FEW), "no runs on a sample"),
        (parity_exponents.by_parameters(two, 1 / two, FEW), "too few widths: 2 of at least 3"),
        (
            parity_exponents.by_samples(three, np.ones(3), 0.95, FEW),
            "too few sizes with a loss low enough: 0 of at least 3",
        ),
        (
            parity_exponents.by_parameters(three, np.array([1.0, np.nan, 0.1]), FEW),
            "1 of 3 losses zero or not finite",
        ),
        (by_steps(steps, curve[:0], 500, 2000, FEW), "no runs on fresh samples"),
        (
            by_steps(steps, curve, 500, 14_500, FEW),
            "the runs end at step 2,500, before 14,500",
        ),
        (
            by_steps(steps, curve, 500, 900, FEW),
            "5 evaluations between steps 500 and 900: too few, 10 are needed",
        ),
    ]:
        assert found.status == status
        assert np.isnan(found.value)
        assert np.isnan(found.low)
    one = parity_exponents.by_parameters(three, 1 / three, FEW)
    assert one.status == "no interval: one run per width"
    assert one.value == pytest.approx(1)
    assert np.isnan(one.low)
    assert by_steps(steps, curve, 500, 2000, FEW).status == "no interval: one run"
    losses = np.tile([0.9, 0.98], 3)  # drawn with the higher ones alone, no size is low enough
    drawn = parity_exponents.by_samples(np.repeat(three, 2), losses, 0.95, FEW)
    assert drawn.status == "no interval: some resamples have no slope"
    assert np.isnan(drawn.low)
    alike = parity_exponents.by_parameters(np.tile(three, 2), np.tile(1 / three, 2), FEW)
    assert alike.status == "no interval: no difference between runs"
    mixed = np.append(np.tile(three, 2), 300.0)
    losses = mixed**-0.5 * np.linspace(1, 1.1, 7)
    assert "one run at 1 of 4 widths" in parity_exponents.by_parameters(mixed, losses, FEW).status


@pytest.fixture(scope="module")
def coverage() -> pd.DataFrame:
    calibration = P.calibration.model_copy(update={"sweeps": 30})
    quick = P.quanta.model_copy(update={"resamples": 100})
    rates = frequencies(parity_coverage.TASKS, 0.4)
    return parity_coverage.measure(quick, calibration, rates)


def test_intervals_cover(coverage: pd.DataFrame) -> None:
    runs = coverage[coverage["over"] != "tasks"].set_index("case")
    sound = runs.drop("learned tasks alone, wide scatter")
    assert (sound["coverage_high"] > 0.9).all(), sound["coverage"]
    assert (sound["coverage"] > 0.75).all()
    error = (runs["mean"] - runs["truth"]).abs() / runs["truth"].abs()
    assert (error.drop("learned tasks alone, wide scatter") < 0.05).all()


def test_coverage_shows_what_does_not_cover(coverage: pd.DataFrame) -> None:
    by = coverage.set_index(["case", "over", "seeds"]).sort_index()
    learned = by.loc["learned tasks alone, wide scatter", "seeds", 5]
    assert learned["coverage"] < 0.8
    assert learned["mean"] > -0.95  # drawn towards 0
    differ = by.loc["learning times, slopes of runs differ"]
    assert (differ["coverage"]["tasks"] < 0.9).all()
    width = differ["mean_interval"]
    assert (width["tasks"] < width["seeds"]).all()
    assert width["seeds", 10] < width["seeds", 3] / 2  # Student's margin falls, too


def test_two_runs_have_an_interval_of_one_degree_of_freedom() -> None:
    steps = np.arange(100.0, 5001, 100)
    slopes = np.array([0.2, 0.3])
    found = parity_exponents.by_steps(
        steps, steps ** -slopes[:, None], 500, 4000, Resampling(0.95, 20_000, 0)
    )
    assert found.status == parity_exponents.OK
    low, high = stats.t.interval(0.95, 1, slopes.mean(), stats.sem(slopes))
    assert (found.low, found.high) == pytest.approx((low, high), rel=0.03)


def test_each_case_of_the_coverage_fits_what_its_name_says() -> None:
    truth = Truth(frequencies(parity_coverage.TASKS, 0.4))
    for case in parity_coverage.CASES:
        if case.what == "times":
            continue
        rng = np.random.default_rng(0)
        found = parity_coverage._exponent(case, truth, case.seeds, P.quanta, FEW, rng)
        if case.what == "S":
            first, last = P.quanta.steps
            assert (found.first, found.runs) == (first, case.seeds)
            assert found.last <= last
        else:
            sizes = parity_coverage.WIDTHS if case.what == "N" else parity_coverage.SIZES
            assert found.last == max(sizes)
            assert found.runs == case.seeds * found.sizes


def test_the_seed_of_the_calibration_draws_the_families() -> None:
    quick = P.quanta.model_copy(update={"resamples": 100})
    rates = frequencies(parity_coverage.TASKS, 0.4)
    tables = [
        parity_coverage.measure(
            quick, P.calibration.model_copy(update={"sweeps": 2, "seed": seed}), rates
        ).set_index("case")
        for seed in (0, 1)
    ]
    assert (tables[0]["mean"] != tables[1]["mean"]).all()
    runs = tables[0]["over"] == "runs"
    assert (tables[0]["truth"][runs] != tables[1]["truth"][runs]).all()
