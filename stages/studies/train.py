"""Train a study: the CNN by hand where that can be, any other network by its module.

The engines of stages/cnn train the CNN of `stages.networks.cnn` on images of 32 x 32 x 3 with
certain labels, at a constant rate; `stages.training.one` and `stages.training.branches` whatever
else a study asks for.
"""

import pandas as pd
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from stages.base import errors, files, progress, workers
from stages.base.params import CnnSweep, Manifold, Study, StudyTraining
from stages.base.parts import Part
from stages.cnn.train import train
from stages.images import generated
from stages.images.arrays import IMAGE, Images
from stages.networks.cnn import Network
from stages.classification import one
from stages.studies import branches
from stages.training.adam import Adam
from stages.classification.history import Report, Run, Trained
from stages.classification.modules import Kind
from stages.classification.splits import Data, Split


def by_hand(study: Study, images: Images) -> bool:
    """Whether the engines written by hand can train it."""
    usual = StudyTraining(**study.training.model_dump(include={*CnnSweep.model_fields}))
    return (
        study.network == "cnn"
        and images.train_images.shape[1:] == IMAGE
        and study.training == usual
    )


def train_study(
    part: Part,
    name: str,
    study: Study,
    images: Images,
    made: Manifold | None,
    device: torch.device,
) -> None:
    """Train every width and seed of a study into its part.

    Beside it go the weights of each width's seed 0, by names that begin with the width.

    Args:
        made: what the images are generated from, if they are.

    Raises:
        InputError: the network is not what `stages.classification.modules` asks for, or does not fit the
            device's memory.
    """
    kind = Kind(study.network, images.shape, images.classes)
    kind.check(study.widths)
    training, widths = study.training, study.widths
    total = len(widths) * training.seeds * training.epochs
    with progress.Progress(part.stage, total, "run-epochs") as report:
        found: list[Trained[Network]] | list[Trained[nn.Module]]
        if by_hand(study, images):
            seeds = range(training.seeds)
            found = [train(training, width, seeds, images, device, report) for width in widths]
        else:
            found = [_any(kind, study, data(training, images, made), device, report)]
    rows = [trained.history.frame(name, kind.parameters) for trained in found]
    weights: dict[str, Tensor] = {}
    for trained in found:
        for width, network in trained.networks.items():
            weights |= {f"{width}.{key}": value for key, value in network.state_dict().items()}
    with files.aside(part.weights) as path:
        save_file(weights, path, metadata={"fingerprint": part.fingerprint})
    part.write(pd.concat(rows, ignore_index=True))


def _any(
    kind: Kind, study: Study, images: Data, device: torch.device, report: Report
) -> Trained[nn.Module]:
    """Train by the networks' own modules, all widths and seeds side by side."""
    training = study.training
    runs = [Run(width, seed) for width in study.widths for seed in range(training.seeds)]
    steps = training.epochs * -(-len(images.train) // training.batch_size)
    rates = Adam.of(training).rates(steps, falling=training.schedule == "linear")

    def initial(run: Run) -> nn.Module:
        return kind.initial(run.width, run.seed, training.initial_weights)

    if device.type == "cpu":
        logits = one.plainly(training)
        return one.train(training, runs, initial, logits, images, rates, report)
    return branches.train(training, runs, initial, images, rates, device, report)


def data(training: StudyTraining, images: Images, made: Manifold | None) -> Data:
    """What a study is trained and evaluated on.

    Raises:
        InputError: there are too many images, or what only generated ones have is asked for.
    """
    temperature = training.label_temperature
    if made is None:
        if temperature or training.fresh_images:
            raise errors.InputError(
                "label_temperature and fresh_images need generated images: those of others have "
                "certain labels and are as many as they are"
            )
        return Data(
            Split.of(images.train_images, images.train_labels),
            Split.of(images.test_images, images.test_labels),
        )
    trained, tested = generated.places(made)
    soft = generated.soft_label_of(made, temperature) if temperature else None

    def softened(places: generated.Places) -> generated.Probabilities | None:
        return generated.mapped(soft, places) if soft else None

    def fresh(epoch: int) -> Split:
        places = generated.fresh_places(made, epoch)
        picture, label = generated.picture_of(made), generated.label_of(made)
        with workers.threads() as apply:
            pixels = generated.mapped(picture, places, apply)
            return Split.of(pixels, generated.mapped(label, places), softened(places))

    return Data(
        Split.of(images.train_images, images.train_labels, softened(trained)),
        Split.of(images.test_images, images.test_labels, softened(tested)),
        fresh if training.fresh_images else None,
    )
