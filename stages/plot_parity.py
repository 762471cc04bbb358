"""Stage `plot_parity`: the training curves of multitask sparse parity, as a figure and a series.

Reads metrics/parity.parquet. Writes parity_curves.svg, and parity_curves.csv for `dvc plots`.
Takes a few seconds.
"""

import argparse
from pathlib import Path

import pandas as pd

from stages import errors, figures, params, runs
from stages.drawing import parity

TITLE = "Loss of each task and their mean against optimizer steps, median over seeds"


def read(path: Path) -> pd.DataFrame:
    """The aggregated runs.

    Raises:
        InputError: the table is missing, damaged, empty, or lacks columns.
    """
    mend = "make it again: dvc repro --force --single-item aggregate_parity"
    try:
        table = pd.read_parquet(path, columns=runs.PARITY_SCHEMA.names)
    except (OSError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise errors.InputError(f"{path}: {reason}; {mend}") from None
    if table.empty:
        raise errors.InputError(f"{path}: no rows; {mend}")
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--table", type=Path, default=Path("metrics/parity.parquet"))
    parser.add_argument("--output", type=Path, default=Path("plots"), help="folder")
    arguments = parser.parse_args()

    p = params.load()
    drawn = parity.series(read(arguments.table), p.plot)
    with runs.aside(arguments.output / "parity_curves.svg") as path:
        figures.save_svg(parity.curves(drawn, p.emergence.threshold, p.plot), path, TITLE)
    several = drawn["configuration"].nunique() > 1
    if several:  # dvc plots tells lines apart by their series alone
        drawn["series"] = drawn["configuration"].astype(str) + ", " + drawn["series"]
    with runs.aside(arguments.output / "parity_curves.csv") as path:
        drawn.to_csv(path, index=False, float_format="%.6g")
    print(f"{len(drawn)} points on {drawn['series'].nunique()} lines")


if __name__ == "__main__":
    errors.run(main)
