"""Stage `calibrate_cnn`: how often the intervals of `fit_cnn` hold an exponent that is known.

Writes metrics/cnn_coverage.csv, one row per kind of simulated sweep; it depends on no run. Expect
coverages of 0.90 to 0.98 for intervals at 0.95. Takes a minute of processor time, on two cores.
"""

import argparse
from pathlib import Path

from stages.base import errors, params, tables, workers
from stages.manifold import coverage


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=Path("metrics/cnn_coverage.csv"))
    output = parser.parse_args().output
    p = params.load()
    with workers.processes() as apply:
        table = coverage.measure(p.fit, p.calibration, apply)
    tables.write(table, output)
    print(table[["case", "nominal", "coverage"]].to_string(index=False))


if __name__ == "__main__":
    errors.run(main)
