"""When tasks are learned, and the law of learning times: recovered from data with known answers."""

import json
from dataclasses import replace
from itertools import product
from math import inf
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from scipy import optimize, stats

from stages import fit_parity
from stages.base import errors, params
from stages.parity.tasks import frequencies
from stages.quanta import emergence
from stages.quanta import fits as parity_fits
from stages.quanta import simulate as simulate_parity
from stages.quanta.emergence import Times, law
from stages.quanta.fits import Family
from stages.quanta.simulate import Truth
from stages.statistics.bootstrap import Resampling
from tests.helpers import simulated_parity
from tests.helpers.frozen import FROZEN
from tests.helpers.root import ROOT
from tests.helpers.tiny import write_params

P = FROZEN
PUBLISHED = params.published(ROOT / "published.yaml").michaud
SLOPE = -0.8
FEW = Resampling(0.95, 100, 0)
CONFIGURATIONS = {
    "notebook": simulated_parity.configuration(
        tasks=10, widths=[200], logits=1, steps=2500, evaluate_every=10, seeds=5
    ),
    "falling_04": simulated_parity.configuration(
        task_curves=0,
        data_limited={
            **{"widths": [200], "samples": [20_000, 200_000, 600_000, 2_000_000]},
            **{"steps": 5000, "evaluate_every": 100},
        },
    ),
}


def times(seed: int, *, seeds: int = 5, tasks: int = 10, last: int = 2500, every: int = 1) -> Times:
    """Learning times that follow a law of slope -0.8, seen at evaluations until the last step."""
    truth = Truth(frequencies(tasks, 0.4), slope=SLOPE)
    return simulate_parity.times(truth, seeds, last, every, np.random.default_rng(seed))


@pytest.fixture(scope="module")
def tables() -> dict[str, pd.DataFrame]:
    return simulated_parity.tables(CONFIGURATIONS, Truth(np.ones(1), per_width=0.2))


def families(tables: dict[str, pd.DataFrame]) -> dict[str, Family]:
    rates = {name: frequencies(c.tasks, c.alpha) for name, c in CONFIGURATIONS.items()}
    found = parity_fits.families(tables["losses"], tables["tasks"], CONFIGURATIONS, rates)
    return {family.name: family for family in found}


def test_the_law_is_recovered_where_most_tasks_are_never_learned() -> None:
    found, of_learned_only, covered = [], [], []
    for seed in range(40):
        t = times(seed)
        fitted = law(t, "all", FEW)
        if fitted.status != emergence.OK:
            assert "too few" in fitted.status
            continue
        assert fitted.learned + fitted.censored == 50
        assert fitted.censored > 30
        found.append(fitted.slope)
        covered.append(fitted.slope_low <= SLOPE <= fitted.slope_high)
        of_learned_only.append(emergence.slope(t, "learned"))
    assert len(found) > 30
    error = np.std(found) / np.sqrt(len(found))
    assert abs(np.mean(found) - SLOPE) < 3 * error
    assert np.mean(of_learned_only) - SLOPE > 3 * error  # what leaving the others out would do
    assert np.mean(covered) > 0.85


def test_least_squares_is_that_of_the_learned_tasks() -> None:
    t = times(0, tasks=60, last=20_000)
    known = ~t.censored
    expected = np.polyfit(np.log(t.frequency[known]), np.log(t.by[known]), 1)[0]
    assert emergence.slope(t, "learned") == pytest.approx(expected)
    whole = t.where(t.frequency >= emergence.complete(t))
    assert not whole.censored.any()
    assert (t.frequency < emergence.complete(t))[t.censored].all()
    expected = np.polyfit(np.log(whole.frequency), np.log(whole.by), 1)[0]
    assert emergence.slope(t, "complete") == pytest.approx(expected)


def test_the_interval_over_seeds_is_students_with_one_degree_less_than_seeds() -> None:
    slopes = np.array([-0.7, -0.8, -0.95])
    p = np.tile(frequencies(20, 0.4), 3)
    learned = 50 * p ** np.repeat(slopes, 20)  # each seed's own law, exactly
    t = Times(np.repeat([0, 1, 2], 20), p, learned - 1, learned)
    fitted = law(t, "learned", Resampling(0.95, 20_000, 0))
    low, high = stats.t.interval(0.95, 2, slopes.mean(), stats.sem(slopes))
    assert (fitted.slope_low, fitted.slope_high) == pytest.approx((low, high), rel=0.02)


