"""The verdict on multitask sparse parity: what is judged, by which runs, and what is missing."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from scipy import stats

from stages import verdict as stage
from stages.base import errors, params
from stages.pages import text as pages
from stages.parity.tasks import frequencies
from stages.quanta import fits as parity_fits
from stages.quanta import verdict as parity_verdict
from stages.quanta.simulate import Truth
from stages.quanta.verdict import NOT_TRAINED, Fitted
from stages.statistics.equivalence import OUTCOMES, RULE
from tests.helpers import simulated_parity
from tests.helpers.frozen import FROZEN
from tests.helpers.root import ROOT

P = FROZEN
PUBLISHED = params.published(ROOT / "published.yaml").michaud
RULES = P.verdict.parity
QUICK = P.quanta.model_copy(update={"resamples": 100})
BELOW = P.quanta.samples_below
WIDTHS = [9, 17, 50, 169, 500]  # N as published
SAMPLES = PUBLISHED.loss_by_samples.samples[::3] + PUBLISHED.loss_by_samples.samples[-1:]
CONFIGURATIONS = {
    RULES.widths: simulated_parity.configuration(tasks=500, widths=WIDTHS, task_curves=0),
    RULES.samples: simulated_parity.configuration(
        **{"tasks": 500, "widths": [500], "task_curves": 0, "steps": 5000},
        data_limited={
            **{"widths": [500], "samples": SAMPLES, "steps": 5000, "evaluate_every": 100}
        },
    ),
    f"{RULES.exponents}04": simulated_parity.configuration(
        tasks=500, widths=[20, 60, 200], task_curves=0
    ),
}


def fitted(configurations: dict[str, params.ParityConfiguration]) -> Fitted:
    tables = simulated_parity.tables(configurations, Truth(np.ones(1)))
    rates = {name: frequencies(c.tasks, c.alpha) for name, c in configurations.items()}
    families = parity_fits.families(tables["losses"], tables["tasks"], configurations, rates)
    runs = [parity_fits.final_losses(family) for family in families]
    exponents = [
        parity_fits.exponents(of_runs, family, QUICK, PUBLISHED)
        for of_runs, family in zip(runs, families, strict=True)
    ]
    laws = [parity_fits.laws(family, QUICK) for family in families]
    return Fitted(pd.concat(runs), pd.concat(laws), pd.concat(exponents), tables["tasks"])


@pytest.fixture(scope="module")
def found() -> Fitted:
    return fitted(CONFIGURATIONS)


@pytest.fixture(scope="module")
def table(found: Fitted) -> pd.DataFrame:
    return parity_verdict.verdicts(found, CONFIGURATIONS, PUBLISHED, RULES, BELOW, 0.95)


def ruled(table: pd.DataFrame, quantity: str) -> pd.DataFrame:
    return table[(table["quantity"] == quantity) & (table["choice"] == RULE)].set_index("at")


def test_every_published_number_is_judged_once_by_the_rules(table: pd.DataFrame) -> None:
    sizes = {quantity: len(ruled(table, quantity)) for quantity in pages.PARITY}
    assert sizes == {
        "learning_exponent": 1,
        "learning_steps": 1,
        "loss_by_parameters": 1,
        "loss_by_samples": 1,
        "drawn_N": 1,
        "drawn_D": 1,
        "alpha_N": 8,
        "alpha_S": 8,
        "alpha_D": 8,
    }
    assert set(table["outcome"]) <= set(OUTCOMES)


def test_the_exponent_of_learning_times_is_the_slope_turned_round(
    found: Fitted, table: pd.DataFrame
) -> None:
    laws = found.emergence[found.emergence["configuration"] == RULES.learning.configuration]
    laws = laws.set_index(["definition", "tasks"])
    law = laws.loc[RULES.learning.definition, RULES.learning.tasks]
    row = ruled(table, "learning_exponent").iloc[0]
    assert row["ours"] == -law["slope"]
    assert (row["low"], row["high"]) == (-law["slope_high"], -law["slope_low"])
    others = table[(table["quantity"] == "learning_exponent") & (table["choice"] != RULE)]
    assert list(others["choice"]) == ["tasks=all", "tasks=complete", "definition=for_good"]
    assert others["ours"].iloc[-1] == -laws.loc["for_good", "learned"]["slope"]


def test_a_level_is_the_mean_ratio_over_all_points_interpolated_in_logarithms() -> None:
    sizes, theirs = np.array([100.0, 1000.0, 10_000.0]), np.array([1.0, 0.1, 0.01])
    runs = pd.DataFrame(
        {"seed": [0, 0, 1, 1, 2, 2], "parameters": [100, 10_000] * 3}
        | {"final_loss": [1.0, 0.01, 2.0, 0.02, 4.0, 0.04]}
    )
    found = parity_verdict._level(runs, "parameters", "final_loss", sizes, theirs, 0.95)
    assert found.value == pytest.approx(2)
    logs = np.log([1, 2, 4])
    half = stats.t.ppf(0.975, 2) * stats.sem(logs)
    assert (found.low, found.high) == pytest.approx((2 * np.exp(-half), 2 * np.exp(half)))
    scattered = theirs * np.exp([0.3, 0.0, -0.3])
    wider = parity_verdict._level(runs, "parameters", "final_loss", sizes, scattered, 0.95)
    both = np.hypot(half, stats.t.ppf(0.975, 2) * stats.sem([0.3, 0, -0.3]))
    assert wider.high == pytest.approx(2 * np.exp(both))
    outside = parity_verdict._level(runs, "parameters", "final_loss", sizes / 2, theirs, 0.95)
    assert outside.status == "1 of 3 sizes outside those trained"


@pytest.mark.parametrize("below", [BELOW, 0.4])
def test_levels_and_exponents_are_held_against_all_drawn_points(
    found: Fitted, below: float
) -> None:
    table = parity_verdict.verdicts(found, CONFIGURATIONS, PUBLISHED, RULES, below, 0.95)
    by_n, by_d = PUBLISHED.loss_by_parameters, PUBLISHED.loss_by_samples
    assert len(by_n.loss) == len(by_d.loss) == 30
    slope = np.polyfit(np.log(by_n.parameters), np.log(by_n.loss), 1)[0]
    assert ruled(table, "drawn_N")["published_low"].item() == pytest.approx(-slope)
    first = [loss < below for loss in by_d.loss].index(True)  # as ours, from where it is low enough
    slope = np.polyfit(np.log(by_d.samples[first:]), np.log(by_d.loss[first:]), 1)[0]
    assert ruled(table, "drawn_D")["published_low"].item() == pytest.approx(-slope)
    assert ruled(table, "loss_by_parameters")["published_low"].item() == 1
    assert (ruled(table, "loss_by_samples")["status"] == "ok").all()


def test_learning_steps_are_of_the_tasks_that_all_seeds_learned(
    found: Fitted, table: pd.DataFrame
) -> None:
    tasks = found.tasks[found.tasks["configuration"] == RULES.learning.configuration]
    widest = tasks[tasks["width"] == tasks["width"].max()]
    logs, points = [], PUBLISHED.learning_steps
    for task, steps in zip(*points.model_dump().values(), strict=True):
        ours = widest.loc[widest["task"] == task, "first_under"].to_numpy(float)
        if np.isfinite(ours).all():
            logs.append(np.log(ours / steps).mean())
    assert 3 < len(logs) < len(PUBLISHED.learning_steps.tasks)
    row = ruled(table, "learning_steps").iloc[0]
    assert row["ours"] == pytest.approx(np.exp(np.mean(logs)))
    assert row["low"] < row["ours"] < row["high"]


def test_exponents_are_of_the_named_family_and_others_beside(table: pd.DataFrame) -> None:
    rows = ruled(table, "alpha_N")
    assert rows["configuration"][0.4] == f"{RULES.exponents}04"
    assert rows["status"][0.4] == "ok"
    assert (rows["status"].drop(0.4) == NOT_TRAINED).all()
    others = table[(table["quantity"] == "alpha_N") & (table["choice"] != RULE)]
    names = {f"configuration={name}" for name in (RULES.widths, RULES.samples)}
    assert set(others["choice"]) == names


def test_what_is_not_trained_is_counted_and_not_judged() -> None:
    notebook = {"notebook": simulated_parity.configuration(widths=[50], task_curves=0)}
    found = fitted(notebook)
    table = parity_verdict.verdicts(found, notebook, PUBLISHED, RULES, BELOW, 0.95)
    assert (table["status"] == NOT_TRAINED).all()
    assert (table["outcome"] == "undecided").all()
    assert stage.quanta(table) == {}
    content = pages.parity(table)
    assert content["parity_rows"] == []
    assert content["parity_absent"]["alpha_D"] == 8


def test_the_counts_are_of_trained_rules(table: pd.DataFrame) -> None:
    counts = stage.quanta(table)
    assert sum(counts["loss_by_parameters"].values()) == 1
    assert sum(counts["alpha_N"].values()) == 1
    assert set(counts["alpha_N"]) == set(OUTCOMES)


def test_names_say_what_a_number_is_of(table: pd.DataFrame) -> None:
    names = {row["name"] for row in pages.parity(table)["parity_rows"]}
    assert "Mean loss against N, ours / theirs" in names
    assert "alpha_S at alpha = 0.4" in names
    assert "Learning time against 1/p, exponent" in names


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.12345, "0.123"), (37_200.4, "37,200"), (1.005, "1.00"), (0.0, "0"), (np.nan, "–")],  # noqa: RUF001
)
def test_numbers_have_three_digits(value: float, text: str) -> None:
    assert pages.significant(value) == text


@pytest.mark.parametrize(
    ("section", "change", "said"),
    [
        ("quanta", {"steps": [500, 500]}, "quanta: steps must be [first, last]"),
        ("quanta", {"finite_tasks": [40, 1]}, "quanta: finite_tasks must be [first, last]"),
        ("quanta", {"confidence": 95}, "quanta.confidence"),
        ("verdict", {"parity": {**RULES.model_dump(), "tolerance": -1}}, "parity.tolerance"),
        (
            "published",
            {
                "michaud": {
                    **PUBLISHED.model_dump(),
                    "learning_steps": {"tasks": [1, 2, 3], "steps": [700.0, 1200.0]},
                }
            },
            "learning_steps: lists must be of one length (values: tasks 3, steps 2)",
        ),
    ],
)
def test_params_that_make_no_sense_are_refused(
    tmp_path: Path, section: str, change: dict[str, object], said: str
) -> None:
    name, load, content = "params.yaml", params.load, P.model_dump()
    if section == "published":
        name, load = "published.yaml", params.published
        content = {section: params.published(ROOT / name).model_dump()}
    content[section] |= change
    (tmp_path / name).write_text(yaml.safe_dump(content.get("published", content)))
    with pytest.raises(errors.InputError) as caught:
        load(tmp_path / name)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
