"""Stage `train_cnn`: every seed of one sweep and width, side by side, into one part.

About 2.2 s of start-up and then, on an H200, a fraction of a second an epoch for all seeds.
"""

import argparse
from functools import partial

from safetensors.torch import save_file

from stages.base import errors, files, item, params, progress
from stages.cnn import part as cnn_part
from stages.cnn.train import kept_of, train
from stages.images.stored import stored
from stages.training import device


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sweep")
    parser.add_argument("width", type=int)
    arguments = parser.parse_args(item.arguments())
    name, width = arguments.sweep, arguments.width

    p = params.load()
    sweep = params.lookup(p.cnn.sweeps, name, "cnn.sweeps")
    part = cnn_part.sweep_part(p.cnn_images, name, sweep, width)
    images = stored(p.cnn.images, p.images[p.cnn.images])
    seeds = range(sweep.seeds)
    total = sweep.seeds * sweep.epochs
    chosen = device.choose()
    label = f"train_cnn {name} n={width}"
    with progress.Progress(label, total, "run-epochs", part.stage, sweep.seeds) as report:
        keeping = kept_of(part, images, chosen, report)
        trained = train(sweep, width, seeds, images, chosen, report, keeping)

    with files.aside(part.weights) as path:
        metadata = {"fingerprint": part.fingerprint}
        save_file(trained.tensors(width), path, metadata=metadata)
    part.write(trained.history.frame(name, partial(cnn_part.parameters, classes=images.classes)))
    keeping.remove()


if __name__ == "__main__":
    errors.run(main)