def test_the_interval_over_seeds_is_of_the_draws_that_have_a_slope() -> None:
    # one seed of five learned a single task: with probability 1/625 only that seed is drawn
    slopes, p = np.array([-0.7, -0.8, -0.95, -0.75, -0.8]), frequencies(8, 0.4)
    learned = 50 * p ** slopes[:, None]
    learned[4, 1:] = inf
    t = Times(np.repeat(np.arange(5), 8), np.tile(p, 5), np.full(40, 40.0), learned.ravel())
    fitted = law(t, "learned", Resampling(0.95, 40_000, 0))
    found = []
    for drawn in product(range(5), repeat=4):
        if {*drawn} != {4}:
            rows = [(x, y) for s in drawn for x, y in zip(p, learned[s], strict=True) if y < inf]
            found.append(np.polyfit(*np.log(rows).T, 1)[0])
    half = stats.t.ppf(0.975, 4) * np.std(found)
    assert fitted.status == emergence.OK
    assert (fitted.slope - fitted.slope_low, fitted.slope_high - fitted.slope) == pytest.approx(
        (half, half), rel=0.02
    )


def test_evaluations_that_are_far_apart_do_not_bias_the_law() -> None:
    fine = law(times(3, tasks=100, last=20_000), "all", FEW)
    coarse = law(times(3, tasks=100, last=20_000, every=500), "all", FEW)
    assert coarse.status == fine.status == emergence.OK
    assert coarse.slope == pytest.approx(fine.slope, abs=0.02)
    assert coarse.time == pytest.approx(fine.time, rel=0.1)


def test_the_likelihood_is_at_its_maximum() -> None:
    t = times(1, every=50)

    def negative(parameters: NDArray[np.float64]) -> float:
        a, b, log_sigma = parameters
        normal = stats.norm(a + b * np.log(t.frequency), np.exp(log_sigma))
        with np.errstate(divide="ignore"):
            return -float(np.log(normal.cdf(np.log(t.by)) - normal.cdf(np.log(t.after))).sum())

    fitted = law(t, "all", FEW)
    start = np.array([np.log(fitted.time), fitted.slope, np.log(fitted.sigma)])
    options = {"xatol": 1e-9, "fatol": 1e-12, "maxiter": 5000, "maxfev": 5000}
    best = optimize.minimize(negative, start + 0.1, method="Nelder-Mead", options=options)
    np.testing.assert_allclose(start, best.x, rtol=1e-5)


def test_weights_are_as_good_as_copies() -> None:
    t = times(2, tasks=30, last=10_000, every=100)
    weights = np.random.default_rng(0).integers(0, 3, (3, len(t.by)))
    found, chosen = emergence._point(t, "all")
    slopes = emergence._solver(chosen, "all", found)(weights.astype(float))
    for row, slope in zip(weights, slopes, strict=True):
        copies = t.where(np.repeat(np.arange(len(row)), row))
        assert emergence.slope(copies, "all") == pytest.approx(slope, abs=1e-6)


def test_a_law_that_cannot_be_had_says_why() -> None:
    t = times(0)
    few = t.where(t.frequency >= np.unique(t.frequency)[-2])
    for kind in emergence.KINDS:
        assert law(few, kind, FEW).status == "too few learned tasks: 2 of at least 3"
        assert np.isnan(law(few, kind, FEW).slope)
    none = replace(t, after=np.full(50, 2500.0), by=np.full(50, inf))
    assert law(none, "all", FEW).status == "too few learned tasks: 0 of at least 3"
    assert law(none, "complete", FEW).learned == 0
    one = law(times(0, seeds=1, last=10_000), "all", FEW)
    assert one.status == "no interval over seeds: one seed"
    assert one.slope == pytest.approx(SLOPE, abs=0.2)
    assert np.isnan(one.slope_low)
    assert one.tasks_low < one.slope < one.tasks_high


def test_a_horizon_hides_what_comes_after() -> None:
    t = times(0, tasks=60, last=50_000, every=10)
    early = t.at(5000)
    assert early.by[~early.censored].max() <= 5000
    assert early.after.max() <= 5000
    same = ~early.censored
    np.testing.assert_array_equal(early.by[same], t.by[same])
    rough = Truth(frequencies(60, 0.4), slope=SLOPE, scatter=0.4)
    slopes: dict[tuple[int, str], list[float]] = {}
    for seed in range(12):
        full = simulate_parity.times(rough, 5, 50_000, 10, np.random.default_rng(seed))
        for step in (5000, 50_000):
            for kind in ("all", "learned"):
                found = emergence.slope(full.at(step), kind)
                slopes.setdefault((step, kind), []).append(found)
    mean = {key: np.mean(values) for key, values in slopes.items()}
    assert mean[5000, "learned"] > mean[50_000, "learned"] + 0.05
    assert mean[5000, "all"] == pytest.approx(SLOPE, abs=0.06)
    assert mean[50_000, "all"] == pytest.approx(SLOPE, abs=0.02)


