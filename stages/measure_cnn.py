"""Stage `measure_cnn`: the intrinsic dimension of the last layers of each network of the sweeps.

All weights that are kept of every sweep and width, on the test images. Writes the rows as
metrics/dimension_cnn.csv, unrounded: stage `measure_dimension` says what is measured, and puts all
of it together. Some 2 s of one core per network.
"""

from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import torch

from stages.base import errors, params, tables, workers
from stages.cnn.part import sweep_part
from stages.dimension.activations import last_hidden, layers, trained
from stages.dimension.networks import of_networks
from stages.images.arrays import Images
from stages.images.stored import stored
from stages.networks.cnn import Network


def measured(p: params.Params, images: Images, apply: workers.Apply) -> Iterator[pd.DataFrame]:
    """The rows of each sweep and snapshot.

    Raises:
        InputError: weights are missing or damaged, from other params, or of another width.
    """
    widths = p.cnn.widths
    for name, sweep in p.cnn.sweeps.items():
        parts = {width: sweep_part(p.cnn_images, name, sweep, width) for width in widths}
        for snapshot in sweep.snapshots:
            networks = [
                trained(part, Network(width, classes=images.classes), snapshot=snapshot)
                for width, part in parts.items()
            ]
            hidden = last_hidden(networks, images.test_images, sweep.input_range, apply)
            found = map(layers, networks, hidden)
            yield of_networks(name, widths, snapshot, found, p.dimension, apply)


def main() -> None:
    p = params.load()
    images = stored(p.cnn.images, p.cnn_images.settings).for_cnn()
    torch.set_num_threads(1)  # batches and networks are worked on side by side
    with workers.threads() as apply:
        table = pd.concat(measured(p, images, apply))
    tables.write(table, Path("metrics/dimension_cnn.csv"), digits=tables.PASSED_ON)


if __name__ == "__main__":
    errors.run(main)
