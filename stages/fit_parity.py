"""Stage `fit_parity`: when each task of multitask sparse parity is learned, and how sharply.

Reads metrics/parity.parquet. Writes parity_emergence.csv, one row per configuration, seed and
task, and the headline numbers as parity.json: see `stages.analysis.parity_fits`. The notebook's
configuration learns its first three of ten tasks within 2,500 steps. Takes about 2 seconds.
"""

import argparse
import json
from pathlib import Path

import pandas as pd

from stages import errors, params, runs
from stages.analysis import parity_fits
from stages.analysis.parity_fits import Curves
from stages.parity.tasks import frequencies

MEND = "make it again: dvc repro --force --single-item aggregate_parity"


def read(path: Path) -> pd.DataFrame:
    """The aggregated runs.

    Raises:
        InputError: the table is missing, damaged, or lacks columns.
    """
    try:
        return pd.read_parquet(path, columns=runs.PARITY_SCHEMA.names)
    except (OSError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise errors.InputError(f"{path}: {reason}; {MEND}") from None


def curves(table: pd.DataFrame, name: str, path: Path) -> Curves:
    """The curves of one configuration.

    Raises:
        InputError: the table has none of it, or not all.
    """
    rows = table[table["configuration"] == name]
    if rows.empty:
        raise errors.InputError(f"{path}: no rows of configuration {name}; {MEND}")
    try:
        return Curves.of(rows)
    except ValueError as error:
        raise errors.InputError(f"{path}: configuration {name}: {error}; {MEND}") from None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--table", type=Path, default=Path("metrics/parity.parquet"))
    parser.add_argument("--output", type=Path, default=Path("metrics"), help="folder")
    arguments = parser.parse_args()

    p = params.load()
    table = read(arguments.table)
    by_task, headlines = {}, {}
    for name, c in p.parity.configurations.items():
        of_name = curves(table, name, arguments.table)
        rates = frequencies(c.tasks, c.alpha)
        by_task[name] = parity_fits.by_task(of_name, rates, p.emergence.threshold)
        headlines[name] = parity_fits.headline(of_name, by_task[name], p.emergence)

    with runs.aside(arguments.output / "parity_emergence.csv") as path:
        tasks = pd.concat(by_task, names=["configuration"]).reset_index("configuration")
        tasks.to_csv(path, index=False, float_format="%.6g")
    with runs.aside(arguments.output / "parity.json") as path:
        path.write_text(json.dumps(headlines, indent=2) + "\n")
    learned = (tasks["status"] == "learned").sum()
    print(f"{len(headlines)} configurations, {learned} of {len(tasks)} tasks learned")


if __name__ == "__main__":
    errors.run(main)
