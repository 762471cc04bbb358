"""Stage `fit_method`: 4/alpha and the measured dimensions where the true dimension is known.

Reads the parts of `calibrate_method` and the table of `measure_method`. Writes metrics/method.csv
(`stages.analysis.method`), the losses that it is fitted to as method_losses.csv, and method.md,
which says by rules where the theory holds. A few seconds.
"""

from pathlib import Path

import pandas as pd

from stages import errors, params, runs
from stages.analysis import method
from stages.analysis.bootstrap import Resampling

METRICS = Path("metrics")
DIMENSIONS = METRICS / "method_dimension.csv"


def dimensions() -> pd.DataFrame:
    """What was measured.

    Raises:
        InputError: the table is missing or damaged.
    """
    try:
        return pd.read_csv(DIMENSIONS, dtype={"source": str})
    except (OSError, ValueError) as error:
        reason = str(error).splitlines()[0]
        mend = "make it: dvc repro measure_method"
        raise errors.InputError(f"{DIMENSIONS}: {reason}; {mend}") from None


def trained(settings: params.Method) -> dict[int, pd.DataFrame]:
    """The runs at each known dimension.

    Raises:
        InputError: a part is missing, damaged or from other params.
    """
    return {known: runs.method_part(settings, known).read() for known in settings.dimensions}


def main() -> None:
    p = params.load()
    rows, measured = trained(p.method), dimensions()
    table = method.readings(
        rows,
        {known: measured[measured["known"] == known] for known in rows},
        p.verdict.fit.epochs,
        p.verdict.dimension,
        p.verdict.tolerance,
        Resampling(p.fit.confidence, p.fit.resamples, p.fit.seed),
    )
    losses = method.losses(rows, p.verdict.fit.epochs)
    for name, frame in (("method", table), ("method_losses", losses)):
        with runs.aside(METRICS / f"{name}.csv") as path:
            frame.to_csv(path, index=False, float_format="%.6g")
    said = method.statement(table, p.verdict.tolerance)
    with runs.aside(METRICS / "method.md") as path:
        path.write_text(said)
    print(said.splitlines()[0])


if __name__ == "__main__":
    errors.run(main)
