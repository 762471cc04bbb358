"""Runs of one configuration, trained side by side on a GPU: a step of all is one graph.

The counterpart of stages/parity/one.py, which trains one replica on the CPU.
"""

from collections.abc import Callable, Sequence
from itertools import groupby

import numpy as np
import torch
import triton
from torch import Tensor

from stages.base.params import ParityConfiguration
from stages.parity import draws, kernels, shuffle, tasks
from stages.parity.history import History, Report
from stages.parity.network import flatten, initial
from stages.parity.plan import Family, Run
from stages.training import device as devices
from stages.training import kept
from stages.training.adam import Adam
from stages.training.kernels import Launcher, Layer, Weights

TILE = 64
"""Slots that are worked on at once."""
UNITS = 64
"""Hidden units that a program owns."""
FORWARD_SHARES, BITS_SHARES, TASKS_SHARES, EVALUATION_SHARES = 32, 16, 64, 64
"""Programs among which a pass over the tiles of a batch, or of an evaluation, is shared out."""
COUNT_BLOCK, CHOOSE_BLOCK, SLOPE_BLOCK, SCORE_BLOCK = 256, 128, 256, 256
ARRANGE_ROWS, SUM_ROWS, SUM_UNITS = 16, 64, 128
"""How the other kernels tile their work; what each counts is in its name."""
WARPS_STAGES = {"backward_tasks": (1, 1)}
"""Warps of a program and stages of its pipeline; the other kernels have 4 and 3."""
REPORTS = 100
"""How often a run reports: each time the host waits for the device."""


class Slots:
    """Samples of R replicas as they are laid out for the kernels, which use the same names."""

    def __init__(self, replicas: int, slots: int, bits: int, blocks: int, device: torch.device):
        def buffer(*size: int, dtype: torch.dtype) -> Tensor:
            return torch.zeros(replicas, *size, dtype=dtype, device=device)

        self.slots = slots
        self.inputs = buffer(slots, bits, dtype=torch.float16)
        self.labels = buffer(slots, dtype=torch.int8)
        self.contrasts = buffer(blocks, slots, dtype=torch.float32)


