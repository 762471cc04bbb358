"""Which numbers of Michaud et al. (2023) are reproduced.

Judged, by the rule of `stages.statistics.equivalence`, are the exponent of learning times (Figure
8), the steps until some tasks are learned (Figure 7), the mean loss at some N and D (Figure 2), and
alpha_N, alpha_S, alpha_D at each alpha (Figure 10). A published number whose configuration has not
been trained here is `not trained`, and cannot be told.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from stages.base.params import Michaud, ParityConfiguration, ParityVerdict
from stages.quanta.emergence import LEARNED
from stages.quanta.theory import RESOURCES
from stages.statistics.equivalence import RULE, Target, judge
from stages.statistics.estimate import Estimate, missing, over_networks

NOT_TRAINED = "not trained"
LEARNING, STEPS, BY_N, BY_D = (
    "learning_exponent",
    "learning_steps",
    "loss_by_parameters",
    "loss_by_samples",
)
EXPONENTS = {resource: f"alpha_{resource}" for resource in RESOURCES}

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Fitted:
    """What `fit_parity` made, and the aggregated learning times."""

    runs: pd.DataFrame
    emergence: pd.DataFrame
    exponents: pd.DataFrame
    tasks: pd.DataFrame


@dataclass(frozen=True)
class _Found:
    quantity: str
    at: float  # the task, N, D or alpha; NaN where the quantity is one number
    choice: str
    configuration: str
    published: float
    estimate: Estimate


def verdicts(
    fitted: Fitted,
    configurations: Mapping[str, ParityConfiguration],
    published: Michaud,
    rules: ParityVerdict,
    confidence: float,
) -> pd.DataFrame:
    """Every comparison: by the rule (`choice` is "rule"), and with another choice.

    Columns as of `stages.manifold.verdict.verdicts`, and `configuration` and `at`: the task, N, D
    or alpha of the published number.
    """
    rows: list[dict[str, Any]] = []
    for found in _all(fitted, configurations, published, rules, confidence):
        target = Target(found.published, found.published)
        estimate = found.estimate
        rows.append(
            {
                "quantity": found.quantity,
                "at": found.at,
                "choice": found.choice,
                "configuration": found.configuration,
                "published_low": target.low,
                "published_high": target.high,
                "tolerance": rules.tolerance,
                "ours": estimate.value,
                "low": estimate.low,
                "high": estimate.high,
                "outcome": judge(estimate, target, rules.tolerance),
                "agrees_from": target.agrees_from(estimate),
                "differs_below": target.differs_below(estimate),
                "status": estimate.status,
            }
        )
    return pd.DataFrame(rows)


def _all(
    fitted: Fitted,
    configurations: Mapping[str, ParityConfiguration],
    published: Michaud,
    rules: ParityVerdict,
    confidence: float,
) -> Iterator[_Found]:
    yield from _learning(fitted.emergence, published, rules)
    yield from _steps(fitted.tasks, configurations, published, rules, confidence)
    by_n, by_d = published.loss_by_parameters, published.loss_by_samples
    fresh = fitted.runs["samples"] == 0
    for quantity, name, rows, size, loss, at, values in [
        (BY_N, rules.widths, fresh, "parameters", "final_loss", by_n.parameters, by_n.loss),
        (BY_D, rules.samples, ~fresh, "samples", "best_loss", by_d.samples, by_d.loss),
    ]:
        runs = fitted.runs[rows & (fitted.runs["configuration"] == name)]
        runs = runs[runs["width"] == runs["width"].max()] if quantity == BY_D else runs
        for x, value in zip(at, values, strict=True):
            estimate = _interpolated(runs, size, loss, float(x), confidence)
            yield _Found(quantity, float(x), RULE, name, value, estimate)
    yield from _exponents(fitted.exponents, configurations, published, rules)


def _learning(table: pd.DataFrame, published: Michaud, rules: ParityVerdict) -> Iterator[_Found]:
    name, value = rules.learning.configuration, published.learning_exponent
    rows = table[table["configuration"] == name]
    if rows.empty:
        yield _Found(LEARNING, np.nan, RULE, name, value, missing(NOT_TRAINED))
    for _, row in rows.iterrows():
        ours, low, high, status = row[["slope", "slope_high", "slope_low", "status"]]
        estimate = Estimate(-float(ours), -float(low), -float(high), str(status))
        varied = [
            f"{key}={row[key]}"
            for key in ("definition", "tasks")
            if row[key] != getattr(rules.learning, key)
        ]
        if len(varied) < 2:
            yield _Found(LEARNING, np.nan, "".join(varied) or RULE, name, value, estimate)


def _steps(
    tasks: pd.DataFrame,
    configurations: Mapping[str, ParityConfiguration],
    published: Michaud,
    rules: ParityVerdict,
    confidence: float,
) -> Iterator[_Found]:
    name = rules.learning.configuration
    rows = tasks[(tasks["configuration"] == name) & (tasks["samples"] == 0)]
    rows = rows[rows["width"] == rows["width"].max()]
    points = published.learning_steps
    for (definition, column), (task, value) in product(
        LEARNED.items(), zip(points.tasks, points.steps, strict=True)
    ):
        ends = rows.loc[rows["task"] == task, column]
        missed = int(ends.isna().sum())
        if ends.empty:
            estimate = missing(NOT_TRAINED)
        elif missed:
            estimate = missing(f"not learned by {missed} of {len(ends)} seeds")
        else:  # it was learned at some step since the evaluation before: the interval holds both
            late = ends.to_numpy(np.float64)
            early = np.maximum(late - configurations[name].evaluate_every, 1)
            low = _over_seeds(early, confidence).low
            estimate = _over_seeds(late, confidence)._replace(low=low)
        choice = RULE if definition == rules.learning.definition else f"definition={definition}"
        yield _Found(STEPS, float(task), choice, name, value, estimate)


def _interpolated(
    runs: pd.DataFrame, size: str, loss: str, at: float, confidence: float
) -> Estimate:
    """The loss at a size between those trained, interpolated in logarithms for each seed."""
    if runs.empty:
        return missing(NOT_TRAINED)
    if not runs[size].min() <= at <= runs[size].max():
        return missing("outside the sizes trained")
    values = []
    for _, seed in runs.sort_values(size).groupby("seed"):
        x, y = np.log(seed[size].to_numpy(float)), np.log(seed[loss].to_numpy(float))
        values.append(np.exp(np.interp(np.log(at), x, y)))
    return _over_seeds(np.array(values), confidence)


def _over_seeds(values: Floats, confidence: float) -> Estimate:
    """The geometric mean of independent runs, with Student's interval of the logarithm."""
    return over_networks(values.tolist(), ["ok"] * len(values), confidence)


def _exponents(
    table: pd.DataFrame,
    configurations: Mapping[str, ParityConfiguration],
    published: Michaud,
    rules: ParityVerdict,
) -> Iterator[_Found]:
    """At each published alpha: the configuration by the rule, then others with as many tasks."""
    theirs = published.exponents.model_dump()
    for resource, quantity in EXPONENTS.items():
        for alpha, value in zip(theirs["alpha"], theirs[resource], strict=True):
            alike = [
                name
                for name, c in configurations.items()
                if c.tasks == published.tasks and c.alpha == alpha
            ]
            ruled = [name for name in alike if name.startswith(rules.exponents)][:1]
            if not ruled:
                estimate = missing(NOT_TRAINED)
                yield _Found(quantity, alpha, RULE, f"{rules.exponents}*", value, estimate)
            for name in alike:
                rows = table[(table["configuration"] == name) & (table["exponent"] == resource)]
                ours, low, high, status = rows.iloc[0][["value", "low", "high", "status"]]
                estimate = Estimate(float(ours), float(low), float(high), str(status))
                choice = RULE if name in ruled else f"configuration={name}"
                yield _Found(quantity, alpha, choice, name, value, estimate)
