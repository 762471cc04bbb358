"""Stage `fit_method`: 4/alpha and the measured dimensions where the true dimension is known.

Reads the parts of `calibrate_method`, the table of `measure_method`, and what known data read.
Writes metrics/method.csv (`stages.manifold.method`), the losses that it is fitted to as
method_losses.csv, and method.md, which says by rules where the theory holds. A few seconds.
"""

from pathlib import Path

import pandas as pd

from stages.base import errors, files, params, tables
from stages.cnn import part as cnn_part
from stages.manifold import method
from stages.statistics.bootstrap import Resampling

METRICS = Path("metrics")
DIMENSIONS = METRICS / "method_dimension.csv"


def trained(settings: params.Method) -> dict[int, pd.DataFrame]:
    """The runs at each known dimension.

    Raises:
        InputError: a part is missing, damaged or from other params.
    """
    return {known: cnn_part.method_part(settings, known).read() for known in settings.dimensions}


def main() -> None:
    p = params.load()
    rows, measured = trained(p.method), tables.read(DIMENSIONS, texts=["source"])
    table = method.table(
        rows,
        {known: measured[measured["known"] == known] for known in rows},
        tables.read(METRICS / "dimension_calibration.csv"),
        p.verdict.fit.epochs,
        p.verdict.dimension,
        p.verdict.tolerance,
        Resampling(p.fit.confidence, p.fit.resamples, p.fit.seed),
    )
    losses = method.losses(rows, p.verdict.fit.epochs)
    for name, frame in (("method", table), ("method_losses", losses)):
        tables.write(frame, METRICS / f"{name}.csv")
    said = method.statement(table, p.verdict.tolerance)
    files.write(METRICS / "method.md", said)
    print(said.splitlines()[0])


if __name__ == "__main__":
    errors.run(main)
