"""Train a study: the network of Figure 6 by engines written by hand, any other by its module."""

from collections.abc import Mapping
from dataclasses import replace

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

Found = list[Trained[Network]] | list[Trained[nn.Module]]


def train(part: Part, name: str, study: Study, images: Images, device: torch.device) -> None:
    """Train every width and seed of a study, which is called `name`, into its part.

    Beside it go the weights of each width, by names in which the width comes before a tensor's own.

    Raises:
        InputError: the network is not what `stages.classification.modules` asks for, does not take
            the images, or does not fit the device's memory.
    """
    found, frame, keeping = _trained(part, name, study, images, device)
    weights: dict[str, Tensor] = {}
    for trained in found:
        for width in trained.networks:
            weights |= trained.tensors(width, f"{width}.")
    with files.aside(part.weights) as path:
        save_file(weights, path, metadata={"fingerprint": part.fingerprint})
    part.write(frame)
    keeping.remove()


def train_changed(
    part: Part, changed: Mapping[str, Study], images: Images, device: torch.device
) -> None:
    """Train a study with each change of its training, likewise, into one part without weights."""
    frames, keepings = [], []
    for name, study in changed.items():  # each is kept until all are trained
        one_of_them = replace(
            part,
            stage=f"{part.stage}-{name}",
            configuration=part.configuration | {"change": name},
        )
        _, frame, keeping = _trained(one_of_them, name, study, images, device)
        frames.append(frame)
        keepings.append(keeping)
    part.write(pd.concat(frames, ignore_index=True))
    for keeping in keepings:
        keeping.remove()


def _trained(
    part: Part, name: str, study: Study, images: Images, device: torch.device
) -> tuple[Found, pd.DataFrame, kept.Kept]:
    """The networks of a study, its rows, and what is kept of it until its part is written."""
    if study.network == BY_HAND:
        images = images.for_cnn()
    rows, columns, channels = images.shape
    kind = Kind(study.network, (channels, rows, columns), images.classes)
    kind.check(study.widths, len(images.train_images) % study.training.batch_size or 2)
    training, widths = study.training, study.widths
    runs = len(widths) * training.seeds
    total = runs * training.epochs
    with progress.Progress(part.stage, total, "run-epochs", part.stage, runs) as report:
        keeping = by_hand.kept_of(part, images, device, report)
        found: Found
        if study.network == BY_HAND:
            seeds = range(training.seeds)
            found = [
                by_hand.train(training, n, seeds, images, device, report, keeping) for n in widths
            ]
        else:
            found = [by_module(kind, study, images, device, report, keeping)]
    histories = [trained.history.frame(name, kind.parameters) for trained in found]
    return found, pd.concat(histories, ignore_index=True), keeping


def by_module(
    kind: Kind,
    study: Study,
    images: Images,
    device: torch.device,
    report: Report,
    keeping: kept.Kept = kept.NOWHERE,
) -> Trained[nn.Module]:
    """Train by the networks' own modules, all widths and seeds side by side.

    Raises:
        InputError: one does not fit the device's memory, or its kernels sum in no fixed order.
    """
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
