"""Train networks of one protocol, on whatever device there is."""

from collections.abc import Sequence
from functools import partial

import pandas as pd
import torch
from safetensors.torch import save_file
from torch import Tensor

from stages.base import files, progress
from stages.base.params import CnnSweep
from stages.base.parts import Part
from stages.classification.history import Report, Trained
from stages.cnn.part import parameters
from stages.images.arrays import ARRAYS, Images
from stages.networks.cnn import Network
from stages.training import kept


def train(
    sweep: CnnSweep,
    width: int,
    seeds: Sequence[int],
    images: Images,
    device: torch.device,
    report: Report,
    keeping: kept.Kept = kept.NOWHERE,
) -> Trained[Network]:
    """Train `seeds` of one width; they see the same data from the same weights on any device.

    Raises:
        InputError: a replica does not fit the device's memory, or the images are of a shape that
            the network does not take.
    """
    images = images.for_cnn()
    if device.type == "cpu":
        from stages.cnn import one  # needs Numba, which a GPU does not

        return one.train(sweep, width, seeds, images, report, keeping)
    from stages.cnn import replicas  # needs Triton, which PyTorch brings where there is CUDA

    return replicas.train(sweep, width, seeds, images, device, report, keeping)


def train_widths(
    part: Part,
    name: str,
    sweep: CnnSweep,
    widths: Sequence[int],
    images: Images,
    device: torch.device,
) -> None:
    """Train every width into one part, in which the sweep is called `name`.

    Beside it go the weights of each width's seed 0, by names that begin with the width.

    Raises:
        InputError: a replica does not fit the device's memory.
    """
    rows: list[pd.DataFrame] = []
    weights: dict[str, Tensor] = {}
    runs = len(widths) * sweep.seeds
    total = runs * sweep.epochs
    with progress.Progress(part.stage, total, "run-epochs", part.stage, runs) as report:
        keeping = kept_of(part, images, device, report)
        for width in widths:
            trained = train(sweep, width, range(sweep.seeds), images, device, report, keeping)
            rows.append(trained.history.frame(name, partial(parameters, classes=images.classes)))
            state = trained.networks[width].state_dict()
            weights |= {f"{width}.{key}": tensor for key, tensor in state.items()}
    with files.aside(part.weights) as path:
        save_file(weights, path, metadata={"fingerprint": part.fingerprint})
    part.write(pd.concat(rows, ignore_index=True))
    keeping.remove()


def kept_of(
    part: Part, images: Images, device: torch.device, report: progress.Progress
) -> kept.Kept:
    """What is kept of a part's training on these images."""
    data = [getattr(images, name) for name in ARRAYS]
    return kept.of(part, device, report, ["images", "cnn", "classification", "networks"], data)