def test_tasks_that_a_network_has_no_room_for_are_overdue() -> None:
    t = times(0, tasks=60, last=20_000)
    assert emergence.overdue(t, law(t, "complete", FEW)) == 0
    small = t.frequency < frequencies(60, 0.4)[9]
    full = replace(t, after=np.where(small, 20_000, t.after), by=np.where(small, inf, t.by))
    found = law(full, "complete", FEW)
    assert emergence.overdue(full, found) > 10
    assert emergence.slope(full, "all") < SLOPE - 0.1  # what the censored fit makes of it
    assert emergence.overdue(full, law(full.at(10), "complete", FEW)) == 0  # no law, no opinion


def test_runs_are_in_bits_and_counted(tables: dict[str, pd.DataFrame]) -> None:
    family = families(tables)["falling_04"]
    table = parity_fits.final_losses(family)
    assert len(table) == 3 * 3 + 4 * 3
    assert (table["best_loss"] <= table["final_loss"]).all()
    assert (table["best_step"] <= table["steps"]).all()
    assert (table["parameters"] == (60 + 100 + 1 + 2) * table["width"] + 2).all()
    fresh = table[(table["samples"] == 0) & (table["width"] == 20)]
    expected = 1 - frequencies(60, 0.4)[:4].sum()  # there is room for four tasks
    np.testing.assert_allclose(fresh["final_loss"], expected, rtol=0.1)
    assert set(fresh["learned"]) <= {3, 4}
    limited = table[table["samples"] == 20_000]
    assert (limited["best_step"] < limited["steps"]).all()  # it overfits


@pytest.mark.parametrize(
    ("width", "scatter", "doubt"),
    [(200, 0.1, None), (20, 0.1, "overdue"), (200, 0.8, None), (25, 0.8, "half the steps")],
)
def test_want_of_room_makes_the_censored_fit_doubtful(
    width: int, scatter: float, doubt: str | None
) -> None:
    made = {"narrow": simulated_parity.configuration(widths=[width], task_curves=0)}
    truth = Truth(np.ones(1), per_width=0.2, scatter=scatter)
    tables = simulated_parity.tables(made, truth)
    rates = {"narrow": frequencies(60, 0.4)}
    [family] = parity_fits.families(tables["losses"], tables["tasks"], made, rates)
    laws = parity_fits.laws(family, P.quanta)
    assert list(laws["definition"].unique()) == ["first_under", "for_good"]
    for _, rows in laws.groupby("definition"):
        status = rows.set_index("tasks")["status"]
        assert (doubt in status["all"]) if doubt else (status["all"] == "ok")
        assert status["complete"] == "ok"


def test_a_task_is_learned_when_first_under_or_when_for_good() -> None:
    """Three tasks of one run, evaluated every 10 steps up to 100.

    The first goes under at 20 and stays, the second goes under at 30 and stays from 70 on, the
    third goes under at 60 and is above at the end.
    """
    made = simulated_parity.configuration(tasks=3, widths=[5], steps=100, evaluate_every=10)
    tasks = pd.DataFrame(
        {"configuration": "c", "width": 5, "samples": 0, "seed": 0, "task": [1, 2, 3]}
        | {"not_before": [10, 60, 100], "first_under": [20, 30, 60]}
        | {"learned": pd.array([20, 70, None], "Int32")}
    )
    family = Family("c", made, np.array([0.5, 0.3, 0.2]), pd.DataFrame(), tasks)
    first, for_good = family.times("first_under"), family.times("for_good")
    assert first.by.tolist() == [20, 30, 60]
    assert first.after.tolist() == [10, 20, 50]
    assert for_good.by.tolist() == [20, 70, inf]
    assert for_good.after.tolist() == [10, 60, 100]
    assert first.frequency.tolist() == [0.5, 0.3, 0.2]
    slope = np.polyfit(np.log([0.5, 0.3, 0.2]), np.log([20, 30, 60]), 1)[0]
    assert emergence.slope(first, "learned") == pytest.approx(slope)
    assert emergence.law(for_good, "learned", FEW).status.startswith("too few learned tasks: 2")


def test_what_is_not_known_is_null(tables: dict[str, pd.DataFrame]) -> None:
    family = families(tables)["notebook"]
    never = dict.fromkeys(["learned", "first_under", "began"], np.nan)
    early = replace(family, tasks=family.tasks.assign(**never))
    laws = parity_fits.laws(early, P.quanta)
    exponents = parity_fits.exponents(parity_fits.final_losses(early), early, P.quanta, PUBLISHED)
    numbers = parity_fits.headline(early, exponents, laws)
    nothing = {"learned": 0, "censored": 50, "slope": None, "slope_of_learned": None}
    assert numbers["first_under"] == numbers["for_good"] == nothing
    assert numbers["fall_of_a_task"] is None
    assert "alpha_N" not in numbers
    assert "NaN" not in json.dumps(numbers)


