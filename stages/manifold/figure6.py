"""Sharma & Kaplan's Figure 6 point by point: levels, what its slopes are of, how straight it is.

Their points are of one or two runs a size. So a level, the mean ratio of ours to theirs over the
sizes, is uncertain by the scatter of single runs, which our seeds show. A training loss or error is
that of the network after the epoch, as theirs is, where a sweep evaluates it; else the epoch's
running mean.
"""

import math
from typing import Any

import numpy as np
import pandas as pd

from stages.base.params import Figure6, Fit, FitRule, Verdict
from stages.base.tables import where
from stages.manifold import samples, selection
from stages.manifold.method import halves
from stages.manifold.selection import FIGURE_6
from stages.statistics import irreducible, power_law
from stages.statistics.bootstrap import Resampling
from stages.statistics.estimate import Estimate, geometric, missing
from stages.statistics.intervals import student_margin
from stages.statistics.power_law import Law

FEWEST = 3  # sizes that a slope is taken of


def slope_dimension(parameters: list[int], values: list[float]) -> float:
    """4/alpha of points read off a figure: least squares of ln value on ln N; NaN if it rises."""
    return power_law.dimension(-power_law.slope(parameters, values))


def points(runs: pd.DataFrame, theirs: Figure6, rule: FitRule, fit: Fit) -> pd.DataFrame:
    """Our median beside each published point of all four curves, and the band of a single run.

    Columns: `curve`, `parameters`, `published`, `ours`, `ratio` of ours to theirs, `low` and
    `high` of the band, whether theirs lies `outside` it, `scatter` of the logarithm between `runs`.
    """
    rows = _chosen(runs, rule, fit)
    has = selection.metrics(rows)
    tables = []
    for name in FIGURE_6:
        values = has[selection.counterpart(name, has)].of(rows)
        logs = np.log(values.where(values > 0)).groupby(rows["parameters"])
        ours = pd.DataFrame(
            {"ours": np.exp(logs.median()), "scatter": logs.std(), "runs": logs.count()}
        )
        table = pd.DataFrame({"parameters": theirs.parameters, "published": getattr(theirs, name)})
        tables.append(table.join(ours, on="parameters").assign(curve=name))
    table = pd.concat(tables, ignore_index=True)
    table["ratio"] = table["ours"] / table["published"]
    freedom = (table["runs"] - 1).where(table["runs"] > 1)
    error = table["scatter"] * np.sqrt(1 + 1 / table["runs"])
    margins = np.array(
        [student_margin(*of, fit.confidence) for of in zip(error, freedom, strict=True)]
    )
    table["low"], table["high"] = table["ours"] * np.exp(-margins), table["ours"] * np.exp(margins)
    table["outside"] = (table["published"] < table["low"]) | (table["published"] > table["high"])
    columns = ["curve", "parameters", "published", "ours", "ratio", "low", "high", "outside"]
    return table[[*columns, "scatter", "runs"]]


def level(curve: pd.DataFrame, confidence: float) -> Estimate:
    """The mean ratio of ours to theirs over the sizes of one curve of `points`.

    Its interval is Student's, by the scatter of single runs: theirs is taken for one run a size,
    ours for the median of `runs`, whose variance is pi/2 times that of a mean.
    """
    lacking = int(curve["ours"].isna().sum())
    if lacking:
        return missing(f"{lacking} of {len(curve)} sizes not trained")
    if (curve["runs"] < 2).any():
        return missing("no interval: one run a size")
    variance = curve["scatter"] ** 2 * (1 + math.pi / 2 / curve["runs"])
    error = math.sqrt(variance.sum()) / len(curve)
    margin = student_margin(error, float((curve["runs"] - 1).sum()), confidence)
    mean = float(np.log(curve["ratio"]).mean())
    return geometric(mean, margin, "single runs, ours and theirs")


def smallest(runs: pd.DataFrame, theirs: Figure6, rule: FitRule, fit: Fit) -> pd.DataFrame:
    """4/alpha of each curve over the `sizes` smallest of its points, theirs and ours."""
    rows = _chosen(runs, rule, fit)
    has, widths = selection.metrics(rows), rows.groupby("parameters")["width"].first()
    counts, first = range(FEWEST, len(theirs.parameters) + 1), int(widths.min())
    largest = {count: theirs.parameters[count - 1] for count in counts}
    ranges = {c: (first, int(widths[n])) for c, n in largest.items() if n in widths}
    records: list[dict[str, Any]] = []
    for name in FIGURE_6:
        sample = samples.sample(rows, selection.counterpart(name, has))
        laws = power_law.over_ranges(sample, ranges, rule.quantile, _resampling(fit))
        for count in counts:
            read_off = slope_dimension(theirs.parameters[:count], getattr(theirs, name)[:count])
            labels = {"curve": name, "sizes": count, "published": read_off}
            records.append(labels | _numbers(laws.get(count, Law("not trained"))))
    return pd.DataFrame(records)


def shape(runs: pd.DataFrame, rules: Verdict, fit: Fit) -> pd.DataFrame:
    """Whether each headline exponent is that of one power law.

    4/alpha over `all` widths of its rule, over the `narrower` and the `wider` half of them, and
    `floored`, with an irreducible loss `floor`, but where epochs are pooled: the distance of these
    from any floor is lack of training. `notebook_last` is the notebook's at the last epoch.
    """
    last = rules.notebook.model_copy(update={"epochs": "last"})
    quantities = [(name, name, rules.fit) for name in FIGURE_6]
    quantities += [("notebook", "test_loss", rules.notebook), ("notebook_last", "test_loss", last)]
    records: list[dict[str, Any]] = []
    for quantity, curve, rule in quantities:
        rows = _chosen(runs, rule, fit)
        sample = samples.sample(rows, selection.counterpart(curve, selection.metrics(rows)))
        first, final = fit.widths.get(rule.widths, (rows["width"].min(), rows["width"].max()))
        ranges = halves(rows.loc[rows["width"].between(first, final), "width"].unique())
        laws = power_law.over_ranges(sample, ranges, rule.quantile, _resampling(fit))
        if rule.epochs != "pooled":
            ends = ranges["floored"] = ranges["all"]
            huber = fit.sensitivity.huber
            laws["floored"] = irreducible.fit(sample, *ends, _resampling(fit), huber)
        for part, law in laws.items():
            first, final = ranges[part]
            labels = {"quantity": quantity, "part": part, "first_width": first, "last_width": final}
            records.append(labels | _numbers(law) | {"floor": law.irreducible})
    return pd.DataFrame(records)


def _chosen(runs: pd.DataFrame, rule: FitRule, fit: Fit) -> pd.DataFrame:
    """The rows that a rule fits."""
    rows = where(runs, sweep=rule.sweep).reset_index(drop=True)
    kept = selection.sound(rows, selection.failures(rows, fit.failed_above), rule.failed)
    return selection.choose(kept, rule.epochs)


def _resampling(fit: Fit) -> Resampling:
    return Resampling(fit.confidence, fit.resamples, fit.seed)


def _numbers(law: Law) -> dict[str, Any]:
    return dict(zip(("ours", "low", "high", "status"), law.estimate, strict=False))
