"""Stage `measure_dimension`: the intrinsic dimension of the last layers, for each network.

The measured side of Figure 6, where Sharma & Kaplan report 17.04: seed 0 of every sweep and width,
on the test images; the last hidden layer before its ReLU and after, and the logits. After the ReLU
`coordinates` counts the live units, those that are not the same at all images. The table holds what
the estimators read, never corrected; beside it stands the dimension at which Gaussian and uniform
data would read the same. Some 2 s of one core per network.
"""

import math
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from stages.base import errors, params, tables, workers
from stages.cnn import part as cnn_part
from stages.dimension.activations import LAYERS, last_hidden, layers, trained
from stages.dimension.estimators import estimators, measure
from stages.dimension.known import in_context
from stages.images.stored import stored
from stages.networks.cnn import Network

Summary = dict[str, dict[str, float | None]]


def networks(p: params.Params, name: str) -> list[Network]:
    """Seed 0 of each width of a sweep or a study.

    Raises:
        InputError: weights are missing or damaged, from other params, or of another width.
    """
    classes = p.images[p.cnn.images].classes
    if name in p.studies:
        part = cnn_part.study_part(p.cnn_images, name, p.studies[name])
        return [trained(part, classes, width) for width in p.studies[name].widths]
    sweep = p.cnn.sweeps[name]
    parts = [cnn_part.sweep_part(p.cnn_images, name, sweep, width) for width in p.cnn.widths]
    return [trained(part, classes) for part in parts]


def measure_networks(p: params.Params, images: NDArray[np.uint8]) -> pd.DataFrame:
    """One row per sweep, width, layer, estimator and number of blocks."""
    found = {name: networks(p, name) for name in p.trained}
    torch.set_num_threads(1)  # batches and networks are worked on side by side
    rows: list[dict[str, Any]] = []
    with workers.threads() as apply:
        for name, study in p.trained.items():
            hidden = last_hidden(found[name], images, study.training.input_range, apply)
            each = [layers(*pair) for pair in zip(found[name], hidden, strict=True)]
            clouds = [of_network[layer] for of_network in each for layer in LAYERS]
            measured = apply(partial(measure, settings=p.dimension), clouds)
            for (width, layer), estimates in zip(
                product(study.widths, LAYERS), measured, strict=True
            ):
                head = {"source": name, "width": width, "layer": layer}
                rows += [head | vars(estimate) for estimate in estimates]
    return pd.DataFrame(rows)


def summarise(table: pd.DataFrame, calibration: pd.DataFrame, p: params.Params) -> Summary:
    """Readings of all points at once, null where there is none: of the images, of each sweep's
    widest network in the layer that the verdict names, and of known data; by one estimator of each
    family, that of most neighbours.
    """
    known = calibration[calibration["known"] == p.dimension.known.compare]
    known = known.assign(source=known["shape"] + "_" + known["known"].astype(str))
    widest = table["width"] == table.groupby("source")["width"].transform("max")
    ours = table["width"].isna() | (widest & (table["layer"] == p.verdict.dimension.layer))
    rows = pd.concat([table[ours], known]).query("blocks == 1")
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
    images = stored(p.cnn.images, p.images[p.cnn.images]).for_cnn().test_images
    calibration = tables.read(Path("metrics/dimension_calibration.csv"))
    of_images = tables.read(Path("metrics/dimension_images.csv"))
    of_images = of_images.assign(source="images", width=None, layer=None)
    of_networks = measure_networks(p, images)
    table = pd.concat([of_images[of_networks.columns], of_networks]).astype({"width": "Int64"})
    table = in_context(table, calibration)
    tables.write(table, Path("metrics/dimension.csv"), digits=5)
    tables.write_json(summarise(table, calibration, p), Path("metrics/dimension.json"))


if __name__ == "__main__":
    errors.run(main)
