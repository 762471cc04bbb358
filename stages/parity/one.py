"""One replica on the CPU: how a CPU trains.

What makes it fast: a hidden layer whose sums are looked up, see `lookup`, and a gradient written
down rather than traced.

With z the contrast of the logits, odd against even, and y the label, the loss is
softplus(z) - y z, and its gradient by z is g = sigmoid(z) - y. Let m be 1 where a hidden unit is
above 0, and A = x^T (g m) the sum over the batch for each bit and task x. Then the gradient of the
hidden layer's weights V is A w, and the gradient of the output's weights w is the column sum of
A V, because the unit's activation is m (x V). One product yields both.
"""

from collections.abc import Generator
from threading import Event

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from stages.base.params import ParityConfiguration
from stages.parity import lookup
from stages.parity.draws import Draws, Samples
from stages.parity.history import History, Report
from stages.parity.network import Layers, flatten, initial
from stages.parity.plan import Family, Run
from stages.training import cpu, kept
from stages.training.adam import Adam

EVALUATED = 16384
"""Samples that are drawn at once for evaluation."""


class Replica:
    """One network in training on the CPU."""

    def __init__(self, configuration: ParityConfiguration, run: Run, start: Tensor) -> None:
        """`start` are the initial weights, (N,)."""
        self._c = c = configuration
        self._width = run.width
        self._draws = Draws(c, run.seed, run.samples)
        self.values = nn.Parameter(start)
        self.values.grad = torch.zeros_like(self.values)
        self._weights = Layers.of(self.values.detach(), c, run.width)
        self._gradient = Layers.of(self.values.grad, c, run.width)
        self.optimizer = Adam.of(c).optimizer([self.values])

    @torch.no_grad()
    def train(self, step: int) -> None:
        """Train on the batch that follows `step` steps."""
        self._differentiate(self._draws.batch(step))
        self.optimizer.step()

    def _contrasts(self, rows: lookup.Words) -> tuple[Tensor, lookup.Words]:
        """The contrast of each sample, and which hidden units are above 0."""
        weights = self._weights
        output, output_bias = weights.contrast()
        layers = (weights.tasks, weights.bits, weights.bias, output)
        contrasts, active = lookup.forward(rows, *(layer.numpy() for layer in layers))
        return torch.from_numpy(contrasts).add_(output_bias), active

    def _differentiate(self, samples: Samples) -> None:
        """Set the gradient to that of the samples' mean loss."""
        c, weights, gradient = self._c, self._weights, self._gradient
        rows = lookup.rows(samples, c.bits)
        contrast, active = self._contrasts(rows)
        slope = contrast.sigmoid_().sub_(torch.from_numpy(samples.label)).div_(len(rows))
        sums = gradient.tasks.numpy(), gradient.bits.numpy()
        lookup.backward(rows, slope.numpy(), active, *sums)
        slopes = (weights.bits * gradient.bits).sum(0)
        slopes += ((weights.tasks + weights.bias) * gradient.tasks).sum(0)
        output, _ = weights.contrast()
        gradient.bits.mul_(output)
        gradient.tasks.mul_(output)
        torch.sum(gradient.tasks, 0, out=gradient.bias)
        bias = slope.sum()
        gradient.output[-1], gradient.output_bias[-1] = slopes, bias
        if c.logits == 2:
            gradient.output[0], gradient.output_bias[0] = -slopes, -bias

    @torch.no_grad()
    def evaluate(self, step: int) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """Loss (nats) and accuracy of each task after `step` steps, (tasks,) each."""
        size = self._c.evaluation_samples
        at_once = max(1, EVALUATED // size)
        losses, accuracies = [], []
        for first in range(0, self._c.tasks, at_once):
            chosen = np.arange(first, min(first + at_once, self._c.tasks))
            samples = self._draws.evaluation(chosen, size, step)
            contrast, _ = self._contrasts(lookup.rows(samples, self._c.bits))
            labels = torch.from_numpy(samples.label.astype(np.float32))
            loss = F.binary_cross_entropy_with_logits(contrast, labels, reduction="none")
            losses.append(loss.view(-1, size).mean(1))
            correct = (contrast > 0) == (labels > 0)
            accuracies.append(correct.view(-1, size).float().mean(1))
        return torch.cat(losses).numpy(), torch.cat(accuracies).numpy()


def train(
    configuration: ParityConfiguration,
    family: Family,
    report: Report,
    keeping: kept.Kept = kept.NOWHERE,
) -> History:
    """Train each run of a family on one core, as many at once as there are cores."""
    history = History(configuration, family)
    # here, not on the threads: PyTorch has one generator of initial weights per process
    starts = [flatten(initial(configuration, run.width, run.seed)) for run in family.runs]

    def turns(row: int) -> Generator[None, None, None]:
        replica = Replica(configuration, family.runs[row], starts[row])
        here, every = slice(row, row + 1), family.evaluate_every
        kept_run = keeping.run(
            f"{family.kind}-{row}",
            [*replica.optimizer.state, *history.state(here)],
            len(family.evaluated),
            every,
        )
        for evaluation in range(kept_run.done, len(family.evaluated)):
            end = family.evaluated[evaluation]
            for step in range(end - every, end):
                replica.train(step)
                yield
            losses, accuracies = replica.evaluate(end)
            history.record(here, evaluation, losses[None, None], accuracies[None, None])
            report(every, float(history.mean_losses[row, evaluation]))
            kept_run.keep(evaluation + 1)

    cpu.side_by_side(turns, len(starts), Event())
    return history
