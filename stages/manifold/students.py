"""Where the theory was tested by its authors: 4/alpha of students of teachers, beside the true d.

alpha is that of a median over seeds, for each teacher by itself. Over teachers 4/alpha is the
geometric mean, and its interval Student's by their scatter, in which that of seeds is. The theory
says 4/alpha = d where the loss is quadratic in the error, and 2d/p for the mean |error|^p; of a sum
of teachers with d inputs each d, too; at most so much where a teacher is simpler than need be.

Units die in training, more of them in wider students, and N is then not the size of what learns: so
losses of the students whose weights are kept are also fitted against the parameters that live units
have in use (`measure_students`).
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from stages.base.params import DimensionRule, StudentConfiguration
from stages.base.tables import spread, where
from stages.manifold.method import MEDIAN, SIDES, halves, side
from stages.manifold.readings import by_estimator
from stages.statistics import irreducible, power_law
from stages.statistics.bootstrap import Resampling
from stages.statistics.equivalence import OUTCOMES, Target, judge
from stages.statistics.estimate import OK, Estimate, missing, over_networks
from stages.statistics.power_law import Sample

OVER_ALL = "all"  # the `teacher` of what is over all teachers
INPUTS = ("relevant_inputs", "inputs")
"""Sources of measured dimensions that are alike for all teachers."""
KEPT = {"live": "live_parameters", "kept": "parameters"}
"""Quantities that are 4/alpha of the students of seed 0 alone, and what their losses fall with."""
EXPONENTS = ("4/alpha", "floored", *KEPT)
"""Quantities that the theory has a value for; the others are dimensions that were measured."""
LABELS = ("quantity", "phase", "widths", "teacher")
NUMBERS = ("value", "low", "high", "status")  # columns of an estimate

SQUARED, DIVERGENCE, OTHER, PRODUCT = "squared error", "divergence", "|error|^p", "product"


def kind(c: StudentConfiguration) -> str:
    """What a figure calls a configuration's students."""
    if c.factors > 1:
        return PRODUCT
    return DIVERGENCE if c.loss == "kl" else SQUARED if c.loss == 2 else OTHER


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
    live: pd.DataFrame,
    configurations: Mapping[str, StudentConfiguration],
    rules: Rules,
) -> pd.DataFrame:
    """One row per configuration, quantity, phase, range of widths, and teacher or all of them.

    The quantity `4/alpha` is of the losses at the end of a phase, `floored` that of a law with an
    irreducible loss `floor`; `live` is of the students of seed 0 against their live parameters,
    `kept` of the same against N; others are measured dimensions, by `source`. The interval of one
    teacher is over its seeds. `outcome` says whether the interval lies within a tolerance of what
    the theory says, `expected`; `side` where it lies, whatever the tolerance. `runs` is as
    `stages.students.part.SCHEMA`, `dimensions` and `live` are of `measure_students`.
    """
    rows = []
    for name, c in configurations.items():
        keys = {"configuration": name, "loss_function": str(c.loss), "known": c.dimension}
        own, measured, kept = (where(t, configuration=name) for t in (runs, dimensions, live))
        found = [*_exponents(own, rules), *_of_kept(own, kept, rules), *_measured(measured, rules)]
        for *labels, estimate, floor in found:
            named = dict(zip(LABELS, labels, strict=True))
            exponent = named["quantity"] in EXPONENTS
            wanted = expected(c) if exponent else float(c.dimension * c.factors)
            outcome = judge(estimate, Target(wanted, wanted), rules.tolerance)
            numbers = dict(zip(NUMBERS, estimate[:4], strict=True)) | {"floor": floor}
            judged = {"outcome": outcome, "side": side(estimate, wanted)}
            rows.append(keys | named | {"expected": wanted} | numbers | judged)
    return pd.DataFrame(rows)


Reading = tuple[str, int, str, str, Estimate, float | None]
"""What `LABELS` say, the estimate and its floor."""


