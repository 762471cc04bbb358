"""Stage `fit_method`: 4/alpha and the measured dimensions where the true dimension is known.

Of the studies on generated images: the first of each dimension in params.yaml. Writes
metrics/method.csv (`stages.manifold.method`), the losses that it is fitted to as method_losses.csv,
and method.md, which says by rules where the theory holds. A few seconds.
"""

from pathlib import Path

from stages.base import errors, files, params, tables
from stages.dimension.sources import source
from stages.manifold import method
from stages.statistics.bootstrap import Resampling

METRICS = Path("metrics")


def known(p: params.Params) -> dict[int, tuple[str, str]]:
    """The first study of each known dimension, and its images."""
    found: dict[int, tuple[str, str]] = {}
    for name, study in p.studies.items():
        settings = p.images[study.images]
        if isinstance(settings, params.Manifold):
            found.setdefault(settings.dimension, (name, study.images))
    return found


def main() -> None:
    p = tables.as_made(params.load(), METRICS / "cnn.parquet")
    cnn, dimensions = (tables.read(METRICS / name) for name in ("cnn.parquet", "dimension.csv"))
    rows, measured = {}, {}
    for dimension, (name, images) in known(p).items():
        rows[dimension] = cnn[cnn["sweep"] == name]
        sources = [name, source(images, p.cnn.images)]
        measured[dimension] = dimensions[dimensions["source"].isin(sources)]
    table = method.table(
        rows,
        measured,
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
