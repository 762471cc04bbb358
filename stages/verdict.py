"""Stage `verdict`: our numbers beside the published ones, by the rules in params.yaml.

Writes metrics/verdict.csv (every comparison, with those of other choices), verdict_curve.csv (the
test loss at each N beside the curve of Figure 6), verdict.json (what the rules say, for
`dvc metrics`) and verdict.md, the same to read. About 2 s, half of it imports.
"""

import json
import math
from pathlib import Path
from typing import Any

import pandas as pd

from stages import errors, pages, params, runs
from stages.analysis import verdict

METRICS = Path("metrics")


def headline(table: pd.DataFrame) -> dict[str, dict[str, Any]]:
    """By quantity, what the rule says, and the tolerances at which that changes."""

    def shown(value: float) -> float | None:
        return round(float(value), 4) if math.isfinite(value) else None

    found: dict[str, dict[str, Any]] = {}
    for quantity, rows in table.groupby("quantity", sort=False):
        row = rows[rows["choice"] == verdict.RULE].iloc[0]
        found[str(quantity)] = {
            "outcome": row["outcome"],
            "published": pages.published(row),
            **{name: shown(row[name]) for name in ["ours", "low", "high"]},
            **{name: shown(row[name]) for name in ["agrees_from", "differs_below"]},
        }
    return found


def main() -> None:
    p = params.load()
    published = p.published.sharma_kaplan
    fits = pages.table("metrics/cnn_fits.csv", "fit_cnn")
    dimensions = pages.table("metrics/dimension.csv", "measure_dimension")
    cnn = pages.table("metrics/cnn.parquet", "aggregate_cnn")
    table = verdict.verdicts(fits, dimensions, published, p.verdict, p.fit)
    curve = verdict.curve(cnn, published.test_loss_curve, p.verdict.fit)
    for name, frame in [("verdict", table), ("verdict_curve", curve)]:
        with runs.aside(METRICS / f"{name}.csv") as path:
            frame.to_csv(path, index=False, float_format="%.6g")
    found = headline(table)
    with runs.aside(METRICS / "verdict.json") as path:
        path.write_text(json.dumps(found, indent=2) + "\n")
    with runs.aside(METRICS / "verdict.md") as path:
        path.write_text(pages.render("verdict.md", **pages.verdict(table, curve, p)))
    for name, entry in found.items():
        print(f"{name}: {entry['outcome']}")


if __name__ == "__main__":
    errors.run(main)
