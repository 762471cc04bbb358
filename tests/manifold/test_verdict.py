"""The verdict: each outcome for each rule, the ends of bands, and no outcome without a number."""

import json
import math
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from stages import verdict as stage
from stages.base import errors, params
from stages.manifold import verdict
from stages.pages import text as pages
from stages.statistics.equivalence import OUTCOMES, RULE, Target, judge
from stages.statistics.estimate import Estimate, missing, over_networks
from tests.helpers.frozen import FROZEN
from tests.helpers.root import ROOT

P = FROZEN
SK = params.published(ROOT / "published.yaml").sharma_kaplan
TEN = Target(10.0, 10.0)


def estimate(low: float, high: float, status: str = "ok") -> Estimate:
    return Estimate((low + high) / 2, low, high, status)


@pytest.mark.parametrize(
    ("low", "high", "outcome"),
    [
        (9.5, 10.5, "reproduced"),
        (10.2, 10.4, "reproduced"),  # it need not hold the published value itself
        (9.0, 11.0, "reproduced"),  # the very band
        (8.0, 8.9, "not reproduced"),
        (11.1, 30.0, "not reproduced"),
        (8.0, 9.0, "cannot be told"),  # they touch
        (11.0, 12.0, "cannot be told"),
        (8.9, 10.0, "cannot be told"),
        (10.0, 11.1, "cannot be told"),
        (5.0, 20.0, "cannot be told"),  # it holds the value, and everything else
    ],
)
def test_the_rule(low: float, high: float, outcome: str) -> None:
    assert judge(estimate(low, high), TEN, 0.1) == outcome


def test_a_published_range_is_its_own_band() -> None:
    range_ = Target(16, 18)
    assert judge(estimate(16, 18), range_, 0) == "reproduced"
    assert judge(estimate(15.9, 17), range_, 0) == "cannot be told"
    assert judge(estimate(18.1, 19), range_, 0) == "not reproduced"
    assert judge(estimate(18.1, 19), range_, 0.1) == "reproduced"


def test_too_high_and_too_low_are_judged_alike() -> None:
    # Mirrored about the published value, an interval has the same outcome and tolerances.
    rng = np.random.default_rng(0)
    outcomes = set()
    for _ in range(300):
        low, high = np.sort(rng.uniform(8, 12, 2))
        one, mirrored = estimate(low, high), estimate(20 - high, 20 - low)
        outcomes.add(judge(one, TEN, 0.1))
        assert judge(one, TEN, 0.1) == judge(mirrored, TEN, 0.1)
        assert TEN.agrees_from(one) == pytest.approx(TEN.agrees_from(mirrored))
        assert TEN.differs_below(one) == pytest.approx(TEN.differs_below(mirrored))
    assert outcomes == set(OUTCOMES)


def test_the_tolerances_beside_an_outcome_are_where_it_changes() -> None:
    rng = np.random.default_rng(1)
    for _ in range(300):
        low, high = np.sort(rng.uniform(3, 17, 2))
        each = estimate(low, high)
        agrees, differs = TEN.agrees_from(each), TEN.differs_below(each)
        assert differs < agrees
        for tolerance in np.linspace(0, 0.9, 19):
            outcome = judge(each, TEN, tolerance)
            assert (outcome == "reproduced") == (tolerance >= agrees)
            assert (outcome == "not reproduced") == (tolerance < differs)


@pytest.mark.parametrize(
    "each",
    [
        missing("too few runs"),
        Estimate(10, 9.9, 10.1, "alpha ran to its bound 0"),
        Estimate(math.nan, 9.9, 10.1),
        Estimate(10, math.nan, math.nan),
        Estimate(10, 9.9, math.inf),
        Estimate(10, -math.inf, math.inf),
        Estimate(10, 10.1, 9.9),
    ],
)
def test_no_sound_interval_proves_nothing(each: Estimate) -> None:
    for tolerance in (0.0, 0.1, 0.99):
        assert judge(each, TEN, tolerance) == "cannot be told"
    assert math.isnan(TEN.agrees_from(each))
    assert math.isnan(TEN.differs_below(each))
    assert not each.over(estimate(1, 2)).sound
    assert not estimate(1, 2).over(each).sound


def test_a_quotient_holds_all_quotients() -> None:
    quotient = estimate(18, 20).over(estimate(16, 17))
    assert (quotient.low, quotient.high) == (18 / 17, 20 / 16)
    assert not estimate(18, 20).over(estimate(-1, 1)).sound


def test_over_networks_is_a_t_interval_of_the_logarithm() -> None:
    from scipy import stats

    values = [12.0, 14.0, 15.0, 13.0]
    found = over_networks(values, ["ok"] * 4, 0.95)
    logs = np.log(values)
    low, high = stats.t.interval(0.95, 3, loc=logs.mean(), scale=stats.sem(logs))
    assert found.low == pytest.approx(math.exp(low))
    assert found.high == pytest.approx(math.exp(high))
    assert not over_networks(values[:2], ["ok"] * 2, 0.95).sound
    assert not over_networks(values, ["ok", "tied", "ok", "ok"], 0.95).sound
    assert not over_networks([*values[:3], math.nan], ["ok"] * 4, 0.95).sound


