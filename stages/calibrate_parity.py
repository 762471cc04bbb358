"""Stage `calibrate_parity`: how often the intervals of `fit_parity` hold what is known.

Writes metrics/parity_coverage.csv, a row for each kind of simulated family and interval; it depends
on no run. `stages.quanta.coverage` says what to expect. Takes about 10 seconds on two
cores.
"""

import argparse
from pathlib import Path

from stages.base import errors, params, tables, workers
from stages.parity.tasks import frequencies
from stages.quanta import coverage

ALPHA = 0.4
"""The alpha of the simulated tasks' frequencies: that of the paper's Figure 2."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=Path("metrics/parity_coverage.csv"))
    output = parser.parse_args().output
    p = params.load()
    rates = frequencies(coverage.TASKS, ALPHA)
    with workers.processes() as apply:
        table = coverage.measure(p.quanta, p.calibration, rates, apply)
    tables.write(table, output)
    print(table[["case", "seeds", "over", "nominal", "coverage"]].to_string(index=False))


if __name__ == "__main__":
    errors.run(main)
