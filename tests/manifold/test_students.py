"""4/alpha of students of teachers: recovered on simulated laws, with intervals over teachers."""

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from stages.base.params import DimensionRule, StudentConfiguration
from stages.drawing.students import shown
from stages.manifold import students
from stages.manifold.students import Rules, expected, losses, readings, side, statement
from stages.statistics.bootstrap import Resampling
from stages.statistics.estimate import Estimate

WIDTHS = (8, 10, 13, 17, 22, 29, 38)
RULES = Rules(
    Resampling(0.95, 200, 0),
    0.02,
    DimensionRule(
        sweep="paper", widths="published", layer="preactivation", estimator="ratio", neighbours=2
    ),
    0.1,
)


def configuration(**changes: object) -> StudentConfiguration:
    made = {"loss": 2, "dimension": 4, "narrowest": 8, "seeds": 10}
    return StudentConfiguration.model_validate(made | changes)


def runs(alphas: list[float], name: str = "squared_4", noise: float = 0.01) -> pd.DataFrame:
    """Losses that fall by a power law of N, one for each teacher, after each of two phases.

    At the end of the first phase they are still as large as their square root.
    """
    random, rows = np.random.default_rng(0), []
    for teacher, alpha in enumerate(alphas):
        for width in WIDTHS:
            size = width**2 + 23 * width + 1
            for seed in range(10):
                loss = 5 * size**-alpha * np.exp(noise * random.standard_normal())
                for phase, step, power in ((1, 5, 0.5), (1, 10, 0.5), (2, 15, 1), (2, 20, 1)):
                    keys = {"configuration": name, "teacher": teacher, "width": width}
                    keys |= {"parameters": size, "seed": seed, "phase": phase, "step": step}
                    rows.append(keys | {"loss": loss**power})
    return pd.DataFrame(rows)


def measured(values: list[float], name: str = "squared_4") -> pd.DataFrame:
    of_all = {"configuration": name, "estimator": "ratio", "neighbours": 2, "blocks": 1}
    rows = [{"source": "inputs", "teacher": 0, "dimension": 16.0, "low": 15.0, "high": 17.0}]
    rows += [
        {"source": "last_hidden", "teacher": t, "dimension": v, "low": v - 0.1, "high": v + 0.1}
        for t, v in enumerate(values)
    ]
    return pd.DataFrame(rows).assign(**of_all, status="ok")


def units(alphas: list[float], name: str = "squared_4") -> pd.DataFrame:
    """Live parameters that are the square root of N: losses fall with them at twice the rate."""
    sizes = [(width, round((width**2 + 23 * width + 1) ** 0.5, 6)) for width in WIDTHS]
    rows = [
        {"configuration": name, "teacher": t, "width": width, "live_parameters": size}
        for t in range(len(alphas))
        for width, size in sizes
    ]
    return pd.DataFrame(rows)


def table(alphas: list[float], **changes: object) -> pd.DataFrame:
    c = {"squared_4": configuration(**changes)}
    found = readings(runs(alphas), measured([5.0, 6.0, 7.0]), units(alphas), c, RULES)
    return found.set_index(["quantity", "phase", "widths", "teacher"])


ALPHAS = [0.9, 1.0, 1.15]


def test_exponents_are_those_of_the_laws() -> None:
    found = table(ALPHAS)
    for teacher, alpha in enumerate(ALPHAS):
        for widths in ("all", "narrower", "wider"):
            row = found.loc["4/alpha", 2, widths, str(teacher)]
            assert row["value"] == pytest.approx(4 / alpha, rel=0.02)
            assert row["low"] < 4 / alpha * 1.01
            assert row["high"] > 4 / alpha * 0.99
        assert found.loc["4/alpha", 1, "all", str(teacher)]["value"] == pytest.approx(
            8 / alpha, rel=0.02
        )
        floored = found.loc["floored", 2, "all", str(teacher)]
        assert floored["floor"] < 1e-4


def test_students_of_one_seed_are_fitted_against_what_lives() -> None:
    found = table(ALPHAS)
    for widths in ("all", "narrower", "wider"):
        for teacher, alpha in enumerate(ALPHAS):
            row = found.loc["live", 2, widths, str(teacher)]
            assert row["value"] == pytest.approx(2 / alpha, rel=0.02)
            assert np.isnan(row["low"])
            kept = found.loc["kept", 2, widths, str(teacher)]
            assert kept["value"] == pytest.approx(2 * row["value"])
        over = found.loc["live", 2, widths, "all"]
        assert over["value"] == pytest.approx(2 / np.prod(ALPHAS) ** (1 / 3), rel=0.02)
    dead = units(ALPHAS).assign(live_parameters=7)
    c = {"squared_4": configuration()}
    none = readings(runs(ALPHAS), measured([5.0, 6.0, 7.0]), dead, c, RULES)
    assert none[none["quantity"] == "live"]["value"].isna().all()


