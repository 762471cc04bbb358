"""Stage `calibrate_fit`: how often the intervals of `fit_cnn` hold an exponent that is known.

Writes metrics/coverage.csv, one row per kind of simulated sweep; it depends on no run. Expect
coverages of 0.90 to 0.98 for intervals at 0.95. Takes a minute of processor time, on two cores.
"""

import argparse
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from os import cpu_count
from pathlib import Path

from stages import errors, params, runs
from stages.analysis import coverage


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=Path("metrics/coverage.csv"))
    output = parser.parse_args().output
    p = params.load()
    with ProcessPoolExecutor(min(2, cpu_count() or 1), get_context("spawn")) as pool:
        table = coverage.measure(p.fit, p.calibration, pool.map)
    with runs.aside(output) as path:
        table.to_csv(path, index=False, float_format="%.6g")
    print(table[["case", "nominal", "coverage"]].to_string(index=False))


if __name__ == "__main__":
    errors.run(main)
