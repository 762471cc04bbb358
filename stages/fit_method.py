"""Stage `fit_method`: 4/alpha and the measured dimensions where the true dimension is known.

Reads the parts of `calibrate_method`. Writes metrics/method.csv (`stages.analysis.method`), the
losses that it is fitted to as method_losses.csv, and method.md, which says by rules where the
theory holds. A few seconds.
"""

from pathlib import Path

import pandas as pd

from stages import errors, params, runs
from stages.analysis import method
from stages.analysis.power_law import Resampling

METRICS = Path("metrics")


def dimensions(part: runs.Part) -> pd.DataFrame:
    """What was measured beside a part.

    Raises:
        InputError: the table is missing or damaged.
    """
    path = part.path.with_suffix(".csv")
    try:
        return pd.read_csv(path, dtype={"source": str})
    except (OSError, ValueError) as error:
        reason = str(error).splitlines()[0]
        mend = f"make it again: dvc repro --force --single-item {part.stage}"
        raise errors.InputError(f"{path}: {reason}; {mend}") from None


def main() -> None:
    p = params.load()
    parts = {known: runs.method_part(p.method, known) for known in p.method.dimensions}
    rows = {known: part.read() for known, part in parts.items()}
    table = method.readings(
        rows,
        {known: dimensions(part) for known, part in parts.items()},
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
