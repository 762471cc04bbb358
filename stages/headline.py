"""Stage `headline`: the few numbers that `dvc metrics` and `dvc exp show` list, by short names.

By the rules of the verdict: 4/alpha of the test loss (d_test), of the training loss (d_train) and
as the notebook pools epochs (d_pooled); the dimension of the last hidden layer (d_hidden); how many
of ours are equivalent to the published numbers. Of the parity configuration that the verdict sets
beside the published learning times, and by its definition and choice of tasks: the slope of
learning time against frequency (parity_slope); and the tasks learned, over all seeds. They are null
where that configuration is not trained. The tables of metrics/ have intervals and the rest.
"""

import math
from pathlib import Path
from typing import Any

import pandas as pd

from stages.base import errors, params, tables

DIMENSIONS = {
    "d_test": "test_loss",
    "d_train": "train_loss",
    "d_pooled": "notebook",
    "d_hidden": "intrinsic_dimension",
}
"""The headline's names of the verdict's quantities."""


def headline(
    verdict: dict[str, Any], laws: pd.DataFrame, rule: params.LearningRule
) -> dict[str, float | int | None]:
    """The numbers by name, None where there is none; `laws` is metrics/parity_emergence.csv."""
    outcomes = [entry["outcome"] for entry in verdict.values()]
    same = {"configuration": rule.configuration, "definition": rule.definition}
    ours = laws[(laws[list(same)] == pd.Series(same)).all(axis=1)].set_index("tasks")
    slope = float(ours["slope"].get(rule.tasks, math.nan))
    return {
        **{name: verdict[quantity]["ours"] for name, quantity in DIMENSIONS.items()},
        "equivalent": outcomes.count("equivalent"),
        "parity_slope": round(slope, 4) if math.isfinite(slope) else None,
        "learned": None if ours.empty else int(ours["learned"]["all"]),
    }


def main() -> None:
    rule = params.load().verdict.parity.learning
    verdict = tables.read_json(Path("metrics/verdict.json"))
    laws = tables.read(Path("metrics/parity_emergence.csv"))
    tables.write_json(headline(verdict, laws, rule), Path("metrics/headline.json"))


if __name__ == "__main__":
    errors.run(main)
