"""Stage `measure_images`: the intrinsic dimension of the test images themselves.

Each is a point of 3,072 coordinates. Apart from the networks, as no training changes it. About
10 s on 2 cores and 0.7 GB.
"""

from pathlib import Path

import pandas as pd

from stages.base import errors, params, tables, workers
from stages.dimension.estimators import measure
from stages.images.stored import stored


def main() -> None:
    p = params.load()
    images = stored(p.cnn.images, p.images[p.cnn.images]).test_images
    with workers.threads() as apply:
        table = pd.DataFrame(measure(images.reshape(len(images), -1), p.dimension, apply))
    tables.write(table, Path("metrics/dimension_images.csv"), digits=5)


if __name__ == "__main__":
    errors.run(main)
