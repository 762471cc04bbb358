"""Exact quantile regression agrees with scikit-learn's linear program, and weighs rows rightly."""

from itertools import combinations
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.linear_model import QuantileRegressor

from stages.statistics import quantile

Array = NDArray[np.float64]


def rows_of(kind: str, rng: np.random.Generator) -> tuple[Array, Array]:
    """Rows (x, y) of a kind that has an awkward side."""
    if kind == "sweep":
        x = np.repeat(np.log([5408, 10210, 20138, 41290, 70160]), 12)
        return x, 2 - 0.2 * x + 0.05 * rng.standard_t(3, len(x))
    if kind == "no x twice":
        return rng.normal(size=30), rng.normal(size=30)
    if kind == "ties":
        return rng.integers(0, 4, 40) / 2, rng.integers(0, 5, 40) / 4
    if kind == "few rows":
        x = rng.permutation([0.0, 0.0, 1.0, 2.0, 2.0])
        return x, rng.normal(size=5)
    if kind == "on one line":
        x = rng.integers(0, 6, 30).astype(float)
        return x, 3 - 2 * x
    if kind == "half at chance":
        x = np.repeat(np.arange(4.0), 10)
        return x, np.where(rng.random(40) < 0.5, 2.303, 1 - 0.2 * x + 0.01 * rng.normal(size=40))
    if kind == "outliers":
        x = np.repeat([1.0, 1.5, 4.0], 15)
        return x, np.where(rng.random(45) < 0.1, 1e4, rng.normal(size=45))
    raise ValueError(kind)


KINDS = ["sweep", "no x twice", "ties", "few rows", "on one line", "half at chance", "outliers"]


def objective(
    x: Array, y: Array, tau: float, slope: float, intercept: float, weights: Any = 1.0
) -> float:
    """The weighted sum of check losses of one line, in units of y."""
    residual = y - intercept - slope * x
    return float(np.sum(np.asarray(weights) * residual * (tau - (residual < 0))))


def fit(x: Array, y: Array, weights: NDArray[Any], tau: float) -> quantile.Lines:
    return quantile.fit(quantile.weigh(quantile.group(x, y, np.arange(len(x))), weights), tau)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("tau", [0.2, 0.5, 0.8])
@pytest.mark.parametrize("weighing", ["counts", "fractions"])
def test_agrees_with_scikit_learn(kind: str, tau: float, weighing: str) -> None:
    rng = np.random.default_rng(KINDS.index(kind))
    for _ in range(3):
        x, y = rows_of(kind, rng)
        counts = rng.integers(0, 4, (3, len(x)))
        counts[:, np.unique(x, return_index=True)[1]] += 1
        counts[0] = 1
        weights = counts if weighing == "counts" else counts * rng.random(len(x))
        lines = fit(x, y, weights, tau)
        for w, slope, intercept in zip(weights, lines.slope, lines.intercept, strict=True):
            oracle = QuantileRegressor(quantile=tau, alpha=0, solver="highs")
            oracle.fit(x[:, None], y, sample_weight=w)
            ours = objective(x, y, tau, slope, intercept, w)
            theirs = objective(x, y, tau, oracle.coef_[0], oracle.intercept_, w)
            assert ours == pytest.approx(theirs, rel=1e-6, abs=1e-9 * np.ptp(y))
            if kind in ("sweep", "no x twice", "on one line"):  # the minimum is unique
                assert slope == pytest.approx(oracle.coef_[0], abs=1e-6)
                assert intercept == pytest.approx(oracle.intercept_, abs=1e-6)


def test_of_several_best_lines_it_is_the_middle_one() -> None:
    # The oracle tries the line through every pair of rows: some of these are best, and the ends.
    rng = np.random.default_rng(10)
    several = 0
    for _ in range(200):
        x = rng.integers(0, 3, int(rng.integers(4, 9))).astype(float)
        x[:2] = 0.0, 2.0
        y = rng.integers(0, 6, len(x)) / 4
        lines = [
            (slope, y[i] - slope * x[i])
            for i, j in combinations(range(len(x)), 2)
            if x[i] != x[j]
            for slope in [(y[j] - y[i]) / (x[j] - x[i])]
        ]
        losses = np.array([objective(x, y, 0.5, *line) for line in lines])
        best = [line for line, loss in zip(lines, losses, strict=True) if loss < min(losses) + 1e-9]
        low, high = min(best)[0], max(best)[0]
        several += high > low
        found = fit(x, y, np.ones((1, len(x))), 0.5)
        assert found.slope[0] == pytest.approx((low + high) / 2, abs=1e-9)
        assert found.flat[0] == pytest.approx(high - low, abs=1e-9)
        ours = objective(x, y, 0.5, found.slope[0], found.intercept[0])
        assert ours == pytest.approx(min(losses), abs=1e-9)
    assert several > 20


