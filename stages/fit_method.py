"""Stage `fit_method`: 4/alpha and the measured dimensions where the true dimension is known.

Of the studies on generated images: the first of each dimension in params.yaml. Writes
metrics/method.csv (`stages.manifold.method`), the losses that it is fitted to as method_losses.csv,
and method.md, which says by rules where the theory holds. Of those that are trained otherwise, too
(section `regime`): regime.csv (`stages.manifold.regime`), and regime.md, which says what decides.
A few seconds.
"""

from pathlib import Path

import pandas as pd

from stages.base import errors, files, params, tables
from stages.cnn import part as cnn_part
from stages.dimension.sources import source
from stages.manifold import method, regime
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


def changed(p: params.Params, cnn: pd.DataFrame) -> dict[tuple[str, int], dict[str, pd.DataFrame]]:
    """The runs of each study that is trained otherwise, with its known dimension, by the change.

    Raises:
        InputError: a part is missing, damaged or from other params.
    """
    found = {}
    for name, studies in p.changed.items():
        images = p.named_images(name)
        rows = cnn_part.regime_part(images, name, studies).read()
        found[name, images.settings.origin["dimension"]] = {
            regime.UNCHANGED: cnn[cnn["sweep"] == name],
            **{str(change): of for change, of in rows.groupby("sweep", sort=False, observed=True)},
        }
    return found


def main() -> None:
    p = tables.as_made(params.load(), METRICS / "cnn.parquet")
    cnn, dimensions = (tables.read(METRICS / name) for name in ("cnn.parquet", "dimension.csv"))
    rows, measured = {}, {}
    for dimension, (name, images) in known(p).items():
        rows[dimension] = cnn[cnn["sweep"] == name]
        sources = [name, source(images, p.cnn.images)]
        measured[dimension] = dimensions[dimensions["source"].isin(sources)]
    epochs, tolerance = p.verdict.fit.epochs, p.verdict.tolerance
    resampling = Resampling(p.fit.confidence, p.fit.resamples, p.fit.seed)
    calibration = tables.read(METRICS / "dimension_calibration.csv")
    of_method = method.table(
        rows, measured, calibration, epochs, p.verdict.dimension, tolerance, resampling
    )
    of_regime = regime.table(changed(p, cnn), epochs, tolerance, resampling)
    for name, table in (
        ("method", of_method),
        ("method_losses", method.losses(rows, epochs)),
        ("regime", of_regime),
    ):
        tables.write(table, METRICS / f"{name}.csv")
    for name, said in (
        ("method", method.statement(of_method, tolerance)),
        ("regime", regime.statement(of_regime)),
    ):
        files.write(METRICS / f"{name}.md", said)
        print(said.splitlines()[0])


if __name__ == "__main__":
    errors.run(main)
