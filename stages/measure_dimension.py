"""Stage `measure_dimension`: the intrinsic dimension of the last hidden layer, for each network.

The measured side of Figure 6, where Sharma & Kaplan report 17.04: seed 0 of every sweep and width,
on the test images. The table holds what the estimators read, never corrected; beside it stands the
dimension at which Gaussian and uniform data would read the same. Some 1.2 s of one core per
network, more than half of it convolutions.
"""

import math
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from stages.base import errors, params, tables, workers
from stages.cnn import part as cnn_part
from stages.dimension.activations import last_hidden, trained
from stages.dimension.estimators import Estimate, estimators, measure
from stages.dimension.known import in_context
from stages.images.arrays import open_images

Summary = dict[str, dict[str, float | None]]


def measure_networks(p: params.Params, images: NDArray[np.uint8]) -> pd.DataFrame:
    """One row per sweep, width, estimator and number of blocks."""
    asked = [(name, width) for name in p.cnn.sweeps for width in p.cnn.widths]
    networks = {
        (name, width): trained(
            cnn_part.sweep_part(p.origin, name, p.cnn.sweeps[name], width), p.data.classes
        )
        for name, width in asked
    }
    torch.set_num_threads(1)  # batches and networks are worked on side by side
    measured: list[list[Estimate]] = []
    with workers.threads() as apply:
        for name, sweep in p.cnn.sweeps.items():
            of_sweep = [networks[name, width] for width in p.cnn.widths]
            activations = last_hidden(of_sweep, images, sweep.input_range, apply)
            measured += apply(partial(measure, settings=p.dimension), activations)
    rows = [
        {"source": name, "width": width} | vars(estimate)
        for (name, width), estimates in zip(asked, measured, strict=True)
        for estimate in estimates
    ]
    return pd.DataFrame(rows)


def summarise(table: pd.DataFrame, calibration: pd.DataFrame, p: params.Params) -> Summary:
    """Readings of all points at once, null where there is none: of the images, of each sweep's
    widest network, and of known data; by one estimator of each family, that of most neighbours.
    """
    known = calibration[calibration["known"] == p.dimension.known.compare]
    known = known.assign(source=known["shape"] + "_" + known["known"].astype(str))
    widest = table["width"].isna() | (table["width"] == max(p.cnn.widths))
    rows = pd.concat([table[widest], known]).query("blocks == 1")
    readings = rows.set_index(["source", "estimator", "neighbours"])["dimension"]
    chosen = {e.name: e for e in sorted(estimators(p.dimension), key=lambda e: e.neighbours)}

    def shown(value: float) -> float | None:
        return None if math.isnan(value) else round(value, 2)

    return {
        source: {e.label: shown(readings[source, e.name, e.neighbours]) for e in chosen.values()}
        for source in readings.index.unique("source")
    }


def main() -> None:
    p = params.load()
    images = open_images(p.data.folder, p.data.classes).test_images
    calibration = tables.read(Path("metrics/dimension_calibration.csv"))
    of_images = tables.read(Path("metrics/dimension_images.csv"))
    of_images = of_images.assign(source="images", width=None)
    of_networks = measure_networks(p, images)
    table = pd.concat([of_images[of_networks.columns], of_networks]).astype({"width": "Int64"})
    table = in_context(table, calibration)
    tables.write(table, Path("metrics/dimension.csv"), digits=5)
    tables.write_json(summarise(table, calibration, p), Path("metrics/dimension.json"))


if __name__ == "__main__":
    errors.run(main)
