"""One network on the CPU: how a CPU trains.

Networks train side by side on threads, one core each, so that a network computes the same on any
number of cores. What makes it fast: images resident as bytes, channels last, and memory that the
allocator keeps.
"""

from collections.abc import Callable, Generator, Sequence
from functools import lru_cache
from threading import Event, Lock
from typing import Generic

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from stages.base.params import CnnSweep
from stages.classification import draws
from stages.classification.history import History, N, Pair, Report, Run, Tensors, Trained
from stages.classification.splits import Data, Split, mean_loss
from stages.training import cpu, kept
from stages.training.adam import Adam

Logits = Callable[[N, Split, draws.Draws], Tensor]
"""The logits (n, classes) that a network gives images as drawn."""


class Replica(Generic[N]):
    """One network in training on the CPU.

    Args:
        network: its initial weights.
        logits: how it is computed.
        rates: the learning rate of each step.
    """

    def __init__(
        self, network: N, logits: Logits[N], sweep: CnnSweep, rates: npt.NDArray[np.float64]
    ) -> None:
        self.network = network.to(memory_format=torch.channels_last)
        self._logits, self._batch = logits, sweep.batch_size
        parameters = [p for p in self.network.parameters() if p.requires_grad]
        self.optimizer = Adam.of(sweep).optimizer(parameters)
        self._rates = rates.tolist()

    @property
    def state(self) -> list[Tensor]:
        """All that the next epoch depends on."""
        return [*self.optimizer.state, *self.network.buffers()]

    def epoch(
        self, split: Split, order: draws.Draws, *, train: bool, stop: Event
    ) -> tuple[float, float]:
        """Go through the images in `order`; loss (nats) and accuracy.

        In training these are means over the batches, each counting equally; else over the images.
        """
        losses, accuracies, sizes = [], [], []
        self.network.train(train)
        with torch.set_grad_enabled(train):
            for start in range(0, len(order), self._batch):
                if stop.is_set():
                    raise InterruptedError
                batch = order[start : start + self._batch]
                labels, soft = split.target(torch.from_numpy(batch).long())
                logits = self._logits(self.network, split, batch)
                loss = mean_loss(logits, labels, soft)
                if train:
                    loss.backward()
                    self.optimizer.step(self._rates[self.optimizer.taken])
                    self.optimizer.zero_grad()
                losses.append(loss.item())
                accuracies.append(int((logits.argmax(1) == labels).sum()) / len(batch))
                sizes.append(1 if train else len(batch))
        return float(np.average(losses, weights=sizes)), float(
            np.average(accuracies, weights=sizes)
        )


def train(
    sweep: CnnSweep,
    runs: Sequence[Run],
    initial: Callable[[Run], N],
    logits: Logits[N],
    data: Data,
    rates: npt.NDArray[np.float64],
    report: Report,
    keeping: kept.Kept = kept.NOWHERE,
) -> Trained[N]:
    """Train each run on one core, as many at once as there are cores.

    Args:
        initial: the network that a run starts from.
        logits: how a network is computed.
        rates: the learning rate of each step.
        keeping: where what is trained so far is kept.
    """
    history = History(runs, sweep.epochs)
    stop = Event()
    # here, not on the threads: PyTorch has one generator of initial weights per process
    replicas = [Replica(initial(run), logits, sweep, rates) for run in runs]
    best = best_weights(sweep, runs, [replica.network for replica in replicas])
    images = _of_epoch(data)

    def trained(row: int) -> Generator[None, None, N]:
        (width, seed), replica = runs[row], replicas[row]
        state: list[kept.Array] = [*replica.state, *history.state(row)]
        state += best.get(row, {}).values()
        kept_run = keeping.run(f"{width}-{seed}", state, sweep.epochs)
        for epoch in range(kept_run.done + 1, sweep.epochs + 1):
            seen = images(epoch)
            order = draws.shuffled(len(seen), seed, epoch, sweep.augment)
            training = replica.epoch(seen, order, train=True, stop=stop)
            found: dict[str, Pair] = {"training": training}
            if sweep.evaluate_training:
                order = draws.in_order(len(seen))
                found["evaluation"] = replica.epoch(seen, order, train=False, stop=stop)
            order = draws.validation(len(data.validation), seed, epoch, sweep.augment_validation)
            found["validation"] = replica.epoch(data.validation, order, train=False, stop=stop)
            history.record(row, epoch, found)
            if row in best and history.improved([row], epoch).item():
                take(best[row], replica.network)
            report(1, training[0])
            kept_run.keep(epoch)
            yield
        return replica.network.to(memory_format=torch.contiguous_format)

    networks = cpu.side_by_side(trained, len(runs), stop)
    return Trained.of(history, dict(enumerate(networks)), best, sweep.weights_seeds)


def best_weights(
    sweep: CnnSweep, runs: Sequence[Run], networks: Sequence[nn.Module]
) -> dict[int, Tensors]:
    """Room for the weights at the best epoch, by the rows of the runs of which these are kept."""
    return {
        row: {name: t.clone() for name, t in networks[row].state_dict().items()}
        for row, run in enumerate(runs)
        if sweep.best_weights and run.seed < sweep.weights_seeds
    }


def take(weights: Tensors, network: nn.Module) -> None:
    """Set weights, in place, to those that a network has."""
    for name, t in network.state_dict().items():
        weights[name].copy_(t)


def plainly(sweep: CnnSweep) -> Logits[nn.Module]:
    """The logits of any network, by its own `forward`."""
    low, high = sweep.input_range
    scale, moved = (high - low) / 255, sweep.augment or sweep.augment_validation

    def logits(network: nn.Module, split: Split, packed: draws.Draws) -> Tensor:
        images = split.drawn(torch.from_numpy(packed).long(), scale, low, moved=moved)
        result: Tensor = network(images)
        return result

    return logits


def _of_epoch(data: Data) -> Callable[[int], Split]:
    """The training images of an epoch; those of the last two are kept, for runs that lag."""
    if data.fresh is None:
        return lambda epoch: data.train
    kept, lock = lru_cache(2)(data.fresh), Lock()

    def made(epoch: int) -> Split:
        with lock:  # made once, whichever run asks first
            return kept(epoch)

    return made
