"""Stage `fit_regime`: 4/alpha of studies of known dimension that are trained otherwise.

Reads the parts of `train_regime`, and the same studies unchanged. Writes metrics/regime.csv
(`stages.manifold.regime`) and regime.md, which says by rules what decides. A few seconds.
"""

from pathlib import Path

import pandas as pd

from stages.base import errors, files, params, tables
from stages.cnn import part as cnn_part
from stages.manifold import regime
from stages.statistics.bootstrap import Resampling

METRICS = Path("metrics")


def trained(p: params.Params) -> dict[tuple[str, int], dict[str, pd.DataFrame]]:
    """The runs of each study and its known dimension, by the change.

    Raises:
        InputError: a part is missing, damaged or from other params.
    """
    found = {}
    for name, changed in p.changed.items():
        images = p.named_images(name)
        known = images.settings.origin["dimension"]
        rows = cnn_part.regime_part(images, name, changed).read()
        unchanged = cnn_part.study_part(images, name, p.studies[name]).read()
        found[name, known] = {regime.UNCHANGED: unchanged} | {
            str(change): of for change, of in rows.groupby("sweep", sort=False, observed=True)
        }
    return found


def main() -> None:
    p = params.load()
    resampling = Resampling(p.fit.confidence, p.fit.resamples, p.fit.seed)
    tolerance = p.verdict.tolerance
    table = regime.table(trained(p), p.verdict.fit.epochs, tolerance, resampling)
    tables.write(table, METRICS / "regime.csv")
    said = regime.statement(table, tolerance)
    files.write(METRICS / "regime.md", said)
    print(said.splitlines()[0])


if __name__ == "__main__":
    errors.run(main)
