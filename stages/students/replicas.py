"""Students side by side on a GPU: samples for some steps, and these steps of all, as one graph.

The counterpart of stages/students/one.py, which trains on the CPU.
"""

from collections.abc import Callable
from functools import partial
from itertools import chain

import numpy as np
import torch
import triton
from torch import Tensor

from stages.students import draws, kernels
from stages.students.configuration import Configuration, Phase
from stages.students.evaluation import Evaluation
from stages.students.history import Report, Trained, follow
from stages.students.network import initial
from stages.students.schedule import OPTIMIZER, schedule
from stages.students.teacher import Teacher
from stages.training import device as devices
from stages.training import kept
from stages.training.kernels import Launcher, Layer, Weights

DRAW_BLOCK = 256
SHARES = 4
"""Programs among which a batch is shared out, at most: hundreds of students fill a GPU."""
TILES = {16: (32, 16, 2), 32: (32, 32, 2), 64: (32, 64, 4), 128: (32, 64, 8)}
"""Samples that a program works on at once, units that are its own, and warps, by padded width."""


class Width:
    """The students of one width, and their kernels."""

    def __init__(self, configuration: Configuration, width: int, device: torch.device) -> None:
        self._c = c = configuration
        self._width = width
        units = max(16, triton.next_power_of_2(width))
        tile, own, warps = TILES[units]
        smallest = min(phase.batch_size for phase in c.phases)
        shares = min(SHARES, -(-smallest // tile))
        layer = Layer("all", c.parameters(width, c.seen), shares)
        self.weights = Weights([layer], c.teachers * c.seeds, device, getattr(torch, c.precision))
        arguments = self.weights.arguments | {
            "seeds": c.seeds, "width": width, "SEEN": c.seen,
            "SEEN_POWER": max(16, triton.next_power_of_2(c.seen)), "UNITS": units, "OWN": own,
            "TILE": tile, "OUTPUTS": c.outputs, "EXPONENT": c.exponent,
        }  # fmt: skip
        warps_stages = {"differentiate": (warps, 1)}
        self._launch = Launcher(c.teachers * c.seeds, arguments, warps_stages)
        self._grid = shares, units // own

    def load(self) -> None:
        """Start training."""
        c = self._c
        starts = [
            initial(c, teacher, self._width, seed)
            for teacher in range(c.teachers)
            for seed in range(c.seeds)
        ]
        self.weights.load(torch.from_numpy(np.stack(starts)))

    @property
    def values(self) -> Tensor:
        """The students' values, (teachers, seeds, N)."""
        return self.weights.values.view(self._c.teachers, self._c.seeds, -1)

    def train(
        self, inputs: Tensor, targets: Tensor, number: int, batch: int,
        corrections: Tensor, done: Tensor,
    ) -> None:  # fmt: skip
        """Launch the step on batch `number` of some, after `done` steps."""
        self._launch(
            kernels.differentiate, self._grid, inputs=inputs, targets=targets,
            samples=targets.shape[1], first=number * batch, batch=batch,
        )  # fmt: skip
        self.weights.update(OPTIMIZER, corrections, done)


class SideBySide:
    """All students of a configuration, and captured steps that advance all.

    The students of each width are a branch of the graph: they need nothing of one another.

    Attributes:
        widths: the students of each.
        done: how many steps have been taken; ().
    """

    def __init__(self, configuration: Configuration, device: torch.device) -> None:
        self._c = c = configuration
        self._device, self._real = device, getattr(torch, c.precision)
        self.widths = [Width(c, width, device) for width in c.widths]
        self._teachers = [Teacher(c, t, device, self._real) for t in range(c.teachers)]
        self._corrections = torch.from_numpy(schedule(c)).to(device)
        self.done = torch.zeros((), dtype=torch.int32, device=device)
        self._branches = [devices.Branch(device) for _ in c.widths]
        self._samples: list[
            tuple[Tensor, Tensor]
        ] = []  # graphs know addresses alone: they are kept
        self._next = {phase: self._captured(phase) for phase in c.phases}
        self._evaluations = [Evaluation(c, teacher, device) for teacher in range(c.teachers)]

    def _captured(self, phase: Phase) -> Callable[[], None]:
        c, count = self._c, self._c.ahead(phase) * phase.batch_size
        shape = c.teachers, count
        inputs = torch.zeros(*shape, c.seen, dtype=self._real, device=self._device)
        targets = torch.zeros(shape, dtype=self._real, device=self._device)
        self._samples.append((inputs, targets))
        self.done.zero_()  # what compiles the kernels takes steps of the schedule, too
        return devices.captured(partial(self._advance, phase, inputs, targets), self._device)

    def load(self) -> None:
        """Start training."""
        for width in self.widths:
            width.load()
        self.done.zero_()

    @property
    def state(self) -> list[Tensor]:
        """All that the next step depends on."""
        of_widths = [(w.weights.values, w.weights.moments) for w in self.widths]
        return [*chain(*of_widths), self.done]

    def advance(self, phase: Phase, done: int) -> None:
        """Take the next steps, as many as `Configuration.ahead`; it counts those done itself."""
        self._next[phase]()

    def evaluate(self, done: int) -> np.ndarray:
        """Losses after `done` steps, (teachers, widths, seeds)."""
        values = [width.values for width in self.widths]
        each = enumerate(self._evaluations)
        return np.stack([e.losses(done, [v[teacher] for v in values]) for teacher, e in each])

    @torch.no_grad()
    def _advance(self, phase: Phase, inputs: Tensor, targets: Tensor) -> None:
        self.draw(phase, inputs)
        for teacher, x, y in zip(self._teachers, inputs, targets, strict=True):
            y.copy_(teacher.targets(x))
        ahead = self._c.ahead(phase)
        steps = self.done + torch.arange(ahead, dtype=torch.int32, device=self._device)
        for branch, width in zip(self._branches, self.widths, strict=True):
            with branch():
                for number in range(ahead):
                    width.train(
                        inputs, targets, number, phase.batch_size, self._corrections, steps[number]
                    )
        for branch in self._branches:
            branch.join()
        self.done += ahead

    def draw(self, phase: Phase, inputs: Tensor) -> None:
        """Launch the drawing of the samples of the next steps, (teachers, samples, seen)."""
        teachers, count, seen = inputs.shape
        arguments = {"inputs": inputs, "done": self.done, "dimension": self._c.dimension}
        Launcher(teachers, arguments)(
            kernels.draw, (-(-count // DRAW_BLOCK),), count=count, batch=phase.batch_size,
            STREAM=draws.TRAINING, SEEN=seen, BLOCK=DRAW_BLOCK,
        )  # fmt: skip


def train(
    configuration: Configuration,
    device: torch.device,
    report: Report,
    keeping: kept.Kept = kept.NOWHERE,
) -> Trained:
    """Train all students of a configuration."""
    students = SideBySide(configuration, device)
    students.load()
    losses = follow(configuration, students, report, keeping)
    return Trained(configuration, losses, [w.values.cpu().numpy() for w in students.widths])
