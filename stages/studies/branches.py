"""Networks of any kind and width side by side on a GPU: a step of all of them is one graph.

Each network is a branch of the graph: its own kernels in its own order, the branches beside each
other on a few streams. What all share (drawing the images, the losses' record, Adam) is a few
kernels for all. So no network's result depends on those beside it, to the bit; widths and seeds mix
freely; and batch statistics, being a module's own buffers, are as in any loop. Stacking the
parameters (`torch.func`) would need fewer kernels, and turns convolutions into grouped ones, whose
algorithm, and with it the rounding, depends on how many networks there are.

Kernels that sum in no fixed order are refused, so that training twice gives the same bytes.
"""

import os
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import compress
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from stages.base.errors import InputError
from stages.base.params import CnnSweep
from stages.classification import draws
from stages.classification.history import METRICS, History, Report, Run, Tensors, Trained
from stages.classification.one import best_weights, take
from stages.classification.splits import Data, Split, mean_loss
from stages.training import device as devices
from stages.training import kept
from stages.training.adam import Adam

BRANCHES = 16
"""Streams, so networks whose kernels run at the same time."""
EVALUATED = 500
"""Images at a time where nothing is learned."""
ORDERED = ("max_pool2d",)
"""Kernels that PyTorch does not call deterministic, and that are where windows do not overlap."""


FEW = 16
"""Channels up to which the channels last are the faster layout, whatever their number."""


def memory_format(network: nn.Module) -> torch.memory_format:
    """The layout of a network's weights, and of what flows through it, that is faster on a GPU.

    Channels last, but for a network of many channels that are not all in fours, which cuDNN reads
    as words: LOG.md has the times.
    """
    channels = [each.out_channels for each in network.modules() if isinstance(each, nn.Conv2d)]
    in_fours = all(count % 4 == 0 for count in channels)
    return torch.channels_last if in_fours or max(channels) <= FEW else torch.contiguous_format


