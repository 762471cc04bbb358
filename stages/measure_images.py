"""Stage `measure_images`: the intrinsic dimension of the test images themselves.

Each is a point of 3,072 coordinates. Apart from the networks, as no training changes it. About
10 s on 2 cores and 0.7 GB.
"""

from pathlib import Path

import pandas as pd

from stages import errors, params, runs
from stages.analysis.dimension import measure, side_by_side
from stages.cnn.images import open_images


def main() -> None:
    p = params.load()
    images = open_images(p.data.folder, p.data.classes).test_images
    with side_by_side() as apply:
        table = pd.DataFrame(measure(images.reshape(len(images), -1), p.dimension, apply))
    with runs.aside(Path("metrics/dimension_images.csv")) as path:
        table.to_csv(path, index=False, float_format="%.5g")


if __name__ == "__main__":
    errors.run(main)
