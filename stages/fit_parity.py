"""Stage `fit_parity`: emergence and exponents of multitask sparse parity.

Reads metrics/parity_losses.parquet and parity_tasks.parquet. Writes

- parity_runs.csv: a row for each run, with its final and its smallest mean loss;
- parity_emergence.csv: how learning time goes with frequency, fitted in three ways;
- parity_horizons.csv: the same, had the runs ended earlier;
- parity_exponents.csv: alpha_N, alpha_S and alpha_D beside theory and the published;
- parity.json: the numbers that a reader wants first.

The notebook's configuration learns its first three of ten tasks within 2,500 steps. Takes about
10 seconds for all of the paper's.
"""

import argparse
import json
from pathlib import Path

import pandas as pd

from stages import errors, params, runs
from stages.analysis import parity_fits
from stages.parity.tasks import frequencies

MEND = "make it again: dvc repro --force --single-item aggregate_parity"


def read(path: Path, kind: str) -> pd.DataFrame:
    """An aggregated table of a kind of `runs.PARITY_SCHEMAS`.

    Raises:
        InputError: it is missing, damaged, or lacks columns.
    """
    try:
        return pd.read_parquet(path, columns=runs.PARITY_SCHEMAS[kind].names)
    except (OSError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise errors.InputError(f"{path}: {reason}; {MEND}") from None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tables", type=Path, default=Path("metrics"), help="folder")
    parser.add_argument("--output", type=Path, default=Path("metrics"), help="folder")
    arguments = parser.parse_args()

    p = params.load()
    configurations = p.parity.configurations
    losses, tasks = (
        read(arguments.tables / f"parity_{kind}.parquet", kind) for kind in ("losses", "tasks")
    )
    rates = {name: frequencies(c.tasks, c.alpha) for name, c in configurations.items()}
    try:
        families = parity_fits.families(losses, tasks, configurations, rates)
    except ValueError as error:
        raise errors.InputError(f"{arguments.tables}/parity_*.parquet: {error}; {MEND}") from None

    fitted: dict[str, list[pd.DataFrame]] = {
        name: [] for name in ("runs", "emergence", "horizons", "exponents")
    }
    headlines = {}
    for family in families:
        of_runs = parity_fits.runs(family)
        laws = parity_fits.laws(family, p.quanta)
        exponents = parity_fits.exponents(of_runs, family, p.quanta, p.published.michaud)
        headlines[family.name] = parity_fits.headline(family, exponents, laws)
        tables = (of_runs, laws, parity_fits.horizons(family, p.quanta), exponents)
        for name, table in zip(fitted, tables, strict=True):
            fitted[name].append(table)

    for name, some in fitted.items():
        with runs.aside(arguments.output / f"parity_{name}.csv") as path:
            pd.concat(some).to_csv(path, index=False, float_format="%.6g")
    with runs.aside(arguments.output / "parity.json") as path:
        path.write_text(json.dumps(headlines, indent=2) + "\n")
    count = sum(len(table) for table in fitted["runs"])
    print(f"{len(families)} configurations, {count} runs")


if __name__ == "__main__":
    errors.run(main)
