"""Stage `calibrate_method`: the sweep that calibrates the method, on images of one known dimension.

    python -m stages.calibrate_method 8

Trains every width on images (`stages.images.generated`) whose manifold has that dimension. Writes
the part of all widths, metrics/runs/manifold/8.parquet, and beside it the weights of each width's
seed 0. The images are made in memory, and no network is needed. Meant for a GPU: 48 runs of 16,384
steps are a minute or two on an H200, and hours on two cores.
"""

import argparse

import pandas as pd
from safetensors.torch import save_file
from torch import Tensor

from stages.base import errors, files, item, params, progress
from stages.cnn import part as cnn_part
from stages.cnn.train import train
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
    sweep, on = settings.training, device.choose()
    images = manifold.images(settings.manifold(dimension))
    total = len(settings.widths) * sweep.seeds * sweep.epochs
    rows: list[pd.DataFrame] = []
    weights: dict[str, Tensor] = {}
    with progress.Progress(f"calibrate_method d={dimension}", total, "run-epochs") as report:
        for width in settings.widths:
            trained = train(sweep, width, range(sweep.seeds), images, on, report)
            rows.append(trained.history.frame(f"d{dimension}", width))
            state = trained.network.state_dict()
            weights |= {f"{width}.{name}": tensor for name, tensor in state.items()}

    part = cnn_part.method_part(settings, dimension)
    with files.aside(part.weights) as path:
        save_file(weights, path, metadata={"fingerprint": part.fingerprint})
    part.write(pd.concat(rows, ignore_index=True), weights=files.sha256(part.weights))


if __name__ == "__main__":
    errors.run(main)