def _over(values: Iterable[float], rules: Rules, statuses: list[str] | None = None) -> Estimate:
    """Average over teachers: the geometric mean, with Student's interval by their scatter."""
    found = list(values)
    confidence = rules.resampling.confidence
    return over_networks(found, statuses or [OK] * len(found), confidence, "teacher")


def _exponents(runs: pd.DataFrame, rules: Rules) -> Iterable[Reading]:
    last = int(runs["phase"].max())
    for phase in range(1, last + 1):
        of_phase = where(runs, phase=phase)
        ended = where(of_phase, step=of_phase["step"].max())
        ranges = halves(ended["width"].unique())
        if phase != last:
            ranges = {"all": ranges["all"]}
        laws: dict[tuple[str, str], list[power_law.Law]] = defaultdict(list)
        for _, rows in ended.groupby("teacher"):
            sample = Sample(
                width=rows["width"].to_numpy(np.int64),
                parameters=rows["parameters"].to_numpy(np.float64),
                value=rows["loss"].to_numpy(np.float64),
                run=np.arange(len(rows)),
                grows=False,
            )
            found = power_law.over_ranges(sample, ranges, MEDIAN, rules.resampling)
            for name, law in found.items():
                laws["4/alpha", name].append(law)
            if phase == last:
                whole = irreducible.fit(sample, *ranges["all"], rules.resampling, rules.huber)
                laws["floored", "all"].append(whole)
        for (quantity, widths), each in laws.items():
            for teacher, law in enumerate(each):
                yield quantity, phase, widths, str(teacher), law.estimate, law.irreducible
            over = _over((law.dimension for law in each), rules)
            yield quantity, phase, widths, OVER_ALL, over, None


def _of_kept(runs: pd.DataFrame, live: pd.DataFrame, rules: Rules) -> Iterable[Reading]:
    """Readings of the students of seed 0, one of each width: for each teacher, by least squares."""
    last = int(runs["phase"].max())
    ended = where(runs, step=runs["step"].max(), seed=0)
    rows = ended.merge(live, on=["teacher", "width"], validate="one_to_one")
    for widths, (first, final) in halves(rows["width"].unique()).items():
        by_teacher = dict(list(rows[rows["width"].between(first, final)].groupby("teacher")))
        for quantity, size in KEPT.items():
            values = [_dimension(of[size], of["loss"]) for of in by_teacher.values()]
            for teacher, value in zip(by_teacher, values, strict=True):
                alone = missing("one student of each width: no interval")._replace(value=value)
                yield quantity, last, widths, str(teacher), alone, None
            yield quantity, last, widths, OVER_ALL, _over(values, rules), None


def _dimension(sizes: pd.Series, losses: pd.Series) -> float:
    """4/alpha by least squares; NaN where the loss does not fall."""
    if sizes.nunique() < power_law.MIN_WIDTHS or not (losses > 0).all():
        return math.nan
    return power_law.dimension(-power_law.slope(sizes, losses))


def _measured(dimensions: pd.DataFrame, rules: Rules) -> Iterable[Reading]:
    chosen = by_estimator(dimensions, rules.dimension)
    for source, rows in chosen.groupby("source", sort=False):
        numbers = rows[["dimension", "low", "high", "status"]].to_numpy().tolist()
        for number, one in zip(rows["teacher"], numbers, strict=True):
            teacher = OVER_ALL if source in INPUTS else str(number)
            yield str(source), 0, "widest", teacher, Estimate(*one), None
        if source not in INPUTS:
            over = _over(rows["dimension"].tolist(), rules, rows["status"].tolist())
            yield str(source), 0, "widest", OVER_ALL, over, None


