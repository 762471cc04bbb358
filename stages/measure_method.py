"""Stage `measure_method`: measured dimensions where the true one is known, beside 4/alpha.

Of the test images of each calibration, made again, and of the last layers of each width's seed 0.
Writes metrics/method_dimension.csv. About 20 s of one core per known dimension.
"""

from functools import partial
from itertools import product
from pathlib import Path

import pandas as pd
import torch
from numpy.typing import ArrayLike

from stages.base import errors, params, tables, workers
from stages.cnn import part as cnn_part
from stages.dimension.activations import LAYERS, last_hidden, layers, trained
from stages.dimension.estimators import measure
from stages.images import generated as manifold


def measured(p: params.Params, known: int) -> pd.DataFrame:
    """One row per source (`images`, or a width), its layer, estimator and number of blocks."""
    settings = p.method
    part = cnn_part.method_part(settings, known)
    networks = [trained(part, width=width) for width in settings.widths]
    images = manifold.test_images(settings.manifold(known))
    with workers.threads() as apply:
        hidden = last_hidden(networks, images, settings.training.input_range, apply)
        each = [layers(*pair) for pair in zip(networks, hidden, strict=True)]
        clouds: list[ArrayLike] = [images.reshape(len(images), -1)]
        clouds += [of_network[layer] for of_network in each for layer in LAYERS]
        found = list(apply(partial(measure, settings=p.dimension), clouds))
    sources = [("images", None), *product(settings.widths, LAYERS)]
    rows = [
        {"known": known, "source": source, "layer": layer} | vars(estimate)
        for (source, layer), estimates in zip(sources, found, strict=True)
        for estimate in estimates
    ]
    return pd.DataFrame(rows)


def main() -> None:
    p = params.load()
    torch.set_num_threads(1)  # batches and networks are worked on side by side
    table = pd.concat([measured(p, known) for known in p.method.dimensions])
    tables.write(table, Path("metrics/method_dimension.csv"), digits=5)


if __name__ == "__main__":
    errors.run(main)
