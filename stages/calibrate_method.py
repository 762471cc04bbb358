"""Stage `calibrate_method`: the sweep that calibrates the method, on images of one known dimension.

    python -m stages.calibrate_method 8

Trains every width on generated images (stages/cnn/manifold.py) whose manifold has that dimension.
Writes metrics/runs/manifold/8: for each width its part, and the weights of seed 0. The images are
made in memory, and no network is needed. Meant for a GPU: ten widths of six seeds are 1.2 million
steps of one run, minutes on an H200 and days on two cores.
"""

import argparse

from safetensors.torch import save_file

from stages import errors, params, runs
from stages.cnn import manifold
from stages.cnn.train import train
from stages.training import device, progress


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("dimension", type=int)
    dimension = parser.parse_args().dimension
    settings = params.load().method
    if dimension not in settings.dimensions:
        known = ", ".join(map(str, settings.dimensions))
        raise errors.InputError(
            f"{params.PARAMS}: method.dimensions: no {dimension}; there is {known}"
        )
    sweep, on = settings.training, device.choose()
    images = manifold.images(settings.manifold(dimension))
    total = len(settings.widths) * sweep.seeds * sweep.epochs
    with progress.Progress(f"calibrate_method d={dimension}", total, "run-epochs") as report:
        for width in settings.widths:
            trained = train(sweep, width, range(sweep.seeds), images, on, report)
            part = runs.method_part(settings, dimension, width)
            with runs.aside(part.weights) as path:
                metadata = {"fingerprint": part.fingerprint}
                save_file(trained.network.state_dict(), path, metadata=metadata)
            part.write(trained.history.frame(f"d{dimension}", width))


if __name__ == "__main__":
    errors.run(main)
