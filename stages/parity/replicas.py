"""Replicas of one configuration, trained side by side on a GPU: a step of all is one graph.

The counterpart of stages/parity/one.py, which trains one replica on the CPU.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import triton
from torch import Tensor

from stages.params import ParityConfiguration
from stages.parity import kernels, tasks
from stages.parity.history import History, Report
from stages.parity.network import flatten, initial
from stages.training import device as devices
from stages.training.adam import Adam
from stages.training.kernels import Layer, Weights

TILE = 64
"""Slots that are worked on at once."""
UNITS = 64
"""Hidden units that a program owns."""
SHARES, EVALUATION_SHARES = 32, 64
"""Programs among which the tiles of a batch, and of an evaluation, are shared out."""
COUNT_BLOCK, SLOPE_BLOCK, SCORE_BLOCK = 256, 256, 256
SUM_ROWS, SUM_UNITS = 16, 128
"""How the other kernels tile their work; what each counts is in its name."""
WARPS_STAGES = {"forward": (8, 3), "backward": (8, 3)}
"""Warps of a program and stages of its pipeline; the other kernels have 4 and 3."""
REPORTS = 100
"""How often a run reports: each time the host waits for the device."""


class Slots:
    """Samples of R replicas as they are laid out for the kernels."""

    def __init__(self, replicas: int, slots: int, words: int, blocks: int, device: torch.device):
        def buffer(*size: int, dtype: torch.dtype) -> Tensor:
            return torch.zeros(replicas, *size, dtype=dtype, device=device)

        self.count = slots
        self.words = buffer(slots, words, dtype=torch.int32)
        self.labels = buffer(slots, dtype=torch.int8)
        self.contrasts = buffer(blocks, slots, dtype=torch.float32)


class Replicas:
    """R networks of one configuration in training, and the captured steps that advance all."""

    def __init__(
        self, configuration: ParityConfiguration, replicas: int, device: torch.device
    ) -> None:
        self._c = c = configuration
        self._device = device
        self._units = min(UNITS, max(16, triton.next_power_of_2(c.width)))
        self._blocks = -(-c.width // self._units)
        self._words = 4 * -(-c.bits // tasks.BLOCK)
        self._log = max(5, (c.tasks - 1).bit_length())
        self._pieces = 1 if c.precision == "tf32" else 2
        layers = [
            Layer("tasks", c.tasks * c.width, 1),
            Layer("bits", (c.bits + 1) * c.width, SHARES),
            Layer("output", (c.width + 1) * c.logits, SHARES),
        ]
        self.weights = Weights(layers, replicas, device)

        def buffer(*size: int, dtype: torch.dtype = torch.int32) -> Tensor:
            return torch.zeros(replicas, *size, dtype=dtype, device=device)

        self._seeds, self._masks = buffer(), buffer(c.tasks, self._words)
        self._thresholds = _as_int32(_padded(tasks.thresholds(c.tasks, c.alpha), 1 << self._log))
        self._thresholds = self._thresholds.to(device)
        self._programs = -(-c.batch_size // (4 * COUNT_BLOCK))
        self._histograms = buffer(self._programs, 1 << self._log)
        self._sample_ends, self._group_ends = buffer(1 << self._log), buffer(1 << self._log)

        group = kernels.GROUP.value
        unfilled = min(c.tasks, c.batch_size) * (group - 1)
        slots = -(-(c.batch_size + unfilled) // TILE) * TILE
        self.batch = Slots(replicas, slots, self._words, self._blocks, device)
        self.group_tasks = buffer(slots // group)
        self._active = buffer(slots, self._blocks * self._units, dtype=torch.int8)
        self._slopes = buffer(slots, dtype=torch.float32)
        self._group_sums = buffer(slots // group, c.width, dtype=torch.float32)
        slots = c.tasks * -(-c.evaluation_samples // TILE) * TILE
        self.evaluation = Slots(replicas, slots, self._words, self._blocks, device)
        evaluations = c.steps // c.evaluate_every
        self.losses, self.accuracies = (
            buffer(evaluations, c.tasks, dtype=torch.float32) for _ in range(2)
        )

        self._optimizer = Adam.of(c)
        self._schedule = torch.from_numpy(self._optimizer.schedule(c.steps)).to(device)
        self._done = torch.zeros((), dtype=torch.int32, device=device)
        self.train = devices.captured(self._train, device)
        self._done.fill_(c.evaluate_every)
        self.evaluate = devices.captured(self._evaluate, device)

    def load(self, seeds: Sequence[int]) -> None:
        """Start training, one replica for each seed."""
        c = self._c
        self.weights.load(torch.stack([flatten(initial(c, seed)) for seed in seeds]))
        subsets = (tasks.subsets(c.tasks, c.bits, c.subset_size, seed) for seed in seeds)
        masks = np.stack([tasks.masks(of_seed, c.bits) for of_seed in subsets])
        self._masks.copy_(_as_int32(masks))
        self._seeds.copy_(torch.tensor(seeds, dtype=torch.int32))
        self._done.zero_()

    def _launch(self, kernel: Any, grid: tuple[int, ...], *arguments: Any) -> None:
        warps, stages = WARPS_STAGES.get(kernel.fn.__name__, (4, 3))
        grid = (*grid, len(self.weights.values))
        kernel[grid](*arguments, num_warps=warps, num_stages=stages)

    def _train(self) -> None:
        c, w, batch = self._c, self.weights, self.batch
        shape = (batch.count, c.tasks, c.bits, c.width, w.total)
        ends = (self._sample_ends, self._group_ends)
        tiling = (TILE, self._units)
        form = (self._words, max(32, triton.next_power_of_2(c.bits)), c.logits, self._pieces)
        self._launch(
            kernels.count, (self._programs,),
            self._seeds, self._done, self._thresholds, self._histograms,
            c.batch_size, c.tasks, self._log, COUNT_BLOCK,
        )  # fmt: skip
        self._launch(kernels.arrange, (1,), self._histograms, *ends, self._programs, self._log)
        self._launch(
            kernels.draw_batch, (batch.count // TILE,),
            self._seeds, self._done, self._masks, *ends, self.group_tasks,
            batch.words, batch.labels, batch.count, c.tasks, self._log, TILE, self._words,
        )  # fmt: skip
        self._launch(
            kernels.forward, (self._blocks, SHARES),
            w.values, batch.words, self.group_tasks, self._group_ends,
            batch.contrasts, self._active, *shape, True, self._log, *tiling, *form,
        )  # fmt: skip
        self._launch(
            kernels.slope, (-(-batch.count // SLOPE_BLOCK),),
            w.values, batch.labels, batch.contrasts, self._group_ends, self._slopes,
            batch.count, c.tasks, c.width, w.total, w.offsets["output"],
            self._log, SLOPE_BLOCK, c.logits, self._blocks,
        )  # fmt: skip
        self._launch(
            kernels.backward, (self._blocks, SHARES),
            w.values, batch.words, self._slopes, self.group_tasks, self._group_ends,
            self._active, self._group_sums, w.partials, c.batch_size, *shape,
            w.total_partials, w.partial_offsets["bits"], w.partial_offsets["output"],
            self._log, *tiling, *form,
        )  # fmt: skip
        self._launch(
            kernels.sum_tasks, (-(-c.width // SUM_UNITS), c.tasks),
            self._group_ends, self._group_sums, w.partials, batch.count, c.width,
            w.total_partials, w.partial_offsets["tasks"], self._log, SUM_ROWS, SUM_UNITS,
        )  # fmt: skip
        w.update(self._optimizer, self._schedule, self._done)
        self._done += 1

    def _evaluate(self) -> None:
        c, w, e = self._c, self.weights, self.evaluation
        form = (self._words, max(32, triton.next_power_of_2(c.bits)), c.logits, self._pieces)
        self._launch(
            kernels.draw_evaluation, (e.count // TILE,),
            self._seeds, self._done, self._masks, e.words, e.labels,
            e.count, c.tasks, c.evaluation_samples, TILE, self._words,
        )  # fmt: skip
        self._launch(
            kernels.forward, (self._blocks, EVALUATION_SHARES),
            w.values, e.words, self.group_tasks, self._group_ends, e.contrasts, self._active,
            e.count, c.tasks, c.bits, c.width, w.total, False, self._log,
            TILE, self._units, *form,
        )  # fmt: skip
        self._launch(
            kernels.score, (c.tasks,),
            w.values, self._done, e.labels, e.contrasts, self.losses, self.accuracies,
            e.count, c.tasks, c.evaluation_samples, c.width, w.total, w.offsets["output"],
            c.evaluate_every, c.steps // c.evaluate_every, SCORE_BLOCK, c.logits, self._blocks,
        )  # fmt: skip


def _padded(thresholds: tasks.Words, size: int) -> tasks.Words:
    return np.pad(thresholds, (0, size - len(thresholds)), constant_values=2**32 - 1)


def _as_int32(words: np.ndarray) -> Tensor:
    return torch.from_numpy(words.view(np.int32))


def train(
    configuration: ParityConfiguration,
    seeds: Sequence[int],
    device: torch.device,
    report: Report,
) -> History:
    """Train the seeds side by side, in groups that fit the device's memory.

    Raises:
        InputError: not even one replica fits the device.
    """
    c = configuration

    def build(replicas: int) -> Replicas:
        return Replicas(c, replicas, device)

    sizes = [len(seeds)]
    if device.type == "cuda":
        what = f"width {c.width}, batch {c.batch_size}, {c.tasks} tasks"
        sizes = devices.groups(len(seeds), build, what)
    history = History(c, seeds)
    evaluations = len(history.steps)
    between = -(-evaluations // REPORTS)
    at = 0
    for size in sizes:
        rows = slice(at, at + size)
        replicas = build(size)
        replicas.load(seeds[rows])
        for first in range(0, evaluations, between):
            span = slice(first, min(first + between, evaluations))
            for _ in range(span.start, span.stop):
                for _ in range(c.evaluate_every):
                    replicas.train()
                replicas.evaluate()
            values = (replicas.losses[:, span], replicas.accuracies[:, span])
            history.record(rows, span, *(value.cpu().numpy() for value in values))
            steps = size * (span.stop - span.start) * c.evaluate_every
            report(steps, float(history.mean_loss(rows, span)[:, -1].mean()))
        at += size
    return history
