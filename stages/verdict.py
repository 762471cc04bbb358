"""Stage `verdict`: our numbers beside the published ones, by the rules in params.yaml.

Writes metrics/verdict_cnn.csv (every comparison of the CNN's, with those of other choices),
verdict_curve.csv, verdict_smallest.csv and verdict_shape.csv (Figure 6 point by point, as
`stages.manifold.figure6` makes them), verdict_imports.csv (imported runs beside ours),
verdict_parity.csv (every comparison of multitask sparse parity's), verdict_cnn.json and
verdict_parity.json (what the rules say) and verdict.md, the same to read. About 8 s.

And headline.json, the few numbers that `dvc metrics` and `dvc exp show` list: 4/alpha of the test
loss (d_test), of the training loss (d_train) and as the notebook pools epochs (d_pooled); the
dimension of the last hidden layer (d_hidden); how many of ours are equivalent to the published. Of
the parity configuration that stands beside the published learning times, by its definition and
choice of tasks: the slope of learning time against frequency (parity_slope); and the tasks learned,
over all seeds. They are null where that configuration is not trained.
"""

import math
from pathlib import Path
from typing import Any

import pandas as pd

from stages.base import errors, files, params, tables
from stages.manifold import beside, figure6, names, verdict
from stages.pages import text as pages
from stages.quanta import verdict as parity_verdict
from stages.statistics.equivalence import OUTCOMES, RULE

METRICS = Path("metrics")
PARITY = ["runs", "emergence", "exponents"]
"""The tables of `fit_parity` that are judged."""
DIMENSIONS = {
    "d_test": "test_loss",
    "d_train": "train_loss",
    "d_pooled": "notebook",
    "d_hidden": "intrinsic_dimension",
}
"""The headline's names of the verdict's quantities."""


def by_rule(table: pd.DataFrame) -> dict[str, dict[str, Any]]:
    """Say for each quantity what the rule says, and the tolerances at which that changes."""

    def shown(value: float) -> float | None:
        return round(float(value), 4) if math.isfinite(value) else None

    found: dict[str, dict[str, Any]] = {}
    for quantity, rows in table.groupby("quantity", sort=False):
        row = rows[rows["choice"] == RULE].iloc[0]
        found[str(quantity)] = {
            "outcome": row["outcome"],
            "published": pages.published(row),
            **{name: shown(row[name]) for name in ["ours", "low", "high"]},
            **{name: shown(row[name]) for name in ["agrees_from", "differs_below"]},
        }
    return found


def quanta(table: pd.DataFrame) -> dict[str, dict[str, int]]:
    """Count the outcomes of the comparisons, for each quantity of parity that we have."""
    rules = table[table["choice"] == RULE]
    trained = rules[rules["status"] != parity_verdict.NOT_TRAINED]
    return {
        str(quantity): {outcome: int((rows["outcome"] == outcome).sum()) for outcome in OUTCOMES}
        for quantity, rows in trained.groupby("quantity", sort=False)
    }


def headline(
    judged: dict[str, Any], laws: pd.DataFrame, rule: params.LearningRule
) -> dict[str, float | int | None]:
    """The numbers by name, None where there is none; `laws` is metrics/parity_emergence.csv."""
    outcomes = [entry["outcome"] for entry in judged.values()]
    same = {"configuration": rule.configuration, "definition": rule.definition}
    ours = laws[(laws[list(same)] == pd.Series(same)).all(axis=1)].set_index("tasks")
    slope = float(ours["slope"].get(rule.tasks, math.nan))
    return {
        **{name: judged[quantity]["ours"] for name, quantity in DIMENSIONS.items()},
        "equivalent": outcomes.count("equivalent"),
        "parity_slope": round(slope, 4) if math.isfinite(slope) else None,
        "learned": None if ours.empty else int(ours["learned"]["all"]),
    }


def of_choices(table: pd.DataFrame, column: str, p: params.Params) -> pd.DataFrame:
    """The rows of what the rules name, and of what may stand for it: of the same images."""
    rules = (p.verdict.fit, p.verdict.dimension, p.verdict.notebook)
    named = {name for rule in rules for name in p.alike(rule.sweep)}
    rows: pd.DataFrame = table[table[column].isin(named)]
    return rows


def main() -> None:
    made = [METRICS / name for name in ("cnn.parquet", "parity_tasks.parquet")]
    cnn, tasks = map(tables.read, made)
    p, published = tables.as_made(params.load(), *made), params.published()
    fits, sensitivity, best, dimensions = (
        tables.read(METRICS / f"{name}.csv")
        for name in ("cnn_fits", "cnn_sensitivity", "cnn_best_epochs", "dimension")
    )
    cnn, fits = of_choices(cnn, "sweep", p), of_choices(fits, "sweep", p)
    dimensions = of_choices(dimensions, "source", p)
    of_runs, laws, exponents = (
        tables.read(METRICS / f"parity_{name}.csv", texts=["seeds"]) for name in PARITY
    )
    fitted = parity_verdict.Fitted(of_runs, laws, exponents, tasks)
    theirs, rule = published.sharma_kaplan, p.verdict.fit
    table = verdict.verdicts(cnn, fits, dimensions, theirs, p.verdict, p.fit)
    of_parity = parity_verdict.verdicts(
        fitted,
        p.parity.named,
        published.michaud,
        p.verdict.parity,
        p.quanta.samples_below,
        p.quanta.confidence,
    )
    curve = figure6.points(cnn, theirs.figure_6, rule, p.fit)
    smallest = figure6.smallest(cnn, theirs.figure_6, rule, p.fit)
    shape = figure6.shape(cnn, p.verdict, p.fit)
    written = {"verdict_cnn": table, "verdict_curve": curve, "verdict_smallest": smallest}
    written |= {"verdict_shape": shape, "verdict_parity": of_parity}
    ours = p.verdict.notebook.sweep
    others = beside.by_width(cnn, [*p.imports], ours, p.fit.failed_above)
    written["verdict_imports"] = others
    for name, frame in written.items():
        tables.write(frame, METRICS / f"{name}.csv")
    found = by_rule(table)
    tables.write_json(found, METRICS / "verdict_cnn.json")
    counts = quanta(of_parity)
    tables.write_json(counts, METRICS / "verdict_parity.json")
    numbers = headline(found, laws, p.verdict.parity.learning)
    tables.write_json(numbers, METRICS / "headline.json")
    filled = pages.verdict(table, curve, p) | pages.dimension(dimensions, p)
    filled |= pages.figure6(smallest, shape, best, sensitivity, theirs, p)
    filled |= pages.parity(of_parity) | pages.imports(others, fits, p)
    page = pages.render("verdict.md", **filled, other_images=names.other_images(p))
    files.write(METRICS / "verdict.md", page)
    for name, entry in found.items():
        print(f"{name}: {entry['outcome']}")
    for name, of_name in counts.items():
        print(f"{name}: {', '.join(f'{n} {outcome}' for outcome, n in of_name.items() if n)}")


if __name__ == "__main__":
    errors.run(main)
