"""Stage `fit_cnn`: exponents of the CNN sweeps with intervals, and what they depend on.

Reads metrics/cnn.parquet. Writes the tables that `stages.manifold.fits` describes, as
cnn_fits.csv, cnn_sensitivity.csv, cnn_local_slopes.csv, cnn_best_epochs.csv and cnn_failed.csv,
and the headline numbers as cnn.json. 1,000 runs of 50 epochs take 30 s, on two cores.
"""

import argparse
from pathlib import Path

from stages.base import errors, params, tables, workers
from stages.manifold import fits
from stages.manifold.selection import COLUMNS


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--table", type=Path, default=Path("metrics/cnn.parquet"))
    parser.add_argument("--output", type=Path, default=Path("metrics"), help="folder")
    arguments = parser.parse_args()
    fit = params.load().fit
    table = tables.read(arguments.table, COLUMNS)
    with workers.processes() as apply:
        fitted = fits.fit(table, fit, apply)
    for name in ["fits", "sensitivity", "local_slopes", "best_epochs", "failed"]:
        tables.write(getattr(fitted, name), arguments.output / f"cnn_{name}.csv")
    tables.write_json(fitted.headline, arguments.output / "cnn.json")
    print(f"{len(fitted.fits)} fits, {fitted.failed['failed'].sum()} failed runs")


if __name__ == "__main__":
    errors.run(main)