class Replicas:
    """R networks of one width in training, launched side by side.

    Attributes:
        losses, accuracies: of every evaluation so far; (R, evaluations, tasks).
        done: how many steps have been taken; ().
    """

    def __init__(
        self,
        configuration: ParityConfiguration,
        family: Family,
        width: int,
        replicas: int,
        device: torch.device,
    ) -> None:
        self._c = c = configuration
        self._width, self._limited = width, family.limited
        group, quad = kernels.GROUP.value, kernels.QUAD.value
        units = min(UNITS, max(16, triton.next_power_of_2(width)))
        self._blocks = -(-width // units)
        words = quad * -(-c.bits // tasks.BLOCK)
        log = max(5, (c.tasks - 1).bit_length())
        k = max(32, triton.next_power_of_2(c.bits))
        layers = [
            Layer("tasks", c.tasks * width, 1),
            Layer("bits", c.bits * width, BITS_SHARES),
            Layer("bias", width, TASKS_SHARES),
            Layer("output", (width + 1) * c.logits, BITS_SHARES + TASKS_SHARES),
        ]
        self.weights = Weights(layers, replicas, device)

        def buffer(*size: int, dtype: torch.dtype = torch.int32) -> Tensor:
            return torch.zeros(replicas, *size, dtype=dtype, device=device)

        self._seeds, self._masks = buffer(), buffer(c.tasks, words)
        thresholds = _as_int32(_padded(tasks.thresholds(c.tasks, c.alpha), 1 << log))
        batch = min(c.batch_size, max(family.samples)) if self._limited else c.batch_size
        self._programs = -(-batch // (CHOOSE_BLOCK if self._limited else quad * COUNT_BLOCK))
        unfilled = min(c.tasks, batch) * (group - 1)
        slots = -(-(batch + unfilled) // TILE) * TILE
        self.batch = Slots(replicas, slots, k, self._blocks, device)
        self.group_tasks = buffer(slots // group)
        # of training sets
        self._sizes, self._lengths, self._set_ends = buffer(), buffer(), buffer(1 << log)
        chosen = self._programs * CHOOSE_BLOCK if self._limited else 0
        evaluated = c.tasks * -(-c.evaluation_samples // TILE) * TILE
        self.evaluation = Slots(replicas, evaluated, k, self._blocks, device)
        evaluations = len(family.evaluated)
        self.losses, self.accuracies = (
            buffer(evaluations, c.tasks, dtype=torch.float32) for _ in range(2)
        )

        self._optimizer = Adam.of(c)
        self._schedule = torch.from_numpy(self._optimizer.schedule(family.steps)).to(device)
        self.done = torch.zeros((), dtype=torch.int32, device=device)
        self._arguments = self.weights.arguments | {
            "tasks": c.tasks, "bits": c.bits, "width": width, "batch": c.batch_size,
            "per_task": c.evaluation_samples, "every": family.evaluate_every,
            "evaluations": evaluations, "programs": self._programs, "step": self.done,
            "seeds": self._seeds, "masks": self._masks, "thresholds": thresholds.to(device),
            "sizes": self._sizes, "lengths": self._lengths, "set_ends": self._set_ends,
            "histograms": buffer(self._programs, 1 << log),
            "chosen": buffer(chosen), "ranks": buffer(chosen),
            "samples": buffer(slots if self._limited else 0),
            "sample_ends": buffer(1 << log), "group_ends": buffer(1 << log),
            "group_tasks": self.group_tasks,
            "active": buffer(slots, self._blocks * units, dtype=torch.int8),
            "slopes": buffer(slots, dtype=torch.float32),
            "group_sums": buffer(slots // group, width, dtype=torch.float32),
            "losses": self.losses, "accuracies": self.accuracies,
            "LOG": log, "TILE": TILE, "UNITS": units, "BLOCKS": self._blocks, "WORDS": words,
            "K": k, "LOGITS": c.logits, "PIECES": 1 if c.precision == "tf32" else 2,
            "LIMITED": self._limited,
        }  # fmt: skip

    def load(self, runs: Sequence[Run]) -> None:
        """Start training, one replica for each run."""
        c = self._c
        seeds = [run.seed for run in runs]
        self.weights.load(torch.stack([flatten(initial(c, self._width, seed)) for seed in seeds]))
        subsets = (tasks.subsets(c.tasks, c.bits, c.subset_size, seed) for seed in seeds)
        masks = np.stack([tasks.masks(drawn, c.bits) for drawn in subsets])
        self._masks.copy_(_as_int32(masks))
        self._seeds.copy_(torch.tensor(seeds, dtype=torch.int32))
        if self._limited:
            sizes = [run.samples for run in runs]
            self._sizes.copy_(torch.tensor(sizes, dtype=torch.int32))
            self._lengths.copy_(torch.tensor([*map(shuffle.bits, sizes)], dtype=torch.int32))
            ends = np.stack([draws.counts(c, run.seed, run.samples).cumsum() for run in runs])
            self._set_ends.fill_(2**31 - 1)[:, : c.tasks] = torch.from_numpy(ends)
        self.done.zero_()

    def _launcher(self, slots: Slots) -> Launcher:
        return Launcher(len(self.weights.values), self._arguments | vars(slots), WARPS_STAGES)

    def train(self) -> None:
        """Launch a step of every replica."""
        self.draw()
        self._differentiate()
        self.weights.update(self._optimizer, self._schedule, self.done)
        self.done += 1

    def draw(self) -> None:
        """Launch the drawing of every replica's next batch."""
        launch = self._launcher(self.batch)
        if self._limited:
            launch(kernels.choose, (self._programs,), BLOCK=CHOOSE_BLOCK)
        else:
            launch(kernels.count, (self._programs,), BLOCK=COUNT_BLOCK)
        launch(kernels.arrange, (1,), ROWS=ARRANGE_ROWS)
        if self._limited:
            launch(kernels.sort, (self._programs,), BLOCK=CHOOSE_BLOCK)
        launch(kernels.draw_batch, (self.batch.slots // TILE,))

    def _differentiate(self) -> None:
        launch, slots = self._launcher(self.batch), self.batch.slots
        offsets, partial_offsets = self.weights.offsets, self.weights.partial_offsets
        launch(kernels.forward, (self._blocks, FORWARD_SHARES), TRAIN=True)
        launch(
            kernels.slope, (-(-slots // SLOPE_BLOCK),), offset=offsets["output"], BLOCK=SLOPE_BLOCK
        )  # fmt: skip
        launch(
            kernels.backward_bits, (self._blocks, BITS_SHARES),
            offset_bits=partial_offsets["bits"], offset_output=partial_offsets["output"],
        )  # fmt: skip
        launch(
            kernels.backward_tasks, (self._blocks, TASKS_SHARES), chunk=BITS_SHARES,
            offset_bias=partial_offsets["bias"], offset_output=partial_offsets["output"],
        )  # fmt: skip
        launch(
            kernels.sum_tasks, (-(-self._width // SUM_UNITS), self._c.tasks),
            offset=partial_offsets["tasks"], ROWS=SUM_ROWS, BLOCK=SUM_UNITS,
        )  # fmt: skip

    def evaluate(self) -> None:
        """Launch an evaluation of every replica."""
        launch, offset = self._launcher(self.evaluation), self.weights.offsets["output"]
        launch(kernels.draw_evaluation, (self.evaluation.slots // TILE,))
        launch(kernels.forward, (self._blocks, EVALUATION_SHARES), TRAIN=False)
        launch(kernels.score, (self._c.tasks,), offset=offset, BLOCK=SCORE_BLOCK)


class SideBySide:
    """Runs of a family in training, and the captured steps that advance all.

    The networks of each width are a branch of the graph: narrow ones alone do not fill a GPU.
    """

    def __init__(
        self,
        configuration: ParityConfiguration,
        family: Family,
        runs: Sequence[Run],
        device: torch.device,
    ) -> None:
        self._by_width = [list(alike) for _, alike in groupby(runs, lambda run: run.width)]
        self.replicas = [
            Replicas(configuration, family, alike[0].width, len(alike), device)
            for alike in self._by_width
        ]
        self._branches = [devices.Branch(device) for _ in self.replicas]
        self.train = devices.captured(self._train, device)
        for replicas in self.replicas:
            replicas.done.fill_(family.evaluate_every)
        self.evaluate = devices.captured(self._evaluate, device)

    def load(self) -> None:
        """Start training."""
        for replicas, runs in zip(self.replicas, self._by_width, strict=True):
            replicas.load(runs)

    @property
    def state(self) -> list[Tensor]:
        """All that the next step depends on."""
        return [t for r in self.replicas for t in (r.weights.values, r.weights.moments, r.done)]

    def results(self, evaluations: slice) -> tuple[np.ndarray, np.ndarray]:
        """Losses and accuracies of some evaluations: (runs, evaluations, tasks) each."""
        losses = torch.cat([replicas.losses[:, evaluations] for replicas in self.replicas])
        accuracies = torch.cat([replicas.accuracies[:, evaluations] for replicas in self.replicas])
        return losses.cpu().numpy(), accuracies.cpu().numpy()

    def _train(self) -> None:
        self._together([replicas.train for replicas in self.replicas])

    def _evaluate(self) -> None:
        self._together([replicas.evaluate for replicas in self.replicas])

    def _together(self, launches: Sequence[Callable[[], None]]) -> None:
        for branch, launch in zip(self._branches, launches, strict=True):
            with branch():
                launch()
        for branch in self._branches:
            branch.join()


def _padded(thresholds: tasks.Words, size: int) -> tasks.Words:
    return np.pad(thresholds, (0, size - len(thresholds)), constant_values=2**32 - 1)


def _as_int32(words: np.ndarray) -> Tensor:
    return torch.from_numpy(words.view(np.int32))


def train(
    configuration: ParityConfiguration,
    family: Family,
    device: torch.device,
    report: Report,
    keeping: kept.Kept = kept.NOWHERE,
) -> History:
    """Train the runs of a family side by side, in groups that fit the device's memory.

    Raises:
        InputError: not even one run fits the device.
    """
    c, runs = configuration, family.runs
    sizes = [len(runs)]
    if device.type == "cuda":
        widest = max(runs, key=lambda run: run.width)
        what = f"width {widest.width}, batch {c.batch_size}, {c.tasks} tasks"
        sizes = devices.groups(
            len(runs), lambda count: SideBySide(c, family, [widest] * count, device), what
        )
    history = History(c, family)
    evaluations = len(family.evaluated)
    between = -(-evaluations // REPORTS)
    at = 0
    for size in sizes:
        rows = slice(at, at + size)
        group = SideBySide(c, family, runs[rows], device)
        group.load()
        kept_run = keeping.run(
            f"{family.kind}-{at}-{size}",
            [*group.state, *history.state(rows)],
            evaluations,
            size * family.evaluate_every,
        )
        for first in range(kept_run.done, evaluations, between):
            end = min(first + between, evaluations)
            for _ in range(first, end):
                for _ in range(family.evaluate_every):
                    group.train()
                group.evaluate()
            history.record(rows, first, *group.results(slice(first, end)))
            steps = size * (end - first) * family.evaluate_every
            report(steps, float(history.mean_losses[rows, end - 1].mean()))
            kept_run.keep(end)
        at += size
        del group  # before the next takes its memory
    return history
