"""Stage `fit_cnn`: exponents of the CNN sweeps with intervals, and what they depend on.

Reads metrics/cnn.parquet. Writes the tables that `stages.analysis.cnn_fits` describes, as
cnn_fits.csv, cnn_sensitivity.csv, cnn_local_slopes.csv and cnn_failed.csv, and the headline
numbers as cnn.json. 1,000 runs of 50 epochs take 15 to 20 s of processor time, on two cores.
"""

import argparse
import json
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from os import cpu_count
from pathlib import Path

import pandas as pd

from stages import errors, params, runs
from stages.analysis import cnn_fits


def read(path: Path) -> pd.DataFrame:
    """The aggregated runs.

    Raises:
        InputError: the table is missing, damaged, empty, or lacks columns.
    """
    try:
        table = pd.read_parquet(path)
    except (OSError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise errors.InputError(f"{path}: {reason}; make it: dvc repro aggregate_cnn") from None
    lacking = [f"column {name}" for name in runs.CNN_SCHEMA.names if name not in table.columns]
    lacking += ["rows"] if table.empty else []
    if lacking:
        mend = "make it again: dvc repro --force --single-item aggregate_cnn"
        raise errors.InputError(f"{path}: no {', '.join(lacking)}; {mend}")
    return table


def write(tables: cnn_fits.Tables, folder: Path) -> None:
    """Write the tables and the headline numbers."""
    for name in ["fits", "sensitivity", "local_slopes", "failed"]:
        with runs.aside(folder / f"cnn_{name}.csv") as path:
            getattr(tables, name).to_csv(path, index=False, float_format="%.6g")
    with runs.aside(folder / "cnn.json") as path:
        path.write_text(json.dumps(tables.headline, indent=2) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--table", type=Path, default=Path("metrics/cnn.parquet"))
    parser.add_argument("--output", type=Path, default=Path("metrics"), help="folder")
    arguments = parser.parse_args()
    fit = params.load().fit
    table = read(arguments.table)
    with ProcessPoolExecutor(min(2, cpu_count() or 1), get_context("spawn")) as pool:
        tables = cnn_fits.fit(table, fit, pool.map)
    write(tables, arguments.output)
    print(f"{len(tables.fits)} fits, {tables.failed['failed'].sum()} failed runs")


if __name__ == "__main__":
    errors.run(main)
