"""Stage `measure_dimension`: the intrinsic dimension of images and last layers, as one table.

The measured side of Figure 6, where Sharma & Kaplan report 17.04: of the test images, and of every
network of a sweep or study whose weights are kept the last hidden layer before its ReLU and after,
and the logits.
After the ReLU `coordinates` counts the live units, those that are not the same at all images. The
table holds what the estimators read, never corrected; beside it stands the dimension at which
Gaussian and uniform data would read the same.
"""

from pathlib import Path

import pandas as pd

from stages.base import errors, params, tables
from stages.dimension.known import in_context
from stages.dimension.sources import COLUMNS, IMAGES, WHOLE, source

METRICS = Path("metrics")


def main() -> None:
    p = tables.as_made(params.load(), METRICS / "cnn.parquet")
    images = tables.read(METRICS / "dimension_images.csv")
    files = [METRICS / "dimension_cnn.csv"]
    files += [METRICS / "dimension_studies" / f"{name}.csv" for name in p.studies]
    measured = [tables.read(path) for path in files]
    head = images.assign(**dict.fromkeys(COLUMNS) | {"source": IMAGES})[measured[0].columns]
    found = pd.concat([head, *measured], ignore_index=True).astype(WHOLE)
    found["source"] = found["source"].replace(source(p.cnn.images), IMAGES)
    key = [*COLUMNS, "estimator", "neighbours", "blocks"]
    found = found.drop_duplicates(key)  # several may be of the same images
    calibration = tables.read(METRICS / "dimension_calibration.csv")
    tables.write(in_context(found, calibration), METRICS / "dimension.csv", digits=5)


if __name__ == "__main__":
    errors.run(main)
