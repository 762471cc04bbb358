"""Where the theory was tested by its authors: 4/alpha of students of teachers, beside the true d.

alpha is that of a median over seeds, for each teacher by itself. Over teachers, 4/alpha is their
geometric mean, and its interval Student's by their scatter: a teacher's own value has the scatter
of its seeds in it, which is the smaller. The theory says 4/alpha = d where the loss is quadratic in
the error, and 2d/p for the mean |error|^p; of a sum of teachers with d inputs each it is d, too.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from stages.base.params import DimensionRule, StudentConfiguration
from stages.manifold.method import HOLDS, MEDIAN, halves
from stages.statistics import irreducible, power_law
from stages.statistics.bootstrap import Resampling
from stages.statistics.equivalence import Target, judge
from stages.statistics.estimate import Estimate, over_networks
from stages.statistics.power_law import Request, Sample

OVER_ALL = "all"
"""The `teacher` of what is over all teachers."""
INPUTS = ("relevant_inputs", "inputs")
"""Sources of measured dimensions that are alike for all teachers."""


@dataclass(frozen=True)
class Rules:
    """How numbers are made and judged."""

    resampling: Resampling
    huber: float
    dimension: DimensionRule
    tolerance: float


def expected(c: StudentConfiguration) -> float:
    """What the theory says of 4/alpha."""
    return float(c.dimension if c.loss == "kl" else 2 * c.dimension / c.loss)


def readings(
    runs: pd.DataFrame,
    dimensions: pd.DataFrame,
    configurations: Mapping[str, StudentConfiguration],
    rules: Rules,
) -> pd.DataFrame:
    """One row per configuration, quantity, phase, range of widths, and teacher or all of them.

    The quantity `4/alpha` is of the losses at the end of a phase, `floored` that of a law with an
    irreducible loss `floor`; the others are measured dimensions, by `source` of `measure_students`.
    The interval of one teacher is over its seeds. `outcome` says whether the interval lies within
    a tolerance of what the theory says, `expected`.

    Args:
        runs: as `stages.students.part.SCHEMA`.
        dimensions: of `measure_students`.
    """
    rows = []
    for name, c in configurations.items():
        of_name = runs[runs["configuration"] == name]
        measured = dimensions[dimensions["configuration"] == name]
        keys = {"configuration": name, "loss_function": str(c.loss), "known": c.dimension}
        found = [*_exponents(of_name, rules), *_measured(measured, rules)]
        for quantity, phase, widths, teacher, estimate, floor in found:
            wanted = float(c.dimension * c.factors)
            if quantity in ("4/alpha", "floored"):
                wanted = expected(c)
            outcome = judge(estimate, Target(wanted, wanted), rules.tolerance)
            labels = {"quantity": quantity, "phase": phase, "widths": widths, "teacher": teacher}
            numbers = estimate._asdict() | {"floor": floor}
            rows.append(
                keys | labels | {"expected": wanted} | numbers | {"outcome": HOLDS[outcome]}
            )
    return pd.DataFrame(rows)


Reading = tuple[str, int, str, str, Estimate, float | None]
"""Quantity, phase, widths, teacher, estimate and floor."""


def _exponents(runs: pd.DataFrame, rules: Rules) -> Iterable[Reading]:
    last = int(runs["phase"].max())
    for phase in range(1, last + 1):
        of_phase = runs[runs["phase"] == phase]
        ended = of_phase[of_phase["step"] == of_phase["step"].max()]
        ranges = halves(ended["width"].unique())
        if phase != last:
            ranges = {"all": ranges["all"]}
        requests = {name: Request(MEDIAN, *ends) for name, ends in ranges.items()}
        laws: dict[tuple[str, str], list[power_law.Law]] = {}
        for _, of_teacher in ended.groupby("teacher"):
            sample = _sample(of_teacher)
            fitted = power_law.fit(sample, requests.values(), rules.resampling)
            for name, request in requests.items():
                laws.setdefault(("4/alpha", name), []).append(fitted[request])
            if phase == last:
                ends = ranges["all"]
                floored = irreducible.fit(sample, *ends, rules.resampling, rules.huber)
                laws.setdefault(("floored", "all"), []).append(floored)
        for (quantity, widths), each in laws.items():
            for teacher, law in enumerate(each):
                bounds = law.dimension_low, law.dimension_high
                one = Estimate(law.dimension, *bounds, law.status)
                yield quantity, phase, widths, str(teacher), one, _floor(law)
            values = [law.dimension for law in each]
            over = over_networks(
                values, ["ok"] * len(values), rules.resampling.confidence, "teacher"
            )
            yield quantity, phase, widths, OVER_ALL, over, None


def _floor(law: power_law.Law) -> float | None:
    return law.irreducible if isinstance(law, irreducible.FlooredLaw) else None


def _sample(runs: pd.DataFrame) -> Sample:
    return Sample(
        width=runs["width"].to_numpy(np.int64),
        parameters=runs["parameters"].to_numpy(np.float64),
        value=runs["loss"].to_numpy(np.float64),
        run=np.arange(len(runs)),
        grows=False,
    )


def _measured(dimensions: pd.DataFrame, rules: Rules) -> Iterable[Reading]:
    rule = rules.dimension
    chosen = dimensions[
        (dimensions["estimator"] == rule.estimator)
        & (dimensions["neighbours"] == rule.neighbours)
        & (dimensions["blocks"] == 1)
    ]
    for source, rows in chosen.groupby("source", sort=False):
        records: list[dict[str, Any]] = rows.to_dict("records")  # type: ignore[assignment]
        for row in records:
            one = Estimate(row["dimension"], row["low"], row["high"], row["status"])
            teacher = OVER_ALL if source in INPUTS else str(row["teacher"])
            yield str(source), 0, "widest", teacher, one, None
        if source not in INPUTS:
            values, statuses = rows["dimension"].tolist(), rows["status"].tolist()
            over = over_networks(values, statuses, rules.resampling.confidence, "teacher")
            yield str(source), 0, "widest", OVER_ALL, over, None


def losses(runs: pd.DataFrame) -> pd.DataFrame:
    """What the exponents are fitted to: the median over teachers and seeds, and the quartiles.

    One row per configuration, phase, step of an evaluation, and N.
    """
    keys = ["configuration", "phase", "step", "parameters"]
    by_size = runs.groupby(keys, observed=True, sort=False)["loss"]
    quartiles = {"low": 0.25, "median": 0.5, "high": 0.75}
    columns = {name: by_size.quantile(share) for name, share in quartiles.items()}
    return pd.DataFrame(columns).reset_index()
