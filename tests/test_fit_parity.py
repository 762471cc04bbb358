"""When tasks are learned, and the law of learning times: recovered from data with known answers."""

import json
from math import inf, log
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from scipy import optimize, stats

from conftest import run_stage
from stages import errors, fit_parity, params
from stages.analysis import emergence, parity_fits
from stages.analysis.emergence import Times, law
from stages.analysis.parity_fits import Curves
from stages.parity.tasks import frequencies

ROOT = Path(__file__).resolve().parent.parent
P = params.load(ROOT / "params.yaml")
LN2 = log(2)
SLOPE = -0.8


def times(seed: int, *, seeds: int = 5, tasks: int = 10, last: int = 2500, every: int = 1) -> Times:
    """Learning times that follow a law of slope -0.8, seen at evaluations until the last step."""
    random = np.random.default_rng(seed)
    rates = np.tile(frequencies(tasks, 0.4), (seeds, 1))
    scatter = 0.1 * random.normal(size=rates.shape) + 0.05 * random.normal(size=(seeds, 1))
    learned = 700 * (rates / rates[0, 0]) ** SLOPE * np.exp(scatter)
    by = np.ceil(learned / every) * every
    censored = by > last
    after = np.where(censored, last, by - every)
    of_seed = np.repeat(np.arange(seeds), tasks)
    return Times(of_seed, rates.ravel(), after.ravel(), np.where(censored, inf, by).ravel())


def quanta(seeds: int = 4, tasks: int = 6, steps: int = 300) -> tuple[pd.DataFrame, NDArray]:
    """Curves of tasks that fall from 1 bit to nothing about known steps, the last one never."""
    at = 20.0 * np.arange(1, tasks + 1) * (1 + 0.1 * np.arange(seeds)[:, None])
    at[:, -1] = 10 * steps
    step = np.arange(1, steps + 1)
    losses = LN2 / (1 + (step[:, None] / at[:, None, :]) ** 8)
    weighted = losses @ frequencies(tasks, P.parity.configurations["notebook"].alpha)
    index = pd.MultiIndex.from_product(
        [range(seeds), step, range(1, tasks + 1)], names=["seed", "step", "task"]
    )
    rows = index.to_frame(index=False).assign(
        configuration="notebook",
        loss=losses.ravel(),
        accuracy=1 - losses.ravel() / (2 * LN2),
        mean_loss=np.repeat(weighted.ravel(), tasks),
    )
    return rows, at * 9 ** (1 / 8)  # where the loss is a tenth of a bit


def test_a_task_is_learned_once_its_loss_stays_under_the_threshold() -> None:
    steps = [10, 20, 30, 40, 50]
    threshold = 0.1 * LN2
    high, low = 0.95 * LN2, 0.01
    losses = [
        [high, high, low, low, low],  # at 30
        [high, low, 0.3, low, low],  # under it at 20, for good at 40
        [high, high, high, high, low],  # at the last moment
        [high, low, low, low, 0.3],  # not for good
        [high, high, high, high, high],  # never
        [low, low, low, low, low],  # before anyone looked
    ]
    fall = emergence.fall(steps, losses, threshold)
    nan = np.nan
    np.testing.assert_array_equal(fall.learned, [30, 40, 50, nan, nan, 10])
    np.testing.assert_array_equal(fall.before, [20, 30, 40, 50, 50, 0])
    np.testing.assert_array_equal(fall.first, [30, 20, 50, 20, nan, 10])
    np.testing.assert_array_equal(fall.began, [20, 10, 40, 10, 50, nan])
    np.testing.assert_allclose(fall.factor[:3], [1.5, 4, 1.25])


def test_the_law_is_recovered_where_most_tasks_are_never_learned() -> None:
    found, of_learned_only, covered = [], [], []
    for seed in range(40):
        t = times(seed)
        fitted = law(t, 0.95)
        if fitted.status != emergence.OK:
            assert "too few learned tasks" in fitted.status
            continue
        assert fitted.learned + fitted.censored == 50
        assert fitted.censored > 30
        learned = ~t.censored
        x, y = np.log(t.frequency[learned]), np.log(t.by[learned])
        of_learned_only.append(np.polyfit(x, y, 1)[0])
        found.append(fitted.slope)
        covered.append(fitted.slope_low <= SLOPE <= fitted.slope_high)
    assert len(found) > 30
    error = np.std(found) / np.sqrt(len(found))
    assert abs(np.mean(found) - SLOPE) < 3 * error
    assert np.mean(of_learned_only) - SLOPE > 4 * error  # what leaving the others out would do
    assert np.mean(covered) > 0.87


def test_evaluations_that_are_far_apart_do_not_bias_the_law() -> None:
    fine = law(times(3, tasks=100, last=20_000), 0.95)
    coarse = law(times(3, tasks=100, last=20_000, every=500), 0.95)
    assert coarse.status == fine.status == emergence.OK
    assert coarse.slope == pytest.approx(fine.slope, abs=0.02)
    assert coarse.time == pytest.approx(fine.time, rel=0.05)