def test_agrees_with_scikit_learn_on_all_epochs_of_many_runs() -> None:
    rng = np.random.default_rng(0)
    x = np.repeat(np.log(np.arange(1, 11)), 200)
    run = np.repeat(np.arange(100), 20)
    y = 1 - 0.2 * x + 0.1 * rng.normal(size=100)[run] + rng.exponential(0.2, 2000)
    weights = rng.integers(0, 4, (2, 100))
    lines = quantile.fit(quantile.weigh(quantile.group(x, y, run), weights), 0.5)
    for w, slope in zip(weights, lines.slope, strict=True):
        oracle = QuantileRegressor(quantile=0.5, alpha=0, solver="highs")
        oracle.fit(x[:, None], y, sample_weight=w[run])
        assert slope == pytest.approx(oracle.coef_[0], abs=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_a_weight_is_a_number_of_copies(kind: str) -> None:
    rng = np.random.default_rng(5)
    x, y = rows_of(kind, rng)
    counts = rng.integers(1, 4, len(x))
    weighed = fit(x, y, counts[None], 0.2)
    copied = fit(np.repeat(x, counts), np.repeat(y, counts), np.ones((1, counts.sum())), 0.2)
    losses = [
        objective(x, y, 0.2, line.slope[0], line.intercept[0], counts) for line in (weighed, copied)
    ]
    assert losses[0] == pytest.approx(losses[1], rel=1e-9, abs=1e-9)


def test_weights_too_large_for_small_integers_are_no_different() -> None:
    rng = np.random.default_rng(9)
    x, y = rows_of("sweep", rng)
    counts = rng.integers(0, 4, (20, len(x)))
    large = fit(x, y, counts * 10**9, 0.2)
    np.testing.assert_array_equal(large.slope, fit(x, y, counts, 0.2).slope)


def test_the_share_of_rows_below_the_line_is_the_quantile() -> None:
    rng = np.random.default_rng(1)
    x, y = rows_of("sweep", rng)
    for tau in (0.2, 0.35, 0.5, 0.8):
        line = fit(x, y, np.ones((1, len(x))), tau)
        residual = y - line.intercept - line.slope * x
        assert np.mean(residual < -1e-12) <= tau <= np.mean(residual < 1e-12)


def test_the_line_passes_through_two_rows_as_given() -> None:
    x, y = rows_of("ties", np.random.default_rng(2))
    line = fit(x, y, np.ones((1, len(x))), 0.5)
    on_it = np.isclose(y, line.intercept + line.slope * x, rtol=0, atol=1e-14)
    assert len(np.unique(x[on_it])) >= 2


def test_units_and_origin_do_not_matter() -> None:
    rng = np.random.default_rng(3)
    x, y = rows_of("sweep", rng)
    weights = rng.integers(0, 3, (20, len(x)))
    plain, scaled = fit(x, y, weights, 0.3), fit(10 * x - 7, 1e-3 * y + 5, weights, 0.3)
    np.testing.assert_allclose(scaled.slope, 1e-4 * plain.slope, rtol=1e-7)


def test_upside_down_the_quantile_is_the_other_one() -> None:
    rng = np.random.default_rng(4)
    x, y = rows_of("no x twice", rng)
    weights = rng.random((20, len(x)))
    np.testing.assert_allclose(
        fit(x, -y, weights, 0.7).slope, -fit(x, y, weights, 0.3).slope, rtol=1e-12
    )


def test_a_weighting_does_not_depend_on_those_beside_it() -> None:
    rng = np.random.default_rng(6)
    x, y = rows_of("sweep", rng)
    weights = rng.integers(0, 4, (50, len(x)))
    together = fit(x, y, weights, 0.5)
    alone = [fit(x, y, w[None], 0.5).slope[0] for w in weights]
    np.testing.assert_array_equal(together.slope, alone)


def test_a_range_of_the_covariate_is_a_fit_to_its_rows() -> None:
    rng = np.random.default_rng(7)
    x, y = rows_of("sweep", rng)
    weights = rng.integers(0, 4, (50, len(x)))
    grouped = quantile.weigh(quantile.group(x, y, np.arange(len(x))), weights)
    inside = (x > 9) & (x < 11)
    ranged = quantile.fit(grouped, 0.5, 9, 11)
    np.testing.assert_allclose(
        ranged.slope, fit(x[inside], y[inside], weights[:, inside], 0.5).slope, rtol=1e-12
    )


def test_parts_of_bounded_memory_add_up_to_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(8)
    x, y = rows_of("sweep", rng)
    weights = rng.integers(0, 4, (101, len(x)))
    rows = quantile.group(x, y, np.arange(len(x)))
    monkeypatch.setattr(quantile, "_CHUNK", 5000)
    parts = [quantile.fit(part, 0.5).slope for part in quantile.chunks(rows, weights)]
    assert len(parts) > 3
    np.testing.assert_array_equal(np.concatenate(parts), fit(x, y, weights, 0.5).slope)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_refuses_values_that_are_not_finite(bad: float) -> None:
    with pytest.raises(ValueError, match="finite"):
        quantile.group([0, 1, 2], [0, bad, 1], [0, 1, 2])


def test_refuses_what_has_no_line() -> None:
    one = quantile.weigh(quantile.group([1, 1], [0, 1], [0, 1]), [[1, 1]])
    with pytest.raises(ValueError, match="two distinct covariates"):
        quantile.fit(one, 0.5)
    rows = quantile.group([0, 1, 1], [0, 1, 2], [0, 1, 2])
    with pytest.raises(ValueError, match="two distinct covariates"):
        quantile.fit(quantile.weigh(rows, [[1, 1, 1], [0, 1, 1]]), 0.5)
    with pytest.raises(ValueError, match=r"\(0, 1\)"):
        quantile.fit(quantile.weigh(rows, [[1, 1, 1]]), 1)


@pytest.mark.parametrize("weights", [[[1, 1]], [[1, -1, 1]], [[1, np.nan, 1]], [1, 1, 1]])
def test_refuses_weights_that_cannot_be_used(weights: list[list[float]]) -> None:
    with pytest.raises(ValueError, match="weights must be"):
        quantile.weigh(quantile.group([0, 1, 1], [0, 1, 2], [0, 1, 2]), weights)