def test_an_interval_holds_a_value_or_lies_on_a_side_of_it() -> None:
    nan = float("nan")
    assert side(Estimate(4, 3, 5), 4) == side(Estimate(4, 3, 5), 5) == "holds"
    assert side(Estimate(4, 3, 5), 5.1) == "below"
    assert side(Estimate(4, 3, 5), 2.9) == "above"
    assert side(Estimate(4, nan, nan, "no interval"), 4) == ""
    found = table([0.999, 1.0, 1.001])
    assert found.loc["4/alpha", 2, "all", "all"]["side"] == "holds"
    assert found.loc["live", 2, "all", "all"]["side"] == "below"


def test_the_statement_follows_the_table() -> None:
    found = table(ALPHAS).reset_index()
    extra = found[found["quantity"] == "last_hidden"].assign(quantity="before_relu")
    said = statement(pd.concat([found, extra]), 0.1)
    assert "Held against the theory's value to 10%, it is equivalent: none;" in said
    assert "live parameters" in said
    assert "lies below it, as a bound allows: squared error at d = 4;" in said
    assert "do not differ" in said


def test_the_interval_is_students_over_teachers() -> None:
    found = table(ALPHAS)
    for quantity, widths in (("4/alpha", "all"), ("4/alpha", "wider"), ("last_hidden", "widest")):
        phase = 0 if quantity == "last_hidden" else 2
        each = np.log([found.loc[quantity, phase, widths, t]["value"] for t in ("0", "1", "2")])
        low, high = stats.t.interval(0.95, 2, each.mean(), stats.sem(each))
        over = found.loc[quantity, phase, widths, "all"]
        np.testing.assert_allclose(
            np.log([over["value"], over["low"], over["high"]]), [each.mean(), low, high]
        )


def test_the_theory_is_of_the_loss() -> None:
    assert expected(configuration(loss="kl")) == 4
    assert expected(configuration(loss=4)) == 2
    assert expected(configuration(loss=1)) == 8
    assert expected(configuration(dimension=3, factors=3)) == 3
    exact = [0.999, 1.0, 1.001]
    assert table(exact).loc["4/alpha", 2, "all", "all"]["outcome"] == "equivalent"
    assert table(exact, loss=4).loc["4/alpha", 2, "all", "all"]["outcome"] == "different"
    product = table(exact, dimension=2, factors=3)
    assert product["expected"].loc["last_hidden"].eq(6).all()
    assert product["expected"].loc["4/alpha"].eq(2).all()


def test_two_teachers_make_no_interval() -> None:
    row = table(ALPHAS[:2]).loc["4/alpha", 2, "all", "all"]
    assert np.isnan(row["low"])
    assert row["status"] == "fewer than 3 teachers"
    assert row["outcome"] == "undecided"


def test_losses_are_quartiles_over_teachers_and_seeds() -> None:
    made = runs(ALPHAS, noise=0.3)
    found = losses(made).set_index(["phase", "step", "parameters"])
    some = made[(made["step"] == 20) & (made["width"] == 13)]
    row = found.loc[2, 20, 13**2 + 23 * 13 + 1]
    np.testing.assert_allclose(
        row[["low", "median", "high"]].astype(float), np.quantile(some["loss"], [0.25, 0.5, 0.75])
    )


def test_the_figure_has_one_mark_a_configuration() -> None:
    found = table(ALPHAS).reset_index()
    marks = shown(found, {"squared_4": configuration()})
    assert marks["series"].tolist() == ["squared error"]
    assert (
        marks["value"].tolist()
        == found.query(
            "quantity == '4/alpha' and phase == 2 and widths == 'all' and teacher == 'all'"
        )["value"].tolist()
    )


def test_a_slope_needs_three_sizes_and_losses_above_zero() -> None:
    sizes, losses = pd.Series([10, 100, 1000]), pd.Series([1.0, 0.1, 0.01])
    assert students._dimension(sizes, losses) == pytest.approx(4)
    assert math.isnan(students._dimension(sizes[:2], losses[:2]))
    assert math.isnan(students._dimension(sizes, losses - 0.01))
