"""The dimension of the last layers of networks, and of images, as rows of a table.

Columns: `source` (a sweep or a study, or `stages.dimension.sources.source` of images); of a network
`width`, `seed`, `epochs` (with the weights after its last epoch, or after its best) and `layer`;
and the fields of `stages.dimension.estimators.Estimate`.
"""

from collections.abc import Iterable, Sequence
from functools import partial
from itertools import product

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from stages.base.params import Dimension, Layer, Snapshot
from stages.base.workers import Apply
from stages.dimension.activations import LAYERS, Floats
from stages.dimension.estimators import measure
from stages.dimension.sources import WHOLE


def of_networks(
    source: str,
    widths: Sequence[int],
    snapshot: Snapshot,
    networks: Iterable[dict[Layer, Floats]],
    settings: Dimension,
    apply: Apply = map,
) -> pd.DataFrame:
    """One row per width, layer, estimator and number of blocks; each width's with one snapshot."""
    clouds: list[ArrayLike] = [of_one[layer] for of_one in networks for layer in LAYERS]
    found = apply(partial(measure, settings=settings), clouds)
    of_these = snapshot._asdict()
    rows = [
        {"source": source, "width": width} | of_these | {"layer": layer} | vars(estimate)
        for (width, layer), each in zip(product(widths, LAYERS), found, strict=True)
        for estimate in each
    ]
    return pd.DataFrame(rows).astype(WHOLE)


def of_images(
    source: str, images: NDArray[np.uint8], settings: Dimension, apply: Apply = map
) -> pd.DataFrame:
    """One row per estimator and number of blocks: each image is a point."""
    found = measure(images.reshape(len(images), -1), settings, apply)
    head = {"source": source, "width": pd.NA, "seed": pd.NA, "epochs": None, "layer": None}
    return pd.DataFrame([head | vars(estimate) for estimate in found]).astype(WHOLE)