class Pass:
    """An epoch over some images for R networks: its draws, its counter, its results by step."""

    def __init__(self, split: Split, batch: int, replicas: int, *, moved: bool) -> None:
        device = split.pixels.device
        self.split, self.moved = split, moved
        count = len(split)
        self.sizes = [batch] * (count // batch) + [count % batch] * (count % batch > 0)
        steps = len(self.sizes)
        self.draws = torch.zeros(steps, replicas, batch, dtype=torch.int32, device=device)
        self.step = torch.zeros(1, dtype=torch.int64, device=device)
        self._rows = torch.arange(steps, device=device)[:, None]
        self._losses, self._correct = torch.zeros(2, steps, replicas, device=device)

    def begin(self, orders: Sequence[draws.Draws]) -> None:
        """Set each network's draws, and start over."""
        steps, replicas, batch = self.draws.shape
        padded = np.zeros((replicas, steps * batch), np.int32)
        padded[:, : len(self.split)] = orders
        values = torch.from_numpy(padded.reshape(replicas, steps, batch).swapaxes(0, 1).copy())
        self.draws.copy_(values)
        self.step.zero_()

    def batch(self, size: int) -> Tensor:
        """The draws of the present step: int64 (R, size)."""
        return self.draws.index_select(0, self.step)[0, :, :size].long()

    def record(self, losses: Sequence[Tensor], correct: Sequence[Tensor]) -> None:
        """Keep a step's mean loss and hits of each network, and count the step."""
        for record, values in ((self._losses, losses), (self._correct, correct)):
            here = self._rows == self.step
            new = torch.stack(list(values)).to(record.dtype)
            record.copy_(torch.where(here, new, record))
        self.step += 1

    def means(self, *, over_batches: bool) -> tuple[np.ndarray, np.ndarray]:
        """Loss (nats) and accuracy, (R,) each: over batches, each counting equally, or images."""
        losses, correct = (
            v.cpu().numpy().astype(np.float64) for v in (self._losses, self._correct)
        )
        sizes = np.array(self.sizes, np.float64)
        weights = np.ones(len(sizes)) if over_batches else sizes
        return np.average(losses, axis=0, weights=weights), np.average(
            correct / sizes[:, None], axis=0, weights=weights
        )


class Ensemble:
    """Networks in training, and the captured steps that advance all of them.

    Raises:
        InputError: a network's kernels sum in no fixed order.
    """

    def __init__(
        self,
        networks: Sequence[nn.Module],
        sweep: CnnSweep,
        data: Data,
        rates: npt.NDArray[np.float64],
        device: torch.device,
    ) -> None:
        self._device = device
        self.networks = [
            network.to(device).to(memory_format=memory_format(network)) for network in networks
        ]
        self._parameters = [
            [p for p in network.parameters() if p.requires_grad] for network in self.networks
        ]
        self._optimizer = Adam.of(sweep).optimizer([p for of in self._parameters for p in of])
        self._rates = torch.tensor(rates, dtype=torch.float32, device=device)
        self._done = torch.zeros(1, dtype=torch.int64, device=device)
        self._low, high = sweep.input_range
        self._scale = (high - self._low) / 255
        self._branches = [devices.Branch(device) for _ in range(min(BRANCHES, len(networks)))]
        moved = {"training": sweep.augment, "validation": sweep.augment_validation}
        splits = {"training": data.train, "validation": data.validation}
        if sweep.evaluate_training:
            splits["evaluation"] = data.train
        self.passes = {
            name: Pass(
                splits[name],
                sweep.batch_size if name == "training" else min(EVALUATED, len(splits[name])),
                len(networks),
                moved=moved.get(name, False),
            )
            for name in METRICS
            if name in splits
        }
        start = [{n: t.clone() for n, t in each.state_dict().items()} for each in self.networks]
        self._steps = {
            (name, size): self._captured(name, size)
            for name, each in self.passes.items()
            for size in dict.fromkeys(each.sizes)
        }
        for network, state in zip(self.networks, start, strict=True):
            network.load_state_dict(state)  # in place: the graphs know the addresses
        self._optimizer.reset()
        self._done.zero_()

    @property
    def state(self) -> list[Tensor]:
        """All that the next epoch depends on."""
        buffers = [buffer for network in self.networks for buffer in network.buffers()]
        return [*self._optimizer.state, self._done, *buffers]

    def epoch(self, orders: Mapping[str, Sequence[draws.Draws]]) -> None:
        """Train for an epoch, then evaluate."""
        for name, each in self.passes.items():
            each.begin(orders[name])
            for size in each.sizes:
                self._steps[name, size]()

    def _captured(self, name: str, size: int) -> Callable[[], None]:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            step = devices.captured(
                partial(self._step, self.passes[name], size, name == "training"), self._device
            )
        for warning in caught:
            said = str(warning.message)
            if "deterministic" in said and not said.startswith(ORDERED):
                raise InputError(f"a network's kernels sum in no fixed order: {said.split('.')[0]}")
        return step

    def _step(self, each: Pass, size: int, train: bool) -> None:
        packed = each.batch(size)
        images = each.split.drawn(packed, self._scale, self._low, moved=each.moved)
        labels, soft = each.split.target(packed)
        losses: list[Tensor] = []
        correct: list[Tensor] = []
        gradients: list[Tensor] = []
        for i, network in enumerate(self.networks):
            with self._branches[i % len(self._branches)](), torch.set_grad_enabled(train):
                logits = network.train(train)(images[i])
                loss = mean_loss(logits, labels[i], None if soft is None else soft[i])
                if train:
                    gradients += torch.autograd.grad(loss, self._parameters[i])
                losses.append(loss.detach())
                correct.append((logits.detach().argmax(1) == labels[i]).sum())
        for branch in self._branches:
            branch.join()
        if train:
            self._optimizer.step(self._rates.index_select(0, self._done)[0], gradients)
            self._done += 1
        each.record(losses, correct)


def train(
    sweep: CnnSweep,
    runs: Sequence[Run],
    initial: Callable[[Run], nn.Module],
    data: Data,
    rates: npt.NDArray[np.float64],
    device: torch.device,
    report: Report,
    keeping: kept.Kept = kept.NOWHERE,
) -> Trained[nn.Module]:
    """Train the runs side by side, in groups that fit the device's memory.

    Args:
        initial: the network that a run starts from.
        rates: the learning rate of each step.
        keeping: where what is trained so far is kept.

    Raises:
        InputError: not even one network fits the device, or one cannot be trained reproducibly.
    """
    history = History(runs, sweep.epochs)
    networks: list[nn.Module] = []
    best: dict[int, Tensors] = {}
    with _reproducible(sweep.precision == "tf32"):
        there = Data(data.train.to(device), data.validation.to(device), data.fresh)

        def build(some: Sequence[Run]) -> Ensemble:
            return Ensemble([initial(run) for run in some], sweep, there, rates, device)

        sizes = [len(runs)]
        if device.type == "cuda":
            widest = max(runs, key=lambda run: run.width)
            what = f"width {widest.width}, batch {sweep.batch_size}"
            sizes = devices.groups(len(runs), lambda count: build([widest] * count), what)
        at = 0
        for size in sizes:
            rows = slice(at, at + size)
            ensemble = build(runs[rows])
            seeds = [run.seed for run in runs[rows]]
            here = best_weights(sweep, runs[rows], ensemble.networks)
            state: list[kept.Array] = [*ensemble.state, *history.state(rows)]
            state += [t for weights in here.values() for t in weights.values()]
            name = "-".join(map(str, (*runs[at], size)))
            kept_run = keeping.run(name, state, sweep.epochs, size)
            for epoch in range(kept_run.done + 1, sweep.epochs + 1):
                if data.fresh is not None:
                    there.train.set(data.fresh(epoch))
                ensemble.epoch(_orders(ensemble, sweep, seeds, epoch))
                found = {
                    name: each.means(over_batches=name == "training")
                    for name, each in ensemble.passes.items()
                }
                history.record(rows, epoch, found)
                better = history.improved([at + i for i in here], epoch)
                for i in compress(here, better):
                    take(here[i], ensemble.networks[i])
                report(size, float(found["training"][0].mean()))
                kept_run.keep(epoch)
            networks += [network.cpu() for network in ensemble.networks]
            best |= {at + i: {n: t.cpu() for n, t in here[i].items()} for i in here}
            at += size
            del ensemble  # before the next group takes its memory
    contiguous = [n.to(memory_format=torch.contiguous_format) for n in networks]
    return Trained.of(history, dict(enumerate(contiguous)), best, sweep.weights_seeds)


def _orders(
    ensemble: Ensemble, sweep: CnnSweep, seeds: Sequence[int], epoch: int
) -> dict[str, list[draws.Draws]]:
    """The draws of an epoch, of each network, by pass."""
    of: dict[str, Callable[[int, int], draws.Draws]] = {
        "training": lambda n, seed: draws.shuffled(n, seed, epoch, sweep.augment),
        "evaluation": lambda n, seed: draws.in_order(n),
        "validation": lambda n, seed: draws.validation(n, seed, epoch, sweep.augment_validation),
    }
    return {
        name: [of[name](len(each.split), seed) for seed in seeds]
        for name, each in ensemble.passes.items()
    }


@contextmanager
def _reproducible(tf32: bool) -> Iterator[None]:
    """Kernels whose sums have one order, in TF32 or float32."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # else products may differ
    cudnn, products = torch.backends.cudnn, torch.backends.cuda.matmul
    memory: Any = torch.utils.deterministic
    before = cudnn.allow_tf32, products.allow_tf32, torch.are_deterministic_algorithms_enabled()
    filled = memory.fill_uninitialized_memory
    cudnn.allow_tf32 = products.allow_tf32 = tf32
    torch.use_deterministic_algorithms(True, warn_only=True)
    memory.fill_uninitialized_memory = False
    try:
        yield
    finally:
        cudnn.allow_tf32, products.allow_tf32 = before[:2]
        torch.use_deterministic_algorithms(before[2])
        memory.fill_uninitialized_memory = filled
