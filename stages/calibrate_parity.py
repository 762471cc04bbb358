"""Stage `calibrate_parity`: how often the intervals of `fit_parity` hold what is known.

Writes metrics/parity_coverage.csv, a row for each kind of simulated family and interval; it depends
on no run. `stages.analysis.parity_coverage` says what to expect. Takes about 10 seconds on two
cores.
"""

import argparse
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from os import cpu_count
from pathlib import Path

from stages import errors, params, runs
from stages.analysis import parity_coverage
from stages.parity.tasks import frequencies

ALPHA = 0.4
"""Of the simulated tasks' frequencies; the paper's Figure 2."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=Path("metrics/parity_coverage.csv"))
    output = parser.parse_args().output
    p = params.load()
    rates = frequencies(parity_coverage.TASKS, ALPHA)
    with ProcessPoolExecutor(min(2, cpu_count() or 1), get_context("spawn")) as pool:
        table = parity_coverage.measure(p.quanta, p.calibration, rates, pool.map)
    with runs.aside(output) as path:
        table.to_csv(path, index=False, float_format="%.6g")
    print(table[["case", "seeds", "over", "nominal", "coverage"]].to_string(index=False))


if __name__ == "__main__":
    errors.run(main)