METRICS = [*verdict.METRICS.values()]


def fits(numbers: dict[str, tuple[float, float]], status: str = "ok") -> pd.DataFrame:
    """A table of fits, every choice of which has the interval of its metric and sweep."""
    choices = product(P.cnn.sweeps, METRICS, P.fit.epochs, P.fit.quantiles, ["all", "published"])
    rows = []
    for sweep, metric, epochs, quantile, widths in choices:
        for failed in ["included", "excluded"]:
            low, high = numbers[metric if sweep == P.verdict.fit.sweep else "notebook"]
            rows.append(
                {"sweep": sweep, "metric": metric, "epochs": epochs, "quantile": quantile}
                | {"widths": widths, "failed": failed, "status": status}
                | {"dimension": (low + high) / 2, "dimension_low": low, "dimension_high": high}
            )
    return pd.DataFrame(rows)


LAYERS = {"preactivation": 1.0, "activation": 0.75, "logits": 0.5}
"""What each reads, beside the first."""


def dimensions(value: float, scatter: float) -> pd.DataFrame:
    """A table of measured dimensions, a factor of `scatter` to either side of `value`."""
    rows: list[dict[str, Any]] = [{"source": "images", "width": math.nan, "dimension": 30.0}]
    for sweep, width, (layer, share) in product(P.cnn.sweeps, P.cnn.widths, LAYERS.items()):
        factor = share * (scatter if width % 2 else 1 / scatter)
        head = {"source": sweep, "width": width, "layer": layer}
        rows.append(head | {"dimension": value * factor})
    table = pd.DataFrame(rows).assign(blocks=1, low=1.0, high=2.0, status="ok")
    table = table.assign(as_gaussian=1.1 * table["dimension"], as_uniform=math.nan)
    pairs = [("twonn", 2), ("ratio", 2), ("ratio", 3)]
    return pd.concat([table.assign(estimator=e, neighbours=k) for e, k in pairs])


def judged(by_scale: float, spread: float, status: str = "ok") -> pd.DataFrame:
    """The verdicts where all of ours is `by_scale` times the published, give or take `spread`."""

    def around(value: float) -> tuple[float, float]:
        return value * by_scale * (1 - spread), value * by_scale * (1 + spread)

    numbers = {metric: around(getattr(SK, name)) for name, metric in verdict.METRICS.items()}
    numbers["notebook"] = around(17.0)
    table = fits(numbers, status)
    measured = dimensions(SK.intrinsic_dimension * by_scale, math.exp(2 * spread))
    return verdict.verdicts(table, measured, SK, P.verdict, P.fit)


@pytest.mark.parametrize("quantity", pages.QUANTITIES)
def test_every_rule_has_every_outcome(quantity: str) -> None:
    def outcome(table: pd.DataFrame) -> str:
        rows = table[(table["quantity"] == quantity) & (table["choice"] == RULE)]
        return str(rows["outcome"].item())

    if quantity == verdict.CURVE:
        close = verdict.slope_dimension(SK.test_loss_curve) / SK.test_loss
        cases = [judged(close, 0.01), judged(3, 0.01), judged(close, 0.5)]
    elif quantity == verdict.RATIO:  # ours over ours: a scale common to both cancels
        even = SK.intrinsic_dimension / SK.test_loss
        close = dimensions(SK.test_loss, 1.001)
        table = fits(dict.fromkeys([*METRICS, "notebook"], (17.8, 17.9)))
        wide = fits(dict.fromkeys([*METRICS, "notebook"], (10.0, 30.0)))
        far = dimensions(SK.test_loss * even / 2, 1.001)
        cases = [
            verdict.verdicts(table, close, SK, P.verdict, P.fit),
            verdict.verdicts(table, far, SK, P.verdict, P.fit),
            verdict.verdicts(wide, close, SK, P.verdict, P.fit),
        ]
    else:
        cases = [judged(1, 0.01), judged(3, 0.01), judged(1, 0.5)]
    assert [outcome(case) for case in cases] == list(OUTCOMES)


def test_what_is_not_fitted_is_never_reproduced() -> None:
    of_fits = {*pages.QUANTITIES} - {verdict.DIMENSION}
    table = judged(1, 0.01, status="too few runs")
    assert set(table[table["quantity"].isin(of_fits)]["outcome"]) == {"cannot be told"}
    assert "too few runs" in set(table["status"])
    bare = fits(dict.fromkeys([*METRICS, "notebook"], (17.0, 18.0)))
    nothing = verdict.verdicts(
        bare[bare["sweep"] == "none"], dimensions(17, 1.1)[:0], SK, P.verdict, P.fit
    )
    assert set(nothing["outcome"]) == {"cannot be told"}


