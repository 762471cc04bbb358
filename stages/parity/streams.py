"""The samples that runs side by side on a GPU see, drawn there once for the networks of all widths.

The counterpart of stages/parity/draws.py, which says what is drawn.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import triton
from torch import Tensor

from stages.base.params import ParityConfiguration
from stages.parity import draws, kernels, shuffle, tasks
from stages.parity.plan import Family, Run
from stages.training.kernels import Launcher

TILE = 64
"""Slots that are drawn at once; in evaluation every task begins a new tile."""
COUNT_BLOCK, CHOOSE_BLOCK, ARRANGE_ROWS = 256, 128, 16
"""How the other kernels tile their work."""


@dataclass(frozen=True, eq=False)
class Slots:
    """Samples of each stream as they are laid out for the kernels, which use the same names."""

    slots: int
    inputs: Tensor
    labels: Tensor


class Streams:
    """One stream of samples for each seed and size of the training set among some runs.

    Attributes:
        batch, evaluation: the samples drawn last.
        done: how many steps have been taken; ().
        arguments: buffers and sizes, by the names that kernels give them.
    """

    def __init__(
        self,
        configuration: ParityConfiguration,
        family: Family,
        runs: Sequence[Run],
        device: torch.device,
    ) -> None:
        self._c = c = configuration
        self._limited = family.limited
        self._streams = list(dict.fromkeys((run.seed, run.samples) for run in runs))
        words = kernels.QUAD.value * -(-c.bits // tasks.BLOCK)
        log = max(5, (c.tasks - 1).bit_length())
        k = max(32, triton.next_power_of_2(c.bits))

        def buffer(*size: int, dtype: torch.dtype = torch.int32) -> Tensor:
            return torch.zeros(len(self._streams), *size, dtype=dtype, device=device)

        def laid_out(slots: int) -> Slots:
            slots = -(-slots // TILE) * TILE
            inputs, labels = buffer(slots, k, dtype=torch.float16), buffer(slots, dtype=torch.int8)
            return Slots(slots, inputs, labels)

        batch = min(c.batch_size, max(family.samples)) if self._limited else c.batch_size
        block = CHOOSE_BLOCK if self._limited else kernels.QUAD.value * COUNT_BLOCK
        self._programs = -(-batch // block)
        self.batch = laid_out(batch + min(c.tasks, batch) * (kernels.GROUP.value - 1))
        self.evaluation = laid_out(c.tasks * -(-c.evaluation_samples // TILE) * TILE)
        self.done = torch.zeros((), dtype=torch.int32, device=device)
        self._seeds, self._masks = buffer(), buffer(c.tasks, words)
        # of training sets
        self._sizes, self._lengths, self._set_ends = buffer(), buffer(), buffer(1 << log)
        chosen = self._programs * block if self._limited else 0
        thresholds = tasks.thresholds(c.tasks, c.alpha)
        unused = (0, (1 << log) - len(thresholds))
        thresholds = np.pad(thresholds, unused, constant_values=2**32 - 1)
        self.arguments: dict[str, Any] = {
            "tasks": c.tasks, "bits": c.bits, "batch": c.batch_size,
            "per_task": c.evaluation_samples, "programs": self._programs, "step": self.done,
            "seeds": self._seeds, "masks": self._masks,
            "thresholds": _as_int32(thresholds).to(device),
            "sizes": self._sizes, "lengths": self._lengths, "set_ends": self._set_ends,
            "histograms": buffer(self._programs, 1 << log),
            "chosen": buffer(chosen), "ranks": buffer(chosen),
            "samples": buffer(self.batch.slots if self._limited else 0),
            "sample_ends": buffer(1 << log), "group_ends": buffer(1 << log),
            "group_tasks": buffer(self.batch.slots // kernels.GROUP.value),
            "LOG": log, "WORDS": words, "K": k,
        }  # fmt: skip

    def of(self, runs: Sequence[Run]) -> Tensor:
        """Which stream each run sees: (runs,)."""
        places = [self._streams.index((run.seed, run.samples)) for run in runs]
        return torch.tensor(places, dtype=torch.int32, device=self.done.device)

    def load(self) -> None:
        """Start again from the first batch."""
        c = self._c
        seeds, sizes = zip(*self._streams, strict=True)
        subsets = (tasks.subsets(c.tasks, c.bits, c.subset_size, seed) for seed in seeds)
        masks = np.stack([tasks.masks(drawn, c.bits) for drawn in subsets])
        self._masks.copy_(_as_int32(masks))
        self._seeds.copy_(torch.tensor(seeds, dtype=torch.int32))
        if self._limited:
            self._sizes.copy_(torch.tensor(sizes, dtype=torch.int32))
            self._lengths.copy_(torch.tensor([*map(shuffle.bits, sizes)], dtype=torch.int32))
            counts = [draws.counts(c, seed, size) for seed, size in self._streams]
            ends = torch.from_numpy(np.cumsum(counts, axis=1))
            self._set_ends.fill_(2**31 - 1)[:, : c.tasks] = ends
        self.done.zero_()

    def _launcher(self, slots: Slots) -> Launcher:
        return Launcher(len(self._streams), self.arguments | vars(slots))

    def draw(self) -> None:
        """Launch the drawing of every stream's next batch."""
        launch = self._launcher(self.batch)
        if self._limited:
            launch(kernels.choose, (self._programs,), BLOCK=CHOOSE_BLOCK)
        else:
            launch(kernels.count, (self._programs,), BLOCK=COUNT_BLOCK)
        launch(kernels.arrange, (1,), ROWS=ARRANGE_ROWS)
        if self._limited:
            launch(kernels.sort, (self._programs,), BLOCK=CHOOSE_BLOCK)
        launch(
            kernels.draw_batch, (self.batch.slots // TILE,), TILE=TILE, LIMITED=self._limited
        )  # fmt: skip

    def draw_evaluation(self) -> None:
        """Launch the drawing of the samples that every stream's tasks are evaluated on."""
        launch = self._launcher(self.evaluation)
        launch(kernels.draw_evaluation, (self.evaluation.slots // TILE,), TILE=TILE)


def _as_int32(words: np.ndarray) -> Tensor:
    return torch.from_numpy(words.view(np.int32))
