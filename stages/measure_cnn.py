"""Stage `measure_cnn`: the intrinsic dimension of the last layers of each network of the sweeps.

Seed 0 of every sweep and width, on the test images. Writes the rows as metrics/dimension_cnn.csv,
unrounded: stage `measure_dimension` says what is measured, and puts all of it together. Some 2 s of
one core per network.
"""

from pathlib import Path

import pandas as pd
import torch

from stages.base import errors, params, tables, workers
from stages.cnn.part import sweep_part
from stages.dimension.activations import last_hidden, layers, trained
from stages.dimension.networks import of_networks
from stages.images.stored import stored
from stages.networks.cnn import Network


def main() -> None:
    p = params.load()
    images = stored(p.cnn.images, p.images[p.cnn.images]).for_cnn()
    found = {}
    for name, sweep in p.cnn.sweeps.items():
        parts = [sweep_part(p.cnn_images, name, sweep, width) for width in p.cnn.widths]
        new = [Network(width, classes=images.classes) for width in p.cnn.widths]
        found[name] = [trained(*pair) for pair in zip(parts, new, strict=True)]
    torch.set_num_threads(1)  # batches and networks are worked on side by side
    rows = []
    with workers.threads() as apply:
        for name, sweep in p.cnn.sweeps.items():
            hidden = last_hidden(found[name], images.test_images, sweep.input_range, apply)
            each = map(layers, found[name], hidden)
            rows.append(of_networks(name, p.cnn.widths, each, p.dimension, apply))
    tables.write(pd.concat(rows), Path("metrics/dimension_cnn.csv"), digits=tables.EXACT)


if __name__ == "__main__":
    errors.run(main)
