"""Stage `calibrate_method`: the whole method on generated images of one known dimension.

    python -m stages.calibrate_method 8

Trains every width on images whose manifold has that dimension (stages/cnn/manifold.py) and measures
the dimension of the test images and, for seed 0 of each width, of the last hidden layer. Writes
metrics/runs/manifold/8.parquet and 8.csv. On one H200 about a minute and a half for ten widths of
six seeds, half of it compilation; the images are made in memory, and no network is needed.
"""

import argparse
from functools import partial

import pandas as pd
import torch
from numpy.typing import ArrayLike

from stages import errors, params, runs
from stages.analysis.dimension import measure, side_by_side
from stages.analysis.method import IMAGES
from stages.cnn import manifold
from stages.cnn.activations import last_hidden
from stages.cnn.images import Images
from stages.cnn.network import Network
from stages.cnn.train import train
from stages.training import device, progress


def train_widths(
    settings: params.Method, dimension: int, images: Images
) -> tuple[pd.DataFrame, dict[int, Network]]:
    """The rows of the part, and the trained network of each width's seed 0."""
    sweep = settings.training
    frames, networks = [], {}
    total = len(settings.widths) * sweep.seeds * sweep.epochs
    with progress.Progress(f"calibrate_method d={dimension}", total, "run-epochs") as report:
        for width in settings.widths:
            trained = train(sweep, width, range(sweep.seeds), images, device.choose(), report)
            frames.append(trained.history.frame(f"d{dimension}", width))
            networks[width] = trained.network
    return pd.concat(frames, ignore_index=True), networks


def measure_all(
    networks: dict[int, Network], images: Images, input_range: list[float], p: params.Dimension
) -> pd.DataFrame:
    """The dimension of the test images and of the networks' last hidden layers."""
    test = images.test_images
    torch.set_num_threads(1)  # batches and networks are worked on side by side
    with side_by_side() as apply:
        activations = last_hidden([*networks.values()], test, input_range, apply)
        clouds: list[ArrayLike] = [test.reshape(len(test), -1), *activations]
        measured = list(apply(partial(measure, settings=p), clouds))
    sources = [IMAGES, *(str(width) for width in networks)]
    rows = [
        {"source": source} | vars(estimate)
        for source, estimates in zip(sources, measured, strict=True)
        for estimate in estimates
    ]
    return pd.DataFrame(rows)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("dimension", type=int)
    dimension = parser.parse_args().dimension
    p = params.load()
    settings = p.method
    if dimension not in settings.dimensions:
        known = ", ".join(map(str, settings.dimensions))
        where = f"{params.PARAMS}: method.dimensions"
        raise errors.InputError(f"{where}: no {dimension}; there is {known}")
    part = runs.method_part(settings, dimension)
    images = manifold.images(params.Manifold(dimension=dimension, **settings.images.model_dump()))
    rows, networks = train_widths(settings, dimension, images)
    table = measure_all(networks, images, settings.training.input_range, p.dimension)
    with runs.aside(part.path.with_suffix(".csv")) as path:
        table.to_csv(path, index=False, float_format="%.5g")
    part.write(rows)


if __name__ == "__main__":
    errors.run(main)