def test_other_choices_differ_from_the_rule_in_one_thing() -> None:
    table = judged(1, 0.01)
    loss = table[table["quantity"] == "test_loss"]
    assert loss["choice"].iloc[0] == RULE
    assert set(loss["choice"][1:]) == {
        *["sweep=notebook", "epochs=pooled", "epochs=last", "quantile=0.2", "quantile=0.8"],
        *["widths=all", "failed=excluded"],
    }
    dimension = table[table["quantity"] == "intrinsic_dimension"].set_index("choice")
    gaussian, uniform = (
        dimension.loc[f"dimension={shape}_of_equal_reading"] for shape in ["gaussian", "uniform"]
    )
    rule = dimension.loc["rule", "ours"]
    assert P.verdict.dimension.layer == "preactivation"
    assert dimension.loc["layer=activation", "ours"] == pytest.approx(0.75 * rule)
    assert dimension.loc["layer=logits", "ours"] == pytest.approx(0.5 * rule)
    ratio = table[table["quantity"] == "dimension_ratio"].set_index("choice")["ours"]
    assert ratio["layer=activation"] == pytest.approx(ratio["rule"] / 0.75)
    assert gaussian["ours"] == pytest.approx(1.1 * dimension.loc["rule", "ours"])
    assert uniform["outcome"] == "cannot be told"
    assert not table.duplicated(["quantity", "choice"]).any()


def test_the_slope_of_points_is_least_squares() -> None:
    sizes = [1000, 2000, 4000, 8000]
    exact = params.Curve(parameters=sizes, loss=[3 * n**-0.25 for n in sizes])
    assert verdict.slope_dimension(exact) == pytest.approx(16)
    rising = params.Curve(parameters=sizes, loss=[1.0, 2.0, 3.0, 4.0])
    assert math.isnan(verdict.slope_dimension(rising))


def test_the_curve_compares_medians_at_the_best_epoch() -> None:
    rows = [
        ("paper", width, n, seed, epoch, 1.0, 0.5, loss + seed + 10 * (epoch != 2), 0.5)
        for width, n, loss in [(1, 100, 1.0), (2, 200, 0.5)]
        for seed, epoch in product(range(3), range(1, 4))
    ]
    columns = ["sweep", "width", "parameters", "seed", "epoch", "train_loss", "train_accuracy"]
    runs = pd.DataFrame(rows, columns=[*columns, "validation_loss", "validation_accuracy"])
    published = params.Curve(parameters=[100, 200, 300], loss=[2.0, 3.0, 1.0])
    table = verdict.curve(runs, published, P.verdict.fit)
    assert table["ours"].tolist()[:2] == [2.0, 1.5]
    assert table["ratio"].tolist()[:2] == [1.0, 0.5]
    assert math.isnan(table["ratio"].iloc[2])


@pytest.mark.parametrize(
    ("path", "value"),
    [("fit.sweep", "typo"), ("fit.quantile", 0.3), ("dimension.widths", "typo")],
)
def test_params_name_only_what_is_fitted(tmp_path: Path, path: str, value: object) -> None:
    content = P.model_dump()
    section, key = path.split(".")
    content["verdict"][section][key] = value
    changed = tmp_path / "params.yaml"
    changed.write_text(yaml.safe_dump(content))
    with pytest.raises(errors.InputError, match=rf"verdict\.{path} must be one of .*{value}"):
        params.load(changed)


def test_the_stage_writes_what_it_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ["params.yaml", "published.yaml"]:
        (tmp_path / name).symlink_to(ROOT / name)
    (tmp_path / "metrics").mkdir()
    parity = ["parity_runs.csv", "parity_emergence.csv", "parity_exponents.csv"]
    for name in ["cnn.parquet", "cnn_fits.csv", "dimension.csv", "parity_tasks.parquet", *parity]:
        (tmp_path / "metrics" / name).symlink_to(ROOT / "metrics" / name)
    monkeypatch.chdir(tmp_path)
    names = ["verdict.csv", "verdict_curve.csv", "verdict.json", "verdict.md"]
    names += ["verdict_parity.csv", "verdict_parity.json"]

    def made() -> dict[str, bytes]:
        stage.main()
        return {name: (tmp_path / "metrics" / name).read_bytes() for name in names}

    first = made()
    assert made() == first
    found = json.loads(first["verdict.json"])
    assert [*found] == [*pages.QUANTITIES]
    text = first["verdict.md"].decode()
    for name, entry in found.items():
        line = next(line for line in text.splitlines() if pages.QUANTITIES[name] in line)
        assert entry["outcome"] in line
        assert entry["published"] in line
    table = pd.read_csv(tmp_path / "metrics" / "verdict.csv")
    for row in table.to_dict("records"):
        target = Target(row["published_low"], row["published_high"])
        ours = Estimate(row["ours"], row["low"], row["high"], row["status"])
        assert row["outcome"] == judge(ours, target, row["tolerance"])
