"""Which numbers of Michaud et al. (2023) are reproduced.

Judged, by the rule of `stages.statistics.equivalence`, are the exponent of learning times (Figure
8), the steps until tasks are learned (Figure 7), the mean loss against N and D and its exponents
(Figure 2), and alpha_N, alpha_S, alpha_D at each alpha (Figure 10). Points of Figures 2 and 7 are
of one seed: all of a curve are judged at once, by the mean ratio of ours to theirs. A published
number whose configuration has not been trained here is `not trained`, and undecided.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from stages.base.params import Michaud, ParityConfiguration, ParityVerdict
from stages.base.tables import where
from stages.quanta.emergence import LEARNED
from stages.quanta.theory import RESOURCES
from stages.statistics import power_law
from stages.statistics.equivalence import RULE, Target, compared
from stages.statistics.estimate import FEW, Estimate, geometric, missing
from stages.statistics.intervals import scatter_margin

NOT_TRAINED = "not trained"
THEIRS = "seeds of theirs: their points are of one"
LEARNING, STEPS = "learning_exponent", "learning_steps"
LOSSES = {"N": "loss_by_parameters", "D": "loss_by_samples"}
DRAWN = {resource: f"drawn_{resource}" for resource in LOSSES}
"""Exponents of the points of Figure 2, as drawn."""
EXPONENTS = {resource: f"alpha_{resource}" for resource in RESOURCES}

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Fitted:
    """What `fit_parity` made, and the aggregated learning times."""

    runs: pd.DataFrame
    emergence: pd.DataFrame
    exponents: pd.DataFrame
    tasks: pd.DataFrame


class _Found(NamedTuple):
    quantity: str
    choice: str
    configuration: str
    published: float
    estimate: Estimate
    at: float = math.nan  # alpha; NaN where the quantity is one number


def verdicts(
    fitted: Fitted,
    configurations: Mapping[str, ParityConfiguration],
    published: Michaud,
    rules: ParityVerdict,
    samples_below: float,
    confidence: float,
) -> pd.DataFrame:
    """Every comparison: by the rule (`choice` is "rule"), and with another choice.

    Columns as of `stages.manifold.verdict.verdicts`, and `configuration` and `at`, the alpha of the
    published number.
    """
    found = [
        *_learning(fitted.emergence, published, rules),
        *_steps(fitted.tasks, configurations, published, rules, confidence),
        *_losses(fitted, published, rules, samples_below, confidence),
        *_exponents(fitted.exponents, configurations, published, rules),
    ]
    rows: list[dict[str, Any]] = []
    for quantity, choice, name, value, estimate, at in found:
        labels = {"quantity": quantity, "at": at, "choice": choice, "configuration": name}
        judged = compared(estimate, Target(value, value), rules.tolerance, confidence, THEIRS)
        rows.append(labels | judged)
    return pd.DataFrame(rows)


def _losses(
    fitted: Fitted, published: Michaud, rules: ParityVerdict, below: float, confidence: float
) -> Iterator[_Found]:
    """The curves of Figure 2, and the exponents of their points as drawn."""
    by_n, by_d = published.loss_by_parameters, published.loss_by_samples
    for resource, name, size, loss, sizes, losses in [
        ("N", rules.widths, "parameters", "final_loss", by_n.parameters, by_n.loss),
        ("D", rules.samples, "samples", "best_loss", by_d.samples, by_d.loss),
    ]:
        runs, first = where(fitted.runs, configuration=name), 0
        x, y = np.array(sizes, float), np.array(losses)
        if resource == "D":
            runs = runs[runs["samples"] > 0]
            runs, first = where(runs, width=runs["width"].max()), int(np.argmax(y < below))
        else:
            runs = where(runs, samples=0)
        estimate = _level(runs, size, loss, x, y, confidence)
        yield _Found(LOSSES[resource], RULE, name, 1.0, estimate)
        theirs = -power_law.slope(x[first:], y[first:])
        ours = _exponent(fitted.exponents, name, resource)
        yield _Found(DRAWN[resource], RULE, name, theirs, ours)


def _learning(table: pd.DataFrame, published: Michaud, rules: ParityVerdict) -> Iterator[_Found]:
    name, value = rules.learning.configuration, published.learning_exponent
    rows = where(table, configuration=name)
    if rows.empty:
        yield _Found(LEARNING, RULE, name, value, missing(NOT_TRAINED))
    for row in rows.to_dict("records"):
        ends = -row["slope"], -row["slope_high"], -row["slope_low"]
        estimate = Estimate(*ends, row["status"], "seeds", int(row["seeds"]))
        rule = rules.learning.model_dump(include={"definition", "tasks"})
        varied = [f"{key}={row[key]}" for key in rule if row[key] != rule[key]]
        if len(varied) < 2:
            yield _Found(LEARNING, "".join(varied) or RULE, name, value, estimate)


def _steps(
    tasks: pd.DataFrame,
    configurations: Mapping[str, ParityConfiguration],
    published: Michaud,
    rules: ParityVerdict,
    confidence: float,
) -> Iterator[_Found]:
    """Comparisons of the tasks that they and all our seeds learned."""
    name = rules.learning.configuration
    rows = where(tasks, configuration=name, samples=0)
    rows = where(rows, width=rows["width"].max())
    points = published.learning_steps
    theirs = pd.Series(points.steps, index=points.tasks, dtype=float)
    for definition, column in LEARNED.items():
        ours = rows.pivot_table(index="task", columns="seed", values=column, dropna=False)
        ours = ours.reindex(points.tasks).dropna().astype(float)
        if rows.empty or ours.empty:
            estimate = missing(NOT_TRAINED if rows.empty else "no task is learned by all seeds")
        else:  # it was learned at some step since the evaluation before: the interval holds both
            early = (ours - configurations[name].evaluate_every).clip(lower=1)
            ratios = [steps.div(theirs.loc[ours.index], axis=0) for steps in (early, ours)]
            before, at = (_mean_ratio(np.log(each.to_numpy().T), confidence) for each in ratios)
            estimate = at._replace(low=before.low)
        choice = RULE if definition == rules.learning.definition else f"definition={definition}"
        yield _Found(STEPS, choice, name, 1.0, estimate)


def _level(
    runs: pd.DataFrame, size: str, loss: str, at: Floats, theirs: Floats, confidence: float
) -> Estimate:
    """The mean ratio of our losses to theirs, interpolated in logarithms for each seed."""
    if runs.empty:
        return missing(NOT_TRAINED)
    inside = (at >= runs[size].min()) & (at <= runs[size].max())
    if not inside.all():
        return missing(f"{np.count_nonzero(~inside)} of {len(at)} sizes outside those trained")
    logs = []
    for _, seed in runs.sort_values(size).groupby("seed"):
        x, y = np.log(seed[size].to_numpy(float)), np.log(seed[loss].to_numpy(float))
        logs.append(np.interp(np.log(at), x, y) - np.log(theirs))
    return _mean_ratio(np.array(logs), confidence)


def _mean_ratio(logs: Floats, confidence: float) -> Estimate:
    """The mean of logarithms of ratios, (seeds, points), with its interval.

    It is over our seeds and over the points of their one seed, which scatter about ours
    independently.
    """
    seeds, points = logs.shape
    if seeds < FEW or points < FEW:
        return missing(f"{seeds} seeds and {points} points: at least {FEW} of each are needed")
    margins = [scatter_margin(logs.mean(axis=axis), confidence) for axis in (1, 0)]
    return geometric(float(logs.mean()), math.hypot(*margins), "our seeds and their points")


def _exponent(table: pd.DataFrame, name: str, resource: str) -> Estimate:
    """One of a configuration, by its row in metrics/parity_exponents.csv."""
    rows = where(table, configuration=name, exponent=resource)
    if rows.empty:
        return missing(NOT_TRAINED)
    row = rows.iloc[0]
    ours, low, high = row[["value", "low", "high"]].astype(float)
    groups = 1 if resource == "S" else max(1, int(row["sizes"]))  # of one width's curve
    each = int(row["runs"]) // groups
    return Estimate(ours, low, high, str(row["status"]), "seeds", each, groups)


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
            of_alpha = ((n, c) for n, c in configurations.items() if c.alpha == alpha)
            alike = [name for name, c in of_alpha if c.tasks == published.tasks]
            ruled = [name for name in alike if name.startswith(rules.exponents)][:1]
            if not ruled:
                name = f"{rules.exponents}*"
                yield _Found(quantity, RULE, name, value, missing(NOT_TRAINED), alpha)
            for name in alike:
                choice = RULE if name in ruled else f"configuration={name}"
                ours = _exponent(table, name, resource)
                yield _Found(quantity, choice, name, value, ours, alpha)
