"""Laws above a floor: the minimum is SciPy's, the truth is recovered, the bounds are told."""

from dataclasses import replace
from math import isnan
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.optimize import least_squares

from stages.manifold import samples, simulate
from stages.statistics import irreducible
from stages.statistics.bootstrap import Resampling
from stages.statistics.power_law import Law, Sample

RESAMPLING = Resampling(confidence=0.95, resamples=200, seed=0)
HUBER = 0.02


def sample(seeds: int = 10, **truth: float) -> Sample:
    table = simulate.sweep(
        simulate.Truth(**truth),
        range(1, 21),
        seeds,
        np.random.default_rng(0),
    )
    return samples.sample(table, "validation_loss")


def fit(of: Sample) -> Law:
    return irreducible.fit(of, 1, 20, RESAMPLING, HUBER)


def scipys(
    x: NDArray[np.float64], y: NDArray[np.float64], counts: NDArray[np.int64]
) -> tuple[NDArray[np.float64], float]:
    x, y = np.repeat(x, counts), np.repeat(y, counts)
    found = [
        least_squares(
            lambda theta: y - np.log(theta[0] + np.exp(theta[1] - theta[2] * x)),
            start,
            bounds=([0, -np.inf, 0], [np.inf, np.inf, irreducible.MAX_ALPHA]),
            loss="huber",
            f_scale=HUBER,
            xtol=1e-12,
            ftol=1e-12,
            gtol=1e-12,
        )
        for start in ([0.01, 0, 0.2], [0.5, -0.7, 0.5])
    ]
    best = min(found, key=lambda one: one.cost)
    return best.x, best.cost


@pytest.mark.parametrize("floor", [0.6, 0.2, 0.0])
def test_agrees_with_scipy(floor: float) -> None:
    data = sample(alpha=0.4, irreducible=floor)
    x, y = np.log(data.parameters), np.log(data.value)
    x -= x.mean()
    counts = np.random.default_rng(1).integers(0, 4, (5, len(x)))
    ours = irreducible.minimise(x, y, counts, np.tile([0.3, -0.5, 0.4], (5, 1)), HUBER)
    assert ours.converged.all()
    for i, weights in enumerate(counts):
        theta, objective = scipys(x, y, weights)
        assert ours.objective[i] == pytest.approx(objective, rel=1e-6)
        np.testing.assert_allclose(ours.theta[i], theta, atol=2e-3)


def test_recovers_a_floor() -> None:
    law = fit(sample(seeds=40, alpha=0.5, irreducible=0.6))
    assert law.status == "ok"
    assert law.alpha_low < 0.5 < law.alpha_high
    assert law.irreducible_low < 0.6 < law.irreducible_high
    assert law.dimension == pytest.approx(8, abs=0.5)


def test_a_range_of_widths_is_fitted_as_if_there_were_no_others() -> None:
    data = sample(alpha=0.5, irreducible=0.6)
    rows = (data.width >= 4) & (data.width <= 17)
    runs = np.unique(data.run[rows], return_inverse=True)[1]
    cut = Sample(data.width[rows], data.parameters[rows], data.value[rows], runs, grows=False)
    part = irreducible.fit(data, 4, 17, RESAMPLING, HUBER)
    alone = fit(cut)
    assert (part.width_count, part.runs, part.rows) == (14, 140, 140)
    assert (part.alpha, part.irreducible, part.amplitude) == pytest.approx(
        (alone.alpha, alone.irreducible, alone.amplitude)
    )


def test_the_curve_goes_through_the_values() -> None:
    data = sample(spread=1e-6, alpha=0.5, irreducible=0.6)
    law = fit(data)
    curve = law.irreducible + law.amplitude * data.parameters**-law.alpha
    np.testing.assert_allclose(curve, data.value, rtol=1e-4)


def test_a_floor_that_is_not_there_is_not_told_from_zero() -> None:
    # a law without floor: E is at its bound, or its interval reaches it
    law = fit(sample(alpha=0.22))
    assert law.irreducible_low == 0
    assert law.status in ("E at its bound 0", "E cannot be told from 0")
    assert law.alpha_low < 0.22 < law.alpha_high


def test_a_floor_that_few_runs_leave_open_is_not_told_from_zero() -> None:
    law = fit(sample(seeds=3, alpha=0.3, irreducible=0.1))
    assert law.status == "E cannot be told from 0"
    assert law.irreducible_low == 0 < law.irreducible < law.irreducible_high
    told = fit(sample(seeds=10, alpha=0.3, irreducible=0.1))
    assert told.status == "ok"
    assert 0 < told.irreducible_low < 0.1 < told.irreducible_high


def test_an_interval_that_ends_at_the_bound_of_alpha_says_so() -> None:
    law = fit(sample(seeds=4, alpha=3.5, irreducible=0.6, spread=0.1))
    assert law.status == "alpha's interval ends at its bound 4"
    assert law.alpha < law.alpha_high == irreducible.MAX_ALPHA


@pytest.mark.parametrize(
    ("converged", "status"),
    [(0, "not converged"), (197, "no interval: 2% of the resamples did not converge"), (198, "ok")],
)
def test_what_did_not_converge_is_said(
    monkeypatch: pytest.MonkeyPatch, converged: int, status: str
) -> None:
    minimise = irreducible.minimise

    def short(*given: Any) -> irreducible.Minima:
        found = minimise(*given)
        resampled = len(found.theta) == RESAMPLING.resamples
        there = np.arange(len(found.theta)) < converged
        return replace(found, converged=there if resampled or not converged else found.converged)

    monkeypatch.setattr(irreducible, "minimise", short)
    law = fit(sample(alpha=0.5, irreducible=0.6))
    assert law.status == status
    assert isnan(law.alpha_low) == (status != "ok")


def test_losses_that_fall_faster_and_faster_put_the_floor_at_its_bound() -> None:
    data = sample()
    x = np.log(data.parameters)
    law = fit(replace(data, value=data.value * np.exp(-0.1 * (x - x.min()) ** 2)))
    assert law.irreducible == 0
    assert law.status.startswith("E at its bound 0")


def test_failed_runs_hardly_move_it() -> None:
    data = sample(seeds=20, alpha=0.5, irreducible=0.6)
    value = data.value.copy()
    value[data.run % 20 == 0] = simulate.CHANCE
    assert fit(replace(data, value=value)).alpha == pytest.approx(fit(data).alpha, abs=0.05)


def test_a_step_has_no_law() -> None:
    data = sample(spread=0.001)
    law = fit(replace(data, value=np.where(data.width == 1, 2.0, 1.0) * data.value**0.01))
    assert law.status == "no law: alpha ran to its bound 4"
    assert isnan(law.alpha)
    assert isnan(law.irreducible)


def test_bad_input_gives_a_status_and_no_numbers() -> None:
    data = sample()
    three = irreducible.fit(data, 1, 3, RESAMPLING, HUBER)
    assert three.status == "too few widths: 3 of at least 4"
    zero = fit(replace(data, value=np.where(data.run == 3, 0.0, data.value)))
    assert zero.status == "1 of 200 values zero, negative or not finite"
    constant = fit(replace(data, value=np.ones_like(data.value)))
    assert constant.status == "all values are equal"
    for law in (three, zero, constant):
        assert isnan(law.alpha)
        assert isnan(law.irreducible)
        assert isnan(law.dimension)


def test_one_run_per_width_gives_no_interval() -> None:
    law = fit(sample(seeds=1, alpha=0.5, irreducible=0.6))
    assert law.status == "no interval: one run per width"
    assert law.alpha > 0
    assert isnan(law.alpha_low)
    assert isnan(law.irreducible_high)
