"""Runs of one configuration, trained side by side on a GPU: a step of all is one graph.

The counterpart of stages/parity/one.py, which trains one replica on the CPU.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any

import numpy as np
import torch
import triton
from torch import Tensor

from stages.base.params import ParityConfiguration
from stages.parity import kernels
from stages.parity.history import History, Report
from stages.parity.network import flatten, initial
from stages.parity.plan import Family, Run
from stages.parity.streams import Slots, Streams
from stages.training import device as devices
from stages.training import kept
from stages.training.adam import Adam
from stages.training.kernels import Launcher, Layer, Weights


@dataclass(frozen=True)
class Pass:
    """How a pass over all slots and hidden units is cut into programs, as was fastest on an H200.

    Attributes:
        tile: slots that are worked on at once, at most those of a tile of `streams`.
        units: hidden units that a program owns, at most.
        shares: programs among which the tiles are shared out.
        warps, stages: of a program, and of its pipeline.
    """

    tile: int
    units: int
    shares: int
    warps: int = 4
    stages: int = 3

    def owned(self, width: int) -> int:
        """Hidden units that a program of a network of `width` owns: a power of two."""
        return int(min(self.units, max(kernels.WORD_BITS.value, triton.next_power_of_2(width))))

    def blocks(self, width: int) -> int:
        """In how many blocks the hidden units are."""
        return -(-width // self.owned(width))


FORWARD = Pass(64, 256, 16, stages=2)
EVALUATION = replace(FORWARD, shares=64)
BITS = Pass(64, 128, 8)
TASKS = Pass(16, 128, 64, warps=1, stages=1)
SLOPE_BLOCK, SCORE_BLOCK, SUM_ROWS, SUM_UNITS = 256, 256, 4, 128
"""How the other kernels tile their work; what each counts is in its name."""
REPORTS = 100
"""How often a run reports: each time the host waits for the device."""


class Replicas:
    """R networks of one width in training, launched side by side.

    Attributes:
        losses, accuracies: of every evaluation so far; (R, evaluations, tasks).
    """

    def __init__(
        self,
        configuration: ParityConfiguration,
        family: Family,
        runs: Sequence[Run],
        streams: Streams,
        device: torch.device,
    ) -> None:
        self._c = c = configuration
        self._runs, self._streams = runs, streams
        self._width = width = runs[0].width
        blocks = FORWARD.blocks(width)
        words = blocks * FORWARD.owned(width) // kernels.WORD_BITS.value
        layers = [
            Layer("tasks", c.tasks * width, 1),
            Layer("bits", c.bits * width, BITS.shares),
            Layer("bias", width, TASKS.shares),
            Layer("output", (width + 1) * c.logits, BITS.shares + TASKS.shares),
        ]
        self.weights = Weights(layers, len(runs), device)

        def buffer(*size: int, dtype: torch.dtype = torch.float32) -> Tensor:
            return torch.zeros(len(runs), *size, dtype=dtype, device=device)

        slots, evaluations = streams.batch.slots, len(family.evaluated)
        self.losses, self.accuracies = (buffer(evaluations, c.tasks) for _ in range(2))
        self._contrasts = {
            each: buffer(blocks, each.slots) for each in (streams.batch, streams.evaluation)
        }
        self._optimizer = Adam.of(c)
        self._schedule = torch.from_numpy(self._optimizer.schedule(family.steps)).to(device)
        self._arguments = streams.arguments | self.weights.arguments | {
            "streams": streams.of(runs), "width": width, "every": family.evaluate_every,
            "evaluations": evaluations, "losses": self.losses, "accuracies": self.accuracies,
            "active": buffer(slots, words, dtype=torch.int32), "slopes": buffer(slots),
            "group_sums": buffer(slots // kernels.GROUP.value, width),
            "BLOCKS": blocks, "ACTIVE": words, "LOGITS": c.logits,
            "PIECES": 1 if c.precision == "tf32" else 2,
        }  # fmt: skip

    def load(self) -> None:
        """Start training."""
        weights = [flatten(initial(self._c, self._width, run.seed)) for run in self._runs]
        self.weights.load(torch.stack(weights))

    def _launcher(self, slots: Slots) -> Launcher:
        arguments = self._arguments | vars(slots) | {"contrasts": self._contrasts[slots]}
        return Launcher(len(self._runs), arguments)

    def _launch(self, launch: Launcher, kernel: Any, over: Pass, **special: Any) -> None:
        """Launch a pass over the tiles."""
        launch = replace(launch, warps_stages={kernel.fn.__name__: (over.warps, over.stages)})
        grid = (over.blocks(self._width), over.shares)
        launch(kernel, grid, TILE=over.tile, UNITS=over.owned(self._width), **special)

    def train(self) -> None:
        """Launch a step of every replica, on the batches that were drawn."""
        launch, slots = self._launcher(self._streams.batch), self._streams.batch.slots
        offsets, partial_offsets = self.weights.offsets, self.weights.partial_offsets
        self._launch(launch, kernels.forward, FORWARD, TRAIN=True)
        launch(
            kernels.slope, (-(-slots // SLOPE_BLOCK),), offset=offsets["output"], BLOCK=SLOPE_BLOCK
        )  # fmt: skip
        self._launch(
            launch, kernels.backward_bits, BITS,
            offset_bits=partial_offsets["bits"], offset_output=partial_offsets["output"],
        )  # fmt: skip
        self._launch(
            launch, kernels.backward_tasks, TASKS, chunk=BITS.shares,
            offset_bias=partial_offsets["bias"], offset_output=partial_offsets["output"],
        )  # fmt: skip
        launch(
            kernels.sum_tasks, (-(-self._width // SUM_UNITS), self._c.tasks),
            offset=partial_offsets["tasks"], ROWS=SUM_ROWS, BLOCK=SUM_UNITS,
        )  # fmt: skip
        self.weights.update(self._optimizer, self._schedule, self._streams.done)

    def evaluate(self) -> None:
        """Launch an evaluation of every replica, on the samples that were drawn for it."""
        launch, offset = self._launcher(self._streams.evaluation), self.weights.offsets["output"]
        self._launch(launch, kernels.forward, EVALUATION, TRAIN=False)
        launch(kernels.score, (self._c.tasks,), offset=offset, BLOCK=SCORE_BLOCK)


class SideBySide:
    """Runs of a family in training, and the captured steps that advance all.

    The networks of each width are a branch of the graph: narrow ones alone do not fill a GPU.

    Attributes:
        streams: what they see.
        replicas: those of each width.
    """

    def __init__(
        self,
        configuration: ParityConfiguration,
        family: Family,
        runs: Sequence[Run],
        device: torch.device,
    ) -> None:
        self.streams = Streams(configuration, family, runs, device)
        self.replicas = [
            Replicas(configuration, family, list(alike), self.streams, device)
            for _, alike in groupby(runs, lambda run: run.width)
        ]
        self._branches = [devices.Branch(device) for _ in self.replicas]
        self.train = devices.captured(self._train, device)
        self.streams.done.fill_(family.evaluate_every)
        self.evaluate = devices.captured(self._evaluate, device)

    def load(self) -> None:
        """Start training."""
        self.streams.load()
        for replicas in self.replicas:
            replicas.load()

    @property
    def state(self) -> list[Tensor]:
        """All that the next step depends on."""
        weights = [replicas.weights for replicas in self.replicas]
        return [self.streams.done, *(t for w in weights for t in (w.values, w.moments))]

    def results(self, evaluations: slice) -> tuple[np.ndarray, np.ndarray]:
        """Losses and accuracies of some evaluations: (runs, evaluations, tasks) each."""
        losses = torch.cat([replicas.losses[:, evaluations] for replicas in self.replicas])
        accuracies = torch.cat([replicas.accuracies[:, evaluations] for replicas in self.replicas])
        return losses.cpu().numpy(), accuracies.cpu().numpy()

    def _train(self) -> None:
        self.streams.draw()
        self._together([replicas.train for replicas in self.replicas])
        self.streams.done += 1

    def _evaluate(self) -> None:
        self.streams.draw_evaluation()
        self._together([replicas.evaluate for replicas in self.replicas])

    def _together(self, launches: Sequence[Callable[[], None]]) -> None:
        for branch, launch in zip(self._branches, launches, strict=True):
            with branch():
                launch()
        for branch in self._branches:
            branch.join()


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