def statement(table: pd.DataFrame, tolerance: float) -> str:
    """Say in words, by rules, where the theory's value is found, where not, and what is in its way.

    `table` is that of `readings`.
    """
    ended = where(table, teacher=OVER_ALL)
    ended = ended[ended["phase"].isin([0, table["phase"].max()])]
    rows: dict[tuple[str, str, str], Any] = {
        (str(r.configuration), str(r.quantity), str(r.widths)): r for r in ended.itertuples()
    }
    names = [str(name) for name in table["configuration"].unique()]
    said = []
    for words, quantity in (("N", "4/alpha"), ("live parameters", "live")):
        of = [rows[name, quantity, "all"] for name in names]
        sides = [f"{at}: {_among(r for r in of if r.side == side)}" for side, at in SIDES.items()]
        counted = [f"{o}: {_among(r for r in of if r.outcome == o)}" for o in OUTCOMES]
        steeper = _among(
            row
            for row in of
            if row.side == "above"
            and rows[row.configuration, quantity, "narrower"].value < row.value
        )
        said += [
            f"The interval of 4/alpha against {words} {'; '.join(sides)}. Of those above, it is "
            "less over the narrower half of the widths, before the loss levels off, of "
            f"{steeper}. Held against the theory's value to {tolerance:.0%}, it is "
            f"{'; '.join(counted)}.",
            "",
        ]
    said += [f"- {_one(name, rows)}" for name in names]
    return "\n".join([*said, ""])


def _among(rows: Iterable[Any]) -> str:
    """Configurations by their loss and d, or by names that say something else."""
    found: dict[str, list[str]] = {}
    for row in rows:
        loss, d = row.loss_function, str(row.known)
        if not row.configuration.endswith(f"_{d}"):
            found[row.configuration] = []
            continue
        power = "" if loss == "kl" else f"|error|^{float(loss):g}"
        named = {"": DIVERGENCE, "|error|^2": SQUARED}.get(power, power)
        found.setdefault(named, []).append(d)
    said = (f"{kind} at d = {', '.join(at)}" if at else kind for kind, at in found.items())
    return ", ".join(said) or "none"


def _one(name: str, rows: Mapping[tuple[str, str, str], Any]) -> str:
    def shown(quantity: str, widths: str = "all") -> str:
        row = rows[name, quantity, widths]
        if math.isnan(row.value):
            return f"none ({row.status})"
        if row.status != OK:
            return f"{row.value:.1f} ({row.status})"
        return f"{row.value:.1f} ({row.low:.1f} to {row.high:.1f})"

    def apart(quantity: str) -> str:
        narrower, wider = (rows[name, quantity, half] for half in ("narrower", "wider"))
        if not (narrower.low <= narrower.high and wider.low <= wider.high):  # NaN: no interval
            return "cannot be compared"
        same = narrower.low <= wider.high and wider.low <= narrower.high
        return "do not differ" if same else "differ: no one power law"

    def halved(quantity: str) -> str:
        ends = " and ".join(shown(quantity, half) for half in ("narrower", "wider"))
        return f"halves {ends} {apart(quantity)}"

    layer = [shown(source, "widest") for source in ("before_relu", "last_hidden")]
    return (
        f"{name}, theory {rows[name, '4/alpha', 'all'].expected:.3g}: 4/alpha {shown('4/alpha')}; "
        f"its {halved('4/alpha')}; with a floor {shown('floored')}. Of one student of each width "
        f"against N {shown('kept')}, against its live parameters {shown('live')}, whose "
        f"{halved('live')}. The last hidden layer reads {layer[0]}, after its ReLU {layer[1]}."
    )


def losses(runs: pd.DataFrame) -> pd.DataFrame:
    """What the exponents are fitted to: the median over teachers and seeds, and the quartiles.

    One row per configuration, phase, step of an evaluation, and N.
    """
    keys = ["configuration", "phase", "step", "parameters"]
    by_size = runs.groupby(keys, observed=True, sort=False)["loss"]
    return spread(by_size, low=0.25, median=0.5, high=0.75)
