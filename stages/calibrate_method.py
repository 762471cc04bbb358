"""Stage `calibrate_method`: the sweep that calibrates the method, on images of one known dimension.

    python -m stages.calibrate_method 8

Trains every width on images (`stages.images.generated`) whose manifold has that dimension. Writes
the part of all widths, metrics/runs/manifold/8.parquet, and beside it the weights of each width's
seed 0. The images are made in memory, and no network is needed. Meant for a GPU: 48 runs of 16,384
steps are a minute or two on an H200, and hours on two cores.
"""

import argparse

from stages.base import errors, item, params
from stages.cnn import part as cnn_part
from stages.cnn.train import train_widths
from stages.images import generated as manifold
from stages.training import device


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("dimension", type=int)
    dimension = parser.parse_args(item.arguments()).dimension
    settings = params.load().method
    if dimension not in settings.dimensions:
        known = ", ".join(map(str, settings.dimensions))
        raise errors.InputError(
            f"{params.PARAMS}: method.dimensions: no {dimension}; there is {known}"
        )
    part = cnn_part.method_part(settings, dimension)
    images = manifold.images(settings.manifold(dimension))
    train_widths(part, f"d{dimension}", settings.training, settings.widths, images, device.choose())


if __name__ == "__main__":
    errors.run(main)