def test_the_likelihood_is_at_its_maximum() -> None:
    t = times(1, every=50)

    def negative(parameters: NDArray[np.float64]) -> float:
        a, b, log_sigma = parameters
        normal = stats.norm(a + b * np.log(t.frequency), np.exp(log_sigma))
        with np.errstate(divide="ignore"):
            return -float(np.log(normal.cdf(np.log(t.by)) - normal.cdf(np.log(t.after))).sum())

    fitted = law(t, 0.95)
    start = np.array([np.log(fitted.time), fitted.slope, np.log(fitted.sigma)])
    options = {"xatol": 1e-9, "fatol": 1e-12, "maxiter": 5000, "maxfev": 5000}
    best = optimize.minimize(negative, start + 0.1, method="Nelder-Mead", options=options)
    np.testing.assert_allclose(start, best.x, rtol=1e-5)


def test_a_law_that_cannot_be_had_says_why() -> None:
    t = times(0)
    few = t.frequency >= np.unique(t.frequency)[-2]
    pair = Times(t.seed[few], t.frequency[few], t.after[few], t.by[few])
    assert law(pair, 0.95).status == "too few learned tasks: 2 of at least 3"
    assert np.isnan(law(pair, 0.95).slope)
    none = Times(t.seed, t.frequency, np.full(50, 2500.0), np.full(50, inf))
    assert law(none, 0.95).status == "too few learned tasks: 0 of at least 3"
    one = law(times(0, seeds=1, last=10_000), 0.95)
    assert one.status == "no interval: one seed"
    assert one.slope == pytest.approx(SLOPE, abs=0.2)
    assert np.isnan(one.slope_low)


def test_curves_give_each_tasks_learning_time_and_the_headline() -> None:
    rows, expected = quanta()
    curves = Curves.of(rows.sample(frac=1, random_state=0))
    rates = frequencies(6, 0.4)
    tasks = parity_fits.by_task(curves, rates, threshold=0.1)
    learned = tasks["learned"].to_numpy().reshape(4, 6)
    np.testing.assert_array_equal(learned[:, :5], np.floor(expected[:, :5]) + 1)
    assert np.isnan(learned[:, 5]).all()
    assert (tasks["status"] == "censored").tolist() == ([False] * 5 + [True]) * 4
    np.testing.assert_allclose(tasks["fall"].dropna(), 9 ** (1 / 4), rtol=0.1)

    numbers = parity_fits.headline(curves, tasks, P.emergence)
    assert numbers["learned"] == 20
    assert numbers["censored"] == 4
    assert numbers["learning_steps"]["task 1"] == pytest.approx(np.median(learned[:, 0]))
    assert numbers["slope_low"] < numbers["slope"] < numbers["slope_high"]
    assert numbers["fall_of_the_mean_at_least"] > 2 * numbers["fall_of_a_task"]
    last = rows[rows["step"] == 300].groupby("seed")["mean_loss"].first()
    assert numbers["mean_loss"] == pytest.approx(last.mean(), rel=1e-4)
    assert numbers["mean_loss_low"] < last.mean() < numbers["mean_loss_high"]


def test_what_is_not_known_is_null() -> None:
    rows, _ = quanta(seeds=1, tasks=3)
    curves = Curves.of(rows)
    tasks = parity_fits.by_task(curves, frequencies(3, 0.4), threshold=0.1)
    numbers = parity_fits.headline(curves, tasks, P.emergence)
    assert numbers["learning_steps"]["task 3"] is None
    assert numbers["slope"] is None
    assert numbers["slope_low"] is None
    assert numbers["slope_of_learned_only"] is None
    assert numbers["mean_loss_low"] is None
    assert "too few learned tasks" in numbers["slope_status"]
    assert "NaN" not in json.dumps(numbers)


def test_the_stage_writes_the_same_bytes_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows, _ = quanta(tasks=10)
    table = tmp_path / "parity.parquet"
    rows.astype({"configuration": "category"}).to_parquet(table, index=False)
    done = run_stage("stages.fit_parity", table, tmp_path / "a")
    assert done.returncode == 0, done.stderr
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr("sys.argv", ["", "--table", str(table), "--output", str(tmp_path / "b")])
    fit_parity.main()
    for name in ("parity.json", "parity_emergence.csv"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    written = pd.read_csv(tmp_path / "a" / "parity_emergence.csv")
    assert len(written) == 4 * 10
    assert written["learned"].isna().equals(written["status"] == "censored")


def test_a_table_that_cannot_be_used_is_refused(tmp_path: Path) -> None:
    table = tmp_path / "parity.parquet"
    done = run_stage("stages.fit_parity", table, tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: {table}: ")
    assert done.stderr.count("\n") == 1
    table.write_bytes(b"no parquet")
    with pytest.raises(errors.InputError, match="make it again"):
        fit_parity.read(table)
    rows, _ = quanta()
    rows.drop(columns="accuracy").to_parquet(table)
    with pytest.raises(errors.InputError, match="accuracy"):
        fit_parity.read(table)
    with pytest.raises(errors.InputError, match="no rows of configuration other"):
        fit_parity.curves(rows, "other", table)
    with pytest.raises(errors.InputError, match="7199 rows, not one for each of 4 x 300 x 6"):
        fit_parity.curves(rows.iloc[1:], "notebook", table)
    with pytest.raises(errors.InputError, match="rows, not one for each"):
        fit_parity.curves(pd.concat([rows.iloc[1:], rows.iloc[[1]]]), "notebook", table)