def test_a_task_falls_sharply_and_the_mean_does_not(tables: dict[str, pd.DataFrame]) -> None:
    # from 0.9 to 0.1 bit a loss of 1 / (1 + x^8) falls while x grows by a factor of 81^(1/8)
    task, mean = parity_fits.sharpness(families(tables)["notebook"])
    assert task == pytest.approx(81 ** (1 / 8), rel=0.05)
    assert mean > 1.5 * task


def test_a_fall_is_from_the_last_step_above_to_the_first_one_below() -> None:
    steps, curves = np.array([1, 2, 4, 8, 16]), [[1, 0.9, 0.5, 0.05, 0.02], [0.9, 1, 0.5, 0.2, 0.1]]
    hidden = [[0.5, 0.4, 0.3, 0.2, 0.01]]  # it never was high: no fall is seen
    tasks = pd.DataFrame({"learned": [4.0, 9.0, np.nan, 8.0], "began": [2.0, 3.0, 1.0, 2.0]})
    family: Any = SimpleNamespace(
        widest=tasks,
        curves=(steps, np.array(curves + hidden)),
        configuration=SimpleNamespace(learned_below=0.1),
    )
    # tasks by 2, 3 and 4; the mean's by 8 / 2, and by 16 / 2 at least, as it is not below yet
    assert parity_fits.sharpness(family) == (3, (4 + 8) / 2)


@pytest.fixture(scope="module")
def fitted(tables: dict[str, pd.DataFrame], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with params.yaml, the tables in metrics and what the stage makes of them."""
    folder = tmp_path_factory.mktemp("fitted")
    simulated_parity.save(folder / "metrics", tables, CONFIGURATIONS)
    content = P.model_dump()
    content["verdict"]["parity"]["exponents"] = "falling_"
    content["quanta"] |= {"resamples": 100, "steps": [500, 14_500]}
    write_params(folder, content)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr("sys.argv", ["fit_parity"])
        fit_parity.main()
    return folder


def test_the_stage_writes_the_same_bytes_twice(
    fitted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(fitted)
    monkeypatch.setattr("sys.argv", ["fit_parity", "--output", str(tmp_path)])
    fit_parity.main()
    names = [path.name for path in tmp_path.iterdir()]
    assert len(names) == 5
    for name in names:
        assert (tmp_path / name).read_bytes() == (fitted / "metrics" / name).read_bytes()


def test_the_stage_finds_the_law_and_the_exponents(fitted: Path) -> None:
    laws = pd.read_csv(fitted / "metrics/parity_emergence.csv")
    assert len(laws) == 2 * 2 * 3
    same = "configuration == 'falling_04' and definition == 'first_under' and tasks == 'all'"
    law = laws.query(same).iloc[0]
    assert law["slope_low"] < -1 < law["slope_high"]
    exponents = pd.read_csv(fitted / "metrics/parity_exponents.csv")
    of_family = exponents[exponents["configuration"] == "falling_04"].set_index("exponent")
    assert (of_family["status"] == "ok").all()
    assert (of_family["low"] < of_family["value"]).all()
    assert of_family["published"].isna().all()  # 60 tasks are not the paper's 500
    headlines = json.loads((fitted / "metrics/parity.json").read_text())
    assert set(headlines) == set(CONFIGURATIONS)
    assert headlines["falling_04"]["alpha_N"] == pytest.approx(of_family["value"]["N"], rel=1e-4)
    assert "alpha_N" not in headlines["notebook"]
    horizons = pd.read_csv(fitted / "metrics/parity_horizons.csv")
    last = horizons.query(same)
    assert last["slope"].iloc[-1] == pytest.approx(law["slope"], rel=1e-4)


def test_a_table_that_cannot_be_used_is_refused(
    tables: dict[str, pd.DataFrame], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = {"other": CONFIGURATIONS["notebook"]}
    simulated_parity.save(tmp_path, tables, other)
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr("sys.argv", ["fit_parity", "--tables", str(tmp_path)])
    with pytest.raises(errors.InputError, match="no rows of configuration other"):
        fit_parity.main()


def test_the_seed_draws_the_resampled_tasks_and_seeds() -> None:
    t = times(0, tasks=60, last=20_000)
    first, other = (law(t, "learned", Resampling(0.95, 100, seed)) for seed in (0, 1))
    assert first.slope == other.slope
    assert first.tasks_low != other.tasks_low
    assert first.slope_low != other.slope_low
