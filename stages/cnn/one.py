"""One replica on the CPU: how a CPU trains.

Replicas run side by side on threads, one core each, so that a replica computes the same on any
number of cores. What makes it fast: images resident as uint8, `layers`, channels last, pooling
before the ReLU, and memory that the allocator keeps.
"""

from collections.abc import Generator, Sequence
from threading import Event

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from stages.base.params import CnnSweep
from stages.cnn import draws, layers
from stages.cnn.history import History, Pair, Report, Trained
from stages.cnn.network import Network, initial
from stages.images.arrays import CLASSES, Images
from stages.training import cpu, kept
from stages.training.adam import Adam


class Replica:
    """One network in training on the CPU."""

    def __init__(self, sweep: CnnSweep, width: int, seed: int, classes: int = CLASSES) -> None:
        network = initial(width, seed, classes, sweep.initial_weights)
        self.network = network.to(memory_format=torch.channels_last)
        self.optimizer = Adam.of(sweep).optimizer(self.network.parameters())
        self._low, high = sweep.input_range
        self._scale = (high - self._low) / 255
        self._batch = sweep.batch_size

    def _evaluated(self, pixels: Tensor, labels: Tensor, packed: draws.Draws) -> tuple[Tensor, int]:
        images = layers.drawn(pixels, packed, self._scale, self._low)
        logits = layers.logits(self.network, images)
        target = labels[torch.from_numpy(packed & (draws.MAX_IMAGES - 1)).long()]
        return F.cross_entropy(logits, target), int((logits.argmax(1) == target).sum())

    def epoch(
        self, pixels: Tensor, labels: Tensor, order: draws.Draws, *, train: bool, stop: Event
    ) -> tuple[float, float]:
        """Go through the images in `order`; loss (nats) and accuracy.

        In training these are means over the batches, each counting equally; else over the images.
        """
        losses, accuracies, sizes = [], [], []
        with torch.set_grad_enabled(train):
            for start in range(0, len(order), self._batch):
                if stop.is_set():
                    raise InterruptedError
                batch = order[start : start + self._batch]
                loss, correct = self._evaluated(pixels, labels, batch)
                if train:
                    loss.backward()
                    self.optimizer.step()
                    self.optimizer.zero_grad()
                losses.append(loss.item())
                accuracies.append(correct / len(batch))
                sizes.append(1 if train else len(batch))
        return float(np.average(losses, weights=sizes)), float(
            np.average(accuracies, weights=sizes)
        )


def train(
    sweep: CnnSweep,
    width: int,
    seeds: Sequence[int],
    images: Images,
    report: Report,
    keeping: kept.Kept = kept.NOWHERE,
) -> Trained:
    """Train each seed on one core, as many at once as there are cores."""
    train_pixels, train_labels = _tensors(images.train_images, images.train_labels)
    test_pixels, test_labels = _tensors(images.test_images, images.test_labels)
    history = History(seeds, sweep.epochs, images.classes)
    stop = Event()
    # here, not on the threads: PyTorch has one generator of initial weights per process
    replicas = [Replica(sweep, width, seed, images.classes) for seed in seeds]

    def run(row: int) -> Generator[None, None, Network]:
        seed, replica = seeds[row], replicas[row]
        kept_run = keeping.run(
            f"{width}-{seed}", [*replica.optimizer.state, *history.state(row)], sweep.epochs
        )
        for epoch in range(kept_run.done + 1, sweep.epochs + 1):
            order = draws.shuffled(len(train_pixels), seed, epoch, sweep.augment)
            training = replica.epoch(train_pixels, train_labels, order, train=True, stop=stop)
            found: dict[str, Pair] = {"training": training}
            if sweep.evaluate_training:
                order = draws.in_order(len(train_pixels))
                found["evaluation"] = replica.epoch(
                    train_pixels, train_labels, order, train=False, stop=stop
                )
            order = draws.validation(len(test_pixels), seed, epoch, sweep.augment_validation)
            found["validation"] = replica.epoch(
                test_pixels, test_labels, order, train=False, stop=stop
            )
            history.record(row, epoch, found)
            report(1, training[0])
            kept_run.keep(epoch)
            yield
        return replica.network.to(memory_format=torch.contiguous_format)

    networks = cpu.side_by_side(run, len(seeds), stop)
    return Trained(history, networks[0])


def _tensors(images: np.ndarray, labels: np.ndarray) -> tuple[Tensor, Tensor]:
    return torch.from_numpy(np.array(images)), torch.from_numpy(labels.astype(np.int64))
