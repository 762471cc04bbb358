"""One replica on the CPU: how a CPU trains.

What makes it fast: no product with the one-hot task, whose row of weights is looked up; for the
bits, sums of weights looked up a byte at a time; a hidden layer that never leaves the cache,
a few hundred samples of one task at a time; and a gradient written down rather than traced.

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

from stages.params import ParityConfiguration, ParityFamily, ParityRun
from stages.parity.draws import Draws, Samples
from stages.parity.history import History, Report
from stages.parity.network import Layers, flatten, initial
from stages.training import cpu
from stages.training.adam import Adam

ROWS = 768
"""Samples whose hidden layer is computed at once: 0.6 MB at width 200."""
EVALUATED = 16384
"""Samples that are drawn at once for evaluation."""
_BYTES = torch.from_numpy(
    np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1, bitorder="little")
).float()


class Replica:
    """One network in training on the CPU."""

    def __init__(self, configuration: ParityConfiguration, run: ParityRun, start: Tensor) -> None:
        """`start` are the initial weights, (N,)."""
        self._c = c = configuration
        self._width = run.width
        self._draws = Draws(c, run.seed, run.samples)
        self.values = nn.Parameter(start)
        self.values.grad = torch.zeros_like(self.values)
        self._weights = Layers.of(self.values.detach(), c, run.width)
        self._gradient = Layers.of(self.values.grad, c, run.width)
        self._optimizer = Adam.of(c).optimizer([self.values])
        self._groups = -(-c.bits // 8)
        self._padded = torch.zeros(8 * self._groups, run.width)
        self._sums = torch.empty(256 * self._groups + c.tasks, run.width)
        self._tabulate()

    def _tabulate(self) -> None:
        """Tabulate what each byte of the bits adds to the hidden layer, and each task, with bias.

        (256 * bytes + tasks, width).
        """
        c, weights = self._c, self._weights
        self._padded[: c.bits] = weights.bits
        of_bytes, of_tasks = self._sums.split([256 * self._groups, c.tasks])
        of_bytes = of_bytes.view(self._groups, 256, self._width)
        torch.matmul(_BYTES, self._padded.view(self._groups, 8, self._width), out=of_bytes)
        torch.add(weights.tasks, weights.bias, out=of_tasks)

    def _rows(self, samples: Samples) -> Tensor:
        """Which rows of the table a sample's hidden layer is the sum of: (n, bytes + 1)."""
        rows = np.empty((len(samples.task), self._groups + 1), np.int32)
        firsts = 256 * np.arange(self._groups, dtype=np.int32)
        np.add(samples.words.view(np.uint8)[:, : self._groups], firsts, out=rows[:, :-1])
        rows[:, -1] = 256 * self._groups + samples.task
        return torch.from_numpy(rows)

    def _hidden(self, rows: Tensor) -> Tensor:
        return F.embedding_bag(rows, self._sums, mode="sum").clamp_(min=0)

    @torch.no_grad()
    def train(self, step: int) -> None:
        """Train on the batch that follows `step` steps."""
        self._differentiate(self._draws.batch(step))
        self._optimizer.step()
        self._tabulate()

    def _differentiate(self, samples: Samples) -> None:
        """Set the gradient to that of the samples' mean loss."""
        c, weights, gradient = self._c, self._weights, self._gradient
        size = len(samples.task)
        rows = self._rows(samples)
        labels = torch.from_numpy(samples.label.astype(np.float32))
        packed = samples.words.view(np.uint8)
        inputs = torch.ones(size, c.bits + 1)  # the last is the task's
        inputs[:, :-1] = torch.from_numpy(
            np.unpackbits(packed, axis=1, count=c.bits, bitorder="little")
        )
        output, output_bias = weights.contrast()
        sums = torch.zeros(c.bits + 1, self._width)
        bias = torch.zeros(())
        ends = np.cumsum(np.bincount(samples.task, minlength=c.tasks))
        start = 0
        for task, end in enumerate(ends.tolist()):
            sums[-1] = 0
            for first in range(start, end, ROWS):
                chunk = slice(first, min(first + ROWS, end))
                hidden = self._hidden(rows[chunk])
                contrast = torch.mv(hidden, output).add_(output_bias)
                slope = contrast.sigmoid_().sub_(labels[chunk]).div_(size)
                bias += slope.sum()
                sums.addmm_(inputs[chunk].mul_(slope[:, None]).T, hidden.sign_())
            gradient.tasks[task] = sums[-1]
            start = end
        gradient.bits.copy_(sums[:-1])
        slopes = (weights.bits * gradient.bits).sum(0)
        slopes += ((weights.tasks + weights.bias) * gradient.tasks).sum(0)
        gradient.bits.mul_(output)
        gradient.tasks.mul_(output)
        torch.sum(gradient.tasks, 0, out=gradient.bias)
        gradient.output[-1], gradient.output_bias[-1] = slopes, bias
        if c.logits == 2:
            gradient.output[0], gradient.output_bias[0] = -slopes, -bias

    @torch.no_grad()
    def evaluate(self, step: int) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """Loss (nats) and accuracy of each task after `step` steps, (tasks,) each."""
        size = self._c.evaluation_samples
        at_once = max(1, EVALUATED // size)
        output, output_bias = self._weights.contrast()
        losses, accuracies = [], []
        for first in range(0, self._c.tasks, at_once):
            chosen = np.arange(first, min(first + at_once, self._c.tasks))
            samples = self._draws.evaluation(chosen, size, step)
            hidden = map(self._hidden, self._rows(samples).split(ROWS))
            contrast = torch.cat([torch.mv(h, output) for h in hidden]).add_(output_bias)
            labels = torch.from_numpy(samples.label.astype(np.float32))
            loss = F.binary_cross_entropy_with_logits(contrast, labels, reduction="none")
            losses.append(loss.view(-1, size).mean(1))
            correct = (contrast > 0) == (labels > 0)
            accuracies.append(correct.view(-1, size).float().mean(1))
        return torch.cat(losses).numpy(), torch.cat(accuracies).numpy()


def train(configuration: ParityConfiguration, family: ParityFamily, report: Report) -> History:
    """Train each run of a family on one core, as many at once as there are cores."""
    history = History(configuration, family)
    # here, not on the threads: PyTorch has one generator of initial weights per process
    starts = [flatten(initial(configuration, run.width, run.seed)) for run in family.runs]

    def turns(row: int) -> Generator[None, None, None]:
        replica = Replica(configuration, family.runs[row], starts[row])
        for evaluation, end in enumerate(family.evaluated):
            for step in range(end - family.evaluate_every, end):
                replica.train(step)
                yield
            losses, accuracies = replica.evaluate(end)
            history.record(
                slice(row, row + 1), evaluation, losses[None, None], accuracies[None, None]
            )
            report(family.evaluate_every, float(history.mean_losses[row, evaluation]))

    cpu.side_by_side(turns, len(starts), Event())
    return history
