"""Train a study: the network of Figure 6 by engines written by hand, any other by its module."""

import pandas as pd
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from stages.base import files, progress
from stages.base.params import BY_HAND, Study
from stages.base.parts import Part
from stages.classification import one, splits
from stages.classification.history import Report, Run, Trained
from stages.classification.modules import Kind
from stages.cnn import train as by_hand
from stages.images.arrays import Images
from stages.networks.cnn import Network
from stages.studies import branches
from stages.training import kept


def train(part: Part, name: str, study: Study, images: Images, device: torch.device) -> None:
    """Train every width and seed of a study, which is called `name`, into its part.

    Beside it go the weights of each width's seed 0, by names that begin with the width.

    Raises:
        InputError: the network is not what `stages.classification.modules` asks for, does not take
            the images, or does not fit the device's memory.
    """
    if study.network == BY_HAND:
        images = images.for_cnn()
    rows, columns, channels = images.shape
    kind = Kind(study.network, (channels, rows, columns), images.classes)
    kind.check(study.widths)
    training, widths = study.training, study.widths
    runs = len(widths) * training.seeds
    total = runs * training.epochs
    with progress.Progress(part.stage, total, "run-epochs", part.stage, runs) as report:
        keeping = by_hand.kept_of(part, images, device, report)
        found: list[Trained[Network]] | list[Trained[nn.Module]]
        if study.network == BY_HAND:
            seeds = range(training.seeds)
            found = [
                by_hand.train(training, n, seeds, images, device, report, keeping) for n in widths
            ]
        else:
            found = [_any(kind, study, images, device, report, keeping)]
    weights: dict[str, Tensor] = {}
    for trained in found:
        for width, network in trained.networks.items():
            weights |= {f"{width}.{key}": value for key, value in network.state_dict().items()}
    with files.aside(part.weights) as path:
        save_file(weights, path, metadata={"fingerprint": part.fingerprint})
    histories = [trained.history.frame(name, kind.parameters) for trained in found]
    part.write(pd.concat(histories, ignore_index=True))
    keeping.remove()


def _any(
    kind: Kind,
    study: Study,
    images: Images,
    device: torch.device,
    report: Report,
    keeping: kept.Kept,
) -> Trained[nn.Module]:
    """Train by the networks' own modules, all widths and seeds side by side."""
    training = study.training
    runs = [Run(width, seed) for width in study.widths for seed in range(training.seeds)]
    data = splits.data(training, images, device)
    rates = splits.rates(training, data)

    def initial(run: Run) -> nn.Module:
        return kind.initial(run.width, run.seed, training.initial_weights)

    if device.type == "cpu":
        logits = one.plainly(training)
        return one.train(training, runs, initial, logits, data, rates, report, keeping)
    return branches.train(training, runs, initial, data, rates, device, report, keeping)
